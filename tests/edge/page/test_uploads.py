"""Pictures out of a request's body: which are taken, what they are called, and how much of them at most."""

import asyncio
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from fmnist_edge.page import uploads
from fmnist_edge.page.reader import Busy, Refused
from fmnist_edge.page.uploads import Upload, Uploads, read_small, read_uploads
from support.pages import multipart


def read(
    *chunks: bytes, held: Uploads | None = None, query: str = "", gone: bool = False, **headers: str
) -> tuple[list[Upload], bool]:
    """What is found in a request whose body comes in these chunks. gone: its connection ends before it does."""
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if gone and not waiting:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": waiting.pop(0) if waiting else b"", "more_body": gone or bool(waiting)}

    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query.encode(), "headers": named}

    async def act() -> tuple[list[Upload], bool]:
        with (held or Uploads()).hold() as mine:
            return await read_uploads(Request(scope, receive), mine)

    return asyncio.run(act())


def read_short(*chunks: bytes, gone: bool = False, seconds: float = 60) -> bytes:
    """A body of four bytes at most, which comes in these chunks, and then ends, or never does."""
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": gone or seconds < 1 or bool(waiting)}
        await asyncio.sleep(0 if gone else 60)
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    return asyncio.run(read_small(request, "label", seconds, 4, "no label is as long"))


def refusal(act: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.status, str(caught.value)


def form(*pictures: tuple[str, bytes], part: str = "picture", **changes: Any) -> tuple[list[Upload], bool]:
    body, kind = multipart(*pictures, part=part)
    return read(body, content_type=kind, **changes)


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "IMAGE/PNG", "application/octet-stream", "application/x-www-form-urlencoded", None]
)
def test_a_body_is_a_picture_whatever_it_is_called(kind: str | None) -> None:
    headers = {"content_type": kind} if kind else {}

    assert read(b"pictur", b"e", **headers) == ([Upload("picture", b"picture")], False)


def test_a_form_may_have_several_pictures_and_other_parts() -> None:
    assert form(("a.png", b"one"), ("b.png", b"two")) == ([Upload("a.png", b"one"), Upload("b.png", b"two")], True)
    assert form(("", b"one"))[0][0].content == b"one"


def test_a_name_is_shown_without_what_a_terminal_would_obey_and_cut() -> None:
    assert read(b"x", query="name=a%1b%5B31m%0Ab")[0][0].name == "a?[31m?b"
    assert read(b"x", query=f"name={'x' * 300}")[0][0].name == "x" * 200
    assert form(("鞋.png", b"x"))[0][0].name == "鞋.png"


WITHOUT_A_NAME = b'--b\r\nContent-Disposition: form-data; name="picture"\r\n\r\nx\r\n--b--\r\n'
OF_ANOTHER_KIND = "send a picture's bytes as image/... or application/octet-stream, or a form as multipart/form-data"


@pytest.mark.parametrize(
    ("chunks", "kind", "status", "said"),
    [
        ([], "image/png", 400, "the request is empty; send the bytes of a picture's file"),
        ([b"{}"], "application/json", 415, OF_ANOTHER_KIND),
        ([b"x"], "multipart/form-data", 400, "the form can't be read (missing boundary"),
        ([b"--b--\r\n"], "multipart/form-data; boundary=b", 400, "the form has no part named 'picture'"),
        ([WITHOUT_A_NAME], "multipart/form-data; boundary=b", 400, "the part 'picture' has no file name, so it is not a picture"),
    ],
)
def test_what_holds_no_picture_is_refused_with_the_cure(chunks: list[bytes], kind: str, status: int, said: str) -> None:
    found = refusal(lambda: read(*chunks, content_type=kind))

    assert (found[0], found[1][: len(said)]) == (status, said)


def test_a_short_body_is_read_up_to_its_limit() -> None:
    assert read_short(b"ab", b"cd") == b"abcd"
    assert refusal(lambda: read_short(b"ab", b"cde")) == (413, "no label is as long")


def test_a_short_body_that_breaks_off_or_does_not_come_is_not_waited_for() -> None:
    assert refusal(lambda: read_short(b"ab", gone=True)) == (400, "the connection ended before the label had arrived")
    assert refusal(lambda: read_short(b"ab", seconds=0.01)) == (408, "the label did not arrive within 0.01 seconds")


def test_the_parts_of_a_form_that_are_no_pictures_are_short_and_few() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n'
    picture = b'\r\n--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\nx\r\n--b--\r\n'

    assert read(head + b"n" * 1000 + picture, content_type="multipart/form-data; boundary=b")[0] == [Upload("a.png", b"x")]
    status, said = refusal(lambda: read(head + b"n" * 1001 + picture, content_type="multipart/form-data; boundary=b"))
    assert (status, said.startswith("the form can't be read (part exceeded")) == (400, True)
    note = head + b"n\r\n"
    assert read(20 * note + picture[2:], content_type="multipart/form-data; boundary=b")[0] == [Upload("a.png", b"x")]
    assert refusal(lambda: read(21 * note + picture[2:], content_type="multipart/form-data; boundary=b"))[0] == 413


def test_a_form_is_held_in_memory_and_never_in_a_file_and_has_a_limit_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card wears out."""
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda self: pytest.fail("it is written to a file"))
    pictures = [("a.png", bytes(1_100_000))] * 2
    assert len(form(*pictures)[0]) == 2
    monkeypatch.setattr(uploads, "MAX_BODY", 2_200_000)

    assert refusal(lambda: form(*pictures)) == (413, "larger than 2 MB; make it smaller first")


def test_half_a_picture_is_none() -> None:
    assert refusal(lambda: read(b"half", gone=True)) == (400, "the connection ended before the picture had arrived")
    assert refusal(lambda: form(("a.png", b"x"), part="file")) == (400, "the form has no part named 'picture'")


def test_twenty_pictures_are_taken_and_one_more_is_not() -> None:
    assert len(form(*[("a.png", b"x")] * 20)[0]) == 20

    status, said = refusal(lambda: form(*[("a.png", b"x")] * 21))
    assert (status, said.endswith("; 20 pictures at most")) == (413, True)


@pytest.mark.parametrize("headers", [{}, {"content_length": "x"}, {"content_length": "1"}])
def test_a_picture_up_to_the_limit_is_taken_and_a_larger_one_is_not(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (uploads.MAX_PICTURE, uploads.MAX_BODY, uploads.MAX_HELD, uploads.BODY_SECONDS) == (
        24_000_000,
        48_000_000,
        96_000_000,
        30,
    )
    monkeypatch.setattr(uploads, "MAX_PICTURE", 1_000_000)

    assert len(read(bytes(999_999), b"x", **headers)[0][0].content) == 1_000_000
    assert len(form(("a.png", bytes(1_000_000)))[0][0].content) == 1_000_000
    too_large = 413, "larger than 1 MB; make it smaller first"
    assert refusal(lambda: read(bytes(999_999), b"xx", **headers)) == too_large
    assert refusal(lambda: form(("a.png", bytes(1_000_001)))) == too_large


def test_what_is_said_to_be_too_long_is_not_read() -> None:
    assert refusal(lambda: read(b"x", content_length="24000001")) == (413, "larger than 24 MB; make it smaller first")
    assert read(b"x", content_length="24000000")[0]


def test_all_bodies_together_have_a_limit_and_count_no_longer_than_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_HELD", 100)
    held = Uploads()
    held.held = 40

    assert read(bytes(60), held=held)
    with pytest.raises(Busy):
        read(bytes(61), held=held)

    assert held.held == 40


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BODY_SECONDS", 0.01)

    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    async def act() -> None:
        with Uploads().hold() as mine:
            await read_uploads(Request({"type": "http", "method": "POST", "headers": []}, never), mine)

    assert refusal(lambda: asyncio.run(act())) == (408, "the picture did not arrive within 0.01 seconds")
