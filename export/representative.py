"""The tiles that int8 is fitted to: training images as they are, and some disturbed as photos are, an empty and a full one.

With the training images alone, a photo's background or brightness drives values beyond the ranges that int8 was given: one in
1,000 photo-like tiles then had a probability 0.30 from the float model's; with these it is 0.08 (a model of 512 and 192 units).
"""

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import Tiles, mark_photos

PER_CLASS = 1000
DISTURBED = 250  # of each kind


def choose_even(tiles: Tiles, labels: NDArray[np.uint8]) -> Tiles:
    """From the training set, uint8 (N, 28, 28) with labels (N,): uint8 (10000, 28, 28), drawn with a fixed seed, classes even."""
    random = np.random.default_rng(0)
    chosen = [random.choice(np.flatnonzero(labels == class_id), PER_CLASS, replace=False) for class_id in range(10)]
    even: Tiles = tiles[np.sort(np.concatenate(chosen))]
    return even


def make_strange(tiles: Tiles) -> Tiles:
    """uint8 (1252, 28, 28): some of the tiles, uint8 (N, 28, 28), disturbed with a fixed seed, an empty and a full one."""
    random = np.random.default_rng(0)
    kinds = (brighten, negate, add_noise, punch_holes, mark)
    some = tiles[np.linspace(0, len(tiles) - 1, DISTURBED * len(kinds)).astype(int)]
    disturbed = [kind(some[number :: len(kinds)], random) for number, kind in enumerate(kinds)]
    return np.concatenate([*disturbed, np.zeros_like(tiles[:1]), np.full_like(tiles[:1], 255)])


def brighten(tiles: Tiles, random: np.random.Generator) -> Tiles:
    """Under- and overexposed."""
    return clip(tiles * random.uniform(0.3, 1.8, (len(tiles), 1, 1)))


def negate(tiles: Tiles, random: np.random.Generator) -> Tiles:
    """A dark garment on a light background that was not removed."""
    return 255 - tiles


def add_noise(tiles: Tiles, random: np.random.Generator) -> Tiles:
    return clip(tiles + random.normal(0, 25, tiles.shape))


def punch_holes(tiles: Tiles, random: np.random.Generator) -> Tiles:
    """A square of 8 pixels is missing, or glares."""
    holed = tiles.copy()
    for tile in holed:
        row, column = random.integers(0, 20, 2)
        tile[row : row + 8, column : column + 8] = random.choice([0, 255])
    return holed


def mark(tiles: Tiles, random: np.random.Generator) -> Tiles:
    """As models know photos."""
    return mark_photos(tiles)


def clip(values: NDArray[np.float64]) -> Tiles:
    return values.clip(0, 255).astype(np.uint8)
