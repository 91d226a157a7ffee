"""Reads and classifies pictures that strangers send, in a process of its own: it may take long, crash or fill the memory there.

The camera's loop does not wait for it. It is no sandbox: it has the page's user, who may read the token's file. What the page was
told in secret by its environment it does not have.
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
"""Requests that may wait; any more are turned away, to come back in a second."""

READING = 20.0
"""Seconds that one picture may take: a Pi Zero takes about two for a phone's photo."""

OPENING = 120.0
"""Seconds for Python's start and the model, and for verifying it: cards and Pis can be slow."""

SECRETS = ("FMNIST_EDGE_PAGE_TOKEN", "FMNIST_EDGE_SOURCE")
"""Of the environment: a camera's address may have a password in it."""

NO_START = "the process that reads pictures ends while it starts; is there memory for it? 'fmnist-edge doctor' says more"
SLOW_START = f"the process that reads pictures has not started within {OPENING:g} seconds; is the machine overloaded?"

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
            # not in a session of its own: Linux would give it as much time as the camera's loop, whatever its niceness
            self._process = Popen([sys.executable, "-c", program], env=environment, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        except OSError as error:
            raise FmnistEdgeError(f"no process can be started to read pictures in ({first_line(error)})") from None
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
        """Ends the process for good, also while it reads a picture."""
        self._ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if (process := self._process) is not None:
            process.kill()
        with self._lock:  # who waits for the process has heard by now that it is gone
            self._end_process()

    def _end_process(self) -> None:
        if self._process is not None:
            with suppress(OSError), self._process:
                self._process.kill()
            self._requests.close()
            self._replies.close()
            self._process = None

    def revive(self) -> None:
        """Starts the process again if something has ended it. Does not wait for it."""
        if not self.alive and self.waiting == 0:
            self._start_later()

    def _start_later(self) -> None:
        with suppress(RuntimeError):  # it was closed meanwhile
            self._threads.submit(self._start_again)

    def _start_again(self) -> None:
        """Unless somebody was faster."""
        with self._lock:
            if not self.alive and not self._ended:
                self._end_process()
                self._start()

    async def ask(self, request: dict[str, Any], content: bytes = b"", limit: float | None = None) -> Answer:
        """What the process answers. Raises Busy if too many wait, Refused if there is no answer."""
        if self.waiting >= WAITING:
            raise Busy
        if self._ended:
            raise closed()
        self.waiting += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(self.ask_now, request, content, limit)
        # counted until it is done, though who asked may be gone: what can't be stopped any more still takes its time
        future.add_done_callback(lambda _: self._count_down(loop))
        return await asyncio.wrap_future(future)

    def _count_down(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        self.waiting -= 1

    def ask_now(self, request: dict[str, Any], content: bytes = b"", limit: float | None = None) -> Answer:
        """The same, waiting for it."""
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
                raise Refused(422, f"the picture takes longer to read than {limit:g} seconds") from None
            except (OSError, EOFError):
                if self._ended:
                    raise closed() from None
                self._end_process()
                self._start_later()
                raise Refused(422, "the picture crashes what reads it") from None
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
    return Refused(503, "the page is ending")
