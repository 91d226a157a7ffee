"""Shows the camera's answers: one line, updated in place, on a terminal; else JSON Lines. Also its messages and keys."""

import fcntl
import json
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import numpy as np

from fmnist_edge.answers import FORMAT, LEAST_TOLD, by_label, two_digits
from fmnist_edge.cameras.feed import Frame
from fmnist_edge.contract import LANGUAGES, NOTHING_STANDS_OUT
from fmnist_edge.live.steady import NOTHING, Answer
from fmnist_edge.terminal import columns, printable, wants_colour

NOTHING_THERE = {"en": "nothing there", "zh": "没有东西"}

BAR = 10
"""Characters of the bar that stands for 1."""


class Screen:
    """How answers are written. as_json: JSON Lines on a terminal too; on_change: only when the label changes, and once
    more as soon as the model is sure of it."""

    def __init__(self, as_json: bool, on_change: bool, language: str) -> None:
        self.names = (*LANGUAGES[language], NOTHING_THERE[language])
        self._nothing_stands_out = NOTHING_STANDS_OUT[language]
        self.on_terminal = sys.stdout is not None and sys.stdout.isatty()
        self.in_place = self.on_terminal and not as_json
        self._on_change, self._shown, self._shown_sure = on_change, -1, False
        self._poll = select.poll()
        if sys.stdout is not None:
            self._poll.register(sys.stdout, select.POLLOUT)
            # a pipe of a single page can be written to only when all was read: a slow reader gets a new line, not the hundreds
            # of old ones that would fit
            with suppress(OSError, AttributeError):  # no pipe, or not on Linux
                fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, 1)

    def ready(self, timeout: float) -> bool:
        """Waits until a line can be written at once: a frame that was taken earlier would be old by then.

        timeout: seconds. Raises BrokenPipeError when the reader is gone.
        """
        events = self._poll.poll(1000 * timeout) if sys.stdout is not None else [(0, select.POLLOUT)]
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in events):
            raise BrokenPipeError
        return bool(events)

    def show(self, answer: Answer, frame: Frame, dropped: int, fps: float) -> float:
        """Writes an answer and returns the frame's age in seconds. Raises OSError if it can't be written.

        frame: the one that the answer is about. dropped: frames that were never looked at. fps: of those that are.
        """
        age, sure, same = time.monotonic() - frame.taken, not answer.unsure, answer.class_id == self._shown
        if self.in_place:
            print(f"\r{self._to_line(answer, age, dropped, fps)}\033[K", end="", flush=True)
        elif not (self._on_change and same and sure <= self._shown_sure):
            print(json.dumps(self._to_record(answer, frame, age, dropped)), flush=True)
        self._shown, self._shown_sure = answer.class_id, sure or (same and self._shown_sure)
        return time.monotonic() - frame.taken

    def tell(self, message: str) -> None:
        """A message on stderr, on a line of its own."""
        with suppress(OSError):
            if sys.stderr is not None:
                clear = "\r\033[K" if self.in_place and sys.stderr.isatty() else ""
                print(f"{clear}fmnist-edge: {printable(message)}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Keeps the last line on the terminal."""
        if self.in_place and self._shown >= 0:
            print(flush=True)

    def _to_record(self, answer: Answer, frame: Frame, age: float, dropped: int) -> dict[str, Any]:
        nothing = answer.class_id == NOTHING
        return {
            "format": FORMAT,
            "time": datetime.fromtimestamp(time.time() - age).astimezone().isoformat(timespec="milliseconds"),
            "monotonic": round(frame.taken, 3),
            "seconds": round(frame.seconds, 3),
            "frame": frame.number,
            "kind": None if nothing else answer.kind,
            "class_id": None if nothing else answer.class_id,
            "label": self.names[answer.class_id],
            "confidence": round(answer.confidence, 6),
            "unsure": answer.unsure,
            "garment_found": answer.garment_found,
            **by_label(answer.shares[:NOTHING].tolist(), self.names[:NOTHING]),
            "age_ms": round(1000 * age, 1),
            "dropped": dropped,
        }

    def _to_line(self, answer: Answer, age: float, dropped: int, fps: float) -> str:
        """As much as fits on the terminal: the label, its bar or a remark, rates and age, and the next two labels."""
        found = answer.garment_found or answer.class_id == NOTHING
        width = max(map(columns, self.names)) + 1
        label = f"{self.names[answer.class_id]}{'?' if answer.unsure else ''}"
        ranked = np.argsort(-answer.shares, kind="stable").tolist()
        others = [number for number in ranked if number != answer.class_id and answer.shares[number] >= LEAST_TOLD]
        block = "█" if "utf" in sys.stdout.encoding.lower() else "#"
        parts = [
            f"{label}{' ' * (width - columns(label))}{two_digits(answer.confidence):>5}",
            f"{block * round(BAR * answer.confidence):{BAR}}" if found else self._nothing_stands_out,
            f"{fps:3.0f} fps",
            f"{1000 * age:4.0f} ms",
            f"{dropped} dropped",
            *(f"{self.names[number]} {two_digits(answer.shares[number])}" for number in others[:2]),
        ]
        room = shutil.get_terminal_size().columns - 1  # some terminals wrap at the last column
        while len(parts) > 1 and columns("  ".join(parts)) > room:
            parts.pop()
        line = "  ".join(parts)
        while columns(line) > room:
            line = line[:-1]
        colour = "\033[1;33m" if answer.unsure else "\033[1;32m"
        return f"{colour}{line[: len(label)]}\033[0m{line[len(label) :]}" if wants_colour() else line


@contextmanager
def keys(wanted: bool) -> Iterator[Callable[[], str]]:
    """Yields a function that returns the keys pressed since its last call, without Enter, if stdin is our terminal.

    While we are in the background, keys are meant for another program, and reading them would stop us.
    """
    if not wanted or sys.stdin is None or not sys.stdin.isatty() or not in_foreground(sys.stdin.fileno()):
        yield str
        return
    terminal = sys.stdin.fileno()

    def pressed() -> str:
        with suppress(OSError):  # the terminal is gone
            if in_foreground(terminal) and select.select([terminal], [], [], 0)[0]:
                return os.read(terminal, 100).decode(errors="replace")
        return ""

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        yield pressed
    finally:
        if in_foreground(terminal):
            with suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSANOW, before)


def in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # a terminal without job control
        return True
