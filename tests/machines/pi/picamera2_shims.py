"""What picamera2 lacks on libcamera's virtual camera. The emulated Pi's picamera2 imports it at its end.

That camera has no raw pictures, leaves ``bytes_used`` at 0, and its frames are not of the heap that picamera2 takes them from.
"""

import mmap
from typing import Any

import picamera2.picamera2
from picamera2 import Picamera2
from picamera2.allocators import LibcameraAllocator


class Mapped:
    """A whole frame, as picamera2's own ``Sync``."""

    def __init__(self, allocator: object, frame: Any, write: bool) -> None:
        self._planes = frame.planes

    def __enter__(self) -> mmap.mmap:
        self._map = mmap.mmap(self._planes[0].fd, sum(plane.length for plane in self._planes), prot=mmap.PROT_READ)
        return self._map

    def __exit__(self, *error: object) -> None:
        self._map.close()


class Allocator(LibcameraAllocator):
    def __init__(self) -> None:
        super().__init__(None)
        self.sync = Mapped


def init(self: Picamera2, *arguments: Any, **named: Any) -> None:
    original(self, *arguments, **named)
    self.allocator.camera = self.camera


picamera2.picamera2.DmaAllocator = Allocator
original, Picamera2.__init__ = Picamera2.__init__, init
Picamera2._get_raw_modes = lambda self: [{"format": "NV12", "size": (640, 480)}]
