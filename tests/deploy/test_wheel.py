"""The device's wheel is built with the models that were asked for, if they are one export."""

import shutil
import zipfile
from pathlib import Path

import pytest

from deploy.wheel import check_bundle, stage
from fmnist_edge.errors import ModelError
from support.bundles import another_bundle
from support.commands import MODELS, ROOT, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("report", "kept"))


def test_an_export_is_packed(folder: Path, tmp_path: Path) -> None:
    check_bundle(folder)
    stage(folder, tmp_path / "staged")

    packed = sorted(path.name for path in (tmp_path / "staged" / "models").iterdir())
    assert packed == ["fmnist-int8.tflite", "golden.npz", "manifest.json"]
    assert (tmp_path / "staged" / "edge" / "fmnist_edge" / "contract.py").exists()

    (folder / "manifest.json.sig").touch()
    stage(folder, tmp_path / "signed")
    assert (tmp_path / "signed" / "models" / "manifest.json.sig").exists()


@pytest.mark.parametrize("name", ["manifest.json", "fmnist-int8.tflite", "golden.npz"])
def test_what_is_missing_says_how_to_make_it(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelError, match=f"{folder}/{name}: it can't be read .*; run 'make export MODELS={folder}'"):
        check_bundle(folder)


def test_a_model_that_was_trained_after_the_export_is_not_forgotten(folder: Path) -> None:
    (folder / "fmnist.keras").write_bytes(b"another model")

    with pytest.raises(ModelError, match=r"fmnist\.keras was trained after the files beside it were exported; run 'make export"):
        check_bundle(folder)


@pytest.mark.parametrize(("name", "reason"), [("golden.npz", "it is not the file that"), ("manifest.json", "it is damaged")])
def test_what_is_of_another_export_is_not_packed(name: str, reason: str, folder: Path) -> None:
    (folder / name).write_bytes(b"{}")

    with pytest.raises(ModelError, match=f"{folder}/{name}: {reason}"):
        check_bundle(folder)


@pytest.mark.wheel
def test_the_wheel_has_the_models_that_were_asked_for_and_the_old_one_stays_until_it_is_there(tmp_path: Path) -> None:
    models, out = another_bundle(tmp_path / "q"), tmp_path / "dist"
    out.mkdir()
    (out / "fmnist_edge-0.0.9-py3-none-any.whl").touch()
    command = (ROOT / ".venv" / "bin" / "python", "deploy/wheel.py", "--out", out, "--models")

    refused = run(*command, tmp_path / "nothing")
    assert [path.name for path in out.iterdir()] == ["fmnist_edge-0.0.9-py3-none-any.whl"]
    built = run(*command, models)

    (wheel,) = out.iterdir()
    assert (refused.returncode, built.returncode) == (3, 0)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("fmnist_edge/models/fmnist-int8.tflite") == (models / "fmnist-int8.tflite").read_bytes()
