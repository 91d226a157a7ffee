"""Opens a model file: reads what it says of itself, and refuses what does not fit, with the reason.

A .tflite carries its description as a ZIP archive at its end (as TFLite metadata does; `unzip -l` lists it, runtimes ignore
it), a .onnx as metadata_props. A manifest.json beside the file must agree with it.
"""

import io
import json
import os
import re
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fmnist_edge.errors import FmnistEdgeError, ModelError
from fmnist_edge.runtime import CLASSES, OnnxSession, Session, TFLiteSession

DESCRIPTION = "fmnist.json"
FORMAT = 1
"""Of the description, the manifest and the golden set; raised when an old reader would misread a new file."""

MAX_DESCRIPTION_BYTES = 100_000


@dataclass(frozen=True)
class Model:
    """A model that is open and may be trusted. ``description`` is its fmnist.json."""

    path: Path
    description: dict[str, Any]
    session: Session


def open_model(path: str | os.PathLike[str] | None = None, threads: int = 1) -> Model:
    """The model in a .tflite or .onnx file made by ``python -m export``; the int8 model that comes with the package if None.

    Raises ModelError if it is missing, damaged, not self-described, another shape or not the file that a manifest.json beside it
    lists; RuntimeUnavailableError if no runtime here can run it.
    """
    path = default_model() if path is None else Path(path)
    try:
        content = read(path)
        check_manifest(path, content)
        if path.suffix == ".onnx":
            onnx = OnnxSession(content, threads)
            description = check_onnx_description(content, onnx.metadata.get(DESCRIPTION, ""))
            session: Session = onnx
        else:
            description = read_tflite_description(content)
            session = TFLiteSession(content, threads=threads)
    except FmnistEdgeError as error:
        raise type(error)(f"{path}: {error}") from None
    return Model(path, description, session)


def default_model() -> Path:
    """fmnist-int8.tflite: inside the package when it was installed from a wheel, in models/ when it runs from a checkout."""
    package = Path(__file__).parent
    packaged = package / "models" / "fmnist-int8.tflite"
    return packaged if packaged.exists() else package.parents[1] / "models" / "fmnist-int8.tflite"


def read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelError("no such model file" if not path.exists() else "not a file")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"the model can't be read ({error.strerror})") from None


def check_manifest(path: Path, content: bytes) -> None:
    """Raises ModelError if a manifest.json beside the file lists it with another SHA-256."""
    try:
        manifest = json.loads(path.with_name("manifest.json").read_text("utf-8"))
        expected = manifest["files"][path.name]["sha256"]
    except (FileNotFoundError, KeyError, TypeError):  # none, or one of something else
        return
    except (OSError, ValueError):
        raise ModelError("the manifest.json beside it is damaged; copy or export both again") from None
    if expected != sha256(content).hexdigest():
        raise ModelError("it is not the file that the manifest.json beside it lists; copy or export both again")


def read_tflite_description(content: bytes) -> dict[str, Any]:
    """The fmnist.json at the end of a .tflite. Raises ModelError before any runtime sees a file that is not whole."""
    if content[4:8] != b"TFL3":
        raise ModelError("not a TFLite model")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entry = archive.getinfo(DESCRIPTION)
            archive_start = min(member.header_offset for member in archive.infolist())
            if entry.file_size > MAX_DESCRIPTION_BYTES:
                raise ModelError(f"its {DESCRIPTION} is too large")
            text = archive.read(entry).decode("utf-8")
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, OSError, EOFError):
        raise ModelError("it is truncated, or was not made by 'python -m export': it does not describe itself") from None
    # nothing but the flatbuffer stands before the archive's first member
    return check_description(text, sha256(content[:archive_start]).hexdigest())


def check_onnx_description(content: bytes, text: str) -> dict[str, Any]:
    """The same of a .onnx. Its checksum stands inside the file and is that of the file with zeros in the checksum's place."""
    digest = re.search(r'"model_sha256": "([0-9a-f]{64})"', text)
    blanked = content.replace(digest[1].encode(), b"0" * 64) if digest else content
    return check_description(text, sha256(blanked).hexdigest())


def check_description(text: str, model_sha256: str) -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads(text)
        format_version, classes = description["format"], list(description["classes"])
    except (ValueError, KeyError, TypeError):
        raise ModelError("it does not describe itself; only files made by 'python -m export' are run") from None
    if format_version != FORMAT:
        raise ModelError(f"its format is {format_version}, this fmnist-edge reads {FORMAT}; export it again")
    if tuple(classes) != CLASSES:
        raise ModelError("its classes are not Fashion-MNIST's; export it again")
    if model_sha256 != description.get("model_sha256"):
        raise ModelError("it is damaged: it is not what was exported; copy it again")
    return description
