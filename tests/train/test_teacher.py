"""The teachers' answers, which are in the repository, and the networks that give them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from train import teacher
from train.augment import Examples, held_out
from train.dataset import checksums, load
from train.recipes import TEACHER, settings_of
from train.teacher import ANSWERS, TeacherError, read_answers, teach


def test_an_answer_is_ten_probabilities_for_each_image_and_its_mirror_image() -> None:
    answers = read_answers()

    assert answers.shape == (2, 60_000, 10)
    assert answers.dtype == np.float32
    assert (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(-1), 1, atol=1e-5)


def test_the_teachers_are_as_good_as_they_say_and_know_more_than_labels() -> None:
    answers, labels = read_answers()[0], load().train_labels
    right, apart = answers.argmax(1) == labels, held_out(60_000)
    with np.load(ANSWERS) as file:
        about = json.loads(str(file["about"]))

    assert right[apart].mean() == pytest.approx(about["validation"]["accuracy"], abs=2e-4)  # written down, it may be a tie
    assert 0.93 < right[apart].mean() < right[~apart].mean() < 0.99
    assert 0.02 < (1 - answers.max(1)).mean() < 0.15


def test_the_answers_are_those_of_the_recipe_and_the_data_that_are_in_the_repository() -> None:
    with np.load(ANSWERS) as file:
        about = json.loads(str(file["about"]))

    assert about["recipe"] == settings_of(TEACHER)
    assert about["dataset"] == checksums()


@pytest.mark.parametrize("content", [None, b"", b"PK no archive"])
def test_answers_that_are_missing_or_damaged_are_named_with_the_way_to_get_them(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "ANSWERS", tmp_path / "answers.npz")
    if content is not None:
        (tmp_path / "answers.npz").write_bytes(content)

    with pytest.raises(
        TeacherError, match=r"answers\.npz can't be read .*'git checkout' restores it, 'make teacher' computes it again"
    ):
        read_answers()


@pytest.mark.tensorflow
@pytest.mark.slow
def test_teachers_learn_from_labels_and_never_from_the_images_held_out() -> None:
    """Those have other labels here: whoever learned from them would say so."""
    bright = np.random.default_rng(0).integers(0, 2, 120)
    tiles = np.where(bright[:, None, None], 200, 40) * np.ones((120, 28, 28))
    labels = np.where(held_out(120), 9, bright).astype(np.uint8)
    recipe = replace(TEACHER, epochs=6, batch_size=10, shift=0, flip=0)

    answers = teach(recipe, Examples(tiles.astype(np.uint8), labels))

    assert answers.shape == (2, 120, 10)
    assert (answers.argmax(-1) == bright).all()
    assert (answers[..., 9] < 0.1).all()
