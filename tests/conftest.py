"""Fixtures for all tests, and what their markers are held to."""

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

from fmnist_edge import Classifier
from support.commands import FMNIST_EDGE, MODELS
from support.shared import Once, once_in
from train.dataset import Dataset, load

running: set[str] = set()
"""The markers of the test that runs."""

tested: set[str] = set()
"""All markers of this test and those before it."""


def hold_to_markers(event: str, details: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and running and running <= {"", "parametrize"}:
        command = " ".join(map(os.fsdecode, details[1]))
        if sys.executable in command or str(FMNIST_EDGE) in command:
            pytest.fail(f"it starts another Python: mark it 'slow' ({command})")


sys.addaudithook(hold_to_markers)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    running.update({""}, (marker.name for marker in item.iter_markers()))
    tested.update(running)
    result = yield
    running.clear()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    yield
    if "tensorflow" in sys.modules and "tensorflow" not in tested:
        pytest.fail(
            "TensorFlow was imported, here or at the top of a test file: mark what needs it 'tensorflow', import it there"
        )


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    return once_in(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(MODELS / "fmnist-int8.tflite")
