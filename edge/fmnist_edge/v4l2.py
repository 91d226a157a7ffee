"""Cameras that are ``/dev/videoN``, as those on USB: what they can do, and their frames.

Numbers and structures are those of linux/videodev2.h; they are the same on 32 and 64 bits.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from fmnist_edge.errors import SourceError
from fmnist_edge.feed import SIZE, FeedOptions
from fmnist_edge.output import printable
from fmnist_edge.video import Video, reason

CAPABILITY, FORMAT, FRAME_SIZE = struct.Struct("16s32s32s6I"), struct.Struct("3I32s5I"), struct.Struct("11I")
"""struct v4l2_capability, v4l2_fmtdesc and v4l2_frmsizeenum."""

READ, WRITE = 2, 1
QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, STREAMOFF = (
    direction << 30 | size << 16 | ord("V") << 8 | number
    for direction, size, number in (
        (READ, CAPABILITY.size, 0),
        (READ | WRITE, FORMAT.size, 2),
        (READ | WRITE, FRAME_SIZE.size, 74),
        (WRITE, 4, 19),
    )
)

CAN_CAPTURE, NEEDS_SETUP, KNOWS_DEVICE = 0x1, 0x2000_0000, 0x8000_0000
"""V4L2_CAP_VIDEO_CAPTURE; V4L2_CAP_IO_MC: part of a pipeline that libcamera sets up; V4L2_CAP_DEVICE_CAPS."""

CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE."""

IDLE = ("bcm2835-isp", "bcm2835-codec")
"""Drivers of a Pi whose nodes capture what another program puts in."""

RAW_PIXELS = 640 * 480
"""More don't come uncompressed through USB 2 at 30 frames a second."""


class Device(NamedTuple):
    """card: what the driver calls it. camera: whether it delivers pictures by itself. formats: the sizes of each pixel format."""

    path: str
    card: str
    driver: str
    bus: str
    camera: bool
    formats: dict[str, tuple[str, ...]]


class V4L2(Video):
    """Such a camera. See ``feed.Camera``."""

    live, paced = True, False

    def __init__(self, path: str, options: FeedOptions) -> None:
        super().__init__(path, options)
        self.path = path

    def target(self) -> dict[str, Any]:
        device = look_at(self.path)
        if not device.camera:
            raise SourceError(f"{device.card} is no camera; --source list says what there is")
        self.source = f"{self.path} ({device.card})"
        width, height = self.options.size or SIZE
        settings = {"video_size": f"{width}x{height}"} | ({"framerate": f"{self.options.fps:g}"} if self.options.fps else {})
        if width * height > RAW_PIXELS and "MJPG" in device.formats:
            settings["input_format"] = "mjpeg"
        return {"file": self.path, "format": "v4l2", "options": settings}

    def explain(self, error: Exception) -> str:
        return trouble(self.path, getattr(error, "errno", None), reason(error))

    def interrupt(self) -> None:
        """Stops the camera through FFmpeg's own descriptor: its read, which waits for a frame for ever, then ends."""
        super().interrupt()
        path = os.path.realpath(self.path)
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{number}") == path:
                    fcntl.ioctl(int(number), STREAMOFF, struct.pack("i", CAPTURE))


def look_at(path: str) -> Device:
    """What a node is, also if another program uses it. Raises SourceError if it can't be opened, or is none of V4L2."""
    try:
        return ask(path)
    except OSError as error:
        raise SourceError(trouble(path, error.errno, reason(error))) from None


def ask(path: str) -> Device:
    """The same. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = CAPABILITY.unpack(fcntl.ioctl(descriptor, QUERYCAP, bytes(CAPABILITY.size)))
        driver, card, bus = (printable(text.split(b"\0")[0].decode("utf-8", "replace")) for text in answer[:3])
        able = answer[5] if answer[4] & KNOWS_DEVICE else answer[4]
        camera = bool(able & CAN_CAPTURE) and not able & NEEDS_SETUP and driver not in IDLE
        able_to = {name: tuple(sizes(descriptor, code)) for name, code in formats(descriptor)}
        return Device(path, card, driver, bus, camera, able_to)
    finally:
        os.close(descriptor)


def formats(descriptor: int) -> Iterator[tuple[str, int]]:
    """The four letters of each pixel format, and its number."""
    for request in answers(descriptor, ENUM_FMT, FORMAT, CAPTURE, 0, b"", *[0] * 5):
        yield struct.pack("<I", request[4] & 0x7FFF_FFFF).decode("latin-1").strip(), request[4]


def sizes(descriptor: int, code: int) -> Iterator[str]:
    for request in answers(descriptor, ENUM_FRAMESIZES, FRAME_SIZE, code, *[0] * 9):
        kind, a, b, _, d, e, _ = request[2:9]
        # discrete: width, height; else: smallest and largest width, step, smallest and largest height, step
        yield f"{a}x{b}" if kind == 1 else f"{a}x{d} to {b}x{e}"


def answers(descriptor: int, question: int, form: struct.Struct, *rest: int | bytes) -> Iterator[tuple[Any, ...]]:
    """What the driver says to a question about the first, the second, ... until there is no other."""
    for index in range(100):
        try:
            yield form.unpack(fcntl.ioctl(descriptor, question, form.pack(index, *rest)))
        except OSError:
            return


def trouble(path: str, number: int | None, otherwise: str) -> str:
    """What is wrong with a device, by the error's number, and what to do."""
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        others = ", ".join(f"{device.path} ({device.card})" for device in found())
        return f"no camera is connected there; {f'there are {others}' if others else 'plug it in'}"
    if number in (errno.EACCES, errno.EPERM):
        return "this user may not open it; sudo usermod -aG video $USER, then log in again"
    if number == errno.EBUSY:
        return f"another program uses it; 'fuser -v {path}' says which"
    if number == errno.ENOTTY:
        return "it is no camera; --source list says what there is"
    if number in (errno.EINVAL, errno.ENOMEM):
        return "it does not deliver what is asked for; --source list says which sizes it has"
    return otherwise


def paths() -> list[str]:
    """Of the devices, by number."""
    return sorted(map(str, Path("/dev").glob("video[0-9]*")), key=lambda path: int("".join(filter(str.isdigit, path))))


def found() -> Iterator[Device]:
    """The cameras that can be opened."""
    for path in paths():
        with suppress(OSError):
            if (device := ask(path)).camera:
                yield device
