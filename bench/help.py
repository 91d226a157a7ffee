"""The help of every command, as Markdown: docs/cli.md."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from typer.main import get_command

from fmnist_edge.cli import app
from fmnist_edge.cli.commands import COMMANDS, alone

MODULES = (
    *("train", "train.dataset", "train.clothing", "train.photos", "train.study"),
    *("export", "export.sign", "bench", "bench.readme"),
)
"""Those that are run with `python -m`."""

WIDTH = 78
"""Of help on a terminal of 80 columns."""


def help_of_device() -> str:
    group: Any = get_command(app)
    context = group.make_context("fmnist-edge", [], resilient_parsing=True)
    commands = [(f"fmnist-edge {name}", group.get_command(context, name)) for name in COMMANDS]
    return "\n".join(section(name, command) for name, command in [("fmnist-edge", group), *commands])


def help_of_workstation() -> str:
    return "\n".join(section(f"python -m {name}", get_command(alone(main_of(name)))) for name in MODULES)


def main_of(module: str) -> Callable[..., object]:
    found: Callable[..., object] = import_module(module if "." in module else f"{module}.__main__").main
    return found


def section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH)
    return f"### {name}\n\n```text\n{command.get_help(context)}\n```\n"
