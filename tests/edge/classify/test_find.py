"""Where `fmnist-edge classify` finds pictures: folders, patterns, lists, stdin, archives, batches of tiles."""

import gzip
import io
import json
import re
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fmnist_edge import Classifier
from fmnist_edge.classify.find import find
from fmnist_edge.classify.reading import Options, read_all
from fmnist_edge.pictures.tile import look
from support.commands import FMNIST_EDGE, fmnist_edge
from train.dataset import Dataset


@pytest.fixture
def shoe(dataset: Dataset) -> Image.Image:
    return Image.fromarray(dataset.test_images[9])


@pytest.fixture
def tree(shoe: Image.Image, tmp_path: Path) -> Path:
    """b.png, and in folders below a.png and c.png."""
    for name in ("b.png", "deeper/a.png", "deeper/still/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shoe.save(tmp_path / name)
    return tmp_path


def paths(*arguments: str | Path, **options: object) -> list[str]:
    """The paths that are printed, of pictures and of errors alike."""
    result = fmnist_edge("classify", "--json", *arguments, **options)
    assert "Traceback" not in result.stderr
    return [json.loads(line)["path"] for line in result.stdout.splitlines()]


def test_r_looks_into_the_folders_too(tree: Path) -> None:
    assert paths("-r", ".", cwd=tree) == ["./b.png", "./deeper/a.png", "./deeper/still/c.png"]


@pytest.mark.slow
def test_a_list_on_stdin_is_answered_line_by_line(tree: Path) -> None:
    command = [FMNIST_EDGE, "classify", "-"]
    with subprocess.Popen(command, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            process.stdin.write("b.png\n")
            process.stdin.flush()
            # would wait for ever if the answer were kept back until the list ends
            assert process.stdout.readline().startswith("b.png: Sneaker")
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.slow
@pytest.mark.parametrize("argument", ["-", "--stdin"])
def test_a_picture_on_stdin_is_classified(argument: str, shoe: Image.Image) -> None:
    content = io.BytesIO()
    shoe.save(content, "png")

    done = subprocess.run([FMNIST_EDGE, "classify", argument], input=content.getvalue(), capture_output=True)

    assert done.returncode == 0
    assert done.stdout.startswith(b"Sneaker")


def test_a_list_is_a_list_for_stdin_too(tree: Path) -> None:
    assert paths("--stdin", cwd=tree, input="b.png\ngone.png\n") == ["b.png", "gone.png"]


def test_no_picture_on_stdin_is_an_error() -> None:
    result = fmnist_edge("classify", "--stdin", input="")

    assert (result.returncode, result.stderr) == (1, "fmnist-edge: stdin: there is nothing in it\n")


def test_a_damaged_archive_is_one_line(tree: Path) -> None:
    with zipfile.ZipFile(tree / "shoes.zip", "w") as archive:
        archive.write(tree / "b.png", "b.png")
    content = (tree / "shoes.zip").read_bytes()
    (tree / "half.zip").write_bytes(content[: len(content) // 2])
    flipped = bytearray(content)
    flipped[100] ^= 0xFF
    (tree / "flipped.zip").write_bytes(flipped)

    result = fmnist_edge("classify", "-q", "half.zip", "flipped.zip", "b.png", cwd=tree)

    assert result.returncode == 1
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["half.zip", "flipped.zip/b.png"]
    assert result.stdout.startswith("b.png: Sneaker")


def save_idx(tiles: np.ndarray, path: Path) -> None:
    header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in tiles.shape)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(header + tiles.tobytes())


@pytest.mark.parametrize("name", ["tiles.npy", "tiles.npz", "t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"])
def test_a_batch_of_tiles_says_what_the_arrays_say(name: str, classifier: Classifier, dataset: Dataset, tmp_path: Path) -> None:
    tiles = dataset.test_images[:50]
    if name.endswith(".npy"):
        np.save(tmp_path / name, tiles)
    elif name.endswith(".npz"):
        np.savez(tmp_path / name, x_test=tiles, y_test=dataset.test_labels[:50])
    else:
        save_idx(tiles, tmp_path / name)

    result = fmnist_edge("classify", "--json", name, cwd=tmp_path)

    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert records[3]["path"] == (f"{name}/x_test[3]" if name.endswith(".npz") else f"{name}[3]")
    assert [record["class_id"] for record in records] == [prediction.class_id for prediction in classifier.classify(tiles)]


def test_an_array_that_holds_no_tiles_says_what_tiles_are(tmp_path: Path) -> None:
    np.save(tmp_path / "floats.npy", np.zeros((2, 28, 28)))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "labels.gz").write_bytes(gzip.compress(b"\0\0\x08\x01" + bytes(20)))

    result = fmnist_edge("classify", "-q", "floats.npy", "objects.npy", "labels.gz", cwd=tmp_path)

    floats, objects, labels = result.stderr.splitlines()
    assert result.returncode == 1
    assert floats.endswith("tiles are uint8 (N, 28, 28), background 0; this holds float64 (2, 28, 28)")
    assert "Object arrays cannot be loaded" in objects
    assert labels.endswith("labels.gz: neither a picture nor tiles in the format IDX")


def test_all_test_images_are_recognised_as_tiles(dataset: Dataset) -> None:
    views = [look(Image.fromarray(tile)) for tile in dataset.test_images]

    assert {view.kind for view in views} == {"tile"}
    np.testing.assert_array_equal([view.tile for view in views], dataset.test_images)


def test_a_tile_on_white_is_a_photo_of_28_pixels(shoe: Image.Image, tmp_path: Path) -> None:
    ImageOps.invert(shoe).save(tmp_path / "white.png")

    as_found = fmnist_edge("classify", "--json", "white.png", cwd=tmp_path)
    as_tile = fmnist_edge("classify", "--json", "--input", "tile", "white.png", cwd=tmp_path)

    assert json.loads(as_found.stdout)["label"] == "Sneaker"
    assert json.loads(as_tile.stdout)["label"] != "Sneaker"


def test_input_tile_refuses_photos(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "photo.png")

    result = fmnist_edge("classify", "--input", "tile", "photo.png", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (
        1,
        "fmnist-edge: photo.png: not a tile, which is gray and 28x28 pixels large, but RGB and 300x200\n",
    )


def test_saved_tiles_are_what_the_model_was_shown(tree: Path) -> None:
    photo = ImageOps.invert(Image.open(tree / "b.png")).resize((280, 280)).convert("RGB")
    photo.save(tree / "deeper" / "photo.png")

    fmnist_edge("classify", "--save-tiles", "seen", "deeper/photo.png", cwd=tree)

    saved = np.asarray(Image.open(tree / "seen" / "deeper_photo.png.png"))
    np.testing.assert_array_equal(saved, look(photo).tile)
    assert len(list((tree / "seen").iterdir())) == 1


def test_a_folder_for_tiles_that_cannot_be_made_is_said_first(tree: Path) -> None:
    result = fmnist_edge("classify", "--save-tiles", "b.png/seen", "b.png", cwd=tree)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "fmnist-edge: b.png/seen: tiles can't be saved there (Not a directory)\n"


def test_max_pixels_is_the_limit(shoe: Image.Image, tmp_path: Path) -> None:
    shoe.resize((300, 300)).save(tmp_path / "shoe.png")

    small = fmnist_edge("classify", "--max-pixels", "89999", "shoe.png", cwd=tmp_path)
    large = fmnist_edge("classify", "--max-pixels", "90000", "shoe.png", cwd=tmp_path)

    assert small.stderr == "fmnist-edge: shoe.png: larger than 0.089999 million pixels (--max-pixels); make it smaller first\n"
    assert (small.returncode, large.returncode) == (1, 0)


def test_hidden_files_and_what_systems_keep_for_themselves_are_no_pictures(tree: Path) -> None:
    for name in ("._b.png", ".hidden/d.png", "__MACOSX/._b.png", "__MACOSX/e.png", "deeper/@eaDir/f.png"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X")
    with zipfile.ZipFile(tree / "shoes.zip", "w") as archive:
        for path in sorted(tree.rglob("*.png")):
            archive.writestr(f"./{path.relative_to(tree)}", path.read_bytes())
    found = ["b.png", "deeper/a.png", "deeper/still/c.png"]

    assert [source.name for source in find([str(tree)], Options(recursive=True))] == [str(tree / name) for name in found]
    assert [source.name for source in find([str(tree / "shoes.zip")], Options())] == [
        f"{tree}/shoes.zip/./{name}" for name in found
    ]


@pytest.mark.parametrize("name", ["b.jfif", "b.JPE", "b.jif", "b.apng", "b.DIB"])
def test_other_names_of_the_formats_are_pictures_too(name: str, tree: Path) -> None:
    (tree / "b.png").rename(tree / name)

    (source,) = find([str(tree)], Options())

    assert source.read().kind == "tile"


UNREADABLE = {
    "a.HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0", "but HEIC; save it as JPEG or PNG (on an iPhone"),
    "b.AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0", "but AVIF; save it as JPEG or PNG"),
    "c.jxl": (b"\xff\x0a\xfa\x7f\x01\x90\x08\x06", "but JPEG XL; save it as JPEG or PNG"),
    "d.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\x01", "but a raw picture; save it as JPEG or PNG"),
    "e.jpg": (b"\0\0\0\x18ftypmif1\0\0\0\0", "but HEIC; save it as JPEG or PNG"),
    "f.png": (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "but what macOS keeps beside a picture"),
    "g.jpg": (b"\0\0\0\x20ftypisom\0\0\x02\0", "but a video; 'fmnist-edge camera' watches it"),
}


def test_pictures_of_known_kinds_that_cannot_be_read_are_named_with_the_cure(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "phone.zip", "w") as archive:
        for name, (content, _) in UNREADABLE.items():
            (tmp_path / name).write_bytes(content)
            archive.write(tmp_path / name, name)

    for place in (tmp_path, tmp_path / "phone.zip"):
        items = list(read_all(find([str(place)], Options())))
        assert [item.name for item in items] == [f"{place}/{name}" for name in UNREADABLE]
        for item, (_, reason) in zip(items, UNREADABLE.values(), strict=True):
            assert f"not a PNG, JPEG, WebP, BMP, GIF or TIFF picture, {reason}" in str(item.error)


def test_an_archive_packed_in_a_way_that_cannot_be_read_says_what_to_do(tree: Path) -> None:
    """By Windows' Deflate64 (method 9), and with a password (bit 0 of the flags)."""
    with zipfile.ZipFile(tree / "shoes.zip", "w") as archive:
        archive.write(tree / "b.png", "b.png")
    content = (tree / "shoes.zip").read_bytes()
    directory = content.index(b"PK\1\2")
    for name, changes in {
        "deflate64.zip": {8: 9, directory + 10: 9},
        "secret.zip": {6: 1, directory + 8: 1},
        "cut.zip": {14: content[14] ^ 1, directory + 16: content[14] ^ 1},
    }.items():
        changed = bytearray(content)
        for place, value in changes.items():
            changed[place] = value
        (tree / name).write_bytes(changed)

    deflate64, secret, cut = read_all(find([str(tree / f"{name}.zip") for name in ("deflate64", "secret", "cut")], Options()))

    assert re.fullmatch(
        r"packed in a way that can't be read here \(.*(deflate64|compression).*\); unpack it first", str(deflate64.error)
    )
    assert str(secret.error) == "it needs a password; unpack it first"
    assert str(cut.error).startswith("the archive is damaged (Bad CRC-32")
