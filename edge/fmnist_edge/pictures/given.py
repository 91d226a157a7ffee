"""Turns what Python users give as pictures into views: paths, bytes, files, Pillow images and arrays. The rest is refused."""

import io
import os
from collections.abc import Iterable, Mapping
from glob import has_magic
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.address import is_address
from fmnist_edge.contract import TILE_SIZE
from fmnist_edge.errors import InputError, PictureError, first_line
from fmnist_edge.pictures.decode import MAX_BYTES, TOO_LONG, decode
from fmnist_edge.pictures.tile import View, look, read_picture, view_of


class BinaryFile(Protocol):
    """Anything that returns bytes: an open file, io.BytesIO, a member of a ZIP archive, an answer of urllib."""

    def read(self, size: int, /) -> bytes: ...


class ArrayLike(Protocol):
    """Anything that numpy can turn into an array: tensors of PyTorch and TensorFlow, pandas' series."""

    def __array__(self) -> NDArray[Any]: ...


Bytes = bytes | bytearray | memoryview

Picture: TypeAlias = str | os.PathLike[str] | Bytes | BinaryFile | Image.Image | NDArray[Any] | ArrayLike
"""A path, a file's bytes, an open file, a Pillow image, or an array as ARRAYS says."""

PICTURES = "a picture is a path, a file's bytes, a file opened with 'rb', a Pillow image or a uint8 array"

ARRAYS = (
    "an array is uint8 and (H, W), (H, W, 3) in RGB (OpenCV's are BGR: a[..., ::-1]) or (H, W, 4); "
    "several are (N, H, W, 3), tiles (28, 28) or (N, 28, 28)"
)

CHANNELS = (1, 3, 4)

CURES = {
    "f": "floats 0 to 1: (a * 255).astype('uint8'); floats 0 to 255: a.astype('uint8')",
    "b": "(a * 255).astype('uint8')",
    "u": "16 bits: (a // 257).astype('uint8'); numbers to 255: a.astype('uint8')",
    "i": "numbers from 0 to 255: a.astype('uint8')",
    "O": "pictures of different sizes stand in a list, not in an array",
}
"""How to turn other arrays into uint8, by their dtype's kind."""

PIECE = 2**20
"""Bytes of a file that are read at once."""


def each(given: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """The pictures that are given: one, several, or an array of several. Raises PictureError where that can't be known."""
    if isinstance(given, str | os.PathLike | Bytes | Image.Image):
        return [given]
    if is_array(given):
        array = to_array(given)
        if array.dtype.kind in "OU" and array.ndim == 1:  # of paths, as in a table's column
            return list(array.tolist())
        check_array(array)
        return array if is_batch(array.shape) else [array]
    if hasattr(given, "read"):
        return [given]  # type: ignore[list-item]
    if isinstance(given, Mapping):
        raise PictureError(f"{name_of_type(given)}: give the pictures alone, as in classify(pictures.values())")
    if isinstance(given, Iterable):
        return given
    return [given]  # which is refused


def to_view(picture: Picture) -> View:
    """What one picture shows. Raises InputError if it can't be read, PictureError if it is none."""
    if isinstance(picture, np.ndarray):  # a quick check, as tiles come by the thousand
        return look_at_array(picture)
    if isinstance(picture, str | os.PathLike):
        return look_at_file(picture)
    if isinstance(picture, Image.Image):
        return look(picture)
    if isinstance(picture, Bytes):
        return look_at_bytes(bytes(picture))
    if is_array(picture):
        return look_at_array(to_array(picture))
    if hasattr(picture, "read"):
        return look_at_bytes(read_file(picture))
    raise PictureError(what_it_is(picture))


def path_of(picture: Picture) -> str | None:
    """The file that a picture comes from, if it tells."""
    if isinstance(picture, np.ndarray):
        return None
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    name = getattr(picture, "filename", None) if isinstance(picture, Image.Image) else None
    if hasattr(picture, "read"):
        name = getattr(picture, "name", None)
    return name if name and isinstance(name, str) else None


def look_at_file(path: str | os.PathLike[str]) -> View:
    try:
        return read_picture(path)
    except InputError as error:
        raise type(error)(what_to_give(os.fspath(path)) or str(error)) from None


def what_to_give(path: str) -> str | None:
    """What to give instead of a path that only the command takes; None if there is nothing to say."""
    if os.path.isdir(path):
        return "a folder; give the pictures in it, as in classify(Path('photos').glob('*.jpg'))"
    if os.path.lexists(path):
        is_archive = path.lower().endswith((".zip", ".npy", ".npz", ".gz"))
        cure = "not a picture; give the pictures or arrays in it, by way of zipfile.ZipFile or numpy.load"
        return cure if is_archive else None
    if is_address(path):
        return "an address; give what it sends, as in classify(urllib.request.urlopen(address))"
    return "no such file; give the files that fit a pattern, as in classify(glob.glob('*.jpg'))" if has_magic(path) else None


def look_at_bytes(content: bytes) -> View:
    if len(content) > MAX_BYTES:
        raise InputError(TOO_LONG)
    if not content:
        raise InputError("there is nothing in it")
    return view_of(decode(io.BytesIO(content)), "auto")


def look_at_array(array: NDArray[Any]) -> View:
    check_array(array)
    if is_batch(array.shape):
        raise PictureError(f"{described(array)} are several pictures: give them by themselves, not in a list")
    if array.shape[:2] == (TILE_SIZE, TILE_SIZE) and array.shape[2:] in ((), (1,)):
        return View(array.reshape(TILE_SIZE, TILE_SIZE).copy(), "tile")  # the caller may write into the array later
    if array.size == 0:
        raise InputError("the picture has no pixels")
    return look(Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array))


def check_array(array: NDArray[Any]) -> None:
    """Raises PictureError, with the cure, unless the array is a picture or several."""
    shape = array.shape
    if array.dtype != np.uint8:
        raise PictureError(f"{described(array)}: {CURES.get(array.dtype.kind, 'no pixels')}; {ARRAYS}")
    if len(shape) == 2 or is_batch(shape) or (len(shape) == 3 and shape[-1] in CHANNELS):
        return
    if shape == (TILE_SIZE**2,):
        raise PictureError(f"{described(array)}: a tile is a.reshape(28, 28); {ARRAYS}")
    if len(shape) == 1:
        raise PictureError(f"{described(array)}: if these are the bytes of a picture's file, a.tobytes(); {ARRAYS}")
    if len(shape) in (3, 4) and shape[-3] in CHANNELS:
        turned = "a.transpose(1, 2, 0)" if len(shape) == 3 else "a.transpose(0, 2, 3, 1)"
        raise PictureError(f"{described(array)}: the channels come last: {turned}; {ARRAYS}")
    if len(shape) == 3 and shape[-1] > max(CHANNELS):
        raise PictureError(f"{described(array)}: gray pictures one after the other are a[..., None]; {ARRAYS}")
    raise PictureError(f"{described(array)}: {ARRAYS}")


def is_batch(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape is several pictures."""
    return (len(shape) == 4 and shape[-1] in CHANNELS) or (len(shape) == 3 and shape[1:] == (TILE_SIZE, TILE_SIZE))


def is_array(given: object) -> bool:
    return isinstance(given, np.ndarray) or hasattr(given, "__array__")


def to_array(given: Any) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except Exception as error:  # a tensor on a graphics card, for one
        raise PictureError(f"{name_of_type(given)}: numpy can't make an array of it ({first_line(error)})") from None


def read_file(file: Any) -> bytes:
    """What is left to read in a file."""
    if isinstance(file, io.TextIOBase):
        raise PictureError("a file that was opened as text; open(path, 'rb') gives its bytes")
    content = bytearray()
    while len(content) <= MAX_BYTES and (piece := read_piece(file)):
        content += piece
    if not content:
        raise InputError("there is nothing left to read in it; file.seek(0) goes back to its start")
    return bytes(content)


def read_piece(file: Any) -> bytes:
    try:
        piece = file.read(PIECE)
    except OSError as error:
        raise InputError((error.strerror or first_line(error)).lower()) from None
    except Exception as error:  # its read() is of another kind, as that of cv2.VideoCapture
        raise PictureError(f"{name_of_type(file)} can't be read ({first_line(error)}); {PICTURES}") from None
    if not isinstance(piece, bytes):
        raise PictureError(f"{name_of_type(file)} gives no bytes, but {name_of_type(piece)}; {PICTURES}")
    return piece


def what_it_is(nonsense: object) -> str:
    if nonsense is None:
        return f"None, which cv2.imread gives for a file that it can't read: give the path instead; {PICTURES}"
    if isinstance(nonsense, list | tuple):
        return f"a {name_of_type(nonsense)} in a list: give pictures in one list; of numbers np.array(a, 'uint8'); {PICTURES}"
    return f"{name_of_type(nonsense)}; {PICTURES}"


def described(array: NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"


def name_of_type(thing: object) -> str:
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
