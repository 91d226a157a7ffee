"""docs/study.md and docs/study.json: what `make study` measured, of the recipes as they are now."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.commands import ROOT, main_of
from train.dataset import Dataset
from train.recipes import RECIPES, Recipe
from train.study_page import NOT_MEASURED, PAGE, PARTS, QUESTIONS, RESULTS, fill_page, settings_of

STUDY = json.loads((ROOT / RESULTS).read_text("utf-8"))
STUDY_MD = (ROOT / PAGE).read_text("utf-8")
LISTED = re.findall(r"^\| `([\w-]+)` \| [\d-]+ \| (.*)", STUDY_MD, re.MULTILINE)
"""Recipes in the page's table, and the rest of their rows."""


def test_the_page_shows_what_was_measured() -> None:
    assert fill_page(STUDY) == STUDY_MD, "run 'make readme'"


@pytest.mark.parametrize(("name", "row"), LISTED, ids=[name for name, _ in LISTED])
def test_a_recipe_in_the_table_was_measured_three_times_as_it_is_or_the_page_says_that_it_was_not(name: str, row: str) -> None:
    runs = [STUDY["recipes"].get(f"{name}, seed {seed}", {}) for seed in range(3)]
    measured = [run.get("settings") == settings_of(RECIPES[name]) for run in runs]

    assert row.startswith(NOT_MEASURED) != all(measured)
    assert not (any(measured) and row.startswith(NOT_MEASURED))


def test_a_new_recipe_is_listed_once_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("a try", hidden=(7,))
    monkeypatch.setitem(RECIPES, "new", recipe)
    run = STUDY["recipes"]["quick, seed 0"] | {"settings": settings_of(recipe)}

    assert "`new`" not in fill_page(STUDY)
    assert "| `new` | 784-7-10 | 0." in fill_page(STUDY | {"recipes": STUDY["recipes"] | {"new, seed 0": run}})


def test_a_recipe_that_changed_since_is_listed_without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "quick", Recipe("changed", hidden=(7,)))

    assert f"| `quick` | 784-7-10 | {NOT_MEASURED} | - |" in fill_page(STUDY)


def test_a_part_was_measured_as_it_is_or_the_page_says_that_it_was_not() -> None:
    for name, recipe in PARTS.items():
        measured = STUDY["parts"].get(name, {}).get("settings") == settings_of(recipe)
        assert measured != (f"| {name} | {NOT_MEASURED} |" in STUDY_MD), name


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
