"""What is replaced by something worse is kept beside it: when, where, and how it comes back."""

import json
import shlex
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fmnist_edge.errors import UsageError
from train.keep import Score, chance, find_worse, keep, keep_better, label_of, read_description

STANDARD = {"recipe": "standard", "on_photos": {"photos": 2911, "right": 0.77}}
PHOTO_SCORES = {"on_photos": {"photos": 2911, "right": 0.77}}


def model(path: Path, accuracy: float = 0.9077, **training: Any) -> Path:
    """A model's file, as far as it says how good it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        description = {"training": {**STANDARD, **training}, "scores": {"test": {"loss": 0.3, "accuracy": accuracy}}}
        archive.writestr(zipfile.ZipInfo("fmnist.json"), json.dumps(description))
    return path


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Score(3, 4), Score(1, 4), 17 / 70),  # the tea of Fisher's lady
        (Score(4, 4), Score(0, 4), 1 / 70),
        (Score(1, 2), Score(2, 2), 1.0),
        (Score(9077, 10_000), Score(9077, 10_000), 0.5),
    ],
)
def test_chance_is_what_fishers_exact_test_says(old: Score, new: Score, expected: float) -> None:
    assert chance(old, new) == pytest.approx(expected, abs=0.01 if old.of > 4 else 1e-9)


@pytest.mark.parametrize(("right", "worse"), [(9100, False), (9077, False), (9020, False), (8990, True), (8000, True)])
def test_what_chance_explains_is_not_worse(right: int, worse: bool) -> None:
    assert bool(find_worse({"test images": Score(9077, 10_000)}, {"test images": Score(right, 10_000)})) == worse


@pytest.mark.parametrize(
    ("accuracy", "successor", "why"),
    [
        (0.888, PHOTO_SCORES, "test images: 9,077 of 10,000 right, now 8,880 of 10,000 right"),
        (0.92, {}, "photos: 2,241 of 2,911 right, now none"),
        (
            0.888,
            {},
            "test images: 9,077 of 10,000 right, now 8,880 of 10,000 right; photos: 2,241 of 2,911 right, now none",
        ),
        (0.92, {"on_photos": {"photos": 2911, "right": 0.7}}, "photos: 2,241 of 2,911 right, now 2,038 of 2,911 right"),
    ],
)
def test_a_model_is_kept_if_its_successor_is_worse_at_anything(
    accuracy: float, successor: dict[str, Any], why: str, tmp_path: Path
) -> None:
    path = model(tmp_path / "models" / "fmnist.keras")
    content = path.read_bytes()
    (tmp_path / "models" / "report").mkdir()
    (tmp_path / "models" / "report" / "report.md").write_text("old")

    said = keep_better(path, successor, accuracy)
    path.write_bytes(b"new")
    (tmp_path / "models" / "report" / "report.md").write_text("new")
    before, command = said.split(" To restore them: ")
    subprocess.run(shlex.split(command), check=True)

    assert f"the old files in {path.parent} were better ({why}): they are kept in {path.parent}/kept/standard-" in before
    assert path.read_bytes() == content
    assert (tmp_path / "models" / "report" / "report.md").read_text() == "old"


def test_a_model_that_learned_from_a_users_photos_is_kept_if_its_successor_did_not(tmp_path: Path) -> None:
    path = model(tmp_path / "fmnist.keras", on_your_photos={"photos": 40, "right": 0.9})

    assert "your photos: 36 of 40 right, now none" in keep_better(path, PHOTO_SCORES, 0.92)


def test_a_file_that_does_not_say_how_good_it_is_is_kept(tmp_path: Path) -> None:
    (tmp_path / "fmnist.keras").write_bytes(b"somebody's model")

    assert "it has no scores" in keep_better(tmp_path / "fmnist.keras", PHOTO_SCORES, 0.92)
    (kept,) = (tmp_path / "kept").glob("unknown-*/fmnist.keras")
    assert kept.read_bytes() == b"somebody's model"


def test_what_is_as_good_is_not_kept(tmp_path: Path) -> None:
    path = model(tmp_path / "fmnist.keras")

    assert keep_better(path, PHOTO_SCORES, 0.9075) == ""
    assert keep_better(tmp_path / "none.keras", {}, 0.1) == ""
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_kept_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()

    with pytest.raises(UsageError, match=r"kept/a: the better model can't be copied there .*, so it is not replaced"):
        keep(tmp_path, [model(tmp_path / "fmnist.keras").name], "a")


def test_a_model_may_be_kept_again(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.md").write_text("old")
    keep(tmp_path, ["report"], "a")
    (tmp_path / "report" / "report.md").write_text("new")

    kept = keep(tmp_path, ["report"], "a")

    assert (kept / "report" / "report.md").read_text() == "new"


def test_what_is_kept_is_called_by_its_recipe_and_its_content() -> None:
    assert label_of({"recipe": "My recipe/2"}, "0123456789") == "My-recipe-2-01234567"
    assert label_of({}, "0123456789") == "unknown-01234567"


def test_a_file_that_describes_something_else_says_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fmnist.keras", "w") as archive:
        archive.writestr("fmnist.json", "[1]")

    assert read_description(tmp_path / "fmnist.keras") == {}
    assert "were better (it has no scores): they are kept in" in keep_better(tmp_path / "fmnist.keras", {}, 0.9)
