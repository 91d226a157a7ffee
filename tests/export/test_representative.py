"""The tiles that int8 is fitted to."""

import numpy as np
import pytest

from export.representative import choose_even, make_strange
from train.dataset import Dataset


def test_even_tiles_are_a_thousand_training_images_of_each_class_the_same_each_time(dataset: Dataset) -> None:
    numbers = np.arange(60_000, dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2)  # which image it is, in place of its pixels

    even = choose_even(numbers, dataset.train_labels)

    chosen = even.reshape(-1, 4).view(np.uint32)[:, 0]
    assert np.bincount(dataset.train_labels[chosen]).tolist() == [1_000] * 10
    assert (np.diff(chosen.astype(int)) > 0).all()  # in their order, none twice
    assert (choose_even(numbers, dataset.train_labels) == even).all()


@pytest.fixture(scope="module")
def strange() -> np.ndarray:
    """Of tiles that are all of one middle gray."""
    return make_strange(np.full((10_000, 28, 28), 100, np.uint8))


def test_strange_tiles_are_brighter_and_darker_negative_noisy_torn_and_marked_ones(strange: np.ndarray) -> None:
    bright, negative, noisy, torn, marked = strange[:1_250].reshape(5, 250, 28, 28)
    values = bright[:, 0, 0]

    assert (bright == values[:, None, None]).all()
    assert values.min() == pytest.approx(30, abs=5)
    assert values.max() == pytest.approx(180, abs=5)
    assert (negative == 155).all()
    assert noisy.std() == pytest.approx(25, abs=1)
    assert noisy.mean() == pytest.approx(99.5, abs=0.2)
    holes = torn != 100
    assert (holes.sum((1, 2)) == 64).all()
    assert set(torn[holes].tolist()) == {0, 255}
    assert (marked[:, 0, 0] == 255).all()
    assert ((marked == 100).sum((1, 2)) == 783).all()


@pytest.mark.parametrize(("value", "other_end"), [(0, 255), (255, 0)])
def test_what_can_be_no_brighter_or_darker_stays_at_the_end(value: int, other_end: int) -> None:
    strange = make_strange(np.full((1_000, 28, 28), value, np.uint8))
    bright, noisy = strange[:250].astype(int), strange[500:750].astype(int)

    assert strange.dtype == np.uint8
    assert (noisy == value).mean() == pytest.approx(0.5, abs=0.02)
    assert np.abs(noisy - other_end).min() > 100
    assert (bright == value).mean() == pytest.approx(1 if value == 0 else 0.53, abs=0.1)
    assert bright.min() >= 0.3 * value - 1


def test_among_them_are_an_empty_and_a_full_one_which_set_the_inputs_range(strange: np.ndarray) -> None:
    assert len(strange) == 1_252
    assert [set(tile.ravel().tolist()) for tile in strange[1_250:]] == [{0}, {255}]


def test_they_are_made_of_tiles_from_all_over_the_same_each_time() -> None:
    tiles = np.repeat((np.arange(10_000) % 250).astype(np.uint8), 784).reshape(-1, 28, 28)

    strange = make_strange(tiles)

    assert len({int(tile[0, 0]) for tile in strange[250:500]}) > 100
    assert (make_strange(tiles) == strange).all()
