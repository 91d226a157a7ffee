"""`fmnist-edge camera`: what it says of films whose garments and times are known, how it prints, how it ends."""

import json
import re
import signal
import subprocess
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.contract import CLASSES
from support.commands import FMNIST_EDGE, fmnist_edge, run
from support.film import scene, write_film
from train.dataset import Dataset

TROUSER, SANDAL, SNEAKER = 1, 5, 7


@pytest.fixture(scope="module")
def film(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bare ground, and three garments."""
    pictures = [scene(dataset, class_id) for class_id in (None, TROUSER, SANDAL, SNEAKER)]
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", [(picture, 0.7) for picture in pictures])


def watched(*arguments: str | Path, **options: object) -> list[dict[str, Any]]:
    """What the command prints, as JSON."""
    result = fmnist_edge("camera", "--source", *arguments, **options)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def changes_in(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first record of each label in turn."""
    return [next(group) for _, group in groupby(records, key=lambda record: record["label"])]


def labels(records: list[dict[str, Any]]) -> list[str]:
    return [record["label"] for record in records]


def test_each_garment_is_named_within_half_a_second(dataset: Dataset, tmp_path: Path) -> None:
    film = write_film(tmp_path / "all.mp4", [(scene(dataset, class_id), 1) for class_id in range(10)])

    changes = changes_in(watched(film, "--fast", "--on-change"))

    assert labels(changes) == list(CLASSES)
    assert [0 <= change["seconds"] - start <= 0.5 for start, change in enumerate(changes)] == [True] * 10


def test_on_change_a_label_is_printed_when_it_comes_and_when_it_gets_sure(film: Path) -> None:
    records = watched(film, "--fast", "--on-change", "--min-confidence", "0.6")

    assert [(record["label"], record["unsure"]) for record in records][-4:] == [
        ("Sandal", True),
        ("Sandal", False),
        ("Sneaker", True),
        ("Sneaker", False),
    ]


@pytest.mark.slow
def test_a_film_in_its_own_time_gets_the_same_answers(film: Path) -> None:
    slow = watched(film, "--on-change")
    fast = watched(film, "--on-change", "--fast")

    assert labels(slow) == labels(fast)
    assert slow[-1]["monotonic"] - slow[0]["monotonic"] == pytest.approx(slow[-1]["seconds"] - slow[0]["seconds"], abs=0.1)
    assert fast[-1]["dropped"] == 0


def test_a_garment_that_comes_after_a_still_picture_is_named_as_soon(dataset: Dataset, tmp_path: Path) -> None:
    film = write_film(tmp_path / "still.mp4", [(scene(dataset, SANDAL), 3.07), (scene(dataset, SNEAKER), 1)])

    changes = changes_in(watched(film, "--fast", "--on-change", "--idle-fps", "0.5"))

    assert labels(changes) == ["Sandal", "Sneaker"]
    assert 3.07 < changes[1]["seconds"] <= 3.57


def test_one_wrong_frame_changes_no_label(dataset: Dataset, tmp_path: Path) -> None:
    sandal, sneaker = scene(dataset, SANDAL), scene(dataset, SNEAKER)
    film = write_film(tmp_path / "flash.mp4", [(sandal, 1), (sneaker, 1 / 30), (sandal, 1)], codec="mjpeg")

    assert labels(changes_in(watched(film, "--fast"))) == ["Sandal"]
    assert labels(changes_in(watched(film, "--fast", "--smooth", "0"))) == ["Sandal", "Sneaker", "Sandal"]


def test_a_record_says_everything(film: Path) -> None:
    record = watched(film, "--fast", "--frames", "1", "--labels-lang", "zh", "--min-confidence", "1")[0]

    assert record.keys() == {
        *("time", "monotonic", "seconds", "frame", "class_id", "label", "confidence", "unsure", "garment_found"),
        *("format", "kind", "probabilities", "deprecated_probabilities", "age_ms", "dropped"),
    }
    assert (record["frame"], record["seconds"], record["unsure"]) == (0, 0, True)
    assert record["probabilities"][record["label"]] == record["confidence"] == max(record["probabilities"].values())
    assert time.time() - 60 < time.mktime(time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S")) < time.time()
    assert record["time"][23] in "+-"
    assert not record["label"].isascii()


def test_a_part_of_the_frame_can_be_turned_and_mirrored(dataset: Dataset, tmp_path: Path) -> None:
    upright = scene(dataset, SNEAKER)
    wide = scene(dataset, TROUSER).resize((640, 240))
    wide.paste(upright.rotate(90, expand=True).crop((0, 40, 240, 280)), (400, 0))
    film = write_film(tmp_path / "wide.mp4", [(wide, 0.2)])

    part = ("--fast", "--roi", "400,0,240,240")

    assert labels(watched(film, *part, "--rotate", "90"))[-1] == "Sneaker"
    assert labels(watched(film, *part, "--rotate", "90", "--mirror"))[-1] == "Sneaker"
    assert labels(watched(film, *part))[-1] != "Sneaker"


def test_a_part_outside_of_the_frame_is_a_usage_error_that_says_the_frames_size(film: Path) -> None:
    result = fmnist_edge("camera", "--source", film, "--roi", "200,0,200,200")

    assert (result.returncode, result.stdout) == (2, "")
    assert "--roi 200,0,200,200 is not inside of the picture, which is 320x240" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "1", "--frames", "1"], "--seconds or --frames, not both"),
        (["--save-mb", "1"], "--save-mb goes with --save-unsure"),
        (["--roi", "1,2,3"], "--roi is left, top, width and height, as in '--roi 120,40,400,400', not '1,2,3'"),
        *(
            (["--size", size], f"--size is width and height, 64 million pixels at most, as in '--size 640x480', not '{size}'")
            for size in ("large", "0x0", "99999x99999")
        ),
        (["--fast", "--source", "test"], "--fast goes with files"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(arguments: list[str], message: str) -> None:
    result = fmnist_edge("camera", *arguments)

    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"fmnist-edge: {message}\n")


def test_the_source_is_read_from_the_environment_where_no_other_user_sees_it() -> None:
    result = fmnist_edge("camera", environment={"FMNIST_EDGE_SOURCE": "gone.mp4"})

    assert result.stderr == "fmnist-edge: gone.mp4: no such file or directory\n"


def test_negative_seconds_are_a_usage_error() -> None:
    assert fmnist_edge("camera", "--seconds", "-1").returncode == 2


def test_what_is_no_tile_is_refused_where_tiles_are_wanted(film: Path) -> None:
    result = fmnist_edge("camera", "--source", film, "--input", "tile")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "fmnist-edge: not a tile, which is gray and 28x28 pixels large, but RGB and 320x240"


def test_it_ends_after_so_many_frames_or_seconds() -> None:
    frames = fmnist_edge("camera", "--source", "test", "--frames", "5")
    began = time.monotonic()
    seconds = fmnist_edge("camera", "--source", "test", "--seconds", "1")

    assert (frames.returncode, len(frames.stdout.splitlines())) == (0, 5)
    assert seconds.returncode == 0
    assert 1 < time.monotonic() - began < 6


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    result = run("bash", "-c", f"{FMNIST_EDGE} camera --source test | head -n 1; exit ${{PIPESTATUS[0]}}")

    assert (result.returncode, len(result.stdout.splitlines())) == (141, 1)
    assert re.fullmatch("fmnist-edge: test, .*\n", result.stderr)


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """The command, running: it has printed a line, which is read."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([FMNIST_EDGE, "camera", "--source", *arguments], **streams, **options)  # type: ignore[call-overload]
    process.stdout.readline()
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_within_a_second_and_all_is_said(number: int, status: int) -> None:
    with start("test") as process:
        process.send_signal(number)
        began = time.monotonic()
        output, errors = process.communicate()

    assert time.monotonic() - began < 1
    assert process.returncode == status
    assert [json.loads(line)["label"] in CLASSES for line in output.splitlines()] == [True] * output.count("\n")
    assert " frames in " in errors
    assert ("interrupted" in errors) == (number == signal.SIGINT)


@pytest.mark.slow
def test_whoever_reads_slowly_gets_what_is_new() -> None:
    ages = []
    with start("test") as process:
        for _ in range(10):
            time.sleep(0.3)
            record = json.loads(process.stdout.readline())
            ages.append(time.monotonic() - record["monotonic"])
        process.terminate()

    assert max(ages) < 1
    assert record["dropped"] > 40


@pytest.mark.slow
def test_while_nobody_reads_no_frame_is_taken_and_a_signal_is_heard() -> None:
    with start("test") as process:
        time.sleep(2)
        process.terminate()
        assert process.wait(1) == 0
        output, errors = process.communicate()

    assert max(json.loads(line)["age_ms"] for line in output.splitlines()) < 500
    assert int(errors.split(" frames in ")[0].split()[-1]) < 20


def test_what_looks_like_the_empty_scene_is_nothing(dataset: Dataset, tmp_path: Path) -> None:
    bare = [(scene(dataset, None, ground=200 - step), 0.1) for step in range(40)]  # it gets darker, slowly
    scenes = [(scene(dataset, None), 1.1), *bare, (scene(dataset, SNEAKER, ground=160), 1), (scene(dataset, None, ground=160), 1)]
    film = write_film(tmp_path / "empty.mp4", scenes, noise=15)

    changes = changes_in(watched(film, "--fast", "--on-change", "--empty-scene"))

    assert labels(changes) == ["nothing there", "Sneaker", "nothing there"]
    assert 5.1 < changes[1]["seconds"] <= 5.6
    assert 6.1 < changes[2]["seconds"] <= 6.6
    assert (changes[0]["class_id"], changes[0]["unsure"], changes[0]["confidence"]) == (None, False, 1)


@pytest.mark.slow
def test_the_empty_scene_is_learned_at_a_signal(dataset: Dataset, tmp_path: Path) -> None:
    film = write_film(tmp_path / "late.mp4", [(scene(dataset, None), 2), (scene(dataset, SNEAKER), 0.7)])

    with start(film, "--on-change") as process:
        process.send_signal(signal.SIGUSR1)
        output, errors = process.communicate()

    assert labels(changes_in([json.loads(line) for line in output.splitlines()])) == ["nothing there", "Sneaker"]
    assert "the empty scene is what the next second shows" in errors


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_an_exit_status(film: Path) -> None:
    result = run("sh", "-c", f"{FMNIST_EDGE} camera --source {film} --fast >/dev/full")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "fmnist-edge: [Errno 28] No space left on device"


def test_a_picture_in_which_nothing_can_be_made_out_shows_nothing_and_does_not_end_it(tmp_path: Path) -> None:
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (255, 0, 0), (0, 130, 0)  # as gray as each other
    for number in range(3):
        Image.fromarray(stripes).save(tmp_path / f"{number}.png")

    assert labels(watched(tmp_path / "%d.png", "--fast", "--json")) == ["nothing there"] * 3
