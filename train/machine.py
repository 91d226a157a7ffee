"""What a machine is called: a benchmark names it, and the study compares only times of the same one."""

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name where the system tells it, or else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
