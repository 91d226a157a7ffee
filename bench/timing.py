"""Weighs and times artifacts in one runtime, in a fresh process of any environment that has numpy and Pillow.

`python -m bench.timing weigh RUNTIME FILE`, `... race RUNTIME FILE...` and `... numpy RUNTIME FILE` print JSON.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bare_runtimes import RUNTIMES, open_bare
from fmnist_edge.contract import to_input
from fmnist_edge.runtimes.numpy_alone import NumpySession
from fmnist_edge.runtimes.onnx import OnnxSession
from fmnist_edge.runtimes.session import Session
from fmnist_edge.runtimes.tflite import TFLITE_RUNTIMES, TFLiteSession
from fmnist_edge.terminal import quiet_stderr

BATCHES = (1, 64, 256, 1024)
CALLS = {1: 20, 10: 5, 64: 1, 256: 1, 1024: 1}  # in a row: a turn is so short that it is seldom interrupted
VIEWS = 10  # of a photo: what is asked of numpy then, too
SECONDS = 1.0  # for each batch size and each competitor


def weigh(runtime: str, file: str) -> dict[str, float | None]:
    """How long the file takes to open and to classify its first image, and how much memory the process then has more of.

    The time is without the import of the runtime, the memory with it.
    """
    content, values = Path(file).read_bytes(), to_input(tiles(1), dtype_of(file))
    package, _ = RUNTIMES[runtime]
    before = resident_bytes()
    with quiet_stderr():
        importlib.import_module(TFLITE_RUNTIMES.get(package, package))
    began = time.perf_counter()
    open_bare(runtime, content)(values)
    milliseconds = 1000 * (time.perf_counter() - began)
    after = resident_bytes()
    return {"load_ms": milliseconds, "memory_mb": (after - before) / 1e6 if before and after else None}


def race(runtime: str, *files: str) -> dict[str, dict[str, Any]]:
    """Of each file, by batch size: µs per image of the bare runtime, and how many times as long fmnist_edge takes.

    All take turns, so that what disturbs the machine disturbs all of them. Times are those of the fastest tenth of the turns,
    ratios the median of turns that follow each other. The ratio is None for kernels that fmnist_edge does not choose.
    """
    contents = {file: Path(file).read_bytes() for file in files}
    bare = {file: open_bare(runtime, content) for file, content in contents.items()}
    ours = {file: session for file, content in contents.items() if (session := open_session(runtime, content))}
    results: dict[str, dict[str, Any]] = {file: {"us_per_image": {}, "ratio": {}} for file in files}
    for batch in BATCHES:
        pictures = tiles(batch)
        competitors: list[tuple[Callable[[Any], Any], NDArray[Any]]] = []
        for file in files:
            competitors.append((bare[file], to_input(pictures, dtype_of(file))))
            competitors += [(ours[file].probabilities, pictures)] if file in ours else []
        turns = take_turns(competitors, CALLS[batch]) / batch
        for number, file in enumerate(files):
            first = number * (2 if ours else 1)
            results[file]["us_per_image"][batch] = float(np.quantile(turns[first], 0.1))
            results[file]["ratio"][batch] = float(np.median(turns[first + 1] / turns[first])) if ours else None
    return results


def race_numpy(runtime: str, file: str) -> dict[int, float]:
    """By batch size: how many times as long as the runtime numpy alone takes for an int8 file, both in our sessions."""
    content = Path(file).read_bytes()
    competitors: list[Session] = [TFLiteSession(content, runtime=RUNTIMES[runtime][0]), NumpySession(content)]
    ratios = {}
    for batch in (1, VIEWS, *BATCHES[1:]):
        pictures = tiles(batch)
        theirs, ours = take_turns([(session.probabilities, pictures) for session in competitors], CALLS[batch])
        ratios[batch] = float(np.median(ours / theirs))
    return ratios


def take_turns(competitors: list[tuple[Callable[[Any], Any], NDArray[Any]]], calls: int) -> NDArray[np.float64]:
    """Microseconds of one call: (competitors, turns)."""
    for call, values in competitors:
        call(values)
    turns: list[list[float]] = []
    end = time.perf_counter() + SECONDS * len(competitors)
    while time.perf_counter() < end or len(turns) < 10:
        turn = []
        for call, values in competitors:
            began = time.perf_counter_ns()
            for _ in range(calls):
                call(values)
            turn.append((time.perf_counter_ns() - began) / calls / 1000)
        turns.append(turn)
    return np.array(turns).T


def open_session(runtime: str, content: bytes) -> Session | None:
    """fmnist_edge's own session; None for kernels that it does not choose."""
    package, kernels = RUNTIMES[runtime]
    with quiet_stderr():
        if kernels == "AUTO":
            return TFLiteSession(content, runtime=package)
        return OnnxSession(content) if kernels == "ORT_ENABLE_ALL" else None


def tiles(count: int) -> NDArray[np.uint8]:
    """Any pixels will do: none of the runtimes looks at them."""
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def dtype_of(file: str) -> np.dtype[Any]:
    return np.dtype("int8" if "int8" in Path(file).name else "float32")


def resident_bytes() -> int:
    """Memory that this process has now; 0 where there is no /proc to say it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    jobs: dict[str, Callable[..., Any]] = {"weigh": weigh, "race": race, "numpy": race_numpy}
    print(json.dumps(jobs[job](*arguments)))
