"""The other process, in which a model runs that nobody vouches for: what it answers, and what is taken for an answer."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from fmnist_edge.bundle.model import open_model
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes import isolated
from fmnist_edge.runtimes.isolated import IsolatedSession, limit_resources, read_reply, serve, stop
from support.commands import MODELS

INT8 = MODELS / "fmnist-int8.tflite"
TILES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


def reply(*values: float) -> bytes:
    """Of one tile."""
    return np.array([*values, *[0] * (10 - len(values))], np.float32).tobytes()


@pytest.mark.parametrize("value", [0, 0.5, 1, 1.009])
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
    assert str(caught.value) == "its answers are no probabilities"


@pytest.mark.parametrize(("content", "count"), [(b"", 1), (reply(), 2), (reply() + reply(), 1), (reply()[:-1], 1)])
def test_an_answer_of_another_length_is_none(content: bytes, count: int) -> None:
    with pytest.raises(ModelError, match="its answers are no probabilities"):
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


@contextmanager
def served(suffix: str, content: bytes) -> Iterator[tuple[dict[str, object], Connection, Connection]]:
    """What the other process says of a model, and how to go on talking with it."""
    child, requests, replies = in_a_child(lambda: serve(suffix, 1))
    try:
        requests.send_bytes(content)
        yield json.loads(replies.recv_bytes()), requests, replies
    finally:
        requests.close()
        os.waitpid(child, 0)
        replies.close()


@pytest.mark.parametrize("name", ["fmnist-int8.tflite", "fmnist-float.onnx"])
def test_the_other_process_opens_the_model_and_answers_tiles_until_none_come(name: str) -> None:
    session = open_model(MODELS / name).session

    with served(Path(name).suffix, (MODELS / name).read_bytes()) as (said, requests, replies):
        answers = []
        for tiles in (TILES, TILES[:1], TILES[1:]):
            requests.send_bytes(tiles.tobytes())
            answers.append(read_reply(replies.recv_bytes(), len(tiles)))

    assert said == {"runtime": session.runtime}
    np.testing.assert_allclose(np.concatenate(answers), session.probabilities(TILES)[[0, 1, 2, 0, 1, 2]], atol=1e-6)


def test_a_model_that_cannot_be_opened_says_why() -> None:
    with served(".tflite", b"\x1c\0\0\0TFL3" + bytes(64)) as (said, _, replies), pytest.raises(EOFError):
        replies.recv_bytes()

    assert set(said) == {"error", "unavailable"}
    assert "can't run it" in str(said["error"])
    assert said["unavailable"] is False


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


@pytest.mark.slow
def test_an_opened_model_answers_and_says_what_runs_it() -> None:
    session = IsolatedSession(INT8.read_bytes(), ".tflite", threads=1)
    here = open_model(INT8).session

    assert session.runtime == here.runtime
    np.testing.assert_array_equal(session.probabilities(TILES), here.probabilities(TILES))
    assert session.probabilities(TILES[:0]).shape == (0, 10)


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
