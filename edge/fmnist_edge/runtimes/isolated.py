"""Runs a model that nobody vouches for in its own process, where a crash, a hang or a full memory does no harm.

A hostile file can crash its runtime when it is opened, at a batch of another size, or only where the memory looks different; so a
trial would prove nothing, and the file never gets into our own process. That is no sandbox: it keeps accidents and vandals out,
not somebody who can make the runtime run his own code.
"""

import json
import os
import resource
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Timer
from weakref import finalize

import numpy as np

from fmnist_edge.contract import CLASSES, TILE_SIZE, Probabilities, Tiles
from fmnist_edge.errors import FmnistEdgeError, ModelError, RuntimeUnavailableError, first_line
from fmnist_edge.processes import pipes, start, stop
from fmnist_edge.runtimes.formats import format_of

TIME_LIMIT = 60.0
"""Seconds for starting Python and opening the model, and then for each batch. A second here; Pis and their cards can be slow."""

MEMORY_LIMIT = 2**30
"""Bytes that the process may allocate: ten times the largest model that is read."""

FIRST_BATCHES = (1, 64)
"""Batch sizes that a model must survive before it counts as open."""

MAX_REPLY_BYTES = 100_000_000


class IsolatedSession:
    """A .tflite or .onnx file's bytes in a runtime in another process, which ends with this object.

    Raises ModelError if the model crashes or hangs there, at once or later.
    """

    def __init__(self, content: bytes, suffix: str, threads: int = 1) -> None:
        try:
            self._process = start(f"fmnist_edge.runtimes.isolated:serve({suffix!r}, {threads})")
        except OSError as error:
            raise ModelError(f"no process can be started to run it in ({first_line(error)})") from None
        finalize(self, stop, self._process)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._replies = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        opened = json.loads(self._ask(content))
        if "error" in opened:
            raise (RuntimeUnavailableError if opened["unavailable"] else ModelError)(opened["error"])
        self.runtime: str = opened["runtime"]

    def probabilities(self, tiles: Tiles) -> Probabilities:
        if len(tiles) == 0:
            return np.zeros((0, len(CLASSES)), np.float32)
        return read_reply(self._ask(tiles.tobytes()), len(tiles))

    def _ask(self, request: bytes) -> bytes:
        """The process's reply."""
        timer = Timer(TIME_LIMIT, self._process.kill)
        timer.start()
        try:
            self._requests.send_bytes(request)
            return self._replies.recv_bytes(MAX_REPLY_BYTES)
        except BaseException as error:
            late = not timer.is_alive()
            self._process.kill()  # after Ctrl-C too: a late reply would be mistaken for the next one
            if not isinstance(error, OSError | EOFError):
                raise
            status = self._process.wait()
        finally:
            timer.cancel()
        if late:
            raise ModelError(f"it hangs the runtime: no answer for {TIME_LIMIT:g} seconds")
        how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
        raise ModelError(f"it crashes the runtime ({how})")


def serve(suffix: str, threads: int) -> None:
    """The other process: opens the model that it is sent first, then answers each batch of tiles with probabilities."""
    given, wanted = pipes()
    requests, replies = Connection(given, writable=False), Connection(wanted, readable=False)
    limit_resources()
    try:
        content = requests.recv_bytes()
        session = format_of(suffix).open(content, threads)
        for count in FIRST_BATCHES:
            tiles = np.zeros((count, TILE_SIZE, TILE_SIZE), np.uint8)
            read_reply(session.probabilities(tiles).tobytes(), count)
    except Exception as error:
        why = str(error) if isinstance(error, FmnistEdgeError) else f"the runtime can't run it ({first_line(error)})"
        replies.send_bytes(json.dumps({"error": why, "unavailable": isinstance(error, RuntimeUnavailableError)}).encode())
        return
    replies.send_bytes(json.dumps({"runtime": session.runtime}).encode())
    with suppress(EOFError):
        while True:
            tiles = np.frombuffer(requests.recv_bytes(), np.uint8).reshape(-1, TILE_SIZE, TILE_SIZE)
            replies.send_bytes(session.probabilities(tiles).tobytes())


def read_reply(reply: bytes, count: int) -> Probabilities:
    """float32 (count, 10). Raises ModelError unless the reply is ten probabilities for each of so many tiles."""
    if len(reply) == count * len(CLASSES) * 4:
        output = np.frombuffer(reply, np.float32).reshape(count, len(CLASSES))
        if ((output >= 0) & (output <= 1.01)).all():
            return output.copy()
    raise ModelError("its answers are not probabilities")


def limit_resources() -> None:
    for kind, most in ((resource.RLIMIT_DATA, MEMORY_LIMIT), (resource.RLIMIT_CORE, 0)):
        # a stricter limit that is set already stays
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
