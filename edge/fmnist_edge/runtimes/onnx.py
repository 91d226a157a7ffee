"""A .onnx file: its session in onnxruntime, and the description inside it."""

import importlib
import re
from types import ModuleType
from typing import Any

import numpy as np

from fmnist_edge.checksum import sha256
from fmnist_edge.contract import DESCRIPTION, INPUT, OUTPUT, Probabilities, Tiles, to_input, to_probabilities
from fmnist_edge.errors import ModelError, RuntimeUnavailableError, first_line
from fmnist_edge.runtimes.session import MAX_DESCRIPTION_BYTES, Tensor, check_contract


class OnnxSession:
    """A .onnx file in onnxruntime. One thread is enough: the models are tiny."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        onnxruntime = import_onnxruntime()
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        # onnxruntime's exceptions have no common base class
        except Exception as error:
            raise ModelError(f"{self.runtime} can't run it ({first_line(error)})") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_contract([onnx_tensor(tensor) for tensor in inputs], [onnx_tensor(tensor) for tensor in outputs])
        self._dtype = np.dtype(onnx_tensor(inputs[0])[1])

    def probabilities(self, tiles: Tiles) -> Probabilities:
        (output,) = self._session.run([OUTPUT], {INPUT: to_input(tiles, self._dtype)})
        return to_probabilities(output)


def import_onnxruntime() -> ModuleType:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise RuntimeUnavailableError(f"onnxruntime is needed for .onnx ({error}): pip install onnxruntime") from None


def onnx_tensor(tensor: Any) -> Tensor:
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return shape, {"tensor(float)": "float32", "tensor(int8)": "int8"}.get(tensor.type, tensor.type)


def find_description(content: bytes) -> tuple[str, str]:
    """The fmnist.json in a .onnx's metadata_props, and the SHA-256 of the file with zeros in the checksum's place, since that
    stands inside. Raises ModelError.

    In its metadata_props, the file's last part, a property is two fields, name and text, each with a tag and a length before it
    (onnx.proto, protobuf's "Encoding"); a length has seven bits in each byte, the lowest first, and a top bit if more follow.
    """
    _, found, rest = content.rpartition(b"\x0a%c%s\x12" % (len(DESCRIPTION), DESCRIPTION.encode()))
    prefix = re.match(rb"[\x80-\xff]{0,2}[\x00-\x7f]", rest)
    if not found or not prefix:
        raise ModelError("it is truncated, or was not made by 'python -m export': it does not describe itself")
    length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(prefix[0]))
    text = rest[prefix.end() :][: min(length, MAX_DESCRIPTION_BYTES)].decode("utf-8", "replace")
    digest = re.search(r'"model_sha256": "([0-9a-f]{64})"', text)
    blanked = content.replace(digest[1].encode(), b"0" * 64) if digest else content
    return text, sha256(blanked).hexdigest()
