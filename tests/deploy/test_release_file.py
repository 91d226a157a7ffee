"""What a release and its packages are called, what is in them, and who may read it: by the functions that pack them."""

import json
import tarfile
from pathlib import Path

import pytest

from deploy import pack
from deploy.pack import BUNDLE, SIGNATURE, PackError, in_environment, pack_packages, pack_release, quoted, taken_out
from fmnist_edge.errors import ModelError

CAMERA = ["--source", "rtsp://a:b@camera/live", "--rotate", "90"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    for name in BUNDLE:
        (tmp_path / "models" / name).write_text(f"the content of {name}")
    return tmp_path / "models"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def packed(models: Path, out: Path, camera: list[str], venv: str = "1.2-abc") -> dict[str, tuple[int, str]]:
    """Mode and content of each file in a release."""
    name = pack_release(venv, models, camera, out)
    with tarfile.open(out / f"release-{name}.tar") as archive:
        return {
            entry.name: (entry.mode, content.read().decode())
            for entry in archive.getmembers()
            if (content := archive.extractfile(entry))
        }


def test_a_release_has_the_bundle_and_its_signature_if_there_is_one(models: Path, out: Path) -> None:
    assert list(packed(models, out, [])) == [f"models/{name}" for name in BUNDLE]

    (models / SIGNATURE).write_text("signed")
    assert packed(models, out, []) == {
        f"models/{name}": (0o644, "signed" if name == SIGNATURE else f"the content of {name}") for name in (*BUNDLE, SIGNATURE)
    }


def test_a_camera_comes_with_its_service_and_what_root_alone_may_read(models: Path, out: Path) -> None:
    release = packed(models, out, CAMERA)

    service = {name.removeprefix("service/"): mode for name, (mode, _) in release.items() if name.startswith("service/")}
    assert service == {
        **{"fmnist-edge-camera.service": 0o644, "options.json": 0o600, "source.env": 0o600, "deploy.conf": 0o644},
    }
    assert json.loads(release["service/options.json"][1]) == CAMERA
    assert release["service/source.env"][1] == 'FMNIST_EDGE_SOURCE="rtsp://a:b@camera/live"\n'
    assert release["service/deploy.conf"][1].endswith('/models/fmnist-int8.tflite "--rotate" "90"\n')


def test_without_a_source_the_camera_finds_one_itself(models: Path, out: Path) -> None:
    assert packed(models, out, ["--rotate", "90"])["service/source.env"] == (0o600, "")


def test_a_release_has_another_name_if_anything_in_it_differs_and_only_then(models: Path, out: Path) -> None:
    (models / SIGNATURE).write_text("signed")
    names = [pack_release("1.2-abc", models, CAMERA, out)]
    assert pack_release("1.2-abc", models, CAMERA, out) == names[0]

    names.append(pack_release("1.2-def", models, CAMERA, out))
    names.append(pack_release("1.2-abc", models, [*CAMERA, "--mirror"], out))
    names.append(pack_release("1.2-abc", models, [], out))
    for name in (*BUNDLE, SIGNATURE):
        (models / name).write_text(f"another content of {name}")
        names.append(pack_release("1.2-abc", models, CAMERA, out))

    assert len(set(names)) == len(names) == 8
    assert all(name.startswith("1.2-") and len(name) == 14 for name in names)


def test_a_bundle_that_lacks_a_file_is_not_packed(models: Path, out: Path) -> None:
    (models / "golden.npz").unlink()

    with pytest.raises(ModelError) as caught:
        pack_release("1.2-abc", models, [], out)
    assert str(caught.value) == f"{models}/golden.npz: it can't be read (No such file or directory); run 'make export'"
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "value", "others"),
    [
        (["--source", "a", "--mirror"], ["a"], ["--mirror"]),
        (["--mirror", "--source", "a"], ["a"], ["--mirror"]),
        (["--mirror"], [], ["--mirror"]),
        (["--mirror", "--source"], [], ["--mirror", "--source"]),
        ([], [], []),
    ],
)
def test_an_option_is_taken_out_with_its_value(options: list[str], value: list[str], others: list[str]) -> None:
    assert taken_out(options, "--source") == (value, others)


def test_words_are_quoted_as_systemd_reads_them() -> None:
    assert in_environment('a"b\\c`d$e%f g') == '"a\\"b\\\\c\\`d\\$e%f g"'
    assert quoted('a"b\\c$d%e é') == '"a\\"b\\\\c$$d%%e é"'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with a wheel, and a uv that puts a module and a program into its target."""
    root = tmp_path / "checkout"
    (root / "dist").mkdir(parents=True)
    (root / "dist" / "fmnist_edge-1.2-py3-none-any.whl").write_text("a wheel")
    (root / "requirements.txt").write_text("numpy==2")
    uv = root / "uv"
    uv.write_text(
        '#!/bin/sh\necho "$*" >> "${0%/*}/asked"\n[ ! -e "${0%/*}/offline" ] || { echo "no  network" >&2; exit 1; }\n'
        'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/bin"; touch "$2/module.py" "$2/bin/program"\n'
    )
    uv.chmod(0o755)
    monkeypatch.setattr(pack, "ROOT", root)
    monkeypatch.setattr(pack, "UV", uv)
    return root


def test_packages_are_those_for_the_device_without_programs_of_this_machine(checkout: Path, out: Path) -> None:
    name = pack_packages("[camera]", "aarch64", "3.13", out)

    asked = (checkout / "asked").read_text()
    assert name.startswith("1.2-")
    assert "--python-platform aarch64-manylinux_2_28 --python-version 3.13 --only-binary :all:" in asked
    assert f"--constraint {checkout}/requirements.txt" in asked
    assert asked.endswith(f"{checkout}/dist/fmnist_edge-1.2-py3-none-any.whl[camera]\n")
    with tarfile.open(out / f"venv-{name}.tar.gz") as archive:
        assert [entry.name for entry in archive.getmembers() if entry.isfile()] == ["./module.py"]
    assert [path.name for path in out.iterdir()] == [f"venv-{name}.tar.gz"]


def test_what_was_packed_once_is_not_packed_again(checkout: Path, out: Path) -> None:
    names = [pack_packages("", "aarch64", "3.13", out) for _ in range(2)]

    assert names[0] == names[1]
    assert len((checkout / "asked").read_text().splitlines()) == 1


def test_other_packages_have_another_name(checkout: Path, out: Path) -> None:
    kinds = [("", "aarch64", "3.13"), ("[camera]", "aarch64", "3.13"), ("", "x86_64", "3.13"), ("", "aarch64", "3.12")]
    names = [pack_packages(*kind, out) for kind in kinds]
    for changed in ("requirements.txt", "dist/fmnist_edge-1.2-py3-none-any.whl"):
        (checkout / changed).write_text("changed")
        names.append(pack_packages(*kinds[0], out))

    assert len(set(names)) == 6


def test_without_a_network_it_says_why_and_the_next_time_tries_again(checkout: Path, out: Path) -> None:
    (checkout / "offline").touch()
    with pytest.raises(PackError, match=r"^no packages for aarch64 and Python 3\.13: no network$"):
        pack_packages("", "aarch64", "3.13", out)

    (checkout / "offline").unlink()
    name = pack_packages("", "aarch64", "3.13", out)
    assert (out / f"venv-{name}.tar.gz").exists()


@pytest.mark.parametrize("wheels", [0, 2])
def test_without_one_wheel_there_is_nothing_to_pack(wheels: int, checkout: Path, out: Path) -> None:
    (checkout / "dist" / "fmnist_edge-1.2-py3-none-any.whl").unlink()
    for number in range(wheels):
        (checkout / "dist" / f"fmnist_edge-1.{number}-py3-none-any.whl").touch()

    with pytest.raises(PackError, match=rf"^dist/ holds {wheels} wheels of fmnist-edge, not one; run 'make wheel'$"):
        pack_packages("", "aarch64", "3.13", out)
