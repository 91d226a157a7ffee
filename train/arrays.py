"""Turns a user's images and labels into tiles and class numbers. Errors say in one line what is wrong with them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, TILE_SIZE, Tiles
from fmnist_edge.errors import UsageError

Labels = NDArray[np.uint8]
"""Class numbers, uint8 (N,)."""


def as_tiles(images: Any) -> Tiles:
    """Tiles, uint8 (N, 28, 28), from uint8 images (0 to 255) or float images (0 to 1, or 0 to 255 if any pixel is above 1).

    images: (N, 28, 28), (N, 28, 28, 1) or (N, 784). Raises UsageError for another shape, other values, NaN, or no images.
    """
    values = numbers(images, "images")
    if values.shape[1:] not in ((TILE_SIZE, TILE_SIZE), (TILE_SIZE, TILE_SIZE, 1), (TILE_SIZE**2,)) or len(values) == 0:
        raise UsageError(f"images have the shape (N, 28, 28), not {values.shape}")
    if values.dtype != np.uint8:
        # a comparison with NaN is false
        wrong = ~((values >= 0) & (values <= 255)).reshape(len(values), -1).all(1)
        if wrong.any():
            number, image = wrong.argmax(), values[wrong.argmax()]
            raise UsageError(f"pixels are 0 to 255, or 0 to 1; image {number} has {image.min():g} to {image.max():g}")
        values = np.rint(values * (255 if values.dtype.kind in "fb" and values.max() <= 1 else 1)).astype(np.uint8)
    return values.reshape(-1, TILE_SIZE, TILE_SIZE)


def as_labels(labels: Any, count: int) -> Labels:
    """Class numbers, uint8 (count,), from integers or one-hot rows. Raises UsageError for other values or another count."""
    values = numbers(labels, "labels")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape not in ((count,), (count, len(CLASSES))):
        raise UsageError(f"{count} images have labels of the shape ({count},), or ({count}, 10) if one-hot, not {values.shape}")
    if values.ndim == 2:
        wrong = ~(((values == 0) | (values == 1)).all(1) & (values.sum(1) == 1))
        if wrong.any():
            number = wrong.argmax()
            raise UsageError(f"a one-hot label has one 1 and nine 0; label {number} is {values[number].tolist()}")
        values = values.argmax(1)
    wrong = ~np.isin(values, np.arange(len(CLASSES)))
    if wrong.any():
        raise UsageError(f"labels are 0 to {len(CLASSES) - 1}; label {wrong.argmax()} is {values[wrong.argmax()]:g}")
    return values.astype(np.uint8)


def numbers(values: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "buif" or array.ndim == 0:
        raise UsageError(f"{name} are an array of numbers, not {array.dtype if array.ndim else type(values).__name__}")
    return array
