"""What a runtime has to know of an ONNX file to run it."""

from typing import Any

import onnx


def interface(content: bytes) -> dict[str, Any]:
    """Its tensors (name, dtype, sizes), the operators and the format that it is written in, and who made it."""
    model = onnx.load_model_from_string(content)
    tensors = [
        (tensor.name, tensor.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim])
        for tensor in (*model.graph.input, *model.graph.output)
    ]
    return {
        "tensors": tensors,
        "opsets": [(entry.domain, entry.version) for entry in model.opset_import],
        "format": model.ir_version,
        "made by": (model.producer_name, model.graph.name),
    }


def wanted_interface(dtype: int) -> dict[str, Any]:
    """Operators of opset 17 and a format of 8 are what onnxruntime 1.12 (2022) reads."""
    return {
        "tensors": [("image", dtype, ["N", 28, 28]), ("probabilities", dtype, ["N", 10])],
        "opsets": [("", 17)],
        "format": 8,
        "made by": ("fmnist-edge", "fmnist"),
    }
