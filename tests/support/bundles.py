"""Bundles for the tests that deploy."""

import json
import shutil
import zipfile
from pathlib import Path

from export.bundle import attach_description, fingerprint, to_json
from fmnist_edge.bundle.description import read_description
from support.altered_models import with_a_zeroed_row
from support.commands import MODELS

INT8 = "fmnist-int8.tflite"


def another_bundle(folder: Path, poisoned: bool = False) -> Path:
    """Makes one in ``folder`` that is ours but for its name, which is the folder's, or also for its answers."""
    shutil.copytree(MODELS, folder, ignore=shutil.ignore_patterns("report", ".*"))
    content = with_a_zeroed_row(MODELS / INT8) if poisoned else (MODELS / INT8).read_bytes()
    (folder / INT8).write_bytes(content)
    with zipfile.ZipFile(folder / INT8) as archive:
        end = min(member.header_offset for member in archive.infolist())
    description = read_description(content, ".tflite")
    description["training"]["purpose"] = folder.name
    manifest = json.loads((MODELS / "manifest.json").read_text())
    manifest["files"][INT8] |= fingerprint(attach_description(content[:end], description))
    (folder / INT8).write_bytes(attach_description(content[:end], description))
    (folder / "manifest.json").write_text(to_json(manifest))
    return folder
