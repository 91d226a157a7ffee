"""Downloads a file over HTTP, resuming interrupted downloads, and unpacks Debian packages without installing them."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from fmnist_edge.errors import FmnistEdgeError

TIMEOUT_SECONDS = 20
ATTEMPTS = 3  # at one file from one address, as long as each attempt gets more of it


class FetchError(FmnistEdgeError):
    """The download failed."""


def download(url: str, target: Path, check: Callable[[Path], object]) -> None:
    """Downloads a file to ``target`` and checks it. An interrupted download leaves NAME.part, and the next one resumes it.

    check: raises an FmnistEdgeError for a wrong file. Raises FetchError, or what ``check`` raises.
    """
    part = target.with_name(f"{target.name}.part")
    for _ in range(ATTEMPTS):
        size_before = part.stat().st_size if part.exists() else 0
        problem = fetch_rest(url, part)
        if not problem:
            try:
                check(part)
                part.replace(target)
                return
            except FmnistEdgeError as error:
                part.unlink()
                if not size_before:
                    raise
                problem = str(error)  # perhaps the old part was bad: try once more, from the beginning
        elif part.stat().st_size <= size_before:
            break
    raise FetchError(f"{target.name}: {problem}; run the command again to resume the download")


def fetch_rest(url: str, part: Path) -> str:
    """Appends the missing rest of the file at ``url`` to ``part``. Returns what went wrong, or "" if the file is complete.

    Raises FetchError if nothing was received and trying again would not help.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send: the part is complete
            return ""
        raise FetchError(f"{url.rsplit('/', 1)[1]}: HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise FetchError(str(error.reason)) from None
    have = have if response.status == 206 else 0
    total = None if response.length is None else have + response.length
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        response,
        part.open("r+b" if have else "wb") as file,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        file.seek(have)
        task = progress.add_task(part.stem, total=total, completed=have)
        try:
            while chunk := response.read(1 << 16):
                have += file.write(chunk)
                progress.update(task, completed=have)
        except (OSError, HTTPException) as error:
            return f"the connection broke off ({error})"
    return "" if total in (None, have) else f"the connection ended at byte {have} of {total}"


def unpack_package(name: str, folder: str) -> None:
    """Unpacks a Debian package into the folder, without root. Leaves the package there too."""
    own_lists = ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    for folder_of_apt in ("lists/partial", "cache/archives/partial"):
        (Path(folder) / folder_of_apt).mkdir(parents=True)
    try:
        run("apt-get", "--quiet", "download", name, cwd=folder)
    except FetchError:
        # this machine has no package lists, or old ones: download our own
        run("apt-get", *own_lists, "--quiet", "update", cwd=folder)
        run("apt-get", *own_lists, "--quiet", "download", name, cwd=folder)
    for package in Path(folder).glob("*.deb"):
        run("dpkg-deb", "--extract", str(package), folder, cwd=folder)


def run(*command: str, cwd: str) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    except subprocess.CalledProcessError as error:
        raise FetchError((error.stderr.strip() or f"{command[0]} failed").splitlines()[-1]) from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"{command[0]} timed out") from None
