"""Reads the pictures that were found, in this process or in several, in order: what each shows, or why it can't be read."""

import gc
import io
import pickle
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from PIL import Image

from fmnist_edge.errors import FmnistEdgeError, InputError
from fmnist_edge.pictures.decode import MAX_BYTES, MAX_PIXELS, TOO_LONG, decode
from fmnist_edge.pictures.tile import View, Wanted, view_of

if TYPE_CHECKING:
    from subprocess import Popen

CHUNK, LARGEST_CHUNK, CHUNK_MS = 8, 64, 50.0
"""Pictures that a process gets at once: a few photos, so that results arrive soon, or as many tiles as take CHUNK_MS."""

AHEAD = 32
"""Chunks that are handed out or read, and not handed on yet."""

FIRST = 16
"""Pictures that are read in this process before other processes are considered."""

START_MS, LEAST_MS = 400.0, 0.02
"""Milliseconds that the remaining pictures, and each of them, must take for other processes to be worth starting. A picture that
takes less is a tile in an array: sending it takes longer than reading it."""

KILLED = "a process that reads pictures was killed; fewer --jobs need less memory"


class Options(NamedTuple):
    """How pictures are found and read.

    rotate: degrees clockwise. certificate: the one that an https:// server must present.
    whole: decode photos in full, not only as large as a tile needs. frames: the next frame of a video, stream or camera counts as
    a picture.
    """

    recursive: bool = False
    wanted: Wanted = "auto"
    max_pixels: int = MAX_PIXELS
    rotate: int = 0
    certificate: str | None = None
    whole: bool = False
    frames: bool = False


class Source(NamedTuple):
    """A picture that was found. It can be sent to another process. ``open`` and ``read`` raise InputError."""

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
    """Stands for ``Source.open`` where nothing was found."""
    raise error


def open_content(content: bytes, options: Options) -> Image.Image:
    """The picture in the bytes of its file. Raises InputError."""
    if len(content) > MAX_BYTES:
        raise InputError(TOO_LONG)
    if not content:
        raise InputError("there is nothing in it")
    return decode(io.BytesIO(content), options.max_pixels, options.whole)


def read_all(sources: Iterable[Source], jobs: int | None = None) -> Iterator[Item]:
    """Reads the pictures in order; with several jobs, in that many processes, a few pictures ahead.

    jobs: if None, one process, or several if there is enough to do.
    """
    rest = iter(sources)
    if jobs is None:
        times = [0.0]
        for source in islice(rest, FIRST):
            item = read_item(source)
            times.append(item.milliseconds)
            yield item
        jobs, median = 1, sorted(times)[len(times) // 2]
        if median > LEAST_MS:
            worth = max(round(START_MS / median), 1)
            ahead = list(islice(rest, worth))
            rest = chain(ahead, rest)
            if len(ahead) == worth:
                jobs = worthwhile_processes()
    yield from map(read_item, rest) if jobs == 1 else read_in_processes(rest, jobs)


def worthwhile_processes() -> int:
    from fmnist_edge.processes import worthwhile  # a few pictures need not wait for this import

    return worthwhile()


def read_in_processes(sources: Iterator[Source], jobs: int) -> Iterator[Item]:
    """The others have two chunks each. This process hands on what is read, in order, and reads while the next answer is not here.

    So nobody waits for a process that starts, which takes as long as two thousand tiles.
    """
    from fmnist_edge.processes import start, stop

    try:
        readers = [start("fmnist_edge.classify.reading:serve()") for _ in range(jobs - 1)]
    except OSError:  # a limit on processes or memory
        yield from map(read_item, sources)
        return
    try:
        handed_out, size = deque["Popen[bytes] | list[Item]"](), CHUNK

        def hand_out(reader: "Popen[bytes]") -> None:
            if chunk := list(islice(sources, size)):
                send(reader, chunk)
                handed_out.append(reader)

        for reader in readers * 2:
            hand_out(reader)
        while handed_out:
            while not is_here(handed_out[0]) and len(handed_out) < AHEAD and (chunk := list(islice(sources, size))):
                handed_out.append(items := list(map(read_item, chunk)))
                size = next_size(items)
            first = handed_out.popleft()
            if isinstance(first, list):
                yield from first
            else:
                items = receive(first)
                hand_out(first)
                yield from items
                size = next_size(items)
    finally:
        for reader in readers:
            stop(reader)


def next_size(chunk: list[Item]) -> int:
    return round(min(max(CHUNK, CHUNK_MS * len(chunk) / sum(item.milliseconds for item in chunk)), LARGEST_CHUNK))


def is_here(chunk: "Popen[bytes] | list[Item]") -> bool:
    """Whether it is read: here, or by a process whose answer begins to come."""
    from select import select

    if isinstance(chunk, list):
        return True
    assert chunk.stdout is not None
    return bool(select([chunk.stdout], [], [], 0)[0])


def send(reader: "Popen[bytes]", chunk: list[Source]) -> None:
    assert reader.stdin is not None
    try:
        pickle.dump(chunk, reader.stdin)
        reader.stdin.flush()
    except OSError:
        raise FmnistEdgeError(KILLED) from None


def receive(reader: "Popen[bytes]") -> list[Item]:
    assert reader.stdout is not None
    try:
        reply: list[Item] | Exception = pickle.load(reader.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        raise FmnistEdgeError(KILLED) from None
    if isinstance(reply, Exception):  # a bug of ours
        raise reply
    return reply


def serve() -> None:
    """The loop of a reading process: reads what it is sent, in order, until the sender is gone."""
    from queue import SimpleQueue
    from threading import Thread

    from fmnist_edge.processes import pipes

    warnings.simplefilter("ignore")  # as the command does
    gc.freeze()
    requests, replies = pipes()
    chunks: SimpleQueue[list[Source]] = SimpleQueue()

    def take() -> None:
        with open(requests, "rb") as file:
            try:
                while True:
                    chunks.put(pickle.load(file))
            finally:
                chunks.put([])

    # in a thread: if chunks stayed in the pipe, both sides could wait for each other
    Thread(target=take).start()
    with open(replies, "wb") as file:
        while chunk := chunks.get():
            try:
                reply: list[Item] | Exception = [read_item(source) for source in chunk]
            except Exception as error:
                reply = error
            pickle.dump(reply, file)
            file.flush()


def read_item(source: Source) -> Item:
    began = time.perf_counter()
    view = error = None
    try:
        view = source.read()
    except InputError as problem:
        error = problem
    return Item(source.name, view, error, 1000 * (time.perf_counter() - began))
