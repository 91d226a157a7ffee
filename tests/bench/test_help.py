"""docs/cli.md has the help that the commands have."""

from bench.help import MODULES, help_of_device, help_of_workstation
from fmnist_edge.cli.commands import COMMANDS
from support.commands import ROOT, fmnist_edge

PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")


def test_the_page_has_the_help_of_every_command() -> None:
    assert help_of_device() in PAGE, "run 'make readme'"
    assert help_of_workstation() in PAGE, "run 'make readme'"
    for program in ["fmnist-edge", *(f"fmnist-edge {name}" for name in COMMANDS), *(f"python -m {name}" for name in MODULES)]:
        assert f"### {program}\n\n```text\nUsage: {program} " in PAGE


def test_the_help_is_what_a_terminal_of_80_columns_shows() -> None:
    shown = fmnist_edge("classify", "--help", environment={"COLUMNS": "80"}).stdout

    # its first line has the name of the program, which is pytest here
    assert shown.partition("\n")[2] + "```\n" in PAGE
