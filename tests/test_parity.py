"""The gate of the committed artifacts: each says what the Keras model says, over all 10,000 test images."""

import json
import zipfile
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export import bundle, parity
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import CLASSES, agreement, calibration_error, to_pixels
from fmnist_edge.runtimes.tflite import TFLiteSession
from fmnist_edge.terminal import quiet_stderr
from support.commands import MODELS
from train.dataset import Dataset

Probabilities = NDArray[np.float32]

MANIFEST = json.loads((MODELS / "manifest.json").read_text())
ARTIFACTS = list(bundle.ARTIFACTS)


@pytest.fixture(scope="session")
def reference(dataset: Dataset) -> Probabilities:
    import keras

    model = keras.saving.load_model(MODELS / "fmnist.keras", compile=False)
    probabilities: Probabilities = model.predict(to_pixels(dataset.test_images), batch_size=1000, verbose=0)
    return probabilities


@pytest.fixture(scope="session")
def outputs(dataset: Dataset) -> dict[str, Probabilities]:
    return {name: open_model(MODELS / name).session.probabilities(dataset.test_images) for name in ARTIFACTS}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_artifact_passes_its_gate(
    name: str, reference: Probabilities, outputs: dict[str, Probabilities], dataset: Dataset
) -> None:
    figures = parity.compare(reference, outputs[name], dataset.test_labels)

    assert parity.broken_gates(bundle.ARTIFACTS[name], figures) == []


@pytest.mark.tensorflow
def test_tensorflows_own_interpreter_says_the_same(outputs: dict[str, Probabilities], dataset: Dataset) -> None:
    with quiet_stderr():
        session = TFLiteSession((MODELS / "fmnist-int8.tflite").read_bytes(), runtime="tensorflow")
    probabilities = session.probabilities(dataset.test_images)

    assert agreement(outputs["fmnist-int8.tflite"], probabilities) == 1


def test_no_gate_is_waived() -> None:
    assert MANIFEST["waived"] == {"missed": [], "reason": ""}


def test_the_two_int8_files_say_the_same(outputs: dict[str, Probabilities]) -> None:
    assert parity.broken_int8_twins(outputs) == []


@pytest.mark.tensorflow
def test_tf2onnx_makes_of_the_int8_tflite_file_what_says_the_same(outputs: dict[str, Probabilities], dataset: Dataset) -> None:
    from export.by_tf2onnx import ask_witness

    witness = ask_witness((MODELS / "fmnist-int8.tflite").read_bytes(), dataset.test_images)

    assert parity.broken_witness(outputs["fmnist-int8.onnx"], witness) == []
    assert MANIFEST["witness"]["same_class"] == 10_000
    # which outputs float32 rounds to the next step depends on the processor
    assert MANIFEST["witness"]["max_difference"] <= parity.WITNESS_STEPS / 256


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_manifest_has_the_file_and_its_figures(
    name: str, reference: Probabilities, outputs: dict[str, Probabilities], dataset: Dataset
) -> None:
    content = (MODELS / name).read_bytes()
    listed = MANIFEST["files"][name]
    figures = parity.compare(reference, outputs[name], dataset.test_labels)

    assert listed["bytes"] == len(content)
    assert listed["sha256"] == sha256(content).hexdigest()
    assert listed["accuracy"] == pytest.approx(figures.accuracy, abs=2e-4)
    assert listed["ties"] == figures.ties
    assert listed["max_dp"] == pytest.approx(figures.max_dp, abs=parity.ELSEWHERE[listed["dtype"]])


@pytest.mark.tensorflow
def test_the_manifest_names_this_keras_model(reference: Probabilities, dataset: Dataset) -> None:
    assert MANIFEST["reference"]["sha256"] == sha256((MODELS / "fmnist.keras").read_bytes()).hexdigest()
    ties = MANIFEST["files"]["fmnist-float.tflite"]["ties"]
    assert MANIFEST["reference"]["accuracy"] == pytest.approx(parity.accuracy(reference, dataset.test_labels), abs=1e-4 * ties)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_golden_outputs_are_computed_again(name: str) -> None:
    with np.load(MODELS / "golden.npz") as golden:
        again = open_model(MODELS / name).session.probabilities(golden["tiles"])

        assert golden["tiles"].shape == (256, 28, 28)
        assert sorted(np.bincount(golden["labels"])) == [25] * 4 + [26] * 6
        np.testing.assert_allclose(again, golden[name], rtol=0, atol=parity.ELSEWHERE[bundle.ARTIFACTS[name]])


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_size_of_a_batch_changes_nothing(name: str, outputs: dict[str, Probabilities], dataset: Dataset) -> None:
    session = open_model(MODELS / name).session
    parts = [session.probabilities(part) for part in np.split(dataset.test_images[:300], [1, 2, 9, 265])]

    np.testing.assert_allclose(np.concatenate(parts), outputs[name][:300], rtol=0, atol=parity.ELSEWHERE["float32"])


def bare_interpreter(name: str, images: NDArray[Any]) -> NDArray[Any]:
    """What somebody writes who has the .tflite file and no fmnist-edge."""
    interpreter = Interpreter(model_path=str(MODELS / name))
    classify = interpreter.get_signature_runner()
    result: NDArray[Any] = classify(image=images)["probabilities"]
    return result


def test_the_bare_float_file_takes_pixels_divided_by_255(outputs: dict[str, Probabilities], dataset: Dataset) -> None:
    probabilities = bare_interpreter("fmnist-float.tflite", (dataset.test_images / 255).astype(np.float32))

    np.testing.assert_allclose(probabilities, outputs["fmnist-float.tflite"], rtol=0, atol=parity.ELSEWHERE["float32"])


def test_the_bare_int8_file_takes_pixels_minus_128(outputs: dict[str, Probabilities], dataset: Dataset) -> None:
    quantized = bare_interpreter("fmnist-int8.tflite", (dataset.test_images.astype(int) - 128).astype(np.int8))

    np.testing.assert_allclose((quantized.astype(int) + 128) / 256, outputs["fmnist-int8.tflite"], rtol=0, atol=1e-6)


def test_the_int8_file_computes_with_integers_alone() -> None:
    interpreter = Interpreter(model_path=str(MODELS / "fmnist-int8.tflite"))

    assert {np.dtype(tensor["dtype"]).name for tensor in interpreter.get_tensor_details()} <= {"int8", "uint8", "int32"}


@pytest.mark.parametrize("name", [name for name in ARTIFACTS if name.endswith(".tflite")])
def test_unzip_finds_labels_and_description_in_a_tflite_file(name: str) -> None:
    with zipfile.ZipFile(MODELS / name) as archive:
        assert archive.namelist() == ["labels.txt", "fmnist.json"]
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_artifact_says_how_it_was_made(name: str) -> None:
    description = open_model(MODELS / name).description

    assert description["training"] == MANIFEST["training"]
    assert description["input"]["dtype"] == bundle.ARTIFACTS[name]


def test_the_models_stay_below_eight_megabytes() -> None:
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 8_000_000


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_shipped_models_are_as_sure_as_they_are_right(
    name: str, outputs: dict[str, Probabilities], reference: Probabilities, dataset: Dataset
) -> None:
    assert calibration_error(reference.max(1), reference.argmax(1) == dataset.test_labels) <= 0.010
    assert calibration_error(outputs[name].max(1), outputs[name].argmax(1) == dataset.test_labels) <= 0.010


@pytest.mark.parametrize("name", ARTIFACTS)
def test_each_file_says_when_it_is_unsure_and_of_sure_answers_19_in_20_are_right(
    name: str, outputs: dict[str, Probabilities], dataset: Dataset
) -> None:
    training = open_model(MODELS / name).description["training"]
    sure = outputs[name].max(1) >= training["unsure"]["tile"]
    right = outputs[name].argmax(1) == dataset.test_labels

    assert 0.25 < training["temperature"] < 4
    assert training["unsure"]["tile"] < training["unsure"]["photo"] < 1
    assert right[sure].mean() > 0.94
    assert 0.8 < sure.mean() < 0.95
