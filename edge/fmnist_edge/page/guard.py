"""Decides who may use the page: checks each request before it is handled, and adds security headers to every answer.

Three checks, one per kind of stranger. The Host header: a foreign page whose name was made to point here (DNS rebinding).
Origin and Sec-Fetch-Site: a foreign page that sends requests from this browser. The token: anybody else in the network.
"""

import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from fmnist_edge.page.metrics import Metrics
from fmnist_edge.page.reader import Refused
from fmnist_edge.page.secret import Secret
from fmnist_edge.page.uploads import read_small

COOKIE = "fmnist_edge"

COOKIE_SECONDS = 180 * 24 * 3600
"""Half a year."""

LOGIN = "/login"

OPEN = ("/healthz", "/static/page.css", "/static/login.js", "/static/icon.svg", LOGIN)
"""Paths that need no token: they reveal nothing about what the camera sees."""

LONGEST_LOGIN = 1000
"""The largest body of a login, in bytes."""

LOGIN_SECONDS = 10.0
"""How long a login may take to arrive."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

App = Callable[[Any, Any, Any], Awaitable[None]]


class Guard:
    """An ASGI application that protects another one.

    secret is None if only users of this machine can reach the page. names are the host names by which browsers may reach it.
    """

    def __init__(self, app: App, secret: Secret | None, names: Iterable[str], metrics: Metrics) -> None:
        self._app, self._secret, self._metrics = app, secret, metrics
        self._names = {name.lower().rstrip(".") for name in names}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return

        async def guarded_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                self._metrics.count_reply(message["status"])
            await send(message)

        answer = await self._refuse(Request(scope, receive)) or self._app
        await answer(scope, receive, guarded_send)

    async def _refuse(self, request: Request) -> Response | None:
        """The answer that ends this request here; None if the request may go on."""
        headers = request.headers
        if not self._is_ours(headers):
            return refusal(421, "the page has no such host name; --name adds one")
        if not self._same_origin(request):
            return refusal(403, "requests from other sites are refused")
        if self._secret is None:
            return None
        if request.scope["path"] == LOGIN and request.method == "POST":
            return await self._log_in(request)
        token = request.query_params.get("token")
        if request.scope["path"] == "/" and request.method == "GET" and token is not None and self._secret.opens(token):
            return self._let_in(request)
        if self._is_known(request) or request.scope["path"] in OPEN:
            return None
        if request.scope["path"] == "/" and request.method == "GET":
            return Response(LOGIN_PAGE, 401, media_type="text/html")
        answer = refusal(401, "the page needs its token: log in, or send 'Authorization: Bearer TOKEN'")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def _is_ours(self, headers: Headers) -> bool:
        """Whether Host is an IP address or one of our names. A rebound name is never an address."""
        hosts = headers.getlist("host")
        return len(hosts) == 1 and ((host := host_of(hosts[0])) in self._names or is_address(host))

    def _same_origin(self, request: Request) -> bool:
        """Whether this page or a program sent the request. Programs send neither header; browsers send Origin with a POST."""
        headers = request.headers
        origin = headers.get("origin")
        if origin is not None and origin != f"{request.scope['scheme']}://{headers.get('host')}":
            return False
        if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
            return True
        # following a link from another page to this one is allowed
        return request.method == "GET" and request.scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"

    def _is_known(self, request: Request) -> bool:
        assert self._secret is not None
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._secret.opens(token.strip())
        return self._secret.is_cookie(request.cookies.get(COOKIE, ""))

    async def _log_in(self, request: Request) -> Response:
        assert self._secret is not None
        try:
            content = await read_small(request, "token", LOGIN_SECONDS, LONGEST_LOGIN, "this is too long to be a token")
        except Refused as error:
            return refusal(error.status, str(error))
        try:
            token = json.loads(content)["token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return refusal(400, 'send {"token": "..."}')
        if not isinstance(token, str) or not self._secret.opens(token):
            return refusal(401, "the token is wrong")
        return self._let_in(request)

    def _let_in(self, request: Request) -> Response:
        assert self._secret is not None
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            self._secret.cookie,
            max_age=COOKIE_SECONDS,
            path="/",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return answer


LOGIN_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>fmnist-edge: log in</title><link rel="stylesheet" href="/static/page.css">
<script type="module" src="/static/login.js"></script>
<main><h1>fmnist-edge</h1>
<p>This page is protected. Open the link that <code>fmnist-edge page</code> showed when it first started, or type its token.</p>
<form id="login"><label>Token <input id="token" type="password" autocomplete="current-password" required></label>
<button>Open the page</button></form><p id="answer" role="alert"></p></main></html>
"""


def refusal(status: int, message: str) -> JSONResponse:
    """An error reply that closes the connection: the request's body is not read."""
    return JSONResponse({"error": message}, status, {"Connection": "close"})


def host_of(header: str) -> str:
    """The host of a Host header such as ``name:8642`` or ``[::1]:8642``, without the port."""
    host = header[: header.index("]") + 1] if header.startswith("[") and "]" in header else header.partition(":")[0]
    return host.lower().rstrip(".")


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def own_names() -> list[str]:
    """This machine's names, including its mDNS name."""
    name = socket.gethostname()
    short = name.partition(".")[0]
    return ["localhost", name, short, f"{short}.local"]
