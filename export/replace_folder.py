"""Replaces files of a folder all at once: whatever happens meanwhile, it holds all of the old ones or all of the new ones.

The new folder is built beside the old one, and then the two change places in one step.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from export.errors import ExportError
from fmnist_edge.files import check_writable

# renameat2(2)
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files, by their paths inside the folder, and keeps whatever else is there. Makes the folder if there is none.

    Raises ExportError if that can't be done; then nothing has changed. On Linux a kill at any moment leaves a whole folder. Where
    two folders can't be exchanged in one step (macOS, some network file systems) it takes two renames: killed just between them,
    the old folder stands aside under a hidden name, and the next write puts it back first.

    What stays is linked, not copied. Two writes wait for each other; what another program puts into the folder in those few
    milliseconds is lost. A shell that stands in the folder has to `cd` into it again.
    """
    folder = folder.resolve()  # of a symbolic link, what it points to is exchanged
    check_replaceable(folder)
    prefix = f".{folder.name}.export-"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            swept(folder, prefix),
            tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent, ignore_cleanup_errors=True) as scratch,
        ):
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            if folder.exists():
                shutil.copytree(folder, new, symlinks=True, copy_function=link)
                with suppress(PermissionError):  # only root may give a folder away
                    os.chown(new, folder.stat().st_uid, folder.stat().st_gid)
            for name, content in files.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).unlink(missing_ok=True)  # it may be a link to the old one, which stays as it is
                (new / name).write_bytes(content)
            if folder.exists():
                exchange(new, folder, old)
            else:
                new.rename(folder)
    except OSError as error:
        raise ExportError(f"{folder} can't be written ({error.strerror or error}); it is as it was before") from None


def check_replaceable(folder: Path) -> None:
    """Raises ExportError before the work, not after it, if the folder can't be written as above."""
    folder = folder.resolve()
    if folder.is_mount() or Path.cwd().is_relative_to(folder):
        why = "it is a mount point" if folder.is_mount() else "you are in it"
        raise ExportError(f"{folder} can't be replaced as a whole: {why}. Choose a folder inside it")
    nearest = next(parent for parent in folder.parents if parent.exists())
    try:
        for place in (nearest, folder) if folder.exists() else (nearest,):
            check_writable(place)
    except OSError as error:
        raise ExportError(f"{folder} can't be written: {place} ({error.strerror})") from None


def exchange(new: Path, folder: Path, old: Path) -> None:
    """Makes ``new`` the folder. The old one is then called ``new`` or, where that takes two steps, ``old``."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 and renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(folder), RENAME_EXCHANGE) == 0:
        return
    if renameat2 and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


@contextmanager
def swept(folder: Path, prefix: str) -> Iterator[None]:
    """Waits until no other process writes beside the folder, and removes what killed ones left there."""
    try:
        parent = os.open(folder.parent, os.O_RDONLY)
    except PermissionError:  # a folder that we may write to, but not list
        yield
        return
    try:
        with suppress(OSError):  # NFS has no such lock; then what lies there may be in use
            fcntl.flock(parent, fcntl.LOCK_EX)
            for stale in [path for path in folder.parent.iterdir() if path.name.startswith(prefix)]:
                if (stale / "old").exists():  # killed between two renames
                    if folder.exists():
                        continue  # made anew meanwhile: which of the two is wanted, the user knows
                    (stale / "old").rename(folder)
                shutil.rmtree(stale, ignore_errors=True)
        yield
    finally:
        os.close(parent)


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or a file of another user
        shutil.copy2(source, target)
