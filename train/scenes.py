"""A hundred photos without a garment, drawn: what a camera sees when nothing is before it."""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fmnist_edge.contract import Probabilities, Tiles
from fmnist_edge.errors import BlankError
from fmnist_edge.pictures.tile import look

WIDTH, HEIGHT = 400, 300
VARIANTS = 5

Random = np.random.Generator
Gray = NDArray[np.float64]
"""(HEIGHT, WIDTH), 0 to 255 or, for a field, about -1 to 1."""

ROWS, COLUMNS = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]


def a_hundred_empty_scenes() -> Iterator[tuple[str, Image.Image]]:
    """Each with its name. The same ones each time."""
    for number, kind in enumerate(KINDS):
        for variant in range(VARIANTS):
            yield f"{kind.__name__}-{variant}", taken(kind(np.random.default_rng([number, variant])), variant)


def count_named(answer: Callable[[Tiles], Probabilities], sure_from: float) -> int:
    """How many of the scenes are named without a doubt: something stands out, and the answer is sure.

    answer: what a model says of photos' tiles. sure_from: the confidence below which it is unsure.
    """
    tiles = []
    for _, scene in a_hundred_empty_scenes():
        with suppress(BlankError):
            view = look(scene)
            tiles += [view.tile] if view.garment_found else []
    return int((answer(np.stack(tiles)).max(1) >= sure_from).sum()) if tiles else 0


def taken(scene: Image.Image, variant: int) -> Image.Image:
    """The scene as it comes from a camera: as it is, blurred, as a poor JPEG, both, or noisy."""
    if variant in (1, 3):
        scene = scene.filter(ImageFilter.GaussianBlur(1.5))
    if variant in (2, 3):
        file = io.BytesIO()
        scene.save(file, "jpeg", quality=40)
        return Image.open(file)
    if variant == 4:
        noise = np.random.default_rng(4).normal(0, 8, (HEIGHT, WIDTH, 3))
        return to_image(np.asarray(scene, float) + noise)
    return scene


def to_image(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def coloured(gray: Gray, random: Random) -> Image.Image:
    """In a wall's, a floor's or a cloth's colour: a gray of 128 becomes that colour."""
    colour = random.uniform(90, 210) + random.normal(0, 18, 3)
    return to_image(gray[..., None] / 128 * colour)


def smooth_field(random: Random, columns: int, rows: int) -> Gray:
    """Noise without detail, about -1 to 1: a random value at each of so many points, smoothly between."""
    points = Image.fromarray(random.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(points.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), float)


def black(random: Random) -> Image.Image:
    return to_image(random.uniform(0, 4) + random.normal(0, 1.5, (HEIGHT, WIDTH, 3)))


def white(random: Random) -> Image.Image:
    return to_image(random.uniform(240, 255) + random.normal(0, 2, (HEIGHT, WIDTH, 3)))


def wall(random: Random) -> Image.Image:
    return coloured(128 + random.normal(0, 1.5, (HEIGHT, WIDTH)), random)


def wall_lit_from_a_side(random: Random) -> Image.Image:
    angle, fall = random.uniform(0, 2 * np.pi), random.uniform(15, 50)
    return coloured(128 + fall * (np.cos(angle) * COLUMNS + np.sin(angle) * ROWS), random)


def wall_lit_in_the_middle(random: Random) -> Image.Image:
    """A lamp's light, or a lens that is darker at its rim."""
    x, y = random.uniform(-0.3, 0.3, 2)
    return coloured(140 - random.uniform(15, 45) * ((COLUMNS - x) ** 2 + (ROWS - y) ** 2), random)


def wall_with_a_soft_shadow(random: Random) -> Image.Image:
    edge = COLUMNS * random.uniform(0.5, 1) + ROWS * random.uniform(-1, 1) + random.uniform(-0.3, 0.3)
    return coloured(128 - random.uniform(15, 40) / (1 + np.exp(-edge / random.uniform(0.03, 0.2))), random)


def wall_above_a_floor(random: Random) -> Image.Image:
    line = random.uniform(-0.2, 0.5) + random.uniform(-0.1, 0.1) * COLUMNS
    return coloured(np.where(line > ROWS, 150.0, random.uniform(80, 125)) + 10 * smooth_field(random, 4, 4), random)


def noise(random: Random) -> Image.Image:
    return to_image(random.uniform(0, 255, (HEIGHT, WIDTH, random.choice([1, 3]))).repeat(3, 2)[..., :3])


def night_shot(random: Random) -> Image.Image:
    """Dark, with the coloured noise of a sensor at its limit."""
    return to_image(random.uniform(15, 40) + 8 * smooth_field(random, 3, 3)[..., None] + random.normal(0, 14, (HEIGHT, WIDTH, 3)))


def carpet(random: Random) -> Image.Image:
    grain = np.asarray(to_image(128 + random.normal(0, 60, (HEIGHT, WIDTH))).filter(ImageFilter.GaussianBlur(1)), float)
    return coloured(grain + 8 * smooth_field(random, 5, 4), random)


def wood(random: Random) -> Image.Image:
    grain = np.sin(12 * smooth_field(random, 3, 8) + 25 * ROWS) + 0.5 * smooth_field(random, 3, 100)
    return coloured(128 + random.uniform(8, 22) * grain, random)


def floorboards(random: Random) -> Image.Image:
    board = (COLUMNS + 1) * random.integers(3, 8) / 2
    tone = random.uniform(-14, 14, 10)[board.astype(int)]
    return coloured(128 + tone - 60 * (board % 1 < 0.03) + 8 * smooth_field(random, 60, 3), random)


def floor_tiles(random: Random) -> Image.Image:
    across, down = (COLUMNS + 1) * random.integers(2, 6), (ROWS + 1) * random.integers(2, 5)
    joints = (across % 1 < 0.04) | (down % 1 < 0.05)
    return coloured(128 - random.uniform(-50, 70) * joints + 6 * smooth_field(random, 9, 7), random)


def bricks(random: Random) -> Image.Image:
    rows = (ROWS + 1) * random.integers(4, 8)
    columns = (COLUMNS + 1) * 4 + 0.5 * (rows.astype(int) % 2)
    tone = random.uniform(-25, 25, (20, 20))[rows.astype(int), columns.astype(int)]
    return coloured(np.where((columns % 1 < 0.06) | (rows % 1 < 0.12), 175, 120 + tone), random)


def checkerboard(random: Random) -> Image.Image:
    cells = ((COLUMNS + 1) * random.integers(2, 12)).astype(int) + ((ROWS + 1) * random.integers(2, 9)).astype(int)
    return coloured(128 + random.uniform(15, 90) * (2 * (cells % 2) - 1), random)


def bed_sheet(random: Random) -> Image.Image:
    """Folds that run across each other, lit from a side."""
    height = sum(smooth_field(random, count, count) / count for count in (3, 5, 9, 15))
    return coloured(150 + random.uniform(200, 500) * np.gradient(height, axis=1) * 10, random)


def curtain(random: Random) -> Image.Image:
    folds = np.sin(random.integers(15, 40) * COLUMNS + 2 * smooth_field(random, 5, 2))
    return coloured(128 + random.uniform(15, 50) * folds + 10 * ROWS, random)


def books(random: Random) -> Image.Image:
    edges = np.cumsum(random.uniform(10, 30, 60))
    spine = np.searchsorted(edges, np.arange(WIDTH))
    upper, lower = random.uniform(30, 220, (2, 61, 3))
    shelf = np.where((ROWS < 0)[..., None], upper[spine], lower[spine])
    shelf[abs(ROWS) < 0.04] = 60
    return to_image(shelf)


def window(random: Random) -> Image.Image:
    """Panes that are brighter than the wall, with bars between them."""
    left, right, top, bottom = random.uniform(0.3, 0.95, 4)
    panes = (-left < COLUMNS) & (right > COLUMNS) & (-top < ROWS) & (bottom > ROWS)
    bars = (((COLUMNS + 1) * 2) % 1 < 0.06) | (((ROWS + 1) * 1.5) % 1 < 0.06)
    return coloured(np.where(panes & ~bars, 225 + 15 * smooth_field(random, 4, 4), 90 + 8 * smooth_field(random, 4, 4)), random)


def leaves(random: Random) -> Image.Image:
    fields = np.stack([smooth_field(random, count, count) for count in (20, 40, 80)])
    return to_image((70 + 60 * fields.sum(0))[..., None] * random.uniform([0.5, 1, 0.2], [0.9, 1.3, 0.6]))


KINDS: tuple[Callable[[Random], Image.Image], ...] = (
    black,
    white,
    wall,
    wall_lit_from_a_side,
    wall_lit_in_the_middle,
    wall_with_a_soft_shadow,
    wall_above_a_floor,
    noise,
    night_shot,
    carpet,
    wood,
    floorboards,
    floor_tiles,
    bricks,
    checkerboard,
    bed_sheet,
    curtain,
    books,
    window,
    leaves,
)
