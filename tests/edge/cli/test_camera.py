"""How `fmnist-edge camera` is told its source: by position, by option, by a variable."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from support.commands import ROOT, fmnist_edge
from train.dataset import Dataset

GONE = {"FMNIST_EDGE_SOURCE": "gone.mp4"}


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["first.mp4"], GONE, "first.mp4: no such file or directory"),
        (["--source", "first.mp4"], GONE, "first.mp4: no such file or directory"),
        ([], GONE, "gone.mp4: no such file or directory"),
    ],
)
def test_what_stands_in_the_command_comes_before_the_variable(
    arguments: list[str], environment: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    result = fmnist_edge("camera", *arguments, environment=environment, cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"fmnist-edge: {complaint}\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["a.png", "--source", "b.png"], "name the source once: by itself, or with --source"),
        (["a.png", "test"], "test can't be shown together with others; name one source"),
        (["rtsp://me:geheim@h/live", "a.png"], "rtsp://h/live can't be shown together with others; name one source"),
        (["", "a.png"], "a source has no name; is a variable empty?"),
        (["a.png", "--certificate", "x.pem"], "--certificate goes with https://"),
        (["rtsp://h/live", "--certificate", "x.pem"], "--certificate goes with https://"),
        (["test", "--fast"], "--fast goes with files"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "a.png")

    result = fmnist_edge("camera", *arguments, cwd=tmp_path)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == f"fmnist-edge: {complaint}"


def test_a_folder_is_shown_with_the_folders_in_it_if_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "photos" / "test").mkdir(parents=True)
    for name in ("a.png", "test/b.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / "photos" / name)

    flat, deep = (fmnist_edge("camera", "photos", "--fast", *options, cwd=tmp_path) for options in ([], ["-r"]))

    assert "fmnist-edge: photos, 40x30 at 1\nfmnist-edge: 1 frames in " in flat.stderr
    assert "fmnist-edge: photos, 40x30 at 1\nfmnist-edge: 2 frames in " in deep.stderr


def test_a_part_of_a_photo_is_in_the_pixels_that_the_photo_has(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 1500), "red").save(tmp_path / "photo.jpg")

    result = fmnist_edge("camera", "photo.jpg", "--roi", "1000,500,800,800", cwd=tmp_path)

    assert result.returncode == 0
    assert result.stderr.startswith("fmnist-edge: photo.jpg, 2000x1500 at 1\n")


def test_each_picture_is_an_answer_of_its_own_as_classify_gives_it(tmp_path: Path) -> None:
    trousers = Image.new("RGB", (300, 400), (120, 200, 120))
    ImageDraw.Draw(trousers).polygon([(100, 40), (200, 40), (220, 360), (150, 120), (80, 360)], (40, 40, 90))
    trousers.save(tmp_path / "a.png")
    shutil.copy(ROOT / "docs" / "shoe.png", tmp_path / "b.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "c.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "d.png")

    shown = fmnist_edge("camera", ".", "--fast", "--fps", "20", cwd=tmp_path)
    classified = fmnist_edge("classify", ".", "--json", cwd=tmp_path)

    first, second = ([json.loads(line) for line in result.stdout.splitlines()] for result in (shown, classified))
    assert len(first) == 4
    assert [answer["label"] for answer in first] == [answer["label"] for answer in second]
    assert [answer["confidence"] for answer in first] == [answer["confidence"] for answer in second]


@pytest.fixture
def tile_and_photo(dataset: Dataset, tmp_path: Path) -> Path:
    """A tile, the same ten times as large, and the tile once more."""
    tile = Image.fromarray(dataset.test_images[0])
    for name, picture in (("a.png", tile), ("b.png", tile.resize((280, 280), Image.Resampling.NEAREST)), ("c.png", tile)):
        picture.save(tmp_path / name)
    return tmp_path


def test_each_picture_gets_an_answer_of_its_own_however_much_it_looks_like_the_one_before(tile_and_photo: Path) -> None:
    shown = fmnist_edge("camera", "a.png", "b.png", "c.png", "--fast", "--json", cwd=tile_and_photo)

    answers = [json.loads(line) for line in shown.stdout.splitlines()]
    classified = fmnist_edge("classify", "a.png", "b.png", "c.png", "--json", cwd=tile_and_photo)
    wanted = [json.loads(line) for line in classified.stdout.splitlines()]
    assert [(one["kind"], one["confidence"]) for one in answers] == [(one["kind"], one["confidence"]) for one in wanted]


def test_a_picture_that_does_not_fit_is_told_and_the_others_are_shown(tile_and_photo: Path) -> None:
    shown = fmnist_edge("camera", "a.png", "b.png", "c.png", "--fast", "--json", "--input", "tile", cwd=tile_and_photo)

    assert [json.loads(line)["frame"] for line in shown.stdout.splitlines()] == [0, 2]
    assert "fmnist-edge: picture 2: not a tile, which is gray and 28x28 pixels large, but RGB and 280x280\n" in shown.stderr
    assert shown.returncode == 0
