"""From a picture to the tile that the model knows.

A tile is what Fashion-MNIST is made of: uint8 (28, 28), garment bright, background 0. A picture of that size and without
colour is taken for a tile and passes through untouched; anything else is a photo and is converted.
"""

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fmnist_edge.errors import InputError

Tile = NDArray[np.uint8]

TILE_SIZE = 28

# Pillow's other formats are never opened: EPS, for one, starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})

MAX_PIXELS = 64_000_000
"""Larger pictures are refused unopened, so that a small file can't fill the memory (a "decompression bomb")."""

WORKING_EDGE = 256
"""Pixels of the longest edge that a photo is shrunk to, at least, before anything else is done to it."""


def read_tile(path: str | os.PathLike[str]) -> Tile:
    """The tile in a PNG, JPEG, WebP, BMP, GIF (first frame) or TIFF file.

    Returns uint8 (28, 28). Raises InputError, whose message does not repeat the path.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("not a file")
        if status.st_size == 0:
            raise InputError("the file is empty")
        with open(path, "rb") as file, broken_pictures_named(), Image.open(file, formats=FORMATS) as image:
            check_size(image)
            image.draft(None, (WORKING_EDGE, WORKING_EDGE))  # a JPEG is decoded at a fraction of its size, many times faster
            return image_to_tile(image)
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower()) from None


def image_to_tile(image: Image.Image) -> Tile:
    """The tile that shows what a Pillow image shows: itself if it is one, else as ``photo_to_tile`` makes it.

    image: any mode and size. Returns uint8 (28, 28). Raises InputError if it is empty, too large, or can't be decoded.
    """
    with broken_pictures_named():
        check_size(image)
        image.load()
        if image.size == (TILE_SIZE, TILE_SIZE) and is_gray(image):
            return np.asarray(to_gray(image))
        return photo_to_tile(image)


@contextmanager
def broken_pictures_named() -> Iterator[None]:
    """Turns whatever Pillow raises for a picture into an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("not a PNG, JPEG, WebP, BMP, GIF or TIFF picture") from None
    except Image.DecompressionBombError:
        raise InputError(f"larger than {MAX_PIXELS // 10**6} million pixels; make it smaller first") from None
    # its parsers let through whatever a broken file makes them raise: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise InputError(f"the picture is truncated or damaged ({error})") from None


def check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"larger than {MAX_PIXELS // 10**6} million pixels; make it smaller first")
    if image.width * image.height == 0:
        raise InputError("the picture has no pixels")


def photo_to_tile(image: Image.Image) -> Tile:
    """A photo as Fashion-MNIST would show it: gray, garment bright, longest edge 28, centred on 0.

    A first version of the steps of the data set's authors (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747, section 2), without
    cutting the garment out: a background that is not plain black or white stays in the tile.

    image: any mode and size. Returns uint8 (28, 28).
    """
    gray = to_gray(ImageOps.exif_transpose(shrink(image)))
    if border_brightness(gray) > 127:
        gray = ImageOps.invert(gray)
    # ImageOps.contain rounds the short edge of a panorama to 0 pixels and then fails
    scale = TILE_SIZE / max(gray.size)
    width, height = (max(1, round(edge * scale)) for edge in gray.size)
    tile = Image.new("L", (TILE_SIZE, TILE_SIZE))
    tile.paste(gray.resize((width, height), Image.Resampling.LANCZOS), ((TILE_SIZE - width) // 2, (TILE_SIZE - height) // 2))
    return np.asarray(tile)


def shrink(image: Image.Image) -> Image.Image:
    """The image by a whole factor smaller, so that the steps that follow need little memory."""
    factor = max(image.size) // WORKING_EDGE
    if factor < 2:
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(np.asarray(image)[::factor, ::factor])
    if image.mode in ("1", "P", "PA"):
        image = image.convert("RGBA")
    return image.reduce(factor)


def to_gray(image: Image.Image) -> Image.Image:
    """The image in mode L (0 to 255), transparent parts on white."""
    if image.mode.startswith(("I", "F")):
        # more than 8 bits: Pillow's own conversion to L clips at 255
        values = np.asarray(image, dtype=np.float32)
        scales = (65535,) if image.mode.startswith("I;16") else (1, 255, 65535)
        full_scale = next((scale for scale in scales if values.max() <= scale), values.max())
        return Image.fromarray((values * (255 / full_scale)).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")


def is_gray(image: Image.Image) -> bool:
    """Whether the image has no colour and no transparency."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.has_transparency_data:
        return False
    channels = np.asarray(image.convert("RGB"))
    return bool((channels == channels[..., :1]).all())


def border_brightness(gray: Image.Image) -> float:
    """Median value, 0 to 255, of the outermost pixels of an image in mode L."""
    values = np.asarray(gray)
    return float(np.median(np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])))
