"""MJPEG as cameras really send it: each dialect gives the same pictures, in whatever pieces it comes."""

import io
import tracemalloc
from collections.abc import Iterator
from itertools import chain, repeat

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fmnist_edge.cameras import mjpeg
from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import Feed
from fmnist_edge.cameras.mjpeg import begins, codec_of, is_picture, split
from fmnist_edge.errors import SourceError
from support.camera_server import answering, send_forever


def encoded(form: str, seed: int, **options: object) -> bytes:
    """A noisy picture: all kinds of bytes are in it."""
    pixels, file = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


PREVIEW = encoded("jpeg", 0)
JPEGS = [encoded("jpeg", 1), encoded("jpeg", 2, restart_marker_blocks=1), encoded("jpeg", 3, exif=b"Exif\0\0" + PREVIEW)]
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


def saved(form: str, gray: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (16, 16), gray).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "codec", "dialect"),
    [
        ("jpeg", "mjpeg", "pictures and nothing else"),
        ("png", "png", "pictures and nothing else"),
        ("webp", "webp", "pictures and nothing else"),
        ("bmp", "bmp", "pictures and nothing else"),
        ("gif", "gif", "as it should be"),  # which does not say how long it is
        ("gif", "gif", "no length"),
    ],
)
def test_pictures_of_each_format_are_known_and_parted(form: str, codec: str, dialect: str) -> None:
    pictures = [saved(form, gray) for gray in (100, 200)]

    assert [codec_of(picture) for picture in pictures] == [codec, codec]
    assert all(is_picture(b"\r\n" + picture) for picture in pictures)
    assert split_all(b"".join(map(DIALECTS[dialect], pictures))) == [picture.rstrip(b"\0\r\n") for picture in pictures]


def test_what_is_no_picture_fills_no_memory() -> None:
    come = chain([b"x" * 65_536] * 300, [JPEGS[0]], repeat(b""))

    tracemalloc.start()
    pictures = list(split(lambda size: next(come), ""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert pictures == [JPEGS[0]]
    assert peak < 8_000_000


def test_a_picture_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mjpeg.MAX_BYTES == 256_000_000
    monkeypatch.setattr(mjpeg, "MAX_BYTES", 1_000_000)
    come = chain([b"\xff\xd8\xff\xe0"], repeat(bytes(10_000), 101))

    with pytest.raises(SourceError, match=r"^it sends a picture larger than 1 MB$"):
        next(split(lambda size: next(come), ""))


def test_what_was_read_at_once_is_as_much_as_was_asked_for() -> None:
    asked = []

    def read(size: int) -> bytes:
        asked.append(size)
        return b""

    assert list(split(read, "")) == []
    assert asked == [65_536]


def test_of_a_picture_that_has_begun_no_more_is_asked_for_either() -> None:
    asked, come = [], iter([JPEGS[0][:100], JPEGS[0][100:]])

    def read(size: int) -> bytes:
        asked.append(size)
        return next(come)

    assert next(split(read, "")) == JPEGS[0]
    assert asked == [65_536, 65_536]


def test_half_of_a_snapshot_is_shown_for_what_it_is() -> None:
    assert split_all(JPEGS[0][:-2000]) == [JPEGS[0][:-2000].rstrip(b"\0\r\n")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(DIALECTS)), st.integers(1, 5000))
@example("pictures and nothing else", 2)  # one piece ends with the first byte of the next picture
def test_it_does_not_matter_in_what_pieces_it_comes(dialect: str, pieces: int) -> None:
    content = b"".join(DIALECTS[dialect](picture) for picture in JPEGS)

    assert split_all(content, pieces) == JPEGS


WHOLE = {
    "JPEG": JPEGS[0],
    "JPEG with restarts": JPEGS[1],
    "JPEG with a preview": JPEGS[2],
    "JPEG that begins with its preview": JPEGS[2][:2] + JPEGS[2][20:],
    "JPEG with a fill byte before its preview": JPEGS[2].replace(b"\xff\xe1", b"\xff\xff\xe1", 1),
    "JPEG that ends in a byte of 255": JPEGS[0][:-2] + b"\xff\x00\xff\xd9",
    "PNG": PNGS[0],
    **{form: saved(form, 100) for form in ("bmp", "webp", "gif")},
}


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("as it should be", "JPEG"),
        ("as it should be", "gif"),
        ("no length", "JPEG"),
        ("nothing after the picture", "JPEG"),
        *[("pictures and nothing else", name) for name in WHOLE if name != "gif"],
    ],
)
def test_a_picture_does_not_wait_for_the_next(dialect: str, name: str) -> None:
    come = iter([DIALECTS[dialect](WHOLE[name])])  # and then nothing: to ask again would be an error

    assert next(split(lambda size: next(come), "frame")) == WHOLE[name]


@pytest.mark.parametrize("pieces", [1000, 100_000])
def test_a_picture_that_lacks_its_end_ends_at_the_boundary_and_costs_no_other(pieces: int) -> None:
    broken = JPEGS[0][:-2]
    parts = [DIALECTS["no length"](picture) for picture in (broken, *JPEGS[1:])]

    assert split_all(b"".join(parts), pieces) == [broken, *JPEGS[1:]]


def test_a_picture_that_lacks_its_end_ends_where_the_next_begins() -> None:
    broken = JPEGS[0][:-2]

    assert split_all(broken + JPEGS[1], 100_000) == [broken, JPEGS[1]]


@pytest.mark.parametrize("boundary", ["frame", " --frame "])
def test_a_picture_that_lacks_its_end_ends_at_the_announced_boundary_if_none_has_come_yet(boundary: str) -> None:
    content = DIALECTS["the boundary after the picture (ESP32-CAM)"](JPEGS[1])
    broken = JPEGS[0][:-2]

    assert split_all(headed("Content-Type: image/jpeg") + broken + b"\r\n--frame\r\n" + content, boundary=boundary) == [
        broken,
        JPEGS[1],
    ]


def test_a_boundary_in_letters_that_no_header_has_is_none() -> None:
    assert split_all(b"".join(JPEGS), boundary="\N{SNOWMAN}") == JPEGS


def test_neither_a_wrong_length_nor_a_lacking_end_costs_the_next_picture() -> None:
    broken = JPEGS[0][:-2]
    parts = [headed("--frame", length(broken, -40)) + broken + b"\r\n", DIALECTS["as it should be"](JPEGS[1])]

    assert split_all(b"".join(parts)) == [broken, JPEGS[1]]
    come = iter([parts[0] + b"--frame\r\n"])  # it does not wait for the next either
    assert next(split(lambda size: next(come), "frame")) == broken + b"\r"


def test_what_looks_like_a_short_boundary_in_a_picture_does_not_end_it() -> None:
    picture = encoded("jpeg", 1, comment=b"--frame")

    assert split_all(DIALECTS["no length"](picture) + DIALECTS["no length"](JPEGS[1])) == [picture, JPEGS[1]]
    picture = encoded("jpeg", 1, comment=b"\n--")
    assert split_all(picture + JPEGS[1], boundary="") == [picture, JPEGS[1]]


def test_a_longer_boundary_ends_a_picture_without_a_line_feed_before_it() -> None:
    broken = JPEGS[0][:-2]
    parts = [headed("--frames") + broken, headed("--frames") + JPEGS[1]]

    assert split_all(b"".join(parts)) == [broken, JPEGS[1]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (JPEGS[0], True),
        (b"\r\n" + PNGS[0], True),
        (b"--frame\r\n", True),
        (b"\r\nContent-Length: 9\r\n", True),
        (b"content-type: image/jpeg\n", True),
        (b"<html>", False),
        (b"Content-Language: en\r\n", False),
    ],
)
def test_pictures_and_their_parts_are_known_by_how_they_begin(content: bytes, expected: bool) -> None:
    assert begins(content) is expected


def test_half_a_picture_at_the_end_of_a_stream_is_none() -> None:
    content = DIALECTS["as it should be"](JPEGS[0]) + DIALECTS["as it should be"](JPEGS[1])[:-2000]

    assert split_all(content) == [JPEGS[0]]


SMALL = saved("png", 100)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(st.binary(max_size=50), st.sampled_from([b"\xff\xd8\xff", b"--frame\r\n", b"Content-Length: 9\r\n\r\n", SMALL]))
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
