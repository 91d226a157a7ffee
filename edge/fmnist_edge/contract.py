"""What training, export and device agree on: the classes, the tile, the tensors of a model file, how a photo is answered, and
when two outputs agree.

Every artifact takes pixel / 255 and gives probabilities. An int8 file holds the same numbers as ``scale * (q - zero_point)``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE_SIZE = 28

Tile = NDArray[np.uint8]
"""(28, 28): garment bright, background 0."""

Tiles = NDArray[np.uint8]
"""(N, 28, 28)."""

Probabilities = NDArray[np.float32]
"""(N, 10), in the order of CLASSES; rows sum to 1."""

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

LANGUAGES = {
    "en": CLASSES,
    "zh": ("T恤/上衣", "裤子", "套头衫", "连衣裙", "外套", "凉鞋", "衬衫", "运动鞋", "包", "短靴"),
}

NOTHING_STANDS_OUT = {"en": "nothing stands out", "zh": "没有明显的物体"}
"""What is said of a photo in which no garment is found."""

DESCRIPTION = "fmnist.json"
"""What a model file says of itself: a member of a .tflite's archive, a property of a .onnx, a member of a .keras."""

TIE = 1e-5
"""Rounding may change a float model's probabilities by so much: which of two classes that are nearer to each other comes first is
up to the processor. It is the same for int8, whose own rounding is what is judged."""

CALIBRATION_BINS = 15
"""Of equal width, as Guo et al. 2017 have it."""

INPUT, OUTPUT = "image", "probabilities"
"""The tensors' names."""

INPUT_SCALE, OUTPUT_SCALE, ZERO_POINT = 1 / 255, 1 / 256, -128
"""Of int8 tensors. The output's are those that the LiteRT quantization specification prescribes for softmax."""

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


PROBABILITIES = dequantize(np.arange(256, dtype=np.uint8).view(np.int8), OUTPUT_SCALE, ZERO_POINT)
"""The probability behind each int8 output q, at index q: a negative index counts from the end."""


def to_input(tiles: Tiles, dtype: Any) -> NDArray[Any]:
    """What a model with inputs of this dtype, float32 or int8, takes for the tiles."""
    return quantize(tiles) if dtype == np.int8 else to_pixels(tiles)


def to_probabilities(output: NDArray[Any]) -> Probabilities:
    """output: float32 or int8 (N, 10), as a model gives it."""
    return PROBABILITIES.take(output) if output.dtype == np.int8 else output


PHOTO_MARK = 255
"""The first pixel of what a model gets of a photo: it tells photos from tiles, in 60,000 of which that pixel is 16 at most."""


def mark_photos(tiles: Tiles) -> Tiles:
    """A copy of photos' tiles, uint8 (..., 28, 28), with PHOTO_MARK on each."""
    marked = tiles.copy()
    marked[..., 0, 0] = PHOTO_MARK
    return marked


def ten_views(tiles: Tiles, marked: bool = False) -> Tiles:
    """Each tile as it is and moved by a pixel down, up, right and left, and these in a mirror: uint8 (N, 10, 28, 28).

    marked: whether each view has PHOTO_MARK, for models whose description asks for it (``photo_mark``).

    A garment is the same in all of them, and how it was cut out weighs less in the mean of ten answers. In a cross-validation by
    contributor over 2,911 photos MLPs were right 77.9 % of the time, with one view 74.8 %, with it and its mirror image 76.1 %.
    """
    views = np.zeros((len(tiles), 10, TILE_SIZE, TILE_SIZE), np.uint8)
    views[:, 0] = tiles
    views[:, 1, 1:], views[:, 2, :-1] = tiles[:, :-1], tiles[:, 1:]
    views[:, 3, :, 1:], views[:, 4, :, :-1] = tiles[..., :-1], tiles[..., 1:]
    views[:, 5:] = views[:, :5, :, ::-1]
    return mark_photos(views) if marked else views


def photo_answer(probabilities: Probabilities, temperature: float, odds: float) -> Probabilities:
    """What a model says of photos, by what it says of the ten views of their tiles: (N, 10, 10) becomes (N, 10).

    temperature, odds: what makes it as sure of photos as it is right (see train/calibrate.py).
    """
    return at_odds(at_temperature(probabilities.mean(1), temperature), odds)


def at_odds(probabilities: Probabilities, odds: float) -> Probabilities:
    """The same ranking, with the odds p / (1 - p) of the likeliest class so many times as high: (N, 10).

    odds: 1, which changes nothing, or more.
    """
    if odds == 1:
        return probabilities
    first = np.arange(probabilities.shape[1]) == probabilities.argmax(1)[:, None]
    raised = np.where(first, odds * probabilities, probabilities)
    return np.asarray(raised / raised.sum(1, keepdims=True), dtype=np.float32)


LEAST = 1 / 4096
"""What a probability counts as, at least, when its temperature changes, in float files too.

An int8 output is 0 for all below half a step, 1/512. With 1/4096 for it, int8 and float answers to 3,063 photos were equally
confident on average, to 0.002 at a temperature of 1.4 and to 0.004 at 2; without, to 0.005 and 0.018.
"""


def at_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The same ranking, less confident at a temperature above 1: p to the power of 1 / temperature, rows summing to 1 again.

    This divides the logits by the temperature, as softmax makes exp(logit) of them but for a factor. Probabilities below LEAST
    count as LEAST; a temperature of 1 changes nothing. Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities, LEAST, dtype=np.float64)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)


def best_classes(reference: Probabilities) -> NDArray[np.bool_]:
    """Which classes may be the answer, bool (N, 10): the likeliest, and any that ties with it. None if there is a NaN."""
    best: NDArray[np.bool_] = reference >= reference.max(1, keepdims=True) - TIE
    return best


def agrees(reference: Probabilities, found: Probabilities) -> NDArray[np.bool_]:
    """Whether the class found is one of the reference's best, bool (N,)."""
    best: NDArray[np.bool_] = np.take_along_axis(best_classes(reference), found.argmax(1)[:, None], 1)[:, 0]
    return best & ~np.isnan(found).any(1)


def agreement(reference: Probabilities, found: Probabilities) -> float:
    """The share of the images, 0 to 1, whose class found is one of the reference's best."""
    return float(agrees(reference, found).mean())


def distance(one: Probabilities, other: Probabilities) -> NDArray[np.float64]:
    """How far each probability is from the other: float64 (N, 10); 1 for what is no number."""
    return np.nan_to_num(np.abs(one.astype(np.float64) - other), nan=1)


def calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Expected calibration error, 0 to 1: how far confidence is from accuracy, over equal bins of confidence weighted by size.

    confidence: of each answer, (N,); right: whether it is the right one, (N,).
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
    """
    confidence = confidence.astype(np.float64)
    bins = confidence_bins(confidence)
    confident, accurate = (np.bincount(bins, weights, CALIBRATION_BINS) for weights in (confidence, right))
    return float(np.abs(confident - accurate).sum() / len(right))


def confidence_bins(confidence: NDArray[Any]) -> NDArray[np.intp]:
    """The number of the bin, 0 to CALIBRATION_BINS - 1, of each confidence; the first for what is no number."""
    bins: NDArray[np.intp] = np.nan_to_num(confidence * CALIBRATION_BINS).astype(np.intp)
    return np.clip(bins, 0, CALIBRATION_BINS - 1)
