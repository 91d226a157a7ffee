"""What Python users give as pictures: what is taken, as what, and what is said of the rest."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.errors import InputError, PictureError
from fmnist_edge.pictures import given
from fmnist_edge.pictures.given import Picture, each, path_of, to_view
from fmnist_edge.pictures.tile import View, look

TILES = np.random.default_rng(0).integers(0, 32, (5, 28, 28), np.uint8)
PHOTO = np.asarray(Image.effect_noise((60, 40), 50).convert("RGB"))


class Tensor:
    """As those of PyTorch and TensorFlow: no array, but numpy can make one of it. Some have a name, which is none of a file."""

    name = "weight"

    def __init__(self, array: NDArray[Any], on_device: bool = False) -> None:
        self._array, self._on_device = array, on_device

    def __array__(self, dtype: object = None, copy: object = None) -> NDArray[Any]:
        if self._on_device:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return self._array


class Stream(io.RawIOBase):
    """A file that gives what it likes, as cv2.VideoCapture does."""

    def __init__(self, piece: Any) -> None:
        self._piece = piece

    def read(self, size: int = -1, /) -> Any:
        if isinstance(self._piece, Exception):
            raise self._piece
        return self._piece


def png(picture: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


def views(pictures: Any) -> list[View]:
    return [to_view(picture) for picture in each(pictures)]


def refusal(pictures: Any) -> str:
    with pytest.raises(PictureError) as caught:
        views(pictures)
    return str(caught.value)


def same(view: View, other: View) -> bool:
    return np.array_equal(view.tile, other.tile) and view[1:] == other[1:]


@pytest.mark.parametrize(
    "pictures",
    [
        *(TILES[0], TILES[0][..., None], TILES[:1], TILES[:1, ..., None], Tensor(TILES[0]), [TILES[0]]),
        *(png(TILES[0]), bytearray(png(TILES[0])), memoryview(png(TILES[0])), io.BytesIO(png(TILES[0]))),
        *(Image.fromarray(TILES[0]), np.repeat(TILES[0][..., None], 3, -1), iter([TILES[0]])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_tile_is_a_tile_however_it_is_given(pictures: Any) -> None:
    (view,) = views(pictures)

    assert same(view, View(TILES[0], "tile"))


@pytest.mark.parametrize(
    "array",
    [
        *(PHOTO, PHOTO[..., ::-1][..., ::-1], np.asfortranarray(PHOTO), PHOTO[None], Tensor(PHOTO)),
        np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)]),
    ],
)
def test_a_photo_is_a_photo_however_it_is_given(array: Any) -> None:
    (view,) = views(array)

    assert same(view, look(Image.fromarray(PHOTO)))


def test_a_gray_picture_is_what_it_would_be_in_colour() -> None:
    gray = PHOTO[..., 0]

    assert same(views(gray)[0], look(Image.fromarray(gray)))
    assert same(views(gray[..., None])[0], look(Image.fromarray(gray)))


def test_an_array_of_a_tiles_size_is_a_tile_whatever_its_ground() -> None:
    bright = 255 - TILES[0]

    assert same(views(bright)[0], View(bright, "tile"))
    assert same(views(bright[..., None])[0], View(bright, "tile"))


def test_an_array_of_several_is_several() -> None:
    assert [view.kind for view in views(TILES)] == ["tile"] * 5
    assert [view.kind for view in views(np.stack([PHOTO] * 3))] == ["photo"] * 3
    assert views(TILES[:0]) == views([]) == views(()) == []


def test_a_column_of_a_table_is_its_paths(tmp_path: Path) -> None:
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]

    assert list(each(np.array(paths))) == list(each(Tensor(np.array(paths, object)))) == paths


def test_a_tile_does_not_change_when_its_array_does() -> None:
    array = TILES[0].copy()
    view = to_view(array)
    array[:] = 0

    np.testing.assert_array_equal(view.tile, TILES[0])


@pytest.mark.parametrize(
    ("array", "begin"),
    [
        (PHOTO / 255, "float64 (40, 60, 3): floats 0 to 1: (a * 255).astype('uint8'); "),
        (TILES[0].astype(np.float32), "float32 (28, 28): floats 0 to 1: (a * 255).astype('uint8'); "),
        (TILES > 9, "bool (5, 28, 28): (a * 255).astype('uint8'); "),
        (PHOTO.astype(np.uint16), "uint16 (40, 60, 3): 16 bits: (a // 257).astype('uint8'); "),
        (PHOTO.astype(np.int64), "int64 (40, 60, 3): numbers from 0 to 255: a.astype('uint8'); "),
        (PHOTO.astype(complex), "complex128 (40, 60, 3): no pixels; an array is uint8 and "),
        (TILES[0].reshape(-1), "uint8 (784,): a tile is a.reshape(28, 28); "),
        (PHOTO[None, ..., 0].repeat(2, 0), "uint8 (2, 40, 60): gray pictures one after the other are a[..., None]; "),
        (np.array([[PHOTO, None]], object), "object (1, 2): pictures of different sizes stand in a list, "),
        (PHOTO.transpose(2, 0, 1), "uint8 (3, 40, 60): the channels come last: a.transpose(1, 2, 0); "),
        (PHOTO.transpose(2, 0, 1)[None], "uint8 (1, 3, 40, 60): the channels come last: a.transpose(0, 2, 3, 1); "),
        (np.frombuffer(png(TILES[0]), np.uint8), "a.tobytes(); "),
        (PHOTO[..., :2], "uint8 (40, 60, 2): an array is uint8 and "),
        (PHOTO[None, None], "uint8 (1, 1, 40, 60, 3): an array is uint8 and "),
        (np.uint8(5), "uint8 (): an array is uint8 and "),
    ],
)
def test_another_array_is_refused_with_its_shape_and_the_cure(array: Any, begin: str) -> None:
    for message in (refusal(array), refusal([array])):
        assert begin in message
        assert message.startswith(f"{array.dtype} {array.shape}: ")
        assert "(H, W, 3) in RGB (OpenCV's are BGR: a[..., ::-1])" in message


@pytest.mark.parametrize(
    ("nonsense", "begin"),
    [
        (None, "None, which cv2.imread gives for a file that it can't read: give the path instead; "),
        ([None], "None, which cv2.imread gives for "),
        (5, "int; a picture is a path, a file's bytes, "),
        ([[0, 1], [2, 3]], "a list in a list: give pictures in one list; of numbers np.array(a, 'uint8'); "),
        ([TILES], "uint8 (5, 28, 28) are several pictures: give them by themselves, not in a list"),
        ({"shoe": TILES[0]}, "dict: give the pictures alone, as in classify(pictures.values())"),
        (io.StringIO("text"), "a file that was opened as text; open(path, 'rb') gives its bytes"),
        (Stream((True, PHOTO)), f"{__name__}.Stream gives no bytes, but tuple; "),
        (Stream(TypeError("no size\nis taken")), f"{__name__}.Stream can't be read (no size); "),
        (Tensor(PHOTO, on_device=True), f"{__name__}.Tensor: numpy can't make an array of it (can't convert cuda:0 "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_picture_is_told_what_one_is(nonsense: Any, begin: str) -> None:
    assert refusal(nonsense).startswith(begin)


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        ("folder", "a folder; give the pictures in it, as in classify(Path('photos').glob('*.jpg'))"),
        *(
            (name, "not a picture; give the pictures or arrays in it, by way of zipfile.ZipFile or numpy.load")
            for name in ("shoes.zip", "tiles.npy", "tiles.npz", "IMAGES.GZ")
        ),
        ("*.jpg", "no such file; give the files that fit a pattern, as in classify(glob.glob('*.jpg'))"),
        ("http://porch.local/shoe.jpg", "an address; give what it sends, as in classify(urllib.request.urlopen(address))"),
        ("gone.jpg", "no such file or directory"),
        ("gone.zip", "no such file or directory"),
        ("text.jpg", "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture"),
    ],
)
def test_of_what_only_the_command_takes_it_says_what_to_give(
    path: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("shoes.zip", "tiles.npy", "tiles.npz", "IMAGES.GZ", "text.jpg"):
        (tmp_path / name).write_text("no picture")

    with pytest.raises(InputError) as caught:
        views(path)
    assert str(caught.value) == cure


def test_an_empty_picture_has_no_pixels() -> None:
    with pytest.raises(InputError, match=r"^the picture has no pixels$"):
        views(np.zeros((0, 640, 3), np.uint8))


def test_a_huge_array_is_refused_before_it_is_looked_at() -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (10_000, 10_000), (0, 0))

    with pytest.raises(InputError, match="larger than 64 million pixels"):
        views(huge)


def test_what_is_left_of_a_file_is_read() -> None:
    file = io.BytesIO(b"head" + png(TILES[0]))
    file.seek(4)

    assert views(file)[0].kind == "tile"
    with pytest.raises(InputError, match=r"^there is nothing left to read in it; file\.seek\(0\) goes back to its start$"):
        views(file)


def test_a_file_that_fails_is_an_input_error() -> None:
    with pytest.raises(InputError, match="input/output error"):
        views(Stream(OSError(5, "Input/output error")))
    with pytest.raises(InputError, match="the line is dead"):
        views(Stream(OSError("The line is dead")))


def test_a_file_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "MAX_BYTES", 120)

    with pytest.raises(InputError, match="larger than 256 MB"):
        views(Stream(bytes(60)))


def test_no_bytes_are_no_picture() -> None:
    with pytest.raises(InputError, match=r"^there is nothing in it$"):
        views(b"")


def test_as_many_bytes_as_may_be_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(TILES[0])
    monkeypatch.setattr(given, "MAX_BYTES", len(content))

    assert views(content)[0].kind == "tile"
    assert views(io.BytesIO(content))[0].kind == "tile"
    with pytest.raises(InputError, match="larger than 256 MB"):
        views(content + b"x")


def test_a_file_without_a_name_has_no_path() -> None:
    with tempfile.TemporaryFile() as file:
        assert isinstance(file.name, int)
        assert path_of(file) is None


@pytest.mark.parametrize("kind", ["path", "str", "file", "image"])
def test_a_picture_is_named_by_its_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tile.png"
    path.write_bytes(png(TILES[0]))
    with open(path, "rb") as file:
        pictures: dict[str, Picture] = {"path": path, "str": str(path), "file": file, "image": Image.open(path)}

        assert path_of(pictures[kind]) == str(path)


@pytest.mark.parametrize("picture", [TILES[0], Tensor(TILES[0]), b"", io.BytesIO(), Image.new("L", (1, 1))])
def test_what_has_no_file_has_no_path(picture: Picture) -> None:
    assert path_of(picture) is None


def test_a_generator_is_read_picture_by_picture() -> None:
    taken = []

    def pictures() -> Iterator[Picture]:
        for tile in TILES:
            taken.append(tile)
            yield tile

    next(iter(each(pictures())))

    assert len(taken) == 1
