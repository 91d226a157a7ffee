"""A running page, and what asks it: in this process, for tests that need no camera; or as the command."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.live.watch import Options
from fmnist_edge.page.live import Source
from fmnist_edge.page.serve import Running, Settings, serving
from support.commands import FMNIST_EDGE, MODELS, ROOT, WIDE

SHOE = (ROOT / "docs" / "shoe.png").read_bytes()

OPTIONS = Options(None, 0, False, "auto", 0.15, 2.0, False, None, None)

SOURCE = Source("test", FeedOptions(), OPTIONS)
"""A camera, for pages whose loop the test plays."""


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    """Sends requests to a port of this machine."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.port, self.headers = port, headers or {}

    def __call__(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {**self.headers, **named})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self("GET", path, **headers)

    def post(self, path: str, body: bytes | str | dict[str, Any] = b"", **headers: str) -> Reply:
        return self("POST", path, json.dumps(body) if isinstance(body, dict) else body, **headers)

    def raw(self, request: bytes, timeout: float = 10) -> socket.socket:
        """A connection on which this was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout)
        connection.sendall(request)
        return connection


def until_closed(connection: socket.socket) -> bytes:
    """All that comes. A connection that the other side resets is closed as well."""
    received = b""
    try:
        while more := connection.recv(65536):
            received += more
    except ConnectionResetError:
        pass
    return received


def multipart(*pictures: tuple[str, bytes], part: str = "picture") -> tuple[bytes, str]:
    """A form's body, and its media type."""
    parts = [
        f'--limit\r\nContent-Disposition: form-data; name="{part}"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in pictures
    ]
    return b"".join(parts) + b"--limit--\r\n", "multipart/form-data; boundary=limit"


SETTINGS = Settings(
    host="127.0.0.1",
    port=0,
    names=[],
    certificate=None,
    key=None,
    photos=Path("photos"),
    save_unsure=False,
    save_mb=100,
    model=MODELS / "fmnist-int8.tflite",
    min_confidence=None,
    language="en",
    systemd=False,
)


@contextmanager
def served(folder: Path, source: Source | None = None, **settings: Any) -> Iterator[tuple[Asker, Running]]:
    """In this process, without a camera's loop."""
    with serving(replace(SETTINGS, photos=folder / "photos", **settings), source) as running:
        yield Asker(int(running.link.rstrip("/").rpartition(":")[2])), running


@contextmanager
def started(folder: Path, *arguments: object, **environment: str) -> Iterator[tuple[Asker, "subprocess.Popen[str]"]]:
    """The command, which is ended as systemd does it. What it says on stderr comes into a file of that name in the folder."""
    command = [FMNIST_EDGE, "page", "--port", "0", "--photos", folder / "photos", *arguments]
    with open(folder / "stderr", "w") as messages:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **WIDE, "XDG_STATE_HOME": str(folder / "state"), **environment},
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        )
    try:
        assert process.stdout is not None
        link = process.stdout.readline()
        yield Asker(int(link.partition("/?")[0].strip().rstrip("/").rpartition(":")[2])), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_for(condition: Any, seconds: float = 20) -> bool:
    """Whether it comes true within so long."""
    end = time.monotonic() + seconds
    while not (met := bool(condition())) and time.monotonic() < end:
        time.sleep(0.02)
    return met
