"""How a training went, epoch by epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Epoch:
    """Mean cross-entropy (nats) and accuracy (0 to 1) of an epoch, on the images trained on and on those held out, if any are."""

    loss: float
    accuracy: float
    validation_loss: float = math.nan
    validation_accuracy: float = math.nan


def best_epoch(history: Sequence[Epoch]) -> int:
    """The number of the epoch with the lowest validation loss; the first is 1."""
    return 1 + int(np.argmin([epoch.validation_loss for epoch in history]))
