"""docs/study.md and docs/study.json: what `make study` measured, of the recipes as they are now."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.commands import ROOT, main_of
from train.cutting import PhotoTiles
from train.dataset import Dataset
from train.recipes import RECIPES, Recipe
from train.study_page import (
    NEVER_MEASURED,
    NOT_MEASURED,
    OWN_PARTS,
    PAGE,
    PARTS,
    QUESTIONS,
    RESULTS,
    busy_people,
    fill_page,
    give_back,
    settings_of,
)

STUDY = json.loads((ROOT / RESULTS).read_text("utf-8"))
STUDY_MD = (ROOT / PAGE).read_text("utf-8")
LISTED = re.findall(r"^\| `([\w-]+)` \| [\d-]+ \| (.*)", STUDY_MD, re.MULTILINE)
"""Recipes in the page's table, and the rest of their rows."""


def test_the_page_shows_what_was_measured() -> None:
    assert fill_page(STUDY) == STUDY_MD, "run 'make readme'"


@pytest.mark.parametrize(("name", "row"), LISTED, ids=[name for name, _ in LISTED])
def test_a_recipe_in_the_table_was_measured_as_it_is_as_often_as_the_table_says_or_not_at_all(name: str, row: str) -> None:
    runs = [run for key, run in STUDY["recipes"].items() if key.startswith(f"{name}, seed ")]
    measured = [run["settings"] == settings_of(RECIPES[name]) for run in runs]

    assert row.startswith(NOT_MEASURED) != any(measured)
    assert row.startswith(NOT_MEASURED) or int(row.split("|")[3]) == sum(measured)


def test_a_new_recipe_is_listed_once_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("a try", hidden=(7,))
    monkeypatch.setitem(RECIPES, "new", recipe)
    run = STUDY["recipes"]["quick, seed 0"] | {"settings": settings_of(recipe)}

    assert "`new`" not in fill_page(STUDY)
    assert "| `new` | 784-7-10 | 0." in fill_page(STUDY | {"recipes": STUDY["recipes"] | {"new, seed 0": run}})


def test_times_are_compared_only_with_those_of_the_same_machine() -> None:
    def run(recipe: str, seconds: float, machine: str) -> Any:
        settings = settings_of(RECIPES[recipe])
        return STUDY["recipes"]["quick, seed 0"] | {"settings": settings, "seconds": seconds, "machine": machine}

    def compared(*quick: Any) -> str:
        runs = {f"quick, seed {seed}": run for seed, run in enumerate(quick)}
        tutorials = {"tutorial, seed 0": run("tutorial", 10, "old"), "tutorial, seed 1": run("tutorial", 5, "new")}
        page = fill_page(STUDY | {"recipes": tutorials | runs})
        (row,) = (line for line in page.splitlines() if line.startswith("| `quick` |"))
        return row.split(" | ")[-2]

    assert compared(run("quick", 2, "old"), run("quick", 2, "new")) == "0.30"
    assert compared(run("quick", 2, "new"), run("quick", 2, "a third")) == "0.40"
    assert compared(run("quick", 2, "a third")) == "-"


def test_a_recipe_that_changed_since_is_listed_without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "quick", Recipe("changed", hidden=(7,)))

    assert f"| `quick` | 784-7-10 | {NOT_MEASURED} | - |" in fill_page(STUDY)


def test_a_part_was_measured_as_it_is_or_the_page_says_that_it_was_not() -> None:
    for name, recipe in PARTS.items():
        measured = STUDY["parts"].get(name, {}).get("settings") == settings_of(recipe)
        assert measured != (f"| {name} | {NOT_MEASURED} |" in STUDY_MD), name


def many_people() -> PhotoTiles:
    """150 photos by person 3, and one each by others, as the data set has them."""
    contributors = np.concatenate([np.arange(10, 30), np.full(150, 3)])
    accepted = np.eye(10, dtype=bool)[np.arange(170) % 3]
    tiles = np.zeros((170, 28, 28), np.uint8)
    return PhotoTiles(tiles, accepted, contributors, np.full(170, "T"))


def test_only_whoever_took_many_photos_is_asked_what_their_own_bring() -> None:
    photos = many_people()

    assert busy_people(photos) == [3]
    assert busy_people(photos[photos.contributors != 3]) == []


def test_a_person_who_gets_photos_back_is_asked_about_the_same_others_whatever_their_number() -> None:
    photos = many_people()
    theirs = photos.contributors == 3

    _, learned, asked = zip(*(give_back(photos, 3, count) for count in (0, 10, 30, 100)), strict=True)

    assert [int(chosen[theirs].sum()) for chosen in learned] == [0, 10, 30, 100]
    assert all(chosen[~theirs].all() for chosen in learned)
    assert all((rest == asked[0]).all() for rest in asked)
    assert asked[0].sum() == 50
    assert not any((chosen & rest).any() for chosen, rest in zip(learned, asked, strict=True))
    assert all((more | fewer == more).all() for fewer, more in pairwise(learned))


def test_photos_that_are_given_back_count_as_a_users_own() -> None:
    photos = many_people()
    theirs = photos.contributors == 3

    marked, _, _ = give_back(photos, 3, 10)

    assert (marked.contributors[theirs] < 0).all()
    assert set(marked.kinds[theirs]) == {"your T-shirt/top", "your Trouser", "your Pullover"}
    assert (marked.contributors[~theirs] == photos.contributors[~theirs]).all()
    assert (marked.kinds[~theirs] == "T").all()
    assert (marked.accepted == photos.accepted).all()


def test_the_page_says_what_own_photos_brought_or_that_nobody_measured_it() -> None:
    recipe, _ = OWN_PARTS["30 photos"]
    run = {"settings": settings_of(recipe), "right": [0.7, 0.9, 0.8], "asked": [10, 60, 30], "validation": 0.9}

    measured = fill_page(STUDY | {"own": {"30 photos": run, "10 photos": run | {"settings": {}}}})

    assert f"| 30 | {recipe.own_weight:g} | 85.0% | 70.0% | 90.0% | 3 | 100 | 0.9000 |" in measured
    assert f"| 10 | {recipe.own_weight:g} | {NOT_MEASURED} | - |" in measured
    assert f"| 100 | {recipe.own_weight:g} | {NEVER_MEASURED} | - |" in measured


def test_every_question_was_measured_as_it_is() -> None:
    for name, recipe in QUESTIONS.items():
        assert STUDY["questions"][name]["settings"] == settings_of(recipe)


def test_the_page_can_be_written_without_measuring(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / RESULTS).write_text(json.dumps(STUDY), "utf-8")

    result = main_of("train.study", "--page", cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (0, "wrote docs/study.md\n", "")
    assert (tmp_path / PAGE).read_text("utf-8") == STUDY_MD


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--page", "--recipe", "quick"], "--page measures nothing, so it takes no --recipe and no --try"),
        (["--recipe", "quik"], f"there is no recipe 'quik'; there are {', '.join(RECIPES)}; did you mean 'quick'?"),
    ],
)
def test_a_study_of_nothing_is_refused(arguments: list[str], complaint: str) -> None:
    result = main_of("train.study", *arguments)

    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"study: {complaint}\n")


@pytest.mark.tensorflow
def test_what_was_measured_is_not_measured_again(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.study_runs import Study

    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    measured = []

    def measure() -> dict[str, Any]:
        measured.append(1)
        return {"answer": 42}

    Study(dataset, None).keep("group", "name", measure, RECIPES["quick"])
    Study(dataset, None).keep("group", "name", measure, RECIPES["quick"])
    assert len(measured) == 1

    Study(dataset, None).keep("group", "name", measure, RECIPES["tutorial"])
    assert len(measured) == 2
    assert json.loads((tmp_path / RESULTS).read_text())["group"]["name"]["answer"] == 42
