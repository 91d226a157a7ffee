"""From a Keras MLP's layers to a float32 and an int8 TFLite file that keep the contract (see docs/models.md)."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.keras_model import Layers, Mlp
from export.quantize import ROOTS, Range
from fmnist_edge.contract import INPUT, OUTPUT, TILE_SIZE, to_pixels


def to_float_tflite(mlp: Mlp) -> bytes:
    """float32 (N, 28, 28), pixel / 255, to float32 (N, 10)."""
    return finish(converter(arithmetic(mlp.layers, sqrt_input=mlp.sqrt_input)).convert())


def to_int8_tflite(layers: Layers, ranges: Sequence[Range], representative: NDArray[np.uint8], sqrt_input: bool = False) -> bytes:
    """int8 (N, 28, 28), pixel - 128, to int8 (N, 10); integer arithmetic throughout, weights per channel.

    ranges: of each layer's output. representative: tiles, uint8 (N, 28, 28), among whose pixels 0 and 255 must both occur: they
    set the range of the input, and so its scale of 1/255. sqrt_input: the layers are for ROOTS of pixels.
    """
    quantizing = converter(arithmetic(layers, ranges))
    quantizing.optimizations = [tf.lite.Optimize.DEFAULT]
    quantizing.representative_dataset = lambda: [[to_pixels(representative)]]
    quantizing.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    quantizing.inference_input_type = quantizing.inference_output_type = tf.int8
    return finish(quantizing.convert(), sqrt_input)


def arithmetic(layers: Layers, ranges: Sequence[Range] = (), sqrt_input: bool = False) -> Any:
    """The bare arithmetic as a tf.function, with the weights as constants, and marks for the ranges where they are given.

    Keras' own graph would bring variables, which the calibrator of TensorFlow 2.21 can't initialise ("variable != nullptr was not
    true"), and a Flatten that becomes four operators where one reshape does.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, TILE_SIZE, TILE_SIZE], tf.float32, name=INPUT)])
    def forward(image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.reshape(image, [-1, TILE_SIZE * TILE_SIZE])
        if sqrt_input:
            values = tf.sqrt(values)
        for number, (kernel, bias) in enumerate(layers, start=1):
            values = tf.matmul(values, kernel) + bias
            if number < len(layers):
                values = tf.nn.relu(values)
            if ranges:
                values = tf.quantization.fake_quant_with_min_max_args(values, *ranges[number - 1])
        return {OUTPUT: tf.nn.softmax(values)}

    return forward


def converter(function: Any) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())


def finish(content: bytes, look_up: bool = False) -> bytes:
    """Calls input and output by their names ("serving_default_image:0" and "PartitionedCall:0" are the converter's)."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    if look_up:
        look_up_roots(model)
    graph.tensors[graph.inputs[0]].name = INPUT.encode()
    graph.tensors[graph.outputs[0]].name = OUTPUT.encode()
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def look_up_roots(model: Any) -> None:
    """Puts in front of an int8 model the square root of the pixel, as a table: TFLite has no operator for it in int8.

    GATHER wants an index of int32. The cast to uint8 on the way makes int8's -128 to -1 the index 128 to 255, so the table's
    halves change places. (To add 128 would take longer.) The operators have the versions that TensorFlow 2.21 gives them.
    """
    graph = model.subgraphs[0]
    root = graph.inputs[0]
    image, byte, index, table = range(len(graph.tensors), len(graph.tensors) + 4)
    kinds = schema.TensorType
    for name, kind in {"image": kinds.INT8, "byte": kinds.UINT8, "index": kinds.INT32, "roots": kinds.INT8}.items():
        tensor = copy(graph.tensors[root])
        tensor.name, tensor.type, tensor.buffer = name.encode(), kind, 0
        if kind != kinds.INT8:
            tensor.quantization = None
        graph.tensors.append(tensor)
    graph.tensors[root].name = b"root"
    graph.tensors[table].shape, graph.tensors[table].shapeSignature = [len(ROOTS)], None
    graph.tensors[table].buffer = len(model.buffers)
    model.buffers.append(schema.BufferT(data=np.roll(ROOTS, 128) ^ 128))  # the root - 128, as int8
    cast, gather = range(len(model.operatorCodes), len(model.operatorCodes) + 2)
    for code, version in ((schema.BuiltinOperator.CAST, 3), (schema.BuiltinOperator.GATHER, 2)):
        model.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=code, version=version, builtinCode=code))
    options = {"builtinOptionsType": schema.BuiltinOptions.GatherOptions, "builtinOptions": schema.GatherOptionsT()}
    graph.operators[:0] = [
        schema.OperatorT(opcodeIndex=cast, inputs=[image], outputs=[byte]),
        schema.OperatorT(opcodeIndex=cast, inputs=[byte], outputs=[index]),
        schema.OperatorT(opcodeIndex=gather, inputs=[table, index], outputs=[root], **options),
    ]
    graph.inputs, model.signatureDefs[0].inputs[0].tensorIndex = [image], image
