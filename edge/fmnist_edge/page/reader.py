"""Reads and classifies uploaded pictures in a process of its own, where they may hang, crash or use up the memory.

The camera's loop does not wait for this process. It is not a sandbox: it runs as the page's user, who can read the token's file.
The secrets in the page's environment are not passed on to it.
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
"""How many requests may wait. Others are refused, and may come back in a second."""

READING = 20.0
"""Time limit for one picture, in seconds. A Pi Zero takes about two for a phone's photo."""

OPENING = 120.0
"""Time limit, in seconds, for starting Python with the model, and for verifying it: Pis and their cards can be slow."""

SECRETS = ("FMNIST_EDGE_PAGE_TOKEN", "FMNIST_EDGE_SOURCE")
"""Environment variables that are not passed on: a camera's address may contain a password."""

NO_START = "the process that reads pictures ended while starting; is there enough memory? 'fmnist-edge doctor' says more"
SLOW_START = f"the process that reads pictures has not started within {OPENING:g} seconds; is the machine overloaded?"

Answer = tuple[dict[str, Any], bytes]


class Refused(FmnistEdgeError):
    """The request gets an error reply. ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Busy(FmnistEdgeError):
    """Too many requests are waiting already."""


class Reader:
    """The process that reads pictures. Raises FmnistEdgeError, with its exit status, if the model can't be opened or run.

    model, min_confidence and language are the command's options.
    """

    def __init__(self, model: Path | None, min_confidence: float | None, language: str) -> None:
        self._arguments = str(model) if model else None, min_confidence, language
        self._process: Popen[bytes] | None = None
        self._threads = ThreadPoolExecutor(1, "reader")
        self._lock = threading.Lock()
        self._ended = False
        self.waiting = 0
        self._start()

    @property
    def alive(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
        path = f"import sys; sys.path[:] = {list(map(str, sys.path))}"
        program = f"{path}; from fmnist_edge.page.work import serve; serve(*{self._arguments!r})"
        try:
            # no session of its own: with one, Linux would give it as much time as the camera's loop, whatever its niceness
            self._process = Popen([sys.executable, "-c", program], env=environment, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        except OSError as error:
            raise FmnistEdgeError(f"can't start the process that reads pictures ({first_line(error)})") from None
        if self._ended:
            self._process.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._replies = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        try:
            opened, _ = self._receive(OPENING)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            self._end_process()
            raise FmnistEdgeError(SLOW_START if isinstance(error, TimeoutError) else NO_START) from None
        if "error" in opened:
            self._end_process()
            problem = FmnistEdgeError(opened["error"])
            problem.exit_status = opened["exit_status"]
            raise problem

    def close(self) -> None:
        """Ends the process for good, even while it reads a picture."""
        self._ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if (process := self._process) is not None:
            process.kill()
        with self._lock:  # any thread that waited for the process has been told by now that it is gone
            self._end_process()

    def _end_process(self) -> None:
        if self._process is not None:
            with suppress(OSError), self._process:
                self._process.kill()
            self._requests.close()
            self._replies.close()
            self._process = None

    def revive(self) -> None:
        """Starts the process again if it has ended. Does not wait for the start."""
        if not self.alive and self.waiting == 0:
            self._start_later()

    def _start_later(self) -> None:
        with suppress(RuntimeError):  # it has been closed
            self._threads.submit(self._start_again)

    def _start_again(self) -> None:
        """Starts the process, unless another thread has done so already."""
        with self._lock:
            if not self.alive and not self._ended:
                self._end_process()
                self._start()

    async def ask(self, request: dict[str, Any], content: bytes = b"", limit: float | None = None) -> Answer:
        """The process's answer. Raises Busy if too many requests wait, Refused if there is no answer."""
        if self.waiting >= WAITING:
            raise Busy
        if self._ended:
            raise closed()
        self.waiting += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(self.ask_now, request, content, limit)
        # counted until it is done, even if the client is gone: a job that can't be stopped still takes time
        future.add_done_callback(lambda _: self._count_down(loop))
        return await asyncio.wrap_future(future)

    def _count_down(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        self.waiting -= 1

    def ask_now(self, request: dict[str, Any], content: bytes = b"", limit: float | None = None) -> Answer:
        """Like ``ask``, but blocking."""
        limit = limit or READING
        with self._lock:
            if self._ended:
                raise closed()
            if not self.alive:
                self._start_or_refuse()
            try:
                self._requests.send_bytes(json.dumps(request).encode())
                self._requests.send_bytes(content)
                head, body = self._receive(limit)
            except TimeoutError:  # an OSError too
                self._end_process()
                self._start_later()
                raise Refused(422, f"reading the picture takes longer than {limit:g} seconds") from None
            except (OSError, EOFError):
                if self._ended:
                    raise closed() from None
                self._end_process()
                self._start_later()
                raise Refused(422, "the picture crashes the process that reads it") from None
        if "error" in head:
            raise Refused(head["status"], head["error"])
        return head, body

    def _start_or_refuse(self) -> None:
        self._end_process()
        try:
            self._start()
        except FmnistEdgeError as error:
            raise closed() if self._ended else Refused(503, str(error)) from None

    def _receive(self, limit: float) -> Answer:
        if not self._replies.poll(limit):
            raise TimeoutError
        head = json.loads(self._replies.recv_bytes())
        return head, self._replies.recv_bytes()


def closed() -> Refused:
    return Refused(503, "the page is shutting down")
