"""Who is let in: by the name that is asked for, the page that is behind it, and the token."""

import asyncio
import json
import socket
from typing import Any, NamedTuple

import pytest

from fmnist_edge.page import guard
from fmnist_edge.page.guard import COOKIE, HEADERS, Guard, host_of, own_names
from fmnist_edge.page.metrics import Metrics
from fmnist_edge.page.secret import Secret

TOKEN = "correct-horse-battery"
SECRET = Secret(TOKEN)
COOKIES = f"fmnist_edge={SECRET.cookie}"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


async def page(scope: Any, receive: Any, send: Any) -> None:
    """What is guarded; it takes the request's body."""
    assert (await receive())["type"] == "http.request"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOW")]})
    await send({"type": "http.response.body", "body": b"the page"})


def ask(
    path: str = "/api/teach",
    method: str = "GET",
    body: bytes | None = b"",
    secret: Secret | None = SECRET,
    scheme: str = "http",
    metrics: Metrics | None = None,
    **headers: str | None,
) -> Answer:
    """Of a page whose name is pi.local. Its port is 8642. body: None if it never comes."""
    said = {"host": "pi.local:8642", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
    place, _, query = path.partition("?")
    scope = {
        **{"type": "http", "http_version": "1.1", "method": method, "scheme": scheme, "path": place},
        **{"query_string": query.encode(), "root_path": "", "server": ("pi.local", 8642)},
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in said.items() if value is not None],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        if body is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(page, secret, ["PI.local."], metrics or Metrics())(scope, receive, send))
    start, *rest = sent
    answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(part["body"] for part in rest).decode())


@pytest.mark.parametrize(
    "host", ["pi.local", "PI.LOCAL:1", "pi.local.", "127.0.0.1:8642", "[::1]:8642", "[fe80::1%eth0]", "192.168.1.5"]
)
def test_our_names_and_addresses_get_an_answer(host: str) -> None:
    assert ask(secret=None, host=host) == (200, {**lower(HEADERS), "cache-control": "no-store"}, "the page")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", "pi.local.evil.example", "local", "", "[::1", "[", None],
)
def test_a_name_that_was_made_to_point_here_gets_nothing(host: str | None) -> None:
    answer = ask(secret=None, host=host)

    assert answer.status == 421
    assert json.loads(answer.body) == {"error": "the page has no such host name; --name adds one"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://pi.local"},
        {"origin": "https://pi.local:8642"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://pi.local:8642", "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    ],
)
def test_another_page_may_not_ask_in_this_browsers_name(method: str, headers: dict[str, str]) -> None:
    answer = ask(method=method, cookie=COOKIES, **headers)

    assert (answer.status, json.loads(answer.body)) == (403, {"error": "requests from other sites are refused"})
    assert answer.headers["connection"] == "close"


def test_another_page_may_link_to_the_page_and_to_nothing_else() -> None:
    cross = {"cookie": COOKIES, "sec_fetch_site": "cross-site"}

    assert ask("/", sec_fetch_mode="navigate", **cross).status == 200
    assert ask("/", "POST", sec_fetch_mode="navigate", **cross).status == 403
    assert ask("/", sec_fetch_mode="cors", **cross).status == 403
    assert ask("/live.mjpg", sec_fetch_mode="navigate", **cross).status == 403


@pytest.mark.parametrize("site", ["same-origin", "none", None])
@pytest.mark.parametrize(
    ("scheme", "origin"), [("http", "http://pi.local:8642"), ("https", "https://pi.local:8642"), ("http", None)]
)
def test_the_page_itself_and_programs_may_ask(site: str | None, scheme: str, origin: str | None) -> None:
    assert ask(method="POST", scheme=scheme, cookie=COOKIES, origin=origin, sec_fetch_site=site).status == 200


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, True),
        ({"authorization": f"bearer  {TOKEN} "}, True),
        ({"cookie": COOKIES}, True),
        ({"cookie": f'prefs={{"a":1}}; {COOKIES}; b@d=[1]'}, True),
        ({"authorization": f"Basic {TOKEN}", "cookie": COOKIES}, True),
        ({}, False),
        ({"authorization": "Bearer x"}, False),
        ({"authorization": "Bearer "}, False),
        ({"authorization": f"Bearer {SECRET.cookie}"}, False),
        ({"authorization": f"Basic {TOKEN}"}, False),
        ({"authorization": "Bearer x", "cookie": COOKIES}, False),
        ({"cookie": f"fmnist_edge={TOKEN}"}, False),
        ({"cookie": "fmnist_edge="}, False),
        ({"cookie": "fmnist_edge=\xe9; =;;"}, False),
    ],
)
def test_only_who_has_the_token_gets_an_answer(headers: dict[str, str], known: bool) -> None:
    answer = ask(**headers)

    assert answer.status == (200 if known else 401)
    if not known:
        assert json.loads(answer.body)["error"] == "the page needs its token: log in, or send 'Authorization: Bearer TOKEN'"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/healthz", "/static/page.css", "/static/login.js", "/static/icon.svg", "/login"])
def test_what_shows_nothing_of_what_is_seen_needs_no_token(path: str) -> None:
    assert ask(path).status == 200
    assert ask(f"{path}/").status == 401


def test_the_page_without_the_token_is_one_that_asks_for_it() -> None:
    answer = ask("/")

    assert (answer.status, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert '<form id="login">' in answer.body
    assert TOKEN not in answer.body
    assert "<form" not in ask("/", "POST").body


def test_the_link_opens_the_page_for_half_a_year_and_the_token_leaves_the_address() -> None:
    answer = ask(f"/?token={TOKEN}")

    assert (answer.status, answer.headers["location"]) == (303, "/")
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name == f"{COOKIE}={SECRET.cookie}"
    assert {attribute.lower() for attribute in attributes} == {"httponly", "max-age=15552000", "path=/", "samesite=strict"}
    assert "; secure" in ask(f"/?token={TOKEN}", scheme="https").headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("path", "method"), [("/?token=x", "GET"), (f"/?token={TOKEN}", "POST"), (f"/api/teach?token={TOKEN}", "GET")]
)
def test_a_link_opens_nothing_with_another_token_or_to_another_place(path: str, method: str) -> None:
    answer = ask(path, method)

    assert answer.status == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (json.dumps({"token": "x"}).encode(), 401, "the token is wrong"),
        (json.dumps({"token": [TOKEN]}).encode(), 401, "the token is wrong"),
        (json.dumps({"Token": TOKEN}).encode(), 400, 'send {"token": "..."}'),
        (json.dumps([TOKEN]).encode(), 400, 'send {"token": "..."}'),
        (b"\xff", 400, 'send {"token": "..."}'),
        (b"[" * 1000, 400, 'send {"token": "..."}'),
        (b" " * 1001, 413, "this is too long to be a token"),
    ],
)
def test_whoever_has_no_token_does_not_log_in(body: bytes, status: int, said: str) -> None:
    answer = ask("/login", "POST", body)

    assert (answer.status, json.loads(answer.body)) == (status, {"error": said})
    assert "set-cookie" not in answer.headers


def test_who_sends_the_token_gets_the_cookie() -> None:
    answer = ask("/login", "POST", json.dumps({"token": TOKEN}).encode().ljust(1000))

    assert answer.status == 303
    assert answer.headers["set-cookie"].startswith(COOKIES)


def test_where_only_this_machine_gets_here_there_is_no_token() -> None:
    assert ask("/login", "POST", b"{}", secret=None).body == "the page"


def test_each_reply_is_counted_and_has_the_usual_headers() -> None:
    metrics = Metrics()
    answers = [
        ask(metrics=metrics),
        ask("/", metrics=metrics),
        ask(cookie=COOKIES, metrics=metrics),
        ask(host="x", metrics=metrics),
    ]

    assert all(lower(HEADERS).items() <= answer.headers.items() for answer in answers)
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    told = metrics.text(0, 0, None)
    assert [f'replies_total{{status="{status}"}} {count}' in told for status, count in ((200, 1), (401, 2), (421, 1))] == [
        True
    ] * 3


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_gets_nothing(kind: str) -> None:
    async def never(*_: Any) -> None:
        pytest.fail("it was let in")

    asyncio.run(Guard(never, None, [], Metrics())({"type": kind}, never, never))


@pytest.mark.parametrize(
    ("header", "host"),
    [("Pi.Local:80", "pi.local"), ("[::1]:80", "[::1]"), ("[::1", "["), ("10.0.0.1", "10.0.0.1"), ("pi.local.:80", "pi.local")],
)
def test_a_host_is_what_stands_before_the_port(header: str, host: str) -> None:
    assert host_of(header) == host


def test_this_machine_has_its_name_and_that_of_mdns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "shop.example.com")

    assert own_names() == ["localhost", "shop.example.com", "shop", "shop.local"]


def test_a_token_is_not_waited_for_longer_than_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (guard.LOGIN_SECONDS, guard.LONGEST_LOGIN) == (10, 1000)
    monkeypatch.setattr(guard, "LOGIN_SECONDS", 0.01)

    answer = ask("/login", "POST", body=None)

    assert (answer.status, json.loads(answer.body)) == (408, {"error": "the token did not arrive within 0.01 seconds"})


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
