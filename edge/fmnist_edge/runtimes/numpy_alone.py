"""An int8 .tflite file in numpy alone: where no runtime can be installed, and as a witness where one is.

It computes the same integers as LiteRT. Their products are summed in float32, in which BLAS is fast, and which is exact below
2**24. For files that are vouched for: what a hostile one might do is not looked for.
"""

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, PROBABILITIES, SIGN_BIT, TILE_SIZE, Probabilities, Tiles
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes.flatbuffer import Table, read_root

Floats = NDArray[np.float32]

FULLY_CONNECTED, RESHAPE, SOFTMAX, GATHER, CAST = 9, 22, 25, 36, 53
"""The operators in our files, with their numbers in LiteRT's schema.fbs; the fields' numbers below are from there too."""

EXACT = 2**24
"""float32 holds every integer below this exactly."""


class NumpySession:
    """Raises ModelError unless the file is an int8 MLP as ``python -m export`` writes it."""

    def __init__(self, content: bytes) -> None:
        self.runtime = f"numpy {np.__version__}"
        try:
            graph = Graph(read_root(content))
            self._values = values_of_pixels(graph)
            self._layers = [read_layer(graph, operator) for operator in graph.operators(FULLY_CONNECTED)]
            (softmax,) = graph.operators(SOFTMAX)
            self._powers = np.exp(-np.arange(256) * graph.scale(softmax.array(1, "<i4")[0])).astype(np.float32)
            self.probabilities(np.zeros((1, TILE_SIZE, TILE_SIZE), np.uint8))
        except (struct.error, LookupError, ValueError):
            raise ModelError("numpy alone runs only int8 .tflite files made by 'python -m export'") from None

    def probabilities(self, tiles: Tiles) -> Probabilities:
        if len(tiles) == 0:
            return np.zeros((0, len(CLASSES)), np.float32)
        values = self._values.take(tiles).reshape(len(tiles), -1)
        for layer in self._layers:
            values = values @ layer.kernel
            values += layer.bias
            values *= layer.scale
            np.rint(values, out=values)
            np.maximum(values, layer.lowest, out=values)
            np.minimum(values, layer.highest, out=values)
        powers = self._powers.take((values.max(1, keepdims=True) - values).astype(np.intp))
        steps = np.rint(powers * (256 / powers.sum(1, keepdims=True)))
        return np.asarray(PROBABILITIES.take(np.minimum(steps, 255).astype(np.intp) - 128))


class Layer(NamedTuple):
    """``kernel`` (inputs, outputs) and ``bias`` hold integers. ``scale`` turns their sums into steps of the output."""

    kernel: Floats
    bias: Floats
    scale: Floats
    lowest: int
    highest: int


class Graph:
    """A model's operators and tensors."""

    def __init__(self, model: Table) -> None:
        (graph,) = model.tables(2)
        kinds = [kind.number(3, "<i") for kind in model.tables(1)]
        self._operators = [(kinds[operator.number(0, "<I")], operator) for operator in graph.tables(3)]
        self._tensors, self._buffers = graph.tables(0), model.tables(4)
        if not {kind for kind, _ in self._operators} <= {FULLY_CONNECTED, RESHAPE, SOFTMAX, GATHER, CAST}:
            raise LookupError

    def operators(self, wanted: int) -> list[Table]:
        return [operator for kind, operator in self._operators if kind == wanted]

    def data(self, tensor: int, dtype: str) -> NDArray[Any]:
        """A tensor's constant values in the file."""
        content = self._buffers[self._tensors[tensor].number(2, "<I")].array(0, "u1")
        return content.view(dtype).reshape(self._tensors[tensor].array(0, "<i4"))

    def scale(self, tensor: int) -> Floats:
        """(1,), or one for each output of a layer."""
        return self._tensors[tensor].table(4).array(2, "<f4")

    def zero_point(self, tensor: int) -> int:
        return int(self._tensors[tensor].table(4).array(3, "<i8")[0])


def values_of_pixels(graph: Graph) -> Floats:
    """The first layer's input for each pixel value, (256,): the value itself, or its entry in a table in the file."""
    for operator in graph.operators(GATHER):
        table = operator.array(1, "<i4")[0]
        values = graph.data(table, "<i1").astype(np.float32) - np.float32(graph.zero_point(table))
        return np.asarray(values[np.arange(256, dtype=np.uint8) ^ SIGN_BIT])  # the table is indexed by the byte of the int8 input
    return np.arange(256, dtype=np.float32)


def read_layer(graph: Graph, operator: Table) -> Layer:
    given, kernel, bias = operator.array(1, "<i4").tolist()
    (output,) = operator.array(2, "<i4").tolist()
    weights, biases = graph.data(kernel, "<i1").astype(np.float32), graph.data(bias, "<i4").astype(np.float32)
    if (255 * abs(weights).sum(1) + abs(biases)).max() >= EXACT:
        raise ValueError
    with_relu, zero_point = operator.table(4).number(0, "<b") == 1, graph.zero_point(output)
    return Layer(
        kernel=weights.T.copy(),  # for a few tiles, BLAS multiplies by a copy faster than by the transposed view
        bias=biases,
        scale=graph.scale(given) * graph.scale(kernel) / graph.scale(output),
        lowest=0 if with_relu else -128 - zero_point,
        highest=127 - zero_point,
    )
