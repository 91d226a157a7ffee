"""The garment's outline: as a line of points for who draws it himself, and drawn into a picture."""

import numpy as np
from PIL import Image, ImageDraw

from fmnist_edge.pictures.segment import Mask

COLOUR = "#e0218a"
"""As in the picture that `explain` draws."""

WIDTH = 3
"""Pixels."""

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""To a pixel's neighbours, clockwise from the right, as y grows downwards."""

FINE = 120
"""Pixels of a mask's longest edge that are enough to draw it: the garment was found in fewer."""

MAX_PARTS = 8
"""That are gone around: a pair of shoes has two, the rest are specks."""


def trace(mask: Mask) -> list[list[int]]:
    """The pixels around the garment, x and y, clockwise; around its largest part, if it has several. Empty if there is none."""
    return max(parts(mask), key=area, default=[])


def parts(mask: Mask) -> list[list[list[int]]]:
    """The same of each part."""
    left = mask
    found: list[list[list[int]]] = []
    while len(found) < MAX_PARTS and (points := trace_first(left)):
        found.append(points)
        covered = Image.new("1", (mask.shape[1], mask.shape[0]))
        # a polygon of one point is refused; one that goes around twice would be hollow
        ImageDraw.Draw(covered).polygon([(x, y) for x, y in (points if len(points) > 1 else 2 * points)], 1, 1)
        left = left & ~np.asarray(covered)
    return found


def area(points: list[list[int]]) -> float:
    """Of the polygon (Gauss's formula)."""
    x, y = np.array(points).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def trace_first(mask: Mask) -> list[list[int]]:
    """The pixels around the part that begins first. Moore's neighbour tracing with Jacob's criterion; points on a straight line
    are left out."""
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
    left, top, right, bottom = part
    step = max(1, max(mask.shape) // FINE)
    mask = mask[::step, ::step]
    across, down = (right - left) / mask.shape[1], (bottom - top) / mask.shape[0]
    pen = ImageDraw.Draw(picture)
    for points in parts(mask):
        line = [(left + (x + 0.5) * across, top + (y + 0.5) * down) for x, y in (*points, points[0])]
        pen.line(line, COLOUR, WIDTH, "curve")
