"""From a source to the camera that delivers its frames; and which cameras there are."""

import time
from collections.abc import Iterator

from PIL import Image

from fmnist_edge.address import parse, safe_name
from fmnist_edge.cameras import picamera, v4l2
from fmnist_edge.cameras.camera import Camera, FeedOptions
from fmnist_edge.cameras.feed import EndOfFeed, Feed
from fmnist_edge.errors import FmnistEdgeError, InputError, RuntimeUnavailableError, SourceError, UsageError
from fmnist_edge.source import ARCHIVE, AUTO, DEVICE, FOLDER, PATTERN, PICAMERA, SEQUENCE, STDIN, STREAM, TEST, WEB, kind_of

WARM_UP = 1.0
"""Seconds after which a camera's only frame is taken: many cameras start dark."""

NONE = "no camera is connected; 'fmnist-edge camera test' works without one"


def cameras(source: str, options: FeedOptions) -> list[Camera]:
    """The cameras to try for a source, in this order; a file of another kind is tried as a video.

    Raises UsageError, SourceError, or RuntimeUnavailableError.
    """
    kind = kind_of(source)
    if options.certificate and not source.lower().startswith("https://"):
        raise UsageError("--certificate goes with https://")
    if kind == AUTO:
        return every_camera(options)
    if kind == PICAMERA:
        return [picamera.PiCamera(source, options)]
    from fmnist_edge.cameras import video

    if kind == WEB:
        from fmnist_edge.cameras.http import Web

        return [Web(source, options)]
    if kind == STREAM:
        parse(source)
        return [video.Rtsp(source, options)]
    if kind == DEVICE:
        return [video.V4L2(f"/dev/video{source}" if source.isdecimal() else source, options)]
    if kind == STDIN:
        return [video.Piped("stdin", options)]
    if kind in (FOLDER, PATTERN, SEQUENCE, ARCHIVE):
        raise UsageError(f"{safe_name(source)}: {kind.what}; 'fmnist-edge camera' shows its pictures one after the other")
    return [video.TestPicture(source, options) if kind == TEST else video.VideoFile(source, options)]


def next_frame(source: str, certificate: str | None = None) -> Image.Image:
    """The first of a video, the newest of a camera or stream. Raises InputError, whose message does not repeat the source."""
    options = FeedOptions(certificate=certificate, retry=False)
    try:
        with Feed(cameras(source, options), options, lambda message: None) as feed:
            frame, end = None, time.monotonic() + (WARM_UP if feed.live else 0)
            while frame is None or time.monotonic() < end:
                try:
                    frame = feed.next(0.1) or frame
                except SourceError:  # a stream may end before it has warmed up
                    if frame is None:
                        raise
                    break
            return frame.image
    except EndOfFeed:
        raise InputError("no frame of it can be decoded") from None
    except FmnistEdgeError as error:
        raise InputError(str(error).removeprefix(f"{safe_name(source)}: ")) from None


def every_camera(options: FeedOptions) -> list[Camera]:
    """Those of the Pi, then those on USB, then the others. Raises SourceError if there are none."""
    cameras: list[Camera] = []
    problems = [NONE]
    try:
        cameras += [picamera.PiCamera("picamera", options)] if picamera.found() else []
    except SourceError as error:
        problems.append(f"picamera: {error}")
    try:
        from fmnist_edge.cameras.video import V4L2

        devices = sorted(v4l2.found(), key=lambda device: not device.bus.startswith("usb"))
        cameras += [V4L2(device.path, options) for device in devices]
    except RuntimeUnavailableError as error:
        problems.append(str(error))
    if not cameras:
        raise SourceError("; ".join(problems))
    return cameras


def listing() -> Iterator[str]:
    """A line for each camera: what a source calls it, its name, formats and sizes; or why it can't be used."""
    nothing = True
    try:
        for camera in picamera.found():
            nothing = False
            yield f"picamera     {camera.get('Model', 'a camera')}, {camera['Id']}"
    except SourceError as error:
        yield f"picamera     {error}"
    for path in v4l2.paths():
        try:
            device = v4l2.look_at(path)
        except OSError as error:
            yield f"{path:12} {v4l2.trouble(path, error.errno) or error.strerror}"
            continue
        if device.camera:
            nothing = False
            formats, sizes = " ".join(device.formats), " ".join(device.sizes)
            yield f"{path:12} {device.card} ({device.driver}, {device.bus}), {formats}, {sizes}"
    if nothing:
        yield NONE
    yield "test         FFmpeg's test picture"
