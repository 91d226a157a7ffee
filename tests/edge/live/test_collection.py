"""The frames that are kept for the next training: how many, which go first, what happens when the card is full."""

import errno
import io
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.errors import UsageError
from fmnist_edge.live import collect
from fmnist_edge.live.collect import Collection
from fmnist_edge.pictures.tile import View

FRAME = Image.effect_noise((64, 48), 50).convert("RGB")
TILE = np.full((28, 28), 7, np.uint8)
SHIRT, T_SHIRT = 6, 0


def collection(folder: Path, limit: int = 10**6) -> tuple[Collection, list[str]]:
    """One, and what it tells."""
    told: list[str] = []
    return Collection(folder, limit, told.append), told


def add(kept: Collection, now: float = 0) -> None:
    """The frame of a shirt."""
    time.sleep(0.002)  # a frame's name has its milliseconds
    kept.add(FRAME, View(TILE, "photo"), SHIRT, now)


def frames(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def tiles(folder: Path) -> list[Path]:
    return sorted((folder / ".tiles").iterdir())


def size(folder: Path) -> int:
    """Bytes of one frame and its tile."""
    kept, _ = collection(folder / "one")
    add(kept)
    return sum(path.stat().st_size for path in (*frames(folder / "one"), *tiles(folder / "one")))


def old(folder: Path, count: int, content: bytes = b"") -> list[Path]:
    """So many frames of earlier runs."""
    paths = [folder / f"unsure-20200101-0000{second:02}-000-shirt.jpg" for second in range(count)]
    for path in paths:
        path.write_bytes(content)
    return paths


def test_a_frame_is_kept_as_it_was_looked_at_with_the_tile_made_of_it(tmp_path: Path) -> None:
    kept, told = collection(tmp_path)

    add(kept)

    (frame,), (tile,) = frames(tmp_path), tiles(tmp_path)
    assert frame.stem == tile.stem
    assert (Image.open(frame).format, Image.open(tile).format) == ("JPEG", "PNG")
    expected = io.BytesIO()
    FRAME.save(expected, "jpeg", quality=92)
    assert frame.read_bytes() == expected.getvalue()
    np.testing.assert_array_equal(np.asarray(Image.open(tile)), TILE)
    assert told == []


def test_its_name_is_the_time_in_utc_and_the_guess(tmp_path: Path) -> None:
    kept, _ = collection(tmp_path)
    kept.add(FRAME, View(TILE, "photo"), T_SHIRT, 0)

    (frame,) = frames(tmp_path)
    taken = datetime.strptime(f"{frame.stem[:26]}000 +0000", "unsure-%Y%m%d-%H%M%S-%f %z")
    assert frame.stem[26:] == "-t-shirt-top"
    assert timedelta(0) <= datetime.now(timezone.utc) - taken < timedelta(minutes=1)
    assert collect.OURS.fullmatch(frame.name)


def test_one_frame_a_second_is_kept(tmp_path: Path) -> None:
    kept, _ = collection(tmp_path)

    counts = []
    for now in (100, 100, 100.5, 100.999, 101, 101.5, 102.5):
        add(kept, now)
        counts.append(len(frames(tmp_path)))

    assert counts == [1, 1, 1, 1, 2, 2, 3]


def test_a_clock_that_is_behind_costs_no_frame_that_was_just_kept(tmp_path: Path) -> None:
    old = [f"unsure-20990101-0000{second:02}-000-shirt.jpg" for second in range(20)]
    for name in old:
        (tmp_path / name).write_bytes(bytes(50_000))
    (tmp_path / "unsure-99991399-999999-999-shirt.jpg").write_bytes(bytes(10))  # a time that is none
    collection = Collection(tmp_path, 1_000_000, print)

    for second in range(3):
        collection.add(Image.new("RGB", (320, 240)), View(np.zeros((28, 28), np.uint8), "photo"), SHIRT, float(second))

    kept = sorted(path.name for path in tmp_path.glob("unsure-2*.jpg"))
    assert kept[-3:] == [f"unsure-20990101-000019-00{count}-shirt.jpg" for count in (1, 2, 3)]
    assert kept[:-3] == old[-len(kept) + 3 :]
    assert len(list(tmp_path.glob(".tiles/*.png"))) == 3


def test_a_frame_from_the_last_year_that_a_name_can_have_does_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "unsure-99991231-235959-999-shirt.jpg").write_bytes(b"x")
    kept, told = collection(tmp_path)

    add(kept)

    assert told == []
    assert frames(tmp_path)[0].name.startswith(f"unsure-{datetime.now(timezone.utc):%Y}")


def test_what_others_removed_is_counted_no_more(tmp_path: Path) -> None:
    paths = old(tmp_path, 3, bytes(1000))
    kept, _ = collection(tmp_path)
    paths[0].unlink()

    assert (kept.size, kept.recount(), kept.size) == (3000, 2000, 2000)


def test_a_clock_that_is_set_back_does_not_stop_it_for_hours(tmp_path: Path) -> None:
    kept, _ = collection(tmp_path)
    add(kept, 1000)
    add(kept, 5)

    assert len(frames(tmp_path)) == 2


def test_when_there_is_no_room_the_oldest_go_first_and_a_tenth_is_freed(tmp_path: Path) -> None:
    room = size(tmp_path)
    paths = old(tmp_path, 20, bytes(room))
    kept, _ = collection(tmp_path, 20 * room)

    add(kept)

    left = [path for path in paths if path.exists()]
    # nine tenths, less the new frame; its tile then fits without anything going
    assert left == paths[-len(left) :]
    assert len(left) == 17
    assert len(frames(tmp_path)) == 18


def test_what_just_fits_makes_nothing_go(tmp_path: Path) -> None:
    room = size(tmp_path)
    paths = old(tmp_path, 3, bytes(room))

    add(collection(tmp_path, 4 * room)[0])
    assert all(path.exists() for path in paths)


def test_one_byte_too_much_makes_the_oldest_go(tmp_path: Path) -> None:
    room = size(tmp_path)
    paths = old(tmp_path, 3, bytes(room))

    add(collection(tmp_path, 4 * room - 1)[0])
    assert not paths[0].exists()


def test_what_is_kept_counts_from_frame_to_frame(tmp_path: Path) -> None:
    kept, _ = collection(tmp_path, 4 * size(tmp_path))
    for now in range(20):
        add(kept, now)

    total = sum(path.stat().st_size for path in (*frames(tmp_path), *tiles(tmp_path)))
    assert total <= 4 * size(tmp_path / "again")
    assert len(frames(tmp_path)) >= 2


def test_files_of_the_user_neither_count_nor_go(tmp_path: Path) -> None:
    room = size(tmp_path)
    mine = [tmp_path / name for name in ("holiday.jpg", "unsure-notes.jpg", "unsure-20200101-000000-000-shirt.txt")]
    for path in mine:
        path.write_bytes(bytes(100 * room))
    (tmp_path / "shirt").mkdir()
    sorted_away = tmp_path / "shirt" / "unsure-20200101-000000-000-shirt.jpg"
    sorted_away.write_bytes(bytes(100 * room))
    kept, told = collection(tmp_path, room)

    add(kept)

    assert told == []
    assert all(path.exists() for path in (*mine, sorted_away))


def test_what_a_power_cut_left_goes_too(tmp_path: Path) -> None:
    room = size(tmp_path)
    (tmp_path / ".123.part").write_bytes(bytes(room))

    add(collection(tmp_path, room)[0])

    assert not (tmp_path / ".123.part").exists()


def test_what_the_user_took_makes_room(tmp_path: Path) -> None:
    room = size(tmp_path)
    paths = old(tmp_path, 3, bytes(room))
    kept, _ = collection(tmp_path, 3 * room)
    paths[1].unlink()

    add(kept)

    assert paths[2].exists()


def test_a_frame_that_is_larger_than_all_that_may_be_kept_takes_nothing_with_it(tmp_path: Path) -> None:
    (path,) = old(tmp_path, 1, b"x")
    kept, told = collection(tmp_path, 100)

    add(kept)

    assert path.exists()
    assert told == [
        f"{tmp_path}: a frame can't be saved (it alone is larger than all that may be kept); going on without",
    ]


def test_a_frame_as_large_as_all_that_may_be_kept_is_kept(tmp_path: Path) -> None:
    size(tmp_path)
    frame = frames(tmp_path / "one")[0].stat().st_size
    (path,) = old(tmp_path, 1, b"x")

    kept, told = collection(tmp_path, frame)
    add(kept)

    assert told == []
    assert not path.exists()
    assert not frames(tmp_path)  # its tile took its place
    assert tiles(tmp_path)


def test_a_full_card_is_told_once_and_again_after_it_had_room(tmp_path: Path) -> None:
    kept, told = collection(tmp_path)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    add(kept)
    add(kept, 1)
    first = list(told)
    moved.rename(tmp_path)
    add(kept, 2)
    tmp_path.rename(moved)
    add(kept, 3)

    assert first == [f"{tmp_path}: a frame can't be saved (No such file or directory); going on without"]
    assert told == 2 * first
    assert len(frames(moved)) == 1


def test_in_the_end_it_says_how_many_were_kept(tmp_path: Path) -> None:
    room = size(tmp_path)
    old(tmp_path, 20, bytes(room))
    kept, _ = collection(tmp_path, 30 * room)

    add(kept, 0)
    one = kept.summary()
    for now in range(1, 12):
        add(kept, now)

    assert one == f"kept 1 frame in {tmp_path}"
    assert kept.summary() == f"kept 12 frames in {tmp_path}; 4 of the oldest made room (--save-mb)"


def test_in_the_end_it_says_why_none_was_kept(tmp_path: Path) -> None:
    kept, _ = collection(tmp_path)
    assert kept.summary() == f"kept no frames in {tmp_path}: no answer was unsure"

    kept.add(FRAME, View(TILE, "photo", garment_found=False), SHIRT, 0)
    assert frames(tmp_path) == []
    assert kept.summary() == f"kept no frames in {tmp_path}: nothing stood out in the frames with unsure answers"

    full, _ = collection(tmp_path, 10)
    add(full)
    assert full.summary() == f"kept no frames in {tmp_path}: they can't be saved there"


def test_a_folder_that_cannot_be_made_is_said_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as caught:
        collection(tmp_path / "file")
    assert str(caught.value) == f"{tmp_path}/file: frames can't be saved there (File exists)"

    def worn_out(path: Path) -> Iterator[Path]:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "iterdir", worn_out)
        with pytest.raises(UsageError) as caught:
            collection(tmp_path / "new")
    assert str(caught.value) == f"{tmp_path}/new: frames can't be saved there (Input/output error)"

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".tiles").touch()
    with pytest.raises(UsageError, match=r"folder/\.tiles: tiles can't be saved there"):
        collection(tmp_path / "folder")
