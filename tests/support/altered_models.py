"""The shipped models with something about them changed."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, numpy_helper

from export import bundle, keras_model
from export.keras_model import Layers
from export.to_onnx import dense_operators
from fmnist_edge.bundle.description import read_description
from support.commands import MODELS

INT8, FLOAT = MODELS / "fmnist-int8.tflite", MODELS / "fmnist-float.onnx"
MLP, TRAINING = keras_model.read(MODELS / "fmnist.keras")


def flatbuffer() -> bytes:
    with zipfile.ZipFile(INT8) as archive:
        return INT8.read_bytes()[: archive.infolist()[0].header_offset]


def with_first_kernel(change: Callable[[np.ndarray], np.ndarray]) -> Layers:
    (kernel, bias), *rest = MLP.layers
    return [(change(kernel).astype(np.float32), bias), *rest]


def float_onnx(layers: Layers, training: dict[str, Any] = TRAINING, **changes: Any) -> bytes:
    """The shipped float ONNX file with other weights, and what is changed of its description."""
    model = onnx.load(FLOAT)
    constants = {constant.name: constant for constant in model.graph.initializer if constant.data_type == TensorProto.FLOAT}
    in_order = [constants[name] for node in model.graph.node for name in node.input if name in constants]
    for constant, array in zip(in_order, (array for layer in layers for array in layer), strict=True):
        constant.CopyFrom(numpy_helper.from_array(array, constant.name))
    return bundle.attach_onnx_description(model.SerializeToString(), bundle.describe("float32", training) | changes)


def strongest_unit(path: Path) -> int:
    """The unit of an int8 TFLite file's second layer that weighs most in the last one."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    tensor = model.subgraphs[0].tensors[dense_operators(model)[2].inputs[1]]
    weights = np.array(model.buffers[tensor.buffer].data, np.uint8).view(np.int8).reshape(tensor.shape)
    return int(np.abs(weights * np.array(tensor.quantization.scale)[:, None]).sum(0).argmax())


def with_a_zeroed_row(path: Path) -> bytes:
    """An int8 TFLite file whose second layer lacks the weights of its strongest unit."""
    content = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content)
    tensor = model.subgraphs[0].tensors[dense_operators(model)[1].inputs[1]]
    weights = np.array(model.buffers[tensor.buffer].data, np.uint8).reshape(tensor.shape)
    weights[strongest_unit(path)] = 0
    model.buffers[tensor.buffer].data = weights.ravel()
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bundle.attach_description(bytes(builder.Output()), read_description(content, ".tflite"))
