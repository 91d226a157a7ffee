"""What a source's text means: one grammar for `classify`, `explain` and `camera`, and which of them takes it.

| text                                      | what it is                               | taken by                                |
|-------------------------------------------|------------------------------------------|-----------------------------------------|
| `-`                                       | on stdin, names or a picture             | all                                     |
| `photos/`, `'photos/*.jpg'`, `%04d.png`   | a folder's pictures; those that fit      | all                                     |
| `shoe.png`, `shoes.zip`, `tiles.npy`      | a picture, several                       | all                                     |
| `http://`, `https://`                     | a picture, or a stream                   | all; a stream as those below            |
| `film.mp4`, `rtsp://`, `/dev/video0`, `0` | a video, a stream, a camera              | `camera`; `explain`, of its next frame  |
| `auto`, `picamera`, `test`                | the first camera that works, a Pi's own, | `camera`; `explain`, of its next frame  |
|                                           | FFmpeg's test picture                    |                                         |

What exists under a name comes first: where there is a folder `test`, `test` is that folder.
"""

import glob
import os
import re
import stat
from typing import NamedTuple

from fmnist_edge.address import HIDDEN, is_address, safe_name
from fmnist_edge.errors import UsageError, nearest
from fmnist_edge.pictures.kinds import is_film, is_picture
from fmnist_edge.terminal import printable


class Kind(NamedTuple):
    """what: it is, as users are told. watched: only `camera` takes it, and `explain` its next frame."""

    what: str
    watched: bool = False


STDIN = Kind("what comes on stdin")
FOLDER, PATTERN, SEQUENCE = Kind("a folder"), Kind("a pattern"), Kind("numbered pictures")
PICTURE, ARCHIVE, WEB = Kind("a picture"), Kind("an archive"), Kind("an address on the web")
OTHER = Kind("a file")
"""Which may be anything, or is not there: `classify` and `explain` read it as a picture, `camera` as a video."""
VIDEO, STREAM, DEVICE = Kind("a video", True), Kind("a stream", True), Kind("a camera", True)
AUTO, PICAMERA, TEST = Kind("the first camera that works", True), Kind("a Pi's own camera", True), Kind("a test picture", True)

WORDS = {"auto": AUTO, "picamera": PICAMERA, "test": TEST}
ON_STDIN = ("-", "/dev/stdin", "/dev/fd/0")
SCHEMES = {"http": WEB, "https": WEB, "rtsp": STREAM, "rtsps": STREAM}
NUMBER = r"%0?\d*d"
"""What stands for the number in the name of a sequence. Not compiled: most names have none."""

ZIP, NPY, GZIP, IDX = b"PK\x03\x04", b"\x93NUM", b"\x1f\x8b", b"\0\0\x08\x03"
ARCHIVES = (ZIP, NPY, GZIP, IDX)
"""How files begin. IDX: of bytes, in three dimensions."""

VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv", ".mpg", ".mpeg", ".vob"),
    *(".ts", ".mts", ".m2ts", ".mjpg", ".mjpeg", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".y4m"),
)


def kind_of(text: str) -> Kind:
    """Raises UsageError for an address that can't be meant so."""
    if not text:
        raise UsageError("a source has no name; is a variable empty?")
    if text in ON_STDIN:
        return STDIN
    if is_address(text):
        return kind_of_address(text)
    if os.path.lexists(text):
        return kind_of_file(text)
    if safe_name(text) != text:
        raise UsageError(f"{HIDDEN}: there is no such file, and an address begins as in rtsp://HOST/ or http://HOST/")
    if text in WORDS:
        return WORDS[text]
    if text.isdecimal() or text.startswith("/dev/"):
        return DEVICE
    if re.search(NUMBER, text):
        return SEQUENCE
    if glob.has_magic(text):
        return PATTERN
    return OTHER


def kind_of_address(text: str) -> Kind:
    scheme = text.partition("://")[0].lower()
    if scheme in SCHEMES:
        return SCHEMES[scheme]
    if scheme == "file":
        raise UsageError("file:// is for browsers; write the path without it")
    near = nearest(scheme, SCHEMES)
    cure = f"did you mean {near}://?" if near else "rtsp:// and http:// are known"
    raise UsageError(f"{scheme}:// is unknown; {cure}")


def kind_of_file(path: str) -> Kind:
    """Of something that exists. Pictures are known by their names: nobody opens them twice."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # a link that leads nowhere
        return OTHER
    if stat.S_ISDIR(mode):
        return FOLDER
    if stat.S_ISCHR(mode):
        return DEVICE
    if is_picture(os.path.basename(path)):
        return PICTURE
    begin = first_bytes(path)
    if begin.startswith(ARCHIVES):
        return ARCHIVE
    return VIDEO if is_film(begin) or path.lower().endswith(VIDEOS) else OTHER


def first_bytes(path: str) -> bytes:
    """A file's first sixteen, by which archives and videos are known; none if it can't be read, as reading it will say."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):  # a pipe would let us wait for who writes into it
            with open(path, "rb", buffering=0) as file:
                return file.read(16)
    except OSError:
        pass
    return b""


def how_to_watch(text: str, kind: Kind) -> str:
    """What is said of a source that only `camera` takes: what it is, and the very command, unless that would show a secret."""
    if safe_name(text) != text:
        return f"{kind.what}; 'fmnist-edge camera' takes the same address"
    import shlex  # rarely needed

    return f"{kind.what}; watch it with: fmnist-edge camera {'-- ' * text.startswith('-')}{printable(shlex.quote(text))}"
