"""From a picture to the tile that the model knows.

A tile is what Fashion-MNIST is made of: uint8 (28, 28), garment bright, background 0. A picture of that size, without colour
and with a dark ground is taken for a tile and passes through untouched; anything else is a photo and is converted.
"""

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from PIL import Image

from fmnist_edge.contract import TILE_SIZE, Tile
from fmnist_edge.errors import BlankError, InputError
from fmnist_edge.pictures.decode import MAX_PIXELS, as_input_error, check_size, load, read_image
from fmnist_edge.pictures.upright import is_gray, to_gray

if TYPE_CHECKING:  # a tile need not wait for what that imports
    from fmnist_edge.pictures.segment import Mask

DARK = 64
"""A tile's ground is darker: two of its four corners, at least. Of 60,000 tiles the brightest has 36 there."""

BLANK = "nothing can be made out in it: its tile would be one gray all over"

Kind = Literal["tile", "photo"]
Wanted = Literal["auto", "tile", "photo"]
"""What pictures are to be taken for: "auto" looks at each."""


class View(NamedTuple):
    """What the model is shown of a picture, and whether that was a tile already or made of a photo.

    garment_found: whether anything stands out from a photo's ground. True for tiles.
    """

    tile: Tile
    kind: Kind
    garment_found: bool = True


def read_picture(path: str | os.PathLike[str], wanted: Wanted = "auto", max_pixels: int = MAX_PIXELS) -> View:
    """What a PNG, JPEG, WebP, BMP, GIF (first frame) or TIFF file shows.

    Raises InputError, whose message does not repeat the path.
    """
    return view_of(read_image(path, max_pixels), wanted)


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
    return look_closely(image, wanted)[0]


def look_closely(image: Image.Image, wanted: Wanted) -> "tuple[View, Mask | None]":
    """The same, and which pixels show the garment, as ``photo.cut_out`` has it; None for tiles."""
    try:
        if wanted != "photo" and image.size == (TILE_SIZE, TILE_SIZE) and is_gray(image):
            values = to_gray(image).tobytes()
            if wanted == "tile" or is_on_black(values):
                if values.count(values[:1]) == len(values) and not is_of_one_colour(image):
                    raise BlankError(BLANK)
                return View(np.frombuffer(values, np.uint8).reshape(TILE_SIZE, TILE_SIZE), "tile"), None
        if wanted == "tile":
            found = f"{image.mode} and {image.width}x{image.height}"
            raise InputError(f"not a tile, which is gray and 28x28 pixels large, but {found}")
        from fmnist_edge.pictures.photo import cut_out  # a tile need not wait for what that imports

        cut = cut_out(image)
        if is_blank(cut.tile, cut.mask) and not is_of_one_colour(image):
            raise BlankError(BLANK)
        return View(cut.tile, "photo", cut.garment_found), cut.mask
    except Exception as error:
        raise as_input_error(error) from None


def is_blank(tile: Tile, mask: "Mask") -> bool:
    """Whether a photo's tile shows nothing, neither shades nor an outline: beside a picture that is not square it is 0."""
    shown = tile[tile > 0]
    return shown.size == 0 or bool(shown.min() == shown.max() and mask.all())


def is_of_one_colour(image: Image.Image) -> bool:
    pixels = np.asarray(image.convert("RGBA") if image.mode in ("P", "PA") else image)
    return bool((pixels == pixels[0, 0]).all())


def is_on_black(values: bytes) -> bool:
    """values: a tile's, row by row."""
    return sorted((values[0], values[TILE_SIZE - 1], values[-TILE_SIZE], values[-1]))[1] < DARK
