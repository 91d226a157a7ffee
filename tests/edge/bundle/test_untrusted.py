"""Files and JSON that may be hostile: what is not even opened, and what is no JSON."""

import os
from pathlib import Path

import pytest

from fmnist_edge.bundle.untrusted import configured_keys, parse, read
from fmnist_edge.errors import ModelError


def test_a_file_up_to_the_limit_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"12345")

    assert read(tmp_path / "model", 5) == b"12345"


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    os.truncate(tmp_path / "model", 7_000_001)

    with pytest.raises(ModelError) as caught:
        read(tmp_path / "model", 7_000_000)
    assert str(caught.value) == "larger than 7 MB; no Fashion-MNIST model is"


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ModelError) as caught:
            read(path, 100)
        assert str(caught.value) == "not a file"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        read(Path("gone.tflite"), 100)
    assert str(caught.value) == "no such model file"


@pytest.mark.parametrize(("name", "reason"), [("model\0", "embedded null byte"), ("x" * 300, "File name too long")])
def test_a_path_that_cannot_be_one_is_an_error_of_ours(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"the model can't be read \({reason}"):
        read(tmp_path / name, 100)


def test_json_says_what_it_says() -> None:
    assert parse('{"a": [1, 2.5, null, true, "b"]}') == {"a": [1, 2.5, None, True, "b"]}


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": Infinity}', "-Infinity", "[" * 90_000])
def test_what_the_standard_does_not_know_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_keys_are_where_the_configuration_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(tmp_path))
    (tmp_path / "allowed_signers").touch()

    assert configured_keys() == tmp_path / "allowed_signers"


def test_a_configuration_whose_keys_are_gone_still_asks_for_a_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(tmp_path))

    assert configured_keys() == tmp_path / "allowed_signers"


def test_keys_that_lead_nowhere_or_cannot_be_seen_still_ask_for_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(tmp_path / "file"))

    assert configured_keys() == tmp_path / "file" / "allowed_signers"


@pytest.mark.skipif(os.path.lexists("/etc/fmnist-edge"), reason="this machine is configured")
@pytest.mark.parametrize("value", [None, ""])
def test_without_a_configuration_any_model_may_run(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_EDGE_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("FMNIST_EDGE_CONFIG", value)

    assert configured_keys() is None
