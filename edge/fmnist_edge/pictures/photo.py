"""From a photo to a tile: turned upright, the garment cut out of its ground, gray, negated, cropped, shrunk to 28 pixels."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from fmnist_edge.contract import TILE_SIZE, Tile
from fmnist_edge.pictures.segment import SEGMENT_EDGE, Mask, find_garment
from fmnist_edge.pictures.upright import upright

HALF, ANY = ([255 * (value > least) for value in range(256)] for least in (127, 0))
"""For ``Image.point``: from which value on a mask shows the garment."""


class CutOut(NamedTuple):
    """A photo's tile; which pixels show the garment (the upright picture's shape, a few hundred pixels large); and whether one
    stands out there."""

    tile: Tile
    mask: Mask
    garment_found: bool


def cut_out(image: Image.Image) -> CutOut:
    """A photo's garment as Fashion-MNIST would show it: gray, negated, longest edge 28, centred on 0.

    The steps of the data set's authors (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747, section 2), whose photos had a plain
    ground; here the garment is cut out of its ground first. Where that fails, the whole picture counts as garment.

    image: any mode and size.
    """
    photo, alpha = upright(image)
    soft_mask, garment_found = garment_of(photo) if alpha is None else (alpha, True)
    mask = soft_mask.point(HALF)
    box = mask.getbbox()
    negated = ImageChops.multiply(ImageChops.invert(photo.crop(box).convert("L")), soft_mask.crop(box))
    garment = fitted(negated, TILE_SIZE, Image.Resampling.LANCZOS)
    # Lanczos rings: what it lights up beside the garment stays 0
    outline = fitted(mask.crop(box), TILE_SIZE, Image.Resampling.BOX).point(ANY)
    tile = Image.new("L", (TILE_SIZE, TILE_SIZE))
    tile.paste(garment, ((TILE_SIZE - garment.width) // 2, (TILE_SIZE - garment.height) // 2), outline)
    return CutOut(np.asarray(tile), np.asarray(mask) > 0, garment_found)


def garment_of(photo: Image.Image) -> tuple[Image.Image, bool]:
    """The garment in an RGB photo as a mask of mode L, from 0 to 255 across its outline, and whether it stands out.

    The mask is 255 all over if there is none.
    """
    found = find_garment(fitted(photo, min(SEGMENT_EDGE, max(photo.size)), Image.Resampling.BOX))
    if found is None:
        return Image.new("L", photo.size, 255), False
    smooth = Image.fromarray(found.mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(0.7))
    return smooth.resize(photo.size, Image.Resampling.BILINEAR), found.stands_out


def fitted(image: Image.Image, edge: int, resample: Image.Resampling) -> Image.Image:
    """The image with its longest edge that long."""
    # ImageOps.contain rounds the short edge of a panorama to 0 pixels and then fails
    scale = edge / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, resample, reducing_gap=2)
