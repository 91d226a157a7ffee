"""`fmnist-edge verify`: a device proves by the golden tiles that it computes what the workstation computed."""

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.bundle import ARTIFACTS
from support.altered_models import float_onnx, with_a_zeroed_row, with_first_kernel
from support.commands import MODELS, ROOT, fmnist_edge

INT8 = "fmnist-int8.tflite"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped model and the golden set."""
    for name in (INT8, "golden.npz"):
        shutil.copy(MODELS / name, tmp_path)
    return tmp_path


@pytest.fixture
def listed(folder: Path) -> Path:
    """With a manifest that lists the model, which needs no process of its own then, and not the golden set, which may change."""
    files = {INT8: {"sha256": sha256((folder / INT8).read_bytes()).hexdigest()}}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def verdict(model: Path) -> dict[str, Any]:
    result = fmnist_edge("verify", "--json", "--model", model)
    found: dict[str, Any] = json.loads(result.stdout)
    assert (result.returncode, result.stderr != "") == ((0, False) if found["holds"] else (3, True))
    return found


def complaint(model: Path) -> str:
    """The one line that the command ends with."""
    result = fmnist_edge("verify", "--model", model)
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    return line


def change_golden(folder: Path, **arrays: Any) -> None:
    with np.load(folder / "golden.npz") as golden:
        np.savez(folder / "golden.npz", **{**golden, **arrays})


def change_tolerances(folder: Path, tolerances: dict[str, list[float]]) -> None:
    change_golden(folder, about=json.dumps({"format": 1, "tolerances": {INT8: tolerances}}))


@pytest.mark.parametrize("name", ARTIFACTS)
def test_each_artifact_computes_here_what_it_computed_at_the_export(name: str) -> None:
    found = verdict(MODELS / name)

    assert found["artifact"] == name
    assert found["tiles"] == 256
    assert found["agreement"] == 1
    assert found["difference"] <= 1 / 256
    assert found["agreement_with_keras"] > 0.98
    assert 0.85 < found["accuracy"] < 0.97


def test_the_model_that_comes_with_the_package_is_the_one_verified_if_none_is_named() -> None:
    result = fmnist_edge("verify")

    assert (result.returncode, result.stderr) == (0, "")
    assert "fmnist-int8.tflite\nruntime   ai-edge-litert 2." in result.stdout
    assert "verdict   ok: 100.00% of 256 tiles have the same class as on the workstation" in result.stdout


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [INT8, "fmnist-float.tflite"])
def test_tensorflows_own_interpreter_does_too(name: str, tmp_path: Path) -> None:
    for package in ("ai_edge_litert", "tflite_runtime"):
        (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('not here', name={package!r})")
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'edge'}"}

    result = fmnist_edge("verify", "--model", MODELS / name, environment=environment)

    assert (result.returncode, result.stderr) == (0, "")
    assert "runtime   tensorflow 2." in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", [INT8, "fmnist-float.tflite", "fmnist-int8.onnx"])
def test_a_copy_under_another_name_is_known_by_what_it_is(name: str, folder: Path) -> None:
    copy = folder / f"my clothes{Path(name).suffix}"
    shutil.copy(MODELS / name, copy)

    assert verdict(copy)["artifact"] == name


def test_a_flipped_weight_byte_fails(folder: Path) -> None:
    content = bytearray((folder / INT8).read_bytes())
    content[50_000] ^= 1
    (folder / INT8).write_bytes(content)

    assert "it is damaged: it is not what was exported; copy it again" in complaint(folder / INT8)


@pytest.mark.slow
def test_other_weights_fail_even_if_the_checksum_was_made_to_fit(folder: Path) -> None:
    (folder / INT8).write_bytes(with_a_zeroed_row(folder / INT8))

    line = complaint(folder / INT8)

    assert line.startswith(f"fmnist-edge: {folder / INT8}: not what the workstation computed (ai-edge-litert 2.")
    assert "; copy the model and golden.npz again from one export" in line


@pytest.mark.slow
def test_a_model_that_gives_no_numbers_fails(folder: Path) -> None:
    (folder / "broken.onnx").write_bytes(float_onnx(with_first_kernel(lambda kernel: kernel * np.nan)))

    assert complaint(folder / "broken.onnx") == f"fmnist-edge: {folder}/broken.onnx: its answers are not probabilities"


def test_without_a_golden_set_it_says_where_to_get_it(listed: Path) -> None:
    (listed / "golden.npz").unlink()

    expected = f"fmnist-edge: {listed}/golden.npz: no such file; copy it from where the model comes from"
    assert complaint(listed / INT8) == expected


def one_array(folder: Path) -> None:
    with (folder / "golden.npz").open("wb") as file:
        np.save(file, np.zeros(3))


def pickled(folder: Path) -> None:
    change_golden(folder, tiles=np.array([{"a": 1}], dtype=object))


BAD_GOLDEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda folder: (folder / "golden.npz").write_bytes(b""),
    "text": lambda folder: (folder / "golden.npz").write_text("not an archive"),
    "truncated": lambda folder: (folder / "golden.npz").write_bytes((MODELS / "golden.npz").read_bytes()[:50_000]),
    "one array": one_array,
    "foreign": lambda folder: np.savez(folder / "golden.npz", images=np.zeros((5, 28, 28))),
    "pickled": pickled,
    "without tolerances": lambda folder: change_tolerances(folder, {}),
    "other tiles": lambda folder: change_golden(folder, tiles=np.zeros((256, 32, 32), np.uint8)),
    "no tiles": lambda folder: change_golden(folder, tiles=np.zeros((0, 28, 28), np.uint8)),
    "outputs of another type": lambda folder: change_golden(folder, **{INT8: np.zeros((256, 10))}),
    "gigabytes": lambda folder: np.savez_compressed(folder / "golden.npz", tiles=np.zeros(20_000_000, np.uint8)),
}


@pytest.mark.parametrize("damage", BAD_GOLDEN)
def test_a_damaged_golden_set_is_named(damage: str, listed: Path) -> None:
    BAD_GOLDEN[damage](listed)

    assert complaint(listed / INT8).startswith(f"fmnist-edge: {listed}/golden.npz: it is damaged, or not a golden set; copy it")


def test_a_golden_set_of_a_future_format_is_named(listed: Path) -> None:
    change_golden(listed, about=json.dumps({"format": 99}))

    assert complaint(listed / INT8).endswith("golden.npz: its format is 99, this fmnist-edge reads 1; export again")


def test_the_tolerance_is_that_of_this_runtime(listed: Path) -> None:
    runtime = verdict(listed / INT8)["runtime"]
    change_tolerances(listed, {runtime: [0.25, 0.01], "another 1.0": [0.5, 0.1]})

    found = verdict(listed / INT8)
    assert (found["tolerance"], found["mean_tolerance"]) == (0.25, 0.01)


def test_a_runtime_that_was_not_measured_gets_the_largest_tolerance(listed: Path) -> None:
    change_tolerances(listed, {"one 1.0": [0.25, 0.2], "another 1.0": [0.5, 0.1], "a third 1.0": [0.125, 0.1]})

    found = verdict(listed / INT8)
    assert (found["tolerance"], found["mean_tolerance"]) == (0.5, 0.2)


def test_a_tie_counts_as_the_same_class(listed: Path) -> None:
    with np.load(listed / "golden.npz") as golden:
        outputs = golden[INT8]
    next_class = np.arange(len(outputs)), (outputs.argmax(1) + 1) % 10

    for lead, share in ((5e-6, 1), (2e-5, 0)):
        torn = outputs.copy()
        torn[next_class] = outputs.max(1) + lead
        change_golden(listed, reference=torn)

        assert verdict(listed / INT8)["agreement_with_keras"] == share


def test_the_tolerance_covers_all_kernels_that_a_runtime_may_choose() -> None:
    measured = json.loads((MODELS / "parity.json").read_text())["files"][INT8]["runtimes"]
    rows = [measured["ai-edge-litert"], measured["ai-edge-litert, built-in kernels"]]

    with np.load(MODELS / "golden.npz") as golden:
        tolerances = json.loads(str(golden["about"]))["tolerances"][INT8]

    for key, allowed in zip(("tolerance", "mean_tolerance"), tolerances[f"ai-edge-litert {rows[0]['version']}"], strict=True):
        assert allowed == max(row[key] for row in rows)
    assert tolerances[f"tensorflow {measured['tf.lite']['version']}"][0] == measured["tf.lite"]["tolerance"]
