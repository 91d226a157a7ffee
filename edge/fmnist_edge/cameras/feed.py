"""The newest frame of a camera, a stream or a video: a thread captures, never queues, and opens a lost source again.

The thread only receives. Frames that stand alone (MJPEG, raw) are decoded only when they are asked for.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from typing import NamedTuple

from PIL import Image

from fmnist_edge.cameras.camera import POLL_SECONDS, Camera, FeedOptions, Shot
from fmnist_edge.errors import FmnistEdgeError, InputError, SourceError
from fmnist_edge.terminal import printable

CLOSE_TIMEOUT = 0.9
"""Seconds that closing waits for the thread. What a driver or a name server holds up longer ends by itself."""

ENDED = "it has ended"


class EndOfFeed(FmnistEdgeError):
    """A video has ended."""

    exit_status = 0


class Frame(NamedTuple):
    """image: as the camera delivers it, RGB or L. number: of the source's frames, dropped ones included, from 0.

    taken: time.monotonic() at which the camera took it, at which it came (streams), or was due (files).
    seconds: the source's own time since its first frame.
    """

    image: Image.Image
    number: int
    taken: float
    seconds: float


class Feed(AbstractContextManager["Feed"]):
    """Frames of the first camera that works, the newest first. Raises SourceError if none does.

    dropped: frames before the last one that were not handed out.
    tell: gets a line when the source is lost, comes back, or delivers something corrupt; in the thread that asks for frames.
    """

    def __init__(self, cameras: list[Camera], options: FeedOptions, tell: Callable[[str], None]) -> None:
        self.dropped = self._handed_out = 0
        self.attempts = 0
        """Attempts to open it again since it was lost."""
        self._cameras, self._camera = cameras, cameras[0]
        self._options, self._tell = options, tell
        self._messages: deque[str] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: tuple[int, Shot] | None = None
        self._end: FmnistEdgeError | None = None
        self._count = 0
        self._began = self._heard = self._tried_at = time.monotonic()
        self._corrupt = self._lost = self._stalled = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        try:
            while not self._wait(POLL_SECONDS):
                self._watch()
            if self._end and not self._newest:
                raise self._end
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What was really opened: ``/dev/video0 (USB camera), 640x480 yuyv422 at 30``."""
        return printable(f"{self._camera.name}, {self._camera.form}")

    @property
    def live(self) -> bool:
        return self._camera.live

    @property
    def unrelated(self) -> bool:
        return self._camera.unrelated

    @property
    def lost(self) -> bool:
        """Whether it was open, and is not now."""
        return self._lost

    @property
    def reconnecting(self) -> bool:
        """Whether it is lost and its thread keeps trying to open it; a thread that hangs in a driver does not."""
        longest = self._options.pauses[1] + 2 * self._options.patience
        return self._lost and time.monotonic() - self._tried_at < longest

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._camera.interrupt()
        self._thread.join(CLOSE_TIMEOUT)

    def next(self, timeout: float) -> Frame | None:
        """The newest frame that was not handed out before; None if none comes within timeout (seconds).

        Raises EndOfFeed at the end of a video, SourceError when the source is lost for good.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._wait(deadline - time.monotonic())
            with self._changed:
                newest, self._newest = self._newest, None
                self._changed.notify_all()
            while self._messages:
                self._tell(self._messages.popleft())
            if newest is None and self._end:
                raise self._end
            if newest is None:
                self._watch()
                return None
            number, shot = newest
            try:
                image = shot.develop()
            except InputError as error:  # one of several pictures, each of which may have a different fault
                self._messages.append(printable(str(error)))
                continue
            except Exception:  # SourceError, or any error of a decoder or Pillow
                if not self._corrupt:
                    self._say("a corrupt frame; going on with the next")
                self._corrupt = True
                continue
            self._corrupt = False
            self.dropped = number - self._handed_out
            self._handed_out += 1
            seconds = shot.taken - self._began if shot.seconds is None else shot.seconds
            return Frame(image, number, shot.taken, seconds)

    def _wait(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._newest or self._end, max(timeout, 0)) is not None

    def _watch(self) -> None:
        """Interrupts a stalled source, so that it is opened again."""
        now = time.monotonic()
        if now - self._heard > self._options.patience and not self._camera.paced:
            self._heard, self._stalled, self._corrupt = now, True, False
            self._camera.interrupt()

    def _run(self) -> None:
        """The thread."""
        pauses = growing(*self._options.pauses)
        while not (self._end or self._stop.is_set()):
            before, problems = self._count, []
            for camera in self._cameras:
                self._camera = camera
                reason = self._capture(camera)
                problems.append(f"{printable(camera.name)}: {reason}")
                if self._count:
                    self._cameras = [camera]
                    break
            if self._count and not self.live:
                if reason != ENDED:
                    self._say(f"it ended early ({reason})")
                self._end = EndOfFeed("the end")
            elif not (self._count and self._options.retry):
                self._end = SourceError("; ".join(problems))
            else:
                if not self._lost:
                    self._say(f"lost ({reason}); trying to open it again")
                    self._lost = True
                if self._count > before:
                    pauses = growing(*self._options.pauses)
                self._stop.wait(next(pauses))
        with self._changed:
            self._changed.notify_all()

    def _capture(self, camera: Camera) -> str:
        """Captures until the camera has no more frames. Returns why, as text: an error would keep its frames alive."""
        camera.interrupted.clear()
        self.attempts += self._lost
        self._tried_at, self._stalled, before = time.monotonic(), False, self._count
        self._heard = self._tried_at + self._options.patience  # the first frame may take twice as long
        try:
            with closing(camera.shots()) as shots:
                for shot in shots:
                    if self._stop.is_set():
                        break
                    self._publish(shot)
            reason = ENDED if self._count > before else "nothing in it can be decoded"
        except Exception as error:  # SourceError, or whatever FFmpeg, Python's HTTP and picamera2 raise
            reason = camera.explain(error)
        return f"no frame for {self._options.patience:g} seconds" if self._stalled else reason

    def _publish(self, shot: Shot) -> None:
        if self._count == 0:
            self._began = shot.taken
        if not self._corrupt:  # else it counts from the first that was
            self._heard = time.monotonic()
        if self._lost:
            self._lost, self.attempts = False, 0
            self._say("back")
        with self._changed:
            if self._options.fast:
                self._changed.wait_for(lambda: self._newest is None or self._stop.is_set())
            self._newest = self._count, shot
            self._count += 1
            self._changed.notify_all()

    def _say(self, message: str) -> None:
        self._messages.append(f"{printable(self._camera.name)}: {message}")


def growing(first: float, longest: float) -> Iterator[float]:
    """Seconds before each attempt to open a lost source again: twice as many each time, up to the longest."""
    pause = first
    while True:
        yield pause
        pause = min(2 * pause, longest)
