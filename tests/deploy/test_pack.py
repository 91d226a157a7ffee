"""A release: what the service is started with, and who may read it."""

import json
import tarfile
from pathlib import Path

import pytest

from support.commands import ROOT, run

pytestmark = pytest.mark.slow

SOURCE = "rtsp://admin:ge$h\"ei`m\\'%% é😀@camera.local/live #1"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Packed for a camera with a password, and unpacked."""
    options = ["--source", SOURCE, "--rotate", "90", "--labels-lang", "é😀$a%b"]
    packed = run(
        ROOT / ".venv" / "bin" / "python", "deploy/pack.py", "--keep", "0.1.0-0123456789", "--out", tmp_path,
        environment={"FMNIST_EDGE_CAMERA": json.dumps(options)},
    )  # fmt: skip
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(tmp_path / f"release-{json.loads(packed.stdout)['release']}.tar") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "service"


def test_a_password_is_in_no_file_that_all_may_read(release: Path) -> None:
    readable = [path.name for path in release.iterdir() if path.stat().st_mode & 0o077]

    assert sorted(readable) == ["deploy.conf", "fmnist-edge-camera.service"]
    assert not [name for name in readable if "camera.local" in (release / name).read_text()]


def test_the_source_arrives_with_all_that_is_in_it(release: Path) -> None:
    # a shell reads these quotes as systemd does
    told = run("sh", "-c", f'. {release}/source.env; printf %s "$FMNIST_EDGE_SOURCE"')

    assert told.stdout == SOURCE
    assert json.loads((release / "options.json").read_text())[1] == SOURCE


def test_the_other_options_are_on_the_command_line_as_systemd_wants_them(release: Path) -> None:
    assert (release / "deploy.conf").read_text().endswith(' "--rotate" "90" "--labels-lang" "é😀$$a%%b"\n')
