"""Frames of the Pi's own camera, through picamera2, which comes with the system (apt), not from PyPI."""

import importlib
import logging
import os
import platform
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from fmnist_edge.cameras.camera import POLL_SECONDS, Camera, Shot, capture_time
from fmnist_edge.errors import SourceError, first_line

SYSTEM = "/usr/lib/python3/dist-packages"
"""Debian's packages, which a virtual environment does not see."""


class PiCamera(Camera):
    """The first camera that libcamera knows."""

    def shots(self) -> Generator[Shot, None, None]:
        camera = import_picamera2()()
        try:
            controls = {"FrameRate": self.options.fps} if self.options.fps else {}
            main = {"size": self.options.size, "format": "NV12"}
            # sYCC, in which Pillow understands YCbCr; video would be of a smaller range
            camera.configure(camera.create_preview_configuration(main=main, controls=controls))
            camera.start()
            form = camera.camera_configuration()["main"]
            if form["format"] != "NV12":
                raise SourceError(f"it delivers {form['format']}, not NV12; take its /dev/videoN")
            width, height = form["size"]
            self.name = f"picamera ({camera.camera_properties.get('Model', 'of an unknown kind')})"
            self.form = f"{width}x{height} nv12"
            job = None
            while not self.interrupted.is_set():
                job = job or camera.capture_request(wait=False)
                try:
                    request = camera.wait(job, timeout=POLL_SECONDS)
                except TimeoutError:
                    continue
                job = None
                try:
                    stamp, buffer = request.get_metadata().get("SensorTimestamp"), request.make_buffer("main")
                finally:
                    request.release()
                taken = capture_time(stamp / 1e9 if stamp else None, time.monotonic())
                yield Shot(taken, None, partial(to_image, buffer, form["size"], form["stride"]))
        finally:
            with suppress(Exception):  # it could not open the camera, so there is nothing to close
                camera.close()

    def explain(self, error: Exception) -> str:
        if isinstance(error, SourceError):
            return super().explain(error)
        cause = first_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
        return f"it does not work ({cause}); 'rpicam-hello' shows whether the camera works at all"


def to_image(buffer: Any, size: tuple[int, int], stride: int) -> Image.Image:
    """RGB of an NV12 buffer, uint8: the brightness in rows of ``stride`` bytes, then blue and red in turns at half the size."""
    width, height = size
    bright = Image.frombuffer("L", size, buffer, "raw", "L", stride, 1)
    colours = Image.frombuffer("LA", (width // 2, height // 2), buffer[stride * height :], "raw", "LA", stride, 1)
    return Image.merge("YCbCr", (bright, *(colour.resize(size) for colour in colours.split()))).convert("RGB")


def import_picamera2() -> Any:
    """The class Picamera2. Raises SourceError that says what to do.

    In a venv, the system's packages are looked at last, as ``python3 -m venv --system-site-packages`` has it: what the venv
    itself has stays. They are made for the system's own Python alone.
    """
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:FATAL")  # what goes wrong is raised as well
    if SYSTEM not in sys.path:
        sys.path.append(SYSTEM)
    try:
        Picamera2 = importlib.import_module("picamera2").Picamera2
    except Exception as error:  # ImportError, or what its C++ raises
        raise SourceError(why_not(error)) from None
    Picamera2.set_logging(logging.CRITICAL)
    return Picamera2


def why_not(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "picamera2":
        return "picamera2 is not installed; sudo apt install python3-picamera2"
    made_for = [path.name for path in Path(SYSTEM, "libcamera").glob("_libcamera.cpython-*")]
    if made_for and not any(f".{sys.implementation.cache_tag}-" in name for name in made_for):
        return f"the system's picamera2 is not for Python {platform.python_version()}; make the venv with /usr/bin/python3"
    if "numpy" in str(error):  # Debian 12's simplejpeg is compiled for numpy 1: "numpy.dtype size changed"
        return f"the system's picamera2 needs another numpy ({first_line(error)}); pip install 'numpy<2'"
    return f"picamera2 can't be imported ({first_line(error)}); sudo apt install --reinstall python3-picamera2"


def found() -> list[dict[str, Any]]:
    """What picamera2 reports about each of its cameras, which USB cameras are not. Raises SourceError."""
    return [camera for camera in import_picamera2().global_camera_info() if "/usb" not in camera["Id"]]
