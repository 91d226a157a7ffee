"""Reads pictures from a request's body. Limits apply to its bytes, to the bytes of all bodies together, to pictures and time."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import anyio
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from fmnist_edge.page.reader import Busy, Refused

MAX_PICTURE = 24_000_000
"""The largest picture, in bytes: twice a large photo of a phone."""

MAX_BODY = 48_000_000
"""The largest form with several pictures, in bytes."""

MAX_HELD = 96_000_000
"""The most bytes of all bodies in memory: a Pi Zero 2 has 512 MB."""

MAX_PICTURES = 20

BODY_SECONDS = 30.0
"""How long a body may take to arrive: enough for 48 MB over a slow wireless network."""

RAW = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")
"""Media types of bodies that are one picture. The last is curl's default."""
FORM = "multipart/form-data"
PART = "picture"

LONGEST_NAME = 200


class Upload(NamedTuple):
    name: str
    content: bytes


class Uploads:
    """Counts the bytes of all requests' bodies in memory."""

    def __init__(self) -> None:
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator["Held"]:
        """Counts one request's bytes until its answer is made."""
        held = Held(self)
        try:
            yield held
        finally:
            self.held -= held.bytes


class Held:
    """One request's bytes in memory."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads, self.bytes = uploads, 0

    async def chunks(self, request: Request, most: int) -> AsyncGenerator[bytes, None]:
        """The body's chunks. Raises Refused if it has more than ``most`` bytes, Busy if all bodies together are too large."""
        try:
            expected = int(request.headers.get("content-length", "0"))
        except ValueError:
            expected = 0
        if expected > most:
            raise too_long(most)
        async for chunk in request.stream():
            self.bytes += len(chunk)
            self._uploads.held += len(chunk)
            if self.bytes > most:
                raise too_long(most)
            if self._uploads.held > MAX_HELD:
                raise Busy
            yield chunk


async def read_small(request: Request, what: str, seconds: float, most: int, too_long: str) -> bytes:
    """A short body. Raises Refused. what: its name in error messages; too_long: the message for one with more than most bytes."""
    content = b""
    try:
        with anyio.fail_after(seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most:
                    raise Refused(413, too_long)
    except TimeoutError:
        raise Refused(408, f"the {what} did not arrive within {seconds:g} seconds") from None
    except ClientDisconnect:
        raise Refused(400, f"the connection ended before the {what} had arrived") from None
    return content


async def read_uploads(request: Request, held: Held) -> tuple[list[Upload], bool]:
    """The pictures, and whether they came in a form (which may hold several). Raises Refused or Busy."""
    kind = request.headers.get("content-type", "application/octet-stream").lower()
    try:
        with anyio.fail_after(BODY_SECONDS):
            if kind.startswith(FORM):
                return await read_form(request, held), True
            if not kind.startswith(RAW):
                raise Refused(415, f"send a picture's bytes as image/... or application/octet-stream, or a form as {FORM}")
            content = b"".join([chunk async for chunk in held.chunks(request, MAX_PICTURE)])
    except TimeoutError:
        raise Refused(408, f"the picture did not arrive within {BODY_SECONDS:g} seconds") from None
    except ClientDisconnect:
        raise Refused(400, "the connection ended before the picture had arrived") from None
    if not content:
        raise Refused(400, "the request is empty; send the bytes of a picture's file")
    return [Upload(shown_name(request.query_params.get("name", "picture")), content)], False


async def read_form(request: Request, held: Held) -> list[Upload]:
    parser = MultiPartParser(
        request.headers, held.chunks(request, MAX_BODY), max_files=MAX_PICTURES, max_fields=MAX_PICTURES, max_part_size=1000
    )
    parser.spool_max_size = 2 * MAX_BODY  # never a file
    try:
        form = await parser.parse()
    except MultiPartException as error:
        too_many = error.message.startswith("Too many")
        raise Refused(
            413 if too_many else 400,
            f"{error.message.rstrip('.')}; {MAX_PICTURES} pictures at most"
            if too_many
            else f"the form can't be read ({error.message.rstrip('.').lower()})",
        ) from None
    uploads = []
    try:
        for part in form.getlist(PART):
            if isinstance(part, str):
                raise Refused(400, f"the part '{PART}' has no file name, so it is not a picture")
            content = await part.read()
            if len(content) > MAX_PICTURE:
                raise too_long(MAX_PICTURE)
            uploads.append(Upload(shown_name(part.filename or PART), content))
    finally:
        await form.close()
    if not uploads:
        raise Refused(400, f"the form has no part named '{PART}'")
    return uploads


def shown_name(name: str) -> str:
    """A picture's name for the answer: shortened, and printable. It is never used as a file name."""
    return "".join(character if character.isprintable() else "?" for character in name[:LONGEST_NAME])


def too_long(most: int) -> Refused:
    return Refused(413, f"larger than {most // 10**6} MB; make it smaller first")
