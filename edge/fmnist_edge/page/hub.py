"""What the camera's loop has to show, for any number of viewers: one newest frame and one newest answer, never a queue.

The loop only leaves them here. A thread encodes them, while somebody looks, once for all viewers, and at most ten times a second.
A viewer takes the newest as soon as he is ready for it: a slow one gets fewer.
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
"""Seconds from one encoding to the next, at least."""

EDGE = 640
"""Pixels of the longest edge of what is shown."""

JPEG_QUALITY = 80

PING = 15.0
"""Seconds after which a stream without news says that it is there."""

BOUNDARY = "frame"

MAX_VIEWERS = 50
"""Streams at the same time."""


class Hub:
    """Of one event loop, which ``start`` tells it. tell: gets a line when a frame can't be encoded, the first time."""

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
        """In the event loop's thread."""
        self._loop = loop
        threading.Thread(target=self._encode, name="encoder", daemon=True).start()

    def stop(self) -> None:
        self._stop = True
        self._wanted.set()
        self._publish()

    def offer(self, seen: Seen, record: dict[str, Any]) -> None:
        """From the camera's loop: what it saw, and its newest answer as a record. Takes no time."""
        self._answered = seen if seen.answered else self._answered
        self.latest, self._record = seen, record
        if self.viewers:
            self._wanted.set()

    def forget(self) -> None:
        """What was seen is no longer there."""
        self.latest = self._answered = None

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """For as long as somebody looks. Raises Busy if too many do."""
        if self.viewers >= MAX_VIEWERS:
            raise Busy
        self.viewers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self.viewers -= 1

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """From any thread: an event that all viewers of the answers get, the newest one too who comes later."""
        self._fault = server_sent(event, data)
        self._fault_number += 1
        self._publish()

    async def pictures(self) -> AsyncGenerator[bytes, None]:
        """Parts of a multipart/x-mixed-replace answer."""
        number = 0
        yield f"--{BOUNDARY}\r\n".encode()
        async for _ in self._news():
            if number != self._number:
                number, picture = self._number, self._picture
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
                # the boundary comes at once: Chrome shows a picture when it has seen its end
                yield head + picture + f"\r\n--{BOUNDARY}\r\n".encode()

    async def answers(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events."""
        number = fault_number = 0
        yield b": the newest answer, over and over\n\n"
        async for news in self._news():
            if fault_number != self._fault_number:
                fault_number = self._fault_number
                yield self._fault
            if number != self._number:
                number = self._number
                yield self._answer
            elif not news:
                yield b": still here\n\n"

    async def _news(self) -> AsyncGenerator[bool, None]:
        """Comes back when there may be news (True), or nothing came for a while."""
        news = True
        while not self._stop:
            changed = self._changed
            yield news
            news = True
            try:
                await asyncio.wait_for(changed.wait(), PING)
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
        """The thread."""
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
            except Exception as problem:  # without this thread nobody would see anything any more
                if not failed:
                    self._tell(f"a frame can't be shown: {type(problem).__name__}: {first_line(problem)}; going on")
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
    """The whole picture as it is turned, the outline drawn in; what is not looked at is paler."""
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
    """A message as the HTML standard has it, 9.2.6; JSON has no line ends outside of its texts, and escapes those within."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
