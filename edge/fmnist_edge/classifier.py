"""What Python users import: pictures in, predictions out."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.bundle.description import NEVER_UNSURE
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import CLASSES, TILE_SIZE, Tile, photo_answer, ten_views
from fmnist_edge.errors import UsageError
from fmnist_edge.pictures.tile import Kind, View, look, read_picture

Picture = str | os.PathLike[str] | Image.Image | Tile

BATCH = 64
"""Tiles that the runtime gets at once: enough to be fast, few enough for a Pi Zero's memory."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one picture. ``probabilities`` is float32 (10,), in the order of CLASSES, and sums to 1."""

    probabilities: NDArray[np.float32]
    sure_from: float
    """The confidence, 0 to 1, below which it is unsure."""
    garment_found: bool = True
    """Whether anything stands out in a photo. True for tiles."""
    kind: Kind = "tile"
    """What the picture was taken for: a "tile" of Fashion-MNIST, or a "photo", of which a tile was made."""
    path: str | None = None
    """The picture's file, if it came from one."""

    @property
    def class_id(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        return CLASSES[self.class_id]

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())

    @property
    def unsure(self) -> bool:
        """Whether the label is a guess: of those with this confidence or less, too many are wrong, or nothing stands out."""
        return not self.garment_found or self.confidence < self.sure_from

    def top(self, count: int) -> list[tuple[int, float]]:
        """The ``count`` most probable classes with their probabilities, the best first; equal ones in class order."""
        probabilities: list[float] = self.probabilities.tolist()
        return sorted(enumerate(probabilities), key=lambda pair: -pair[1])[:count]


class Classifier:
    """A model, ready to classify. Not thread-safe: give each thread its own. It can be pickled: the copy opens the file anew.

    model: a .tflite or .onnx file made by ``python -m export``; the int8 model of this package if None.
    min_confidence: the confidence, 0 to 1, below which predictions are unsure; the model's own thresholds if None. Where nothing
    stands out in a photo, they are unsure in any case.
    Raises ModelError for a file that can't be trusted, RuntimeUnavailableError where nothing here can run it.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, min_confidence: float | None = None) -> None:
        self.model = open_model(model)
        training = self.model.description["training"]
        self.photo_temperature: float = training.get("photo_temperature", 1)
        chosen = training.get("unsure", NEVER_UNSURE)
        self.sure_from = chosen if min_confidence is None else dict.fromkeys(chosen, min_confidence)
        self._arguments = model, min_confidence

    def __reduce__(self) -> tuple[type["Classifier"], tuple[object, object]]:
        return type(self), self._arguments

    def classify(self, pictures: Picture | Iterable[Picture]) -> list[Prediction]:
        """Predictions for pictures, in their order.

        pictures: one, or an iterable of, file paths, Pillow images and tiles (uint8 (28, 28), background 0, or (N, 28, 28)).
        Raises InputError for a picture that can't be read, UsageError for something that is no picture.
        """
        if isinstance(pictures, str | os.PathLike | Image.Image) or (isinstance(pictures, np.ndarray) and pictures.ndim == 2):
            pictures = [pictures]
        if not isinstance(pictures, Iterable):
            pictures = [pictures]
        found = ((path_of(picture), to_view(picture)) for picture in pictures)
        predictions: list[Prediction] = []
        while batch := list(islice(found, BATCH)):
            answers = self.predict([view for _, view in batch])
            predictions += [replace(answer, path=path) for answer, (path, _) in zip(answers, batch, strict=True)]
        return predictions

    def predict(self, views: Sequence[View]) -> list[Prediction]:
        """Predictions for what some pictures show; the runtime gets all of them at once."""
        if not views:
            return []
        tiles, are_photos = np.stack([view.tile for view in views]), np.array([view.kind == "photo" for view in views])
        rows = np.empty((len(views), len(CLASSES)), np.float32)
        if not are_photos.all():
            rows[~are_photos] = self.model.session.probabilities(tiles[~are_photos])
        if are_photos.any():
            shown = ten_views(tiles[are_photos]).reshape(-1, TILE_SIZE, TILE_SIZE)
            answers = self.model.session.probabilities(shown).reshape(-1, 10, len(CLASSES))
            rows[are_photos] = photo_answer(answers, self.photo_temperature)
        return [
            Prediction(row, self.sure_from[view.kind], view.garment_found, view.kind)
            for row, view in zip(rows, views, strict=True)
        ]


def path_of(picture: Picture) -> str | None:
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else None


def to_view(picture: Picture) -> View:
    if isinstance(picture, str | os.PathLike):
        return read_picture(picture)
    if isinstance(picture, Image.Image):
        return look(picture)
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.shape == (TILE_SIZE, TILE_SIZE):
        return View(picture, "tile")
    found = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
    raise UsageError(f"a picture is a path, a Pillow image or a uint8 array of shape (28, 28), not {found}")
