"""What Python users import: pictures in, predictions out."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.address import is_address, safe_name
from fmnist_edge.answers import two_digits
from fmnist_edge.bundle.description import NEVER_UNSURE
from fmnist_edge.bundle.model import open_model
from fmnist_edge.contract import CLASSES, NOTHING_STANDS_OUT, TILE_SIZE, Tile, photo_answer, ten_views
from fmnist_edge.errors import InputError, UsageError
from fmnist_edge.pictures.given import Picture, each, path_of, to_view
from fmnist_edge.pictures.tile import Kind, View

Thing = TypeVar("Thing")

BATCH = 64
"""Tiles per call of the runtime: enough to be fast, few enough for a Pi Zero's memory."""

BATCH_SECONDS = 0.05
"""Longest time, in seconds, that a picture waits for others to be classified with it."""


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """The model's answer to one picture. ``probabilities`` is float32 (10,), in the order of CLASSES, and sums to 1."""

    probabilities: NDArray[np.float32]
    sure_from: float
    """The confidence, 0 to 1, below which the answer is unsure."""
    garment_found: bool = True
    """Whether anything stands out in a photo. True for tiles."""
    kind: Kind = "tile"
    """How the picture was read: as a "tile" of Fashion-MNIST, or as a "photo" from which a tile was made."""
    tile: Tile | None = None
    """The tile that the model got."""
    path: str | None = None
    """The picture's file, if it came from one."""

    @property
    def class_id(self) -> int:
        """The likeliest class, 0 to 9."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Its name in CLASSES."""
        return CLASSES[self.class_id]

    @property
    def confidence(self) -> float:
        """Its probability, 0 to 1."""
        probabilities: list[float] = self.probabilities.tolist()
        return max(probabilities)  # of ten numbers, sooner than numpy

    @property
    def unsure(self) -> bool:
        """Whether the label is a guess: its confidence is below ``sure_from``, or nothing stands out in the photo."""
        return not self.garment_found or self.confidence < self.sure_from

    def top(self, count: int) -> list[tuple[int, float]]:
        """The ``count`` most probable classes with their probabilities, the best first; equal ones in class order."""
        probabilities: list[float] = self.probabilities.tolist()
        ranked = sorted(range(len(probabilities)), key=probabilities.__getitem__, reverse=True)
        return [(class_id, probabilities[class_id]) for class_id in ranked[:count]]

    def __repr__(self) -> str:
        path = f", {self.path!r}" if self.path else ""
        return f"Prediction({self.label}{'?' if self.unsure else ''} {two_digits(self.confidence)}{path})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from fmnist_edge.notebook import to_html

        doubt = "" if not self.unsure else "? (unsure)" if self.garment_found else f"? ({NOTHING_STANDS_OUT['en']})"
        return to_html(self.label + doubt, self.probabilities.tolist(), self.tile, self.path)


class Classifier:
    """A model, ready to classify. Not thread-safe: give each thread its own. It can be pickled: the copy opens the file anew.

    model: a .tflite or .onnx file made by ``python -m export``; the int8 model of this package if None.
    min_confidence: the confidence, 0 to 1, below which predictions are unsure; the model's own thresholds if None. A photo in
    which nothing stands out is unsure in any case.
    Raises ModelError for a file that can't be trusted, RuntimeUnavailableError if nothing here can run it.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, min_confidence: float | None = None) -> None:
        self.model = open_model(model)
        training = self.model.description["training"]
        self.photo_temperature: float = training.get("photo_temperature", 1)
        self.photo_odds: float = training.get("photo_odds", 1)
        self.photo_mark: bool = training.get("photo_mark", False)
        chosen = training.get("unsure", NEVER_UNSURE)
        self.sure_from = chosen if min_confidence is None else dict.fromkeys(chosen, min_confidence)
        self._arguments = model, min_confidence

    def __reduce__(self) -> tuple[type["Classifier"], tuple[object, object]]:
        return type(self), self._arguments

    @overload
    def classify(self, pictures: Picture | Iterable[Picture], *, on_error: Literal["raise"] = "raise") -> list[Prediction]: ...

    @overload
    def classify(
        self, pictures: Picture | Iterable[Picture], *, on_error: Literal["return"]
    ) -> list[Prediction | InputError]: ...

    def classify(
        self, pictures: Picture | Iterable[Picture], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Sequence[Prediction | InputError]:
        """Predictions for pictures, in their order.

        pictures: one, or an iterable of, paths, bytes of a picture's file, files opened with "rb", Pillow images, uint8 arrays:
        (H, W), (H, W, 3) in RGB (OpenCV's are BGR: ``a[..., ::-1]``) or (H, W, 4). An array may hold several: (N, H, W, 3).
        A tile of Fashion-MNIST, background 0, is (28, 28) or (28, 28, 1); several are (N, 28, 28).
        on_error: "raise" raises the InputError of the first picture that can't be used (a PictureError if it is no picture);
        "return" puts the error into the prediction's place.
        """
        return list(self.iter_classify(pictures, on_error=on_error))

    @overload
    def iter_classify(
        self, pictures: Picture | Iterable[Picture], *, on_error: Literal["raise"] = "raise"
    ) -> Iterator[Prediction]: ...

    @overload
    def iter_classify(
        self, pictures: Picture | Iterable[Picture], *, on_error: Literal["return"]
    ) -> Iterator[Prediction | InputError]: ...

    def iter_classify(
        self, pictures: Picture | Iterable[Picture], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Iterator[Prediction | InputError]:
        """Yields what ``classify`` returns, for any number of pictures: it keeps at most 64 tiles.

        Pictures that arrive quickly are classified together. A picture that arrives slowly, as from a camera, does not wait.
        """
        if on_error not in ("raise", "return"):
            raise UsageError(f"on_error is 'raise' or 'return', not {on_error!r}")
        return self._answers(look_at_each(pictures, on_error))

    def _answers(self, seen: Iterable[tuple[str | None, View | InputError]]) -> Iterator[Prediction | InputError]:
        for batch in batches(seen, BATCH):
            predictions = iter(self.predict([view for _, view in batch if isinstance(view, View)]))
            for path, view in batch:
                if isinstance(view, InputError):
                    yield view
                else:
                    yield replace(next(predictions), path=path) if path else next(predictions)

    def predict(self, views: Sequence[View]) -> list[Prediction]:
        """Predictions for views (a tile and what is known about it); the runtime gets all of them at once."""
        if not views:
            return []
        tiles, are_photos = np.stack([view.tile for view in views]), np.array([view.kind == "photo" for view in views])
        rows = np.empty((len(views), len(CLASSES)), np.float32)
        if not are_photos.all():
            rows[~are_photos] = self.model.session.probabilities(tiles[~are_photos])
        if are_photos.any():
            shown = ten_views(tiles[are_photos], self.photo_mark).reshape(-1, TILE_SIZE, TILE_SIZE)
            answers = self.model.session.probabilities(shown).reshape(-1, 10, len(CLASSES))
            rows[are_photos] = photo_answer(answers, self.photo_temperature, self.photo_odds)
        return [
            Prediction(row, self.sure_from[view.kind], view.garment_found, view.kind, view.tile)
            for row, view in zip(rows, views, strict=True)
        ]


def look_at_each(
    pictures: Picture | Iterable[Picture], on_error: Literal["raise", "return"]
) -> Iterator[tuple[str | None, View | InputError]]:
    """For each picture its path, if known, and what it shows or why it can't be used."""
    found = each(pictures)
    alone = isinstance(found, list) and found and found[0] is pictures
    return (look_at(picture, None if alone else f"pictures[{number}]", on_error) for number, picture in enumerate(found))


def look_at(picture: Picture, name: str | None, on_error: Literal["raise", "return"]) -> tuple[str | None, View | InputError]:
    """name: for messages about a picture without a path."""
    path = path_of(picture)
    try:
        return path, to_view(picture)
    except InputError as error:
        called = safe_name(path) if path and is_address(path) else path or name
        problem = type(error)(f"{called}: {error}" if called else str(error))
        problem.path = path
    if on_error == "raise":
        raise problem
    return path, problem


def batches(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Things in groups of that size, or smaller ones if they arrive slowly."""
    batch: list[Thing] = []
    began = time.monotonic()
    try:
        for thing in things:
            batch.append(thing)
            if len(batch) == size or time.monotonic() - began > BATCH_SECONDS:
                full, batch = batch, []
                yield full
                began = time.monotonic()
    finally:  # what was read before Ctrl-C, or before an error, is not lost
        if batch:
            yield batch
