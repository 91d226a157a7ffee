"""What is a picture, by its name."""

import pytest

from fmnist_edge.pictures.kinds import is_picture


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jpeg", "a.webp", "a.bmp", "a.gif", "a.tif", "a.tiff", "A.JPG", "x.y.Png"])
def test_a_picture_is_known_by_its_suffix(name: str) -> None:
    assert is_picture(name)


@pytest.mark.parametrize("name", ["a.txt", "png", "a.png.zip", "a.eps", "", ".png", "._a.jpg", "__MACOSX/a.jpg"])
def test_other_files_are_no_pictures(name: str) -> None:
    assert not is_picture(name)
