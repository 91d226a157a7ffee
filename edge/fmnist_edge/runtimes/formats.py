"""The kinds of model files, by their suffix. To add one, add a line here and a file beside this one."""

from collections.abc import Callable
from typing import NamedTuple

from fmnist_edge.runtimes import onnx, tflite
from fmnist_edge.runtimes.session import Session


class Format(NamedTuple):
    """name: for people.

    find_description: from a file's bytes to the text by which it describes itself, and the SHA-256 of all the rest; raises
    ModelError if there is none.
    open: from a file's bytes and a number of threads to a session; raises ModelError, or RuntimeUnavailableError.
    load_runtime: imports what ``open`` runs the model in; raises RuntimeUnavailableError.
    runtimes: their names, the first that works is taken. open_in_numpy: the last, which needs no other package; for files that
    are vouched for alone; raises ModelError for those that it does not know.
    """

    name: str
    find_description: Callable[[bytes], tuple[str, str]]
    open: Callable[[bytes, int], Session]
    load_runtime: Callable[[], object]
    runtimes: tuple[str, ...]
    open_in_numpy: Callable[[bytes], Session] | None


def open_in_numpy(content: bytes) -> Session:
    from fmnist_edge.runtimes.numpy_alone import NumpySession  # rarely needed

    return NumpySession(content)


FORMATS = {
    ".tflite": Format(
        "TFLite",
        tflite.find_description,
        tflite.TFLiteSession,
        tflite.import_tflite,
        (*tflite.TFLITE_RUNTIMES, "numpy alone (int8)"),
        open_in_numpy,
    ),
    ".onnx": Format("ONNX", onnx.find_description, onnx.OnnxSession, onnx.import_onnxruntime, ("onnxruntime",), None),
}


def format_of(suffix: str) -> Format:
    """A file with another suffix is treated as a .tflite; its content decides."""
    return FORMATS.get(suffix, FORMATS[".tflite"])
