"""What a feed does when its camera breaks off, stalls, or shows nonsense: with cameras that do what a script says."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from fmnist_edge.cameras import feed
from fmnist_edge.cameras.camera import Camera, FeedOptions, Shot
from fmnist_edge.cameras.feed import EndOfFeed, Feed, Frame, growing
from fmnist_edge.errors import SourceError

QUICK: dict[str, Any] = {"patience": 20.0, "pauses": (0.001, 0.004)}


def picture() -> Image.Image:
    return Image.new("RGB", (32, 24))


def nonsense() -> Image.Image:
    raise SourceError("a corrupt frame")


HANGS = object()
"""In a script: no frame comes until the camera is interrupted, or its ``gone`` is set."""


class Scripted(Camera):
    """Each opening goes by the next part of its script, and by the last one for ever: what develops shots, or an error."""

    def __init__(self, *script: list[Any], name: str = "scripted") -> None:
        super().__init__(name, FeedOptions())
        self.script, self.opened, self.closed, self.form = list(script), 0, 0, "32x24"
        self.gone = threading.Event()
        self.deaf = self.begun_interrupted = False

    def shots(self) -> Generator[Shot, None, None]:
        part = self.script[min(self.opened, len(self.script) - 1)]
        self.opened += 1
        self.begun_interrupted |= self.interrupted.is_set()
        try:
            for step in part:
                if step is HANGS:
                    while not (self.gone.is_set() or (self.interrupted.is_set() and not self.deaf)):
                        time.sleep(0.001)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield Shot(time.monotonic(), None, step)
        finally:
            self.closed += 1


class Film(Scripted):
    live, paced = False, True


@pytest.fixture
def open_feed() -> Iterator[Callable[..., Feed]]:
    feeds: list[Feed] = []

    def open_feed(*cameras: Camera, said: list[str] | None = None, **options: Any) -> Feed:
        feeds.append(Feed(list(cameras), FeedOptions(**QUICK | options), ([] if said is None else said).append))
        return feeds[-1]

    yield open_feed
    for opened in feeds:
        opened.close()


def take(source: Feed, until: Callable[[], bool], seconds: float = 20) -> list[Frame]:
    """Its frames until something is so."""
    frames, end = [], time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        frames += [frame] if (frame := source.next(0.005)) else []
    assert until()
    return frames


LOST = SourceError("unplugged")


def test_a_camera_that_comes_back_is_said_to_be_lost_once_and_back_once(open_feed: Callable[..., Feed]) -> None:
    said: list[str] = []
    camera = Scripted([picture, LOST], [LOST], [LOST], [picture, HANGS])

    source = open_feed(camera, said=said, fast=True)  # none is dropped
    frames = take(source, lambda: "scripted: back" in said)

    assert said == ["scripted: lost (unplugged); trying to open it again", "scripted: back"]
    assert [frame.number for frame in frames] == [0, 1]
    assert camera.closed == camera.opened - 1 == 3


def test_pauses_start_anew_after_it_was_back(open_feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a camera that is lost once a day would soon be missed for half a minute each time."""
    pauses: list[float] = []

    def noted(first: float, longest: float) -> Iterator[float]:
        for pause in growing(first, longest):
            pauses.append(pause)
            yield pause

    monkeypatch.setattr(feed, "growing", noted)
    camera = Scripted([picture, LOST], [LOST], [LOST], [LOST], [picture, LOST], [LOST], [picture, HANGS])

    take(open_feed(camera), lambda: camera.opened == 7)

    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.001, 0.002]


def test_without_retry_the_first_loss_is_the_end(open_feed: Callable[..., Feed]) -> None:
    camera = Scripted([picture, LOST])
    source = open_feed(camera, retry=False)

    with pytest.raises(SourceError, match=r"^scripted: unplugged$"):
        take(source, lambda: False)
    assert camera.opened == 1


def test_a_camera_that_never_worked_is_not_waited_for(open_feed: Callable[..., Feed]) -> None:
    with pytest.raises(SourceError, match=r"^one: unplugged; other: busy$"):
        open_feed(Scripted([LOST], name="one"), Scripted([SourceError("busy")], name="other"))


def test_of_several_cameras_the_first_that_works_is_kept(open_feed: Callable[..., Feed]) -> None:
    dead, working = Scripted([LOST], name="dead"), Scripted([picture, LOST], [picture, HANGS], name="working")

    source = open_feed(dead, working)
    take(source, lambda: working.opened == 2)

    assert dead.opened == 1
    assert source.name == "working, 32x24"


def test_a_camera_that_stalls_is_opened_again(open_feed: Callable[..., Feed]) -> None:
    said: list[str] = []
    camera = Scripted([picture, HANGS], [picture, HANGS])

    take(open_feed(camera, said=said, patience=0.05), lambda: "scripted: back" in said)

    assert said[:2] == ["scripted: lost (no frame for 0.05 seconds); trying to open it again", "scripted: back"]
    assert not camera.begun_interrupted


def test_a_film_may_have_long_pauses(open_feed: Callable[..., Feed]) -> None:
    camera = Film([picture, HANGS, picture])
    source = open_feed(camera, patience=0.01)

    assert source.next(5)
    assert source.next(0.1) is None
    assert source.next(0.1) is None
    assert not camera.interrupted.is_set()
    camera.gone.set()
    assert source.next(5)
    with pytest.raises(EndOfFeed):
        source.next(5)


def test_a_film_that_breaks_off_says_so_and_ends(open_feed: Callable[..., Feed]) -> None:
    said: list[str] = []
    source = open_feed(Film([picture, SourceError("half a frame")]), said=said)

    with suppress(EndOfFeed):
        take(source, lambda: False)

    assert said == ["scripted: it ended early (half a frame)"]


def test_corrupt_frames_are_said_once_until_one_is_whole_again(open_feed: Callable[..., Feed]) -> None:
    said: list[str] = []
    camera = Film([picture, nonsense, nonsense, picture, nonsense, picture])
    source = open_feed(camera, said=said, fast=True)

    frames = []
    with suppress(EndOfFeed):
        while frame := source.next(5):
            frames.append(frame)

    assert [frame.number for frame in frames] == [0, 3, 5]
    assert said == ["scripted: a corrupt frame; going on with the next"] * 2
    assert source.dropped == 3


def test_a_thread_that_hangs_in_a_driver_is_not_called_reconnecting(open_feed: Callable[..., Feed]) -> None:
    """Then the watchdog has to end the service."""
    camera = Scripted([picture, LOST], [HANGS])
    camera.deaf = True
    source = open_feed(camera, patience=0.05)
    take(source, lambda: camera.opened == 2)

    take(source, lambda: not source.reconnecting)  # after 0.004 + 2 * 0.05 seconds
    camera.gone.set()
    take(source, lambda: camera.opened > 3)

    assert source.reconnecting
