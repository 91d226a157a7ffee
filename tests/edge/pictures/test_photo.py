"""Photos that the tests draw themselves, and the tiles and masks that are made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFilter

from fmnist_edge.contract import Tile
from fmnist_edge.pictures.photo import cut_out
from fmnist_edge.pictures.segment import find_garment, label_blobs
from fmnist_edge.pictures.tile import look, read_picture

Outline = list[tuple[float, float]]
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Size = tuple[int, int]
Ground = Callable[[Size, Colour], Image.Image]

T_SHIRT: Outline = [(0.3, 0.1), (0.42, 0.15), (0.58, 0.15), (0.7, 0.1), (0.95, 0.3), (0.85, 0.43), (0.73, 0.36)]
T_SHIRT += [(0.73, 0.95), (0.27, 0.95), (0.27, 0.36), (0.15, 0.43), (0.05, 0.3)]
TROUSERS: Outline = [(0.25, 0.05), (0.75, 0.05), (0.85, 0.95), (0.6, 0.95), (0.5, 0.35), (0.4, 0.95), (0.15, 0.95)]

CENTRED: Box = (0.2, 0.1, 0.8, 0.9)

BLACK, WHITE, GRAY, BROWN = (0, 0, 0), (255, 255, 255), (165, 160, 155), (75, 55, 45)
NAVY, RED, GREEN, BLUE = (25, 30, 70), (190, 30, 40), (90, 140, 90), (90, 110, 190)
CREAM, BEIGE = (235, 225, 205), (205, 175, 135)


def silhouette(outline: Outline, size: Size, box: Box) -> Image.Image:
    """The outline filled with 255 on 0; box: where its 0 to 1 goes: left, top, right, bottom, as shares."""
    left, top, right, bottom = box
    width, height = size
    points = [((left + x * (right - left)) * width, (top + y * (bottom - top)) * height) for x, y in outline]
    image = Image.new("L", size)
    ImageDraw.Draw(image).polygon(points, fill=255)
    return image


def plain(size: Size, colour: Colour) -> Image.Image:
    return Image.new("RGB", size, colour)


def carpet(size: Size, colour: Colour) -> Image.Image:
    """Grainy, as carpets, stone and high ISO numbers are."""
    noise = np.random.default_rng(0).normal(0, 25, (size[1], size[0], 1))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def lit_wall(size: Size, colour: Colour) -> Image.Image:
    """Bright at the upper left, at the lower right half as bright."""
    rows, columns = np.mgrid[0 : 1 : size[1] * 1j, 0 : 1 : size[0] * 1j]
    return Image.fromarray((np.array(colour) * (1 - 0.25 * (rows + columns))[..., None]).astype(np.uint8))


def boards(size: Size, colour: Colour) -> Image.Image:
    """A floor of boards of changing tone, dark joints between them."""
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    for number, x in enumerate(range(0, size[0], size[0] // 8)):
        draw.rectangle((x, 0, x + size[0] // 8 - 3, size[1]), tuple(value * (90 + number % 3 * 5) // 100 for value in colour))
    return image


def dressed(ground: Image.Image, shape: Image.Image, colour: Colour) -> Image.Image:
    """The ground with a garment of this shape on it, a little noisy so that no two pixels are quite the same."""
    noise = np.random.default_rng(1).normal(0, 4, (ground.height, ground.width, 1))
    cloth = Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))
    return Image.composite(cloth, ground, shape)


def overlap(mask: NDArray[np.bool_], shape: Image.Image) -> float:
    """Intersection over union of a mask and a drawn silhouette."""
    drawn = np.asarray(shape.resize(mask.shape[::-1])) > 127
    return float((mask & drawn).sum() / (mask | drawn).sum())


def inner_and_outer(shape: Image.Image) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels of a tile must be well inside and which well outside of the silhouette: cropped, fitted, centred."""
    shape = shape.crop(shape.getbbox())
    size = [round(edge * 28 / max(shape.size)) for edge in shape.size]
    drawn = Image.new("L", (32, 32))
    drawn.paste(shape.resize(size, Image.Resampling.BOX), ((32 - size[0]) // 2, (32 - size[1]) // 2))
    shrunk, grown = (np.asarray(drawn.filter(kind(5)))[2:-2, 2:-2] for kind in (ImageFilter.MinFilter, ImageFilter.MaxFilter))
    return shrunk == 255, grown == 0


def lightness(colour: Colour) -> int:
    return int(np.asarray(Image.new("RGB", (1, 1), colour).convert("L"))[0, 0])


def occupied(tile: Tile) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last row, first and last column of a tile that are not background."""
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    return rows[[0, -1]], columns[[0, -1]]


def longest_edge(tile: Tile) -> int:
    return 1 + max(int(last - first) for first, last in occupied(tile))


def off_centre(tile: Tile) -> NDArray[np.float64]:
    return np.mean(occupied(tile), axis=1) - 13.5


@pytest.fixture
def shape() -> Image.Image:
    return silhouette(T_SHIRT, (360, 480), CENTRED)


@pytest.fixture
def photo(shape: Image.Image) -> Image.Image:
    """A navy T-shirt on a floor of boards."""
    return dressed(boards(shape.size, (200, 160, 110)), shape, NAVY)


@pytest.mark.parametrize("outline", [T_SHIRT, TROUSERS], ids=["t-shirt", "trousers"])
@pytest.mark.parametrize(
    ("ground", "ground_colour", "garment"),
    [
        (plain, WHITE, NAVY),
        (plain, WHITE, BEIGE),
        (plain, BLACK, CREAM),
        (plain, GREEN, RED),
        (carpet, GRAY, NAVY),
        (carpet, BROWN, CREAM),
        (lit_wall, WHITE, NAVY),
        (lit_wall, BLUE, RED),
        (boards, BEIGE, NAVY),
        (boards, BROWN, CREAM),
    ],
)
def test_a_garment_is_cut_out_of_its_ground(ground: Ground, ground_colour: Colour, garment: Colour, outline: Outline) -> None:
    shape = silhouette(outline, (360, 480), CENTRED)

    tile, mask, found = cut_out(dressed(ground(shape.size, ground_colour), shape, garment))

    assert found
    inside, outside = inner_and_outer(shape)
    assert overlap(mask, shape) > 0.9
    assert longest_edge(tile) == 28
    assert abs(off_centre(tile)).max() <= 0.5
    assert tile[outside].max() == 0
    np.testing.assert_allclose(tile[inside], 255 - lightness(garment), atol=16)


@pytest.mark.parametrize("box", [(0.05, 0.05, 0.45, 0.5), (0.5, 0.15, 0.95, 0.65), (0.3, 0.55, 0.7, 0.95)])
def test_a_garment_off_the_centre_is_centred(box: Box) -> None:
    shape = silhouette(T_SHIRT, (480, 360), box)

    tile, mask, _ = cut_out(dressed(carpet(shape.size, GRAY), shape, RED))

    assert overlap(mask, shape) > 0.85
    assert longest_edge(tile) == 28
    assert abs(off_centre(tile)).max() <= 0.5


def test_of_two_garments_of_a_size_both_are_shown() -> None:
    left, right = (silhouette(TROUSERS, (480, 360), box) for box in [(0.1, 0.1, 0.45, 0.9), (0.55, 0.1, 0.9, 0.9)])
    both = ImageChops.lighter(left, right)

    _, mask, _ = cut_out(dressed(carpet(both.size, GRAY), both, NAVY))

    assert overlap(mask, both) > 0.85


def test_of_a_garment_and_a_small_thing_beside_it_the_garment_is_shown() -> None:
    shirt, thing = (silhouette(T_SHIRT, (480, 360), box) for box in [(0.1, 0.1, 0.7, 0.9), (0.8, 0.1, 0.9, 0.25)])

    _, mask, _ = cut_out(dressed(plain(shirt.size, GRAY), ImageChops.lighter(shirt, thing), NAVY))

    assert overlap(mask, shirt) > 0.9


def test_a_print_in_the_colour_of_the_ground_leaves_no_hole(shape: Image.Image) -> None:
    printed = shape.copy()
    printed.paste(0, (150, 200, 210, 260))

    _, mask, _ = cut_out(dressed(plain(shape.size, WHITE), printed, NAVY))

    assert overlap(mask, shape) > 0.9


@pytest.mark.parametrize(("edge", "bar"), [(40, 0.8), (100, 0.9), (1000, 0.9), (2500, 0.9)])
def test_the_size_of_a_photo_does_not_matter(edge: int, bar: float, shape: Image.Image, photo: Image.Image) -> None:
    size = (edge * 3 // 4, edge)

    _, mask, _ = cut_out(photo.resize(size))

    assert overlap(mask, shape) > bar


def test_a_belt_in_a_panorama_is_found() -> None:
    belt = silhouette([(0, 0), (1, 0), (1, 1), (0, 1)], (1600, 320), (0.1, 0.3, 0.9, 0.7))

    tile, mask, _ = cut_out(dressed(plain(belt.size, WHITE), belt, BROWN))

    assert overlap(mask, belt) > 0.8
    assert longest_edge(tile) == 28


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "YCbCr", "LAB", "I;16", "I;16B", "I", "F"])
@pytest.mark.parametrize("scale", [1, 4])
def test_every_kind_of_pixel_is_cut_out(mode: str, scale: int, shape: Image.Image, photo: Image.Image) -> None:
    photo = photo.resize((photo.width * scale, photo.height * scale))
    if mode == "LAB":
        photo = ImageCms.applyTransform(
            photo, ImageCms.buildTransform(*map(ImageCms.createProfile, ("sRGB", "LAB")), "RGB", "LAB")
        )
    elif mode.startswith("I"):
        dtype = {"I": np.int32, "I;16": "<u2", "I;16B": ">u2"}[mode]
        photo = Image.fromarray((np.asarray(photo.convert("L")).astype(np.int32) * 257).astype(dtype))
    else:
        photo = photo.convert(mode)

    assert photo.mode == mode
    assert overlap(cut_out(photo)[1], shape) > 0.9


def test_a_photo_in_black_and_white_only_is_cut_out(shape: Image.Image) -> None:
    photo = dressed(plain(shape.size, WHITE), shape, BLACK).convert("1")

    assert overlap(cut_out(photo)[1], shape) > 0.9


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_transparent_ground_is_the_mask(mode: str, scale: int, shape: Image.Image, photo: Image.Image) -> None:
    photo.putalpha(shape)
    cut, hidden = photo.convert(mode), Image.new(mode, photo.size)
    hidden.paste(cut, mask=shape)
    large = [image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST) for image in (cut, hidden)]

    (tile, mask, _), (same_tile, _, _) = map(cut_out, large)

    assert overlap(mask, shape) > 0.98
    np.testing.assert_array_equal(tile, same_tile)


def test_an_alpha_channel_that_hides_next_to_nothing_is_no_mask(shape: Image.Image, photo: Image.Image) -> None:
    photo.putalpha(255)
    photo.putpixel((0, 0), (0, 0, 0, 0))

    assert overlap(cut_out(photo)[1], shape) > 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 4])
def test_a_photo_is_turned_upright(orientation: int, scale: int, tmp_path: Path) -> None:
    shape = silhouette(T_SHIRT, (360, 480), (0.1, 0.1, 0.7, 0.8))
    upright = dressed(plain(shape.size, GREEN), shape, NAVY)
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]  # the transposition that the camera's way of being held makes
    stored = upright.resize((360 * scale, 480 * scale))
    stored = stored if undo is None else stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.jpg", exif=exif)

    with Image.open(tmp_path / "photo.jpg") as image:
        _, mask, _ = cut_out(image)
    assert overlap(mask, shape) > 0.9
    assert np.abs(read_picture(tmp_path / "photo.jpg").tile.astype(int) - cut_out(upright)[0]).mean() < 8


def test_of_an_animation_the_first_frame_is_shown(shape: Image.Image, photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "turning.gif", save_all=True, append_images=[Image.new("RGB", photo.size, "red")])

    with Image.open(tmp_path / "turning.gif") as image:
        assert overlap(cut_out(image)[1], shape) > 0.9


@pytest.mark.parametrize("colour", [WHITE, BLACK, GRAY, RED])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3), (28, 28), (29, 28), (1, 700), (5000, 2), (300, 400)])
def test_a_picture_of_one_colour_gives_a_tile_of_one_value(size: Size, colour: Colour) -> None:
    tile, mask, found = cut_out(Image.new("RGB", size, colour))

    assert mask.any()
    assert not found
    assert set(np.unique(tile)) <= {0, 255 - lightness(colour)}


def test_a_picture_that_is_transparent_all_over_gives_an_empty_tile() -> None:
    tile, mask, _ = cut_out(Image.new("RGBA", (300, 200), (0, 0, 0, 0)))

    assert mask.all()
    assert tile.max() == 0


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_any_size_gives_a_tile(seed: int) -> None:
    random = np.random.default_rng(seed)
    width, height = random.integers(1, 60, 2)

    tile, mask, _ = cut_out(Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)))

    assert tile.dtype == np.uint8
    assert tile.shape == (28, 28)
    assert mask.shape == (height, width)


def test_what_fills_or_hardly_touches_the_picture_is_no_garment() -> None:
    speck = plain((96, 96), WHITE)
    speck.paste(BLACK, (46, 46, 50, 50))

    assert find_garment(speck) is None
    assert cut_out(speck)[1].all()


def test_the_same_photo_gives_the_same_tile(photo: Image.Image) -> None:
    before = photo.tobytes()

    np.testing.assert_array_equal(cut_out(photo)[0], look(photo).tile)
    assert photo.tobytes() == before


def test_blobs_touch_at_edges_and_not_at_corners() -> None:
    mask = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [1, 1, 0, 0, 1]], dtype=np.bool_)

    blobs = label_blobs(mask)

    largest = blobs == blobs[0, 0]
    assert largest.sum() == 10
    assert len(np.unique(blobs[mask & ~largest])) == 3
    np.testing.assert_array_equal(blobs > 0, mask)
