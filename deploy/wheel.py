"""python deploy/wheel.py: builds the device's wheel in dist/, including the int8 model of a folder of models.

The old wheel stays until the new one is complete.
"""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from fmnist_edge.cli.commands import run
from fmnist_edge.errors import FmnistEdgeError, ModelError, reported

ROOT = Path(__file__).parents[1]
BUNDLE = ("fmnist-int8.tflite", "golden.npz", "manifest.json")
SIGNATURE = "manifest.json.sig"
PROJECT = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "edge")
"""What hatchling reads, besides the models."""


class WheelError(FmnistEdgeError):
    """The wheel can't be built."""


@reported("wheel")
def main(
    models: Annotated[Path, typer.Option(metavar="DIR", help="The folder with the model, its golden set and manifest.")] = ROOT
    / "models",
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the wheel.")] = ROOT / "dist",
) -> None:
    """Build the device's wheel.

    \b
    Examples:
      python deploy/wheel.py
      python deploy/wheel.py --models build/quick
    """
    check_bundle(models)
    staged = ROOT / "build" / "wheel"
    shutil.rmtree(staged, ignore_errors=True)
    stage(models, staged)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(staged / "dist"), str(staged)]
    if subprocess.run([sys.executable, "-m", "pip", "wheel", *options]).returncode != 0:
        raise WheelError(f"pip can't build the wheel; {out} is unchanged")
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("fmnist_edge-*.whl"):
        old.unlink()
    (built,) = (staged / "dist").glob("fmnist_edge-*.whl")
    print(f"{shutil.move(built, out)} has the model of {models}")
    shutil.rmtree(staged)


def check_bundle(models: Path) -> None:
    """Raises ModelError unless the folder holds a whole export, and, if a Keras model is in it, the export of that model."""
    cure = f"run 'make export MODELS={models}'"
    try:
        manifest = json.loads((models / "manifest.json").read_text("utf-8"))
        listed = {**manifest["files"], **manifest["proof"]}
        wrong = [name for name in BUNDLE[:2] if digest(models / name) != listed[name]["sha256"]]
        if wrong:
            raise ModelError(f"{models / wrong[0]}: it is not the file that the manifest.json beside it lists; {cure}")
        keras = models / manifest["reference"]["file"]
        if keras.exists() and digest(keras) != manifest["reference"]["sha256"]:
            raise ModelError(f"{keras} was trained after the files beside it were exported; {cure}")
    except OSError as error:
        raise ModelError(f"{error.filename}: it can't be read ({error.strerror}); {cure}") from None
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{models / 'manifest.json'}: it is damaged; {cure}") from None


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def stage(models: Path, folder: Path) -> None:
    """Copies the wheel's sources. Its models come from ``models``, whatever that folder's name is."""
    (folder / "models").mkdir(parents=True)
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for name in [*BUNDLE, *([SIGNATURE] if (models / SIGNATURE).exists() else [])]:
        shutil.copy(models / name, folder / "models" / name)


if __name__ == "__main__":
    run(main, "wheel")
