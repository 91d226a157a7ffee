"""What can go wrong: each message is one line, written for the user, and says what to do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class FmnistEdgeError(Exception):
    """Base of every error this package raises. ``exit_status`` is what the command ends with."""

    exit_status = 1


class InputError(FmnistEdgeError):
    """A picture that can't be used; the others can."""


class UsageError(FmnistEdgeError):
    """The command or call itself is wrong."""

    exit_status = 2


class ModelError(FmnistEdgeError):
    """The model is missing, damaged, or not what it should be."""

    exit_status = 3


class RuntimeUnavailableError(FmnistEdgeError):
    """No runtime can run the model on this machine."""

    exit_status = 3


@contextmanager
def reported(program: str) -> Iterator[None]:
    """Ends the program with an error's one line on stderr and its exit status, without a traceback; Ctrl-C with 130."""
    try:
        yield
    except FmnistEdgeError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        sys.exit(130)
