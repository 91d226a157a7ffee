"""What a camera sends over HTTP: MJPEG, a picture that is fetched again and again, or a video stream.

Python's HTTP, not FFmpeg's: it checks certificates, knows digest authentication, and can be interrupted.
"""

import os
import socket
from collections.abc import Generator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPBasicAuthHandler, HTTPDigestAuthHandler, HTTPPasswordMgrWithDefaultRealm, build_opener

from fmnist_edge.cameras.camera import FeedOptions, Shot
from fmnist_edge.cameras.video import NO_PROTOCOL, Video
from fmnist_edge.errors import SourceError
from fmnist_edge.pictures.decode import MAX_BYTES

PICTURES_PER_SECOND = 1.0
"""That are fetched where a URL sends one at a time."""

CURES = {401: "; name user and password: http://USER:PASSWORD@...", 404: "; look for the right path"}


class Web(Video):
    """FFmpeg reads it like a file."""

    def __init__(self, source: str, options: FeedOptions) -> None:
        super().__init__(source, options)
        parts = urlsplit(source)
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        passwords = HTTPPasswordMgrWithDefaultRealm()
        if parts.username:
            passwords.add_password(None, self._url, unquote(parts.username), unquote(parts.password or ""))
        self._opener = build_opener(HTTPDigestAuthHandler(passwords), HTTPBasicAuthHandler(passwords))
        self._response: HTTPResponse | None = None
        self._body: HTTPResponse | BytesIO = BytesIO()
        self._trouble = ""

    def target(self) -> dict[str, Any]:
        self._trouble = ""
        response = self._fetch()
        kind = response.headers.get_content_type()
        if kind.startswith("text/"):
            raise SourceError(f"it sends {kind}, not a video; is the path right?")
        self._body = as_part(response) if kind == "image/jpeg" else response
        container = "mpjpeg" if kind == "image/jpeg" or kind.startswith("multipart/") else None
        # not self, which has a name: by its ending, not by what comes, FFmpeg would guess the format
        return {"file": SimpleNamespace(read=self.read), "format": container, "options": NO_PROTOCOL}

    def shots(self) -> Generator[Shot, None, None]:
        try:
            yield from super().shots()
            if self._trouble:
                raise SourceError(self._trouble)
        finally:
            if self._response:
                self._response.close()

    def explain(self, error: Exception) -> str:
        if self._trouble:
            return self._trouble
        if isinstance(error, HTTPError):
            return f"{error.code} {error.reason}{CURES.get(error.code, '')}"
        if isinstance(error, URLError):
            return self.explain(error.reason) if isinstance(error.reason, Exception) else str(error.reason)
        if isinstance(error, HTTPException) or type(error) is ValueError:  # urllib's, of a way to log in that it does not know
            return f"it does not speak HTTP as it should ({super().explain(error)})"
        return super().explain(error)

    def read(self, size: int) -> bytes:
        """What has come, at most so many bytes, none at the end. FFmpeg calls it."""
        try:
            content = self._body.read1(size)
            single = isinstance(self._body, BytesIO)
            if single and not content and not self.interrupted.wait(1 / (self.options.fps or PICTURES_PER_SECOND)):
                self._body = as_part(self._fetch())
                content = self._body.read1(size)
            return content
        except (OSError, HTTPException, ValueError) as error:
            self._trouble = self.explain(error)  # PyAV 15 prints a traceback if this is raised here
            return b""

    def _fetch(self) -> HTTPResponse:
        response: HTTPResponse = self._opener.open(self._url, timeout=self.timeout)
        self._response = response
        return response

    def interrupt(self) -> None:
        super().interrupt()
        if response := self._response:
            # it may just have been closed, in whatever way
            with suppress(OSError, ValueError, AttributeError), socket.socket(fileno=os.dup(response.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)


def as_part(response: HTTPResponse) -> BytesIO:
    """A picture as MJPEG over HTTP has it."""
    with response:
        picture = response.read(MAX_BYTES)
    return BytesIO(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture))
