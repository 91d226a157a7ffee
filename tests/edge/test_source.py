"""What a source's text means, whichever command it is said to."""

import os
from pathlib import Path

import pytest

from fmnist_edge.errors import UsageError
from fmnist_edge.source import (
    ARCHIVE,
    AUTO,
    DEVICE,
    FOLDER,
    OTHER,
    PATTERN,
    PICAMERA,
    PICTURE,
    SEQUENCE,
    STDIN,
    STREAM,
    TEST,
    VIDEO,
    WEB,
    Kind,
    first_bytes,
    how_to_watch,
    kind_of,
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-", STDIN),
        ("/dev/stdin", STDIN),
        ("/dev/fd/0", STDIN),
        ("http://camera.local/snap.jpg", WEB),
        ("HTTPS://camera.local/", WEB),
        ("http://camera.local/?to=rtsp://another/", WEB),
        ("rtsp://camera.local/live", STREAM),
        ("rtsps://camera.local/live", STREAM),
        ("0", DEVICE),
        ("/dev/video7", DEVICE),
        ("/dev/null", DEVICE),
        ("auto", AUTO),
        ("picamera", PICAMERA),
        ("test", TEST),
        ("frames/%04d.png", SEQUENCE),
        ("%d.png", SEQUENCE),
        ("photos/*.jpg", PATTERN),
        ("[ab].png", PATTERN),
        ("gone.png", OTHER),
        ("gone.mp4", OTHER),
        ("C:\\photos\\shoe.png", OTHER),
        ("nul\0.png", OTHER),
    ],
)
def test_what_does_not_exist_is_known_by_how_it_is_written(text: str, kind: Kind) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("shoe.PNG", b"", PICTURE),
        ("phone.heic", b"", PICTURE),
        ("film.MP4", b"", VIDEO),
        ("film.ts", b"G@\0\x10", VIDEO),
        ("phone", b"\0\0\0\x20ftypisom\0\0\x02\0", VIDEO),
        ("phone", b"\0\0\0\x18ftypheic\0\0\0\0", OTHER),
        ("matroska", b"\x1aE\xdf\xa3", VIDEO),
        ("old", b"RIFF\0\0\0\0AVI LIST", VIDEO),
        ("sound", b"RIFF\0\0\0\0WAVEfmt ", OTHER),
        ("quicktime", b"\0\0\0\x08wide", VIDEO),
        ("shoes.zip", b"PK\x03\x04", ARCHIVE),
        ("tiles", b"\x93NUMPY", ARCHIVE),
        ("t10k-images-idx3-ubyte", b"\0\0\x08\x03", ARCHIVE),
        ("notes.txt", b"buy socks", OTHER),
        ("empty", b"", OTHER),
        ("test", b"buy socks", OTHER),
        ("0", b"\x1aE\xdf\xa3", VIDEO),
        ("[ab].png", b"", PICTURE),
        ("%04d.png", b"", PICTURE),
        ("pass=word@:a.png", b"", PICTURE),
    ],
)
def test_a_file_is_known_by_its_name_and_its_first_bytes(name: str, content: bytes, kind: Kind, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    assert kind_of(name) == kind


@pytest.mark.parametrize(
    "suffix",
    [
        "mp4",
        "m4v",
        "mov",
        "qt",
        "3gp",
        "mkv",
        "webm",
        "avi",
        "wmv",
        "asf",
        "flv",
        "ogv",
        "mpg",
        "mpeg",
        "vob",
        "ts",
        "mts",
        "m2ts",
        "mjpg",
        "mjpeg",
        "h264",
        "264",
        "h265",
        "265",
        "hevc",
        "ivf",
        "y4m",
    ],
)
def test_videos_that_have_no_beginning_of_their_own_are_known_by_name(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"film.{suffix}").write_bytes(b"\0\0\1\xba")

    assert kind_of(f"film.{suffix}") == VIDEO


def test_a_folder_comes_before_the_camera_of_that_name(tmp_path: Path) -> None:
    for name in ("test", "0", "film.mp4"):
        (tmp_path / name).mkdir()

    assert {kind_of(name) for name in ("test", "0", "film.mp4")} == {FOLDER}


def test_a_link_that_leads_nowhere_is_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "test").symlink_to("gone")

    assert kind_of("test") == OTHER


def test_what_can_not_be_read_has_no_first_bytes_and_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(bytes(range(99)))

    assert [first_bytes(name) for name in ("gone", "pipe", ".", "file")] == [b"", b"", b"", bytes(range(16))]
    assert kind_of("pipe") == OTHER


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a source has no name; is a variable empty?"),
        ("rstp://camera/live", "rstp:// is unknown; did you mean rtsp://?"),
        ("htp://camera/", "htp:// is unknown; did you mean http://?"),
        ("ftp://camera/live", "ftp:// is unknown; rtsp:// and http:// are known"),
        ("FILE:///home/me/shoe.png", "file:// is for browsers; write the path without it"),
        ("rtsp:/me:geheim@camera", "***: there is no such file, and an address begins as in rtsp://HOST/ or http://HOST/"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_the_cure(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        kind_of(text)

    assert str(refused.value) == complaint


def test_the_command_can_be_copied_and_does_nothing_to_a_terminal() -> None:
    assert how_to_watch("it's.mp4", VIDEO) == "a video; watch it with: fmnist-edge camera 'it'\"'\"'s.mp4'"
    assert how_to_watch("\033[31m.mp4", VIDEO) == "a video; watch it with: fmnist-edge camera '\\x1b[31m.mp4'"
    assert how_to_watch("-film.mp4", VIDEO) == "a video; watch it with: fmnist-edge camera -- -film.mp4"


def test_a_command_that_would_show_a_password_is_not_written_out() -> None:
    assert how_to_watch("rtsp://me:geheim@camera/", STREAM) == "a stream; 'fmnist-edge camera' takes the same address"
