"""The process that reads strangers' pictures: one at a time, which ends when the page does."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_edge.errors import FmnistEdgeError
from fmnist_edge.page import reader as reader_module
from fmnist_edge.page.reader import Reader, Refused
from support.commands import MODELS
from support.pages import SHOE, wait_for

pytestmark = pytest.mark.slow

JOB = {"job": "classify", "name": "shoe", "explain": False}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setenv("FMNIST_EDGE_PAGE_TOKEN", "correct-horse-battery")
    monkeypatch.setenv("FMNIST_EDGE_SOURCE", "rtsp://user:password@camera")
    opened = Reader(MODELS / "fmnist-int8.tflite", None, "en")
    yield opened
    opened.close()


def pid_of(reader: Reader) -> int:
    assert reader._process is not None
    return reader._process.pid


def test_its_environment_has_no_secrets(reader: Reader) -> None:
    environment = Path(f"/proc/{pid_of(reader)}/environ").read_bytes()

    assert b"PATH=" in environment
    assert b"battery" not in environment
    assert b"password" not in environment


def test_after_a_picture_that_hangs_it_is_started_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    os.kill(pid_of(reader), signal.SIGSTOP)
    monkeypatch.setattr(reader_module, "READING", 0.5)

    async def ask_twice() -> tuple[object, ...]:
        hangs = asyncio.create_task(reader.ask(JOB, SHOE))
        waits = asyncio.create_task(reader.ask(JOB, SHOE, 60.0))
        return tuple(await asyncio.gather(hangs, waits, return_exceptions=True))

    hung, waited = asyncio.run(ask_twice())
    pid = pid_of(reader)

    assert isinstance(hung, Refused)
    assert isinstance(waited, tuple)
    assert asyncio.run(reader.ask(JOB, SHOE, 60.0))[0]["label"] == "Sneaker"
    assert pid_of(reader) == pid


def test_closed_while_it_reads_it_does_not_start_again(reader: Reader) -> None:
    os.kill(pid_of(reader), signal.SIGSTOP)
    refused: list[Refused] = []

    def ask() -> None:
        try:
            reader.ask_now(JOB, SHOE)
        except Refused as error:
            refused.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert wait_for(reader._lock.locked)
    reader.close()
    asking.join(10)

    assert [error.status for error in refused] == [503]
    reader.revive()
    with pytest.raises(Refused):
        reader.ask_now(JOB, SHOE)
    assert not reader.alive


def test_one_that_ends_while_it_starts_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # Python ends at once

    with pytest.raises(FmnistEdgeError, match="ended while starting; is there enough memory"):
        Reader(MODELS / "fmnist-int8.tflite", None, "en")


def test_one_that_does_not_start_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "OPENING", 0.0)

    with pytest.raises(FmnistEdgeError, match="has not started within"):
        Reader(MODELS / "fmnist-int8.tflite", None, "en")


def test_a_picture_is_not_blamed_for_a_process_that_does_not_start_and_the_next_is_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reader._process is not None
    reader._process.kill()
    reader._process.wait()

    with monkeypatch.context() as patch:
        patch.setenv("PYTHONHOME", "/nowhere")
        with pytest.raises(Refused, match="ended while starting") as caught:
            reader.ask_now(JOB, SHOE)

    assert caught.value.status == 503
    assert reader.ask_now(JOB, SHOE)[0]["label"] == "Sneaker"
