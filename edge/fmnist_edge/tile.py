"""From a picture to the tile that the model knows.

A tile is what Fashion-MNIST is made of: uint8 (28, 28), garment bright, background 0. A picture of that size, without colour
and with a dark ground is taken for a tile and passes through untouched; anything else is a photo and is converted.
"""

import io
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import IO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps, UnidentifiedImageError

from fmnist_edge.errors import InputError, first_line
from fmnist_edge.segment import SEGMENT_EDGE, Mask, find_garment

# Pillow logs what it finds wrong in a file as well as raising it; where nobody has set logging up, Python would print that
logging.getLogger("PIL").addHandler(logging.NullHandler())

Tile = NDArray[np.uint8]

TILE_SIZE = 28

# Pillow's other formats are never opened: EPS, for one, starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

MAX_PIXELS = 64_000_000
"""Larger pictures are refused unopened, so that a small file can't fill the memory (a "decompression bomb")."""

WORKING_EDGE = 256
"""Pixels of the longest edge that a photo is shrunk to, at least, before anything else is done to it."""

MOSTLY_OPAQUE = 0.97
"""An alpha channel that leaves out less than the rest is no mask: rounded corners, a soft rim."""

DARK = 64
"""A tile's ground is darker: two of its four corners, at least. Of 60,000 tiles the brightest has 36 there."""

SMALL = 100_000
"""Bytes of a file that is read at once."""

Kind = Literal["tile", "photo"]
Wanted = Literal["auto", "tile", "photo"]
"""What pictures are to be taken for: "auto" looks at each."""


class View(NamedTuple):
    """What the model is shown of a picture, and whether that was a tile already or made of a photo."""

    tile: Tile
    kind: Kind


def read_picture(path: str | os.PathLike[str], wanted: Wanted = "auto", max_pixels: int = MAX_PIXELS) -> View:
    """What a PNG, JPEG, WebP, BMP, GIF (first frame) or TIFF file shows.

    Raises InputError, whose message does not repeat the path.
    """
    with opened(path, max_pixels) as image:
        return to_view(image, wanted)


@contextmanager
def opened(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The picture in a file, of a size that is allowed; a JPEG will be decoded as small as WORKING_EDGE lets it be.

    Raises InputError, whose message does not repeat the path, for what is wrong with the file, then and while it is used.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("not a file")
        if status.st_size == 0:
            raise InputError("the file is empty")
        # Pillow reads a tile's few hundred bytes in many pieces, which takes longer from a file
        with open(path, "rb") as file, decoded(io.BytesIO(file.read()) if status.st_size < SMALL else file, max_pixels) as image:
            yield image
    except OSError as error:
        raise InputError((error.strerror or first_line(error)).lower()) from None
    except ValueError as error:  # a path that can't be one
        raise InputError(first_line(error)) from None


@contextmanager
def decoded(file: IO[bytes], max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The same of an open file."""
    with broken_pictures_named(), Image.open(file, formats=FORMATS) as image:
        check_size(image, max_pixels)
        image.draft(None, (WORKING_EDGE, WORKING_EDGE))  # many times faster
        if image.format == "TIFF":
            silence_libtiff()
        yield image


def look(image: Image.Image, wanted: Wanted = "auto", max_pixels: int = MAX_PIXELS) -> View:
    """What a Pillow image shows: itself if it is a tile, else what ``cut_out`` makes of it.

    image: any mode and size. Raises InputError if it is empty, too large, can't be decoded, or is no tile where one is wanted.
    """
    with broken_pictures_named():
        check_size(image, max_pixels)
        if image.format == "TIFF":
            silence_libtiff()
        return to_view(image, wanted)


def to_view(image: Image.Image, wanted: Wanted) -> View:
    if wanted != "photo" and image.size == (TILE_SIZE, TILE_SIZE) and is_gray(image):
        tile = np.frombuffer(to_gray(image).tobytes(), np.uint8).reshape(TILE_SIZE, TILE_SIZE)
        if wanted == "tile" or is_on_black(tile):
            return View(tile, "tile")
    if wanted == "tile":
        raise InputError(f"not a tile, which is gray and 28x28 pixels large, but {image.mode} and {image.width}x{image.height}")
    return View(cut_out(image)[0], "photo")


@contextmanager
def broken_pictures_named() -> Iterator[None]:
    """Turns whatever Pillow raises for a picture into an InputError."""
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("not a PNG, JPEG, WebP, BMP, GIF or TIFF picture") from None
    except Image.DecompressionBombError:
        raise too_large(MAX_PIXELS) from None
    # its parsers let through whatever a broken file makes them raise: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise InputError(f"the picture is truncated or damaged ({first_line(error)})") from None


@cache
def silence_libtiff() -> None:
    """Keeps libtiff 4.7 from writing to stderr, from C, what it finds wrong in a file. What matters is raised as well.

    For the whole process; stderr itself can't be moved away meanwhile, since other threads may need it.
    """
    with suppress(ImportError, OSError, AttributeError):  # no ctypes, or a Pillow that has libtiff inside
        import ctypes

        from PIL import _imaging

        libtiff = ctypes.CDLL(_imaging.__file__)  # finds what it is linked with
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)


def check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise too_large(max_pixels)
    if width * height == 0:
        raise InputError("the picture has no pixels")


def too_large(max_pixels: int) -> InputError:
    return InputError(f"larger than {max_pixels / 10**6:g} million pixels (--max-pixels); make it smaller first")


def is_on_black(tile: Tile) -> bool:
    return sorted(tile[:: TILE_SIZE - 1, :: TILE_SIZE - 1].ravel().tolist())[1] < DARK


def cut_out(image: Image.Image) -> tuple[Tile, Mask]:
    """A photo's garment as Fashion-MNIST would show it: gray, negated, longest edge 28, centred on 0.

    The steps of the data set's authors (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747, section 2), whose photos had a plain
    ground; here the garment is cut out of its ground first. Where that fails, the whole picture counts as garment.

    image: any mode and size. Returns the tile, uint8 (28, 28), and which pixels show the garment, bool: the upright picture's
    shape, a few hundred pixels large.
    """
    photo, alpha = upright(image)
    soft_mask = garment_of(photo) if alpha is None else alpha
    mask = soft_mask.point(lambda value: 255 * (value > 127))
    negated = ImageChops.multiply(ImageOps.invert(photo.convert("L")), soft_mask)
    garment = fitted(negated.crop(mask.getbbox()), TILE_SIZE, Image.Resampling.LANCZOS)
    # Lanczos rings: what it lights up beside the garment stays 0
    outline = fitted(mask.crop(mask.getbbox()), TILE_SIZE, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    tile = Image.new("L", (TILE_SIZE, TILE_SIZE))
    tile.paste(garment, ((TILE_SIZE - garment.width) // 2, (TILE_SIZE - garment.height) // 2), outline)
    return np.asarray(tile), np.asarray(mask) > 0


def upright(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The photo as it is meant to be seen, in mode RGB, a few hundred pixels large, and its alpha channel if that cuts it out."""
    return flatten(ImageOps.exif_transpose(shrink(image)))


def garment_of(photo: Image.Image) -> Image.Image:
    """The garment in an RGB photo as a mask of mode L, from 0 to 255 across its outline; 255 all over if none is found."""
    found = find_garment(fitted(photo, min(SEGMENT_EDGE, max(photo.size)), Image.Resampling.BOX))
    if found is None:
        return Image.new("L", photo.size, 255)
    smooth = Image.fromarray(found.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(0.7))
    return smooth.resize(photo.size, Image.Resampling.BILINEAR)


def flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The image in mode RGB, transparent parts on white, and its alpha channel in mode L if that is a cut-out garment's."""
    if not image.has_transparency_data:
        return (to_gray(image) if is_deep(image) else image).convert("RGB"), None
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    opaque = np.asarray(alpha) > 127
    is_mask = opaque.any() and opaque.mean() < MOSTLY_OPAQUE
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"), alpha if is_mask else None


def shrink(image: Image.Image) -> Image.Image:
    """The image by whole factors smaller, its longest edge in WORKING_EDGE to twice that, so that what follows is fast.

    A large one loses rows and columns first: means over all of its pixels would take longer than everything else.
    """
    step = max(image.size) // (3 * WORKING_EDGE)
    if step > 1:
        image = image.resize((max(1, image.width // step), max(1, image.height // step)), Image.Resampling.NEAREST)
    factor = max(image.size) // WORKING_EDGE
    if factor < 2:
        return image
    if is_deep(image):
        image = to_gray(image)
    if image.mode in ("1", "P", "PA"):
        image = image.convert("RGBA")
    return image.reduce(factor)


def fitted(image: Image.Image, edge: int, resample: Image.Resampling) -> Image.Image:
    """The image with its longest edge that long."""
    # ImageOps.contain rounds the short edge of a panorama to 0 pixels and then fails
    scale = edge / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, resample, reducing_gap=2)


def is_deep(image: Image.Image) -> bool:
    """Whether its values are gray and have more than 8 bits."""
    return image.mode.startswith(("I", "F"))


def to_gray(image: Image.Image) -> Image.Image:
    """An image without transparency in mode L, 0 to 255."""
    if not is_deep(image):
        return image if image.mode == "L" else image.convert("L")
    # Pillow's own conversion to L clips at 255
    values = np.asarray(image, dtype=np.float32)
    scales = (65535,) if image.mode.startswith("I;16") else (1, 255, 65535)
    full_scale = next((scale for scale in scales if values.max() <= scale), values.max())
    gray = Image.fromarray((values * (255 / full_scale)).clip(0, 255).astype(np.uint8))
    gray.info = image.info
    return gray


def is_gray(image: Image.Image) -> bool:
    """Whether the image has no colour and no transparency."""
    if is_deep(image):
        return True
    if image.has_transparency_data:
        return False
    if image.mode == "L":
        return True
    channels = np.asarray(image.convert("RGB"))
    return bool((channels == channels[..., :1]).all())
