"""Keeps a model or a bundle that is about to be replaced by a worse one: beside it, in the folder ``kept``.

What is worse is judged by what both say of themselves: how many test images, and photos that were held out, they name rightly.
"""

import json
import math
import re
import shlex
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from fmnist_edge.contract import DESCRIPTION
from fmnist_edge.errors import UsageError

LEAST_CHANCE = 0.05
"""What chance explains more often than that is not worse. To keep a model for nothing costs some MB."""
TEST_IMAGES = 10_000
KEPT = "kept"


class Score(NamedTuple):
    """How many are right, and of how many."""

    right: int
    of: int


Scores = Mapping[str, Score]
"""By what was tried."""


def keep_better(out: Path, description: Mapping[str, Any], accuracy: float) -> str:
    """Copies the model that is about to be replaced, and its report, if its successor is worse; what there is to say of that.

    A file that says nothing of its scores is kept too. description: the successor's.
    """
    if not out.exists():
        return ""
    old = read_description(out)
    new_scores = {"test images": score_of(accuracy, TEST_IMAGES), **scores_of_photos(description)}
    try:
        training = old["training"]
        old_scores: dict[str, Score] = {
            "test images": score_of(old["scores"]["test"]["accuracy"], TEST_IMAGES),
            **scores_of_photos(training),
        }
        worse = find_worse(old_scores, new_scores)
    except (KeyError, TypeError, AttributeError):
        training, worse = {}, ["it does not say how good it is"]
    if not worse:
        return ""
    label = label_of(training, sha256(out.read_bytes()).hexdigest())
    return say_kept(keep(out.parent, (out.name, "report"), label), worse)


def label_of(training: Mapping[str, Any], digest: str) -> str:
    """What a model, and the bundle that was exported from it, are kept as. digest: of the Keras model's file."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', str(training.get('recipe', 'unknown')))}-{digest[:8]}"


def read_description(out: Path) -> dict[str, Any]:
    """What a model's file says of itself; nothing if there is no file, or none of ours."""
    try:
        with zipfile.ZipFile(out) as archive:
            description = json.loads(archive.read(DESCRIPTION))
        return description if isinstance(description, dict) else {}
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}


def score_of(share: float, count: int) -> Score:
    return Score(round(share * count), count)


def scores_of_photos(training: Mapping[str, Any]) -> dict[str, Score]:
    """Of photos that were held out, as a model's description has them."""
    found = {"photos": training.get("on_photos"), "your photos": training.get("on_your_photos")}
    return {name: score_of(of["right"], of["photos"]) for name, of in found.items() if of and of["photos"]}


def find_worse(old: Scores, new: Scores) -> list[str]:
    """What the old one is better at, beyond chance; also what only it was tried on."""
    worse = []
    for name, was in old.items():
        now = new.get(name, Score(0, 0))
        if not now.of:
            worse.append(f"{name}: {show(was)}, now none")
        elif chance(was, now) < LEAST_CHANCE:
            worse.append(f"{name}: {show(was)}, now {show(now)}")
    return worse


def show(score: Score) -> str:
    return f"{score.right:,} of {score.of:,} right"


def chance(old: Score, new: Score) -> float:
    """How often the new one would have so few right, or fewer, if both were as good: Fisher's exact test, one-sided.

    Which images each names rightly is not known, only how many: McNemar's test, which would find smaller differences, needs both.
    """
    right, total = old.right + new.right, old.of + new.of

    def log_ways(of: int, count: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)

    every = log_ways(total, right)
    counts = range(max(0, right - old.of), new.right + 1)
    return sum(math.exp(log_ways(new.of, count) + log_ways(old.of, right - count) - every) for count in counts)


def keep(folder: Path, names: Iterable[str], label: str) -> Path:
    """Copies these files and folders of a folder, as far as they are there, to kept/LABEL in it. Raises UsageError."""
    kept = folder / KEPT / label
    try:
        for name in names:
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            if (folder / name).is_dir():
                shutil.copytree(folder / name, kept / name, dirs_exist_ok=True)
            elif (folder / name).exists():
                shutil.copy2(folder / name, kept / name)
    except OSError as error:
        raise UsageError(f"{kept}: the better model can't be kept there ({error.strerror}), so it is not replaced") from None
    return kept


def say_kept(kept: Path, why: Iterable[str]) -> str:
    """What was kept, why, and the command that brings it back."""
    place = kept.parents[1]
    back = shlex.join(["cp", "-r", f"{kept}/.", str(place)])
    return f"what was in {place} is better ({'; '.join(why)}): it is kept in {kept}. To bring it back: {back}"
