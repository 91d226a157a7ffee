"""Predictions and models' outputs with chosen numbers."""

import numpy as np

from fmnist_edge.classifier import Prediction


def prediction(class_id: int, confidence: float, sure_from: float = 0.5) -> Prediction:
    """One that names a class with a confidence; what is left is shared by the other nine."""
    probabilities = np.full(10, (1 - confidence) / 9, np.float32)
    probabilities[class_id] = confidence
    return Prediction(probabilities, sure_from)
