"""Reads and classifies pictures that strangers send, in a process of its own: it may take long, crash or fill the memory there.

The camera's loop does not wait for it. It is no sandbox, but no stranger's byte is decoded in the process that has the token.
"""

import asyncio
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from fmnist_edge.errors import FmnistEdgeError, first_line

WAITING = 8
"""Requests that may wait; who comes after them is asked to come again."""

READING = 20.0
"""Seconds that one picture may take: a Pi Zero takes about two for a phone's photo."""

OPENING = 120.0
"""Seconds for Python's start and the model, and for verifying it: cards and Pis can be slow."""

Answer = tuple[dict[str, Any], bytes]


class Refused(FmnistEdgeError):
    """A request that is answered with an error. ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Busy(FmnistEdgeError):
    """Too many wait already."""


class Reader:
    """The process. Raises FmnistEdgeError, with its exit status, if the model can't be opened or run.

    model, min_confidence, language: as the command's options.
    """

    def __init__(self, model: Path | None, min_confidence: float | None, language: str) -> None:
        self._arguments = str(model) if model else None, min_confidence, language
        self._process: Popen[bytes] | None = None
        self._threads = ThreadPoolExecutor(1, "reader")
        self._lock = threading.Lock()
        self.waiting = 0
        self._start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        path = f"import sys; sys.path[:] = {list(map(str, sys.path))}"
        program = f"{path}; from fmnist_edge.page.work import serve; serve(*{self._arguments!r})"
        try:
            # not in a session of its own: Linux would give it as much time as the camera's loop, whatever its niceness
            self._process = Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        except OSError as error:
            raise FmnistEdgeError(f"no process can be started to read pictures in ({first_line(error)})") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._replies = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        opened, _ = self._receive(OPENING)
        if "error" in opened:
            self.close()
            problem = FmnistEdgeError(opened["error"])
            problem.exit_status = opened["exit_status"]
            raise problem

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            with suppress(OSError), self._process:
                self._process.kill()
            self._requests.close()
            self._replies.close()
            self._process = None

    def revive(self) -> None:
        """Starts the process again if something has ended it. Does not wait for it."""
        if not self.alive and self.waiting == 0:
            self._start_again()

    def _start_again(self) -> None:
        self.close()
        self._threads.submit(self._start)

    async def ask(self, request: dict[str, Any], content: bytes = b"", limit: float | None = None) -> Answer:
        """What the process answers. Raises Busy if too many wait, Refused if there is no answer."""
        if self.waiting >= WAITING:
            raise Busy
        self.waiting += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(self.ask_now, request, content, limit)
        # counted until it is done, though who asked may be gone: what can't be stopped any more still takes its time
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self.waiting -= 1

    def ask_now(self, request: dict[str, Any], content: bytes = b"", limit: float | None = None) -> Answer:
        """The same, waiting for it."""
        with self._lock:
            try:
                if not self.alive:
                    self.close()
                    self._start()
                self._requests.send_bytes(json.dumps(request).encode())
                self._requests.send_bytes(content)
                head, body = self._receive(limit := limit or READING)
            except TimeoutError:  # an OSError too
                self._start_again()
                raise Refused(422, f"the picture takes longer to read than {limit:g} seconds") from None
            except (OSError, EOFError):
                self._start_again()
                raise Refused(422, "the picture crashes what reads it") from None
        if "error" in head:
            raise Refused(head["status"], head["error"])
        return head, body

    def _receive(self, limit: float) -> Answer:
        if not self._replies.poll(limit):
            raise TimeoutError
        head = json.loads(self._replies.recv_bytes())
        return head, self._replies.recv_bytes()
