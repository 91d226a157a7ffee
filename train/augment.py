"""What a network is taught with: in each epoch every image once, perhaps moved or mirrored, and beside them photos, disturbed."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, TILE_SIZE, Probabilities, Tiles, mark_photos
from train.arrays import Labels
from train.clothing import OTHER_THINGS
from train.cutting import NO_PHOTOS, PhotoTiles
from train.disturb import SHOES, disturb, disturb_photos
from train.recipes import Recipe

WAYS = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
"""Where a tile is cut out of one that is two pixels larger: in place, or a pixel lower, higher, to the right, to the left."""
FLIPPABLE = ~SHOES
"""Classes that look the same in a mirror. Fashion-MNIST's shoes all point to the left."""

CALM = 1 / 3
"""How often images are moved and mirrored in the calm part of a training, as a part of what it is before."""

HELD_OUT = 6
"""One image in so many is held out to decide by: the last 10,000 of Fashion-MNIST's 60,000."""

COPIES = 2
"""Disturbed copies of an image, made beforehand: making new ones in each epoch would take most of its time."""
PHOTO_COPIES = 30
"""The same of a photo."""
MOST_SHOWN = 12
"""How often an epoch shows each photo, on average, at most. Where that is too seldom, disturbed images are shown as photos."""
IMAGES_AS_PHOTOS = 0.2
"""How much of what is shown as photos are images as they are: of bags there are no photos to learn from, of coats few."""
WEIGHTS = dict.fromkeys(("sandal", "sneaker", "boot"), 3.0) | dict.fromkeys(OTHER_THINGS, 2.0)
"""Of these kinds there are few photos, and nothing like them in Fashion-MNIST: they are shown more often than others so rare."""
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
    of_photos: Probabilities
    """1 for each class that is right, any of which will do; of other things, equally much for all classes: (photos, 10)."""


class Split(NamedTuple):
    """How many tiles an epoch shows as photos: images as they are, photos, and disturbed images in place of missing photos."""

    images: int
    photos: int
    disturbed: int


class Lessons:
    """Draws what an epoch shows, and the probabilities that it asks for.

    photos: they are shown disturbed, and marked, if the recipe has a share for them.
    chosen: which of these may be shown, bool (N,); all if None.
    answers: what the teacher says of the images (see train/teacher.py), for recipes that learn from it; else labels teach.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Examples,
        seed: int,
        photos: PhotoTiles = NO_PHOTOS,
        chosen: NDArray[np.bool_] | None = None,
        answers: Probabilities | None = None,
    ) -> None:
        self.recipe, self.images, self.photos, self.seed = recipe, images, photos if recipe.photo_share else NO_PHOTOS, seed
        self.held_out = held_out(len(images))
        self.folds = choose_folds(self.photos.contributors)
        self.chosen = np.full(len(self.photos), True) if chosen is None else chosen
        repeated, shoes = np.repeat(self.photos.tiles, PHOTO_COPIES, 0), np.repeat(are_shoes(self.photos.accepted), PHOTO_COPIES)
        copies = mark_photos(disturb_photos(repeated, shoes, seed))
        self.photo_copies = copies.reshape(-1, PHOTO_COPIES, TILE_SIZE, TILE_SIZE)
        few = any(self.split(fold).disturbed for fold in (None, *range(FOLDS)))
        copied = [mark_photos(disturb(images.tiles, images.labels, [seed, copy])) for copy in range(COPIES if few else 0)]
        self.disturbed = np.stack(copied) if copied else np.zeros((0, *images.tiles.shape), np.uint8)
        self.wanted = self.choose_wanted(answers if recipe.taught else None)

    def size(self, fold: int | None) -> int:
        """How many tiles an epoch has."""
        return int(np.count_nonzero(self.shown(fold))) + sum(self.split(fold))

    def split(self, fold: int | None) -> Split:
        """What is shown as photos in an epoch."""
        count = round(self.recipe.photo_share * np.count_nonzero(self.shown(fold)))
        images = round(IMAGES_AS_PHOTOS * count)
        photos = min(count - images, MOST_SHOWN * int(np.count_nonzero(self.to_learn(fold))))
        return Split(images, photos, count - images - photos)

    def shown(self, fold: int | None) -> NDArray[np.bool_]:
        """Which images are not held out."""
        return np.full(len(self.images), True) if fold is None else ~self.held_out

    def to_learn(self, fold: int | None) -> NDArray[np.bool_]:
        """Which photos are shown, and not held out."""
        return np.asarray(self.chosen & (self.folds != fold))

    def choose_wanted(self, answers: Probabilities | None) -> Wanted:
        """What labels say, or, where there is a teacher, mostly what it says."""
        labels, accepted = smooth(self.images.labels, self.recipe.label_smoothing), self.photos.accepted.astype(np.float32)
        accepted[~self.photos.accepted.any(1)] = 1 / len(CLASSES)
        if answers is None:
            return Wanted(np.stack([labels, labels]), accepted)
        share = np.float32(self.recipe.teachers_share)
        return Wanted(share * answers + (1 - share) * labels, accepted)

    def choose_photos(self, photos: NDArray[np.intp], count: int, random: np.random.Generator) -> tuple[Any, Any]:
        """The places of so many copies of these photos, all kinds about as often as the recipe wants it."""
        weights = shares(self.photos.kinds[photos], self.recipe.photo_balance)
        weights[self.photos.contributors[photos] < 0] *= self.recipe.own_weight
        chosen = random.choice(photos, count, p=weights / weights.sum())
        return chosen, random.integers(0, PHOTO_COPIES, count)

    def draw(self, epoch: int, fold: int | None) -> tuple[Tiles, Probabilities, NDArray[np.bool_]]:
        """Tiles of one epoch in a random order, what is wanted of each, float32 (N, 10), and where any of several will do.

        Each epoch has its own random numbers, whatever happened in those before. fold: which photos are held out, with some
        images; None for nothing.
        """
        recipe, wanted, split, random = self.recipe, self.wanted, self.split(fold), np.random.default_rng([self.seed, epoch])
        often = CALM if epoch > (1 - recipe.calm_share) * recipe.epochs else 1
        numbers = np.flatnonzero(self.shown(fold))
        shown, disturbed_ones = len(numbers), random.choice(numbers, split.disturbed, replace=False)
        numbers = np.append(numbers, random.choice(numbers, split.images, replace=False))
        ways = np.where(random.random(len(numbers)) < often * recipe.shift, random.integers(1, len(WAYS), len(numbers)), 0)
        flips = (random.random(len(numbers)) < often * recipe.flip) & FLIPPABLE[self.images.labels[numbers]]
        tiles = self.images.tiles[numbers]
        tiles[flips] = tiles[flips, :, ::-1]
        for number in range(1, len(WAYS)):
            tiles[ways == number] = move(tiles[ways == number], *WAYS[number])
        tiles[shown:] = mark_photos(tiles[shown:])
        parts, asked = [tiles], [wanted.of_images[flips.astype(int), numbers]]
        if split.disturbed:
            parts.append(self.disturbed[random.integers(0, COPIES, split.disturbed), disturbed_ones])
            asked.append(wanted.of_images[0, disturbed_ones])
        any_will_do = [np.full(sum(map(len, parts)), False)]
        if split.photos:
            copies = self.choose_photos(np.flatnonzero(self.to_learn(fold)), split.photos, random)
            parts.append(self.photo_copies[copies])
            asked.append(wanted.of_photos[copies[0]])
            any_will_do.append(np.asarray(self.photos.accepted[copies[0]].any(1)))
        order = random.permutation(sum(map(len, parts)))
        return np.concatenate(parts)[order], np.concatenate(asked)[order], np.concatenate(any_will_do)[order]


def held_out(count: int) -> NDArray[np.bool_]:
    """Which of so many images are held out: the last ones."""
    return np.arange(count) >= count - count // HELD_OUT


def are_shoes(accepted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which photos show shoes, whatever kind: (N, 10) becomes (N,)."""
    return np.asarray(accepted.any(1) & ~accepted[:, ~SHOES].any(1))


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
    names, places, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    weights = np.float_power(counts[places], -balance) * np.array([WEIGHTS.get(str(kind), 1) for kind in names])[places]
    balanced: NDArray[np.float64] = weights / weights.sum()
    return balanced


def smooth(labels: Labels, smoothing: float) -> Probabilities:
    """Labels as probabilities, float32 (N, 10), of which the part ``smoothing`` is shared by all classes."""
    return np.eye(len(CLASSES), dtype=np.float32)[labels] * np.float32(1 - smoothing) + np.float32(smoothing / len(CLASSES))


def move(tiles: Tiles, row: int, column: int) -> Tiles:
    """The tiles cut out as WAYS says, background where there is nothing."""
    return np.pad(tiles, ((0, 0), (1, 1), (1, 1)))[:, row : row + TILE_SIZE, column : column + TILE_SIZE]
