"""From what ``--source`` names to the camera that delivers frames; and which there are."""

import difflib
import re
from collections.abc import Iterator

from fmnist_edge.errors import RuntimeUnavailableError, SourceError, UsageError
from fmnist_edge.feed import Camera, FeedOptions

SCHEMES = ("http", "https", "rtsp", "rtsps")

NONE = "no camera is connected; '--source test' works without one"


def cameras(source: str, options: FeedOptions) -> list[Camera]:
    """What is to be tried for a source, in this order. Raises UsageError, SourceError, or RuntimeUnavailableError."""
    if source == "auto":
        return every_camera(options)
    if source == "picamera":
        from fmnist_edge.picamera import PiCamera

        return [PiCamera(options)]
    from fmnist_edge import video

    if source == "test":
        return [video.TestPicture(source, options)]
    if found := re.match(r"([A-Za-z][\w+.-]*)://", source):
        scheme = found[1].lower()
        if scheme in ("rtsp", "rtsps"):
            return [video.Rtsp(source, options)]
        if scheme in SCHEMES:
            from fmnist_edge.web import Web

            return [Web(source, options)]
        near = difflib.get_close_matches(scheme, SCHEMES, 1)
        raise UsageError(f"{scheme}:// is unknown; {f'did you mean {near[0]}://?' if near else 'rtsp:// and http:// are known'}")
    if source.isdecimal() or source.startswith("/dev/"):
        from fmnist_edge.v4l2 import V4L2

        return [V4L2(f"/dev/video{source}" if source.isdecimal() else source, options)]
    if re.search(r"%\d*d", source):
        return [video.Sequence(source, options)]
    return [video.VideoFile(source, options)]


def every_camera(options: FeedOptions) -> list[Camera]:
    """Those of the Pi, then those on USB, then the others. Raises SourceError if there are none."""
    from fmnist_edge import picamera

    cameras: list[Camera] = []
    problems = [NONE]
    try:
        cameras += [picamera.PiCamera(options)] if picamera.found() else []
    except SourceError as error:
        problems.append(f"picamera: {error}")
    try:
        from fmnist_edge import v4l2

        devices = sorted(v4l2.found(), key=lambda device: not device.bus.startswith("usb"))
        cameras += [v4l2.V4L2(device.path, options) for device in devices]
    except RuntimeUnavailableError as error:
        problems.append(str(error))
    if not cameras:
        raise SourceError("; ".join(problems))
    return cameras


def listing() -> Iterator[str]:
    """A line for each camera: what ``--source`` calls it, its name, sizes and formats; or why it can't be used."""
    from fmnist_edge import picamera, v4l2

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
        except SourceError as error:
            yield f"{path:12} {error}"
            continue
        if device.camera:
            nothing = False
            yield f"{path:12} {device.card} ({device.driver}, {device.bus})"
            for sizes in dict.fromkeys(device.formats.values()):
                names = (name for name, others in device.formats.items() if others == sizes)
                yield f"{'':12} {', '.join(sizes)}: {' '.join(names)}"
    if nothing:
        yield NONE
    yield "test         FFmpeg's test picture"
