"""Frames of what FFmpeg reads: video files, RTSP, USB cameras, its test picture; HTTP builds on this."""

import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from io import FileIO
from types import SimpleNamespace
from typing import Any

from PIL import Image

from fmnist_edge.address import parse
from fmnist_edge.cameras import v4l2
from fmnist_edge.cameras.camera import POLL_SECONDS, Camera, Shot, capture_time
from fmnist_edge.errors import RuntimeUnavailableError, SourceError, did_you_mean
from fmnist_edge.pictures.decode import MAX_PIXELS
from fmnist_edge.source import WORDS

try:
    import av
except ImportError:
    raise RuntimeUnavailableError("cameras and videos need PyAV: pip install 'fmnist-edge[camera]'") from None


IN_ORDER = "it is no video that can be read from its beginning to its end, as few MP4 files can"

STANDING_ALONE = ("mjpeg", "rawvideo")
"""Codecs whose frames need no other frame: only the frames that are asked for are decoded."""

FPS = 30.0
"""The test picture's default."""

NO_PROTOCOL = {"protocol_whitelist": "none"}
"""FFmpeg reads what we opened, and opens nothing itself, whatever a playlist in it names."""

RTSP = {"protocol_whitelist": "rtsp,rtp,udp,tcp,tls", "rtsp_flags": "prefer_tcp", "fpsprobesize": "0"}
"""Over UDP, which FFmpeg would try first, frames come damaged on a busy wireless network, and not at all through a firewall.
It would also look at 20 frames to find their rate, which nobody needs."""

RAW_PIXELS = 640 * 480
"""More do not fit through USB 2 uncompressed at 30 frames a second."""

BEHIND = 1.0
"""Seconds that a video may be behind before only its key frames are decoded, until it has caught up."""

Pictures = Iterator[tuple[float | None, Callable[[], Image.Image]]]
"""By their own clock, in seconds. The call decodes; it raises SourceError, or what PyAV does, if that can't be done."""


class Video(Camera):
    """A camera whose frames FFmpeg reads. A subclass says in ``target`` what to open."""

    def target(self) -> dict[str, Any]:
        """What is opened, as ``av.open`` takes it. Raises SourceError or OSError."""
        raise NotImplementedError

    @property
    def timeout(self) -> float:
        """Seconds for an answer: longer than a feed waits for the next frame, shorter than it waits for the first."""
        return 1.5 * self.options.patience

    def explain(self, error: Exception) -> str:
        if isinstance(error, av.InvalidDataError):
            return "it is no video that can be read, or damaged"
        if isinstance(error, av.ExitError):
            return "no answer"
        return super().explain(error)

    def shots(self) -> Generator[Shot, None, None]:
        with av.open(**self.target()) as container:
            stream: Any = next(iter(container.streams.video), None)
            self.form = form_of(stream)
            codec = stream.codec_context
            codec.options = {"max_pixels": str(MAX_PIXELS)}
            alone = codec.name in STANDING_ALONE
            first: tuple[float, float] | None = None
            for packet in self.packets(container, stream):
                now = time.monotonic()
                pictures = wanted_later(codec, packet) if alone else decoded(codec, packet, first is None)
                for clock, develop in pictures:
                    began, start = first = first or (now, clock or 0.0)
                    if not self.paced:
                        yield Shot(capture_time(clock, now), None, develop)
                        continue
                    seconds = max((clock or 0.0) - start, 0.0)
                    # raw streams have no time of their own
                    due = now if self.options.fast or clock is None else began + seconds
                    if not alone:
                        codec.skip_frame = "NONKEY" if now - due > BEHIND else "DEFAULT"
                    self.interrupted.wait(due - time.monotonic())
                    yield Shot(due, seconds, develop)

    def packets(self, container: Any, stream: Any) -> Iterator[Any]:
        while not self.interrupted.is_set():
            try:
                yield from container.demux(stream)
                return
            except av.ExitError:  # nothing arrived for a moment: check whether we are interrupted
                continue


class TestPicture(Video):
    """FFmpeg's test picture: works everywhere."""

    paced = True

    def target(self) -> dict[str, Any]:
        width, height = self.options.size
        return {"file": f"testsrc=size={width}x{height}:rate={self.options.fps or FPS:g}", "format": "lavfi"}


class VideoFile(Video):
    live, paced = False, True

    def target(self) -> dict[str, Any]:
        status = os.stat(self.source)
        if not stat.S_ISREG(status.st_mode):
            raise SourceError("a folder, pipe or device, not a video")
        if status.st_size == 0:
            raise SourceError("the file is empty")
        return {"file": FileIO(self.source), "options": NO_PROTOCOL}

    def explain(self, error: Exception) -> str:
        cure = did_you_mean(self.source, WORDS) if isinstance(error, FileNotFoundError) else ""
        return f"{super().explain(error)}{cure}"


class Piped(Video):
    """A video that another program writes into our stdin."""

    live, paced = False, True

    def target(self) -> dict[str, Any]:
        return {"file": SimpleNamespace(read=sys.stdin.buffer.read1), "options": NO_PROTOCOL}  # type: ignore[union-attr]

    def explain(self, error: Exception) -> str:
        return f"{IN_ORDER}; name the file instead" if isinstance(error, av.InvalidDataError) else super().explain(error)


class Rtsp(Video):
    def target(self) -> dict[str, Any]:
        if (address := parse(self.source)).scheme == "rtsps":
            from fmnist_edge.cameras.connection import keep_off_proxies  # takes longer to import than all the rest here

            keep_off_proxies(address.host)  # FFmpeg asks $http_proxy for a way to TLS
        else:
            socket.getaddrinfo(address.host.strip("[]"), None)  # FFmpeg does not say that a host does not exist
        return {"file": self.source, "timeout": (self.timeout, POLL_SECONDS), "options": RTSP}

    def explain(self, error: Exception) -> str:
        return "no answer, or none that RTSP has" if isinstance(error, av.InvalidDataError) else super().explain(error)


class V4L2(Video):
    """A camera at ``/dev/videoN``, such as those on USB."""

    def target(self) -> dict[str, Any]:
        device = v4l2.look_at(self.source)
        if not device.camera:
            raise SourceError(f"{device.card} is no camera; 'fmnist-edge camera list' says what there is")
        self.name = f"{self.source} ({device.card})"
        width, height = self.options.size
        settings = {"video_size": f"{width}x{height}"} | ({"framerate": f"{self.options.fps:g}"} if self.options.fps else {})
        if width * height > RAW_PIXELS and "MJPG" in device.formats:
            settings["input_format"] = "mjpeg"
        return {"file": self.source, "format": "v4l2", "options": settings}

    def explain(self, error: Exception) -> str:
        return v4l2.trouble(self.source, getattr(error, "errno", None)) or super().explain(error)

    def interrupt(self) -> None:
        super().interrupt()
        v4l2.stop(self.source)  # FFmpeg waits for a frame for ever


def form_of(stream: Any) -> str:
    """Size, format and rate of a video. Raises SourceError if it can't, or must not, be decoded."""
    if stream is None or stream.codec_context is None:
        raise SourceError("there is no video in it that can be decoded")
    codec = stream.codec_context
    if codec.width * codec.height > MAX_PIXELS:
        raise SourceError(f"{codec.width}x{codec.height} is larger than {MAX_PIXELS // 10**6} million pixels")
    kind = codec.pix_fmt if codec.name in ("rawvideo", "wrapped_avframe") else codec.name
    rate = f" at {float(stream.average_rate):.3g}" if stream.average_rate else ""
    return f"{codec.width}x{codec.height} {kind}{rate}"


def wanted_later(codec: Any, packet: Any) -> Pictures:
    """Of a copy: FFmpeg's V4L2 packets must be given back soon, and before the camera is closed (a crash in FFmpeg 8)."""
    content = bytes(packet)
    if content:
        yield seconds_of(packet), lambda: to_image(next(iter(codec.decode(av.Packet(content))), None))


def decoded(codec: Any, packet: Any, ahead: bool) -> Pictures:
    """ahead: of the first frame, where a stream has been joined that can't be decoded before the next key frame comes."""
    try:
        for frame in codec.decode(packet):
            yield frame.time, partial(to_image, frame)
    except (av.FFmpegError, ValueError):
        if not ahead:
            yield seconds_of(packet), partial(to_image, None)


def seconds_of(packet: Any) -> float | None:
    return None if packet.pts is None else float(packet.pts * packet.time_base)


def to_image(frame: Any) -> Image.Image:
    """RGB, turned as the video's metadata says."""
    if frame is None or frame.is_corrupt:
        raise SourceError("a corrupt frame")
    # PyAV's own to_image copies row by row, in Python: 1 ms more for 640x480
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
