"""Answers that hold still: probabilities smoothed over time, and a label that only changes once another has led for a moment."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.classifier import Prediction
from fmnist_edge.contract import CLASSES
from fmnist_edge.pictures.tile import Kind

NOTHING = len(CLASSES)
"""Stands for a class when nothing is there."""

HOLD = 0.5
"""Half-lives for which another label must lead, so that noise in single frames does not change the label."""


class Answer(NamedTuple):
    """What the camera sees. ``shares`` is float64 (11,), of the classes and of nothing being there, and sums to 1.

    garment_found: whether anything stands out from the ground. kind: what the last frame with anything in it was taken for.
    """

    class_id: int
    shares: NDArray[np.float64]
    sure_from: float
    garment_found: bool
    kind: Kind = "photo"

    @property
    def confidence(self) -> float:
        return float(self.shares[self.class_id])

    @property
    def unsure(self) -> bool:
        """As in a prediction. That nothing is there is never a guess."""
        return self.class_id != NOTHING and (not self.garment_found or self.confidence < self.sure_from)


class Steady:
    """The mean of the frames' answers, in which a frame counts half as much after each half-life.

    half_life: seconds; 0: each frame is its own answer. A frame never weighs more than all earlier ones together, even after a
    pause: a single frame may be wrong.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._mean: NDArray[np.float64] | None = None
        self._at = self._ahead_since = self._sure_from = self._found = 0.0
        self._ahead = self._label = NOTHING
        self._kind: Kind = "photo"

    def update(self, prediction: Prediction | None, now: float) -> Answer:
        """The answer after one more frame. prediction: None if nothing is there; now: seconds of any clock."""
        shares, found = np.zeros(NOTHING + 1), float(prediction is not None and prediction.garment_found)
        if prediction is None:
            shares[NOTHING] = 1
        else:
            shares[:NOTHING] = prediction.probabilities
            self._sure_from, self._kind = prediction.sure_from, prediction.kind
        if self._mean is None:
            self._mean, self._label, self._found = shares, int(shares.argmax()), found
        kept = 0.5 ** min(max(now - self._at, 0) / self._half_life, 1) if self._half_life else 0
        self._mean = shares + kept * (self._mean - shares)
        self._found = found + kept * (self._found - found)
        self._at = now
        ahead = int(self._mean.argmax())
        if ahead != self._ahead:
            self._ahead, self._ahead_since = ahead, now
        if now - self._ahead_since >= HOLD * self._half_life:
            self._label = ahead
        return Answer(self._label, self._mean, self._sure_from, self._label != NOTHING and self._found >= 0.5, self._kind)
