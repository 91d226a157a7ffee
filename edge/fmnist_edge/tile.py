"""From a picture to the tile that the model knows.

A tile is what Fashion-MNIST is made of: uint8 (28, 28), garment bright, background 0. A picture of that size, without colour
and with a dark ground is taken for a tile and passes through untouched; anything else is a photo and is converted.
"""

import io
import logging
import os
import stat
from contextlib import suppress
from functools import cache
from typing import IO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fmnist_edge.errors import InputError, first_line

# Pillow logs what it finds wrong in a file as well as raising it; where nobody has set logging up, Python would print that
logging.getLogger("PIL").addHandler(logging.NullHandler())

Tile = NDArray[np.uint8]

TILE_SIZE = 28

# Pillow's other formats are never opened: EPS, for one, starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
READABLE = "PNG, JPEG, WebP, BMP, GIF or TIFF"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

MAX_PIXELS = 64_000_000
"""Larger pictures are refused unopened, so that a small file can't fill the memory (a "decompression bomb")."""

WORKING_EDGE = 256
"""Pixels of the longest edge that a photo is shrunk to, at least, before anything else is done to it."""

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
    return view_of(read_image(path, max_pixels), wanted)


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in a file, decoded; a JPEG at a fraction of its size. Raises InputError."""
    try:
        # without blocking: a pipe would let us wait for who writes into it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputError("is a directory" if stat.S_ISDIR(status.st_mode) else "not a file")
            if status.st_size == 0:
                raise InputError("the file is empty")
            if status.st_size > SMALL:
                with open(descriptor, "rb", closefd=False) as file:
                    return decode(file, max_pixels)
            content = os.read(descriptor, SMALL)
        finally:
            os.close(descriptor)
        # Pillow reads a tile's few hundred bytes in many pieces, which takes longer from a file
        return decode(io.BytesIO(content), max_pixels)
    except OSError as error:
        raise InputError((error.strerror or first_line(error)).lower()) from None
    except ValueError as error:  # a path that can't be one
        raise InputError(first_line(error)) from None


def decode(file: IO[bytes], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The same of an open file."""
    try:
        image = Image.open(file, formats=FORMATS)
        check_size(image, max_pixels)
        image.draft(None, (WORKING_EDGE, WORKING_EDGE))  # many times faster, of a JPEG
        load(image)
        return image
    except Exception as error:
        raise as_input_error(error) from None


def look(image: Image.Image, wanted: Wanted = "auto", max_pixels: int = MAX_PIXELS) -> View:
    """What a Pillow image shows: itself if it is a tile, else what ``photo.cut_out`` makes of it.

    image: any mode and size. Raises InputError if it is empty, too large, can't be decoded, or is no tile where one is wanted.
    """
    try:
        check_size(image, max_pixels)
        load(image)
    except Exception as error:
        raise as_input_error(error) from None
    return view_of(image, wanted)


def view_of(image: Image.Image, wanted: Wanted) -> View:
    """The same of an image that is decoded already."""
    try:
        if wanted != "photo" and image.size == (TILE_SIZE, TILE_SIZE) and is_gray(image):
            values = to_gray(image).tobytes()
            if wanted == "tile" or is_on_black(values):
                return View(np.frombuffer(values, np.uint8).reshape(TILE_SIZE, TILE_SIZE), "tile")
        if wanted == "tile":
            found = f"{image.mode} and {image.width}x{image.height}"
            raise InputError(f"not a tile, which is gray and 28x28 pixels large, but {found}")
        from fmnist_edge.photo import cut_out  # a tile need not wait for what that imports

        return View(cut_out(image)[0], "photo")
    except Exception as error:
        raise as_input_error(error) from None


def load(image: Image.Image) -> None:
    if image.format == "TIFF":
        silence_libtiff()
    image.load()


def as_input_error(error: Exception) -> InputError:
    """Whatever Pillow raises for a picture: its parsers let through what a broken file makes them raise, of any type."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, UnidentifiedImageError):
        return InputError(f"not a {READABLE} picture")
    if isinstance(error, Image.DecompressionBombError):
        return too_large(MAX_PIXELS)
    return InputError(f"the picture is truncated or damaged ({first_line(error)})")


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


def is_on_black(values: bytes) -> bool:
    """values: a tile's, row by row."""
    return sorted((values[0], values[TILE_SIZE - 1], values[-TILE_SIZE], values[-1]))[1] < DARK


def has_transparency(image: Image.Image) -> bool:
    """``Image.has_transparency_data``, which 32-bit Raspberry Pi OS 12's Pillow 9.4 lacks."""
    see_through_palette = image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA"
    return image.getbands()[-1] in ("A", "a") or "transparency" in image.info or see_through_palette


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
    if has_transparency(image):
        return False
    if image.mode == "L":
        return True
    channels = np.asarray(image.convert("RGB"))
    return bool((channels == channels[..., :1]).all())
