"""Models made to do harm: they may crash, hang or fill the memory of a process, but not of ours."""

import json
import os
import shutil
import socket
import struct
import sys
import tracemalloc
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from export.bundle import attach_description, attach_onnx_description, describe
from fmnist_edge import Classifier
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import Tiles
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes import isolated
from support.altered_models import INT8, flatbuffer
from support.commands import FMNIST_EDGE, MODELS, fmnist_edge, run

BLACK, WHITE = (np.full((1, 28, 28), value, np.uint8) for value in (0, 255))


def without_subgraphs() -> bytes:
    """A flatbuffer that its runtime reads until it looks for the graph: that field's entry in the table of fields is 0."""
    content = bytearray(flatbuffer())
    root = struct.unpack_from("<I", content, 0)[0]
    fields = root - struct.unpack_from("<i", content, root)[0]
    struct.pack_into("<H", content, fields + 8, 0)
    return bytes(content)


def crashing(folder: Path) -> Path:
    path = folder / "crash.tflite"
    path.write_bytes(attach_description(without_subgraphs(), describe("int8", {})))
    return path


def onnx(folder: Path, *nodes: Any) -> Path:
    """A model of the right shape that runs the nodes on "sum", the sum of all pixels / 255, and answers with their "number"."""
    constants = [
        helper.make_tensor("zeros", TensorProto.FLOAT, [784, 10], [0.0] * 7840),
        helper.make_tensor("flat", TensorProto.INT64, [2], [-1, 784]),
        helper.make_tensor("huge", TensorProto.FLOAT, [], [1e12]),
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
    ]
    around = [
        helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=0),
        *nodes,
        helper.make_node("Reshape", ["image", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "zeros"], ["logits"]),
        helper.make_node("Add", ["logits", "number"], ["shifted"]),
        helper.make_node("Softmax", ["shifted"], ["probabilities"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 28, 28])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(around, "hostile", [image], [probabilities], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = folder / "hostile.onnx"
    path.write_bytes(attach_onnx_description(model.SerializeToString(), describe("float32", {})))
    return path


def hanging_at_light_pixels(folder: Path) -> Path:
    """It goes round a loop, 1e12 times for each white pixel."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["value"], ["same"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("same", TensorProto.FLOAT, []),
        ],
    )
    return onnx(
        folder,
        helper.make_node("Mul", ["sum", "huge"], ["product"]),
        helper.make_node("Cast", ["product"], ["rounds"], to=TensorProto.INT64),
        helper.make_node("Loop", ["rounds", "yes", "sum"], ["number"], body=body),
    )


def filling_the_memory(folder: Path) -> Path:
    """It asks for 4 GB."""
    return onnx(
        folder,
        helper.make_node("Constant", [], ["size"], value=helper.make_tensor("", TensorProto.INT64, [1], [10**9])),
        helper.make_node("Expand", ["sum", "size"], ["many"]),
        helper.make_node("ReduceMax", ["many"], ["number"], keepdims=0),
    )


@pytest.mark.slow
def test_the_crashing_model_does_crash_its_runtime(tmp_path: Path) -> None:
    program = f"import sys; from ai_edge_litert.interpreter import Interpreter; Interpreter({str(crashing(tmp_path))!r})"

    assert run(sys.executable, "-c", program).returncode < 0


@pytest.mark.slow
def test_a_model_that_crashes_its_runtime_is_one_line(tmp_path: Path) -> None:
    path = crashing(tmp_path)

    result = fmnist_edge("classify", "--model", path, "docs/shoe.png")

    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == f"fmnist-edge: {path}: it crashes the runtime (Segmentation fault)\n"


@pytest.mark.slow
def test_a_model_that_hangs_at_one_picture_is_given_up_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "TIME_LIMIT", 5)
    classifier = Classifier(hanging_at_light_pixels(tmp_path))
    assert len(classifier.classify(BLACK)) == 1

    with pytest.raises(ModelError, match="it hangs the runtime: no answer for 5 seconds"):
        classifier.classify(WHITE)
    with pytest.raises(ModelError, match="it crashes the runtime"):
        classifier.classify(BLACK)


@pytest.mark.slow
def test_a_model_that_answers_nonsense_to_one_picture_is_named(tmp_path: Path) -> None:
    classifier = Classifier(onnx(tmp_path, helper.make_node("Acos", ["sum"], ["number"])))

    with pytest.raises(ModelError, match="its answers are not probabilities"):
        classifier.classify(WHITE)


@pytest.mark.slow
def test_a_model_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the runtime can't run it .*memory"):
        open_model(filling_the_memory(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.glob("fmnist-*")))
def test_an_artifact_without_its_manifest_says_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"ours{Path(name).suffix}"
    shutil.copy(MODELS / name, path)
    tiles: Tiles = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)

    alone, listed = open_model(path), open_model(MODELS / name)

    assert alone.session.runtime == listed.session.runtime
    np.testing.assert_array_equal(alone.session.probabilities(tiles), listed.session.probabilities(tiles))
    assert alone.session.probabilities(tiles[:0]).shape == (0, 10)


HAS_CHILDREN = """
import gc, os, sys
from fmnist_edge import Classifier
from fmnist_edge.runtimes import isolated

def has_children():
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False

classifier = Classifier(*sys.argv[1:])
print(has_children())
del classifier
gc.collect()
print(has_children())
"""


def has_children(*model: Path) -> list[str]:
    """Whether a Python that opens the model has a child, and whether it still has it when the classifier is gone."""
    return run(sys.executable, "-W", "error", "-c", HAS_CHILDREN, *model).stdout.split()


@pytest.mark.slow
def test_only_a_model_that_nobody_vouches_for_gets_its_own_process(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path / "listed.tflite")
    shutil.copy(INT8, tmp_path / "mine.tflite")
    listed = {"files": {"listed.tflite": {"sha256": sha256(INT8.read_bytes()).hexdigest()}}}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))

    assert has_children() == ["False", "False"]
    assert has_children(tmp_path / "listed.tflite") == ["False", "False"]
    assert has_children(tmp_path / "mine.tflite") == ["True", "False"]
    assert has_children(MODELS / "fmnist-float.onnx") == ["False", "False"]


@pytest.mark.slow
def test_its_process_runs_no_modules_of_the_working_directory(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    shutil.copy(MODELS.parent / "docs" / "shoe.png", tmp_path)
    for name in ("json", "numpy", "fmnist_edge"):
        (tmp_path / f"{name}.py").write_text("open('was-here', 'w')")

    result = run(FMNIST_EDGE, "classify", "--model", INT8.name, "shoe.png", cwd=tmp_path)

    assert result.stdout.startswith("Sneaker")
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "huge"])
def test_what_is_no_model_file_is_refused_unread(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 10**10)

    result = fmnist_edge("classify", "--model", path, "docs/shoe.png", timeout=20)

    reason = "larger than 100 MB; no Fashion-MNIST model is" if kind == "huge" else "not a file"
    assert (result.returncode, result.stderr) == (3, f"fmnist-edge: {path}: {reason}\n")


def test_a_path_that_cannot_be_one_is_an_error_of_ours() -> None:
    with pytest.raises(ModelError, match="can't be read"):
        open_model("model\0.tflite")


SAYS_NOTHING_GOOD: dict[str, Any] = {
    "training-is-text": "none",
    "temperature-is-text": {"temperature": "hot"},
    "temperature-is-0": {"temperature": 0},
    "photo-temperature-is-text": {"photo_temperature": "warm"},
    "photo-temperature-is-true": {"photo_temperature": True},
    "photo-temperature-is-0": {"photo_temperature": 0},
    "photo-temperature-is-below-0": {"photo_temperature": -1.5},
    "photo-temperature-is-huge": {"photo_temperature": 10**400},
    "photo-temperature-is-none": {"photo_temperature": None},
    "unsure-is-none": {"unsure": None},
    "unsure-is-a-list": {"unsure": ["tile", "photo"]},
    "unsure-lacks-one": {"unsure": {"tile": 0.5}},
    "unsure-has-another": {"unsure": {"tile": 0.5, "photo": 0.5, "video": 0.5}},
    "unsure-is-above-1": {"unsure": {"tile": 0.5, "photo": 2}},
    "unsure-is-true": {"unsure": {"tile": True, "photo": 0.5}},
    "unsure-is-huge": {"unsure": {"tile": 10**400, "photo": 0.5}},
}


@pytest.mark.parametrize("name", SAYS_NOTHING_GOOD)
def test_a_calibration_that_cannot_be_used_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(attach_description(flatbuffer(), describe("int8", SAYS_NOTHING_GOOD[name])))

    with pytest.raises(ModelError, match="what it says of its confidence or of photos is missing or wrong"):
        open_model(path)


def test_what_is_no_number_makes_no_description(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(attach_description(flatbuffer(), describe("int8", {"unsure": {"tile": float("nan"), "photo": 0.5}})))

    with pytest.raises(ModelError, match="it does not describe itself"):
        open_model(path)


@pytest.mark.slow
def test_a_description_of_an_older_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(attach_description(flatbuffer(), describe("int8", {}) | {"format": 1}))

    assert open_model(path).description["format"] == 1


@pytest.mark.slow
def test_an_older_model_that_is_never_unsure_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(attach_description(flatbuffer(), describe("int8", {})))

    assert "unsure" not in open_model(path).description["training"]


def test_a_description_that_lies_about_its_size_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(flatbuffer())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fmnist.json", " " * 10**8)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 10**8), struct.pack("<I", 1000)))

    tracemalloc.start()
    with pytest.raises(ModelError, match="it does not describe itself"):
        open_model(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10**7


def test_a_list_of_many_members_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "many.tflite"
    path.write_bytes(flatbuffer())
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(20_000):
            archive.writestr(str(number), "")
        archive.writestr("fmnist.json", json.dumps(describe("int8", {})))

    with pytest.raises(ModelError, match="it does not describe itself"):
        open_model(path)


@pytest.mark.parametrize("text", ["[" * 90_000, " " * 10**8, '{"files": NaN}', "\udc80"], ids=["nested", "huge", "nan", "bytes"])
def test_a_hostile_manifest_is_named(text: str, tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    (tmp_path / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ModelError, match=r"manifest\.json beside it is damaged"):
        open_model(tmp_path / INT8.name)


def test_a_manifest_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path)
    os.mkfifo(tmp_path / "manifest.json")

    with pytest.raises(ModelError, match=r"manifest\.json beside it is damaged"):
        open_model(tmp_path / INT8.name)


@pytest.mark.slow
def test_without_a_second_process_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(INT8, tmp_path)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(ModelError, match="no process can be started to run it in"):
        open_model(tmp_path / INT8.name)
