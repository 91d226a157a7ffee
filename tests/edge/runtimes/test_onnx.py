"""ONNX files: the description found byte by byte, without onnxruntime, and the session in it."""

import re
import sys
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pytest

from fmnist_edge.errors import ModelError, RuntimeUnavailableError
from fmnist_edge.runtimes.onnx import OnnxSession, find_description, onnx_tensor
from support.commands import MODELS

MODEL = bytes(range(256)) * 4
TILES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
UNDESCRIBED = "it is truncated, or was not made by 'python -m export': it does not describe itself"


def varint(number: int) -> bytes:
    """As protobuf writes it."""
    head = bytearray()
    while number > 0x7F:
        head.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*head, number])


def described(text: bytes, model: bytes = MODEL, rest: bytes = b"") -> bytes:
    """A model with a property at its end."""
    return model + b"\x0a\x0bfmnist.json\x12" + varint(len(text)) + text + rest


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 99_999, 100_000])
def test_a_description_of_any_length_is_found(length: int) -> None:
    text = b"x" * length

    assert find_description(described(text, rest=b"more"))[0] == text.decode()


def test_of_a_description_that_is_too_long_the_rest_is_not_read() -> None:
    assert len(find_description(described(b"x" * 100_001))[0]) == 100_000


def test_the_last_property_of_that_name_counts() -> None:
    assert find_description(described(b"last", model=described(b"first")))[0] == "last"


def test_the_checksum_is_that_of_the_file_with_zeros_in_its_place() -> None:
    digest = b"0123456789abcdef" * 4
    content = described(b'{"model_sha256": "%s"}' % digest)

    text, found = find_description(content)

    assert digest.decode() in text
    assert found == sha256(content.replace(digest, b"0" * 64)).hexdigest() != sha256(content).hexdigest()


def test_without_a_checksum_it_is_that_of_the_whole_file() -> None:
    content = described(b"{}")

    assert find_description(content) == ("{}", sha256(content).hexdigest())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        MODEL,
        MODEL + b"\x0a\x0bfmnist.json\x12",
        MODEL + b"\x0a\x0bfmnist.json\x12\x80\x80\x80\x01x",
        described(b"{}").replace(b"fmnist", b"FMNIST"),
        described(b"{}").replace(b"\x0a\x0b", b"\x0b\x0b"),
        described(b"{}").replace(b"\x12", b"\x13"),
    ],
)
def test_a_file_that_does_not_describe_itself_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        find_description(content)
    assert str(caught.value) == UNDESCRIBED


def test_a_description_that_is_no_text_is_read_as_far_as_it_is() -> None:
    assert find_description(described(b"{\xff}"))[0] == "{\ufffd}"


@pytest.mark.parametrize("name", ["fmnist-float.onnx", "fmnist-int8.onnx"])
def test_a_batch_gets_the_answers_of_single_tiles(name: str) -> None:
    session = OnnxSession((MODELS / name).read_bytes(), threads=2)

    together = session.probabilities(TILES)

    np.testing.assert_allclose(together, np.concatenate([session.probabilities(tile[None]) for tile in TILES]), atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=10 / 512)
    assert together.dtype == np.float32
    assert session.probabilities(TILES[:0]).shape == (0, 10)
    assert re.fullmatch(r"onnxruntime \d+\.\d+.*", session.runtime)


def test_a_file_that_onnxruntime_cannot_run_is_a_model_error_with_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"^onnxruntime \S+ can't run it \(.*parsing.*\)$"):
        OnnxSession(b"nonsense")
    assert capfd.readouterr() == ("", "")


def test_without_onnxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(RuntimeUnavailableError, match=r"^onnxruntime is needed for \.onnx \(.*\): pip install onnxruntime$"):
        OnnxSession((MODELS / "fmnist-int8.onnx").read_bytes())


@pytest.mark.parametrize(
    ("shape", "kind", "tensor"),
    [
        (["N", 28, 28], "tensor(float)", ((-1, 28, 28), "float32")),
        ([None, 10], "tensor(int8)", ((-1, 10), "int8")),
        ([1], "tensor(double)", ((1,), "tensor(double)")),
    ],
)
def test_a_tensor_is_known_by_its_shape_with_free_sizes_and_its_dtype(shape: list[object], kind: str, tensor: object) -> None:
    assert onnx_tensor(SimpleNamespace(shape=shape, type=kind)) == tensor
