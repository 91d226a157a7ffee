"""What the command says of itself: help, version, completion, and suggestions for what was misspelt."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist_edge import __version__
from fmnist_edge.cli.commands import COMMANDS
from support.commands import FMNIST_EDGE, MODELS, fmnist_edge, main_of, run

NARROW = {"COLUMNS": "80"}


def test_the_list_of_commands_cuts_no_sentence() -> None:
    listed = fmnist_edge("--help", environment=NARROW).stdout.partition("Commands:\n")[2].splitlines()

    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_and_a_short_option_for_help(command: str) -> None:
    long, short = fmnist_edge(command, "--help", environment=NARROW), fmnist_edge(command, "-h", environment=NARROW)

    assert (long.returncode, long.stderr) == (0, "")
    assert short.stdout == long.stdout
    assert f"\n  Examples:\n    fmnist-edge {command}" in long.stdout
    assert max(map(len, long.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", ["train", "train.photos", "train.study", "train.clothing", "train.dataset", "bench.readme"])
def test_the_workstations_commands_have_the_same(command: str) -> None:
    result = main_of(command, "-h", environment=NARROW)

    assert (result.returncode, result.stderr) == (0, "")
    assert f"\n  Examples:\n    python -m {command}" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "train.study"])
def test_help_needs_no_tensorflow(command: str) -> None:
    program = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print({'tensorflow', 'keras'} & set(sys.modules), file=sys.stderr))\n"
        f"runpy.run_module({command!r}, run_name='__main__', alter_sys=True)"
    )

    result = run(sys.executable, "-c", program, "--help")

    assert result.stderr == "set()\n"


def test_help_is_as_wide_as_the_terminal_up_to_a_hundred_columns() -> None:
    widths = [
        max(map(len, fmnist_edge("classify", "-h", environment={"COLUMNS": columns}).stdout.splitlines()))
        for columns in ("80", "100", "300")
    ]

    assert widths[0] <= 80 < widths[1] == widths[2] <= 100


def test_the_version_names_the_model_behind_it() -> None:
    result = fmnist_edge("--version")

    digest = re.search(r"SHA-256 +([0-9a-f]{12})", fmnist_edge("info", "--model", MODELS / "fmnist-int8.tflite").stdout)
    assert digest
    assert re.fullmatch(rf"fmnist-edge {re.escape(__version__)} \(model [\w-]+, SHA-256 {digest[1]}\)\n", result.stdout)


def test_the_version_is_said_even_if_the_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fmnist_edge.bundle.model.default_model", lambda: tmp_path / "gone.tflite")

    result = fmnist_edge("--version")

    assert result.returncode == 0
    assert result.stdout.startswith(f"fmnist-edge {__version__} (no model: {tmp_path}/gone.tflite: ")


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["clasify"], "No such command 'clasify'; did you mean 'classify'?"),
        (["Doctor"], "No such command 'Doctor'; did you mean 'doctor'?"),
        (["docs/shoe.png"], "No such command 'docs/shoe.png'; to classify it: fmnist-edge classify docs/shoe.png"),
        (["xyz"], "No such command 'xyz'."),
        (["rtsp:/me:secret@h"], "No such command '***'."),
        (["classify", "--jsn"], "No such option: --jsn (Possible options: --jobs, --json, --stdin)"),
        (
            ["classify", "--input", "potho"],
            "Invalid value for '--input': 'potho' is not one of 'auto', 'tile', 'photo'; did you mean 'photo'?",
        ),
        (
            ["classify", "--input", "x"],
            "Invalid value for '--input': 'x' is not one of 'auto', 'tile', 'photo'.",
        ),
    ],
)
def test_what_is_misspelt_gets_a_suggestion(arguments: list[str], suggestion: str) -> None:
    result = fmnist_edge(*arguments)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == f"Error: {suggestion}"


def test_a_misspelt_camera_gets_one_too(tmp_path: Path) -> None:
    result = fmnist_edge("camera", "picamra", cwd=tmp_path)

    assert result.stderr == "fmnist-edge: picamra: no such file or directory; did you mean 'picamera'?\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["classify", "explain"])
def test_at_a_terminal_a_command_without_pictures_shows_two_examples(command: str) -> None:
    ours, theirs = os.openpty()

    result = run(FMNIST_EDGE, command, stdin=theirs)

    os.close(ours)
    os.close(theirs)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"fmnist-edge: name a picture or a folder, for example\n  fmnist-edge {command} shoe.jpg\n"
        f"  fmnist-edge {command} photos/\n'fmnist-edge {command} --help' explains more\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_disk_is_one_line_for_help_too(option: str) -> None:
    result = run("sh", "-c", f"{FMNIST_EDGE} {option} >/dev/full")

    assert (result.returncode, result.stderr) == (1, "fmnist-edge: [Errno 28] No space left on device\n")


@pytest.mark.slow
def test_bash_completes_commands_options_and_their_values(tmp_path: Path) -> None:
    def completions(*words: str) -> list[str]:
        variables = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_FMNIST_EDGE_COMPLETE": "complete_bash"}
        return run(FMNIST_EDGE, environment=variables).stdout.split()

    assert completions("fmnist-edge", "c") == ["classify", "camera"]
    assert completions("fmnist-edge", "classify", "--r") == ["--recursive", "--rotate"]
    assert completions("fmnist-edge", "classify", "--input", "") == ["auto", "tile", "photo"]
    assert completions("fmnist-edge", "classify", "sh") == []  # bash then offers files


@pytest.mark.slow
def test_completion_is_installed_for_the_shell_that_asks(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}

    done = subprocess.run(["bash", "-c", f"{FMNIST_EDGE} --install-completion; true"], env=environment, capture_output=True)

    assert done.returncode == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert f"source '{script}'" in (tmp_path / ".bashrc").read_text()
    assert "complete_bash" in script.read_text()


@pytest.mark.slow
def test_only_the_command_that_runs_is_imported() -> None:
    program = (
        "import atexit, sys\n"
        "from fmnist_edge.cli import main\n"
        "names = [f'fmnist_edge.cli.{name}' for name in ('camera', 'device', 'page')] + ['rich']\n"
        "atexit.register(lambda: print([name for name in names if name in sys.modules], file=sys.stderr))\n"
        "main()"
    )

    assert run(sys.executable, "-c", program, "classify", "docs/shoe.png").stderr == "[]\n"
