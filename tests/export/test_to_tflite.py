"""The TFLite files of a small network: float32 says what the layers say, int8 nearly so, with integers alone."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import keras_model
from export.keras_model import Layers, Mlp
from export.quantize import ROOTS, Int8Mlp, flat_pixels, in_int8, quantize
from fmnist_edge.contract import to_input, to_pixels
from fmnist_edge.runtimes.tflite import TFLiteSession

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
TILES = np.concatenate(
    [RANDOM.integers(0, 256, (200, 28, 28), np.uint8), np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)]
)
SIZES = [(784, 10), (784, 12, 10), (784, 12, 8, 10)]


def layers_of(*sizes: int) -> Layers:
    random = np.random.default_rng(sizes)
    return [
        (random.normal(0, 3 / a**0.5, (a, b)).astype(np.float32), random.normal(0, 0.5, b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]


@pytest.mark.parametrize("sqrt_input", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_the_float_file_says_what_the_layers_say(sizes: tuple[int, ...], sqrt_input: bool) -> None:
    from export.to_tflite import to_float_tflite

    mlp = Mlp(layers_of(*sizes), sqrt_input)

    said = TFLiteSession(to_float_tflite(mlp)).probabilities(TILES)

    np.testing.assert_allclose(said, keras_model.answers(to_pixels(TILES), mlp), atol=1e-5)


@pytest.fixture(scope="module", params=[False, True], ids=["pixels", "roots"])
def int8(request: pytest.FixtureRequest) -> tuple[Int8Mlp, bytes]:
    from export.to_tflite import to_int8_tflite

    model = quantize(Mlp(layers_of(784, 12, 10), request.param), TILES, TILES[-20:])
    return model, to_int8_tflite(model.rounded, model.ranges, TILES, model.sqrt_input)


def test_the_int8_file_says_what_it_was_rounded_to(int8: tuple[Int8Mlp, bytes]) -> None:
    model, content = int8
    values = flat_pixels(ROOTS[TILES] if model.sqrt_input else TILES)

    said = TFLiteSession(content).probabilities(TILES)

    # a step of the output, and of the values where they are rounded the other way
    expected = in_int8(values, model.rounded, dict(enumerate(model.ranges, start=1)))
    assert np.abs(said - expected).max() < 0.02
    assert np.abs(said - expected).mean() < 0.002


def details(content: bytes) -> dict[str, Any]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return {tensor["name"]: tensor for tensor in interpreter.get_tensor_details()}


def test_the_int8_file_computes_with_integers_alone(int8: tuple[Int8Mlp, bytes]) -> None:
    tensors = details(int8[1])

    assert {np.dtype(tensor["dtype"]).name for tensor in tensors.values()} <= {"int8", "uint8", "int32"}
    assert tensors["image"]["dtype"] == tensors["probabilities"]["dtype"] == np.int8
    assert tensors["image"]["quantization"] == (pytest.approx(1 / 255), -128)
    assert tensors["probabilities"]["quantization"] == (1 / 256, -128)


def test_roots_are_looked_up_of_every_pixel(int8: tuple[Int8Mlp, bytes]) -> None:
    model, content = int8
    if not model.sqrt_input:
        assert "root" not in details(content)
        return
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    pixels = (np.arange(784) % 256).astype(np.uint8).reshape(1, 28, 28)

    interpreter.get_signature_runner()(image=to_input(pixels, np.dtype("int8")))

    assert (interpreter.get_tensor(details(content)["root"]["index"]).astype(int) + 128 == ROOTS[pixels]).all()
