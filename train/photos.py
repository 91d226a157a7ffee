"""A user's own labelled photos: a folder with one folder per class, or with a labels.csv.

`python -m train --photos DIR` learns from them; `python -m train.photos DIR` counts how many of them a model gets right, and
`python -m train.photos --held-out` does so with the photos that no model here learned from.
"""

import csv
import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from fmnist_edge.classifier import Classifier, Prediction
from fmnist_edge.classify.find import list_folder
from fmnist_edge.cli.commands import run
from fmnist_edge.contract import CLASSES, Probabilities, Tile, Tiles, calibration_error
from fmnist_edge.errors import InputError, UsageError, nearest, reported
from fmnist_edge.files import decode_text
from fmnist_edge.pictures.kinds import READABLE, is_kept_aside
from fmnist_edge.pictures.tile import read_picture
from fmnist_edge.terminal import quiet_stderr
from train.augment import FOLDS
from train.clothing import CLOTHING, OTHER_THINGS, PhotosError, Source, list_photos, locate
from train.cutting import PhotoTiles

Result = TypeVar("Result")

Found = list[tuple[Path, set[int]]]
"""Each photo with its correct classes."""

FEW = 20
"""With fewer photos, the share of correct ones says little: of 20, half correct means 27 to 73 %, with 95 % confidence."""

OTHER_NAMES = {
    "T-shirt/top": "t-shirt, tee, tee shirt, tank top, singlet",
    "Trouser": "pant, slack, jean, chino, legging, jogger, sweatpant",
    "Pullover": "jumper, sweater, sweatshirt, knitwear",
    "Dress": "gown, sundress",
    "Coat": "jacket, parka, anorak, overcoat, raincoat, trench coat",
    "Sandal": "heel, high heel, pump, flip-flop",
    "Shirt": "dress shirt, button-down",
    "Sneaker": "trainer, running shoe, tennis shoe, gym shoe",
    "Bag": "handbag, purse, backpack, tote, tote bag, shoulder bag, clutch",
    "Ankle boot": "boot, bootie, chelsea boot",
}
"""Other names that people give to a folder of each class; each may be in the plural."""

AMBIGUOUS = {
    "shoe, footwear, slipper": "Sandal, Sneaker, Ankle boot",
    "top, polo, polo shirt, undershirt": "T-shirt/top, Shirt",
    "long sleeve": "Pullover, Shirt",
    "blouse": "T-shirt/top, Pullover, Shirt",
    "hoodie, cardigan, blazer, outerwear, outwear": "Pullover, Coat",
}
"""Names that may mean several classes, as in train/clothing.py. The person who sorts the photos can tell which."""

NO_CLASS = ("", "ood", "none", "nan", "n/a", "na", "null", "-")
"""Fields that mean "no class is right": "ood" is out of distribution, "nan" is pandas' empty field."""


@reported("photos")
def main(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="A folder with a folder per class, or with a labels.csv (file, accepted_classes).",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Use the photos of contributors that no model here learned from (make photos).")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .tflite or .onnx file instead of models/fmnist-int8.tflite.")
    ] = None,
) -> None:
    """Count how many labelled photos a model gets right.

    Also says how well its confidence matches that, and how often it is unsure of photos of other things.

    \b
    Examples:
      python -m train.photos ~/photos
      python -m train.photos --held-out --model build/quick/fmnist-int8.tflite
    """
    if (folder is None) != held_out:
        raise UsageError("name a folder with labelled photos, or use --held-out")
    with quiet_stderr():
        classifier = Classifier(model)
    found = find_photos(folder) if folder else find_held_out()
    print(*summarize(*classify(classifier, found)), sep="\n")


def summarize(predictions: Sequence[Prediction], right: Sequence[set[int]]) -> list[str]:
    """Lines: the right answers per class, the calibration error, and the answers to other things. right: the correct classes."""
    clothes = np.array([len(classes) > 0 for classes in right])
    probabilities, unsure = np.stack([p.probabilities for p in predictions]), np.array([p.unsure for p in predictions])
    hits = find_hits(probabilities, right)
    label = np.array([min(classes, default=-1) for classes in right])
    lines = []
    for name, of_class in (*((name, label == number) for number, name in enumerate(CLASSES)), ("all", clothes)):
        if count := int(of_class.sum()):
            first, among_three = int(hits[of_class, 0].sum()), int(hits[of_class, :3].any(1).sum())
            lines.append(f"{name:12} {tell(first, count)}; {among_three:,} have a right class among the first three")
    if clothes.any():
        sure = clothes & ~unsure
        of_sure = f", of which {hits[sure, 0].mean():.1%} are right" if sure.any() else ""
        error = calibration_error(probabilities[clothes].max(1), hits[clothes, 0])
        lines.append(
            f"{'confidence':12} calibration error {error:.3f}; {sure.sum() / clothes.sum():.1%} are not marked unsure{of_sure}"
        )
    if not clothes.all():
        lines.append(f"{'other things':12} {(~clothes).sum():5} photos: {unsure[~clothes].mean():6.1%} are marked unsure")
    return lines


def tell(right: int, of: int) -> str:
    """The number of correct answers, and the share if there are enough to tell."""
    return f"{right:,} of {of:,} right, " + (f"{right / of:.1%}" if of >= FEW else "too few to say")


def find_held_out(source: Source = CLOTHING) -> Found:
    """The photos by contributors who are held out. Raises PhotosError if there are none here."""
    folder = locate(source)
    photos = list_photos(folder, held_out=True)
    if not photos:
        raise PhotosError(f"{folder} has no photos by contributors who are held out; without FMNIST_PHOTOS, all are downloaded")
    return [(photo.path, set(photo.accepted)) for photo in photos]


def classify(classifier: Classifier, found: Found) -> tuple[list[Prediction], list[set[int]]]:
    """The predictions for the photos that can be read, and their classes; the others are reported on stderr."""
    return read_each(found, "classifying photos", lambda path: classifier.predict([read_picture(path)])[0])


def find_hits(probabilities: Probabilities, right: Sequence[set[int]]) -> NDArray[np.bool_]:
    """Whether the most probable class is correct, and the second, and so on: (N, 10)."""
    ranked = np.argsort(-probabilities, kind="stable")
    return np.array([[class_id in classes for class_id in row] for row, classes in zip(ranked, right, strict=True)])


def read_photos(folder: Path) -> PhotoTiles:
    """The tiles of a folder with one folder per class. Problems are reported on stderr.

    They are spread over several contributors with negative numbers, so that some are learned from while others are held out.
    Raises UsageError if the folder does not exist, holds no photo, or holds a folder that is not a class.
    """
    tiles, right = read_tiles(find_photos(folder))
    accepted = np.array([[class_id in classes for class_id in range(len(CLASSES))] for classes in right])
    missing = [name for class_id, name in enumerate(CLASSES) if not accepted[:, class_id].any()]
    if missing:
        complain(f"no photos of {', '.join(missing)}: the model will not learn from your photos what these look like")
    return as_own(np.stack(tiles), accepted)


def as_own(tiles: Tiles, accepted: NDArray[np.bool_]) -> PhotoTiles:
    """A user's own photos: their contributors are negative, and their kinds are "your" classes. accepted: (N, 10)."""
    names = [" or ".join(np.array(CLASSES)[row]) or "other things" for row in accepted]
    return PhotoTiles(tiles, accepted, -1 - np.arange(len(tiles)) % FOLDS, np.array([f"your {name}" for name in names], str))


def find_photos(folder: Path) -> Found:
    """Every photo in a folder, as its folders or its labels.csv label them."""
    if (folder / "labels.csv").exists():
        return read_table(folder / "labels.csv")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    inside = [path for path in sorted(folder.iterdir()) if not is_kept_aside(path.name)]
    folders = [path for path in inside if path.is_dir()]
    if inside and not folders:
        raise UsageError(
            f"{folder} holds no folders: its photos are not sorted yet. Make a folder in it for each class "
            f"({', '.join(folder_name(name) for name in CLASSES)}), and move each photo into its class's folder"
        )
    for path in set(inside) - set(folders):
        complain(f"{path} is not in a class's folder; left out")
    classes = [(path, class_of(path)) for path in folders]  # a wrong name is reported before any folder is listed
    return [(file, {class_id}) for path, class_id in classes for file in photos_in(path)]


def read_table(path: Path) -> Found:
    """The photos in a labels.csv with the columns file and accepted_classes: no number, one, or several.

    Reads what Excel, PowerShell and pandas write: UTF-8 or UTF-16, with commas, semicolons or tabs. Raises UsageError.
    """
    try:
        text = decode_text(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is neither UTF-8 nor UTF-16; in Excel, save it as 'CSV UTF-8'") from None
    # Excel's own way to name the separator
    said = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    text = text[said.end() :] if said else text
    head = text.partition("\n")[0]
    delimiter = said[1] if said else max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        file, accepted = columns.index("file"), columns.index("accepted_classes")
        rows = [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except (csv.Error, ValueError):
        raise UsageError(f"{path} is not a table with the columns file and accepted_classes") from None
    found: Found = []
    for number, row in rows:
        if any(row[len(columns) :]):
            raise UsageError(
                f"{path}, line {number}: there are more columns than in the first line; write '4 or 8' without a comma"
            )
        try:
            if any(row):
                found.append((photo_of(path.parent, row[file]), read_classes(row[accepted])))
        except IndexError:
            raise UsageError(f"{path}, line {number}: there are fewer columns than in the first line") from None
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}") from None
    return found


def read_classes(text: str) -> set[int]:
    """The classes in a field such as "4", "4 or 8" or "4, 8"; none for "" and "ood". Raises ValueError for anything else."""
    if text.lower() in NO_CLASS:
        return set()
    numbers = re.split(r"\s*(?:[,;|/\s]|\bor\b)\s*", text.strip("[](){}"))
    # "1,0" is ambiguous: two classes, or a spreadsheet's way to write 1
    if not all(re.fullmatch(r"\d+(\.0*)?", number) for number in numbers) or re.fullmatch(r"\d,0+", text):
        near = nearest_class(text)
        number = "" if near is None else f"; {CLASSES[near]} is {near}"
        raise ValueError(f"accepted_classes is '{text}'; write 4, or '4 or 8', or nothing where none is right{number}")
    classes = {int(float(number)) for number in numbers}  # pandas writes 1 as 1.0 where a row has none
    if not classes <= set(range(len(CLASSES))):
        raise ValueError(f"classes are 0 to {len(CLASSES) - 1}, not '{text}'")
    return classes


def photo_of(folder: Path, name: str) -> Path:
    """A file named in a table, perhaps with backslashes. Raises ValueError if the name is empty."""
    if not name:
        raise ValueError("there is no file")
    path = folder / name
    return folder / name.replace("\\", "/") if "\\" in name and not path.exists() else path


def photos_in(folder: Path) -> Sequence[Path]:
    try:
        photos = [folder / name for name in list_folder(str(folder))[0]]
    except InputError as error:
        complain(f"{folder}: {error}")
        return []
    if not photos:
        complain(f"{folder}: no pictures in this folder ({READABLE})")
    for path in sorted(set(folder.iterdir()) - set(photos)):
        if not is_kept_aside(path.name):
            complain(f"{path} is not a picture that can be read here; left out")
    return photos


def class_of(folder: Path) -> int:
    """The class of a folder, by its number or a usual name: "3", "T-shirt_top", "ankle boots", "jeans".

    Raises UsageError, listing the choices, for a name that may mean several classes or none.
    """
    if folder.name.isdecimal() and int(folder.name) < len(CLASSES):
        return int(folder.name)
    name = plain(folder.name)
    for class_id, label in enumerate(CLASSES):
        if name in map(plain, (label, *OTHER_NAMES[label].split(", "))):
            return class_id
    for names, labels in AMBIGUOUS.items():
        if name in map(plain, names.split(", ")):
            *choice, last = map(folder_name, labels.split(", "))
            raise UsageError(f"{folder}: '{folder.name}' may be {', '.join(choice)} or {last}; sort its photos into these")
    known = ", ".join(folder_name(label) for label in CLASSES)
    near = nearest_class(folder.name)
    cure = "" if near is None else f"; did you mean '{folder_name(CLASSES[near])}'?"
    raise UsageError(f"{folder}: '{folder.name}' is not a class; folders are named 0 to {len(CLASSES) - 1}, or {known}{cure}")


def nearest_class(word: str) -> int | None:
    """The class that a misspelt name probably means. "Shorts" and "skirts" are not misspelt shirts."""
    if plain(word) in map(plain, OTHER_THINGS):
        return None
    names = {plain(name): class_id for class_id, label in enumerate(CLASSES) for name in (label, *OTHER_NAMES[label].split(", "))}
    near = nearest(plain(word), names)
    return None if near is None else names[near]


def folder_name(label: str) -> str:
    return re.sub(r"\W", "_", label.lower())


def plain(name: str) -> str:
    """A name without the differences in spelling: capitals, spaces, hyphens, the plural."""
    letters = re.sub(r"[\W_]", "", name.lower())
    return re.sub(r"(?<=ch|sh|ss)es$|(?<!s)s$", "", letters)


def read_tiles(found: Found) -> tuple[list[Tile], list[set[int]]]:
    """The tiles of the photos that can be read, and their classes; the others are reported on stderr."""
    return read_each(found, "reading photos", lambda path: read_picture(path).tile)


def read_each(found: Found, doing: str, read: Callable[[Path], Result]) -> tuple[list[Result], list[set[int]]]:
    """The results for the photos that can be read, and their classes; stderr names the others. doing: the bar's text."""
    results, right = [], []
    for path, classes in track(found, doing, disable=not sys.stderr.isatty()):
        try:
            results.append(read(path))
            right.append(classes)
        except InputError as error:
            complain(f"{path}: {error}; left out")
    if not results:
        raise UsageError("there are no photos to read")
    return results, right


def complain(message: str) -> None:
    print(f"photos: {message}", file=sys.stderr)


if __name__ == "__main__":
    run(main, "photos")
