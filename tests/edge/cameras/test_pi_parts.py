"""A Pi's own cameras and those on USB, as far as their drivers can be played here. `make pi-test` has real ones."""

import errno
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.cameras import picamera, v4l2
from fmnist_edge.cameras.camera import FeedOptions, capture_time
from fmnist_edge.cameras.picamera import PiCamera, to_image, why_not
from fmnist_edge.cameras.v4l2 import CAPABILITY, ENUM_FMT, ENUM_FRAMESIZES, FORMAT, FRAME_SIZE, QUERYCAP, look_at, paths, trouble
from fmnist_edge.errors import SourceError


@pytest.mark.parametrize(
    ("clock", "taken"), [(None, 100.0), (99.9, 99.9), (100.0, 100.0), (99.0, 100.0), (100.1, 100.0), (1.8e9, 100.0)]
)
def test_a_drivers_time_counts_if_it_is_of_this_clock(clock: float | None, taken: float) -> None:
    assert capture_time(clock, 100.0) == taken


def nv12(image: Image.Image, stride: int) -> np.ndarray:
    """As the Pi's camera delivers a picture, in rows that are longer than it is wide."""
    bright, blue, red = (np.asarray(channel) for channel in image.convert("YCbCr").split())
    height, width = bright.shape
    buffer = np.full((height * 3 // 2, stride), 77, np.uint8)
    buffer[:height, :width] = bright
    buffer[height:, 0:width:2], buffer[height:, 1:width:2] = blue[::2, ::2], red[::2, ::2]
    return buffer.ravel()


def test_a_pis_buffer_is_brightness_and_colours() -> None:
    image = Image.new("RGB", (8, 4), (200, 30, 40))
    image.paste((20, 60, 220), (4, 0, 8, 4))

    found = to_image(nv12(image, 12), (8, 4), 12)

    assert (found.mode, found.size) == ("RGB", (8, 4))
    assert np.abs(np.subtract(found, image, dtype=np.int16)[:, [0, 1, 6, 7]]).max() <= 8  # colours are interpolated


class Picamera2:
    """A Pi's camera: its second picture takes longer than is waited for."""

    form = "NV12"
    made: list["Picamera2"]

    def __init__(self) -> None:
        self.made.append(self)
        self.camera_properties = {"Model": "imx708"}
        self.log: list[Any] = []
        self.waits = 0

    def create_preview_configuration(self, **wanted: Any) -> Any:
        self.log.append(wanted)
        return wanted

    def configure(self, configuration: Any) -> None:
        pass

    def start(self) -> None:
        self.log.append("start")

    def camera_configuration(self) -> Any:
        return {"main": {"format": self.form, "size": (8, 4), "stride": 12}}

    def capture_request(self, wait: bool) -> str:
        self.log.append("request")
        return "job"

    def wait(self, job: str, timeout: float) -> Any:
        self.waits += 1
        if self.waits == 2:
            raise TimeoutError
        stamp = int((time.monotonic() - 0.5) * 1e9)
        return SimpleNamespace(
            get_metadata=lambda: {"SensorTimestamp": stamp},
            make_buffer=lambda name: nv12(Image.new("RGB", (8, 4), (200, 30, 40)), 12),
            release=lambda: self.log.append("release"),
        )

    def close(self) -> None:
        self.log.append("close")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Picamera2]:
    """The cameras that were opened."""
    monkeypatch.setattr(Picamera2, "made", [], raising=False)
    monkeypatch.setattr(picamera, "import_picamera2", lambda: Picamera2)
    return Picamera2.made


def test_the_pis_camera_is_asked_for_what_is_wanted_and_its_buffers_are_given_back(made: list[Picamera2]) -> None:
    camera = PiCamera("picamera", FeedOptions(size=(8, 4), fps=15))
    shots = camera.shots()

    first, second = next(shots), next(shots)
    shots.close()

    assert made[0].log == [
        {"main": {"size": (8, 4), "format": "NV12"}, "controls": {"FrameRate": 15}},
        *("start", "request", "release", "request", "release", "close"),  # while it was waited for, nothing was asked again
    ]
    assert (camera.name, camera.form) == ("picamera (imx708)", "8x4 nv12")
    assert 0.4 < time.monotonic() - first.taken < 60
    assert second.develop().getpixel((0, 0)) == pytest.approx((200, 30, 40), abs=3)


def test_the_pis_camera_is_closed_whatever_happens(made: list[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picamera2, "form", "XBGR8888")

    with pytest.raises(SourceError, match=r"^it delivers XBGR8888, not NV12; take its /dev/videoN$"):
        next(PiCamera("picamera", FeedOptions()).shots())
    assert made[0].log[-1] == "close"
    assert made[0].log[0]["controls"] == {}


def test_interrupted_it_ends(made: list[Picamera2]) -> None:
    camera = PiCamera("picamera", FeedOptions())
    shots = camera.shots()
    next(shots)
    camera.interrupt()

    assert list(shots) == []
    assert made[0].log[-1] == "close"


def test_what_libcamera_says_is_told_with_what_to_try() -> None:
    error = RuntimeError("Failed to acquire camera")
    error.__cause__ = OSError("Device or resource busy")
    camera = PiCamera("picamera", FeedOptions())

    assert (
        camera.explain(error)
        == "it does not work (Device or resource busy); 'rpicam-hello' shows whether the camera works at all"
    )
    assert camera.explain(SourceError("no picamera2")) == "no picamera2"


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (ModuleNotFoundError("no", name="picamera2"), "picamera2 is not installed; sudo apt install python3-picamera2"),
        (ValueError("numpy.dtype size changed"), "the system's picamera2 needs another numpy (numpy.dtype size changed); "),
        (ModuleNotFoundError("no libcamera", name="libcamera"), "picamera2 can't be imported (no libcamera); sudo apt install "),
    ],
)
def test_a_picamera2_that_does_not_work_has_its_cure(
    error: Exception, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera, "SYSTEM", str(tmp_path))

    assert why_not(error).startswith(cure)


def test_a_picamera2_for_another_python_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera, "SYSTEM", str(tmp_path))
    (tmp_path / "libcamera").mkdir()
    (tmp_path / "libcamera" / "_libcamera.cpython-399-aarch64.so").touch()
    assert "make the venv with /usr/bin/python3" in why_not(ImportError("no"))

    (tmp_path / "libcamera" / f"_libcamera.{sys.implementation.cache_tag}-aarch64.so").touch()
    assert "--reinstall" in why_not(ImportError("no"))


def test_of_what_picamera2_lists_those_on_usb_are_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"Id": "/base/soc/i2c0mux/imx708@1a"}, {"Id": "/base/scb/pcie/usb1/1-1"}]
    monkeypatch.setattr(picamera, "import_picamera2", lambda: SimpleNamespace(global_camera_info=lambda: listed))

    assert picamera.found() == listed[:1]


class Driver:
    """A device's driver: what it answers, as the kernel would write it."""

    def __init__(self, able: int, of_device: int = 0, name: bytes = b"uvcvideo") -> None:
        self.capability = CAPABILITY.pack(name, b"USB \x1bCamera", b"usb-1", 0, able, of_device, 0, 0, 0)
        self.forms = [b"YUYV", b"MJPG"]
        self.sizes = {b"YUYV": [(1, 640, 480, 0, 0, 0)], b"MJPG": [(1, 640, 480, 0, 0, 0), (2, 32, 1920, 8, 24, 1080)]}

    def ioctl(self, descriptor: int, question: int, data: bytes) -> bytes:
        if question == QUERYCAP:
            return self.capability
        index, form = struct.unpack_from("<II", data)
        try:
            if question == ENUM_FMT:
                assert form == 1  # what it captures
                return FORMAT.pack(index, 1, 0, b"", struct.unpack("<I", self.forms[index])[0], *[0] * 4)
            assert question == ENUM_FRAMESIZES
            return FRAME_SIZE.pack(index, form, *self.sizes[struct.pack("<I", form)][index], *[0] * 3)
        except IndexError:
            raise OSError(errno.EINVAL, "Invalid argument") from None


def looked_at(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> v4l2.Device:
    monkeypatch.setattr(v4l2.fcntl, "ioctl", driver.ioctl)
    return look_at("/dev/null")


def test_a_camera_says_its_name_its_formats_and_its_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at(Driver(able=1), monkeypatch) == (
        *("/dev/null", "USB \\x1bCamera", "uvcvideo", "usb-1", True),
        *(("YUYV", "MJPG"), ("640x480", "32x24 to 1920x1080")),
    )


@pytest.mark.parametrize(
    ("driver", "camera"),
    [
        (Driver(able=0x1), True),
        (Driver(able=0x2), False),
        (Driver(able=0x8000_0001, of_device=0x1), True),
        (Driver(able=0x8000_0001, of_device=0x2), False),  # the other node of a camera, for its metadata
        (Driver(able=0x2000_0001), False),
        (Driver(able=0x1, name=b"bcm2835-isp"), False),
        (Driver(able=0x1, name=b"bcm2835-codec"), False),
    ],
)
def test_what_delivers_no_pictures_by_itself_is_no_camera(driver: Driver, camera: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at(driver, monkeypatch).camera is camera


def test_devices_come_by_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("video10", "video2", "video0", "vcs"):
        (tmp_path / name).touch()
    monkeypatch.setattr(v4l2, "Path", lambda path: tmp_path)

    assert [path.rpartition("/")[2] for path in paths()] == ["video0", "video2", "video10"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "this user may not open it; sudo usermod -aG video $USER, then log in again"),
        (errno.EPERM, "this user may not open it; sudo usermod -aG video $USER, then log in again"),
        (errno.EBUSY, "another program uses it; 'fuser -v /dev/video9' says which"),
        (errno.ENOENT, "no camera is connected there; plug it in"),
        (errno.ENODEV, "no camera is connected there; plug it in"),
        (errno.ENOTTY, "it is no camera; "),
        (errno.EINVAL, "it does not deliver what is asked for; "),
        (errno.EIO, None),
        (None, None),
    ],
)
def test_an_errors_number_says_what_is_wrong_and_what_to_do(
    number: int | None, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v4l2, "paths", list)

    found = trouble("/dev/video9", number)

    assert (found or "").startswith(said or "")
    assert (found is None) == (said is None)


def test_where_another_camera_is_there_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "paths", lambda: ["/dev/null"])
    monkeypatch.setattr(v4l2.fcntl, "ioctl", Driver(able=1).ioctl)

    assert trouble("/dev/video9", errno.ENOENT) == "no camera is connected there; there are /dev/null (USB \\x1bCamera)"
