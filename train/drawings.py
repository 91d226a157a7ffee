"""Draws pairs of shoes as people photograph theirs, from above: sandals, sneakers and boots, none like another.

Fashion-MNIST shows one shoe, from its side, and there are few photos of shoes to learn from. A drawing has what tells the kinds
apart: straps across a sole, a dark opening and laces, a shaft. It looks like no real shoe, and need not.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fmnist_edge.contract import CLASSES, TILE_SIZE, Tiles
from train.arrays import Labels

EDGE = 4 * TILE_SIZE
"""Pixels of a drawing, before it is fitted into a tile."""
SHOE = 30
"""Half of a shoe's length, in these pixels. Along, shoes reach from -1, the toe or the end of the shaft, to 1."""

Points = list[tuple[float, float]] | NDArray[np.float64]


class Style(NamedTuple):
    """What both shoes of a pair have in common: half their width, three grays that differ, and the seed of all else."""

    width: float
    gray: float
    trim: float
    sole: float
    seed: int


class Pen:
    """Draws in a shoe's own coordinates. place (2, 3): to where they are turned, mirrored and moved on the drawing."""

    def __init__(self, draw: ImageDraw.ImageDraw, place: NDArray[np.float64]) -> None:
        self.draw, self.place = draw, place

    def polygon(self, points: Points, gray: float) -> None:
        self.draw.polygon(self.moved(points), fill=int(gray))

    def ellipse(self, x: float, y: float, across: float, along: float, gray: float) -> None:
        self.polygon(arc(x, y, across, along), gray)

    def line(self, points: Points, width: float, gray: float) -> None:
        self.draw.line(self.moved(points), fill=int(gray), width=max(1, int(width * SHOE)), joint="curve")

    def moved(self, points: Points) -> list[tuple[float, float]]:
        return [(x, y) for x, y in np.asarray(points) @ self.place[:, :2].T + self.place[:, 2]]


def draw_shoes(count: int, seed: int) -> tuple[Tiles, Labels]:
    """Tiles of so many pairs, uint8 (N, 28, 28), and their classes, all three equally often. The same seed draws the same."""
    random = np.random.default_rng(seed)
    classes = np.resize(np.array([CLASSES.index(name) for name in KINDS], np.uint8), count)
    tiles = [draw_pair(KINDS[CLASSES[class_id]], random) for class_id in classes]
    return np.stack(tiles) if tiles else np.zeros((0, TILE_SIZE, TILE_SIZE), np.uint8), classes


def draw_pair(views: tuple[Callable[..., None], ...], random: Any) -> NDArray[np.uint8]:
    """A pair, or now and then one shoe, in one of these views."""
    gray = random.uniform(40, 250)
    style = Style(random.uniform(0.3, 0.42), gray, another(random, gray), another(random, gray), int(random.integers(1 << 30)))
    view = views[random.integers(len(views))]
    stands = view in (front_of_boot, side_of_boot)
    quarter = random.choice([0, 1, -1, 2], p=[0.8, 0.1, 0.1, 0] if stands else [0.45, 0.2, 0.2, 0.15])
    angle, spread = quarter * np.pi / 2 + random.normal(0, 0.25), random.normal(0, 0.15)
    apart = style.width * random.uniform(0.95, 1.5) * (1.3 if view is side_of_boot else 1)
    along = random.normal(0, 0.12) * (1 if random.random() < 0.7 else 3)
    sides = (-1, 1) if random.random() < 0.92 else (-1,)
    # boots seen from the side mostly point the same way; other shoes are each other's mirror image
    same_way = random.choice([-1, 1]) if view is side_of_boot and random.random() < 0.7 else None
    picture = Image.new("L", (EDGE, EDGE))
    for side in sides:
        place = np.zeros((2, 3))
        place[:, :2] = SHOE * turn(angle + side * spread) @ np.diag([same_way or side, 1])
        place[:, 2] = EDGE / 2 + SHOE * turn(angle) @ [side * apart, side * along]
        view(Pen(ImageDraw.Draw(picture), place), style, np.random.default_rng(style.seed))
    return fit(picture.filter(ImageFilter.GaussianBlur(1.2)))


def fit(picture: Image.Image) -> NDArray[np.uint8]:
    """As large as fits into a tile."""
    shown = picture.crop(picture.getbbox())
    square = Image.new("L", (max(shown.size),) * 2)
    square.paste(shown, ((square.width - shown.width) // 2, (square.height - shown.height) // 2))
    return np.asarray(square.resize((TILE_SIZE, TILE_SIZE), Image.Resampling.BOX))


def sandal(pen: Pen, style: Style, random: Any) -> None:
    """A sole, and what holds the foot: one wide band, a strap between the toes, or several straps."""
    outline, half = sole(random, style.width)
    pen.polygon(outline, style.gray)
    if random.random() < 0.5:
        pen.polygon(outline * [0.82, 0.9], shade(random, style.gray, 50))
    if random.random() < 0.4:
        for _ in range(random.integers(3, 12)):
            pen.ellipse(random.uniform(-0.25, 0.25), random.uniform(-0.8, 0.8), 0.06, 0.08, shade(random, style.gray, 60))
    reach = random.uniform(1, 1.18)

    def band(y: float, height: float, tilt: float, gray: float) -> None:
        x = half(y) * reach
        left, right = y - tilt, y + tilt
        top, bottom = (0, y - 1.15 * height), (0, y + 0.8 * height)
        pen.polygon([(-x, left - height), top, (x, right - height), (x, right + height), bottom, (-x, left + height)], gray)

    kind = random.random()
    if kind < 0.3:
        band(random.uniform(-0.45, -0.15), random.uniform(0.16, 0.32), 0, style.trim)
        if random.random() < 0.4:
            band(-0.3, 0.06, 0, style.sole)
    elif kind < 0.6:
        toe, end, width = random.uniform(-0.65, -0.5), random.uniform(-0.15, 0.2), random.uniform(0.08, 0.16)
        for side in (-1, 1):
            pen.line([(0, toe), (side * 0.7 * half(-0.3), (toe + end) / 2), (side * reach * half(end), end)], width, style.trim)
    else:
        height = random.uniform(0.05, 0.11)
        for y in np.linspace(random.uniform(-0.65, -0.5), random.uniform(-0.1, 0.3), random.integers(2, 5)):
            band(y + random.normal(0, 0.03), height, random.uniform(-0.12, 0.12), style.trim)
        if random.random() < 0.5:
            pen.line([(0, -0.5), (0, 0.2)], 0.1, style.trim)
        if random.random() < 0.6:
            y = random.uniform(0.45, 0.65)
            around = arc(0, y, half(y) * random.uniform(1, 1.3), random.uniform(0.15, 0.3))
            pen.line([*around, around[0]], 1.6 * height, style.trim)


def sneaker(pen: Pen, style: Style, random: Any) -> None:
    """An upper that covers the sole, the dark opening for the foot, laces, a cap, stripes."""
    outline, half = sole(random, style.width * random.uniform(1, 1.15))
    if random.random() < 0.6:
        pen.polygon(outline * [1.08, 1.04], style.sole)
    pen.polygon(outline, style.gray)
    y = random.uniform(0.3, 0.5)
    inside = style.gray * random.uniform(0.2, 0.7) if random.random() < 0.75 else style.trim
    pen.ellipse(0, y, half(y) * random.uniform(0.5, 0.72), random.uniform(0.3, 0.45), inside)
    if random.random() < 0.5:
        pen.ellipse(0, y + 0.05, 0.4 * half(y), 0.22, shade(random, inside, 50))
    if random.random() < 0.5:
        pen.ellipse(0, -0.82, 0.8 * half(-0.7), 0.16, style.sole)
    if random.random() < 0.8:
        x = half(-0.2) * random.uniform(0.25, 0.45)
        if random.random() < 0.6:
            pen.polygon([(-x, -0.5), (x, -0.5), (1.2 * x, 0.1), (-1.2 * x, 0.1)], shade(random, style.gray, 50))
        for lace in np.linspace(-0.45, 0.05, random.integers(3, 6)):
            pen.line([(-x, lace), (x, lace + random.uniform(-0.05, 0.05))], 0.06, style.trim)
    if random.random() < 0.5:
        for side in (-1, 1):
            pen.line([(side * 0.8 * half(-0.1), -0.1), (side * 0.95 * half(0.2), 0.3)], 0.07, style.trim)


def front_of_boot(pen: Pen, style: Style, random: Any) -> None:
    """A shaft with its opening, and the foot below it."""
    width, shaft = style.width * random.uniform(0.85, 1.15), random.uniform(0.2, 0.75)
    foot, lean, ankle = width * random.uniform(1, 1.25), random.uniform(-0.1, 0.1), 1 - 0.8 * shaft
    below = width * random.uniform(0.8, 1)
    pen.polygon([(lean - width, -1), (lean + width, -1), (below, ankle), (-below, ankle)], style.gray)
    gray = shade(random, style.gray, 40)
    pen.ellipse(random.uniform(-0.05, 0.25) * width, ankle, foot, 1 - ankle, gray)
    if random.random() < 0.5:
        pen.polygon([(-0.9 * foot, ankle - 0.2), (0.9 * foot, ankle - 0.2), (foot, ankle + 0.1), (-foot, ankle + 0.1)], gray)
    if random.random() < 0.8:
        height = random.uniform(0.08, 0.2)
        pen.ellipse(lean, -1, 1.05 * width, height, style.trim if random.random() < 0.5 else 0.6 * style.gray)
        pen.ellipse(lean, -1, 0.75 * width, 0.65 * height, style.gray * random.uniform(0.1, 0.6))
    if random.random() < 0.5:
        pen.polygon([(-0.95 * foot, 0.85), (0.95 * foot, 0.85), (0.8 * foot, 1), (-0.8 * foot, 1)], style.sole)
    if random.random() < 0.4:
        for lace in np.linspace(-0.6, ankle, random.integers(3, 6)):
            pen.line([(-0.4 * width, lace), (0.4 * width, lace)], 0.06, style.sole)
    if random.random() < 0.3:
        pen.line([(-width, 0.1), (width, 0.15)], 0.12, style.trim)


def side_of_boot(pen: Pen, style: Style, random: Any) -> None:
    """A shaft, and the foot that points to one side."""
    width, toe, ankle = random.uniform(0.28, 0.42), random.uniform(0.8, 1.2), 1 - random.uniform(0.35, 0.5)
    foot = [(0.9 * width, ankle), (0.7 * toe, ankle + 0.12), (toe, ankle + 0.35), (toe, 1), (-1.1 * width, 1)]
    pen.polygon([(-width, -1), (width, -1), *foot, (-width, ankle)], style.gray)
    if random.random() < 0.6:
        pen.polygon([(-1.1 * width, 0.88), (1.02 * toe, 0.88), (1.02 * toe, 1), (-1.1 * width, 1)], style.sole)
    if random.random() < 0.5:
        pen.ellipse(0, -1, width, 0.1, 0.4 * style.gray)
    if random.random() < 0.4:
        pen.polygon([(-width, -1), (width, -1), (width, -0.8), (-width, -0.8)], style.trim)


KINDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Sandal": (sandal,),
    "Sneaker": (sneaker,),
    "Ankle boot": (front_of_boot, front_of_boot, side_of_boot),
}
"""The views in which the shoes of a class are drawn, each equally often."""


def sole(random: Any, width: float) -> tuple[NDArray[np.float64], Callable[[float], float]]:
    """A sole's outline, (N, 2), from toe to heel and back, and half its width at each place along."""
    along = np.linspace(0, 1, 40)
    widths = np.array([0.25, 0.62, 1, 0.78, 0.82, 0.6, 0.3]) + random.uniform(0, [0.3, 0.2, 0, 0.15, 0.12, 0, 0])
    profile, y = width * np.interp(along, [0, 0.08, 0.28, 0.55, 0.85, 0.95, 1], widths), 2 * along - 1
    bend = random.uniform(-0.12, 0.12) * y**2
    outline = np.concatenate([np.stack([bend - profile, y], 1), np.stack([bend + profile, y], 1)[::-1]])
    return outline, lambda place: float(np.interp(place, y, profile))


def arc(x: float, y: float, across: float, along: float) -> NDArray[np.float64]:
    """An ellipse as a polygon, (24, 2)."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + across * np.cos(angles), y + along * np.sin(angles)], 1)


def turn(angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def shade(random: Any, gray: float, most: float) -> float:
    """A gray that differs by so much at most."""
    return float(np.clip(gray + random.uniform(-most, most), 10, 255))


def another(random: Any, gray: float) -> float:
    """A gray that can be told from this one."""
    other = random.uniform(20, 252 - 70)
    return float(other if other < gray - 35 else other + 70)
