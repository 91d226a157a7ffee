"""From what the command line names to the pictures there: which, in which order, and what is said of what is none."""

import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.classify import find as module
from fmnist_edge.classify.find import find, lines_of_stdin, list_folder, on_stdin, picture_on_stdin
from fmnist_edge.classify.reading import Options
from fmnist_edge.errors import InputError, UsageError
from support.camera_server import CameraServer

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
    assert found("empty", "b.png") == [f"empty: no pictures in this folder ({PICTURES}); -r searches its subfolders too", "b.png"]
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
    assert found("*.jpg") == ["*.jpg: no such file or directory, and no file matches it as a pattern"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    (tree / "b.png").rename(tree / "[b].png")

    assert found("[b].png") == ["[b].png"]


def test_an_archive_is_known_by_its_content_and_a_picture_by_its_name(tree: Path) -> None:
    with zipfile.ZipFile("shoes", "w") as archive:
        archive.write("b.png")
    (tree / "shoes").rename(tree / "shoes.data")
    assert found("shoes.data") == ["shoes.data/b.png"]

    (tree / "shoes.data").rename(tree / "shoes.png")
    assert found("shoes.png") == [f"shoes.png: not a {PICTURES} picture, but a ZIP archive; its name should end in .zip"]


def test_another_file_is_read_as_a_picture() -> None:
    assert found("notes.txt") == [f"notes.txt: not a {PICTURES} picture"]


def test_options_reach_the_reading(tree: Path) -> None:
    (source,) = find(["b.png"], Options(wanted="photo"))
    assert source.read().kind == "photo"
    (source,) = find(["b.png"], Options(max_pixels=783))
    with pytest.raises(InputError, match=r"larger than 0\.000783"):
        source.read()


def test_a_photo_is_decoded_in_full_if_that_is_wanted() -> None:
    Image.new("RGB", (2000, 1600)).save("large.jpg")

    assert [next(find(["large.jpg"], Options(whole=whole))).open().size for whole in (False, True)] == [(500, 400), (2000, 1600)]


def test_of_what_is_watched_the_next_frame_is_a_picture_if_that_is_wanted() -> None:
    (source,) = find(["test"], Options(frames=True, wanted="photo"))
    assert (source.name, source.wanted, source.open().mode) == ("test", "photo", "RGB")

    with CameraServer() as camera:
        (source,) = find([camera.source], Options(frames=True))
        assert (source.name, source.open().size) == (camera.source, (320, 240))


def test_a_picture_at_an_address_is_taken_for_what_it_is_said_to_be() -> None:
    assert next(find(["http://camera/shoe.jpg"], Options(wanted="photo"))).wanted == "photo"


def test_a_folder_that_cannot_be_read_is_named_and_the_others_follow(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def locked(path: str) -> object:
        if os.path.basename(path) == "d":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)

    assert found(".", recursive=True)[2:] == ["./d: the folder can't be read (Permission denied)", "./z/two.png"]
    assert found("d") == ["d: the folder can't be read (Permission denied)"]


def test_a_folder_has_its_pictures_and_its_folders_by_name() -> None:
    assert list_folder(".") == (["a.PNG", "b.png"], ["d", "empty", "z"])


def put_on_stdin(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]


def test_a_list_on_stdin_is_a_path_a_line_whatever_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_stdin(b"b.png\r\n\nwith space.png \ncaf\xe9.png\nSIZE_X\nlast.png", monkeypatch)

    assert list(lines_of_stdin()) == ["b.png", "with space.png ", os.fsdecode(b"caf\xe9.png"), "SIZE_X", "last.png"]


def test_a_list_from_windows_may_have_odd_names(monkeypatch: pytest.MonkeyPatch) -> None:
    half_a_character = b"\0\xd8"
    put_on_stdin("\ufeffwith space.png \r\nSIZE_X\r\n".encode("utf-16-le") + half_a_character + b"\n\0", monkeypatch)

    assert list(lines_of_stdin()) == ["with space.png ", "SIZE_X", "\N{REPLACEMENT CHARACTER}"]


def test_a_list_on_stdin_stands_where_its_dash_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_stdin(b"b.png\nd\ngone.png\n", monkeypatch)

    assert found("a.PNG", "-", "z") == ["a.PNG", "b.png", "d/one.png", "gone.png: no such file or directory", "z/two.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_may_come_from_windows(encoding: str, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ("\ufeff" if encoding == "utf-16-be" else "") + f"b.png{end}{end}Schön/鞋.png{end}"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode(encoding)))))  # type: ignore[arg-type]

    assert [source.name for source in find(["-"], Options())] == ["b.png", "Schön/鞋.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_each_path_of_a_list_is_there_before_the_next_comes(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with open(ours) as stdin, open(theirs, "wb", buffering=0) as list_:
        monkeypatch.setattr("sys.stdin", stdin)
        sources = find(["-"], Options())
        for begin, name in (("\ufeff", "a.png"), ("", "b.png")):
            list_.write(f"{begin}{name}\r\n".encode(encoding))
            assert next(sources).name == name
        list_.close()
        assert list(sources) == []


def test_a_list_may_be_as_find_print0_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_stdin(b"two\nlines.png\0b.png\0", monkeypatch)

    assert list(lines_of_stdin()) == ["two\nlines.png", "b.png"]


@pytest.mark.parametrize("begin", [b"YUV4MPEG2 W64 H48 F25:1 C420\nFRAME\n", b"\0\0\0\x20ftypmp42\0\0\0\0"])
def test_a_video_on_stdin_is_no_list(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_stdin(begin, monkeypatch)

    assert on_stdin() == "a picture"


NAMES = {"BMW.jpg\n": "names", "鞋.png\n": "names", "\ufeffb.png\n": "names", "b.png\0a.PNG\0": "names", "": "nothing"}


@pytest.mark.parametrize(("text", "what"), NAMES.items())
def test_what_comes_on_stdin_may_be_names(text: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_stdin(text.encode(), monkeypatch)

    assert on_stdin() == what


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "bmp", "gif", "tiff"])
def test_what_comes_on_stdin_may_be_a_picture(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (250, 251, 252)).save(file, form)
    put_on_stdin(file.getvalue(), monkeypatch)

    assert on_stdin() == "a picture"
    assert found("-") == ["stdin"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0\x20ftypisom\0\0\x02\0", "but a video; 'fmnist-edge camera' watches it"),
        (b"PK\x03\x04\x14\0", "but a ZIP archive; its name should end in .zip"),
        (b"%PDF-1.7\n", "but a PDF; save it as JPEG or PNG"),
        (b"\x89PNH\r\n\x1a\n\x01", ""),
    ],
)
def test_bytes_on_stdin_that_are_no_picture_are_one_complaint(
    content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_stdin(content + b"\n1\n2\n3", monkeypatch)

    (said,) = found("-")

    assert said == f"stdin: not a {PICTURES} picture" + (reason and f", {reason}")


def test_numbered_pictures_come_by_number_and_gaps_do_not_matter(tree: Path) -> None:
    (tree / "f%d").mkdir()
    for number in ("8", "9", "11", "011", "x"):
        Image.new("L", (28, 28)).save(f"f%d/{number}.png")

    assert found("f%d/%d.png") == ["f%d/8.png", "f%d/9.png", "f%d/11.png"]
    assert found("f%d/%03d.png") == ["f%d/011.png"]
    Image.new("L", (28, 28)).save("7.png")
    assert found("%d.png") == ["7.png"]
    nothing = "no such file or directory, and no file matches it as a pattern"
    assert found("%d.jpg", "gone/%d.png", "my%20dir/a.png") == [
        *(f"{name}: {nothing}" for name in ("%d.jpg", "gone/%d.png", "my%20dir/a.png"))
    ]


def test_what_only_the_camera_takes_is_named_with_the_command(tree: Path) -> None:
    (tree / "my film").write_bytes(b"\0\0\0\x20ftypisom\0\0\x02\0")
    (tree / "-film.avi").write_bytes(b"RIFF....AVI ")

    assert found("my film", "-film.avi", "rtsp://porch.local/live", "0", "b.png") == [
        "my film: a video; watch it with: fmnist-edge camera 'my film'",
        "-film.avi: a video; watch it with: fmnist-edge camera -- -film.avi",
        "rtsp://porch.local/live: a stream; watch it with: fmnist-edge camera rtsp://porch.local/live",
        "0: a camera; watch it with: fmnist-edge camera 0",
        "b.png",
    ]


def test_no_complaint_holds_a_password() -> None:
    said = found("rtsp://me:geheim@porch.local/live", "rtsp:/me:geheim@porch.local", "rtps://me:geheim@h/", "http://a:ge/heim@h/")

    assert said == [
        "rtsp://porch.local/live: a stream; 'fmnist-edge camera' takes the same address",
        "***: there is no such file, and an address begins as in rtsp://HOST/ or http://HOST/",
        "rtps://h/: rtps:// is unknown; did you mean rtsps://?",
        "http://***: what stands before the path is no host; "
        "write / # ? in a password as %2F %23 %3F, and @ as %40, in a path too",
    ]


def test_a_picture_may_be_turned_before_it_is_looked_at(tree: Path) -> None:
    Image.fromarray(np.array([[0, 50, 100], [150, 200, 250]], np.uint8)).save("corners.png")

    (source,) = find(["corners.png"], Options(rotate=90))

    assert np.asarray(source.open()).tolist() == [[150, 0], [200, 50], [250, 100]]


def test_a_picture_on_stdin_is_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_stdin((tree / "b.png").read_bytes(), monkeypatch)

    source = picture_on_stdin(Options(wanted="photo"))

    assert source.name == "stdin"
    assert source.read().kind == "photo"


def test_more_bytes_on_stdin_than_fit_are_not_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fmnist_edge.classify import reading

    content = (tree / "b.png").read_bytes()
    for limit in (len(content), len(content) - 1):
        monkeypatch.setattr(module, "MAX_BYTES", limit)
        monkeypatch.setattr(reading, "MAX_BYTES", limit)
        put_on_stdin(content + bytes(limit == len(content) - 1), monkeypatch)
        source = picture_on_stdin(Options())
        if limit == len(content):
            assert source.read().kind == "tile"
        else:
            with pytest.raises(InputError, match="larger than 256 MB"):
                source.read()
            assert sys.stdin.buffer.read() == b"\0"


def test_without_stdin_nothing_can_come_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    for act in (lambda: list(lines_of_stdin()), lambda: picture_on_stdin(Options()), on_stdin):
        with pytest.raises(UsageError, match=r"^stdin is closed; nothing can be read from it$"):
            act()
