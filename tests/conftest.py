"""Fixtures for all tests, and what their markers are held to."""

import os
import re
import sys
from collections.abc import Generator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from fmnist_edge import Classifier
from support.commands import FMNIST_EDGE, MODELS
from support.fashion_mnist import load_once
from train.dataset import Dataset

running: set[str] = set()
"""The markers of the test that runs."""

tested: set[str] = {"tensorflow"} if "tensorflow" in sys.modules else set()
"""All markers of this test and those before it. The mutants' tests run with TensorFlow loaded."""


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


TIMED = re.compile("tests/edge/(cameras|live)/")


class Scheduler(LoadFileScheduling):
    """A file's tests stay in one process; those of cameras, which measure time, in the same one, undisturbed."""

    def _split_scope(self, nodeid: str) -> str:
        return "timed" if TIMED.match(nodeid) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)  # the mutants' tests run without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return Scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: at the end, no process waits long for the other."""
    long = {item.path for item in items if {"tensorflow", "wheel"} & {marker.name for marker in item.iter_markers()}}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load_once()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(MODELS / "fmnist-int8.tflite")
