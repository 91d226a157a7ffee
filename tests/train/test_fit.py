"""What an epoch's graph counts as loss and as right, and how fast it learns."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fmnist_edge.contract import Probabilities, Tiles
from train.augment import Examples, Lessons, choose_folds
from train.cutting import PhotoTiles
from train.history import Epoch
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


def test_of_several_classes_that_are_right_the_sum_of_their_probabilities_counts(model: Any) -> None:
    from train.networks import predict

    said = predict(model, TILES)
    accepted = np.zeros((50, 10), bool)
    accepted[:, [2, 6]] = True

    loss, accuracy = run(model, TILES, accepted, np.full(50, True))

    assert loss == pytest.approx(-np.log(said[:, [2, 6]].sum(1)).mean(), rel=1e-4)
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
    assert np.corrcoef(before[:, 2] - before[:, 6], after[:, 2] - after[:, 6])[0, 1] > 0.5


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


class Asked:
    """A teacher who gives one answer, without being sure of it, and keeps how many tiles were asked about."""

    def __init__(self, class_id: int) -> None:
        self.class_id, self.tiles = class_id, 0

    def __call__(self, tiles: Tiles) -> Probabilities:
        self.tiles += len(tiles)
        return np.float32(0.6) * np.eye(10, dtype=np.float32)[np.full(len(tiles), self.class_id)] + np.float32(0.04)


def taught() -> Lessons:
    recipe = Recipe("", hidden=(8,), epochs=4, batch_size=10, learning_rate=1e-2, teacher=Recipe(""), teachers_share=1)
    return Lessons(recipe, Examples(np.concatenate([TILES, TILES]), (np.arange(100) % 10).astype(np.uint8)), 0)


def test_a_pupil_learns_from_the_teacher() -> None:
    from train.fit import train_without
    from train.networks import predict

    model, _ = train_without(0, taught(), Asked(3))

    assert (predict(model, TILES).argmax(1) == 3).all()


def lessons_with_photos(accepted: NDArray[np.bool_], contributors: NDArray[np.int64]) -> Lessons:
    """Images of class 9, and photos that all look the same."""
    recipe = replace(taught().recipe, photo_share=2, epochs=20, hidden=(32,), learning_rate=3e-3)
    photos = PhotoTiles(np.full((len(accepted), 28, 28), 200, np.uint8), accepted, contributors, np.full(len(accepted), "drawn"))
    return Lessons(recipe, Examples(np.concatenate([TILES, TILES]), np.full(100, 9, np.uint8)), 0, photos)


@pytest.fixture(scope="module")
def examined() -> Any:
    """What is said of photos that look the same, but show something else in each group of contributors."""
    from train.fit import train_with_holdout

    contributors = np.arange(20) % 10
    folds = choose_folds(contributors)
    return train_with_holdout(lessons_with_photos(np.eye(10, dtype=bool)[folds], contributors), Asked(9)), folds


def test_of_each_photo_counts_what_is_said_by_the_model_that_has_not_seen_its_contributor(examined: Any) -> None:
    holdout, folds = examined

    assert set(folds) == set(range(5))
    assert (holdout.said_of_photos[:, :5].argmin(1) == folds).all()


def test_how_sure_to_be_is_decided_by_images_for_tiles_and_by_photos_for_photos(examined: Any) -> None:
    holdout, _ = examined

    assert holdout.unsure["tile"] < 1 == holdout.unsure["photo"]  # no photo was named rightly
    assert holdout.photo_temperature == 4  # the highest there is: the less sure the better


def test_photos_of_other_things_raise_the_threshold_but_have_no_say_in_the_temperature() -> None:
    """No class is right for them, so what is said of them is always wrong."""
    from train.fit import train_with_holdout

    contributors = np.arange(20) % 10
    clothes = np.eye(10, dtype=bool)[np.full(20, 1)]
    with_others = clothes.copy()
    with_others[contributors % 2 == 0] = False

    sure, unsure = (train_with_holdout(lessons_with_photos(rows, contributors), Asked(9)) for rows in (clothes, with_others))

    assert sure.unsure["photo"] < unsure.unsure["photo"] == 1
    assert unsure.photo_temperature < 1


@pytest.mark.parametrize("temperature", [0.5, 2])
def test_the_model_that_ships_has_the_temperature_that_was_decided(temperature: float) -> None:
    from train.fit import Holdout, Scores, train_final
    from train.networks import predict

    none = Scores(0, 0)
    said = []
    for chosen in (1.0, temperature):
        holdout = Holdout([Epoch(1, 0.5, 1, 0.5)], chosen, 1.0, {}, none, none, np.zeros((0, 10), np.float32))
        said.append(np.log(predict(train_final(taught(), holdout, Asked(1)), TILES)))

    np.testing.assert_allclose(np.ptp(said[1], 1), np.ptp(said[0], 1) / temperature, rtol=1e-3)


def test_the_model_that_was_examined_has_the_temperature_it_decided() -> None:
    """Else the thresholds would be those of another model."""
    from train.fit import train_with_holdout

    lessons = Lessons(replace(taught().recipe, teacher=None), taught().images, 0)
    plain = train_with_holdout(lessons)
    lessons.recipe = replace(lessons.recipe, calibrate=True)
    calibrated = train_with_holdout(lessons)

    assert plain.temperature == 1 != calibrated.temperature
    assert calibrated.validation.loss < plain.validation.loss
    assert calibrated.validation.accuracy == plain.validation.accuracy


def test_in_the_end_nothing_is_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    from train.fit import Holdout, Scores, train_final

    teacher, none = Asked(3), Scores(0, 0)
    history = [Epoch(1, 0.5, 1, 0.5)] * 2
    holdout = Holdout(history, 1.0, 1.0, {}, none, none, np.zeros((0, 10), np.float32))

    train_final(taught(), holdout, teacher)

    printed = capsys.readouterr().out
    assert teacher.tiles == 200  # each image as it is, and mirrored
    assert "epoch   2/2" in printed  # as many as the holdout took
    assert "validation" not in printed


def test_with_patience_the_final_training_takes_as_many_epochs_as_were_best(capsys: pytest.CaptureFixture[str]) -> None:
    from train.fit import Holdout, Scores, train_final

    lessons = taught()
    lessons.recipe = replace(lessons.recipe, patience=1)
    history = [Epoch(1, 0.5, loss, 0.5) for loss in (0.9, 0.5, 0.6)]
    holdout = Holdout(history, 1.0, 1.0, {}, Scores(0, 0), Scores(0, 0), np.zeros((0, 10), np.float32))

    train_final(lessons, holdout, Asked(1))

    assert "epoch   2/2" in capsys.readouterr().out
