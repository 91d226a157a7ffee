"""Opens a model file: reads its self-description, and refuses what does not fit, with the reason.

A manifest.json beside the file must agree with it.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmnist_edge.bundle.description import read_description
from fmnist_edge.bundle.manifest import is_listed, read_manifest
from fmnist_edge.bundle.untrusted import read
from fmnist_edge.errors import FmnistEdgeError, ModelError, RuntimeUnavailableError
from fmnist_edge.runtimes.formats import format_of
from fmnist_edge.runtimes.session import Session
from fmnist_edge.terminal import quiet_stderr

MAX_MODEL_BYTES = 100_000_000
"""Fifty times the largest of ours; a Pi Zero has 512 MB, and a runtime needs a model twice."""


@dataclass(frozen=True)
class Model:
    """A model that is open and may be trusted. ``description`` is its fmnist.json, ``listed`` what a manifest lists.

    vouched_for: by this package or a manifest. no_runtime: why numpy alone runs it, if it does.
    """

    path: Path
    description: dict[str, Any]
    session: Session
    listed: dict[str, str]
    vouched_for: bool
    no_runtime: str | None = None


def open_model(path: str | os.PathLike[str] | None = None, threads: int = 1) -> Model:
    """The model in a .tflite or .onnx file made by ``python -m export``; the int8 model that comes with the package if None.

    One that nobody vouches for, neither this package nor a manifest.json beside it, runs in a process of its own. One that is
    vouched for runs in numpy alone where there is no runtime, if it is an int8 .tflite.

    Raises ModelError if it is missing, damaged, not self-described, another shape, not the file that a manifest.json beside it
    lists, not signed where that is asked for, or harmful; RuntimeUnavailableError if no runtime here can run it.
    """
    path = default_model() if path is None else Path(path)
    try:
        content = read(path, MAX_MODEL_BYTES)
        listed = read_manifest(path)
        vouched_for = is_listed(path, content, listed) or path == default_model()
        description = read_description(content, path.suffix)
        if not vouched_for:
            with quiet_stderr():
                session = isolated(content, path.suffix, threads)
            return Model(path, description, session, listed, False)
        try:
            with quiet_stderr():
                session = format_of(path.suffix).open(content, threads)
            return Model(path, description, session, listed, True)
        except RuntimeUnavailableError as error:
            if in_its_place := in_numpy(content, path.suffix):
                return Model(path, description, in_its_place, listed, True, str(error))
            raise
    except FmnistEdgeError as error:
        raise type(error)(f"{path}: {error}") from None


def open_witness(model: Model) -> Session | None:
    """The model in numpy alone, which shares no kernel with a runtime; None where that can't be had."""
    return in_numpy(read(model.path, MAX_MODEL_BYTES), model.path.suffix) if model.vouched_for else None


def in_numpy(content: bytes, suffix: str) -> Session | None:
    """A model that is vouched for, if numpy alone can run it."""
    open_in_numpy = format_of(suffix).open_in_numpy
    with suppress(ModelError):
        return open_in_numpy(content) if open_in_numpy else None
    return None


def isolated(content: bytes, suffix: str, threads: int) -> Session:
    from fmnist_edge.runtimes.isolated import IsolatedSession  # slow to import, and the built-in model does not need it

    return IsolatedSession(content, suffix, threads)


def read_model(path: str | os.PathLike[str] | None = None) -> tuple[Path, bytes, dict[str, Any]]:
    """A model's path, content and description, for which no runtime is needed; checked as ``open_model`` does.

    Raises ModelError if it is missing, damaged, not self-described, not the file that a manifest.json beside it lists, or not
    signed where that is asked for.
    """
    path = default_model() if path is None else Path(path)
    try:
        content = read(path, MAX_MODEL_BYTES)
        is_listed(path, content, read_manifest(path))  # raises if the manifest lists another checksum
        return path, content, read_description(content, path.suffix)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from None


def default_model() -> Path:
    """fmnist-int8.tflite: inside the package when it was installed from a wheel, in models/ when it runs from a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "models" / "fmnist-int8.tflite"
    return packaged if packaged.exists() else package.parents[1] / "models" / "fmnist-int8.tflite"
