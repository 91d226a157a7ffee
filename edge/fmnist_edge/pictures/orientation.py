"""How to turn a picture, as cameras write it into the metadata; an invalid value turns nothing."""

from PIL import Image

UPRIGHT = 1

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by EXIF's number (tag 0x0112) of how the camera was held."""


def orientation_of(image: Image.Image) -> int:
    """2 to 8, or UPRIGHT. image: as it was decoded, since Pillow forgets much of it in copies."""
    if image.format == "TIFF":  # which Pillow turns as it decodes it; Pillow 9.4 goes on to say that it is turned
        return UPRIGHT
    try:
        found = image.getexif().get(0x0112)
        return found if found in TURNS else UPRIGHT
    except Exception:  # Pillow lets through whatever broken metadata make its parser raise
        return UPRIGHT


def turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image
