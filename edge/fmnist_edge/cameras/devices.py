"""From what ``--source`` names to the camera that delivers frames; and which there are."""

import difflib
import os
import re
from collections.abc import Iterator

from fmnist_edge.address import HIDDEN, is_address, parse, safe_name
from fmnist_edge.cameras import picamera, v4l2
from fmnist_edge.cameras.camera import Camera, FeedOptions
from fmnist_edge.errors import RuntimeUnavailableError, SourceError, UsageError

NONE = "no camera is connected; '--source test' works without one"


def cameras(source: str, options: FeedOptions) -> list[Camera]:
    """What is to be tried for a source, in this order. Raises UsageError, SourceError, or RuntimeUnavailableError."""
    if source == "auto":
        return every_camera(options)
    if source == "picamera":
        return [picamera.PiCamera(source, options)]
    from fmnist_edge.cameras import video

    if source == "test":
        return [video.TestPicture(source, options)]
    if is_address(source):
        from fmnist_edge.cameras.http import Web

        kinds = {"http": Web, "https": Web, "rtsp": video.Rtsp, "rtsps": video.Rtsp}
        scheme = source.partition("://")[0].lower()
        if scheme not in kinds:
            near = difflib.get_close_matches(scheme, kinds, 1)
            cure = f"did you mean {near[0]}://?" if near else "rtsp:// and http:// are known"
            raise UsageError(f"{scheme}:// is unknown; {cure}")
        if options.certificate and scheme != "https":
            raise UsageError("--certificate goes with https://")
        parse(source)
        return [kinds[scheme](source, options)]
    if options.certificate:
        raise UsageError("--certificate goes with https://")
    if safe_name(source) != source and not os.path.exists(source):
        raise UsageError(f"{HIDDEN}: there is no such file, and an address begins as in rtsp://HOST/ or http://HOST/")
    if source.isdecimal() or source.startswith("/dev/"):
        return [video.V4L2(f"/dev/video{source}" if source.isdecimal() else source, options)]
    if re.search(r"%\d*d", source) and not os.path.exists(source):
        return [video.Sequence(source, options)]
    return [video.VideoFile(source, options)]


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
    """A line for each camera: what ``--source`` calls it, its name, formats and sizes; or why it can't be used."""
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
