"""The interface of every runtime, and the shapes and types that every model file must have."""

from typing import Any, Protocol

import numpy as np

from fmnist_edge.contract import CLASSES, TILE_SIZE, ZERO_POINT, Probabilities, Tiles
from fmnist_edge.errors import ModelError

MAX_DESCRIPTION_BYTES = 100_000
"""Twenty times what export writes."""

Tensor = tuple[tuple[int, ...], str]  # shape, -1 where it is free, and dtype


class Session(Protocol):
    """An open model."""

    @property
    def runtime(self) -> str:
        """The runtime's name and version."""
        ...

    def probabilities(self, tiles: Tiles) -> Probabilities:
        """tiles: uint8 (N, 28, 28), background 0. Returns float32 (N, 10), rows sum to 1 (int8: to within 10/512)."""
        ...


def check_quantization(which: str, details: dict[str, Any], scale: float) -> None:
    """Raises ModelError unless an int8 tensor means what the contract says. (ONNX keeps this inside the graph.)"""
    found_scale, zero_point = details["quantization"]
    if details["dtype"] == np.int8 and not (np.isclose(found_scale, scale, rtol=1e-6, atol=0) and zero_point == ZERO_POINT):
        raise ModelError(f"its {which} has scale {found_scale:.6g} and zero point {zero_point}, not {scale:.6g} and {ZERO_POINT}")


def check_contract(inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the model has the inputs and outputs of every artifact."""
    for dtype in ("float32", "int8"):
        if inputs == [((-1, TILE_SIZE, TILE_SIZE), dtype)] and outputs == [((-1, len(CLASSES)), dtype)]:
            return
    raise ModelError(
        f"it takes {describe(inputs)} and gives {describe(outputs)}; "
        f"a Fashion-MNIST model takes float32 or int8 (N, 28, 28) and gives the same (N, 10); export it with 'python -m export'"
    )


def describe(tensors: list[Tensor]) -> str:
    shapes = [(dtype, ", ".join("N" if size == -1 else str(size) for size in shape)) for shape, dtype in tensors]
    return " and ".join(f"{dtype} ({shape})" for dtype, shape in shapes)[:100]  # a damaged file may have thousands
