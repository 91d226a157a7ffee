"""The page as `fmnist-edge page` serves it, and as a browser shows it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from support.commands import FMNIST_EDGE

START = 30
"""Seconds that the page has to answer after it was started."""


class Server:
    """`fmnist-edge page`, which can be killed and started again at the same port."""

    def __init__(self, options: tuple[object, ...]) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/"
        self._command = [str(part) for part in (FMNIST_EDGE, "page", "--port", self.port, *options)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end = time.monotonic() + START
        while not self._answers():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end, "the page does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


@contextmanager
def serving(*options: object) -> Iterator[Server]:
    server = Server(options)
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
