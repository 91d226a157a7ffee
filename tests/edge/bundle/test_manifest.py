"""Which files belong to one export: what a manifest vouches for, and what it must not."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from fmnist_edge.bundle.manifest import is_listed, read_manifest
from fmnist_edge.errors import ModelError, SignatureError

CONTENT = b"a model"
SHA256 = sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMNIST_EDGE_CONFIG", raising=False)


def manifest(folder: Path, text: object) -> dict[str, str]:
    (folder / "manifest.json").write_text(text if isinstance(text, str) else json.dumps(text))
    return read_manifest(folder / "model.tflite")


def test_without_a_manifest_nothing_is_listed(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "model.tflite") == {}


def test_files_and_their_proof_are_listed(tmp_path: Path) -> None:
    listing = {
        "files": {"model.tflite": {"sha256": "1", "bytes": 7}, "notes.txt": {}, "more.txt": None},
        "proof": {"golden.npz": {"sha256": "2"}},
        "waived": {"other.txt": {"sha256": "3"}},
    }

    assert manifest(tmp_path, listing) == {"model.tflite": "1", "golden.npz": "2"}


@pytest.mark.parametrize("listing", [{"name": "a web app"}, [], 5, {"files": 5}, {"files": {}, "proof": 5}])
def test_a_manifest_of_something_else_lists_nothing(listing: object, tmp_path: Path) -> None:
    assert manifest(tmp_path, listing) == {}


@pytest.mark.parametrize("text", ["", "{", "[" * 90_000, '{"files": NaN}'])
def test_a_damaged_manifest_is_not_taken_for_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        manifest(tmp_path, text)
    assert str(caught.value) == "the manifest.json beside it is damaged; copy or export both again"


def test_a_manifest_that_leads_nowhere_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").symlink_to(tmp_path / "gone")

    with pytest.raises(ModelError, match="is damaged"):
        read_manifest(tmp_path / "model.tflite")


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    assert manifest(tmp_path, f'{{"files": {{}}{" " * (100_000 - 13)}}}') == {}
    with pytest.raises(ModelError, match="is damaged"):
        manifest(tmp_path, f'{{"files": {{}}{" " * (100_001 - 13)}}}')


def test_where_a_key_is_configured_an_unsigned_manifest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(tmp_path))

    with pytest.raises(SignatureError, match=r"the manifest\.json beside it is not signed"):
        manifest(tmp_path, {"files": {}})


def test_a_file_that_is_listed_is_vouched_for() -> None:
    assert is_listed(Path("model.tflite"), CONTENT, {"model.tflite": SHA256}) is True


def test_a_file_that_is_not_listed_is_not() -> None:
    assert is_listed(Path("model.tflite"), CONTENT, {"another.tflite": SHA256}) is False


def test_a_file_that_is_listed_otherwise_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        is_listed(Path("model.tflite"), CONTENT, {"model.tflite": "0" * 64})
    assert str(caught.value) == "it is not the file that the manifest.json beside it lists; copy or export both again"


def test_where_a_key_is_configured_a_file_that_is_not_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_EDGE_CONFIG", str(tmp_path))

    with pytest.raises(SignatureError) as caught:
        is_listed(Path("model.tflite"), CONTENT, {})
    assert str(caught.value) == (
        f"no manifest.json beside it lists it, and {tmp_path}/allowed_signers asks for a signed one; copy all from one export"
    )
    assert is_listed(Path("model.tflite"), CONTENT, {"model.tflite": SHA256})
