"""Runs a model that nobody vouches for in a process of its own, where it may crash, hang or fill the memory.

A hostile file can crash its runtime when it is opened, at a batch of another size, or only where the memory looks different; so a
trial would prove nothing, and the file never gets into our own process. That is no sandbox: it keeps accidents and vandals out,
not somebody who can make the runtime run his own code.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer
from typing import IO
from weakref import finalize

import numpy as np

from fmnist_edge.errors import FmnistEdgeError, ModelError, RuntimeUnavailableError, first_line
from fmnist_edge.runtime import CLASSES, OnnxSession, Probabilities, Session, TFLiteSession, Tiles
from fmnist_edge.tile import TILE_SIZE

TIME_LIMIT = 60.0
"""Seconds that Python's start and the opening may take, and then each batch. It is a second here; cards and Pis can be slow."""

MEMORY_LIMIT = 2**30
"""Bytes of its own that the process may have: ten times the largest model that is read."""

FIRST_BATCHES = (1, 64)
"""Numbers of tiles that a model must manage before it counts as open."""

MAX_REPLY_BYTES = 100_000_000

LENGTH_BYTES = 8


class ApartSession:
    """A .tflite or .onnx file's bytes in a runtime in another process, which ends with this object.

    Raises ModelError if the model crashes or hangs there, at once or later.
    """

    def __init__(self, content: bytes, suffix: str, threads: int = 1) -> None:
        # it finds the modules that we found; with -m it would look into the working directory first
        path = f"import sys; sys.path[:] = {list(map(str, sys.path))}"
        program = f"{path}; from fmnist_edge.apart import serve; serve({suffix!r}, {threads})"
        try:
            # in a session of its own: Ctrl-C is for us, who still have to print what is done
            self._process = Popen(
                [sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise ModelError(f"no process can be started to run it in ({first_line(error)})") from None
        finalize(self, stop, self._process)
        opened = json.loads(self._ask(content))
        if "error" in opened:
            raise (RuntimeUnavailableError if opened["unavailable"] else ModelError)(opened["error"])
        self.runtime: str = opened["runtime"]
        self.metadata: dict[str, str] = opened["metadata"]

    def probabilities(self, tiles: Tiles) -> Probabilities:
        if len(tiles) == 0:
            return np.zeros((0, len(CLASSES)), np.float32)
        return to_probabilities(self._ask(tiles.tobytes()), len(tiles))

    def _ask(self, request: bytes) -> bytes:
        """The process's reply."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = Timer(TIME_LIMIT, self._process.kill)
        timer.start()
        try:
            send(self._process.stdin, request)
            return receive(self._process.stdout, MAX_REPLY_BYTES)
        except BaseException as error:
            late = not timer.is_alive()
            self._process.kill()  # after Ctrl-C too: a late reply would be taken for the next one
            if not isinstance(error, OSError | EOFError):
                raise
            status = self._process.wait()
        finally:
            timer.cancel()
        if late:
            raise ModelError(f"it hangs the runtime: no answer for {TIME_LIMIT:g} seconds")
        how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
        raise ModelError(f"it crashes the runtime ({how})")


def stop(process: Popen[bytes]) -> None:
    with suppress(OSError), process:
        process.kill()


def send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(LENGTH_BYTES, "big"))
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes], max_bytes: int) -> bytes:
    """What was sent. Raises EOFError if it is too long, breaks off, or nothing comes any more."""
    head = pipe.read(LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    content = pipe.read(length) if length <= max_bytes else b""
    if len(head) < LENGTH_BYTES or len(content) < length:
        raise EOFError
    return content


def serve(suffix: str, threads: int) -> None:
    """The other process: opens the model that comes first, then answers tiles with probabilities as long as some come."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a runtime prints is no reply
    limit_resources()
    try:
        content = receive(requests, sys.maxsize)
        session: Session = OnnxSession(content, threads) if suffix == ".onnx" else TFLiteSession(content, threads=threads)
        for count in FIRST_BATCHES:
            tiles = np.zeros((count, TILE_SIZE, TILE_SIZE), np.uint8)
            to_probabilities(session.probabilities(tiles).tobytes(), count)
    except Exception as error:
        why = str(error) if isinstance(error, FmnistEdgeError) else f"the runtime can't run it ({first_line(error)})"
        send(replies, json.dumps({"error": why, "unavailable": isinstance(error, RuntimeUnavailableError)}).encode())
        return
    send(replies, json.dumps({"runtime": session.runtime, "metadata": getattr(session, "metadata", {})}).encode())
    with suppress(EOFError):
        while True:
            tiles = np.frombuffer(receive(requests, sys.maxsize), np.uint8).reshape(-1, TILE_SIZE, TILE_SIZE)
            send(replies, session.probabilities(tiles).tobytes())


def to_probabilities(reply: bytes, count: int) -> Probabilities:
    """float32 (count, 10). Raises ModelError unless the reply is ten probabilities for each of so many tiles."""
    if len(reply) == count * len(CLASSES) * 4:
        output = np.frombuffer(reply, np.float32).reshape(count, len(CLASSES))
        if ((output >= 0) & (output <= 1.01)).all():
            return output.copy()
    raise ModelError("its answers are no probabilities")


def limit_resources() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows has none
        return
    for kind, most in ((resource.RLIMIT_DATA, MEMORY_LIMIT), (resource.RLIMIT_CORE, 0)):
        # where a stricter limit holds already, that one stays
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
