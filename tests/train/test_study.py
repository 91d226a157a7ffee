"""docs/study.md and docs/study.json: what `make study` measured, of the recipes as they are now."""

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from support.commands import ROOT
from train.dataset import Dataset
from train.recipes import RECIPES
from train.study_page import NEVER_MEASURED, NOT_MEASURED

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def study() -> ModuleType:
    import train.study

    return train.study


def test_the_page_shows_what_was_measured(study: ModuleType) -> None:
    assert study.fill_page(json.loads((ROOT / study.RESULTS).read_text("utf-8"))) == (ROOT / study.PAGE).read_text("utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_was_measured_three_times_as_it_is_or_the_page_says_that_it_was_not(name: str, study: ModuleType) -> None:
    runs = json.loads((ROOT / study.RESULTS).read_text("utf-8"))["recipes"]
    (row,) = re.findall(rf"^\| `{name}` \| [\d-]+ \| (.*)", (ROOT / study.PAGE).read_text("utf-8"), re.MULTILINE)

    settings = [runs[f"{name}, seed {seed}"]["settings"] for seed in range(3) if f"{name}, seed {seed}" in runs]
    measured = [found == study.settings_of(RECIPES[name]) for found in settings]

    said = NOT_MEASURED if settings else NEVER_MEASURED
    assert row.startswith(said) != (len(measured) == 3 and all(measured))
    assert not (any(measured) and row.startswith(said))


def test_a_part_was_measured_as_it_is_or_the_page_says_that_it_was_not(study: ModuleType) -> None:
    results, page = json.loads((ROOT / study.RESULTS).read_text("utf-8")), (ROOT / study.PAGE).read_text("utf-8")

    for name, recipe in study.PARTS.items():
        measured = results["parts"].get(name, {}).get("settings") == study.settings_of(recipe)
        assert measured != (f"| {name} | {NOT_MEASURED} |" in page), name


def test_every_question_was_measured_as_it_is(study: ModuleType) -> None:
    results = json.loads((ROOT / study.RESULTS).read_text("utf-8"))

    for name, recipe in study.QUESTIONS.items():
        assert results["questions"][name]["settings"] == study.settings_of(recipe)


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
