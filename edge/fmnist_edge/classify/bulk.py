"""Classifies pictures as they are read: prints each answer, reports pictures that can't be read, and shows progress."""

import os
import signal
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from fmnist_edge.checksum import sha256
from fmnist_edge.classifier import BATCH, Classifier, batches
from fmnist_edge.classify.output import Show
from fmnist_edge.classify.reading import Item
from fmnist_edge.contract import Tile
from fmnist_edge.files import replacing
from fmnist_edge.terminal import printable, tell

LONGEST_NAME = 200
"""Bytes of a saved tile's name, without .png; file systems take 255."""


class Progress:
    """A bar on stderr: how many of ``total`` pictures are done, and how many a second."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.began = total, 0, time.monotonic()

    def clear(self) -> None:
        """Clears the line for other output on the same terminal."""
        print("\r\033[K", end="", file=sys.stderr, flush=True)

    def advance(self, count: int) -> None:
        self.done += count
        rate = self.done / max(time.monotonic() - self.began, 1e-3)
        bar = "=" * (30 * self.done // self.total)
        print(f"\r[{bar:30}] {self.done:,}/{self.total:,}, {rate:,.0f} images/s ", end="", file=sys.stderr, flush=True)


class Tally(NamedTuple):
    """Counts of a run. failed: pictures that could not be read."""

    pictures: int
    unsure: int
    failed: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.pictures:,} pictures in {self.seconds:.1f} s: {self.unsure:,} unsure, {self.failed:,} failed"


def classify_all(
    items: Iterable[Item],
    classifier: Classifier,
    show: Show,
    save_tiles: Path | None = None,
    progress: Progress | None = None,
    batch_size: int = BATCH,
) -> Tally:
    """Shows each picture's prediction, in order, and names those without one on stderr."""
    pictures = unsure = failed = 0
    started = time.monotonic()
    names: dict[str, str] = {}
    for batch in batches(items, batch_size):
        began = time.perf_counter()
        answers = classifier.predict([item.view for item in batch if item.view])
        predictions = iter(answers)
        pictures, unsure = pictures + len(batch), unsure + sum(answer.unsure for answer in answers)
        milliseconds = 1000 * (time.perf_counter() - began) / len(batch)
        with uninterrupted():
            if progress:
                progress.clear()
            for item in batch:
                if item.error:
                    failed += 1
                    tell(f"{printable(item.name)}: {item.error}")
                elif item.view and save_tiles:
                    save_tile(item.view.tile, save_tiles / f"{name_of_tile(item.name, names)}.png")
                show(item, next(predictions) if item.view else None, item.milliseconds + milliseconds)
            if sys.stdout is not None:  # the parent process may have closed it
                sys.stdout.flush()
            if progress:
                progress.advance(len(batch))
    if progress:
        progress.clear()
    return Tally(pictures, unsure, failed, time.monotonic() - started)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C until the lines are complete: an interrupted Python drops the rest of what it writes."""
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came and callable(handler):
        handler(signal.SIGINT, None)


def save_tile(tile: Tile, path: Path) -> None:
    """As PNG. Raises OSError."""
    with replacing(path) as part:
        Image.fromarray(tile).save(part, "png")


def name_of_tile(name: str, taken: dict[str, str]) -> str:
    """A file name from a picture's path: ``coats/1.jpg`` becomes ``coats_1.jpg``, with a checksum if that name is taken.

    taken: the picture that each name was given to, in lower case, since some file systems ignore case.
    """
    picture = os.path.normpath(name)
    flat = "_".join(part for part in picture.split(os.sep) if part not in ("", "..", "."))
    if len(encoded := os.fsencode(flat)) > LONGEST_NAME:
        flat = encoded[-LONGEST_NAME:].decode(errors="ignore")  # not in the middle of a character
    unique = f"{flat}-{sha256(os.fsencode(picture)).hexdigest()[:16]}"
    owner = taken.setdefault(unicodedata.normalize("NFC", flat).casefold(), picture)
    return flat if owner == picture else unique
