"""Classifies what is before the camera: the newest frame, its tile, the model, a steady answer, shown; over and over.

No frame waits for another. One is taken only when its result can be printed at once, so that none grows old.
"""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate

from PIL import Image

from fmnist_edge.classifier import Classifier
from fmnist_edge.collect import Collection
from fmnist_edge.errors import UsageError
from fmnist_edge.feed import EndOfFeed, Feed, Frame
from fmnist_edge.scene import Scene
from fmnist_edge.screen import Result, Screen, keys
from fmnist_edge.service import Signals, Systemd
from fmnist_edge.steady import Steady
from fmnist_edge.tile import Wanted, look

TICK = 0.1
"""Seconds that anything is waited for, at most, before signals and keys are looked at."""

LEARN_KEY = "e"

FAULTS = {
    "black": "the picture is black: is the lens covered, or the light off?",
    "frozen": "not a pixel of the picture changes any longer: the camera may hang; plug it in again",
}

TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""Clockwise; Pillow turns the other way round."""

Roi = tuple[int, int, int, int]
"""x, y, width, height in pixels of the frame."""


@dataclass(frozen=True)
class Options:
    """What is done with frames.

    smooth: a half-life in seconds. seconds, frames: after so many it ends; a file's are its own.
    """

    roi: Roi | None
    rotate: int
    mirror: bool
    wanted: Wanted
    smooth: float
    idle_fps: float
    empty_scene: bool
    seconds: float | None
    frames: int | None


@dataclass
class Tally:
    """How it went. ages: of frames when their results were printed, in ms; not each by itself, since there may be millions."""

    frames: int = 0
    ages: Counter[int] = field(default_factory=Counter)
    fps: float = 0
    began: float = field(default_factory=time.monotonic)
    cpu: float = field(default_factory=time.process_time)
    frame_at: float = field(default_factory=time.monotonic)

    def count_frame(self) -> None:
        """``fps`` is of about the last second."""
        now = time.monotonic()
        between, self.frame_at = max(now - self.frame_at, 1e-6), now
        if self.frames:
            self.fps += max(min(between, 1), 1 / self.frames) * (1 / between - self.fps)
        self.frames += 1

    def count_result(self, age: float) -> None:
        self.ages[min(round(1000 * age), 60_000)] += 1

    def percentile(self, share: float) -> int:
        ages = sorted(self.ages)
        counts = accumulate(self.ages[age] for age in ages)
        return next(age for age, count in zip(ages, counts, strict=True) if count >= share * self.ages.total())

    def summary(self, dropped: int) -> str:
        seconds = time.monotonic() - self.began
        cpu = 1000 * (time.process_time() - self.cpu) / max(self.frames, 1)
        text = f"{self.frames} frames in {seconds:.1f} s ({self.frames / seconds:.1f} fps), {dropped} dropped, "
        text += f"{self.ages.total()} results"
        if self.ages:
            text += f", age p50 {self.percentile(0.5)} ms, p99 {self.percentile(0.99)} ms"
        return f"{text}, CPU {cpu:.1f} ms per frame"


class Watch:
    """What goes on before a camera. ``run`` it once."""

    def __init__(
        self,
        feed: Feed,
        classifier: Classifier,
        options: Options,
        screen: Screen,
        systemd: Systemd,
        collection: Collection | None = None,
    ) -> None:
        self._feed, self._classifier, self._options = feed, classifier, options
        self._screen, self._systemd, self._collection = screen, systemd, collection
        self._scene, self._steady, self._tally = Scene(options.idle_fps), Steady(options.smooth), Tally()
        self._due = self._seconds = 0.0
        self._fault: str | None = None

    def run(self) -> int | None:
        """Shows answers until the source ends, enough was seen, or a signal comes: returns its number.

        Raises SourceError, InputError, UsageError, and OSError if the answers can't be written.
        """
        if self._options.empty_scene:
            self._learn()
        try:
            with Signals() as signals, keys(self._screen.on_terminal) as pressed, suppress(EndOfFeed):
                while signals.ending is None and not self._is_enough():
                    if signals.take_request() or LEARN_KEY in pressed():
                        self._learn()
                    if self._screen.ready(TICK):
                        self._take()
        except BrokenPipeError:  # nobody wants to know any longer
            raise
        except BaseException:
            self._finish()
            raise
        self._finish()
        return signals.ending

    def _take(self) -> None:
        """Waits for a frame, a moment at most, and shows what it says."""
        frame = self._feed.next(TICK)
        if frame is None:
            if self._feed.reconnecting:
                self._systemd.status(f"lost: {self._feed.name}")
                self._systemd.alive()
            return
        self._tally.count_frame()
        self._seconds = frame.seconds
        now = frame.taken if self._feed.live else frame.seconds
        if now < self._due:
            return
        picture = prepare(frame.image, self._options)
        sight = self._scene.look(picture, now)
        if sight.worth_a_result:
            self._answer(frame, picture, sight.nothing, now)
        self._tell_fault()
        self._systemd.ready()
        self._systemd.alive()
        self._due = now + sight.pause
        if self._feed.live:
            time.sleep(sight.pause)

    def _answer(self, frame: Frame, picture: Image.Image, nothing: bool, now: float) -> None:
        view = None if nothing else look(picture, self._options.wanted)
        prediction = self._classifier.predict([view])[0] if view else None
        answer = self._steady.update(prediction, now)
        self._tally.count_result(self._screen.show(Result(answer, frame, self._feed.dropped, self._tally.fps)))
        self._systemd.status(self._screen.names[answer.class_id])
        if self._collection and view and prediction and prediction.unsure:
            self._collection.add(picture, view.tile, prediction.class_id, now)

    def _is_enough(self) -> bool:
        seconds = time.monotonic() - self._tally.began if self._feed.live else self._seconds
        enough = self._options.seconds is not None and seconds >= self._options.seconds
        return enough or self._tally.frames == self._options.frames

    def _learn(self) -> None:
        self._scene.learn()
        self._screen.tell("the empty scene is what the next second shows")

    def _tell_fault(self) -> None:
        fault = self._scene.fault if self._feed.live or self._scene.fault != "frozen" else None
        if fault != self._fault:
            self._screen.tell(FAULTS[fault] if fault else "the picture is as it should be again")
        self._fault = fault

    def _finish(self) -> None:
        self._systemd.stopping()
        self._screen.end()
        self._screen.tell(self._tally.summary(self._feed.dropped))


def prepare(image: Image.Image, options: Options) -> Image.Image:
    """The part of a frame that is looked at, turned as it is meant to be seen. Raises UsageError if there is no such part."""
    if options.roi:
        x, y, width, height = options.roi
        if x + width > image.width or y + height > image.height or width * height == 0:
            raise UsageError(
                f"--roi {x},{y},{width},{height} is not inside of the picture, which is {image.width}x{image.height}"
            )
        image = image.crop((x, y, x + width, y + height))
    if options.rotate:
        image = image.transpose(TURNS[options.rotate])
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if options.mirror else image
