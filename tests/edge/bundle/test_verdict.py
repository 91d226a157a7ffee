"""What `verify` concludes: each difference between device and workstation that it must not let pass, number by number."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from fmnist_edge.bundle import golden
from fmnist_edge.bundle.golden import Golden, Verdict, artifact_like, check, read_golden, to_lines, verify
from fmnist_edge.bundle.model import open_model
from fmnist_edge.errors import ModelError, SignatureError
from support.commands import MODELS
from support.described import write_manifest

INT8 = "fmnist-int8.tflite"
RUNTIME = open_model(MODELS / INT8).session.runtime


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped int8 model and the golden set, listed in a manifest."""
    for name in (INT8, "golden.npz"):
        shutil.copy(MODELS / name, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    with np.load(MODELS / "golden.npz") as shipped:
        return dict(shipped)


def write_golden(folder: Path, arrays: dict[str, Any], tolerances: dict[str, list[float]] | None = None, **changes: Any) -> Path:
    """Writes a golden set, and a manifest that lists it and the model, so that the model runs in this process."""
    if tolerances is not None:
        changes["about"] = json.dumps({"format": 1, "tolerances": {INT8: tolerances}})
    np.savez(folder / "golden.npz", **{**arrays, **changes})
    write_manifest(folder, INT8, "golden.npz")
    return folder / INT8


def verdict(folder: Path, arrays: dict[str, Any], tolerances: dict[str, list[float]] | None = None, **changes: Any) -> Verdict:
    return verify(write_golden(folder, arrays, tolerances, **changes))


def off_by(arrays: dict[str, Any], difference: float, count: int | None = None) -> np.ndarray:
    """The golden outputs, all of them or the first so many of them, off by a difference."""
    changed = arrays[INT8].copy()
    changed.reshape(-1)[:count] += np.float32(difference)
    return changed


@pytest.mark.parametrize("difference", [1 / 300, -1 / 300])
def test_a_device_that_is_a_little_off_everywhere_does_not_pass(difference: float, folder: Path, arrays: dict[str, Any]) -> None:
    found = verdict(folder, arrays, **{INT8: off_by(arrays, difference)})

    assert found.difference < found.tolerance
    assert found.mean_difference == pytest.approx(1 / 300, rel=1e-3)
    assert not found.holds


@pytest.mark.parametrize("difference", [0.25, -0.25])
def test_a_device_that_is_far_off_once_does_not_pass(difference: float, folder: Path, arrays: dict[str, Any]) -> None:
    found = verdict(folder, arrays, {RUNTIME: [0.2, 1]}, **{INT8: off_by(arrays, difference, 1)})

    assert found.difference == pytest.approx(0.25)
    assert found.mean_difference < found.mean_tolerance
    assert not found.holds


def test_a_device_that_differs_by_all_that_is_allowed_passes(folder: Path, arrays: dict[str, Any]) -> None:
    outputs = off_by(arrays, 0.25, 100)
    first = verdict(folder, arrays, {RUNTIME: [1, 1]}, **{INT8: outputs})

    exactly = [first.difference, first.mean_difference]
    assert verdict(folder, arrays, {RUNTIME: exactly}, **{INT8: outputs}).holds
    assert not verdict(folder, arrays, {RUNTIME: [exactly[0] * 0.999, 1]}, **{INT8: outputs}).holds
    assert not verdict(folder, arrays, {RUNTIME: [1, exactly[1] * 0.999]}, **{INT8: outputs}).holds


def test_a_runtime_has_its_own_tolerance_and_an_unknown_one_the_largest(folder: Path, arrays: dict[str, Any]) -> None:
    own = verdict(folder, arrays, {RUNTIME: [0.25, 0.01], "another 1.0": [0.5, 0.1]})
    unknown = verdict(folder, arrays, {"one 1.0": [0.25, 0.2], "another 1.0": [0.5, 0.1]})

    assert (own.tolerance, own.mean_tolerance) == (0.25, 0.01)
    assert (unknown.tolerance, unknown.mean_tolerance) == (0.5, 0.2)


def test_the_verdict_names_model_artifact_runtime_and_tiles(folder: Path, arrays: dict[str, Any]) -> None:
    found = verdict(folder, arrays)

    assert (found.model, found.artifact, found.runtime, found.tiles) == (str(folder / INT8), INT8, RUNTIME, 256)
    assert found.holds


def test_agreement_accuracy_and_keras_are_counted_each_for_itself(folder: Path, arrays: dict[str, Any]) -> None:
    answers = arrays[INT8].argmax(1)
    labels, outputs, reference = answers.astype(np.uint8), arrays[INT8].copy(), arrays[INT8].copy()
    labels[:64] = (labels[:64] + 1) % 10
    outputs[:32] = np.roll(outputs[:32], 1, axis=1)
    reference[:16] = np.roll(reference[:16], 1, axis=1)
    reference[20] -= 0.125

    found = verdict(folder, arrays, {RUNTIME: [1, 1]}, labels=labels, reference=reference, **{INT8: outputs})

    assert found.accuracy == pytest.approx(1 - 64 / 256, abs=2 / 256)
    assert found.agreement == pytest.approx(1 - 32 / 256, abs=2 / 256)
    assert found.agreement_with_keras == pytest.approx(1 - 16 / 256, abs=2 / 256)
    assert 0.5 < found.difference_to_keras <= 1


def verdict_of(**changes: Any) -> Verdict:
    values: dict[str, Any] = {
        **{"model": "m.tflite", "artifact": INT8, "runtime": "litert 2", "tiles": 256, "agreement": 0.995, "difference": 0.0312},
        **{"tolerance": 0.05, "mean_difference": 0.00012, "mean_tolerance": 0.0004, "accuracy": 0.9, "holds": True},
        **{"agreement_with_keras": 0.98, "difference_to_keras": 0.25},
    }
    return Verdict(**values | changes)


def test_a_complaint_says_what_was_found_and_what_to_do() -> None:
    found = verdict_of(holds=False)

    assert found.summary == (
        "99.50% of 256 tiles have the same class as on the workstation; difference: largest 0.031, allowed 0.05; "
        "mean 0.00012, allowed 0.0004"
    )
    assert found.complaint == (
        f"m.tflite: not what the workstation computed (litert 2: {found.summary}); copy the model and golden.npz again from one "
        "export, and if that does not help, install another runtime"
    )


def test_a_runtime_that_computes_wrongly_is_named_by_a_witness(
    folder: Path, arrays: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Interpreter.get_tensor
    monkeypatch.setattr(Interpreter, "get_tensor", lambda self, index: np.roll(right(self, index), 1, axis=1))

    found = verdict(folder, arrays)

    assert not found.holds
    assert found.witness_difference == pytest.approx(0, abs=1 / 256)
    cure = f"numpy {np.__version__} computes it correctly, so {RUNTIME} does not: install another runtime or version"
    assert found.complaint.endswith(f"; {cure}")


def test_a_golden_set_of_another_model_is_no_fault_of_the_runtime(folder: Path, arrays: dict[str, Any]) -> None:
    found = verdict(folder, arrays, **{INT8: np.roll(arrays[INT8], 1, axis=1)})

    assert not found.holds
    assert found.complaint.endswith("; copy the model and golden.npz again from one export")


def test_a_float_model_has_no_witness() -> None:
    assert verify(MODELS / "fmnist-float.tflite").witness is None


@pytest.mark.slow
def test_a_model_that_nobody_vouches_for_has_no_witness(folder: Path) -> None:
    assert verify(folder / INT8).witness is None


def test_the_lines_say_whether_it_holds() -> None:
    found = verdict_of()

    assert to_lines(found) == [
        f"model     m.tflite, compared with {INT8}",
        "runtime   litert 2",
        f"verdict   ok: {found.summary}",
        "Keras     98.00% have the same class, largest difference 0.25",
        "accuracy  90.00% of these tiles",
    ]
    assert to_lines(verdict_of(holds=False))[2] == f"verdict   not the same: {found.summary}"
    assert to_lines(verdict_of(witness="numpy 2", witness_difference=0.0039))[3] == "witness   numpy 2: largest difference 0.0039"


@pytest.mark.parametrize("name", ["fmnist-int8.tflite", "fmnist-float.tflite", "fmnist-int8.onnx", "fmnist-float.onnx"])
def test_each_artifact_is_compared_with_its_own_outputs(name: str) -> None:
    assert artifact_like(open_model(MODELS / name)) == name


def whole(**changes: Any) -> Golden:
    """A golden set of three tiles."""
    arrays: dict[str, Any] = {
        "tiles": np.zeros((3, 28, 28), np.uint8),
        "labels": np.zeros(3, np.uint8),
        "outputs": np.zeros((3, 10), np.float32),
        "reference": np.zeros((3, 10), np.float32),
        "tolerances": {"litert 2": (0.1, 0.1)},
    }
    return Golden(**arrays | changes)


def test_a_golden_set_that_is_as_it_should_be_is_accepted() -> None:
    check(whole())
    check(whole(**{name: getattr(whole(), name)[:1] for name in ("tiles", "labels", "outputs", "reference")}))


@pytest.mark.parametrize(
    "changes",
    [
        {"tiles": np.zeros((3, 28, 28), np.int8)},
        {"tiles": np.zeros((3, 28, 27), np.uint8)},
        {"tiles": np.zeros((4, 28, 28), np.uint8)},
        {"labels": np.zeros(3, np.int64)},
        {"labels": np.zeros(2, np.uint8)},
        {"outputs": np.zeros((3, 10))},
        {"outputs": np.zeros((3, 9), np.float32)},
        {"reference": np.zeros((3, 10))},
        {"reference": np.zeros((2, 10), np.float32)},
        {"tolerances": {}},
        {name: getattr(whole(), name)[:0] for name in ("tiles", "labels", "outputs", "reference")},
    ],
    ids=repr,
)
def test_a_golden_set_with_a_wrong_array_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a golden set"):
        check(whole(**changes))


def golden_of(folder: Path) -> Golden:
    return read_golden(folder / "golden.npz", INT8, {})


def test_each_array_is_read_from_its_own_place(folder: Path, arrays: dict[str, Any]) -> None:
    read = golden_of(folder)

    np.testing.assert_array_equal(read.tiles, arrays["tiles"])
    np.testing.assert_array_equal(read.labels, arrays["labels"])
    np.testing.assert_array_equal(read.outputs, arrays[INT8])
    np.testing.assert_array_equal(read.reference, arrays["reference"])
    assert read.tolerances == {name: tuple(pair) for name, pair in json.loads(str(arrays["about"]))["tolerances"][INT8].items()}


def test_a_golden_set_that_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with np.load(folder / "golden.npz") as shipped:
        size = sum(entry.file_size for entry in shipped.zip.infolist())
    monkeypatch.setattr(golden, "MAX_GOLDEN_BYTES", size)
    golden_of(folder)
    monkeypatch.setattr(golden, "MAX_GOLDEN_BYTES", size - 1)

    with pytest.raises(ModelError, match="it is damaged, or not a golden set"):
        golden_of(folder)


def test_the_limit_of_a_golden_set_fits_a_small_device() -> None:
    assert golden.MAX_GOLDEN_BYTES == 10_000_000


def test_a_golden_set_of_another_format_is_named(folder: Path, arrays: dict[str, Any]) -> None:
    write_golden(folder, arrays, about=json.dumps({"format": 2}))

    with pytest.raises(ModelError) as caught:
        golden_of(folder)
    assert str(caught.value) == f"{folder}/golden.npz: its format is 2, this fmnist-edge reads 1; export again"


def test_a_missing_golden_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        golden_of(tmp_path)
    assert str(caught.value) == f"{tmp_path}/golden.npz: no such file; copy it from where the model comes from"


def test_a_damaged_golden_set_is_named(folder: Path) -> None:
    (folder / "golden.npz").write_bytes(b"nonsense")

    with pytest.raises(ModelError) as caught:
        golden_of(folder)
    complaint = "it is damaged, or not a golden set; copy it and the model again, or export again"
    assert str(caught.value) == f"{folder}/golden.npz: {complaint}"


def test_a_golden_set_that_the_manifest_lists_otherwise_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"golden\.npz: it is not the file that the manifest\.json beside it lists"):
        read_golden(folder / "golden.npz", INT8, {"golden.npz": "0" * 64})


def test_where_models_must_be_signed_an_unlisted_golden_set_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(folder))

    with pytest.raises(SignatureError, match=r"golden\.npz: no manifest\.json beside it lists it"):
        golden_of(folder)
