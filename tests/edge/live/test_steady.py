"""Answers that hold still: what is smoothed, how fast it follows, when a label changes."""

import numpy as np
import pytest

from fmnist_edge.classifier import Prediction
from fmnist_edge.live.steady import HOLD, NOTHING, Answer, Steady
from support.predictions import prediction

TROUSER, SNEAKER = (Prediction(np.eye(10, dtype=np.float32)[class_id], 0.5, kind="photo") for class_id in (1, 7))


def test_the_first_frame_is_the_first_answer() -> None:
    answer = Steady(1).update(prediction(7, 0.7, sure_from=0.6), 100)

    assert (answer.class_id, answer.sure_from) == (7, 0.6)
    assert answer.confidence == pytest.approx(0.7)
    assert answer.shares.shape == (11,)
    assert answer.shares[NOTHING] == 0


def test_after_a_half_life_a_frame_counts_half() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 10)

    answer = steady.update(SNEAKER, 12)

    assert (answer.shares[1], answer.shares[7]) == (0.5, 0.5)
    assert answer.shares.sum() == 1


def test_after_half_a_half_life_the_frame_before_counts_its_root() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 10)

    assert steady.update(SNEAKER, 11).shares[1] == pytest.approx(0.5**0.5)


def test_at_the_same_moment_a_frame_adds_nothing() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 10)

    assert steady.update(SNEAKER, 10).shares[1] == 1


def test_after_a_pause_one_frame_weighs_no_more_than_all_before_it() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 10)

    assert steady.update(SNEAKER, 1000).shares[7] == 0.5


def test_a_clock_that_is_set_back_does_no_harm() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 10)

    assert steady.update(SNEAKER, 5).shares[1] == 1
    assert steady.update(SNEAKER, 7).shares[1] == 0.5


def labels(steady: Steady, *frames: tuple[Prediction | None, float]) -> list[int]:
    return [steady.update(found, now).class_id for found, now in frames]


def test_another_label_must_lead_for_half_a_half_life() -> None:
    assert HOLD == 0.5
    steady = Steady(2)
    steady.update(TROUSER, 0)

    # ahead from the second frame on
    assert labels(steady, (SNEAKER, 2), (SNEAKER, 2.01), (SNEAKER, 3.0), (SNEAKER, 3.02)) == [1, 1, 1, 7]


def test_at_half_a_half_life_exactly_the_label_changes() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 0)

    assert labels(steady, (SNEAKER, 2.5), (SNEAKER, 3.0), (SNEAKER, 4.0)) == [1, 1, 7]


def test_a_lead_that_is_lost_starts_anew() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 0)

    assert labels(steady, (SNEAKER, 3), (TROUSER, 3.9), (TROUSER, 4.4), (SNEAKER, 6), (SNEAKER, 6.5)) == [1] * 5


def test_without_smoothing_each_frame_is_its_own_answer_at_once() -> None:
    steady = Steady(0)

    assert labels(steady, (TROUSER, 0), (SNEAKER, 0), (None, 0), (TROUSER, 0)) == [1, 7, NOTHING, 1]


def test_nothing_is_an_answer_of_its_own_and_never_a_guess() -> None:
    steady = Steady(0)
    steady.update(prediction(3, 0.3, sure_from=0.9), 0)

    answer = steady.update(None, 1)

    assert NOTHING == 10
    assert (answer.class_id, answer.confidence, answer.unsure) == (NOTHING, 1, False)


def test_while_nothing_fades_the_threshold_of_the_last_prediction_holds() -> None:
    steady = Steady(2)
    steady.update(prediction(3, 1, sure_from=0.9), 0)

    answer = steady.update(None, 1)

    assert (answer.class_id, answer.sure_from, answer.unsure) == (3, 0.9, True)


def test_the_threshold_is_that_of_the_newest_prediction() -> None:
    """A tile's and a photo's differ."""
    steady = Steady(2)
    steady.update(prediction(3, 1, sure_from=0.9), 0)

    assert steady.update(prediction(3, 1, sure_from=0.6), 1).sure_from == 0.6


@pytest.mark.parametrize(
    ("class_id", "sure_from", "garment_found", "unsure"),
    [
        (3, 0.75, True, False),
        (3, 0.76, True, True),
        (3, 0.75, False, True),
        (NOTHING, 0.76, False, False),
    ],
)
def test_an_answer_is_unsure_below_its_threshold_and_not_at_it_and_where_nothing_stands_out(
    class_id: int, sure_from: float, garment_found: bool, unsure: bool
) -> None:
    shares = np.zeros(11)
    shares[class_id] = 0.75

    assert Answer(class_id, shares, sure_from, garment_found).unsure is unsure


def test_an_answer_says_whether_a_tile_or_a_photo_was_seen_last() -> None:
    steady = Steady(2)

    kinds = [steady.update(found, now).kind for now, found in enumerate((None, prediction(3, 1), None, TROUSER))]

    assert kinds == ["photo", "tile", "tile", "photo"]


def test_a_garment_that_was_found_counts_until_it_is_missing_in_more_than_half() -> None:
    steady = Steady(2)
    steady.update(TROUSER, 0)
    not_found = Prediction(TROUSER.probabilities, 0.5, garment_found=False)

    assert [steady.update(not_found, now).garment_found for now in (2, 2.01)] == [True, False]
