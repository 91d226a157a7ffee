"""How commands are found, read and explained: what `fmnist-edge` and the workstation's `python -m ...` have in common."""

import os
import re
import shlex
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from fmnist_edge.errors import did_you_mean, reported

COMMANDS = {
    "classify": "classify",
    "explain": "classify",
    "camera": "camera",
    "page": "page",
    "verify": "device",
    "info": "device",
    "status": "device",
    "doctor": "device",
    "bench": "device",
}
"""The module of each command. Only that of the command that runs is imported: starting stays fast."""

SETTINGS = {"help_option_names": ["--help", "-h"], "max_content_width": 100}
"""The first name is the one that errors recommend; help is as wide as the terminal, up to this many columns."""


class Commands(TyperGroup):
    """The commands of `fmnist-edge`. Their errors quote arguments, which may be a camera's address with a password."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"fmnist_edge.cli.{COMMANDS[cmd_name]}")
        return get_command(alone(getattr(module, cmd_name), cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if (word := args[0]) not in COMMANDS:
            from fmnist_edge.address import safe_name
            from fmnist_edge.terminal import printable

            cure = did_you_mean(word, COMMANDS)
            if not cure and os.path.lexists(word):
                cure = f"; to classify it: fmnist-edge classify {printable(shlex.quote(word))}"
            ctx.fail(f"No such command '{printable(safe_name(word))}'{cure or '.'}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # a UsageError, whose class has another place in each typer
            if isinstance(message := getattr(error, "message", None), str):
                error.message = mend(message)  # type: ignore[attr-defined]
            raise


def mend(message: str) -> str:
    """The parser's message, with a suggestion if one of several words was misspelt, and without passwords."""
    from fmnist_edge.address import mask_addresses

    if found := re.fullmatch(r"'(.*)' is not one of (.+)\.", message):
        choices = re.findall("'([^']*)'", found[2])
        message = f"{message[:-1]}{did_you_mean(found[1], choices) or '.'}"
    return mask_addresses(message)


def alone(function: Callable[..., object], name: str | None = None) -> typer.Typer:
    """A program that has this one command."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=SETTINGS)
    app.command(name)(function)
    return app


def run(function: Callable[..., object], program: str) -> None:
    """Runs a command of the workstation: `python -m ...`. program: how its errors begin."""
    with reported(program):
        alone(function)()
