"""Frames of the Pi's own camera, by picamera2. That comes with the system (apt), not from PyPI."""

import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fmnist_edge.errors import SourceError, first_line
from fmnist_edge.feed import MOMENT, SIZE, FeedOptions, Shot, trusted

SYSTEM = "/usr/lib/python3/dist-packages"
"""Where Debian's packages are, which a venv does not look at."""


class PiCamera:
    """The first camera that libcamera knows. See ``feed.Camera``."""

    live = True

    def __init__(self, options: FeedOptions) -> None:
        self.source, self.form = "picamera", ""
        self.options = options
        self._camera: Any = None
        self._interrupted = threading.Event()

    def open(self) -> None:
        self._interrupted.clear()
        Picamera2 = import_picamera2()
        controls = {"FrameRate": self.options.fps} if self.options.fps else {}
        try:
            self._camera = Picamera2()
            main = {"size": self.options.size or SIZE, "format": "NV12"}
            # sYCC, in which Pillow understands YCbCr; video would be of a smaller range
            self._camera.configure(self._camera.create_preview_configuration(main=main, controls=controls))
            self._camera.start()
        except (IndexError, RuntimeError) as error:
            cause = first_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            raise SourceError(
                f"the camera can't be opened ({cause}); does 'rpicam-hello --list-cameras' show one, and no other program use it?"
            ) from None
        self._main = self._camera.camera_configuration()["main"]
        if self._main["format"] != "NV12":
            raise SourceError(f"it delivers {self._main['format']}, not NV12; take its /dev/videoN")
        width, height = self._main["size"]
        self.source = f"picamera ({self._camera.camera_properties.get('Model', 'of an unknown kind')})"
        self.form = f"{width}x{height} nv12"

    def shots(self) -> Generator[Shot, None, None]:
        job = None
        while not self._interrupted.is_set():
            job = job or self._camera.capture_request(wait=False)
            try:
                request = self._camera.wait(job, timeout=MOMENT)
            except TimeoutError:
                continue
            job = None
            try:
                stamp, buffer = request.get_metadata().get("SensorTimestamp"), request.make_buffer("main")
            finally:
                request.release()
            taken = trusted(stamp / 1e9 if stamp else None, time.monotonic())
            yield Shot(taken, None, partial(to_image, buffer, self._main["size"], self._main["stride"]))

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def to_image(buffer: Any, size: tuple[int, int], stride: int) -> Image.Image:
    """RGB of an NV12 buffer, uint8: the brightness in rows of ``stride`` bytes, then blue and red in turns at half the size."""
    width, height = size
    rows = np.asarray(buffer)[: stride * height * 3 // 2].reshape(-1, stride)[:, :width]
    colours = rows[height:].reshape(height // 2, width // 2, 2)
    blue, red = (Image.fromarray(np.ascontiguousarray(colours[..., i])).resize(size) for i in (0, 1))
    return Image.merge("YCbCr", (Image.fromarray(np.ascontiguousarray(rows[:height])), blue, red)).convert("RGB")


def import_picamera2() -> Any:
    """Its class Picamera2. Raises SourceError that says what to do.

    In a venv, the system's packages are looked at last, as ``python3 -m venv --system-site-packages`` has it: what the venv
    itself has stays. They are made for the system's own Python alone.
    """
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:FATAL")  # what goes wrong is raised as well
    if SYSTEM not in sys.path:
        sys.path.append(SYSTEM)
    try:
        Picamera2 = importlib.import_module("picamera2").Picamera2
    except ImportError as error:
        built = sorted(Path(SYSTEM, "libcamera").glob("_libcamera.cpython-*"))
        version = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
        if built and not any(f".{version}-" in path.name for path in built):
            raise SourceError(
                f"the system's picamera2 is for another Python than this {version[8]}.{version[9:]}; "
                "make the venv with /usr/bin/python3"
            ) from None
        missing = getattr(error, "name", None)
        if missing == "picamera2":
            raise SourceError("picamera2 is not installed; sudo apt install python3-picamera2") from None
        raise SourceError(
            f"picamera2 can't be imported ({first_line(error)}); sudo apt install --reinstall python3-picamera2"
        ) from None
    except ValueError as error:  # its simplejpeg was compiled for numpy 1: "numpy.dtype size changed"
        raise SourceError(f"the system's picamera2 needs an older numpy ({first_line(error)}); pip install 'numpy<2'") from None
    Picamera2.set_logging(logging.CRITICAL)
    return Picamera2


def found() -> list[dict[str, Any]]:
    """What picamera2 tells of each camera that is plugged in; USB cameras are none of its own. Raises SourceError."""
    return [camera for camera in import_picamera2().global_camera_info() if "/usb" not in camera["Id"]]
