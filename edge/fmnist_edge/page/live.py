"""The camera's loop beside the page. Its answers go to the hub instead of a terminal, and a lost camera is opened again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import Feed, Frame, growing
from fmnist_edge.classifier import Classifier
from fmnist_edge.errors import RuntimeUnavailableError, SourceError
from fmnist_edge.live.collect import Collection
from fmnist_edge.live.screen import Screen
from fmnist_edge.live.service import Signals, Systemd
from fmnist_edge.live.steady import NOTHING, Answer
from fmnist_edge.live.watch import FAULTS, TICK, Options, Seen, Watch
from fmnist_edge.page.hub import Hub
from fmnist_edge.page.metrics import Metrics

FRESH_SECONDS = 10.0
"""Without an answer for this long, the camera counts as not classifying: answers come at least twice a second."""

PAUSES = (0.5, 30.0)
"""The first and the longest pause, in seconds, before a source that can't be opened, or soon fails, is tried again."""

AUTO = "auto"


@dataclass(frozen=True)
class Source:
    """The camera, as the command line names it."""

    name: str
    feed: FeedOptions
    options: Options


class Live(Screen):
    """The screen that the camera's loop writes to, and the camera's state for the page.

    alive is called at least every tenth of a second; what it raises ends the loop.
    """

    def __init__(
        self, source: Source, language: str, hub: Hub, metrics: Metrics, systemd: Systemd, alive: Callable[[], None]
    ) -> None:
        super().__init__(as_json=True, on_change=False, language=language)
        self.on_terminal = False  # the keys of `camera` have no use here
        self._source, self._hub, self._metrics, self._systemd, self._alive = source, hub, metrics, systemd, alive
        self._watch: Watch | None = None
        self._part: tuple[float, float, float, float] | None = None
        self._record: dict[str, Any] = {}
        self._loss, self._lost, self._named = "", False, False
        self._fault: tuple[str, int] | None = None
        self._answered_at = -float("inf")

    @property
    def name(self) -> str | None:
        """The open source's name."""
        return self._watch.feed.name if self._watch else None

    @property
    def label(self) -> str | None:
        """What the camera sees now."""
        return self._record.get("label") if self._watch and self.classifies else None

    @property
    def dropped(self) -> int:
        return self._watch.feed.dropped if self._watch else 0

    @property
    def fps(self) -> float:
        return self._watch.tally.fps if self._watch else 0.0

    @property
    def classifies(self) -> bool:
        """Whether the camera gives answers. With the source ``auto``, having no camera is fine too."""
        if self._watch is None:
            return self._source.name == AUTO
        return time.monotonic() - self._answered_at < FRESH_SECONDS

    def run(self, classifier: Classifier, collection: Collection | None, signals: Signals) -> None:
        """Runs until SIGTERM; raises KeyboardInterrupt after SIGINT. A video starts again when it ends.

        Raises UsageError, RuntimeUnavailableError, or, if a lost source should not be opened again, SourceError.
        """
        pauses, attempts = growing(*PAUSES), 0
        while signals.ending is None:
            opened = float("inf")
            try:
                with Feed(cameras(self._source.name, self._source.feed), self._source.feed, self.tell) as feed:
                    opened = time.monotonic()
                    self._report(None)
                    options = replace(self._source.options, part=self._part)
                    self._watch = Watch(feed, classifier, options, self, self._systemd, collection, self._see)
                    if not self._named:
                        self.tell(feed.name)
                        self._named = True
                    self._watch.run(signals)
                pause = opened + PAUSES[0] - time.monotonic()  # negative unless the video ends at once
            except (SourceError, RuntimeUnavailableError) as error:
                if self._source.name != AUTO and (not self._source.feed.retry or isinstance(error, RuntimeUnavailableError)):
                    raise
                if (
                    time.monotonic() - opened > FRESH_SECONDS
                ):  # a source that fails at once counts as one that could not be opened
                    pauses, attempts = growing(*PAUSES), 0
                attempts += 1
                if attempts == 1:
                    self.tell(f"{error}; continuing without a camera, and trying again")
                self._report((str(error), attempts))
                pause = next(pauses)
            finally:
                self._watch = None
                self._hub.forget()
            self._pause(pause, signals)

    def _pause(self, seconds: float, signals: Signals) -> None:
        end = time.monotonic() + seconds
        while signals.ending is None and time.monotonic() < end:
            self._systemd.alive()
            self.ready(TICK)
            time.sleep(TICK)

    def learn(self) -> None:
        """Learns the current view as the empty scene. May be called from any thread."""
        if self._watch:
            self._watch.learn()

    def look_at(self, part: tuple[float, float, float, float] | None) -> None:
        """Classifies only this part of the picture from now on; None: all of it. May be called from any thread."""
        self._part = part
        if watch := self._watch:
            watch.options = replace(watch.options, part=part)

    def _report(self, fault: tuple[str, int] | None) -> None:
        """Tells the viewers when the fault has changed.

        fault: the message, and the number of the attempt to reopen the source, from 1; 0 if it is not being reopened.
        """
        if fault == self._fault:
            return
        self._fault = fault
        if fault:
            self._hub.broadcast("fault", {"message": fault[0], "attempt": fault[1]})
        else:
            self._hub.broadcast("recovered", {})

    def _find_fault(self, watch: Watch) -> tuple[str, int] | None:
        if watch.feed.lost:  # the feed's next message says why
            return (self._loss, watch.feed.attempts) if self._loss else self._fault
        return (FAULTS[watch.fault], 0) if watch.fault else None

    # called by the camera's loop

    def ready(self, timeout: float) -> bool:
        self._alive()
        if watch := self._watch:
            self._metrics.reconnects += self._lost and not watch.feed.lost
            self._lost = watch.feed.lost
            self._loss = self._loss if self._lost else ""
            self._report(self._find_fault(watch))
        return True

    def show(self, answer: Answer, frame: Frame, dropped: int, fps: float) -> float:
        age = time.monotonic() - frame.taken
        self._answered_at = time.monotonic()
        scene = "empty" if answer.class_id == NOTHING else "garment"
        self._record = {**self._to_record(answer, frame, age, dropped), "fps": round(fps, 1), "scene": scene, "roi": self._part}
        self._metrics.count_answer(self.names[answer.class_id], age)
        return time.monotonic() - frame.taken

    def tell(self, message: str) -> None:
        super().tell(message)
        if self._watch and self._watch.feed.lost:
            self._loss = message

    def end(self) -> None:
        pass

    def _see(self, seen: Seen) -> None:
        self._metrics.frames += 1
        self._hub.offer(seen, self._record)


class Service(Systemd):
    """Notifies systemd. It reports stopping only once, not each time a video repeats, and feeds the watchdog only while the
    server works."""

    def __init__(self, wanted: bool, serves: Callable[[], bool]) -> None:
        super().__init__(wanted)
        self._serves = serves

    def say(self, name: str, value: str = "1") -> None:
        if name != "STOPPING":
            super().say(name, value)

    def alive(self) -> None:
        if self._serves():
            super().alive()

    def farewell(self) -> None:
        super().say("STOPPING")
