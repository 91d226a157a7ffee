"""From a Keras MLP's layers to a float32 and an int8 TFLite file that keep the contract (see the README)."""

from collections.abc import Iterator, Sequence

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.reference import Layers
from fmnist_edge.runtime import INPUT, OUTPUT, to_pixels
from fmnist_edge.tile import TILE_SIZE

Range = tuple[float, float]
"""The smallest and largest value that an int8 tensor holds."""


def to_float_tflite(layers: Layers) -> bytes:
    """float32 (N, 28, 28), pixel / 255, to float32 (N, 10)."""
    return rename_tensors(converter(layers).convert())


def to_int8_tflite(layers: Layers, ranges: Sequence[Range], representative: NDArray[np.uint8]) -> bytes:
    """int8 (N, 28, 28), pixel - 128, to int8 (N, 10); integer arithmetic throughout, weights per channel.

    ranges: of each layer's output. representative: tiles, uint8 (N, 28, 28), among whose pixels 0 and 255 must both occur: they
    set the range of the input, and so its scale of 1/255.
    """

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        yield [to_pixels(representative)]

    quantizing = converter(layers, ranges)
    quantizing.optimizations = [tf.lite.Optimize.DEFAULT]
    quantizing.representative_dataset = samples
    quantizing.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    quantizing.inference_input_type = quantizing.inference_output_type = tf.int8
    return rename_tensors(quantizing.convert())


def converter(layers: Layers, ranges: Sequence[Range] = ()) -> tf.lite.TFLiteConverter:
    """A converter of the bare arithmetic, with the weights as constants, and marks for the ranges where they are given.

    Keras' own graph would bring variables, which the calibrator of TensorFlow 2.21 can't initialise ("variable != nullptr was not
    true"), and a Flatten that becomes four operators where one reshape does.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, TILE_SIZE, TILE_SIZE], tf.float32, name=INPUT)])
    def forward(image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.reshape(image, [-1, TILE_SIZE * TILE_SIZE])
        for number, (kernel, bias) in enumerate(layers, start=1):
            values = tf.matmul(values, kernel) + bias
            if number < len(layers):
                values = tf.nn.relu(values)
            if ranges:
                values = tf.quantization.fake_quant_with_min_max_args(values, *ranges[number - 1])
        return {OUTPUT: tf.nn.softmax(values)}

    return tf.lite.TFLiteConverter.from_concrete_functions([forward.get_concrete_function()], tf.Module())


def rename_tensors(content: bytes) -> bytes:
    """Calls input and output by their names ("serving_default_image:0" and "PartitionedCall:0" are the converter's)."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = INPUT.encode()
    graph.tensors[graph.outputs[0]].name = OUTPUT.encode()
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
