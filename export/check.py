"""Checks artifacts against the gates, and a bundle against its own manifest. Writes nothing, and needs no TensorFlow."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from export import bare_runtimes, keras_model, parity
from export.bundle import ARTIFACTS, fingerprint
from export.diagnose import diagnose
from export.errors import BundleError, ParityError, RoundingError
from export.keras_model import Mlp
from export.parity import Figures
from fmnist_edge.bundle.description import read_description
from fmnist_edge.bundle.manifest import FORMAT
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import Probabilities, Tiles, to_pixels
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes.session import Session
from fmnist_edge.terminal import quiet_stderr
from train.dataset import Dataset

WAIVED_AT_MOST = 0.01
"""How much accuracy (a fraction of 1) an int8 file may lose even if its gates are waived."""


def judge(
    contents: Mapping[str, bytes],
    outputs: Mapping[str, Probabilities],
    figures: Mapping[str, Figures],
    mlp: Mlp,
    tiles: Tiles,
    int8_waiver: str,
) -> dict[str, Any]:
    """The gates that were missed but are waived, with the recipe's reason.

    outputs: of each artifact for the tiles, uint8 (N, 28, 28); mlp: the Keras model. Raises ParityError for any other gate
    that was missed, with the cause where it can be known; RoundingError if int8 files alone missed theirs.
    """
    missed: dict[str, list[str]] = {"float32": [], "int8": []}
    for name, dtype in ARTIFACTS.items():
        if broken := parity.broken_gates(dtype, figures[name]):
            cause = diagnose(name, contents[name], outputs[name], mlp, tiles)
            missed[dtype] += [f"{name}: {', '.join(broken)}{cause and f' ({cause})'}"]
    most_lost = max(-figures[name].accuracy_difference for name in ARTIFACTS)
    waived = missed["int8"] if int8_waiver and most_lost <= WAIVED_AT_MOST else []
    fatal = [*parity.broken_ties(figures), *missed["float32"]]
    of_int8 = [*(missed["int8"] if not waived else []), *parity.broken_int8_twins(outputs)]
    if fatal or of_int8:
        raise (ParityError if fatal else RoundingError)("; ".join([*fatal, *of_int8]))
    return {"missed": waived, "reason": int8_waiver if waived else ""}


def judge_witness(ours: Probabilities, witness: Probabilities) -> None:
    """Raises RoundingError unless fmnist-int8.onnx says what tf2onnx's conversion of fmnist-int8.tflite says."""
    if broken := parity.broken_witness(ours, witness):
        raise RoundingError("; ".join(broken))


def check(folder: Path, model: Path, dataset: Dataset) -> dict[str, Any]:
    """The manifest of the bundle in the folder, if everything in it matches the manifest. model: the Keras model's file.

    Raises BundleError, ModelError or ParityError for the first file that is not, with the cause.
    """
    manifest = read_json(folder / "manifest.json")
    try:
        sessions = check_files(folder, model, manifest)
        mlp, _ = keras_model.read(model)
        wanted = keras_model.answers(to_pixels(dataset.test_images), mlp)
        outputs = {name: session.probabilities(dataset.test_images) for name, session in sessions.items()}
        figures = {name: parity.compare(wanted, output, dataset.test_labels) for name, output in outputs.items()}
        contents = {name: (folder / name).read_bytes() for name in ARTIFACTS}
        judge(contents, outputs, figures, mlp, dataset.test_images, manifest["waived"]["reason"])
        # without TensorFlow, tf2onnx can't be asked again
        if manifest["witness"]["same_class"] != len(dataset.test_images):
            raise BundleError(f"{folder / 'manifest.json'}: {parity.WITNESS} names other classes; export again")
        for name, dtype in ARTIFACTS.items():
            check_golden(folder, name, contents[name])
            check_figures(folder / name, figures[name], manifest["files"][name], parity.ELSEWHERE[dtype])
    except (KeyError, TypeError, AttributeError):
        raise BundleError(f"{folder / 'manifest.json'}: it is incomplete; export again") from None
    return manifest


def check_files(folder: Path, model: Path, manifest: Mapping[str, Any]) -> dict[str, Session]:
    """The open artifacts, if each file is there, is the one that the manifest lists, and describes itself as it does."""
    if manifest["format"] != FORMAT:
        raise BundleError(f"{folder / 'manifest.json'}: its format is {manifest['format']}, this export reads {FORMAT}")
    check_listed(folder, manifest)
    if not is_as_listed(model, manifest["reference"]):
        raise BundleError(f"{model}: it is not the model that this bundle was exported from; export again")
    for name in ARTIFACTS:
        check_training(folder / name, manifest["training"])
    with quiet_stderr():
        return {name: open_model(folder / name).session for name in ARTIFACTS}


def check_listed(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises BundleError for the first listed file that is missing or differs, with the cause."""
    for name, listed in {**manifest["files"], **manifest["proof"]}.items():
        path = folder / name
        if is_as_listed(path, listed):
            continue
        if name in manifest["proof"]:
            raise BundleError(f"{path}: it is not the file that the manifest lists; export again")
        check_training(path, manifest["training"])
        raise BundleError(f"{path}: it is from another export than the manifest; export again")


def is_as_listed(path: Path, listed: Mapping[str, Any]) -> bool:
    return fingerprint(read(path)).items() <= listed.items()


def check_training(path: Path, wanted: Mapping[str, Any]) -> None:
    """Raises BundleError unless the artifact is complete and says that it comes from this training."""
    try:
        found = read_description(read(path), path.suffix)["training"]
    except ModelError as error:
        raise BundleError(f"{path}: {error}") from None
    differences = [
        f"{key} {found.get(key)}, not {wanted.get(key)}" for key in {**wanted, **found} if found.get(key) != wanted.get(key)
    ]
    if differences:
        raise BundleError(f"{path}: it is from another training than the manifest: {'; '.join(differences[:3])}; export again")


def check_figures(path: Path, figures: Figures, listed: Mapping[str, Any], tolerance: float) -> None:
    """Raises BundleError if the manifest claims other figures. tolerance: of a probability, between processors."""
    few, image = 2, 1e-4  # images that another processor may find on the other side of a limit; as long as there are 10,000
    limits = {
        "ties": few,
        "accuracy": (few + figures.ties) * image,
        "accuracy_difference": few * image,
        "top1_agreement": few * image,
        "max_dp": tolerance,
    }
    for key, allowed in limits.items():
        if not abs(getattr(figures, key) - listed[key]) <= allowed * 1.001:
            raise BundleError(
                f"{path}: its {key} is {getattr(figures, key):.4g}, the manifest says {listed[key]:.4g}; export again"
            )


def check_golden(folder: Path, name: str, content: bytes) -> None:
    """Raises BundleError unless each installed runtime gives the golden outputs, as closely as parity.json says."""
    listed = read_json(folder / "parity.json")["files"][name]["runtimes"]
    with np.load(folder / "golden.npz") as golden:
        for runtime in bare_runtimes.runtimes_for(name):
            # tf.lite would take seconds, for TensorFlow's import
            if runtime == "tf.lite" or listed[runtime] is None or not bare_runtimes.is_here(runtime):
                continue
            found = bare_runtimes.run(runtime, content, golden["tiles"], ARTIFACTS[name])
            difference, tolerance = float(np.abs(found - golden[name]).max()), listed[runtime]["tolerance"]
            if not difference <= tolerance:
                raise BundleError(
                    f"{folder / name}: {runtime} {bare_runtimes.version_of(runtime)} gives outputs {difference:.2g} "
                    f"from those in golden.npz, at most {tolerance:.2g} is allowed"
                )


def read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(read(path))
    except ValueError:
        raise BundleError(f"{path}: it is damaged; export again") from None
    return value


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: it can't be read ({error.strerror})") from None
