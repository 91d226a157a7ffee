"""How `fmnist-edge classify` does with many pictures, for `make bench`: against bare decoding, with two processes, in memory."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.device import COMMAND, MEGAPIXELS, run, run_in_turns
from fmnist_edge.device.bench import draw_photo
from train.dataset import load

TILES, PHOTOS, FEW, MANY = 10_000, 1_000, 1_000, 100_000

RACE = """
import gc, os, sys, time
from PIL import Image
from fmnist_edge.classify.bulk import classify_all
from fmnist_edge.classifier import Classifier
from fmnist_edge.classify.output import Style, as_text
from fmnist_edge.contract import LANGUAGES
from fmnist_edge.classify.reading import Options, read_all
from fmnist_edge.classify.find import find

folder, paths = sys.argv[1], [entry.path for entry in os.scandir(sys.argv[1])]
classifier, show = Classifier(), as_text(Style(3, False, LANGUAGES["en"], ""))

gc.freeze()  # as the command does

def bare():
    for path in paths:
        with Image.open(path) as image:
            image.load()

def ours():
    assert not classify_all(read_all(find([folder], Options())), classifier, show).failed

for turn in range(6):
    seconds = []
    for call in (bare, ours):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    print(*seconds, file=sys.stderr)
"""
"""In one process, so that neither start counts; the first turn is lost."""


def measure_bulk() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {"tiles": tiles_cost(Path(folder)), "jobs": jobs_gain(Path(folder)), "memory": memory_growth(Path(folder))}


def tiles_cost(folder: Path) -> dict[str, float]:
    """Seconds of processor time for 10,000 tiles as PNG: to open and decode them, and to classify and print them."""
    (folder / "tiles").mkdir()
    for number, tile in enumerate(load().test_images[:TILES]):
        Image.fromarray(tile).save(folder / "tiles" / f"{number:05}.png")
    done = subprocess.run(
        [sys.executable, "-c", RACE, folder / "tiles"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
    )
    turns = np.array([line.split() for line in done.stderr.splitlines()[-5:]], float)
    return {
        "bare_seconds": float(np.median(turns[:, 0])),
        "seconds": float(np.median(turns[:, 1])),
        "ratio": float(np.median(turns[:, 1] / turns[:, 0])),
    }


def jobs_gain(folder: Path) -> dict[str, float]:
    """Seconds from start to end for 1,000 JPEG photos of 1 to 12 megapixels, with one process and with two."""
    (folder / "photos").mkdir()
    for megapixels in MEGAPIXELS:
        draw_photo(folder / f"{megapixels}.jpg", megapixels)
    for number in range(PHOTOS):
        os.link(folder / f"{MEGAPIXELS[number % len(MEGAPIXELS)]}.jpg", folder / "photos" / f"{number:04}.jpg")
    one, two = (partial(run, COMMAND, "classify", "--jobs", jobs, folder / "photos") for jobs in ("1", "2"))
    one_seconds, two_seconds = run_in_turns(one, two, turns=3)[..., 0]
    return {
        "one_seconds": float(np.median(one_seconds)),
        "two_seconds": float(np.median(two_seconds)),
        "ratio": float(np.median(two_seconds / one_seconds)),
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
        f"1,000 photos of 1 to 12 megapixels take {jobs['one_seconds']:.0f} s, with `--jobs 2` {jobs['ratio']:.2f} of that.\n"
        f"The command takes {memory['few_mb']:.0f} MB at most for 1,000 pictures, {memory['many_mb']:.0f} MB for 100,000.\n"
    )
