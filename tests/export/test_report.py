"""The parity page and parity.json of the shipped bundle, and the numbers of `make bench`."""

import io
import json
import re
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from export import bare_runtimes, bundle, keras_model, parity
from export.report import (
    SHIPPED,
    compare_runtime,
    draw_confusion,
    draw_histogram,
    draw_moved,
    make_page,
    make_report,
    prove,
    runtime_table,
    tolerances,
)
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import CLASSES, Probabilities, to_pixels
from support.altered_models import MLP
from support.commands import MODELS, ROOT
from support.fashion_mnist import load_once
from train.dataset import Dataset

MANIFEST = json.loads((MODELS / "manifest.json").read_text())
PROOF = json.loads((MODELS / "parity.json").read_text())
PAGE = (MODELS / "report" / "parity.md").read_text()
PICTURES = ["parity-confusion.png", "parity-histogram.png", "parity-moved.png"]


@pytest.fixture(scope="module")
def few(dataset: Dataset) -> Dataset:
    return replace(dataset, test_images=dataset.test_images[:60], test_labels=dataset.test_labels[:60])


@pytest.fixture(scope="module")
def outputs(few: Dataset) -> dict[str, Probabilities]:
    return {name: open_model(MODELS / name).session.probabilities(few.test_images) for name in bundle.ARTIFACTS}


@cache  # and no fixture: a thousand mutants ask for it
def said_of_all() -> tuple[Probabilities, Probabilities]:
    """What Keras and the int8 file say of the test images."""
    tiles = load_once().test_images
    return keras_model.answers(to_pixels(tiles), MLP), open_model(MODELS / SHIPPED).session.probabilities(tiles)


def moved(probabilities: Probabilities, *changes: tuple[int, int, float]) -> Probabilities:
    """Of these images, these classes' probabilities by so much."""
    result = probabilities.copy()
    for image, class_id, change in changes:
        result[image, class_id] += np.float32(change)
    return result


@pytest.mark.tensorflow
def test_all_that_was_measured_is_in_the_proof(few: Dataset, outputs: dict[str, Probabilities]) -> None:
    """Keras is said to differ from the float file on three images: on one by so much that its class is another one."""
    name = "fmnist-float.onnx"
    first = int(outputs[name][7].argmax())
    other = (first + 1) % 10
    answers = moved(outputs[name], (7, other, 2), (3, 0, -3e-3), (5, 1, 3e-7))
    figures = {file: parity.compare(answers, output, few.test_labels) for file, output in outputs.items()}
    contents = {file: (MODELS / file).read_bytes() for file in bundle.ARTIFACTS}

    proof = prove(contents, few, answers, outputs, figures, {"weights": {"max_dp": 0.5}})

    file = proof["files"][name]
    label = CLASSES[few.test_labels[7]]
    assert proof.keys() == PROOF.keys()
    assert list(proof["files"]) == list(bundle.ARTIFACTS)
    assert (proof["images"], proof["int8_losses"], proof["tolerance"]) == (
        60,
        {"weights": {"max_dp": 0.5}},
        parity.TOLERANCE_RULE,
    )
    assert file.items() >= asdict(figures[name]).items()
    assert file["changes"] == [{"image": 7, "label": label, "keras": CLASSES[other], "artifact": CLASSES[first]}]
    assert file["moved_most"] == [7, 3, 5, 0, 1, 2, 4, 6, *range(8, 16)]  # of equals the first: each run gives the same pictures
    # of 600 probabilities: none, 1e-7 to 1e-6, 1e-3 to 1e-2; a difference of 2 is beyond the last edge
    assert file["histogram"] == [597, 0, 1, 0, 0, 0, 1, 0, 0]
    assert list(file["runtimes"]) == bare_runtimes.runtimes_for(name)
    for row in file["runtimes"].values():
        assert row["agreement_with_keras"] == pytest.approx(59 / 60)
        assert row["max_dp_to_keras"] == pytest.approx(2, abs=1e-4)
        assert (row["agreement_with_default"], row["max_dp_to_default"]) == (1, pytest.approx(0, abs=1e-5))


def test_the_page_shows_who_is_right_and_how_many_ties_are_left_out() -> None:
    file = PROOF["files"]["fmnist-int8.tflite"]

    assert f"The difference in accuracy leaves ties out: here {file['ties']} of 10,000 images." in PAGE
    for row in (
        rf"\| Keras right +\| {file['both_right']} +\| {file['only_keras_right']} +\|",
        rf"\| Keras wrong +\| {file['only_artifact_right']} +\| {file['both_wrong']} +\|",
    ):
        assert re.search(row, PAGE)


@pytest.mark.parametrize(
    ("dtype", "change", "tolerance", "mean_tolerance"),
    [
        ("float", 0, 1e-5, 1e-7),
        ("int8", 0, 1 / 256, 1e-5),
        ("float", 0.0625, 0.125, 0.125 / 600),
        ("int8", 0.0625, 0.125, 0.125 / 600),
    ],
)
def test_a_tolerance_is_twice_what_was_measured_but_at_least_what_another_processor_may_change(
    dtype: str, change: float, tolerance: float, mean_tolerance: float, few: Dataset, outputs: dict[str, Probabilities]
) -> None:
    name = f"fmnist-{dtype}.onnx"
    default = moved(outputs[name], (4, 2, change))

    row = compare_runtime("onnxruntime", (MODELS / name).read_bytes(), few, outputs[name], default, bundle.ARTIFACTS[name])

    assert row is not None
    assert row.keys() == PROOF["files"][name]["runtimes"]["onnxruntime"].keys()
    assert row["version"] == bare_runtimes.version_of("onnxruntime")
    assert row["max_dp_to_default"] == pytest.approx(change, abs=1e-6)
    assert row["mean_dp_to_default"] == pytest.approx(change / 600, abs=1e-8)
    assert row["tolerance"] == pytest.approx(tolerance, rel=1e-4)
    assert row["mean_tolerance"] == pytest.approx(mean_tolerance, rel=1e-2)
    assert row["max_dp_to_keras"] == pytest.approx(0, abs=1e-6)


def test_a_device_is_allowed_what_any_kernel_of_its_runtime_may_differ() -> None:
    rows = {
        "ai-edge-litert": {"version": "2.1", "tolerance": 3e-5, "mean_tolerance": 1e-7},
        "ai-edge-litert, built-in kernels": {"version": "2.1", "tolerance": 1e-5, "mean_tolerance": 4e-7},
        "tf.lite": {"version": "2.21", "tolerance": 2e-5, "mean_tolerance": 2e-7},
        "tflite-runtime": None,
    }

    found = tolerances({"files": {"a.tflite": {"runtimes": rows}}})

    assert found == {"a.tflite": {"ai-edge-litert 2.1": (3e-5, 4e-7), "tensorflow 2.21": (2e-5, 2e-7)}}


def test_a_runtime_that_is_not_here_is_not_measured_and_the_others_are(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare_runtimes, "OTHER_ENVIRONMENT", ROOT / "build" / "none")
    outputs = np.zeros((10_000, 10), np.float32)

    row = compare_runtime("tflite-runtime", b"", dataset, outputs, outputs, "int8")
    here = PROOF["files"][SHIPPED]["runtimes"]["ai-edge-litert"]
    table = runtime_table({"files": {SHIPPED: {"runtimes": {"tflite-runtime": row, "ai-edge-litert": here}}}})

    assert row is None
    missing, measured = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[-2:])
    assert missing == [SHIPPED, "tflite-runtime", "not measured here", "", "", ""]
    assert measured[1] == f"ai-edge-litert {here['version']}"


def test_the_page_says_what_the_proof_says() -> None:
    assert make_page(MANIFEST, PROOF) == PAGE


def test_the_pictures_beside_the_page_show_what_the_proof_says(dataset: Dataset) -> None:
    """They are made again. The pictures may differ by how another version of matplotlib draws a letter."""
    answers, output = said_of_all()

    files = make_report(MANIFEST, PROOF, dataset, answers, {SHIPPED: output})

    assert files.pop("report/parity.md").decode() == PAGE
    assert sorted(files) == [f"report/{name}" for name in PICTURES]
    for path, content in files.items():
        drawn, shipped = (np.asarray(Image.open(file).convert("L"), float) for file in (io.BytesIO(content), MODELS / path))
        assert np.abs(drawn - shipped).mean() < 1
        assert "Software" not in Image.open(io.BytesIO(content)).info  # another version of it need not be another file


def test_the_histogram_has_a_bar_for_each_size_of_a_change_in_a_panel_for_each_file() -> None:
    counts = {"a.onnx": [0, 1, 20, 3000, 0, 0, 0, 0, 7], "b.onnx": [9, 0, 0, 0, 0, 0, 0, 0, 0]} | {name: [0] * 9 for name in "cd"}

    figure = draw_histogram({"files": {name: {"histogram": count} for name, count in counts.items()}})

    assert [axes.get_title() for axes in figure.axes] == ["a.onnx", "b.onnx", "c", "d"]
    for axes, count in zip(figure.axes, counts.values(), strict=True):
        assert [bar.get_height() for bar in axes.patches] == count
        assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(number, 1) for number in range(9)]
        assert [text.get_text() for text in axes.texts] == [f"{number:,}" if number else "" for number in count]
        assert (axes.get_yscale(), axes.get_xlim(), axes.get_ylim()) == ("log", (0, 9), (0.5, 2e6))
        assert axes.get_xticks().tolist() == list(range(10))
    for axes in figure.axes[2:]:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0", *(f"1e{k}" for k in range(-8, 1))]
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("|Δp|", "probabilities")


def test_of_what_moved_most_the_image_and_what_both_say_of_it_are_drawn(few: Dataset) -> None:
    answers, output = np.zeros((2, 60, 10), np.float32)
    answers[20, :4], output[20, :4] = (0.5, 0.25, 0.125, 0.0625), (0.0, 0.25, 0.5, 0.25)

    pale = replace(few, test_images=few.test_images // 2 + 10)

    figure = draw_moved(range(20, 36), pale, answers, output)

    pictures, bars = figure.axes[::2], figure.axes[1::2]
    assert [axes.get_title() for axes in pictures] == [f"no. {i}:\n{CLASSES[few.test_labels[i]]}" for i in range(20, 36)]
    np.testing.assert_array_equal(pictures[0].images[0].get_array(), pale.test_images[20])
    assert {(axes.images[0].cmap.name, axes.images[0].get_clim(), axes.axison) for axes in pictures} == {
        ("gray_r", (0, 255), False)
    }
    # the three that either says most, in the order of their classes if they are equal
    assert [label.get_text() for label in bars[0].get_yticklabels()] == [CLASSES[k] for k in (0, 2, 1)]
    keras, int8 = bars[0].containers
    assert [bar.get_width() for bar in keras] == [0.5, 0.125, 0.25]
    assert [bar.get_width() for bar in int8] == [0, 0.5, 0.25]
    assert [bar.get_y() + bar.get_height() / 2 for bar in (*keras, *int8)] == pytest.approx([-0.2, 0.8, 1.8, 0.2, 1.2, 2.2])
    assert [bar.get_height() for bar in (*keras, *int8)] == pytest.approx([0.4] * 6)
    assert bars[0].get_yticks().tolist() == [0, 1, 2]
    assert (bars[0].get_xlim(), bars[0].get_ylim(), len(bars[0].get_xticks())) == ((0, 1), (2.5, -0.5), 0)
    assert [name for name, spine in bars[0].spines.items() if spine.get_visible()] == ["left"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Keras", "int8"]
    colours = [handle.get_facecolor() for handle in figure.legends[0].get_patches()]
    assert [bar[0].get_facecolor() for bar in (keras, int8)] == colours
    assert colours[0] != colours[1]


def test_the_confusions_that_int8_adds_and_takes_away_are_drawn() -> None:
    labels = np.array([2, 2, 4, 9], np.uint8)
    answers, output = np.eye(10, dtype=np.float32)[[2, 2, 6, 9]], np.eye(10, dtype=np.float32)[[6, 6, 4, 9]]

    (axes,) = draw_confusion(labels, answers, output).axes

    changes = np.zeros((10, 10), int)
    changes[2, 2], changes[2, 6], changes[4, 6], changes[4, 4] = -2, 2, -1, 1
    np.testing.assert_array_equal(axes.images[0].get_array(), changes)
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        *(((2, 2), "-2"), ((6, 2), "+2"), ((6, 4), "-1"), ((4, 4), "+1")),
    }
    assert {(text.get_ha(), text.get_va()) for text in axes.texts} == {("center", "center")}
    assert axes.images[0].get_clim() == (-4, 4)
    for ticks, labelled in ((axes.get_xticks(), axes.get_xticklabels()), (axes.get_yticks(), axes.get_yticklabels())):
        assert ticks.tolist() == list(range(10))
        assert [label.get_text() for label in labelled] == list(CLASSES)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("what the model says", "what it is")


def test_where_int8_confuses_nothing_else_than_keras_nothing_is_coloured() -> None:
    answers = np.eye(10, dtype=np.float32)

    (axes,) = draw_confusion(np.arange(10, dtype=np.uint8), answers, answers).axes

    assert not axes.images[0].get_array().any()
    assert axes.images[0].get_clim() == (-2, 2)


def test_the_page_shows_its_pictures_and_no_placeholder() -> None:
    assert re.findall(r"\]\(([^)]*)\)", PAGE) == ["parity-histogram.png", "parity-moved.png", "parity-confusion.png"]
    assert not re.search(r"[{}]|\bnan\b|\bNone\b", PAGE)


def test_the_pictures_are_small_and_have_a_light_ground() -> None:
    corners = {Image.open(MODELS / "report" / name).convert("RGB").getpixel((0, 0)) for name in PICTURES}

    assert corners == {(255, 255, 255)}
    assert sum((MODELS / "report" / name).stat().st_size for name in PICTURES) < 150_000


def test_the_bench_has_each_artifact_in_its_default_runtime() -> None:
    files = json.loads((ROOT / "docs" / "bench.json").read_text())["files"]
    timed = {row["file"] for row in files if row["runtime"] in ("ai-edge-litert", "onnxruntime")}

    assert timed == set(bundle.ARTIFACTS)
