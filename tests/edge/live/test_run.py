"""What the camera's command does with frames: which part of them, which are classified, when it ends, what it says of it."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import Feed
from fmnist_edge.cameras.slides import Slides
from fmnist_edge.classifier import Prediction
from fmnist_edge.errors import UsageError
from fmnist_edge.live.collect import Collection
from fmnist_edge.live.scene import Sight
from fmnist_edge.live.screen import Screen
from fmnist_edge.live.service import Signals, Systemd
from fmnist_edge.live.watch import FAULTS, LEARN_KEY, TICK, Options, Seen, Tally, Watch, prepare
from fmnist_edge.pictures.tile import View
from fmnist_edge.terminal import quiet_stderr
from support.camera_server import CameraServer
from support.commands import MODELS
from support.film import scene, write_film
from train.dataset import Dataset

# a screen asks whether its stdout is ready; the mutants' tests have none that could say so, but this one
pytestmark = pytest.mark.usefixtures("capfd")

TROUSER, SNEAKER = 1, 7


def options(**changes: Any) -> Options:
    plain: dict[str, Any] = {
        **{"roi": None, "rotate": 0, "mirror": False, "wanted": "auto", "smooth": 0.15, "idle_fps": 2.0},
        **{"empty_scene": False, "seconds": None, "frames": None},
    }
    return Options(**plain | changes)


CORNERS = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)


def prepared(**changes: Any) -> list[list[int]]:
    return np.asarray(prepare(Image.fromarray(CORNERS), options(**changes))).tolist()


def test_a_frame_is_looked_at_as_it_is() -> None:
    assert prepared() == CORNERS.tolist()


@pytest.mark.parametrize(
    ("roi", "part"),
    [((0, 0, 3, 2), [[1, 2, 3], [4, 5, 6]]), ((1, 0, 2, 1), [[2, 3]]), ((0, 1, 1, 1), [[4]]), ((2, 0, 1, 2), [[3], [6]])],
)
def test_a_part_is_left_top_width_and_height(roi: tuple[int, int, int, int], part: list[list[int]]) -> None:
    assert prepared(roi=roi) == part


@pytest.mark.parametrize("roi", [(0, 0, 4, 1), (1, 0, 3, 1), (0, 0, 1, 3), (0, 1, 1, 2), (0, 0, 0, 1), (0, 0, 1, 0)])
def test_a_part_that_is_not_inside_of_the_frame_is_refused(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError) as caught:
        prepared(roi=roi)
    x, y, width, height = roi
    assert str(caught.value) == f"--roi {x},{y},{width},{height} is not inside of the picture, which is 3x2"


@pytest.mark.parametrize(
    ("rotate", "turned"), [(90, [[4, 1], [5, 2], [6, 3]]), (180, [[6, 5, 4], [3, 2, 1]]), (270, [[3, 6], [2, 5], [1, 4]])]
)
def test_a_frame_is_turned_clockwise(rotate: int, turned: list[list[int]]) -> None:
    assert prepared(rotate=rotate) == turned


def test_a_part_is_cut_out_then_turned_then_mirrored() -> None:
    assert prepared(mirror=True) == [[3, 2, 1], [6, 5, 4]]
    assert prepared(roi=(0, 0, 2, 2), rotate=90, mirror=True) == [[1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ((0, 0, 1, 1), [[1, 2, 3], [4, 5, 6]]),
        ((1 / 3, 0, 1 / 3, 0.5), [[2]]),
        ((0.5, 0.5, 0.5, 0.5), [[6]]),
        ((0.0, 0.5, 0.6, 0.5), [[4, 5]]),
        ((0.4, 0.0, 0.01, 1.0), [[2], [5]]),
        ((0.0, 0.6, 1.0, 0.01), [[4, 5, 6]]),
        ((1.0, 1.0, 0.0, 0.0), [[6]]),
        ((0.5, 0.5, 9, 9), [[6]]),
    ],
)
def test_a_part_in_fractions_has_a_pixel_at_least_and_none_that_is_not_there(
    part: tuple[float, float, float, float], shown: list[list[int]]
) -> None:
    assert prepared(part=part) == shown


def test_a_part_in_fractions_is_one_of_what_the_other_options_leave() -> None:
    assert prepared(roi=(0, 0, 2, 2), rotate=90, mirror=True, part=(0.5, 0, 0.5, 1)) == [[4], [5]]


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: self.now / 10)


def test_the_rate_is_that_of_about_the_last_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    tally = Tally(began=100, cpu=10, frame_at=100)
    rates = []
    for number in range(40):
        clock.now += 0.1 if number < 20 else 0.25
        tally.count_frame()
        rates.append(tally.fps)

    assert rates[0] == 0
    assert rates[1] == rates[19] == pytest.approx(10)
    assert rates[20] == pytest.approx(10 + 0.25 * (4 - 10))
    assert rates[39] == pytest.approx(4, abs=0.05)


def test_after_a_long_pause_the_rate_is_the_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    tally = Tally(began=100, cpu=10, frame_at=100)
    for between in (0.1, 0.1, 0.1, 4):
        clock.now += between
        tally.count_frame()

    assert tally.fps == pytest.approx(0.25)


def test_two_frames_at_once_are_no_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    tally = Tally(began=100, cpu=10, frame_at=100)
    tally.count_frame()
    tally.count_frame()

    assert np.isfinite(tally.fps)


def test_the_summary_says_how_many_how_fast_how_old_and_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    tally = Tally(began=100, cpu=10, frame_at=100)
    assert tally.frames == 0
    for _ in range(8):
        clock.now += 0.5
        tally.count_frame()
    for milliseconds in [*[10] * 10, *[20.4] * 50, *[49.6] * 39, 70_000]:
        tally.count_result(milliseconds / 1000)

    assert (
        tally.summary(3) == "8 frames in 4.0 s (2.0 fps), 3 dropped, 100 results, age p50 20 ms, p99 50 ms, CPU 50.0 ms per frame"
    )
    assert (len(tally.ages), tally.ages[-1]) == (60_000, 1)  # those older than a minute are one


def test_without_results_there_is_no_age(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    tally = Tally(began=100, cpu=10, frame_at=100)
    clock.now += 2

    assert tally.summary(0) == "0 frames in 2.0 s (0.0 fps), 0 dropped, 0 results, CPU 200.0 ms per frame"


@pytest.fixture(scope="module")
def film(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of trousers, a second of a sneaker."""
    scenes = [(scene(dataset, class_id), 1) for class_id in (TROUSER, SNEAKER)]
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", scenes)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def watch(
    source: Path | str, collection: Collection | None = None, sure_from: float | None = None, patience: float = 5, **changes: Any
) -> Watch:
    wanted = FeedOptions(fast=isinstance(source, Path), patience=patience)
    feed = Feed(cameras(str(source), wanted), wanted, print)
    with quiet_stderr():
        classifier = Classifier(MODELS / "fmnist-int8.tflite", min_confidence=sure_from)
    return Watch(feed, classifier, options(**changes), Screen(True, False, "en"), Systemd(False), collection)


def watched(capfd: pytest.CaptureFixture[str], *arguments: Any, **changes: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """What is printed, and what is said on stderr."""
    running = watch(*arguments, **changes)
    with running.feed:
        running.run()
    out, err = capfd.readouterr()
    return [json.loads(line) for line in out.splitlines()], err.splitlines()


def test_each_garment_is_named_and_the_end_says_how_it_went(film: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records, said = watched(capfd, film)

    names = [record["label"] for record in records]
    assert set(names) == {"Trouser", "Sneaker"}
    assert names == sorted(names, reverse=True)
    assert len(said) == 1
    assert said[0].startswith("fmnist-edge: 60 frames in ")
    assert f", 0 dropped, {len(records)} results, age p50 " in said[0]


def slide_show(*pictures: Image.Image, **changes: Any) -> Watch:
    wanted = FeedOptions(fast=True)
    slides = Slides("photos", [(f"{number}.png", picture.copy) for number, picture in enumerate(pictures)], wanted)
    running = watch("test", **changes)
    running.feed = Feed([slides], wanted, print)
    return running


def shown_by(running: Watch, capfd: pytest.CaptureFixture[str], *signals: Signals) -> tuple[list[dict[str, Any]], list[str]]:
    with running.feed:
        running.run(*signals)
    out, err = capfd.readouterr()
    return [json.loads(line) for line in out.splitlines()], err.splitlines()


def test_a_picture_that_lacks_the_part_is_named_and_the_others_are_classified(
    dataset: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    garment = scene(dataset, SNEAKER)

    running = slide_show(garment, garment.resize((50, 40)), garment, roi=(0, 0, *garment.size))
    records, said = shown_by(running, capfd)

    assert [record["frame"] for record in records] == [0, 2]
    width, height = garment.size
    assert said[0] == (f"fmnist-edge: picture 2: --roi 0,0,{width},{height} is not inside of the picture, which is 50x40")


def test_of_a_camera_a_part_that_is_not_there_is_an_error_and_it_still_says_how_it_went(
    film: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    running = watch(film, roi=(0, 0, 5000, 10))

    with pytest.raises(UsageError, match=r"^--roi 0,0,5000,10 is not inside of the picture"), running.feed:
        running.run()
    assert capfd.readouterr().err.startswith("fmnist-edge: 1 frames in ")


def test_who_looks_on_gets_each_frame_as_the_model_saw_it(dataset: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    garment = scene(dataset, SNEAKER)
    running, seen = slide_show(garment, garment, mirror=True), list[Seen]()
    running.onlooker = seen.append

    records, _ = shown_by(running, capfd)

    assert [(one.frame.number, one.answered, one.options) for one in seen] == [(n, True, running.options) for n in range(2)]
    np.testing.assert_array_equal(np.asarray(seen[0].picture), np.asarray(garment)[:, ::-1])
    assert seen[0].view is not None
    assert running.classifier.predict([seen[0].view])[0].label == records[0]["label"] == "Sneaker"
    assert seen[0].mask is not None


def test_where_nothing_is_there_the_model_is_shown_nothing(dataset: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    running, seen = slide_show(*[scene(dataset, None)] * 45, empty_scene=True), list[Seen]()
    running.onlooker = seen.append

    records, said = shown_by(running, capfd)

    assert {record["label"] for record in records} == {"nothing there"}
    assert {(one.view is None, one.mask is None) for one in seen} == {(True, True)}
    assert said[0] == "fmnist-edge: the empty scene is what the next second shows"


def test_signals_that_came_before_it_began_are_heard(dataset: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    """The page runs several loops, one after another."""
    signals = Signals()
    signals.ending = signal.SIGTERM

    records, said = shown_by(slide_show(scene(dataset, SNEAKER)), capfd, signals)

    assert records == []
    assert said[0].startswith("fmnist-edge: 0 frames in ")


def test_the_empty_scene_is_learned_anew_once_for_each_request(dataset: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    signals = Signals()
    os.kill(os.getpid(), signal.SIGUSR1)

    _, said = shown_by(slide_show(*[scene(dataset, SNEAKER)] * 3), capfd, signals)

    assert said[:-1] == ["fmnist-edge: the empty scene is what the next second shows"]
    assert not signals.requested


def test_of_a_camera_that_stands_still_it_is_said_that_it_may_hang(capfd: pytest.CaptureFixture[str]) -> None:
    running = watch("test")
    running.scene.fault = "frozen"
    with running.feed:
        for _ in range(2):
            running.tell_fault()

    assert capfd.readouterr().err.splitlines() == [f"fmnist-edge: {FAULTS['frozen']}"]


@pytest.fixture(scope="module")
def still(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven seconds in which not a pixel changes."""
    path = tmp_path_factory.mktemp("still") / "still.mkv"
    return write_film(path, [(scene(dataset, SNEAKER), 11)], noise=0, codec="mjpeg")


class Counting(Classifier):
    calls = 0

    def predict(self, views: Sequence[View]) -> list[Prediction]:
        self.calls += 1
        return super().predict(views)


@pytest.mark.parametrize(("source", "same"), [("still", True), ("film", False)])
def test_a_picture_in_which_nothing_has_changed_is_not_classified_again(
    source: str, same: bool, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    running = watch(request.getfixturevalue(source), idle_fps=30.0)
    running.classifier = counting = Counting(MODELS / "fmnist-int8.tflite")

    with running.feed:
        running.run()

    records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(records) > 40
    assert counting.calls <= 2 if same else counting.calls == len(records)  # an encoder's second frame may be another
    assert not same or {record["label"] for record in records} == {"Sneaker"}


def test_while_nothing_moves_there_are_as_many_answers_as_wanted(still: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records, _ = watched(capfd, still, idle_fps=1.0)

    times = [record["seconds"] for record in records]
    assert [now < 0.5 for now in times[:16]] == [True] * 15 + [False]
    assert all(1 <= later - sooner < 1.2 for sooner, later in pairwise(times[14:]))


def test_while_nothing_moves_ten_frames_a_second_are_looked_at(still: Path) -> None:
    running, looks = watch(still), []
    look = running.scene.look

    def note(frame: Image.Image, now: float) -> Sight:
        looks.append(now)
        return look(frame, now)

    running.scene.look = note  # type: ignore[method-assign]
    with running.feed:
        running.run()

    assert looks[:15] == pytest.approx([number / 30 for number in range(15)], abs=0.01)
    assert all(0.09 < later - sooner < 0.15 for sooner, later in pairwise(looks[15:]))


def test_a_still_camera_is_left_alone_until_it_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of its frames would be decoded, and thrown away."""
    slept, sleep = [], time.sleep

    def note(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    with CameraServer() as camera:
        running = watch(camera.source, seconds=0.8, idle_fps=16)
        with running.feed:
            running.run()

    assert 1 / 16 in slept


def test_a_film_that_stands_still_is_not_called_frozen(still: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, said = watched(capfd, still)

    assert len(said) == 1


def test_signals_and_keys_are_heard_within_a_tenth_of_a_second() -> None:
    assert (TICK, LEARN_KEY) == (0.1, "e")


def test_it_ends_after_so_many_frames(film: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records, said = watched(capfd, film, frames=5)

    assert [record["frame"] for record in records] == [0, 1, 2, 3, 4]
    assert said[-1].startswith("fmnist-edge: 5 frames in ")


def test_it_ends_after_so_many_seconds_of_the_films_own(film: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records, _ = watched(capfd, film, seconds=0.3)

    assert records[-1]["seconds"] == pytest.approx(0.3, abs=0.04)


def test_a_camera_ends_after_so_many_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    records, _ = watched(capfd, "test", seconds=0.3)

    assert records
    assert 0.3 <= time.monotonic() - began < 10


def test_the_part_that_is_wanted_is_what_is_classified(
    dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wide = Image.new("RGB", (640, 240))
    wide.paste(scene(dataset, TROUSER), (0, 0))
    wide.paste(scene(dataset, SNEAKER), (320, 0))
    film = write_film(tmp_path / "wide.mp4", [(wide, 0.2)])

    left, _ = watched(capfd, film, roi=(0, 0, 320, 240), frames=1)
    right, _ = watched(capfd, film, roi=(320, 0, 320, 240), frames=1)

    assert (left[0]["label"], right[0]["label"]) == ("Trouser", "Sneaker")


def test_the_empty_scene_is_learned_first_if_that_is_wanted(
    dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "bare.mp4", [(scene(dataset, None), 1.2), (scene(dataset, SNEAKER), 1)])

    records, said = watched(capfd, film, empty_scene=True)

    assert said[0] == "fmnist-edge: the empty scene is what the next second shows"
    names = [record["label"] for record in records]
    assert (names[0], names[-1]) == ("nothing there", "Sneaker")
    assert {record["class_id"] for record in records if record["seconds"] < 1.2} == {None}


def test_a_black_picture_is_said_once_and_when_it_is_over(
    dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    black, light = scene(dataset, None, ground=0), scene(dataset, SNEAKER)
    film = write_film(tmp_path / "black.mp4", [(light, 0.3), (black, 1.5), (light, 0.3)], noise=1)

    _, said = watched(capfd, film)

    assert said[:-1] == [f"fmnist-edge: {FAULTS['black']}", "fmnist-edge: the picture is normal again"]


def test_frames_of_which_it_is_unsure_are_kept_as_they_were_looked_at(
    film: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = Collection(tmp_path, 10**7, print)

    watched(capfd, film, kept, 1.0, roi=(40, 0, 240, 240))

    names = sorted(path.name for path in tmp_path.glob("*.jpg"))
    assert [name.rpartition("-")[2] for name in names] == ["trouser.jpg", "sneaker.jpg"]
    assert Image.open(tmp_path / names[0]).size == (240, 240)
    assert Image.open(next((tmp_path / ".tiles").iterdir())).size == (28, 28)


def test_where_an_answer_is_unsure_as_another_garment_comes_its_frame_is_kept(
    film: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of_each_frame, _ = watched(capfd, film, smooth=0.0)
    sure_from = min(record["confidence"] for record in of_each_frame)
    records, said = watched(capfd, film, Collection(tmp_path, 10**7, print), sure_from)

    assert any(record["unsure"] for record in records)
    (name,) = (path.name for path in tmp_path.glob("*.jpg"))
    assert name.endswith("-sneaker.jpg")
    assert said[-1] == f"fmnist-edge: kept 1 frame in {tmp_path}"


def test_frames_of_which_it_is_sure_are_not_kept(film: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    watched(capfd, film, Collection(tmp_path, 10**7, print), 0.0)

    assert not list(tmp_path.glob("*.jpg"))


def interrupted_by(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What it says on stderr if the signal comes after its first frame."""
    running = watch("test")

    def send() -> None:
        while not running.tally.frames:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
    with running.feed:
        try:
            running.run()
        finally:
            said = capfd.readouterr().err.splitlines()
    return said


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd, which wants to hear of each sign of life."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1")
        yield listener


def heard(listener: socket.socket) -> list[str]:
    messages = []
    with suppress(BlockingIOError):
        while True:
            messages.append(listener.recv(1000).decode())
    return messages


def test_systemd_hears_the_label_then_that_it_is_ready_then_the_end(film: Path, listener: socket.socket) -> None:
    running = watch(film, frames=3)
    running.systemd = Systemd(True)

    with running.feed:
        running.run()

    messages = [message for message in heard(listener) if message != "WATCHDOG=1"]
    assert messages == ["STATUS=Trouser", "READY=1", "STOPPING=1"]


def test_a_camera_that_is_lost_and_tried_again_is_no_reason_to_restart_the_service(listener: socket.socket) -> None:
    with CameraServer() as camera:
        running = watch(camera.source, seconds=1.4, patience=0.5)
        running.systemd = Systemd(True)
        camera.stalled = True
        with running.feed:
            running.run()

    messages = heard(listener)
    lost = next(number for number, message in enumerate(messages) if message.startswith("STATUS=lost: http://127.0.0.1"))
    assert "WATCHDOG=1" in messages[lost:]


def test_a_camera_whose_frames_are_far_apart_is_not_called_lost(listener: socket.socket) -> None:
    with CameraServer(fps=1) as camera:
        running = watch(camera.source, seconds=1.2)
        running.systemd = Systemd(True)
        with running.feed:
            running.run()

    assert not [message for message in heard(listener) if message.startswith("STATUS=lost")]


def test_sigterm_ends_it_and_says_how_it_went(capfd: pytest.CaptureFixture[str]) -> None:
    assert "fmnist-edge: " in interrupted_by(signal.SIGTERM, capfd)[-1]


def test_ctrl_c_ends_it_as_an_interruption(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_by(signal.SIGINT, capfd)
