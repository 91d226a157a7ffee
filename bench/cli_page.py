"""python -m bench.cli_page: writes each command's help into docs/cli.md, between ``<!-- NAME -->`` and ``<!-- end -->``."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.main import get_command

from fmnist_edge.cli import app
from fmnist_edge.cli.commands import COMMANDS, alone, run
from fmnist_edge.errors import reported

PAGE = Path("docs/cli.md")

MODULES = (
    *("train", "train.dataset", "train.clothing", "train.photos", "train.study"),
    *("export", "export.sign", "bench", "bench.readme", "bench.cli_page"),
)
"""Those that are run with `python -m`."""

WIDTH = 78
"""Of help on a terminal of 80 columns."""


@reported("cli_page")
def main() -> None:
    """Write each command's help into docs/cli.md.

    \b
    Examples:
      python -m bench.cli_page
    """
    PAGE.write_text(fill_page(PAGE.read_text("utf-8")), "utf-8")
    print(f"wrote {PAGE}")


def fill_page(text: str) -> str:
    """The page with the help that the commands have now."""
    for block, content in {"device": device(), "workstation": workstation()}.items():
        text = re.sub(
            rf"(<!-- {block} -->\n).*?(<!-- end -->)",
            lambda found, content=content: f"{found[1]}{content}{found[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    return text


def device() -> str:
    group: Any = get_command(app)
    context = group.make_context("fmnist-edge", [], resilient_parsing=True)
    commands = [(f"fmnist-edge {name}", group.get_command(context, name)) for name in COMMANDS]
    return "\n".join(section(name, command) for name, command in [("fmnist-edge", group), *commands])


def workstation() -> str:
    return "\n".join(section(f"python -m {name}", get_command(alone(main_of(name)))) for name in MODULES)


def main_of(module: str) -> Callable[..., object]:
    found: Callable[..., object] = import_module(module if "." in module else f"{module}.__main__").main
    return found


def section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH)
    return f"### {name}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    run(main, "cli_page")
