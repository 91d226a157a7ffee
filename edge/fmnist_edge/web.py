"""What a camera sends over HTTP: MJPEG, a picture that is fetched again and again, or a video stream.

Python's HTTP, not FFmpeg's: it checks certificates, knows digest authentication, and can be interrupted.
"""

import os
import socket
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPBasicAuthHandler, HTTPDigestAuthHandler, HTTPPasswordMgrWithDefaultRealm, build_opener

from fmnist_edge.errors import SourceError
from fmnist_edge.feed import FeedOptions
from fmnist_edge.reading import MAX_BYTES
from fmnist_edge.video import NO_PROTOCOL, Video, reason, without_secrets

PICTURES_PER_SECOND = 1.0
"""That are fetched where a URL sends one at a time."""

CURES = {401: "name user and password: http://USER:PASSWORD@...", 403: "this user may not see it", 404: "look for the right path"}


class Web(Video):
    """FFmpeg reads it like a file."""

    live, paced = True, False

    def __init__(self, source: str, options: FeedOptions) -> None:
        super().__init__(without_secrets(source), options)
        parts = urlsplit(source)
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        passwords = HTTPPasswordMgrWithDefaultRealm()
        if parts.username:
            passwords.add_password(None, self._url, unquote(parts.username), unquote(parts.password or ""))
        self._opener = build_opener(HTTPDigestAuthHandler(passwords), HTTPBasicAuthHandler(passwords))
        self._response: HTTPResponse | None = None
        self._rest = b""
        self._single = False

    def target(self) -> dict[str, Any]:
        response = self._fetch()
        kind = response.headers.get_content_type()
        if kind.startswith("text/"):
            raise SourceError(f"it sends {kind}, not a video; is the path right?")
        self._single = kind == "image/jpeg"
        self._rest = as_part(response) if self._single else b""
        container = "mpjpeg" if self._single or kind.startswith("multipart/") else None
        return {"file": self, "format": container, "options": NO_PROTOCOL}

    def _fetch(self) -> HTTPResponse:
        self._release()
        try:
            self._response = response = self._opener.open(self._url, timeout=self.timeout)
        except HTTPError as error:
            error.close()
            cure = CURES.get(error.code)
            raise SourceError(f"{error.code} {error.reason}{f'; {cure}' if cure else ''}") from None
        except URLError as error:
            raise SourceError(reason(error.reason) if isinstance(error.reason, Exception) else error.reason) from None
        except (HTTPException, ValueError) as error:
            raise SourceError(f"it does not speak HTTP ({reason(error)})") from None
        assert isinstance(response, HTTPResponse)
        return response

    def read(self, size: int) -> bytes:
        """What has come, at most so many bytes; FFmpeg calls it."""
        if not self._single:
            assert self._response is not None
            try:
                return self._response.read1(size)
            except HTTPException:  # it was cut
                return b""
        if not self._rest:
            self.interrupted.wait(1 / (self.options.fps or PICTURES_PER_SECOND))
            self._rest = b"" if self.interrupted.is_set() else as_part(self._fetch())
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def interrupt(self) -> None:
        super().interrupt()
        response = self._response
        if response is None:
            return
        # it may just have been closed
        with suppress(OSError, ValueError), socket.socket(fileno=os.dup(response.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        self._release()

    def _release(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response = None


def as_part(response: HTTPResponse) -> bytes:
    """A picture as MJPEG over HTTP has it."""
    picture = response.read(MAX_BYTES)
    return b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
