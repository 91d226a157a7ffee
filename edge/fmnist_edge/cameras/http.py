"""What a camera sends over HTTP: MJPEG, a picture that is fetched again and again, or a video stream.

Python's HTTP, not FFmpeg's: it checks certificates, knows digest authentication, and can be interrupted. What comes is known by
its first bytes, not by what the header says of it.
"""

import os
import socket
import ssl
import time
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPResponse
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

import av
from PIL import Image

from fmnist_edge.address import PRINTABLE, parse
from fmnist_edge.cameras import mjpeg
from fmnist_edge.cameras.camera import FeedOptions, Shot
from fmnist_edge.cameras.connection import distrusted, opener, proxy
from fmnist_edge.cameras.video import NO_PROTOCOL, Video, to_image
from fmnist_edge.errors import SourceError
from fmnist_edge.pictures.decode import MAX_PIXELS

PICTURES_PER_SECOND = 1.0
"""That are fetched where a URL sends one at a time."""

CURES = {401: "; name user and password: http://USER:PASSWORD@...", 404: "; look for the right path"}


class Web(Video):
    """Pictures are split here and decoded one by one; all else FFmpeg reads like a file."""

    def __init__(self, source: str, options: FeedOptions) -> None:
        super().__init__(source, options)
        self._address = parse(source)
        self._url = self._address.place + quote(self._address.rest.partition("#")[0], safe=PRINTABLE)
        self._opener = opener(self._address, options.certificate)
        self._response: HTTPResponse | None = None
        self._begin, self._trouble = b"", ""
        self._codecs: dict[str, Any] = {}

    def shots(self) -> Generator[Shot, None, None]:
        try:
            self._trouble = ""
            headers = self._fetch()
            kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind.startswith("multipart/") or mjpeg.begins(self._begin):
                yield from self._pictures(headers.get_param("boundary", ""))
                return
            if not self._begin:
                raise SourceError("it sends nothing")
            if kind.startswith("text/") or self._begin.lstrip().startswith(b"<"):
                raise SourceError(f"it sends {self.heard(kind or 'a web page')}, not a video; is the path right?")
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
        if isinstance(error, HTTPError):
            return f"{error.code} {self.heard(error.reason)}{CURES.get(error.code, '')}{self._way()}"
        if isinstance(error, URLError):
            return self.explain(error.reason) if isinstance(error.reason, Exception) else self.heard(error.reason) + self._way()
        if isinstance(error, ssl.SSLCertVerificationError):
            return distrusted(error, self._address)
        if isinstance(error, HTTPException) or type(error) is ValueError:  # FFmpeg's are of types derived from it
            return f"it does not speak HTTP as it should ({super().explain(error)}){self._way()}"
        return super().explain(error) + (self._way() if isinstance(error, OSError) else "")

    def _way(self) -> str:
        between = proxy(self._address)
        return f" (by way of {between}, which {self._address.scheme}_proxy names)" if between else ""

    def _pictures(self, boundary: Any) -> Generator[Shot, None, None]:
        """Of a stream; or of a bare picture, which is fetched again when it is time."""
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
        """For FFmpeg."""
        try:
            return self._receive(size)
        except (OSError, HTTPException, ValueError) as error:
            self._trouble = self.explain(error)  # PyAV 15 prints a traceback if this is raised here
            return b""

    def _receive(self, size: int) -> bytes:
        """What has come, at most so many bytes, none at the end."""
        begin, self._begin = self._begin[:size], self._begin[size:]
        return begin or (self._response.read1(size) if self._response else b"")

    def _fetch(self) -> Any:
        """Asks for the URL. Returns the headers of what comes; ``_begin`` are its first bytes."""
        response: HTTPResponse = self._opener.open(self._url, timeout=self.timeout)
        self._response, begin = response, b""
        while len(begin.lstrip()) < mjpeg.ENOUGH and (more := response.read1(mjpeg.READ_AT_ONCE)):
            begin += more
        self._begin = begin
        return response.headers

    def interrupt(self) -> None:
        super().interrupt()
        if response := self._response:
            # it may just have been closed, in whatever way
            with suppress(OSError, ValueError, AttributeError), socket.socket(fileno=os.dup(response.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
