"""The camera's service says in a file how it goes; `fmnist-edge status` reads it. It lies in memory and ends with the service."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fmnist_edge.files import replacing

INTERVAL = 1.0
"""Seconds, at least, from one writing to the next."""

FOLDER = "/run/fmnist-edge"
"""What systemd makes of the unit's ``RuntimeDirectory=fmnist-edge``, and tells the service in $RUNTIME_DIRECTORY."""


@dataclass(frozen=True)
class Pulse:
    """When the service began, when it said this, and what: the label. In seconds that no setting of the clock changes."""

    began: float
    at: float
    says: str


class PulseWriter:
    """For the service. Writes nothing where systemd made no folder for it."""

    def __init__(self) -> None:
        self._path = pulse_path() if os.environ.get("RUNTIME_DIRECTORY") else None
        self._began, self._beat_at = time.monotonic(), -float("inf")

    def beat(self, says: str) -> None:
        """To be called often."""
        now = time.monotonic()
        if self._path is None or now - self._beat_at < INTERVAL:
            return
        self._beat_at = now
        with suppress(OSError), replacing(self._path) as part:  # what is watched must not hang on who watches
            part.write_text(json.dumps(asdict(Pulse(self._began, now, says))))


def read_pulse() -> Pulse | None:
    """The service's; None if none is running, or it says nothing."""
    try:
        said = json.loads(pulse_path().read_text())
        return Pulse(float(said["began"]), float(said["at"]), str(said["says"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def pulse_path() -> Path:
    return Path(os.environ.get("RUNTIME_DIRECTORY") or FOLDER, "status.json")
