"""TFLite files: what stands in them, which runtime runs them, and what they answer in batches of every size."""

import io
import os
import re
import sys
import types
import zipfile
from hashlib import sha256
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmnist_edge.contract import to_pixels
from fmnist_edge.errors import ModelError, RuntimeUnavailableError
from fmnist_edge.runtimes.tflite import (
    NEWER_GLIBC,
    TFLITE_RUNTIMES,
    TFLiteSession,
    find_description,
    import_tflite,
    tflite_tensor,
    version_of,
    what_to_install,
)
from support.commands import MODELS

INT8, FLOAT = ((MODELS / f"fmnist-{dtype}.tflite").read_bytes() for dtype in ("int8", "float"))
TILES = np.random.default_rng(0).integers(0, 256, (9, 28, 28), np.uint8)
MODEL = b"\x1c\0\0\0TFL3" + bytes(range(200))


def packed(members: dict[str, str], model: bytes = MODEL, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A model with an archive at its end."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", compression) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_the_description_and_the_checksum_of_what_stands_before_the_archive_are_found() -> None:
    content = packed({"labels.txt": "Bag", "fmnist.json": "what é it says"})

    assert find_description(content) == ("what é it says", sha256(MODEL).hexdigest())


def test_the_description_is_found_behind_a_model_of_any_size() -> None:
    model = MODEL + bytes(300_000)

    assert find_description(packed({"fmnist.json": "{}"}, model)) == ("{}", sha256(model).hexdigest())


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"TFL3" + MODEL, b"\x1c\0\0\0TFL2" + MODEL[8:]])
def test_what_is_no_tflite_model_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        find_description(content)
    assert str(caught.value) == "not a TFLite model"


@pytest.mark.parametrize(
    "content",
    [
        MODEL,
        packed({"labels.txt": "Bag"}),
        packed({"fmnist.json": "x" * 1000}, compression=zipfile.ZIP_DEFLATED),
        packed({"fmnist.json": "{}"})[:-10],
        packed({"fmnist.json": "x" * 100_000}),
        packed({"fmnist.json": "{}"}).replace(b"{}", b"{\xff"),
    ],
    ids=["alone", "without", "compressed", "truncated", "too long", "no text"],
)
def test_a_file_that_does_not_describe_itself_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        find_description(content)
    assert str(caught.value) == "it is truncated, or was not made by 'python -m export': it does not describe itself"


@pytest.mark.parametrize("content", [INT8, FLOAT], ids=["int8", "float"])
def test_batches_of_every_size_get_the_answers_of_single_tiles(content: bytes) -> None:
    session = TFLiteSession(content)
    singly = np.concatenate([session.probabilities(tile[None]) for tile in TILES])

    for sizes in ([9], [2, 7], [7, 2], [1, 8]):
        parts = np.split(TILES, np.cumsum(sizes)[:-1])
        for opened in (session, TFLiteSession(content)):
            answers = np.concatenate([opened.probabilities(part) for part in parts])
            np.testing.assert_allclose(answers, singly, atol=1e-6)
    assert singly.dtype == np.float32
    np.testing.assert_allclose(singly.sum(1), 1, atol=10 / 512)


def test_a_float_model_gets_the_pixels_as_the_contract_has_them() -> None:
    session = TFLiteSession(FLOAT)
    interpreter = import_tflite()[1].Interpreter(model_content=FLOAT)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], to_pixels(TILES[:1]))
    interpreter.invoke()

    np.testing.assert_array_equal(
        session.probabilities(TILES[:1]), interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    )


def test_no_tiles_get_no_answers() -> None:
    answers = TFLiteSession(INT8).probabilities(TILES[:0])

    assert answers.shape == (0, 10)
    assert answers.dtype == np.float32


def test_a_session_says_what_runs_it() -> None:
    assert re.fullmatch(r"ai-edge-litert \d+\.\d+.*", TFLiteSession(INT8, threads=2, runtime="ai-edge-litert").runtime)


def test_a_runtime_that_was_named_is_not_replaced_by_another() -> None:
    with pytest.raises(RuntimeUnavailableError):
        TFLiteSession(INT8, runtime="tflite-runtime")


def with_scale(tensor: str, scale: float) -> bytes:
    """The int8 model, of which one tensor means something else."""
    model = schema.ModelT.InitFromPackedBuf(INT8)
    graph = model.subgraphs[0]
    place = {"input": graph.inputs, "output": graph.outputs}[tensor][0]
    graph.tensors[place].quantization.scale = [scale]
    builder = flatbuffers.Builder(len(INT8))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("tensor", "should"), [("input", 1 / 255), ("output", 1 / 256)])
def test_a_model_whose_numbers_mean_something_else_is_refused(tensor: str, should: float) -> None:
    with pytest.raises(ModelError) as caught:
        TFLiteSession(with_scale(tensor, should * 1.0005))  # the runtime itself refuses one that is farther away
    assert str(caught.value) == f"its {tensor} has scale {should * 1.0005:.6g} and zero point -128, not {should:.6g} and -128"


def test_a_file_that_the_runtime_cannot_run_is_a_model_error_with_the_runtimes_words() -> None:
    with pytest.raises(ModelError, match=r"^ai-edge-litert \S+ can't run it \(.*schema version.*\)$"):
        TFLiteSession(b"\x1c\0\0\0TFL3" + bytes(64))


def test_a_tensor_is_known_by_its_shape_with_free_sizes_and_its_dtype() -> None:
    details = {"shape_signature": np.array([-1, 28, 28], np.int32), "shape": np.array([1, 28, 28]), "dtype": np.int8}

    assert tflite_tensor(details) == ((-1, 28, 28), "int8")


RUNTIMES = ("ai_edge_litert", "tflite_runtime", "tensorflow")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **packages: str) -> None:
    """A machine that has these runtimes, each of which does this when it is imported, and no others."""
    for name in [name for name in sys.modules if name.partition(".")[0] in RUNTIMES]:
        monkeypatch.delitem(sys.modules, name)
    missing = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)"
    for name, code in {**dict.fromkeys(RUNTIMES, missing), **packages}.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)
        (folder / name / "interpreter.py").touch()
    monkeypatch.syspath_prepend(folder)


def test_the_first_runtime_that_can_be_imported_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, tflite_runtime="", ai_edge_litert="raise ImportError('broken')")

    name, module = import_tflite()

    assert (name, module.__name__) == ("tflite-runtime", "tflite_runtime.interpreter")


def test_litert_comes_before_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(TFLITE_RUNTIMES) == ["ai-edge-litert", "tflite-runtime", "tensorflow"]
    install(tmp_path, monkeypatch, ai_edge_litert="", tflite_runtime="")

    assert import_tflite()[0] == "ai-edge-litert"
    assert import_tflite("tflite-runtime")[0] == "tflite-runtime"


def no_runtime() -> str:
    with pytest.raises(RuntimeUnavailableError) as caught:
        import_tflite()
    return str(caught.value)


def test_without_a_runtime_it_says_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)

    assert no_runtime() == "no TFLite runtime works here; pip install ai-edge-litert"


@pytest.mark.parametrize("error", ["ImportError", "SystemError", "AttributeError"])
def test_a_runtime_that_is_broken_is_quoted(error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, ai_edge_litert=f"raise {error}('made for another numpy')")

    assert no_runtime().endswith("; pip install ai-edge-litert (ai-edge-litert: made for another numpy)")


def test_a_runtime_that_lacks_a_module_of_its_own_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, ai_edge_litert="import flatbufers_that_are_missing")

    assert no_runtime().endswith("(ai-edge-litert: No module named 'flatbufers_that_are_missing')")


def test_of_several_broken_runtimes_each_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, ai_edge_litert="raise ImportError('one')", tensorflow="raise ImportError('other')")

    assert no_runtime().endswith("; pip install ai-edge-litert (ai-edge-litert: one) (tensorflow: other)")


def test_a_python_of_32_bits_is_told_what_there_is_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)

    assert no_runtime() == f"no TFLite runtime works here; {what_to_install(32, sys.version_info[:2], os.uname().machine)}"


@pytest.mark.parametrize("symbol", ["`GLIBC_2.34'", "`GLIBCXX_3.4.30'"])
def test_a_glibc_that_is_too_old_is_named_with_its_cure(symbol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, ai_edge_litert=f'raise ImportError("version {symbol} not found")')

    assert no_runtime() == f"no TFLite runtime works here; {NEWER_GLIBC} (ai-edge-litert: version {symbol} not found)"


def test_a_runtime_and_a_numpy_that_do_not_go_together_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, tflite_runtime="")
    broken = "def Interpreter(**options): raise SystemError('initialization of _pywrap raised unreported exception')"
    (tmp_path / "tflite_runtime" / "interpreter.py").write_text(f"__version__ = '2.14.0'\n{broken}")

    with pytest.raises(RuntimeUnavailableError) as caught:
        TFLiteSession(INT8)
    assert str(caught.value).endswith(f" does not work with numpy {np.__version__}: pip install 'numpy<2'")


@pytest.mark.parametrize(
    ("bits", "python", "machine", "cure"),
    [
        (64, (3, 10), "aarch64", "pip install ai-edge-litert"),
        (64, (3, 14), "x86_64", "pip install ai-edge-litert"),
        (32, (3, 11), "armv7l", "pip install tflite-runtime==2.14.0 'numpy<2'"),
        (32, (3, 12), "armv8l", "there is none for Python 3.12 with 32 bits: use a 64-bit system, or Python 3.11"),
        (32, (3, 11), "armv6l", "there is none for armv6, which is the processor of a Pi Zero and of a Pi 1"),
    ],
)
def test_the_runtime_is_one_that_has_a_wheel_for_this_machine(
    bits: int, python: tuple[int, int], machine: str, cure: str
) -> None:
    assert what_to_install(bits, python, machine) == cure


def test_a_build_without_a_distribution_says_its_own_version() -> None:
    module = types.ModuleType("interpreter")
    assert version_of("no-such-distribution", module) == "of unknown version"

    module.__version__ = "1.2"  # type: ignore[attr-defined]
    assert version_of("no-such-distribution", module) == "1.2"
