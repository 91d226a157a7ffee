"""python -m bench.drawn_shoe FILE: draws a photo of a sneaker on a wooden floor, the one in the README (docs/sneaker.jpg).

It is ours, as nobody's photo is. The same Pillow and numpy draw the same picture.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, SCALE = 960, 720, 2
"""Drawn at twice the size, then shrunk: that makes edges smooth."""

Points = list[tuple[float, float]]

UPPER: Points = [(140, 486), (134, 444), (168, 396), (260, 372), (352, 340), (430, 302), (500, 264), (560, 262), (640, 276)]
UPPER += [(720, 256), (790, 222), (822, 232), (836, 300), (842, 400), (838, 480), (800, 500), (500, 500), (180, 500)]
SOLE: Points = [(128, 478), (180, 484), (420, 488), (660, 484), (842, 474), (852, 496), (846, 528), (800, 538), (500, 540)]
SOLE += [(200, 540), (140, 530), (122, 506)]
TOE: Points = [(180, 500), (140, 486), (134, 444), (168, 396), (250, 376), (284, 410), (290, 450), (280, 492)]
HEEL: Points = [
    (776, 230),
    (796, 224),
    (822, 234),
    (836, 300),
    (842, 400),
    (838, 480),
    (800, 500),
    (780, 490),
    (764, 400),
    (766, 300),
]
STRIPE: Points = [(470, 484), (540, 430), (640, 380), (740, 344), (744, 366), (660, 408), (570, 460), (540, 486)]
TONGUE: Points = [(470, 276), (508, 232), (540, 228), (566, 262), (520, 268)]
LACES = [((372, 330), (438, 366)), ((410, 308), (474, 344)), ((446, 284), (508, 322)), ((480, 262), (540, 300))]


def main() -> None:
    (path,) = sys.argv[1:]
    draw().save(Path(path), quality=88)


def draw() -> Image.Image:
    """RGB, 960 x 720."""
    floor = Image.fromarray(make_floor(np.random.default_rng(5)))
    shadow = Image.new("L", floor.size)
    ImageDraw.Draw(shadow).ellipse(scaled(118, 500, 872, 566), 46)
    floor.paste((60, 46, 38), mask=shadow.filter(ImageFilter.GaussianBlur(12 * SCALE)))
    shoe, mask = floor.copy(), Image.new("L", floor.size)
    pen, outline = ImageDraw.Draw(shoe), ImageDraw.Draw(mask)
    for points, colour in ((TONGUE, "#22324d"), (UPPER, "#2f4b7c"), (TOE, "#263d66"), (HEEL, "#263d66"), (STRIPE, "#6f86ad")):
        pen.polygon(smooth(points), colour)
        outline.polygon(smooth(points), 255)
    for start, end in LACES:
        pen.line([*scaled(*start), *scaled(*end)], "#9fb0cc", 8 * SCALE)
    pen.polygon(smooth(SOLE), "#8d939d")
    outline.polygon(smooth(SOLE), 255)
    pen.line([*scaled(140, 512), *scaled(500, 522), *scaled(838, 502)], "#6d737c", 4 * SCALE, "curve")
    floor.paste(lit(shoe), mask=mask)
    small = floor.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(6).normal(0, 3, (HEIGHT, WIDTH, 1))
    return Image.fromarray((np.asarray(small) + noise).clip(0, 255).astype(np.uint8))


def make_floor(random: np.random.Generator) -> NDArray[np.uint8]:
    """Boards of light wood with a little grain."""
    height, width = HEIGHT * SCALE, WIDTH * SCALE
    rows = np.arange(height) // (height // 5)
    tone = np.array([0, 5, -4, 3, -2])[rows.clip(0, 4)][:, None]
    grain = random.normal(0, 1, (height, 1)).cumsum(0)
    grain = 3 * np.sin(0.35 * grain + np.linspace(0, 3, width)[None])
    seam = -14 * (np.arange(height) % (height // 5) < 3 * SCALE)[:, None]
    light = np.linspace(6, -6, width)[None]
    floor: NDArray[np.float64] = np.array([205, 182, 150]) + (tone + grain + seam + light)[..., None]
    return floor.clip(0, 255).astype(np.uint8)


def lit(shoe: Image.Image) -> Image.Image:
    """Lighter above, darker below, as under a lamp."""
    fall = np.linspace(1.25, 0.85, shoe.height)[:, None, None]
    return Image.fromarray((np.asarray(shoe) * fall).clip(0, 255).astype(np.uint8))


def scaled(*numbers: float) -> list[float]:
    return [number * SCALE for number in numbers]


def smooth(points: Points, steps: int = 12) -> Points:
    """A closed curve through the points (Catmull-Rom)."""
    p = np.array(points, float) * SCALE
    before, start, end, after = np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)
    curve = []
    for t in np.linspace(0, 1, steps, endpoint=False):
        a, b = 2 * start, (end - before) * t
        c, d = (2 * before - 5 * start + 4 * end - after) * t**2, (3 * start - before - 3 * end + after) * t**3
        curve.append((a + b + c + d) / 2)
    return [(float(x), float(y)) for x, y in np.stack(curve, 1).reshape(-1, 2)]


if __name__ == "__main__":
    main()
