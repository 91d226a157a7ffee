"""All or nothing: however a write ends, the folder is wholly the old one or wholly the new one."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, python_m

from export import swap
from export.errors import ExportError

OLD = {name: name.encode() * 1000 for name in ("model.tflite", "manifest.json", "report/parity.md")}
NEW = {name: content + b"new" for name, content in OLD.items()}

# for each number of seconds on stdin: starts a process that writes one generation after the other, and kills it after these seconds
KILLER = """
import itertools, os, signal, sys, time
from pathlib import Path
from export import swap

folder, *generations = map(Path, sys.argv[1:])
contents = [{str(f.relative_to(g)): f.read_bytes() for f in g.rglob("*") if f.is_file()} for g in generations]
for seconds in sys.stdin:
    writer = os.fork()
    if writer == 0:
        for files in itertools.cycle(contents):
            swap.write(folder, files)
    time.sleep(float(seconds))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    print("killed", flush=True)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_whole_after_each_of_50_kills(tmp_path: Path) -> None:
    generations = [tmp_path / "old", tmp_path / "new"]
    for folder, files in zip(generations, (OLD, NEW), strict=True):
        swap.write(folder, files)
    folder = tmp_path / "models"
    swap.write(folder, OLD | {"fmnist.keras": b"not ours"})
    command = [sys.executable, "-c", KILLER, *map(str, [folder, *generations])]
    seen = []

    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as killer:
        assert killer.stdin
        assert killer.stdout
        for seconds in np.random.default_rng(0).uniform(0, 0.02, 50):
            killer.stdin.write(f"{seconds}\n")
            assert killer.stdout.readline() == "killed\n"
            found = contents(folder)
            assert found.pop("fmnist.keras") == b"not ours"
            seen.append([OLD, NEW].index(found))

    assert set(seen) == {0, 1}
    swap.write(folder, NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "new", "old"]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    swap.write(tmp_path / "deep" / "models", NEW)

    assert contents(tmp_path / "deep" / "models") == NEW
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "models"]


def test_what_is_not_ours_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    swap.write(folder, OLD)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "link").symlink_to("notes/mine.txt")
    folder.chmod(0o2750)
    before = (folder / "notes" / "mine.txt").stat()

    swap.write(folder, NEW)

    assert contents(folder) == NEW | {"notes/mine.txt": b"mine", "link": b"mine"}
    assert os.readlink(folder / "link") == "notes/mine.txt"
    assert folder.stat().st_mode & 0o7777 == 0o2750
    assert (folder / "notes" / "mine.txt").stat().st_mtime_ns == before.st_mtime_ns


def test_another_name_of_an_old_file_keeps_the_old_content(tmp_path: Path) -> None:
    swap.write(tmp_path / "models", OLD)
    os.link(tmp_path / "models" / "model.tflite", tmp_path / "backup")

    swap.write(tmp_path / "models", NEW)

    assert (tmp_path / "backup").read_bytes() == OLD["model.tflite"]


def test_a_link_to_the_folder_stays_a_link(tmp_path: Path) -> None:
    swap.write(tmp_path / "disk" / "models", OLD)
    (tmp_path / "models").symlink_to("disk/models")

    swap.write(tmp_path / "models", NEW)

    assert os.readlink(tmp_path / "models") == "disk/models"
    assert contents(tmp_path / "disk" / "models") == NEW


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    swap.write(tmp_path / "models", OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
        with pytest.raises(ExportError, match=r"models can't be written \(File too large\); it is as it was before"):
            swap.write(tmp_path / "models", NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in OLD.items()}


def test_without_exchange_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "RENAME_EXCHANGE", 1 << 10)  # EINVAL, as on a file system that knows no exchange
    swap.write(tmp_path / "models", OLD | {"mine": b""})

    swap.write(tmp_path / "models", NEW)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in (NEW | {"mine": b""}).items()}


def test_a_folder_that_a_kill_left_aside_is_put_back_first(tmp_path: Path) -> None:
    swap.write(tmp_path / "models", OLD | {"mine": b""})
    (tmp_path / ".models.export-killed").mkdir()
    (tmp_path / "models").rename(tmp_path / ".models.export-killed" / "old")

    swap.write(tmp_path / "models", NEW)

    assert contents(tmp_path) == {f"models/{name}": content for name, content in (NEW | {"mine": b""}).items()}


def test_the_folder_one_stands_in_is_refused_at_once() -> None:
    result = python_m("export", "--out", ".")

    assert result.returncode == 1
    assert result.stderr == f"export: {ROOT} can't be replaced as a whole: you are in it. Choose a folder inside it\n"


def test_a_mount_point_is_refused() -> None:
    with pytest.raises(ExportError, match=r"/proc can't be replaced as a whole: it is a mount point"):
        swap.check_replaceable(Path("/proc"))
