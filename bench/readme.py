"""python -m bench.readme: writes measured tables and the real output of commands into README.md and docs/.

What stands between ``<!-- NAME -->`` and the next ``<!-- end -->`` of a page is written here, from models/, docs/bench.*, the
recipes, the docstrings, and commands that are run.
"""
# ruff: noqa: RUF001 - Chinese has punctuation of its own

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from bench import camera
from bench.api import api
from bench.help import help_of_device, help_of_workstation
from export.errors import ExportError
from export.table import align, make_table
from fmnist_edge.cli.commands import run
from fmnist_edge.errors import reported
from train.recipes import RECIPES

PAGES = (Path("README.md"), Path("README.zh.md"), *sorted(Path("docs").glob("*.md")))
MANIFEST = Path("models/manifest.json")
BENCH = Path("docs/bench.md")
FIGURES = Path("docs/bench.json")
PHOTO, EXPLAINED = Path("docs/sneaker.jpg"), Path("docs/explained.png")
ROUNDING = re.compile(r"(largest|mean|difference|numpy) \d[\d.e-]*")
"""What a session says of the rounding of the processor that it ran on, and of numpy's version: another one's is as good."""
SAME_PICTURE = 2e-4
"""Share of the pixels that another processor's rounding may change: a bar's end, but no digit."""
IN_CHINESE = {
    **{"file": "文件", "accuracy": "准确率", "difference": "差值（百分点）"},
    **{"agreement": "与 Keras 一致", "largest Δp": "概率最大差", "by tf2onnx": "由 tf2onnx 转换"},
}


@reported("readme")
def main(check: Annotated[bool, typer.Option("--check", help="Only say whether the pages are up to date.")] = False) -> None:
    """Bring README.md, README.zh.md and docs/ up to date.

    Their numbers, answers and help come from models/, docs/bench.json and the code. docs/study.md is not touched.

    \b
    Examples:
      python -m bench.readme
      python -m bench.readme --check
    """
    contents, stale = make_blocks(), []
    for page in PAGES:
        old = page.read_text("utf-8")
        new = fill(old, contents)
        if ROUNDING.sub("", new) != ROUNDING.sub("", old):
            stale.append(page)
            if not check:
                page.write_text(new, "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / EXPLAINED.name
        output_of(f"fmnist-edge explain {PHOTO} --out {drawn}")
        if not looks_like(drawn, EXPLAINED):
            stale.append(EXPLAINED)
            if not check:
                EXPLAINED.write_bytes(drawn.read_bytes())
    if check and stale:
        raise ExportError(f"{', '.join(map(str, stale))}: not what models/, docs/bench.json and the code say; run 'make readme'")


def make_blocks() -> dict[str, str]:
    """By its name, what stands in each block."""
    manifest, figures = (json.loads(path.read_text("utf-8")) for path in (MANIFEST, FIGURES))
    table = make_table(manifest)
    return {
        "answer": session(f"fmnist-edge classify {PHOTO}"),
        "tile": session("fmnist-edge classify docs/shoe.png"),
        "verify": session("fmnist-edge verify --model models/fmnist-int8.tflite"),
        "camera": recording(figures["camera"]["session"]),
        "parity": table,
        "parity table": f"{rows_of(table)}\n",
        "parity table, zh": f"{in_chinese(rows_of(table))}\n",
        "figures, zh": figures_in_chinese(manifest),
        "figures": tiles(manifest) + photos(manifest["training"]),
        "bench": BENCH.read_text("utf-8"),
        "speed": speed(figures),
        "recipes": recipes(),
        "api": api(),
        "commands of the device": help_of_device(),
        "commands of the workstation": help_of_workstation(),
    }


def fill(text: str, contents: dict[str, str]) -> str:
    """The text with what stands between ``<!-- NAME -->`` and the next ``<!-- end -->`` replaced, for each name."""
    names = "|".join(map(re.escape, contents))
    return re.sub(
        rf"(^<!-- ({names}) -->\n).*?(^<!-- end -->)",
        lambda found: f"{found[1]}{contents[found[2]]}{found[3]}",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )


def rows_of(table: str) -> str:
    return table.split("\n\n")[0]


def in_chinese(table: str) -> str:
    for english, chinese in IN_CHINESE.items():
        table = re.sub(rf"\b{english}\b", chinese, table)
    return re.sub(r" +\|", " |", table)


def tiles(manifest: dict[str, Any]) -> str:
    """How right, and how sure, the model that ships is of Fashion-MNIST's pictures."""
    shipped = manifest["files"]["fmnist-int8.tflite"]
    return (
        f"Of Fashion-MNIST's 10,000 test images, the int8 model classifies {shipped['accuracy']:.2%} correctly. "
        f"The calibration error is {shipped['calibration_error']:.3f}.\n"
    )


def figures_in_chinese(manifest: dict[str, Any]) -> str:
    shipped, found = manifest["files"]["fmnist-int8.tflite"], manifest["training"].get("on_photos")
    photos = f"；对训练中未见过的人拍摄的 {found['photos']:,} 张照片，正确率为 {found['right']:.0%}" if found else ""
    return f"int8 模型在 Fashion-MNIST 的 10,000 张测试图片上的准确率为 {shipped['accuracy']:.2%}{photos}。\n"


def photos(training: dict[str, Any]) -> str:
    """What the model makes of photos by people it does not know, as its training measured it."""
    if "on_photos" not in training or "photo_dataset" not in training:
        return "This model has not learned from photos.\n"
    found, learned = training["on_photos"], training["photo_dataset"]
    return (
        "Of {photos:,} photos by {people} people, {right:.0%} are classified correctly, each by a model that saw no photo by\n"
        "that person. {sure:.0%} are not marked as unsure; of these, {right_of_sure:.0%} are correct. "
        "The calibration error is {calibration_error:.3f}.\n"
        "Of {other_things} photos of other things, {unsure_of_other_things:.0%} are marked as unsure.\n"
    ).format(**found, people=learned["contributors"])


def speed(figures: dict[str, Any]) -> str:
    """What the default model costs, on the machine that measured it."""
    start, tile = figures["device"]["start"], figures["device"]["tile"]["ms"]
    times = {(row["file"], row["runtime"]): row["us_per_image"] for row in figures["files"]}
    int8, processor = times["fmnist-int8.tflite", "ai-edge-litert"], figures["machine"].split(",")[0]
    return (
        f"One thread of {processor} takes {int8['1']:.0f} µs for a tile, and {tile['12']:.0f} ms to make one of a large photo.\n"
        f"The whole command takes {start['seconds']:.2f} s and {start['mb']:.0f} MB.\n"
    )


def recipes() -> str:
    rows = [("recipe", "layers", "purpose")]
    rows += [(f"`{name}`", "-".join(map(str, (784, *recipe.hidden, 10))), recipe.purpose) for name, recipe in RECIPES.items()]
    return f"{align(rows)}\n"


def session(command: str) -> str:
    return f"```text\n$ .venv/bin/{command}\n{output_of(command)}```\n"


def output_of(command: str) -> str:
    """What a command of this environment prints."""
    program, *arguments = command.split()
    done = subprocess.run([Path(sys.executable).with_name(program), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise ExportError(f"'{command}' fails: {done.stderr.strip()}")
    return done.stdout


def recording(lines: list[str]) -> str:
    """What `make bench` saw on a terminal."""
    return "\n".join([f"```text\n$ .venv/bin/{camera.SHOWN}", *lines, "```\n"])


def looks_like(one: Path, other: Path) -> bool:
    if not other.exists():
        return False
    with Image.open(one) as first, Image.open(other) as second:
        if first.size != second.size:
            return False
        differs = (np.asarray(first.convert("RGB")) != np.asarray(second.convert("RGB"))).any(2)
    return float(differs.mean()) <= SAME_PICTURE


if __name__ == "__main__":
    run(main, "readme")
