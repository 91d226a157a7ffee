"""Requests a URL the way cameras need it, and explains failures in the user's words. A picture needs no PyAV."""

import ssl
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from fmnist_edge.address import PRINTABLE, heard, parse
from fmnist_edge.cameras import mjpeg
from fmnist_edge.cameras.camera import in_words
from fmnist_edge.cameras.connection import distrusted, opener, proxy
from fmnist_edge.errors import FmnistEdgeError, InputError, SourceError
from fmnist_edge.pictures.decode import MAX_BYTES
from fmnist_edge.pictures.kinds import is_film

TIMEOUT = 7.5
"""Seconds for an answer: a camera's, see FeedOptions.patience and Video.timeout."""

CURES = {401: "; name user and password: http://USER:PASSWORD@...", 404: "; look for the right path"}


class Url:
    """An address that may name user and password. Raises UsageError if it is malformed.

    certificate: a PEM file or a SHA-256 that an https:// server must present.
    """

    def __init__(self, source: str, certificate: str | None) -> None:
        self._source, self._address = source, parse(source)
        self._url = self._address.place + quote(self._address.rest.partition("#")[0], safe=PRINTABLE)
        self._opener = opener(self._address, certificate)

    def open(self, timeout: float) -> HTTPResponse:
        """Raises OSError, HTTPException, ValueError or SourceError."""
        response: HTTPResponse = self._opener.open(self._url, timeout=timeout)
        return response

    def why(self, error: Exception) -> str:
        """What an error of ``open``, or of reading what it gives, means; without secrets."""
        if isinstance(error, FmnistEdgeError):
            return str(error)
        if isinstance(error, HTTPError):
            return f"{error.code} {heard(error.reason, self._source)}{CURES.get(error.code, '')}{self._way()}"
        if isinstance(error, URLError):
            reason = error.reason
            return self.why(reason) if isinstance(reason, Exception) else heard(reason, self._source) + self._way()
        if isinstance(error, ssl.SSLCertVerificationError):
            return distrusted(error, self._address)
        if isinstance(error, ssl.SSLError):
            return f"it does not speak HTTPS as it should ({heard(error.reason or error, self._source)}); is it http://?{self._way()}"
        if isinstance(error, HTTPException) or type(error) is ValueError:  # FFmpeg's are of types derived from it
            return f"it does not speak HTTP as it should ({heard(error, self._source)}){self._way()}"
        return in_words(error, self._source) + self._way()

    def _way(self) -> str:
        between = proxy(self._address)
        return f" (by way of {between}, which {self._address.scheme}_proxy names)" if between else ""


def fetch_picture(source: str, certificate: str | None) -> bytes | None:
    """The bytes of the picture at an address; None if it is a stream. Raises InputError, or UsageError for the address itself.

    The first bytes decide what it is, not the header.
    """
    url = Url(source, certificate)
    try:
        with url.open(TIMEOUT) as response:
            kind, begin = content_type(response), first_bytes(response)
            if is_stream(kind, begin) or is_film(begin):
                return None
            if not begin:
                raise InputError("it sends nothing")
            if is_page(kind, begin) and not mjpeg.is_picture(begin):
                raise InputError(f"it sends {heard(kind or 'a web page', source)}, not a picture; is the path right?")
            return receive(response, begin)
    except InputError:
        raise
    except (OSError, HTTPException, ValueError, SourceError) as error:
        raise InputError(url.why(error)) from None


def first_bytes(response: HTTPResponse) -> bytes:
    """Enough bytes to know what it is."""
    begin = b""
    while len(begin.lstrip()) < mjpeg.ENOUGH and (more := response.read1(mjpeg.READ_AT_ONCE)):
        begin += more
    return begin


def content_type(response: HTTPResponse) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def is_stream(kind: str, begin: bytes) -> bool:
    """The boundary of pictures in parts. kind: the content type."""
    return kind.startswith("multipart/") or (mjpeg.begins(begin) and not mjpeg.is_picture(begin))


def is_page(kind: str, begin: bytes) -> bool:
    return kind.startswith("text/") or begin.lstrip().startswith(b"<")


def receive(response: HTTPResponse, begin: bytes) -> bytes:
    """All of a picture; the first, if it is followed by others. Raises SourceError if it is too large."""
    waiting = [begin]
    if mjpeg.is_picture(begin):
        return next(mjpeg.split(lambda size: waiting.pop() if waiting else response.read1(size), ""))
    content = begin + response.read(MAX_BYTES + 1 - len(begin))
    if len(content) > MAX_BYTES:
        raise SourceError(f"it sends a picture larger than {MAX_BYTES // 10**6} MB")
    return content
