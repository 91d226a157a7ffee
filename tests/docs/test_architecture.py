"""docs/architecture.md: what it says to write when one adds something is put where it says, and does its work."""

import importlib
import io
import json
import re
import subprocess
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from PIL import Image

from export import parity
from fmnist_edge import Classifier
from fmnist_edge.cameras.camera import Camera, FeedOptions, Shot
from fmnist_edge.cameras.feed import Feed
from fmnist_edge.classify import output
from fmnist_edge.classify.reading import Item
from fmnist_edge.contract import CLASSES, NOTHING_STANDS_OUT, to_pixels
from fmnist_edge.pictures import photo
from fmnist_edge.pictures.segment import Garment
from support.commands import MODELS, ROOT
from support.docs import named
from train import recipes

PAGE = "docs/architecture.md"
PHOTO = ROOT / "docs" / "sneaker.jpg"


def written(name: str, names: dict[str, Any], page: str = PAGE) -> dict[str, Any]:
    """What there is when a page's lines stand at the end of a file with these names."""
    names = dict(names)
    exec(named(page, name).text, names)
    return names


def test_an_output_format_prints(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "FORMATS", dict(output.FORMATS))
    written_format = written("add an output format", vars(output))["FORMATS"]["labels"]
    show = written_format(output.Style(1, False, CLASSES, NOTHING_STANDS_OUT["en"]))

    show(Item("shoe.png", None, None, 0.0), classifier.classify(ROOT / "docs" / "shoe.png")[0], 0.0)

    assert capsys.readouterr().out == "Sneaker\n"


def test_a_camera_source_delivers_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gphoto2").write_text(f"#!/bin/sh\nexec cat '{PHOTO}'\n")
    (tmp_path / "gphoto2").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    names = {"Camera": Camera, "Shot": Shot, "Generator": Generator, "Image": Image, "partial": partial}
    names |= {"io": io, "subprocess": subprocess, "time": time}
    options = FeedOptions()

    with Feed([written("add a camera source", names)["StillCamera"]("gphoto2", options)], options, print) as feed:
        frame = feed.next(10)

    assert frame is not None
    assert frame.image.size == (960, 720)


def test_a_runtime_says_what_the_others_say() -> None:
    names = {"onnx": onnx, "ReferenceEvaluator": ReferenceEvaluator, "to_pixels": to_pixels, "Tiles": None, "Probabilities": None}
    path = MODELS / "fmnist-float.onnx"
    tiles = np.asarray(Image.open(ROOT / "docs" / "shoe.png"))[None]

    session = written("add a runtime", names)["ReferenceSession"](path.read_bytes())

    assert session.runtime == f"onnx {onnx.__version__}"
    np.testing.assert_allclose(session.probabilities(tiles), Classifier(path).model.session.probabilities(tiles), atol=1e-5)


def test_a_recipe_is_a_line_in_the_table() -> None:
    line = named("docs/train.md", "add a recipe").text

    added = eval(f"{{{line}}}", dict(vars(recipes)))

    assert added["wide"].hidden == (512,)


@pytest.mark.parametrize(("limit", "broken"), [(1.0, 0), (0.0, 1), (float("nan"), 1)])
def test_a_gate_names_what_breaks_it(limit: float, broken: int) -> None:
    file = json.loads((MODELS / "manifest.json").read_text())["files"]["fmnist-int8.tflite"]
    figures = parity.Figures(**{name: file[name] for name in parity.Figures.__dataclass_fields__})

    found = written("add a gate", {"figures": figures, "gate": SimpleNamespace(mean_dp=limit), "broken": []})["broken"]

    assert len(found) == broken


def test_another_way_to_cut_out_garments_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"Garment": Garment, "Image": Image, "np": np}
    monkeypatch.setattr(photo, "find_garment", written("another way to cut out garments", names)["find_garment"])

    with Image.open(PHOTO) as image:
        cut = photo.cut_out(image)

    assert cut.garment_found
    assert 0.1 < cut.mask.mean() < 0.5


def test_the_map_has_every_folder_and_what_it_is_for() -> None:
    page = (ROOT / PAGE).read_text("utf-8")
    top = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    wings = [path.parent.name for path in (ROOT / "edge" / "fmnist_edge").glob("*/__init__.py")]

    assert len(top) >= 3
    assert len(wings) >= 8
    for name in top:
        assert re.search(rf"^{name}/ +\S", page, re.MULTILINE), name
    for name in wings:
        assert re.search(rf"^  {name}/ +\S", page, re.MULTILINE), name


def test_the_names_that_the_page_gives_are_in_the_files_that_it_names() -> None:
    places = {
        "train.recipes": ["RECIPES"],
        "fmnist_edge.classify.output": ["Style", "FORMATS", "to_record"],
        "fmnist_edge.answers": ["FORMAT"],
        "fmnist_edge.cameras.camera": ["Camera"],
        "fmnist_edge.cameras.devices": ["cameras"],
        "fmnist_edge.source": ["WORDS"],
        "fmnist_edge.runtimes.session": ["Session"],
        "fmnist_edge.runtimes.formats": ["FORMATS"],
        "export.parity": ["Gate", "GATES", "broken_gates"],
        "fmnist_edge.pictures.segment": ["find_garment"],
    }
    page = (ROOT / PAGE).read_text("utf-8")

    for module, names in places.items():
        for name in names:
            assert f"`{name}`" in page
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
