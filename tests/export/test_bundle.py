"""The bundle's parts: what an artifact says of itself, and the golden set."""

import io
import json
import zipfile
from hashlib import sha256

import numpy as np
import onnx
import pytest

from export import bundle
from fmnist_edge.bundle.description import FORMAT, read_description
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import ModelError
from support.altered_models import INT8, MLP, TRAINING, flatbuffer, float_onnx
from train.dataset import Dataset

SAYS = {
    "float32": ({"dtype": "float32"}, {"dtype": "float32"}),
    "int8": (
        {"dtype": "int8", "scale": 1 / 255, "zero_point": -128},
        {"dtype": "int8", "scale": 1 / 256, "zero_point": -128},
    ),
}


@pytest.mark.parametrize("dtype", SAYS)
def test_a_file_says_what_it_takes_and_gives_and_where_it_comes_from(dtype: str) -> None:
    said = bundle.describe(dtype, {"recipe": "quick"})

    given, wanted = SAYS[dtype]
    meaning = "gray pixel / 255: garment bright, background 0"
    assert said == {
        "format": FORMAT,
        "input": {"name": "image", "shape": ["N", 28, 28], "meaning": meaning, **given},
        "output": {"name": "probabilities", "shape": ["N", 10], "meaning": "probability of each class", **wanted},
        "classes": CLASSES,
        "training": {"recipe": "quick"},
    }


def test_a_tflite_file_carries_its_description_and_checksum_at_its_end() -> None:
    content = bundle.attach_description(flatbuffer(), bundle.describe("int8", TRAINING))

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt", "fmnist.json"]
        assert archive.read("labels.txt").decode() == "".join(f"{name}\n" for name in CLASSES)
        assert json.loads(archive.read("fmnist.json"))["model_sha256"] == sha256(flatbuffer()).hexdigest()
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(1980, 1, 1)}
    assert content.startswith(flatbuffer())
    assert read_description(content, ".tflite")["training"] == TRAINING


def test_an_onnx_file_carries_the_same_as_properties() -> None:
    content = float_onnx(MLP.layers)

    properties = {entry.key: entry.value for entry in onnx.load_model_from_string(content).metadata_props}
    said = json.loads(properties["fmnist.json"])

    assert properties["labels.txt"].split("\n") == [*CLASSES, ""]
    assert said["classes"] == list(CLASSES)
    assert sha256(content.replace(said["model_sha256"].encode(), b"0" * 64)).hexdigest() == said["model_sha256"]
    assert read_description(content, ".onnx")["training"] == TRAINING
    assert float_onnx(MLP.layers) == content


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_byte_of_the_weights_that_changes_is_noticed(suffix: str) -> None:
    content = bytearray(INT8.read_bytes() if suffix == ".tflite" else float_onnx(MLP.layers))
    content[50_000] ^= 1

    with pytest.raises(ModelError, match="it is damaged"):
        read_description(bytes(content), suffix)


def test_the_golden_tiles_are_the_first_of_each_class_as_even_as_256_allows() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 5_000).astype(np.uint8)

    golden = bundle.choose_golden(labels)

    assert len(golden) == 256
    assert (np.diff(golden) > 0).all()
    for class_id in range(10):
        chosen = golden[labels[golden] == class_id]
        assert chosen.tolist() == np.flatnonzero(labels == class_id)[: 26 if class_id < 6 else 25].tolist()


def test_the_golden_set_has_of_each_tile_its_label_and_outputs_and_how_far_others_may_be() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1_000, 28, 28), np.uint8)
    labels = (np.arange(1_000) % 10).astype(np.uint8)
    dataset = Dataset(images[::-1], labels[::-1], images, labels)
    outputs = {"reference": np.arange(10_000, dtype=np.float32).reshape(1_000, 10)}

    content = bundle.pack_golden(dataset, outputs, {"fmnist-float.onnx": {"onnxruntime 1": (1e-5, 1e-7)}})

    chosen = bundle.choose_golden(labels)
    with np.load(io.BytesIO(content)) as golden:
        assert sorted(golden) == ["about", "labels", "reference", "tiles"]
        np.testing.assert_array_equal(golden["tiles"], images[chosen])
        np.testing.assert_array_equal(golden["labels"], labels[chosen])
        np.testing.assert_array_equal(golden["reference"], outputs["reference"][chosen])
        about = json.loads(str(golden["about"]))
    assert about["tolerances"] == {"fmnist-float.onnx": {"onnxruntime 1": [1e-5, 1e-7]}}
    assert isinstance(about["format"], int)


def test_a_fingerprint_is_size_and_checksum() -> None:
    assert bundle.fingerprint(b"abc") == {
        "bytes": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


def test_json_is_for_people_too() -> None:
    assert bundle.to_json({"Δp": 1}) == '{\n "Δp": 1\n}\n'
