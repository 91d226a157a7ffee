"""Splits what a camera sends over HTTP into pictures: the parts of multipart/x-mixed-replace, or pictures one after the other.

Cameras disagree on all that stands around a picture: boundaries, headers, lengths. So a picture is known by its first bytes.
"""

import re
from collections.abc import Callable, Iterator

from fmnist_edge.errors import SourceError
from fmnist_edge.pictures.decode import MAX_BYTES

START = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL)
CODECS = {b"\xff": "mjpeg", b"\x89": "png", b"G": "gif", b"R": "webp", b"B": "bmp"}
"""FFmpeg's, by the first byte of what ``START`` finds."""

PART = re.compile(rb"\s*(--[^\r\n]+|content-(type|length)[ \t]*:[^\r\n]*)\r?\n", re.IGNORECASE)
LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
BOUNDARY = re.compile(rb"^--+([^\r\n-][^\r\n]*?)[ \t]*\r?$", re.MULTILINE)

ENOUGH = 16
"""Bytes that tell whether a picture begins with them."""

MAX_HEAD = 64_000
"""Bytes between two pictures that are kept."""

READ_AT_ONCE = 65_536

PNG_END = b"IEND\xaeB`\x82"


def begins(content: bytes) -> bool:
    """Whether pictures, or parts that may be pictures, begin so."""
    return is_picture(content) or bool(PART.match(content))


def is_picture(content: bytes) -> bool:
    return bool(START.match(content.lstrip()))


def codec_of(picture: bytes) -> str:
    return CODECS[picture[:1]]


def split(read: Callable[[int], bytes], boundary: str) -> Iterator[bytes]:
    """Each picture as soon as it is there.

    read: returns what has come, at most so many bytes, none at the end. boundary: as the stream's header says; the one that
    is really sent counts. Raises SourceError, and what ``read`` does.
    """
    buffer, delimiter, first = bytearray(), boundary.strip().lstrip("-").encode("latin-1", "replace"), True
    while True:
        while not (found := START.search(buffer)):
            del buffer[:-MAX_HEAD]
            if not (content := read(READ_AT_ONCE)):
                return
            buffer += content
        head = bytes(buffer[: found.start()])
        del buffer[: found.start()]
        if boundaries := list(BOUNDARY.finditer(head)):
            delimiter, head = boundaries[-1][1], head[boundaries[-1].end() :]
        lengths = LENGTH.findall(head)
        length = int(lengths[-1]) if lengths else 0
        while not (end := end_of(buffer, length, delimiter)):
            if len(buffer) > MAX_BYTES:
                raise SourceError(f"it sends a picture larger than {MAX_BYTES // 10**6} MB")
            if not (content := read(READ_AT_ONCE)):
                # a stream that breaks off leaves half a picture
                if first or is_whole(buffer):
                    yield bytes(buffer)
                return
            buffer += content
        yield bytes(buffer[:end])
        del buffer[:end]
        first = False


def end_of(buffer: bytearray, length: int, delimiter: bytes) -> int | None:
    """Where the picture at the buffer's beginning ends; None if more must come. length: 0 if none is named; it may be untrue."""
    # a short one may be in a picture by chance
    next_part = buffer.find(b"--" + delimiter if len(delimiter) > 5 else b"\n--" + delimiter) if delimiter else -1
    if 0 < next_part < (length or len(buffer)):
        length = next_part
    if length > len(buffer):
        return None
    if length and (is_whole(buffer[:length]) or length == next_part):
        return length
    by_itself = end_by_itself(buffer)
    return next_part if by_itself is None and next_part > 0 else by_itself


def is_whole(picture: bytearray) -> bool:
    """Whether it ends as its format does, but for padding. Of GIF and BMP that is not looked at."""
    content = picture.rstrip(b"\0\r\n ")
    if picture[:1] == b"\xff":
        return content.endswith(b"\xff\xd9")
    return picture[:1] != b"\x89" or PNG_END in content[-20:]


def end_by_itself(buffer: bytearray) -> int | None:
    """Where the picture's own format says that it ends."""
    if buffer[:1] == b"\xff":
        return end_of_jpeg(buffer)
    if buffer[:1] == b"\x89":
        return found + len(PNG_END) if (found := buffer.find(PNG_END)) > 0 else None
    size = 0
    if buffer[:1] == b"R":
        size = int.from_bytes(buffer[4:8], "little") + 8
    if buffer[:1] == b"B":
        size = int.from_bytes(buffer[2:6], "little")
    return size if ENOUGH < size <= len(buffer) else None


def end_of_jpeg(buffer: bytearray) -> int | None:
    """Behind its end marker, or where another JPEG begins; previews in its segments are passed over (ITU T.81, annex B)."""
    if b"\xff\xd9" not in buffer:
        return None
    position = 2
    while 0 <= (position := buffer.find(b"\xff", position)) < len(buffer) - 3:
        marker = buffer[position + 1]
        if marker == 0xD9:
            return position + 2
        if marker == 0xD8:
            return position
        if marker == 0xFF:
            position += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD7:  # a byte of the picture, or a restart
            position += 2
        else:
            position += 2 + int.from_bytes(buffer[position + 2 : position + 4], "big")
    return position + 2 if position >= 0 and buffer[position : position + 2] == b"\xff\xd9" else None
