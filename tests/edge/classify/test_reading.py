"""Pictures are read one after the other or in several processes: in their order, and what goes wrong is named."""

import gc
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import chain, count
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.classify import reading
from fmnist_edge.classify.reading import (
    AHEAD,
    CHUNK,
    FIRST,
    LARGEST_CHUNK,
    Item,
    Options,
    Source,
    fail,
    is_here,
    next_size,
    open_content,
    read_all,
    read_item,
    serve,
)
from fmnist_edge.errors import FmnistEdgeError, InputError
from support.commands import ROOT
from support.served import in_a_thread

TILE = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8) // 8


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def numbered(number: int) -> Image.Image:
    return Image.new("L", (28, 28), number)


def sources(count: int) -> Iterator[Source]:
    for number in range(count):
        yield Source(f"{number}.png", partial(numbered, number))


def test_by_default_each_picture_is_looked_at_and_turned_by_nobody_and_folders_in_folders_are_not() -> None:
    assert Options() == (False, "auto", 64_000_000, 0, None, False, False)


def test_a_picture_in_memory_is_what_it_shows() -> None:
    image = open_content(png(Image.fromarray(TILE)), Options())

    np.testing.assert_array_equal(np.asarray(image), TILE)


def test_a_picture_is_taken_for_what_it_is_said_to_be() -> None:
    opened = partial(Image.fromarray, TILE)

    assert Source("a.png", opened).read().kind == "tile"
    assert Source("a.png", opened, "photo").read().kind == "photo"
    with pytest.raises(InputError, match="not a tile"):
        Source("a.png", partial(Image.new, "L", (30, 30)), "tile").read()


def test_a_picture_in_memory_with_too_many_pixels_is_refused() -> None:
    content = png(Image.new("L", (30, 30)))

    assert open_content(content, Options(max_pixels=900)).size == (30, 30)
    with pytest.raises(InputError, match=r"larger than 0\.000899 million pixels"):
        open_content(content, Options(max_pixels=899))


def test_a_photo_in_memory_is_decoded_in_full_if_that_is_wanted() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 1600)).save(file, "jpeg")

    assert open_content(file.getvalue(), Options()).size == (500, 400)
    assert open_content(file.getvalue(), Options(whole=True)).size == (2000, 1600)


def test_more_bytes_than_fit_are_refused_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(Image.fromarray(TILE))
    monkeypatch.setattr(reading, "MAX_BYTES", len(content))
    assert open_content(content, Options()).size == (28, 28)
    monkeypatch.setattr(reading, "MAX_BYTES", len(content) - 1)

    with pytest.raises(InputError, match="larger than 256 MB; unpack it first"):
        open_content(content, Options())


def test_no_bytes_are_no_picture() -> None:
    with pytest.raises(InputError, match=r"^there is nothing in it$"):
        open_content(b"", Options())


def test_what_a_picture_shows_comes_with_its_name_and_time() -> None:
    def open_slowly() -> Image.Image:
        time.sleep(0.02)
        return numbered(3)

    item = read_item(Source("shoe.png", open_slowly))

    assert (item.name, item.error) == ("shoe.png", None)
    assert item.view is not None
    assert item.view.tile[0, 0] == 3
    assert 20 <= item.milliseconds < 10_000


def test_a_picture_that_cannot_be_read_does_not_stop_the_others() -> None:
    bad = Source("bad.png", partial(fail, InputError("damaged")))

    items = list(read_all([*sources(1), bad, *sources(1)]))

    assert [item.name for item in items] == ["0.png", "bad.png", "0.png"]
    assert [str(item.error) for item in items] == ["None", "damaged", "None"]
    assert [item.view is None for item in items] == [False, True, False]


def test_a_fault_of_ours_is_not_taken_for_a_bad_picture() -> None:
    with pytest.raises(ZeroDivisionError):
        read_item(Source("shoe.png", lambda: numbered(1 // 0)))


def test_one_process_reads_no_picture_before_it_is_wanted() -> None:
    asked: list[str] = []

    def watched() -> Iterator[Source]:
        for source in sources(3):
            asked.append(source.name)
            yield source

    next(read_all(watched()))

    assert asked == ["0.png"]


@pytest.mark.parametrize(("rest", "thought_of"), [(79, False), (80, True)])
def test_other_processes_are_thought_of_where_the_rest_takes_four_tenths_of_a_second(
    rest: int, thought_of: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked = count(0, 0.005), []  # each picture takes five milliseconds
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: asked.append(process) or {0})

    items = list(read_all(sources(16 + rest)))

    assert bool(asked) is thought_of
    assert [item.name for item in items] == [f"{number}.png" for number in range(16 + rest)]


@pytest.mark.parametrize(("quick", "thought_of"), [(7, True), (8, False)])
def test_a_few_large_pictures_among_small_ones_start_no_process(
    quick: int, thought_of: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of those that were read say how long the others take."""
    clock, asked = iter([*[0.0] * 2 * quick, *chain.from_iterable((n, n + 0.5) for n in range(100))]), []
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: asked.append(process) or {0})

    assert len(list(read_all(sources(20)))) == 20
    assert bool(asked) is thought_of


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the end of what it was sent
def test_a_reading_process_answers_one_chunk_after_the_other_until_none_come() -> None:
    bad, fault = Source("bad.png", partial(fail, InputError("damaged"))), Source("shoe.png", partial(len, 1))  # type: ignore[arg-type]
    with (
        warnings.catch_warnings(),
        in_a_thread(serve) as (requests, replies),
        open(replies, "rb") as answers,
        open(requests, "wb") as sent,
    ):
        replied = []
        for chunk in ([*sources(2), bad], [fault], list(sources(1))):
            pickle.dump(chunk, sent)
            sent.flush()
            replied.append(pickle.load(answers))
            os.write(1, b"what a decoder prints is no answer")
        first, second, third = replied
        sent.close()
        assert answers.read() == b""
        quiet = warnings.filters[0][0]
    gc.unfreeze()

    assert [(item.name, str(item.error)) for item in first] == [("0.png", "None"), ("1.png", "None"), ("bad.png", "damaged")]
    assert [int(item.view.tile[0, 0]) for item in first if item.view] == [0, 1]
    assert isinstance(second, TypeError)
    assert [item.name for item in third] == ["0.png"]
    assert quiet == "ignore"


@pytest.mark.slow
def test_a_process_that_has_ended_before_it_is_sent_anything_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    many = [Source(f"{number:0100000}", partial(numbered, number)) for number in range(2 * CHUNK)]  # more than a pipe holds

    with pytest.raises(FmnistEdgeError, match=r"^a process that reads pictures was killed; fewer --jobs need less memory$"):
        list(read_all(many, jobs=2))


def test_what_was_chosen_by_measurement_is_as_it_was_measured() -> None:
    assert (reading.FIRST, reading.START_MS, reading.LEAST_MS) == (16, 400, 0.02)
    assert (CHUNK, LARGEST_CHUNK, reading.CHUNK_MS, AHEAD) == (8, 64, 50, 32)


@pytest.mark.slow
def test_several_processes_keep_the_order_and_name_what_is_bad() -> None:
    count = 5 * CHUNK + 3
    everything = [*sources(count), Source("bad.png", partial(fail, InputError("damaged")))]

    items = list(read_all(everything, jobs=2))

    assert [item.name for item in items] == [source.name for source in everything]
    assert [int(item.view.tile[0, 0]) for item in items if item.view] == list(range(count))
    assert [str(item.error) for item in items if item.error] == ["damaged"]


@pytest.mark.slow
def test_several_processes_do_not_run_through_all_names_at_once() -> None:
    asked: list[str] = []

    def watched() -> Iterator[Source]:
        for source in sources(10_000):
            asked.append(source.name)
            yield source

    items = read_all(watched(), jobs=2)
    for _ in range(200):
        next(items)
    items.close()  # type: ignore[attr-defined]

    assert len(asked) <= 200 + (AHEAD + 1) * LARGEST_CHUNK


def test_an_answer_is_here_as_soon_as_it_begins_to_come_and_what_was_read_here_always() -> None:
    assert is_here([])
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert not is_here(process)
        process.stdin.write(b"x")
        process.stdin.flush()
        for _ in range(1000):
            if is_here(process):
                return
            time.sleep(0.01)
    pytest.fail("it came and was not noticed")


@pytest.mark.slow
def test_nobody_waits_for_a_slower_process() -> None:
    everything = [Source(f"{number}.png", partial(slow_elsewhere, os.getpid()), "tile") for number in range(10 * CHUNK)]

    items = list(read_all(everything, jobs=2))

    assert [item.name for item in items] == [source.name for source in everything]
    assert sum(int(item.view.tile.view("u4")[0, 0]) == os.getpid() for item in items if item.view) == 8 * CHUNK


def slow_elsewhere(here: int) -> Image.Image:
    return process_number(0 if os.getpid() == here else 0.1)


@pytest.mark.parametrize(("milliseconds", "size"), [(0.01, LARGEST_CHUNK), (1.0, 50), (5.0, 10), (16.0, CHUNK)])
def test_tiles_are_sent_in_larger_chunks_than_photos(milliseconds: float, size: int) -> None:
    """More photos would come back late."""
    read = Item("picture", None, None, milliseconds)

    assert next_size([read] * CHUNK) == next_size([read] * LARGEST_CHUNK) == size


@pytest.mark.slow
def test_large_requests_and_answers_do_not_wait_for_each_other() -> None:
    size = 100_000  # more than a pipe holds
    many = [Source(f"{number:0{size}}", partial(numbered, number % 256)) for number in range(6 * CHUNK)]

    assert [item.name for item in read_all(many, jobs=2)] == [source.name for source in many]


@pytest.mark.slow
def test_a_reading_process_that_is_killed_is_one_line_that_says_what_to_do() -> None:
    killed = Source("huge.png", partial(os._exit, 9))

    with pytest.raises(FmnistEdgeError) as caught:
        list(read_all([*sources(2), killed], jobs=2))

    assert str(caught.value) == "a process that reads pictures was killed; fewer --jobs need less memory"
    assert caught.value.exit_status == 1


@pytest.mark.slow
def test_where_no_process_can_be_started_this_one_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")

    assert [item.name for item in read_all(sources(3), jobs=2)] == ["0.png", "1.png", "2.png"]


@pytest.mark.slow
def test_a_fault_of_ours_in_another_process_is_raised_here() -> None:
    with pytest.raises(TypeError):
        list(read_all([Source("shoe.png", partial(len, 1))], jobs=2))  # type: ignore[arg-type]


def processes_of(pictures: list[Source]) -> int:
    """How many processes read them."""
    return len({item.view.tile[0, :4].tobytes() for item in read_all(pictures) if item.view})


def slow_source(number: int) -> Source:
    return Source(f"{number}.png", partial(process_number, 0.01), "tile")


@pytest.mark.slow
def test_many_photos_are_read_by_several_processes_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    photos = [slow_source(number) for number in range(FIRST + 60)]

    assert processes_of(photos) == 2
    assert processes_of(photos[: FIRST + 10]) == 1


def test_a_slow_picture_that_is_the_last_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "START_MS", 0.0)  # as if reading it had taken a second
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})

    # not marked slow: it fails if a process is started
    assert processes_of([slow_source(0)]) == 1


def test_tiles_that_are_read_soon_are_read_here() -> None:
    assert processes_of([Source("tile", partial(process_number, 0), "tile") for _ in range(200)]) == 1


def process_number(seconds: float) -> Image.Image:
    """A tile that is full of the number of the process that opened it."""
    if seconds:
        time.sleep(seconds)
    return Image.fromarray(np.full((28, 7), os.getpid(), np.uint32).view(np.uint8))


@pytest.mark.slow
def test_those_that_read_end_with_the_one_that_waits() -> None:
    program = (
        f"import sys; sys.path[:] = {sys.path}; from functools import partial; "
        f"from {__name__} import process_number; from fmnist_edge.classify.reading import Source, read_all; "
        "items = read_all([Source('a', partial(process_number, 0), 'tile')] * 9, jobs=2); "
        "print(int(next(items).view.tile.view('u4')[0, 0]), flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        reader = int(process.stdout.readline())
        os.kill(reader, 0)
        process.kill()

    for _ in range(100):
        time.sleep(0.1)
        try:
            os.kill(reader, 0)
        except ProcessLookupError:
            return
    pytest.fail("it reads on")


def test_the_lines_for_several_machines_answer_without_ray_too() -> None:
    """`make bulk-test` runs them with it, which takes minutes."""
    (program,) = re.findall(r"```python\n(import sys.*?)\nfolder, out = ", (ROOT / "docs" / "bulk.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(program.replace("import ray\n", ""), names)

    answer = names["Answer"]()({"path": ["shoe.png", "bad.png"], "bytes": [(ROOT / "docs" / "shoe.png").read_bytes(), b"bad"]})

    assert answer["label"] == ["Sneaker", ""]
    assert [bool(error) for error in answer["error"]] == [False, True]
