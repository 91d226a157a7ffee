"""Opens a model file: reads what it says of itself, and refuses what does not fit, with the reason.

A .tflite carries its description as a ZIP archive at its end (as TFLite metadata does; `unzip -l` lists it, runtimes ignore
it), a .onnx as metadata_props. A manifest.json beside the file must agree with it.
"""

import io
import json
import os
import re
import stat
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_edge.errors import FmnistEdgeError, ModelError, SignatureError
from fmnist_edge.runtime import CLASSES, OnnxSession, Session, TFLiteSession

if TYPE_CHECKING:
    from fmnist_edge.apart import ApartSession

DESCRIPTION = "fmnist.json"
FORMAT = 1
"""Of the description, the manifest and the golden set; raised when an old reader would misread a new file."""

MAX_MODEL_BYTES = 100_000_000
"""Fifty times the largest of ours; a Pi Zero has 512 MB, and a runtime needs a model twice."""

MAX_DESCRIPTION_BYTES = MAX_MANIFEST_BYTES = 100_000
"""Twenty times what export writes."""

NEVER_UNSURE = {"tile": 0.0, "photo": 0.0}
"""The thresholds of files that were made before there were any."""


@dataclass(frozen=True)
class Model:
    """A model that is open and may be trusted. ``description`` is its fmnist.json, ``listed`` what a manifest lists."""

    path: Path
    description: dict[str, Any]
    session: Session
    listed: dict[str, str]


def open_model(path: str | os.PathLike[str] | None = None, threads: int = 1) -> Model:
    """The model in a .tflite or .onnx file made by ``python -m export``; the int8 model that comes with the package if None.

    One that nobody vouches for, neither this package nor a manifest.json beside it, runs in a process of its own.

    Raises ModelError if it is missing, damaged, not self-described, another shape, not the file that a manifest.json beside it
    lists, not signed where that is asked for, or harmful; RuntimeUnavailableError if no runtime here can run it.
    """
    path = default_model() if path is None else Path(path)
    try:
        content = read(path, MAX_MODEL_BYTES)
        listed = read_manifest(path)
        vouched_for = is_listed(path, content, listed) or path == default_model()
        if path.suffix == ".onnx":
            session: Session = OnnxSession(content, threads) if vouched_for else apart(content, path.suffix, threads)
            description = read_onnx_description(content)
        else:
            description = read_tflite_description(content)
            session = TFLiteSession(content, threads=threads) if vouched_for else apart(content, path.suffix, threads)
    except FmnistEdgeError as error:
        raise type(error)(f"{path}: {error}") from None
    return Model(path, description, session, listed)


def apart(content: bytes, suffix: str, threads: int) -> "ApartSession":
    from fmnist_edge.apart import ApartSession  # what it imports, the usual model need not wait for

    return ApartSession(content, suffix, threads)


def read_description(path: str | os.PathLike[str] | None = None) -> tuple[Path, bytes, dict[str, Any]]:
    """A model's path, content and description, for which no runtime is needed; checked as ``open_model`` does.

    Raises ModelError if it is missing, damaged, not self-described, not the file that a manifest.json beside it lists, or not
    signed where that is asked for.
    """
    path = default_model() if path is None else Path(path)
    try:
        content = read(path, MAX_MODEL_BYTES)
        is_listed(path, content, read_manifest(path))  # raises if it is listed otherwise
        return path, content, (read_onnx_description if path.suffix == ".onnx" else read_tflite_description)(content)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from None


def default_model() -> Path:
    """fmnist-int8.tflite: inside the package when it was installed from a wheel, in models/ when it runs from a checkout."""
    package = Path(__file__).parent
    packaged = package / "models" / "fmnist-int8.tflite"
    return packaged if packaged.exists() else package.parents[1] / "models" / "fmnist-int8.tflite"


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


def read_manifest(path: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its name, that a manifest.json beside a model lists; none if there is none.

    Raises ModelError if it is damaged, SignatureError if a key is configured that did not sign it.
    """
    manifest, keys = path.with_name("manifest.json"), configured_keys()
    if not os.path.lexists(manifest):
        return {}
    try:
        text = read(manifest, MAX_MANIFEST_BYTES)
        listing = parse(text.decode())
        files = {**listing["files"], **listing.get("proof", {})}
        listed = {name: file["sha256"] for name, file in files.items() if isinstance(file, dict) and "sha256" in file}
    except (KeyError, TypeError):  # one of something else
        return {}
    except (ModelError, ValueError):
        raise ModelError("the manifest.json beside it is damaged; copy or export both again") from None
    if keys:
        from fmnist_edge.signature import check  # what it imports, a device without a key need not wait for

        check(manifest, text, keys)
    return listed


def is_listed(path: Path, content: bytes, listed: dict[str, str]) -> bool:
    """Whether a file is one that ``read_manifest`` found listed.

    Raises ModelError if it is listed with another SHA-256, SignatureError if it is not listed and a key is configured.
    """
    if path.name not in listed:
        if keys := configured_keys():
            raise SignatureError(
                f"no manifest.json beside it lists it, and {keys} asks for a signed one; copy all from one export"
            )
        return False
    if listed[path.name] != sha256(content).hexdigest():
        raise ModelError("it is not the file that the manifest.json beside it lists; copy or export both again")
    return True


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


def parse(text: str) -> Any:
    """What a JSON text says. Raises ValueError for what is none, and for what Python would take beyond the standard: NaN."""
    try:
        return json.loads(text, parse_constant=int)  # which refuses "NaN" and "Infinity"
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_tflite_description(content: bytes) -> dict[str, Any]:
    """The fmnist.json at the end of a .tflite. Raises ModelError before any runtime sees a file that is not whole."""
    if content[4:8] != b"TFL3":
        raise ModelError("not a TFLite model")
    end = content[-MAX_DESCRIPTION_BYTES:]  # a long list of members would fill the memory
    try:
        with zipfile.ZipFile(io.BytesIO(end)) as archive:
            entry = archive.getinfo(DESCRIPTION)
            archive_start = len(content) - len(end) + min(member.header_offset for member in archive.infolist())
            # as it was written: what is compressed may unpack to gigabytes, whatever size it claims
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("compressed")
            text = archive.read(entry).decode()
    # its parser lets through whatever a broken archive makes it raise: BadZipFile, KeyError, struct.error, ...
    except Exception:
        raise ModelError("it is truncated, or was not made by 'python -m export': it does not describe itself") from None
    # nothing but the flatbuffer stands before the archive's first member
    return check_description(text, sha256(content[:archive_start]).hexdigest())


def read_onnx_description(content: bytes) -> dict[str, Any]:
    """The same of a .onnx. Its checksum stands inside the file and is that of the file with zeros in the checksum's place.

    In its metadata_props, the file's last part, a property is two fields, name and text, each with a tag and a length before it
    (onnx.proto, protobuf's "Encoding"); a length has seven bits in each byte, the lowest first, and a top bit if more follow.
    """
    _, found, rest = content.rpartition(b"\x0a%c%s\x12" % (len(DESCRIPTION), DESCRIPTION.encode()))
    prefix = re.match(rb"[\x80-\xff]{0,2}[\x00-\x7f]", rest)
    if not found or not prefix:
        raise ModelError("it is truncated, or was not made by 'python -m export': it does not describe itself")
    length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(prefix[0]))
    text = rest[prefix.end() :][: min(length, MAX_DESCRIPTION_BYTES)].decode("utf-8", "replace")
    digest = re.search(r'"model_sha256": "([0-9a-f]{64})"', text)
    blanked = content.replace(digest[1].encode(), b"0" * 64) if digest else content
    return check_description(text, sha256(blanked).hexdigest())


def check_description(text: str, model_sha256: str) -> dict[str, Any]:
    try:
        description: dict[str, Any] = parse(text)
        format_version, classes, training = description["format"], description["classes"], description["training"]
        description["input"]["dtype"]
    except (ValueError, KeyError, TypeError):
        raise ModelError("it does not describe itself; only files made by 'python -m export' are run") from None
    if format_version != FORMAT:
        raise ModelError(f"its format is {repr(format_version)[:20]}, this fmnist-edge reads {FORMAT}; export it again")
    if classes != list(CLASSES):
        raise ModelError("its classes are not Fashion-MNIST's; export it again")
    if not is_calibration(training):
        raise ModelError("it does not say rightly when it is unsure; export it again")
    if model_sha256 != description.get("model_sha256"):
        raise ModelError("it is damaged: it is not what was exported; copy it again")
    return description


def is_calibration(training: Any) -> bool:
    """Whether it has what is read of it: a temperature, and the confidences below which it is unsure; older files lack them."""
    if not isinstance(training, dict):
        return False
    unsure = training.get("unsure", NEVER_UNSURE)
    return (
        is_number(training.get("temperature", 1), 1e-6, 1e6)
        and isinstance(unsure, dict)
        and unsure.keys() == NEVER_UNSURE.keys()
        and all(is_number(confidence, 0, 1) for confidence in unsure.values())
    )


def is_number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most
