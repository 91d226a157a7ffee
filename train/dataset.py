"""Gets Fashion-MNIST: finds it on this machine, downloads it, or takes it from a Debian package.

`python -m train.dataset` gets it; ``load`` returns its four arrays. Every file is checked before use, wherever it came from.
"""

import gzip
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from fmnist_edge.cli.commands import run
from fmnist_edge.contract import Tiles
from fmnist_edge.errors import FmnistEdgeError, UsageError, reported
from train.arrays import Labels
from train.fetch import download, unpack_package


class DatasetError(FmnistEdgeError):
    """Fashion-MNIST is not available here, or one of its files is damaged."""


@dataclass(frozen=True)
class Source:
    """One of the four files: its name, the shape of its array, and the SHA-256 of what is inside the .gz."""

    name: str
    shape: tuple[int, ...]
    content_sha256: str


# The data set's authors publish the MD5s of the .gz files, and Debian packs the same content anew (gzip -n). So the content is
# checked: the SHA-256 of what the .gz files with the published MD5s hold. (Debian's files become the published ones, MD5 and all,
# when the names and dates that gzip -n leaves out are put back.)
SOURCES = (
    Source("train-images-idx3-ubyte.gz", (60_000, 28, 28), "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    Source("train-labels-idx1-ubyte.gz", (60_000,), "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    Source("t10k-images-idx3-ubyte.gz", (10_000, 28, 28), "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    Source("t10k-labels-idx1-ubyte.gz", (10_000,), "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)

MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_DIR = Path("/usr/share/datasets/fashion-mnist")
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Dataset:
    """images uint8 (N, 28, 28), background 0; labels uint8 (N,), 0 to 9; N is 60,000 for training and 10,000 for the test."""

    train_images: Tiles
    train_labels: Labels
    test_images: Tiles
    test_labels: Labels


def load(data_dir: Path | None = None) -> Dataset:
    """The whole data set. data_dir: see ``locate``. Raises DatasetError."""
    folder = locate(data_dir)
    return Dataset(*(read_checked(folder / source.name, source) for source in SOURCES))


def checksums() -> dict[str, str]:
    """For each file, the SHA-256 of its unpacked content. Model files record them."""
    return {source.name.removesuffix(".gz"): source.content_sha256 for source in SOURCES}


def locate(data_dir: Path | None = None, mirrors: Sequence[str] = ()) -> Path:
    """A folder with the four files, all checked; gets them if there is none yet.

    If data_dir or FMNIST_DATA is given, no other place is searched: a typo there must not lead to other data.
    Otherwise: Keras' cache, Debian's data set package, a download into Keras' cache, the package fetched without installing it.
    If mirrors are given: only Keras' cache, then a download from the mirrors.
    Raises DatasetError, which lists each place tried and says what to do without a network.
    """
    if given := data_dir or os.environ.get("FMNIST_DATA"):
        if problems := check_folder(Path(given)):
            raise DatasetError(f"no Fashion-MNIST in {given}: {'; '.join(problems.values())}")
        return Path(given)
    cache = Path.home() / ".keras" / "datasets" / "fashion-mnist"
    tried = []
    for folder in (cache,) if mirrors else (cache, DEBIAN_DIR):
        if not os.path.isdir(folder):
            tried.append(f"{folder}: not there")
        elif problems := check_folder(folder):
            tried.append(f"{folder}: {'; '.join(problems.values())}")
            say(tried[-1])
        else:
            return folder
    ways: dict[str, Callable[[Path], None]] = {mirror: partial(fetch_from_mirror, mirror) for mirror in mirrors or MIRRORS}
    if not mirrors and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        ways[f"the Debian package {DEBIAN_PACKAGE}"] = fetch_debian_package
    for what, fetch in ways.items():
        say(f"trying {what}")
        try:
            cache.mkdir(parents=True, exist_ok=True)
            fetch(cache)
            return cache
        except (FmnistEdgeError, OSError, HTTPException, ValueError) as error:
            tried.append(f"{what}: {error}")
            say(tried[-1])
    raise DatasetError(
        f"no Fashion-MNIST. Tried {'; '.join(tried)}. "
        f"Without a network: copy {', '.join(source.name for source in SOURCES)} "
        f"from another machine to {cache}, or to a folder that --data-dir or FMNIST_DATA names"
    )


def check_folder(folder: Path) -> dict[Source, str]:
    """The problems with the files in a folder; empty if there are none."""
    problems = {}
    for source in SOURCES:
        try:
            read_checked(folder / source.name, source)
        except DatasetError as error:
            problems[source] = str(error)
    return problems


def read_checked(path: Path, source: Source) -> NDArray[np.uint8]:
    """The array in an IDX file. Raises DatasetError if any byte differs from the expected file.

    Browsers may unpack a download, with or without removing .gz from its name, so an unpacked file is accepted too.
    """
    unpacked = path.with_suffix("")
    try:
        content = (unpacked if not path.exists() and unpacked.exists() else path).read_bytes()
        content = gzip.decompress(content) if content.startswith(GZIP) else content
    except FileNotFoundError:
        raise DatasetError(f"{source.name} is missing") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{source.name} is damaged ({error})") from None
    except OSError as error:
        raise DatasetError(f"{source.name} can't be read ({error.strerror})") from None
    # IDX: two zero bytes, 8 = unsigned byte, number of dimensions, then each dimension, big-endian
    header = np.array([0x0800 + len(source.shape), *source.shape], ">u4").tobytes()
    if not content.startswith(header):
        raise DatasetError(f"{source.name} is not an IDX file of shape {source.shape}")
    if sha256(content).hexdigest() != source.content_sha256:
        raise DatasetError(f"{source.name} is damaged or not Fashion-MNIST (wrong checksum)")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(source.shape)


def fetch_from_mirror(mirror: str, folder: Path) -> None:
    """Downloads the files that the folder lacks."""
    for source in check_folder(folder):
        download(mirror.rstrip("/") + "/" + source.name, folder / source.name, partial(read_checked, source=source))


def fetch_debian_package(folder: Path) -> None:
    """Takes the files out of Debian's package. Needs neither root nor an installation."""
    with tempfile.TemporaryDirectory() as scratch:
        unpack_package(DEBIAN_PACKAGE, scratch)
        for source in check_folder(folder):
            packed, part = Path(scratch + str(DEBIAN_DIR / source.name)), folder / f"{source.name}.part"
            read_checked(packed, source)
            shutil.copyfile(packed, part)
            part.replace(folder / source.name)


def say(message: str) -> None:
    print(f"dataset: {message}", file=sys.stderr)


@reported("dataset", "the same command continues the download")
def main(
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder with the four files. If not given: FMNIST_DATA.")
    ] = None,
    mirror: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Download from this address instead; repeatable.")
    ] = None,
) -> None:
    """Get Fashion-MNIST, and say where it is.

    \b
    Examples:
      python -m train.dataset
      python -m train.dataset --mirror http://192.168.1.20/fashion/
    """
    for address in mirror or ():
        if not address.startswith(("http://", "https://")):
            raise UsageError(f"a mirror's address begins with http:// or https://, not '{address}'")
    print(f"Fashion-MNIST is in {locate(data_dir, mirror or ())}, all four files checked")


if __name__ == "__main__":
    run(main, "dataset")
