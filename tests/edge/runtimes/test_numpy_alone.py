"""Numpy alone computes what LiteRT computes, and knows no other files than ours."""

import numpy as np
import pytest

from export import bundle
from fmnist_edge.contract import PROBABILITIES, Tiles
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes import numpy_alone
from fmnist_edge.runtimes.numpy_alone import NumpySession
from fmnist_edge.runtimes.tflite import TFLiteSession
from support.altered_models import with_a_zeroed_row
from support.commands import MODELS
from support.described import INT8, flatbuffer
from train.dataset import Dataset

ONE_STEP = 1 / 256
NOISE = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def session() -> NumpySession:
    return NumpySession(INT8.read_bytes())


def difference_from_litert(content: bytes, tiles: Tiles) -> float:
    return float(abs(NumpySession(content).probabilities(tiles) - TFLiteSession(content).probabilities(tiles)).max())


def test_all_test_images_get_litert_s_answers_to_one_step(dataset: Dataset) -> None:
    assert difference_from_litert(INT8.read_bytes(), dataset.test_images) <= ONE_STEP


@pytest.mark.parametrize("tiles", [NOISE, NOISE // 255 * 255, np.zeros_like(NOISE[:1]), np.full_like(NOISE[:1], 255)])
def test_strange_tiles_get_litert_s_answers_too(tiles: Tiles) -> None:
    assert difference_from_litert(INT8.read_bytes(), tiles) <= ONE_STEP


def test_another_model_gets_its_own_answers(session: NumpySession) -> None:
    other = with_a_zeroed_row(INT8)

    assert difference_from_litert(other, NOISE) <= ONE_STEP
    assert abs(NumpySession(other).probabilities(NOISE) - session.probabilities(NOISE)).max() > 3 * ONE_STEP


def test_batches_of_every_size_get_the_answers_of_single_tiles(session: NumpySession) -> None:
    singly = np.concatenate([session.probabilities(tile[None]) for tile in NOISE[:9]])

    for size in (0, 1, 2, 9):
        answers = session.probabilities(NOISE[:size])
        assert (answers.dtype, answers.shape) == (np.float32, (size, 10))
        np.testing.assert_array_equal(answers, singly[:size])
    assert set(singly.ravel()) <= set(PROBABILITIES)


def test_it_says_what_runs_it(session: NumpySession) -> None:
    assert session.runtime == f"numpy {np.__version__}"


@pytest.mark.parametrize("name", [name for name in bundle.ARTIFACTS if name != INT8.name])
def test_other_files_are_refused(name: str) -> None:
    refused((MODELS / name).read_bytes())


def test_damaged_files_are_refused_or_answered() -> None:
    """The end is stored weights; all that says how they belong together comes before and after them."""
    content = flatbuffer()
    for size in (0, 3, 8, 100, 1000, 10_000, len(content) // 2):
        refused(content[:size])


def test_sums_that_float32_does_not_hold_exactly_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numpy_alone.EXACT == 2**24
    monkeypatch.setattr(numpy_alone, "EXACT", 10_000)

    refused(INT8.read_bytes())


def refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"numpy alone runs only int8 \.tflite files made by 'python -m export'"):
        NumpySession(content)
