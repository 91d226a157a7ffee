"""What Python users import: pictures in, predictions out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.errors import UsageError
from fmnist_edge.model import open_model
from fmnist_edge.runtime import CLASSES
from fmnist_edge.tile import TILE_SIZE, Tile, image_to_tile, read_tile

Picture = str | os.PathLike[str] | Image.Image | Tile

T = TypeVar("T")

BATCH = 64
"""Tiles that the runtime gets at once: enough to be fast, few enough for a Pi Zero's memory."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one picture. ``probabilities`` is float32 (10,), in the order of CLASSES, and sums to 1."""

    probabilities: NDArray[np.float32]

    @property
    def class_id(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        return CLASSES[self.class_id]

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())

    def top(self, count: int) -> list[tuple[str, float]]:
        """The ``count`` most probable classes with their probabilities, the best first; equal ones in class order."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(CLASSES[class_id], float(self.probabilities[class_id])) for class_id in best]


class Classifier:
    """A model, ready to classify. Not thread-safe: give each thread its own.

    model: a .tflite or .onnx file made by ``python -m export``; the int8 model of this package if None.
    Raises ModelError for a file that can't be trusted, RuntimeUnavailableError where nothing here can run it.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        self.model = open_model(model)

    def classify(self, pictures: Picture | Iterable[Picture]) -> list[Prediction]:
        """Predictions for pictures, in their order.

        pictures: one, or an iterable of, file paths, Pillow images and tiles (uint8 (28, 28), background 0, or (N, 28, 28)).
        Raises InputError for a picture that can't be read, UsageError for something that is no picture.
        """
        if isinstance(pictures, str | os.PathLike | Image.Image) or (isinstance(pictures, np.ndarray) and pictures.ndim == 2):
            pictures = [pictures]
        if not isinstance(pictures, Iterable):
            pictures = [pictures]
        tiles = (to_tile(picture) for picture in pictures)
        return [prediction for batch in batches(tiles) for prediction in self._predict(batch)]

    def _predict(self, tiles: list[Tile]) -> list[Prediction]:
        return [Prediction(row) for row in self.model.session.probabilities(np.stack(tiles))]


def to_tile(picture: Picture) -> Tile:
    if isinstance(picture, str | os.PathLike):
        return read_tile(picture)
    if isinstance(picture, Image.Image):
        return image_to_tile(picture)
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.shape == (TILE_SIZE, TILE_SIZE):
        return picture
    found = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
    raise UsageError(f"a picture is a path, a Pillow image or a uint8 array of shape (28, 28), not {found}")


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
