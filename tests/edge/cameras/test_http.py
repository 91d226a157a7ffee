"""Cameras over HTTP: snapshots under any name, ways to log in, certificates, proxies."""

import hashlib
import io
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from fmnist_edge.address import parse
from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.connection import distrusted, is_local
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import Feed
from fmnist_edge.cameras.video import Rtsp
from fmnist_edge.errors import SourceError, UsageError
from support.camera_server import answering, jpeg, send_once
from support.commands import run

USER, PASSWORD = "jörg", 'pä:ss/"\\'
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"


SOON = FeedOptions(patience=2, fps=50)


def shots(source: str, count: int = 2, **options: object) -> list[tuple[int, int]]:
    """The sizes of the first pictures. Raises what the feed does."""
    wanted = replace(SOON, **options)  # type: ignore[arg-type]
    with Feed(cameras(source, wanted), wanted, print) as feed:
        frames = [feed.next(5) for _ in range(count)]
    return [frame.image.size for frame in frames if frame]


def picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), (200, 0, 0)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "image/jpg", "IMAGE/JPEG; charset=x", "application/octet-stream", "text/html", "jpeg", None]
)
@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "bmp"])
def test_a_snapshot_is_known_by_its_first_bytes(form: str, kind: str | None) -> None:
    said: list[str] = []
    content = picture(form)
    with (
        answering(lambda handler: send_once(handler, kind, content)) as place,
        Feed(cameras(f"http://{place}/snap", SOON), SOON, said.append) as feed,
    ):
        frames = [feed.next(5) for _ in range(3)]

    assert [frame.image.size for frame in frames if frame] == 3 * [(320, 240)]
    assert said == []


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        ("text/html", b"<p>Please log in</p>", "it sends text/html, not a video; is the path right?"),
        (None, b"<!doctype html><p>Please log in</p>", "it sends a web page, not a video; is the path right?"),
        (None, b"", "it sends nothing"),
        (None, b"no picture at all, whatever it is", "it is no video that can be read, or damaged"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(kind: str | None, content: bytes, complaint: str) -> None:
    with (
        answering(lambda handler: send_once(handler, kind, content)) as place,
        pytest.raises(SourceError, match=re.escape(f"http://{place}/snap: {complaint}") + "$"),
    ):
        shots(f"http://{place}/snap")


class Guard:
    """Asks for a login as a camera does, and computes for itself what the right one is (RFC 7616, section 3.4)."""

    def __init__(self, *offers: str) -> None:
        self.offers = offers
        self.taken: list[str] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        header = handler.headers.get("Authorization", "").encode("latin-1").decode()
        if header and self.is_right(header, handler.path):
            self.taken.append(header)
            send_once(handler, "image/jpeg", jpeg())
            return
        handler.send_response(401)
        for offer in self.offers:
            handler.send_header("WWW-Authenticate", offer)
        handler.end_headers()

    def is_right(self, header: str, path: str) -> bool:
        fields = {name: re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in FIELD.findall(header)}
        algorithm = fields.get("algorithm", "MD5")

        def hashed(*parts: str) -> str:
            return hashlib.new(
                {"MD5": "md5", "SHA-256": "sha256"}[algorithm.removesuffix("-sess")], ":".join(parts).encode()
            ).hexdigest()

        secret = hashed(USER, "cam", PASSWORD)
        if algorithm.endswith("-sess"):
            secret = hashed(secret, fields["nonce"], fields["cnonce"])
        middle = [fields[name] for name in ("nc", "cnonce", "qop")] if "qop" in fields else []
        expected = hashed(secret, fields["nonce"], *middle, hashed("GET", path))
        return fields["response"] == expected and fields["username"] == USER and fields["uri"] == path


FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))')
OFFER = 'Digest realm="cam", nonce="abc,=", opaque="o"'


@pytest.mark.parametrize(
    ("offers", "algorithm"),
    [
        ([OFFER], None),
        ([f'{OFFER}, qop="auth"'], None),
        ([f'{OFFER}, qop="auth,auth-int", algorithm=MD5'], "MD5"),
        ([f'{OFFER}, qop="auth", algorithm=SHA-256'], "SHA-256"),
        ([f'{OFFER}, qop="auth", algorithm=MD5', f'{OFFER}, qop="auth", algorithm=SHA-256'], "SHA-256"),
        ([f'{OFFER}, qop="auth", algorithm=NEW-1', f'{OFFER}, qop="auth", algorithm=MD5'], "MD5"),
        ([f'{OFFER}, qop="auth", algorithm=SHA-256, {OFFER}, qop="auth", algorithm=MD5'], "SHA-256"),
        ([f'{OFFER}, qop="auth", algorithm=MD5-sess'], "MD5-sess"),
        (['Basic realm="cam"', f'{OFFER}, qop="auth", algorithm=MD5'], "MD5"),
    ],
)
def test_a_digest_login_takes_the_strongest_hash_that_is_offered(offers: list[str], algorithm: str | None) -> None:
    guard = Guard(*offers)
    with answering(guard) as place:
        sizes = shots(f"http://{LOGIN}{place}/snap?channel=1&name=a b")

    assert sizes == 2 * [(320, 240)]
    assert re.findall(r"algorithm=([\w-]+)", guard.taken[0]) == ([algorithm] if algorithm else [])


def test_a_wrong_password_is_a_refusal_and_not_asked_for_ever() -> None:
    guard = Guard(f'{OFFER}, qop="auth", algorithm=SHA-256')
    with answering(guard) as place, pytest.raises(SourceError, match="401 Unauthorized; name user and password"):
        shots(f"http://joe:wr0ng@{place}/snap")


def test_a_login_is_not_sent_to_another_host() -> None:
    asked: list[str | None] = []

    def other(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers.get("Authorization"))
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="cam"')
        handler.end_headers()

    def first(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://{there.replace('127.0.0.1', 'localhost')}/")
        handler.end_headers()

    with answering(other) as there, answering(first) as place, pytest.raises(SourceError, match="401"):
        shots(f"http://joe:s3cret@{place}/snap")
    assert asked == [None]


@pytest.mark.parametrize(
    "offer", ["Digest", "Digest realm", "Digest realm=, nonce", "Bearer x", "", 'Digest algorithm=NEW-1, nonce="a"']
)
def test_an_offer_in_odd_form_ends_in_a_refusal(offer: str) -> None:
    with answering(Guard(offer)) as place, pytest.raises(SourceError, match="401 Unauthorized"):
        shots(f"http://joe:s3cret@{place}/snap")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera's own, with the key in the same file, and for a name that it is never called by."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=IPCamera -keyout key.pem -out camera.pem"
    made = run(*command.split(), cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder / "camera.pem"


@pytest.fixture
def https(certificate: Path) -> Iterator[str]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with answering(lambda handler: send_once(handler, "image/jpeg", jpeg()), tls) as place:
        yield f"https://{place}/snap"


def sha256_of(certificate: Path) -> str:
    return run("openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").stdout.strip()


def test_a_certificate_that_nobody_signed_is_refused_with_the_way_to_name_it(https: str) -> None:
    with pytest.raises(
        SourceError, match=r"self.signed certificate\); if this is your camera, name it: --certificate .*openssl s_client"
    ):
        shots(https)


def test_a_camera_with_the_certificate_that_was_named_is_watched(https: str, certificate: Path) -> None:
    line = sha256_of(certificate)  # sha256 Fingerprint=AB:CD:...
    for named in (str(certificate), line, line.partition("=")[2], line.partition("=")[2].replace(":", "").lower()):
        assert shots(https, certificate=named) == 2 * [(320, 240)]


def test_a_camera_with_another_certificate_is_refused(https: str) -> None:
    with pytest.raises(
        SourceError, match=r"its certificate is not the one that --certificate names; its SHA-256 is [0-9a-f]{64}$"
    ):
        shots(https, certificate="00" * 32)


def test_a_certificate_from_the_future_is_a_matter_of_the_clock() -> None:
    error = ssl.SSLCertVerificationError("certificate is not yet valid")
    error.verify_code = 9

    assert "not valid yet by this device's clock; 'timedatectl'" in distrusted(error, parse("https://camera/"))


@pytest.mark.parametrize(
    ("source", "named", "complaint"),
    [
        ("https://camera/", "gone.pem", "no file that can be read"),
        ("https://camera/", __file__, "there is no certificate in it"),
        ("https://camera/", "ab:cd", "nor a SHA-256 of 64 digits"),
        ("http://camera/", "00" * 32, "--certificate goes with https://"),
        ("test.mp4", "00" * 32, "--certificate goes with https://"),
    ],
)
def test_a_certificate_that_can_not_be_used_is_a_usage_error(source: str, named: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        cameras(source, FeedOptions(certificate=named))


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One that finds nothing."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(502)
        handler.end_headers()

    with answering(refuse) as place:
        monkeypatch.setenv("http_proxy", f"http://joe:s3cret@{place}")
        monkeypatch.setenv("https_proxy", f"http://joe:s3cret@{place}")
        yield place


def test_a_proxy_is_not_asked_for_what_is_on_the_local_network(proxy: str) -> None:
    with answering(lambda handler: send_once(handler, "image/jpeg", jpeg())) as place:
        assert shots(f"http://{place}/snap") == 2 * [(320, 240)]


def test_nor_is_it_for_tls_that_ffmpeg_speaks(proxy: str) -> None:
    (camera,) = cameras("rtsps://10.0.0.1:322/live", FeedOptions())
    assert isinstance(camera, Rtsp)

    for _ in range(2):
        camera.target()

    assert os.environ["no_proxy"] == "10.0.0.1"


def test_where_a_proxy_is_asked_the_message_names_it(proxy: str) -> None:
    with pytest.raises(SourceError, match=rf"502 Bad Gateway \(by way of http://{proxy}, which http_proxy names\)$"):
        shots("http://8.8.8.8/snap")
    with pytest.raises(SourceError, match=rf"\(by way of http://{proxy}, which https_proxy names\)$") as https:
        shots("https://8.8.8.8/snap")

    assert "s3cret" not in str(https.value)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("192.168.1.10", True), ("10.0.0.1", True), ("127.0.0.1", True), ("169.254.1.1", True), ("100.64.0.1", True),
        ("fe80::1", True), ("fd00::1", True), ("camera", True), ("camera.local", True), ("CAM.fritz.lan", True),
        ("8.8.8.8", False), ("2001:4860:4860::8888", False),
    ],
)  # fmt: skip
def test_what_is_local_is_known_by_number_and_name(host: str, local: bool) -> None:
    assert is_local(host) is local
