"""Downloads from a real HTTP server that behaves well, badly, or not at all; and Debian packages, by programs that stand in."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_edge.errors import FmnistEdgeError
from support.file_server import Server, serving
from train.fetch import FetchError, download, unpack_package

NAME, CONTENT = "data.gz", bytes(range(256)) * 800


class NotTheFileError(FmnistEdgeError):
    pass


def check(path: Path) -> None:
    assert path.name == f"{NAME}.part"  # nothing stands at its place before it is checked
    if path.read_bytes() != CONTENT:
        raise NotTheFileError("it is not the file")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({NAME: CONTENT}) as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / NAME


def part_of(target: Path) -> Path:
    return target.with_name(f"{NAME}.part")


def got(server: Server, target: Path) -> list[str | None]:
    """What was asked for until the file was there, and nothing beside it."""
    download(server.url + NAME, target, check)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    return server.ranges


def test_a_file_is_asked_for_once(server: Server, target: Path) -> None:
    assert got(server, target) == [None]


def test_how_far_it_is_is_shown_beside_what_a_program_reads(
    server: Server, target: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    part_of(target).write_bytes(CONTENT[:1000])

    got(server, target)

    output, shown = capfd.readouterr()
    assert output == ""
    assert re.match(rf"{NAME} ━+ 204\.8/204\.8 kB", shown)


def test_a_server_that_says_nothing_is_not_waited_for(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.fetch.TIMEOUT_SECONDS", 0.1)

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}", target, check)


def test_a_download_goes_on_where_an_earlier_one_broke_off(server: Server, target: Path) -> None:
    part_of(target).write_bytes(CONTENT[:1000])

    assert got(server, target) == ["bytes=1000-"]


def test_a_connection_that_breaks_off_is_resumed_at_once(server: Server, target: Path) -> None:
    server.cut_after = 70_000

    assert got(server, target) == [None, "bytes=70000-", "bytes=140000-"]


def test_all_of_it_may_be_there_already(server: Server, target: Path) -> None:
    part_of(target).write_bytes(CONTENT)

    assert got(server, target) == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("beginning", [b"<html>", CONTENT + b"more"])
def test_a_bad_beginning_from_an_earlier_download_does_no_harm(beginning: bytes, server: Server, target: Path) -> None:
    part_of(target).write_bytes(beginning)

    assert got(server, target) == [f"bytes={len(beginning)}-", None]


def test_a_server_that_sends_all_of_it_again_is_taken_at_its_word(server: Server, target: Path) -> None:
    server.plain = True
    part_of(target).write_bytes(CONTENT[:1000])

    assert got(server, target) == ["bytes=1000-"]


def test_a_download_that_stays_truncated_is_an_error_and_its_beginning_is_kept(server: Server, target: Path) -> None:
    server.cut_after = 1000

    with pytest.raises(FetchError) as refused:
        download(server.url + NAME, target, check)

    assert str(refused.value) == (
        f"{NAME}: the connection ended at byte 3000 of {len(CONTENT)}; run the command again to resume the download"
    )
    assert server.ranges == [None, "bytes=1000-", "bytes=2000-"]
    assert part_of(target).read_bytes() == CONTENT[:3000]
    assert not target.exists()


def test_an_address_that_gives_no_more_is_not_asked_again(server: Server, target: Path) -> None:
    part_of(target).write_bytes(CONTENT[:1000])
    server.cut_after = 0

    with pytest.raises(FetchError, match=f"the connection ended at byte 1000 of {len(CONTENT)}"):
        download(server.url + NAME, target, check)

    assert server.ranges == ["bytes=1000-"]


def test_another_file_is_thrown_away_and_not_asked_for_again(server: Server, target: Path) -> None:
    server.files[NAME] = b"<html>Welcome to the hotel</html>"
    target.write_bytes(b"old")

    with pytest.raises(NotTheFileError):
        download(server.url + NAME, target, check)

    assert server.ranges == [None]
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def test_another_file_in_the_place_of_the_rest_is_no_file_either(server: Server, target: Path) -> None:
    server.files[NAME] = b"<html>Welcome to the hotel</html>"
    part_of(target).write_bytes(CONTENT[:10])

    with pytest.raises(NotTheFileError):
        download(server.url + NAME, target, check)

    assert server.ranges == ["bytes=10-", None]
    assert list(target.parent.iterdir()) == []


def test_what_is_not_there_is_said_with_the_servers_words(server: Server, target: Path) -> None:
    with pytest.raises(FetchError, match=r"^none\.gz: HTTP 404 Not Found$"):
        download(server.url + "folder/none.gz", target, check)

    assert server.ranges == [None]


def test_a_server_that_nobody_answers_for_is_said(target: Path) -> None:
    with pytest.raises(FetchError, match=r"^\[Errno 111\] Connection refused$"):
        download("http://127.0.0.1:9/" + NAME, target, check)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where programs are; each writes how it was called into a file."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\n{text}\n')
    (folder / name).chmod(0o755)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


DPKG_DEB = 'test -f "$2" && echo unpacked > "$3/content"'


def test_a_package_is_downloaded_and_unpacked_where_it_was_asked_for(programs: Path, tmp_path: Path) -> None:
    program(programs, "apt-get", ": > data_1_all.deb")
    program(programs, "dpkg-deb", DPKG_DEB)
    folder = tmp_path / "here"

    unpack_package("data", str(folder))

    assert (folder / "content").read_text() == "unpacked\n"
    assert calls(programs) == ["apt-get --quiet download data", f"dpkg-deb --extract {folder}/data_1_all.deb {folder}"]


def test_without_package_lists_on_the_machine_it_gets_its_own_and_leaves_the_machines_alone(
    programs: Path, tmp_path: Path
) -> None:
    program(programs, "apt-get", 'case "$*" in -o*download*) : > data_1_all.deb ;; -o*update) ;; *) exit 100 ;; esac')
    program(programs, "dpkg-deb", DPKG_DEB)
    folder = tmp_path / "here"

    unpack_package("data", str(folder))

    own = f"-o Dir::State::lists={folder}/lists -o Dir::Cache={folder}/cache --quiet"
    assert calls(programs)[:3] == [
        "apt-get --quiet download data",
        f"apt-get {own} update",
        f"apt-get {own} download data",
    ]
    assert (folder / "lists" / "partial").is_dir()
    assert (folder / "cache" / "archives" / "partial").is_dir()
    assert (folder / "content").exists()


@pytest.mark.parametrize(
    ("text", "said"), [("echo 'W: slow' >&2; echo 'E: no such package ' >&2", "E: no such package"), ("", "apt-get failed")]
)
def test_what_apt_complains_of_last_is_said(text: str, said: str, programs: Path, tmp_path: Path) -> None:
    program(programs, "apt-get", f"{text}\nexit 100")

    with pytest.raises(FetchError) as refused:
        unpack_package("data", str(tmp_path / "here"))

    assert str(refused.value) == said
