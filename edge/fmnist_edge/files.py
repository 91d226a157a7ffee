"""Writes files: whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmnist_edge.errors import UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name of a file to write, which then takes the place of ``path``; if that fails, nothing of it stays."""
    part = path.with_name(f".{os.getpid()}.part")  # of no other process, and no name that a user would give
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
