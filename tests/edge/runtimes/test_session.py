"""What every model must be like to be run, at the limits."""

from typing import Any

import numpy as np
import pytest

from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes.formats import FORMATS, format_of
from fmnist_edge.runtimes.session import MAX_DESCRIPTION_BYTES, Tensor, check_contract, check_quantization, describe
from support.commands import MODELS

TILES, ANSWERS = (-1, 28, 28), (-1, 10)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_model_that_takes_tiles_and_gives_ten_probabilities_is_run(dtype: str) -> None:
    check_contract([(TILES, dtype)], [(ANSWERS, dtype)])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([((-1, 28, 27), "int8")], [(ANSWERS, "int8")]),
        ([((1, 28, 28), "int8")], [(ANSWERS, "int8")]),
        ([((-1, 784), "int8")], [(ANSWERS, "int8")]),
        ([(TILES, "uint8")], [(ANSWERS, "uint8")]),
        ([(TILES, "int8")], [(ANSWERS, "float32")]),
        ([(TILES, "float32")], [(ANSWERS, "int8")]),
        ([(TILES, "int8")], [((-1, 11), "int8")]),
        ([(TILES, "int8")], [((1, 10), "int8")]),
        ([(TILES, "int8"), (TILES, "int8")], [(ANSWERS, "int8")]),
        ([(TILES, "int8")], [(ANSWERS, "int8"), (ANSWERS, "int8")]),
        ([], []),
    ],
)
def test_a_model_of_another_shape_is_refused(inputs: list[Tensor], outputs: list[Tensor]) -> None:
    with pytest.raises(ModelError):
        check_contract(inputs, outputs)


def test_a_refusal_says_what_the_model_takes_and_what_it_should() -> None:
    with pytest.raises(ModelError) as caught:
        check_contract([((-1, 784), "float32"), ((3,), "int8")], [((-1, 10), "float32")])

    assert str(caught.value) == (
        "it takes float32 (N, 784) and int8 (3) and gives float32 (N, 10); a Fashion-MNIST model takes float32 or int8 "
        "(N, 28, 28) and gives the same (N, 10); export it with 'python -m export'"
    )


def test_a_file_with_thousands_of_tensors_is_not_quoted_whole() -> None:
    assert len(describe([(TILES, "int8")] * 1000)) == 100


def details(scale: float, zero_point: int, dtype: type = np.int8) -> dict[str, Any]:
    return {"quantization": (scale, zero_point), "dtype": dtype}


@pytest.mark.parametrize("scale", [1 / 255, float(np.float32(1 / 255)), 1 / 255 * (1 + 0.9e-6), 1 / 255 * (1 - 0.9e-6)])
def test_a_scale_that_is_right_but_for_its_rounding_is_right(scale: float) -> None:
    check_quantization("input", details(scale, -128), 1 / 255)


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(1 / 256, -128), (1 / 255 * (1 + 2e-6), -128), (1 / 255, -127), (1 / 255, 0), (0, -128)]
)
def test_pixels_that_mean_something_else_are_refused(scale: float, zero_point: int) -> None:
    with pytest.raises(ModelError) as caught:
        check_quantization("input", details(scale, zero_point), 1 / 255)

    found = f"its input has scale {scale:.6g} and zero point {zero_point}"
    assert str(caught.value) == f"{found}, not 0.00392157 and -128"


def test_a_float_tensor_has_no_scale() -> None:
    check_quantization("input", details(0, 0, np.float32), 1 / 255)


def test_each_suffix_has_its_format_and_others_are_taken_for_tflite() -> None:
    assert [format_of(suffix).name for suffix in (".tflite", ".onnx", ".bin", "")] == ["TFLite", "ONNX", "TFLite", "TFLite"]
    assert list(FORMATS) == [".tflite", ".onnx"]


def test_descriptions_of_hostile_files_are_read_so_far() -> None:
    assert MAX_DESCRIPTION_BYTES == 100_000


def test_without_any_runtime_numpy_runs_an_int8_tflite_file_and_no_onnx_file() -> None:
    open_in_numpy = format_of(".tflite").open_in_numpy

    assert open_in_numpy is not None
    assert open_in_numpy((MODELS / "fmnist-int8.tflite").read_bytes()).runtime == f"numpy {np.__version__}"
    assert format_of(".onnx").open_in_numpy is None
