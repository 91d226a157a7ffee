"""The bundle: artifacts that describe themselves, the manifest that lists them, the golden set that proves them elsewhere."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fmnist_edge.bundle import manifest
from fmnist_edge.bundle.description import FORMAT
from fmnist_edge.bundle.golden import ABOUT
from fmnist_edge.contract import CLASSES, DESCRIPTION, INPUT, INPUT_SCALE, OUTPUT, OUTPUT_SCALE, TILE_SIZE, ZERO_POINT
from train.dataset import Dataset

ARTIFACTS = {
    "fmnist-float.tflite": "float32",
    "fmnist-int8.tflite": "int8",
    "fmnist-float.onnx": "float32",
    "fmnist-int8.onnx": "int8",
}
"""The file names, and the dtype of each file's input and output."""

GOLDEN_TILES = 256

LABELS = "\n".join(CLASSES) + "\n"


def describe(dtype: str, training: dict[str, Any]) -> dict[str, Any]:
    """An artifact's self-description: the contract, the classes, and the training that it comes from."""

    def tensor(name: str, sizes: Sequence[int], scale: float, meaning: str) -> dict[str, Any]:
        quantization = {"scale": scale, "zero_point": ZERO_POINT} if dtype == "int8" else {}
        return {"name": name, "shape": ["N", *sizes], "dtype": dtype, "meaning": meaning, **quantization}

    return {
        "format": FORMAT,
        "input": tensor(INPUT, [TILE_SIZE, TILE_SIZE], INPUT_SCALE, "gray pixel / 255: garment bright, background 0"),
        "output": tensor(OUTPUT, [len(CLASSES)], OUTPUT_SCALE, "probability of each class"),
        "classes": CLASSES,
        "training": training,
    }


def attach_description(flatbuffer: bytes, description: dict[str, Any]) -> bytes:
    """The TFLite file with labels.txt and fmnist.json as a ZIP at its end, where TFLite metadata has them too."""
    description = description | {"model_sha256": sha256(flatbuffer).hexdigest()}
    file = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in {"labels.txt": LABELS, DESCRIPTION: to_json(description)}.items():
            # a ZipInfo without a date has 1980-01-01: the same model gives the same bytes
            archive.writestr(zipfile.ZipInfo(name), text)
    return file.getvalue()


def attach_onnx_description(model: bytes, description: dict[str, Any]) -> bytes:
    """The ONNX file with the same as metadata_props. Its checksum is that of the file with zeros in the checksum's place."""
    blank = "0" * 64
    proto = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(proto, {"labels.txt": LABELS, DESCRIPTION: to_json(description | {"model_sha256": blank})})
    content: bytes = proto.SerializeToString(deterministic=True)
    return content.replace(blank.encode(), sha256(content).hexdigest().encode())


def choose_golden(labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The numbers of the golden tiles: the first ones of each class, with classes as even as 256 allows."""
    shares = np.array_split(np.arange(GOLDEN_TILES), len(CLASSES))
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[: len(share)] for k, share in enumerate(shares)]))


def pack_golden(
    dataset: Dataset,
    outputs: Mapping[str, NDArray[np.float32]],
    tolerances: Mapping[str, Mapping[str, tuple[float, float]]],
) -> bytes:
    """An .npz of the golden tiles, their labels and outputs (numpy dates its members 1980-01-01).

    outputs: float32 (N, 10) for all test images. tolerances: of each artifact in each runtime, as a device names it,
    of the largest and of the mean difference.
    """
    golden = choose_golden(dataset.test_labels)
    arrays: dict[str, NDArray[Any]] = {"tiles": dataset.test_images, "labels": dataset.test_labels, **outputs}
    about = np.array(to_json({"format": manifest.FORMAT, "tolerances": tolerances}))
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{name: array[golden] for name, array in arrays.items()}, **{ABOUT: about})
    return file.getvalue()


def fingerprint(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def to_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
