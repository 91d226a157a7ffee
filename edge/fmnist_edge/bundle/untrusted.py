"""Reads files and JSON that may be hostile, within limits; finds the keys by which models must be signed."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from fmnist_edge.errors import ModelError

MAX_MANIFEST_BYTES = 100_000
"""Twenty times what export writes."""


def read(path: Path, max_bytes: int) -> bytes:
    """A file's content. Raises ModelError if it is not a file (it is not opened then), too large, or can't be read."""
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
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL byte
        raise ModelError(f"the model can't be read ({getattr(error, 'strerror', None) or error})") from None


def parse(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for invalid JSON, and for NaN, which Python accepts beyond the standard."""
    try:
        return json.loads(text, parse_constant=int)  # which refuses "NaN" and "Infinity"
    except RecursionError:
        raise ValueError("nested too deeply") from None


def configured_keys() -> Path | None:
    """The file with the keys by which models must be signed, in the configuration's folder; None if any model may run."""
    folder = os.environ.get("FMNIST_EDGE_CONFIG")
    keys = Path(folder or "/etc/fmnist-edge", "allowed_signers")
    try:
        os.lstat(keys)
    except FileNotFoundError:
        return keys if folder else None
    except OSError:  # there may be a file that we are not allowed to see
        pass
    return keys
