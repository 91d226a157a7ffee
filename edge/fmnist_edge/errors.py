"""What can go wrong: each message is one line, written for the user, and says what to do."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class FmnistEdgeError(Exception):
    """Base of every error this package raises. ``exit_status`` is what the command ends with."""

    exit_status = 1


class InputError(FmnistEdgeError):
    """A picture that can't be used; the others can. ``path``: its file, where that is known."""

    path: str | None = None


class BlankError(InputError):
    """A picture of which nothing would be left on its tile."""


class SourceError(FmnistEdgeError):
    """A camera, stream or video that can't be opened, or is lost."""


class UsageError(FmnistEdgeError):
    """The command or call itself is wrong."""

    exit_status = 2


class PictureError(UsageError, InputError):
    """What was given as a picture is none."""


class ModelError(FmnistEdgeError):
    """The model is missing, damaged, or not what it should be."""

    exit_status = 3


class SignatureError(ModelError):
    """The model is not one that the device's owner signed."""


class RuntimeUnavailableError(FmnistEdgeError):
    """No runtime can run the model on this machine."""

    exit_status = 3


def first_line(error: Exception | str) -> str:
    """What an error of someone else's says, fit for a line of ours: it may quote a hostile file."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return "".join(character if character.isprintable() else "?" for character in line)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not among those known: a suggestion, or "" if none of them is near."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant by a misspelt word."""
    from difflib import get_close_matches  # rarely needed

    spelled = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), spelled, 1)
    return spelled[near[0]] if near else None


@contextmanager
def reported(program: str, going_on: str = "") -> Iterator[None]:
    """Ends the program with one line on stderr and an exit status instead of a traceback.

    going_on: after Ctrl-C, what goes on with what was done until then.
    An error's own status; 130 after Ctrl-C; 141, silently, when who reads our output has gone; 1 when it can't be written.
    """
    try:
        yield
    except FmnistEdgeError as error:
        stop(program, str(error), error.exit_status)
    except KeyboardInterrupt:
        stop(program, f"interrupted; {going_on}" if going_on else "interrupted", 130)
    except OSError as error:
        # what could not be written would be tried, and complained of, again at exit
        sys.stdout = None
        if isinstance(error, BrokenPipeError):
            sys.exit(141)
        stop(program, str(error), 1)


def stop(program: str, message: str, status: int) -> NoReturn:
    if sys.stderr is not None:  # closed by who started us; print would take stdout
        print(f"{program}: {message}", file=sys.stderr)
    sys.exit(status)
