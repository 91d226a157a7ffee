"""How sure a model may be: the temperature of its logits, and the confidence below which it should say that it is unsure."""

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.runtime import Probabilities
from train.arrays import Labels

BINS = 15  # Guo et al. 2017

SURE = 0.95
"""How many of the answers that are not marked as unsure should be right."""

TEMPERATURES = np.geomspace(0.25, 4, 401)
"""Among which one is chosen."""


def choose_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """By which to divide the logits so that confidence is as high as accuracy (Guo et al. 2017, arXiv:1706.04599).

    The one with the least cross-entropy on images that were not trained on. probabilities: float32 (N, 10).
    """

    def loss(temperature: float) -> float:
        of_label = at_temperature(probabilities, temperature)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(of_label, 1e-12)).mean())

    return float(min(TEMPERATURES, key=loss))


def choose_photo_temperature(probabilities: Probabilities, accepted: NDArray[np.bool_]) -> float:
    """The same for photos, of which more than one class may be right: whether the first class is right is as probable as it says.

    The one with the least cross-entropy of that yes or no. accepted: (N, 10).
    """
    right = accepts(accepted, probabilities)

    def loss(temperature: float) -> float:
        confidence = at_temperature(probabilities, temperature).max(1).astype(np.float64).clip(1e-6, 1 - 1e-6)
        return float(-np.log(np.where(right, confidence, 1 - confidence)).mean())

    return float(min(TEMPERATURES, key=loss))


def at_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities if their logits were divided by it: p to the power of 1 / temperature, in parts of their sum."""
    powers = np.maximum(probabilities.astype(np.float64), 1e-12) ** (1 / temperature)
    tempered: Probabilities = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
    return tempered


def accepts(accepted: NDArray[np.bool_], probabilities: Probabilities) -> NDArray[np.bool_]:
    """Whether the most probable class is a right one. Both: (N, 10)."""
    found: NDArray[np.bool_] = accepted[np.arange(len(accepted)), probabilities.argmax(1)]
    return found


def judge_photos(accepted: NDArray[np.bool_], probabilities: Probabilities, sure_from: float) -> dict[str, float]:
    """How much of what is said of photos is right, how true its confidence is, and what is marked as unsure.

    accepted, probabilities: (N, 10). sure_from: the confidence below which an answer is marked.
    """
    clothes: NDArray[np.bool_] = accepted.sum(1) > 0
    right, confidence = accepts(accepted, probabilities), probabilities.max(1)
    sure = confidence >= sure_from

    def share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
        return float(what[of].mean()) if of.any() else 0.0

    return {
        "photos": int(clothes.sum()),
        "right": share(right, clothes),
        "calibration_error": expected_error(confidence[clothes], right[clothes]),
        "sure": share(sure, clothes),
        "right_of_sure": share(right, clothes & sure),
        "other_things": int((~clothes).sum()),
        "unsure_of_other_things": share(~sure, ~clothes),
    }


def choose_unsure(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """The lowest confidence such that, of the answers with that or more, SURE are right; 1 if there is none. Both: (N,)."""
    surest_first = np.argsort(-confidence, kind="stable")
    enough = np.flatnonzero(right[surest_first].cumsum() / np.arange(1, len(right) + 1) >= SURE)
    return float(confidence[surest_first[enough[-1]]]) if len(enough) else 1.0


def calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Expected calibration error: see ``expected_error``. probabilities: float32 (N, 10)."""
    return expected_error(probabilities.max(1), probabilities.argmax(1) == labels)


def expected_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """The distance of confidence and accuracy, over equal bins of confidence weighted by their size. Both: (N,)."""
    bins = np.minimum((confidence.astype(np.float64) * BINS).astype(int), BINS - 1)
    sure, got = (np.bincount(bins, weights, BINS) for weights in (confidence.astype(np.float64), right))
    return float(np.abs(sure - got).sum() / len(right))
