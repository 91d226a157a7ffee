"""How is this device? What runs, whether it may, whether it computes rightly, and what the camera's service saw last."""

import re
import subprocess
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fmnist_edge.errors import FmnistEdgeError, SignatureError
from fmnist_edge.model import configured_keys, read_description
from fmnist_edge.pulse import read_pulse
from fmnist_edge.runtime import quiet_stderr
from fmnist_edge.verify import verify

SILENCE = 30
"""Seconds without a word of the service that are too many: its watchdog's."""

THROTTLING = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""What bits 0 to 3 of `vcgencmd get_throttled` say of now, and bits 16 to 19 of before. Source: Raspberry Pi documentation."""


def examine(model: Path | None) -> dict[str, Any]:
    """As `--json` prints it; None stands for what can't be known. model: the built-in one if None.

    ``signature``: valid, refused, or None if no key is configured. ``verified``: whether `verify` holds. ``uptime_s``, ``label``:
    of the camera's service. ``problem``: the first that there is, in a line.
    """
    found: dict[str, Any] = dict.fromkeys(("model", "sha256", "signature", "verified"))
    problem = None
    try:
        path, content, _ = read_description(model)
        found |= {"model": str(path), "sha256": sha256(content).hexdigest(), "signature": configured_keys() and "valid"}
        with quiet_stderr():
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


def health() -> dict[str, Any]:
    """The processor's temperature in degrees Celsius, and what slows it down, in words; None where that can't be known."""
    degrees = re.search(r"temp=([\d.]+)", vcgencmd("measure_temp"))
    flags = re.search(r"throttled=0x([0-9a-fA-F]+)", vcgencmd("get_throttled"))
    return {
        "temperature_c": float(degrees[1]) if degrees else kernel_temperature(),
        "throttled": in_words(int(flags[1], 16)) if flags else None,
    }


def vcgencmd(question: str) -> str:
    try:
        return subprocess.run(["vcgencmd", question], capture_output=True, text=True, errors="replace", timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def kernel_temperature() -> float | None:
    try:
        return int(Path("/sys/class/thermal/thermal_zone0/temp").read_text()) / 1000
    except (OSError, ValueError):
        return None


def in_words(flags: int) -> list[str]:
    now = [f"{reason} now" for bit, reason in enumerate(THROTTLING) if flags >> bit & 1]
    return now + [f"{reason} earlier" for bit, reason in enumerate(THROTTLING) if flags >> bit & 0x10001 == 0x10000]


def to_lines(status: dict[str, Any]) -> list[str]:
    """For people."""
    return [f"{name:15}{'-' if value is None else value}" for name, value in status.items()]
