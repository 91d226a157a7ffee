"""Signals, and what systemd hears, message by message."""

import math
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_edge.live.pulse import read_pulse
from fmnist_edge.live.service import Signals, Systemd


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_gets_its_old_handler(number: signal.Signals) -> None:
    came: list[int] = []
    signal.signal(number, lambda number, frame: came.append(number))
    signals = Signals()
    assert signals.ending is None

    os.kill(os.getpid(), number)
    assert (signals.ending, came) == (number, [])

    os.kill(os.getpid(), number)
    assert came == [number]


@pytest.mark.usefixtures("handlers")
def test_one_signal_leaves_the_other_as_it_is() -> None:
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    signals = Signals()

    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)

    assert (signals.ending, came) == (signal.SIGINT, [])


@pytest.mark.usefixtures("handlers")
def test_a_request_ends_nothing_and_can_come_again() -> None:
    signals = Signals()
    assert signals.requested is False

    for _ in range(2):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert (signals.requested, signals.ending) == (True, None)
        signals.requested = False


class Listener:
    """What systemd hears at an address."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(1000).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    listener = Listener(str(tmp_path / "notify"))
    yield listener
    listener.close()


def test_each_state_is_said_once_until_it_changes(listener: Listener) -> None:
    systemd = Systemd(wanted=True)
    for name, value in (
        ("STATUS", "Bag"),
        ("READY", "1"),
        ("STATUS", "Bag"),
        ("READY", "1"),
        ("STATUS", "Coat"),
        ("STATUS", "Bag"),
    ):
        systemd.say(name, value)
    systemd.say("STOPPING")

    assert listener.heard() == ["STATUS=Bag", "READY=1", "STATUS=Coat", "STATUS=Bag", "STOPPING=1"]


def test_if_it_is_not_wanted_nothing_is_said(listener: Listener) -> None:
    Systemd(wanted=False).say("READY")

    assert listener.heard() == []


def test_an_abstract_address_will_do(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    abstract = Listener(f"\0fmnist@edge-{os.getpid()}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@fmnist@edge-{os.getpid()}")

    Systemd(wanted=True).say("READY")

    assert abstract.heard() == ["READY=1"]
    abstract.close()


@pytest.mark.parametrize("address", [None, "", "/nowhere/notify"])
def test_where_nobody_listens_nothing_ends(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)

    Systemd(wanted=True).say("READY")


def test_a_systemd_that_does_not_read_is_not_waited_for(listener: Listener) -> None:
    systemd = Systemd(wanted=True)

    for number in range(2000):
        systemd.say("STATUS", f"{number} {'x' * 500}")

    assert 0 < len(listener.heard()) < 2000


def beats(systemd: Systemd, listener: Listener, times: list[float], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the watchdog heard of each time."""
    heard = []
    for now in times:
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        systemd.alive()
        heard.append("WATCHDOG=1" in listener.heard())
    return heard


@pytest.mark.parametrize("pid", ["", "ours"])
def test_the_watchdog_hears_twice_in_its_time(pid: str, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid else "")

    heard = beats(Systemd(wanted=True), listener, [100, 101, 101.49, 101.5, 102.9, 103], monkeypatch)

    assert heard == [True, False, False, True, False, True]


@pytest.mark.parametrize(("timeout", "pid"), [("3000000", "1"), ("", ""), ("soon", ""), ("-1", "")])
def test_a_watchdog_that_is_anothers_or_none_hears_nothing(
    timeout: str, pid: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", timeout)
    monkeypatch.setenv("WATCHDOG_PID", pid)

    assert beats(Systemd(wanted=True), listener, [100, 1000, math.nextafter(2**53, 0)], monkeypatch) == [False] * 3


def test_status_hears_the_label_as_well(listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    systemd = Systemd(wanted=False)
    systemd.say("STATUS", "Bag")
    systemd.alive()

    pulse = read_pulse()
    assert pulse is not None
    assert pulse.says == "Bag"


def test_before_there_is_a_label_status_hears_none(listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    Systemd(wanted=False).alive()

    pulse = read_pulse()
    assert pulse is not None
    assert pulse.says == ""
