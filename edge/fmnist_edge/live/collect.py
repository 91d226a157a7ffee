"""Keeps frames of garments that the model was unsure of: sorted into a folder per class, ``train --photos`` learns from them.

DIR/unsure-20260722-101530-123-shirt.jpg is a frame as it was looked at, with the time in UTC and the guess. DIR/.tiles, which the
training skips, has what the model was shown of it, by the same name. Files with other names are never touched, and what has
been moved into a folder stays.
"""

import errno
import io
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from PIL import Image

from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import UsageError
from fmnist_edge.files import prepare_folder, replacing
from fmnist_edge.pictures.tile import View

TILES = ".tiles"
OURS = re.compile(r"unsure-(\d{8}-\d{6}-\d{3})-[a-z-]+\.(jpg|png)|\.\d+\.part")
"""A .part file is left by a power cut."""

STAMP = "%Y%m%d-%H%M%S-%f"

BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)

LAST_YEAR = 9999
"""The last year that has four digits."""

EVERY = 1.0
"""Seconds between two frames that are kept."""

ROOM = 0.9
"""Share of the limit that remains after the oldest were deleted, so that this is not needed at each frame."""

JPEG_QUALITY = 92


class Collection:
    """A folder for frames, of at most ``limit`` bytes, including those of earlier runs; the oldest are deleted first.

    tell: gets one line when writing fails, and another only after it has worked in between.
    """

    def __init__(self, folder: Path, limit: int, tell: Callable[[str], None]) -> None:
        self._folder, self.limit, self._tell = folder, limit, tell
        self._next, self._failed = 0.0, False
        self._added = self._removed = self._shapeless = 0
        prepare_folder(folder, "frames")
        prepare_folder(folder / TILES, "tiles")
        try:
            kept = self._kept()
        except OSError as error:
            raise UsageError(f"{folder}: frames can't be saved there ({error.strerror})") from None
        self.size = sum(size for _, _, size in kept)
        self._newest = max((stamp for name, _, _ in kept if (stamp := taken(name))), default=BEGINNING)

    def add(self, frame: Image.Image, view: View, class_id: int, now: float) -> None:
        """Keeps a frame and the tile made of it, if something stands out there and none was kept in the last second.

        now: seconds of any clock.
        """
        if not view.garment_found:  # nothing to learn from
            self._shapeless += 1
            return
        if self._next - EVERY <= now < self._next:
            return
        self._next = now + EVERY
        # a clock that is behind, as a Pi's is until the network is up, must not make it the oldest, which is deleted first
        self._newest = max(datetime.now(timezone.utc), self._newest + timedelta(milliseconds=1))
        name = f"unsure-{self._newest.strftime(STAMP)[:-3]}-{re.sub('[^a-z]+', '-', CLASSES[class_id].lower())}"
        try:
            self._write(self._folder / f"{name}.jpg", frame, quality=JPEG_QUALITY)
            self._write(self._folder / TILES / f"{name}.png", Image.fromarray(view.tile))
            self._failed = False
            self._added += 1
        except OSError as error:
            if not self._failed:
                self._tell(f"{self._folder}: a frame can't be saved ({error.strerror}); going on without")
            self._failed = True

    def summary(self) -> str:
        """How many frames were kept, or why none."""
        if self._added:
            frames = "1 frame" if self._added == 1 else f"{self._added:,} frames"
            made_room = f"; {self._removed:,} of the oldest made room (--save-mb)" if self._removed else ""
            return f"kept {frames} in {self._folder}{made_room}"
        if self._failed:
            return f"kept no frames in {self._folder}: they can't be saved there"
        reason = "nothing stood out in the frames with unsure answers" if self._shapeless else "no answer was unsure"
        return f"kept no frames in {self._folder}: {reason}"

    def _write(self, path: Path, image: Image.Image, **options: int) -> None:
        content = io.BytesIO()
        image.save(content, "jpeg" if path.suffix == ".jpg" else "png", **options)
        self.make_room(content.tell())
        with replacing(path) as part:
            part.write_bytes(content.getbuffer())
        self.size += content.tell()

    def recount(self) -> int:
        """Counts the bytes that are kept again, as others may have removed files."""
        self.size = sum(size for _, _, size in self._kept())
        return self.size

    def make_room(self, size: int) -> None:
        """Deletes the oldest until so many bytes fit. Raises OSError if they can't."""
        if self.size + size <= self.limit:
            return
        if size > self.limit:
            raise OSError(errno.EFBIG, "it alone is larger than all that may be kept")
        kept = sorted(self._kept())
        self.size = sum(size for _, _, size in kept)  # the user may have removed some
        for _, path, freed in kept:
            if self.size + size <= ROOM * self.limit:
                break
            path.unlink(missing_ok=True)
            self._removed += path.suffix == ".jpg"
            self.size -= freed

    def _kept(self) -> list[tuple[str, Path, int]]:
        """Name, path and bytes of each file of ours that is still there."""
        kept = []
        for folder in (self._folder, self._folder / TILES):
            for path in folder.iterdir():
                if OURS.fullmatch(path.name):
                    with suppress(FileNotFoundError):
                        kept.append((path.name, path, path.stat().st_size))
        return kept


def taken(name: str) -> datetime | None:
    """The time in a file's name; None if there is none, or an impossible one."""
    found = OURS.fullmatch(name)
    with suppress(ValueError):
        stamp = datetime.strptime(found[1] if found and found[1] else "", STAMP).replace(tzinfo=timezone.utc)
        return stamp if stamp.year < LAST_YEAR else None
    return None
