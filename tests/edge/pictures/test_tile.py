"""Which pictures pass through untouched as tiles, and which are photos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.contract import Tile
from fmnist_edge.errors import BlankError, InputError
from fmnist_edge.pictures.photo import cut_out
from fmnist_edge.pictures.segment import Mask
from fmnist_edge.pictures.tile import (
    BLANK,
    DARK,
    Wanted,
    is_blank,
    is_of_one_colour,
    is_on_black,
    look,
    read_picture,
    view_of,
)

VALUES = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
VALUES[[0, 0, 27, 27], [0, 27, 0, 27]] = 0
TILE = Image.fromarray(VALUES)


def with_corners(*corners: int) -> Image.Image:
    """The tile with these at the upper left, the upper right, the lower left and the lower right."""
    values = VALUES.copy()
    values[[0, 0, 27, 27], [0, 27, 0, 27]] = corners
    return Image.fromarray(values)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I", "F"])
def test_a_tile_passes_through_untouched_in_every_mode(mode: str) -> None:
    view = look(TILE.convert(mode))

    assert view.kind == "tile"
    assert view.tile.dtype == np.uint8
    np.testing.assert_array_equal(view.tile, VALUES)


def test_rows_stay_rows() -> None:
    values = np.zeros((28, 28), np.uint8)
    values[3, 5] = 200

    assert look(Image.fromarray(values)).tile[3, 5] == 200


@pytest.mark.parametrize("dark", [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
def test_two_dark_corners_make_a_dark_ground_whichever_they_are(dark: tuple[int, int]) -> None:
    corners = [255, 255, 255, 255]
    for corner in dark:
        corners[corner] = 63

    assert look(with_corners(*corners)).kind == "tile"


@pytest.mark.parametrize("dark", range(4))
def test_one_dark_corner_does_not(dark: int) -> None:
    corners = [64, 64, 64, 64]
    corners[dark] = 0

    assert look(with_corners(*corners)).kind == "photo"


@pytest.mark.parametrize(("value", "is_dark"), [(63, True), (64, False)])
def test_dark_is_what_is_darker_than_a_quarter(value: int, is_dark: bool) -> None:
    assert DARK == 64
    assert is_on_black(with_corners(0, value, 255, 255).tobytes()) is is_dark


@pytest.mark.parametrize("size", [(28, 27), (27, 28), (29, 28), (56, 56)])
def test_a_picture_of_another_size_is_a_photo(size: tuple[int, int]) -> None:
    assert look(TILE.resize(size)).kind == "photo"


def test_a_picture_with_colour_is_a_photo() -> None:
    coloured = TILE.convert("RGB")
    coloured.putpixel((9, 9), (10, 10, 11))

    assert look(coloured).kind == "photo"


def test_a_picture_with_transparency_is_a_photo() -> None:
    assert look(TILE.convert("LA")).kind == "photo"


def test_a_photo_is_what_is_cut_out_of_it() -> None:
    image = Image.effect_noise((100, 80), 60)

    np.testing.assert_array_equal(look(image).tile, cut_out(image)[0])


def test_what_is_said_to_be_a_tile_is_one_on_any_ground() -> None:
    view = look(with_corners(255, 255, 255, 255), "tile")

    assert view.kind == "tile"
    assert view.tile[0, 0] == 255


def test_what_is_said_to_be_a_photo_is_one() -> None:
    assert look(TILE, "photo").kind == "photo"


@pytest.mark.parametrize(
    ("image", "found"), [(Image.new("RGB", (300, 200)), "RGB and 300x200"), (TILE.convert("LA"), "LA and 28x28")]
)
def test_where_a_tile_is_wanted_a_photo_is_refused(image: Image.Image, found: str) -> None:
    with pytest.raises(InputError) as caught:
        look(image, "tile")
    assert str(caught.value) == f"not a tile, which is gray and 28x28 pixels large, but {found}"


@pytest.mark.parametrize(("wanted", "kind"), [("auto", "tile"), ("tile", "tile"), ("photo", "photo")])
def test_a_file_is_taken_for_what_it_is_said_to_be(wanted: Wanted, kind: str, tmp_path: Path) -> None:
    TILE.save(tmp_path / "tile.png")

    assert read_picture(tmp_path / "tile.png", wanted).kind == kind


def test_a_file_and_an_image_with_too_many_pixels_are_refused(tmp_path: Path) -> None:
    TILE.save(tmp_path / "tile.png")

    assert read_picture(tmp_path / "tile.png", max_pixels=784).kind == look(TILE, max_pixels=784).kind == "tile"
    with pytest.raises(InputError, match=r"larger than 0\.000783 million pixels"):
        read_picture(tmp_path / "tile.png", max_pixels=783)
    with pytest.raises(InputError, match=r"larger than 0\.000783 million pixels"):
        look(TILE, max_pixels=783)


def test_an_image_that_cannot_be_decoded_is_an_input_error(tmp_path: Path) -> None:
    Image.effect_noise((100, 100), 50).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1000])

    with Image.open(tmp_path / "half.png") as image, pytest.raises(InputError, match="truncated or damaged"):
        look(image)
    with Image.open(tmp_path / "half.png") as image, pytest.raises(InputError, match="truncated or damaged"):
        view_of(image, "auto")


def tile_of(*rows: tuple[int, ...]) -> Tile:
    """A tile with these values in its upper left corner."""
    tile = np.zeros((28, 28), np.uint8)
    for number, row in enumerate(rows):
        tile[number, : len(row)] = row
    return tile


EVERYTHING, CORNER = np.ones((4, 4), np.float32), np.pad(np.ones((2, 2), np.float32), (0, 2))


@pytest.mark.parametrize(
    ("tile", "mask", "blank"),
    [
        (tile_of(), CORNER, True),
        (tile_of((1,)), CORNER, False),  # an outline
        (tile_of((9, 9), (9, 9)), CORNER, False),
        (tile_of((9, 9), (9, 9)), EVERYTHING, True),
        (tile_of((9, 9), (9, 8)), EVERYTHING, False),  # shades
        (tile_of((1, 2)), EVERYTHING, False),
        (np.full((28, 28), 9, np.uint8), EVERYTHING, True),
    ],
)
def test_a_tile_with_neither_shades_nor_an_outline_is_blank(tile: Tile, mask: Mask, blank: bool) -> None:
    assert is_blank(tile, mask) == blank


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "PA", "I", "F", "CMYK"])
def test_a_picture_is_of_one_colour_or_it_is_not(mode: str) -> None:
    def in_mode(image: Image.Image) -> Image.Image:
        return image.quantize(2).convert(mode) if mode in ("P", "PA") else image.convert(mode)

    plain = Image.new("RGB", (30, 20), (200, 30, 40))
    assert is_of_one_colour(in_mode(plain))

    for place in ((0, 0), (1, 0), (0, 1), (29, 19)):
        spotted = plain.copy()
        spotted.putpixel(place, (10, 20, 30))
        assert not is_of_one_colour(in_mode(spotted))


def test_two_numbers_of_a_palette_may_be_one_colour() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([7, 7, 7, 7, 7, 7])
    image.putpixel((1, 0), 1)

    assert is_of_one_colour(image)


def test_a_tile_of_one_value_is_blank_only_if_its_picture_is_not() -> None:
    deep = Image.fromarray((3 + 0.1 * np.eye(28)).astype(np.float32))  # less than a gray apart
    assert view_of(Image.new("L", (28, 28), 7), "tile").tile[0, 0] == 7

    with pytest.raises(BlankError) as caught:
        view_of(deep, "tile")
    assert str(caught.value) == BLANK


def test_a_tile_that_changes_late_is_none_of_one_value() -> None:
    tile = tile_of((0,) * 27 + (9,))

    np.testing.assert_array_equal(view_of(Image.fromarray(tile), "tile").tile, tile)
