"""Frames out of what FFmpeg reads: video files, image sequences, RTSP, its test picture; cameras and HTTP build on this."""

import os
import re
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from io import FileIO
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from fmnist_edge.errors import RuntimeUnavailableError, SourceError, first_line
from fmnist_edge.feed import MOMENT, SIZE, FeedOptions, Shot, trusted
from fmnist_edge.tile import MAX_PIXELS

try:
    import av
except ImportError:
    raise RuntimeUnavailableError("cameras and videos need PyAV: pip install 'fmnist-edge[camera]'") from None

STANDING_ALONE = ("mjpeg", "rawvideo")
"""Codecs whose frames need no other frame: only those that are wanted are decoded."""

FPS = 30.0
"""Of the test picture and of image sequences, where nothing else is asked for."""

NO_PROTOCOL = {"protocol_whitelist": "none"}
"""FFmpeg reads what we have opened, and opens nothing by itself, whatever a playlist in it names."""

RTSP = {"protocol_whitelist": "rtsp,rtp,udp,tcp,tls", "rtsp_flags": "prefer_tcp", "fpsprobesize": "0"}
"""Over UDP, which FFmpeg would try first, frames come damaged on a busy wireless network, and not at all through a firewall.
It would look at 20 frames to find out their rate, which nobody asks for."""

BEHIND = 1.0
"""Seconds that a video may be behind before only its key frames are decoded, until it has caught up."""


Pictures = Iterator[tuple[float | None, Callable[[], Image.Image]]]
"""By their own clock, in seconds. The call decodes; it raises SourceError, or what PyAV does, if that can't be done."""


class Video:
    """A camera (see ``feed.Camera``) whose frames FFmpeg reads. What kind it is, a subclass says in ``target``.

    paced: whether frames are due at the times that they carry, as in a file.
    """

    live, paced = False, True

    def __init__(self, source: str, options: FeedOptions) -> None:
        self.source, self.form = source, ""
        self.options = options
        self.container: Any = None
        self.interrupted = threading.Event()
        # for an answer: longer than a feed waits for the next frame, shorter than it waits for the first
        self.timeout = 1.5 * options.patience

    def target(self) -> dict[str, Any]:
        """What is opened, as ``av.open`` takes it. Raises SourceError or OSError."""
        raise NotImplementedError

    def explain(self, error: Exception) -> str:
        return reason(error)

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        if self.container is not None:
            self.container.close()
        self.container = None

    def open(self) -> None:
        self.interrupted.clear()
        try:
            self.container = av.open(**self.target())
            stream = next(iter(self.container.streams.video), None)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(self.explain(error)) from None
        if stream is None or stream.codec_context is None:
            raise SourceError("there is no video in it that can be decoded")
        codec = stream.codec_context
        if codec.width * codec.height > MAX_PIXELS:
            raise SourceError(f"{codec.width}x{codec.height} is larger than {MAX_PIXELS // 10**6} million pixels")
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        kind = codec.pix_fmt if codec.name in ("rawvideo", "wrapped_avframe") else codec.name
        rate = f" at {float(stream.average_rate):.3g}" if stream.average_rate else ""
        self.form = f"{codec.width}x{codec.height} {kind}{rate}"

    def shots(self) -> Generator[Shot, None, None]:
        stream = self.container.streams.video[0]
        codec = stream.codec_context
        alone = codec.name in STANDING_ALONE
        first: tuple[float, float] | None = None
        try:
            for packet in self.packets(stream):
                now = time.monotonic()
                pictures = wanted_later(codec, packet) if alone else decoded(codec, packet, first is None)
                for clock, develop in pictures:
                    began, start = first = first or (now, clock or 0.0)
                    if not self.paced:
                        yield Shot(trusted(clock, now), None, develop)
                        continue
                    due = max((clock or 0.0) - start, 0.0)
                    if not alone and not self.options.fast:
                        codec.skip_frame = "NONKEY" if now - began - due > BEHIND else "DEFAULT"
                    yield Shot(now, due, develop)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(self.explain(error)) from None

    def packets(self, stream: Any) -> Iterator[Any]:
        while not self.interrupted.is_set():
            try:
                yield from self.container.demux(stream)
                return
            except av.ExitError:  # nothing came for a moment: time to look whether we are interrupted
                continue


class TestPicture(Video):
    """FFmpeg's test picture: works everywhere."""

    live = True

    def target(self) -> dict[str, Any]:
        width, height = self.options.size or SIZE
        return {"file": f"testsrc=size={width}x{height}:rate={self.options.fps or FPS:g}", "format": "lavfi"}


class VideoFile(Video):
    file: FileIO | None = None

    def target(self) -> dict[str, Any]:
        if not stat.S_ISREG(os.stat(self.source).st_mode):
            raise SourceError("a folder or device, not a video; pictures go by a pattern such as 'frames/%04d.png'")
        if os.path.getsize(self.source) == 0:
            raise SourceError("the file is empty")
        self.file = FileIO(self.source)
        return {"file": self.file, "options": NO_PROTOCOL}

    def close(self) -> None:
        super().close()
        if self.file:
            self.file.close()


class Sequence(Video):
    """Pictures whose names differ in a number: ``frames/%04d.png``."""

    def target(self) -> dict[str, Any]:
        settings = {"start_number": str(first_number(self.source)), "framerate": f"{self.options.fps or FPS:g}"}
        return {"file": self.source, "format": "image2", "options": {**settings, "protocol_whitelist": "file"}}


class Rtsp(Video):
    live, paced = True, False

    def __init__(self, url: str, options: FeedOptions) -> None:
        super().__init__(without_secrets(url), options)
        self.url = url

    def target(self) -> dict[str, Any]:
        return {"file": self.url, "timeout": (self.timeout, MOMENT), "options": RTSP}


def wanted_later(codec: Any, packet: Any) -> Pictures:
    """Of a copy: FFmpeg's V4L2 packets must be given back soon, and before the camera is closed (a crash in FFmpeg 8)."""
    content = bytes(packet)
    if content:
        yield seconds(packet), lambda: picture(next(iter(codec.decode(av.Packet(content))), None))


def decoded(codec: Any, packet: Any, ahead: bool) -> Pictures:
    """ahead: of the first frame, where a stream has been joined that can't be decoded before the next key frame comes."""
    try:
        for frame in codec.decode(packet):
            yield frame.time, partial(picture, frame)
    except (av.FFmpegError, ValueError):
        if not ahead:
            yield seconds(packet), partial(picture, None)


def seconds(packet: Any) -> float | None:
    return None if packet.pts is None else float(packet.pts * packet.time_base)


def picture(frame: Any) -> Image.Image:
    """RGB, turned as the video says that it was filmed."""
    if frame is None or frame.is_corrupt:
        raise SourceError("a corrupt frame")
    image: Image.Image = frame.to_image()
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def reason(error: Exception) -> str:
    if isinstance(error, av.InvalidDataError):
        return "it is no video that can be read, or damaged"
    if isinstance(error, av.ExitError | TimeoutError):
        return "no answer"
    return (getattr(error, "strerror", None) or first_line(error)).lower()


def without_secrets(url: str) -> str:
    """Without user, password and query, which may hold a password too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def first_number(pattern: str) -> int:
    """The lowest number of the files that a pattern fits. Raises SourceError if it fits none."""
    folder, name = os.path.split(pattern)
    before, after = re.split(r"%\d*d", name, maxsplit=1)
    fitting = re.compile(re.escape(before) + r"(\d+)" + re.escape(after) + "$")
    numbers = [int(found[1]) for entry in os.listdir(folder or ".") if (found := fitting.match(entry))]
    if not numbers:
        raise SourceError("no file fits this pattern")
    return min(numbers)
