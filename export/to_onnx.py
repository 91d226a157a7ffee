"""From a TFLite file to the ONNX file that computes the same: for int8 the very same integers."""

import tempfile
from pathlib import Path

import onnx
import tf2onnx

from fmnist_edge.runtime import INPUT, OUTPUT

# 13 is the first with quantization per channel; 17 is what every onnxruntime since 1.12 (2022) reads.
OPSET = 17


def to_onnx(tflite: bytes) -> bytes:
    """The same graph for onnxruntime, with dynamic batch.

    tflite: a file made by ``export.to_tflite``, whose tensors have their final names. It is the source for float, too:
    ``tf2onnx.convert.from_keras`` 1.17 fails on Keras 3 (KeyError 'keras_tensor_N').
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    (image,), (probabilities,) = model.graph.input, model.graph.output
    assert (image.name, probabilities.name) == (INPUT, OUTPUT)
    image.type.tensor_type.shape.dim[0].dim_param = "N"
    probabilities.type.tensor_type.shape.dim[0].dim_param = "N"
    # tf2onnx writes its version and the model's path here
    model.graph.name, model.graph.doc_string, model.doc_string = "fmnist", "", ""
    number_names(model.graph)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def number_names(graph: onnx.GraphProto) -> None:
    """Names nodes and inner tensors by their place, and sorts the constants; in tf2onnx both depend on what ran before."""
    names = {INPUT: INPUT, OUTPUT: OUTPUT, "": ""}
    for node in graph.node:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"t{len(names)}")
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for initializer in graph.initializer:
        initializer.name = names[initializer.name]
    graph.initializer.sort(key=lambda initializer: int(initializer.name[1:]))
    del graph.value_info[:]
