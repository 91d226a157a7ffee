"""python deploy/release_notes.py: prints what CHANGELOG.md says of a version, without its heading."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from fmnist_edge import __version__
from fmnist_edge.cli.commands import run
from fmnist_edge.errors import UsageError, reported

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
UNRELEASED = "Unreleased"


@reported("release-notes")
def main(
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="If not given: that in pyproject.toml.")] = None,
) -> None:
    """Print what CHANGELOG.md says of a version.

    If it has nothing about the version in pyproject.toml, that version is not released yet: what is unreleased is printed.

    \b
    Examples:
      python deploy/release_notes.py
      python deploy/release_notes.py 0.1.0
    """
    found = sections(CHANGELOG.read_text("utf-8"))
    wanted = version or __version__
    if wanted not in found:
        if version:
            raise UsageError(f"CHANGELOG.md says nothing of {version}; it has {', '.join(found)}")
        print(f"release-notes: CHANGELOG.md says nothing of {wanted} yet; this is what is unreleased", file=sys.stderr)
        wanted = UNRELEASED
    print(found[wanted])


def sections(changelog: str) -> dict[str, str]:
    """The text under each heading ``## [0.1.0] - 2026-01-31`` or ``## Unreleased``, by version."""
    parts = re.split(r"^## +\[?([^]\s]+).*\n", changelog, flags=re.MULTILINE)
    return {version: text.strip() for version, text in zip(parts[1::2], parts[2::2], strict=True)}


if __name__ == "__main__":
    run(main, "release-notes")
