"""What a network is taught with: in each epoch every image once, perhaps moved or mirrored, and disturbed tiles beside them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, TILE_SIZE, Probabilities, Tiles
from train.arrays import Labels
from train.disturb import SHOES, disturb
from train.recipes import Recipe

WAYS = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
"""Where a tile is cut out of one that is two pixels larger: in place, or a pixel lower, higher, to the right, to the left."""
FLIPPABLE = ~SHOES
"""Classes that look the same in a mirror. Fashion-MNIST's shoes all point to the left."""

CALM = 1 / 3
"""How often images are moved, mirrored and disturbed in the calm part of a training, as a part of what it is before."""

HELD_OUT = 6
"""One in so many is held out of a rehearsal: the last 10,000 of Fashion-MNIST's 60,000 images, every sixth of a user's photos."""

COPIES = 3
"""Disturbed copies of an image, made beforehand: making new ones in each epoch would take most of its time."""
PHOTO_COPIES = 400
"""The same of a user's own photo, at most."""


@dataclass(frozen=True)
class Examples:
    """Tiles, uint8 (N, 28, 28), background 0, and their labels, uint8 (N,)."""

    tiles: Tiles
    labels: Labels

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, part: NDArray[np.bool_]) -> "Examples":
        return Examples(self.tiles[part], self.labels[part])


NO_EXAMPLES = Examples(np.zeros((0, TILE_SIZE, TILE_SIZE), np.uint8), np.zeros(0, np.uint8))


class Lessons:
    """Draws what an epoch shows, and the probabilities that it asks for.

    taught: what a teacher says of each image as it is and mirrored, float32 (2, images, 10), if there is one.
    photos: a user's own; they are shown disturbed, and so only if the recipe has disturbed tiles.
    """

    def __init__(
        self, recipe: Recipe, images: Examples, seed: int, taught: Probabilities | None = None, photos: Examples = NO_EXAMPLES
    ) -> None:
        self.recipe, self.images, self.photos, self.seed = recipe, images, photos, seed
        self.held_out = np.arange(len(images)) >= len(images) - len(images) // HELD_OUT
        self.photos_held_out = np.arange(len(photos)) % HELD_OUT == HELD_OUT - 1
        wanted = smooth(images.labels, recipe.label_smoothing)
        self.wanted = np.stack([wanted, wanted])
        if taught is not None:
            share = np.float32(recipe.teachers_share)
            self.wanted = share * taught + (1 - share) * wanted
        if recipe.disturbed:
            # photos are as many as the images' copies, if that does not take too many copies of each
            times = min(PHOTO_COPIES, COPIES * len(images) // max(len(photos), 1))
            of_images, of_photos = np.tile(np.arange(len(images)), COPIES), np.tile(np.arange(len(photos)), times)
            self.disturbed = disturb(
                np.concatenate([images.tiles[of_images], photos.tiles[of_photos]]),
                np.concatenate([images.labels[of_images], photos.labels[of_photos]]),
                seed,
            )
            self.disturbed_wanted = np.concatenate(
                [self.wanted[0, of_images], smooth(photos.labels, recipe.label_smoothing)[of_photos]]
            )
            self.disturbed_held_out = np.concatenate([self.held_out[of_images], self.photos_held_out[of_photos]])

    def size(self, everything: bool) -> int:
        """How many tiles an epoch has."""
        shown = int(np.count_nonzero(everything | ~self.held_out))
        return shown + round(self.recipe.disturbed * shown)

    def draw(self, epoch: int, everything: bool) -> tuple[Tiles, Probabilities]:
        """Tiles of one epoch in a random order, and what is wanted of each, float32 (N, 10).

        Each epoch has its own random numbers, whatever happened in those before. everything: also what is held out.
        """
        recipe, random = self.recipe, np.random.default_rng([self.seed, epoch])
        often = CALM if epoch > (1 - recipe.calm) * recipe.epochs else 1
        allowed = np.flatnonzero(everything | ~self.held_out)
        disturbed = round(often * recipe.disturbed * len(allowed))
        # what is not shown disturbed is shown twice as it is
        again = random.choice(allowed, self.size(everything) - len(allowed) - disturbed, replace=False)
        numbers = np.concatenate([allowed, again])
        ways = np.where(random.random(len(numbers)) < often * recipe.shift, random.integers(1, len(WAYS), len(numbers)), 0)
        flips = (random.random(len(numbers)) < often * recipe.flip) & FLIPPABLE[self.images.labels[numbers]]
        tiles, wanted = self.images.tiles[numbers], self.wanted[flips.astype(int), numbers]
        tiles[flips] = tiles[flips, :, ::-1]
        for number in range(1, len(WAYS)):
            tiles[ways == number] = move(tiles[ways == number], *WAYS[number])
        if disturbed:
            chosen = random.choice(np.flatnonzero(everything | ~self.disturbed_held_out), disturbed, replace=False)
            tiles = np.concatenate([tiles, self.disturbed[chosen]])
            wanted = np.concatenate([wanted, self.disturbed_wanted[chosen]])
        order = random.permutation(len(tiles))
        return tiles[order], wanted[order]


def smooth(labels: Labels, smoothing: float) -> Probabilities:
    """Labels as probabilities, float32 (N, 10), of which the part ``smoothing`` is shared by all classes."""
    return np.eye(len(CLASSES), dtype=np.float32)[labels] * np.float32(1 - smoothing) + np.float32(smoothing / len(CLASSES))


def move(tiles: Tiles, row: int, column: int) -> Tiles:
    """The tiles cut out as WAYS says, background where there is nothing."""
    return np.pad(tiles, ((0, 0), (1, 1), (1, 1)))[:, row : row + TILE_SIZE, column : column + TILE_SIZE]
