"""Photos of clothes to learn from: Alexey Grigorev's clothing dataset (CC0), found on this machine or downloaded.

`python -m train.clothing` gets and counts them; ``load`` lists those to learn from. Photos by the contributors in HELD_OUT are
never among these: they show how well a model does on photos by people it never learned from.
"""

import csv
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from fmnist_edge.cli.commands import run
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import FmnistEdgeError, InputError, UsageError, reported
from fmnist_edge.pictures.decode import read_image
from train.fetch import download

HELD_OUT = frozenset({204, 48, 322, 50, 45, 41, 126, 228, 201, 227, 54, 178})
"""Contributors, for ever: if their photos ever decide anything, they are no longer an exam."""

ACCEPTED = {
    "T-Shirt": (0,),
    "Pants": (1,),
    "Longsleeve": (2, 6),
    "Shirt": (6,),
    "Dress": (3,),
    "Outwear": (2, 4),
    "Blazer": (2, 4),
    "Hoodie": (2, 4),
    "Polo": (0, 6),
    "Undershirt": (0, 6),
    "Top": (0, 6),
    "Blouse": (0, 2, 6),
    "Shoes": (5, 7, 9),
}
"""The correct classes for each of the dataset's labels. SHOES is more precise for most shoes."""
OTHER_THINGS = ("Body", "Hat", "Other", "Shorts", "Skirt")
"""Labels of things that Fashion-MNIST has no class for. Photos with any other label ("Not sure", "Skip") are not used."""
SHOES = Path(__file__).with_name("shoes.csv")
"""Our own finer labels, made by eye: image, kind, accepted_classes."""


class PhotosError(FmnistEdgeError):
    """The photos are not available here, or are not those of the dataset."""


@dataclass(frozen=True)
class Source:
    """A version of the dataset: the address of its archive, and its expected content."""

    name: str
    commit: str
    address: str
    photos: int
    """How many are listed by contributors who are not held out, with a label in ACCEPTED or OTHER_THINGS."""
    digest: str
    """Of these photos: see ``digest``."""


CLOTHING = Source(
    "alexeygrigorev/clothing-dataset",
    "7ed86a9cc56763b6acb35e41cb35184e43a5d218",
    "https://github.com/alexeygrigorev/clothing-dataset/archive/7ed86a9cc56763b6acb35e41cb35184e43a5d218.zip",
    3063,
    "89509a4662bfce05e9388b2e95782479350f31c59e45215480c9457de7d2b37f",
)


@dataclass(frozen=True)
class Photo:
    """One photo of the dataset."""

    path: Path
    contributor: int
    label: str
    """The dataset's."""
    kind: str
    """The label, or for shoes the kind that SHOES names."""
    accepted: tuple[int, ...]
    """The correct classes; empty for other things, and where the label is wrong."""


def load(source: Source = CLOTHING) -> list[Photo]:
    """All photos that may be used: those with accepted classes to learn from, the others to see how a model answers them.

    Raises PhotosError.
    """
    return list_photos(locate(source))


def get_clothes() -> list[Photo]:
    """Like ``load``, but empty, with a message, if there are no photos. Raises PhotosError for a bad folder in FMNIST_PHOTOS."""
    try:
        return load()
    except PhotosError as error:
        if os.environ.get("FMNIST_PHOTOS"):
            raise
        say(f"the model will know tiles, but not what photos of clothes look like: {error}")
        return []


def locate(source: Source = CLOTHING) -> Path:
    """A folder with the dataset, checked; downloads it if there is none yet.

    If FMNIST_PHOTOS is set, no other place is searched. Otherwise: the user's cache, then a download into it.
    Raises PhotosError, which says what was tried and what to do without a network.
    """
    if given := os.environ.get("FMNIST_PHOTOS"):
        check_folder(Path(given), source)
        return Path(given)
    folder = cache() / f"clothing-dataset-{source.commit[:12]}"
    if folder.is_dir():
        try:
            check_folder(folder, source)
            return folder
        except PhotosError as error:
            say(f"{error}; downloading them again")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = folder.with_suffix(".zip")
        download(source.address, archive, partial(unpack, folder=folder, source=source))
        archive.unlink()
    except (FmnistEdgeError, OSError, HTTPException, ValueError) as error:
        raise PhotosError(
            f"no photos from {source.address} ({error}). Without a network: copy images.csv and the folder images of "
            f"{source.name} from another machine, and name the folder that they are in with FMNIST_PHOTOS"
        ) from None
    return folder


def cache() -> Path:
    """The folder for files that can be downloaded again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fmnist-edge"


def unpack(archive: Path, folder: Path, source: Source) -> None:
    """Unpacks the archive's images.csv and photos into the folder, if they pass the checks. Raises PhotosError."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            # GitHub's archives have one folder with everything in it
            wanted = [
                (member, match[1])
                for member in packed.infolist()
                if (match := re.fullmatch(r"[^/]+/(images\.csv|images/[\w-]+\.jpg)", member.filename))
            ]
            (part / "images").mkdir(parents=True)
            for member, name in track(wanted, "unpacking photos", console=Console(stderr=True)):
                with packed.open(member) as content, open(part / name, "wb") as file:
                    shutil.copyfileobj(content, file)
        check_folder(part, source)
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise PhotosError(f"the archive is damaged ({error})") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_folder(folder: Path, source: Source) -> None:
    """Raises PhotosError if the photos to learn from differ from the dataset's by a byte or a label."""
    photos = list_photos(folder)
    missing = [photo for photo in photos if not photo.path.is_file()]
    if missing:
        raise PhotosError(
            f"{folder}: {len(missing):,} of {len(photos):,} photos are missing, images/{missing[0].path.name} for one"
        )
    if len(photos) != source.photos:
        raise PhotosError(f"{folder}: images.csv lists {len(photos):,} photos to learn from, not {source.photos:,}")
    if digest(photos) != source.digest:
        raise PhotosError(f"{folder}: {find_damage(photos)}")


def find_damage(photos: Sequence[Photo]) -> str:
    """A likely reason why photos or labels differ from the dataset's."""
    for photo in photos:
        try:
            read_image(photo.path)
        except InputError as error:
            return f"images/{photo.path.name}: {error}"
    return "a photo or a label differs from the dataset's (wrong checksum)"


def digest(photos: Sequence[Photo]) -> str:
    """SHA-256 over the photos' names, contributors, labels and contents, in the order of their names."""
    lines = [
        f"{photo.path.name} {photo.contributor} {photo.label} {sha256(photo.path.read_bytes()).hexdigest()}\n" for photo in photos
    ]
    return sha256("".join(sorted(lines)).encode()).hexdigest()


def list_photos(folder: Path, held_out: bool = False) -> list[Photo]:
    """The photos that images.csv lists, in the order of their names, by contributors who are not held out, or by those who are.

    Raises PhotosError if there is no images.csv, or it is something else.
    """
    shoes = {image: (kind, classes) for image, kind, classes in read_table(SHOES, ("image", "kind", "accepted_classes"))}
    photos = []
    for image, contributor, label in read_table(folder / "images.csv", ("image", "sender_id", "label")):
        if not re.fullmatch(r"[\w-]+", image) or not contributor.isdecimal():
            raise PhotosError(
                f"{folder / 'images.csv'}: '{image}' by '{contributor}' is not a photo by a contributor with a number"
            )
        if (int(contributor) in HELD_OUT) != held_out or label not in (*ACCEPTED, *OTHER_THINGS):
            continue
        kind, accepted = label, ACCEPTED.get(label, ())
        if label == "Shoes" and image in shoes:
            kind, accepted = shoes[image][0], tuple(int(number) for number in re.findall(r"\d", shoes[image][1]))
        photos.append(Photo(folder / "images" / f"{image}.jpg", int(contributor), label, kind, accepted))
    return sorted(photos, key=lambda photo: photo.path.name)


def read_table(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """These columns of a table's rows."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [[row[column] for column in columns] for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise PhotosError(f"{path} is missing") from None
    except OSError as error:
        raise PhotosError(f"{path} can't be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error, KeyError):
        rows = [[None]]
    if not all(isinstance(value, str) for row in rows for value in row):
        raise PhotosError(f"{path} is not a table with the columns {', '.join(columns)}")
    return rows


def say(message: str) -> None:
    print(f"photos: {message}", file=sys.stderr)


@reported("photos", "the same command continues the download")
def main(
    mirror: Annotated[
        str, typer.Option(metavar="URL", help="Download the archive from this address instead.")
    ] = CLOTHING.address,
) -> None:
    """Get the photos of clothes to learn from, and count them.

    \b
    Examples:
      python -m train.clothing
      FMNIST_PHOTOS=/mnt/usb/clothing python -m train.clothing
    """
    if not mirror.startswith(("http://", "https://")):
        raise UsageError(f"a mirror's address begins with http:// or https://, not '{mirror}'")
    source = Source(CLOTHING.name, CLOTHING.commit, mirror, CLOTHING.photos, CLOTHING.digest)
    folder = locate(source)
    photos = list_photos(folder)
    clothes = [photo for photo in photos if photo.accepted]
    contributors = len({photo.contributor for photo in clothes})
    print(
        f"{source.name} is in {folder}, checked: {len(clothes):,} photos by {contributors:,} contributors to learn from, "
        f"{sum(photo.label in OTHER_THINGS for photo in photos):,} of other things"
    )
    for class_id, name in enumerate(CLASSES):
        alone = sum(photo.accepted == (class_id,) for photo in clothes)
        print(f"{name:12} {alone:5}, {sum(class_id in photo.accepted for photo in clothes) - alone:5}more that may be one")


if __name__ == "__main__":
    run(main, "photos")
