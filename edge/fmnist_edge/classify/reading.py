"""Reads pictures that were found, in this process or in several: what each shows, or why it can't be read, in their order."""

import io
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple, NoReturn

from fmnist_edge.errors import FmnistEdgeError, InputError, first_line
from fmnist_edge.pictures.decode import MAX_BYTES, MAX_PIXELS, TOO_LONG, decode
from fmnist_edge.pictures.tile import View, Wanted, view_of

ZIP, NPY, GZIP, IDX = b"PK\x03\x04", b"\x93NUM", b"\x1f\x8b", b"\0\0\x08\x03"
ARCHIVES = (ZIP, NPY, GZIP, IDX)
"""How files begin. IDX: of bytes, in three dimensions."""

CHUNK = 8
"""Pictures that a process gets at once: enough for tiles, which take no time, few enough to come back soon."""


class Options(NamedTuple):
    """How pictures are looked for, and read."""

    recursive: bool = False
    wanted: Wanted = "auto"
    max_pixels: int = MAX_PIXELS


class Source(NamedTuple):
    """A picture that was found. ``read`` raises InputError; it may be sent to another process."""

    name: str
    read: Callable[[], View]


class Item(NamedTuple):
    """What a picture shows, or why it can't be read, and the milliseconds that reading it took."""

    name: str
    view: View | None
    error: InputError | None
    milliseconds: float


def fail(error: InputError) -> NoReturn:
    """Reads what could not be found."""
    raise error


def read_content(content: bytes, options: Options) -> View:
    """What the bytes of a picture's file show. Raises InputError."""
    if len(content) > MAX_BYTES:
        raise InputError(TOO_LONG)
    if not content:
        raise InputError("there is nothing in it")
    return view_of(decode(io.BytesIO(content), options.max_pixels), options.wanted)


def read_all(sources: Iterable[Source], jobs: int = 1) -> Iterator[Item]:
    """Reads each picture in its turn; with several jobs, a few pictures ahead in as many processes."""
    if jobs == 1:
        yield from map(read_item, sources)
        return
    # imported here, since a single picture would wait for them
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        # not forked: this process may have threads
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), warnings.simplefilter, ("ignore",))
    except (OSError, ImportError, NotImplementedError) as error:  # no semaphores: /dev/shm is missing, full or read-only
        reason = getattr(error, "strerror", None) or first_line(error)
        cure = f"--jobs {jobs} wants a /dev/shm that can be written to ({reason}); going on in one process"
        print(f"fmnist-edge: {cure}", file=sys.stderr)
        yield from map(read_item, sources)
        return
    rest, ahead = iter(sources), deque[Future[list[Item]]]()
    try:
        while True:
            while len(ahead) < 2 * jobs and (chunk := list(islice(rest, CHUNK))):
                with sigint_blocked():
                    ahead.append(pool.submit(read_chunk, chunk))
            if not ahead:
                return
            yield from ahead.popleft().result()
    except BrokenProcessPool:
        raise FmnistEdgeError("a process that reads pictures was killed; with fewer --jobs less memory is needed") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Processes inherit what is blocked: Ctrl-C is for the one that waits for them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def read_chunk(sources: list[Source]) -> list[Item]:
    return [read_item(source) for source in sources]


def read_item(source: Source) -> Item:
    began = time.perf_counter()
    view = error = None
    try:
        view = source.read()
    except InputError as problem:
        error = problem
    return Item(source.name, view, error, 1000 * (time.perf_counter() - began))
