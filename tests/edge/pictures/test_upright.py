"""Pictures as they are meant to be seen: which side is up, what shows through, how large they stay, how gray they are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.pictures.upright import (
    MOSTLY_OPAQUE,
    flatten,
    has_transparency,
    is_deep,
    is_gray,
    plain,
    shrink,
    to_gray,
    upright,
)


@pytest.mark.parametrize(
    ("edge", "shrunk"),
    [(255, 255), (256, 256), (511, 511), (512, 256), (767, 384), (768, 256), (1023, 341), (1024, 256), (1535, 307), (1536, 256)],
)
def test_a_picture_is_shrunk_by_whole_factors_to_what_is_enough(edge: int, shrunk: int) -> None:
    assert shrink(Image.new("RGB", (edge, 100))).width == shrunk


@pytest.mark.parametrize(("size", "shrunk"), [((5000, 1), (278, 1)), ((1, 5000), (1, 278)), ((4000, 3000), (267, 200))])
def test_a_panorama_keeps_a_pixel(size: tuple[int, int], shrunk: tuple[int, int]) -> None:
    assert shrink(Image.new("RGB", size)).size == shrunk


def test_a_shrunk_pixel_is_the_mean_of_what_it_stands_for() -> None:
    values = np.tile(np.array([[0, 200], [100, 100]], np.uint8), (256, 256))

    assert set(np.unique(np.asarray(shrink(Image.fromarray(values))))) == {100}


@pytest.mark.parametrize(("mode", "plain"), [("1", "RGB"), ("P", "RGB"), ("PA", "RGBA")])
@pytest.mark.parametrize("edge", [300, 600])
def test_a_palette_is_resolved_before_its_colours_are_mixed(mode: str, plain: str, edge: int) -> None:
    image = Image.new("L", (edge, edge), 255).convert("P" if mode == "PA" else mode).convert(mode)

    assert shrink(image).mode == plain


def test_a_deep_picture_is_made_gray_before_it_is_shrunk() -> None:
    assert shrink(Image.fromarray(np.full((600, 600), 65535, np.uint16))).mode == "L"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_a_small_picture_is_left_alone(mode: str) -> None:
    image = Image.new(mode, (511, 511))

    assert shrink(image) is image


def test_a_picture_is_turned_as_its_camera_says() -> None:
    image = Image.new("RGB", (40, 20))
    image.getexif()[0x0112] = 6

    assert upright(image)[0].size == (20, 40)


def test_a_tiff_is_not_turned_twice() -> None:
    """Pillow turns it as it decodes it; Pillow 9.4 goes on to say how."""
    image = Image.new("RGB", (40, 20))
    image.format = "TIFF"
    image.getexif()[0x0112] = 6

    assert upright(image)[0].size == (40, 20)


def alpha_of(opaque_share: float, opaque: int = 255) -> Image.Image:
    """A red picture of which this share can be seen."""
    values = np.zeros(10_000, np.uint8)
    values[: round(10_000 * opaque_share)] = opaque
    image = Image.new("RGB", (100, 100), (200, 0, 0))
    image.putalpha(Image.fromarray(values.reshape(100, 100)))
    return image


@pytest.mark.parametrize(
    ("share", "is_mask"), [(0.0001, True), (0.5, True), (0.9699, True), (0.97, False), (1, False), (0, False)]
)
def test_an_alpha_channel_that_hides_enough_and_not_all_is_the_garments_outline(share: float, is_mask: bool) -> None:
    assert MOSTLY_OPAQUE == 0.97
    image = alpha_of(share)

    _, alpha = flatten(image)

    assert (alpha is not None) is is_mask
    if alpha is not None:
        assert alpha.mode == "L"
        assert alpha.tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize(("opaque", "is_mask"), [(127, False), (128, True)])
def test_half_transparent_is_hidden(opaque: int, is_mask: bool) -> None:
    assert (flatten(alpha_of(0.5, opaque))[1] is not None) is is_mask


def test_transparent_parts_are_white() -> None:
    photo, _ = flatten(alpha_of(0.5))

    assert photo.mode == "RGB"
    assert photo.getpixel((0, 0)) == (200, 0, 0)
    assert photo.getpixel((99, 99)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_what_has_no_transparency_is_rgb_without_a_mask(mode: str) -> None:
    photo, alpha = flatten(Image.new("RGB", (5, 5), (90, 90, 90)).convert(mode))

    assert (photo.mode, alpha) == ("RGB", None)
    assert np.abs(np.asarray(photo).astype(int) - 90).max() <= 1


def test_a_deep_picture_keeps_its_grays() -> None:
    photo, alpha = upright(Image.fromarray(np.full((5, 5), 100 * 257, np.uint16)))

    assert (photo.getpixel((0, 0)), alpha) == ((100, 100, 100), None)


def palette_with_alpha() -> Image.Image:
    image = Image.new("P", (2, 2))
    image.putpalette([0, 0, 0, 0, 255, 0, 0, 255], "RGBA")
    return image


def test_transparency_is_seen_wherever_it_is_kept() -> None:
    marked = Image.new("L", (2, 2))
    marked.info["transparency"] = 0

    assert all(map(has_transparency, [Image.new("LA", (2, 2)), Image.new("RGBA", (2, 2)), marked, palette_with_alpha()]))
    assert has_transparency(Image.new("RGBa", (2, 2)))
    assert not any(has_transparency(Image.new(mode, (2, 2))) for mode in ("1", "L", "P", "RGB", "CMYK", "LAB", "I", "F"))


@pytest.mark.parametrize(
    ("mode", "deep"), [("I", True), ("I;16", True), ("I;16B", True), ("F", True), ("L", False), ("RGB", False)]
)
def test_values_of_more_than_eight_bits_are_deep(mode: str, deep: bool) -> None:
    assert is_deep(Image.new(mode, (2, 2))) is deep


def grays(values: NDArray[np.generic]) -> list[int]:
    return np.asarray(to_gray(Image.fromarray(np.atleast_2d(values)))).ravel().tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 257, 65535], np.uint16), [0, 1, 255]),
        (np.array([0, 100, 255], np.uint16), [0, 100, 255]),
        (np.array([0, 256], np.uint16), [0, 15]),
        (np.array([0, 2048, 4095], np.uint16), [0, 127, 255]),
        (np.array([0, 4096], np.uint16), [0, 15]),
        (np.array([0, 0.5, 1], np.float32), [0, 127, 255]),
        (np.array([0, 1.5, 255], np.float32), [0, 1, 255]),
        (np.array([0, 256, 65535], np.float32), [0, 0, 255]),
        (np.array([0, 2**19, 2**20], np.float32), [0, 127, 255]),
        (np.array([-np.inf, 0.5, 1], np.float32), [0, 127, 255]),
        (np.array([np.inf, 0, 0.5], np.float32), [127, 0, 127]),
        (np.array([-5, 0, 200], np.int32), [0, 0, 200]),
        (np.array([0, 32768, 65535], np.int32), [0, 127, 255]),
    ],
)
def test_deep_values_are_scaled_by_what_they_can_be(values: NDArray[np.generic], expected: list[int]) -> None:
    assert grays(values) == expected


def test_which_side_is_up_survives_the_grays() -> None:
    image = Image.fromarray(np.zeros((2, 2), np.uint16))
    image.info["exif"] = b"kept"

    assert to_gray(image).info["exif"] == b"kept"


def test_a_gray_picture_is_as_it_is() -> None:
    image = Image.new("L", (2, 2))

    assert to_gray(image) is image
    assert to_gray(Image.new("RGB", (2, 2), (50, 50, 50))).mode == "L"


@pytest.mark.parametrize(
    ("image", "gray"),
    [
        (Image.new("L", (2, 2)), True),
        (Image.new("I;16", (2, 2)), True),
        (Image.new("F", (2, 2)), True),
        (Image.new("RGB", (2, 2), (9, 9, 9)), True),
        (Image.new("RGB", (2, 2), (9, 9, 9)).convert("CMYK"), True),
        (Image.new("RGB", (2, 2), (9, 9, 10)), False),
        (Image.new("RGB", (2, 2), (9, 10, 9)), False),
        (Image.new("RGB", (2, 2), (10, 9, 9)), False),
        (Image.new("LA", (2, 2)), False),
        (Image.new("P", (2, 2)), True),
        (palette_with_alpha(), False),
    ],
)
def test_gray_is_what_has_neither_colour_nor_transparency(image: Image.Image, gray: bool) -> None:
    assert is_gray(image) is gray


def test_a_gray_picture_of_which_one_shade_is_transparent_is_more_than_gray() -> None:
    image = Image.new("L", (2, 2))
    image.info["transparency"] = 0

    assert not is_gray(image)


def test_one_coloured_pixel_is_colour() -> None:
    image = Image.new("RGB", (50, 50), (9, 9, 9))
    image.putpixel((49, 49), (9, 9, 10))

    assert not is_gray(image)


def see_through(*, picture: bool = True, centre: int = 0, corner: int = 0) -> Image.Image:
    """Transparent all over but for these pixels, with or without a picture behind."""
    image = Image.new("RGBA", (6, 4), (200, 30, 40, 0))
    if picture:
        image.putpixel((1, 1), (10, 20, 30, 0))
    image.putpixel((3, 2), (200, 30, 40, centre))
    image.putpixel((5, 3), (200, 30, 40, corner))
    return image


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (see_through(), "RGB"),  # a BMP's fourth byte, which most programs leave 0
        (see_through(picture=False), "RGBA"),
        (see_through(centre=1), "RGBA"),
        (see_through(corner=1), "RGBA"),
    ],
)
def test_a_picture_that_is_transparent_all_over_is_shown(image: Image.Image, mode: str) -> None:
    shown = plain(image)

    assert shown.mode == mode
    assert shown.getpixel((1, 1))[:3] == image.getpixel((1, 1))[:3]  # type: ignore[index]


@pytest.mark.parametrize("size", [(1, 2), (2, 1)])
def test_a_picture_one_pixel_wide_or_high_is_looked_at_too(size: tuple[int, int]) -> None:
    image = Image.new("RGBA", size, (9, 9, 9, 0))
    image.putpixel((0, 0), (1, 2, 3, 0))

    assert plain(image).mode == "RGB"


def marked(mode: str, transparent: object) -> Image.Image:
    image = Image.new(mode, (2, 1))
    image.putpixel((0, 0), 7 if mode == "L" else (255, 0, 0))
    image.info["transparency"] = transparent
    return image


@pytest.mark.parametrize(
    ("image", "alphas"),
    [
        (marked("RGB", (255, 0, 0)), [0, 255]),
        (marked("RGB", (0xFFFF, 0, 0)), [0, 255]),  # as Pillow leaves it of a PNG with 16 bits a colour
        (marked("RGB", (0xFF12, 0x34, 0)), [0, 255]),
        (marked("RGB", (256, 0, 0)), [255, 255]),
        (marked("RGB", (0, 0, 0)), [255, 0]),
        (marked("L", 7), [0, 255]),
    ],
)
def test_the_colour_that_stands_for_transparent_is_found_whatever_its_bits(image: Image.Image, alphas: list[int]) -> None:
    before = image.info["transparency"]

    assert list(plain(image).getchannel("A").tobytes()) == alphas
    assert image.info["transparency"] == before


@pytest.mark.parametrize("transparent", [300, None, b"\0"])
def test_of_a_deep_picture_one_gray_may_be_transparent(transparent: object) -> None:
    image = Image.fromarray(np.array([[300, 65535]], np.uint16))
    image.info["transparency"] = transparent

    shown = plain(image)

    if transparent == 300:
        assert [shown.getpixel((x, 0)) for x in (0, 1)] == [(1, 1, 1, 0), (255, 255, 255, 255)]
    else:
        assert [shown.getpixel((x, 0)) for x in (0, 1)] == [1, 255]


def test_what_nobody_measured_is_black_or_as_bright_as_the_brightest() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 4000, 2047.5]], np.float32)

    assert list(to_gray(Image.fromarray(values)).tobytes()) == [0, 249, 0, 249, 127]
    assert list(to_gray(Image.fromarray(np.full((1, 2), np.nan, np.float32))).tobytes()) == [0, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1], [0, 255]), ([0, 255], [0, 255]), ([0, 256], [0, 15]), ([0, 4095], [0, 255]), ([0, 4096], [0, 15])],
)
def test_white_is_the_first_full_scale_that_none_exceeds(values: list[int], expected: list[int]) -> None:
    assert list(to_gray(Image.fromarray(np.array([values], np.int32))).tobytes()) == expected


def test_what_exceeds_all_scales_has_its_own_brightest_for_white() -> None:
    assert list(to_gray(Image.fromarray(np.array([[0, 100_000, 200_000]], np.int32))).tobytes()) == [0, 127, 255]
