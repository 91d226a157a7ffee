"""`python -m export --check`: a bundle that is whole and true passes; any other is refused with the file and the cause."""

import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from export import bundle, keras_model, parity
from export.check import check, check_figures, check_golden
from export.errors import BundleError
from export.keras_model import Layers
from export.parity import Figures
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import CLASSES, to_pixels
from fmnist_edge.errors import FmnistEdgeError
from support.altered_models import MLP, TRAINING, float_onnx, strongest_unit, with_a_zeroed_row, with_first_kernel
from support.commands import MODELS, main_of
from train.dataset import Dataset


@pytest.fixture(scope="module")
def few(dataset: Dataset) -> Dataset:
    """Test images of which all artifacts say the same: gates are for thousands."""
    tiles, labels = dataset.test_images[:300], dataset.test_labels[:300]
    said = np.stack([open_model(MODELS / name).session.probabilities(tiles).argmax(1) for name in bundle.ARTIFACTS])
    alike = (said == said[0]).all(0)
    return replace(dataset, test_images=tiles[alike], test_labels=labels[alike])


@pytest.fixture(scope="module")
def manifest_of_few(few: Dataset) -> str:
    """The shipped manifest, with the figures of these images."""
    manifest = json.loads((MODELS / "manifest.json").read_text())
    wanted = keras_model.answers(to_pixels(few.test_images), MLP)
    for name in bundle.ARTIFACTS:
        output = open_model(MODELS / name).session.probabilities(few.test_images)
        manifest["files"][name] |= asdict(parity.compare(wanted, output, few.test_labels))
    manifest["witness"]["same_class"] = len(few.test_images)
    return json.dumps(manifest)


@pytest.fixture
def folder(tmp_path: Path, manifest_of_few: str) -> Path:
    folder = Path(shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("report")))
    (folder / "manifest.json").write_text(manifest_of_few)
    return folder


def smuggle(folder: Path, name: str, content: bytes) -> None:
    """Puts another file into the bundle, and its checksum into the manifest."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] |= {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def with_another_output(folder: Path, name: str, change: float, tile: int = 200) -> None:
    """Changes one golden output of an artifact, and lists the golden set as it is then."""
    with np.load(folder / "golden.npz") as golden:
        arrays = dict(golden)
    arrays[name][tile, 3] += change
    np.savez_compressed(folder / "golden.npz", **arrays)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["proof"]["golden.npz"] = bundle.fingerprint((folder / "golden.npz").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refusal(folder: Path, few: Dataset) -> str:
    """What the check says of the bundle, without the folder."""
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    with pytest.raises(FmnistEdgeError) as refused:
        check(folder, folder / "fmnist.keras", few)
    assert refused.value.exit_status == 3
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
    return str(refused.value).removeprefix(f"{folder}/")


@pytest.mark.slow
def test_a_whole_bundle_passes_and_its_table_is_printed() -> None:
    result = main_of("export", "--check")

    assert (result.returncode, result.stderr) == (0, "")
    for name in bundle.ARTIFACTS:
        assert f"| {name}" in result.stdout
    assert result.stdout.splitlines()[-1] == "ok: models is complete, and does what its manifest says"


@pytest.mark.slow
def test_a_bundle_that_does_not_pass_ends_the_command_with_one_line(folder: Path) -> None:
    smuggle(folder, "fmnist-int8.tflite", with_a_zeroed_row(folder / "fmnist-int8.tflite"))

    result = main_of("export", "--check", "--out", folder)

    assert (result.returncode, result.stdout) == (3, "")
    assert re.fullmatch(r"export: fmnist-int8\.tflite: .*\n", result.stderr)


def test_what_passes_gives_its_manifest(folder: Path, few: Dataset) -> None:
    assert check(folder, folder / "fmnist.keras", few) == json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("part", ["files", "proof", "reference", "training", "waived", "witness"])
def test_a_manifest_that_lacks_something_is_named(part: str, folder: Path, few: Dataset) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest[part]
    (folder / "manifest.json").write_text(json.dumps(manifest))

    assert refusal(folder, few) == "manifest.json: it is incomplete; export again"


@pytest.mark.parametrize("name", [*bundle.ARTIFACTS, "golden.npz", "parity.json", "manifest.json"])
def test_a_missing_file_is_named(name: str, folder: Path, few: Dataset) -> None:
    (folder / name).unlink()

    assert refusal(folder, few) == f"{name}: it can't be read (No such file or directory)"


@pytest.mark.parametrize("name", ["golden.npz", "parity.json"])
def test_a_proof_that_was_changed_is_named(name: str, folder: Path, few: Dataset) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"\n")

    assert refusal(folder, few) == f"{name}: it is not the file that the manifest lists; export again"


def test_a_damaged_artifact_is_named(folder: Path, few: Dataset) -> None:
    content = bytearray((folder / "fmnist-int8.tflite").read_bytes())
    content[50_000] ^= 1
    (folder / "fmnist-int8.tflite").write_bytes(content)

    assert refusal(folder, few).startswith("fmnist-int8.tflite: it is damaged: it is not what was exported")


@pytest.mark.parametrize("text", ["{", '{"format": 1}', "[]"])
def test_a_damaged_manifest_is_named(text: str, folder: Path, few: Dataset) -> None:
    (folder / "manifest.json").write_text(text)

    assert refusal(folder, few).startswith("manifest.json: it is ")


def test_another_keras_model_than_the_exported_one_is_named(folder: Path, few: Dataset) -> None:
    with (folder / "fmnist.keras").open("ab") as file:
        file.write(b"\n")

    assert refusal(folder, few) == "fmnist.keras: it is not the model that this bundle was exported from; export again"


def test_figures_that_nobody_measured_are_named(folder: Path, few: Dataset) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["fmnist-int8.onnx"]["accuracy"] = 0.95
    (folder / "manifest.json").write_text(json.dumps(manifest))

    assert re.fullmatch(r"fmnist-int8\.onnx: its accuracy is [\d.]+, the manifest says 0\.95; export again", refusal(folder, few))


def test_a_second_witness_that_names_other_classes_is_named(folder: Path, few: Dataset) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["witness"]["same_class"] -= 1
    (folder / "manifest.json").write_text(json.dumps(manifest))

    wanted = "manifest.json: tf2onnx's conversion of fmnist-int8.tflite names other classes; export again"
    assert refusal(folder, few) == wanted


def test_golden_outputs_that_no_runtime_gives_are_named(folder: Path, few: Dataset) -> None:
    with_another_output(folder, "fmnist-int8.onnx", 0.25)

    assert re.fullmatch(
        r"fmnist-int8\.onnx: onnxruntime [\d.]+ gives outputs 0\.25 from those in golden\.npz, at most 0\.0039 is allowed",
        refusal(folder, few),
    )


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_a_golden_output_may_be_as_far_off_as_the_export_says_and_no_farther(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    runtimes = json.loads((folder / "parity.json").read_text())["files"][name]["runtimes"]
    tolerance = max(row["tolerance"] for row in runtimes.values() if row)

    check_golden(folder, name, content)
    with_another_output(folder, name, -3 * tolerance)

    with pytest.raises(BundleError, match=rf"{name}: .* from those in golden\.npz, at most"):
        check_golden(folder, name, content)


def test_each_runtime_at_hand_is_asked(folder: Path) -> None:
    """The second runtime is allowed nothing here; the first one agrees with itself."""
    proof = json.loads((folder / "parity.json").read_text())
    rows = proof["files"]["fmnist-float.onnx"]["runtimes"]
    rows["onnxruntime, graph as it is"]["tolerance"] = -1
    (folder / "parity.json").write_text(json.dumps(proof))

    with pytest.raises(BundleError, match=r"fmnist-float\.onnx: onnxruntime"):
        check_golden(folder, "fmnist-float.onnx", (folder / "fmnist-float.onnx").read_bytes())

    rows["onnxruntime, graph as it is"] = None  # one that was not measured is not asked
    (folder / "parity.json").write_text(json.dumps(proof))
    check_golden(folder, "fmnist-float.onnx", (folder / "fmnist-float.onnx").read_bytes())


FIGURES = Figures(**{field.name: 0.5 for field in fields(Figures)} | {"ties": 1})
LIMITS = {"ties": 2, "accuracy": 3e-4, "accuracy_difference": 2e-4, "top1_agreement": 2e-4, "max_dp": 1e-5}


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_each_figure_of_the_manifest_may_differ_by_what_another_processor_makes_of_it(key: str, sign: int) -> None:
    listed = {name: getattr(FIGURES, name) for name in LIMITS}

    check_figures(Path("a.onnx"), FIGURES, listed | {key: listed[key] + sign * LIMITS[key]}, 1e-5)
    with pytest.raises(BundleError, match=rf"a\.onnx: its {key} is .*, the manifest says .*; export again"):
        check_figures(Path("a.onnx"), FIGURES, listed | {key: listed[key] + sign * 1.01 * LIMITS[key]}, 1e-5)
    with pytest.raises(BundleError, match=f"its {key} is"):
        check_figures(Path("a.onnx"), FIGURES, listed | {key: math.nan}, 1e-5)


def test_a_bundle_of_another_format_is_named(folder: Path, few: Dataset) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 999}))

    assert refusal(folder, few).startswith("manifest.json: its format is 999, this export reads ")


def test_the_check_judges_by_the_gates_and_by_the_manifests_waiver(folder: Path, few: Dataset) -> None:
    """Weights that lost their sign: its figures may be listed as measured, it does not pass."""
    smuggle(folder, "fmnist-float.onnx", float_onnx(with_first_kernel(np.abs)))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["waived"]["reason"] = "it is too sure"
    (folder / "manifest.json").write_text(json.dumps(manifest))

    assert re.match(r"fmnist-float\.onnx: accuracy is \d+\.\d\d points lower", refusal(folder, few))


def of_another_run() -> bytes:
    return float_onnx(MLP.layers, TRAINING | {"recipe": "tutorial", "seed": 7})


def test_a_model_from_another_run_is_named_as_such(folder: Path, few: Dataset) -> None:
    (folder / "fmnist-float.onnx").write_bytes(of_another_run())

    assert refusal(folder, few).startswith(
        "fmnist-float.onnx: it is from another training than the manifest: "
        f"recipe tutorial, not {TRAINING['recipe']}; seed 7, not "
    )


def test_a_model_from_another_run_is_named_even_if_the_manifest_lists_it(folder: Path, few: Dataset) -> None:
    smuggle(folder, "fmnist-float.onnx", of_another_run())

    assert "it is from another training than the manifest: recipe tutorial" in refusal(folder, few)


def test_of_many_differences_three_are_named(folder: Path, few: Dataset) -> None:
    smuggle(folder, "fmnist-float.onnx", float_onnx(MLP.layers, TRAINING | dict.fromkeys("abcd", 1)))

    assert refusal(folder, few).endswith("than the manifest: a 1, not None; b 1, not None; c 1, not None; export again")


def test_stale_labels_are_named(folder: Path, few: Dataset) -> None:
    smuggle(folder, "fmnist-float.onnx", float_onnx(MLP.layers, classes=CLASSES[::-1]))

    assert refusal(folder, few) == "fmnist-float.onnx: its classes are not Fashion-MNIST's; export it again"


def with_last_columns(order: list[int]) -> Layers:
    *rest, (kernel, bias) = MLP.layers
    return [*rest, (kernel[:, order], bias[order])]


def transposed(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(28, 28, -1).swapaxes(0, 1).reshape(784, -1)


HOSTILE: dict[str, tuple[Callable[[], Layers], str]] = {
    "transposed images": (lambda: with_first_kernel(transposed), "rows and columns are swapped"),
    "swapped classes": (
        lambda: with_last_columns([0, 1, 2, 3, 4, 7, 6, 5, 8, 9]),
        "its classes are in another order: Sandal stands in the place of Sneaker, Sneaker stands in the place of Sandal",
    ),
    "a zeroed unit": (
        lambda: with_first_kernel(lambda kernel: kernel * (np.arange(kernel.shape[1]) != 5)),
        "in layer 1 of 3, the weights of unit 5 are zero",
    ),
}


@pytest.mark.parametrize("mistake", HOSTILE)
def test_the_cause_of_a_wrong_answer_is_named(mistake: str, folder: Path, few: Dataset) -> None:
    make, cause = HOSTILE[mistake]
    smuggle(folder, "fmnist-float.onnx", float_onnx(make()))

    line = refusal(folder, few)

    assert line.startswith("fmnist-float.onnx: ")
    assert cause in line


def test_a_zeroed_weight_row_of_an_int8_file_is_named(folder: Path, few: Dataset) -> None:
    unit = strongest_unit(folder / "fmnist-int8.tflite")
    smuggle(folder, "fmnist-int8.tflite", with_a_zeroed_row(folder / "fmnist-int8.tflite"))

    line = refusal(folder, few)

    assert "fmnist-int8.tflite: " in line
    assert f"in layer 2 of 3, the weights of unit {unit} are zero" in line
