"""Model files with another description, and manifests, made without what the export needs."""

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from fmnist_edge.contract import CLASSES
from support.commands import MODELS

INT8 = MODELS / "fmnist-int8.tflite"


def description(**changes: Any) -> dict[str, Any]:
    """What an int8 model says of itself, as far as that is looked at."""
    return {"format": 1, "classes": list(CLASSES), "training": {}, "input": {"dtype": "int8"}, **changes}


def flatbuffer() -> bytes:
    """The shipped int8 model without its description."""
    with zipfile.ZipFile(INT8) as archive:
        return INT8.read_bytes()[: min(member.header_offset for member in archive.infolist())]


def described(**changes: Any) -> bytes:
    """The shipped int8 model with another description."""
    file = io.BytesIO(content := flatbuffer())
    with zipfile.ZipFile(file, "a") as archive:
        text = json.dumps({"model_sha256": sha256(content).hexdigest()} | description(**changes))
        archive.writestr("fmnist.json", text)
    return file.getvalue()


def write_manifest(folder: Path, *names: str) -> None:
    """One that lists these files of the folder: then they run in this process."""
    files = {name: {"sha256": sha256((folder / name).read_bytes()).hexdigest()} for name in names}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
