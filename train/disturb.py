"""Fashion-MNIST tiles as tiles cut out of photos look: turned and stretched, lit unevenly, with the garment badly cut out.

A photo's tile differs from the data set's: nobody laid the garment flat under a studio's lamps, and its outline was found by
a program (fmnist_edge.segment). Training on tiles disturbed like that teaches the model to look past it. Which disturbances
there are was decided looking at tiles of photos, how strong they are by accuracy on photos; docs/study.md says on which.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, TILE_SIZE, Tiles
from train.arrays import Labels

Planes = NDArray[np.float32]
"""float32 (N, 28, 28): a value per pixel, or (N, 1, 1): one per tile."""

CENTRE = (TILE_SIZE - 1) / 2
SHOES = np.array([name in ("Sandal", "Sneaker", "Ankle boot") for name in CLASSES])
GARMENT = 8
"""Values above are garment: the data set's background is 0, the edges of its garments are soft."""
DEVIATIONS = (0.1, 0.1, 0.2, 0.3 / 56, 0.3 / 28)
"""Standard deviations of rotation (radians), shear, logarithm of the stretch across (along, it is the inverse), and keystone
across and along (per pixel)."""
FROM_ABOVE = 0.4
"""How many pairs of shoes are shown from above; the others, from the side."""
TURNED, SHOES_TURNED = 0.1, 0.3
"""How many photos' tiles are turned by 90, 180 or 270 degrees."""
SHOES_TURN = 0.3
"""Standard deviation of a further rotation of photos' shoes, in radians."""
GENTLE, GENTLY = 0.8, 0.4
"""How many photos' tiles are disturbed gently, and with which part of DEVIATIONS."""
AT_ONCE = 500
"""Tiles worked on together: few enough for the processor's cache."""


def disturb(tiles: Tiles, labels: Labels, seed: int | list[int], pairs: float = 0.8) -> Tiles:
    """A disturbed copy of each tile, uint8 (N, 28, 28). The same seed gives the same copies. labels: uint8 (N,).

    pairs: how many of the shoes are shown as a pair.
    """
    random = np.random.default_rng(seed)
    shown = tiles.copy()
    way = np.where(SHOES[labels], random.random(len(tiles)), 1)
    from_above, from_the_side = way < FROM_ABOVE * pairs, (way >= FROM_ABOVE * pairs) & (way < pairs)
    shown[from_above] = pairs_from_above(tiles[from_above], random)
    shown[from_the_side] = pairs_from_the_side(tiles[from_the_side], random)
    return in_parts(disturb_some, random, shown)


def disturb_photos(tiles: Tiles, shoes: NDArray[np.bool_], seed: int | list[int]) -> Tiles:
    """The same of photos' tiles, on which shoes are in pairs already: most are disturbed gently, as a camera did so before.

    Some lie on their side, or upside down; shoes are laid down anyhow.
    shoes: which tiles show some, bool (N,).
    """
    random = np.random.default_rng(seed)
    turns = np.where(random.random(len(tiles)) < np.where(shoes, SHOES_TURNED, TURNED), random.integers(1, 4, len(tiles)), 0)
    shown = tiles.copy()
    for turn in (1, 2, 3):
        shown[turns == turn] = np.rot90(tiles[turns == turn], turn, (1, 2))
    gentle = random.random(len(tiles)) < GENTLE
    shown[~gentle] = in_parts(disturb_some, random, shown[~gentle])
    shown[gentle] = in_parts(disturb_gently, random, shown[gentle], np.where(shoes[gentle], SHOES_TURN, 0))
    return shown


def in_parts(disturber: Callable[..., Tiles], random: np.random.Generator, tiles: Tiles, *others: NDArray[np.float64]) -> Tiles:
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(tiles), AT_ONCE)]
    return np.concatenate([*(disturber(tiles[part], random, *(other[part] for other in others)) for part in parts), tiles[:0]])


def pairs_from_above(tiles: Tiles, random: np.random.Generator) -> Tiles:
    """Each shoe twice, side by side and turned anyhow: people photograph their shoes in pairs, standing on the ground."""
    count = len(tiles)
    angle, apart = random.choice([-1, 1], count) * random.normal(np.pi / 2, 0.4, count), random.uniform(4, 6, count)
    # seen from above a shoe is wider than from its side
    width = random.uniform(1, 1.5, count)
    both = []
    for side in (-1, 1):
        turned = angle + random.normal(0, 0.2, count)
        # the second shoe is the first in a mirror
        forth = turn_and_stretch(turned, 0.7 * np.ones(count), side * width)
        along = random.normal(0, 2, count)
        place = [along * np.cos(angle) - side * apart * np.sin(angle), along * np.sin(angle) + side * apart * np.cos(angle)]
        both.append(warp(tiles[..., None].astype(np.float32), to_transforms(inverse(forth, np.stack(place, 1)))))
    return np.rint(np.maximum(*both)[..., 0]).astype(np.uint8)


def pairs_from_the_side(tiles: Tiles, random: np.random.Generator) -> Tiles:
    """Each shoe twice, one behind the other, both pointing the same way."""
    count = len(tiles)
    upended = random.choice([-1, 1], count) * np.pi / 2 * (random.random(count) < 0.35)
    angle, size = upended + random.normal(0, 0.5, count), random.uniform(0.65, 0.85, count)
    apart, behind = random.choice([-1, 1], count) * random.uniform(1, 6, count), random.uniform(2, 7, count)
    cos, sin = np.cos(angle), np.sin(angle)
    both = []
    for side in (-1, 1):
        forth = turn_and_stretch(
            angle + random.normal(0, 0.12, count), size * random.uniform(0.93, 1.07, count), random.uniform(0.9, 1.25, count)
        )
        place = [side * (apart * cos - behind * sin), side * (apart * sin + behind * cos)]
        both.append(warp(tiles[..., None].astype(np.float32), to_transforms(inverse(forth, np.stack(place, 1))))[..., 0])
    back, front = both
    covered = np.clip(front / 40, 0, 1)
    return np.rint(back * (1 - covered) * random.uniform(0.6, 1, (count, 1, 1)) + front * covered).astype(np.uint8)


def turn_and_stretch(angle: NDArray[np.float64], size: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2): larger by ``size``, ``width`` times as wide across as along, then turned."""
    cos, sin = size * np.cos(angle), size * np.sin(angle)
    return np.array([[cos, -sin * width], [sin, cos * width]]).transpose(2, 0, 1)


def disturb_some(tiles: Tiles, random: np.random.Generator) -> Tiles:
    count = len(tiles)

    def between(low: float, high: float) -> Planes:
        return random.uniform(low, high, (count, 1, 1)).astype(np.float32)

    def sometimes(probability: float) -> NDArray[np.bool_]:
        return random.random((count, 1, 1)) < probability

    outlines = silhouettes(tiles)
    both = np.stack([tiles / np.float32(255), outlines.astype(np.float32)], -1)
    moved = warp(both, transforms(outlines, random))
    mask = moved[..., 1]
    value = moved[..., 0] / np.maximum(mask, 0.3)  # the garment's own value, without its soft edge

    # another garment, another lamp: inverted, contrast, brightness, shading, wrinkles, noise
    value = np.where(sometimes(0.1), 1 - value, value)
    value = (value - 0.5) * np.exp(between(-0.7, 0.25)) + 0.5 + between(-0.25, 0.25)
    value += smooth_noise(random, count, 4) * between(0, 0.12) + smooth_noise(random, count, 10) * between(0, 0.07)
    value += (random.random(value.shape, np.float32) - 0.5) * between(0, 0.15)

    # cut out badly: holes in the garment, and patches of the ground beside it
    mask = mask * (1 - sometimes(0.3) * step(smooth_noise(random, count, 7) - between(1.2, 2.4)))
    patches = smooth_noise(random, count, 7)
    leaking = sometimes(0.25) * near(mask) * step(patches - between(0.9, 2)) * (1 - mask)
    ground = np.clip(between(0, 1) + 0.12 * patches, 0, 1)
    shown: Tiles = np.rint(255 * np.clip(np.clip(value, 0.02, 1) * mask + ground * leaking, 0, 1)).astype(np.uint8)
    return shown


def disturb_gently(tiles: Tiles, random: np.random.Generator, turn: NDArray[np.float64]) -> Tiles:
    """Mirrored, turned and stretched a little, and brighter or darker. turn: more turning, its deviation in radians, (N,)."""
    forth = transforms(silhouettes(tiles), random, GENTLY, turn)
    light = np.exp(random.normal(0, 0.15, (len(tiles), 1, 1)))
    values = light * warp(tiles[..., None].astype(np.float32), forth)[..., 0]
    shown: Tiles = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return shown


def silhouettes(tiles: Tiles) -> NDArray[np.bool_]:
    """The garments without their holes and dark parts: all that lies between garment pixels of its row and of its column."""
    garment = tiles > GARMENT

    def between_ends(axis: int) -> NDArray[np.bool_]:
        after_first = np.logical_or.accumulate(garment, axis)
        before_last = np.flip(np.logical_or.accumulate(np.flip(garment, axis), axis), axis)
        return after_first & before_last

    return between_ends(1) & between_ends(2)


def transforms(outlines: NDArray[np.bool_], random: np.random.Generator, strength: float = 1, turn: Any = 0) -> Planes:
    """Random mirroring, rotation, shear, aspect and keystone, after which the garment fills the tile again: float32 (N, 8).

    strength: of DEVIATIONS. turn: a deviation of more rotation, in radians, a number or (N,).
    """
    count = len(outlines)
    angle, shear, stretch, across, along = (random.normal(0, strength * deviation, count) for deviation in DEVIATIONS)
    angle += random.normal(0, turn, count)
    cos, sin, wider, mirror = np.cos(angle), np.sin(angle), np.exp(stretch), random.choice([-1, 1], count)
    forth = np.array([[mirror * cos * wider, (cos * shear - sin) / wider], [mirror * sin * wider, (sin * shear + cos) / wider]])
    forth = forth.transpose(2, 0, 1)
    ends = row_ends(outlines) @ forth.transpose(0, 2, 1)
    low, high = ends.min(1), ends.max(1)
    scale = random.uniform(24.5, 28.5, count) / (high - low).max(1)
    middle = -(low + high) / 2 * scale[:, None] + random.uniform(-0.7, 0.7, (count, 2))
    # a keystone: the further from the centre, the more, or the less, of the garment is seen
    keystone = np.tile(np.eye(3), (count, 1, 1))
    keystone[:, 2] += np.stack([across, along, -CENTRE * (across + along)], 1)
    keystone[:, :2] += CENTRE * (keystone[:, 2:] - [0, 0, 1])
    return to_transforms(inverse(forth * scale[:, None, None], middle) @ keystone)


def inverse(forth: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3, 3): from a place in the output to that in the input, where ``forth`` (N, 2, 2) turns and scales about the tile's
    centre, and ``shift`` (N, 2) moves afterwards, from input to output."""
    back = np.tile(np.eye(3), (len(forth), 1, 1))
    back[:, :2, :2] = np.linalg.inv(forth)
    back[:, :2, 2] = CENTRE - np.einsum("nij,nj->ni", back[:, :2, :2], CENTRE + shift)
    return back


def to_transforms(back: NDArray[np.float64]) -> Planes:
    """The same as ImageProjectiveTransformV3 takes it: float32 (N, 8)."""
    rows = back.reshape(-1, 9)
    return (rows / rows[:, 8:])[:, :8].astype(np.float32)


def row_ends(outlines: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The outer edges of each row's first and last garment pixel, as (x, y) from the tile's centre: (N, 56, 2)."""
    outlines = outlines.copy()
    outlines[~outlines.any((1, 2))] = True  # an empty tile is as good as a full one
    left, right = outlines.argmax(2) - 0.5, TILE_SIZE - outlines[:, :, ::-1].argmax(2) - 0.5
    used = outlines.any(2)
    # a row without garment counts as the tile's first row with some
    rows = np.where(used, np.arange(TILE_SIZE), used.argmax(1)[:, None])
    x = np.concatenate([np.take_along_axis(edge, rows, 1) for edge in (left, right)], 1)
    return np.stack([x, np.concatenate([rows, rows], 1)], -1) - CENTRE


def warp(planes: Planes, transforms: Planes) -> Planes:
    """float32 (N, 28, 28, C): each output pixel is interpolated at the input place that its tile's transform names; 0 outside."""
    import tensorflow as tf  # takes seconds, which who only looks photos up need not wait for

    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=planes,
        transforms=transforms,
        output_shape=[TILE_SIZE, TILE_SIZE],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return cast(Planes, warped.numpy())


def smooth_noise(random: np.random.Generator, count: int, knots: int) -> Planes:
    """Noise of about unit variance, linear between knots x knots random values."""
    places = np.linspace(0, knots - 1, TILE_SIZE)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(knots))).astype(np.float32)
    return cast(Planes, np.float32(1.4) * (weights @ random.standard_normal((count, knots, knots), np.float32) @ weights.T))


def step(values: Planes) -> Planes:
    """0 below 0, 1 above, soft in between."""
    return cast(Planes, 1 / (1 + np.exp(-8 * np.clip(values, -2, 2))))


def near(mask: Planes) -> Planes:
    """Whether there is garment within three pixels: 0 to 1."""
    offsets = np.abs(np.subtract.outer(np.arange(TILE_SIZE), np.arange(TILE_SIZE)))
    band = (offsets <= 3).astype(np.float32)
    return cast(Planes, np.minimum(band @ mask @ band, 1))
