"""What tf2onnx makes: a float ONNX file that says what the layers say, and a second witness of the int8 TFLite file."""

from itertools import pairwise

import numpy as np
import pytest
from onnx import TensorProto

from export import keras_model
from export.check import judge_witness
from export.errors import RoundingError
from export.keras_model import Layers, Mlp
from export.quantize import quantize
from fmnist_edge.contract import Probabilities, Tiles, to_pixels
from fmnist_edge.runtimes.onnx import OnnxSession
from fmnist_edge.runtimes.tflite import TFLiteSession
from support.altered_models import INT8, MLP, with_a_zeroed_row
from support.commands import MODELS
from support.onnx_files import interface, wanted_interface
from train.dataset import Dataset

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
TILES: Tiles = np.concatenate(
    [RANDOM.integers(0, 256, (200, 28, 28), np.uint8), np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)]
)
SIZES = [(784, 10), (784, 16, 10), (784, 16, 12, 10)]


def layers_of(*sizes: int) -> Layers:
    random = np.random.default_rng(sizes)
    return [
        (random.normal(0, 2 / a**0.5, (a, b)).astype(np.float32), random.normal(0, 1, b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]


def float_onnx(mlp: Mlp) -> bytes:
    from export.by_tf2onnx import to_float_onnx

    return to_float_onnx(mlp)


@pytest.mark.parametrize("sqrt_input", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_the_float_file_says_what_the_layers_say(sizes: tuple[int, ...], sqrt_input: bool) -> None:
    mlp = Mlp(layers_of(*sizes), sqrt_input)

    said = OnnxSession(float_onnx(mlp)).probabilities(TILES)

    np.testing.assert_allclose(said, keras_model.answers(to_pixels(TILES), mlp), atol=1e-5)


def test_the_float_file_takes_any_number_of_tiles_and_is_read_by_old_runtimes() -> None:
    assert interface(float_onnx(MLP)) == wanted_interface(TensorProto.FLOAT)


def test_the_same_model_gives_the_same_bytes_whatever_was_converted_before() -> None:
    first = float_onnx(MLP)
    float_onnx(Mlp(layers_of(784, 10), sqrt_input=True))

    assert float_onnx(MLP) == first


def witness(tflite: bytes, tiles: Tiles) -> Probabilities:
    from export.by_tf2onnx import ask_witness

    return ask_witness(tflite, tiles)


@pytest.mark.parametrize("sqrt_input", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_the_witness_says_what_the_int8_tflite_file_says(sizes: tuple[int, ...], sqrt_input: bool) -> None:
    from export.to_tflite import to_int8_tflite

    model = quantize(Mlp(layers_of(*sizes), sqrt_input), TILES, TILES[-20:])
    tflite = to_int8_tflite(model.rounded, model.ranges, TILES, sqrt_input)

    judge_witness(TFLiteSession(tflite).probabilities(TILES), witness(tflite, TILES))


def test_a_file_that_says_something_else_than_the_witness_is_refused(dataset: Dataset) -> None:
    """Another TFLite file than the one that our ONNX file was made from: the weights of a unit are missing."""
    tiles = dataset.test_images[:2000]
    ours = OnnxSession((MODELS / "fmnist-int8.onnx").read_bytes()).probabilities(tiles)
    judge_witness(ours, witness(INT8.read_bytes(), tiles))

    with pytest.raises(
        RoundingError, match=r"^fmnist-int8\.onnx: another class than tf2onnx's conversion of fmnist-int8\.tflite"
    ):
        judge_witness(ours, witness(with_a_zeroed_row(INT8), tiles))
