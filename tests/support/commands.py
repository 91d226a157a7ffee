"""The commands as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
FMNIST_EDGE = Path(sys.executable).with_name("fmnist-edge")


def run(*command: object, environment: dict[str, str] | None = None, **options: Any) -> "subprocess.CompletedProcess[str]":
    """A command's exit status, stdout and stderr; ``environment`` is added to ours."""
    options = {"cwd": ROOT, "timeout": 300, **options}
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        **options,
    )


def fmnist_edge(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    return run(FMNIST_EDGE, *arguments, **options)


def python_m(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, "-m", *arguments, **options)
