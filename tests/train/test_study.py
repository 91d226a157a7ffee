"""docs/study.md and docs/study.json: what `make study` measured, of the recipes as they are now."""

import json
from pathlib import Path

import pytest

from support.commands import ROOT
from train.dataset import Dataset
from train.recipes import RECIPES
from train.study import PAGE, PARTS, QUESTIONS, RESULTS, Study, fill_page, settings_of


def test_the_page_shows_what_was_measured() -> None:
    assert fill_page(json.loads((ROOT / RESULTS).read_text("utf-8"))) == (ROOT / PAGE).read_text("utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_was_measured_three_times_as_it_is(name: str) -> None:
    runs = json.loads((ROOT / RESULTS).read_text("utf-8"))["recipes"]

    assert [runs[f"{name}, seed {seed}"]["settings"] for seed in range(3)] == [settings_of(RECIPES[name])] * 3


def test_every_part_and_question_was_measured_as_it_is() -> None:
    results = json.loads((ROOT / RESULTS).read_text("utf-8"))

    for group, measured in (("parts", PARTS), ("questions", QUESTIONS)):
        assert [results[group][name]["settings"] for name in measured] == [settings_of(recipe) for recipe in measured.values()]


def test_what_was_measured_is_not_measured_again(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    measured = []

    def measure() -> dict[str, int]:
        measured.append(1)
        return {"answer": 42}

    Study(dataset, None).keep("group", "name", measure, RECIPES["quick"])
    Study(dataset, None).keep("group", "name", measure, RECIPES["quick"])
    assert len(measured) == 1

    Study(dataset, None).keep("group", "name", measure, RECIPES["tutorial"])
    assert len(measured) == 2
    assert json.loads((tmp_path / RESULTS).read_text())["group"]["name"]["answer"] == 42
