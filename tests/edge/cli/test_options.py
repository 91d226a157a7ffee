"""What is said on the command line reaches what it is for."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from support.camera_server import CameraServer
from support.commands import fmnist_edge
from support.described import described, write_manifest
from support.film import scene, write_film
from train.dataset import Dataset

SNEAKER = 7


@pytest.fixture(scope="module")
def film(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", [(scene(dataset, SNEAKER), 0.4)])


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """A model that says of itself that it is never sure."""
    (tmp_path / "model.tflite").write_bytes(described(training={"unsure": {"tile": 1, "photo": 1}}))
    write_manifest(tmp_path, "model.tflite")
    return tmp_path / "model.tflite"


@pytest.mark.parametrize(("least", "unsure"), [((), "true"), (("--min-confidence", "0"), "false")])
def test_a_least_confidence_of_zero_takes_the_place_of_the_models_own(
    least: tuple[str, ...], unsure: str, doubtful: Path, film: Path, dataset: Dataset, tmp_path: Path
) -> None:
    Image.fromarray(dataset.test_images[9]).save(tmp_path / "shoe.png")

    picture = fmnist_edge("classify", "--json", "--model", doubtful, *least, tmp_path / "shoe.png")
    frame = fmnist_edge("camera", "--source", film, "--fast", "--frames", "1", "--model", doubtful, *least)

    for result in (picture, frame):
        assert f'"unsure": {unsure}' in result.stdout, result.stderr


def kept(film: Path, folder: Path, *arguments: str) -> Image.Image:
    """The frame as it was looked at."""
    result = fmnist_edge(
        "camera", "--source", film, "--fast", "--frames", "1", "--min-confidence", "1", "--save-unsure", folder, *arguments
    )
    assert result.returncode == 0, result.stderr
    return Image.open(next(folder.glob("*.jpg")))


def alike(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and bool(np.abs(np.subtract(one, other, dtype=np.int16)).mean() < 5)


def test_frames_are_turned_and_mirrored_if_that_is_wanted(film: Path, tmp_path: Path) -> None:
    plain = kept(film, tmp_path / "plain")

    assert alike(kept(film, tmp_path / "mirrored", "--mirror"), ImageOps.mirror(plain))
    assert alike(kept(film, tmp_path / "turned", "--rotate", "180"), plain.rotate(180))
    assert not alike(plain, ImageOps.mirror(plain))


def test_of_a_still_picture_there_are_as_many_answers_as_wanted(dataset: Dataset, tmp_path: Path) -> None:
    film = write_film(tmp_path / "still.mkv", [(scene(dataset, SNEAKER), 2)], noise=0, codec="mjpeg")

    def answers(*arguments: str) -> int:
        return fmnist_edge("camera", "--source", film, "--fast", *arguments).stdout.count("\n")

    moving = 15  # half a second of 30 frames
    assert answers("--idle-fps", "1") == moving + 1
    assert answers() == moving + 2


def unplugged_soon(camera: CameraServer) -> None:
    def unplug() -> None:
        while camera.sent < 5:
            time.sleep(0.01)
        camera.unplug()

    threading.Thread(target=unplug, daemon=True).start()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [(("--no-retry",), 1, "fmnist-edge: http://127.0.0.1"), (("--seconds", "1"), 0, "; trying to open it again\n")],
)
def test_a_camera_that_is_lost_is_tried_again_unless_that_is_not_wanted(
    arguments: tuple[str, ...], status: int, said: str
) -> None:
    camera = CameraServer()
    unplugged_soon(camera)

    result = fmnist_edge("camera", "--source", camera.source, *arguments, timeout=60)

    assert result.returncode == status, result.stderr
    assert said in result.stderr
    assert ("trying" in result.stderr) == (status == 0)
