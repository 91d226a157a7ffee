"""`fmnist-edge camera --save-unsure`: what is kept for the next training, and what is not touched."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fmnist_edge import Classifier
from support.commands import FMNIST_EDGE, fmnist_edge, run
from support.film import scene, write_film
from train.dataset import Dataset

TROUSER, SNEAKER = 1, 7


@pytest.fixture(scope="module")
def film(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of trousers, two of a sneaker."""
    scenes = [(scene(dataset, class_id), 2) for class_id in (TROUSER, SNEAKER)]
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", scenes, noise=10)


def collect(film: Path, folder: Path, *arguments: str) -> None:
    result = fmnist_edge("camera", "--source", film, "--fast", "--save-unsure", folder, *arguments)
    assert result.returncode == 0, result.stderr


@pytest.mark.tensorflow
def test_what_is_collected_can_be_sorted_and_learned_from(film: Path, tmp_path: Path, classifier: Classifier) -> None:
    from train.photos import read_photos

    collect(film, tmp_path, "--min-confidence", "1", "--roi", "40,0,240,240")
    for name in ("trouser", "sneaker"):
        (tmp_path / name).mkdir()
        for path in tmp_path.glob(f"unsure-*-{name}.jpg"):
            path.rename(tmp_path / name / path.name)

    examples = read_photos(tmp_path)

    labels = examples.accepted.argmax(1).tolist()
    assert sorted(labels) == [TROUSER, TROUSER, SNEAKER, SNEAKER]
    assert (examples.accepted.sum(1) == 1).all()
    assert [classifier.classify(tile)[0].class_id for tile in examples.tiles] == labels


def test_a_tile_is_what_the_model_was_shown(film: Path, tmp_path: Path, classifier: Classifier) -> None:
    collect(film, tmp_path, "--min-confidence", "1", "--frames", "1")

    photo, tile = next(tmp_path.glob("*.jpg")), next(tmp_path.glob(".tiles/*.png"))
    assert (photo.stem, tile.stem) == (tile.stem, photo.stem)
    assert Image.open(photo).size == (320, 240)
    assert Image.open(tile).size == (28, 28)
    assert classifier.classify(tile)[0].label == "Trouser"


def test_an_empty_scene_is_not_kept(tmp_path: Path) -> None:
    wall = write_film(tmp_path / "wall.mp4", [(Image.new("RGB", (320, 240), (200, 190, 170)), 0.5)])

    collect(wall, tmp_path / "kept", "--frames", "5")

    assert [path.name for path in (tmp_path / "kept").rglob("*")] == [".tiles"]


def test_the_oldest_go_first_and_other_files_stay(film: Path, tmp_path: Path) -> None:
    old = [f"unsure-20200101-0000{second:02}-000-shirt.jpg" for second in range(20)]
    for name in (*old, "holiday.jpg", "unsure-notes.jpg"):
        (tmp_path / name).write_bytes(bytes(50_000))

    collect(film, tmp_path, "--min-confidence", "1", "--save-mb", "1")

    kept = sorted(path.name for path in tmp_path.glob("unsure-*-*.jpg"))
    ours = [path for path in tmp_path.rglob("unsure-*-*.*g")]
    assert kept[:-4] == old[-len(kept) + 4 :]
    assert 10 < len(kept[:-4]) < 20
    assert sum(path.stat().st_size for path in ours) < 1_000_000
    assert {"holiday.jpg", "unsure-notes.jpg"} < {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_a_full_card_is_said_once_and_ends_nothing(film: Path, tmp_path: Path) -> None:
    arguments = f"--source {film} --fast --save-unsure {tmp_path} --min-confidence 1"

    result = run("sh", "-c", f"ulimit -f 1; {FMNIST_EDGE} camera {arguments}")

    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0
    assert (records[0]["label"], records[-1]["label"]) == ("Trouser", "Sneaker")
    assert result.stderr.count("a frame can't be saved (File too large); going on without") == 1
    assert not list(tmp_path.glob("*.jpg"))
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_written_to_is_a_usage_error(film: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = fmnist_edge("camera", "--source", film, "--save-unsure", tmp_path / "file" / "unsure")

    assert result.returncode == 2
    assert result.stderr == f"fmnist-edge: {tmp_path}/file/unsure: frames can't be saved there (Not a directory)\n"
