"""A terminal in place of this process's stdout."""

import os
import pty
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Terminal:
    """What is written to it can be read once."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.file = open(theirs, "w", encoding="utf-8")  # noqa: SIM115 (closed with the terminal)

    def read(self) -> str:
        self.file.flush()
        written = b""
        while select.select([self._ours], [], [], 0.05)[0]:
            written += os.read(self._ours, 100_000)
        return written.decode().replace("\r\n", "\n")

    def close(self) -> None:
        self.file.close()
        os.close(self._ours)


@contextmanager
def stdout_on_a_terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", terminal.file)
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        yield terminal
    terminal.close()
