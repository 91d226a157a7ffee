"""What several test files need: the commands as a user runs them, and the test images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist_edge import Classifier
from train.dataset import Dataset, load

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
FMNIST_EDGE = Path(sys.executable).with_name("fmnist-edge")


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """A command's exit status, stdout and stderr; ``environment`` is added to ours."""
    environment = {**os.environ, "COLUMNS": "200", **options.pop("environment", {})}  # type: ignore[dict-item]
    options = {"cwd": ROOT, "timeout": 300, **options}
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        **options,
    )


def fmnist_edge(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return run(FMNIST_EDGE, *arguments, **options)


def python_m(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", *arguments, **options)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(MODELS / "fmnist-int8.tflite")
