"""When a training is good enough, and which of its epochs was best."""

from dataclasses import replace

import pytest

from train.history import Epoch, best_epoch, good_enough, progress
from train.recipes import Recipe

PLAIN = Recipe("")
HISTORY = [Epoch(0.9, 0.70, 0.8, 0.72), Epoch(0.5, 0.80, 0.4, 0.81), Epoch(0.3, 0.90, 0.6, 0.76), Epoch(0.2, 0.95, 0.4, 0.9)]


def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss() -> None:
    assert best_epoch(HISTORY) == 2
    assert best_epoch(HISTORY[2:]) == 2
    assert best_epoch(HISTORY[:1]) == 1


@pytest.mark.parametrize(
    ("settings", "enough"),
    [
        ({}, [False, False, False, False]),
        ({"stop_at_loss": 0.3}, [False, False, True, True]),
        ({"stop_at_accuracy": 0.8}, [False, True, True, True]),
        ({"patience": 1}, [False, False, True, True]),
        ({"patience": 2}, [False, False, False, True]),
        ({"stop_at_loss": 0.0}, [False, False, False, False]),
    ],
)
def test_a_training_ends_with_the_epoch_that_reaches_what_was_asked_for(settings: dict[str, float], enough: list[bool]) -> None:
    recipe = replace(PLAIN, **settings)  # type: ignore[arg-type]

    assert not good_enough(recipe, [])
    assert [good_enough(recipe, HISTORY[:count]) for count in range(1, 5)] == enough


def test_progress_shows_how_far_it_is_and_validation_only_if_there_is_some() -> None:
    assert progress(3, 6, HISTORY[2]) == (
        "epoch   3/6 [==========          ] loss 0.3000, accuracy 0.9000; validation loss 0.6000, accuracy 0.7600"
    )
    assert progress(6, 6, Epoch(0.25, 0.5)) == "epoch   6/6 [====================] loss 0.2500, accuracy 0.5000"
