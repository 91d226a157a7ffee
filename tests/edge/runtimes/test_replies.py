"""The other process, in which a model runs that nobody vouches for: what it answers, and what is taken for an answer."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import Probabilities, Tiles
from fmnist_edge.errors import ModelError, RuntimeUnavailableError
from fmnist_edge.runtimes import isolated
from fmnist_edge.runtimes.formats import FORMATS, Format
from fmnist_edge.runtimes.isolated import IsolatedSession, limit_resources, read_reply, serve, stop
from fmnist_edge.terminal import quiet_stderr
from support.commands import MODELS
from support.served import in_a_thread

INT8 = MODELS / "fmnist-int8.tflite"
TILES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


def reply(*values: float) -> bytes:
    """Of one tile."""
    return np.array([*values, *[0] * (10 - len(values))], np.float32).tobytes()


@pytest.mark.parametrize("value", [0, 0.5, 1, 1.01])
def test_ten_probabilities_are_an_answer(value: float) -> None:
    answers = read_reply(reply(value), 1)

    assert answers.shape == (1, 10)
    assert answers[0, 0] == np.float32(value)
    answers[0, 0] = 2  # ours to change


def test_each_tile_has_its_row() -> None:
    answers = read_reply(reply(0.25) + reply(0, 0.75), 2)

    assert (answers[0, 0], answers[1, 1]) == (0.25, 0.75)


@pytest.mark.parametrize("value", [-0.001, 1.011, np.nan, np.inf])
def test_what_is_no_probability_is_no_answer(value: float) -> None:
    with pytest.raises(ModelError) as caught:
        read_reply(reply(0.5, value), 1)
    assert str(caught.value) == "its answers are not probabilities"


@pytest.mark.parametrize(("content", "count"), [(b"", 1), (reply(), 2), (reply() + reply(), 1), (reply()[:-1], 1)])
def test_an_answer_of_another_length_is_none(content: bytes, count: int) -> None:
    with pytest.raises(ModelError, match="its answers are not probabilities"):
        read_reply(content, count)


def in_a_child(act: Callable[[], object]) -> tuple[int, Connection, Connection]:
    """A fork of this process that does this: its number, where to it is written, where it writes."""
    requests_read, requests_write = os.pipe()
    replies_read, replies_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(requests_read, 0)
            os.dup2(replies_write, 1)
            os.close(requests_write)
            os.close(replies_read)
            act()
        finally:
            os._exit(0)
    os.close(requests_read)
    os.close(replies_write)
    return child, Connection(requests_write, readable=False), Connection(replies_read, writable=False)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[int, int]]]:
    """What ``serve`` limits, which this process must not be."""
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, most: limits.append((kind, most)))
    return limits


@contextmanager
def served(suffix: str, content: bytes | None) -> Iterator[tuple[dict[str, object], Connection, Connection]]:
    """What the other process says of a model, and how to go on talking with it."""
    with (
        in_a_thread(partial(serve, suffix, 1)) as (given, wanted),
        Connection(wanted, writable=False) as replies,
        Connection(given, readable=False) as requests,
    ):
        if content is None:
            requests.close()
        else:
            requests.send_bytes(content)
        yield json.loads(replies.recv_bytes()), requests, replies


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("name", ["fmnist-int8.tflite", "fmnist-float.onnx"])
def test_the_other_process_opens_the_model_and_answers_tiles_until_none_come(name: str) -> None:
    session = open_model(MODELS / name).session

    with served(Path(name).suffix, (MODELS / name).read_bytes()) as (said, requests, replies):
        answers = []
        for tiles in (TILES, TILES[:1], TILES[1:]):
            os.write(1, b"what a runtime prints is no reply")
            requests.send_bytes(tiles.tobytes())
            answers.append(read_reply(replies.recv_bytes(), len(tiles)))

    assert said == {"runtime": session.runtime}
    np.testing.assert_allclose(np.concatenate(answers), session.probabilities(TILES)[[0, 1, 2, 0, 1, 2]], atol=1e-6)


@pytest.mark.usefixtures("limits")
def test_a_model_that_cannot_be_opened_says_why() -> None:
    with served(".tflite", b"\x1c\0\0\0TFL3" + bytes(64)) as (said, _, replies), pytest.raises(EOFError):
        replies.recv_bytes()

    assert set(said) == {"error", "unavailable"}
    assert str(said["error"]).startswith("ai-edge-litert ")
    assert "can't run it" in str(said["error"])
    assert said["unavailable"] is False


@pytest.mark.usefixtures("limits")
def test_whatever_else_goes_wrong_there_is_said_in_a_line() -> None:
    with served(".tflite", None) as (said, _, _):
        pass

    assert said == {"error": "the runtime can't run it (EOFError)", "unavailable": False}


@pytest.mark.usefixtures("limits")
def test_a_model_whose_answers_are_none_is_refused_before_it_gets_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = Format("twice", lambda content: ("", ""), lambda content, threads: Twice(), lambda: None, ("twice",), None)
    monkeypatch.setitem(FORMATS, ".twice", twice)

    with served(".twice", b"") as (said, _, _):
        pass

    assert said == {"error": "its answers are not probabilities", "unavailable": False}


class Twice:
    """A model that is right about single tiles, and in a batch gives two rows for each."""

    runtime = "twice 1.0"

    def probabilities(self, tiles: Tiles) -> Probabilities:
        return np.full((len(tiles) if len(tiles) == 1 else 2 * len(tiles), 10), 0.1, np.float32)


@pytest.mark.usefixtures("limits")
def test_a_machine_without_the_runtime_is_told_from_a_bad_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with served(".onnx", b"") as (said, _, _):
        pass

    assert said["unavailable"] is True
    assert "pip install onnxruntime" in str(said["error"])


def limits_of_a_child() -> dict[str, tuple[int, int]]:
    def tell() -> None:
        limit_resources()
        limits = {name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_DATA", "RLIMIT_CORE")}
        os.write(1, json.dumps(limits).encode())

    child, requests, replies = in_a_child(tell)
    os.waitpid(child, 0)
    content = os.read(replies.fileno(), 1000)
    requests.close()
    replies.close()
    return {name: tuple(limits) for name, limits in json.loads(content).items()}


def test_the_other_process_gets_a_gigabyte_and_leaves_no_core_file() -> None:
    assert limits_of_a_child() == {"RLIMIT_DATA": (2**30, 2**30), "RLIMIT_CORE": (0, 0)}


def test_the_limits_are_set_before_the_model_comes(limits: list[tuple[int, tuple[int, int]]]) -> None:
    with served(".tflite", None):
        assert limits == [(resource.RLIMIT_DATA, (2**30, 2**30)), (resource.RLIMIT_CORE, (0, 0))]


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_where_a_stricter_limit_holds_that_one_stays(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: int, most: tuple[int, int]) -> None:
        raise error("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)

    limit_resources()


@pytest.mark.slow
def test_an_opened_model_answers_and_says_what_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('the working directory is not looked into')")
    monkeypatch.chdir(tmp_path)
    with quiet_stderr():
        here = open_model(INT8).session

    session = IsolatedSession(INT8.read_bytes(), ".tflite", threads=1)

    assert session.runtime == here.runtime
    for tiles in (TILES, TILES[:1]):
        np.testing.assert_array_equal(session.probabilities(tiles), here.probabilities(tiles))
    assert session.probabilities(TILES[:0]).shape == (0, 10)
    assert session.probabilities(TILES[:0]).dtype == np.float32
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(isolated, "MAX_REPLY_BYTES", 100)
    with pytest.raises(ModelError, match="it crashes the runtime"):
        session.probabilities(TILES)


@pytest.mark.slow
def test_a_refusal_keeps_its_words_and_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"^ai-edge-litert \S+ can't run it"):
        IsolatedSession(b"\x1c\0\0\0TFL3" + bytes(64), ".tflite")

    (tmp_path / "onnxruntime.py").write_text("raise ImportError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeUnavailableError, match=r"^onnxruntime is needed for \.onnx \(broken\)"):
        IsolatedSession(b"", ".onnx")


@pytest.mark.slow
@pytest.mark.parametrize(("program", "status"), [("true", 0), ("false", 1)])
def test_a_process_that_ends_by_itself_is_named_with_its_status(
    program: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which(program))

    with pytest.raises(ModelError) as caught:
        IsolatedSession(b"", ".tflite")
    assert str(caught.value) == f"it crashes the runtime (exit status {status})"


@pytest.mark.slow
def test_a_process_that_is_killed_is_named_with_its_signal() -> None:
    session = IsolatedSession(INT8.read_bytes(), ".tflite")
    os.kill(session._process.pid, signal.SIGKILL)

    with pytest.raises(ModelError) as caught:
        session.probabilities(TILES)
    assert str(caught.value) == "it crashes the runtime (Killed)"


@pytest.mark.slow
def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    session = IsolatedSession(INT8.read_bytes(), ".tflite")
    assert isolated.TIME_LIMIT == 60
    monkeypatch.setattr(isolated, "TIME_LIMIT", 0.2)
    os.kill(session._process.pid, signal.SIGSTOP)

    with pytest.raises(ModelError) as caught:
        session.probabilities(TILES)
    assert str(caught.value) == "it hangs the runtime: no answer for 0.2 seconds"
    assert session._process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_after_ctrl_c_no_late_answer_can_be_taken_for_the_next() -> None:
    session = IsolatedSession(INT8.read_bytes(), ".tflite")
    os.kill(session._process.pid, signal.SIGSTOP)
    interrupt = Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()

    with pytest.raises(KeyboardInterrupt):
        session.probabilities(TILES)
    assert session._process.wait(5) == -signal.SIGKILL


@pytest.mark.slow
def test_the_process_ends_with_its_session() -> None:
    session = IsolatedSession(INT8.read_bytes(), ".tflite")
    process = session._process
    del session

    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_stopping_waits_until_the_process_has_gone() -> None:
    process = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    stop(process)

    assert process.returncode == -signal.SIGKILL
    assert process.stdin is not None
    assert process.stdin.closed


def test_what_was_not_sent_any_more_does_not_matter() -> None:
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.wait()
    assert process.stdin is not None
    process.stdin.write(b"a tile")  # into a broken pipe, once it is flushed

    stop(process)


@pytest.mark.slow
def test_ctrl_c_is_not_for_the_other_process() -> None:
    session = IsolatedSession(INT8.read_bytes(), ".tflite")

    assert os.getsid(session._process.pid) != os.getsid(0)


@pytest.mark.slow
def test_without_a_second_process_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(ModelError, match=r"^no process can be started to run it in \(.*No such file"):
        IsolatedSession(INT8.read_bytes(), ".tflite")


def test_the_limits_are_those_that_a_small_device_can_give() -> None:
    assert (isolated.MEMORY_LIMIT, isolated.FIRST_BATCHES, isolated.MAX_REPLY_BYTES) == (2**30, (1, 64), 100_000_000)
