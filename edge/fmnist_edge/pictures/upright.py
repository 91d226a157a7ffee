"""An image as it is meant to be seen: turned upright, a few hundred pixels large, transparent parts on white; and in gray."""

import numpy as np
from PIL import Image

from fmnist_edge.pictures.decode import WORKING_EDGE
from fmnist_edge.pictures.orientation import orientation_of, turn

MOSTLY_OPAQUE = 0.97
"""An alpha channel that leaves out less than the rest is no mask: rounded corners, a soft rim."""


FULL_SCALES = (1, 255, 4095, 65535)
"""White where values have more than 8 bits, which the file does not say: the first of these that no value exceeds.

Scanners and industrial cameras write 12 bits into 16; numpy's users write bytes into anything.
"""


def upright(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The photo as it is meant to be seen, in mode RGB, a few hundred pixels large, and its alpha channel if that cuts it out."""
    return flatten(turn(shrink(image), orientation_of(image)))


def flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The image, as ``shrink`` gives it, in mode RGB, transparent parts on white, and its alpha in mode L if that is a mask."""
    if image.mode != "RGBA":
        return image if image.mode == "RGB" else image.convert("RGB"), None
    alpha = image.getchannel("A")
    opaque = np.asarray(alpha) > 127
    is_mask = opaque.any() and opaque.mean() < MOSTLY_OPAQUE
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"), alpha if is_mask else None


def shrink(image: Image.Image) -> Image.Image:
    """The image, smaller by a whole factor, its longest edge WORKING_EDGE to twice that, so that what follows is fast.

    A large one loses rows and columns first: means over all of its pixels would take longer than everything else.
    Returns mode RGBA if it has transparency of whatever kind; no value has more than 8 bits.
    """
    step = max(image.size) // (3 * WORKING_EDGE)
    if step > 1:
        image = image.resize((max(1, image.width // step), max(1, image.height // step)), Image.Resampling.NEAREST)
    # before means are taken, since neither a colour that stands for transparent nor a palette's numbers outlive that
    image = plain(image)
    factor = max(image.size) // WORKING_EDGE
    return image.reduce(factor) if factor > 1 else image


def plain(image: Image.Image) -> Image.Image:
    """The image with at most 8 bits a value; in mode RGBA if it has transparency, without a palette in any case."""
    if is_deep(image):
        gray = to_gray(image)
        transparent = image.info.get("transparency")
        if not isinstance(transparent, int):
            return gray
        gray = gray.convert("RGBA")
        gray.putalpha(Image.fromarray(np.where(np.asarray(image) == transparent, 0, 255).astype(np.uint8)))
        return gray
    if has_transparency(image):
        image = image if image.mode == "RGBA" else with_transparent_bytes(image).convert("RGBA")
        return image.convert("RGB") if is_hidden(image) else image
    return image.convert("RGB") if image.mode in ("1", "P") else image


def with_transparent_bytes(image: Image.Image) -> Image.Image:
    """Pillow halves the 16 bits that a colour has in a PNG, but not those of the one that stands for transparent."""
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
    return image


def is_hidden(image: Image.Image) -> bool:
    """Whether an RGBA image has a picture that is transparent all over, as of BMPs, most of which leave their fourth byte 0."""
    x, y = image.width // 2, image.height // 2
    if np.asarray(image.crop((x, y, x + 1, y + 1)))[0, 0, 3] > 0:  # mostly, and soon known
        return False
    pixels = np.asarray(image)
    return not pixels[..., 3].any() and bool((pixels != pixels[0, 0]).any())


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
    if image.mode == "F":  # NaN and infinity stand for pixels without a measurement
        finite = np.isfinite(values)
        values = np.nan_to_num(values, nan=0, posinf=values.max(initial=0, where=finite), neginf=0)
    full_scale = next((scale for scale in FULL_SCALES if values.max() <= scale), values.max())
    gray = Image.fromarray((values * (255 / full_scale)).clip(0, 255).astype(np.uint8))
    gray.info = image.info
    return gray


def is_gray(image: Image.Image) -> bool:
    """Whether the image has no colour and no transparency."""
    if image.mode == "L":
        return "transparency" not in image.info
    if is_deep(image):
        return True
    if has_transparency(image):
        return False
    channels = np.asarray(image.convert("RGB"))
    return bool((channels == channels[..., :1]).all())
