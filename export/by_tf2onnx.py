"""Conversions by tf2onnx: the float model, and, as a second witness, the int8 TFLite file.

The witness never ships. It says whether our int8 ONNX file is what somebody else makes of the same TFLite file.
"""

import tempfile
from pathlib import Path
from typing import Any

import onnx
import tf2onnx
from onnx import TensorProto

from export import bare_runtimes
from export.keras_model import Mlp
from export.to_onnx import OPSET, pack
from export.to_tflite import arithmetic
from fmnist_edge.contract import INPUT, OUTPUT, Probabilities, Tiles
from fmnist_edge.terminal import quiet_stderr


def to_float_onnx(mlp: Mlp) -> bytes:
    """float32 (N, 28, 28), pixel / 255, to float32 (N, 10), from the same function as the float TFLite file.

    Not from the Keras model: tf2onnx 1.17 fails on those of Keras 3 (KeyError 'keras_tensor_N').
    """
    function = arithmetic(mlp.layers, sqrt_input=mlp.sqrt_input)
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    rename(model.graph)
    return pack(model.graph.node, sorted(model.graph.initializer, key=lambda constant: constant.name), TensorProto.FLOAT)


def ask_witness(tflite: bytes, tiles: Tiles) -> Probabilities:
    """What tf2onnx's conversion of an int8 TFLite file says of the tiles, uint8 (N, 28, 28): float32 (N, 10).

    The graph is run as it is: what onnxruntime would make of it is not tf2onnx's word.
    """
    with quiet_stderr():
        witness = to_witness(tflite)
    return bare_runtimes.run("onnxruntime, graph as it is", witness, tiles, "int8")


def to_witness(tflite: bytes) -> bytes:
    """tf2onnx's conversion of an int8 TFLite file: int8 (N, 28, 28), pixel - 128, to int8 (N, 10)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.tflite"
        path.write_bytes(tflite)
        model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET, custom_op_handlers={"Cast": (cast_integers, [])})
    # tf2onnx only logs what it can't convert
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def rename(graph: onnx.GraphProto) -> None:
    """Numbers operators and constants from 0: tf2onnx's own counter runs on through all conversions of a process."""
    names = {INPUT: INPUT, OUTPUT: OUTPUT}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [names.setdefault(name, f"{node.name}_{place}") for place, name in enumerate(node.input)]
        node.output[:] = [names.setdefault(name, node.name) for name in node.output]
    for constant in graph.initializer:
        constant.name = names[constant.name]


def cast_integers(graph: Any, node: Any, name: str, arguments: list[Any]) -> Any:
    """Lets a cast take a quantized tensor's integers, as TFLite does: tf2onnx 1.17 gives it the numbers that they stand for."""
    source = node.inputs[0]
    if source.type == "DequantizeLinear":
        graph.replace_input(node, node.input[0], source.input[0], 0)
    return node
