"""A .tflite file: its session in ai-edge-litert, tflite-runtime or TensorFlow (on a workstation), and the description in it."""

import importlib
import io
import os
import sys
import zipfile
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.checksum import sha256
from fmnist_edge.contract import (
    CLASSES,
    DESCRIPTION,
    INPUT_SCALE,
    OUTPUT_SCALE,
    PROBABILITIES,
    SIGN_BIT,
    TILE_SIZE,
    WHITE,
    Probabilities,
    Tiles,
)
from fmnist_edge.errors import ModelError, RuntimeUnavailableError, first_line
from fmnist_edge.runtimes.session import MAX_DESCRIPTION_BYTES, Tensor, check_contract, check_quantization

TFLITE_RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite.python.interpreter",
}

# ai-edge-litert's aarch64 wheels are named for GLIBC 2.27; their libraries want 2.30 in 2.1.0, and 2.34 from 2.1.6 on (`strings`)
NEWER_GLIBC = (
    "this system's GLIBC is too old: update it (Raspberry Pi OS 12 has 2.36), or pip install ai-edge-litert==2.1.0, "
    "which needs 2.30"
)


class TFLiteSession:
    """A .tflite file in the named TFLite runtime, or the first that is installed. One thread is enough: the models are tiny."""

    def __init__(self, content: bytes, threads: int = 1, runtime: str | None = None) -> None:
        self._name, self._module = import_tflite(runtime)
        try:
            self._interpreter: Any = self._module.Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except SystemError:
            raise RuntimeUnavailableError(
                f"{self.runtime} does not work with numpy {np.__version__}: pip install 'numpy<2'"
            ) from None
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.runtime} can't run it ({first_line(error)})") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        check_contract([tflite_tensor(tensor) for tensor in inputs], [tflite_tensor(tensor) for tensor in outputs])
        check_quantization("input", inputs[0], INPUT_SCALE)
        check_quantization("output", outputs[0], OUTPUT_SCALE)
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self._quantized = inputs[0]["dtype"] == np.int8
        self._reserve(1)

    @property
    def runtime(self) -> str:
        return f"{self._name} {version_of(self._name, self._module)}"

    def _reserve(self, count: int) -> None:
        """Allocates the input for this many tiles; new arrays in each call would cost a twentieth of its time."""
        self._values = np.empty((count, TILE_SIZE, TILE_SIZE), np.int8 if self._quantized else np.float32)
        self._bytes = self._values.view(np.uint8)

    def probabilities(self, tiles: Tiles) -> Probabilities:
        if len(tiles) == 0:
            return np.zeros((0, len(CLASSES)), np.float32)
        if len(tiles) != len(self._values):
            self._interpreter.resize_tensor_input(self._input, tiles.shape)
            self._interpreter.allocate_tensors()
            self._reserve(len(tiles))
        if self._quantized:
            np.bitwise_xor(tiles, SIGN_BIT, self._bytes)  # quantize() in place
        else:
            np.divide(tiles, WHITE, self._values, dtype=np.float32)  # to_pixels() in place
        self._interpreter.set_tensor(self._input, self._values)
        self._interpreter.invoke()
        output: NDArray[Any] = self._interpreter.get_tensor(self._output)
        return PROBABILITIES.take(output) if self._quantized else output


def import_tflite(runtime: str | None = None) -> tuple[str, ModuleType]:
    """The name and module of the named TFLite runtime, or of the first that can be imported."""
    failures = []
    for name in [runtime] if runtime else TFLITE_RUNTIMES:
        try:
            return name, importlib.import_module(TFLITE_RUNTIMES[name])
        except ModuleNotFoundError as error:
            if error.name is None or not TFLITE_RUNTIMES[name].startswith(error.name):
                failures.append(f"{name}: {error}")
        # a GLIBC that is too old, or a numpy that its binary was not built for
        except (ImportError, SystemError, AttributeError) as error:
            failures.append(f"{name}: {first_line(error)}")
    too_old = any("`GLIBC" in failure for failure in failures)  # libc's GLIBC_2.34 or libstdc++'s GLIBCXX_3.4.30
    cure = (
        NEWER_GLIBC if too_old else what_to_install(64 if sys.maxsize > 2**32 else 32, sys.version_info[:2], os.uname().machine)
    )
    raise RuntimeUnavailableError(f"no TFLite runtime works here; {cure}" + "".join(f" ({failure})" for failure in failures))


def what_to_install(bits: int, python: tuple[int, int], machine: str) -> str:
    """The runtime that has wheels for a Python of so many bits on a Raspberry Pi, by the files of ai-edge-litert and
    tflite-runtime on PyPI."""
    if bits == 64:
        return "pip install ai-edge-litert"
    if machine == "armv6l":
        return "there is none for armv6, which is the processor of a Pi Zero and of a Pi 1"
    if python < (3, 12):
        return "pip install tflite-runtime==2.14.0 'numpy<2'"
    return f"there is none for Python {python[0]}.{python[1]} with 32 bits: use a 64-bit system, or Python 3.11"


def version_of(name: str, module: ModuleType) -> str:
    from importlib.metadata import PackageNotFoundError, version  # importing it takes longer than opening the model

    try:
        return version(name)
    except PackageNotFoundError:  # a build with another name, for example from a distribution
        return getattr(module, "__version__", "of unknown version")


def tflite_tensor(details: dict[str, Any]) -> Tensor:
    return tuple(int(size) for size in details["shape_signature"]), np.dtype(details["dtype"]).name


def find_description(content: bytes) -> tuple[str, str]:
    """The fmnist.json in the ZIP archive at a .tflite's end, and the SHA-256 of what stands before it. Raises ModelError.

    TFLite metadata lies there too: `unzip -l` lists it, and runtimes ignore it.
    """
    if content[4:8] != b"TFL3":
        raise ModelError("not a TFLite model")
    end = content[-MAX_DESCRIPTION_BYTES:]  # a long list of members would fill the memory
    try:
        with zipfile.ZipFile(io.BytesIO(end)) as archive:
            entry = archive.getinfo(DESCRIPTION)
            archive_start = len(content) - len(end) + min(member.header_offset for member in archive.infolist())
            # stored, as export writes it: a compressed member may unpack to gigabytes, whatever size it claims
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("compressed")
            text = archive.read(entry).decode()
    # zipfile raises all kinds of exceptions for a broken archive: BadZipFile, KeyError, struct.error, ...
    except Exception:
        raise ModelError("it is truncated, or was not made by 'python -m export': it does not describe itself") from None
    # nothing but the flatbuffer stands before the archive's first member
    return text, sha256(memoryview(content)[:archive_start]).hexdigest()
