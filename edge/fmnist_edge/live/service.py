"""Signals, and systemd's notify protocol (sd_notify(3)), for a command that runs for months."""

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
    """SIGINT and SIGTERM ask the command to end, SIGUSR1 is a request; the command checks for them.

    A second signal gets the default handler.
    """

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
    """Reports to systemd; does nothing if that is not wanted, or nobody listens."""

    def __init__(self, wanted: bool) -> None:
        self._address = re.sub("^@", "\0", os.environ.get("NOTIFY_SOCKET", "")) if wanted else ""
        for_us = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        timeout = os.environ.get("WATCHDOG_USEC", "") if for_us else ""
        # twice in the watchdog's timeout, as sd_watchdog_enabled(3) advises
        self._interval = int(timeout) / 2e6 if timeout.isdecimal() else math.inf
        self._beat_at = 0.0
        self._said: dict[str, str] = {}
        self._pulse = PulseWriter()

    def say(self, name: str, value: str = "1") -> None:
        """Sends READY, STOPPING, or STATUS (a line that `systemctl status` shows), unless it is unchanged."""
        if self._said.get(name) != value:
            self._said[name] = value
            self._send(f"{name}={value}")

    def alive(self) -> None:
        """Call it often while all is well: it reports to the watchdog and `fmnist-edge status` as often as they need."""
        if time.monotonic() - self._beat_at >= self._interval:
            self._beat_at = time.monotonic()
            self._send("WATCHDOG=1")
        self._pulse.beat(self._said.get("STATUS", ""))

    def _send(self, message: str) -> None:
        if self._address:
            # without waiting, and ignoring failures: the service must not depend on who watches it
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
