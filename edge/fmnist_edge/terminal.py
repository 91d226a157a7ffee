"""What makes text safe and fitting for a terminal, and what comes on stderr beside the output: messages, no runtime's chatter."""

import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

one_at_a_time = RLock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops what is written to stderr while a runtime loads. What goes wrong there is raised as well, and that is printed.

    ai-edge-litert 2.3.0 writes "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." from C++, with no switch against it;
    TensorFlow 2.21 four lines about oneDNN and CUDA; tflite-runtime 2.14.0 beside numpy 2 makes numpy write a page.
    """
    with one_at_a_time:  # another thread would take the nothing for stderr, and bring that back
        try:
            saved = os.dup(2)
        except OSError:  # there is none
            yield
            return
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def tell(message: str) -> None:
    """A line on stderr, unless that was closed by who started us: print would take stdout."""
    if sys.stderr is not None:
        print(f"fmnist-edge: {message}", file=sys.stderr, flush=True)


def printable(name: str) -> str:
    """A file's name in one line that does nothing to a terminal: control characters are escaped."""
    return name if name.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def columns(text: str) -> int:
    """That a terminal gives to it: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wants_colour() -> bool:
    """On a terminal; wherever FORCE_COLOR is set; never where NO_COLOR is (no-color.org, and force-color.org).

    Which comes before which is as in Python's own messages (its manual, "Controlling color").
    """
    if os.environ.get("NO_COLOR") or sys.stdout is None:
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
