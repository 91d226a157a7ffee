"""From a garment's mask to its tile: cropped, negated, shrunk, centred, clean beside it."""

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.pictures.photo import cut_out, fitted, garment_of


def cut(box: tuple[int, int, int, int], gray: int, size: tuple[int, int] = (200, 200)) -> Image.Image:
    """A picture whose alpha channel cuts a rectangle out."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    image.paste((gray, gray, gray, 255), box)
    return image


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((20, 30, 160, 170), (0, 28), (0, 28)),
        ((20, 30, 160, 100), (7, 21), (0, 28)),
        ((20, 30, 90, 170), (0, 28), (7, 21)),
        ((20, 30, 160, 95), (7, 20), (0, 28)),
    ],
)
def test_the_longest_edge_fills_the_tile_and_the_other_is_centred(
    box: tuple[int, int, int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    tile, mask, garment_found = cut_out(cut(box, 55))

    assert garment_found

    expected = np.zeros((28, 28), np.uint8)
    expected[slice(*rows), slice(*columns)] = 200
    np.testing.assert_array_equal(tile, expected)
    assert tile.dtype == np.uint8
    left, top, right, bottom = box
    assert mask[top:bottom, left:right].all()
    assert mask.sum() == (right - left) * (bottom - top)


def test_a_dark_garment_is_bright_and_a_white_one_dark() -> None:
    assert cut_out(cut((20, 20, 160, 160), 0)).tile.min() == 255
    assert cut_out(cut((20, 20, 160, 160), 255)).tile.max() == 0


def test_beside_the_garment_nothing_glows() -> None:
    image = cut((0, 0, 100, 100), 0)
    image.paste((0, 0, 0, 255), (0, 100, 200, 200))  # an L: its upper right quarter is ground

    tile = cut_out(image).tile

    assert tile[:13, 15:].max() == 0
    assert tile[:13, :13].min() > 250


def test_a_strap_thinner_than_a_pixel_of_the_tile_is_not_lost() -> None:
    image = cut((0, 100, 200, 200), 0)
    image.paste((0, 0, 0, 255), (99, 0, 101, 100))

    tile = cut_out(image).tile

    assert tile[2:12, 13:15].max(axis=1).min() > 20


@pytest.mark.parametrize(("opaque", "seen"), [(127, False), (128, True)])
def test_half_transparent_rims_are_not_garment(opaque: int, seen: bool) -> None:
    image = cut((40, 40, 160, 160), 0)
    image.paste((0, 0, 0, opaque), (20, 20, 180, 40))

    assert bool(cut_out(image).mask[30, 100]) is seen


def test_where_no_garment_is_found_all_of_it_is_taken() -> None:
    tile, mask, garment_found = cut_out(Image.new("RGB", (120, 60), (155, 155, 155)))

    assert not garment_found
    assert mask.shape == (60, 120)
    assert mask.all()
    expected = np.zeros((28, 28), np.uint8)
    expected[7:21] = 100
    np.testing.assert_array_equal(tile, expected)


def test_a_garments_mask_has_the_size_of_its_photo_and_a_soft_outline() -> None:
    photo = Image.new("RGB", (200, 150), (255, 255, 255))
    photo.paste((0, 0, 0), (60, 40, 140, 110))

    mask, garment_found = garment_of(photo)

    assert garment_found
    assert (mask.mode, mask.size) == ("L", (200, 150))
    assert mask.getpixel((100, 75)) == 255
    assert mask.getpixel((5, 5)) == 0
    assert 0.03 < np.isin(np.asarray(mask), (0, 255), invert=True).mean() < 0.15
    assert (np.asarray(mask) > 127).mean() == pytest.approx(80 * 70 / 30_000, rel=0.05)


def test_a_small_photo_is_not_enlarged_to_find_its_garment() -> None:
    photo = Image.new("RGB", (40, 40), (255, 255, 255))
    photo.paste((0, 0, 0), (10, 10, 30, 30))

    assert (np.asarray(garment_of(photo)[0]) > 127).sum() == pytest.approx(400, abs=40)


@pytest.mark.parametrize(
    ("size", "edge", "expected"),
    [
        ((100, 50), 28, (28, 14)),
        ((50, 100), 28, (14, 28)),
        ((10, 10), 28, (28, 28)),
        ((700, 1), 28, (28, 1)),
        ((1, 700), 28, (1, 28)),
    ],
)
def test_the_longest_edge_is_as_long_as_wanted_and_the_other_a_pixel_at_least(
    size: tuple[int, int], edge: int, expected: tuple[int, int]
) -> None:
    assert fitted(Image.new("L", size), edge, Image.Resampling.BOX).size == expected


def test_fitting_takes_the_means_of_a_box() -> None:
    values = np.tile(np.array([[0, 200]], np.uint8), (8, 4))

    assert set(np.unique(np.asarray(fitted(Image.fromarray(values), 4, Image.Resampling.BOX)))) == {100}
