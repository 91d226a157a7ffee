"""One small interface over the runtimes: a model file's bytes in, a session that turns tiles into probabilities out.

ai-edge-litert, tflite-runtime and (on a workstation) TensorFlow run .tflite; onnxruntime runs .onnx.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.errors import ModelError, RuntimeUnavailableError, first_line
from fmnist_edge.tile import TILE_SIZE

Tiles = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

# The contract of every artifact (see the README): plain pixel / 255 in, probabilities out. int8 holds the same numbers as
# scale * (q - zero_point); the output's quantization is the one that LiteRT prescribes for softmax.
INPUT, OUTPUT = "image", "probabilities"
INPUT_SCALE, OUTPUT_SCALE, ZERO_POINT = 1 / 255, 1 / 256, -128

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

Tensor = tuple[tuple[int, ...], str]  # shape, -1 where it is free, and dtype

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


class Session(Protocol):
    """An open model."""

    @property
    def runtime(self) -> str:
        """What runs it, with its version."""
        ...

    def probabilities(self, tiles: Tiles) -> Probabilities:
        """tiles: uint8 (N, 28, 28), background 0. Returns float32 (N, 10), rows sum to 1 (int8: to within 10/512)."""
        ...


WHITE = np.float32(255)
SIGN_BIT = np.array(0x80, np.uint8)  # an array: numpy takes a third of a microsecond longer with a number


def to_pixels(tiles: Tiles) -> NDArray[np.float32]:
    """The float input: pixel / 255. (Without the cast numpy 1 divides in float16.)"""
    return tiles.astype(np.float32) / WHITE


def quantize(tiles: Tiles) -> NDArray[np.int8]:
    """The int8 input that stands for pixel / 255: the raw pixel minus 128, which is the pixel with its top bit flipped."""
    return (tiles ^ SIGN_BIT).view(np.int8)


def dequantize(values: NDArray[np.int8], scale: float, zero_point: int) -> NDArray[np.float32]:
    """Real numbers behind a quantized tensor: ``scale * (q - zero_point)``.

    values: int8, any shape. Returns float32 of the same shape. Source: LiteRT 8-bit quantization specification.
    """
    return np.float32(scale) * (values.astype(np.float32) - np.float32(zero_point))


# of each int8 output: at q, counted from the end where it is negative
PROBABILITIES = dequantize(np.arange(256, dtype=np.uint8).view(np.int8), OUTPUT_SCALE, ZERO_POINT)


class TFLiteSession:
    """A .tflite file in the first TFLite runtime that is installed, or the one named. One thread will do: the models are tiny."""

    def __init__(self, content: bytes, runtime: str | None = None, threads: int = 1) -> None:
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
        """Makes room for the input of so many tiles; new arrays at each call would cost a twentieth of its time."""
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


class OnnxSession:
    """A .onnx file in onnxruntime. One thread will do: the models are tiny."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeUnavailableError(f"onnxruntime is needed for .onnx ({error}): pip install onnxruntime") from None
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        # its exceptions have no common base of their own
        except Exception as error:
            raise ModelError(f"{self.runtime} can't run it ({first_line(error)})") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_contract([onnx_tensor(tensor) for tensor in inputs], [onnx_tensor(tensor) for tensor in outputs])
        self._dtype = np.dtype(onnx_tensor(inputs[0])[1])

    def probabilities(self, tiles: Tiles) -> Probabilities:
        (output,) = self._session.run([OUTPUT], {INPUT: to_input(tiles, self._dtype)})
        return to_probabilities(output)


def import_tflite(runtime: str | None) -> tuple[str, ModuleType]:
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
    cure = NEWER_GLIBC if too_old else what_to_install(64 if sys.maxsize > 2**32 else 32, sys.version_info[:2])
    raise RuntimeUnavailableError(f"no TFLite runtime works here; {cure}" + "".join(f" ({failure})" for failure in failures))


def what_to_install(bits: int, python: tuple[int, int]) -> str:
    """The runtime that has wheels for a Python of so many bits on a Raspberry Pi, by the files of ai-edge-litert and
    tflite-runtime on PyPI."""
    if bits == 64:
        return "pip install ai-edge-litert"
    if python < (3, 12):
        return "pip install tflite-runtime==2.14.0 'numpy<2'"
    return f"there is none for Python {python[0]}.{python[1]} with 32 bits: use a 64-bit system, or Python 3.11"


def version_of(name: str, module: ModuleType) -> str:
    from importlib.metadata import PackageNotFoundError, version  # takes longer to import than the model to open

    try:
        return version(name)
    except PackageNotFoundError:  # a build under another name, from a distribution for one
        return getattr(module, "__version__", "of unknown version")


def to_input(tiles: Tiles, dtype: Any) -> NDArray[Any]:
    return quantize(tiles) if dtype == np.int8 else to_pixels(tiles)


def to_probabilities(output: NDArray[Any]) -> Probabilities:
    return PROBABILITIES.take(output) if output.dtype == np.int8 else output


def tflite_tensor(details: dict[str, Any]) -> Tensor:
    return tuple(int(size) for size in details["shape_signature"]), np.dtype(details["dtype"]).name


def onnx_tensor(tensor: Any) -> Tensor:
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return shape, {"tensor(float)": "float32", "tensor(int8)": "int8"}.get(tensor.type, tensor.type)


def check_quantization(which: str, details: dict[str, Any], scale: float) -> None:
    """Raises ModelError unless an int8 tensor means what the contract says. (ONNX keeps this inside the graph.)"""
    found_scale, zero_point = details["quantization"]
    if details["dtype"] == np.int8 and not (np.isclose(found_scale, scale, rtol=1e-6, atol=0) and zero_point == ZERO_POINT):
        raise ModelError(f"its {which} has scale {found_scale:.6g} and zero point {zero_point}, not {scale:.6g} and {ZERO_POINT}")


def check_contract(inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the model takes and gives what every artifact does."""
    for dtype in ("float32", "int8"):
        if inputs == [((-1, TILE_SIZE, TILE_SIZE), dtype)] and outputs == [((-1, len(CLASSES)), dtype)]:
            return
    raise ModelError(
        f"it takes {describe(inputs)} and gives {describe(outputs)}; "
        f"a Fashion-MNIST model takes float32 or int8 (N, 28, 28) and gives the same (N, 10); export it with 'python -m export'"
    )


def describe(tensors: list[Tensor]) -> str:
    shapes = [(dtype, ", ".join("N" if size == -1 else str(size) for size in shape)) for shape, dtype in tensors]
    return " and ".join(f"{dtype} ({shape})" for dtype, shape in shapes)[:100]  # a damaged file may have thousands


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops what is written to stderr while a runtime loads. What goes wrong there is raised as well, and that is printed.

    ai-edge-litert 2.3.0 writes "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." from C++, with no switch against it;
    TensorFlow 2.21 four lines about oneDNN and CUDA; tflite-runtime 2.14.0 beside numpy 2 makes numpy write a page.
    """
    try:
        saved = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
