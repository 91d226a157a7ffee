"""Cuts the tiles to learn from out of photos, with the device's own code. The user's cache keeps them for the next training."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

import fmnist_edge.pictures
from fmnist_edge.classify.reading import Source, read_all
from fmnist_edge.contract import CLASSES, TILE_SIZE, Tile, Tiles
from fmnist_edge.files import replacing
from fmnist_edge.pictures.decode import read_image
from train.clothing import Photo, cache, digest, say

PICTURES = Path(fmnist_edge.pictures.__file__ or "").parent
"""The code that makes a photo's tile. Another version of it makes other tiles."""
PROCESSES = 2


@dataclass(frozen=True)
class PhotoTiles:
    """Tiles of photos, uint8 (N, 28, 28), and what is known of each."""

    tiles: Tiles
    accepted: NDArray[np.bool_]
    """Which classes are right: (N, 10). Photos of other things have none."""
    contributors: NDArray[np.int64]
    """Who took the photo: (N,)."""
    kinds: NDArray[np.str_]
    """What it shows, in more detail than the classes: (N,)."""

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, part: NDArray[Any]) -> "PhotoTiles":
        return PhotoTiles(self.tiles[part], self.accepted[part], self.contributors[part], self.kinds[part])

    def __add__(self, other: "PhotoTiles") -> "PhotoTiles":
        return PhotoTiles(
            np.concatenate([self.tiles, other.tiles]),
            np.concatenate([self.accepted, other.accepted]),
            np.concatenate([self.contributors, other.contributors]),
            np.concatenate([self.kinds, other.kinds]),
        )

    @property
    def sha256(self) -> str:
        parts = (self.tiles, self.accepted, self.contributors, self.kinds)
        return sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


NO_PHOTOS = PhotoTiles(
    np.zeros((0, TILE_SIZE, TILE_SIZE), np.uint8), np.zeros((0, len(CLASSES)), bool), np.zeros(0, np.int64), np.zeros(0, str)
)


def cut(photos: Sequence[Photo]) -> PhotoTiles:
    """The tiles of the photos, in their order, from the cache if they were cut before. Photos that can't be read are left out."""
    found = from_cache(photos)
    readable = np.array([tile is not None for tile in found], bool)
    if not readable.any():
        return NO_PHOTOS
    rows = [photo for photo, good in zip(photos, readable, strict=True) if good]
    accepted = np.zeros((len(rows), len(CLASSES)), bool)
    for row, photo in zip(accepted, rows, strict=True):
        row[list(photo.accepted)] = True
    return PhotoTiles(
        np.stack([tile for tile in found if tile is not None]),
        accepted,
        np.array([photo.contributor for photo in rows]),
        np.array([photo.kind for photo in rows]),
    )


def from_cache(photos: Sequence[Photo]) -> list[Tile | None]:
    """A tile for each photo, or None where it can't be read."""
    path = cache() / f"tiles-{digest(photos)[:12]}-{cutters_version()[:12]}.npz"
    try:
        with np.load(path) as file:
            tiles, readable = file["tiles"], file["readable"]
        return [tile if good else None for tile, good in zip(tiles, readable, strict=True)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # no file yet, or one that a full disk cut short
    found = cut_anew(photos)
    empty = np.zeros((TILE_SIZE, TILE_SIZE), np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, open(part, "wb") as file:
            np.savez(
                file, tiles=[empty if tile is None else tile for tile in found], readable=[tile is not None for tile in found]
            )
    except OSError as error:
        say(f"the tiles can't be cached: {path} can't be written ({error.strerror})")
    return found


def cut_anew(photos: Sequence[Photo]) -> list[Tile | None]:
    sources = [Source(str(photo.path), partial(read_image, photo.path), "photo") for photo in photos]
    found: list[Tile | None] = []
    for item in track(
        read_all(sources, PROCESSES), f"cutting tiles out of {len(photos):,} photos", len(photos), console=Console(stderr=True)
    ):
        if item.error:
            say(f"{item.name}: {item.error}; left out")
        found.append(item.view.tile if item.view else None)
    return found


def cutters_version() -> str:
    """SHA-256 of the code that cuts tiles."""
    code = [path.read_bytes() for path in sorted(PICTURES.glob("*.py"))]
    return sha256(b"".join([*code, PIL.__version__.encode(), np.__version__.encode()])).hexdigest()
