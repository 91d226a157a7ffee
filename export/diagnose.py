"""Why an artifact disagrees with the Keras model: tries the usual mistakes until one explains its outputs."""

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper

from export.keras_model import Floats, Layers, Mlp, answers
from export.to_onnx import constant, dense_operators
from fmnist_edge.contract import CLASSES, Probabilities, Tiles, to_pixels

ALIKE = 0.99  # two models count as the same from this share of images with the same class
ALIKE_DP = 0.02  # and up to this mean |Δp|
MOST_IMAGES = 2000  # enough to tell


def diagnose(name: str, content: bytes, output: Probabilities, mlp: Mlp, tiles: Tiles) -> str:
    """The cause in a few words, or "" if no known cause fits.

    output: float32 (N, 10), of the artifact for the tiles, uint8 (N, 28, 28). mlp: the Keras model.
    """
    if not np.isfinite(output).all():
        return "it gives no numbers"
    output, pixels = output[:MOST_IMAGES], to_pixels(tiles[:MOST_IMAGES])
    mistakes: dict[str, Floats] = {
        "transposed images: rows and columns are swapped": pixels.swapaxes(1, 2),
        "mirrored images": pixels[:, :, ::-1],
        "images upside down": pixels[:, ::-1],
        "negative images: garment and background are swapped": 1 - pixels,
        "pixels / 255 / 255: its input scale is wrong, it wants them from 0 to 255": pixels / 255,
        "pixels from 0 to 255: its input scale is wrong, it wants them divided by 255 twice": pixels * 255,
        "pixels at half their value: its input scale is wrong": pixels / 2,
        "pixels at twice their value: its input scale is wrong": pixels * 2,
        "pixels from -1 to 1: its input scale is wrong": pixels * 2 - 1,
        "squared pixels: it does not take their square root": pixels**2,
    }
    right = answers(pixels, mlp)
    for mistake, wrong_pixels in mistakes.items():
        with np.errstate(invalid="ignore"):  # square roots of pixels below 0
            said = answers(wrong_pixels, mlp)
        # a model may hardly depend on brightness: then the correct pixels explain its outputs as well
        if alike(said, output) and mean_distance(said, output) < mean_distance(right, output):
            return f"it says what the Keras model says of {mistake}"
    order, named = list(range(len(CLASSES))), right.argmax(1)
    for k in np.unique(named):
        order[k] = int(np.bincount(output.argmax(1)[named == k]).argmax())
    moved = [f"{CLASSES[k]} stands in the place of {CLASSES[place]}" for k, place in enumerate(order) if k != place]
    if moved and alike(right, output[:, order]):
        return f"its classes are in another order: {', '.join(moved)}"
    return lost_weights(kernels(name, content), mlp.layers)


def alike(one: Floats, other: Floats) -> bool:
    return bool((one.argmax(1) == other.argmax(1)).mean() >= ALIKE and mean_distance(one, other) <= ALIKE_DP)


def mean_distance(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).mean())


def lost_weights(found: list[Floats], layers: Layers) -> str:
    """Names the first unit, or input, whose weights are all zero while the Keras model's are not."""
    for number, (kernel, (wanted, _)) in enumerate(zip(found, layers, strict=True), start=1):
        for axis, what in enumerate(("unit", "input")):
            norms = np.linalg.norm(wanted, axis=axis)
            # int8 may round what is small to zero
            lost = np.flatnonzero(~kernel.any(axis) & (norms > np.median(norms) / 2))
            if len(lost):
                return f"in layer {number} of {len(layers)}, the weights of {what} {lost[0]} are zero"
    return ""


def kernels(name: str, content: bytes) -> list[Floats]:
    """The artifact's kernels (inputs, units); of int8 the integers, each unit in its own scale."""
    if name.endswith(".onnx"):
        graph = onnx.load_model_from_string(content).graph
        constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
        return [
            constants[node.input[1]].astype(np.float32) - (128 if node.op_type == "MatMulInteger" else 0)
            for node in graph.node
            if node.op_type in ("MatMul", "MatMulInteger")
        ]
    model = schema.ModelT.InitFromPackedBuf(content)
    return [constant(model, operator.inputs[1]).T.astype(np.float32) for operator in dense_operators(model)]
