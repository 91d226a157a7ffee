"""What a network is taught with: in each epoch every image once, perhaps moved or mirrored, and disturbed tiles beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, TILE_SIZE, Probabilities, Tiles
from train.arrays import Labels
from train.cutting import NO_PHOTOS, PhotoTiles
from train.disturb import SHOES, disturb, disturb_photos, mix
from train.recipes import Recipe

Teacher = Callable[[Tiles], Probabilities]
"""What a trained network says of tiles."""

WAYS = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
"""Where a tile is cut out of one that is two pixels larger: in place, or a pixel lower, higher, to the right, to the left."""
FLIPPABLE = ~SHOES
"""Classes that look the same in a mirror. Fashion-MNIST's shoes all point to the left."""

CALM = 1 / 3
"""How often images are moved, mirrored and disturbed in the calm part of a training, as a part of what it is before."""

HELD_OUT = 6
"""One image in so many is held out to decide by: the last 10,000 of Fashion-MNIST's 60,000."""

COPIES = 2
"""Disturbed copies of an image, made beforehand: making new ones in each epoch would take most of its time."""
PHOTO_COPIES = 20
"""The same of a photo."""
MIXES = 2
"""Mixed tiles for each image, made beforehand."""
MIXED_OF_PHOTOS = 0.6
"""How many of these are made of photos, if there are some; the others of disturbed images."""
SHOE_KINDS, SHOE_WEIGHT = ("sandal", "sneaker", "boot"), 2
"""Of these there are few photos, which look unlike Fashion-MNIST's: they are shown twice as often as other kinds so rare."""
DECIDED = 3
"""To which power a teacher's probabilities of the classes that are right for a photo are raised."""
FOLDS = 5
"""The contributors of photos are parted into so many groups; each is held out once, and then tells how sure to be of photos."""


@dataclass(frozen=True)
class Examples:
    """Tiles, uint8 (N, 28, 28), background 0, and their labels, uint8 (N,)."""

    tiles: Tiles
    labels: Labels

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, part: NDArray[np.bool_]) -> "Examples":
        return Examples(self.tiles[part], self.labels[part])


@dataclass(frozen=True)
class Wanted:
    """What a network is to say of each tile: probabilities, float32 (..., 10)."""

    of_images: Probabilities
    """As they are, and mirrored: (2, images, 10)."""
    of_disturbed: Probabilities
    """(COPIES, images, 10)."""
    of_photos: Probabilities
    """(photos, PHOTO_COPIES, 10)."""
    any_will_do: bool
    """Whether that is 1 for each class that is right for a photo: any of these will do."""
    mixed: Tiles
    of_mixed: Probabilities


class Lessons:
    """Draws what an epoch shows, and the probabilities that it asks for.

    photos: they are shown disturbed, if the recipe has a share for them; those of other things never.
    """

    def __init__(self, recipe: Recipe, images: Examples, seed: int, photos: PhotoTiles = NO_PHOTOS) -> None:
        self.recipe, self.images, self.photos, self.seed = recipe, images, photos if recipe.photo_share else NO_PHOTOS, seed
        self.held_out = np.arange(len(images)) >= len(images) - len(images) // HELD_OUT
        self.folds = choose_folds(self.photos.contributors)
        copies = COPIES if recipe.disturbed else 0
        copied = [disturb(images.tiles, images.labels, [seed, copy], recipe.shoe_pairs) for copy in range(copies)]
        self.disturbed = np.stack(copied) if copied else np.zeros((0, *images.tiles.shape), np.uint8)
        repeated = np.repeat(self.photos.tiles, PHOTO_COPIES, 0)
        self.photo_copies = disturb_photos(repeated, seed).reshape(-1, PHOTO_COPIES, TILE_SIZE, TILE_SIZE)

    def size(self, fold: int | None) -> int:
        """How many tiles an epoch has."""
        recipe, shown = self.recipe, int(np.count_nonzero(self.shown(fold)))
        photo_share = recipe.photo_share if self.to_learn(fold).any() else 0
        mixed = recipe.mixed if recipe.teacher else 0
        return shown + sum(round(share * shown) for share in (recipe.disturbed, photo_share, mixed))

    def shown(self, fold: int | None) -> NDArray[np.bool_]:
        """Which images are not held out."""
        return np.full(len(self.images), True) if fold is None else ~self.held_out

    def to_learn(self, fold: int | None) -> NDArray[np.bool_]:
        """Which photos are not held out, and show what there is a class for."""
        clothes: NDArray[np.bool_] = self.photos.accepted.any(1) & (self.folds != fold)
        return clothes

    def wanted(self, fold: int | None, teachers: Sequence[Teacher]) -> Wanted:
        """What labels say, or, where there are teachers, mostly what these say on average."""
        labels, accepted = smooth(self.images.labels, self.recipe.label_smoothing), self.photos.accepted.astype(np.float32)
        of_photos = np.broadcast_to(accepted[:, None], (*self.photo_copies.shape[:2], len(CLASSES)))
        of_disturbed = np.broadcast_to(labels, (*self.disturbed.shape[:2], len(CLASSES)))
        if not teachers:
            nothing = np.zeros((0, TILE_SIZE, TILE_SIZE), np.uint8), np.zeros((0, len(CLASSES)), np.float32)
            return Wanted(np.stack([labels, labels]), of_disturbed, of_photos, True, *nothing)

        def ask(tiles: Tiles) -> Probabilities:
            flat = tiles.reshape(-1, TILE_SIZE, TILE_SIZE)
            if not len(flat):
                return np.zeros((*tiles.shape[:-2], len(CLASSES)), np.float32)
            said = sum(teacher(flat) for teacher in teachers) / np.float32(len(teachers))
            return np.asarray(said).reshape(*tiles.shape[:-2], len(CLASSES))

        share, mixed = np.float32(self.recipe.teachers_share), self.mix(fold)
        said_of_photos = ask(self.photo_copies)
        mass = (said_of_photos * of_photos).sum(-1, keepdims=True)
        decided = decide(said_of_photos * of_photos)
        return Wanted(
            share * ask(np.stack([self.images.tiles, self.images.tiles[:, :, ::-1]])) + (1 - share) * labels,
            share * ask(self.disturbed) + (1 - share) * of_disturbed,
            share * (said_of_photos * (1 - of_photos) + mass * decided) + (1 - share) * decided,
            False,
            mixed,
            ask(mixed),
        )

    def mix(self, fold: int | None) -> Tiles:
        """Mixed tiles, of what is not held out."""
        if not self.recipe.mixed:
            return np.zeros((0, TILE_SIZE, TILE_SIZE), np.uint8)
        random = np.random.default_rng([self.seed, 0])
        count, photos, images = MIXES * len(self.images), np.flatnonzero(self.to_learn(fold)), np.flatnonzero(self.shown(fold))
        both = self.disturbed[random.integers(0, COPIES, (2, count)), random.choice(images, (2, count))]
        if len(photos):
            of_photos = random.random((2, count)) < MIXED_OF_PHOTOS
            both[of_photos] = self.photo_copies[self.choose_photos(photos, int(of_photos.sum()), random)]
        return mix(both[0], both[1], [self.seed, 0])

    def choose_photos(self, photos: NDArray[np.intp], count: int, random: np.random.Generator) -> tuple[Any, Any]:
        """The places of so many copies of these photos, all kinds about as often as the recipe wants it."""
        chosen = random.choice(photos, count, p=shares(self.photos.kinds[photos], self.recipe.photo_balance))
        return chosen, random.integers(0, PHOTO_COPIES, count)

    def draw(self, epoch: int, fold: int | None, wanted: Wanted) -> tuple[Tiles, Probabilities, NDArray[np.bool_]]:
        """Tiles of one epoch in a random order, what is wanted of each, float32 (N, 10), and where any of several will do.

        Each epoch has its own random numbers, whatever happened in those before. fold: which photos are held out, with some
        images; None for nothing.
        """
        recipe, random = self.recipe, np.random.default_rng([self.seed, epoch])
        often = CALM if epoch > (1 - recipe.calm_share) * recipe.epochs else 1
        allowed = np.flatnonzero(self.shown(fold))
        disturbed = round(often * recipe.disturbed * len(allowed))
        # what is not shown disturbed is shown twice as it is
        again = random.choice(allowed, round(recipe.disturbed * len(allowed)) - disturbed, replace=False)
        numbers = np.concatenate([allowed, again])
        ways = np.where(random.random(len(numbers)) < often * recipe.shift, random.integers(1, len(WAYS), len(numbers)), 0)
        flips = (random.random(len(numbers)) < often * recipe.flip) & FLIPPABLE[self.images.labels[numbers]]
        tiles = self.images.tiles[numbers]
        tiles[flips] = tiles[flips, :, ::-1]
        for number in range(1, len(WAYS)):
            tiles[ways == number] = move(tiles[ways == number], *WAYS[number])
        parts, asked = [tiles], [wanted.of_images[flips.astype(int), numbers]]
        if disturbed:
            chosen = random.integers(0, COPIES, disturbed), random.choice(allowed, disturbed, replace=False)
            parts.append(self.disturbed[chosen])
            asked.append(wanted.of_disturbed[chosen])
        if len(wanted.mixed):
            some = random.choice(len(wanted.mixed), round(recipe.mixed * len(allowed)), replace=False)
            parts.append(wanted.mixed[some])
            asked.append(wanted.of_mixed[some])
        photos = np.flatnonzero(self.to_learn(fold))
        of_photos = round(recipe.photo_share * len(allowed)) if len(photos) else 0
        if of_photos:
            copies = self.choose_photos(photos, of_photos, random)
            parts.append(self.photo_copies[copies])
            asked.append(wanted.of_photos[copies])
        order = random.permutation(sum(map(len, parts)))
        any_will_do = wanted.any_will_do & (order >= len(order) - of_photos)
        return np.concatenate(parts)[order], np.concatenate(asked)[order], any_will_do


def decide(probabilities: Probabilities) -> Probabilities:
    """Where several classes are right, rather one of them: half sure of each would be less sure than it is right."""
    powers = probabilities**DECIDED
    decided: Probabilities = powers / np.maximum(powers.sum(-1, keepdims=True), 1e-30)
    return decided


def choose_folds(contributors: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number below FOLDS for each photo: all by one contributor have the same, and about as many photos have each.

    The contributor with most photos goes first, to where the fewest are.
    """
    numbers, counts = np.unique(contributors, return_counts=True)
    sizes, folds = np.zeros(FOLDS, int), np.zeros(len(numbers), np.int64)
    for place in np.lexsort((numbers, -counts)):
        folds[place] = sizes.argmin()
        sizes[folds[place]] += counts[place]
    return folds[np.searchsorted(numbers, contributors)]


def shares(kinds: NDArray[np.str_], balance: float) -> NDArray[np.float64]:
    """How much of what is shown of photos each photo gets, as ``Recipe.photo_balance`` says."""
    _, places, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    weights = np.float_power(counts[places], -balance) * np.where(np.isin(kinds, SHOE_KINDS), SHOE_WEIGHT, 1)
    balanced: NDArray[np.float64] = weights / weights.sum()
    return balanced


def smooth(labels: Labels, smoothing: float) -> Probabilities:
    """Labels as probabilities, float32 (N, 10), of which the part ``smoothing`` is shared by all classes."""
    return np.eye(len(CLASSES), dtype=np.float32)[labels] * np.float32(1 - smoothing) + np.float32(smoothing / len(CLASSES))


def move(tiles: Tiles, row: int, column: int) -> Tiles:
    """The tiles cut out as WAYS says, background where there is nothing."""
    return np.pad(tiles, ((0, 0), (1, 1), (1, 1)))[:, row : row + TILE_SIZE, column : column + TILE_SIZE]
