"""Frames out of what FFmpeg opens: V4L2 cameras, video files, image sequences, RTSP, and its test source."""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fmnist_edge.errors import RuntimeUnavailableError, SourceError, first_line
from fmnist_edge.feed import FeedOptions, Shot
from fmnist_edge.tile import MAX_PIXELS

try:
    import av
except ImportError:
    raise RuntimeUnavailableError("videos and cameras need PyAV: pip install 'fmnist-edge[camera]'") from None

if TYPE_CHECKING:
    from av.container import InputContainer

STANDING_ALONE = ("mjpeg", "rawvideo", "png")
"""Codecs whose frames need no other frame: only those that are wanted are decoded."""

SIZE, FPS = (640, 480), 30.0

NO_PROTOCOL = {"protocol_whitelist": "none"}
"""FFmpeg reads what we have opened, and opens nothing by itself, whatever a playlist names."""


class Video:
    """opener: returns FFmpeg's container and what it is to be called."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], tuple["InputContainer", str]],
        live: bool,
        paced: bool,
        interrupter: Callable[[], None],
    ) -> None:
        self.name, self.live = name, live
        self._opener, self._paced, self.interrupt = opener, paced, interrupter
        self._container: InputContainer | None = None

    def open(self) -> None:
        try:
            container, name = self._opener()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{self.name}: {reason(error)}") from None
        self._container = container
        if not container.streams.video:
            raise SourceError(f"{self.name}: there is no video in it")
        codec = container.streams.video[0].codec_context
        if codec.width * codec.height > MAX_PIXELS:
            raise SourceError(f"{self.name}: larger than {MAX_PIXELS // 10**6} million pixels")
        rate = container.streams.video[0].average_rate
        self.name = f"{name}, {codec.width}x{codec.height} {codec.name}" + (f" at {float(rate):g}" if rate else "")

    def shots(self) -> Iterator[Shot]:
        assert self._container is not None
        stream = self._container.streams.video[0]
        codec = stream.codec_context
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        first: float | None = None
        try:
            for packet in self._container.demux(stream):
                now = time.monotonic()
                if codec.name in STANDING_ALONE:
                    if not packet.size:
                        continue
                    shots = [(packet.pts, partial(develop, codec, bytes(packet)))]
                else:
                    shots = [(frame.pts, partial(to_image, frame)) for frame in codec.decode(packet)]
                for pts, picture in shots:
                    clock = float(pts * packet.time_base) if pts is not None and packet.time_base else None
                    if self._paced:
                        clock = clock or 0.0
                        first = clock if first is None else first
                        yield Shot(now, clock - first, picture)
                    else:
                        yield Shot(trusted(clock, now), None, picture)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(reason(error)) from None

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None


def develop(codec: Any, packet: bytes) -> Image.Image:
    try:
        for frame in codec.decode(av.Packet(packet)):
            return to_image(frame)
    except (av.FFmpegError, ValueError):
        pass
    raise SourceError("a corrupt frame")


def to_image(frame: "av.VideoFrame") -> Image.Image:
    image: Image.Image = frame.to_image()
    return image


def trusted(clock: float | None, now: float) -> float:
    """V4L2's time stamps are of the monotonic clock if the driver says so."""
    return clock if clock is not None and now - 1 < clock <= now else now


def reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or first_line(error)).lower()


def nothing() -> None:
    pass


def test_source(options: FeedOptions) -> Video:
    (width, height), fps = options.size or SIZE, options.fps or FPS

    def opener() -> tuple["InputContainer", str]:
        return av.open(f"testsrc=size={width}x{height}:rate={fps:g}", format="lavfi"), "test"

    return Video("test", opener, live=True, paced=True, interrupter=nothing)


def file(path: str) -> Video:
    def opener() -> tuple["InputContainer", str]:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SourceError(f"{path}: not a file")
        if os.path.getsize(path) == 0:
            raise SourceError(f"{path}: the file is empty")
        return av.open(open(path, "rb"), options=NO_PROTOCOL), path

    return Video(path, opener, live=False, paced=True, interrupter=nothing)


def sequence(pattern: str, options: FeedOptions) -> Video:
    def opener() -> tuple["InputContainer", str]:
        settings = {
            "framerate": f"{options.fps or 25:g}",
            "start_number": str(first_number(pattern)),
            "protocol_whitelist": "file",
        }
        return av.open(pattern, format="image2", options=settings), pattern

    return Video(pattern, opener, live=False, paced=True, interrupter=nothing)


def first_number(pattern: str) -> int:
    """The lowest number of the files that fit ``frames/%04d.png``. Raises SourceError if none does."""
    folder, name = os.path.split(pattern)
    before, after = re.split(r"%\d*d", name, maxsplit=1)
    fitting = re.compile(re.escape(before) + r"(\d+)" + re.escape(after) + "$")
    numbers = [int(found[1]) for entry in os.listdir(folder or ".") if (found := fitting.match(entry))]
    if not numbers:
        raise SourceError(f"{pattern}: no file fits this pattern")
    return min(numbers)


def device(path: str, options: FeedOptions) -> Video:
    size = options.size or SIZE
    settings = {"video_size": f"{size[0]}x{size[1]}"}
    if options.fps:
        settings["framerate"] = f"{options.fps:g}"

    def opener() -> tuple["InputContainer", str]:
        return av.open(path, format="v4l2", options=settings), path

    return Video(path, opener, live=True, paced=False, interrupter=nothing)


def stream(url: str, options: FeedOptions) -> Video:
    def opener() -> tuple["InputContainer", str]:
        return av.open(url, timeout=options.patience, options={"rtsp_flags": "prefer_tcp"}), url

    return Video(url, opener, live=True, paced=False, interrupter=nothing)


def is_device(source: str) -> bool:
    return Path(source).is_char_device() or source.startswith("/dev/")
