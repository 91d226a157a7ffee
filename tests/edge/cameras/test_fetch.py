"""A picture from the web, as `classify` and `explain` take it: without PyAV, and by the rules for cameras."""

import io
import os
import re
import socket
import ssl
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler
from urllib.error import URLError

import pytest
from PIL import Image

from fmnist_edge.cameras import fetch, mjpeg
from fmnist_edge.cameras.camera import in_words
from fmnist_edge.cameras.fetch import Url, fetch_picture
from fmnist_edge.classify.find import find
from fmnist_edge.classify.reading import Options
from fmnist_edge.errors import InputError, SourceError, UsageError
from support.camera_server import answering, jpeg, send_once


def saved(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), (200, 0, 0)).save(file, form)
    return file.getvalue()


def refusal(address: str, options: Options = Options()) -> str:  # noqa: B008
    (source,) = find([address], options)
    with pytest.raises(InputError) as refused:
        source.open()
    return str(refused.value)


@pytest.mark.parametrize("kind", ["image/jpeg", "text/html", None])
@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "bmp", "gif"])
def test_a_picture_is_known_by_its_first_bytes_whatever_the_server_calls_it(form: str, kind: str | None) -> None:
    with answering(lambda handler: send_once(handler, kind, saved(form))) as place:
        (source,) = find([f"http://{place}/snap"], Options())

        assert source.open().size == (320, 240)
    assert source.name == f"http://{place}/snap"


def test_a_format_that_no_camera_sends_is_read_too() -> None:
    with answering(lambda handler: send_once(handler, None, saved("tiff"))) as place:
        assert fetch_picture(f"http://{place}/", None) == saved("tiff")


def test_of_pictures_one_after_the_other_the_first_counts() -> None:
    with answering(lambda handler: send_once(handler, None, jpeg(size=(32, 24)) + jpeg(size=(64, 48)))) as place:
        assert fetch_picture(f"http://{place}/", None) == jpeg(size=(32, 24))


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        ("multipart/x-mixed-replace; boundary=x", b"", "a stream; watch it with: fmnist-edge camera http://{}/a"),
        (None, b"--x\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(), "a stream; watch it with: fmnist-edge camera http://{}/a"),
        ("video/mp4", b"\0\0\0\x20ftypisom\0\0\x02\0", "a stream; watch it with: fmnist-edge camera http://{}/a"),
        ("text/html", b"<p>Please log in</p>", "it sends text/html, not a picture; is the path right?"),
        ("Text/HTML ; charset=utf-8", b"<p>Please log in</p>", "it sends text/html, not a picture; is the path right?"),
        ("text/plain", b"no picture at night", "it sends text/plain, not a picture; is the path right?"),
        (None, b"<!doctype html><p>Please log in</p>", "it sends a web page, not a picture; is the path right?"),
        (None, b"\r\n <!doctype html><p>Please log in</p>", "it sends a web page, not a picture; is the path right?"),
        (None, b"", "it sends nothing"),
        ("image/heic", b"\0\0\0\x18ftypheic\0\0\0\0", "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture, but HEIC; "),
        ("image/jpeg", jpeg()[:300], "the picture is truncated or damaged"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(kind: str | None, content: bytes, complaint: str) -> None:
    with answering(lambda handler: send_once(handler, kind, content)) as place:
        assert refusal(f"http://{place}/a").startswith(complaint.format(place))


def test_what_is_larger_than_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 100_000)
    monkeypatch.setattr(mjpeg, "MAX_BYTES", 100_000)
    for content in (saved("tiff"), b"\xff\xd8\xff\xe0" + bytes(200_000)):
        with answering(lambda handler, content=content: send_once(handler, None, content)) as place:  # type: ignore[misc]
            assert refusal(f"http://{place}/a").startswith("it sends a picture larger than ")


def test_what_just_fits_is_read_whole_and_what_does_not_is_refused_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (fetch.MAX_BYTES, fetch.TIMEOUT) == (256_000_000, 7.5)
    content = b"II*\0" + bytes(2_000_000)
    with answering(lambda handler: send_once(handler, None, content)) as place:
        monkeypatch.setattr(fetch, "MAX_BYTES", len(content))
        assert fetch_picture(f"http://{place}/a", None) == content
        monkeypatch.setattr(fetch, "MAX_BYTES", len(content) - 1)
        with pytest.raises(InputError, match=r"^it sends a picture larger than 2 MB$"):
            fetch_picture(f"http://{place}/a", None)


def test_a_picture_that_comes_in_small_pieces_is_whole() -> None:
    def slowly(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for piece in (b"\r\n", jpeg()[:3], jpeg()[3:7], jpeg()[7:]):
            handler.wfile.write(piece)
            time.sleep(0.02)

    with answering(slowly) as place:
        assert fetch_picture(f"http://{place}/", None) == jpeg()


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT", 0.1)
    with answering(lambda handler: time.sleep(0.5)) as place:
        assert refusal(f"http://{place}/a") == in_words(TimeoutError(), "")


@pytest.mark.parametrize(
    ("status", "complaint"),
    [(404, "404 Not Found; look for the right path"), (503, "503 Service Unavailable"), (418, "418 I'm a Teapot")],
)
def test_what_the_server_says_is_passed_on(status: int, complaint: str) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()

    with answering(refuse) as place:
        assert refusal(f"http://{place}/a") == complaint


def test_the_server_is_asked_for_the_path_as_it_was_written_but_for_what_no_path_may_have() -> None:
    asked = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        send_once(handler, None, jpeg())

    with answering(note) as place:
        fetch_picture(f"http://{place}/caf\N{LATIN SMALL LETTER E WITH ACUTE}/a%20b?x=[1]&y=%41#there", None)
        fetch_picture(f"http://{place}/snap", None)

    assert asked == ["/caf%C3%A9/a%20b?x=[1]&y=%41", "/snap"]


def test_a_server_that_speaks_something_else_is_called_that() -> None:
    def mumble(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"mumble\r\n")

    with answering(mumble) as place:
        assert refusal(f"http://{place}/a") == "it does not speak HTTP as it should (mumble)"
        said = refusal(f"https://{place}/a")
    # OpenSSL's reason, which depends on its version
    assert re.fullmatch(r"it does not speak HTTPS as it should \([A-Z][A-Z_]+\); is it http://\?", said)


def test_other_errors_keep_their_words() -> None:
    url = Url("http://h/", None)

    assert url.why(URLError("no host given")) == "no host given"
    assert url.why(ValueError("a strange address")) == "it does not speak HTTP as it should (a strange address)"
    assert url.why(SourceError("it sends too much")) == "it sends too much"


def test_a_photo_with_too_many_pixels_is_refused() -> None:
    with answering(lambda handler: send_once(handler, None, saved("png"))) as place:
        assert refusal(f"http://{place}/a", Options(max_pixels=100)).startswith("larger than 0.0001 million pixels")


def test_user_and_password_are_used_and_never_shown() -> None:
    def guard(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["Authorization"] == "Basic " + b64encode(b"joe:s3cret").decode():
            send_once(handler, "image/jpeg", jpeg())
        else:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
            handler.end_headers()

    with answering(guard) as place:
        (right, wrong) = find([f"http://joe:s3cret@{place}/a?k=1", f"http://joe:wr0ng@{place}/a"], Options())

        assert right.open().size == (320, 240)
        assert {right.name, wrong.name} == {f"http://{place}/a"}
        with pytest.raises(InputError, match=r"^401 Unauthorized; name user and password: http://USER:PASSWORD@"):
            wrong.open()


def test_a_host_that_does_not_exist_is_not_found() -> None:
    assert refusal("http://no-such-host.invalid/a.jpg").startswith("host not found")
    for number, words in (
        (socket.EAI_NONAME, "host not found"),
        (socket.EAI_AGAIN, "host not found; is this device on the network?"),
    ):
        assert in_words(socket.gaierror(number, "Name or service not known"), "rtsp://h/") == words


def test_where_nobody_listens_is_said() -> None:
    with answering(lambda handler: send_once(handler, None, b"")) as place:
        pass

    assert refusal(f"http://{place}/a.jpg") == "connection refused"


def test_a_proxy_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://me:geheim@127.0.0.1:9")
    # so that what is set for the local network is taken back after the test
    monkeypatch.setattr(os, "environ", os.environ.copy())

    assert refusal("http://8.8.8.8/a.jpg").endswith("(by way of http://127.0.0.1:9, which http_proxy names)")


def test_a_certificate_that_nobody_signed_is_refused_with_the_cure() -> None:
    error = ssl.SSLCertVerificationError("self-signed certificate")
    error.verify_code, error.verify_message = 18, "self-signed certificate"

    assert "name it: --certificate SHA-256" in Url("https://camera.local/", None).why(error)


def test_a_certificate_that_can_not_be_read_is_the_command_s_error() -> None:
    (source,) = find(["https://camera.local/"], Options(certificate="gone.pem"))

    with pytest.raises(UsageError, match=r"--certificate gone\.pem: no file that can be read"):
        source.open()
