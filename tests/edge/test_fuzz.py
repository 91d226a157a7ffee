"""A short run of tests/support/fuzz.py (`make fuzz` is the long one), and what it has found in pictures."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.errors import InputError
from support.commands import ROOT, fmnist_edge, run

FUZZ = ROOT / "tests/support/fuzz.py"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "cases"), [("pictures", 500), ("models", 200)])
def test_hostile_files_end_in_a_result_or_an_error_of_ours(kind: str, cases: int) -> None:
    result = run(sys.executable, FUZZ, kind, "--cases", str(cases))

    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{kind}: {cases} cases in " in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4", "zstd"])
def test_a_damaged_tiff_is_one_line(compression: str, tmp_path: Path) -> None:
    picture = Image.effect_noise((200, 200), 100).convert("1" if compression == "group4" else "L")
    picture.save(tmp_path / "whole.tiff", compression=compression)
    content = bytearray((tmp_path / "whole.tiff").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = b"\xff" * 300
    (tmp_path / "flipped.tiff").write_bytes(content)
    (tmp_path / "cut.tiff").write_bytes(content[:middle])

    result = fmnist_edge("classify", "-q", "flipped.tiff", "cut.tiff", cwd=tmp_path)

    assert len(result.stdout.splitlines()) + len(result.stderr.splitlines()) == 2
    assert all(line.startswith("fmnist-edge: ") for line in result.stderr.splitlines())


def test_more_channels_than_there_can_be_are_one_line(tmp_path: Path) -> None:
    Image.new("L", (50, 50)).save(tmp_path / "channels.tiff", tiffinfo={277: 9999})

    result = fmnist_edge("classify", "channels.tiff", cwd=tmp_path)

    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("fmnist-edge: channels.tiff: ")


def test_a_path_that_cannot_be_one_is_an_input_error(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="null byte"):
        classifier.classify("shoe\0.png")
