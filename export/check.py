"""Judges artifacts by the gates, and a bundle by what it says of itself. Writes nothing, and needs no TensorFlow."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from export import parity, reference, runtimes
from export.bundle import ARTIFACTS
from export.diagnose import diagnose
from export.errors import BundleError, ParityError
from export.parity import Figures, Probabilities
from export.reference import Mlp
from fmnist_edge.errors import ModelError
from fmnist_edge.model import FORMAT, open_model, read_onnx_description, read_tflite_description
from fmnist_edge.runtime import Session, Tiles, quiet_stderr, to_pixels
from train.dataset import Dataset

WAIVED_AT_MOST = 0.01
"""How far the accuracy (1 is all) of an int8 file may be off even where its gates are waived."""


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
    that was missed, with the cause where it can be known.
    """
    missed: dict[str, list[str]] = {"float32": [], "int8": []}
    for name, dtype in ARTIFACTS.items():
        if broken := parity.broken_gates(dtype, figures[name]):
            cause = diagnose(name, contents[name], outputs[name], mlp, tiles)
            missed[dtype] += [f"{name}: {', '.join(broken)}{cause and f' ({cause})'}"]
    most_lost = max(abs(figures[name].accuracy_difference) for name in ARTIFACTS)
    waived = missed["int8"] if int8_waiver and most_lost <= WAIVED_AT_MOST else []
    fatal = [*missed["float32"], *(missed["int8"] if not waived else []), *parity.broken_int8_twins(outputs)]
    if fatal:
        raise ParityError("; ".join(fatal))
    return {"missed": waived, "reason": int8_waiver if waived else ""}


def check(folder: Path, model: Path, dataset: Dataset) -> dict[str, Any]:
    """The manifest of the bundle in the folder, if all in it is as the manifest says. model: the Keras model's file.

    Raises BundleError, ModelError or ParityError for the first file that is not, with the cause.
    """
    manifest = read_json(folder / "manifest.json")
    try:
        sessions = check_files(folder, model, manifest)
        mlp, _ = reference.read(model)
        wanted = reference.answers(to_pixels(dataset.test_images), mlp)
        outputs = {name: session.probabilities(dataset.test_images) for name, session in sessions.items()}
        figures = {
            name: parity.compare(without_ties(wanted, output), output, dataset.test_labels) for name, output in outputs.items()
        }
        contents = {name: (folder / name).read_bytes() for name in ARTIFACTS}
        judge(contents, outputs, figures, mlp, dataset.test_images, manifest["waived"]["reason"])
        for name, dtype in ARTIFACTS.items():
            check_golden(folder, name, contents[name])
            check_figures(folder / name, figures[name], manifest["files"][name], parity.ELSEWHERE[dtype])
    except (KeyError, TypeError, AttributeError):
        raise BundleError(f"{folder / 'manifest.json'}: it is incomplete; export again") from None
    return manifest


def without_ties(wanted: Probabilities, output: Probabilities) -> Probabilities:
    """The reference, but the outputs where they differ by rounding alone.

    The reference is numpy's arithmetic here; of two classes that are equally probable, Keras' own may choose the other.
    """
    same = (np.abs(output - wanted) <= parity.ELSEWHERE["float32"]).all(1, keepdims=True)
    return np.where(same, output, wanted)


def check_files(folder: Path, model: Path, manifest: Mapping[str, Any]) -> dict[str, Session]:
    """The open artifacts, if each file is there, is the one that the manifest lists, and describes itself as it does."""
    if manifest["format"] != FORMAT:
        raise BundleError(f"{folder / 'manifest.json'}: its format is {manifest['format']}, this export reads {FORMAT}")
    sessions = {}
    for name in ARTIFACTS:
        check_listed(folder / name, manifest["files"][name], manifest["training"])
        with quiet_stderr():
            artifact = open_model(folder / name)
        if artifact.description["training"] != manifest["training"]:
            raise BundleError(f"{folder / name}: {other_training(artifact.description['training'], manifest['training'])}")
        sessions[name] = artifact.session
    for name, listed in manifest["proof"].items():
        check_listed(folder / name, listed)
    check_listed(model, manifest["reference"])
    return sessions


def check_listed(path: Path, listed: Mapping[str, Any], training: Any = None) -> None:
    """Raises BundleError unless the file is the one that is listed. training: of an artifact, what the manifest says of it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: it can't be read ({error.strerror})") from None
    if sha256(content).hexdigest() == listed["sha256"] and len(content) == listed["bytes"]:
        return
    why = "it is not the file that the manifest lists"
    if path.suffix == ".keras":
        why = "it is not the model that this bundle was exported from"
    elif training:
        try:
            why = other_training(describe(path, content)["training"], training)
        except ModelError as error:
            why = str(error)
    raise BundleError(f"{path}: {why}; export again")


def describe(path: Path, content: bytes) -> dict[str, Any]:
    if path.suffix == ".onnx":
        return read_onnx_description(content)
    return read_tflite_description(content)


def other_training(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What of the two trainings differs, in a few words."""
    differences = [
        f"{key} {found.get(key)}, not {wanted.get(key)}" for key in {**wanted, **found} if found.get(key) != wanted.get(key)
    ]
    if not differences:
        return "it is of another export than the manifest"
    return f"it is of another training than the manifest: {'; '.join(differences[:3])}"


def check_figures(path: Path, figures: Figures, listed: Mapping[str, Any], tolerance: float) -> None:
    """Raises BundleError if the manifest claims other figures. tolerance: of a probability, between processors."""
    image = 2e-4  # as long as there are 10,000 images: two that stood between two classes
    for key, allowed in {"accuracy": image, "accuracy_difference": image, "top1_agreement": image, "max_dp": tolerance}.items():
        if not abs(getattr(figures, key) - listed[key]) <= allowed * 1.001:
            raise BundleError(
                f"{path}: its {key} is {getattr(figures, key):.4g}, the manifest says {listed[key]:.4g}; export again"
            )


def check_golden(folder: Path, name: str, content: bytes) -> None:
    """Raises BundleError unless each runtime at hand gives the golden outputs, as nearly as parity.json says it does."""
    listed = read_json(folder / "parity.json")["files"][name]["runtimes"]
    with np.load(folder / "golden.npz") as golden:
        for runtime in runtimes.runtimes_for(name):
            # tf.lite would take seconds, for TensorFlow's import
            if runtime == "tf.lite" or listed[runtime] is None or not runtimes.is_here(runtime):
                continue
            found = runtimes.run(runtime, content, golden["tiles"], ARTIFACTS[name])
            difference, tolerance = float(np.abs(found - golden[name]).max()), listed[runtime]["tolerance"]
            if not difference <= tolerance:
                raise BundleError(
                    f"{folder / name}: {runtime} {runtimes.version_of(runtime)} gives outputs {difference:.2g} from those in "
                    f"golden.npz, at most {tolerance:.2g} is allowed"
                )


def read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return value
    except OSError as error:
        raise BundleError(f"{path}: it can't be read ({error.strerror})") from None
    except ValueError:
        raise BundleError(f"{path}: it is damaged; export again") from None
