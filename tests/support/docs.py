"""The pages of the repository: their blocks of code, what stands before each, and what they link to."""

import re
from pathlib import Path
from typing import NamedTuple

from support.commands import ROOT

PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
FENCED = re.compile(r"(?:^<!-- ([^\n]+) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """language: behind the fence. mark: the comment in the line before, "" if there is none.

    A mark is ``not run: REASON``, or ``run by PATH`` where another test runs it; that one finds it by a name, as in
    ``NAME, run by PATH``.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str

    @property
    def commands(self) -> list[str]:
        """Without the comments behind them."""
        return [command for line in self.text.splitlines() if (command := re.sub(r"(^|\s+)#( .*)?$", "", line))]


def blocks(*languages: str) -> list[Block]:
    """All blocks in these languages, page by page."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(str(page.relative_to(ROOT)), text.count("\n", 0, found.start()) + 1, found[2], found[3], found[1] or "")
        for found in FENCED.finditer(text)
    ]


def named(page: str, name: str) -> Block:
    """The block of a page whose mark begins with the name."""
    (found,) = (block for block in blocks_of(ROOT / page) if block.mark.startswith(f"{name}, run by "))
    return found


def prose_of(page: Path) -> str:
    """Without blocks of code."""
    return FENCED.sub("", page.read_text("utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
