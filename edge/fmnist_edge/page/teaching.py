"""Pictures that wait for a label, DIR/kept-* and DIR/unsure-*, and those that have one, DIR/<class>/*, for `train --photos DIR`.

A power cut loses no picture that was there and leaves none twice: what is new is written whole under another name first, what is
labelled is renamed, and each reaches the card before anybody hears of it. No name of a file comes from a client, and nothing is
ever overwritten.
"""

import io
import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

from fmnist_edge.contract import CLASSES
from fmnist_edge.files import prepare_folder, sync
from fmnist_edge.live.collect import Collection
from fmnist_edge.page.reader import Refused
from fmnist_edge.pictures.kinds import is_picture

ENOUGH = 50
"""Photos of each class that are worth it: the 500 of ten classes in docs/study.md."""

NONE_OF_THESE = ".none"
"""A folder that the training passes over, as it does with all hidden ones."""

ID = re.compile(r"(?:kept|unsure)-\d{8}-\d{6}-\d{3}[a-z0-9-]{0,40}")
UNSURE = re.compile(r"unsure-\d{8}-\d{6}-\d{3}-([a-z-]+?)(?:-\d+)?")
SUFFIXES = {".jpg": "image/jpeg", ".png": "image/png"}
UNDO = re.compile(r"(\d|none)\.(.+)")

PART = ".page.part"
"""What is being written."""

SHOWN = 200
"""Of the pictures that wait, the newest."""

REMEMBERED = 1000
"""Pictures whose answers are known; of older ones the file's name says what it can."""


class Teaching:
    """The folder, for one process. limit: bytes that all in it may have together.

    collection: what keeps frames there too; it makes room for itself among its own.
    Raises UsageError if nothing can be written there.
    """

    def __init__(self, folder: Path, limit: int, names: Sequence[str] = CLASSES) -> None:
        self._folder, self._limit, self._names = folder, limit, names
        self._lock = threading.Lock()
        self._answers: dict[str, dict[str, Any]] = {}
        self.collection: Collection | None = None
        prepare_folder(folder, "photos")
        self._mend()

    def _mend(self) -> None:
        """Takes away what a power cut left: a picture half written, and names that were reserved for pictures."""
        for place in (self._folder, *chain(*self._folders().values())):
            (place / PART).unlink(missing_ok=True)
            for path in list_files(place):
                if ID.fullmatch(path.stem) and path.stat().st_size == 0:
                    path.unlink()

    def collect(self, collection: Collection) -> None:
        """From now on this keeps frames of the camera here too."""
        with self._lock:
            self.collection = collection
            self._leave_room()

    def overview(self) -> dict[str, Any]:
        """How many there are of each class, and what waits, the newest first."""
        with self._lock:
            folders, waiting = self._folders(), self._waiting()
            counts = {class_id: sum(1 for _ in pictures_in(*places)) for class_id, places in folders.items()}
            classes: list[dict[str, Any]] = [
                {"class_id": class_id, "label": label, "count": counts.get(class_id, 0)}
                for class_id, label in enumerate(self._names)
            ]
            classes.append({"class_id": None, "label": "none of these", "count": counts.get(None, 0)})
            return {
                "classes": classes,
                "waiting": [self._describe(path) for path in waiting[:SHOWN]],
                "waiting_count": len(waiting),
                "bytes": self._size(),
                "limit_bytes": self._limit,
                "enough": ENOUGH,
            }

    def picture(self, picture_id: str) -> tuple[bytes, str]:
        """One that waits, and its media type. Raises Refused."""
        with self._lock:
            path = self._find(picture_id)
            return path.read_bytes(), SUFFIXES[path.suffix]

    def keep(self, content: bytes, suffix: str, answer: dict[str, Any]) -> str:
        """Puts a picture to those that wait. Returns its id. answer: label, confidence and unsure. Raises Refused."""
        with self._lock:
            if not self._make_room(len(content)):
                raise Refused(
                    507, f"the photos fill their {self._limit // 10**6} MB; download and delete some, or raise --save-mb"
                )
            part = self._folder / PART
            try:
                with open(part, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                name = f"kept-{datetime.now(timezone.utc).strftime('%Y%m%d-%H%M%S-%f')[:-3]}"
                path = move(part, self._folder, name, suffix)
            except OSError as error:
                raise Refused(507, f"the picture can't be saved ({error.strerror or error})") from None
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
            self._answers[path.stem] = {name: answer[name] for name in ("label", "confidence", "unsure")}
            if len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
            self._leave_room()
            return path.stem

    def teach(self, picture_id: str, class_id: int | None) -> str:
        """Moves a picture that waits into its class's folder. Returns what ``undo`` takes. Raises Refused."""
        with self._lock:
            path = self._find(picture_id)
            folder = self._folders().get(class_id, [self._folder / folder_name(class_id)])[0]
            moved = self._move(path, folder)
            self._leave_room()
            return f"{'none' if class_id is None else class_id}.{moved.stem}"

    def undo(self, token: str) -> str:
        """Moves a picture back to those that wait. Returns its id. Raises Refused."""
        with self._lock:
            found = UNDO.fullmatch(token)
            class_id = None if not found or found[1] == "none" else int(found[1])
            path = None
            if found and ID.fullmatch(found[2]):
                path = find_picture(found[2], *self._folders().get(class_id, []))
            if path is None:
                raise Refused(404, "there is nothing to undo: that picture is not in its class's folder")
            moved = self._move(path, self._folder)
            self._leave_room()
            return moved.stem

    def archive(self, tell: Callable[[str], None]) -> Iterator[bytes]:
        """A ZIP of all that has a label, bit by bit; what is moved away meanwhile is left out.

        tell: gets a line for each picture that can't be read, and is left out too.
        """
        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
            for class_id, places in sorted(self._folders().items(), key=lambda pair: folder_name(pair[0])):
                for number, place in enumerate(places):
                    for path in pictures_in(place):
                        # a second folder of the class may have the same names
                        name = f"{path.stem}-{place.name}{path.suffix}" if number else path.name
                        try:
                            # a ZIP knows no time before 1980, and a board without a clock no other
                            entry = zipfile.ZipInfo.from_file(
                                path, f"{folder_name(class_id)}/{as_unicode(name)}", strict_timestamps=False
                            )
                            archive.writestr(entry, path.read_bytes())
                        except FileNotFoundError:
                            continue
                        except OSError as error:
                            tell(f"{path}: not in the ZIP, it can't be read ({error.strerror})")
                            continue
                        yield pipe.take()
        yield pipe.take()

    def _move(self, path: Path, folder: Path) -> Path:
        try:
            if not folder.is_dir():
                folder.mkdir()
                sync(folder.parent)
            sync(path)  # the camera's frames are not yet on the card
            return move(path, folder, path.stem, path.suffix)
        except FileNotFoundError:
            raise Refused(404, "there is no such picture: it may have been labelled already") from None
        except OSError as error:
            raise Refused(507, f"the picture can't be moved ({error.strerror or error})") from None

    def _find(self, picture_id: str) -> Path:
        path = find_picture(picture_id, self._folder) if ID.fullmatch(picture_id) else None
        if path is None:
            raise Refused(404, "there is no such picture: it may have been labelled already")
        return path

    def _waiting(self) -> list[Path]:
        found = [path for path in list_files(self._folder) if ID.fullmatch(path.stem) and path.suffix in SUFFIXES]
        return sorted(found, key=lambda path: path.stem.partition("-")[2], reverse=True)

    def _describe(self, path: Path) -> dict[str, Any]:
        guess = UNSURE.fullmatch(path.stem)
        said = guess[1] if guess else None
        label = next((name for name, label in zip(self._names, CLASSES, strict=True) if slug(label) == said), None)
        unknown = {"label": label, "confidence": None, "unsure": bool(guess)}
        return {"id": path.stem, **self._answers.get(path.stem, unknown)}

    def _folders(self) -> dict[int | None, list[Path]]:
        """The folders of each class that has any, by whatever names the training knows them."""
        named = {plain(label): class_id for class_id, label in enumerate(CLASSES)}
        named |= {str(class_id): class_id for class_id in range(len(CLASSES))}
        found: dict[int | None, list[Path]] = {}
        for path in sorted(self._folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                if path.name == NONE_OF_THESE:
                    found[None] = [path]
                elif plain(path.name) in named and not path.name.startswith("."):
                    found.setdefault(named[plain(path.name)], []).append(path)
        return found

    def _size(self) -> int:
        """Bytes of all files in the folder, of the tiles beside the frames too."""
        size = 0
        for place, _, names in os.walk(self._folder):
            for name in names:
                with suppress(OSError):
                    size += os.lstat(os.path.join(place, name)).st_size
        return size

    def _make_room(self, size: int) -> bool:
        """Whether so many bytes more may be kept. For what somebody chose to keep, the oldest that the camera kept go."""
        self._leave_room()
        excess = self._size() + size - self._limit
        if excess > 0 and self.collection:
            self.collection.limit -= size
            with suppress(OSError):
                self.collection.make_room(0)
        fits = self._size() + size <= self._limit
        if not fits:
            self._leave_room()
        return fits

    def _leave_room(self) -> None:
        """Tells the camera's collection how much of the limit is its own."""
        if self.collection:
            own = self.collection.recount()
            self.collection.limit = max(self._limit - self._size() + own, 0)


class Pipe(io.RawIOBase):
    """What ``zipfile`` writes to, and what is taken out again."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: Any) -> int:
        self._chunks.append(bytes(chunk))
        return len(chunk)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


def move(path: Path, folder: Path, name: str, suffix: str) -> Path:
    """Renames a file, under another name if that one is taken, and brings the change to the disk. Raises OSError."""
    for number in range(1000):
        target = folder / f"{name}{f'-{number}' if number else ''}{suffix}"
        try:
            # the name is ours from here on: renaming would silently replace what another program puts there
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        try:
            path.rename(target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        sync(folder)
        if path.parent != folder:
            sync(path.parent)
        return target
    raise OSError("a thousand pictures have this name")


def find_picture(picture_id: str, *folders: Path) -> Path | None:
    paths = (folder / f"{picture_id}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def list_files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]


def pictures_in(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in sorted(list_files(folder)) if is_picture(path.name))


def slug(label: str) -> str:
    """As the camera's collection names files."""
    return re.sub("[^a-z]+", "-", label.lower())


def folder_name(class_id: int | None) -> str:
    """``ankle_boot``."""
    return NONE_OF_THESE if class_id is None else re.sub(r"\W", "_", CLASSES[class_id].lower())


def as_unicode(name: str) -> str:
    """A file's name as a ZIP can have it: each byte that is no UTF-8 as ``%FF``, so that two names remain two."""
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)


def plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
