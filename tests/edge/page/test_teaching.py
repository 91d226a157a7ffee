"""Pictures that are labelled: moved, undone, never lost, never twice, never over another."""

import errno
import io
import os
import time
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.contract import CLASSES, LANGUAGES
from fmnist_edge.errors import UsageError
from fmnist_edge.live.collect import Collection
from fmnist_edge.page import teaching as teaching_module
from fmnist_edge.page.reader import Refused
from fmnist_edge.page.teaching import Teaching
from fmnist_edge.pictures.tile import View
from train.photos import find_photos

ANSWER = {"label": "Sneaker", "confidence": 0.4, "unsure": True, "class_id": 7}
SNEAKER, COAT = 7, 4
MEGABYTE = 10**6


def counts(teaching: Teaching) -> dict[int | None, int]:
    return {row["class_id"]: row["count"] for row in teaching.overview()["classes"] if row["count"]}


def waiting(teaching: Teaching) -> list[str]:
    return [row["id"] for row in teaching.overview()["waiting"]]


def test_a_picture_waits_is_labelled_and_comes_back(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = teaching.keep(b"picture", ".jpg", ANSWER)
    assert teaching.overview()["waiting"] == [{"id": kept, "label": "Sneaker", "confidence": 0.4, "unsure": True}]
    assert teaching.picture(kept) == (b"picture", "image/jpeg")

    undo = teaching.teach(kept, SNEAKER)
    assert (waiting(teaching), counts(teaching)) == ([], {SNEAKER: 1})
    assert [path.read_bytes() for path in tmp_path.glob("sneaker/*")] == [b"picture"]

    assert teaching.undo(undo) == kept
    assert (waiting(teaching), counts(teaching)) == ([kept], {})


def test_none_of_these_is_a_label_too_and_the_training_passes_over_it(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    teaching.teach(teaching.keep(b"cup", ".jpg", ANSWER), None)
    teaching.teach(teaching.keep(b"shoe", ".jpg", ANSWER), SNEAKER)

    assert counts(teaching) == {None: 1, SNEAKER: 1}
    assert [classes for _, classes in find_photos(tmp_path)] == [{SNEAKER}]


def test_none_of_these_can_be_undone_too(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = teaching.keep(b"cup", ".jpg", ANSWER)

    assert teaching.undo(teaching.teach(kept, None)) == kept
    assert (waiting(teaching), counts(teaching)) == ([kept], {})


def test_each_class_is_named_in_the_overview_though_there_are_none_of_it(tmp_path: Path) -> None:
    classes = Teaching(tmp_path, MEGABYTE).overview()["classes"]

    assert classes[:-1] == [{"class_id": number, "label": label, "count": 0} for number, label in enumerate(CLASSES)]
    assert classes[-1] == {"class_id": None, "label": "none of these", "count": 0}


def test_a_picture_is_named_by_the_time_in_utc_as_the_camera_s_frames_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        before = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        kept = Teaching(tmp_path, MEGABYTE).keep(b"cup", ".jpg", ANSWER)
        after = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    finally:
        monkeypatch.undo()
        time.tzset()

    assert before <= kept[5:20] <= after


def test_every_class_has_a_folder_that_the_training_knows(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    for class_id in range(10):
        teaching.teach(teaching.keep(bytes([class_id]), ".jpg", ANSWER), class_id)

    assert {path.read_bytes()[0]: classes for path, classes in find_photos(tmp_path)} == {n: {n} for n in range(10)}


@pytest.mark.parametrize("name", ["4", "Coat", "COAT_"])
def test_a_folder_that_is_there_already_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    teaching = Teaching(tmp_path, MEGABYTE)
    teaching.teach(teaching.keep(b"coat", ".jpg", ANSWER), COAT)

    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [name]
    assert counts(teaching) == {COAT: 1}


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = teaching.keep(b"new", ".jpg", ANSWER)
    (tmp_path / "coat").mkdir()
    (tmp_path / "coat" / f"{kept}.jpg").write_bytes(b"old")

    undo = teaching.teach(kept, COAT)
    assert sorted(path.read_bytes() for path in tmp_path.glob("coat/*")) == [b"new", b"old"]

    (tmp_path / f"{undo.partition('.')[2]}.jpg").write_bytes(b"another")
    teaching.undo(undo)
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*.jpg")) == [b"another", b"new", b"old"]


def test_many_that_are_kept_at_once_are_all_there(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)

    kept = [teaching.keep(bytes([number]), ".jpg", ANSWER) for number in range(50)]

    assert len(set(kept)) == 50
    assert sorted(path.read_bytes()[0] for path in tmp_path.glob("kept-*")) == list(range(50))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"not in the folder")
    teaching = Teaching(tmp_path / "photos", MEGABYTE)
    kept = teaching.keep(b"x", ".jpg", ANSWER)
    undo = teaching.teach(kept, COAT)
    for attempt in (lambda: teaching.teach(kept, COAT), lambda: teaching.picture(kept), lambda: teaching.picture("../secret")):
        with pytest.raises(Refused, match=r"^there is no such picture; it may have been labelled already$") as caught:
            attempt()
        assert caught.value.status == 404
    teaching.undo(undo)
    for token in (undo, f"9.{kept}", kept, f"4.{kept}.jpg", "4.../../secret", "none.", ""):
        with pytest.raises(
            Refused, match=r"^there is nothing to undo: the picture is no longer in its class's folder$"
        ) as caught:
            teaching.undo(token)
        assert caught.value.status == 404


def test_a_picture_that_another_browser_has_just_labelled_is_not_there_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = teaching.keep(b"x", ".jpg", ANSWER)

    def gone(path: Path, target: Path) -> Path:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(Path, "rename", gone)
    with pytest.raises(Refused, match=r"^there is no such picture; it may have been labelled already$") as caught:
        teaching.teach(kept, COAT)
    assert caught.value.status == 404


def test_a_thousand_pictures_of_one_name_are_enough(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = teaching.keep(b"x", ".jpg", ANSWER)
    (tmp_path / "coat").mkdir()
    for number in range(1000):
        (tmp_path / "coat" / f"{kept}{f'-{number}' if number else ''}.jpg").write_bytes(b"y")

    with pytest.raises(Refused, match=r"^the picture can't be moved \(a thousand pictures have this name already\)$"):
        teaching.teach(kept, COAT)
    (tmp_path / "coat" / f"{kept}-999.jpg").unlink()
    assert teaching.teach(kept, COAT) == f"4.{kept}-999"


def test_the_limit_counts_everything_and_names_a_way_out(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    teaching.teach(teaching.keep(b"x" * 600_000, ".jpg", ANSWER), COAT)

    with pytest.raises(Refused) as caught:
        teaching.keep(b"x" * 600_000, ".jpg", ANSWER)

    assert (caught.value.status, "--save-mb" in str(caught.value)) == (507, True)
    assert teaching.overview()["bytes"] == 600_000
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == 600_000


def test_frames_that_the_camera_kept_make_room_for_what_somebody_chose(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    collection = Collection(tmp_path, MEGABYTE, pytest.fail)
    teaching.collect(collection)
    frame = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    view = View(np.zeros((28, 28), np.uint8), "photo")
    for second in range(60):
        collection.add(frame, view, SNEAKER, 2.0 * second)
    overview = teaching.overview()
    assert 0.8 * MEGABYTE < overview["bytes"] <= MEGABYTE
    assert {(row["label"], row["confidence"], row["unsure"]) for row in overview["waiting"]} == {("Sneaker", None, True)}
    oldest, newest = waiting(teaching)[-1], waiting(teaching)[0]

    teaching.teach(newest, SNEAKER)
    kept = teaching.keep(b"x" * 500_000, ".jpg", ANSWER)
    for second in range(60, 120):
        collection.add(frame, view, SNEAKER, 2.0 * second)

    assert kept in waiting(teaching)
    assert oldest not in waiting(teaching)
    assert counts(teaching) == {SNEAKER: 1}
    assert teaching.overview()["bytes"] <= MEGABYTE


def test_frames_go_for_a_picture_that_is_a_little_larger_than_what_is_free(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"unsure-20261126-040208-{number:03}-shirt.jpg").write_bytes(b"x" * 100_000)
    teaching = Teaching(tmp_path, MEGABYTE)
    collection = Collection(tmp_path, MEGABYTE, pytest.fail)
    teaching.collect(collection)

    kept = teaching.keep(b"x" * 150_000, ".jpg", ANSWER)

    assert kept in waiting(teaching)
    assert 7 <= len(waiting(teaching)) < 10


def test_a_picture_that_does_not_fit_costs_no_frame(tmp_path: Path) -> None:
    (tmp_path / "unsure-20261126-040208-123-shirt.jpg").write_bytes(b"x" * 1000)
    teaching = Teaching(tmp_path, MEGABYTE)
    collection = Collection(tmp_path, MEGABYTE, pytest.fail)
    teaching.collect(collection)

    with pytest.raises(Refused):
        teaching.keep(b"x" * 2 * MEGABYTE, ".jpg", ANSWER)

    assert len(waiting(teaching)) == 1
    assert collection.limit == MEGABYTE


@pytest.mark.parametrize(("size", "frames"), [(500_000, 5), (500_001, 4)])
def test_no_frame_goes_for_a_picture_that_just_fits(tmp_path: Path, size: int, frames: int) -> None:
    for number in range(5):
        (tmp_path / f"unsure-20261126-040208-{number:03}-shirt.jpg").write_bytes(b"x" * 100_000)
    teaching = Teaching(tmp_path, MEGABYTE)
    teaching.collect(Collection(tmp_path, MEGABYTE, pytest.fail))

    assert teaching.keep(b"x" * size, ".jpg", ANSWER) in waiting(teaching)
    assert len(waiting(teaching)) == 1 + frames


def test_what_a_power_cut_left_is_taken_away(tmp_path: Path) -> None:
    kept = Teaching(tmp_path, MEGABYTE).keep(b"whole", ".jpg", ANSWER)
    (tmp_path / ".page.part").write_bytes(b"ha")
    (tmp_path / "coat").mkdir()
    (tmp_path / "coat" / f"{kept}.jpg").touch()
    (tmp_path / "coat" / "mine.jpg").touch()

    teaching = Teaching(tmp_path, MEGABYTE)

    assert waiting(teaching) == [kept]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [f"{kept}.jpg", "mine.jpg"]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the disk, and what gets its name, in their order."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        steps.append(f"name in {target.parent.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    return steps


def test_each_change_is_on_the_disk_before_anybody_hears_of_it(tmp_path: Path, steps: list[str]) -> None:
    teaching = Teaching(tmp_path / "photos", MEGABYTE)

    kept = teaching.keep(b"picture", ".jpg", ANSWER)
    assert steps == ["sync .page.part", "name in photos", "sync photos"]
    steps.clear()
    undo = teaching.teach(kept, COAT)
    assert steps == ["sync photos", f"sync {kept}.jpg", "name in coat", "sync coat", "sync photos"]
    steps.clear()
    teaching.undo(undo)
    assert steps == [f"sync {kept}.jpg", "name in photos", "sync photos", "sync coat"]


def test_on_a_full_card_a_picture_is_refused_and_nothing_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = teaching.keep(b"old", ".jpg", ANSWER)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Refused, match=r"^the picture can't be saved \(No space left on device\)$") as not_saved:
        teaching.keep(b"new", ".jpg", ANSWER)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(Refused, match=r"^the picture can't be moved \(No space left on device\)$") as not_moved:
        teaching.teach(kept, COAT)

    assert (not_saved.value.status, not_moved.value.status) == (507, 507)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{kept}.jpg"]
    assert waiting(teaching) == [kept]


@pytest.mark.parametrize(("size", "fits"), [(MEGABYTE, True), (MEGABYTE + 1, False)])
def test_the_limit_may_be_reached(tmp_path: Path, size: int, fits: bool) -> None:
    teaching = Teaching(tmp_path, MEGABYTE)
    if fits:
        assert teaching.keep(bytes(size), ".png", ANSWER)
    else:
        with pytest.raises(Refused, match="the photos fill their limit of 1 MB; download and delete some, or raise --save-mb"):
            teaching.keep(bytes(size), ".png", ANSWER)


def test_of_those_that_wait_the_newest_200_are_shown_whoever_kept_them(tmp_path: Path) -> None:
    for number in range(201):
        name = f"unsure-20261126-040208-{number:03}-coat.jpg" if number % 2 else f"kept-20261126-040208-{number:03}.png"
        (tmp_path / name).touch()
    (tmp_path / "unsure-20261126-040208-999-coat.txt").touch()
    for path in tmp_path.iterdir():
        path.write_bytes(b"x")

    overview = Teaching(tmp_path, MEGABYTE).overview()

    assert [int(row["id"].split("-")[3]) for row in overview["waiting"]] == list(range(200, 0, -1))
    assert (overview["waiting_count"], overview["limit_bytes"]) == (201, MEGABYTE)


def test_what_was_said_of_a_picture_is_remembered_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert teaching_module.REMEMBERED == 1000
    monkeypatch.setattr(teaching_module, "REMEMBERED", 2)
    teaching = Teaching(tmp_path, MEGABYTE)
    kept = [teaching.keep(b"x", ".png", ANSWER) for _ in range(3)]

    said = {row["id"]: (row["label"], row["confidence"], row["unsure"]) for row in teaching.overview()["waiting"]}

    assert said == {kept[0]: (None, None, False), kept[1]: ("Sneaker", 0.4, True), kept[2]: ("Sneaker", 0.4, True)}
    assert teaching.picture(kept[2]) == (b"x", "image/png")


def test_folders_that_are_links_or_hidden_are_no_classes(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(b"x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "coat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / ".dress").mkdir()
    (tmp_path / "photos" / ".dress" / "a.jpg").write_bytes(b"x")

    assert counts(Teaching(tmp_path / "photos", MEGABYTE)) == {}


def test_the_archive_is_a_zip_of_folders_by_class(tmp_path: Path) -> None:
    teaching = Teaching(tmp_path / "photos", MEGABYTE)
    for content, class_id in ((b"a", SNEAKER), (b"b", COAT), (b"c", None)):
        teaching.teach(teaching.keep(content, ".jpg", ANSWER), class_id)
    teaching.keep(b"waits", ".jpg", ANSWER)

    with zipfile.ZipFile(io.BytesIO(b"".join(teaching.archive(pytest.fail)))) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")

    assert sorted((path.parent.name, path.read_bytes()) for path in (tmp_path / "out").rglob("*.jpg")) == [
        (".none", b"c"),
        ("coat", b"b"),
        ("sneaker", b"a"),
    ]
    assert {tuple(classes) for _, classes in find_photos(tmp_path / "out")} == {(SNEAKER,), (COAT,)}


def test_two_folders_of_a_class_both_count_and_are_both_in_the_archive(tmp_path: Path) -> None:
    for folder in ("coat", "4"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.jpg").write_bytes(folder.encode())
    teaching = Teaching(tmp_path, MEGABYTE)
    undo = teaching.teach(teaching.keep(b"new", ".jpg", ANSWER), COAT)

    with zipfile.ZipFile(io.BytesIO(b"".join(teaching.archive(pytest.fail)))) as archive:
        names = archive.namelist()
        assert sorted(map(archive.read, names)) == [b"4", b"coat", b"new"]
    assert len(set(names)) == 3
    assert {name.partition("/")[0] for name in names} == {"coat"}
    assert counts(teaching) == {COAT: 3}
    assert teaching.undo(undo) in waiting(teaching)


def test_the_archive_takes_any_date_and_passes_over_what_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "coat").mkdir()
    (tmp_path / "coat" / "old.jpg").write_bytes(b"old")
    os.utime(tmp_path / "coat" / "old.jpg", (0, 0))
    broken = tmp_path / "coat" / "broken.jpg"
    broken.write_bytes(b"x")
    (tmp_path / "coat" / "zebra.jpg").write_bytes(b"last")
    told: list[str] = []
    teaching = Teaching(tmp_path, MEGABYTE)
    read = Path.read_bytes

    def read_from_a_worn_card(path: Path) -> bytes:
        if path == broken:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_from_a_worn_card)

    with zipfile.ZipFile(io.BytesIO(b"".join(teaching.archive(told.append)))) as archive:
        assert archive.namelist() == ["coat/old.jpg", "coat/zebra.jpg"]
        assert archive.getinfo("coat/old.jpg").date_time[0] == 1980
    assert told == [f"{broken} is not in the ZIP: it can't be read (Input/output error)"]


def test_the_archive_passes_over_what_is_moved_away_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "coat").mkdir()
    for name in "abc":
        (tmp_path / "coat" / f"{name}.jpg").write_bytes(name.encode())

    chunks = Teaching(tmp_path, MEGABYTE).archive(pytest.fail)
    first = next(chunks)
    (tmp_path / "coat" / "b.jpg").unlink()

    with zipfile.ZipFile(io.BytesIO(first + b"".join(chunks))) as archive:
        assert archive.namelist() == ["coat/a.jpg", "coat/c.jpg"]


def test_a_link_to_a_picture_elsewhere_is_none_that_waits(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.jpg").write_bytes(b"x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "kept-20261126-040208-123.jpg").symlink_to(tmp_path / "elsewhere.jpg")

    assert waiting(Teaching(tmp_path / "photos", MEGABYTE)) == []


def test_names_that_are_no_utf_8_are_written_so_that_no_photo_takes_another_s_place(tmp_path: Path) -> None:
    (tmp_path / "coat").mkdir()
    for name in (b"caf\xe9.jpg", b"caf\xe8.jpg", "caf\u00e9.jpg".encode()):
        (tmp_path / "coat" / os.fsdecode(name)).write_bytes(name)

    content = b"".join(Teaching(tmp_path, MEGABYTE).archive(pytest.fail))

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "coat/caf%E9.jpg": b"caf\xe9.jpg",
            "coat/caf%E8.jpg": b"caf\xe8.jpg",
            "coat/caf\u00e9.jpg": "caf\u00e9.jpg".encode(),
        }


def test_an_empty_archive_is_one_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(b"".join(Teaching(tmp_path, MEGABYTE).archive(pytest.fail)))) as archive:
        assert archive.namelist() == []


def test_labels_are_in_the_language_that_was_asked_for(tmp_path: Path) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for label in ("t-shirt-top", "ankle-boot"):
        (tmp_path / f"unsure-{stamp}-123-{label}.jpg").write_bytes(b"x")

    overview = Teaching(tmp_path, MEGABYTE, LANGUAGES["zh"]).overview()

    assert {row["label"] for row in overview["waiting"]} == {"T恤/上衣", "短靴"}
    assert overview["classes"][1]["label"] == "裤子"
    assert overview["enough"] == 50
    assert len(overview["classes"]) == len(CLASSES) + 1


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="photos can't be saved there"):
        Teaching(tmp_path / "file", MEGABYTE)
