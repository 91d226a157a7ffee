"""The commands as a user runs them: ``run`` and ``python_m`` start a process, ``fmnist_edge`` and ``main_of`` stay in this one.

Starting Python takes longer than most tests. Signals, terminals, ulimit, memory, and what is imported need a process.
"""

import gc
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fmnist_edge.cli import main

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
FMNIST_EDGE = Path(sys.executable).with_name("fmnist-edge")

WIDE = {"COLUMNS": "200"}
SECONDS = 300
HANDLED = (signal.SIGALRM, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def run(*command: object, environment: dict[str, str] | None = None, **options: Any) -> "subprocess.CompletedProcess[str]":
    """A command's exit status, stdout and stderr; ``environment`` is added to ours."""
    options = {"cwd": ROOT, "timeout": SECONDS, **options}
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **WIDE, **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        **options,
    )


def python_m(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, "-m", *arguments, **options)


def fmnist_edge(
    *arguments: object, environment: dict[str, str] | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """The command in this process; in its own if ``environment`` has a variable that Python reads when it starts."""
    if any(name.startswith("PYTHON") for name in environment or {}):
        return run(FMNIST_EDGE, *arguments, environment=environment, **options)
    return stay(main, [FMNIST_EDGE, *arguments], environment, **options)


def main_of(module: str, *arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """What ``python_m`` gives, in this process. A model trained here has layers with other names, as TensorFlow counts them."""

    def program() -> None:
        warnings.filterwarnings("ignore", f"'{module}' found in sys.modules")
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    return stay(program, [module, *arguments], **options)


def stay(
    program: Callable[[], object],
    command: list[object],
    environment: dict[str, str] | None = None,
    cwd: str | Path = ROOT,
    umask: int = -1,
    timeout: int = SECONDS,
    **streams: Any,
) -> "subprocess.CompletedProcess[str]":
    """What ``run`` gives. The program runs in this process, which is afterwards as it was."""
    status: Any = 0
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    umask_before = os.umask(umask) if umask >= 0 else None
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), redirected(patch, **streams) as written:
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [str(part) for part in command])
        set_by_the_command = {"OPENBLAS_NUM_THREADS": "1"}
        for name, value in {**set_by_the_command, **WIDE, **(environment or {})}.items():
            patch.setenv(name, value)
        signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"it takes longer than {timeout} s"))
        signal.alarm(timeout)
        try:
            program()
        except SystemExit as end:
            status = end.code or 0
        finally:
            signal.alarm(0)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if umask_before is not None:
                os.umask(umask_before)
            # the command does without it, as it soon ends
            gc.unfreeze()
            gc.enable()
    return subprocess.CompletedProcess([], status, *written)


@contextmanager
def redirected(patch: pytest.MonkeyPatch, input: str = "") -> Iterator[list[str]]:
    """Streams like those of a command whose output is not a terminal. At the end, the list gets what came to stdout and stderr.

    The file descriptors are exchanged too, as the runtimes write to them from C++.
    """
    written: list[str] = []
    with ExitStack() as files:
        places = {name: files.enter_context(tempfile.TemporaryFile()) for name in ("stdin", "stdout", "stderr")}
        places["stdin"].write(input.encode())
        places["stdin"].seek(0)
        with ExitStack() as streams:
            for number, (name, file) in enumerate(places.items()):
                saved = os.dup(number)
                streams.callback(os.close, saved)
                streams.callback(os.dup2, saved, number)
                os.dup2(file.fileno(), number)
                mode = "w" if number else "r"
                patch.setattr(sys, name, streams.enter_context(open(number, mode, closefd=False, encoding="utf-8")))
            yield written
        for name in ("stdout", "stderr"):
            places[name].seek(0)
            written.append(places[name].read().decode(errors="surrogateescape"))
