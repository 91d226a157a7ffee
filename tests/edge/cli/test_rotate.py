"""`--rotate`, of `classify` and `explain`."""

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from support.commands import fmnist_edge


@pytest.fixture
def lying(tmp_path: Path) -> Path:
    """Trousers that lie on their side."""
    photo = Image.new("RGB", (300, 400), (120, 200, 120))
    ImageDraw.Draw(photo).polygon([(100, 40), (200, 40), (220, 360), (170, 360), (150, 120), (130, 360), (80, 360)], (40, 40, 90))
    photo.save(tmp_path / "upright.png")
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png")
    return tmp_path


def answer(folder: Path, *arguments: str) -> dict[str, float]:
    result = fmnist_edge("classify", "--json", "--all", *arguments, cwd=folder)
    assert result.returncode == 0
    return {key: value for key, value in json.loads(result.stdout).items() if key not in ("path", "milliseconds")}


def test_a_photo_that_is_turned_upright_is_answered_as_if_it_always_were(lying: Path) -> None:
    upright = answer(lying, "upright.png")

    assert answer(lying, "--rotate", "90", "lying.png") == upright
    assert answer(lying, "lying.png") != upright


def test_looked_at_all_four_ways_a_photo_is_less_surely_named_than_upright(lying: Path) -> None:
    upright, any_way = answer(lying, "upright.png"), answer(lying, "--rotate", "auto", "lying.png")

    assert any_way["confidence"] < upright["confidence"]
    result = fmnist_edge("explain", "--rotate", "auto", "lying.png", cwd=lying)
    assert result.stdout.startswith(f"lying-explained.png: {any_way['label']}{'?' if any_way['unsure'] else ''} ")
