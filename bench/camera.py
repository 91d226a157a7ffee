"""What the camera costs over ten minutes, and what it looks like on a terminal."""

import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from fcntl import ioctl
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.device import COMMAND

SECONDS, SETTLED = 600, 60
"""How long it is watched, and from when on its memory is to stay."""

SHOWN = "fmnist-edge camera --source docs/clothes.mp4 --empty-scene"

BARE = """
import sys, time
import av

with av.open(sys.argv[1], format=sys.argv[2] if len(sys.argv) > 2 else None) as container:
    for number, frame in enumerate(container.decode(video=0), start=1):
        if number == 1000:
            break
print(1000 * time.process_time() / number)
"""
"""Milliseconds of processor time for a frame that is only decoded."""

STILL = 1000
"""Frames of a film in which nothing changes."""


def measure_camera() -> dict[str, Any]:
    return {"load": load(), "still": still(), "session": session()}


def still() -> dict[str, float]:
    """Milliseconds of processor time for a frame that gets an answer though nothing has changed, and to decode it alone."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "still.mkv"  # of MJPEG, since other codecs refine what they show
        with av.open(film, "w") as container:
            stream: Any = container.add_stream("mjpeg", 30)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
            picture = (
                np.random.default_rng(0).normal(128, 40, (30, 40, 3)).clip(0, 255).astype(np.uint8).repeat(16, 0).repeat(16, 1)
            )
            for _ in range(STILL):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        bare = float(subprocess.run([sys.executable, "-c", BARE, film], capture_output=True, text=True, check=True).stdout)
        options = ["--source", str(film), "--fast", "--idle-fps", "30", "--json"]
        done = subprocess.run([COMMAND, "camera", *options], capture_output=True, text=True, check=True)
    found = re.search(r"CPU ([\d.]+) ms", done.stderr)
    assert found, done.stderr
    return {**cost(float(found[1]), bare), "results": len(done.stdout.splitlines())}


def cost(ours: float, bare: float) -> dict[str, float]:
    """Of a frame, beside that of decoding it alone."""
    return {"cpu_ms_per_frame": ours, "bare_decode_ms_per_frame": bare, "ratio": ours / bare}


def load() -> dict[str, float]:
    """Ten minutes of FFmpeg's test picture at 640x480 and 30 frames a second, as JSON Lines into a pipe."""
    source = ["testsrc=size=640x480:rate=30", "lavfi"]
    bare = float(subprocess.run([sys.executable, "-c", BARE, *source], capture_output=True, text=True, check=True).stdout)
    options = ["--source", "test", "--fps", "30", "--idle-fps", "30", "--seconds", str(SECONDS)]
    with subprocess.Popen([COMMAND, "camera", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        began, memory = time.monotonic(), []
        for _ in process.stdout:
            if time.monotonic() - began > SETTLED:
                memory.append(resident_mb(process.pid))
        summary = process.stderr.read().splitlines()[-1]
    numbers = r"(\d+) frames .* (\d+) dropped, (\d+) results, age p50 (\d+) ms, p99 (\d+) ms, CPU ([\d.]+) ms"
    found = re.search(numbers, summary)
    assert found, summary
    frames, dropped, results, p50, p99, cpu = map(float, found.groups())
    return {
        "seconds": SECONDS,
        "frames": frames,
        "dropped": dropped,
        "results": results,
        "age_p50_ms": p50,
        "age_p99_ms": p99,
        **cost(cpu, bare),
        "memory_mb": max(memory),
        "memory_growth_mb": max(memory) - memory[0],
    }


def resident_mb(process: int) -> float:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def session() -> list[str]:
    """What a terminal of 100 columns shows of a film: a line of each label, though one took the other's place."""
    ours, theirs = os.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    arguments = SHOWN.split()[1:]
    written = b""
    with subprocess.Popen([COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        with suppress(OSError):  # the terminal's end, when the command has ended
            while piece := os.read(ours, 10_000):
                written += piece
    os.close(ours)
    lines = [line.strip() for line in re.split(r"[\r\n]+", written.decode().replace("\033[K", "")) if line.strip()]
    by_label = [list(same) for _, same in groupby(lines, key=label)]
    return [same[len(same) // 2] for same in by_label]


def label(line: str) -> str:
    """A message stands by itself."""
    return line if line.startswith("fmnist-edge:") else re.split(r"\?? {2,}|\?? >?[\d.]{4} ", line)[0]


def describe_camera(result: dict[str, Any]) -> str:
    load, still = result["load"], result["still"]
    return (
        f"The camera, for {load['seconds'] / 60:.0f} minutes at 640x480 and 30 frames a second, each that it gets classified: "
        f"{load['cpu_ms_per_frame']:.1f} ms of processor time\nfor a frame (to decode it alone: "
        f"{load['bare_decode_ms_per_frame']:.1f}), {load['dropped']:.0f} of {load['frames']:.0f} dropped; "
        f"a frame's age when its result is printed: {load['age_p50_ms']:.0f} ms\n(median), {load['age_p99_ms']:.0f} (p99); "
        f"memory {load['memory_mb']:.0f} MB, after the first minute {load['memory_growth_mb']:+.1f}.\n"
        f"A frame in which nothing has changed: {still['cpu_ms_per_frame']:.1f} ms (to decode it alone: "
        f"{still['bare_decode_ms_per_frame']:.1f}).\n"
    )
