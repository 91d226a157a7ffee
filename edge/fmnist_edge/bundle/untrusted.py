"""Reads files and JSON that may be hostile, within limits; and says whose signature this device asks for."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from fmnist_edge.errors import ModelError

MAX_MANIFEST_BYTES = 100_000
"""Twenty times what export writes."""


def read(path: Path, max_bytes: int) -> bytes:
    """A file's content. Raises ModelError if it is none, larger, or can't be read; what is no file is not even opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("not a file")
        if status.st_size > max_bytes:
            raise ModelError(f"larger than {max_bytes // 10**6} MB; no Fashion-MNIST model is")
        with open(path, "rb") as file:
            return file.read(status.st_size)
    except FileNotFoundError:
        raise ModelError("no such model file") from None
    except (OSError, ValueError) as error:  # ValueError: a path that can't be one
        raise ModelError(f"the model can't be read ({getattr(error, 'strerror', None) or error})") from None


def parse(text: str) -> Any:
    """What a JSON text says. Raises ValueError for what is none, and for what Python would take beyond the standard: NaN."""
    try:
        return json.loads(text, parse_constant=int)  # which refuses "NaN" and "Infinity"
    except RecursionError:
        raise ValueError("nested too deeply") from None


def configured_keys() -> Path | None:
    """The file of the keys by which models have to be signed, in the configuration's folder; None if any model may run."""
    folder = os.environ.get("FMNIST_EDGE_CONFIG")
    keys = Path(folder or "/etc/fmnist-edge", "allowed_signers")
    try:
        os.lstat(keys)
    except FileNotFoundError:
        return keys if folder else None
    except OSError:  # there may be one that we can't see
        pass
    return keys
