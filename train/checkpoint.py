"""Checkpoints of an interrupted training: written after each epoch, removed when the model is complete.

A training that continues ends with the same weights as one without an interruption. So a training that is started again continues
by itself, if its settings are the same. A checkpoint with other settings is overwritten only on request.
"""

import io
import json
import os
import shlex
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from fmnist_edge.errors import FmnistEdgeError, UsageError, stop
from train.history import Epoch

if TYPE_CHECKING:
    import keras

NAMED = 4
"""The most differing settings that an error names."""
NOT_THE_RECIPES = ("recipe", "seed", "photos", "code")
"""Settings that do not follow from the recipe."""
BY_ENVIRONMENT = ("FMNIST_DATA", "FMNIST_PHOTOS", "TF_CONFIG")
"""Environment variables that affect a training."""


class CheckpointError(FmnistEdgeError):
    """The checkpoint can't be written."""


class Checkpoint:
    """One file beside the future model.

    settings: all that affects the weights. content: the file to continue from, b"" to start. command: continues this training
    if it is interrupted. Raises UsageError if the file belongs to another training, or is damaged.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], content: bytes = b"", command: str = "") -> None:
        self.path, self.settings, self.command = path, settings, command
        self.state = read_state(path, content) if content else {}
        self.one_at_a_time = Lock()
        if content:
            refuse_another(path, self.state, settings)

    def restore(self, network: str, variables: "Sequence[keras.Variable]") -> list[Epoch]:
        """Sets the variables to their values after the network's last epoch. Returns its epochs; none if nothing is stored."""
        if f"{network}.epochs" not in self.state:
            return []
        for number, variable in enumerate(variables):
            variable.assign(self.state[f"{network}.{number}"])
        return [Epoch(**epoch) for epoch in json.loads(str(self.state[f"{network}.epochs"]))]

    def save(self, network: str, variables: "Sequence[keras.Variable]", history: Sequence[Epoch]) -> None:
        values = {f"{network}.{number}": variable.numpy() for number, variable in enumerate(variables)}
        epochs = json.dumps([asdict(epoch) for epoch in history])
        try:
            # a folder of its own: workers may share a disk; they write the same content
            with self.one_at_a_time, tempfile.TemporaryDirectory(prefix=".train-", dir=self.path.parent) as scratch:
                self.state |= {
                    "settings": json.dumps(self.settings),
                    "command": self.command,
                    f"{network}.epochs": epochs,
                    **values,
                }
                part = Path(scratch) / self.path.name
                np.savez(part, **self.state)
                part.replace(self.path)
        except OSError as error:
            kept = f"; when that is fixed, continue with: {self.command}" if self.path.exists() else ""
            raise CheckpointError(f"{self.path} can't be written ({error.strerror or error}){kept}") from None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def check_interrupted(path: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Raises UsageError if a training with these settings can't continue from the file: now, not after photos were read.

    settings: those known so far. resume: whether there must be a file.
    """
    if path.exists():
        refuse_another(path, read_state(path, path.read_bytes()), settings)
    elif resume:
        refuse_nothing(path)


def refuse_nothing(path: Path) -> None:
    raise UsageError(f"there is no interrupted training to resume: no {path}; without --resume, one is started")


def read_state(path: Path, content: bytes) -> dict[str, Any]:
    """The state in the file's content. Raises UsageError if it is not a checkpoint."""
    try:
        with np.load(io.BytesIO(content)) as file:
            state = dict(file)
            json.loads(str(state["settings"]))
            return state
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile):
        raise UsageError(f"{path} is not an interrupted training, or is damaged; remove it, or use {restart_by()}") from None


def refuse_another(path: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raises UsageError, naming the settings that differ, if the state belongs to a training with other settings."""
    told, known = json.loads(str(state["settings"])), json.loads(json.dumps(settings))
    names = [name for name in known if told.get(name) != known[name]]
    if not names:
        return
    if "recipe" in names:  # most of its settings differ
        names = [name for name in names if name in NOT_THE_RECIPES]
    changed = [f"{name} was {show(told.get(name))}, now {show(known.get(name))}" for name in names[:NAMED]]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    going_on = str(state["command"]) if "code" not in names else ""
    raise UsageError(
        f"{path} holds an interrupted training with other settings ({'; '.join([*changed, *more])}). "
        + (f"To continue it: {going_on}. " if going_on else "")
        + f"To discard it: {restart_by()}. To keep it: train into another place, with {'MODELS' if by_make() else '--out'}"
    )


@contextmanager
def interruptible(checkpoint: Path, command: str) -> Iterator[None]:
    """After Ctrl-C or SIGTERM, the last line says how to continue."""
    status = 130

    def end(*_: object) -> None:
        nonlocal status
        status = 128 + signal.SIGTERM
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        stop(
            "train",
            f"interrupted; {'to continue' if checkpoint.exists() else 'no epoch was complete; to start again'}: {command}",
            status,
        )
    finally:
        signal.signal(signal.SIGTERM, before)


def show(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def code() -> str:
    """A checksum of the training's code, and of the versions of the packages that it uses."""
    parts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    versions = " ".join(version(name) for name in ("keras", "numpy", "tensorflow"))
    return sha256(b"".join([*parts, versions.encode()])).hexdigest()[:12]


def command_to_go_on(arguments: Sequence[str]) -> str:
    """The command that continues this training if it is interrupted. arguments: those that it was started with."""
    if made := by_make():
        return made
    python = Path(sys.executable)
    program = str(python.relative_to(Path.cwd())) if python.is_relative_to(Path.cwd()) else str(python)
    given = [f"{name}={shlex.quote(os.environ[name])}" for name in BY_ENVIRONMENT if os.environ.get(name)]
    others = [argument for argument in arguments if argument not in ("--resume", "--restart")]
    return " ".join([*given, shlex.join([program, "-m", "train", *others, "--resume"])])


def restart_by() -> str:
    """What to add, or to type, to start again."""
    return f"{made} RESTART=1" if (made := by_make()) else "--restart"


def by_make() -> str:
    """The command that make was started with, or "" without make (see Makefile)."""
    return os.environ.get("MAKE_AGAIN", "")
