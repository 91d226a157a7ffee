"""Signals, and systemd's notify protocol (sd_notify(3)): what a command hears and says that runs for months."""

import math
import os
import re
import signal
import socket
import time
from contextlib import suppress
from types import FrameType

from fmnist_edge.live.pulse import PulseWriter


class Signals:
    """SIGINT and SIGTERM are wishes to end, SIGUSR1 is a request; the command looks for them. A second wish is an order."""

    def __init__(self) -> None:
        self.ending: int | None = None
        self.requested = False
        self._before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.signal(signal.SIGUSR1, self._request)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ending = number
        signal.signal(number, self._before[signal.Signals(number)])

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


class Systemd:
    """Tells systemd how it goes; nothing if that is not wanted, or where nobody listens."""

    def __init__(self, wanted: bool) -> None:
        self._address = re.sub("^@", "\0", os.environ.get("NOTIFY_SOCKET", "")) if wanted else ""
        for_us = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        timeout = os.environ.get("WATCHDOG_USEC", "") if for_us else ""
        # twice in the time that the watchdog waits, as sd_watchdog_enabled(3) advises
        self._interval = int(timeout) / 2e6 if timeout.isdecimal() else math.inf
        self._beat_at = 0.0
        self._said: dict[str, str] = {}
        self._pulse = PulseWriter()

    def say(self, name: str, value: str = "1") -> None:
        """READY, STOPPING, or STATUS, a line that `systemctl status` shows; unless it was said already, and is still so."""
        if self._said.get(name) != value:
            self._said[name] = value
            self._send(f"{name}={value}")

    def alive(self) -> None:
        """To be called often while all is well: the watchdog, and `fmnist-edge status`, hear of it as often as they want to."""
        if time.monotonic() - self._beat_at >= self._interval:
            self._beat_at = time.monotonic()
            self._send("WATCHDOG=1")
        self._pulse.beat(self._said.get("STATUS", ""))

    def _send(self, message: str) -> None:
        if self._address:
            # without waiting, and whatever comes of it: what is watched must not hang on who watches
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
