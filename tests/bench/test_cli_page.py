"""docs/cli.md has the help that the commands have."""

from bench.cli_page import MODULES, PAGE, fill_page
from fmnist_edge.cli.commands import COMMANDS
from support.commands import ROOT, fmnist_edge

TEXT = (ROOT / PAGE).read_text("utf-8")


def test_the_page_has_the_help_of_every_command() -> None:
    assert fill_page(TEXT) == TEXT, "run 'make readme'"
    for program in ["fmnist-edge", *(f"fmnist-edge {name}" for name in COMMANDS), *(f"python -m {name}" for name in MODULES)]:
        assert f"### {program}\n\n```text\nUsage: {program} " in TEXT


def test_the_help_is_what_a_terminal_of_80_columns_shows() -> None:
    shown = fmnist_edge("classify", "--help", environment={"COLUMNS": "80"}).stdout

    # its first line has the name of the program, which is pytest here
    assert shown.partition("\n")[2] + "```\n" in TEXT
