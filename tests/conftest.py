"""Fixtures for all tests."""

import pytest

from fmnist_edge import Classifier
from support.commands import MODELS
from train.dataset import Dataset, load


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(MODELS / "fmnist-int8.tflite")
