"""Pictures whose pixels are written in a way that could blank their tile; and what is said of a tile that is blank after all."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.contract import Tile
from fmnist_edge.errors import BlankError
from fmnist_edge.pictures.decode import decode
from fmnist_edge.pictures.tile import look, view_of

Gray = NDArray[np.uint8]

SIZES = [(60, 80), (300, 400), (1200, 1600)]
"""As it is; shrunk by means; rows left out first."""


def gray_photo(size: tuple[int, int]) -> Gray:
    """Dark trousers, neither black nor of one tone, on white."""
    width, height = size
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    legs = (abs(columns - 0.5) < 0.25) & (abs(rows - 0.5) < 0.4) & ~((abs(columns - 0.5) < 0.06) & (rows > 0.3))
    return np.where(legs, 40 + 60 * rows, 255).astype(np.uint8)


def written(image: Image.Image, kind: str, **options: object) -> Tile:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return view_of(decode(file), "auto").tile


def float_with_nan(gray: Gray) -> Image.Image:
    values = gray.astype(np.float32)
    values[0, 0], values[0, 1], values[1, 0] = np.nan, np.inf, -np.inf
    return Image.fromarray(values)


def see_through_everywhere(gray: Gray) -> Image.Image:
    image = Image.fromarray(gray).convert("RGBA")
    image.putalpha(0)
    return image


WAYS: dict[str, tuple[str, Callable[[Gray], Image.Image], dict[str, object]]] = {
    "BMP with alpha 0": ("BMP", see_through_everywhere, {}),
    "PNG with alpha 0": ("PNG", see_through_everywhere, {}),
    "LA with alpha 0": ("PNG", lambda gray: see_through_everywhere(gray).convert("LA"), {}),
    "16 bits": ("PNG", lambda gray: Image.fromarray(gray.astype(np.uint16) * 257), {}),
    "16 bits, white transparent": ("PNG", lambda gray: Image.fromarray(gray.astype(np.uint16) * 257), {"transparency": 65535}),
    "12 bits in 16": ("TIFF", lambda gray: Image.fromarray(gray.astype(np.uint16) * 16), {}),
    "8 bits in 16": ("PNG", lambda gray: Image.fromarray(gray.astype(np.uint16)), {}),
    "32 bits": ("TIFF", lambda gray: Image.fromarray(gray.astype(np.int32) * 257), {}),
    "0 to 1": ("TIFF", lambda gray: Image.fromarray(gray.astype(np.float32) / 255), {}),
    "NaN and infinity": ("TIFF", float_with_nan, {}),
    "white transparent": ("PNG", lambda gray: Image.fromarray(gray).convert("RGB"), {"transparency": (255, 255, 255)}),
    "a palette, white transparent": ("PNG", lambda gray: Image.fromarray(gray).convert("P"), {"transparency": 255}),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_photo_gives_the_same_tile_however_its_pixels_are_written(way: str, size: tuple[int, int]) -> None:
    kind, make, options = WAYS[way]
    gray = gray_photo(size)

    tile = written(make(gray), kind, **options)

    expected = written(Image.fromarray(gray), "PNG")
    assert expected.max() > 150
    # where white is transparent, the mask is sharper than what is found
    assert np.abs(tile.astype(int) - expected).mean() < (6 if "transparent" in way else 1.5)


def test_colours_of_16_bits_are_transparent_where_they_should_be() -> None:
    """Pillow reads 8 of a pixel's bits, and 16 of the transparent colour's: whose lower ones are black's here."""
    image = Image.fromarray(gray_photo((300, 400))).convert("RGB")
    as_8_bits = written(image, "PNG")
    image.info["transparency"] = (0x8000, 0x8000, 0x8000)

    assert np.abs(view_of(image, "auto").tile.astype(int) - as_8_bits).mean() < 1.5


@pytest.mark.parametrize("shape", [(400, 300), (300, 300), (28, 28)])
def test_a_blank_tile_of_a_picture_that_is_not_is_an_error(shape: tuple[int, int]) -> None:
    below_black = np.linspace(-9, -1, shape[0] * shape[1], dtype=np.float32).reshape(shape)

    with pytest.raises(BlankError, match="nothing can be made out in it"):
        look(Image.fromarray(below_black))


def test_what_is_cut_out_in_white_is_blank_too() -> None:
    image = Image.new("RGB", (300, 300), "white")
    image.putalpha(Image.fromarray(255 - gray_photo((300, 300))))

    with pytest.raises(BlankError):
        look(image)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "F"])
@pytest.mark.parametrize("size", [(300, 200), (28, 28)])
def test_a_picture_of_one_colour_has_an_answer(mode: str, size: tuple[int, int]) -> None:
    tile = look(Image.new(mode, size)).tile

    assert len(np.unique(tile[tile > 0])) <= 1


def test_a_silhouette_has_an_answer() -> None:
    image = Image.new("RGBA", (280, 280))
    image.paste((0, 0, 0, 255), (70, 35, 210, 245))

    assert set(np.unique(look(image).tile)) == {0, 255}
