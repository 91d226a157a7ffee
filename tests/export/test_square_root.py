"""A model that takes the square root of the pixel inside its graph: its artifacts still take plain pixels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import bare_runtimes, bundle, keras_model, parity
from export.diagnose import diagnose
from export.keras_model import Layers, Mlp
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import to_input, to_pixels
from fmnist_edge.runtimes.onnx import OnnxSession
from support.commands import main_of, python_m
from train.dataset import Dataset

pytestmark = pytest.mark.tensorflow

INT8 = ["fmnist-int8.tflite", "fmnist-int8.onnx"]


def make_model(sqrt_input: bool) -> Any:
    import keras
    from keras import layers

    image = keras.Input((28, 28), name="image")
    values = layers.Flatten(name="flatten")(image)
    if sqrt_input:
        values = keras.ops.sqrt(values)
    values = layers.Dense(128, activation="relu", name="hidden")(values)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="probabilities")(values), name="fmnist")


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.set_random_seed(0)
    model = make_model(sqrt_input=True)
    model.compile(keras.optimizers.AdamW(weight_decay=0.1), keras.losses.CategoricalCrossentropy(label_smoothing=0.05))
    model.fit(to_pixels(dataset.train_images), np.eye(10)[dataset.train_labels], batch_size=256, epochs=3, verbose=0)
    path = tmp_path_factory.mktemp("root") / "fmnist.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def folder(trained: Path) -> Path:
    """The model's bundle."""
    result = python_m("export", "--model", trained, "--out", trained.parent)
    assert result.returncode == 0, result.stderr
    return trained.parent


def test_its_bundle_passes_all_gates(folder: Path) -> None:
    result = main_of("export", "--check", "--out", folder)

    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((folder / "manifest.json").read_text())["waived"] == {"missed": [], "reason": ""}


def test_exporting_it_twice_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    python_m("export", "--model", folder / "fmnist.keras", "--out", tmp_path)

    for name in bundle.ARTIFACTS:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_its_two_int8_files_give_the_same_outputs(folder: Path, dataset: Dataset) -> None:
    outputs = {name: open_model(folder / name).session.probabilities(dataset.test_images) for name in INT8}

    assert parity.broken_int8_twins(outputs) == []
    # a softmax of float32 may round an output to the next step: 1 of 100,000, measured
    assert (outputs[INT8[0]] != outputs[INT8[1]]).sum() <= 5


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_it_runs_in_every_runtime(name: str, folder: Path) -> None:
    listed = json.loads((folder / "parity.json").read_text())["files"][name]["runtimes"]

    for runtime in filter(bare_runtimes.is_here, bare_runtimes.runtimes_for(name)):
        assert listed[runtime]["agreement_with_keras"] >= 0.995


PIXELS = (np.arange(784) % 256).astype(np.uint8).reshape(1, 28, 28)
NEAREST_ROOTS = np.round(255 * np.sqrt(PIXELS / 255))


def test_the_int8_tflite_file_computes_with_integers_alone_and_looks_up_the_nearest_roots(folder: Path) -> None:
    interpreter = Interpreter(str(folder / "fmnist-int8.tflite"), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    tensors = {tensor["name"]: tensor for tensor in interpreter.get_tensor_details()}

    interpreter.get_signature_runner()(image=to_input(PIXELS, np.dtype("int8")))
    roots = interpreter.get_tensor(tensors["root"]["index"]).astype(int) + 128

    assert {np.dtype(tensor["dtype"]).name for tensor in tensors.values()} == {"int8", "uint8", "int32"}
    assert tensors["root"]["quantization"] == tensors["image"]["quantization"]
    np.testing.assert_equal(roots, NEAREST_ROOTS)


def test_the_int8_onnx_file_has_the_same_roots(folder: Path) -> None:
    model = onnx.load(folder / "fmnist-int8.onnx")
    (name,) = [node.output[0] for node in model.graph.node[:4] if node.op_type == "QuantizeLinear"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    (roots,) = session.run([name], {"image": to_input(PIXELS, np.dtype("int8"))})

    np.testing.assert_equal(roots, NEAREST_ROOTS.reshape(1, 784))


MISTAKES: dict[str, Callable[[Layers], Mlp]] = {
    "it does not take their square root": lambda layers: Mlp(layers, sqrt_input=False),
    "rows and columns are swapped": lambda layers: Mlp([(transposed(layers[0][0]), layers[0][1]), *layers[1:]], sqrt_input=True),
    "it wants them from 0 to 255": lambda layers: Mlp([(layers[0][0] / 255**0.5, layers[0][1]), *layers[1:]], sqrt_input=True),
}


def transposed(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(28, 28, -1).swapaxes(0, 1).reshape(784, -1)


@pytest.mark.parametrize("cause", MISTAKES)
def test_the_cause_of_a_wrong_answer_is_named(cause: str, trained: Path, dataset: Dataset) -> None:
    from export.by_tf2onnx import to_float_onnx

    mlp, _ = keras_model.read(trained)
    content = to_float_onnx(MISTAKES[cause](mlp.layers))
    output = OnnxSession(content).probabilities(dataset.test_images)

    assert cause in diagnose("fmnist-float.onnx", content, output, mlp, dataset.test_images)


def test_the_same_model_without_a_root_is_read_as_such(tmp_path: Path) -> None:
    model = make_model(sqrt_input=False)
    model.save(tmp_path / "plain.keras")

    mlp, _ = keras_model.read(tmp_path / "plain.keras")

    assert not mlp.sqrt_input
    for found, wanted in zip(mlp.layers, model.layers[2:], strict=True):
        np.testing.assert_equal(list(found), wanted.get_weights())


def with_the_root_at_the_end() -> Any:
    import keras

    model = make_model(sqrt_input=False)
    return keras.Model(model.inputs, keras.ops.sqrt(model.outputs[0]))


def with_two_outputs() -> Any:
    import keras

    model = make_model(sqrt_input=True)
    return keras.Model(model.inputs, [model.layers[-2].output, model.outputs[0]])


def with_a_layer_used_twice() -> Any:
    import keras
    from keras import layers

    image = keras.Input((28, 28))
    hidden = layers.Dense(784, activation="relu")
    values = hidden(hidden(layers.Flatten()(image)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(values))


@pytest.mark.parametrize("make", [with_the_root_at_the_end, with_two_outputs, with_a_layer_used_twice])
def test_what_is_no_chain_of_these_layers_is_refused(make: Callable[[], Any], tmp_path: Path) -> None:
    make().save(tmp_path / "other.keras")

    result = main_of("export", "--model", tmp_path / "other.keras", "--out", tmp_path / "out")

    assert result.returncode == 1
    assert "export takes a chain of Flatten, keras.ops.sqrt or nothing" in result.stderr.splitlines()[-1]
