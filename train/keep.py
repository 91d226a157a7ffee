"""Copies a model or bundle that is about to be replaced by a worse one into the folder ``kept`` beside it.

Both files' descriptions decide which is worse: how many test images and held-out photos each got right.
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
"""Significance level: a difference that chance explains more often does not count. A model kept in vain costs some MB."""
TEST_IMAGES = 10_000
KEPT = "kept"


class Score(NamedTuple):
    """The number of right answers, and the number of all answers."""

    right: int
    of: int


Scores = Mapping[str, Score]
"""Scores by the name of the test."""


def keep_better(out: Path, description: Mapping[str, Any], accuracy: float) -> str:
    """Copies the old model and its report if the new one is worse. Returns a message about it, or "".

    A file without scores is kept too. description, accuracy: the new model's.
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
        training, worse = {}, ["it has no scores"]
    if not worse:
        return ""
    label = label_of(training, sha256(out.read_bytes()).hexdigest())
    return say_kept(keep(out.parent, (out.name, "report"), label), worse)


def label_of(training: Mapping[str, Any], digest: str) -> str:
    """The folder's name for a kept model, and for the bundle exported from it. digest: of the Keras model's file."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', str(training.get('recipe', 'unknown')))}-{digest[:8]}"


def read_description(out: Path) -> dict[str, Any]:
    """The description in a model's file; empty if there is no file, or it is not one of ours."""
    try:
        with zipfile.ZipFile(out) as archive:
            description = json.loads(archive.read(DESCRIPTION))
        return description if isinstance(description, dict) else {}
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}


def score_of(share: float, count: int) -> Score:
    return Score(round(share * count), count)


def scores_of_photos(training: Mapping[str, Any]) -> dict[str, Score]:
    """The scores on held-out photos in a model's description."""
    found = {"photos": training.get("on_photos"), "your photos": training.get("on_your_photos")}
    return {name: score_of(of["right"], of["photos"]) for name, of in found.items() if of and of["photos"]}


def find_worse(old: Scores, new: Scores) -> list[str]:
    """The tests on which the old model is better, beyond chance, and those that only it has."""
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
    """The probability of so few right answers, or fewer, if both models were equally good: Fisher's exact test, one-sided.

    McNemar's test would find smaller differences, but needs to know which images each model gets right, not only how many.
    """
    right, total = old.right + new.right, old.of + new.of

    def log_ways(of: int, count: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)

    every = log_ways(total, right)
    counts = range(max(0, right - old.of), new.right + 1)
    return sum(math.exp(log_ways(new.of, count) + log_ways(old.of, right - count) - every) for count in counts)


def keep(folder: Path, names: Iterable[str], label: str) -> Path:
    """Copies those of these files and folders that exist in the folder to kept/LABEL in it. Raises UsageError."""
    kept = folder / KEPT / label
    try:
        for name in names:
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            if (folder / name).is_dir():
                shutil.copytree(folder / name, kept / name, dirs_exist_ok=True)
            elif (folder / name).exists():
                shutil.copy2(folder / name, kept / name)
    except OSError as error:
        raise UsageError(f"{kept}: the better model can't be copied there ({error.strerror}), so it is not replaced") from None
    return kept


def say_kept(kept: Path, why: Iterable[str]) -> str:
    """A message: what was kept, why, and the command that restores it."""
    place = kept.parents[1]
    back = shlex.join(["cp", "-r", f"{kept}/.", str(place)])
    return f"the old files in {place} were better ({'; '.join(why)}): they are kept in {kept}. To restore them: {back}"
