"""Writes files: whole, or not at all."""

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmnist_edge.errors import UsageError

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a text of UTF-16 begins."""


def decode_text(content: bytes) -> str:
    """A text as people's programs write it: UTF-8, perhaps with a byte order mark, or UTF-16. Raises UnicodeDecodeError."""
    return content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name of a file to write, which then takes the place of ``path``; if that fails, nothing of it stays."""
    part = path.with_name(f".{os.getpid()}.part")  # of no other process, and no name that a user would give
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Brings a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prepare_folder(folder: Path, what: str) -> None:
    """Makes the folder. Raises UsageError now, and not after the first picture, if ``what`` can't be saved there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except OSError as error:
        raise UsageError(f"{folder}: {what} can't be saved there ({error.strerror})") from None


def check_writable(folder: Path) -> None:
    """Raises OSError unless files can be made in the folder: permissions alone don't tell, with a full or read-only disk."""
    import tempfile  # takes longer than most that is imported

    tempfile.TemporaryFile(dir=folder).close()
