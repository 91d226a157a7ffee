"""How `fmnist-edge` compares with the least that could do its work: for `make bench`.

Each pair takes turns, so that what disturbs the machine disturbs both; ratios are medians over the turns.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.errors import ExportError
from fmnist_edge.device.bench import draw_photo
from fmnist_edge.pictures.decode import WORKING_EDGE
from fmnist_edge.pictures.tile import look, read_picture

MEGAPIXELS = (1, 2, 4, 8, 12)
TURNS = 15

COMMAND = Path(sys.executable).with_name("fmnist-edge")

BARE = """
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path="models/fmnist-int8.tflite", num_threads=1)
interpreter.allocate_tensors()
tile = np.asarray(Image.open("docs/shoe.png"))
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (tile[None].astype(np.int16) - 128).astype(np.int8))
interpreter.invoke()
print(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).argmax())
"""
"""What a script must do to classify a tile, and no more."""

RUN = """
import json, os, sys, time

quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
began = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(process, 0)
print(json.dumps([status, time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)]))
"""
"""Runs a command from a small process: Linux counts the memory of who starts a process as that process's, too."""


def measure_device() -> dict[str, Any]:
    return {"tile": tile_cost(), "start": start_cost()}


def tile_cost() -> dict[str, Any]:
    """Milliseconds of processor time: of a tile, by the megapixels of the decoded photo, and from a JPEG of 12 megapixels.

    ``ratio`` is to bare decoding, at the scale at which the tile's photo is decoded.
    """
    tile_ms: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        for megapixels in MEGAPIXELS:
            draw_photo(path, megapixels)
            with Image.open(path) as photo:
                photo.load()
                tile_ms[str(megapixels)] = float(np.median(run_in_turns(partial(cpu_ms, partial(look, photo)))))
        turns = run_in_turns(partial(cpu_ms, partial(decode, path)), partial(cpu_ms, partial(read_picture, path)))
    bare_ms, ours_ms = np.median(turns, axis=1)
    ratio = float(np.median(turns[1] / turns[0]))
    return {"ms": tile_ms, "decode_ms": float(bare_ms), "decode_and_tile_ms": float(ours_ms), "ratio": ratio}


def start_cost() -> dict[str, Any]:
    """Seconds and MB that `fmnist-edge classify docs/shoe.png` takes from a cold start, and their ratios to a bare script's."""
    turns = run_in_turns(partial(run, sys.executable, "-c", BARE), partial(run, COMMAND, "classify", "docs/shoe.png"))
    (bare_seconds, bare_mb), (seconds, mb) = np.median(turns, axis=1).tolist()
    seconds_ratio, mb_ratio = np.median(turns[1] / turns[0], axis=0).tolist()
    return {
        "seconds": seconds,
        "bare_seconds": bare_seconds,
        "seconds_ratio": seconds_ratio,
        "mb": mb,
        "bare_mb": bare_mb,
        "mb_ratio": mb_ratio,
    }


def run_in_turns(*competitors: Callable[[], Any], turns: int = TURNS) -> NDArray[np.float64]:
    """What each returns, a number or several: (competitors, turns) or (competitors, turns, numbers). The first turn is lost."""
    return np.array([[call() for call in competitors] for _ in range(turns + 1)][1:]).swapaxes(0, 1)


def cpu_ms(call: Callable[[], object]) -> float:
    began = time.process_time_ns()
    call()
    return (time.process_time_ns() - began) / 1e6


def decode(path: Path) -> None:
    with Image.open(path) as image:
        image.draft(None, (WORKING_EDGE, WORKING_EDGE))
        image.load()


def run(*command: str | Path) -> tuple[float, float]:
    """Seconds, and MB at most, of a command. Raises ExportError if it fails."""
    # what is installed has its bytecode, and gets it in the first turn
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-I", "-S", "-c", RUN, *command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise ExportError(f"{command[0]} can't be measured: {(done.stderr.splitlines() or ['it was killed'])[-1]}")
    status, seconds, peak = json.loads(done.stdout)
    if status != 0:
        raise ExportError(f"{command[0]} can't be measured: it fails")
    return seconds, peak / 1e6


def describe_device(result: dict[str, Any]) -> str:
    tile, start = result["tile"], result["start"]
    sizes = ", ".join(f"{milliseconds:.1f} at {megapixels}" for megapixels, milliseconds in tile["ms"].items())
    return (
        f"The tile of a decoded photo takes so many ms of processor time, by its megapixels: {sizes}.\n"
        f"With decoding, from a JPEG of 12: {tile['decode_and_tile_ms']:.0f} ms, {tile['ratio']:.2f} times bare decoding.\n"
        f"`fmnist-edge classify docs/shoe.png`, from start to end: {start['seconds']:.2f} s and {start['mb']:.0f} MB,\n"
        f"{start['seconds_ratio']:.2f} and {start['mb_ratio']:.2f} times what a bare script takes.\n"
    )
