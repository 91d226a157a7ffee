"""The newest frame of a camera, a stream or a video: a thread captures and never queues; what is lost is opened again.

The thread only receives. Where frames stand alone (MJPEG, raw), the one that is asked for is decoded when it is asked for.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol

from PIL import Image

from fmnist_edge.errors import FmnistEdgeError, SourceError, first_line

PATIENCE = 5.0
"""Seconds without a frame after which a camera or stream counts as lost."""

PAUSES = (0.5, 30.0)
"""Seconds before a lost one is opened again: the first pause, and the longest. Each is twice the one before."""

SIZE = (640, 480)
"""What cameras are asked for where nothing else is: several times what a tile can show."""

MOMENT = 0.25
"""Seconds that anything is waited for before it is looked whether it is still wanted, where the wait can't be interrupted."""

FAREWELL = 0.9
"""Seconds that closing waits for the thread. What a driver or a name server holds up longer ends by itself."""


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


@dataclass(frozen=True)
class FeedOptions:
    """size, fps: what a camera is asked for; it may deliver another. fast: files as fast as frames are taken, none dropped."""

    size: tuple[int, int] | None = None
    fps: float | None = None
    fast: bool = False
    retry: bool = True
    patience: float = PATIENCE
    pauses: tuple[float, float] = PAUSES


class Shot(NamedTuple):
    """A frame that is not decoded yet. ``develop`` raises SourceError if it is corrupt.

    seconds: of the source's own clock, where that says when it is due (files, the test source).
    """

    taken: float
    seconds: float | None
    develop: Callable[[], Image.Image]


class Camera(Protocol):
    """What frames come from. A thread opens it, takes shots until they end, and closes it, over and over.

    source: what it is called. form: of its frames, known when it is open: ``640x480 yuyv422 at 30``.

    ``open`` and ``shots`` raise SourceError. ``interrupt`` comes from another thread and makes them end, as far as it can.
    """

    source: str
    form: str
    live: bool

    def open(self) -> None: ...
    def shots(self) -> Generator[Shot, None, None]: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class Feed:
    """Frames of a source, the newest first. Raises SourceError or UsageError if it can't be opened.

    tell: gets a line when the source is lost, comes back, or delivers something corrupt; in the thread that asks for frames.
    """

    def __init__(self, source: str, options: FeedOptions, tell: Callable[[str], None]) -> None:
        from fmnist_edge.devices import cameras

        self.dropped = 0
        self._cameras = cameras(source, options)
        self._camera = self._cameras[0]
        self._options, self._tell = options, tell
        self._messages: deque[str] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: tuple[int, Shot] | None = None
        self._end: FmnistEdgeError | None = None
        self._count = 0
        self._began = self._heard = self._tried_at = time.monotonic()
        self._corrupt_since: float | None = None
        self._lost = self._stalled = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        try:
            while not self._wait(MOMENT):
                self._watch()
            if self._end and not self._newest:
                raise self._end
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What was really opened: ``/dev/video0 (USB camera), 640x480 yuyv422 at 30``."""
        return f"{self._camera.source}, {self._camera.form}"

    @property
    def live(self) -> bool:
        """Whether it has no end, as cameras and streams."""
        return self._camera.live

    @property
    def reconnecting(self) -> bool:
        """Whether it is lost, and its thread opens it again and again: one that hangs in a driver does not."""
        longest = self._options.pauses[1] + 2 * self._options.patience
        return self._lost and time.monotonic() - self._tried_at < longest

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._camera.interrupt()
        self._thread.join(FAREWELL)

    def next(self, timeout: float) -> Frame | None:
        """The newest frame that was not handed out before; None if none comes within timeout (seconds).

        Raises EndOfFeed at the end of a video, SourceError when the source is lost for good.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._wait(deadline - time.monotonic())
            with self._changed:
                while self._messages:
                    self._tell(self._messages.popleft())
                newest, self._newest = self._newest, None
                self._changed.notify_all()
                if newest is None and self._end:
                    raise self._end
            if newest is None:
                self._watch()
                return None
            number, shot = newest
            try:
                image = shot.develop()
            except Exception:  # SourceError, or whatever a decoder's or Pillow's error is
                self._corrupt()
                continue
            self._corrupt_since = None
            seconds = shot.taken - self._began if shot.seconds is None else shot.seconds
            return Frame(image, number, shot.taken, seconds)

    def _wait(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._newest or self._end, max(timeout, 0)) is not None

    def _watch(self) -> None:
        """Ends what has stalled, so that it is opened again."""
        now = time.monotonic()
        if now - min(self._heard, self._corrupt_since or now) > self._options.patience:
            self._heard, self._stalled, self._corrupt_since = now, True, None
            self._camera.interrupt()

    def _corrupt(self) -> None:
        if self._corrupt_since is None:
            self._corrupt_since = time.monotonic()
            self._tell(f"{self._camera.source}: a corrupt frame; going on with the next")
        self.dropped += 1

    def _run(self) -> None:
        """The thread."""
        pause, longest = self._options.pauses
        while not self._stop.is_set():
            before, problems = self._count, []
            for camera in self._cameras:
                self._camera = camera
                reason = self._capture(camera)
                problems.append(f"{camera.source}: {reason}")
                if self._count:
                    self._cameras = [self._camera]
                    break
            final = not self._options.retry or not self._count
            if not self.live or final:
                error = EndOfFeed("the end") if not self.live and self._count else SourceError("; ".join(problems))
                self._finish(error)
                return
            if not self._lost:
                self._say(f"{self._camera.source}: lost ({reason}); trying to open it again")
                self._lost = True
            if self._count > before:
                pause = self._options.pauses[0]
            self._stop.wait(pause)
            pause = min(2 * pause, longest)

    def _capture(self, camera: Camera) -> str:
        """Frames until the camera has none. Returns why: a text, since an error would keep alive what it came from."""
        self._tried_at, self._stalled, before = time.monotonic(), False, self._count
        self._heard = self._tried_at + self._options.patience  # the first frame may take twice as long
        try:
            camera.open()
            with closing(camera.shots()) as shots:
                for shot in shots:
                    if self._stop.is_set():
                        break
                    self._publish(shot)
            reason = "it has ended" if self._count > before else "nothing in it can be decoded"
        except SourceError as error:
            reason = str(error)
        except Exception as error:
            reason = first_line(error)
        with suppress(Exception):  # picamera2's too, of a camera that it could not open: nothing is left to be done about it
            camera.close()
        return f"no frame for {self._options.patience:g} seconds" if self._stalled else reason

    def _publish(self, shot: Shot) -> None:
        if self._count == 0:
            self._began = shot.taken
        if shot.seconds is not None and not self._options.fast:
            shot = shot._replace(taken=self._began + shot.seconds)
            self._stop.wait(max(shot.taken - time.monotonic(), 0))
        self._heard = time.monotonic()
        if self._lost:
            self._lost = False
            self._say(f"{self._camera.source}: back")
        with self._changed:
            if shot.seconds is not None and self._options.fast:
                self._changed.wait_for(lambda: self._newest is None or self._stop.is_set())
            self.dropped += self._newest is not None
            self._newest = self._count, shot
            self._count += 1
            self._changed.notify_all()

    def _say(self, message: str) -> None:
        with self._changed:
            self._messages.append(message)

    def _finish(self, error: FmnistEdgeError) -> None:
        with self._changed:
            self._end = error
            self._changed.notify_all()


def trusted(clock: float | None, now: float) -> float:
    """When a camera took a frame: its driver's time stamp if that is of the monotonic clock, which no other is near."""
    return clock if clock is not None and now - 1 < clock <= now else now
