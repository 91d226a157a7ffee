"""Nobody gets in: attacks over real sockets."""

import json
import os
import socket
import ssl
import stat
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmnist_edge.page import app, connections, guard, reader, uploads, work
from fmnist_edge.page.serve import Running
from support.commands import fmnist_edge
from support.pages import SHOE, SOURCE, Asker, multipart, served, until_closed, wait_for

pytestmark = pytest.mark.slow

OPENAPI: dict[str, Any] = json.loads(app.OPENAPI.read_text())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """A page for this machine alone."""
    with served(tmp_path_factory.mktemp("here")) as (ask, _):
        yield ask


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asker, Running]]:
    """A page for the network."""
    folder = tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.delenv("STATE_DIRECTORY", raising=False)
        with served(folder, host="0.0.0.0") as page:
            yield page


# another page in this browser


@pytest.mark.parametrize("host", ["evil.example:8642", "localhost.evil.example", "", "["])
def test_a_name_that_was_made_to_point_here_gets_nothing(here: Asker, host: str) -> None:
    answer = here.get("/api/teach", Host=host)

    assert answer.status == 421
    assert "classes" not in answer.json


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8642", "[::1]:8642", "192.168.1.5", socket.gethostname()]
)
def test_our_own_names_and_addresses_get_an_answer(here: Asker, host: str) -> None:
    assert here.get("/api/teach", Host=host).status == 200


def test_a_name_that_was_added_gets_an_answer(tmp_path: Path) -> None:
    with served(tmp_path, names=["shop.Example"]) as (ask, _):
        assert ask.get("/healthz", Host="Shop.example:8642").status == 200
        assert ask.get("/healthz", Host="example").status == 421


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
@pytest.mark.parametrize("path", ["/api/classify", "/api/teach", "/api/teach/undo", "/api/verify", "/api/roi"])
def test_another_page_may_not_post(here: Asker, headers: dict[str, str], path: str) -> None:
    assert here("POST", path, SHOE, **headers).status == 403


def test_another_page_may_not_show_what_the_camera_sees_but_link_here(here: Asker) -> None:
    cross = {"Sec_Fetch_Site": "cross-site"}

    assert here.get("/live.mjpg", **cross, Sec_Fetch_Mode="no-cors").status == 403
    assert here.get("/api/teach.zip", **cross, Sec_Fetch_Mode="navigate").status == 403
    assert here.get("/", **cross, Sec_Fetch_Mode="cors").status == 403
    assert here.get("/", **cross, Sec_Fetch_Mode="navigate").status != 403


def test_the_page_itself_and_programs_may_post(here: Asker) -> None:
    own = {"Origin": f"http://127.0.0.1:{here.port}", "Sec_Fetch_Site": "same-origin"}

    assert here.post("/api/classify", SHOE, **own).status == 200
    assert here.post("/api/classify", SHOE).status == 200


# the network


def paths() -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in OPENAPI["paths"].items() for method in methods]


@pytest.mark.parametrize(("method", "path"), [pair for pair in paths() if pair[1] not in ("/healthz", "/login")])
def test_without_the_token_nothing_is_answered(guarded: tuple[Asker, Running], method: str, path: str) -> None:
    ask, _ = guarded
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic " + "x" * 30},
        {"Cookie": "fmnist_edge=x"},
        {"Cookie": "fmnist_edge="},
        {"Cookie": "fmnist_edge=\xe9; =;;"},
    ):
        answer = ask(method, path.replace("{id}", "kept-20261126-040208-298"), SHOE, **headers)
        assert answer.status == 401, headers
        assert set(answer.json) == {"error"}


def test_the_page_without_the_token_is_one_that_asks_for_it(guarded: tuple[Asker, Running]) -> None:
    ask, running = guarded
    for path in ("/", "/?token=x", "/?token="):
        answer = ask.get(path)
        assert answer.status == 401
        assert b"<form" in answer.body
    assert running.secret is not None
    assert running.secret.token.encode() not in answer.body


def test_the_link_sets_a_cookie_that_opens_the_page(guarded: tuple[Asker, Running]) -> None:
    ask, running = guarded
    assert running.secret is not None

    answer = ask.get(f"/?token={running.secret.token}")

    cookie, *flags = answer.headers["Set-Cookie"].split("; ")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(flags)
    assert running.secret.token not in cookie
    assert ask.get("/api/teach", Cookie=cookie).status == 200


def test_a_program_logs_in_with_the_token_or_sends_it(guarded: tuple[Asker, Running]) -> None:
    ask, running = guarded
    assert running.secret is not None

    answer = ask.post("/login", {"token": running.secret.token})

    assert ask.get("/api/teach", Cookie=answer.headers["Set-Cookie"].split(";")[0]).status == 200
    assert ask.get("/api/teach", Authorization=f"Bearer {running.secret.token}").status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"token": "x"}', 401),
        (b'{"token": 1}', 401),
        (b'{"token": "\\ud800"}', 401),
        (b"{}", 400),
        (b"[" * 900, 400),
        (b"x" * 2000, 413),
    ],
)
def test_whoever_has_no_token_does_not_log_in(guarded: tuple[Asker, Running], body: bytes, status: int) -> None:
    answer = guarded[0].post("/login", body)

    assert answer.status == status
    assert "Set-Cookie" not in answer.headers


def test_the_token_is_kept_for_its_user_alone_and_stays(guarded: tuple[Asker, Running], tmp_path: Path) -> None:
    _, running = guarded
    assert running.token_file is not None
    assert running.secret is not None

    assert stat.S_IMODE(os.stat(running.token_file).st_mode) == 0o600
    assert running.token_file.read_text().strip() == running.secret.token
    assert len(running.secret.token) >= 22
    with served(tmp_path, host="0.0.0.0") as (_, again):
        assert again.secret is not None
        assert (again.secret.token, again.made) == (running.secret.token, False)


def test_a_token_of_somebody_elses_choice_comes_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_PAGE_TOKEN", "correct-horse-battery")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with served(tmp_path, host="0.0.0.0") as (ask, _):
        assert ask.get("/api/teach", Authorization="Bearer correct-horse-battery").status == 200
        assert ask.get("/api/teach").status == 401
    assert not list(tmp_path.rglob("page-token"))


def test_a_token_that_could_be_guessed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_PAGE_TOKEN", "geheim")

    result = fmnist_edge("page", "--host", "0.0.0.0", "--port", "0", "--source", "none", "--photos", tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("fmnist-edge: $FMNIST_EDGE_PAGE_TOKEN: a token needs at least 16 characters")
    assert "geheim" not in result.stderr


def test_every_answer_has_the_usual_headers(guarded: tuple[Asker, Running], here: Asker) -> None:
    answers = [here.get("/healthz"), here.get("/nothing"), here.post("/api/classify", b"x"), guarded[0].get("/")]
    answers += [here.get("/api/teach", Host="evil.example"), here.get("/openapi.json")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Server" not in answer.headers


# too much


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that many pixels come out of."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_too_many_pixels_are_refused(here: Asker) -> None:
    for size in ((6000, 6000), (2**31 - 1, 2**31 - 1), (work.MAX_PIXELS + 1, 1)):
        answer = here.post("/api/classify", bomb(*size))
        assert answer.status in (413, 422), size
        assert "million pixels" in answer.json["error"] or answer.status == 422


def test_too_many_bytes_are_refused_before_they_come(here: Asker) -> None:
    head = f"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {uploads.MAX_PICTURE + 1}\r\n\r\n"

    with here.raw(head.encode()) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_bytes_without_an_end_are_refused(here: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_PICTURE", 200_000)
    head = b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    with here.raw(head + b"4000\r\n" + b"x" * 0x4000 + b"\r\n") as connection:
        for _ in range(20):
            connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_too_many_pictures_are_refused(here: Asker) -> None:
    body, kind = multipart(*[("a.png", SHOE)] * (uploads.MAX_PICTURES + 1))

    answer = here.post("/api/classify", body, Content_Type=kind)

    assert answer.status == 413
    assert f"{uploads.MAX_PICTURES} pictures at most" in answer.json["error"]


def test_a_form_without_pictures_is_refused(here: Asker) -> None:
    for body, kind in (
        multipart(("a", SHOE), part="file"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=b"),
    ):
        assert here.post("/api/classify", body, Content_Type=kind).status == 400


def test_all_bodies_together_have_a_limit(here: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_HELD", 100_000)

    answer = here.post("/api/classify", b"x" * 150_000)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert here.post("/api/classify", SHOE).status == 200


def test_more_than_may_wait_are_asked_to_come_again(here: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WAITING", 0)

    answer = here.post("/api/classify", SHOE)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 10, b"%PDF-1.7", b"GIF89a", b"\xff\xd8\xff", SHOE[:200], b"\x89PNG\r\n\x1a\n" + b"x" * 99]
)
def test_what_is_no_picture_is_refused_in_one_line(here: Asker, content: bytes) -> None:
    answer = here.post("/api/classify", content)

    assert answer.status in (400, 415, 422)
    assert "\n" not in answer.json["error"]


# too slow


def test_a_body_that_does_not_come_ends(here: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BODY_SECONDS", 0.3)
    head = b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"

    with here.raw(head) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "begin", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: loc", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 5000]
)
def test_half_a_request_is_not_waited_for(here: Asker, monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)

    with here.raw(begin) as connection:
        assert until_closed(connection) == b""


def test_half_a_second_request_is_not_waited_for_either(here: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)

    with here.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        first = b""
        while not first.endswith(b'{"ok":true}'):
            first += connection.recv(2000)
        connection.sendall(b"GET /hea")
        assert until_closed(connection) == b""


def test_a_token_that_does_not_come_ends(guarded: tuple[Asker, Running], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LOGIN_SECONDS", 0.3)

    with guarded[0].raw(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n") as connection:
        assert until_closed(connection).startswith(b"HTTP/1.1 408 ")


def test_who_takes_no_answer_loses_his_place(here: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", here.port))
        connection.settimeout(10)
        connection.sendall(b"GET /static/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        assert not answers(here)

        assert wait_for(lambda: answers(here))
        assert until_closed(connection).count(b"HTTP/1.1 200 OK") < 60


def test_a_viewer_of_a_stream_may_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.2)
    with served(tmp_path, source=SOURCE) as (ask, running):
        hub = running.page.hub
        assert hub is not None
        with ask.raw(b"GET /api/answers HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
            assert wait_for(lambda: hub.viewers)
            for _ in range(100):
                hub.broadcast("fault", {"message": "x" * 100_000})
                time.sleep(0.01)
            time.sleep(0.5)
            hub.broadcast("recovered", {})

            received = b""
            while b"recovered" not in received:
                more = connection.recv(1_000_000)
                assert more
                received = received[-100:] + more


def test_slow_clients_hold_no_thread_and_no_place(here: Asker) -> None:
    before = threading.active_count()
    head = b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"
    slow = [here.raw(head if number % 2 else b"GET /he") for number in range(100)]
    try:
        assert here.post("/api/classify", SHOE).status == 200
        assert threading.active_count() <= before + 1
    finally:
        for connection in slow:
            connection.close()


def test_connections_have_a_limit_and_the_page_outlives_it(here: Asker) -> None:
    many = [here.raw(b"") for _ in range(connections.MAX_CONNECTIONS + 20)]
    for connection in many:
        connection.close()

    assert wait_for(lambda: answers(here))


def answers(ask: Asker) -> bool:
    try:
        return ask.get("/healthz").status == 200
    except OSError:
        return False


def test_who_goes_away_leaves_no_work_behind(here: Asker) -> None:
    for _ in range(30):
        head = b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(SHOE)
        here.raw(head + SHOE).close()

    assert wait_for(lambda: here.post("/api/classify", SHOE).status == 200)


# what is no HTTP, no path, no name


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 100,
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_page_goes_on(
    here: Asker, request_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with here.raw(request_) as connection:
        connection.shutdown(socket.SHUT_WR)
        received = until_closed(connection)

    assert received == b"" or received.split()[1] in (b"400", b"421", b"404")
    assert here.get("/healthz").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../serve.py",
        "/static/..%2fserve.py",
        "/static/%2e%2e/serve.py",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/static//etc/passwd",
        "/api/teach/..%2f..%2f..%2fetc%2fpasswd.jpg",
        "/api/teach/%2e%2e.jpg",
        "/api/teach/kept-20261126-040208-298%00.jpg",
        "/api/teach/unsure-..-jpg.jpg",
    ],
)
def test_no_path_leads_to_a_file(here: Asker, path: str) -> None:
    answer = here.get(path)

    assert answer.status in (404, 405)
    assert set(answer.json) == {"error"}


@pytest.mark.parametrize("token", ["7.../../x", "none.../x", "7.kept-20261126-040208-298/../x", "\0", "7.", "x", "9" * 1500])
def test_no_undo_leads_to_a_file(here: Asker, token: str) -> None:
    assert here.post("/api/teach/undo", {"undo": token}).status == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b'{"class_id": 10}', b'{"class_id": true}', b'{"class_id": "7"}', b"{}", b"{" * 1000]
)
def test_no_label_is_another_class(here: Asker, body: bytes) -> None:
    assert here.post("/api/teach/kept-20261126-040208-298", body).status == 400


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "NaN", "-1e999", "true", "[]"])
def test_no_part_of_the_picture_is_beyond_it(tmp_path: Path, number: str) -> None:
    with served(tmp_path, source=SOURCE) as (ask, _):
        for roi in (f"[{number}, 0, 1, 1]", f"[0, 0, 1, {number}]"):
            assert ask.post("/api/roi", f'{{"roi": {roi}}}').status == 400


def test_names_of_pictures_never_become_paths_and_nothing_is_kept(tmp_path: Path) -> None:
    names = ["../../evil.png", "/etc/cron.d/evil", "a\\..\\b.png", "x" * 3000, "\x07.png"]
    with served(tmp_path) as (ask, _):
        before = sorted(tmp_path.rglob("*"))
        body, kind = multipart(*((name, SHOE) for name in names))
        records = ask.post("/api/classify", body, Content_Type=kind).json
        ask.post("/api/classify?name=../../evil.png", SHOE)

        assert [record["label"] for record in records] == ["Sneaker"] * len(names)
        assert all(len(record["path"]) <= 200 and record["path"].isprintable() for record in records)
        assert sorted(tmp_path.rglob("*")) == before


# https


def test_it_speaks_tls_and_then_the_cookie_is_secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate))
    with served(tmp_path, host="0.0.0.0", certificate=certificate, key=key) as (ask, running):
        assert running.secret is not None
        half_open = ask.raw(b"\x16\x03\x01")
        with context.wrap_socket(ask.raw(b""), server_hostname="localhost") as connection:
            connection.sendall(f"GET /?token={running.secret.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = connection.recv(4000).decode()
        half_open.close()

    assert answer.startswith("HTTP/1.1 303 ")
    assert "; Secure" in answer
    assert running.link.startswith("https://")


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_certificate_that_can_not_be_used_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "cert.pem").write_text(content)

    result = fmnist_edge("page", "--tls-cert", tmp_path / "cert.pem", "--photos", tmp_path / "photos", "--source", "none")

    assert result.returncode == 2
    assert result.stderr.startswith(f"fmnist-edge: --tls-cert {tmp_path}/cert.pem: ")
    assert result.stderr.count("\n") == 1


def make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        *name,
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_a_picture_that_takes_too_long_ends_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as (ask, running):
        ask.post("/api/classify", SHOE)
        process = running.page.reader._process
        assert process is not None
        os.kill(process.pid, 19)  # SIGSTOP: it hangs
        monkeypatch.setattr(reader, "READING", 0.5)
        began = time.monotonic()
        late = ask.post("/api/classify", SHOE)
        monkeypatch.undo()

        assert (late.status, late.json["error"]) == (422, "reading the picture takes longer than 0.5 seconds")
        assert time.monotonic() - began < 10
        assert ask.post("/api/classify", SHOE).json["label"] == "Sneaker"


def test_a_picture_that_crashes_its_reader_leaves_the_page_alive(tmp_path: Path) -> None:
    with served(tmp_path) as (ask, running):
        process = running.page.reader._process
        assert process is not None
        process.kill()
        process.wait()

        assert ask.get("/healthz").status == 503
        assert wait_for(lambda: ask.get("/healthz").status == 200)
        assert ask.post("/api/classify", SHOE).json["label"] == "Sneaker"
