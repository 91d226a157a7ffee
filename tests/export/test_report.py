"""The parity page and parity.json of the shipped bundle, and the numbers of `make bench`."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from export import bare_runtimes, bundle, parity
from export.report import compare_runtime, runtime_table
from support.commands import MODELS, ROOT
from train.dataset import Dataset

PROOF = json.loads((MODELS / "parity.json").read_text())
PAGE = (MODELS / "report" / "parity.md").read_text()
PICTURES = ["parity-confusion.png", "parity-histogram.png", "parity-moved.png"]


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_the_figures_are_those_of_the_manifest(name: str) -> None:
    listed = json.loads((MODELS / "manifest.json").read_text())["files"][name]

    assert PROOF["files"][name].items() >= {key: listed[key] for key in ("accuracy", "top1_agreement", "max_dp")}.items()


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_each_probability_is_in_the_histogram(name: str) -> None:
    assert sum(PROOF["files"][name]["histogram"]) == 100_000


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_changes_and_agreement_tell_the_same(name: str) -> None:
    file = PROOF["files"][name]

    assert 1 - len(file["changes"]) / 10_000 == pytest.approx(file["top1_agreement"])


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_ties_and_who_is_right_count_each_image_once(name: str) -> None:
    file = PROOF["files"][name]
    right_or_wrong = ("both_right", "only_keras_right", "only_artifact_right", "both_wrong")

    assert file["ties"] + sum(file[key] for key in right_or_wrong) == 10_000
    assert file["accuracy_difference"] == (file["only_artifact_right"] - file["only_keras_right"]) / 10_000


def test_the_page_shows_who_is_right_and_how_many_ties_are_left_out() -> None:
    file = PROOF["files"]["fmnist-int8.tflite"]

    assert f"The difference in accuracy leaves ties out: here {file['ties']} of 10,000 images." in PAGE
    for row in (
        rf"\| Keras right +\| {file['both_right']} +\| {file['only_keras_right']} +\|",
        rf"\| Keras wrong +\| {file['only_artifact_right']} +\| {file['both_wrong']} +\|",
    ):
        assert re.search(row, PAGE)


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_a_tolerance_follows_from_what_was_measured(name: str) -> None:
    at_least = parity.ELSEWHERE[bundle.ARTIFACTS[name]]
    measured = [row for row in PROOF["files"][name]["runtimes"].values() if row]

    assert measured
    for row in measured:
        assert row["tolerance"] == max(2 * row["max_dp_to_default"], at_least)


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_every_runtime_has_its_row(name: str) -> None:
    assert list(PROOF["files"][name]["runtimes"]) == bare_runtimes.runtimes_for(name)


def test_a_runtime_that_is_not_here_is_not_measured(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare_runtimes, "OTHER_ENVIRONMENT", ROOT / "build" / "none")
    outputs = np.zeros((10_000, 10), np.float32)

    row = compare_runtime("tflite-runtime", b"", dataset, outputs, outputs, "int8")
    table = runtime_table({"files": {"fmnist-int8.tflite": {"runtimes": {"tflite-runtime": row}}}})

    assert row is None
    assert "not measured here" in table


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
