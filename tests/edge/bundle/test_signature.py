"""A device with a configured key runs what that key signed, and nothing else. Keys are made for each test."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from export.bundle import attach_description, describe, fingerprint
from support.altered_models import with_a_zeroed_row
from support.commands import FMNIST_EDGE, MODELS, ROOT, fmnist_edge, main_of, python_m, run

INT8 = "fmnist-int8.tflite"
SHOE = "docs/shoe.png"


class Device:
    """A folder with a bundle, and one with the configuration. Keys are where the workstation has them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.models, self.config = folder, folder / "models", folder / "config"
        self.model, self.keys, self.accepted = self.models / INT8, self.config / "allowed_signers", self.config / "accepted"

    def make_key(self, name: str) -> Path:
        key = self.folder / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        return key

    def trust(self, *keys: Path) -> None:
        self.keys.write_text("".join(f"fmnist-edge {key.with_suffix('.pub').read_text()}" for key in keys))

    def sign(self, key: Path, counter: int) -> None:
        result = main_of("export.sign", "--models", self.models, "--key", key, "--counter", counter)
        assert result.returncode == 0, result.stderr

    def sign_bare(self, purpose: str) -> None:
        """Signs the manifest as it is."""
        (self.models / "manifest.json.sig").unlink()
        run("ssh-keygen", "-Y", "sign", "-f", self.folder / "owner", "-n", purpose, self.models / "manifest.json")

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        """The exit status, and what it complains of. With a complaint there is no answer."""
        command = [*arguments, *([SHOE] if arguments[0] == "classify" else [])]
        result = fmnist_edge(*command, "--model", self.model, environment={"FMNIST_EDGE_CONFIG": str(self.config)})
        assert len(result.stderr.splitlines()) == (1 if result.returncode else 0), result.stderr
        assert bool(result.stdout) != bool(result.returncode)
        return result.returncode, result.stderr.strip()

    def complaint(self, *arguments: str, path: Path | None = None) -> str:
        status, line = self.run(*arguments or ("classify",))
        start = f"fmnist-edge: {path or self.model}: "
        assert status == 3
        assert line.startswith(start)
        return line.removeprefix(start)


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    device = Device(tmp_path_factory.mktemp("signed"))
    shutil.copytree(MODELS, device.models, ignore=shutil.ignore_patterns("report", "*.sig"))
    device.config.mkdir()
    device.trust(device.make_key("owner"))
    device.sign(device.folder / "owner", 10)
    return device.folder


@pytest.fixture
def device(tmp_path: Path, signed: Path) -> Device:
    """Its bundle is signed by the key that it trusts, the owner's, with counter 10."""
    shutil.copytree(signed, tmp_path, dirs_exist_ok=True)
    return Device(tmp_path)


OPENS_A_MODEL = [
    ("classify",),
    ("verify",),
    ("info",),
    ("bench", "--seconds", "0.01", "--threads", "1"),
    ("explain", SHOE, "--out", "/dev/null"),
    ("camera", "--source", "test", "--frames", "1", "--json"),
]


@pytest.mark.parametrize("command", [("classify",), ("verify",), ("info",)])
def test_what_the_owner_signed_runs(command: tuple[str, ...], device: Device) -> None:
    assert device.run(*command) == (0, "")


@pytest.mark.parametrize("command", OPENS_A_MODEL, ids=lambda command: command[0])
def test_no_command_runs_what_is_not_signed(command: tuple[str, ...], device: Device) -> None:
    (device.models / "manifest.json.sig").unlink()

    complaint = device.complaint(*command)

    asks = f"the manifest.json beside it is not signed, and {device.keys} asks for that"
    assert complaint == f"{asks}; sign it with 'make sign' and copy all of it again"


def test_without_a_configured_key_anything_runs(device: Device) -> None:
    (device.models / "manifest.json.sig").unlink()

    assert fmnist_edge("verify", "--accept", "--model", device.model).returncode == 0


def test_a_strangers_signature_is_refused(device: Device) -> None:
    device.sign(device.make_key("stranger"), 11)

    assert "is not signed as " in device.complaint()
    assert "(signed by another key)" in device.complaint()


def test_a_model_changed_after_signing_is_refused(device: Device) -> None:
    shutil.copy(MODELS / "fmnist-float.tflite", device.model)

    assert device.complaint().startswith("it is not the file that the manifest.json beside it lists")


def test_a_changed_model_in_a_changed_manifest_is_refused(device: Device) -> None:
    manifest = device.models / "manifest.json"
    text = manifest.read_text()
    files = json.loads(text)["files"]
    shutil.copy(MODELS / "fmnist-float.tflite", device.model)
    manifest.write_text(text.replace(files[INT8]["sha256"], files["fmnist-float.tflite"]["sha256"]))

    assert "(Signature verification failed: incorrect signature)" in device.complaint()


def test_a_model_that_the_signed_manifest_does_not_list_is_refused(device: Device) -> None:
    device.model = device.models / "mine.tflite"
    device.model.write_bytes(attach_description(b"\0\0\0\0TFL3", describe("int8", {})))

    assert device.complaint().startswith("no manifest.json beside it lists it, and ")


def test_a_golden_set_changed_after_signing_is_refused(device: Device) -> None:
    golden = device.models / "golden.npz"
    golden.write_bytes(golden.read_bytes() + b"\0")

    complaint = device.complaint("verify", path=golden)

    assert complaint == "it is not the file that the manifest.json beside it lists; copy or export both again"


def test_a_signature_for_something_else_is_none(device: Device) -> None:
    device.sign_bare("git")

    assert "namespace does not match" in device.complaint()


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"])
def test_a_damaged_signature_is_refused(content: str, device: Device) -> None:
    (device.models / "manifest.json.sig").write_text(content)

    assert "is not signed as " in device.complaint()


def test_a_signature_that_is_a_pipe_is_not_waited_for(device: Device) -> None:
    (device.models / "manifest.json.sig").unlink()
    os.mkfifo(device.models / "manifest.json.sig")

    assert "is not signed, and " in device.complaint()


def test_a_signed_manifest_without_a_counter_is_refused(device: Device) -> None:
    shutil.copy(MODELS / "manifest.json", device.models)
    device.sign_bare("fmnist-edge")

    assert "has no counter" in device.complaint()


def test_once_a_newer_one_is_accepted_an_older_one_is_refused(device: Device) -> None:
    old = {name: (device.models / name).read_bytes() for name in ("manifest.json", "manifest.json.sig")}
    device.sign(device.folder / "owner", 11)
    assert device.run("verify", "--accept") == (0, "")
    for name, content in old.items():
        (device.models / name).write_bytes(content)

    for command in ("classify", "verify", "info"):
        assert device.complaint(command).startswith("it was signed before the one accepted last (10, 11); ")
    assert device.complaint("verify", "--accept").startswith("it was signed before the one accepted last (10, 11); ")
    assert device.accepted.read_text() == "11\n"


def test_only_accepting_refuses_older_ones_and_who_may_not_write_can_still_read(device: Device) -> None:
    device.run("classify")
    device.run("verify")
    assert not device.accepted.exists()

    environment = {"FMNIST_EDGE_CONFIG": str(device.config)}
    fmnist_edge("verify", "--accept", "--model", device.model, environment=environment, umask=0o077)

    assert device.accepted.read_text() == "10\n"
    assert stat.S_IMODE(device.accepted.stat().st_mode) == 0o644
    assert sorted(path.name for path in device.config.iterdir()) == ["accepted", "allowed_signers"]
    assert device.run("classify") == (0, "")


def accept_without_writing(device: Device) -> subprocess.CompletedProcess[str]:
    """As on a full disk, for root too."""
    command = (FMNIST_EDGE, "verify", "--accept", "--model", device.model)
    return run("sh", "-c", 'ulimit -f 0; exec "$0" "$@"', *command, environment={"FMNIST_EDGE_CONFIG": str(device.config)})


@pytest.mark.slow
def test_what_is_accepted_already_needs_no_writing(device: Device) -> None:
    device.run("verify", "--accept")

    assert accept_without_writing(device).returncode == 0


def test_what_does_not_verify_is_not_accepted(device: Device) -> None:
    golden = device.models / "golden.npz"
    golden.write_bytes(golden.read_bytes() + b"\0")

    assert device.run("verify", "--accept")[0] == 3
    assert not device.accepted.exists()


def test_a_signed_model_that_computes_something_else_is_not_accepted(device: Device) -> None:
    device.model.write_bytes(with_a_zeroed_row(device.model))
    manifest = json.loads((device.models / "manifest.json").read_text())
    manifest["files"][INT8] |= fingerprint(device.model.read_bytes())
    (device.models / "manifest.json").write_text(json.dumps(manifest))
    device.sign(device.folder / "owner", 11)

    result = fmnist_edge("verify", "--accept", "--model", device.model, environment={"FMNIST_EDGE_CONFIG": str(device.config)})

    assert result.returncode == 3
    assert "not what the workstation computed" in result.stderr
    assert not device.accepted.exists()


def test_while_keys_are_changed_both_count(device: Device) -> None:
    owner, successor = device.folder / "owner", device.make_key("successor")
    device.trust(owner, successor)
    assert device.run("classify") == (0, "")

    device.sign(successor, 11)
    assert device.run("classify") == (0, "")

    device.trust(successor)
    assert device.run("classify") == (0, "")
    device.sign(owner, 12)
    assert "(signed by another key)" in device.complaint()


def garble(keys: Path) -> None:
    keys.write_text("fmnist-edge ssh-ed25519 AAAA\n")


def leave_out_the_name(keys: Path) -> None:
    keys.write_text(keys.read_text().removeprefix("fmnist-edge "))


def make_a_folder(keys: Path) -> None:
    keys.unlink()
    keys.mkdir()


def point_nowhere(keys: Path) -> None:
    keys.unlink()
    keys.symlink_to("nowhere")


def spoil_the_counter(keys: Path) -> None:
    keys.with_name("accepted").write_text("")


def make_the_counter_a_folder(keys: Path) -> None:
    keys.with_name("accepted").mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda keys: keys.write_text(""), "allowed_signers has no key: none of its lines begins with 'fmnist-edge '"),
    "no name": (leave_out_the_name, "allowed_signers has no key: none of its lines begins with 'fmnist-edge '"),
    "garbled": (garble, "invalid key"),
    "no file": (make_a_folder, "allowed_signers can't be read (Is a directory)"),
    "points nowhere": (point_nowhere, "allowed_signers can't be read (No such file or directory)"),
    "gone": (Path.unlink, "allowed_signers can't be read (No such file or directory)"),
    "the counter is empty": (spoil_the_counter, "accepted can't be read (damaged); remove it"),
    "the counter is no file": (make_the_counter_a_folder, "accepted can't be read (Is a directory); remove it"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_with_a_damaged_configuration_nothing_runs(damage: str, device: Device) -> None:
    change, words = DAMAGE[damage]
    change(device.keys)

    assert words in device.complaint()


def test_a_configuration_that_cannot_be_looked_into_lets_nothing_run(device: Device) -> None:
    device.config = device.keys
    device.keys = device.config / "allowed_signers"

    assert f"{device.keys} can't be read (Not a directory)" in device.complaint()


SSH_KEYGEN = {
    "is missing": ("", "does not work; sudo apt install openssh-client"),
    # as OpenSSH 9.2 says
    "does not know its user": ("echo 'No user exists for uid 61184' >&2; exit 255", "sudo apt install libnss-systemd"),
}


@pytest.mark.parametrize("how", SSH_KEYGEN)
def test_where_ssh_keygen_does_not_work_nothing_runs(how: str, device: Device) -> None:
    script, cure = SSH_KEYGEN[how]
    if script:
        (device.folder / "ssh-keygen").write_text(f"#!/bin/sh\n{script}\n")
        (device.folder / "ssh-keygen").chmod(0o755)
    environment = {"FMNIST_EDGE_CONFIG": str(device.config), "PATH": str(device.folder)}

    result = fmnist_edge("classify", "--model", device.model, SHOE, environment=environment)

    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.endswith(f"{cure}\n")


@pytest.mark.wheel
def test_a_wheel_carries_the_signature_of_its_model(device: Device) -> None:
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, device.folder)
    shutil.copytree(ROOT / "edge", device.folder / "edge")
    built = python_m("pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", device.folder, device.folder)
    assert built.returncode == 0, built.stderr
    installed = device.folder / "installed"
    shutil.unpack_archive(next(device.folder.glob("*.whl")), installed, "zip")
    environment = {"FMNIST_EDGE_CONFIG": str(device.config), "PYTHONPATH": str(installed)}

    signed = fmnist_edge("verify", environment=environment)
    (installed / "fmnist_edge" / "models" / "manifest.json.sig").unlink()
    unsigned = fmnist_edge("verify", environment=environment)

    assert f"model     {installed}/fmnist_edge/models/fmnist-int8.tflite" in signed.stdout
    assert (signed.returncode, unsigned.returncode) == (0, 3)


@pytest.mark.slow
def test_the_doctor_says_that_a_key_is_asked_for(device: Device) -> None:
    environment = {"FMNIST_EDGE_CONFIG": str(device.config)}

    signed = fmnist_edge("doctor", "--model", device.model, environment=environment)
    (device.models / "manifest.json.sig").unlink()
    unsigned = fmnist_edge("doctor", "--model", device.model, environment=environment)

    assert (signed.returncode, unsigned.returncode) == (0, 3)
    assert f"as it was exported, signed by a key in {device.keys}\n" in signed.stdout
    assert f"problem  model        {device.model}: the manifest.json beside it is not signed" in unsigned.stdout


def test_the_same_counter_gives_the_same_bytes(device: Device) -> None:
    before = (device.models / "manifest.json").read_bytes(), (device.models / "manifest.json.sig").read_bytes()

    device.sign(device.folder / "owner", 10)

    assert ((device.models / "manifest.json").read_bytes(), (device.models / "manifest.json.sig").read_bytes()) == before


def test_what_is_not_as_the_manifest_says_is_not_signed(device: Device) -> None:
    before = (device.models / "manifest.json").read_bytes()
    shutil.copy(MODELS / "fmnist-float.onnx", device.models / "fmnist-int8.onnx")

    result = main_of("export.sign", "--models", device.models, "--key", device.folder / "owner")

    assert result.returncode == 3
    assert "fmnist-int8.onnx: it is from another export than the manifest" in result.stderr
    assert (device.models / "manifest.json").read_bytes() == before
