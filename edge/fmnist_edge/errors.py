"""The errors: each message is one line, written for the user, and says what to do."""

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
    """A picture whose tile would show nothing."""


class SourceError(FmnistEdgeError):
    """A camera, stream or video that can't be opened, or is lost."""


class UsageError(FmnistEdgeError):
    """The command or call itself is wrong."""

    exit_status = 2


class PictureError(UsageError, InputError):
    """What was given is not a picture."""


class ModelError(FmnistEdgeError):
    """The model is missing, damaged, or not what it should be."""

    exit_status = 3


class SignatureError(ModelError):
    """The model is not one that the device's owner signed."""


class RuntimeUnavailableError(FmnistEdgeError):
    """No runtime can run the model on this machine."""

    exit_status = 3


def first_line(error: Exception | str) -> str:
    """The message of a foreign error, made safe for one of our lines: it may quote a hostile file."""
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

    going_on: what to do after Ctrl-C to continue.
    The status is the error's own; 130 after Ctrl-C; 141, silently, if the reader closed the pipe; 1 if output can't be written.
    """
    try:
        yield
    except FmnistEdgeError as error:
        stop(program, str(error), error.exit_status)
    except KeyboardInterrupt:
        stop(program, f"interrupted; {going_on}" if going_on else "interrupted", 130)
    except OSError as error:
        # Python would try to write the rest again at exit, and complain again
        sys.stdout = None
        if isinstance(error, BrokenPipeError):
            sys.exit(141)
        stop(program, str(error), 1)


def stop(program: str, message: str, status: int) -> NoReturn:
    if sys.stderr is not None:  # the parent process may have closed it; print would use stdout
        print(f"{program}: {message}", file=sys.stderr)
    sys.exit(status)
