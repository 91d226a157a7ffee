"""The state of the camera's service, in a file that `fmnist-edge status` reads. It is in memory and ends with the service."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fmnist_edge.files import replacing

INTERVAL = 1.0
"""Least time, in seconds, between two writes."""

FOLDER = "/run/fmnist-edge"
"""The folder that systemd creates for the unit's ``RuntimeDirectory=fmnist-edge``; the service gets it in $RUNTIME_DIRECTORY."""


@dataclass(frozen=True)
class Pulse:
    """When the service started, when this was written, and the label. Times are seconds of the monotonic clock."""

    began: float
    at: float
    says: str


class PulseWriter:
    """Used by the service. Writes nothing if systemd created no folder for it."""

    def __init__(self) -> None:
        self._path = pulse_path() if os.environ.get("RUNTIME_DIRECTORY") else None
        self._began, self._beat_at = time.monotonic(), -float("inf")

    def beat(self, says: str) -> None:
        """Call it often."""
        now = time.monotonic()
        if self._path is None or now - self._beat_at < INTERVAL:
            return
        self._beat_at = now
        with suppress(OSError), replacing(self._path) as part:  # the service must not depend on who watches it
            part.write_text(json.dumps(asdict(Pulse(self._began, now, says))))


def read_pulse() -> Pulse | None:
    """The service's last state; None if no service runs."""
    try:
        said = json.loads(pulse_path().read_text())
        return Pulse(float(said["began"]), float(said["at"]), str(said["says"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def pulse_path() -> Path:
    return Path(os.environ.get("RUNTIME_DIRECTORY") or FOLDER, "status.json")
