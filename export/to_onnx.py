"""The int8 ONNX file, made from the integers of the int8 TFLite file.

Its graph is written out here, operator by operator: tf2onnx 1.17's dequantizes all weights at every call, which takes a hundred
times as long.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fmnist_edge.contract import CLASSES, INPUT, OUTPUT, OUTPUT_SCALE, TILE_SIZE, ZERO_POINT

# 13 brought quantization per channel; 17 is what every onnxruntime since 1.12 (2022) reads
OPSET = 17
IR_VERSION = 8


class Graph:
    """A chain of operators: each takes the output of the one before it, and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = INPUT

    def add(self, operator: str, *constants: NDArray[Any] | np.generic, **attributes: Any) -> None:
        names = [f"{operator}_{len(self.nodes)}_{number}" for number in range(len(constants))]
        self.constants += [numpy_helper.from_array(np.asarray(value), name) for value, name in zip(constants, names, strict=True)]
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *names], [output], name=output, **attributes))
        self.last = output


def pack(nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto], dtype: int) -> bytes:
    """The checked model, with dynamic batch. dtype: of what it takes and gives."""
    image = helper.make_tensor_value_info(INPUT, dtype, ["N", TILE_SIZE, TILE_SIZE])
    probabilities = helper.make_tensor_value_info(OUTPUT, dtype, ["N", len(CLASSES)])
    model = helper.make_model(
        helper.make_graph(nodes, "fmnist", [image], [probabilities], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fmnist-edge",
    )
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def to_int8_onnx(tflite: bytes, sqrt_input: bool) -> bytes:
    """int8 (N, 28, 28), pixel - 128, to int8 (N, 10): the integers of the int8 TFLite file, in integer kernels.

    sqrt_input: the file looks the pixels' square roots up.
    """
    model = schema.ModelT.InitFromPackedBuf(tflite)

    def unsigned(zero_point: int) -> np.uint8:
        return np.uint8(zero_point + 128)

    graph = Graph()
    graph.add("Reshape", np.array([-1, TILE_SIZE * TILE_SIZE], np.int64))
    # Inside, int8 goes on as uint8, 128 higher. onnxruntime's kernels for that are fast and exact on every processor; those for
    # two int8 matrices are slow on x86, and those for uint8 times int8 overflow on x86 without VNNI.
    graph.add("DequantizeLinear", np.float32(1), np.int8(ZERO_POINT))
    if sqrt_input:
        # rounded, these are the table's integers; to look them up took onnxruntime's Gather 9 µs per image
        graph.add("Sqrt")
    graph.add("QuantizeLinear", np.float32(1 / np.sqrt(255) if sqrt_input else 1), unsigned(ZERO_POINT))
    for operator in dense_operators(model):
        values, weights, biases = operator.inputs
        taken, scales, given = (model.subgraphs[0].tensors[i].quantization for i in (values, weights, operator.outputs[0]))
        # what XNNPACK multiplies the int32 sum with (requantization in float32); QuantizeLinear then only rounds and clips,
        # which is also the ReLU: 0 is the least value of a hidden layer's range
        factors = np.float32(taken.scale[0]) * scales.scale.astype(np.float32) / np.float32(given.scale[0])
        kernel = (constant(model, weights).T.astype(np.int16) + 128).astype(np.uint8)
        graph.add("MatMulInteger", kernel, unsigned(taken.zeroPoint[0]), unsigned(0))
        graph.add("Add", constant(model, biases))
        graph.add("Cast", to=TensorProto.FLOAT)
        graph.add("Mul", factors)
        graph.add("QuantizeLinear", np.float32(1), unsigned(given.zeroPoint[0]))
    graph.add("DequantizeLinear", np.float32(given.scale[0]), unsigned(given.zeroPoint[0]))
    graph.add("Softmax")
    graph.add("QuantizeLinear", np.float32(OUTPUT_SCALE), np.int8(ZERO_POINT))
    graph.nodes[-1].output[0] = OUTPUT
    return pack(graph.nodes, graph.constants, TensorProto.INT8)


def dense_operators(model: Any) -> list[Any]:
    """The fully connected ones of a TFLite model, in their order. Their inputs are values, weights and biases."""
    codes = [code.builtinCode for code in model.operatorCodes]
    return [o for o in model.subgraphs[0].operators if codes[o.opcodeIndex] == schema.BuiltinOperator.FULLY_CONNECTED]


def constant(model: Any, index: int) -> NDArray[Any]:
    """A constant tensor of a TFLite model: float32, int8 or int32."""
    tensor = model.subgraphs[0].tensors[index]
    dtype = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}
    return np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(dtype[tensor.type]).reshape(tensor.shape)
