"""What a Pi tells of itself, read from files and programs like its own."""

import os
from pathlib import Path

import pytest

from fmnist_edge import processes
from fmnist_edge.device import board, doctor
from fmnist_edge.device.board import health, kernel_temperature, machine, peak_memory, throttling_reasons
from fmnist_edge.device.doctor import look_at_memory


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system's files, none at first, and no programs."""
    for module in (board, doctor, processes):
        monkeypatch.setattr(module, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def vcgencmd(root: Path, text: str) -> None:
    write(root, "bin/vcgencmd", f"#!/bin/sh\n{text}\n")
    (root / "bin" / "vcgencmd").chmod(0o755)


@pytest.mark.parametrize(
    ("flags", "reasons"),
    [
        (0, []),
        (0x1, ["under-voltage now"]),
        (0x10000, ["under-voltage earlier"]),
        (0x10001, ["under-voltage now"]),  # which it was earlier, too
        (0x50005, ["under-voltage now", "throttled now"]),
        (0xA0000, ["frequency capped earlier", "soft temperature limit earlier"]),
        (0x80004, ["throttled now", "soft temperature limit earlier"]),
    ],
)
def test_flags_say_what_slows_a_pi_down_now_and_what_did_earlier(flags: int, reasons: list[str]) -> None:
    assert throttling_reasons(flags) == reasons


def test_a_pi_says_how_warm_it_is_and_what_slows_it_down(root: Path) -> None:
    vcgencmd(root, 'case $1 in measure_temp) echo "temp=48.3\'C" ;; get_throttled) echo throttled=0xa0000 ;; esac')

    assert health() == {"temperature_c": 48.3, "throttled": ["frequency capped earlier", "soft temperature limit earlier"]}


def test_elsewhere_the_kernel_knows_the_temperature(root: Path) -> None:
    write(root, "sys/class/thermal/thermal_zone0/temp", "48312\n")

    assert health() == {"temperature_c": 48.312, "throttled": None}


@pytest.mark.parametrize("text", ["", "unknown", None])
def test_what_nobody_knows_is_none(text: str | None, root: Path) -> None:
    if text is not None:
        write(root, "sys/class/thermal/thermal_zone0/temp", text)

    assert kernel_temperature() is None
    assert health() == {"temperature_c": None, "throttled": None}


def test_a_vcgencmd_that_hangs_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vcgencmd(root, "exec /bin/sleep 60")
    run = board.subprocess.run
    monkeypatch.setattr(
        board.subprocess, "run", lambda *command, timeout, **options: run(*command, timeout=timeout / 50, **options)
    )

    assert health()["throttled"] is None


def test_the_board_is_called_by_its_own_name(root: Path) -> None:
    assert machine() == os.uname().machine

    write(root, "proc/device-tree/model", "Raspberry Pi Zero 2 W Rev 1.0\0")
    assert machine() == "Raspberry Pi Zero 2 W Rev 1.0"


def test_memory_is_what_this_process_had_at_most_in_megabytes(root: Path) -> None:
    write(root, "proc/self/status", "Name:\tpython\nVmPeak:\t  900000 kB\nVmHWM:\t   50000 kB\nVmRSS:\t   40000 kB\n")

    assert peak_memory() == 51.2


def test_without_proc_memory_is_the_systems_own_figure(root: Path) -> None:
    assert 10 < peak_memory() < 100_000


@pytest.mark.parametrize(
    ("kilobytes", "finding"),
    [
        (100 * 1024, ("ok", "memory", "100 MB free")),
        (100 * 1024 - 1, ("note", "memory", "99 MB free; classifying needs 100; close other programs")),
        (3_500_000, ("ok", "memory", "3,417 MB free")),
    ],
)
def test_the_doctor_says_whether_there_is_memory_enough(kilobytes: int, finding: tuple[str, str, str], root: Path) -> None:
    write(root, "proc/meminfo", f"MemTotal:        4000000 kB\nMemFree:          1000 kB\nMemAvailable:   {kilobytes} kB\n")

    assert look_at_memory() == finding


def test_where_memory_is_not_told_it_is_unknown(root: Path) -> None:
    assert look_at_memory() == ("ok", "memory", "unknown")
