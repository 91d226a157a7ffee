"""Which model is opened, in which process, and what is said of one that is not."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from fmnist_edge.bundle import model
from fmnist_edge.bundle.model import default_model, open_model, open_witness, read_model
from fmnist_edge.errors import ModelError, RuntimeUnavailableError, SignatureError
from fmnist_edge.runtimes.isolated import IsolatedSession
from fmnist_edge.runtimes.onnx import OnnxSession
from fmnist_edge.runtimes.tflite import TFLITE_RUNTIMES, TFLiteSession
from support.commands import MODELS
from support.described import INT8, described, write_manifest


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_EDGE_CONFIG", raising=False)


def test_the_model_that_is_named_is_opened_and_says_what_it_is() -> None:
    opened = open_model(MODELS / "fmnist-float.onnx")

    assert opened.path == MODELS / "fmnist-float.onnx"
    assert opened.description["input"]["dtype"] == "float32"
    assert isinstance(opened.session, OnnxSession)
    assert {"fmnist-float.onnx", "golden.npz"} < opened.listed.keys()
    assert (opened.vouched_for, opened.no_runtime) == (True, None)


def test_the_witness_of_an_int8_model_is_numpy_and_others_have_none() -> None:
    witness = open_witness(open_model())

    assert witness is not None
    assert witness.runtime == f"numpy {np.__version__}"
    assert open_witness(open_model(MODELS / "fmnist-float.tflite")) is None
    assert open_witness(open_model(MODELS / "fmnist-int8.onnx")) is None


def test_a_path_may_be_text() -> None:
    assert open_model(str(INT8)).path == INT8
    assert read_model(str(INT8))[0] == INT8


def test_if_none_is_named_the_int8_model_of_the_package_is_opened() -> None:
    assert default_model() == INT8
    assert open_model().path == INT8
    assert read_model()[0] == INT8


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_model_that_nobody_vouches_for_runs_in_a_process_of_its_own_with_the_same_answers(suffix: str, tmp_path: Path) -> None:
    model, copy = MODELS / f"fmnist-int8.{suffix}", tmp_path / f"mine.{suffix}"
    shutil.copy(model, copy)
    tiles = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)

    opened = open_model(copy)
    session = opened.session

    assert isinstance(session, IsolatedSession)
    assert (opened.path, opened.listed, opened.vouched_for, opened.no_runtime) == (copy, {}, False, None)
    assert opened.description == open_model(model).description
    assert open_witness(opened) is None
    np.testing.assert_array_equal(session.probabilities(tiles), open_model(model).session.probabilities(tiles))


def test_a_model_that_its_manifest_vouches_for_runs_here(tmp_path: Path) -> None:
    (tmp_path / "mine.tflite").write_bytes(described())
    write_manifest(tmp_path, "mine.tflite")

    assert isinstance(open_model(tmp_path / "mine.tflite").session, TFLiteSession)


def test_the_packages_own_model_needs_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(INT8, tmp_path / "models")
    monkeypatch.setattr(model, "__file__", str(tmp_path / "bundle" / "model.py"))  # as in a wheel

    assert default_model() == tmp_path / "models" / "fmnist-int8.tflite"
    assert isinstance(open_model().session, TFLiteSession)


@pytest.mark.parametrize("read", [open_model, read_model])
def test_a_refusal_begins_with_the_path_and_keeps_its_kind(read: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(read)
    path = tmp_path / "mine.tflite"
    with pytest.raises(ModelError) as missing:
        read(path)
    path.write_bytes(described(classes=[]))
    with pytest.raises(ModelError) as other:
        read(path)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"mine.tflite": {"sha256": "0"}}}))
    with pytest.raises(ModelError) as listed_otherwise:
        read(path)
    (tmp_path / "manifest.json").unlink()
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(tmp_path))
    with pytest.raises(SignatureError) as unsigned:
        read(path)

    assert str(missing.value) == f"{path}: no such model file"
    assert str(other.value) == f"{path}: its classes are not Fashion-MNIST's; export it again"
    assert str(listed_otherwise.value).startswith(f"{path}: it is not the file that the manifest.json beside it lists")
    assert str(unsigned.value).startswith(f"{path}: no manifest.json beside it lists it")


def test_each_format_can_be_read_without_its_runtime() -> None:
    assert read_model(MODELS / "fmnist-float.onnx")[2]["input"]["dtype"] == "float32"


def test_a_file_without_a_known_suffix_is_taken_for_a_tflite(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(described(training={"seed": 5}))

    path, content, description = read_model(tmp_path / "model.bin")

    assert (path, description["training"]) == (tmp_path / "model.bin", {"seed": 5})
    assert content == (tmp_path / "model.bin").read_bytes()


@pytest.mark.parametrize("read", [open_model, read_model])
def test_a_file_that_is_too_large_to_be_a_model_is_not_read(
    read: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(read)
    assert model.MAX_MODEL_BYTES == 100_000_000
    (tmp_path / "mine.tflite").write_bytes(described())
    write_manifest(tmp_path, "mine.tflite")
    size = (tmp_path / "mine.tflite").stat().st_size

    monkeypatch.setattr(model, "MAX_MODEL_BYTES", size)
    read(tmp_path / "mine.tflite")
    monkeypatch.setattr(model, "MAX_MODEL_BYTES", size - 1)
    with pytest.raises(ModelError, match=r"mine\.tflite: larger than "):
        read(tmp_path / "mine.tflite")


@pytest.fixture
def _no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """None: what stands here as a module can't be imported."""
    for name in TFLITE_RUNTIMES.values():
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("_no_runtime")
def test_without_a_runtime_numpy_alone_runs_an_int8_model_that_is_vouched_for() -> None:
    opened = open_model()

    assert opened.session.runtime == f"numpy {np.__version__}"
    assert (opened.path, opened.vouched_for) == (INT8, True)
    assert opened.description["classes"]
    assert "golden.npz" in opened.listed
    assert opened.no_runtime is not None
    assert opened.no_runtime.startswith("no TFLite runtime works here; pip install ai-edge-litert")


@pytest.mark.usefixtures("_no_runtime")
def test_without_a_runtime_a_float_model_says_what_to_install() -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"fmnist-float\.tflite: no TFLite runtime works here; pip install"):
        open_model(MODELS / "fmnist-float.tflite")


@pytest.mark.slow
def test_numpy_alone_runs_no_model_that_nobody_vouches_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in TFLITE_RUNTIMES.values():
        (tmp_path / package.partition(".")[0]).mkdir()
        (tmp_path / package.partition(".")[0] / "__init__.py").write_text("raise ImportError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copy(INT8, tmp_path / "mine.tflite")

    with pytest.raises(RuntimeUnavailableError, match=r"mine\.tflite: no TFLite runtime works here; pip install"):
        open_model(tmp_path / "mine.tflite")
