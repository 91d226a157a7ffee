"""Model files that must not be run: each is refused with its reason and exit status 3."""

import json
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from export.bundle import attach_description, describe
from fmnist_edge.bundle.model import open_model
from fmnist_edge.errors import ModelError
from support.altered_models import INT8, flatbuffer
from support.commands import MODELS, fmnist_edge


def with_stale_labels() -> bytes:
    description = describe("int8", {}) | {"classes": ["cat", "dog"]}
    return attach_description(flatbuffer(), description)


def with_a_future_format() -> bytes:
    return attach_description(flatbuffer(), describe("int8", {}) | {"format": 99})


def with_a_flipped_weight() -> bytes:
    content = bytearray(INT8.read_bytes())
    content[50_000] ^= 1
    return bytes(content)


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a TFLite model"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000), "not a TFLite model"),
    "keras": ((MODELS / "fmnist.keras").read_bytes, "not a TFLite model"),
    "truncated": (lambda: INT8.read_bytes()[:60_000], "it is truncated, or was not made by 'python -m export'"),
    "undescribed": (flatbuffer, "it is truncated, or was not made by 'python -m export'"),
    "flipped": (with_a_flipped_weight, "it is damaged: it is not what was exported"),
    "stale-labels": (with_stale_labels, "its classes are not Fashion-MNIST's"),
    "future": (with_a_future_format, "its format is 99, this fmnist-edge reads 1 to 3"),
    "hollow": (lambda: attach_description(b"\x1c\0\0\0TFL3" + bytes(64), describe("int8", {})), "can't run it"),
}


@pytest.mark.parametrize(
    # only a runtime, in its own process, finds that one hollow
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "hollow" else ()) for name in BAD_FILES],
)
def test_a_bad_tflite_file_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    make, reason = BAD_FILES[name]
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(make())

    result = fmnist_edge("classify", "--model", path, "docs/shoe.png")

    assert result.returncode == 3
    assert result.stdout == ""
    assert result.stderr.startswith(f"fmnist-edge: {path}: ")
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_model_is_exit_status_3(tmp_path: Path) -> None:
    result = fmnist_edge("classify", "--model", tmp_path / "gone.tflite", "docs/shoe.png")

    assert (result.returncode, result.stderr) == (3, f"fmnist-edge: {tmp_path}/gone.tflite: no such model file\n")


@pytest.mark.parametrize("text", ["5", "null", '{"format": 1, "classes": 5}', "{", "[" * 50_000, '{"format": NaN}'])
def test_a_strange_description_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "strange.tflite"
    path.write_bytes(flatbuffer())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fmnist.json", text)

    with pytest.raises(ModelError, match="it does not describe itself"):
        open_model(path)


@pytest.mark.parametrize("name", ["fmnist-float.onnx", "fmnist-int8.onnx"])
def test_an_onnx_file_with_a_flipped_weight_is_refused(name: str, tmp_path: Path) -> None:
    content = bytearray((MODELS / name).read_bytes())
    content[50_000] ^= 1
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ModelError, match="it is damaged: it is not what was exported"):
        open_model(tmp_path / name)


@pytest.mark.slow
def test_a_manifest_of_something_else_is_not_ours(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')

    assert open_model(tmp_path / INT8.name).description["classes"]


def test_a_damaged_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes((MODELS / "fmnist-int8.onnx").read_bytes()[:50_000])

    with pytest.raises(ModelError, match="it is truncated"):
        open_model(path)


def test_a_file_that_its_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    listed = {"files": {INT8.name: {"sha256": sha256(b"another").hexdigest()}}}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))

    with pytest.raises(ModelError, match=r"not the file that the manifest\.json beside it lists"):
        open_model(tmp_path / INT8.name)


def test_an_odd_entry_in_its_manifest_takes_nothing_from_the_others(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    listed = {"files": {INT8.name: {"sha256": "0" * 64}, "notes.txt": {}, "more.txt": None}}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))

    with pytest.raises(ModelError, match=r"not the file that the manifest\.json beside it lists"):
        open_model(tmp_path / INT8.name)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    (tmp_path / "manifest.json").write_text("{")

    with pytest.raises(ModelError, match=r"manifest\.json beside it is damaged"):
        open_model(tmp_path / INT8.name)


def test_a_description_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(flatbuffer())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fmnist.json", " " * 10_000_000)

    with pytest.raises(ModelError, match="it does not describe itself"):
        open_model(path)
