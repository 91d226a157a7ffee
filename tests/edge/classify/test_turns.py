"""Photos that lie on their side: turned as is said, or answered whichever way they lie."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.classify.turns import AnyWayUp, agreed, open_turned
from fmnist_edge.pictures.orientation import orientation_of
from fmnist_edge.pictures.tile import View
from support.commands import MODELS
from support.predictions import prediction

CORNERS = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)


@pytest.mark.parametrize(
    ("degrees", "turned"), [(90, [[4, 1], [5, 2], [6, 3]]), (180, [[6, 5, 4], [3, 2, 1]]), (270, [[3, 6], [2, 5], [1, 4]])]
)
def test_a_picture_is_turned_clockwise(degrees: int, turned: list[list[int]]) -> None:
    assert np.asarray(open_turned(partial(Image.fromarray, CORNERS), degrees)).tolist() == turned


def test_it_is_turned_from_how_its_metadata_say_that_it_is_to_be_seen_and_only_once(tmp_path: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 5  # mirrored at the diagonal
    Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=exif)

    image = open_turned(partial(Image.open, tmp_path / "a.png"), 90)

    assert np.asarray(image).tolist() == np.rot90(CORNERS.T, -1).tolist()
    assert orientation_of(image) == 1


def test_what_is_transparent_stays_so() -> None:
    image = Image.fromarray(CORNERS)
    image.info["transparency"] = 3

    assert open_turned(lambda: image, 180).info == {"transparency": 3}


def test_four_ways_that_agree_are_as_sure_as_each() -> None:
    found = agreed([prediction(7, 0.9, 0.8)] * 4)

    assert found.label == "Sneaker"
    assert found.confidence == pytest.approx(0.9, abs=1e-6)
    assert not found.unsure


@pytest.mark.parametrize(("others", "unsure"), [(0, False), (1, True), (2, True)])
def test_where_ways_disagree_it_is_unsure(others: int, unsure: bool) -> None:
    sure_from = 0.83  # the shipped model's for photos

    found = agreed([prediction(7, 0.96, sure_from)] * (4 - others) + [prediction(1, 0.95, sure_from)] * others)

    assert found.label == "Sneaker"
    assert found.unsure == unsure


def test_a_class_that_one_way_calls_impossible_may_still_be_the_answer() -> None:
    found = agreed([prediction(7, 1.0)] * 3 + [prediction(1, 1.0)])

    assert found.class_id == 7
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_the_answer_is_the_same_whichever_way_a_tile_lies() -> None:
    tile = np.zeros((28, 28), np.uint8)
    tile[4:24, 8:14] = np.arange(120, 240, 6)[:, None]
    views = [View(np.ascontiguousarray(np.rot90(tile, way)), kind) for kind in ("tile", "photo") for way in range(4)]  # type: ignore[arg-type]

    answers = AnyWayUp(MODELS / "fmnist-int8.tflite").predict(views)

    np.testing.assert_array_equal([answer.tile for answer in answers], [view.tile for view in views])
    found = [answer.probabilities for answer in answers]
    assert len(found) == 8
    assert {probabilities.dtype for probabilities in found} == {np.dtype(np.float32)}
    for one, other in zip(found, found[1:4] + found[:1] + found[5:] + found[4:5], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
