"""The camera's loop, as it runs beside the page: its answers go to the hub, not to a terminal; what is lost is opened again."""

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

FRESH = 10.0
"""Seconds without an answer after which a camera does not classify: results come twice a second, at the least."""

PAUSES = (0.5, 30.0)
"""Seconds before a source that is not there, or not for long, is tried again, the first and the longest."""

AUTO = "auto"


@dataclass(frozen=True)
class Source:
    """What the command is told of the camera."""

    name: str
    feed: FeedOptions
    options: Options


class Live(Screen):
    """The screen that the loop writes to, and what the page knows of the camera.

    alive: is called at least every tenth of a second, and raises what is to end the loop.
    """

    def __init__(
        self, source: Source, language: str, hub: Hub, metrics: Metrics, systemd: Systemd, alive: Callable[[], None]
    ) -> None:
        super().__init__(as_json=True, on_change=False, language=language)
        self.on_terminal = False  # no keys: they are for who runs `camera`
        self._source, self._hub, self._metrics, self._systemd, self._alive = source, hub, metrics, systemd, alive
        self._watch: Watch | None = None
        self._part: tuple[float, float, float, float] | None = None
        self._record: dict[str, Any] = {}
        self._loss, self._lost, self._named = "", False, False
        self._fault: tuple[str, int] | None = None
        self._answered_at = -float("inf")

    @property
    def name(self) -> str | None:
        """What is open."""
        return self._watch.feed.name if self._watch else None

    @property
    def label(self) -> str | None:
        """What is before the camera now."""
        return self._record.get("label") if self._watch and self.classifies else None

    @property
    def dropped(self) -> int:
        return self._watch.feed.dropped if self._watch else 0

    @property
    def fps(self) -> float:
        return self._watch.tally.fps if self._watch else 0.0

    @property
    def classifies(self) -> bool:
        """Whether it does what it should; where there is no camera, and any was to be taken, nothing is missing."""
        if self._watch is None:
            return self._source.name == AUTO
        return time.monotonic() - self._answered_at < FRESH

    def run(self, classifier: Classifier, collection: Collection | None, signals: Signals) -> None:
        """Until SIGTERM; raises KeyboardInterrupt after SIGINT. A video begins again when it has ended.

        Raises UsageError, RuntimeUnavailableError, and SourceError if the source is not to be opened again.
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
                pause = opened + PAUSES[0] - time.monotonic()  # none, unless a video ends at once
            except (SourceError, RuntimeUnavailableError) as error:
                if self._source.name != AUTO and (not self._source.feed.retry or isinstance(error, RuntimeUnavailableError)):
                    raise
                if time.monotonic() - opened > FRESH:  # one that breaks at once is as good as one that was never there
                    pauses, attempts = growing(*PAUSES), 0
                attempts += 1
                if attempts == 1:
                    self.tell(f"{error}; going on without, and trying again")
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
        """Takes what is seen now for the empty scene. From any thread."""
        if self._watch:
            self._watch.learn()

    def look_at(self, part: tuple[float, float, float, float] | None) -> None:
        """From now on only this part of the picture is looked at. From any thread."""
        self._part = part
        if watch := self._watch:
            watch.options = replace(watch.options, part=part)

    def _report(self, fault: tuple[str, int] | None) -> None:
        """Tells who looks, if it is news. fault: what is wrong, and which attempt to mend it this is, from 1; 0: none is made."""
        if fault == self._fault:
            return
        self._fault = fault
        if fault:
            self._hub.tell("fault", {"message": fault[0], "attempt": fault[1]})
        else:
            self._hub.tell("recovered", {})

    def _find_fault(self, watch: Watch) -> tuple[str, int] | None:
        if watch.feed.lost:  # why, comes with the feed's next message
            return (self._loss, watch.feed.attempts) if self._loss else self._fault
        return (FAULTS[watch.fault], 0) if watch.fault else None

    # what the loop calls

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
    """Systemd, which hears of the end once, and not when a video begins anew; and of no life when the server has none."""

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
