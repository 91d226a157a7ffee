"""What is made once, though the tests run in several processes."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

Once = Callable[[str, Callable[[Path], None]], Path]
"""Gives the folder of that name; the function fills it the first time."""


def once_in(run: Path) -> Once:
    """run: the folder that pytest made for this run, or in it for this process."""
    shared = run.parent if "PYTEST_XDIST_WORKER" in os.environ else run

    def once(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return once
