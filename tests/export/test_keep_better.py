"""A bundle that is replaced by a worse one is kept beside it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from export.__main__ import keep_better
from export.bundle import ARTIFACTS
from support.commands import MODELS

MANIFEST: dict[str, Any] = json.loads((MODELS / "manifest.json").read_text("utf-8"))
NAMES = [*ARTIFACTS, "golden.npz", "parity.json", "report/parity.md", "manifest.json"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("kept", "*.png"))


def successor(points: float, **training: Any) -> dict[str, Any]:
    """Our manifest, if each artifact were better by so many points."""
    files = {name: {**file, "accuracy": file["accuracy"] + points / 100} for name, file in MANIFEST["files"].items()}
    return {**MANIFEST, "files": files, "training": {**MANIFEST["training"], **training}}


@pytest.mark.parametrize(
    ("manifest", "why"),
    [(successor(-2), "fmnist-float.tflite: 9,"), (successor(1, on_photos=None), "(photos: ")],
    ids=["less accurate", "without photos"],
)
def test_a_bundle_is_kept_if_its_successor_is_worse(manifest: dict[str, Any], why: str, folder: Path) -> None:
    said = keep_better(folder, manifest, NAMES)

    kept = folder / "kept" / f"{MANIFEST['training']['recipe']}-{MANIFEST['reference']['sha256'][:8]}"
    assert why in said
    assert said.endswith(f"To restore them: cp -r {kept}/. {folder}")
    for name in NAMES:
        assert (kept / name).read_bytes() == (folder / name).read_bytes()


def test_a_bundle_is_not_kept_if_its_successor_is_as_good_or_if_it_is_none(folder: Path, tmp_path: Path) -> None:
    assert keep_better(folder, successor(0), NAMES) == ""
    assert keep_better(folder, successor(-0.1), NAMES) == ""
    assert not (folder / "kept").exists()

    (folder / "manifest.json").write_text("{")
    assert keep_better(folder, successor(-2), NAMES) == ""
    assert keep_better(tmp_path / "none", successor(-2), NAMES) == ""
