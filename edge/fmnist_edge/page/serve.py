"""Runs the page: the web server in a thread, the camera's loop in the main one, strangers' pictures in another process."""

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
"""For the answers that are under way when the page ends."""

SWITCH_SECONDS = 0.0005
"""That a thread may keep the interpreter while another waits: the camera's loop asks for it a dozen times for each frame."""

HANGS = 10.0
"""Seconds without a sign of the server's loop after which it hangs."""

BACKLOG = 64

THREADS = 4
"""For what reads and writes files: by itself, anyio would start 40, and the unit may have 50 tasks."""


@dataclass(frozen=True)
class Settings:
    """names: of the page, beside this machine's. save_mb: of all photos together. language: of the labels."""

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
    """uvicorn in a thread."""

    def __init__(self, listener: socket.socket, guard: Guard, hub: Hub, settings: Settings) -> None:
        self._listener, self._hub = listener, hub
        for name in ("uvicorn", "uvicorn.error", "python_multipart"):  # they would print what every client does wrong
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
        return self._thread.is_alive() and time.monotonic() - self._tick_at < HANGS

    def check(self) -> None:
        """Raises FmnistEdgeError if it has ended."""
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
    """A page that serves. link: its address; secret, token_file: None where it asks for none; made: the token, just now."""

    page: Page
    server: Server
    systemd: Service
    link: str
    secret: Secret | None
    token_file: Path | None
    made: bool


@contextmanager
def serving(settings: Settings, source: Source | None) -> Iterator[Running]:
    """Starts the server, not the camera's loop. Raises the FmnistEdgeError of what can't be."""
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
    """Serves until SIGTERM; raises KeyboardInterrupt after SIGINT, and the FmnistEdgeError of what can't be."""
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
    """Without a camera."""
    running.systemd.say("STATUS", "no camera; waits for pictures")
    while signals.ending is None:
        running.server.check()
        running.systemd.alive()
        time.sleep(TICK)


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound. Raises UsageError for a host that this machine is not, FmnistEdgeError if the port is taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise UsageError(
            f"--host {printable(host)} is no address of this machine; 127.0.0.1 is for it alone, 0.0.0.0 for all"
        ) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise FmnistEdgeError(f"port {port} is taken; is a page running already? --port takes another") from None
        if error.errno == errno.EACCES:
            raise FmnistEdgeError(f"port {port} is for root alone; --port takes another, from 1024 on") from None
        raise UsageError(f"--host {printable(host)}: {(error.strerror or str(error)).lower()}") from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine's users gets there."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Raises UsageError if they can't be used."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"--tls-cert {certificate}: it or its key can't be used ({first_line(error)}); both are PEM files"
        ) from None


def link_of(settings: Settings, listener: socket.socket) -> str:
    """The page's address, as others type it."""
    host = settings.host
    if is_address(host) and ipaddress.ip_address(host).is_unspecified:
        host = own_address()
    host = f"[{host}]" if ":" in host else host
    return f"http{'s' if settings.certificate else ''}://{host}:{listener.getsockname()[1]}/"


def own_address() -> str:
    """This machine's in its network: what it would send from, though it sends nothing. Its name where it has none."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # of no machine (RFC 5737)
        return str(probe.getsockname()[0])
    return f"{socket.gethostname().partition('.')[0]}.local"


def tell(message: str) -> None:
    """A line on stderr."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(f"fmnist-edge: {printable(message)}", file=sys.stderr, flush=True)
