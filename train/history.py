"""How a training went, epoch by epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.recipes import Recipe


@dataclass(frozen=True)
class Epoch:
    """Mean cross-entropy (nats) and accuracy (0 to 1) in an epoch, on the images trained on and on those held out, if any."""

    loss: float
    accuracy: float
    validation_loss: float = math.nan
    validation_accuracy: float = math.nan


def best_epoch(history: Sequence[Epoch]) -> int:
    """The number of the epoch with the lowest validation loss; the first is 1."""
    return 1 + int(np.argmin([epoch.validation_loss for epoch in history]))


def good_enough(recipe: Recipe, history: list[Epoch]) -> bool:
    """Whether the last epoch reached the recipe's target, or its patience with the validation loss is over."""
    return bool(history) and (
        (recipe.stop_at_loss is not None and history[-1].loss <= recipe.stop_at_loss)
        or (recipe.stop_at_accuracy is not None and history[-1].accuracy >= recipe.stop_at_accuracy)
        or (recipe.patience is not None and len(history) - best_epoch(history) >= recipe.patience)
    )


def progress(number: int, epochs: int, epoch: Epoch) -> str:
    bar = "=" * round(20 * number / epochs)
    line = f"epoch {number:3}/{epochs} [{bar:20}] loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
    if math.isnan(epoch.validation_loss):
        return line
    return f"{line}; validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.4f}"
