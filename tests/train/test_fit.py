"""What an epoch's graph counts as loss and as right, and how fast it learns."""

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fmnist_edge.contract import Probabilities
from train.augment import Examples, Lessons, choose_folds
from train.cutting import PhotoTiles
from train.history import best_epoch
from train.recipes import RECIPES, Recipe

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
TILES = RANDOM.integers(0, 256, (50, 28, 28), np.uint8)


@pytest.fixture
def model() -> Any:
    from train.fit import make_reproducible
    from train.networks import build

    make_reproducible(0)
    return build((16,))


def run(model: Any, tiles: np.ndarray, wanted: np.ndarray, any_will_do: np.ndarray, rate: float = 0.0) -> tuple[float, float]:
    """One epoch's loss and accuracy, in batches of 20, the last one smaller."""
    import keras
    import tensorflow as tf

    from train.fit import make_epoch
    from train.networks import choose_scale

    epoch = make_epoch(model, keras.optimizers.SGD(rate), 20, choose_scale(RECIPES["tutorial"], tiles))
    loss, accuracy = map(float, epoch(*map(tf.constant, (tiles, wanted.astype(np.float32), any_will_do))))
    return loss, accuracy


def test_of_several_classes_that_are_right_the_sum_of_their_probabilities_counts_and_the_highest(model: Any) -> None:
    from train.networks import predict

    said = predict(model, TILES)
    accepted = np.zeros((50, 10), bool)
    accepted[:, [2, 6]] = True

    loss, accuracy = run(model, TILES, accepted, np.full(50, True))

    both = said[:, [2, 6]]
    assert loss == pytest.approx(-(0.7 * np.log(both.sum(1)) + 0.3 * np.log(both.max(1))).mean(), rel=1e-4)
    assert accuracy == pytest.approx(np.isin(said.argmax(1), [2, 6]).mean())


def test_elsewhere_each_class_is_wanted_as_probable_as_it_is_said_to_be(model: Any) -> None:
    from train.networks import predict

    said = predict(model, TILES)
    wanted = RANDOM.dirichlet(np.ones(10), 50)

    loss, accuracy = run(model, TILES, wanted, np.full(50, False))

    assert loss == pytest.approx(-(wanted * np.log(said)).sum(1).mean(), rel=1e-4)
    assert accuracy == pytest.approx((said.argmax(1) == wanted.argmax(1)).mean())


def test_photos_of_two_classes_are_not_learned_as_one_of_them(model: Any) -> None:
    """Learning that either is right leaves it to the network which is likelier."""
    from train.networks import predict

    accepted = np.zeros((50, 10), bool)
    accepted[:, [2, 6]] = True
    before = predict(model, TILES)

    for _ in range(5):
        run(model, TILES, accepted, np.full(50, True), 0.1)
    after = predict(model, TILES)

    assert after[:, [2, 6]].sum(1).mean() > 0.9
    assert ((before[:, 2] > before[:, 6]) == (after[:, 2] > after[:, 6])).mean() > 0.7


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    from train.fit import make_optimizer

    recipe = replace(RECIPES["quick"], epochs=10, batch_size=50, learning_rate=0.01, warm_up=0.2)
    optimizer = make_optimizer(recipe, 990)  # 20 steps an epoch
    rates = []
    for step in (0, 20, 40, 120, 200):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))

    assert rates == pytest.approx([0, 0.005, 0.01, 0.005, 0], abs=1e-6)
    assert float(make_optimizer(RECIPES["tutorial"], 990).learning_rate) == pytest.approx(1e-3)


def test_scores_of_photos_take_any_right_class_and_tell_a_users_own_apart() -> None:
    from train.fit import score_photos

    accepted = np.zeros((4, 10), bool)
    accepted[0, [0, 6]] = accepted[1, 3] = accepted[2, 8] = True  # the fourth is of other things
    photos = PhotoTiles(TILES[:4], accepted, np.array([7, 8, -1, 9]), np.full(4, "photo"))
    said = np.full((4, 10), 0.05, np.float32)
    said[0, [0, 6]], said[1, 2], said[2, 8], said[3, 1] = (0.2, 0.4), 0.55, 0.55, 0.55

    scores = score_photos(photos, said)

    assert list(scores) == ["photos held out", "your photos held out"]
    assert scores["photos held out"].accuracy == 0.5
    assert scores["photos held out"].loss == pytest.approx(-(np.log(0.6) + np.log(0.05)) / 2)
    assert scores["your photos held out"].accuracy == 1
    assert score_photos(photos, said[:0]) == {}


def test_a_score_is_mean_cross_entropy_and_accuracy() -> None:
    from train.fit import score

    said = np.array([[0.5, 0.5 - 1e-3, *[1e-3 / 8] * 8], [0, 1, *[0] * 8]], np.float32)

    scores = score(said, np.array([0, 0], np.uint8))

    assert scores.accuracy == 0.5
    assert scores.loss == pytest.approx(-(np.log(0.5) + np.log(1e-7)) / 2)


def answers(class_id: int) -> Probabilities:
    """A teacher's who gives one answer to everything, without being sure of it."""
    return np.tile(np.float32(0.6) * np.eye(10, dtype=np.float32)[class_id] + np.float32(0.04), (2, 100, 1))


TAUGHT = Recipe("", hidden=(8,), epochs=4, batch_size=10, learning_rate=1e-2, taught=True, teachers_share=1)
EXAMPLES = Examples(np.concatenate([TILES, TILES]), (np.arange(100) % 10).astype(np.uint8))


def taught(class_id: int, **changes: Any) -> Lessons:
    return Lessons(replace(TAUGHT, **changes), EXAMPLES, 0, answers=answers(class_id))


def test_a_pupil_learns_from_the_teacher() -> None:
    from train.fit import train
    from train.networks import predict

    model, _ = train(taught(3))

    assert (predict(model, TILES).argmax(1) == 3).all()


def lessons_with_photos(accepted: NDArray[np.bool_], contributors: NDArray[np.int64]) -> Lessons:
    """Images of class 9, and photos that all look the same."""
    recipe = replace(TAUGHT, photo_share=2, epochs=40, hidden=(32,), learning_rate=3e-3)
    photos = PhotoTiles(np.full((len(accepted), 28, 28), 200, np.uint8), accepted, contributors, np.full(len(accepted), "drawn"))
    return Lessons(recipe, Examples(np.concatenate([TILES, TILES]), np.full(100, 9, np.uint8)), 0, photos, answers=answers(9))


@pytest.fixture(scope="module")
def examined() -> Any:
    """What is said of photos that look the same, but show something else in each group of contributors."""
    from train.fit import train_with_holdout

    contributors = np.arange(20) % 10
    folds = choose_folds(contributors)
    return train_with_holdout(lessons_with_photos(np.eye(10, dtype=bool)[folds], contributors)), folds


def test_of_each_photo_counts_what_is_said_by_the_model_that_has_not_seen_its_contributor(examined: Any) -> None:
    holdout, folds = examined

    assert set(folds) == set(range(5))
    assert (holdout.said_of_photos[:, :5].argmin(1) == folds).all()


def test_of_each_photo_is_said_too_what_its_tile_looks_like_lying_on_its_side() -> None:
    from train.fit import Trained, judge, make_reproducible
    from train.networks import build

    def lessons(tiles: NDArray[np.uint8]) -> Lessons:
        photos = PhotoTiles(tiles, np.eye(10, dtype=bool)[np.arange(50) % 10], np.arange(50), np.full(50, "drawn"))
        return Lessons(replace(TAUGHT, photo_share=2), EXAMPLES, 0, photos, answers=answers(9))

    make_reproducible(0)
    trained = [Trained(build((16,), f"without_{fold}"), []) for fold in range(5)]
    upright, lying = (judge(lessons(tiles), trained) for tiles in (TILES, np.rot90(TILES, 1, (1, 2))))

    assert (upright.said_of_turned.argmax(1) == lying.said_of_photos.argmax(1)).all()
    assert (upright.said_of_turned.argmax(1) != upright.said_of_photos.argmax(1)).any()


def test_how_sure_to_be_is_decided_by_images_for_tiles_and_by_photos_for_photos(examined: Any) -> None:
    holdout, _ = examined

    assert holdout.unsure["tile"] < 1 == holdout.unsure["photo"]  # no photo was named rightly
    assert (holdout.photo_temperature, holdout.photo_odds) == (4, 1)  # the less sure the better


def test_photos_of_other_things_raise_the_threshold() -> None:
    """No class is right for them, so what is said of them is always wrong."""
    from train.fit import train_with_holdout

    contributors = np.arange(20) % 10
    clothes = np.eye(10, dtype=bool)[np.full(20, 1)]
    with_others = clothes.copy()
    with_others[contributors % 2 == 0] = False

    sure, unsure = (train_with_holdout(lessons_with_photos(rows, contributors)) for rows in (clothes, with_others))

    assert sure.unsure["photo"] < unsure.unsure["photo"] == 1


@pytest.fixture(scope="module")
def plain_and_calibrated() -> list[Any]:
    """Of labels that nobody can know: the models that ship, and what those showed that were trained without some images."""
    from train.fit import train

    return [train(Lessons(replace(TAUGHT, calibrate=calibrate), EXAMPLES, 0)) for calibrate in (False, True)]


def test_the_model_that_ships_has_the_temperature_that_was_decided(plain_and_calibrated: list[Any]) -> None:
    from train.networks import predict

    (plain, _), (calibrated, holdout) = plain_and_calibrated
    wide, narrow = (np.ptp(np.log(predict(model, TILES)), 1) for model in (plain, calibrated))

    np.testing.assert_allclose(narrow, wide / holdout.temperature, rtol=1e-3)


def test_the_model_that_was_examined_has_the_temperature_it_decided(plain_and_calibrated: list[Any]) -> None:
    """Else the thresholds would be those of another model."""
    (_, plain), (_, calibrated) = plain_and_calibrated

    assert plain.temperature == 1 != calibrated.temperature
    assert calibrated.validation.loss < plain.validation.loss
    assert calibrated.validation.accuracy == plain.validation.accuracy


def test_in_the_end_nothing_is_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    from train.fit import train

    train(taught(3))

    epochs = [line for line in capsys.readouterr().out.splitlines() if "epoch" in line]
    assert [line.partition(":")[0] for line in epochs if "validation" in line] == ["without_0"] * 4
    assert [line.partition(":")[0] for line in epochs if "validation" not in line] == ["fmnist"] * 4


@pytest.mark.parametrize("limit", [{"patience": 1}, {"stop_at_accuracy": 0.01}])
def test_a_training_that_may_stop_early_decides_for_how_many_epochs_the_model_is_trained(
    limit: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    from train.fit import train

    _, holdout = train(taught(3, epochs=30, learning_rate=0.3, **limit))

    expected = best_epoch(holdout.history) if "patience" in limit else len(holdout.history)
    assert len(holdout.history) < 30
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fmnist: epoch")][-1]
    assert last.startswith(f"fmnist: epoch {expected:3}/{expected} ")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose its processor cores")
def test_networks_trained_side_by_side_have_the_weights_of_those_trained_one_after_the_other() -> None:
    from train.fit import train

    cores, weights = os.sched_getaffinity(0), []
    if len(cores) == 1:
        pytest.skip("this machine has one processor core")
    try:
        for allowed in (cores, {min(cores)}):
            os.sched_setaffinity(0, allowed)
            model, holdout = train(taught(3))
            weights.append([holdout.history, *model.get_weights()])
    finally:
        os.sched_setaffinity(0, cores)

    assert weights[0][0] == weights[1][0]
    for one, other in zip(weights[0][1:], weights[1][1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_that_fails_ends_the_others() -> None:
    from train.fit import TrainError, train

    with pytest.raises(TrainError, match="the training diverged"):
        train(taught(3, learning_rate=float("nan"), epochs=1000))
