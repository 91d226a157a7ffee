"""Signals, and systemd's notify protocol (sd_notify(3)): what a command hears and says that runs for months."""

import os
import signal
import socket
import time
from contextlib import suppress
from types import FrameType, TracebackType

from fmnist_edge.pulse import PulseWriter

BEATS = 2
"""Signs of life in the time that the watchdog waits for one; sd_watchdog_enabled(3) advises it."""


class Signals:
    """SIGINT and SIGTERM are wishes to end, SIGUSR1 is a request; the command looks for them. A second wish is an order."""

    def __init__(self) -> None:
        self.ending: int | None = None
        self._requested = False

    def __enter__(self) -> "Signals":
        handlers = {signal.SIGINT: self._end, signal.SIGTERM: self._end, signal.SIGUSR1: self._request}
        self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ending = number
        signal.signal(number, self._before[signal.Signals(number)])

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = True

    def take_request(self) -> bool:
        """Whether SIGUSR1 came since the last call."""
        requested, self._requested = self._requested, False
        return requested


class Systemd:
    """Tells systemd how it goes; nothing if that is not wanted, or where nobody listens."""

    def __init__(self, wanted: bool) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if wanted else ""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        for_us = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        timeout = os.environ.get("WATCHDOG_USEC", "") if for_us else ""
        self._interval = int(timeout) / 1e6 / BEATS if timeout.isdecimal() else None
        self._beat_at = -float("inf")
        self._said: set[str] = set()
        self._status = ""
        self._pulse = PulseWriter()

    def ready(self) -> None:
        self._once("READY=1")

    def stopping(self) -> None:
        self._once("STOPPING=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows; in one line."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """To be called often while all is well: the watchdog, and `fmnist-edge status`, hear of it as often as they want to."""
        if self._interval is not None and time.monotonic() - self._beat_at >= self._interval:
            self._beat_at = time.monotonic()
            self._send("WATCHDOG=1")
        self._pulse.beat(self._status)

    def _once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._send(message)

    def _send(self, message: str) -> None:
        if self._address:
            # without waiting, and whatever comes of it: what is watched must not hang on who watches
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
