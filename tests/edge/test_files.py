"""Files are written whole or not at all; texts are read as people's programs write them."""

import codecs
import os
from pathlib import Path

import pytest

from fmnist_edge.errors import UsageError
from fmnist_edge.files import check_writable, decode_text, prepare_folder, replacing, sync


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_takes_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("old")

    with replacing(tmp_path / "page.png") as part:
        part.write_text("new")
        assert (tmp_path / "page.png").read_text() == "old"

    assert names(tmp_path) == ["page.png"]
    assert (tmp_path / "page.png").read_text() == "new"


def test_who_reads_the_old_file_meanwhile_reads_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text("old")

    with open(tmp_path / "status.json") as reading:
        with replacing(tmp_path / "status.json") as part:
            part.write_text("n")
        assert reading.read() == "old"


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("old")

    def write_half() -> None:
        with replacing(tmp_path / "page.png") as part:
            part.write_text("half")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        write_half()

    assert names(tmp_path) == ["page.png"]
    assert (tmp_path / "page.png").read_text() == "old"


def test_what_fails_before_it_was_begun_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"), replacing(tmp_path / "page.png"):
        raise OSError("no room")

    assert names(tmp_path) == []


def test_the_unfinished_file_is_hidden_and_this_processs_own(tmp_path: Path) -> None:
    with replacing(tmp_path / "page.png") as part:
        part.touch()
        assert part == tmp_path / f".{os.getpid()}.part"


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b", "tiles")

    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_is_there_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "mine.png").touch()

    prepare_folder(tmp_path, "tiles")

    assert names(tmp_path) == ["mine.png"]


def test_a_folder_that_cannot_be_made_is_a_usage_error_that_says_what_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError) as caught:
        prepare_folder(tmp_path / "file" / "tiles", "tiles")
    assert str(caught.value) == f"{tmp_path}/file/tiles: tiles can't be saved there (Not a directory)"


def test_a_folder_in_which_no_file_can_be_made_is_found_out_before_the_work() -> None:
    with pytest.raises(UsageError, match="/proc: tiles can't be saved there"):
        prepare_folder(Path("/proc"), "tiles")
    with pytest.raises(OSError, match="/proc"):
        check_writable(Path("/proc"))


@pytest.mark.parametrize(
    "content",
    [
        "鞋,é".encode(),
        codecs.BOM_UTF8 + "鞋,é".encode(),
        codecs.BOM_UTF16_LE + "鞋,é".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "鞋,é".encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 with a mark", "utf-16", "utf-16, big-endian"],
)
def test_a_text_is_read_without_its_byte_order_mark(content: bytes) -> None:
    assert decode_text(content) == "鞋,é"


def test_what_is_no_text_is_not_guessed_at() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text("é".encode("latin-1"))


def test_files_and_folders_are_brought_to_the_disk_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    before = len(os.listdir("/proc/self/fd"))

    sync(tmp_path / "file")
    sync(tmp_path)

    assert synced == [str(tmp_path / "file"), str(tmp_path)]
    assert len(os.listdir("/proc/self/fd")) == before
