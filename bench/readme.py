"""python -m bench.readme: writes measured tables and the real output of commands into README.md and docs/.

It fills the blocks between ``<!-- NAME -->`` and the next ``<!-- end -->`` of each page, from models/, docs/bench.*, the recipes,
the docstrings, and commands that it runs. No figure in the text reads better than it was measured: ``at_least``, ``at_most``.
"""
# ruff: noqa: RUF001 - Chinese has punctuation of its own

import json
import re
import subprocess
import sys
import tempfile
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
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
"""Parts of a session that depend on the processor's rounding and on numpy's version. They may differ."""
SAME_PICTURE = 2e-4
"""The share of pixels that another processor's rounding may change: the end of a bar, but no digit."""
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
    """The content of each block, by its name."""
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
    """The text with new content between ``<!-- NAME -->`` and the next ``<!-- end -->``, for each name."""
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
    """The shipped model's accuracy and calibration on Fashion-MNIST's test images."""
    shipped = manifest["files"]["fmnist-int8.tflite"]
    return (
        f"Of Fashion-MNIST's 10,000 test images, the int8 model classifies {shipped['accuracy']:.2%} correctly. "
        f"The calibration error is {at_most(shipped['calibration_error'], '0.001')}.\n"
    )


def figures_in_chinese(manifest: dict[str, Any]) -> str:
    shipped, found = manifest["files"]["fmnist-int8.tflite"], manifest["training"].get("on_photos")
    photos = f"；对训练中未见过的人拍摄的 {found['photos']:,} 张照片，正确率为 {at_least(found['right'])}" if found else ""
    return f"int8 模型在 Fashion-MNIST 的 10,000 张测试图片上的准确率为 {shipped['accuracy']:.2%}{photos}。\n"


def photos(training: dict[str, Any]) -> str:
    """The model's answers to photos by people it did not learn from, as its training measured them."""
    if "on_photos" not in training or "photo_dataset" not in training:
        return "This model has not learned from photos.\n"
    found, learned = training["on_photos"], training["photo_dataset"]
    right, sure, right_of_sure, unsure_of_others = (
        at_least(found[name]) for name in ("right", "sure", "right_of_sure", "unsure_of_other_things")
    )
    return (
        f"Of {found['photos']:,} photos by {learned['contributors']} people, {right} are classified correctly, each by a model "
        f"that saw no photo by\nthat person. {sure} are not marked as unsure; of these, {right_of_sure} are correct. "
        f"The calibration error is {at_most(found['calibration_error'], '0.001')}.\n"
        f"Of {found['other_things']} photos of other things, {unsure_of_others} are marked as unsure.\n"
    )


def speed(figures: dict[str, Any]) -> str:
    """The default model's time and memory, on the machine that measured them."""
    start, tile = figures["device"]["start"], figures["device"]["tile"]["ms"]
    times = {(row["file"], row["runtime"]): row["us_per_image"] for row in figures["files"]}
    int8, processor = times["fmnist-int8.tflite", "ai-edge-litert"], figures["machine"].split(",")[0]
    return (
        f"One thread of {processor} takes {at_most(int8['1'], '1')} µs for a tile, "
        f"and {at_most(tile['12'], '1')} ms to make one of a large photo.\n"
        f"The whole command takes {at_most(start['seconds'], '0.01')} s and {at_most(start['mb'], '1')} MB.\n"
    )


def at_least(share: float) -> str:
    """A share in percent, rounded down to a tenth."""
    return f"{(Decimal(str(share)) * 100).quantize(Decimal('0.1'), ROUND_FLOOR)}%"


def at_most(value: float, step: str) -> str:
    """A figure of which less is better, rounded up to a multiple of the step: "0.001", "1"."""
    return str(Decimal(str(value)).quantize(Decimal(step), ROUND_CEILING))


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
    """What `make bench` recorded on a terminal."""
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
