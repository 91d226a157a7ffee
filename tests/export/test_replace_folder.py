"""All or nothing: however a write ends, the folder is wholly the old one or wholly the new one."""

import ctypes
import fcntl
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from export import bundle, replace_folder
from export.check import check_files, read_json
from export.errors import ExportError
from support.commands import MODELS, ROOT, main_of

BUNDLE = (*bundle.ARTIFACTS, "golden.npz", "parity.json", "manifest.json")
OLD = {name: name.encode() * 1000 for name in ("model.tflite", "manifest.json", "report/parity.md")}
NEW = {name: content + b"new" for name, content in OLD.items()}

# for each number of seconds on stdin: a process writes one generation after the other, and is killed after these seconds
KILLER = """
import itertools, os, signal, sys, time
from pathlib import Path
from export import replace_folder

folder, *generations = map(Path, sys.argv[1:])
contents = [{str(f.relative_to(g)): f.read_bytes() for f in g.rglob("*") if f.is_file()} for g in generations]
for seconds in sys.stdin:
    writer = os.fork()
    if writer == 0:
        for files in itertools.cycle(contents):
            replace_folder.write(folder, files)
    time.sleep(float(seconds))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    print("killed", flush=True)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def described_anew(name: str, content: bytes, training: dict[str, Any]) -> bytes:
    """The same artifact, as if from another training."""
    description = bundle.describe(bundle.ARTIFACTS[name], training)
    if name.endswith(".onnx"):
        return bundle.attach_onnx_description(content, description)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return bundle.attach_description(content[: archive.infolist()[0].header_offset], description)


def two_bundles() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of the shipped bundle, and those of one like it from another training."""
    shipped = {name: (MODELS / name).read_bytes() for name in BUNDLE}
    manifest = json.loads(shipped["manifest.json"])
    training = manifest["training"] | {"seed": 99}
    artifacts = {name: described_anew(name, shipped[name], training) for name in bundle.ARTIFACTS}
    listed = {name: manifest["files"][name] | bundle.fingerprint(content) for name, content in artifacts.items()}
    other = bundle.to_json(manifest | {"training": training, "files": listed}).encode()
    return shipped, {**shipped, **artifacts, "manifest.json": other}


@pytest.mark.slow
def test_a_bundle_is_whole_after_each_of_50_kills(tmp_path: Path) -> None:
    bundles = two_bundles()
    for name, files in zip(("old", "new", "models"), (*bundles, bundles[0]), strict=True):
        replace_folder.write(tmp_path / name, files)
    folder = tmp_path / "models"
    shutil.copy(MODELS / "fmnist.keras", folder)
    command = [sys.executable, "-c", KILLER, folder, tmp_path / "old", tmp_path / "new"]
    seen = []

    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as killer:
        assert killer.stdin
        assert killer.stdout
        for seconds in np.random.default_rng(0).uniform(0, 0.1, 50):
            killer.stdin.write(f"{seconds}\n")
            assert killer.stdout.readline() == "killed\n"
            check_files(folder, folder / "fmnist.keras", read_json(folder / "manifest.json"))
            seen.append(bundles.index({name: (folder / name).read_bytes() for name in BUNDLE}))

    assert set(seen) == {0, 1}
    replace_folder.write(folder, bundles[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "new", "old"]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "very" / "deep" / "models"
    files = NEW | {"pages/more/page.md": b"page"}

    replace_folder.write(folder, files)

    assert contents(folder) == files
    assert list(folder.parent.iterdir()) == [folder]


def test_what_is_not_ours_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    replace_folder.write(folder, OLD)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "link").symlink_to("notes/mine.txt")
    (folder / "latest").symlink_to("notes")
    folder.chmod(0o2750)
    before = (folder / "notes" / "mine.txt").stat()

    replace_folder.write(folder, NEW)

    assert contents(folder) == NEW | {"notes/mine.txt": b"mine", "link": b"mine"}
    assert os.readlink(folder / "link") == "notes/mine.txt"
    assert os.readlink(folder / "latest") == "notes"
    assert folder.stat().st_mode & 0o7777 == 0o2750
    assert (folder / "notes" / "mine.txt").stat().st_mtime_ns == before.st_mtime_ns


def test_another_name_of_an_old_file_keeps_the_old_content(tmp_path: Path) -> None:
    replace_folder.write(tmp_path / "models", OLD)
    os.link(tmp_path / "models" / "model.tflite", tmp_path / "backup")

    replace_folder.write(tmp_path / "models", NEW)

    assert (tmp_path / "backup").read_bytes() == OLD["model.tflite"]


def test_a_link_to_the_folder_stays_a_link(tmp_path: Path) -> None:
    replace_folder.write(tmp_path / "disk" / "models", OLD)
    (tmp_path / "models").symlink_to("disk/models")

    replace_folder.write(tmp_path / "models", NEW)

    assert os.readlink(tmp_path / "models") == "disk/models"
    assert contents(tmp_path / "disk" / "models") == NEW


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    replace_folder.write(tmp_path / "models", OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
        with pytest.raises(ExportError, match=r"models can't be written \(File too large\); it is as it was before"):
            replace_folder.write(tmp_path / "models", NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in OLD.items()}


def test_without_exchange_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replace_folder, "RENAME_EXCHANGE", 1 << 10)  # EINVAL, as on a file system that knows no exchange
    replace_folder.write(tmp_path / "models", OLD | {"mine": b""})

    replace_folder.write(tmp_path / "models", NEW)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in (NEW | {"mine": b""}).items()}


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """A new one, and the old one that it is to replace."""
    for name in ("new", "models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
    return tmp_path / "new", tmp_path / "models"


def test_two_folders_change_places_in_one_step(two_folders: tuple[Path, Path], tmp_path: Path) -> None:
    """With two renames the old one would stand aside, and there would be a moment without a folder."""
    new, folder = two_folders

    replace_folder.exchange(new, folder, tmp_path / "old")

    assert contents(tmp_path) == {"models/manifest.json": b"new", "new/manifest.json": b"models"}


def test_an_exchange_that_fails_says_why_and_changes_nothing(two_folders: tuple[Path, Path], tmp_path: Path) -> None:
    ctypes.set_errno(0)

    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        replace_folder.exchange(tmp_path / "none", two_folders[1], tmp_path / "old")

    assert contents(two_folders[1]) == {"manifest.json": b"models"}


def test_the_old_folder_comes_back_if_the_new_one_can_not_take_its_place(
    two_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replace_folder, "RENAME_EXCHANGE", 1 << 10)

    with pytest.raises(FileNotFoundError):
        replace_folder.exchange(tmp_path / "none", two_folders[1], tmp_path / "old")

    assert contents(two_folders[1]) == {"manifest.json": b"models"}
    assert not (tmp_path / "old").exists()


def test_what_can_not_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_folder.write(tmp_path / "models", {"mine": b"mine"})
    before = (tmp_path / "models" / "mine").stat()

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    replace_folder.write(tmp_path / "models", NEW)

    assert contents(tmp_path / "models") == NEW | {"mine": b"mine"}
    assert (tmp_path / "models" / "mine").stat().st_mtime_ns == before.st_mtime_ns


def test_the_new_folder_is_built_beside_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere may be another disk, with which nothing can change places."""
    monkeypatch.setattr("tempfile.tempdir", "/none")

    replace_folder.write(tmp_path / "models", NEW)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in NEW.items()}


def test_a_folder_that_can_not_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ExportError, match=rf"^{tmp_path}/file/models can't be written: {tmp_path}/file \(Not a directory\)$"):
        replace_folder.check_replaceable(tmp_path / "file" / "models")
    with pytest.raises(ExportError, match=rf"^{tmp_path}/file can't be written: {tmp_path}/file \(Not a directory\)$"):
        replace_folder.check_replaceable(tmp_path / "file")
    replace_folder.check_replaceable(tmp_path / "very" / "deep")


def test_a_folder_that_a_kill_left_aside_is_put_back_first(tmp_path: Path) -> None:
    replace_folder.write(tmp_path / "models", OLD | {"mine": b""})
    (tmp_path / ".models.export-killed").mkdir()
    (tmp_path / "models").rename(tmp_path / ".models.export-killed" / "old")

    replace_folder.write(tmp_path / "models", NEW)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in (NEW | {"mine": b""}).items()}


@contextmanager
def another_write(parent: Path) -> Iterator[Path]:
    """Another write is at work beside the folder: this is what it has built so far."""
    beside = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(beside, fcntl.LOCK_SH)
        building = parent / ".models.export-other" / "new"
        building.mkdir(parents=True)
        (building / "model.tflite").write_bytes(b"half")
        yield building
    finally:
        os.close(beside)


def test_two_writes_wait_for_each_other_and_leave_alone_what_the_other_builds(tmp_path: Path) -> None:
    replace_folder.write(tmp_path / "models", OLD)
    writing = Thread(target=replace_folder.write, args=(tmp_path / "models", NEW))

    with another_write(tmp_path) as building:
        writing.start()
        writing.join(0.3)  # without a lock it takes a hundredth of that

        assert writing.is_alive()
        assert contents(tmp_path / "models") == OLD
        assert contents(building) == {"model.tflite": b"half"}
    writing.join(60)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in NEW.items()}


def test_many_writes_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    generations = [{name: b"%d" % number for name in OLD} for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda files: replace_folder.write(tmp_path / "models", files), generations))

    assert contents(tmp_path / "models") in generations
    assert list(tmp_path.iterdir()) == [tmp_path / "models"]


def test_after_a_write_the_next_need_not_wait(tmp_path: Path) -> None:
    replace_folder.write(tmp_path / "models", OLD)

    beside = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(beside, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(beside)


def test_what_a_kill_left_of_another_folders_write_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / ".other.export-killed").mkdir()
    (tmp_path / ".models.export-killed").mkdir()

    replace_folder.write(tmp_path / "models", NEW)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.export-killed", "models"]


def test_an_old_folder_that_stands_aside_is_kept_if_there_is_a_new_one(tmp_path: Path) -> None:
    """Which of the two is wanted, the user knows."""
    replace_folder.write(tmp_path / "models", OLD)
    aside = tmp_path / ".models.export-killed" / "old"
    aside.mkdir(parents=True)
    (aside / "mine").write_bytes(b"mine")
    for number in range(9):
        (tmp_path / f".models.export-{number}").mkdir()

    replace_folder.write(tmp_path / "models", NEW)

    assert contents(tmp_path / "models") == NEW
    assert contents(aside) == {"mine": b"mine"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".models.export-killed", "models"]  # the others are cleared away


def test_the_folder_one_stands_in_is_refused_at_once() -> None:
    result = main_of("export", "--out", ".")

    assert result.returncode == 1
    assert result.stderr == f"export: {ROOT} can't be replaced as a whole: you are in it. Choose a folder inside it\n"


def test_a_mount_point_is_refused() -> None:
    with pytest.raises(ExportError, match=r"/proc can't be replaced as a whole: it is a mount point"):
        replace_folder.check_replaceable(Path("/proc"))
