"""python -m bench.readme: writes the measured table and the real output of a command into README.md."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import camera
from export.errors import ExportError
from export.table import make_table
from fmnist_edge.cli.commands import run
from fmnist_edge.errors import reported

README = Path("README.md")
MANIFEST = Path("models/manifest.json")
BENCH = Path("docs/bench.md")
FIGURES = Path("docs/bench.json")
ROUNDING = re.compile(r"(largest|mean|difference|numpy) \d[\d.e-]*")
"""What a session says of the rounding of the processor that it ran on, and of numpy's version: another one's is as good."""
SESSIONS = {"classify": "fmnist-edge classify docs/shoe.png", "verify": "fmnist-edge verify --model models/fmnist-int8.tflite"}


@reported("readme")
def main(check: Annotated[bool, typer.Option("--check", help="Only say whether README.md is up to date.")] = False) -> None:
    """Bring README.md up to date with models/ and docs/.

    \b
    Examples:
      python -m bench.readme
      python -m bench.readme --check
    """
    old = README.read_text("utf-8")
    blocks = {
        **{block: session(command) for block, command in SESSIONS.items()},
        "parity": make_table(json.loads(MANIFEST.read_text("utf-8"))),
        "bench": BENCH.read_text("utf-8"),
        "camera": recording(json.loads(FIGURES.read_text("utf-8"))["camera"]["session"]),
        "photos": photos(json.loads(MANIFEST.read_text("utf-8"))["training"]),
    }
    new = old
    for block, content in blocks.items():
        new = fill(new, block, content)
    if check and ROUNDING.sub("", new) != ROUNDING.sub("", old):
        raise ExportError("README.md does not show what models/ and docs/ hold; run 'make readme'")
    if not check:
        README.write_text(new, "utf-8")


def photos(training: dict[str, Any]) -> str:
    """What the model makes of photos by people it does not know, as its training measured it."""
    if "on_photos" not in training or "photo_dataset" not in training:
        return "This model has not learned from photos.\n"
    found, learned = training["on_photos"], training["photo_dataset"]
    return (
        "Of {photos:,} photos by {people} people, models that learned from no photo by the same person name {right:.0%}\n"
        "rightly. {sure:.0%} are not marked as unsure; of these, {right_of_sure:.0%} are right. The calibration error is\n"
        "{calibration_error:.3f}. Of {other_things} photos of other things, {unsure_of_other_things:.0%} are marked.\n"
    ).format(**found, people=learned["contributors"])


def fill(text: str, block: str, content: str) -> str:
    """The text with what stands between <!-- block --> and the next <!-- end --> replaced."""
    return re.sub(
        rf"(<!-- {block} -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}{content}{found[2]}", text, flags=re.DOTALL
    )


def session(command: str) -> str:
    program, *arguments = command.split()
    done = subprocess.run([Path(sys.executable).with_name(program), *arguments], capture_output=True, text=True, check=True)
    return f"```text\n$ .venv/bin/{command}\n{done.stdout}```\n"


def recording(lines: list[str]) -> str:
    """What `make bench` saw on a terminal."""
    return "\n".join([f"```text\n$ .venv/bin/{camera.SHOWN}", *lines, "```\n"])


if __name__ == "__main__":
    run(main, "readme")
