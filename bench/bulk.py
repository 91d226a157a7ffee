"""How `fmnist-edge classify` does with many pictures, for `make bench`: against bare decoding, in processes, in memory."""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.device import COMMAND, MEGAPIXELS, run, run_in_turns
from fmnist_edge.device.bench import draw_photo
from fmnist_edge.processes import worthwhile
from train.dataset import load

TILES, PHOTOS, FEW, MANY = 10_000, 1_000, 1_000, 100_000

BARE = """
import os, sys
from PIL import Image

for entry in os.scandir(sys.argv[1]):
    with Image.open(entry.path) as image:
        image.load()
"""
"""To open and decode the pictures in a folder, and no more."""


def measure_bulk() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {"tiles": tiles_cost(Path(folder)), "jobs": jobs_gain(Path(folder)), "memory": memory_growth(Path(folder))}


def tiles_cost(folder: Path) -> dict[str, float]:
    """Seconds from start to end for 10,000 tiles as PNG: to open and decode them, and to classify and print them."""
    (folder / "tiles").mkdir()
    for number, tile in enumerate(load().test_images[:TILES]):
        Image.fromarray(tile).save(folder / "tiles" / f"{number:05}.png")
    bare = partial(run, sys.executable, "-c", BARE, folder / "tiles")
    bare_seconds, seconds = run_in_turns(bare, partial(run, COMMAND, "classify", folder / "tiles"), turns=5)[..., 0]
    return {
        "bare_seconds": float(np.median(bare_seconds)),
        "seconds": float(np.median(seconds)),
        "ratio": float(np.median(seconds / bare_seconds)),
    }


def jobs_gain(folder: Path) -> dict[str, float]:
    """Seconds from start to end for 1,000 JPEG photos of 1 to 12 megapixels, with one process and with as many as it chooses."""
    (folder / "photos").mkdir()
    for megapixels in MEGAPIXELS:
        draw_photo(folder / f"{megapixels}.jpg", megapixels)
    for number in range(PHOTOS):
        os.link(folder / f"{MEGAPIXELS[number % len(MEGAPIXELS)]}.jpg", folder / "photos" / f"{number:04}.jpg")
    one, more = (partial(run, COMMAND, "classify", *jobs, folder / "photos") for jobs in (("--jobs", "1"), ()))
    one_seconds, seconds = run_in_turns(one, more, turns=3)[..., 0]
    return {
        "processes": worthwhile(),
        "one_seconds": float(np.median(one_seconds)),
        "seconds": float(np.median(seconds)),
        "ratio": float(np.median(seconds / one_seconds)),
    }


def memory_growth(folder: Path) -> dict[str, float]:
    """Megabytes that the command takes at most for 1,000 pictures, and for 100,000."""
    (folder / "many").mkdir()
    content = (folder / "tiles" / "00000.png").read_bytes()
    peaks = []
    for first, last in ((0, FEW), (FEW, MANY)):
        for number in range(first, last):
            (folder / "many" / f"{number:06}.png").write_bytes(content)
        peaks.append(run(COMMAND, "classify", folder / "many")[1])
    return {"few_mb": peaks[0], "many_mb": peaks[1]}


def describe_bulk(result: dict[str, Any]) -> str:
    tiles, jobs, memory = result["tiles"], result["jobs"], result["memory"]
    return (
        f"To classify and print 10,000 tiles takes {tiles['ratio']:.2f} times what it takes to open and decode their PNG files.\n"
        f"1,000 photos of 1 to 12 megapixels take {jobs['one_seconds']:.0f} s with `--jobs 1`, "
        f"{jobs['ratio']:.2f} of that without it ({jobs['processes']} processes).\n"
        f"The command takes {memory['few_mb']:.0f} MB at most for 1,000 pictures, {memory['many_mb']:.0f} MB for 100,000.\n"
    )
