"""Where Fashion-MNIST is looked for, in which order, and what is said of each place: with four small files in its place."""

import gzip
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from support.file_server import Server, serving
from train import dataset
from train.dataset import DatasetError, Source, check_folder, checksums, load, locate, read_checked

ARRAYS = [
    np.random.default_rng(number).integers(0, 256, shape, np.uint8) for number, shape in enumerate([(3, 2, 2), 3, (2, 2, 2), 2])
]
NAMES = [source.name for source in dataset.SOURCES]
LAST = NAMES[3]
NOBODY = "http://127.0.0.1:9/"
"""A mirror that nobody answers for."""


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


CONTENTS = dict(zip(NAMES, map(idx, ARRAYS), strict=True))


class Places:
    """The places of a machine, all of them empty."""

    def __init__(self, folder: Path) -> None:
        self.home, self.debian, self.programs = folder / "home", folder / "debian", folder / "bin"
        self.cache = self.home / ".keras" / "datasets" / "fashion-mnist"
        for made in (self.home, self.programs):
            made.mkdir()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    places = Places(tmp_path)
    small = [Source(name, array.shape, sha256(CONTENTS[name]).hexdigest()) for name, array in zip(NAMES, ARRAYS, strict=True)]
    for name, value in {"SOURCES": tuple(small), "DEBIAN_DIR": places.debian, "MIRRORS": (NOBODY,)}.items():
        monkeypatch.setattr(dataset, name, value)
    for name, value in {"HOME": places.home, "PATH": places.programs, "FMNIST_DATA": ""}.items():
        monkeypatch.setenv(name, str(value))
    return places


def fill(folder: Path, *without: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        if name not in without:
            (folder / name).write_bytes(gzip.compress(content))
    return folder


def problems(folder: Path) -> dict[str, str]:
    return {source.name: problem for source, problem in check_folder(folder).items()}


def test_each_array_comes_from_its_own_file(places: Places) -> None:
    fill(places.debian, LAST)
    found = load(fill(places.home / "mine"))

    arrays = (found.train_images, found.train_labels, found.test_images, found.test_labels)
    assert all((one == other).all() for one, other in zip(arrays, ARRAYS, strict=True))


def test_a_model_says_what_it_was_trained_on_by_what_is_in_the_files(places: Places) -> None:
    assert checksums() == {name.removesuffix(".gz"): sha256(content).hexdigest() for name, content in CONTENTS.items()}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, f"{LAST} is missing"),
        (gzip.compress(CONTENTS[LAST])[:-5], f"{LAST} is damaged (Compressed file ended before"),
        (b"\x1f\x8b nonsense", f"{LAST} is damaged ("),
        (b"<html>", f"{LAST} is not an IDX file of shape (2,)"),
        (b"", f"{LAST} is not an IDX file of shape (2,)"),
        (CONTENTS[NAMES[1]], f"{LAST} is not an IDX file of shape (2,)"),
        (CONTENTS[LAST][:-1] + b"x", f"{LAST} is damaged or not Fashion-MNIST (wrong checksum)"),
        (CONTENTS[LAST] + b"x", f"{LAST} is damaged or not Fashion-MNIST (wrong checksum)"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named_with_the_reason(
    content: bytes | None, problem: str, places: Places
) -> None:
    fill(places.debian, LAST)
    if content is not None:
        (places.debian / LAST).write_bytes(content)

    found = problems(places.debian)

    assert list(found) == [LAST]
    assert found[LAST].startswith(problem)


def test_what_can_not_be_read_is_not_called_missing(places: Places) -> None:
    (fill(places.debian, LAST) / LAST).mkdir()

    assert problems(places.debian) == {LAST: f"{LAST} can't be read (Is a directory)"}


@pytest.mark.parametrize("name", [LAST, LAST.removesuffix(".gz")])
def test_a_file_that_is_unpacked_is_as_good(name: str, places: Places) -> None:
    (fill(places.debian, LAST) / name).write_bytes(CONTENTS[LAST])

    np.testing.assert_array_equal(read_checked(places.debian / LAST, dataset.SOURCES[3]), ARRAYS[3])


def test_of_a_packed_and_an_unpacked_file_the_packed_one_counts(places: Places) -> None:
    (fill(places.debian) / LAST.removesuffix(".gz")).write_bytes(b"old")

    assert problems(places.debian) == {}


def test_keras_cache_comes_first_and_then_debians_package(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    fill(places.debian)
    assert locate() == places.debian

    fill(places.cache)
    assert locate() == places.cache
    assert capsys.readouterr() == ("", "")


def test_the_folder_that_the_environment_names_is_the_only_one_looked_at(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(places.cache)
    monkeypatch.setenv("FMNIST_DATA", str(fill(places.home / "mine")))
    assert locate() == places.home / "mine"

    monkeypatch.setenv("FMNIST_DATA", str(places.home / "typo"))
    with pytest.raises(DatasetError) as refused:
        locate()
    assert str(refused.value) == f"no Fashion-MNIST in {places.home}/typo: {'; '.join(f'{name} is missing' for name in NAMES)}"


def test_a_folder_that_is_given_comes_before_the_environments(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_DATA", str(places.home))

    assert locate(fill(places.home / "mine")) == places.home / "mine"


def test_a_place_with_a_damaged_file_is_named_and_passed_over(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    fill(places.cache, NAMES[0], LAST)
    fill(places.debian)

    assert locate() == places.debian
    assert capsys.readouterr().err == f"dataset: {places.cache}: {NAMES[0]} is missing; {LAST} is missing\n"


def test_where_a_mirror_is_named_debians_package_is_not_looked_at(places: Places, mirror: Server) -> None:
    fill(places.debian)
    assert locate(mirrors=[mirror.url]) == places.cache

    assert problems(places.cache) == {}


@pytest.fixture(scope="module")
def mirror() -> Iterator[Server]:
    with serving({name: gzip.compress(content) for name, content in CONTENTS.items()}) as mirror:
        yield mirror


def test_mirrors_are_tried_in_their_order(
    places: Places, mirror: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dataset, "MIRRORS", (NOBODY, mirror.url.rstrip("/"), f"{NOBODY}never/asked/"))

    assert locate() == places.cache

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dataset: ")]
    assert lines == [
        f"dataset: trying {NOBODY}",
        f"dataset: {NOBODY}: [Errno 111] Connection refused",
        f"dataset: trying {mirror.url.rstrip('/')}",
    ]


def test_only_what_is_missing_is_downloaded(places: Places, mirror: Server) -> None:
    fill(places.cache, LAST)
    before = len(mirror.ranges)

    assert locate(mirrors=[mirror.url]) == places.cache
    assert mirror.ranges[before:] == [None]


def test_where_nothing_helps_each_place_is_named_and_what_to_do(places: Places) -> None:
    fill(places.debian, NAMES[0])

    with pytest.raises(DatasetError) as caught:
        locate()

    said = str(caught.value)
    assert said.startswith(
        f"no Fashion-MNIST. Tried {places.cache}: not there; {places.debian}: {NAMES[0]} is missing; {NOBODY}: "
        f"[Errno 111] Connection refused. Without a network: copy {', '.join(NAMES)} from another machine to {places.cache}, "
    )
    assert said.endswith("or to a folder that --data-dir or FMNIST_DATA names")


def program(places: Places, name: str, text: str) -> None:
    (places.programs / name).write_text(f"#!/bin/sh\n{text}\n")
    (places.programs / name).chmod(0o755)


@pytest.mark.parametrize("name", ["apt-get", "dpkg-deb"])
def test_debians_package_is_for_machines_with_both_programs(name: str, places: Places) -> None:
    program(places, name, "exit 1")

    with pytest.raises(DatasetError) as caught:
        locate()
    assert "Debian" not in str(caught.value)


def test_in_the_end_debians_package_is_fetched_without_being_installed(places: Places, tmp_path: Path) -> None:
    """The programs do what the real ones do: one leaves a package here, the other unpacks it into a folder."""
    fill(tmp_path / "packed")
    program(places, "apt-get", 'case "$*" in *download*) : > x.deb ;; esac')
    program(places, "dpkg-deb", f'/bin/mkdir -p "$3{places.debian}"; /bin/cp {tmp_path}/packed/* "$3{places.debian}"')

    assert locate() == places.cache

    assert problems(places.cache) == {}
    assert sorted(path.name for path in places.cache.iterdir()) == sorted(NAMES)


def test_a_package_whose_files_are_not_fashion_mnists_is_not_taken(places: Places, tmp_path: Path) -> None:
    (fill(tmp_path / "packed") / NAMES[2]).write_bytes(b"<html>")
    program(places, "apt-get", 'case "$*" in *download*) : > x.deb ;; esac')
    program(places, "dpkg-deb", f'/bin/mkdir -p "$3{places.debian}"; /bin/cp {tmp_path}/packed/* "$3{places.debian}"')

    with pytest.raises(DatasetError, match=rf"the Debian package dataset-fashion-mnist: {NAMES[2]} is not an IDX file"):
        locate()
    assert not (places.cache / NAMES[2]).exists()


def test_a_cache_that_can_not_be_made_is_said(places: Places) -> None:
    (places.home / ".keras").touch()

    with pytest.raises(DatasetError, match=f"{NOBODY}: .*Not a directory"):
        locate()
    assert os.path.isfile(places.home / ".keras")
