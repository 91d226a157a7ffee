"""How fast this device is: each step from a photo's file to a prediction, threads, memory, temperature and throttling.

`python -m fmnist_edge.device.bench FILE` draws the photo that is used when none is named.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from fmnist_edge.bundle.model import default_model, open_model
from fmnist_edge.classifier import BATCH, Classifier
from fmnist_edge.contract import TILE_SIZE, ten_views
from fmnist_edge.device.board import health, machine, peak_memory
from fmnist_edge.errors import FmnistEdgeError, RuntimeUnavailableError
from fmnist_edge.pictures.decode import read_image
from fmnist_edge.pictures.tile import look
from fmnist_edge.runtimes.formats import format_of
from fmnist_edge.terminal import quiet_stderr

Times = dict[str, float]
"""p50_ms, p90_ms and p99_ms of a call, and images_per_second."""

CALLS = (10, 20_000)
"""The least and the most repetitions of a step: enough for p99, and too few to matter for the memory."""


def measure(
    model: Path | None, photo: Path | None, threads: int | None, seconds: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Everything, as `--json` prints it; None where this device does not report a value.

    model, photo: the built-in model and a drawn photo if None. threads: 1 to so many are tried. seconds: for each step, about.
    tell: gets the number and name of each step before it is measured, once model and photo are known to be good. Raises
    InputError for the photo, ModelError or RuntimeUnavailableError for the model.
    """
    path, most_threads = model or default_model(), threads or min(4, os.cpu_count() or 1)
    before = health()
    import_ms = import_runtime(path)
    classifier = Classifier(path)
    if photo:
        classifier.classify(photo)
    numbers, steps_in_all = count(1), 6 + most_threads

    def begin(step: str) -> None:
        tell(f"{next(numbers)}/{steps_in_all} {step}")

    begin("model")
    load = time_calls(partial(open_model, path), seconds)
    with tempfile.TemporaryDirectory(prefix="fmnist-edge-") as folder:
        begin("photo")
        steps = time_steps(classifier, photo or draw_elsewhere(Path(folder) / "drawn.jpg"), seconds, begin)
    memory = peak_memory()
    tiles = np.random.default_rng(0).integers(0, 256, (BATCH, TILE_SIZE, TILE_SIZE), dtype=np.uint8)
    by_threads = {}
    for number in range(1, most_threads + 1):
        begin(f"{BATCH} tiles, threads: {number}")
        session = open_model(path, number).session
        by_threads[str(number)] = time_calls(partial(session.probabilities, tiles), seconds, BATCH)
    return {
        "model": path.name,
        "runtime": classifier.model.session.runtime,
        "python": platform.python_version(),
        "machine": machine(),
        "cores": os.cpu_count(),
        "photo": str(photo) if photo else None,
        "import_ms": import_ms,
        "load_ms": load["p50_ms"],
        "peak_memory_mb": memory,
        "steps": steps,
        "batch": BATCH,
        "threads": by_threads,
        "before": before,
        "after": health(),
    }


def time_steps(classifier: Classifier, photo: Path, seconds: float, begin: Callable[[str], None]) -> dict[str, Times]:
    """What it takes to decode the photo, to make its tile, to invoke the model with its views, and for all that from the file."""
    image = read_image(photo)
    view = look(image)
    tiles = ten_views(view.tile[None], classifier.photo_mark)[0] if view.kind == "photo" else view.tile[None]
    calls: dict[str, Callable[[], Any]] = {
        "decode": partial(read_image, photo),
        "tile": partial(look, image),
        "invoke": partial(classifier.model.session.probabilities, tiles),
        "file to prediction": partial(classifier.classify, photo),
    }
    steps = {}
    for step, call in calls.items():
        begin(step)
        steps[step] = time_calls(call, seconds)
    return steps


def time_calls(call: Callable[[], object], seconds: float, images: int = 1) -> Times:
    """images: the number that one call processes."""
    call()
    at_least, at_most = CALLS
    times: list[int] = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or (time.perf_counter() < end and len(times) < at_most):
        began = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - began)
    p50, p90, p99 = (float(value) / 1e6 for value in np.quantile(times, (0.5, 0.9, 0.99)))
    return {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "images_per_second": images * len(times) * 1e9 / sum(times)}


def import_runtime(model: Path) -> float:
    """Milliseconds. numpy is imported already."""
    began = time.perf_counter()
    with quiet_stderr(), suppress(RuntimeUnavailableError):  # opening the model says what to do
        format_of(model.suffix).load_runtime()
    return 1000 * (time.perf_counter() - began)


def draw_elsewhere(path: Path) -> Path:
    """Draws the photo in another process, so that its pixels don't count as this one's memory. Raises FmnistEdgeError."""
    done = subprocess.run([sys.executable, "-m", __name__, path], capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.splitlines() or ["killed"])[-1]
        raise FmnistEdgeError(f"no photo could be drawn ({reason}); name one with --photo")
    return path


def draw_photo(path: Path, megapixels: int = 12) -> None:
    """A shirt on a carpet, as a JPEG of shape 4:3, such as phones take: about 3 MB at 12 megapixels."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    size, unit = (width, width * 3 // 4), width / 40
    fibres = np.random.default_rng(0).normal(0, 25, (size[1] // 2, size[0] // 2, 1))
    carpet = (np.array((150, 130, 105)) + fibres).clip(0, 255).astype(np.uint8)
    photo = Image.fromarray(carpet).resize(size, Image.Resampling.BICUBIC)
    right = ((23, 7), (26, 6), (33, 11), (30, 15), (27, 13), (27, 25))
    left = tuple((40 - x, y) for x, y in reversed(right))
    ImageDraw.Draw(photo).polygon([(x * unit, y * unit) for x, y in right + left], (35, 45, 90))
    photo.save(path, "jpeg", quality=90)


def report(result: dict[str, Any]) -> str:
    """What ``measure`` found, for people."""
    lines = [
        f"{result['model']} in {result['runtime']}, Python {result['python']}, {result['machine']}, {result['cores']} cores",
        f"photo: {result['photo'] or 'a drawn JPEG of 12 megapixels'}",
        "",
        f"{'':20}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}{'images/s':>10}",
    ]
    batches = {
        f"{result['batch']} tiles, {count} thread{'s' * (count != '1')}": times for count, times in result["threads"].items()
    }
    for step, times in (result["steps"] | batches).items():
        p50, p90, p99, rate = times.values()
        lines.append(f"{step:20}{p50:10.3f}{p90:10.3f}{p99:10.3f}{rate:10.0f}")
    facts = {
        "runtime imported": f"{result['import_ms']:.1f} ms",
        "model opened": f"{result['load_ms']:.1f} ms",
        "peak memory": f"{result['peak_memory_mb']:.0f} MB",
        "temperature": told(result, "temperature_c", lambda degrees: f"{degrees:.1f} °C"),
        "throttled": told(result, "throttled", lambda reasons: ", ".join(reasons) or "no"),
    }
    return "\n".join([*lines, "", *(f"{fact:21}  {value}" for fact, value in facts.items() if value)])


def told(result: dict[str, Any], key: str, text: Callable[[Any], str]) -> str:
    """The values before and after; "" if the device does not report them."""
    return ", ".join(f"{text(result[when][key])} {when}" for when in ("before", "after") if result[when][key] is not None)


if __name__ == "__main__":
    draw_photo(Path(sys.argv[1]))
