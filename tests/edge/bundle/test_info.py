"""`fmnist-edge info`: what a model file says of itself."""

import json
import zipfile
from pathlib import Path

import pytest

from export.bundle import ARTIFACTS, attach_description, describe
from fmnist_edge.bundle.info import to_lines
from support.altered_models import flatbuffer
from support.commands import MODELS, fmnist_edge


@pytest.mark.parametrize("name", ARTIFACTS)
def test_each_artifact_tells_where_it_comes_from(name: str) -> None:
    listed = json.loads((MODELS / "manifest.json").read_text())

    result = fmnist_edge("info", "--model", MODELS / name)

    assert (result.returncode, result.stderr) == (0, "")
    assert f"size                   {listed['files'][name]['bytes']:,} bytes\n" in result.stdout
    assert f"SHA-256                {listed['files'][name]['sha256']}\n" in result.stdout
    assert f"dtype {ARTIFACTS[name]}\n" in result.stdout
    assert f"recipe                 {listed['training']['recipe']}\n" in result.stdout
    assert "hidden layers          512, 192\n" in result.stdout
    assert f"t10k-images-idx3-ubyte {listed['training']['dataset']['t10k-images-idx3-ubyte']}\n" in result.stdout


def test_json_is_the_description_that_stands_in_the_file() -> None:
    with zipfile.ZipFile(MODELS / "fmnist-int8.tflite") as archive:
        written = archive.read("fmnist.json")

    result = fmnist_edge("info", "--json")

    assert json.loads(result.stdout) == json.loads(written)


def test_both_formats_carry_the_same_description() -> None:
    tflite, onnx = (
        json.loads(fmnist_edge("info", "--json", "--model", MODELS / f"fmnist-float.{suffix}").stdout)
        for suffix in ("tflite", "onnx")
    )

    assert tflite.pop("model_sha256") != onnx.pop("model_sha256")
    assert tflite == onnx


def test_a_description_that_says_little_is_printed_as_far_as_it_goes(tmp_path: Path) -> None:
    description = describe("int8", {}) | {"training": {}, "output": "\x1b[31mred"}
    (tmp_path / "strange.tflite").write_bytes(attach_description(flatbuffer(), description))

    result = fmnist_edge("info", "--model", tmp_path / "strange.tflite")

    assert (result.returncode, result.stderr) == (0, "")
    assert '"\\u001b[31mred"' in result.stdout
    assert "recipe" not in result.stdout


def test_the_temperature_of_photos_is_told() -> None:
    lines = to_lines(Path("model.tflite"), b"", describe("int8", {"temperature": 1.2, "photo_temperature": 0.8125}))

    assert any(line.startswith("temperature of logits  1.2, ") for line in lines)
    assert any(line.startswith("temperature of photos  0.8125, ") for line in lines)


@pytest.mark.parametrize("name", ["fmnist-int8.tflite", "fmnist-int8.onnx"])
@pytest.mark.parametrize("length", [0, 1000, 300_000, -1])
def test_a_truncated_model_is_refused(name: str, length: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes((MODELS / name).read_bytes()[:length])

    result = fmnist_edge("info", "--model", tmp_path / name)

    assert (result.returncode, result.stdout) == (3, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"fmnist-edge: {tmp_path / name}: ")


def test_a_flipped_byte_is_found_in_an_onnx_file_without_onnxruntime(tmp_path: Path) -> None:
    content = bytearray((MODELS / "fmnist-int8.onnx").read_bytes())
    content[50_000] ^= 1
    (tmp_path / "flipped.onnx").write_bytes(content)

    result = fmnist_edge("info", "--model", tmp_path / "flipped.onnx")

    assert result.returncode == 3
    assert "it is damaged: it is not what was exported; copy it again" in result.stderr
