"""Passes the newest frame and the newest answer from the camera's loop to any number of viewers. Nothing is queued.

The loop only stores them here. While anyone is viewing, a thread encodes them: once for all viewers, at most ten times a second.
Each viewer gets the newest one when it is ready for it, so a slow viewer gets fewer.
"""

import asyncio
import io
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from PIL import Image

from fmnist_edge.errors import first_line
from fmnist_edge.live.watch import Seen, pixels_of, prepare
from fmnist_edge.page.outline import draw
from fmnist_edge.page.reader import Busy
from fmnist_edge.page.work import png_url
from fmnist_edge.pictures.photo import fitted
from fmnist_edge.pictures.segment import Mask

INTERVAL = 0.1
"""Seconds between two encodings, at least."""

EDGE = 640
"""The longest edge of the pictures shown, in pixels."""

JPEG_QUALITY = 80

PING_SECONDS = 15.0
"""A stream without news sends a comment this often, to keep its connection alive."""

BOUNDARY = "frame"

MAX_VIEWERS = 50
"""The most streams at the same time."""


class Hub:
    """Belongs to one event loop, which ``start`` sets. tell is called with a line when encoding fails for the first time."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.viewers = 0
        self.latest: Seen | None = None
        self._answered: Seen | None = None
        self._record: dict[str, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._wanted = threading.Event()
        self._stop = False
        self._number = self._fault_number = 0
        self._picture = self._answer = self._fault = b""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """To be called in the event loop's thread."""
        self._loop = loop
        threading.Thread(target=self._encode, name="encoder", daemon=True).start()

    def stop(self) -> None:
        self._stop = True
        self._wanted.set()
        self._publish()

    def offer(self, seen: Seen, record: dict[str, Any]) -> None:
        """Stores a frame and the newest answer, as a record. The camera's loop calls this; it returns at once."""
        self._answered = seen if seen.answered else self._answered
        self.latest, self._record = seen, record
        if self.viewers:
            self._wanted.set()

    def forget(self) -> None:
        """Drops the newest frame: the camera is gone."""
        self.latest = self._answered = None

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Counts one viewer while the context lasts. Raises Busy if there are too many."""
        if self.viewers >= MAX_VIEWERS:
            raise Busy
        self.viewers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self.viewers -= 1

    def broadcast(self, event: str, data: dict[str, Any]) -> None:
        """Sends an event to all viewers of the answers. Later viewers get the newest event too. May be called from any thread."""
        self._fault = server_sent(event, data)
        self._fault_number += 1
        self._publish()

    async def pictures(self) -> AsyncGenerator[bytes, None]:
        """The parts of a multipart/x-mixed-replace answer."""
        number = 0
        yield f"--{BOUNDARY}\r\n".encode()
        async for _ in self._updates():
            if number != self._number:
                number, picture = self._number, self._picture
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
                # the boundary follows at once: Chrome shows a picture only when it has seen its end
                yield head + picture + f"\r\n--{BOUNDARY}\r\n".encode()

    async def answers(self) -> AsyncGenerator[bytes, None]:
        """The answers as server-sent events."""
        number = fault_number = 0
        yield b": answers follow as they come\n\n"
        async for news in self._updates():
            if fault_number != self._fault_number:
                fault_number = self._fault_number
                yield self._fault
            if number != self._number:
                number = self._number
                yield self._answer
            elif not news:
                yield b": still here\n\n"

    async def _updates(self) -> AsyncGenerator[bool, None]:
        """Yields True when something may have changed, and False when nothing has for PING_SECONDS."""
        news = True
        while not self._stop:
            changed = self._changed
            yield news
            news = True
            try:
                await asyncio.wait_for(changed.wait(), PING_SECONDS)
            except asyncio.TimeoutError:
                news = False

    def _publish(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _encode(self) -> None:
        """The encoder thread's loop."""
        encoded: Seen | None = None
        failed = False
        while not self._stop:
            self._wanted.wait()
            self._wanted.clear()
            seen, answered, record = self.latest, self._answered, self._record
            if seen is None or seen is encoded or answered is None or not self.viewers:
                continue
            began, encoded = time.monotonic(), seen
            try:
                self._encode_one(seen, answered, record)
            except Exception as problem:  # if this thread ended, viewers would get nothing more
                if not failed:
                    self._tell(f"a frame can't be shown: {type(problem).__name__}: {first_line(problem)}; continuing")
                failed = True
            time.sleep(max(INTERVAL - (time.monotonic() - began), 0))

    def _encode_one(self, seen: Seen, answered: Seen, record: dict[str, Any]) -> None:
        found = answered.options == seen.options and answered.view and answered.view.garment_found
        picture = to_jpeg(show(seen, answered.mask if found else None))
        tile = png_url(answered.view.tile) if answered.view else None
        self._picture, self._answer = picture, server_sent("answer", {**record, "tile": tile})
        self._number += 1
        self._publish()


def show(seen: Seen, mask: Mask | None) -> Image.Image:
    """The whole picture, upright and with the garment's outline. If only a part is classified, the rest is paler."""
    options = seen.options
    whole = prepare(seen.frame.image, replace(options, part=None)) if options.part else seen.picture
    shown = fitted(whole.convert("RGB"), min(EDGE, max(whole.size)), Image.Resampling.BILINEAR)
    part = pixels_of(options.part, shown) if options.part else (0, 0, *shown.size)
    if options.part:
        pale = Image.blend(shown, Image.new("RGB", shown.size, "white"), 0.6)
        pale.paste(shown.crop(part), part[:2])
        shown = pale
    elif shown is seen.picture:
        shown = shown.copy()
    if mask is not None:
        draw(shown, mask, part)
    return shown


def to_jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=JPEG_QUALITY)
    return file.getvalue()


def server_sent(event: str, data: dict[str, Any]) -> bytes:
    """One server-sent event (HTML standard, section 9.2.6). json.dumps writes no line breaks, so the data fits one line."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
