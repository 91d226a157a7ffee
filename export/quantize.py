"""Finds the int8 model whose outputs are closest to the float one's: its weights, and the ranges of its activations.

Weights by GPTQ (Frantar et al. 2022, arXiv:2210.17323): the weights of a layer are rounded one input after the other, and what
each rounding does to the outputs is made good by the weights not yet rounded. Rounding each to its nearest gave four times the
largest error here: pixels at the rim hardly vary, so their weights are large and spoil the scale for the others.

All units of a layer share one range. Before, they are scaled so that each uses most of it (cross-layer equalisation, Nagel et al.
2019, arXiv:1906.04721), which took a quarter off the errors (root mean square).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.keras_model import Floats, Layers, Mlp, probabilities
from fmnist_edge.contract import Tiles, agreement, to_pixels

Array = NDArray[np.float64]

Range = tuple[float, float]
"""The smallest and largest value that an int8 tensor holds."""

ROOTS = np.round(255 * np.sqrt(np.arange(256) / 255)).astype(np.uint8)
"""In an int8 model, the square root of each pixel: both are steps of 1/255."""

LARGEST = 127  # LiteRT's int8 weights: -127 to 127, one scale per output unit
DAMPING = 0.01  # added to the inputs' variances, as a part of their mean (GPTQ's own choice)
ORDER_SPREAD = 0.5  # by how much (as a logarithm) a further attempt takes inputs for more variable, or less, than they are
TINY = 1e-9  # for inputs that never vary and units without weights
SCALES = np.linspace(0.5, 1, 11)  # tried for each unit, as a part of the scale that clips no weight
# 1: all units reach equally far, 0: as trained. On images not seen yet some reach farther, and what is cut off makes the largest
# errors: of 60,000 held-out images 24 were cut at 0.7, 178 at 1. Units that reach next to nowhere keep room, too.
BALANCE, LEAST_REACH = 0.7, 0.25
FIT = 0.9  # of the strange tiles, the part whose values fit into the ranges: at 1 the others would get ranges too coarse
LOW_ENDS = np.linspace(0.2, 1, 17)  # tried for the logits, as a part of the smallest
ROOM = 0.15  # by which part further attempts let the logits' range reach lower
SURE = (3, 4, 5, 6)  # tried for them, too: one that far above another has a probability of 0.95, and more matters little


class Int8Mlp(NamedTuple):
    """An MLP as int8 holds it: ``rounded`` layers, whose outputs have ``ranges``. ``exact`` are the same layers not yet rounded.

    sqrt_input: the first layer gets ROOTS of the pixels.
    """

    exact: Layers
    rounded: Layers
    ranges: list[Range]
    sqrt_input: bool


def quantize(mlp: Mlp, tiles: Tiles, strange: Tiles, attempt: int = 0) -> Int8Mlp:
    """tiles: training images, all of which count; strange: what a device may be shown besides. Both uint8 (N, 28, 28).

    Each further attempt rounds the weights in another order, which makes other small errors, fits the ranges to them, and then
    leaves more room below the logits: a rare image's are all low, and what is cut off there makes the largest errors.
    """
    if mlp.sqrt_input:  # int8 is fitted to what its first layer gets
        tiles, strange = ROOTS[tiles], ROOTS[strange]
    everything = flat_pixels(np.concatenate([tiles, strange]))
    values, strange_values = np.split(everything, [len(tiles)])
    exact = centre_logits(balance_units(mlp.layers, values, strange_values), everything)
    rounded = round_weights(exact, everything, attempt)
    return Int8Mlp(exact, rounded, choose_ranges(exact, rounded, values, strange_values, attempt), mlp.sqrt_input)


def losses(model: Int8Mlp, tiles: Tiles) -> dict[str, dict[str, float]]:
    """How far each part of the rounding moves the probabilities if it is the only one: agreement, largest and rms Δp.

    tiles: uint8 (N, 28, 28).
    """
    values = flat_pixels(ROOTS[tiles] if model.sqrt_input else tiles)
    exact = probabilities(values, model.exact)
    parts = {"pixels' square roots": probabilities(np.sqrt(flat_pixels(tiles)), model.exact)} if model.sqrt_input else {}
    parts["weights"] = probabilities(values, model.rounded)
    for layer, ends in enumerate(model.ranges, start=1):
        name = "logits" if layer == len(model.ranges) else f"values of hidden layer {layer}"
        parts[name] = in_int8(values, model.exact, {layer: ends})
    parts["all of these"] = in_int8(values, model.rounded, dict(enumerate(model.ranges, start=1)))
    return {
        part: {
            "top1_agreement": agreement(exact, found),
            "max_dp": float(np.abs(found - exact).max()),
            "rms_dp": float(np.sqrt(((found - exact) ** 2).mean())),
        }
        for part, found in parts.items()
    }


def in_int8(values: Floats, layers: Layers, ranges: Mapping[int, Range]) -> Floats:
    """Probabilities of the values (N, inputs), if the outputs of the layers that have a range here are held in its steps."""
    for number, (kernel, bias) in enumerate(layers, start=1):
        values = values @ kernel + bias
        if number < len(layers):
            values = np.maximum(values, 0)
        if number in ranges:
            values = in_steps(values, ranges[number])
    return probabilities(values, [])


def balance_units(layers: Layers, values: Floats, strange_values: Floats) -> Layers:
    """Makes each hidden unit smaller by a factor, and its weights in the next layer larger by it: with ReLU that changes nothing.

    values, strange_values: float32 (N, 784), on which the units are to reach about as far as each other; on most of the strange.
    """
    balanced: Layers = []
    factors = np.ones(values.shape[1], np.float32)
    for kernel, bias in layers[:-1]:
        values, strange_values = (np.maximum(v @ kernel + bias, 0) for v in (values, strange_values))
        reach = np.maximum(values.max(0), np.quantile(strange_values, FIT, axis=0))
        next_factors = (np.maximum(reach, LEAST_REACH * reach.max() + TINY) ** BALANCE).astype(np.float32)
        balanced.append((factors[:, None] * kernel / next_factors, bias / next_factors))
        factors = next_factors
    kernel, bias = layers[-1]
    return [*balanced, (factors[:, None] * kernel, bias)]


def round_weights(layers: Layers, inputs: Floats, attempt: int = 0) -> Layers:
    """The same MLP with kernels that int8 holds exactly, and biases that make up for the mean of what was rounded off.

    inputs: float32 (N, 784) from the training data; what counts is what the rounding does to them. attempt: see ``quantize``.
    """
    random = np.random.default_rng(attempt)
    rounded: Layers = []
    for kernel, bias in layers:
        urgency = random.lognormal(0, ORDER_SPREAD if attempt else 0, len(kernel))
        covariance: Array = np.atleast_2d(np.cov(inputs, rowvar=False, bias=True))
        new_kernel = round_kernel(kernel.astype(np.float64), covariance, urgency)
        new_bias = bias + inputs.mean(0, dtype=np.float64) @ (kernel - new_kernel)
        rounded.append((new_kernel.astype(np.float32), new_bias.astype(np.float32)))
        inputs = np.maximum(inputs @ rounded[-1][0] + rounded[-1][1], 0)
    return rounded


def centre_logits(layers: Layers, values: Floats) -> Layers:
    """Takes from all logits the same amount, which softmax does not see, so that they need a smaller range and get finer steps.

    That is the mean of the image's two largest logits, as near as a linear function of the last hidden layer comes to it (least
    squares). With the mean of all ten instead, the steps were 1.7 times as large. values: float32 (N, 784).
    """
    *hidden, (kernel, bias) = layers
    for hidden_kernel, hidden_bias in hidden:
        values = np.maximum(values @ hidden_kernel + hidden_bias, 0)
    wanted = np.partition(values @ kernel + bias, -2)[:, -2:].mean(1)
    inputs = np.column_stack([values, np.ones(len(values))]).astype(np.float64)
    curvature = inputs.T @ inputs
    curvature += DAMPING * np.diag(curvature).mean() * np.eye(len(curvature))
    taken = np.linalg.solve(curvature, inputs.T @ wanted).astype(np.float32)
    return [*hidden, (kernel - taken[:-1, None], bias - taken[-1])]


def round_kernel(kernel: Array, covariance: Array, urgency: Array) -> Array:
    """kernel (inputs, units) to the nearest in the sense above. covariance (inputs, inputs) of the layer's inputs; urgency
    (inputs,): factors by which some of them come sooner than others."""
    # those that vary most come first, while there are many others to make good what their rounding does
    order = np.argsort(-np.diag(covariance) * urgency, kind="stable")
    kernel, covariance = kernel[order], covariance[np.ix_(order, order)]
    curvature = covariance + (DAMPING * np.diag(covariance).mean() + TINY) * np.eye(len(covariance))
    scale = choose_scale(kernel, np.diag(curvature))
    spread = np.linalg.cholesky(np.linalg.inv(curvature)).T
    largest = np.abs(kernel).argmax(0)
    rest, rounded = kernel.copy(), np.empty_like(kernel)
    for row in range(len(kernel)):
        steps = np.clip(np.round(rest[row] / scale), -LARGEST, LARGEST)
        # one weight of each unit must reach the end of its scale: the converter derives the scale from the largest
        steps = np.where(largest == row, np.copysign(LARGEST, kernel[row]), steps)
        rounded[row] = steps * scale
        rest[row + 1 :] -= np.outer(spread[row, row + 1 :], (rest[row] - rounded[row]) / spread[row, row])
    return rounded[np.argsort(order)]


def choose_scale(kernel: Array, variances: Array) -> Array:
    """For each unit the scale with the least error of its output when each weight is rounded by itself."""
    full = np.maximum(np.abs(kernel).max(0), TINY) / LARGEST
    candidates = SCALES[:, None] * full
    errors = [variances @ (np.clip(np.round(kernel / scale), -LARGEST, LARGEST) * scale - kernel) ** 2 for scale in candidates]
    best: Array = np.take_along_axis(candidates, np.argmin(errors, axis=0)[None], axis=0)[0]
    return best


def choose_ranges(layers: Layers, rounded: Layers, values: Floats, strange_values: Floats, attempt: int = 0) -> list[Range]:
    """Smallest and largest value that int8 holds of each layer's output, from its activations on values, float32 (N, 784).

    Hidden layers: from 0, which is the ReLU, to the largest. Logits: from a low end to a high one, not far above the largest that
    is no image's first, between which the probabilities change least (mean fourth power: large changes count). What lies below
    hardly counts in a softmax, what lies above is sure anyway, and leaving them out makes the steps finer. attempt: see
    ``quantize``.
    """
    wanted = probabilities(values, layers)
    ranges: list[Range] = []
    for kernel, bias in rounded:
        values, strange_values = (v @ kernel + bias for v in (values, strange_values))
        ranges.append((0.0, float(max(values.max(), np.quantile(strange_values.max(1), FIT)))))
        logits = values
        values, strange_values = (in_steps(v, ranges[-1]) for v in (values, strange_values))
    second = float(np.partition(logits, -2)[:, -2].max())
    candidates = [(float(low), second + float(sure)) for low in logits.min() * LOW_ENDS for sure in SURE]
    errors = [((probabilities(in_steps(logits, ends), []) - wanted) ** 4).mean() for ends in candidates]
    low, high = candidates[int(np.argmin(errors))]
    return [*ranges[:-1], (low * (1 + ROOM * attempt), high)]


def flat_pixels(tiles: Tiles) -> Floats:
    return to_pixels(tiles).reshape(len(tiles), -1)


def in_steps(values: Floats, ends: Range) -> NDArray[np.float32]:
    """The values as int8 holds them: clipped to the range and rounded to its 256 steps, one of which is 0."""
    low, high = ends
    step = max(high - low, TINY) / 255
    zero = round(-low / step)
    held: NDArray[np.float32] = ((np.clip(np.round(values / step) + zero, 0, 255) - zero) * step).astype(np.float32)
    return held
