"""What each kind of camera offers: shots, one after another, taken in a thread of their own. A new kind subclasses ``Camera``."""

import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from fmnist_edge.address import heard, safe_name

POLL_SECONDS = 0.25
"""Longest wait, in seconds, before checking whether to stop, where a wait can't be interrupted."""


@dataclass(frozen=True)
class FeedOptions:
    """size, fps: what a camera is asked for; it may deliver others. 640x480 is several times what a tile can show.

    certificate: a PEM file or SHA-256 that an https:// camera must present, where no authority signed it.
    fast: read files as fast as frames are taken, without dropping any. patience: seconds without a frame after which a camera or
    stream counts as lost. pauses: seconds before a lost one is opened again, the first and the longest; each is twice the one
    before.
    """

    size: tuple[int, int] = (640, 480)
    fps: float | None = None
    certificate: str | None = None
    fast: bool = False
    retry: bool = True
    patience: float = 5.0
    pauses: tuple[float, float] = (0.5, 30.0)


class Shot(NamedTuple):
    """A frame that is not decoded yet. taken, seconds: as in a frame; seconds is None if the source has no time of its own.

    develop: decodes it; raises SourceError, or what the decoder does, if it is corrupt.
    """

    taken: float
    seconds: float | None
    develop: Callable[[], Image.Image]


class Camera:
    """A source of frames. A thread takes its shots until they end, and opens it again.

    name: without secrets. form: of its frames, known once there is one: ``640x480 yuyv422 at 30``.
    live: whether it has no end, like a camera or stream. paced: whether frames are due at their own times, as in a file.
    unrelated: whether one frame says nothing about the next, as with pictures in a folder.
    """

    live, paced, unrelated = True, False, False

    def __init__(self, source: str, options: FeedOptions) -> None:
        self.source, self.options = source, options
        self.name, self.form = safe_name(source), ""
        self.interrupted = threading.Event()

    def shots(self) -> Generator[Shot, None, None]:
        """Opens the source, yields shots, and closes it. Raises SourceError, or whatever its library does."""
        raise NotImplementedError

    def explain(self, error: Exception) -> str:
        """What an error of ``shots`` means, in words for the user and without secrets."""
        return in_words(error, self.source)

    def heard(self, said: object) -> str:
        """What a library or the camera says, in one line and without the source's secrets."""
        return heard(said, self.source)

    def interrupt(self) -> None:
        """Called from another thread: makes ``shots`` end as soon as it can."""
        self.interrupted.set()


def capture_time(clock: float | None, now: float) -> float:
    """When a camera took a frame: its driver's time stamp, if that is near enough to the monotonic clock to be of it."""
    return clock if clock is not None and now - 1 < clock <= now else now


def in_words(error: Exception, source: str) -> str:
    """What an error says, without the source's secrets."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return "host not found" + ("; is this device on the network?" if error.errno == socket.EAI_AGAIN else "")
    text: str | None = getattr(error, "strerror", None)
    return heard(text.lower() if text else error, source)
