"""How a command ends when something is wrong: one line, a status that scripts can rely on, never a traceback."""

import sys

import pytest

from fmnist_edge.errors import (
    FmnistEdgeError,
    InputError,
    ModelError,
    RuntimeUnavailableError,
    SignatureError,
    SourceError,
    UsageError,
    did_you_mean,
    first_line,
    reported,
)


def end(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """The status with which a program ends that raises the error."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # which is closed for what could not be written
    with pytest.raises(SystemExit) as ended, reported("fmnist-edge"):
        raise error
    status = ended.value.code
    assert isinstance(status, int)
    return status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((FmnistEdgeError, 1), (InputError, 1), (SourceError, 1), (UsageError, 2)),
        *((ModelError, 3), (SignatureError, 3), (RuntimeUnavailableError, 3)),
    ],
)
def test_each_kind_of_error_has_its_exit_status(
    kind: type[FmnistEdgeError], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end(kind("what is wrong"), monkeypatch) == status
    assert capsys.readouterr() == ("", "fmnist-edge: what is wrong\n")


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert end(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err == "fmnist-edge: interrupted\n"


def test_after_ctrl_c_it_is_said_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), reported("photos", "the same command goes on"):
        raise KeyboardInterrupt

    assert capsys.readouterr().err == "photos: interrupted; the same command goes on\n"


def test_a_reader_that_has_gone_is_141_and_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert end(BrokenPipeError(32, "Broken pipe"), monkeypatch) == 141
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_1_and_is_not_complained_of_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end(OSError(28, "No space left on device"), monkeypatch) == 1
    assert sys.stdout is None
    assert capsys.readouterr().err == "fmnist-edge: [Errno 28] No space left on device\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError), reported("fmnist-edge"):
        raise ZeroDivisionError


def test_without_an_error_nothing_happens() -> None:
    with reported("fmnist-edge"):
        pass


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n  spaced \nsecond"), "spaced "),
        (ValueError(""), "ValueError"),
        (ValueError("\033[31mred\a"), "?[31mred?"),
        (ValueError("鞋"), "鞋"),
        (ValueError("x" * 400), "x" * 300),
    ],
)
def test_what_a_hostile_file_makes_a_library_say_is_one_harmless_line(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("clasify", "; did you mean 'classify'?"),
        ("CAMERA", "; did you mean 'camera'?"),
        ("ankle_Boots", "; did you mean 'Ankle_boot'?"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_a_misspelt_word_gets_the_nearest_that_is_known_as_it_is_spelled(word: str, said: str) -> None:
    assert did_you_mean(word, ["classify", "camera", "Ankle_boot"]) == said
