"""The garment's outline: as a line of points for who draws it himself, and drawn into a picture."""

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from fmnist_edge.pictures.segment import Mask

COLOUR = "#e0218a"
"""As in the picture that `explain` draws."""

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""To a pixel's neighbours, clockwise from the right, as y grows downwards."""


def trace(mask: Mask) -> list[list[int]]:
    """The pixels around the garment, x and y, clockwise; of several parts, around the first. Empty if there is none.

    Moore's neighbour tracing with Jacob's criterion; points on a straight line are left out.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return []
    padded = np.pad(mask, 1).tolist()
    start = x, y = int(columns[0]) + 1, int(rows[0]) + 1
    points, heading = [start], 6  # it came from above, where nothing is
    first = None
    while True:
        for turn in range(8):
            direction = (heading + 6 + turn) % 8
            step = STEPS[direction]
            if padded[y + step[1]][x + step[0]]:
                break
        else:
            break  # a pixel alone
        if ((x, y), direction) == first:
            points.pop()
            break
        first = first or ((x, y), direction)
        x, y, heading = x + step[0], y + step[1], direction
        points.append((x, y))
    return [[x - 1, y - 1] for x, y in without_straight(points)]


def without_straight(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept = []
    for number, (x, y) in enumerate(points):
        (before_x, before_y), (after_x, after_y) = points[number - 1], points[(number + 1) % len(points)]
        if len(points) < 3 or (x - before_x, y - before_y) != (after_x - x, after_y - y):
            kept.append((x, y))
    return kept


def draw(picture: Image.Image, mask: Mask, part: tuple[int, int, int, int]) -> None:
    """Draws the outline into an RGB picture. mask: of this part of it; left, top, right, bottom."""
    size = part[2] - part[0], part[3] - part[1]
    garment = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    garment = garment.point(lambda value: 255 * (value > 127))
    picture.paste(COLOUR, part[:2], ImageChops.difference(garment, garment.filter(ImageFilter.MaxFilter(5))))
