"""Getting Fashion-MNIST: from folders, and from a real HTTP server that behaves well, badly, or not at all."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.commands import main_of
from support.file_server import Server, serving
from train.dataset import SOURCES, Dataset, check_folder, fetch_debian_package, locate

NAMES = [source.name for source in SOURCES]
SMALLEST = "t10k-labels-idx1-ubyte.gz"


@pytest.fixture(scope="session")
def good_files() -> Path:
    return locate()


@pytest.fixture
def server(good_files: Path) -> Iterator[Server]:
    with serving({name: (good_files / name).read_bytes() for name in NAMES}) as server:
        yield server


def test_images_and_labels_are_where_they_belong(dataset: Dataset) -> None:
    for images, labels, count in (
        (dataset.train_images, dataset.train_labels, 6_000),
        (dataset.test_images, dataset.test_labels, 1_000),
    ):
        assert images.shape == (10 * count, 28, 28)
        assert np.bincount(labels).tolist() == [count] * 10
        # trousers are narrow, and all of them stand in the middle
        trousers = images[labels == 1].mean(0)
        assert trousers[:, 10:18].mean() > 5 * trousers[:, [0, 1, 2, 3, 24, 25, 26, 27]].mean()
    assert dataset.test_labels[:8].tolist() == [9, 2, 1, 1, 6, 1, 4, 6]
    assert dataset.train_labels[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]


def get_data(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return main_of("train.dataset", *arguments, environment={"HOME": str(home), "FMNIST_DATA": ""})


def cache_of(home: Path) -> Path:
    return home / ".keras" / "datasets" / "fashion-mnist"


def test_a_complete_download_ends_in_keras_cache(server: Server, tmp_path: Path) -> None:
    result = get_data(tmp_path, "--mirror", server.url)

    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in cache_of(tmp_path).iterdir()) == sorted(NAMES)
    assert check_folder(cache_of(tmp_path)) == {}


def test_a_login_page_instead_of_the_file_is_no_data(server: Server, tmp_path: Path) -> None:
    server.files = dict.fromkeys(NAMES, b"<html>Welcome to the hotel</html>")

    result = get_data(tmp_path, "--mirror", server.url)

    assert result.returncode == 1
    assert "train-images-idx3-ubyte.gz is not an IDX file of shape (60000, 28, 28)" in result.stderr


def test_a_mirror_that_is_no_address_is_a_usage_error(tmp_path: Path) -> None:
    result = get_data(tmp_path, "--mirror", "example.org")

    assert result.returncode == 2
    assert result.stderr == "dataset: a mirror's address begins with http:// or https://, not 'example.org'\n"


def test_when_nothing_works_the_message_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    result = get_data(tmp_path, "--mirror", "http://127.0.0.1:9/")

    assert result.returncode == 1
    last_line = result.stderr.splitlines()[-1]
    assert f"{cache_of(tmp_path)}: not there" in last_line
    assert "http://127.0.0.1:9/: [Errno 111] Connection refused" in last_line
    assert "Without a network: copy train-images-idx3-ubyte.gz" in last_line
    assert "Traceback" not in result.stderr


def test_a_folder_that_was_named_is_not_replaced_by_another(tmp_path: Path) -> None:
    result = get_data(tmp_path, "--data-dir", str(tmp_path))

    assert result.returncode == 1
    assert f"no Fashion-MNIST in {tmp_path}: train-images-idx3-ubyte.gz is missing" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get: not a Debian-family machine")
@pytest.mark.parametrize("lists", ["of this machine", "none yet"])
def test_the_debian_package_gives_the_four_files_without_being_installed(
    lists: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lists == "none yet":
        (tmp_path / "empty" / "partial").mkdir(parents=True)
        (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path}/empty";')
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    (tmp_path / "data").mkdir()

    fetch_debian_package(tmp_path / "data")

    assert check_folder(tmp_path / "data") == {}
