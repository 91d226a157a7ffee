"""The runtimes and kernels that can run an artifact, without fmnist_edge's session around them.

`python -m export.bare_runtimes NAME MODEL INPUT.npy OUTPUT.npy` runs a model in the Python of another environment.
Needs numpy and Pillow alone.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from fmnist_edge.contract import INPUT, OUTPUT, Probabilities, Tiles, to_input, to_probabilities
from fmnist_edge.runtimes.tflite import TFLITE_RUNTIMES
from fmnist_edge.terminal import quiet_stderr

Array = NDArray[Any]
Invoke = Callable[[Array], Array]
"""From a model's input to its output, both in the file's own dtype: float32 or int8, (N, 28, 28) and (N, 10)."""

ROOT = Path(__file__).parents[1]
OTHER_ENVIRONMENT = ROOT / "build" / "tflite-runtime"
"""tflite-runtime 2.14.0 works only with Python 3.11 and numpy 1: the Makefile makes an environment for it if it can."""


def open_tflite(package: str, kernels: str, content: bytes) -> Invoke:
    """The model in one of TFLITE_RUNTIMES, on one thread. kernels: a name of OpResolverType."""
    module = importlib.import_module(TFLITE_RUNTIMES[package])
    interpreter = module.Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=module.OpResolverType[kernels]
    )
    interpreter.allocate_tensors()
    given, wanted = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    size = 1

    def invoke(values: Array) -> Array:
        nonlocal size
        if len(values) != size:
            interpreter.resize_tensor_input(given, values.shape)
            interpreter.allocate_tensors()
            size = len(values)
        interpreter.set_tensor(given, values)
        interpreter.invoke()
        output: Array = interpreter.get_tensor(wanted)
        return output

    return invoke


def open_onnx(optimization: str, content: bytes) -> Invoke:
    """The model in onnxruntime, on one thread. optimization: a name of GraphOptimizationLevel."""
    import onnxruntime  # another environment may not have it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, optimization)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda values: session.run([OUTPUT], {INPUT: values})[0]


RUNTIMES = {
    "ai-edge-litert": ("ai-edge-litert", "AUTO"),
    "ai-edge-litert, built-in kernels": ("ai-edge-litert", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    "tf.lite": ("tensorflow", "AUTO"),
    "tflite-runtime": ("tflite-runtime", "AUTO"),
    "onnxruntime": ("onnxruntime", "ORT_ENABLE_ALL"),
    "onnxruntime, graph as it is": ("onnxruntime", "ORT_DISABLE_ALL"),
}
"""The package of each, and which kernels it is told to use. The first of each format is the default one."""


def runtimes_for(name: str) -> list[str]:
    """The names of the runtimes that run the artifact with this file name."""
    return [runtime for runtime, (package, _) in RUNTIMES.items() if (package == "onnxruntime") == name.endswith(".onnx")]


def open_bare(runtime: str, content: bytes) -> Invoke:
    package, kernels = RUNTIMES[runtime]
    with quiet_stderr():
        return open_onnx(kernels, content) if package == "onnxruntime" else open_tflite(package, kernels, content)


def is_here(runtime: str) -> bool:
    return runtime != "tflite-runtime" or any(OTHER_ENVIRONMENT.glob("lib/python*/site-packages/tflite_runtime"))


def run(runtime: str, content: bytes, tiles: Tiles, dtype: str) -> Probabilities:
    """float32 (N, 10): what the model says of the tiles, uint8 (N, 28, 28), in the named runtime."""
    values = to_input(tiles, np.dtype(dtype))
    if runtime != "tflite-runtime":
        return to_probabilities(open_bare(runtime, content)(values))
    with tempfile.TemporaryDirectory() as folder:
        model, given, wanted = (Path(folder) / name for name in ("model", "input.npy", "output.npy"))
        model.write_bytes(content)
        np.save(given, values)
        in_fresh_process(runtime, "export.bare_runtimes", runtime, model, given, wanted)
        return to_probabilities(np.load(wanted))


def in_fresh_process(runtime: str, module: str, *arguments: object) -> str:
    """The stdout of ``python -m module``, for tflite-runtime in its own environment. Raises ExportError if it fails."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'edge'}"}
    python = OTHER_ENVIRONMENT / "bin" / "python" if runtime == "tflite-runtime" else sys.executable
    command = [str(python), "-m", module, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise ExportError(f"{runtime} can't be measured: {(done.stderr.strip() or 'it was killed').splitlines()[-1]}")
    return done.stdout


def version_of(runtime: str) -> str:
    return "2.14.0" if runtime == "tflite-runtime" else version(RUNTIMES[runtime][0])


if __name__ == "__main__":
    name, model, given, wanted = sys.argv[1:]
    np.save(wanted, open_bare(name, Path(model).read_bytes())(np.load(given)))
