"""What the camera's service says of itself, for `fmnist-edge status`."""

import json
import time
from pathlib import Path

import pytest

from fmnist_edge.live.pulse import Pulse, PulseWriter, pulse_path, read_pulse


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that systemd makes."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_what_is_said_is_read_with_its_times(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    writer = PulseWriter()
    clock.now = 107.5
    writer.beat("Sneaker")

    assert read_pulse() == Pulse(began=100, at=107.5, says="Sneaker")
    assert [path.name for path in folder.iterdir()] == ["status.json"]


def test_it_is_written_once_a_second_at_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(monkeypatch), []
    writer = PulseWriter()
    for now, label in ((100, "a"), (100.5, "b"), (100.99, "c"), (101, "d"), (101.9, "e"), (102, "f")):
        clock.now = now
        writer.beat(label)
        found = read_pulse()
        assert found is not None
        said.append(found.says)

    assert said == ["a", "a", "a", "d", "d", "f"]


def test_just_after_the_device_was_started_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.now = 0.2
    PulseWriter().beat("Bag")

    assert read_pulse() == Pulse(0.2, 0.2, "Bag")


def test_where_systemd_made_no_folder_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)

    PulseWriter().beat("Bag")

    assert pulse_path() == Path("/run/fmnist-edge/status.json")
    assert read_pulse() is None


def test_a_folder_that_has_gone_does_not_end_the_service(folder: Path) -> None:
    writer = PulseWriter()
    folder.rmdir()

    writer.beat("Bag")

    assert read_pulse() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"began": 1, "at": 2}', '{"began": "x", "at": 2, "says": "Bag"}'])
def test_what_is_damaged_says_nothing(text: str, folder: Path) -> None:
    (folder / "status.json").write_text(text)

    assert read_pulse() is None


def test_numbers_that_are_whole_are_times_too(folder: Path) -> None:
    (folder / "status.json").write_text(json.dumps({"began": 1, "at": 2, "says": "Bag", "more": 0}))

    assert read_pulse() == Pulse(1.0, 2.0, "Bag")
