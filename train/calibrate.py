"""Calibrates a model's confidence: chooses the temperature of its logits, and the confidence below which it is unsure."""

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import Probabilities, at_odds, at_temperature, calibration_error
from train.arrays import Labels

SURE = 0.95
"""The share of answers that should be right among those not marked as unsure."""
NAMED = 0.05
"""The largest share of photos of other things whose answers are not marked as unsure."""

TEMPERATURES = np.geomspace(0.25, 4, 401)
"""The temperatures to choose from."""
ODDS = np.geomspace(1, 4, 41)
"""The odds of a photo's first class to choose from."""


def choose_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """The temperature, a divisor of the logits, that makes confidence match accuracy (Guo et al. 2017, arXiv:1706.04599).

    It has the least cross-entropy on images that were not trained on. probabilities: float32 (N, 10).
    """
    logits = np.log(np.maximum(probabilities, 1e-12).astype(np.float64))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())

    return float(min(TEMPERATURES, key=loss))


def choose_photo_calibration(probabilities: Probabilities, accepted: NDArray[np.bool_]) -> tuple[float, float]:
    """The temperature and odds that make a photo's first class right as often as its confidence says (Platt 1999).

    A photo may have more than one right class. A model that can't tell a pullover from a shirt gives each 0.4, and its answer is
    right if both are accepted. A temperature alone can't correct that: it would raise high confidences too. The pair chosen has
    the least cross-entropy of "the first class is right". accepted: (N, 10). Photos of other things, which have no right class,
    are ignored.
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
    """Whether the most probable class is a right one: (N,). accepted, probabilities: (N, 10)."""
    found: NDArray[np.bool_] = accepted[np.arange(len(accepted)), probabilities.argmax(1)]
    return found


def judge_photos(accepted: NDArray[np.bool_], probabilities: Probabilities, sure_from: float) -> dict[str, float]:
    """The share of right answers to photos, their calibration error, and the share marked as unsure.

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


def choose_unsure_of_photos(accepted: NDArray[np.bool_], probabilities: Probabilities) -> float:
    """The confidence below which the answer to a photo is unsure, by SURE and by NAMED. accepted, probabilities: (N, 10)."""
    confidence = probabilities.max(1)
    of_others = np.sort(confidence[~accepted.any(1)])[::-1]
    above = [float(np.nextafter(of_others[int(NAMED * len(of_others))], np.float32(2)))] if len(of_others) else []
    return min(1.0, max([choose_unsure(confidence, accepts(accepted, probabilities)), *above]))


def choose_unsure(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """The lowest confidence at or above which a share of SURE is right; 1 if there is none. confidence, right: (N,)."""
    surest_first = np.argsort(-confidence, kind="stable")
    enough = np.flatnonzero(right[surest_first].cumsum() / np.arange(1, len(right) + 1) >= SURE)
    return float(confidence[surest_first[enough[-1]]]) if len(enough) else 1.0
