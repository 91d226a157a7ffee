"""How sure a model may be: the temperature of its logits, and the confidence below which it should say that it is unsure."""

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import Probabilities, at_odds, at_temperature, calibration_error
from train.arrays import Labels

SURE = 0.95
"""How many of the answers that are not marked as unsure should be right."""

TEMPERATURES = np.geomspace(0.25, 4, 401)
"""Among which one is chosen."""
ODDS = np.geomspace(1, 4, 41)
"""The same of the odds of a photo's first class."""


def choose_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """By which to divide the logits so that confidence is as high as accuracy (Guo et al. 2017, arXiv:1706.04599).

    The one with the least cross-entropy on images that were not trained on. probabilities: float32 (N, 10).
    """
    logits = np.log(np.maximum(probabilities, 1e-12).astype(np.float64))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())

    return float(min(TEMPERATURES, key=loss))


def choose_photo_calibration(probabilities: Probabilities, accepted: NDArray[np.bool_]) -> tuple[float, float]:
    """A temperature and odds such that the first class of a photo is as often right as it is said to be (Platt 1999).

    Of a photo, more than one class may be right: a model that can't tell a pullover from a shirt says 0.4 of each, and is right
    where both are. So a temperature alone, which makes the sure surer too, does not do. The two with the least cross-entropy of
    that yes or no. accepted: (N, 10); other things, for which no class is right, have no say.
    """
    clothes = accepted.any(1)
    if not clothes.any():
        return 1.0, 1.0
    probabilities, accepted = probabilities[clothes], accepted[clothes]
    right = accepts(accepted, probabilities)

    def loss(temperature: float, odds: float) -> float:
        confidence = at_odds(cooled[temperature], odds).max(1).astype(np.float64).clip(1e-6, 1 - 1e-6)
        return float(-np.log(np.where(right, confidence, 1 - confidence)).mean())

    cooled = {float(temperature): at_temperature(probabilities, temperature) for temperature in TEMPERATURES[::10]}
    pairs = [(temperature, float(odds)) for temperature in cooled for odds in ODDS]
    return min(pairs, key=lambda pair: loss(*pair))


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
        "calibration_error": calibration_error(confidence[clothes], right[clothes]),
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
