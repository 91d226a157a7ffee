"""An image as it is meant to be seen: turned upright, a few hundred pixels large, transparent parts on white; and in gray."""

import numpy as np
from PIL import Image, ImageOps

from fmnist_edge.pictures.decode import WORKING_EDGE

MOSTLY_OPAQUE = 0.97
"""An alpha channel that leaves out less than the rest is no mask: rounded corners, a soft rim."""


def upright(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The photo as it is meant to be seen, in mode RGB, a few hundred pixels large, and its alpha channel if that cuts it out."""
    return flatten(ImageOps.exif_transpose(shrink(image)))


def flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The image in mode RGB, transparent parts on white, and its alpha channel in mode L if that is a cut-out garment's."""
    if not has_transparency(image):
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
