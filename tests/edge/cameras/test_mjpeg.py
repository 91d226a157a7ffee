"""MJPEG as cameras really send it: each dialect gives the same pictures, in whatever pieces it comes."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import Feed
from fmnist_edge.cameras.mjpeg import split
from support.camera_server import answering, send_forever


def encoded(form: str, seed: int, **options: object) -> bytes:
    """A noisy picture: all kinds of bytes are in it."""
    pixels, file = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


PREVIEW = encoded("jpeg", 0)
JPEGS = [encoded("jpeg", 1), encoded("jpeg", 2, restart_marker_rows=1), encoded("jpeg", 3, exif=b"Exif\0\0" + PREVIEW)]
PNGS = [encoded("png", seed) for seed in (1, 2, 3)]
MULTIPART = "multipart/x-mixed-replace; boundary=frame"


def headed(*lines: str, end: str = "\r\n") -> bytes:
    return "".join(line + end for line in (*lines, "")).encode()


def length(picture: bytes, more: int = 0) -> str:
    return f"Content-Length: {len(picture) + more}"


DIALECTS = {
    "as it should be": lambda p: headed("--frame", "Content-Type: image/jpeg", length(p)) + p + b"\r\n",
    "the boundary after the picture (ESP32-CAM)": lambda p: (
        headed("Content-Type: image/jpeg", length(p)) + p + b"\r\n--frame\r\n"
    ),
    "image/jpg": lambda p: headed("--frame", "Content-Type: image/jpg", length(p)) + p + b"\r\n",
    "image/jpeg;size=": lambda p: headed("--frame", f"Content-Type: image/jpeg;size={len(p)}", length(p)) + p + b"\r\n",
    "no type": lambda p: headed("--frame", length(p)) + p + b"\r\n",
    "no length": lambda p: headed("--frame", "Content-Type: image/jpeg") + p + b"\r\n",
    "no headers": lambda p: headed("--frame") + p + b"\r\n",
    "not even an empty line": lambda p: b"--frame\r\n" + p + b"\r\n",
    "line feeds alone": lambda p: headed("--frame", length(p), end="\n") + p + b"\n",
    "capital letters": lambda p: headed("--frame", length(p).upper()) + p + b"\r\n",
    "nothing after the picture": lambda p: headed("--frame", length(p)) + p,
    "another boundary than announced": lambda p: headed("--other", length(p)) + p + b"\r\n",
    "a boundary with its dashes announced": lambda p: headed("----frame", length(p)) + p + b"\r\n",
    "a length that is too short": lambda p: headed("--frame", length(p, -40)) + p + b"\r\n",
    "a length that is too long": lambda p: headed("--frame", length(p, 25)) + p + b"\r\n",
    "a length of nothing": lambda p: headed("--frame", "Content-Length: 0") + p + b"\r\n",
    "pictures and nothing else": lambda p: p,
    "padding that counts": lambda p: headed("--frame", length(p, 7)) + p + bytes(7) + b"\r\n",
    "text between the pictures": lambda p: (
        headed("--frame", "Content-Type: text/plain", "Content-Length: 4")
        + b"idle\r\n"
        + headed("--frame", length(p))
        + p
        + b"\r\n"
    ),
}


def reader(content: bytes, pieces: int) -> Iterator[bytes]:
    yield from (content[start : start + pieces] for start in range(0, len(content), pieces))
    while True:
        yield b""


def split_all(content: bytes, pieces: int = 1000, boundary: str = "frame") -> list[bytes]:
    come = reader(content, pieces)
    return [picture.rstrip(b"\0\r\n") for picture in split(lambda size: next(come), boundary)]


@pytest.mark.parametrize("pictures", [JPEGS, PNGS], ids=["JPEG", "PNG"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_gives_the_pictures(dialect: str, pictures: list[bytes]) -> None:
    content = b"".join(DIALECTS[dialect](picture) for picture in pictures)

    assert split_all(content) == pictures


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(DIALECTS)), st.integers(1, 5000))
def test_it_does_not_matter_in_what_pieces_it_comes(dialect: str, pieces: int) -> None:
    content = b"".join(DIALECTS[dialect](picture) for picture in JPEGS)

    assert split_all(content, pieces) == JPEGS


@pytest.mark.parametrize("dialect", ["as it should be", "no length", "pictures and nothing else"])
def test_a_picture_does_not_wait_for_the_next(dialect: str) -> None:
    come = iter([DIALECTS[dialect](JPEGS[0])])  # and then nothing: to ask again would be an error

    assert next(split(lambda size: next(come), "frame")) == JPEGS[0]


def test_a_picture_that_lacks_its_end_ends_at_the_boundary_and_costs_no_other() -> None:
    broken = JPEGS[0][:-2]
    parts = [DIALECTS["no length"](picture) for picture in (broken, JPEGS[1])]

    assert split_all(b"".join(parts)) == [broken, JPEGS[1]]


def test_half_a_picture_at_the_end_of_a_stream_is_none() -> None:
    content = DIALECTS["as it should be"](JPEGS[0]) + DIALECTS["as it should be"](JPEGS[1])[:-2000]

    assert split_all(content) == [JPEGS[0]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=50), st.sampled_from([b"\xff\xd8\xff", b"--frame\r\n", b"Content-Length: 9\r\n\r\n", *PNGS]))
    )
)
def test_no_stream_is_too_odd(parts: list[bytes]) -> None:
    assert sum(map(len, split_all(b"".join(parts), 7))) <= sum(map(len, parts))


@pytest.mark.parametrize("kind", [MULTIPART, "multipart/x-mixed-replace", "image/jpeg", "text/plain", None])
@pytest.mark.parametrize("dialect", ["the boundary after the picture (ESP32-CAM)", "no type", "pictures and nothing else"])
def test_a_camera_is_watched_whatever_its_header_says(dialect: str, kind: str | None) -> None:
    part = DIALECTS[dialect](JPEGS[0])
    with (
        answering(lambda handler: send_forever(handler, kind, part)) as place,
        Feed(cameras(f"http://{place}/video", FeedOptions(patience=2)), FeedOptions(patience=2), print) as feed,
    ):
        frames = [feed.next(5) for _ in range(3)]

    assert [frame.image.size for frame in frames if frame] == 3 * [(64, 48)]
    assert feed.name == f"http://{place}/video, 64x48 mjpeg"
