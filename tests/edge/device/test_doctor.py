"""`fmnist-edge doctor`: it runs where nothing else does, and names the cure."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.bundle import attach_onnx_description, describe
from support.altered_models import with_a_zeroed_row
from support.commands import FMNIST_EDGE, MODELS, ROOT, fmnist_edge, run

pytestmark = pytest.mark.slow

INT8 = MODELS / "fmnist-int8.tflite"
NOT_INSTALLED = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)"
OLD_GLIBC = 'raise ImportError("/lib/libc.so.6: version `GLIBC_2.34\' not found (required by libpywrap_litert_common.so)")'
# as numpy 2 words it
NUMPY_WITHOUT_OPENBLAS = """
raise ImportError('''

IMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!

Original error was: libopenblas.so.0: cannot open shared object file: No such file or directory
''')"""
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
LOOKED_FOR_CAMERAS = ("ok: /dev/video", "note: none at /dev/video*: ", "note: this user may not open it: ")
RUNTIMES = ("ai_edge_litert", "tflite_runtime", "tensorflow")


def with_packages(folder: Path, **packages: str) -> dict[str, str]:
    """The environment of a machine where these packages do this when they are imported."""
    for name, code in packages.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT / 'edge'}"}


def without_runtime(folder: Path, **packages: str) -> dict[str, str]:
    return with_packages(folder, **(dict.fromkeys(RUNTIMES, NOT_INSTALLED) | packages))


def findings(*arguments: str | Path, status: int, **options: object) -> dict[str, str]:
    """What the doctor says of each part, its state first."""
    result = run(FMNIST_EDGE, "doctor", *arguments, **options)
    assert result.returncode == status, result.stdout + result.stderr
    assert len(result.stderr.splitlines()) == (1 if status else 0)
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert {state for state, _, _ in lines} <= {"ok", "note", "problem"}
    assert any(state == "problem" for state, _, _ in lines) == bool(status)
    return {part: f"{state}: {text}" for state, part, text in lines}


def test_on_a_healthy_machine_all_that_classifying_needs_is_ok() -> None:
    said = findings(status=0)

    needed = ["Python", "system", "memory", "numpy", "Pillow", "model", "runtime", "verify"]
    assert [said[part][:4] for part in needed] == ["ok: "] * len(needed)
    assert "64 bits" in said["Python"]
    assert "fmnist-int8.tflite, as it was exported" in said["model"]
    assert "ai-edge-litert 2." in said["runtime"]
    assert "100.00% of 256 tiles" in said["verify"]


def test_the_findings_can_be_had_as_json(tmp_path: Path) -> None:
    result = fmnist_edge("doctor", "--json", "--model", tmp_path / "gone.tflite")

    found = json.loads(result.stdout)
    parts = {finding["part"]: finding for finding in found["findings"]}
    assert (result.returncode, found["healthy"]) == (3, False)
    assert parts["model"] == {"state": "problem", "part": "model", "text": f"{tmp_path}/gone.tflite: no such model file"}
    assert parts["numpy"]["state"] == "ok"


def test_files_in_the_working_directory_are_not_taken_for_packages(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('not numpy')")

    findings(status=0, cwd=tmp_path)


def test_a_missing_numpy_is_a_problem_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    said = findings(status=3, environment=with_packages(tmp_path, numpy=NOT_INSTALLED))

    assert said["numpy"] == "problem: No module named 'numpy'; pip install --force-reinstall numpy"
    assert said["Pillow"].startswith("ok: ")
    assert said["model"] == "note: not checked, and neither is the runtime: both need numpy and Pillow"
    assert {"runtime", "verify"}.isdisjoint(said)
    assert said["camera"].startswith(LOOKED_FOR_CAMERAS)


def test_a_numpy_without_its_library_says_what_to_install(tmp_path: Path) -> None:
    said = findings(status=3, environment=with_packages(tmp_path, numpy=NUMPY_WITHOUT_OPENBLAS))

    assert said["numpy"].startswith("problem: libopenblas.so.0: cannot open shared object file")
    assert said["numpy"].endswith("; sudo apt install libopenblas0")


def test_a_pillow_without_its_library_says_what_to_install(tmp_path: Path) -> None:
    broken = "raise ImportError('libopenjp2.so.7: cannot open shared object file: No such file or directory')"

    said = findings(status=3, environment=with_packages(tmp_path, PIL=broken))

    assert said["Pillow"].endswith("; sudo apt install libopenjp2-7")


@pytest.mark.parametrize("package", ["numpy", "PIL"])
def test_other_commands_point_to_the_doctor(package: str, tmp_path: Path) -> None:
    environment = with_packages(tmp_path, **{package: NOT_INSTALLED})

    result = fmnist_edge("classify", "docs/shoe.png", environment=environment)

    assert result.returncode == 3
    assert result.stderr == f"fmnist-edge: {package} can't be imported; 'fmnist-edge doctor' says what to do\n"


def test_without_a_runtime_numpy_alone_will_do_and_it_says_which_to_install(tmp_path: Path) -> None:
    said = findings(status=0, environment=without_runtime(tmp_path))

    cure = "no TFLite runtime works here; pip install ai-edge-litert"
    assert said["runtime"] == f"note: numpy {np.__version__} alone, which is slower: {cure}"
    assert said["verify"].startswith("ok: 100.00% of 256 tiles")


def test_without_a_runtime_a_float_model_is_a_problem(tmp_path: Path) -> None:
    model = MODELS / "fmnist-float.tflite"

    said = findings("--model", model, status=3, environment=without_runtime(tmp_path))

    assert said["model"].startswith("ok: ")
    assert said["runtime"] == f"problem: {model}: no TFLite runtime works here; pip install ai-edge-litert"
    assert "verify" not in said


def test_on_32_bits_it_says_how_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.maxsize = 2**31 - 1")

    said = findings(status=0, environment=without_runtime(tmp_path))

    assert "32 bits" in said["Python"]
    assert said["system"].startswith("note: ")
    assert said["system"].endswith(", Python has 32, so install fmnist-edge with 'linux32 pip install'")
    assert "ai-edge-litert" not in said["runtime"]


def test_a_glibc_that_is_too_old_is_named_with_its_cure(tmp_path: Path) -> None:
    said = findings(status=0, environment=without_runtime(tmp_path, ai_edge_litert=OLD_GLIBC))["runtime"]

    assert "this system's GLIBC is too old: update it (Raspberry Pi OS 12 has 2.36), or pip install ai-edge-litert==2.1.0" in said
    assert "version `GLIBC_2.34' not found" in said


def test_a_runtime_that_crashes_is_survived(tmp_path: Path) -> None:
    said = findings(status=3, environment=without_runtime(tmp_path, ai_edge_litert=CRASH))

    assert said["runtime"].startswith("problem: crashes (SIGILL): it is built for another processor, or damaged; ")
    assert said["model"].startswith("ok: ")
    assert "verify" not in said
    assert said["camera"].startswith(LOOKED_FOR_CAMERAS)


def test_a_missing_model_is_a_problem_and_the_runtime_is_still_tried(tmp_path: Path) -> None:
    said = findings("--model", tmp_path / "gone.tflite", status=3)

    assert said["model"] == f"problem: {tmp_path}/gone.tflite: no such model file"
    assert said["runtime"].startswith("ok: ai-edge-litert 2.")


def test_a_truncated_model_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "half.tflite").write_bytes(INT8.read_bytes()[:60_000])

    said = findings("--model", tmp_path / "half.tflite", status=3)

    assert said["model"].startswith(f"problem: {tmp_path}/half.tflite: it is truncated, or was not made by 'python -m export'")


def test_a_model_of_another_shape_is_a_problem(tmp_path: Path) -> None:
    pixels = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 784])
    probabilities = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["N", 784])
    softmax = onnx.helper.make_node("Softmax", ["image"], ["probabilities"])
    graph = onnx.helper.make_graph([softmax], "flat", [pixels], [probabilities])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "flat.onnx"
    path.write_bytes(attach_onnx_description(model.SerializeToString(), describe("float32", {})))

    said = findings("--model", path, status=3)

    assert said["runtime"].startswith(f"problem: {path}: it takes float32 (N, 784) and gives float32 (N, 784); a Fashion-MNIST ")
    assert said["runtime"].endswith("; export it with 'python -m export'")


def test_without_a_golden_set_classifying_still_works(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)

    said = findings("--model", tmp_path / INT8.name, status=0)

    assert said["verify"].startswith(f"note: {tmp_path}/golden.npz: no such file; copy it")


def test_a_name_that_is_no_utf_8_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"sh\xffes.tflite")
    shutil.copy(INT8, path)

    assert findings("--model", path, status=0)["model"] == f"ok: {tmp_path}/sh\\udcffes.tflite, as it was exported"


def test_outputs_that_differ_are_a_problem(tmp_path: Path) -> None:
    shutil.copy(MODELS / "golden.npz", tmp_path)
    (tmp_path / INT8.name).write_bytes(with_a_zeroed_row(INT8))

    said = findings("--model", tmp_path / INT8.name, status=3)

    assert said["runtime"].startswith("ok: ")
    assert "not what the workstation computed" in said["verify"]
