"""How sure a model may be: temperatures of logits that are too large or too small, and where "unsure" ends."""

import numpy as np
import pytest

from fmnist_edge.contract import Probabilities, at_odds, at_temperature, calibration_error
from train.calibrate import (
    ODDS,
    TEMPERATURES,
    accepts,
    choose_photo_calibration,
    choose_temperature,
    choose_unsure,
    choose_unsure_of_photos,
    judge_photos,
)


def answers(count: int = 5_000) -> tuple[Probabilities, np.ndarray]:
    """Probabilities that are true, and labels drawn by them."""
    random = np.random.default_rng(0)
    true = random.dirichlet(np.full(10, 0.3), count)
    labels = (true.cumsum(1) < random.random((count, 1))).sum(1).clip(0, 9)
    return true.astype(np.float32), labels.astype(np.uint8)


@pytest.mark.parametrize("too_sure", [0.5, 1.25, 2, 3])
def test_the_logits_of_a_model_that_is_too_sure_are_divided_by_as_much_as_it_is(too_sure: float) -> None:
    true, labels = answers()
    powers = true.astype(np.float64) ** too_sure
    said = (powers / powers.sum(1, keepdims=True)).astype(np.float32)

    temperature = choose_temperature(said, labels)

    assert temperature == pytest.approx(too_sure, rel=0.05)


@pytest.mark.parametrize("too_sure", [0.5, 1.25, 2])
def test_so_are_those_of_photos(too_sure: float) -> None:
    true, labels = answers()
    said = at_temperature(true, 1 / too_sure)

    temperature, odds = choose_photo_calibration(said, np.eye(10, dtype=bool)[labels])

    assert temperature == pytest.approx(too_sure, rel=0.1)
    assert odds < 1.2


def test_where_the_second_class_is_often_right_too_the_first_one_has_better_odds_than_the_model_says() -> None:
    """A temperature alone would make the sure surer too, who know already what they are right about."""
    random, (said, labels) = np.random.default_rng(1), answers()
    accepted = np.eye(10, dtype=bool)[labels]
    second, unsure = np.argsort(-said, 1)[:, 1], said.max(1) < 0.7
    either = random.random(len(said)) < 0.8
    both = np.flatnonzero(unsure & either & accepted[np.arange(len(said)), second])
    accepted[both, said[both].argmax(1)] = True

    temperature, odds = choose_photo_calibration(said, accepted)

    calibrated, plain = at_odds(at_temperature(said, temperature), odds), said
    right = accepts(accepted, said)
    assert odds > 1.2
    assert calibration_error(calibrated.max(1), right) < 0.5 * calibration_error(plain.max(1), right)


def test_a_photos_calibration_is_for_whether_the_first_class_is_one_of_the_right_ones() -> None:
    """It says 0.5 for each of two classes that are right: that it is right is sure, and it should say so."""
    said = np.tile(np.array([0.5, 0.4, *[0.0125] * 8], np.float32), (100, 1))
    both = np.zeros((100, 10), bool)
    both[:, [0, 1]] = True

    sure, unsure = (choose_photo_calibration(said, classes) for classes in (both, np.roll(both, 2, 1)))

    assert sure == (TEMPERATURES[0], pytest.approx(ODDS[-1]))
    assert unsure == (TEMPERATURES[-1], 1)


def test_other_things_have_no_say_in_a_photos_calibration() -> None:
    said, labels = answers()
    accepted = np.eye(10, dtype=bool)[labels]
    others = np.zeros_like(accepted)

    alone = choose_photo_calibration(said, accepted)

    assert choose_photo_calibration(np.concatenate([said, said]), np.concatenate([accepted, others])) == alone
    assert choose_photo_calibration(said, others) == (1, 1)


def test_temperatures_of_answers_that_are_all_right_or_all_wrong_stay_within_limits() -> None:
    said = np.tile(np.array([1, *[0] * 9], np.float32), (10, 1))

    for labels in (np.zeros(10, np.uint8), np.ones(10, np.uint8)):
        assert choose_temperature(said, labels) in TEMPERATURES
    assert choose_temperature(said, np.ones(10, np.uint8)) == TEMPERATURES[-1] == 4
    assert TEMPERATURES[0] == 0.25


RIGHT_OF_20 = [True] * 19 + [False]


def test_unsure_begins_below_the_last_confidence_that_would_do_and_not_the_first() -> None:
    """Of the 20 surest answers 19 are right, of the 40 surest 38; between, fewer; of all 60, too few."""
    right = np.array([False, *[True] * 19, False, *[True] * 19, *[False] * 20])
    confidence = np.linspace(0.99, 0.4, 60, dtype=np.float32)

    assert choose_unsure(confidence, right) == confidence[39]


def test_of_sure_answers_19_in_20_are_right() -> None:
    confidence = np.linspace(0.99, 0.4, 40, dtype=np.float32)

    assert choose_unsure(confidence, np.array([*RIGHT_OF_20, *[False] * 20])) == confidence[19]
    # one fewer is not enough, but for the first 18
    assert choose_unsure(confidence, np.array([*RIGHT_OF_20[1:], *[False] * 21])) == confidence[17]


def test_answers_may_come_in_any_order() -> None:
    random = np.random.default_rng(0)
    confidence = random.random(500).astype(np.float32)
    right = random.random(500) < 0.75 + 0.25 * confidence
    order = random.permutation(500)

    sure_from = choose_unsure(confidence, right)

    assert choose_unsure(confidence[order], right[order]) == sure_from
    assert right[confidence >= sure_from].mean() >= 0.95


def test_where_all_answers_are_right_none_is_unsure_and_where_none_is_all_are() -> None:
    confidence = np.array([0.4, 0.9, 0.6], np.float32)

    assert choose_unsure(confidence, np.full(3, True)) == np.float32(0.4)
    assert choose_unsure(confidence, np.full(3, False)) == 1


def sure_of(*pairs: tuple[int, float]) -> Probabilities:
    said = np.zeros((len(pairs), 10), np.float32)
    for row, (class_id, confidence) in zip(said, pairs, strict=True):
        row[:] = (1 - confidence) / 9
        row[class_id] = confidence
    return said


def accepted_of(*classes: tuple[int, ...]) -> np.ndarray:
    return np.array([[class_id in these for class_id in range(10)] for these in classes])


def test_the_first_class_alone_counts_and_any_of_the_right_ones_will_do() -> None:
    accepted = accepted_of((0, 6), (0, 6), (3,), ())

    assert accepts(accepted, sure_of((0, 0.9), (6, 0.9), (2, 0.9), (0, 0.9))).tolist() == [True, True, False, False]


def test_photos_are_judged_apart_from_other_things() -> None:
    accepted = accepted_of((0,), (0, 6), (3,), (8,), (), (), ())
    said = sure_of((0, 0.9), (6, 0.8), (2, 0.7), (8, 0.3), (1, 0.95), (1, 0.2), (1, 0.7))

    judged = judge_photos(accepted, said, 0.7)

    assert judged == pytest.approx(
        {
            "photos": 4,
            "right": 3 / 4,
            "calibration_error": calibration_error(said[:4].max(1), np.array([True, True, False, True])),
            "sure": 3 / 4,
            "right_of_sure": 2 / 3,
            "other_things": 3,
            "unsure_of_other_things": 1 / 3,
        }
    )
    assert judged["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.7 + 0.7) / 4)


def test_where_there_are_no_other_things_or_no_sure_answers_their_shares_are_nothing() -> None:
    judged = judge_photos(accepted_of((0,)), sure_of((0, 0.5)), 0.9)

    assert (judged["sure"], judged["right_of_sure"], judged["other_things"], judged["unsure_of_other_things"]) == (0, 0, 0, 0)


def test_of_photos_of_other_things_at_most_one_in_twenty_is_not_marked_however_right_the_rest_is() -> None:
    clothes, others = [(3, 0.9)] * 400, [(3, 0.3 + number / 100) for number in range(60)]
    accepted = np.zeros((460, 10), bool)
    accepted[:400, 3] = True
    said = sure_of(*clothes, *others)

    sure_from = choose_unsure_of_photos(accepted, said)

    assert (said[400:].max(1) >= sure_from).sum() == 3
    assert choose_unsure(said.max(1), accepts(accepted, said)) < sure_from
    assert choose_unsure_of_photos(accepted[:400], said[:400]) == np.float32(0.9)
    assert choose_unsure_of_photos(accepted[400:], sure_of(*[(3, 1.0)] * 60)) == 1
