"""The int8 ONNX file: it has the integers of the shipped int8 TFLite file, and says what that says."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.quantize import ROOTS
from export.to_onnx import constant, dense_operators, to_int8_onnx
from fmnist_edge.contract import agreement
from fmnist_edge.runtimes.onnx import OnnxSession
from fmnist_edge.runtimes.tflite import TFLiteSession
from support.altered_models import MLP, flatbuffer, schema
from support.onnx_files import interface, wanted_interface
from train.dataset import Dataset

RANDOM = np.random.default_rng(0)
TILES = RANDOM.integers(0, 256, (50, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def int8() -> bytes:
    return to_int8_onnx(flatbuffer(), MLP.sqrt_input)


def test_the_int8_file_says_what_the_tflite_file_says_step_by_step(int8: bytes, dataset: Dataset) -> None:
    tiles = np.concatenate([dataset.test_images[:500], TILES, np.zeros_like(TILES[:1]), np.full_like(TILES[:1], 255)])

    onnx_said, tflite_said = (session.probabilities(tiles) for session in (OnnxSession(int8), TFLiteSession(flatbuffer())))

    assert agreement(tflite_said, onnx_said) == 1
    # a softmax of float32 may round an output to the next step, hardly ever
    steps = np.abs(onnx_said - tflite_said) * 256
    assert steps.max() <= 1
    assert (steps > 0).mean() < 1e-3


def test_whether_it_looks_roots_up_is_all_that_differs_between_pixels_and_roots() -> None:
    of_pixels, of_roots = (OnnxSession(to_int8_onnx(flatbuffer(), sqrt_input)) for sqrt_input in (False, True))

    np.testing.assert_array_equal(of_pixels.probabilities(ROOTS[TILES]), of_roots.probabilities(TILES))


def test_the_int8_file_has_the_tflite_files_weights_and_biases(int8: bytes) -> None:
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load_model_from_string(int8).graph.initializer}
    model = schema.ModelT.InitFromPackedBuf(flatbuffer())
    ours = [value for name, value in constants.items() if name.startswith("MatMulInteger") and value.ndim == 2]
    biases = [value for name, value in constants.items() if name.startswith("Add")]

    operators = dense_operators(model)
    assert len(operators) == len(ours) == len(biases) == len(MLP.layers)
    for operator, kernel, bias, (wanted, _) in zip(operators, ours, biases, MLP.layers, strict=True):
        assert kernel.shape == wanted.shape
        assert (kernel.astype(int) - 128 == constant(model, operator.inputs[1]).T).all()
        assert (bias == constant(model, operator.inputs[2])).all()
        assert bias.dtype == np.int32


def test_the_file_takes_any_number_of_tiles_and_is_read_by_old_runtimes(int8: bytes) -> None:
    assert interface(int8) == wanted_interface(TensorProto.INT8)


def test_the_same_model_gives_the_same_bytes(int8: bytes) -> None:
    assert to_int8_onnx(flatbuffer(), MLP.sqrt_input) == int8
