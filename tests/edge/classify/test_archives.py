"""Archives of pictures and batches of tiles: what is in them, what it is called, and what is never unpacked."""

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.classify import archives
from fmnist_edge.classify.archives import find_in_archive, open_zip, read_array, read_file, read_idx, read_zipped
from fmnist_edge.classify.reading import Options, Source
from fmnist_edge.errors import InputError
from fmnist_edge.pictures.tile import View
from fmnist_edge.source import GZIP, IDX, NPY, ZIP

DEFAULT = Options()
TILES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    open_zip.cache_clear()


def png(gray: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (28, 28), gray).save(file, "png")
    return file.getvalue()


def write_zip(path: Path, members: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def idx(tiles: np.ndarray) -> bytes:
    return b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in tiles.shape) + tiles.tobytes()


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def views(name: str, begin: bytes, options: Options = DEFAULT) -> dict[str, View]:
    return {source.name: source.read() for source in find_in_archive(name, begin, options)}


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    return str(caught.value)


def test_pictures_are_found_in_a_zip_with_their_places_in_it(tmp_path: Path) -> None:
    name = write_zip(tmp_path / "shoes.zip", {"b/left.png": png(10), "notes.txt": b"x", "a.PNG": png(20)})

    found = views(name, ZIP)

    assert list(found) == [f"{name}/b/left.png", f"{name}/a.PNG"]
    assert [int(view.tile[0, 0]) for view in found.values()] == [10, 20]


def test_each_picture_of_a_zip_is_taken_for_what_it_is_said_to_be(tmp_path: Path) -> None:
    name = write_zip(tmp_path / "shoes.zip", {"a.png": png(10)})

    assert views(name, ZIP, Options(wanted="photo"))[f"{name}/a.png"].kind == "photo"
    with pytest.raises(InputError, match=r"larger than 0\.000783 million pixels"):
        views(name, ZIP, Options(max_pixels=783))


def test_a_zip_without_pictures_says_so(tmp_path: Path) -> None:
    name = write_zip(tmp_path / "notes.zip", {"notes.txt": b"x", "tiles.npy": npy(TILES)})

    assert refusal(lambda: list(find_in_archive(name, ZIP, Options()))) == (
        "no pictures in this archive (PNG, JPEG, WebP, BMP, GIF or TIFF)"
    )


def test_tiles_are_found_in_an_npz_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "tiles.npz"
    np.savez(path, x=TILES, labels=np.zeros(3, np.uint8), floats=np.zeros((3, 28, 28)), one=TILES[0])

    found = views(str(path), ZIP)

    assert list(found) == [f"{path}/x[0]", f"{path}/x[1]", f"{path}/x[2]", f"{path}/one[0]"]
    np.testing.assert_array_equal([view.tile for view in found.values()], [*TILES, TILES[0]])
    assert {view.kind for view in found.values()} == {"tile"}


@pytest.mark.parametrize(
    ("begin", "content"),
    [(NPY, npy(TILES)), (IDX, idx(TILES)), (GZIP + b"\x08\x00", gzip.compress(idx(TILES)))],
    ids=["npy", "idx", "gzip"],
)
def test_a_batch_of_tiles_is_numbered(begin: bytes, content: bytes, tmp_path: Path) -> None:
    name = write(tmp_path / "tiles", content)

    found = views(name, begin)

    assert list(found) == [f"{name}[0]", f"{name}[1]", f"{name}[2]"]
    np.testing.assert_array_equal([view.tile for view in found.values()], TILES)


def test_tiles_in_more_dimensions_are_tiles(tmp_path: Path) -> None:
    name = write(tmp_path / "tiles.npy", npy(np.stack([TILES, TILES])))

    assert len(views(name, NPY)) == 6


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (TILES.astype(np.float32), "float32 (3, 28, 28)"),
        (TILES.astype(np.int8), "int8 (3, 28, 28)"),
        (np.zeros((3, 28, 27), np.uint8), "uint8 (3, 28, 27)"),
        (np.zeros((3, 27, 28), np.uint8), "uint8 (3, 27, 28)"),
        (np.zeros((3, 784), np.uint8), "uint8 (3, 784)"),
    ],
)
def test_what_holds_no_tiles_is_told_what_tiles_are(array: np.ndarray, found: str, tmp_path: Path) -> None:
    name = write(tmp_path / "tiles.npy", npy(array))

    said = refusal(lambda: views(name, NPY))
    assert said == f"tiles are uint8 (N, 28, 28), background 0; this holds {found}"


def test_an_empty_archive_holds_nothing(tmp_path: Path) -> None:
    name = write_zip(tmp_path / "empty.zip", {})

    assert refusal(lambda: views(name, ZIP)) == "tiles are uint8 (N, 28, 28), background 0; this holds nothing"


def test_each_array_that_holds_no_tiles_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", labels=np.zeros(3, np.uint8), floats=np.zeros((3, 28, 28)))

    said = refusal(lambda: views(str(tmp_path / "other.npz"), ZIP))
    assert said.endswith("; this holds uint8 (3,), float64 (3, 28, 28)")


def test_tiles_are_no_photos(tmp_path: Path) -> None:
    name = write(tmp_path / "tiles.npy", npy(TILES))

    said = refusal(lambda: views(name, NPY, Options(wanted="photo")))
    assert said == "it holds tiles, not photos; leave --input photo out"


def test_python_objects_are_never_unpickled() -> None:
    content = npy(np.array([{}], dtype=object), allow_pickle=True)

    assert refusal(lambda: read_array(content)).startswith("the archive is damaged (Object arrays cannot be")


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x01" + bytes(20), b"picture"])
def test_what_is_no_batch_of_tiles_is_neither(content: bytes) -> None:
    assert refusal(lambda: read_idx(content)) == "neither a picture nor tiles in the format IDX"


@pytest.mark.parametrize("content", [idx(TILES)[:-1], idx(TILES) + b"x", idx(TILES)[:10]])
def test_a_batch_of_another_length_than_it_says_is_damaged(content: bytes) -> None:
    assert refusal(lambda: read_idx(content)).startswith("the archive is damaged (")


def test_an_idx_has_its_images_rows_and_columns_in_that_order() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

    np.testing.assert_array_equal(read_idx(idx(array)), array)


@pytest.mark.parametrize(
    ("begin", "content"),
    [(ZIP, b"PK\x03\x04 nonsense"), (NPY, b"\x93NUMPY nonsense"), (GZIP + b"\x08\0", gzip.compress(idx(TILES))[:50])],
    ids=["zip", "npy", "gzip"],
)
def test_a_broken_archive_is_damaged(begin: bytes, content: bytes, tmp_path: Path) -> None:
    name = write(tmp_path / "broken", content)

    assert refusal(lambda: views(name, begin)).startswith("the archive is damaged (")


def test_an_archive_that_has_gone_is_named(tmp_path: Path) -> None:
    assert refusal(lambda: views(str(tmp_path / "gone.zip"), ZIP)) == "no such file or directory"
    assert refusal(lambda: read_file(str(tmp_path / "gone.npy"), NPY)) == "no such file or directory"


def test_a_member_up_to_the_limit_is_unpacked_and_a_larger_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = write_zip(tmp_path / "large.zip", {"a.png": bytes(1000)})
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    assert len(read_zipped(name, "a.png")) == 1000
    monkeypatch.setattr(archives, "MAX_BYTES", 999)

    assert refusal(lambda: read_zipped(name, "a.png")) == "larger than 256 MB; unpack it first"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_batch_up_to_the_limit_is_read_and_a_larger_one_is_not(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = idx(TILES)
    name = write(tmp_path / "tiles", pack(content))
    begin = pack(content)[:4]
    monkeypatch.setattr(archives, "MAX_BYTES", len(content))
    assert read_file(name, begin) == content
    monkeypatch.setattr(archives, "MAX_BYTES", len(content) - 1)

    assert refusal(lambda: read_file(name, begin)) == "larger than 256 MB; unpack it first"


@pytest.mark.parametrize("kind", ["zip", "gzip"])
def test_a_bomb_is_refused_before_it_fills_the_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1_000_000)
    content = bytes(50_000_000)
    name = write_zip(tmp_path / "bomb", {"a.png": content}) if kind == "zip" else write(tmp_path / "bomb", gzip.compress(content))
    del content

    tracemalloc.start()
    refusal(lambda: read_zipped(name, "a.png") if kind == "zip" else read_file(name, GZIP))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # how large a .gz is, is only known once it is unpacked so far
    assert peak < (500_000 if kind == "zip" else 5_000_000)


def test_a_source_may_be_sent_to_another_process(tmp_path: Path) -> None:
    import pickle

    name = write_zip(tmp_path / "shoes.zip", {"a.png": png(10)})
    (source,) = find_in_archive(name, ZIP, Options())

    copy: Source = pickle.loads(pickle.dumps(source))

    assert copy.read().tile[0, 0] == 10
