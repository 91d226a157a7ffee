"""Getting photos of clothes: from folders, and from a real HTTP server; the photos are drawn here."""

import csv
import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fmnist_edge.contract import CLASSES
from support.commands import main_of
from support.file_server import Server, serving
from train.clothing import CLOTHING, SHOES, PhotosError, Source, digest, get_clothes, list_photos, load
from train.clothing import cache as where_the_cache_is
from train.cutting import PhotoTiles, cut
from train.photos import find_held_out

ARCHIVE = "archive/0123456789ab.zip"
ROWS = """image,sender_id,label,kids
shirt-1,1,T-Shirt,False
pants-2,2,Pants,True
blouse-2,2,Blouse,False
shoes-2,2,Shoes,False
hat-3,3,Hat,False
unsure-3,3,Not sure,False
exam-204,204,T-Shirt,False
"""
TO_LOOK_AT = ["blouse-2.jpg", "hat-3.jpg", "pants-2.jpg", "shirt-1.jpg", "shoes-2.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset in the layout of the real one."""
    images = tmp_path / "drawn" / "images"
    images.mkdir(parents=True)
    (tmp_path / "drawn" / "images.csv").write_text(ROWS)
    for number, row in enumerate(ROWS.splitlines()[1:], start=1):
        photo = Image.new("RGB", (120, 160), "white")
        ImageDraw.Draw(photo).rectangle((30, 40, 60 + 5 * number, 120), fill=(30 * number, 40, 90))
        photo.save(images / f"{row.split(',')[0]}.jpg")
    return tmp_path / "drawn"


def pack(folder: Path) -> bytes:
    """The folder as GitHub packs a commit."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"clothing-dataset-0123/{path.relative_to(folder)}")
        archive.writestr("clothing-dataset-0123/images/../../outside.jpg", b"not ours")
    return packed.getvalue()


def source_of(folder: Path, url: str = "http://127.0.0.1:9/") -> Source:
    photos = list_photos(folder)
    return Source("drawn/photos", "0123456789abcdef", url + ARCHIVE, len(photos), digest(photos))


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving({ARCHIVE: pack(folder)}) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FMNIST_PHOTOS", raising=False)
    return tmp_path / "cache" / "fmnist-edge"


def names_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_complete_download_is_unpacked_into_the_cache(server: Server, folder: Path, cache: Path) -> None:
    photos = load(source_of(folder, server.url))

    assert [photo.path.name for photo in photos] == TO_LOOK_AT
    assert names_in(cache) == ["clothing-dataset-0123456789ab"]
    assert photos[0].path.read_bytes() == (folder / "images" / "blouse-2.jpg").read_bytes()
    assert not list(cache.parent.rglob("outside.jpg"))


def test_what_is_in_the_cache_is_not_downloaded_again(server: Server, folder: Path, cache: Path) -> None:
    source = source_of(folder, server.url)
    load(source)
    load(source)

    assert server.ranges == [None]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"<html>Welcome to the hotel</html>", "the archive is damaged"), (b"PK\x03\x04 and no more", "the archive is damaged")],
)
def test_something_else_than_the_archive_is_thrown_away(
    content: bytes, complaint: str, server: Server, folder: Path, cache: Path
) -> None:
    server.files[ARCHIVE] = content

    with pytest.raises(PhotosError, match=complaint):
        load(source_of(folder, server.url))
    assert names_in(cache) == []


def test_a_changed_archive_is_thrown_away(server: Server, folder: Path, cache: Path) -> None:
    source = source_of(folder, server.url)
    Image.new("RGB", (50, 50)).save(folder / "images" / "pants-2.jpg")
    server.files[ARCHIVE] = pack(folder)

    with pytest.raises(PhotosError, match=r"a photo or a label differs from the dataset's \(wrong checksum\)"):
        load(source)
    assert names_in(cache) == []


def test_photos_that_are_changed_in_the_cache_are_got_anew(
    server: Server, folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of(folder, server.url)
    load(source)[0].path.write_bytes(b"")

    assert load(source)[0].path.stat().st_size > 0
    assert "images/blouse-2.jpg: the file is empty; downloading them again" in capsys.readouterr().err


def test_where_there_is_nothing_the_message_says_so_and_what_to_do(server: Server, folder: Path, cache: Path) -> None:
    server.files = {}

    with pytest.raises(PhotosError, match=r"HTTP 404 Not Found.*name the folder that they are in with FMNIST_PHOTOS"):
        load(source_of(folder, server.url))


def test_without_a_network_the_message_says_so(folder: Path, cache: Path) -> None:
    with pytest.raises(PhotosError, match=r"Connection refused.*Without a network: copy images.csv"):
        load(source_of(folder))


@pytest.fixture
def named(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """What the folder holds, which FMNIST_PHOTOS names."""
    monkeypatch.setenv("FMNIST_PHOTOS", str(folder))
    return source_of(folder)


def test_a_folder_that_is_named_is_used_as_it_is(named: Source, folder: Path, cache: Path) -> None:
    photos = {photo.path.stem: photo for photo in load(named)}

    assert photos["shirt-1"].path == folder / "images" / "shirt-1.jpg"
    assert (photos["pants-2"].accepted, photos["blouse-2"].accepted, photos["hat-3"].accepted) == ((1,), (0, 2, 6), ())
    assert not cache.exists()


def test_contributors_who_are_held_out_make_no_difference(named: Source, folder: Path) -> None:
    remove_the_exam(folder)

    assert [photo.path.name for photo in load(named)] == TO_LOOK_AT


def test_a_named_folder_that_is_wrong_is_no_reason_to_train_without_photos(
    named: Source, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not the real dataset."""
    with pytest.raises(PhotosError, match=r"images\.csv lists 5 photos to learn from"):
        get_clothes()
    assert capsys.readouterr().err == ""


def test_the_cache_is_where_the_system_has_it_or_in_the_home_folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert where_the_cache_is() == cache

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert where_the_cache_is() == Path("/home/me/.cache/fmnist-edge")


def test_what_a_kill_left_of_an_unpacking_is_not_taken(server: Server, folder: Path, cache: Path) -> None:
    part = cache / "clothing-dataset-0123456789ab.part"
    (part / "images").mkdir(parents=True)
    (part / "images" / "old.jpg").touch()

    photos = load(source_of(folder, server.url))

    assert names_in(cache) == ["clothing-dataset-0123456789ab"]
    assert "old.jpg" not in names_in(photos[0].path.parent)


def test_a_list_that_can_not_be_read_is_said(folder: Path) -> None:
    (folder / "images.csv").unlink()
    (folder / "images.csv").mkdir()

    with pytest.raises(PhotosError, match=rf"^{folder}/images\.csv can't be read \(Is a directory\)$"):
        list_photos(folder)


def test_labels_that_are_not_known_are_left_alone(named: Source, folder: Path) -> None:
    (folder / "images.csv").write_text(f"{ROWS}sock-9,9,Sock,False\n")

    assert [photo.path.name for photo in load(named)] == TO_LOOK_AT


EXAM = [41, 45, 48, 50, 54, 126, 178, 201, 204, 227, 228, 322]


def test_photos_of_the_exam_are_never_learned_from(folder: Path) -> None:
    """Twelve contributors, for good: a figure measured on their photos is one of photos that no model has seen."""
    rows = [f"photo-{number},{number},Pants,False" for number in range(400)]
    (folder / "images.csv").write_text("\n".join(["image,sender_id,label,kids", *rows]))

    to_learn, exam = list_photos(folder), list_photos(folder, held_out=True)

    assert sorted(photo.contributor for photo in exam) == EXAM
    assert sorted(photo.contributor for photo in to_learn) == [number for number in range(400) if number not in EXAM]


@pytest.mark.parametrize(
    ("label", "accepted"),
    [
        ("T-Shirt", ["T-shirt/top"]),
        ("Pants", ["Trouser"]),
        ("Longsleeve", ["Pullover", "Shirt"]),
        ("Shirt", ["Shirt"]),
        ("Dress", ["Dress"]),
        ("Outwear", ["Pullover", "Coat"]),
        ("Blazer", ["Pullover", "Coat"]),
        ("Hoodie", ["Pullover", "Coat"]),
        ("Polo", ["T-shirt/top", "Shirt"]),
        ("Undershirt", ["T-shirt/top", "Shirt"]),
        ("Top", ["T-shirt/top", "Shirt"]),
        ("Blouse", ["T-shirt/top", "Pullover", "Shirt"]),
        ("Shoes", ["Sandal", "Sneaker", "Ankle boot"]),
        ("Skirt", []),
        ("Shorts", []),
        ("Hat", []),
        ("Body", []),
        ("Other", []),
    ],
)
def test_a_label_says_which_classes_are_right(label: str, accepted: list[str], folder: Path) -> None:
    (folder / "images.csv").write_text(f"image,sender_id,label,kids\nphoto,1,{label},False\n")

    (photo,) = list_photos(folder)

    assert [CLASSES[class_id] for class_id in photo.accepted] == accepted
    assert (photo.label, photo.kind, photo.contributor) == (label, label, 1)


def test_each_shoe_that_we_labelled_is_of_the_three_kinds_or_of_none() -> None:
    with open(SHOES, newline="") as file:
        rows = list(csv.DictReader(file))

    assert len({row["image"] for row in rows}) == len(rows) > 100
    assert {row["accepted_classes"] for row in rows} == {"5", "7", "9", "5|7", "7|9", "5|7|9", ""}
    assert {row["kind"]: row["accepted_classes"] for row in rows}.items() >= {"boot": "9", "sneaker": "7", "sandal": "5"}.items()


def test_shoes_have_our_own_labels(folder: Path) -> None:
    sandal = "08215318-faff-4037-bee9-5bceb0af7747"
    (folder / "images.csv").write_text(f"image,sender_id,label,kids\n{sandal},1,Shoes,False\nother,1,Shoes,False\n")

    assert [(photo.kind, photo.accepted) for photo in list_photos(folder)] == [("sandal", (5,)), ("Shoes", (5, 7, 9))]


def remove_the_exam(folder: Path) -> None:
    (folder / "images.csv").write_text(ROWS.replace("exam-204,204,T-Shirt,False\n", ""))
    (folder / "images" / "exam-204.jpg").unlink()


def remove_a_row(folder: Path) -> None:
    (folder / "images.csv").write_text(ROWS.replace("hat-3,3,Hat,False\n", ""))


def change_a_label(folder: Path) -> None:
    (folder / "images.csv").write_text(ROWS.replace("Pants", "Dress"))


def remove_a_photo(folder: Path) -> None:
    (folder / "images" / "pants-2.jpg").unlink()


def damage_a_photo(folder: Path) -> None:
    photo = folder / "images" / "pants-2.jpg"
    photo.write_bytes(photo.read_bytes()[:300])


def write_something_else(folder: Path) -> None:
    (folder / "images.csv").write_text("file,label\nshirt-1,T-Shirt\n")


def leave_the_folder(folder: Path) -> None:
    (folder / "images.csv").write_text(ROWS.replace("pants-2,2", "../pants-2,2"))


def remove_everything(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (remove_a_row, "images.csv lists 4 photos to learn from, not 5"),
        (change_a_label, r"drawn: a photo or a label differs from the dataset's \(wrong checksum\)$"),
        (remove_a_photo, "1 of 5 photos are missing, images/pants-2.jpg for one"),
        (damage_a_photo, "images/pants-2.jpg: the picture is truncated or damaged"),
        (write_something_else, "images.csv is not a table with the columns image, sender_id, label"),
        (leave_the_folder, "images.csv: '../pants-2' by '2' is not a photo by a contributor with a number"),
        (remove_everything, "images.csv is missing"),
    ],
)
def test_a_folder_that_is_named_is_not_replaced_by_another(
    harm: Callable[[Path], None], complaint: str, named: Source, folder: Path, cache: Path
) -> None:
    harm(folder)

    with pytest.raises(PhotosError, match=complaint):
        load(named)
    assert not cache.exists()


def get_photos(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return main_of("train.clothing", *arguments, environment={"FMNIST_PHOTOS": "", **environment})


def test_the_command_refuses_photos_that_are_not_the_datasets(server: Server, cache: Path) -> None:
    result = get_photos("--mirror", server.url + ARCHIVE, XDG_CACHE_HOME=str(cache.parent))

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"photos: no photos from {server.url}{ARCHIVE} (")
    assert f"images.csv lists 5 photos to learn from, not {CLOTHING.photos:,}" in result.stderr
    assert names_in(cache) == []


def test_a_mirror_that_is_no_address_is_a_usage_error() -> None:
    result = get_photos("--mirror", "example.org")

    assert result.returncode == 2
    assert result.stderr == "photos: a mirror's address begins with http:// or https://, not 'example.org'\n"


@pytest.mark.slow
def test_tiles_are_cut_once(named: Source, cache: Path) -> None:
    photos = load(named)
    tiles = cut(photos)
    kept = next(cache.glob("tiles-*.npz"))
    written = kept.stat().st_mtime_ns

    again = cut(photos)

    assert tiles.tiles.shape == (5, 28, 28)
    assert tiles.tiles.any((1, 2)).all()
    assert tiles.contributors.tolist() == [2, 3, 2, 1, 2]
    assert tiles.accepted.sum(1).tolist() == [3, 0, 1, 1, 3]
    assert np.array_equal(again.tiles, tiles.tiles)
    assert kept.stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_file_in_the_cache_that_a_full_disk_left_is_made_anew(named: Source, cache: Path) -> None:
    photos = load(named)
    tiles = cut(photos)
    kept = next(cache.glob("tiles-*.npz"))
    kept.write_bytes(kept.read_bytes()[:500])

    assert np.array_equal(cut(photos).tiles, tiles.tiles)


@pytest.mark.slow
def test_a_photo_that_cannot_be_cut_is_named_and_the_others_are_used(
    folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage_a_photo(folder)

    tiles = cut(list_photos(folder))

    assert tiles.contributors.tolist() == [2, 3, 1, 2]
    assert tiles.accepted.sum(1).tolist() == [3, 0, 1, 3]
    assert tiles.kinds.tolist() == ["Blouse", "Hat", "T-Shirt", "Shoes"]
    assert "images/pants-2.jpg: the picture is truncated or damaged" in capsys.readouterr().err


def test_the_exam_is_about_the_contributors_who_are_held_out(named: Source, folder: Path) -> None:
    assert find_held_out(named) == [(folder / "images" / "exam-204.jpg", {0})]


def test_where_the_exams_photos_are_missing_it_says_so(named: Source, folder: Path) -> None:
    remove_the_exam(folder)

    with pytest.raises(
        PhotosError, match="no photos by contributors who are held out; without FMNIST_PHOTOS, all are downloaded"
    ):
        find_held_out(named)


def test_photos_are_other_ones_if_anything_about_them_is() -> None:
    photos = PhotoTiles(np.zeros((2, 28, 28), np.uint8), np.zeros((2, 10), bool), np.array([1, 2]), np.array(["hat", "bag"]))

    others = [
        replace(photos, tiles=photos.tiles + np.uint8(1)),
        replace(photos, accepted=~photos.accepted),
        replace(photos, contributors=np.array([1, 3])),
        replace(photos, kinds=np.array(["hat", "cap"])),
        photos[np.array([True, False])],
        photos + photos,
    ]

    assert len({photos.sha256, *(other.sha256 for other in others)}) == 7
    assert replace(photos).sha256 == photos.sha256


def test_photos_that_are_added_keep_what_is_known_of_them() -> None:
    ours, yours = (
        PhotoTiles(np.full((1, 28, 28), n, np.uint8), np.eye(10, dtype=bool)[[n]], np.array([n]), np.array([str(n)]))
        for n in (3, 4)
    )

    both = ours + yours

    assert (both.tiles[:, 0, 0].tolist(), both.contributors.tolist(), both.kinds.tolist()) == ([3, 4], [3, 4], ["3", "4"])
    assert both.accepted.nonzero()[1].tolist() == [3, 4]
    assert (both[both.contributors == 4].tiles == yours.tiles).all()
