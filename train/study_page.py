"""What the study asks, and docs/study.md, which shows what came out. Its words are train/study.md.in."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.cutting import PhotoTiles
from train.photos import as_own
from train.recipes import RECIPES, Recipe, settings_of

TEMPLATE = Path(__file__).with_name("study.md.in")
RESULTS, PAGE = Path("docs/study.json"), Path("docs/study.md")

TUTORIAL, QUICK, COMPACT, STANDARD = (RECIPES[name] for name in ("tutorial", "quick", "compact", "standard"))
SHORT = replace(COMPACT, epochs=COMPACT.epochs // 4)
SHORT_ALONE = replace(SHORT, taught=False)

PARTS = {
    "quick, without standardising": replace(QUICK, scaling="normalize"),
    "quick, without label smoothing": replace(QUICK, label_smoothing=0),
    "quick, without the square root": replace(QUICK, sqrt_input=False),
    "compact, a quarter of the epochs": SHORT,
    "compact, a quarter of the epochs, with label smoothing": replace(SHORT, label_smoothing=0.05),
    "compact, a quarter of the epochs, without a teacher": SHORT_ALONE,
    "compact, a quarter of the epochs, without a teacher, nothing moved or mirrored": replace(SHORT_ALONE, shift=0, flip=0),
    "standard, without the square root": replace(STANDARD, sqrt_input=False),
    "standard, nothing shown as photos": replace(STANDARD, photo_share=0),
    "standard, never calm": replace(STANDARD, calm_share=0),
}
"""Recipes with and without a part. Only the images held out are asked: the test images have no say in a choice."""

WITH_PHOTOS = replace(STANDARD, taught=False, epochs=STANDARD.epochs // 4)


def some(count: int, of: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """So many of them, chosen by chance."""
    chosen = np.zeros(len(of), bool)
    chosen[np.random.default_rng(0).permutation(np.flatnonzero(of))[:count]] = True
    return chosen


def everything(photos: PhotoTiles) -> NDArray[np.bool_]:
    return np.full(len(photos), True)


def of_the_busiest(photos: PhotoTiles) -> NDArray[np.bool_]:
    """The photos by the contributors who took the most."""
    numbers, counts = np.unique(photos.contributors, return_counts=True)
    return np.isin(photos.contributors, numbers[np.argsort(-counts, kind="stable")[:BUSIEST]])


BUSIEST = 4
PHOTO_PARTS: dict[str, tuple[Recipe, Callable[[PhotoTiles], NDArray[np.bool_]]]] = {
    "no photos": (WITH_PHOTOS, lambda photos: np.full(len(photos), False)),
    "100 photos": (WITH_PHOTOS, lambda photos: some(100, everything(photos))),
    "500 photos": (WITH_PHOTOS, lambda photos: some(500, everything(photos))),
    "all photos": (WITH_PHOTOS, everything),
    f"all photos by the {BUSIEST} people who took most": (WITH_PHOTOS, of_the_busiest),
    "as many photos by everybody": (WITH_PHOTOS, lambda photos: some(int(of_the_busiest(photos).sum()), everything(photos))),
    "only photos whose label names one class": (WITH_PHOTOS, lambda photos: photos.accepted.sum(1) == 1),
    "all photos, as often as there are": (replace(WITH_PHOTOS, photo_balance=0), everything),
}
"""Recipes, and which photos they learn from."""

BUSY, MOST_OWN = 130, 100
"""Who took so many photos is asked what their own bring: at most so many are given back, and the others are asked about."""
OWN_PARTS = {f"{count} photos": (WITH_PHOTOS, count) for count in (0, 10, 30, MOST_OWN)}
OWN_PARTS |= {f"30 photos, weight {weight}": (replace(WITH_PHOTOS, own_weight=weight), 30) for weight in (3, 10)}
"""Recipes, and how many photos of one's own they learn from beside everybody else's."""


def busy_people(photos: PhotoTiles) -> list[int]:
    numbers, counts = np.unique(photos.contributors, return_counts=True)
    people: list[int] = numbers[counts >= BUSY].tolist()
    return people


def give_back(photos: PhotoTiles, person: int, count: int) -> tuple[PhotoTiles, NDArray[np.bool_], NDArray[np.bool_]]:
    """The photos with this person's as a user's own, and which of them to learn from, and to ask about.

    To learn from are everybody else's and so many of the person's. What is asked about is the same whatever the count.
    """
    theirs, own = photos.contributors == person, as_own(photos.tiles, photos.accepted)
    marked = replace(
        photos,
        contributors=np.where(theirs, own.contributors, photos.contributors),
        kinds=np.where(theirs, own.kinds, photos.kinds),
    )
    return marked, ~theirs | some(count, theirs), theirs & ~some(MOST_OWN, theirs)


QUESTIONS = {
    "the textbook: 128 neurons, 10 epochs": TUTORIAL,
    "without normalisation: pixels from 0 to 255": replace(TUTORIAL, scaling="none"),
    "512 neurons": replace(TUTORIAL, hidden=(512,)),
    "1024 neurons": replace(TUTORIAL, hidden=(1024,)),
    "two hidden layers of 128": replace(TUTORIAL, hidden=(128, 128)),
    "three hidden layers of 128": replace(TUTORIAL, hidden=(128, 128, 128)),
    "30 epochs": replace(TUTORIAL, epochs=30),
}
EPOCHS = (5, 10, 15, 30)

NOT_MEASURED, NEVER_MEASURED = "not measured since it changed", "not measured yet"

Result = dict[str, Any]
Results = Mapping[str, Mapping[str, Result]]
"""By group and name, as in docs/study.json."""


def read_results() -> dict[str, dict[str, Result]]:
    """What was measured until now."""
    results: dict[str, dict[str, Result]] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    return results


def fill_page(results: Results) -> str:
    """train/study.md.in with its tables."""
    textbook, asked = results["textbook"], results["questions"]
    textbooks = [run for name, run in textbook.items() if name.startswith("seed")]
    references = (of_recipe(results, "tutorial"), textbooks)
    whole = {name: of_recipe(results, name)[:1] for name in ("quick", "compact", "standard")}
    parts = sorted({**whole, **{name: of_part(results, name) for name in PARTS}}.items())
    losses, accuracies = (asked["30 epochs"][key] for key in ("losses", "accuracies"))
    return TEMPLATE.read_text("utf-8").format(
        recipes=table([recipe_row(name, results, references) for name in RECIPES if was_measured(name, results)]),
        parts=table([part_row(name, runs) for name, runs in parts]),
        photos=table([photo_row(name, runs) for name, runs in photo_runs(results).items() if runs] or [[NEVER_MEASURED, *"---"]]),
        clothes=table([clothes_row(name, results.get("clothes", {}).get(name)) for name in PHOTO_PARTS]),
        own=table([own_row(name, results.get("own", {}).get(name)) for name in OWN_PARTS]),
        questions=table([[name, f"{asked[name]['validation']:.4f}"] for name in QUESTIONS]),
        epochs=table([[epoch, f"{losses[epoch - 1]:.4f}", f"{accuracies[epoch - 1]:.4f}"] for epoch in EPOCHS]),
        best_epoch=1 + int(np.argmin(losses)),
        best_loss=min(losses),
        textbook=mean(textbooks, "test"),
        textbooks=len(textbooks),
        sparse=textbook["seed 0"]["test"],
        one_hot=textbook["one-hot labels, seed 0"]["test"],
        five=textbook["an output layer of 5"]["error"],
    )


def recipe_row(name: str, results: Results, references: Sequence[Sequence[Result]]) -> list[object]:
    """references: the runs whose times the recipe's are compared with."""
    runs = of_recipe(results, name)
    units = "-".join(map(str, (784, *RECIPES[name].hidden, 10)))
    if not runs:
        return [f"`{name}`", units, NOT_MEASURED, *["-"] * 9]
    tests = [run["test"] for run in runs]
    return [
        f"`{name}`",
        units,
        *(f"{test:.4f}" for test in (np.mean(tests), min(tests), max(tests))),
        len(runs),
        f"{mean(runs, 'validation'):.4f}",
        f"{mean(runs, 'disturbed'):.3f}",
        f"{mean(runs, 'calibration_error'):.3f}",
        f"{mean(runs, 'seconds'):.0f}",
        *(times_as_long(runs, reference) for reference in references),
    ]


def times_as_long(runs: Sequence[Result], references: Sequence[Result]) -> str:
    """How many times as long the runs took as the references did on the same machine."""
    ratios = []
    for run in runs:
        same = [reference for reference in references if reference.get("machine") == run.get("machine")]
        ratios += [run["seconds"] / mean(same, "seconds")] if same else []
    return f"{np.mean(ratios):.2f}" if ratios else "-"


def part_row(name: str, runs: Sequence[Result]) -> list[object]:
    if not runs:
        return [name, NOT_MEASURED, "-"]
    return [name, f"{runs[0]['validation']:.4f}", f"{runs[0]['disturbed']:.3f}"]


def photo_row(name: str, runs: Sequence[Result]) -> list[object]:
    tried = [run["photos"] for run in runs]
    return [name, f"{mean(tried, 'right'):.1%}", f"{mean(tried, 'among_three'):.1%}", len(runs)]


def clothes_row(name: str, run: Result | None) -> list[object]:
    if run is None:
        return [name, NEVER_MEASURED, *["-"] * 7]
    if run["settings"] != settings_of(PHOTO_PARTS[name][0]):
        return [name, NOT_MEASURED, *["-"] * 7]
    shares = [f"{share:.1%}" for share in (run["right"], *run["shoes"].values())]
    return [name, run["learned"], run["contributors"], *shares, f"{run['calibration_error']:.3f}", f"{run['validation']:.4f}"]


def own_row(name: str, run: Result | None) -> list[object]:
    recipe, count = OWN_PARTS[name]
    row: list[object] = [count, f"{recipe.own_weight:g}"]
    if run is None:
        return [*row, NEVER_MEASURED, *["-"] * 5]
    if run["settings"] != settings_of(recipe):
        return [*row, NOT_MEASURED, *["-"] * 5]
    shares, asked = run["right"], run["asked"]
    figures = [f"{share:.1%}" for share in (np.average(shares, weights=asked), min(shares), max(shares))]
    return [*row, *figures, len(shares), sum(asked), f"{run['validation']:.4f}"]


def photo_runs(results: Results) -> dict[str, list[Result]]:
    """The runs that were tried on photos, by name."""
    runs = {f"`{name}`": of_recipe(results, name) for name in RECIPES}
    return {name: [run for run in found if run["photos"]] for name, found in runs.items()}


def was_measured(name: str, results: Results) -> bool:
    """Whether the recipe was ever measured, perhaps as it was before: the table lists no other."""
    return any(key.startswith(f"{name}, seed ") for key in results["recipes"])


def of_recipe(results: Results, name: str) -> list[Result]:
    """The runs of the recipe as it is now."""
    settings, runs = settings_of(RECIPES[name]), results["recipes"].items()
    return [run for key, run in runs if key.startswith(f"{name}, seed ") and run["settings"] == settings]


def of_part(results: Results, name: str) -> list[Result]:
    """The run of the part as it is now, if there is one."""
    run = results["parts"].get(name)
    return [run] if run and run["settings"] == settings_of(PARTS[name]) else []


def mean(runs: Sequence[Result], key: str) -> float:
    return float(np.mean([run[key] for run in runs]))


def table(rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
