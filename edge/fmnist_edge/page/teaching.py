"""The folder of photos. DIR/kept-* and DIR/unsure-* wait for a label; DIR/<class>/* have one, for `train --photos DIR`.

A power cut loses no picture and duplicates none: a new picture is first written under another name; a labelled one is renamed.
Each change is on the card before a client is told. Clients never choose file names, and nothing is ever overwritten.
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
"""How many photos per class are worth labelling: with ten classes, the 500 of docs/study.md."""

NONE_OF_THESE = ".none"
"""The folder for "none of these". The training skips it, as it skips all hidden folders."""

ID = re.compile(r"(?:kept|unsure)-\d{8}-\d{6}-\d{3}[a-z0-9-]{0,40}")
UNSURE = re.compile(r"unsure-\d{8}-\d{6}-\d{3}-([a-z-]+?)(?:-\d+)?")
SUFFIXES = {".jpg": "image/jpeg", ".png": "image/png"}
UNDO = re.compile(r"(\d|none)\.(.+)")

PART = ".page.part"
"""The file that is being written."""

SHOWN = 200
"""How many waiting pictures are listed, the newest."""

REMEMBERED = 1000
"""How many pictures' answers are remembered. For older ones, only the label in the file's name is known."""


class Teaching:
    """The folder, used by one process. limit: of all files in it together, in bytes.

    collection: saves camera frames in the same folder; to make room, it deletes only its own frames.
    Raises UsageError if the folder can't be written to.
    """

    def __init__(self, folder: Path, limit: int, names: Sequence[str] = CLASSES) -> None:
        self._folder, self._limit, self._names = folder, limit, names
        self._lock = threading.Lock()
        self._answers: dict[str, dict[str, Any]] = {}
        self.collection: Collection | None = None
        prepare_folder(folder, "photos")
        self._mend()

    def _mend(self) -> None:
        """Removes what a power cut left behind: unfinished files, and empty ones that reserved a name."""
        for place in (self._folder, *chain(*self._folders().values())):
            (place / PART).unlink(missing_ok=True)
            for path in list_files(place):
                if ID.fullmatch(path.stem) and path.stat().st_size == 0:
                    path.unlink()

    def collect(self, collection: Collection) -> None:
        """Lets the collection save camera frames in this folder from now on."""
        with self._lock:
            self.collection = collection
            self._leave_room()

    def overview(self) -> dict[str, Any]:
        """How many labelled pictures each class has, and the waiting pictures, newest first."""
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
        """A waiting picture's content and media type. Raises Refused."""
        with self._lock:
            path = self._find(picture_id)
            return path.read_bytes(), SUFFIXES[path.suffix]

    def keep(self, content: bytes, suffix: str, answer: dict[str, Any]) -> str:
        """Saves a picture that is to wait for a label. Returns its id. answer: label, confidence and unsure. Raises Refused."""
        with self._lock:
            if not self._make_room(len(content)):
                raise Refused(
                    507, f"the photos fill their limit of {self._limit // 10**6} MB; download and delete some, or raise --save-mb"
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
        """Moves a waiting picture into its class's folder. Returns a token for ``undo``. Raises Refused."""
        with self._lock:
            path = self._find(picture_id)
            folder = self._folders().get(class_id, [self._folder / folder_name(class_id)])[0]
            moved = self._move(path, folder)
            self._leave_room()
            return f"{'none' if class_id is None else class_id}.{moved.stem}"

    def undo(self, token: str) -> str:
        """Moves a labelled picture back to the waiting ones. Returns its id. Raises Refused."""
        with self._lock:
            found = UNDO.fullmatch(token)
            class_id = None if not found or found[1] == "none" else int(found[1])
            path = None
            if found and ID.fullmatch(found[2]):
                path = find_picture(found[2], *self._folders().get(class_id, []))
            if path is None:
                raise Refused(404, "there is nothing to undo: the picture is no longer in its class's folder")
            moved = self._move(path, self._folder)
            self._leave_room()
            return moved.stem

    def archive(self, tell: Callable[[str], None]) -> Iterator[bytes]:
        """A ZIP of all labelled pictures, in chunks. Pictures that are moved away meanwhile are left out.

        Pictures that can't be read are left out too; tell is called with a line about each.
        """
        buffer = ZipBuffer()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for class_id, places in sorted(self._folders().items(), key=lambda pair: folder_name(pair[0])):
                for number, place in enumerate(places):
                    for path in pictures_in(place):
                        # a second folder of the class may have the same names
                        name = f"{path.stem}-{place.name}{path.suffix}" if number else path.name
                        try:
                            # a ZIP can't store times before 1980, and a board without a clock has only those
                            entry = zipfile.ZipInfo.from_file(
                                path, f"{folder_name(class_id)}/{as_unicode(name)}", strict_timestamps=False
                            )
                            archive.writestr(entry, path.read_bytes())
                        except FileNotFoundError:
                            continue
                        except OSError as error:
                            tell(f"{path} is not in the ZIP: it can't be read ({error.strerror})")
                            continue
                        yield buffer.take()
        yield buffer.take()

    def _move(self, path: Path, folder: Path) -> Path:
        try:
            if not folder.is_dir():
                folder.mkdir()
                sync(folder.parent)
            sync(path)  # the collection does not sync its frames
            return move(path, folder, path.stem, path.suffix)
        except FileNotFoundError:
            raise Refused(404, "there is no such picture; it may have been labelled already") from None
        except OSError as error:
            raise Refused(507, f"the picture can't be moved ({error.strerror or error})") from None

    def _find(self, picture_id: str) -> Path:
        path = find_picture(picture_id, self._folder) if ID.fullmatch(picture_id) else None
        if path is None:
            raise Refused(404, "there is no such picture; it may have been labelled already")
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
        """The folders of each class that has any, under all names that the training accepts."""
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
        """The size of all files in the folder, in bytes, including the tiles saved beside the frames."""
        size = 0
        for place, _, names in os.walk(self._folder):
            for name in names:
                with suppress(OSError):
                    size += os.lstat(os.path.join(place, name)).st_size
        return size

    def _make_room(self, size: int) -> bool:
        """Whether there is room for this many bytes. To make room, the oldest frames that the camera saved are deleted."""
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
        """Gives the camera's collection the part of the limit that the other files leave."""
        if self.collection:
            own = self.collection.recount()
            self.collection.limit = max(self._limit - self._size() + own, 0)


class ZipBuffer(io.RawIOBase):
    """Holds what ``zipfile`` has written until it is taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: Any) -> int:
        self._chunks.append(bytes(chunk))
        return len(chunk)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


def move(path: Path, folder: Path, name: str, suffix: str) -> Path:
    """Moves a file into the folder and syncs. Adds a number to the name if it is taken. Raises OSError."""
    for number in range(1000):
        target = folder / f"{name}{f'-{number}' if number else ''}{suffix}"
        try:
            # reserves the name: renaming alone would silently replace a file that another program puts there
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
    raise OSError("a thousand pictures have this name already")


def find_picture(picture_id: str, *folders: Path) -> Path | None:
    paths = (folder / f"{picture_id}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def list_files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]


def pictures_in(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in sorted(list_files(folder)) if is_picture(path.name))


def slug(label: str) -> str:
    """The label as in the names of the files that the camera's collection saves."""
    return re.sub("[^a-z]+", "-", label.lower())


def folder_name(class_id: int | None) -> str:
    """A class's folder, such as ``ankle_boot``."""
    return NONE_OF_THESE if class_id is None else re.sub(r"\W", "_", CLASSES[class_id].lower())


def as_unicode(name: str) -> str:
    """A file's name that a ZIP can store: each byte that is not UTF-8 becomes ``%FF``, so different names stay different."""
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)


def plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
