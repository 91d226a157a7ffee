"""What is written to a terminal: nothing that does something to it, in columns that fit, in colour where it is wanted."""

import io
import os
import sys
from threading import Event, Thread

import pytest

from fmnist_edge.terminal import columns, printable, quiet_stderr, tell, wants_colour
from support.terminals import stdout_on_a_terminal


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("shoe.png", "shoe.png"),
        ("鞋 é.png", "鞋 é.png"),
        ("two\nlines", "two\\nlines"),
        ("\033[31mred\t", "\\x1b[31mred\\t"),
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
    ],
)
def test_a_name_does_nothing_to_a_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize(("text", "width"), [("", 0), ("Bag", 3), ("包", 2), ("T恤", 3), ("\uff34", 2), ("█", 1), ("é", 1)])
def test_a_chinese_character_is_two_columns_wide(text: str, width: int) -> None:
    assert columns(text) == width


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wants_colour()
    with stdout_on_a_terminal():
        assert wants_colour()
        monkeypatch.setenv("NO_COLOR", "1")
        assert not wants_colour()
        monkeypatch.setenv("NO_COLOR", "")
        assert wants_colour()
        monkeypatch.setenv("TERM", "dumb")
        assert not wants_colour()


def test_colour_can_be_had_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert wants_colour()

    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour()


def test_without_stdout_there_is_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert not wants_colour()


def test_a_runtimes_chatter_is_dropped_and_what_comes_after_it_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with quiet_stderr():
        os.write(2, b"INFO: chatter ")
    os.write(2, b"after")

    assert capfd.readouterr().err == "before after"


def test_stderr_comes_back_after_an_error_too(capfd: pytest.CaptureFixture[str]) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="damaged"), quiet_stderr():
        raise ValueError("damaged")
    os.write(2, b"after")

    assert capfd.readouterr().err == "after"
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_process_without_stderr_needs_none(capfd: pytest.CaptureFixture[str]) -> None:
    saved = os.dup(2)
    os.close(2)
    try:
        with quiet_stderr():
            pass
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(2)
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_two_threads_at_once_leave_stderr_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    begun, second_begun, first_over = Event(), Event(), Event()

    def first() -> None:
        with quiet_stderr():
            begun.set()
            second_begun.wait(0.05)
        first_over.set()

    def second() -> None:
        begun.wait()
        with quiet_stderr():
            second_begun.set()
            first_over.wait()

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after")

    assert capfd.readouterr().err == "after"


def test_a_message_is_a_line_on_stderr_at_once_and_without_stderr_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, "utf-8"))
    tell("damaged")
    assert written.getvalue() == b"fmnist-edge: damaged\n"

    monkeypatch.setattr(sys, "stderr", None)
    tell("damaged")
    assert capsys.readouterr().out == ""
