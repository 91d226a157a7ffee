"""Why an artifact says something else than the Keras model. The network is small, and its inputs random."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.diagnose import alike, diagnose, kernels, lost_weights
from export.keras_model import Floats, Layers, Mlp, answers
from fmnist_edge.contract import Probabilities, Tiles, to_pixels
from support.altered_models import INT8, MLP
from support.commands import MODELS

RANDOM = np.random.default_rng(0)
TILES: Tiles = RANDOM.integers(0, 256, (300, 28, 28), np.uint8)
PIXELS = to_pixels(TILES)


def some_layers() -> Layers:
    """Such that each class is said of some tiles."""
    first, second = (RANDOM.normal(0, 8 / a**0.5, (a, b)).astype(np.float32) for a, b in ((784, 12), (12, 10)))
    first -= 0.9 * first.mean(0)
    hidden = np.maximum(PIXELS.reshape(-1, 784) @ first, 0)
    return [(first, np.zeros(12, np.float32)), (second, -(hidden @ second).mean(0))]


LAYERS = some_layers()


def float_onnx(layers: Layers) -> bytes:
    """The kernels alone, as kernels() finds them."""
    nodes = [helper.make_node("MatMul", [f"v{i}", f"k{i}"], [f"v{i + 1}"]) for i in range(len(layers))]
    constants = [numpy_helper.from_array(kernel, f"k{i}") for i, (kernel, _) in enumerate(layers)]
    ends = [helper.make_tensor_value_info(f"v{i}", TensorProto.FLOAT, None) for i in (0, len(layers))]
    content: bytes = helper.make_model(helper.make_graph(nodes, "kernels", ends[:1], ends[1:], constants)).SerializeToString()
    return content


def cause(output: Probabilities, mlp: Mlp, kept: Layers | None = None) -> str:
    return diagnose("fmnist-float.onnx", float_onnx(kept or mlp.layers), output, mlp, TILES)


MISTAKES: dict[str, Callable[[Floats], Floats]] = {
    "transposed images: rows and columns are swapped": lambda pixels: pixels.swapaxes(1, 2),
    "mirrored images": lambda pixels: pixels[:, :, ::-1],
    "images upside down": lambda pixels: pixels[:, ::-1],
    "negative images: garment and background are swapped": lambda pixels: 1 - pixels,
    "pixels / 255 / 255: its input scale is wrong, it wants them from 0 to 255": lambda pixels: pixels / 255,
    "pixels from 0 to 255: its input scale is wrong, it wants them divided by 255 twice": lambda pixels: pixels * 255,
    "pixels at half their value: its input scale is wrong": lambda pixels: pixels / 2,
    "pixels at twice their value: its input scale is wrong": lambda pixels: pixels * 2,
    "pixels from -1 to 1: its input scale is wrong": lambda pixels: pixels * 2 - 1,
    "squared pixels: it does not take their square root": lambda pixels: pixels**2,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_with_the_pixels_is_named(mistake: str) -> None:
    mlp = Mlp(LAYERS, sqrt_input="root" in mistake)

    assert cause(answers(MISTAKES[mistake](PIXELS), mlp), mlp) == f"it says what the Keras model says of {mistake}"


ORDER = [0, 7, 2, 3, 4, 5, 6, 8, 1, 9]
"""The class in each place of the output."""


def test_classes_in_another_order_are_named() -> None:
    mlp = Mlp(LAYERS, sqrt_input=False)

    assert cause(answers(PIXELS, mlp)[:, ORDER], mlp) == (
        "its classes are in another order: Trouser stands in the place of Bag, "
        "Sneaker stands in the place of Trouser, Bag stands in the place of Sneaker"
    )


def test_classes_in_another_order_do_not_explain_other_probabilities() -> None:
    mlp = Mlp(LAYERS, sqrt_input=False)

    assert cause(answers(PIXELS, mlp)[:, ORDER] / 3, mlp) == ""


def test_a_model_that_never_says_a_class_is_looked_at_as_well() -> None:
    first, (kernel, bias) = LAYERS
    mlp = Mlp([first, (kernel, bias - np.float32(1_000) * (np.arange(10) == 9))], sqrt_input=False)

    assert cause(answers(PIXELS, mlp), mlp) == ""


def test_outputs_that_are_no_numbers_are_named_first() -> None:
    mlp = Mlp(LAYERS, sqrt_input=False)
    output = answers(PIXELS[:, ::-1], mlp)
    output[3, 3] = np.nan

    assert cause(output, mlp) == "it gives no numbers"


def test_where_brightness_hardly_matters_it_is_not_blamed() -> None:
    kernel = RANDOM.normal(0, 0.02, (784, 10)).astype(np.float32)
    faint = Mlp([(kernel - kernel.mean(0), np.zeros(10, np.float32))], sqrt_input=False)
    said = answers(PIXELS, faint)

    assert alike(answers(PIXELS / 2, faint), said)
    assert cause(said, faint) == ""


def test_missing_weights_are_named_if_nothing_else_explains_the_outputs() -> None:
    (kernel, bias), last = LAYERS
    without: Layers = [(kernel * (np.arange(12) != 5), bias), last]
    output = answers(PIXELS, Mlp(without, sqrt_input=False))

    assert cause(output, Mlp(LAYERS, sqrt_input=False), without) == "in layer 1 of 2, the weights of unit 5 are zero"


@pytest.mark.parametrize(("others", "same"), [(1, True), (2, False)])
def test_models_that_say_the_same_of_99_in_100_images_are_alike(others: int, same: bool) -> None:
    one = np.eye(10)[np.zeros(100, int)] * 0.01
    other = one.copy()
    other[:others] = np.eye(10)[1] * 0.01

    assert alike(one, other) == same


@pytest.mark.parametrize(("distance", "same"), [(-0.0199, True), (0.0199, True), (-0.0201, False), (0.0201, False)])
def test_models_whose_probabilities_differ_by_2_points_on_average_are_not_alike(distance: float, same: bool) -> None:
    one = np.eye(10)[np.zeros(100, int)]

    assert alike(one, one + distance) == same


def test_of_lost_weights_the_first_are_named_by_layer_unit_and_input() -> None:
    wanted: Layers = [
        (np.ones((4, 3), np.float32), np.zeros(3, np.float32)),
        (np.ones((3, 2), np.float32), np.zeros(2, np.float32)),
    ]

    def lost(layer: int, rows: slice | int, columns: slice | int) -> str:
        found = [kernel.copy() for kernel, _ in wanted]
        found[layer][rows, columns] = 0
        return lost_weights(found, wanted)

    everything = slice(None)
    assert lost(0, everything, slice(1, 3)) == "in layer 1 of 2, the weights of unit 1 are zero"
    assert lost(0, 3, everything) == "in layer 1 of 2, the weights of input 3 are zero"
    assert lost(1, everything, 0) == "in layer 2 of 2, the weights of unit 0 are zero"
    assert lost(1, 2, 1) == ""


@pytest.mark.parametrize(("size", "said"), [(0.49, ""), (0.51, "in layer 1 of 1, the weights of unit 2 are zero")])
def test_weights_so_small_that_int8_may_round_them_to_zero_are_not_missed(size: float, said: str) -> None:
    kernel = np.ones((4, 5), np.float32) * np.float32([1, 1, size, 1, 1])

    assert lost_weights([kernel.round() * (kernel > 0.6)], [(kernel, np.zeros(5, np.float32))]) == said


def test_the_kernels_of_all_four_files_are_those_of_the_keras_model() -> None:
    """Those of int8 are integers, each unit in its own scale."""
    tflite, onnx = (kernels(name, (MODELS / name).read_bytes()) for name in (INT8.name, "fmnist-int8.onnx"))
    floats = [kernels(name, (MODELS / name).read_bytes()) for name in ("fmnist-float.tflite", "fmnist-float.onnx")]

    assert len(tflite) == len(MLP.layers)
    for (kernel, _), *found in zip(MLP.layers, *floats, strict=True):
        for array in found:
            np.testing.assert_array_equal(array, kernel)
    for (kernel, _), int8, same in zip(MLP.layers, tflite, onnx, strict=True):
        np.testing.assert_array_equal(int8, same)
        assert np.abs(int8).max() == 127
        assert np.corrcoef(int8.ravel(), (kernel / np.abs(kernel).max(0)).ravel())[0, 1] > 0.8
