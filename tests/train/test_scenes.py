"""Scenes without a garment: how many of them a model names without a doubt."""

import numpy as np
import pytest

from fmnist_edge.contract import Probabilities, Tiles
from train import scenes
from train.scenes import count_named


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five windows, which stand out from their walls, and five walls, where nothing does; all hundred would take seconds."""
    monkeypatch.setattr(scenes, "KINDS", (scenes.window, scenes.wall_lit_from_a_side))


def sure_of_all(tiles: Tiles) -> Probabilities:
    return np.full((len(tiles), 10), 0.75, np.float32)


@pytest.mark.parametrize(("sure_from", "named"), [(0.75, 5), (0.8, 0)])
def test_a_scene_is_named_if_something_stands_out_and_the_answer_is_sure(sure_from: float, named: int) -> None:
    assert count_named(sure_of_all, sure_from) == named


def test_where_nothing_stands_out_in_any_scene_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "KINDS", (scenes.black, scenes.wall_lit_from_a_side))

    assert count_named(sure_of_all, 0) == 0
