"""Pictures in a ZIP archive, and tiles in batches: .npy, .npz, and IDX as Fashion-MNIST comes."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.classify.reading import Options, Source, open_content
from fmnist_edge.contract import TILE_SIZE
from fmnist_edge.errors import InputError, first_line
from fmnist_edge.pictures.decode import MAX_BYTES, TOO_LONG
from fmnist_edge.pictures.kinds import READABLE, is_kept_aside, is_picture
from fmnist_edge.source import GZIP, IDX, NPY, ZIP


def find_in_archive(name: str, begin: bytes, options: Options) -> Iterator[Source]:
    """Each picture or tile in it, named like ``shoes.zip/left.png`` or ``tiles.npy[3]``. Raises InputError if it has none.

    begin: the file's first bytes.
    """
    if begin.startswith(ZIP):
        with damage_named():
            members = [member for member in open_zip(name).namelist() if not is_kept_aside(member)]
        if not all(member.endswith(".npy") for member in members):
            return find_pictures(name, members, options)
        batches = {f"{name}/{member.removesuffix('.npy')}": read_array(read_zipped(name, member)) for member in members}
    else:
        content = read_file(name, begin)
        batches = {name: read_array(content) if begin.startswith(NPY) else read_idx(content)}
    return find_tiles(batches, options)


def find_pictures(name: str, members: list[str], options: Options) -> Iterator[Source]:
    pictures = [member for member in members if is_picture(member)]
    if not pictures:
        raise InputError(f"no pictures in this archive ({READABLE})")
    for member in pictures:
        yield Source(f"{name}/{member}", partial(open_member, name, member, options), options.wanted)


def find_tiles(batches: dict[str, NDArray[Any]], options: Options) -> Iterator[Source]:
    """batches: arrays by name. Those that can't be tiles are skipped."""
    if options.wanted == "photo":
        raise InputError("it holds tiles, not photos; leave --input photo out")
    tiles = {batch: array for batch, array in batches.items() if array.dtype == np.uint8 and array.shape[-2:] == (TILE_SIZE,) * 2}
    if not tiles:
        found = ", ".join(f"{array.dtype} {array.shape}" for array in batches.values()) or "nothing"
        raise InputError(f"tiles are uint8 (N, 28, 28), background 0; this holds {found}")
    for batch, array in tiles.items():
        for number, tile in enumerate(array.reshape(-1, TILE_SIZE, TILE_SIZE)):
            yield Source(f"{batch}[{number}]", partial(Image.fromarray, tile), "tile")


@lru_cache(maxsize=1)
def open_zip(name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(name)


def open_member(name: str, member: str, options: Options) -> Image.Image:
    return open_content(read_zipped(name, member), options)


def read_zipped(name: str, member: str) -> bytes:
    with damage_named():
        if open_zip(name).getinfo(member).file_size > MAX_BYTES:
            raise InputError(TOO_LONG)
        return open_zip(name).read(member)


def read_file(name: str, begin: bytes) -> bytes:
    with damage_named(), gzip.open(name) if begin.startswith(GZIP) else open(name, "rb") as file:
        content: bytes = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InputError(TOO_LONG)
    return content


def read_array(content: bytes) -> NDArray[Any]:
    with damage_named():
        return np.asarray(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))


def read_idx(content: bytes) -> NDArray[np.uint8]:
    """The format of the files that Fashion-MNIST and MNIST come in (yann.lecun.com/exdb/mnist)."""
    if not content.startswith(IDX):
        raise InputError("neither a picture nor tiles in the format IDX")
    shape = tuple(int.from_bytes(content[start : start + 4], "big") for start in (4, 8, 12))
    with damage_named():
        return np.frombuffer(content, np.uint8, offset=16).reshape(shape)


@contextmanager
def damage_named() -> Iterator[None]:
    """Turns whatever is raised for a broken archive into an InputError."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError((error.strerror or first_line(error)).lower()) from None
    except NotImplementedError as error:  # Windows packs large files with Deflate64
        raise InputError(f"packed in a way that can't be read here ({first_line(error)}); unpack it first") from None
    # zipfile and numpy raise many kinds of errors for a broken file: BadZipFile, zlib.error, struct.error, ValueError, ...
    except Exception as error:
        if "password" in str(error):
            raise InputError("it needs a password; unpack it first") from None
        raise InputError(f"the archive is damaged ({first_line(error)})") from None
