"""`fmnist-edge camera` in the emulated Pi: a V4L2 camera that shows what the tests draw, and picamera2 on a virtual camera."""

import json
from pathlib import Path

import pytest
from machine import Pi, Webcam, wait_for

from fmnist_edge.contract import CLASSES
from support.film import scene
from train.dataset import Dataset

pytest_plugins = ["machine"]


class Watched:
    """`fmnist-edge camera` in the machine, which goes on."""

    def __init__(self, webcam: Webcam) -> None:
        self.pi, self.show, self.plug_in = webcam.pi, webcam.show, webcam.plug_in
        self.process = self.pi.start("exec fmnist-edge camera --source /dev/video0 --json >camera.jsonl 2>camera.err")
        wait_for(lambda: self.labels() == [CLASSES[0]])

    def stop(self) -> None:
        self.pi.end(self.process)

    def results(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.pi.share / "camera.jsonl").read_text().splitlines(True) if line.endswith("\n")]

    def labels(self) -> list[object]:
        """One after the other."""
        labels = [result["label"] for result in self.results()]
        return [label for before, label in zip([None, *labels], labels, strict=False) if label != before]

    def said(self) -> str:
        return (self.pi.share / "camera.err").read_text()


@pytest.fixture(scope="module")
def watched(webcam: Webcam) -> Watched:
    return Watched(webcam)


def test_the_camera_names_each_garment_that_it_is_shown(watched: Watched) -> None:
    for class_id in range(10):
        watched.show(class_id)
        wait_for(lambda name=CLASSES[class_id]: watched.labels()[-1] == name)

    assert watched.labels() == list(CLASSES)
    print(f"age of {len(watched.results())} results: {sorted(result['age_ms'] for result in watched.results())}")


def test_a_second_program_is_told_that_the_camera_is_in_use(watched: Watched) -> None:
    result = watched.pi.run("fmnist-edge", "camera", "--source", "0")

    assert (result.returncode, result.stdout) == (1, "")
    assert "another program uses it" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_unplugged_while_streaming_and_plugged_in_again_it_goes_on(watched: Watched) -> None:
    watched.show(3)
    wait_for(lambda: watched.labels()[-1] == "Dress")

    watched.pi.start("exec sleep 5 </dev/video1")  # the driver reconnects when all have closed it
    watched.pi.run("v4l2-ctl", "-d", "/dev/video0", "--set-ctrl", "disconnect=0")
    wait_for(lambda: "lost" in watched.said())
    watched.show(7)
    wait_for(lambda: watched.pi.run("v4l2-ctl", "-d", "/dev/video1", "--get-fmt-video-out").returncode == 0)
    watched.plug_in()
    wait_for(lambda: watched.labels()[-1] == "Sneaker")

    assert watched.said().count("lost (no camera is connected there") == 1
    assert watched.said().count("back") == 1


def test_sigterm_ends_it_with_a_summary(watched: Watched) -> None:
    watched.stop()

    print(watched.said())
    assert "age p50" in watched.said()


def test_another_size_is_classified(watched: Watched) -> None:
    watched.stop()
    watched.show(9)

    # of the sizes that vivid scales to, many end in a corner of the picture, or in an oops of the kernel (6.12)
    result = watched.pi.run("fmnist-edge", "camera", "--source", "/dev/video0", "--size", "320x240", "--frames", "1")

    assert result.returncode == 0
    assert "/dev/video0 (vivid), 320x240 " in result.stderr
    assert json.loads(result.stdout)["label"] == "Ankle boot"


def test_a_size_that_the_camera_has_not_ends_in_one_line(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "camera", "--source", "/dev/video0", "--size", "641x481")

    assert (result.returncode, result.stdout) == (1, "")
    assert "it does not deliver what is asked for" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_a_choice_the_camera_of_the_pi_is_taken(pi: Pi, share: Path, dataset: Dataset) -> None:
    (share / "camera").mkdir()
    scene(dataset, 5).resize((640, 480)).save(share / "camera" / "sandal.jpg")

    result = pi.run("fmnist-edge", "camera", "--frames", "3")

    print(result.stderr)
    assert result.returncode == 0
    assert result.stderr.startswith("fmnist-edge: picamera (Virtual Video Device), 640x480 ")
    assert {json.loads(line)["label"] for line in result.stdout.splitlines()} == {"Sandal"}


def test_the_list_names_both_cameras(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "camera", "--source", "list")

    assert (result.returncode, result.stderr) == (0, "")
    assert "\npicamera  " in f"\n{result.stdout}"
    assert "\n/dev/video0  vivid" in result.stdout


def test_a_missing_camera_ends_in_one_line(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "camera", "--source", "/dev/video9")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("fmnist-edge: /dev/video9: no camera is connected there")
