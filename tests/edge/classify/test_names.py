"""From what the command line names to the pictures there: which, in which order, and what is said of what is none."""

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from fmnist_edge.classify import find as module
from fmnist_edge.classify.find import find, first_bytes, lines_of_stdin, list_folder, picture_on_stdin
from fmnist_edge.classify.reading import Options
from fmnist_edge.errors import InputError, UsageError

PICTURES = "PNG, JPEG, WebP, BMP, GIF or TIFF"


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, notes, and two folders with one each; we are there."""
    for number, name in enumerate(("b.png", "a.PNG", "z/two.png", "d/one.png", "d/deep/three.png"), 1):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (28, 28), number).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*arguments: str, recursive: bool = False) -> list[str]:
    """The names; what is said of those that are none behind a colon."""
    names = []
    for source in find(arguments, Options(recursive=recursive)):
        try:
            source.read()
            names.append(source.name)
        except InputError as error:
            names.append(f"{source.name}: {error}")
    return names


def test_pictures_come_in_the_order_in_which_they_are_named() -> None:
    assert found("b.png", "a.PNG", "b.png") == ["b.png", "a.PNG", "b.png"]


def test_a_picture_that_is_not_there_is_named_and_the_others_follow() -> None:
    assert found("gone.png", "b.png") == ["gone.png: no such file or directory", "b.png"]


def test_a_folder_is_its_pictures_by_name_and_not_what_lies_deeper() -> None:
    assert found(".") == ["./a.PNG", "./b.png"]


def test_with_recursion_its_folders_follow_by_name_depth_first() -> None:
    assert found(".", recursive=True) == ["./a.PNG", "./b.png", "./d/one.png", "./d/deep/three.png", "./z/two.png"]


def test_a_folder_without_pictures_says_so_and_how_to_look_deeper() -> None:
    assert found("empty", "b.png") == [f"empty: no pictures in this folder ({PICTURES}); -r looks into its folders too", "b.png"]
    assert found("empty", recursive=True) == [f"empty: no pictures in this folder ({PICTURES})"]


def test_links_to_folders_are_not_followed_since_they_may_lead_in_a_circle(tree: Path) -> None:
    (tree / "d" / "circle").symlink_to(tree)

    assert found("d", recursive=True) == ["d/one.png", "d/deep/three.png"]


def test_a_folder_whose_name_looks_like_a_picture_is_a_folder(tree: Path) -> None:
    (tree / "z" / "folder.png").mkdir()

    assert found("z") == ["z/two.png"]


def test_a_pattern_is_what_fits_it_by_name() -> None:
    assert found("*.[pP]*") == ["a.PNG", "b.png"]
    assert found("**/*.png") == ["b.png", "d/deep/three.png", "d/one.png", "z/two.png"]


def test_a_pattern_that_nothing_fits_says_so() -> None:
    assert found("*.jpg") == ["*.jpg: no such file or directory, and nothing fits it as a pattern"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    (tree / "b.png").rename(tree / "[b].png")

    assert found("[b].png") == ["[b].png"]


def test_an_archive_is_known_by_its_content_and_a_picture_by_its_name(tree: Path) -> None:
    with zipfile.ZipFile("shoes", "w") as archive:
        archive.write("b.png")
    (tree / "shoes").rename(tree / "shoes.data")
    assert found("shoes.data") == ["shoes.data/b.png"]

    (tree / "shoes.data").rename(tree / "shoes.png")
    assert found("shoes.png") == [f"shoes.png: not a {PICTURES} picture"]


def test_another_file_is_read_as_a_picture() -> None:
    assert found("notes.txt") == [f"notes.txt: not a {PICTURES} picture"]


def test_options_reach_the_reading(tree: Path) -> None:
    (source,) = find(["b.png"], Options(wanted="photo"))
    assert source.read().kind == "photo"
    (source,) = find(["b.png"], Options(max_pixels=783))
    with pytest.raises(InputError, match=r"larger than 0\.000783"):
        source.read()


def test_a_folder_that_cannot_be_read_is_named_and_the_others_follow(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def locked(path: str) -> object:
        if os.path.basename(path) == "d":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)

    assert found(".", recursive=True)[2:] == ["./d: the folder can't be read (Permission denied)", "./z/two.png"]


def test_a_folder_has_its_pictures_and_its_folders_by_name() -> None:
    assert list_folder(".") == (["a.PNG", "b.png"], ["d", "empty", "z"])


def test_an_archive_is_known_by_its_first_four_bytes(tree: Path) -> None:
    (tree / "x").write_bytes(b"PK\x03\x04more")

    assert first_bytes("x") == b"PK\x03\x04"
    assert first_bytes("gone") == b""


def on_stdin(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]


def test_a_list_on_stdin_is_a_path_a_line_whatever_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    on_stdin(b"b.png\r\n\nwith space.png \ncaf\xe9.png\nlast.png", monkeypatch)

    assert list(lines_of_stdin()) == ["b.png", "with space.png ", os.fsdecode(b"caf\xe9.png"), "last.png"]


def test_a_list_on_stdin_stands_where_its_dash_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    on_stdin(b"b.png\nd\ngone.png\n", monkeypatch)

    assert found("a.PNG", "-", "z") == ["a.PNG", "b.png", "d/one.png", "gone.png: no such file or directory", "z/two.png"]


def test_a_picture_on_stdin_is_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_stdin((tree / "b.png").read_bytes(), monkeypatch)

    source = picture_on_stdin(Options(wanted="photo"))

    assert source.name == "stdin"
    assert source.read().kind == "photo"


def test_more_bytes_on_stdin_than_fit_are_not_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fmnist_edge.classify import reading

    content = (tree / "b.png").read_bytes()
    for limit in (len(content), len(content) - 1):
        monkeypatch.setattr(module, "MAX_BYTES", limit)
        monkeypatch.setattr(reading, "MAX_BYTES", limit)
        on_stdin(content + bytes(limit == len(content) - 1), monkeypatch)
        source = picture_on_stdin(Options())
        if limit == len(content):
            assert source.read().kind == "tile"
        else:
            with pytest.raises(InputError, match="larger than 256 MB"):
                source.read()
            assert sys.stdin.buffer.read() == b"\0"


def test_without_stdin_nothing_can_come_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(UsageError, match=r"^stdin is closed; '-' reads paths from it$"):
        list(lines_of_stdin())
    with pytest.raises(UsageError, match=r"^stdin is closed; --stdin reads a picture from it$"):
        picture_on_stdin(Options())
