"""What several tests of the export need."""

import os
from pathlib import Path

import pytest

from support.commands import python_m
from support.shared import Once
from support.small_model import train_small_model
from train.dataset import Dataset

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def small_bundle(once: Once, dataset: Dataset) -> Path:
    """A folder with fmnist.keras, which takes the square root of pixels, and what was exported from it. It stays as it is."""

    def make(folder: Path) -> None:
        train_small_model(folder / "fmnist.keras", dataset)
        result = python_m("export", "--model", folder / "fmnist.keras", "--out", folder)
        assert result.returncode == 0, result.stderr

    return once("small-bundle", make)
