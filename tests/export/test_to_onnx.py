"""The ONNX files: float32 says what the layers say, int8 has the integers of the shipped int8 TFLite file."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export import keras_model
from export.keras_model import Layers, Mlp
from export.to_onnx import constant, dense_operators, to_float_onnx, to_int8_onnx
from fmnist_edge.contract import agreement, to_pixels
from fmnist_edge.runtimes.onnx import OnnxSession
from fmnist_edge.runtimes.tflite import TFLiteSession
from support.altered_models import MLP, flatbuffer, schema
from train.dataset import Dataset

RANDOM = np.random.default_rng(0)
TILES = RANDOM.integers(0, 256, (50, 28, 28), np.uint8)


def layers_of(*sizes: int) -> Layers:
    return [
        (RANDOM.normal(0, 2 / a**0.5, (a, b)).astype(np.float32), RANDOM.normal(0, 1, b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]


@pytest.mark.parametrize("sqrt_input", [False, True])
@pytest.mark.parametrize("sizes", [(784, 10), (784, 16, 10), (784, 16, 12, 10)])
def test_the_float_file_says_what_the_layers_say(sizes: tuple[int, ...], sqrt_input: bool) -> None:
    mlp = Mlp(layers_of(*sizes), sqrt_input)

    said = OnnxSession(to_float_onnx(mlp)).probabilities(TILES)

    np.testing.assert_allclose(said, keras_model.answers(to_pixels(TILES), mlp), atol=1e-5)


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


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.INT8])
def test_a_file_takes_any_number_of_tiles_and_is_read_by_old_runtimes(dtype: int, int8: bytes) -> None:
    """Operators of opset 17 and a format of 8 are what onnxruntime 1.12 (2022) reads."""
    model = onnx.load_model_from_string(to_float_onnx(MLP) if dtype == TensorProto.FLOAT else int8)

    (image,), (probabilities,) = model.graph.input, model.graph.output
    described = [
        (tensor.name, tensor.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim])
        for tensor in (image, probabilities)
    ]
    assert described == [("image", dtype, ["N", 28, 28]), ("probabilities", dtype, ["N", 10])]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert (model.ir_version, model.producer_name, model.graph.name) == (8, "fmnist-edge", "fmnist")


def test_the_same_model_gives_the_same_bytes(int8: bytes) -> None:
    assert to_int8_onnx(flatbuffer(), MLP.sqrt_input) == int8
    assert to_float_onnx(MLP) == to_float_onnx(MLP)
