"""Signing: with which counter, by which key, and what is said when it can't be done. Keys are made for these tests."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from export.errors import ExportError
from export.sign import keep_counter, main, read_counter, sign


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "owner"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A bundle of nothing."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"files": {}, "proof": {}, "training": {"by": "Δ"}}')
    return folder


def counter_of(models: Path) -> int:
    counter: int = json.loads((models / "manifest.json").read_text())["counter"]
    return counter


def test_the_counter_is_the_seconds_since_1970_and_no_other_key_counts(key: Path, models: Path) -> None:
    (key.parent / "another.counter").write_text("5000000000\n")

    main(key, models)

    assert abs(counter_of(models) - time.time()) < 1_000
    assert key.with_name("owner.counter").read_text() == f"{counter_of(models)}\n"


@pytest.mark.parametrize(("of_the_key", "of_the_bundle"), [(5_000_000_000, 10), (10, 5_000_000_000)])
def test_no_counter_is_given_twice_whatever_the_clock_says(of_the_key: int, of_the_bundle: int, key: Path, models: Path) -> None:
    key.with_name("owner.counter").write_text(f"{of_the_key}\n")
    manifest = json.loads((models / "manifest.json").read_text())
    (models / "manifest.json").write_text(json.dumps(manifest | {"counter": of_the_bundle}))

    main(key, models)

    assert counter_of(models) == 5_000_000_001
    assert read_counter(key.with_name("owner.counter")) == 5_000_000_001


def test_what_devices_check_is_signed_to_the_byte(key: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(key, models, 7)

    text = (models / "manifest.json").read_bytes()
    assert json.loads(text) == {"files": {}, "proof": {}, "training": {"by": "Δ"}, "counter": 7}
    assert (models / "manifest.json.sig").read_bytes() == sign(text, key)
    assert capsys.readouterr().out == f"signed {models} with {key}, counter 7\n"


@pytest.mark.parametrize("content", ["{}", '{"files": 3, "proof": {}}', '{"files": {}}', "{"])
def test_a_manifest_that_says_too_little_is_not_signed(
    content: str, key: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "manifest.json").write_text(content)

    with pytest.raises(SystemExit):
        main(key, models)

    assert "manifest.json: it is " in capsys.readouterr().err
    assert sorted(path.name for path in models.iterdir()) == ["manifest.json"]
    assert not key.with_name("owner.counter").exists()


def test_a_bundle_whose_counter_can_not_be_kept_stays_unsigned(key: Path, models: Path) -> None:
    key.with_name("owner.counter").mkdir()

    with pytest.raises(SystemExit):
        main(key, models, 7)

    assert sorted(path.name for path in models.iterdir()) == ["manifest.json"]


def test_a_key_that_has_signed_nothing_counts_from_0(tmp_path: Path) -> None:
    assert read_counter(tmp_path / "owner.counter") == 0


def test_a_keys_counter_is_kept_and_never_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "owner.counter"

    for counter, kept in ((7, 7), (5, 7), (1_800_000_000, 1_800_000_000)):
        keep_counter(path, counter)
        assert read_counter(path) == kept

    assert path.read_text() == "1800000000\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("content", "reason"), [("many", "damaged"), ("", "damaged"), (None, "Is a directory")])
def test_a_counter_that_can_not_be_read_is_not_taken_for_0(content: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "owner.counter"
    path.mkdir() if content is None else path.write_text(content)

    with pytest.raises(ExportError) as refused:
        keep_counter(path, 7)

    assert str(refused.value) == (
        f"{path} can't be read ({reason}); remove it, and say --counter if devices then refuse the model"
    )


def test_a_counter_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "owner.counter"

    with pytest.raises(ExportError) as refused:
        keep_counter(path, 7)

    assert str(refused.value) == (
        f"{path} can't be written (No such file or directory); devices would refuse what is signed by a clock behind"
    )


def test_a_signature_is_of_this_text_for_this_purpose(key: Path, tmp_path: Path) -> None:
    signature, signers = tmp_path / "signature", tmp_path / "signers"
    signature.write_bytes(sign(b"text", key))
    signers.write_text(f"fmnist-edge {key.with_suffix('.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "fmnist-edge", "-s", signature, "-n"]

    assert subprocess.run([*verify, "fmnist-edge"], input=b"text", capture_output=True).returncode == 0
    for purpose, text in (("fmnist-edge", b"another"), ("git", b"text")):
        assert subprocess.run([*verify, purpose], input=text, capture_output=True).returncode != 0


def test_without_a_key_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    key = tmp_path / "none"

    with pytest.raises(ExportError) as refused:
        sign(b"text", key)

    assert str(refused.value) == f"{key}: no such key; make one: ssh-keygen -t ed25519 -f {key}"


def test_of_what_ssh_keygen_complains_of_the_last_line_is_said(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh-keygen"
    program.write_bytes(b"#!/bin/sh\necho 'enter passphrase' >&2; echo again >&2; echo 'bad \xff passphrase ' >&2; exit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ExportError) as refused:
        sign(b"text", key)

    assert str(refused.value) == f"{key} can't sign: bad \ufffd passphrase"


def test_without_ssh_keygen_it_is_said_what_to_install(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ExportError) as refused:
        sign(b"text", key)

    assert str(refused.value) == "ssh-keygen can't be started (No such file or directory); install OpenSSH's client"
