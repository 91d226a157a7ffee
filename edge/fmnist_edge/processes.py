"""Other Python processes of ours, with pipes to them: for what may crash, and for what goes on beside us. How many may be?"""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

MOST = 4
"""Processes at once, unless somebody asks for more: a Pi has four cores."""

MEGABYTES = 256
"""That one needs for the largest photo that is read: 64 million pixels of three bytes, and what it imports."""


def start(call: str) -> Popen[bytes]:
    """Starts a process that runs a function of ours, named as ``module:function(arguments)``. Raises OSError."""
    module, _, function = call.partition(":")
    # it finds the modules that we found; with -m it would look into the working directory first
    path = f"import sys; sys.path[:] = {list(map(str, sys.path))}"
    program = f"{path}; from {module} import {function.partition('(')[0]}; {function}"
    # in a session of its own: Ctrl-C is for us, who still have to print what is done
    return Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True)


def stop(process: Popen[bytes]) -> None:
    with suppress(OSError), process:
        process.kill()


def pipes() -> tuple[int, int]:
    """In such a process: where requests come from, and where replies go. What is printed from now on is no reply."""
    requests, replies = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    return requests, replies


def worthwhile() -> int:
    """How many can work at once on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return room_for(cores, available_megabytes())


def room_for(cores: int, megabytes: int | None) -> int:
    """As many as there are cores and memory for, at most MOST."""
    return max(1, min(MOST, cores, MOST if megabytes is None else megabytes // MEGABYTES))


def available_megabytes() -> int | None:
    """Memory that programs can still get; None where the system does not tell."""
    try:
        found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) // 1024 if found else None
