"""`fmnist-edge status`: one look at a device, for people and for a fleet's table."""

import json
import shutil
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from support.altered_models import with_a_zeroed_row
from support.commands import MODELS, fmnist_edge

INT8 = MODELS / "fmnist-int8.tflite"


def status(*arguments: str | Path, exit_status: int = 0, **environment: str | Path) -> dict[str, Any]:
    variables = {"RUNTIME_DIRECTORY": "/nowhere"} | {name: str(value) for name, value in environment.items()}
    result = fmnist_edge("status", "--json", *arguments, environment=variables)
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == exit_status
    assert result.stderr == (f"fmnist-edge: {found['problem']}\n" if exit_status else "")
    return found


def test_a_healthy_device_without_key_and_service() -> None:
    found = status()

    del found["temperature_c"]
    assert found == {
        "version": version("fmnist-edge"),
        "model": str(INT8),
        "sha256": sha256(INT8.read_bytes()).hexdigest(),
        "signature": None,
        "verified": True,
        "uptime_s": None,
        "label": None,
        "problem": None,
    }


def test_people_get_a_line_for_each() -> None:
    lines = fmnist_edge("status", environment={"RUNTIME_DIRECTORY": "/nowhere"}).stdout.splitlines()

    assert f"model          {INT8}" in lines
    assert "verified       True" in lines
    assert "signature      no key is configured: any model may run" in lines
    assert "label          the camera's service is not running" in lines
    assert "problem        none" in lines
    assert not any(line.endswith(("-", "None")) for line in lines)


def test_of_a_model_that_cannot_be_read_people_are_told_no_more_than_is_known(tmp_path: Path) -> None:
    lines = fmnist_edge("status", "--model", tmp_path / "none.tflite", environment={"FMNIST_EDGE_CONFIG": str(tmp_path)})

    assert "signature      not known: there is a problem\n" in lines.stdout
    assert "verified       not known: there is a problem\n" in lines.stdout


@pytest.mark.slow
def test_a_model_that_computes_something_else_is_not_healthy(tmp_path: Path) -> None:
    shutil.copy(MODELS / "golden.npz", tmp_path)
    (tmp_path / INT8.name).write_bytes(with_a_zeroed_row(INT8))

    found = status("--model", tmp_path / INT8.name, exit_status=3)

    assert found["verified"] is False
    assert "not what the workstation computed" in found["problem"]


def test_a_refused_signature_is_not_healthy(tmp_path: Path) -> None:
    found = status(exit_status=3, FMNIST_EDGE_CONFIG=tmp_path)

    assert (found["signature"], found["verified"]) == ("refused", None)
    assert "is not signed" in found["problem"]


def test_a_missing_model_is_not_healthy(tmp_path: Path) -> None:
    found = status("--model", tmp_path / "none.tflite", exit_status=3)

    assert (found["sha256"], found["problem"]) == (None, f"{tmp_path}/none.tflite: no such model file")


@pytest.mark.slow
def test_the_service_says_what_it_sees_and_since_when(tmp_path: Path) -> None:
    pytest.importorskip("av")
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    camera = fmnist_edge("camera", "--systemd", "--source", "test", "--seconds", "2", environment=environment)
    assert camera.returncode == 0, camera.stderr

    found = status(RUNTIME_DIRECTORY=tmp_path)

    assert found["label"] in {json.loads(line)["label"] for line in camera.stdout.splitlines()}
    assert 1 <= found["uptime_s"] < 60


def say(folder: Path, began: float, at: float) -> None:
    """A word of the service. began, at: seconds ago."""
    now = time.monotonic()
    (folder / "status.json").write_text(json.dumps({"began": now - began, "at": now - at, "says": "Bag"}))


def test_a_service_may_say_nothing_for_half_a_minute(tmp_path: Path) -> None:
    say(tmp_path, began=1000, at=28)

    found = status(RUNTIME_DIRECTORY=tmp_path)

    assert (found["label"], found["problem"]) == ("Bag", None)
    assert 1000 <= found["uptime_s"] < 1060


def test_the_first_problem_is_the_one_that_is_told(tmp_path: Path) -> None:
    say(tmp_path, began=1000, at=100)

    found = status("--model", tmp_path / "none.tflite", exit_status=3, RUNTIME_DIRECTORY=tmp_path)

    assert found["problem"] == f"{tmp_path}/none.tflite: no such model file"


def test_a_service_that_fell_silent_is_not_healthy(tmp_path: Path) -> None:
    say(tmp_path, began=1000, at=100)

    found = status(exit_status=3, RUNTIME_DIRECTORY=tmp_path)

    assert found["problem"].startswith("the camera's service has said nothing for 10")


@pytest.mark.parametrize("text", ["", "[]", '{"began": "x", "at": 1, "says": ""}'])
def test_a_damaged_word_of_the_service_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(text)

    assert status(RUNTIME_DIRECTORY=tmp_path)["uptime_s"] is None
