"""Runs the page: the web server in a thread, the camera's loop in the main thread, uploaded pictures in another process."""

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
import uvicorn

from fmnist_edge.classifier import Classifier
from fmnist_edge.contract import LANGUAGES
from fmnist_edge.errors import FmnistEdgeError, UsageError, first_line
from fmnist_edge.live.collect import Collection
from fmnist_edge.live.service import Signals
from fmnist_edge.live.watch import TICK
from fmnist_edge.page.app import Page
from fmnist_edge.page.connections import Connection
from fmnist_edge.page.guard import Guard, is_address, own_names
from fmnist_edge.page.hub import Hub
from fmnist_edge.page.live import Live, Service, Source
from fmnist_edge.page.metrics import Metrics
from fmnist_edge.page.reader import Reader
from fmnist_edge.page.secret import Secret, announce, find_secret
from fmnist_edge.page.teaching import Teaching
from fmnist_edge.terminal import printable

CLOSE_SECONDS = 2
"""How long unfinished answers may take when the page shuts down."""

SWITCH_SECONDS = 0.0005
"""How long a thread may hold the interpreter while others wait: the camera's loop needs it a dozen times per frame."""

HANG_SECONDS = 10.0
"""The server counts as hanging when its event loop has not run for this long."""

BACKLOG = 64

THREADS = 4
"""Threads that read and write files. anyio's default is 40, and the systemd unit allows 50 tasks in all."""


@dataclass(frozen=True)
class Settings:
    """The command's options for the page.

    names: host names besides this machine's own. save_mb: the limit for all photos together. language: of the labels.
    """

    host: str
    port: int
    names: list[str]
    certificate: Path | None
    key: Path | None
    photos: Path
    save_unsure: bool
    save_mb: int
    model: Path | None
    min_confidence: float | None
    language: str
    systemd: bool


class Server:
    """uvicorn, in a thread of its own."""

    def __init__(self, listener: socket.socket, guard: Guard, hub: Hub, settings: Settings) -> None:
        self._listener, self._hub = listener, hub
        for name in ("uvicorn", "uvicorn.error", "python_multipart"):  # they would log every client's mistakes
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        config = uvicorn.Config(
            guard,
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            h11_max_incomplete_event_size=16_384,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
        )
        self._uvicorn = uvicorn.Server(config)
        self._tick_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        self._thread.start()
        while not self._uvicorn.started and self._thread.is_alive():
            time.sleep(0.01)

    @property
    def serves(self) -> bool:
        return self._thread.is_alive() and time.monotonic() - self._tick_at < HANG_SECONDS

    def check(self) -> None:
        """Raises FmnistEdgeError if the server has ended."""
        if not self._thread.is_alive():
            raise FmnistEdgeError("the web server has ended; start the page again")

    def stop(self) -> None:
        self._hub.stop()
        self._uvicorn.should_exit = True
        self._thread.join(CLOSE_SECONDS + 1)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        self._hub.start(asyncio.get_running_loop())
        ticks = asyncio.create_task(self._tick())
        await self._uvicorn.serve([self._listener])
        ticks.cancel()

    async def _tick(self) -> None:
        while True:
            self._tick_at = time.monotonic()
            await asyncio.sleep(1)


class Running(NamedTuple):
    """A running page. secret and token_file are None if it needs no token; made: whether the token is new."""

    page: Page
    server: Server
    systemd: Service
    link: str
    secret: Secret | None
    token_file: Path | None
    made: bool


@contextmanager
def serving(settings: Settings, source: Source | None) -> Iterator[Running]:
    """Starts the server, but not the camera's loop. Raises FmnistEdgeError if it can't start."""
    if settings.certificate:
        check_certificate(settings.certificate, settings.key)
    listener = listen(settings.host, settings.port)
    secret, path, made = (None, None, False) if is_loopback(settings.host) else find_secret()
    teaching = Teaching(settings.photos, settings.save_mb * 10**6, LANGUAGES[settings.language])
    metrics, hub = Metrics(), Hub(tell)
    systemd = Service(settings.systemd, lambda: server.serves)
    reader = Reader(settings.model, settings.min_confidence, settings.language)
    try:
        page = Page(reader, teaching, metrics, tell)
        if source is not None:
            page.hub, page.live = hub, Live(source, settings.language, hub, metrics, systemd, lambda: server.check())
        guard = Guard(page.application(), secret, [*own_names(), *settings.names], metrics)
        server = Server(listener, guard, hub, settings)
        try:
            server.start()
            server.check()
            yield Running(page, server, systemd, link_of(settings, listener), secret, path, made)
        finally:
            systemd.farewell()
            server.stop()
    finally:
        reader.close()
        listener.close()


def run(settings: Settings, source: Source | None) -> None:
    """Serves until SIGTERM. Raises KeyboardInterrupt after SIGINT, and FmnistEdgeError if the page can't start or go on."""
    signals = Signals()
    sys.setswitchinterval(SWITCH_SECONDS)
    with serving(settings, source) as running:
        teaching, live = running.page.teaching, running.page.live
        announce(running.link, running.secret, running.token_file, running.made)
        running.systemd.say("READY")
        if live is None:
            wait(running, signals)
        else:
            classifier = Classifier(settings.model, settings.min_confidence)
            if settings.save_unsure:
                teaching.collect(Collection(settings.photos, settings.save_mb * 10**6, tell))
            live.run(classifier, teaching.collection, signals)
    if signals.ending == signal.SIGINT:
        raise KeyboardInterrupt


def wait(running: Running, signals: Signals) -> None:
    """Waits for a signal, without a camera."""
    running.systemd.say("STATUS", "no camera; waiting for pictures")
    while signals.ending is None:
        running.server.check()
        running.systemd.alive()
        time.sleep(TICK)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError if the host is not this machine's, FmnistEdgeError if the port is taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise UsageError(
            f"--host {printable(host)} is not an address of this machine; use 127.0.0.1 for this machine only, 0.0.0.0 for all"
        ) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise FmnistEdgeError(f"port {port} is taken; is a page running already? Choose another with --port") from None
        if error.errno == errno.EACCES:
            raise FmnistEdgeError(f"only root may use port {port}; choose one from 1024 on with --port") from None
        raise UsageError(f"--host {printable(host)}: {(error.strerror or str(error)).lower()}") from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether only users of this machine can reach the host."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Raises UsageError if the certificate or its key can't be used."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"--tls-cert {certificate}: the certificate or its key can't be used ({first_line(error)}); both must be PEM files"
        ) from None


def link_of(settings: Settings, listener: socket.socket) -> str:
    """The page's address, as typed into a browser."""
    host = settings.host
    if is_address(host) and ipaddress.ip_address(host).is_unspecified:
        host = own_address()
    host = f"[{host}]" if ":" in host else host
    return f"http{'s' if settings.certificate else ''}://{host}:{listener.getsockname()[1]}/"


def own_address() -> str:
    """This machine's address in its network, or its name if it has none. Connecting the UDP socket sends nothing."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # no machine has this address (RFC 5737)
        return str(probe.getsockname()[0])
    return f"{socket.gethostname().partition('.')[0]}.local"


def tell(message: str) -> None:
    """Prints a line on stderr."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(f"fmnist-edge: {printable(message)}", file=sys.stderr, flush=True)
