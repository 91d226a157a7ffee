"""A user's own labelled photos: a folder with one folder per class, or with a labels.csv.

`python -m train --photos DIR` learns from them; `python -m train.photos DIR` counts how many of them a model gets right.
"""

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from fmnist_edge.classifier import Classifier
from fmnist_edge.classify.find import list_folder
from fmnist_edge.contract import CLASSES, Probabilities, Tile
from fmnist_edge.errors import InputError, UsageError, reported
from fmnist_edge.pictures.kinds import READABLE
from fmnist_edge.pictures.tile import read_picture
from train.augment import Examples

Found = list[tuple[Path, set[int]]]
"""Photos, and the classes that are right for each."""


@reported("photos")
def main(
    folder: Annotated[Path, typer.Argument(help="One folder per class, or labels.csv with file and accepted_classes.")],
    model: Annotated[Path | None, typer.Option(help="A .tflite or .onnx file instead of models/fmnist-int8.tflite.")] = None,
) -> None:
    """Count how many labelled photos a model gets right, and for how many the right class is among its first three."""
    classifier = Classifier(model)
    tiles, right = read_tiles(find_photos(folder))
    hits = find_hits(np.stack([prediction.probabilities for prediction in classifier.classify(tiles)]), right)
    label = np.array([min(classes) for classes in right])
    for name, of_class in (*((name, label == number) for number, name in enumerate(CLASSES)), ("all", label >= 0)):
        if of_class.any():
            count, first, among_three = of_class.sum(), hits[of_class, 0].mean(), hits[of_class, :3].any(1).mean()
            print(f"{name:12} {count:5} photos: {first:6.1%} right, {among_three:6.1%} among the first three")


def find_hits(probabilities: Probabilities, right: Sequence[set[int]]) -> NDArray[np.bool_]:
    """Whether the most probable class is a right one, and the second, and so on: (N, 10)."""
    ranked = np.argsort(-probabilities, kind="stable")
    return np.array([[class_id in classes for class_id in row] for row, classes in zip(ranked, right, strict=True)])


def read_photos(folder: Path) -> Examples:
    """The tiles and labels of a folder with one folder per class. What is amiss is said on stderr.

    Raises UsageError if there is no such folder, no photo in it, or a folder in it that is no class.
    """
    found = find_photos(folder)
    clear = [(path, classes) for path, classes in found if len(classes) == 1]
    if len(clear) < len(found):
        complain(f"{len(found) - len(clear)} photos may be of more than one class, and are left out")
    tiles, right = read_tiles(clear)
    labels = np.array([min(classes) for classes in right], np.uint8)
    missing = [name for class_id, name in enumerate(CLASSES) if class_id not in labels]
    if missing:
        complain(f"no photos of {', '.join(missing)}: what these look like is learned from Fashion-MNIST alone")
    return Examples(np.stack(tiles), labels)


def find_photos(folder: Path) -> Found:
    """Every photo in a folder, as its folders or its labels.csv label them."""
    if (folder / "labels.csv").exists():
        return read_table(folder / "labels.csv")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found: Found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            found += [(file, {class_of(path)}) for file in photos_in(path)]
        elif path.is_file() and not path.name.startswith("."):
            complain(f"{path} is in no class's folder, and left out")
    return found


def read_table(path: Path) -> Found:
    """The photos in a labels.csv: its columns are file, and accepted_classes, which names none, one or several as numbers."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [
                (path.parent / row["file"], {int(number) for number in re.findall(r"\d+", row["accepted_classes"])})
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError):
        raise UsageError(f"{path} is no table with the columns file and accepted_classes") from None
    if not all(classes <= set(range(len(CLASSES))) for _, classes in rows):
        raise UsageError(f"{path}: classes are 0 to {len(CLASSES) - 1}")
    return [(photo, classes) for photo, classes in rows if classes]


def photos_in(folder: Path) -> Sequence[Path]:
    try:
        photos = [folder / name for name in list_folder(str(folder))[0]]
    except InputError as error:
        complain(f"{folder}: {error}")
        return []
    if not photos:
        complain(f"{folder}: no pictures in this folder ({READABLE})")
    for path in sorted(set(folder.iterdir()) - set(photos)):
        if not path.name.startswith("."):
            complain(f"{path} is no picture that can be read here, and left out")
    return photos


def class_of(folder: Path) -> int:
    """The class that a folder is named for, by its number or its name: "3", "T-shirt_top", "ankle boot"."""
    name = plain(folder.name)
    names = [plain(label) for label in CLASSES]
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(CLASSES):
        return int(name)
    known = ", ".join(re.sub(r"\W", "_", label.lower()) for label in CLASSES)
    raise UsageError(f"{folder}: '{folder.name}' is no class; folders are named 0 to {len(CLASSES) - 1}, or {known}")


def plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def read_tiles(found: Found) -> tuple[list[Tile], list[set[int]]]:
    """The tiles of the photos that can be read, and their classes; the others are named on stderr."""
    tiles, right = [], []
    for path, classes in track(found, "reading photos", disable=not sys.stderr.isatty()):
        try:
            tiles.append(read_picture(path).tile)
            right.append(classes)
        except InputError as error:
            complain(f"{path}: {error}; left out")
    if not tiles:
        raise UsageError("there are no photos to read")
    return tiles, right


def complain(message: str) -> None:
    print(f"photos: {message}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
