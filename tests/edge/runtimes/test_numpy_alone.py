"""Numpy alone computes what LiteRT computes, and knows no other files than ours."""

from collections.abc import Callable

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export import bundle
from fmnist_edge.contract import PROBABILITIES, Tiles
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes import numpy_alone
from fmnist_edge.runtimes.flatbuffer import read_root
from fmnist_edge.runtimes.numpy_alone import FULLY_CONNECTED, Graph, NumpySession, read_layer
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
    here, there = (run(INT8.read_bytes()).probabilities(dataset.test_images) for run in (NumpySession, TFLiteSession))

    assert abs(here - there).max() <= ONE_STEP
    assert (here != there).mean() < 0.005


@pytest.mark.parametrize("tiles", [NOISE, NOISE // 255 * 255, np.zeros_like(NOISE[:1]), np.full_like(NOISE[:1], 255)])
def test_strange_tiles_get_litert_s_answers_too(tiles: Tiles) -> None:
    assert difference_from_litert(INT8.read_bytes(), tiles) <= ONE_STEP


def test_another_model_gets_its_own_answers(session: NumpySession) -> None:
    other = with_a_zeroed_row(INT8)

    assert difference_from_litert(other, NOISE) <= ONE_STEP
    assert abs(NumpySession(other).probabilities(NOISE) - session.probabilities(NOISE)).max() > 2 * ONE_STEP


def changed(change: Callable[[schema.ModelT], object]) -> bytes:
    """The int8 file with something about it changed."""
    model = schema.ModelT.InitFromPackedBuf(INT8.read_bytes())
    change(model)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operators(model: schema.ModelT, kind: int) -> list[schema.OperatorT]:
    return [
        operator for operator in model.subgraphs[0].operators if model.operatorCodes[operator.opcodeIndex].builtinCode == kind
    ]


def take_pixels_as_they_are(model: schema.ModelT) -> None:
    graph = model.subgraphs[0]
    (reshape,) = operators(model, schema.BuiltinOperator.RESHAPE)
    reshape.inputs = np.array([graph.inputs[0], *reshape.inputs[1:]], np.int32)
    graph.operators = [reshape, *operators(model, FULLY_CONNECTED), *operators(model, schema.BuiltinOperator.SOFTMAX)]


def test_a_model_that_takes_pixels_as_they_are_gets_litert_s_answers() -> None:
    content = changed(take_pixels_as_they_are)

    assert difference_from_litert(content, NOISE) <= ONE_STEP
    assert (
        abs(NumpySession(content).probabilities(NOISE) - NumpySession(INT8.read_bytes()).probabilities(NOISE)).max()
        > 10 * ONE_STEP
    )


@pytest.mark.parametrize("zero_point", [127, -128], ids=["at the top", "at the bottom"])
def test_where_values_end_they_are_cut_off_as_litert_does(zero_point: int) -> None:
    def change(model: schema.ModelT) -> None:
        last, tensors = operators(model, FULLY_CONNECTED)[-1], model.subgraphs[0].tensors
        for tensor in (tensors[number].quantization for number in last.inputs[1:]):
            tensor.scale = tensor.scale / np.float32(8)
        tensors[last.outputs[0]].quantization.zeroPoint = [zero_point]

    content = changed(change)

    here, there = NumpySession(content).probabilities(NOISE), TFLiteSession(content).probabilities(NOISE)
    assert (here != there).mean() < 0.005


def test_a_relu_ends_at_zero_wherever_that_is_in_its_range() -> None:
    def change(model: schema.ModelT) -> None:
        first = operators(model, FULLY_CONNECTED)[0]
        model.subgraphs[0].tensors[first.outputs[0]].quantization.zeroPoint = [-100]

    content = changed(change)

    here, there = NumpySession(content).probabilities(NOISE), TFLiteSession(content).probabilities(NOISE)
    assert (here != there).mean() < 0.005


def test_an_operator_that_it_does_not_know_is_refused() -> None:
    def change(model: schema.ModelT) -> None:
        for code in model.operatorCodes:
            if code.builtinCode == schema.BuiltinOperator.CAST:
                code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.NEG

    refused(changed(change))


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
    graph = Graph(read_root(INT8.read_bytes()))
    layers = [read_layer(graph, operator) for operator in graph.operators(FULLY_CONNECTED)]
    largest = max(float((255 * abs(layer.kernel).sum(0) + abs(layer.bias)).max()) for layer in layers)
    assert 10**6 < largest < numpy_alone.EXACT == 2**24
    monkeypatch.setattr(numpy_alone, "EXACT", largest + 1)
    NumpySession(INT8.read_bytes())
    monkeypatch.setattr(numpy_alone, "EXACT", largest)

    refused(INT8.read_bytes())


def refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"^numpy alone runs only int8 \.tflite files made by 'python -m export'$"):
        NumpySession(content)
