"""`fmnist-edge camera` on a terminal: a line in place that fits, messages beside it, keys, and the terminal as it was."""

import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from support.commands import FMNIST_EDGE
from support.film import scene, write_film
from train.dataset import Dataset

pytestmark = pytest.mark.slow

SNEAKER = 7


@pytest.fixture(scope="module")
def film(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", [(scene(dataset, SNEAKER), 0.5)])


class Terminal:
    """A terminal that is so many columns wide, and what was written to it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.written = b""

    def start(self, *arguments: str | Path, columns: int = 80) -> "subprocess.Popen[bytes]":
        ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self.theirs)
        variables = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        variables.pop("COLUMNS", None)  # xdist's, which would count more than the terminal's
        return subprocess.Popen([FMNIST_EDGE, "camera", "--source", *arguments], env=variables, **streams)

    def read_until(self, wanted: str, seconds: float = 10) -> str:
        end = time.monotonic() + seconds
        os.set_blocking(self.ours, False)
        while wanted not in self.written.decode(errors="ignore") and time.monotonic() < end:
            try:
                self.written += os.read(self.ours, 10_000)
            except BlockingIOError:
                time.sleep(0.01)
        return self.written.decode(errors="ignore")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.ours)
    os.close(terminal.theirs)


def test_one_line_is_written_in_place(film: Path, terminal: Terminal) -> None:
    with terminal.start(film) as process:
        written = terminal.read_until("per frame\r\n")

    name, line, summary, _ = written.split("\r\n")
    updates = line.split("\r")[1:]
    assert process.returncode == 0
    assert name.endswith("320x240 mpeg4 at 30")
    assert len(updates) > 5
    line_of_a_label = r"Sneaker\?? +(0\.[5-9]\d|1\.00)  █+ *   +\d+ fps  +\d+ ms  \d+ dropped  [A-Z].* 0\.\d\d\033\[K"
    for update in updates:
        assert re.fullmatch(line_of_a_label, update)
    assert " frames in " in summary


@pytest.mark.parametrize(("columns", "language"), [(10, "en"), (50, "en"), (50, "zh"), (200, "zh")])
def test_the_line_fits_the_terminal(columns: int, language: str, film: Path, terminal: Terminal) -> None:
    with terminal.start(film, "--fast", "--frames", "2", "--labels-lang", language, columns=columns):
        updates = terminal.read_until("per frame\r\n").split("\r\n")[1].removesuffix("\033[K").split("\033[K\r")

    assert len(updates) == 2
    assert (
        max(sum(1 if character.isascii() or character == "█" else 2 for character in update.strip()) for update in updates)
        < columns
    )
    assert ("dropped" in updates[-1]) == (columns == 200)


def test_changes_only_are_nothing_for_a_line_in_place(film: Path, terminal: Terminal) -> None:
    with terminal.start(film, "--on-change") as process:
        written = terminal.read_until("\n")

    assert process.returncode == 2
    assert written == "fmnist-edge: --on-change goes with --json, or with output that is no terminal\r\n"


def test_a_key_learns_the_empty_scene(dataset: Dataset, tmp_path: Path, terminal: Terminal) -> None:
    film = write_film(tmp_path / "still.mp4", [(scene(dataset, None), 4)])

    with terminal.start(film) as process:
        terminal.read_until("fps")
        os.write(terminal.ours, b"e")
        written = terminal.read_until("\rnothing there", seconds=3)
        process.terminate()

    assert "\r\033[Kfmnist-edge: the empty scene is what the next second shows\r\n" in written
    assert "\rnothing there " in written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_terminal_is_left_as_it_was(number: int, terminal: Terminal) -> None:
    before = termios.tcgetattr(terminal.theirs)

    with terminal.start("test") as process:
        terminal.read_until("fps")
        during = termios.tcgetattr(terminal.theirs)
        process.send_signal(number)
        terminal.read_until("per frame\r\n")

    assert before[3] & ~during[3] == termios.ICANON | termios.ECHO
    assert termios.tcgetattr(terminal.theirs) == before
