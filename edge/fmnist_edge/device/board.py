"""The board's name, temperature and throttling, and the peak memory of this process."""

import platform
import re
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

THROTTLING = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of `vcgencmd get_throttled` for now, and bits 16 to 19 for earlier. Source: Raspberry Pi documentation."""


def health() -> dict[str, Any]:
    """The processor's temperature in degrees Celsius, and the reasons for throttling in words; None where not known."""
    degrees = re.search(r"temp=([\d.]+)", vcgencmd("measure_temp"))
    flags = re.search(r"throttled=0x([0-9a-fA-F]+)", vcgencmd("get_throttled"))
    return {
        "temperature_c": float(degrees[1]) if degrees else kernel_temperature(),
        "throttled": throttling_reasons(int(flags[1], 16)) if flags else None,
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


def throttling_reasons(flags: int) -> list[str]:
    now = [f"{reason} now" for bit, reason in enumerate(THROTTLING) if flags >> bit & 1]
    return now + [f"{reason} earlier" for bit, reason in enumerate(THROTTLING) if flags >> bit & 0x10001 == 0x10000]


def machine() -> str:
    """The board's name if the system knows it, as on a Pi; otherwise the processor's."""
    try:
        return Path("/proc/device-tree/model").read_text("utf-8").rstrip("\0")
    except (OSError, ValueError):
        return platform.machine()


def peak_memory() -> float:
    """The most MB that this process has used so far."""
    with suppress(OSError):  # only on Linux, where ru_maxrss would count the memory of the process that started this one
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return int(found[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
