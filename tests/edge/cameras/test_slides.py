"""Pictures as a camera: each in its turn, those that can't be read named."""

import io
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.feed import EndOfFeed, Feed, Frame
from fmnist_edge.cameras.slides import Slides
from fmnist_edge.errors import InputError, SourceError

FAST = FeedOptions(fast=True)


def red(brightness: int) -> Image.Image:
    return Image.new("RGB", (20, 10), (brightness, 0, 0))


def fail() -> Image.Image:
    raise InputError("damaged")


def shown(openers: list[Callable[[], Image.Image]], options: FeedOptions = FAST) -> tuple[list[Frame], list[str]]:
    """The frames, and what is said. Pictures are called 0.png, 1.png, ..."""
    frames, said = list[Frame](), list[str]()
    slides = ((f"{number}.png", opened) for number, opened in enumerate(openers))
    with Feed([Slides("photos", slides, options)], options, said.append) as feed, suppress(EndOfFeed):
        while True:
            frames += [frame] if (frame := feed.next(5)) else []
    assert not feed.live
    assert feed.name.startswith("photos, 20x10 at ")
    return frames, said


def test_each_picture_is_a_frame_and_one_that_can_not_be_read_is_named_wherever_it_is() -> None:
    frames, said = shown([fail, partial(red, 1), fail, fail, partial(red, 2)])

    assert [frame.image.getpixel((0, 0)) for frame in frames] == [(1, 0, 0), (2, 0, 0)]
    assert [frame.seconds for frame in frames] == [1, 4]
    assert said == ["0.png: damaged", "2.png: damaged", "3.png: damaged"]


def test_pictures_come_so_many_a_second() -> None:
    frames, _ = shown([partial(red, 1), partial(red, 2), partial(red, 3)], FeedOptions(fps=50))

    assert [round(frame.seconds, 3) for frame in frames] == [0, 0.02, 0.04]
    assert frames[2].taken - frames[0].taken >= 0.03


@pytest.mark.parametrize(
    ("openers", "complaint"),
    [
        ([], "photos: there are no pictures in it"),
        ([fail], "photos: 0.png: damaged"),
        ([fail, fail, fail], "photos: 0.png: damaged; nor can 2 others be read"),
    ],
)
def test_if_no_picture_can_be_read_it_is_an_error(openers: list[Callable[[], Image.Image]], complaint: str) -> None:
    with pytest.raises(SourceError) as refused:
        shown(openers)

    assert str(refused.value) == complaint


def test_a_single_picture_is_not_named_twice() -> None:
    with pytest.raises(SourceError, match=r"^0\.png: damaged$"):
        Feed([Slides("0.png", [("0.png", fail)], FAST)], FAST, print)


def test_a_photo_is_turned_upright_and_what_is_transparent_is_white() -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    image = Image.new("RGBA", (10, 20), (0, 0, 0, 0))
    image.putpixel((0, 0), (200, 0, 0, 255))
    image.save(file, "png", exif=exif)

    (frame,), _ = shown([lambda: Image.open(file)])

    assert (frame.image.mode, frame.image.size) == ("RGB", (20, 10))
    pixels = np.asarray(frame.image)
    assert pixels[0, 19].tolist() == [200, 0, 0]
    assert pixels[5, 5].tolist() == [255, 255, 255]
