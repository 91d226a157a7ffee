"""Signatures and their counter, check by check: what was signed, by whom, for what, and before or after what."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fmnist_edge.bundle import signature
from fmnist_edge.bundle.manifest import read_manifest
from fmnist_edge.bundle.signature import accept_counter, accepted, check
from fmnist_edge.errors import SignatureError, UsageError

AGAIN = "sign it with 'make sign' and copy all of it again"


class Bundle:
    """A manifest, and a configuration that trusts one key."""

    def __init__(self, folder: Path, key: Path) -> None:
        self.key, self.manifest, self.keys = key, folder / "manifest.json", folder / "config" / "allowed_signers"
        self.keys.parent.mkdir()
        self.keys.write_text(f"# the owner's\nfmnist-edge {key.with_suffix('.pub').read_text()}")
        self.accepted = self.keys.with_name("accepted")

    def sign(self, counter: object, purpose: str = "fmnist-edge") -> None:
        self.manifest.write_text(json.dumps({"files": {}, "counter": counter}))
        command = ["ssh-keygen", "-Y", "sign", "-f", self.key, "-n", purpose, self.manifest]
        self.manifest.with_name("manifest.json.sig").unlink(missing_ok=True)
        subprocess.run(command, check=True, capture_output=True)

    def check(self) -> int:
        return check(self.manifest, self.manifest.read_bytes(), self.keys)

    def refusal(self) -> str:
        with pytest.raises(SignatureError) as caught:
            self.check()
        return str(caught.value)


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key") / "owner")


@pytest.fixture
def bundle(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Signed with counter 10."""
    made = Bundle(tmp_path, key)
    made.sign(10)
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(made.keys.parent))
    return made


def test_what_the_owner_signed_has_its_counter(bundle: Bundle) -> None:
    assert bundle.check() == 10


@pytest.mark.parametrize("last", [0, 9, 10])
def test_what_was_signed_after_what_was_accepted_last_or_is_that_itself_is_fine(last: int, bundle: Bundle) -> None:
    bundle.accepted.write_text(f"{last}\n")

    assert bundle.check() == 10


def test_what_was_signed_before_is_refused(bundle: Bundle) -> None:
    bundle.accepted.write_text("11\n")

    assert bundle.refusal() == f"it was signed before the one accepted last (10, 11); to go back to it, {AGAIN}"


def test_without_a_signature_it_is_refused(bundle: Bundle) -> None:
    bundle.manifest.with_name("manifest.json.sig").unlink()

    assert bundle.refusal() == f"the manifest.json beside it is not signed, and {bundle.keys} asks for that; {AGAIN}"


def test_a_changed_manifest_is_refused(bundle: Bundle) -> None:
    bundle.manifest.write_text(bundle.manifest.read_text().replace("10", "99"))

    reason = "Signature verification failed: incorrect signature"
    assert bundle.refusal() == f"the manifest.json beside it is not signed as {bundle.keys} asks for ({reason}); {AGAIN}"


def test_a_manifest_is_read_if_it_is_signed_and_not_if_it_was_changed_afterwards(bundle: Bundle) -> None:
    assert read_manifest(bundle.manifest.with_name("model.tflite")) == {}
    bundle.manifest.write_text(bundle.manifest.read_text().replace("10", "99"))

    with pytest.raises(SignatureError, match=f"is not signed as {bundle.keys} asks for"):
        read_manifest(bundle.manifest.with_name("model.tflite"))


def test_a_strangers_signature_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    bundle.key = make_key(tmp_path / "stranger")
    bundle.sign(10)

    assert "(signed by another key)" in bundle.refusal()


def test_a_signature_for_another_purpose_is_refused(bundle: Bundle) -> None:
    bundle.sign(10, purpose="git")

    assert "namespace does not match" in bundle.refusal()


def test_a_file_of_keys_without_one_of_ours_is_named(bundle: Bundle) -> None:
    bundle.keys.write_text(bundle.keys.read_text().replace("fmnist-edge ssh", "someone ssh"))
    assert bundle.refusal() == f"{bundle.keys} has no key: none of its lines begins with 'fmnist-edge '"

    bundle.keys.write_text("")
    assert bundle.refusal() == f"{bundle.keys} has no key: none of its lines begins with 'fmnist-edge '"


def test_keys_that_cannot_be_read_are_named(bundle: Bundle) -> None:
    bundle.keys.unlink()

    assert bundle.refusal() == f"{bundle.keys} can't be read (No such file or directory)"


@pytest.mark.parametrize("counter", [None, "10", 10.0, True])
def test_a_manifest_without_a_whole_counter_is_refused(counter: object, bundle: Bundle) -> None:
    bundle.sign(counter)

    assert bundle.refusal() == f"the manifest.json beside it has no counter; {AGAIN}"


def programs(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose ssh-keygen does this."""
    folder.mkdir()
    (folder / "ssh-keygen").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_without_ssh_keygen_it_says_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert bundle.refusal() == "ssh-keygen, which checks signatures, does not work; sudo apt install openssh-client"


def test_an_ssh_keygen_that_hangs_is_given_up(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signature.TIME_LIMIT == 60
    monkeypatch.setattr(signature, "TIME_LIMIT", 0.1)
    programs(tmp_path / "bin", "exec /bin/sleep 5", monkeypatch)

    assert bundle.refusal().startswith("ssh-keygen, which checks signatures, does not work")


def test_a_unit_whose_user_cannot_be_looked_up_says_what_to_install(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path / "bin", "echo first >&2; echo 'No user exists for uid 61234' >&2; exit 255", monkeypatch)

    assert bundle.refusal().endswith("(No user exists for uid 61234); sudo apt install libnss-systemd")


def test_what_ssh_keygen_says_in_another_encoding_is_quoted(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path / "bin", r"printf 'caf\351\n' >&2; exit 1", monkeypatch)

    assert "(caf\ufffd)" in bundle.refusal()


def test_before_any_was_accepted_the_counter_is_zero(bundle: Bundle) -> None:
    assert accepted(bundle.keys) == 0


@pytest.mark.parametrize("text", ["", "ten", "1.5"])
def test_a_damaged_counter_refuses_everything_and_says_what_to_do(text: str, bundle: Bundle) -> None:
    bundle.accepted.write_text(text)

    cure = "remove it, and run 'fmnist-edge verify --accept'"
    assert bundle.refusal() == f"{bundle.accepted} can't be read (damaged); {cure}"


def test_a_counter_that_is_no_file_refuses_everything(bundle: Bundle) -> None:
    bundle.accepted.mkdir()

    assert f"{bundle.accepted} can't be read (Is a directory)" in bundle.refusal()


def test_accepting_writes_the_counter_for_everybody_to_read(bundle: Bundle) -> None:
    before = os.umask(0o077)
    try:
        accept_counter(bundle.manifest.with_name("fmnist-int8.tflite"))
    finally:
        os.umask(before)

    assert bundle.accepted.read_text() == "10\n"
    assert bundle.accepted.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in bundle.keys.parent.iterdir()) == ["accepted", "allowed_signers"]


def test_the_counter_is_on_the_card_before_it_takes_the_old_ones_place(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut, an empty file would refuse all models."""
    bundle.accepted.write_text("9\n")
    synced = []

    def note(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").read_text(), bundle.accepted.read_text()))

    monkeypatch.setattr(os, "fsync", note)

    accept_counter(bundle.manifest)

    assert synced == [("10\n", "9\n")]


def test_accepting_raises_the_counter(bundle: Bundle) -> None:
    bundle.accepted.write_text("9\n")

    accept_counter(bundle.manifest)

    assert bundle.accepted.read_text() == "10\n"


def test_accepting_the_same_again_writes_nothing(bundle: Bundle) -> None:
    bundle.accepted.write_text("10")

    accept_counter(bundle.manifest)

    assert bundle.accepted.read_text() == "10"


def test_what_is_older_cannot_be_accepted(bundle: Bundle) -> None:
    bundle.accepted.write_text("11\n")

    with pytest.raises(SignatureError):
        accept_counter(bundle.manifest)
    assert bundle.accepted.read_text() == "11\n"


def test_without_a_key_there_is_nothing_to_accept(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.path.lexists("/etc/fmnist-edge"):
        pytest.skip("this machine is configured")
    monkeypatch.delenv("FMNIST_EDGE_CONFIG")

    accept_counter(bundle.manifest)

    assert not bundle.accepted.exists()


def test_a_counter_that_cannot_be_written_says_what_to_try(bundle: Bundle) -> None:
    shutil.copytree(bundle.keys.parent, bundle.keys.parent.with_name("elsewhere"))
    (bundle.keys.parent / f".{os.getpid()}.part").mkdir()  # in the way

    with pytest.raises(UsageError, match=r"accepted can't be written \(.*\); try with sudo"):
        accept_counter(bundle.manifest)
