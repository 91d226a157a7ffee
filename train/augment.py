"""What a network is taught with: in each epoch every image once, perhaps moved or mirrored, and disturbed tiles beside them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.runtime import CLASSES, Probabilities, Tiles
from fmnist_edge.tile import TILE_SIZE
from train.arrays import Labels
from train.cutting import NO_PHOTOS, PhotoTiles
from train.disturb import SHOES, disturb, disturb_photos
from train.recipes import Recipe

WAYS = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
"""Where a tile is cut out of one that is two pixels larger: in place, or a pixel lower, higher, to the right, to the left."""
FLIPPABLE = ~SHOES
"""Classes that look the same in a mirror. Fashion-MNIST's shoes all point to the left."""

CALM = 1 / 3
"""How often images are moved, mirrored and disturbed in the calm part of a training, as a part of what it is before."""

HELD_OUT = 6
"""One image in so many is held out of a rehearsal: the last 10,000 of Fashion-MNIST's 60,000."""

COPIES = 3
"""Disturbed copies of an image, made beforehand: making new ones in each epoch would take most of its time."""
PHOTO_COPIES = 20
"""The same of a photo."""
BALANCE = 0.5
"""How evenly the kinds of photos are shown: 0 as often as there are photos of them, 1 all equally often."""
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


class Lessons:
    """Draws what an epoch shows, and the probabilities that it asks for.

    taught: what a teacher says of each image as it is and mirrored, float32 (2, images, 10), if there is one.
    photos: they are shown disturbed, if the recipe has a share for them; those of other things never.
    """

    def __init__(
        self, recipe: Recipe, images: Examples, seed: int, taught: Probabilities | None = None, photos: PhotoTiles = NO_PHOTOS
    ) -> None:
        self.recipe, self.images, self.photos, self.seed = recipe, images, photos if recipe.photo_share else NO_PHOTOS, seed
        self.held_out = np.arange(len(images)) >= len(images) - len(images) // HELD_OUT
        self.folds = choose_folds(self.photos.contributors)
        wanted = smooth(images.labels, recipe.label_smoothing)
        self.wanted = np.stack([wanted, wanted])
        if taught is not None:
            share = np.float32(recipe.teachers_share)
            self.wanted = share * taught + (1 - share) * wanted
        if recipe.disturbed:
            self.copied = np.tile(np.arange(len(images)), COPIES)
            self.disturbed = disturb(images.tiles[self.copied], images.labels[self.copied], seed)
        self.photo_copies = disturb_photos(np.repeat(self.photos.tiles, PHOTO_COPIES, 0), seed)

    def size(self, fold: int | None) -> int:
        """How many tiles an epoch has."""
        shown = int(np.count_nonzero(self.shown(fold)))
        return (
            shown
            + round(self.recipe.disturbed * shown)
            + round(self.recipe.photo_share * shown) * bool(self.to_learn(fold).any())
        )

    def shown(self, fold: int | None) -> NDArray[np.bool_]:
        """Which images are not held out."""
        return np.full(len(self.images), True) if fold is None else ~self.held_out

    def to_learn(self, fold: int | None) -> NDArray[np.bool_]:
        """Which photos are not held out, and show what there is a class for."""
        clothes: NDArray[np.bool_] = self.photos.accepted.any(1) & (self.folds != fold)
        return clothes

    def draw(self, epoch: int, fold: int | None) -> tuple[Tiles, Probabilities, NDArray[np.bool_]]:
        """Tiles of one epoch in a random order, what is wanted of each, float32 (N, 10), and which of them are photos'.

        What is wanted of a photo's tile is 1 for each class that is right: any of them will do. Each epoch has its own random
        numbers, whatever happened in those before. fold: which photos are held out, and some images; None for nothing.
        """
        recipe, random = self.recipe, np.random.default_rng([self.seed, epoch])
        often = CALM if epoch > (1 - recipe.calm) * recipe.epochs else 1
        allowed = np.flatnonzero(self.shown(fold))
        disturbed = round(often * recipe.disturbed * len(allowed))
        # what is not shown disturbed is shown twice as it is
        again = random.choice(allowed, round(recipe.disturbed * len(allowed)) - disturbed, replace=False)
        numbers = np.concatenate([allowed, again])
        ways = np.where(random.random(len(numbers)) < often * recipe.shift, random.integers(1, len(WAYS), len(numbers)), 0)
        flips = (random.random(len(numbers)) < often * recipe.flip) & FLIPPABLE[self.images.labels[numbers]]
        tiles, wanted = self.images.tiles[numbers], self.wanted[flips.astype(int), numbers]
        tiles[flips] = tiles[flips, :, ::-1]
        for number in range(1, len(WAYS)):
            tiles[ways == number] = move(tiles[ways == number], *WAYS[number])
        if disturbed:
            chosen = random.choice(np.flatnonzero(self.shown(fold)[self.copied]), disturbed, replace=False)
            tiles = np.concatenate([tiles, self.disturbed[chosen]])
            wanted = np.concatenate([wanted, self.wanted[0, self.copied[chosen]]])
        of_images = len(tiles)
        if self.size(fold) > of_images:
            photos = np.flatnonzero(self.to_learn(fold))
            chosen = random.choice(photos, self.size(fold) - of_images, p=shares(self.photos.kinds[photos]))
            copies = chosen * PHOTO_COPIES + random.integers(0, PHOTO_COPIES, len(chosen))
            tiles = np.concatenate([tiles, self.photo_copies[copies]])
            wanted = np.concatenate([wanted, self.photos.accepted[chosen].astype(np.float32)])
        order = random.permutation(len(tiles))
        return tiles[order], wanted[order], order >= of_images


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


def shares(kinds: NDArray[np.str_]) -> NDArray[np.float64]:
    """How much of what is shown of photos each photo gets, so that rare kinds are seen, too."""
    _, places, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    weights = counts[places] ** -BALANCE
    balanced: NDArray[np.float64] = weights / weights.sum()
    return balanced


def smooth(labels: Labels, smoothing: float) -> Probabilities:
    """Labels as probabilities, float32 (N, 10), of which the part ``smoothing`` is shared by all classes."""
    return np.eye(len(CLASSES), dtype=np.float32)[labels] * np.float32(1 - smoothing) + np.float32(smoothing / len(CLASSES))


def move(tiles: Tiles, row: int, column: int) -> Tiles:
    """The tiles cut out as WAYS says, background where there is nothing."""
    return np.pad(tiles, ((0, 0), (1, 1), (1, 1)))[:, row : row + TILE_SIZE, column : column + TILE_SIZE]
