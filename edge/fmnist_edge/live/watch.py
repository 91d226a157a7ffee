"""Classifies what the camera sees, over and over: newest frame, tile, model, steady answer, output.

Frames are never queued. A frame is taken only when its result can be printed at once, so that no result is old.
"""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fmnist_edge.cameras.feed import EndOfFeed, Feed, Frame
from fmnist_edge.classifier import Classifier, Prediction
from fmnist_edge.errors import BlankError, InputError, UsageError
from fmnist_edge.live.collect import Collection
from fmnist_edge.live.scene import Scene, Sight
from fmnist_edge.live.screen import Screen, keys
from fmnist_edge.live.service import Signals, Systemd
from fmnist_edge.live.steady import Steady
from fmnist_edge.pictures.segment import Mask
from fmnist_edge.pictures.tile import View, Wanted, look_closely

TICK = 0.1
"""Longest wait, in seconds, between checks for signals and keys."""

LEARN_KEY = "e"

FAULTS = {
    "black": "the picture is black: is the lens covered, or the light off?",
    "frozen": "no pixel of the picture changes any more: the camera may hang; plug it in again",
}


@dataclass(frozen=True)
class Options:
    """What is done with frames.

    roi: x, y, width, height of the part that is looked at. rotate: degrees clockwise. smooth: a half-life in seconds.
    seconds, frames: when to end; a file's seconds are its own.
    """

    roi: tuple[int, int, int, int] | None
    rotate: int
    mirror: bool
    wanted: Wanted
    smooth: float
    idle_fps: float
    empty_scene: bool
    seconds: float | None
    frames: int | None
    part: tuple[float, float, float, float] | None = None
    """A part of what roi, rotate and mirror leave: left, top, width and height as fractions from 0 to 1."""


class Seen(NamedTuple):
    """A frame that was looked at. view, mask: what the model was shown of it; None if it was shown nothing."""

    frame: Frame
    picture: Image.Image
    options: Options
    view: View | None
    mask: Mask | None
    answered: bool


@dataclass
class Tally:
    """Counts of a run. ages: how many results were printed when their frames were 0, 1, 2, ... ms old."""

    frames: int = 0
    ages: NDArray[np.int_] = field(default_factory=lambda: np.zeros(60_000, np.int_))
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
        self.ages[min(round(1000 * age), len(self.ages) - 1)] += 1

    def summary(self, dropped: int) -> str:
        seconds, results = time.monotonic() - self.began, self.ages.sum()
        cpu = 1000 * (time.process_time() - self.cpu) / max(self.frames, 1)
        text = f"{self.frames} frames in {seconds:.1f} s ({self.frames / seconds:.1f} fps), {dropped} dropped, {results} results"
        if results:
            p50, p99 = np.searchsorted(self.ages.cumsum(), [0.5 * results, 0.99 * results])
            text += f", age p50 {p50} ms, p99 {p99} ms"
        return f"{text}, CPU {cpu:.1f} ms per frame"


@dataclass
class Watch:
    """The loop. ``run`` it once."""

    feed: Feed
    classifier: Classifier
    options: Options
    screen: Screen
    systemd: Systemd
    collection: Collection | None
    onlooker: Callable[[Seen], None] | None = None
    """Gets each frame that was looked at, after its answer was shown. The loop waits for it."""

    def __post_init__(self) -> None:
        self.scene, self.steady, self.tally = Scene(self.options.idle_fps), Steady(self.options.smooth), Tally()
        self.now = self.due = 0.0  # by the source's own time
        self.fault: str | None = None
        self.classified: tuple[View | None, Mask | None, Prediction | None] = None, None, None
        self.classified_key = (0, 0), b""

    def run(self, signals: Signals | None = None) -> None:
        """Shows answers until the source ends, enough was seen, or SIGTERM comes; raises KeyboardInterrupt after SIGINT.

        signals: of a caller that runs several loops, one after another.
        Raises SourceError, InputError, UsageError, and OSError if the answers can't be written.
        """
        if self.options.empty_scene:
            self.learn()
        signals = signals or Signals()
        try:
            with keys(self.screen.on_terminal) as pressed, suppress(EndOfFeed):
                while signals.ending is None and not self.is_enough():
                    if signals.requested or LEARN_KEY in pressed():
                        signals.requested = False
                        self.learn()
                    if self.screen.ready(TICK):
                        self.take()
            if signals.ending == signal.SIGINT:
                raise KeyboardInterrupt
        except BrokenPipeError:  # the reader is gone
            raise
        except BaseException:
            self.finish()
            raise
        self.finish()

    def take(self) -> None:
        """Waits briefly for a frame, and shows its answer."""
        frame = self.feed.next(TICK)
        if frame is None:
            if self.feed.reconnecting:
                self.systemd.say("STATUS", f"lost: {self.feed.name}")
                self.systemd.alive()
            return
        self.tally.count_frame()
        self.now = frame.seconds
        if self.now < self.due:
            return
        try:
            picture = prepare(frame.image, self.options)
            sight = self.scene.look(picture, self.now)
            view, mask = self.answer(frame, picture, sight) if sight.worth_a_result else (None, None)
        except (InputError, UsageError) as error:
            if not self.feed.unrelated:
                raise
            self.screen.tell(f"picture {frame.number + 1}: {error}")
            return
        if self.onlooker:
            self.onlooker(Seen(frame, picture, self.options, view, mask, sight.worth_a_result))
        self.tell_fault()
        self.systemd.say("READY")
        self.systemd.alive()
        self.due = self.now + sight.pause
        if self.feed.live:
            time.sleep(sight.pause)

    def answer(self, frame: Frame, picture: Image.Image, sight: Sight) -> tuple[View | None, Mask | None]:
        view, mask, prediction = (None, None, None) if sight.nothing else self.classify(picture, sight.samples)
        answer = self.steady.update(prediction, self.now)
        self.tally.count_result(self.screen.show(answer, frame, self.feed.dropped, self.tally.fps))
        self.systemd.say("STATUS", self.screen.names[answer.class_id])
        # the answer may be a guess although each frame is clear: it may be the mean of two garments
        if self.collection and view and prediction and (prediction.unsure or answer.unsure):
            self.collection.add(picture, view, prediction.class_id, self.now)
        return view, mask

    def classify(self, picture: Image.Image, samples: bytes) -> tuple[View | None, Mask | None, Prediction | None]:
        """What the picture shows, None if nothing can be made out; the last answer again for the same picture."""
        if (key := (picture.size, samples)) != self.classified_key:
            try:
                view, mask = look_closely(picture, self.options.wanted)
                self.classified = view, mask, self.classifier.predict([view])[0]
            except BlankError:
                self.classified = None, None, None
            self.classified_key = key
        return self.classified

    def is_enough(self) -> bool:
        seconds = time.monotonic() - self.tally.began if self.feed.live else self.now
        enough = self.options.seconds is not None and seconds >= self.options.seconds
        return enough or self.tally.frames == self.options.frames

    def learn(self) -> None:
        self.scene.learn()
        self.screen.tell("the empty scene is what the next second shows")

    def tell_fault(self) -> None:
        fault = self.scene.fault if self.feed.live or self.scene.fault != "frozen" else None
        if fault != self.fault:
            self.screen.tell(FAULTS[fault] if fault else "the picture is normal again")
        self.fault = fault

    def finish(self) -> None:
        self.systemd.say("STOPPING")
        self.screen.end()
        self.screen.tell(self.tally.summary(self.feed.dropped))
        if self.collection:
            self.screen.tell(self.collection.summary())


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
        image = image.rotate(-options.rotate, expand=True)
    image = ImageOps.mirror(image) if options.mirror else image
    return image.crop(pixels_of(options.part, image)) if options.part else image


def pixels_of(part: tuple[float, float, float, float], image: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part of the image, which has a pixel at least."""
    x, y, width, height = part
    left, top = min(round(x * image.width), image.width - 1), min(round(y * image.height), image.height - 1)
    right, bottom = round((x + width) * image.width), round((y + height) * image.height)
    return left, top, min(max(right, left + 1), image.width), min(max(bottom, top + 1), image.height)
