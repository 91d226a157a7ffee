"""The garment's outline: as a list of points, or drawn into a picture."""

import numpy as np
from PIL import Image, ImageDraw

from fmnist_edge.pictures.segment import Mask

COLOUR = "#e0218a"
"""The same as in the picture that `explain` draws."""

WIDTH = 3
"""Of the line, in pixels."""

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""Steps to a pixel's neighbours, clockwise from the right; y grows downwards."""

MAX_MASK_EDGE = 120
"""Masks with a longer edge, in pixels, are thinned before drawing: the garment was found in a smaller picture."""

MAX_PARTS = 8
"""How many parts are outlined: a pair of shoes has two, the others are specks."""


def trace(mask: Mask) -> list[list[int]]:
    """The outline of the garment's largest part: points (x, y), clockwise. Empty if the mask is."""
    return max(parts(mask), key=area, default=[])


def parts(mask: Mask) -> list[list[list[int]]]:
    """The outlines of all parts, at most MAX_PARTS."""
    left = mask
    found: list[list[list[int]]] = []
    while len(found) < MAX_PARTS and (points := trace_first(left)):
        found.append(points)
        covered = Image.new("1", (mask.shape[1], mask.shape[0]))
        # Pillow refuses a polygon of one point, and leaves one that is traced twice hollow
        ImageDraw.Draw(covered).polygon([(x, y) for x, y in (points if len(points) > 1 else 2 * points)], 1, 1)
        left = left & ~np.asarray(covered)
    return found


def area(points: list[list[int]]) -> float:
    """The polygon's area (the shoelace formula)."""
    x, y = np.array(points).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def trace_first(mask: Mask) -> list[list[int]]:
    """The outline of the first part in reading order: Moore's neighbour tracing with Jacob's stopping criterion.

    Points within a straight line are left out.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return []
    padded = np.pad(mask, 1).tolist()
    start = x, y = int(columns[0]) + 1, int(rows[0]) + 1
    points, heading = [start], 6  # as if coming from above, where nothing is
    first = None
    while True:
        for turn in range(8):
            direction = (heading + 6 + turn) % 8
            step = STEPS[direction]
            if padded[y + step[1]][x + step[0]]:
                break
        else:
            break  # a single pixel
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
    """Draws the mask's outline into an RGB picture. part: what the mask covers of it, as left, top, right, bottom."""
    left, top, right, bottom = part
    step = max(1, max(mask.shape) // MAX_MASK_EDGE)
    mask = mask[::step, ::step]
    across, down = (right - left) / mask.shape[1], (bottom - top) / mask.shape[0]
    pen = ImageDraw.Draw(picture)
    for points in parts(mask):
        line = [(left + (x + 0.5) * across, top + (y + 0.5) * down) for x, y in (*points, points[0])]
        pen.line(line, COLOUR, WIDTH, "curve")
