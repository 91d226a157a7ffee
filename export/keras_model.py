"""The Keras model's file, read without TensorFlow: its weights, its answers, and how it was trained."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from fmnist_edge.contract import DESCRIPTION, TILE_SIZE

Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Kernel (inputs, units) and bias (units,) of each Dense layer; ReLU between them, softmax after the last."""
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Mlp:
    """The Keras model: its Dense layers, and whether they get the square roots of the pixels."""

    layers: Layers
    sqrt_input: bool


def read(path: Path) -> tuple[Mlp, dict[str, Any]]:
    """The MLP in Flatten, perhaps sqrt, Dense(relu) ..., Dense(softmax), and what `python -m train` wrote of the training.

    Raises ExportError for any other file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        weights = io.BytesIO(members["model.weights.h5"])
        mlp = read_mlp(json.loads(members["config.json"])["config"], weights)
        training = json.loads(members[DESCRIPTION])["training"] if DESCRIPTION in members else None
    except FileNotFoundError:
        raise ExportError(f"there is no {path}; 'make train' makes it") from None
    except (zipfile.BadZipFile, OSError, ValueError, TypeError, LookupError) as error:
        raise ExportError(f"{path} is not a Keras model ({error})") from None
    return mlp, training or {"recipe": "unknown: not trained by python -m train"}


def read_mlp(model: dict[str, Any], weights: io.BytesIO) -> Mlp:
    """model: the config of a Sequential or a Functional one."""
    configs = model["layers"]
    kinds = [config["class_name"] for config in configs]
    names = [config["config"]["name"] for config in configs]
    shape = configs[0]["config"].get("batch_shape", [])[1:]
    sqrt_input = kinds[2:3] == ["Sqrt"] and configs[2]["module"].startswith("keras.src.ops.")
    before = ["InputLayer", "Flatten", *["Sqrt"] * sqrt_input]
    dense = [config["config"] for config in configs[len(before) :]]
    activations = [config.get("activation") for config in dense]
    if (
        kinds != [*before, *["Dense"] * len(dense)]
        or not is_chain(model, names)
        or shape != [TILE_SIZE, TILE_SIZE]
        or activations != ["relu"] * (len(dense) - 1) + ["softmax"]
        or not all(config["use_bias"] for config in dense)
    ):
        raise ExportError(
            f"the model is {', '.join(kinds)} of input {shape}; export takes a chain of Flatten, "
            "keras.ops.sqrt or nothing, Dense(relu) ..., Dense(softmax)"
        )
    with h5py.File(weights) as file:
        by_name = {group["vars"].attrs["name"]: group["vars"] for group in file["layers"].values()}
        layers = [(by_name[config["name"]]["0"][()], by_name[config["name"]]["1"][()]) for config in dense]
    if not all(np.isfinite(array).all() for pair in layers for array in pair):
        raise ExportError("the model's weights are not all numbers: its training diverged")
    return Mlp(layers, sqrt_input)


def is_chain(model: dict[str, Any], names: list[str]) -> bool:
    """Whether each layer's input is the layer before it, and the last layer is the output. Sequential does not store this."""
    sources = [
        [argument["config"]["keras_history"][0] for node in config.get("inbound_nodes", []) for argument in node["args"]]
        for config in model["layers"]
    ]
    return not any(sources) or (sources == [[], *([name] for name in names[:-1])] and model["output_layers"][0] == names[-1])


def probabilities(values: Floats, layers: Layers) -> Floats:
    """What the layers make of the values (N, inputs); of logits, if there is no layer left, their softmax."""
    for number, (kernel, bias) in enumerate(layers, start=1):
        values = values @ kernel + bias
        if number < len(layers):
            values = np.maximum(values, 0)
    exponentials: Floats = np.exp(values - values.max(1, keepdims=True))
    result: Floats = exponentials / exponentials.sum(1, keepdims=True)
    return result


def answers(pixels: Floats, mlp: Mlp) -> NDArray[np.float32]:
    """What the Keras model says of float32 (N, 28, 28) in [0, 1]: float32 (N, 10), within 1e-5 of Keras' own arithmetic."""
    values = pixels.reshape(len(pixels), -1)
    return probabilities(np.sqrt(values) if mlp.sqrt_input else values, mlp.layers).astype(np.float32)
