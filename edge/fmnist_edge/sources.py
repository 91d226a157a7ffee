"""From the paths on the command line to pictures, one after the other, with an error per picture."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fmnist_edge.errors import InputError
from fmnist_edge.tile import SUFFIXES, Tile, read_tile


@dataclass(frozen=True)
class Item:
    """A picture's path, and its tile, uint8 (28, 28), or why there is none."""

    path: Path
    tile: Tile | None = None
    error: InputError | None = None


def read_items(paths: Iterable[Path]) -> Iterator[Item]:
    """Every picture in the files and folders, folders in order of name and not recursively."""
    for path in paths:
        try:
            for file in files_in(path):
                yield read_item(file)
        except InputError as error:
            yield Item(path, error=error)


def read_item(path: Path) -> Item:
    try:
        return Item(path, tile=read_tile(path))
    except InputError as error:
        return Item(path, error=error)


def files_in(path: Path) -> list[Path]:
    """The pictures in a folder, by suffix; any other path as it is. Raises InputError for a folder without pictures."""
    if not os.path.isdir(path):
        return [path]
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.is_dir())
    except OSError as error:
        raise InputError(f"the folder can't be read ({error.strerror})") from None
    if not files:
        raise InputError("no pictures in this folder (PNG, JPEG, WebP, BMP, GIF or TIFF)")
    return files
