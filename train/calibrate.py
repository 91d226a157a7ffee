"""How sure a model may be: the temperature of its logits, and the confidence below which it should say that it is unsure."""

import numpy as np

from fmnist_edge.contract import Probabilities
from train.arrays import Labels

BINS = 15  # Guo et al. 2017

SURE = 0.95
"""How many of the answers that are not marked as unsure should be right."""


def choose_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """By which to divide the logits so that confidence is as high as accuracy (Guo et al. 2017, arXiv:1706.04599).

    The one with the least cross-entropy on images that were not trained on. probabilities: float32 (N, 10).
    """
    logits = np.log(np.maximum(probabilities, 1e-12).astype(np.float64))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())

    return float(min(np.geomspace(0.25, 4, 401), key=loss))


def choose_unsure(probabilities: Probabilities, labels: Labels) -> float:
    """The lowest confidence such that, of the answers with that or more, SURE are right; 1 if there is none.

    probabilities: float32 (N, 10), calibrated, of images that were not trained on.
    """
    confidence = probabilities.max(1)
    surest_first = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(1) == labels)[surest_first]
    enough = np.flatnonzero(right.cumsum() / np.arange(1, len(labels) + 1) >= SURE)
    return float(confidence[surest_first[enough[-1]]]) if len(enough) else 1.0


def calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Expected calibration error: distance of confidence and accuracy, over equal bins of confidence weighted by their size."""
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sure, got = (np.bincount(bins, weights, BINS) for weights in (confidence, right))
    return float(np.abs(sure - got).sum() / len(labels))
