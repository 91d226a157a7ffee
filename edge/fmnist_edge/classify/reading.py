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

from PIL import Image

from fmnist_edge.errors import FmnistEdgeError, InputError, first_line
from fmnist_edge.pictures.decode import MAX_BYTES, MAX_PIXELS, TOO_LONG, decode
from fmnist_edge.pictures.tile import View, Wanted, view_of

CHUNK = 8
"""Pictures that a process gets at once: enough for tiles, which take no time, few enough to come back soon."""


class Options(NamedTuple):
    """How pictures are looked for, and read.

    rotate: degrees, clockwise, that each is turned by. certificate: that an https:// server has to show.
    whole: photos are decoded in full, and not only as large as a tile needs. frames: of a video, stream or camera, the next frame
    is a picture too.
    """

    recursive: bool = False
    wanted: Wanted = "auto"
    max_pixels: int = MAX_PIXELS
    rotate: int = 0
    certificate: str | None = None
    whole: bool = False
    frames: bool = False


class Source(NamedTuple):
    """A picture that was found. It may be sent to another process. ``open`` and ``read`` raise InputError."""

    name: str
    open: Callable[[], Image.Image]
    wanted: Wanted = "auto"

    def read(self) -> View:
        return view_of(self.open(), self.wanted)


class Item(NamedTuple):
    """What a picture shows, or why it can't be read, and the milliseconds that reading it took."""

    name: str
    view: View | None
    error: InputError | None
    milliseconds: float


def fail(error: InputError) -> NoReturn:
    """Reads what could not be found."""
    raise error


def open_content(content: bytes, options: Options) -> Image.Image:
    """The picture in the bytes of its file. Raises InputError."""
    if len(content) > MAX_BYTES:
        raise InputError(TOO_LONG)
    if not content:
        raise InputError("there is nothing in it")
    return decode(io.BytesIO(content), options.max_pixels, options.whole)


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
