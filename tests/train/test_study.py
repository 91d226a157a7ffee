"""docs/study.md and docs/study.json: what `make study` measured, of the recipes as they are now."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from support.commands import ROOT
from train.dataset import Dataset
from train.recipes import RECIPES

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def study() -> ModuleType:
    import train.study

    return train.study


def test_the_page_shows_what_was_measured(study: ModuleType) -> None:
    assert study.fill_page(json.loads((ROOT / study.RESULTS).read_text("utf-8"))) == (ROOT / study.PAGE).read_text("utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_was_measured_three_times_as_it_is(name: str, study: ModuleType) -> None:
    runs = json.loads((ROOT / study.RESULTS).read_text("utf-8"))["recipes"]

    assert [runs[f"{name}, seed {seed}"]["settings"] for seed in range(3)] == [study.settings_of(RECIPES[name])] * 3


def test_every_part_and_question_was_measured_as_it_is(study: ModuleType) -> None:
    results = json.loads((ROOT / study.RESULTS).read_text("utf-8"))

    for group, measured in (("parts", study.PARTS), ("questions", study.QUESTIONS)):
        assert [results[group][name]["settings"] for name in measured] == [
            study.settings_of(recipe) for recipe in measured.values()
        ]


def test_what_was_measured_is_not_measured_again(
    study: ModuleType, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    measured = []

    def measure() -> dict[str, int]:
        measured.append(1)
        return {"answer": 42}

    study.Study(dataset, None).keep("group", "name", measure, RECIPES["quick"])
    study.Study(dataset, None).keep("group", "name", measure, RECIPES["quick"])
    assert len(measured) == 1

    study.Study(dataset, None).keep("group", "name", measure, RECIPES["tutorial"])
    assert len(measured) == 2
    assert json.loads((tmp_path / study.RESULTS).read_text())["group"]["name"]["answer"] == 42
