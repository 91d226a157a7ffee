"""The state of this device: the model, its signature, whether it computes correctly, and what the camera's service saw last."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fmnist_edge.bundle.golden import verify
from fmnist_edge.bundle.model import read_model
from fmnist_edge.bundle.untrusted import configured_keys
from fmnist_edge.checksum import sha256
from fmnist_edge.device.board import health
from fmnist_edge.errors import FmnistEdgeError, SignatureError
from fmnist_edge.live.pulse import read_pulse

OF_THE_MODEL = ("model", "sha256", "signature", "verified")

NOT_SET_UP = {
    "signature": "no key is configured: any model may run",
    "verified": "not tried",
    "uptime_s": "the camera's service is not running",
    "label": "the camera's service is not running",
    "temperature_c": "this machine does not report it",
    "problem": "none",
}
"""The text for None."""

SILENCE = 30
"""Seconds of silence after which the service counts as stuck, as for its watchdog."""


def examine(model: Path | None) -> dict[str, Any]:
    """As `--json` prints it; None where a value can't be known. model: the built-in one if None.

    ``signature``: valid, refused, or None if no key is configured. ``verified``: whether `verify` holds. ``uptime_s``, ``label``:
    of the camera's service. ``problem``: the first that there is, in a line.
    """
    found: dict[str, Any] = dict.fromkeys(OF_THE_MODEL)
    problem = None
    try:
        path, content, _ = read_model(model)
        found |= {"model": str(path), "sha256": sha256(content).hexdigest(), "signature": configured_keys() and "valid"}
        verdict = verify(path)
        found["verified"] = verdict.holds
        problem = None if verdict.holds else verdict.complaint
    except FmnistEdgeError as error:
        problem = str(error)
        if isinstance(error, SignatureError):
            found["signature"] = "refused"
    pulse, now = read_pulse(), time.monotonic()
    if pulse and now - pulse.at > SILENCE:
        problem = problem or f"the camera's service has said nothing for {now - pulse.at:.0f} seconds; see its journal"
    return {
        "version": version("fmnist-edge"),
        **found,
        "uptime_s": round(now - pulse.began) if pulse else None,
        "label": pulse.says if pulse else None,
        "temperature_c": health()["temperature_c"],
        "problem": problem,
    }


def to_lines(status: dict[str, Any]) -> list[str]:
    """Text for people, with the reason where a value is not known."""
    unread = dict.fromkeys(OF_THE_MODEL, "not known: there is a problem") if status["sha256"] is None else {}
    return [f"{name:15}{(NOT_SET_UP | unread)[name] if value is None else value}" for name, value in status.items()]
