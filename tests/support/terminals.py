"""A terminal in place of this process's stdout."""

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Terminal:
    """What is written to it can be read once."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.file = open(theirs, "w", encoding="utf-8")  # noqa: SIM115: closed with the terminal
        os.set_blocking(self._ours, False)

    def read(self) -> str:
        self.file.flush()
        try:
            return os.read(self._ours, 100_000).decode().replace("\r\n", "\n")
        except BlockingIOError:
            return ""

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
