"""What the camera's answers look like: the line in place, the JSON, when there is none, and what is told beside it."""

import io
import json
import os
import sys
import termios
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.cameras.feed import Frame
from fmnist_edge.contract import LANGUAGES
from fmnist_edge.live.screen import NOTHING_THERE, Screen, in_foreground, keys
from fmnist_edge.live.steady import NOTHING, Answer
from support.terminals import stdout_on_a_terminal

GREEN, YELLOW, END = "\033[1;32m", "\033[1;33m", "\033[0m"


def answer(class_id: int = 7, confidence: float = 0.75, sure_from: float = 0.5, garment_found: bool = True) -> Answer:
    """Sandal gets what is left but for a 16th, which is Bag's."""
    shares = np.zeros(11)
    shares[5], shares[8] = 15 / 16 - confidence, 1 / 16
    shares[class_id] = confidence
    return Answer(class_id, shares, sure_from, garment_found and class_id != NOTHING)


def frame(age: float = 0.0) -> Frame:
    return Frame(Image.new("L", (1, 1)), 42, time.monotonic() - age, 3.14159)


def shown(
    found: Answer, language: str = "en", age: float = 0.0, columns: int = 100, colour: bool = False, encoding: str = "utf-8"
) -> str:
    """The line that is written on a terminal."""
    with stdout_on_a_terminal() as terminal, pytest.MonkeyPatch.context() as patch:
        terminal.file.reconfigure(encoding=encoding)
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("NO_COLOR", "" if colour else "1")
        with pytest.MonkeyPatch.context() as still:  # else a busy machine makes it older
            still.setattr(time, "monotonic", lambda: 100.0)
            Screen(False, False, language).show(found, frame(age), 5, 29.6)
        return terminal.read()


def test_a_line_in_place_says_label_bar_rate_age_dropped_and_the_next_two() -> None:
    line = shown(answer(), age=0.25)

    assert line == "\rSneaker        0.75  ████████     30 fps   250 ms  5 dropped  Sandal 0.19  Bag 0.06\033[K"


def test_a_line_tells_of_no_certainty_and_of_no_class_that_is_out_of_the_question() -> None:
    shares = np.zeros(11)
    shares[7], shares[5] = 0.996, 0.004

    line = shown(Answer(7, shares, 0.5, True))

    assert line.startswith("\rSneaker       >0.99  ██████████   30 fps")
    assert line.endswith("5 dropped\033[K")


def test_a_line_names_the_next_two_classes_and_no_third() -> None:
    shares = np.zeros(11)
    shares[[7, 5, 8, 9]] = 0.4, 0.3, 0.2, 0.1

    assert shown(Answer(7, shares, 0.5, True), columns=200).endswith("dropped  Sandal 0.30  Bag 0.20\033[K")


def test_a_sure_answer_is_green_and_a_guess_yellow_with_a_question_mark() -> None:
    assert shown(answer(sure_from=0.75), colour=True).startswith(f"\r{GREEN}Sneaker{END}        0.75  ████████     30 fps")
    assert shown(answer(sure_from=0.76), colour=True).startswith(f"\r{YELLOW}Sneaker?{END}       0.75  ████████     30 fps")


def test_nothing_there_is_said_in_words() -> None:
    assert NOTHING_THERE == {"en": "nothing there", "zh": "没有东西"}
    assert shown(answer(NOTHING)).startswith("\rnothing there  0.75  ████████   ")
    assert shown(answer(NOTHING), "zh").startswith("\r没有东西  0.75  ████████   ")


def test_where_nothing_stands_out_that_is_said_in_place_of_the_bar() -> None:
    assert shown(answer(garment_found=False)).startswith("\rSneaker?       0.75  nothing stands out   30 fps")
    assert shown(answer(garment_found=False), "zh").startswith("\r运动鞋?   0.75  没有明显的物体   30 fps")


def test_lines_of_every_language_stand_below_each_other() -> None:
    assert shown(answer(), "zh").startswith("\r运动鞋    0.75  ████████     30 fps")
    assert shown(answer(1), "zh").startswith("\r裤子      0.75  ████████     30 fps")


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (100, "Sneaker        0.75  ████████     30 fps     0 ms  5 dropped  Sandal 0.19  Bag 0.06"),
        (84, "Sneaker        0.75  ████████     30 fps     0 ms  5 dropped  Sandal 0.19  Bag 0.06"),
        (83, "Sneaker        0.75  ████████     30 fps     0 ms  5 dropped  Sandal 0.19"),
        (41, "Sneaker        0.75  ████████     30 fps"),
        (40, "Sneaker        0.75  ████████  "),
        (25, "Sneaker        0.75"),  # half a bar would say something else
        (20, "Sneaker        0.75"),
        (19, "Sneaker        0.7"),
        (5, "Snea"),
    ],
)
def test_a_line_has_as_much_as_fits_and_leaves_the_last_column_free(columns: int, line: str) -> None:
    assert shown(answer(), columns=columns) == f"\r{line}\033[K"


def test_the_line_is_plain_where_there_is_no_unicode() -> None:
    assert "0.75  ########    " in shown(answer(), encoding="ascii")


def test_in_the_end_the_last_line_stays_and_where_there_was_none_nothing_is_written() -> None:
    with stdout_on_a_terminal() as terminal:
        screen = Screen(False, False, "en")
        screen.end()
        assert terminal.read() == ""

        screen.show(answer(0), frame(), 0, 0)
        terminal.read()
        screen.end()
        assert terminal.read() == "\n"


def test_json_on_a_terminal_is_lines_without_escapes() -> None:
    with stdout_on_a_terminal() as terminal:
        screen = Screen(True, False, "en")
        screen.show(answer(), frame(), 5, 30)
        screen.end()
        written = terminal.read()

    assert (screen.on_terminal, screen.in_place) == (True, False)
    assert json.loads(written)["label"] == "Sneaker"
    assert written.count("\n") == 1


def records(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_a_record_says_everything_with_its_units(capfd: pytest.CaptureFixture[str]) -> None:
    taken = frame(age=0.5)
    before = time.time()
    age = Screen(False, False, "zh").show(answer(confidence=2 / 3), taken, 5, 30)

    (record,) = records(capfd)
    when = datetime.fromisoformat(record.pop("time"))
    assert when.utcoffset() is not None
    assert before - 0.51 < when.timestamp() < time.time() - 0.49
    assert 500 <= record.pop("age_ms") <= 1000 * age + 0.1
    assert record == {
        **{"monotonic": round(taken.taken, 3), "seconds": 3.142, "frame": 42, "class_id": 7, "label": "运动鞋", "unsure": False},
        **{"format": 2, "kind": "photo", "confidence": 0.666667, "dropped": 5, "garment_found": True},
        "probabilities": dict.fromkeys(LANGUAGES["zh"], 0) | {"凉鞋": 0.270833, "运动鞋": 0.666667, "包": 0.0625},
        "deprecated_probabilities": [0, 0, 0, 0, 0, 0.270833, 0, 0.666667, 0.0625, 0],
    }


def test_nothing_has_no_class_in_a_record(capfd: pytest.CaptureFixture[str]) -> None:
    Screen(False, False, "en").show(answer(NOTHING, 0.75), frame(), 5, 30)

    (record,) = records(capfd)
    assert (record["class_id"], record["label"], record["confidence"]) == (None, "nothing there", 0.75)
    assert (record["kind"], record["garment_found"], record["unsure"]) == (None, False, False)
    assert len(record["probabilities"]) == 10


@pytest.mark.usefixtures("capfd")
def test_how_old_the_frame_is_is_returned() -> None:
    assert 2 <= Screen(False, True, "en").show(answer(), frame(age=2), 0, 0) < 3


SURE, GUESS, OTHER_SURE, OTHER_GUESS = answer(), answer(sure_from=0.9), answer(5, 0.8), answer(5, 0.8, 0.9)


@pytest.mark.parametrize(
    ("answers", "printed"),
    [
        ([SURE, SURE, SURE], "SURE"),
        ([GUESS, GUESS], "GUESS"),
        ([GUESS, SURE, SURE], "GUESS SURE"),
        ([SURE, GUESS, SURE], "SURE"),
        ([SURE, OTHER_SURE, SURE], "SURE OTHER SURE"),
        ([SURE, OTHER_GUESS, OTHER_SURE], "SURE OTHER? OTHER"),
        ([GUESS, OTHER_GUESS, GUESS, SURE], "GUESS OTHER? GUESS SURE"),
        ([SURE, OTHER_GUESS, GUESS, SURE], "SURE OTHER? GUESS SURE"),
    ],
)
def test_changes_are_another_label_and_becoming_sure_of_it(
    answers: list[Answer], printed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(False, True, "en")
    for found in answers:
        screen.show(found, frame(), 0, 0)

    names = {("Sneaker", False): "SURE", ("Sneaker", True): "GUESS", ("Sandal", False): "OTHER", ("Sandal", True): "OTHER?"}
    assert " ".join(names[record["label"], record["unsure"]] for record in records(capfd)) == printed


def test_without_on_change_each_answer_is_a_record(capfd: pytest.CaptureFixture[str]) -> None:
    screen = Screen(False, False, "en")
    for _ in range(3):
        screen.show(SURE, frame(), 0, 0)

    assert len(records(capfd)) == 3


def test_the_first_class_is_printed_too(capfd: pytest.CaptureFixture[str]) -> None:
    Screen(False, True, "en").show(answer(0), frame(), 0, 0)

    assert records(capfd)[0]["class_id"] == 0


def test_a_message_stands_on_a_line_of_its_own_and_does_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    Screen(False, False, "en").tell("lost\n\033[31m")

    assert capfd.readouterr() == ("", "fmnist-edge: lost\\n\\x1b[31m\n")


def test_beside_a_line_in_place_a_message_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = io.StringIO()
    with stdout_on_a_terminal() as terminal:
        screen = Screen(False, False, "en")
        monkeypatch.setattr(sys, "stderr", terminal.file)
        screen.tell("back")
        beside = terminal.read()
        monkeypatch.setattr(sys, "stderr", elsewhere)
        screen.tell("back")

    assert beside == "\r\033[Kfmnist-edge: back\n"
    assert elsewhere.getvalue() == "fmnist-edge: back\n"


@pytest.mark.usefixtures("capfd")
def test_a_message_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(False, False, "en")
    full = io.TextIOWrapper(open("/dev/full", "wb", buffering=0), write_through=True)  # noqa: SIM115 (closing it fails)
    monkeypatch.setattr(sys, "stderr", full)
    screen.tell("lost")
    monkeypatch.setattr(sys, "stderr", None)
    screen.tell("lost")


@pytest.mark.parametrize("on_terminal", [True, False])
def test_each_answer_and_message_is_there_as_soon_as_it_was_said(on_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with open(theirs, "w") as out, open(os.dup(theirs), "w") as err, open(ours, "rb", buffering=0) as reader:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        screen = Screen(False, False, "en")
        screen.in_place = on_terminal

        screen.show(answer(), frame(), 0, 0)
        assert b"Sneaker" in (reader.read() or b"")
        screen.tell("lost")
        assert reader.read() == b"fmnist-edge: lost\n"
        screen.end()
        assert reader.read() == (b"\n" if on_terminal else None)


def test_a_slow_reader_is_waited_for_after_a_page_and_not_after_hundreds_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with open(theirs, "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        screen = Screen(False, False, "en")
        assert screen.ready(0)
        os.write(theirs, bytes(4096))
        began = time.monotonic()
        assert not screen.ready(0.1)
        assert 0.1 <= time.monotonic() - began < 10
        os.read(ours, 4096)

        assert screen.ready(0)
    os.close(ours)


def test_a_reader_that_has_gone_is_noticed_before_a_frame_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with open(theirs, "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        screen = Screen(False, False, "en")
        os.close(ours)

        with pytest.raises(BrokenPipeError):
            screen.ready(0)


def test_without_stdout_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    screen = Screen(False, False, "en")

    assert screen.ready(0)
    assert (screen.on_terminal, screen.in_place) == (False, False)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where keys of our terminal are pressed."""
    pressed, terminal = os.openpty()
    with open(terminal) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield pressed
    os.close(pressed)


def waits_for_enter() -> bool:
    flags = termios.tcgetattr(sys.stdin)[3]
    return bool(flags & termios.ICANON and flags & termios.ECHO)


def test_keys_are_heard_at_once_and_not_shown_and_the_terminal_is_as_before_afterwards(keyboard: int) -> None:
    with keys(True) as pressed:
        assert pressed() == ""
        assert not waits_for_enter()
        os.write(keyboard, b"e\xff")
        assert pressed() == "e\N{REPLACEMENT CHARACTER}"
        assert pressed() == ""

    assert waits_for_enter()


def test_in_the_background_keys_are_for_another_program(keyboard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with keys(True) as pressed:
        os.write(keyboard, b"e")
        monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: os.getpgrp() + 1)
        assert pressed() == ""
    assert not waits_for_enter()  # whose terminal it is now sets it
    with keys(True) as pressed:
        assert pressed() == ""

    monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: os.getpgrp())
    with keys(True) as pressed:
        assert pressed() == "e"


def test_keys_that_nobody_wants_are_left_where_they_are(keyboard: int) -> None:
    with keys(False) as pressed:
        os.write(keyboard, b"e\n")
        assert pressed() == ""
        assert waits_for_enter()

    assert sys.stdin.readline() == "e\n"


@pytest.mark.parametrize("wanted", [True, False])
def test_where_nobody_types_no_key_is_pressed(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for stdin in (None, io.StringIO("e")):
        monkeypatch.setattr(sys, "stdin", stdin)
        with keys(wanted) as pressed:
            assert pressed() == ""


def test_what_is_no_terminal_counts_as_in_the_foreground() -> None:
    with open(os.devnull) as nothing:
        assert in_foreground(nothing.fileno())
