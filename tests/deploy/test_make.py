"""What a user sets for make arrives as it was typed, whatever is in it. Python here only writes down how it is called."""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from support.commands import ROOT, run

pytestmark = pytest.mark.slow

RECORDER = """#!/bin/sh
# a line for each call: the arguments, and what came by the environment, with zeros between
{ printf '%s\\0' "$@" =; env -0; printf '\\n'; } >> "$RECORD"
"""
ODD = '/odd/pa$sword $(HOME) it\'s "a" #1 `b` \\ ${c} %d:e'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile, and what it takes for installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (
        "pyproject.toml",
        "requirements.txt",
        ".venv/requirements",
        ".venv/installed",
        "build/ansible/installed",
        "edge/fmnist_edge/contract.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for folder in (".venv/bin", "build/tflite-runtime"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("python", "uv"):
        (tmp_path / ".venv" / "bin" / name).write_text(RECORDER)
        (tmp_path / ".venv" / "bin" / name).chmod(stat.S_IRWXU)
    return tmp_path


def make(checkout: Path, *arguments: str, **environment: str) -> list[tuple[list[str], dict[str, str]]]:
    """Each call of Python: its arguments and its environment."""
    record = checkout / "record"
    record.unlink(missing_ok=True)
    result = run("make", *arguments, cwd=checkout, environment={"RECORD": str(record), **environment})
    assert result.returncode == 0, result.stdout + result.stderr
    calls = []
    for line in record.read_text().removesuffix("\0\n").split("\0\n"):
        words = line.split("\0")
        middle = words.index("=")
        calls.append((words[:middle], dict(pair.split("=", 1) for pair in words[middle + 1 :] if "=" in pair)))
    return calls


@pytest.mark.parametrize("by_environment", [False, True])
@pytest.mark.parametrize(
    ("job", "name", "expected"),
    [
        ("train", "RECIPE", ["-m", "train", "--recipe", ODD, "--out", "models/fmnist.keras"]),
        ("train", "MODELS", ["-m", "train", "--recipe", "standard", "--out", f"{ODD}/fmnist.keras"]),
        ("export", "MODELS", ["-m", "export", "--model", f"{ODD}/fmnist.keras", "--out", ODD]),
        ("sign", "KEY", ["-m", "export.sign", "--models", "models", "--key", ODD]),
        ("sign", "MODELS", ["-m", "export.sign", "--models", ODD, "--key", f"{Path.home()}/.ssh/fmnist-edge"]),
        ("study", "TRY", ["-m", "train.study", "--try", ODD]),
        ("bench", "MODELS", ["-m", "bench", "--models", ODD, "--out", ODD]),
    ],
)
def test_a_variable_is_one_word_with_all_that_is_in_it(
    job: str, name: str, expected: list[str], by_environment: bool, checkout: Path
) -> None:
    calls = make(checkout, job, **{name: ODD}) if by_environment else make(checkout, job, f"{name}={ODD}")

    assert expected in [arguments for arguments, _ in calls]


@pytest.mark.parametrize("by_environment", [False, True])
def test_what_deploys_gets_the_variables_as_they_were_typed(by_environment: bool, checkout: Path) -> None:
    given = {name: f"{name} {ODD}" for name in ("SOURCE", "MODELS", "KEY", "HOST", "INVENTORY", "ARGS")}
    (checkout / "dist").mkdir()

    for job, playbook in (("deploy", "site.yml"), ("trust", "trust.yml"), ("rollback", "rollback.yml")):
        calls = make(checkout, job, **given) if by_environment else make(checkout, job, *(f"{a}={b}" for a, b in given.items()))
        arguments, environment = calls[-1]

        assert arguments == ["deploy/play.py", playbook]
        assert {name: environment[name] for name in given} == given


@pytest.mark.parametrize("name", ["FMNIST_DATA", "FMNIST_PHOTOS"])
def test_what_python_reads_itself_gets_there_too(name: str, checkout: Path) -> None:
    (_, environment), *_ = make(checkout, "data", f"{name}={ODD}")

    assert environment[name] == ODD


def test_models_in_a_folder_of_any_name_are_made_once(checkout: Path) -> None:
    folder = checkout / "my $models"
    arguments = ("train", f"MODELS={folder}")
    make(checkout, *arguments)
    folder.mkdir()
    (folder / "fmnist.keras").touch()

    (checkout / "record").unlink()
    again = run("make", *arguments, cwd=checkout, environment={"RECORD": str(checkout / "record")})

    assert "Nothing to be done" in again.stdout, again.stdout
    assert not (checkout / "record").exists()


def test_a_home_folder_and_a_python_with_a_space_are_found(checkout: Path) -> None:
    python = checkout / "my python"
    shutil.copy(checkout / ".venv" / "bin" / "python", python)
    os.utime(checkout / "requirements.txt", (2e9, 2e9))

    calls = make(checkout, "sign", "KEY=~/my key", f"PYTHON={python}")

    assert ["-m", "venv", "--clear", ".venv"] in [arguments for arguments, _ in calls]
    assert calls[-1][0][-1] == f"{Path.home()}/my key"


def played(folder: Path, playbook: str, **environment: str) -> dict[str, Any]:
    """What deploy/play.py starts: the words and the environment. Its ansible-playbook is one that only tells."""
    (folder / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "play.py", folder / "deploy")
    teller = folder / "build" / "ansible" / "bin" / "ansible-playbook"
    teller.parent.mkdir(parents=True)
    program = "import json, os, sys\nprint(json.dumps({'words': sys.argv[1:], 'by': dict(os.environ)}))\n"
    teller.write_text(f"#!{shutil.which('python3')}\n{program}")
    teller.chmod(stat.S_IRWXU)
    result = run(ROOT / ".venv" / "bin" / "python", folder / "deploy" / "play.py", playbook, environment=environment)
    if result.returncode:
        return {"status": result.returncode, "complaint": result.stderr}
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_a_playbook_gets_device_and_words(tmp_path: Path) -> None:
    told = played(tmp_path, "site.yml", HOST="p$i@my pi", ARGS="--limit '!a b' -e x=$y#1", SOURCE="rtsp://a:$b@c/", MODELS="~/$m")

    assert told["words"][:-1] == ["-i", "my pi,", "-u", "p$i", "--limit", "!a b", "-e", "x=$y#1"]
    assert (told["by"]["SOURCE"], told["by"]["MODELS"]) == ("rtsp://a:$b@c/", f"{Path.home()}/$m")


def test_keys_are_one_with_a_space_or_several(tmp_path: Path) -> None:
    for name in ("a", "b", "my $key"):
        (tmp_path / f"{name}.pub").write_text(f"ssh-ed25519 {name[0]}\n")
    several = played(tmp_path, "trust.yml", INVENTORY="i.yml", KEY=f"{tmp_path}/a {tmp_path}/b")
    shutil.rmtree(tmp_path / "deploy")
    shutil.rmtree(tmp_path / "build")
    one = played(tmp_path, "trust.yml", INVENTORY="i.yml", KEY=f"{tmp_path}/my $key")

    assert several["by"]["FMNIST_EDGE_SIGNERS"] == "fmnist-edge ssh-ed25519 a\nfmnist-edge ssh-ed25519 b\n"
    assert one["by"]["FMNIST_EDGE_SIGNERS"] == "fmnist-edge ssh-ed25519 m\n"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "which device? HOST=pi@raspberrypi.local, or INVENTORY=file as in deploy/inventory.example.yml"),
        ({"HOST": "a,b"}, "HOST is one device; for several: INVENTORY=file as in deploy/inventory.example.yml"),
        ({"HOST": "a", "ARGS": "'"}, "ARGS: no closing quotation"),
        ({"HOST": "a", "KEY": "/gone"}, "/gone.pub: no such key; make one: ssh-keygen -t ed25519 -f /gone"),
    ],
)
def test_what_is_missing_for_a_playbook_is_one_line(environment: dict[str, str], complaint: str, tmp_path: Path) -> None:
    assert played(tmp_path, "trust.yml", **{"HOST": "", **environment}) == {"status": 2, "complaint": f"make: {complaint}\n"}
