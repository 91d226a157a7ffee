"""`make release-notes`: the changelog's part for a version."""

import re

import pytest

from deploy.release_notes import sections
from fmnist_edge import __version__
from support.commands import ROOT, main_of

CHANGELOG = """# Changelog

The form is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).

## Unreleased

### Fixed
- Something.

## [1.1.0] - 2026-02-01

### Added
- A page.

### Changed
- A name.

## 1.0.0
First.
"""


def test_each_version_has_what_stands_under_its_heading() -> None:
    assert sections(CHANGELOG) == {
        "Unreleased": "### Fixed\n- Something.",
        "1.1.0": "### Added\n- A page.\n\n### Changed\n- A name.",
        "1.0.0": "First.",
    }


def test_the_notes_of_this_version_are_in_the_changelog_or_unreleased() -> None:
    result = main_of("deploy.release_notes")

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert result.returncode == 0
    assert result.stdout.strip() in text
    assert re.match(r"### (Added|Changed|Deprecated|Removed|Fixed|Security)\n", result.stdout)
    assert ("unreleased" in result.stderr) != (__version__ in sections(text))


def test_a_version_that_the_changelog_does_not_know_is_refused() -> None:
    result = main_of("deploy.release_notes", "99.9")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("release-notes: CHANGELOG.md says nothing of 99.9; it has Unreleased")


NAMING = ("*.md", "docs/*.md", "deploy/*.service")


@pytest.mark.parametrize("page", [str(path.relative_to(ROOT)) for pattern in NAMING for path in sorted(ROOT.glob(pattern))])
def test_the_pages_name_the_wheel_of_this_version(page: str) -> None:
    assert set(re.findall(r"fmnist_edge-(\d[\w.]*)-py3", (ROOT / page).read_text("utf-8"))) <= {__version__}
