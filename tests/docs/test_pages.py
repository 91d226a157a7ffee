"""The README and docs/: each command is run here, or marked with where it is run or why it is not; links lead somewhere."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import typer
from PIL import Image

import fmnist_edge as package
from fmnist_edge.cli import app
from support.commands import FMNIST_EDGE, ROOT, fmnist_edge
from support.docs import PAGES, Block, anchors_of, blocks, blocks_of, named, prose_of
from train.recipes import RECIPES

OURS = ("fmnist-edge", ".venv/bin/fmnist-edge")
MARKS = re.compile(r"not run: .+|((?P<name>.+), )?run by (?P<path>\S+)")
HISTORY = ("CHANGELOG.md",)
"""What it names may be gone."""

UNMARKED = [block for block in blocks("sh", "python") if not block.mark]
TYPED = [block for block in blocks("sh") if block.mark]


def where(block: Block) -> str:
    return f"{block.page}:{block.line}"


ENDLESS = {"camera": "--frames 2"}
"""What is added to commands that run for ever."""


def in_this_process(command: str) -> bool:
    return command.split()[0] in OURS and not re.search(r"[|<>$&;]", command)


RUN_HERE = [
    pytest.param(
        block,
        id=where(block),
        marks=() if block.language == "python" or all(map(in_this_process, block.commands)) else pytest.mark.slow,
    )
    for block in UNMARKED
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages take for granted: the checkout's folders, and pictures of one's own."""
    for name in (".venv", "docs", "models", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    shoe, photo = ROOT / "docs" / "shoe.png", ROOT / "docs" / "sneaker.jpg"
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("shoe.png", "photos/more/right.png"):
        shutil.copy(shoe, tmp_path / name)
    for name in ("shoe.jpg", "shirt.jpg", "photos/left.jpg"):
        shutil.copy(photo, tmp_path / name)
    with zipfile.ZipFile(tmp_path / "shoes.zip", "w") as archive:
        archive.write(shoe, "shoe.png")
    (tmp_path / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", RUN_HERE)
def test_what_a_page_tells_to_type_works(block: Block, folder: Path) -> None:
    if block.language == "python":
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "cv2", opencv())
            exec(compile(block.text, where(block), "exec"), {"__name__": "__main__"})
        return
    environment = {**os.environ, "PATH": f"{FMNIST_EDGE.parent}:{os.environ['PATH']}"}
    for command in map(ending, block.commands):
        if in_this_process(command):
            result = fmnist_edge(*shlex.split(command)[1:], cwd=folder)
        else:
            result = subprocess.run(["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}: {result.stderr}"


def ending(command: str) -> str:
    words = command.split()
    more = ENDLESS.get(words[1], "") if words[0] in OURS and "list" not in words else ""
    return f"{command} {more}".rstrip()


def opencv() -> types.ModuleType:
    """As far as the pages use it: its camera shows three frames of the film in docs/."""
    module = types.ModuleType("cv2")

    class VideoCapture:
        def __init__(self, number: int) -> None:
            self._frames = self._shown()

        def read(self) -> tuple[bool, np.ndarray | None]:
            frame = next(self._frames, None)
            return frame is not None, frame

        def _shown(self) -> Iterator[np.ndarray]:
            with av.open(ROOT / "docs" / "clothes.mp4") as film:
                for _, frame in zip(range(3), film.decode(video=0), strict=False):
                    yield frame.to_ndarray(format="bgr24")

    module.VideoCapture = VideoCapture  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("block", [pytest.param(block, id=where(block)) for block in blocks("sh", "python") if block.mark])
def test_what_is_not_run_here_says_why_or_names_what_runs_it(block: Block) -> None:
    found = MARKS.fullmatch(block.mark)

    assert found, f"'{block.mark}' is no mark: 'not run: REASON', or 'run by PATH'"
    if path := found["path"]:
        text, page = (ROOT / path).read_text("utf-8"), Path(block.page).name.replace(".zh", "")
        assert (found["name"] or page) in text or all(command.split()[1] in text for command in block.commands)


@pytest.mark.parametrize("block", [pytest.param(block, id=where(block)) for block in TYPED])
def test_what_is_not_run_here_has_options_that_there_are(block: Block, folder: Path) -> None:
    for command in block.commands:
        words = shlex.split(command.split(" | ")[0])
        if words[0] in OURS:
            command_line = typer.main.get_command(app)
            if words[1].startswith("-"):  # such as --install-completion: parsing it would do it
                assert words[1] in {name for option in command_line.params for name in option.opts}
            else:
                check_options(command_line, words[1:])
        elif words[:2] == [".venv/bin/python", "-m"]:
            name = words[2] if "." in words[2] else f"{words[2]}.__main__"
            program = typer.Typer()
            program.command()(importlib.import_module(name).main)
            check_options(typer.main.get_command(program), words[3:])


def check_options(command: object, words: list[str]) -> None:
    """Raises what the command line's parser does of options and values that there are not. Runs nothing."""
    context = command.make_context("it", list(words), resilient_parsing=False)  # type: ignore[attr-defined]
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, found, others = command.resolve_command(context, rest)
        found.make_context(name, list(others), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_there_are(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors_of(target), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    for path in re.findall(
        r"\b((?:tests|train|export|edge|bench|deploy)/[\w./-]*\w\.(?:py|sh|yml|service|csv))", page.read_text("utf-8")
    ):
        assert (ROOT / path).exists() or path == "deploy/inventory.yml", f"{page.name} names {path}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_each_page_says_what_it_is_for_and_is_reachable_from_the_readme(page: Path) -> None:
    if page.name != "bench.md":  # a table alone, which benchmarks.md shows
        assert re.match(r"# .+\n\n(?:`make study` wrote|\w|`)", page.read_text("utf-8"))
        assert f"](docs/{page.name}" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=lambda page: page.name)
def test_no_paragraph_begins_with_bold_words_that_nobody_can_link_to(page: Path) -> None:
    assert re.findall(r"^\*\*[^*]+\*\*", prose_of(page), re.MULTILINE) == [] or page.name == "study.md"


def test_the_readme_fits_on_120_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_the_chinese_readme_has_commands_and_programs_of_the_english_one() -> None:
    english = [block.commands for block in blocks_of(ROOT / "README.md") if block.language in ("sh", "python")]
    chinese = [block.commands for block in blocks_of(ROOT / "README.zh.md") if block.language in ("sh", "python")]

    assert chinese == english


def test_the_chinese_readme_has_the_figures_of_the_english_one() -> None:
    rows = {
        page: re.findall(r"^\| fmnist[^|]+\|(.*)\|$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        for page in ("README.md", "README.zh.md")
    }
    english, chinese = ([[cell.strip() for cell in row.split("|")] for row in of_one] for of_one in rows.values())

    assert len(english) == 6
    assert chinese == english


def test_ten_lines_with_a_bare_interpreter_say_what_the_command_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = named("docs/models.md", "ten lines").text

    exec(lines, {})

    class_id, confidence = capsys.readouterr().out.split()
    expected = json.loads(fmnist_edge("classify", "--json", "docs/shoe.png").stdout)
    assert len(list(filter(None, lines.splitlines()))) == 10
    assert int(class_id) == expected["class_id"]
    assert float(confidence) == pytest.approx(expected["confidence"], abs=1e-6)


def test_everything_that_users_import_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "python-api.md").read_text("utf-8")

    for name in package.__all__:
        assert f"### {name}\n" in page or f"| `{name}` |" in page


def test_every_recipe_is_in_the_table() -> None:
    assert all(f"| `{name}` " in (ROOT / "docs" / "train.md").read_text("utf-8") for name in RECIPES)


def test_a_picture_that_the_readme_shows_is_small_enough_to_load() -> None:
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8")):
        with Image.open(ROOT / path) as image:
            assert image.width > 1000
        assert (ROOT / path).stat().st_size < 200_000
