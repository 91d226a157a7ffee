"""What a user sets for make arrives as it was typed, whatever is in it. Python here only writes down how it is called."""

import json
import os
import re
import shlex
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from support.commands import ROOT, run
from support.docs import PAGES, blocks, prose_of

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
        ("wheel", "MODELS", ["deploy/wheel.py", "--models", ODD]),
    ],
)
def test_a_variable_is_one_word_with_all_that_is_in_it(
    job: str, name: str, expected: list[str], by_environment: bool, checkout: Path
) -> None:
    calls = make(checkout, job, **{name: ODD}) if by_environment else make(checkout, job, f"{name}={ODD}")

    assert expected in [arguments for arguments, _ in calls]


@pytest.mark.parametrize("by_environment", [False, True])
def test_what_deploys_gets_the_variables_as_they_were_typed(by_environment: bool, checkout: Path) -> None:
    (checkout / "dist").mkdir()
    jobs = {
        "deploy": ("site.yml", ("SOURCE", "MODELS", "HOST", "INVENTORY", "ARGS")),
        "trust": ("trust.yml", ("KEY", "HOST", "INVENTORY", "ARGS")),
        "rollback": ("rollback.yml", ("HOST", "INVENTORY", "ARGS")),
    }

    for job, (playbook, names) in jobs.items():
        given = {name: f"{name} {ODD}" for name in names}
        calls = make(checkout, job, **given) if by_environment else make(checkout, job, *(f"{a}={b}" for a, b in given.items()))
        arguments, environment = calls[-1]

        assert arguments == ["deploy/play.py", playbook]
        assert {name: environment[name] for name in given} == given


def test_a_release_brings_its_models_beside_the_wheel_whose_own_stay(checkout: Path) -> None:
    assert ["deploy/wheel.py", "--models", "models"] in [words for words, _ in make(checkout, "deploy", "MODELS=build/q")]


MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TABLE = {name: jobs.split() for name, jobs in re.findall(r"^([A-Z_]+)\.jobs :?= (.+?)  ## ", MAKEFILE, re.MULTILINE)}


def refusal(*arguments: str, **environment: str) -> str:
    """What make says, of which it does nothing; "" if it would."""
    result = run("make", "-n", *arguments, environment={"MAKEFLAGS": "", **environment})
    return result.stderr if result.returncode else ""


@pytest.mark.parametrize("name", TABLE)
def test_what_is_set_for_another_job_is_refused(name: str) -> None:
    said = refusal("help", f"{name}=1")

    assert f" {name} means nothing to 'make help'; it is for {TABLE[name][0] if name != 'PYTHON' else 'setup'}" in said
    assert refusal("help", **{name: "1"}) == ""


def test_a_variable_is_enough_for_one_of_several_jobs() -> None:
    assert refusal("train", "export", "RECIPE=quick", "MODELS=build/q") == ""
    assert "RECIPE means nothing to 'make export bench'; it is for train." in refusal("export", "bench", "RECIPE=quick")


def test_a_misspelled_variable_is_refused() -> None:
    assert "RECIPIE is nothing that can be set; 'make help' lists what can." in refusal("train", "RECIPIE=quick")


def test_a_job_that_there_is_not_is_named_before_the_others_begin() -> None:
    assert "there is no job 'exprot'; 'make help' lists them." in refusal("train", "exprot")
    assert refusal("build/ansible/installed") == ""


def test_all_that_can_be_set_is_in_the_table_and_in_the_help() -> None:
    used = set(re.findall(r"\$\(([A-Z_]+)\)", MAKEFILE))
    ours = set(re.findall(r"^([A-Z_]+) :?= ?", MAKEFILE, re.MULTILINE))
    listed = run("make", "help").stdout

    assert used - ours - {"HOME", "XDG_CACHE_HOME", "MAKECMDGOALS", "CURDIR"} <= set(TABLE)
    for name in TABLE:
        assert re.search(rf"^{name} +\S.*; for \w", listed, re.MULTILINE)


def test_the_pages_commands_are_taken() -> None:
    typed = {command for block in blocks("sh") for command in block.commands if command.startswith("make ")}
    in_prose = {
        code for page in PAGES for code in re.findall(r"`(make [a-z][^`]*)`", prose_of(page)) if page.name != "CHANGELOG.md"
    }

    assert len(typed) > 15
    for command in typed | in_prose:
        assert refusal(*shlex.split(command.replace("\n", " "))[1:]) == "", command


def test_clean_keeps_models_trainings_and_the_environment_and_says_what_it_removes(checkout: Path) -> None:
    kept = ("build/q/fmnist.keras", "build/r/fmnist.checkpoint.npz", "build/stamps/build/q/trained-quick", "build/notes.txt")
    kept = (*kept, "models/fmnist.keras", "build/mutants/a", "build/ansible/installed", ".venv/bin/python")
    removed = ("dist/a.whl", "build/deploy/venv.tar.gz", ".ruff_cache/a", "train/__pycache__/a.pyc")
    for name in (*kept, *removed):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()

    result = run("make", "clean", cwd=checkout)

    assert [name for name in kept if not (checkout / name).exists()] == []
    assert [name for name in removed if (checkout / name).exists()] == []
    assert re.search(r"^removing dist \(.+\)\nremoving build/deploy \(.+\)\nremoving \.ruff_cache ", result.stdout, re.MULTILINE)
    assert "'make distclean' removes .venv and build too, with the models in it" in result.stdout


def test_distclean_names_each_model_that_it_removes_and_leaves_models(checkout: Path) -> None:
    for name in ("build/q/fmnist.keras", "models/fmnist.keras"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()

    result = run("make", "distclean", cwd=checkout)

    assert "removing a trained model: build/q/fmnist.keras\nremoving build (" in result.stdout
    assert not (checkout / "build").exists()
    assert not (checkout / ".venv").exists()
    assert (checkout / "models" / "fmnist.keras").exists()


def test_lint_runs_all_its_tools_and_says_how_to_mend_what_they_found(checkout: Path) -> None:
    tools = ("ruff", "mypy", "codespell", "lint-imports")
    for name in (*(f".venv/bin/{tool}" for tool in tools), "build/ansible/bin/ansible-lint"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(f'#!/bin/sh\necho {Path(name).name} $1\ntest "$1" = check\n')
        (checkout / name).chmod(stat.S_IRWXU)

    result = run("make", "lint", cwd=checkout)

    assert result.returncode == 2
    assert [line.strip() for line in result.stdout.splitlines() if not line.startswith("make")][:6] == [
        "ruff format",
        "ruff check",
        "mypy",
        "codespell",
        "lint-imports --no-cache",
        "ansible-lint --offline",
    ]
    assert "to mend: ruff format: make format; mypy: by hand; codespell: " in result.stderr
    assert "; lint-imports: " in result.stderr
    assert "ruff check" not in result.stderr


def test_what_runs_before_a_commit_is_what_lint_runs() -> None:
    lint = MAKEFILE.partition("\nlint: ")[2].partition("\n\n")[0]
    tools = set(re.findall(r"(?:\$\(VENV\)/bin/|\s)(ruff \w+|mypy|codespell|lint-imports|ansible-lint)\b(?= )", lint))

    hooks = re.findall(r"^ +name: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"), re.MULTILINE)

    assert len(tools) == 6
    assert set(hooks) == tools


def test_an_interrupted_training_is_gone_on_with_by_the_same_command(checkout: Path) -> None:
    calls = make(checkout, "train", "export", f"MODELS={ODD}", RECIPE="my recipe")
    ((_, environment),) = [call for call in calls if call[0][:2] == ["-m", "train"]]

    again = environment["MAKE_AGAIN"]
    assert shlex.split(again) == ["make", "train", "export", f"MODELS={ODD}", "RECIPE=my recipe"]


def test_a_training_is_restarted_even_if_it_is_done(checkout: Path) -> None:
    (checkout / "models").mkdir()
    (checkout / "models" / "fmnist.keras").touch()
    make(checkout, "train")
    ((arguments, environment),) = make(checkout, "train", "RESTART=1")

    assert arguments[-1] == "--restart"
    assert environment["MAKE_AGAIN"] == "make train"


def test_another_python_than_the_environments_is_refused(checkout: Path) -> None:
    for name, version in ((".venv/bin/python", "3.11.2"), ("python3.12", "3.12.1")):
        (checkout / name).write_text(f"#!/bin/sh\necho Python {version}\n")
        (checkout / name).chmod(stat.S_IRWXU)

    other = run("make", "data", "PYTHON=./python3.12", cwd=checkout)
    same = run("make", "data", "PYTHON=.venv/bin/python", cwd=checkout)

    assert other.returncode == 2
    assert ".venv has Python 3.11.2, and PYTHON is Python 3.12.1: to make it anew, remove .venv first" in other.stderr
    assert same.returncode == 0


@pytest.mark.parametrize("name", ["FMNIST_DATA", "FMNIST_PHOTOS"])
def test_what_python_reads_itself_gets_there_too(name: str, checkout: Path) -> None:
    (_, environment), *_ = make(checkout, "train", f"{name}={ODD}")

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
    python, there = checkout / "my python", checkout / ".venv" / "bin" / "python"
    shutil.copy(there, python)
    there.write_text(f'{RECORDER}test "$3" != --version\n')  # it has no pip
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
