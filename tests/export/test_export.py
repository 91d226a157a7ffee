"""`python -m export` as people use it: what it writes, and when it refuses to write."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import bundle, keras_model
from export.check import check_files, read_json
from fmnist_edge.bundle.model import open_model
from fmnist_edge.errors import ModelError
from support.commands import MODELS, ROOT, main_of, python_m

pytestmark = pytest.mark.tensorflow

PAGE = ["report/parity-confusion.png", "report/parity-histogram.png", "report/parity-moved.png", "report/parity.md"]
WRITTEN = sorted([*bundle.ARTIFACTS, "golden.npz", "manifest.json", "parity.json", *PAGE])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_exporting_twice_gives_the_same_files(tmp_path: Path) -> None:
    results = [python_m("export", "--out", tmp_path / out) for out in ("first", "second")]

    first, second = contents(tmp_path / "first"), contents(tmp_path / "second")
    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    assert sorted(first) == WRITTEN
    assert first == second
    for name in bundle.ARTIFACTS:
        assert f"| {name}" in results[0].stdout


def test_the_command_killed_while_it_writes_leaves_a_whole_bundle(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS, tmp_path / "models"))
    command = [sys.executable, "-m", "export", "--model", folder / "fmnist.keras", "--out", folder]

    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as export:
        assert export.stderr
        while (line := export.stderr.readline()) != f"export: writing {folder}\n":
            assert line.startswith("export: ")
        time.sleep(0.003)
        export.kill()

    assert export.returncode == -signal.SIGKILL
    check_files(folder, folder / "fmnist.keras", read_json(folder / "manifest.json"))


@pytest.fixture
def model() -> Any:
    import keras

    return keras.saving.load_model(MODELS / "fmnist.keras", compile=False)


def with_large_logits(model: Any) -> Any:
    """The same classes, but sure of each: int8 can't hold such logits finely enough."""
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 2.5, bias * 2.5])
    return model


def small_and_sure() -> Any:
    """A network with random weights and large logits: four exports of it take as long as one of the shipped model."""
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((28, 28)), *layers])
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 30, bias])
    return model


def test_a_model_that_misses_a_gate_is_not_written_and_the_old_files_stay(tmp_path: Path) -> None:
    small_and_sure().save(tmp_path / "sure.keras")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fmnist-int8.tflite").write_bytes(b"old")

    result = main_of("export", "--model", tmp_path / "sure.keras", "--out", tmp_path / "out")

    last_line = result.stderr.splitlines()[-1]
    assert result.returncode == 3
    assert last_line.startswith("export: fmnist-int8.tflite: ")
    assert "a probability differs by" in last_line
    assert re.findall(r"Trying another rounding, (\d) of (\d)$", result.stderr, re.MULTILINE) == [
        ("1", "3"),
        ("2", "3"),
        ("3", "3"),
    ]
    assert last_line.endswith("Nothing was written")
    assert contents(tmp_path / "out") == {"fmnist-int8.tflite": b"old"}


def test_a_waived_gate_is_written_and_says_so(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "sure.keras"
    with_large_logits(model).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fmnist.json", json.dumps({"training": {"int8_waiver": "it is too sure"}}))

    result = main_of("export", "--model", path, "--out", tmp_path / "out")

    assert result.returncode == 0, result.stderr
    waived = json.loads((tmp_path / "out" / "manifest.json").read_text())["waived"]
    assert "missed, and waived for this recipe: fmnist-int8.tflite: a probability differs by" in result.stdout
    assert waived["reason"] == "it is too sure"
    assert all("int8" in line for line in waived["missed"])


def test_a_model_of_nothing_but_nan_is_not_written(model: Any, tmp_path: Path) -> None:
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * np.nan, bias])
    model.save(tmp_path / "nan.keras")

    result = main_of("export", "--model", tmp_path / "nan.keras", "--out", tmp_path / "out")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "export: the model's weights are not all numbers: its training diverged"
    assert not (tmp_path / "out").exists()


def test_a_place_that_can_not_be_written_to_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = main_of("export", "--out", tmp_path / "file" / "out")

    assert result.returncode == 1
    assert result.stderr == f"export: {tmp_path}/file/out can't be written: {tmp_path}/file (Not a directory)\n"


def convolution() -> Any:
    import keras

    return keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Reshape((28, 28, 1)), keras.layers.Conv2D(1, 3), keras.layers.Flatten()]
    )


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    convolution().save(tmp_path / "cnn.keras")

    result = main_of("export", "--model", tmp_path / "cnn.keras", "--out", tmp_path / "out")

    assert result.returncode == 1
    assert "the model is InputLayer, Reshape, Conv2D, Flatten" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: None, "there is no {path}; 'make train' makes it"),
        (lambda path: path.write_text("no model"), "{path} is not a Keras model"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "{path} is not a Keras model"),
    ],
)
def test_what_is_no_keras_model_is_refused(prepare: Callable[[Path], Any], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    prepare(path)

    result = main_of("export", "--model", path, "--out", tmp_path / "out")

    assert result.returncode == 1
    assert reason.format(path=path) in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def foreign_tflite(size: int) -> bytes:
    """A float TFLite model for images of another size, as somebody's notebook makes it."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, size, size], tf.float32)])
    def forward(image: Any) -> Any:
        return tf.nn.softmax(tf.matmul(tf.reshape(image, [-1, size * size]), np.ones((size * size, 10), np.float32)))

    converted: bytes = tf.lite.TFLiteConverter.from_concrete_functions([forward.get_concrete_function()], tf.Module()).convert()
    return converted


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(bundle.attach_description(foreign_tflite(32), bundle.describe("float32", {})))

    with pytest.raises(ModelError, match=r"it takes float32 \(N, 32, 32\) and gives float32 \(N, 10\)"):
        open_model(path)


def test_an_int8_model_of_another_scale_is_refused(tmp_path: Path) -> None:
    from export.to_tflite import to_int8_tflite

    mlp, _ = keras_model.read(MODELS / "fmnist.keras")
    not_to_255 = np.tile(np.arange(28, dtype=np.uint8) * np.uint8(4), (50, 28, 1))
    ranges = [(0.0, 1.0)] * len(mlp.layers)
    path = tmp_path / "model.tflite"
    path.write_bytes(bundle.attach_description(to_int8_tflite(mlp.layers, ranges, not_to_255), bundle.describe("int8", {})))

    with pytest.raises(ModelError, match=r"its input has scale 0\.0016\d+ and zero point -128, not 0\.00392157 and -128"):
        open_model(path)
