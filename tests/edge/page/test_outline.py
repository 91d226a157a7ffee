"""The garment's outline, as points and drawn."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fmnist_edge.page.outline import COLOUR, MAX_PARTS, area, draw, parts, trace


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        (["...", "..."], []),
        (["...", ".#.", "..."], [[1, 1]]),
        (["##", "##"], [[0, 0], [1, 0], [1, 1], [0, 1]]),
        (["####", "####", "####"], [[0, 0], [3, 0], [3, 2], [0, 2]]),
        ([".#.", "###", ".#."], [[1, 0], [2, 1], [1, 2], [0, 1]]),
        (["###"], [[0, 0], [2, 0]]),
    ],
)
def test_the_points_go_around_the_garment(rows: list[str], points: list[list[int]]) -> None:
    assert trace(mask_of(*rows)) == points


def test_a_hole_is_not_gone_around() -> None:
    assert trace(mask_of("###", "#.#", "###")) == [[0, 0], [2, 0], [2, 2], [0, 2]]


def test_of_several_parts_the_largest_is_gone_around_and_all_are_drawn() -> None:
    mask = mask_of("#.....", "......", "..####", "..####", "......", "#.....")
    assert trace(mask) == [[2, 2], [5, 2], [5, 3], [2, 3]]

    picture = Image.new("RGB", (60, 60), "white")
    draw(picture, mask, (0, 0, 60, 60))

    marked = (np.asarray(picture) != 255).any(2)
    assert marked[:10, :10].any()
    assert marked[50:, :10].any()
    assert marked[20:40, 20:].any()


@pytest.mark.parametrize(
    ("points", "size"),
    [([[3, 4]], 0), ([[0, 0], [2, 0], [2, 3], [0, 3]], 6), ([[5, 1], [9, 1], [7, 4]], 6), ([[0, 3], [2, 3], [2, 0], [0, 0]], 6)],
)
def test_a_part_is_as_large_as_its_polygon(points: list[list[int]], size: float) -> None:
    assert area(points) == size


def test_the_largest_part_is_not_the_one_that_begins_first_or_last_or_has_most_corners() -> None:
    mask = mask_of("..#.......", ".#.#......", "#...#.....", "......####", "......####", "......####", "......####")

    assert trace(mask) == [[6, 3], [9, 3], [9, 6], [6, 6]]
    assert trace(mask[:, ::-1]) == [[0, 3], [3, 3], [3, 6], [0, 6]]


def test_specks_are_not_gone_around_without_an_end() -> None:
    mask = np.zeros((20, 20), bool)
    mask[::2, ::2] = True

    assert len(parts(mask)) == MAX_PARTS == 8


def test_the_outline_lies_on_the_rim_of_what_it_surrounds_in_a_part_of_any_shape() -> None:
    picture = Image.new("RGB", (400, 300), "white")
    mask = np.zeros((20, 40), bool)
    mask[5:15, 10:31] = True

    draw(picture, mask, (100, 150, 300, 250))

    marked = np.argwhere((np.asarray(picture) != 255).any(2))
    (top, left), (bottom, right) = marked.min(0), marked.max(0)
    # the rim's pixels are of five by five, and the line is three wide
    assert (left, top) == pytest.approx((100 + 5 * 10.5, 150 + 5 * 5.5), abs=2)
    assert (right, bottom) == pytest.approx((100 + 5 * 30.5, 150 + 5 * 14.5), abs=2)


@pytest.mark.parametrize("seed", range(20))
def test_the_points_of_any_blob_enclose_it(seed: int) -> None:
    picture = Image.new("1", (60, 40))
    pen = ImageDraw.Draw(picture)
    for x, y, radius in np.random.default_rng(seed).integers((10, 10, 4), (50, 30, 10), (5, 3)).tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 1)
        pen.line((30, 20, x, y), 1, 3)
    mask = np.asarray(picture)

    drawn = Image.new("1", picture.size)
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in trace(mask)], 1, 1)

    assert (np.asarray(drawn) | ~mask).all()


def test_the_outline_is_drawn_into_its_part_alone() -> None:
    picture = Image.new("RGB", (40, 30), "white")
    mask = np.zeros((10, 10), bool)
    mask[3:7, 3:7] = True

    draw(picture, mask, (20, 10, 40, 30))

    pixels = np.asarray(picture)
    marked = (pixels != 255).any(2)
    assert marked.any()
    assert not marked[:10].any()
    assert not marked[:, :20].any()
    assert {tuple(pixel) for pixel in pixels[marked].tolist()} == {tuple(int(COLOUR[i : i + 2], 16) for i in (1, 3, 5))}


def test_each_part_is_gone_around_once_and_what_is_within_is_not_drawn_on() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:25, 5:25] = mask[35:55, 35:55] = mask[50, 5] = True
    picture = Image.new("RGB", (60, 60), "white")

    draw(picture, mask, (0, 0, 60, 60))

    assert len(parts(mask)) == 3
    marked = (np.asarray(picture) != 255).any(2)
    assert marked[4:7, 10:20].any()
    assert not marked[10:20, 10:20].any()
    assert not marked[40:50, 40:50].any()


def test_the_outline_of_a_large_photo_lies_on_its_rim_too() -> None:
    mask = np.zeros((240, 480), bool)
    mask[61:181, 101:401] = True
    picture = Image.new("RGB", (960, 240), "white")

    draw(picture, mask, (0, 0, 960, 240))

    marked = np.argwhere((np.asarray(picture) != 255).any(2))
    (top, left), (bottom, right) = marked.min(0), marked.max(0)
    # each fourth pixel is looked at: from 104 to 400, and from 64 to 180
    assert (left, top, right, bottom) == pytest.approx((26.5 * 8, 16.5 * 4, 100.5 * 8, 45.5 * 4), abs=2)


def test_where_nothing_is_nothing_is_drawn() -> None:
    picture = Image.new("RGB", (40, 30), "white")

    draw(picture, np.zeros((10, 10), bool), (0, 0, 40, 30))

    assert (np.asarray(picture) == 255).all()
