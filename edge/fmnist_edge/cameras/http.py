"""What a camera sends over HTTP: MJPEG, a picture that is fetched again and again, or a video stream.

Python's HTTP, not FFmpeg's: it checks certificates, knows digest authentication, and can be interrupted. The first bytes decide
what it is, not the header.
"""

import os
import socket
import time
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPResponse
from types import SimpleNamespace
from typing import Any

import av
from PIL import Image

from fmnist_edge.cameras import mjpeg
from fmnist_edge.cameras.camera import FeedOptions, Shot
from fmnist_edge.cameras.fetch import Url, content_type, first_bytes, is_page, is_stream
from fmnist_edge.cameras.video import IN_ORDER, NO_PROTOCOL, Video, to_image
from fmnist_edge.errors import SourceError
from fmnist_edge.pictures.decode import MAX_PIXELS
from fmnist_edge.pictures.kinds import is_film

PICTURES_PER_SECOND = 1.0
"""Fetched from a URL that sends one at a time."""


class Web(Video):
    """Pictures are split here and decoded one by one; FFmpeg reads everything else like a file."""

    def __init__(self, source: str, options: FeedOptions) -> None:
        super().__init__(source, options)
        self._url = Url(source, options.certificate)
        self._response: HTTPResponse | None = None
        self._begin, self._trouble, self._is_film = b"", "", False
        self._codecs: dict[str, Any] = {}

    def shots(self) -> Generator[Shot, None, None]:
        try:
            self._trouble = ""
            response = self._fetch()
            kind = content_type(response)
            if is_stream(kind, self._begin) or mjpeg.is_picture(self._begin):
                yield from self._pictures(response.headers.get_param("boundary", ""))
                return
            if not self._begin:
                raise SourceError("it sends nothing")
            if is_page(kind, self._begin):
                raise SourceError(f"it sends {self.heard(kind or 'a web page')}, not a video; is the path right?")
            self._is_film = is_film(self._begin)
            yield from super().shots()
            if self._trouble:
                raise SourceError(self._trouble)
        finally:
            if self._response:
                self._response.close()

    def target(self) -> dict[str, Any]:
        # not self, which has a name: by its ending, not by what comes, FFmpeg would guess the format
        return {"file": SimpleNamespace(read=self.read), "options": NO_PROTOCOL}

    def explain(self, error: Exception) -> str:
        if self._trouble or isinstance(error, SourceError):
            return self._trouble or str(error)
        if self._is_film and isinstance(error, av.InvalidDataError):
            return f"{IN_ORDER}; download it first"
        return super().explain(error) if isinstance(error, av.FFmpegError) else self._url.why(error)

    def _pictures(self, boundary: Any) -> Generator[Shot, None, None]:
        """The pictures of a stream; or a bare picture, which is fetched again and again."""
        while True:
            bare, count = mjpeg.is_picture(self._begin), 0
            for picture in mjpeg.split(self._receive, str(boundary or "")):
                now, develop, count = time.monotonic(), partial(self._decode, picture), count + 1
                if not self.form:
                    with suppress(SourceError, av.FFmpegError, ValueError):
                        width, height = develop().size
                        self.form = f"{width}x{height} {mjpeg.codec_of(picture)}"
                yield Shot(now, None, develop)
            if not bare or count != 1 or self.interrupted.wait(1 / (self.options.fps or PICTURES_PER_SECOND)):
                return
            self._fetch()

    def _decode(self, picture: bytes) -> Image.Image:
        name = mjpeg.codec_of(picture)
        if name not in self._codecs:
            self._codecs[name] = av.CodecContext.create(name, "r")
            self._codecs[name].options = {"max_pixels": str(MAX_PIXELS)}
        return to_image(next(iter(self._codecs[name].decode(av.Packet(picture))), None))

    def read(self, size: int) -> bytes:
        """Called by FFmpeg."""
        try:
            return self._receive(size)
        except (OSError, HTTPException, ValueError) as error:
            self._trouble = self.explain(error)  # PyAV 15 prints a traceback if this is raised here
            return b""

    def _receive(self, size: int) -> bytes:
        """What has arrived, at most so many bytes; none at the end."""
        begin, self._begin = self._begin[:size], self._begin[size:]
        return begin or (self._response.read1(size) if self._response else b"")

    def _fetch(self) -> HTTPResponse:
        """Requests the URL. ``_begin`` holds the first bytes of the answer."""
        self._response = response = self._url.open(self.timeout)
        self._begin = first_bytes(response)
        return response

    def interrupt(self) -> None:
        super().interrupt()
        if response := self._response:
            # it may just have been closed, in whatever way
            with suppress(OSError, ValueError, AttributeError), socket.socket(fileno=os.dup(response.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
