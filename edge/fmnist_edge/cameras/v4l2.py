"""What each ``/dev/videoN`` is, such as a USB camera: asked of its driver, without FFmpeg.

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

from fmnist_edge.terminal import printable

CAPABILITY, FORMAT, FRAME_SIZE = struct.Struct("16s32s32s6I"), struct.Struct("3I32s5I"), struct.Struct("11I")
"""struct v4l2_capability, v4l2_fmtdesc and v4l2_frmsizeenum."""

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, STREAMOFF = 0x8068_5600, 0xC040_5602, 0xC02C_564A, 0x4004_5613

CAPTURE, CAN_CAPTURE, NEEDS_SETUP, KNOWS_DEVICE = 1, 0x1, 0x2000_0000, 0x8000_0000
"""V4L2_BUF_TYPE_VIDEO_CAPTURE; V4L2_CAP_VIDEO_CAPTURE, _IO_MC (part of a pipeline that libcamera sets up), _DEVICE_CAPS."""

IDLE = ("bcm2835-isp", "bcm2835-codec")
"""Drivers of a Pi whose nodes capture what another program puts in."""


class Device(NamedTuple):
    """card: what the driver calls it. camera: whether it delivers pictures by itself. formats, sizes: that it has of them."""

    path: str
    card: str
    driver: str
    bus: str
    camera: bool
    formats: tuple[str, ...]
    sizes: tuple[str, ...]


def paths() -> list[str]:
    """The devices' paths, by number."""
    return sorted(map(str, Path("/dev").glob("video[0-9]*")), key=lambda path: int("".join(filter(str.isdigit, path))))


def found() -> Iterator[Device]:
    """The cameras that can be opened."""
    for path in paths():
        with suppress(OSError):
            if (device := look_at(path)).camera:
                yield device


def look_at(path: str) -> Device:
    """What a device is, even if another program uses it. Raises OSError if it can't be opened, or is not of V4L2."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = CAPABILITY.unpack(fcntl.ioctl(descriptor, QUERYCAP, bytes(CAPABILITY.size)))
        driver, card, bus = (printable(text.split(b"\0")[0].decode("utf-8", "replace")) for text in answer[:3])
        able = answer[5] if answer[4] & KNOWS_DEVICE else answer[4]
        camera = bool(able & CAN_CAPTURE) and not able & NEEDS_SETUP and driver not in IDLE
        codes = [form[4] for form in answers(descriptor, ENUM_FMT, FORMAT, CAPTURE, 0, b"", *[0] * 5)]
        names = (struct.pack("<I", code & 0x7FFF_FFFF).decode("latin-1").strip() for code in codes)
        sizes = (size for code in codes for size in sizes_of(descriptor, code))
        return Device(path, card, driver, bus, camera, tuple(names), tuple(dict.fromkeys(sizes)))
    finally:
        os.close(descriptor)


def sizes_of(descriptor: int, code: int) -> Iterator[str]:
    for _, _, kind, a, b, _, d, e, *_ in answers(descriptor, ENUM_FRAMESIZES, FRAME_SIZE, code, *[0] * 9):
        # discrete: width, height; else: smallest and largest width, step, smallest and largest height, step
        yield f"{a}x{b}" if kind == 1 else f"{a}x{d} to {b}x{e}"


def answers(descriptor: int, question: int, form: struct.Struct, *rest: int | bytes) -> Iterator[tuple[Any, ...]]:
    """What the driver says to a question about the first, the second, ... until there is no other."""
    with suppress(OSError):
        for index in range(100):
            yield form.unpack(fcntl.ioctl(descriptor, question, form.pack(index, *rest)))


def stop(path: str) -> None:
    """Ends the stream of a camera that this process has open, and any wait for its next frame."""
    path = os.path.realpath(path)
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{number}") == path:
                fcntl.ioctl(int(number), STREAMOFF, struct.pack("i", CAPTURE))


def trouble(path: str, number: int | None) -> str | None:
    """What is wrong with a device, by the error's number, and what to do; None where that says nothing of a camera."""
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        others = ", ".join(f"{device.path} ({device.card})" for device in found() if device.path != path)
        return f"no camera is connected there; {f'there are {others}' if others else 'plug it in'}"
    if number in (errno.EACCES, errno.EPERM):
        return "this user may not open it; sudo usermod -aG video $USER, then log in again"
    if number == errno.EBUSY:
        return f"another program uses it; 'fuser -v {path}' says which"
    if number == errno.ENOTTY:
        return "it is no camera; 'fmnist-edge camera list' says what there is"
    if number in (errno.EINVAL, errno.ENOMEM):
        return "it does not deliver what is asked for; 'fmnist-edge camera list' says which sizes it has"
    return None
