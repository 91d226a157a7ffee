"""The wheel on Debian 12 for 32- and 64-bit Arm, Python 3.11, as build.sh installed it. `make arm-test` runs both."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.device.bench import draw_photo
from support.commands import MODELS, ROOT, run
from train.dataset import Dataset

BUILT = ROOT / "build" / "arm"


@pytest.fixture(params=["armhf", "arm64"])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fmnist_edge(architecture: str) -> Path:
    return BUILT / architecture / "venv" / "bin" / "fmnist-edge"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """100 tiles, a photo, and the same with a transparent ground."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, tile in enumerate(dataset.test_images[:100]):
        Image.fromarray(tile).save(folder / f"{number:02}.png")
    draw_photo(folder / "photo.jpg", 1)
    photo = Image.open(folder / "photo.jpg")
    photo.putalpha(photo.convert("L").point(lambda value: 255 * (value < 128)))
    photo.save(folder / "transparent.png")
    return folder


def test_verify_finds_what_the_workstation_computed(architecture: str, fmnist_edge: Path) -> None:
    result = run(fmnist_edge, "verify")

    print(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"model     {fmnist_edge.parents[1]}" in result.stdout
    assert f"runtime   {'tflite-runtime 2.14.0' if architecture == 'armhf' else 'ai-edge-litert'}" in result.stdout
    assert "verdict   ok: 100.00% of 256 tiles" in result.stdout


def test_a_shoe_is_a_sneaker(fmnist_edge: Path) -> None:
    result = run(fmnist_edge, "classify", "docs/shoe.png")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Sneaker ")


def test_pictures_get_the_labels_that_they_get_here(fmnist_edge: Path, pictures: Path, classifier: Classifier) -> None:
    result = run(fmnist_edge, "classify", "-q", "--json", pictures)

    labels = {Path(line["path"]).name: line["label"] for line in map(json.loads, result.stdout.splitlines())}
    assert (result.returncode, result.stderr) == (0, "")
    assert labels == {path.name: classifier.classify(path)[0].label for path in pictures.iterdir()}


def test_an_answer_is_explained_in_a_picture(fmnist_edge: Path, pictures: Path, tmp_path: Path) -> None:
    result = run(fmnist_edge, "explain", pictures / "photo.jpg", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert Image.open(tmp_path / "photo-explained.png").mode == "RGB"


def test_the_doctor_finds_no_problem(architecture: str, fmnist_edge: Path) -> None:
    result = run(fmnist_edge, "doctor")

    print(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("armv7l, kernel of 32 bits" if architecture == "armhf" else "aarch64, kernel of 64 bits") in result.stdout
    assert "\nok       verify " in result.stdout
    assert "problem" not in result.stdout


def test_info_says_which_model_it_is(fmnist_edge: Path) -> None:
    result = run(fmnist_edge, "info")

    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((MODELS / "manifest.json").read_text())["files"]["fmnist-int8.tflite"]["sha256"] in result.stdout


# what a 64-bit kernel tells a program of 32 bits, and what it tells it under linux32
@pytest.mark.parametrize(("machine", "package"), [("aarch64", "tflite-runtime==2.14.0"), ("armv8l", "fmnist_edge-*.whl")])
def test_a_64_bit_kernel_keeps_none_of_it_from_a_32_bit_system(machine: str, package: str) -> None:
    pip = (
        "import os, runpy; real = os.uname(); "
        f"os.uname = lambda: os.uname_result((*real[:4], {machine!r})); runpy.run_module('pip', run_name='__main__')"
    )
    wanted = next(map(str, (ROOT / "dist").glob(package)), package)

    result = run(BUILT / "armhf/venv/bin/python3", "-c", pip, "install", "--no-deps", "--force-reinstall", "--dry-run", wanted)

    assert result.returncode == 0, result.stderr
    assert "Would install" in result.stdout
