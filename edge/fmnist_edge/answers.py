"""How an answer's numbers are told, wherever that is: to people in two digits, to programs in JSON."""

from collections.abc import Sequence
from typing import Any

FORMAT = 2
"""Of a record in JSON; raised when a program that reads records would misread one. 2: ``probabilities`` is an object by label;
the list that it was before, in records without a ``format``, stands beside it as ``deprecated_probabilities`` until format 3."""

LEAST_TOLD = 0.005
"""Of a probability: two digits would make 0.00 of less, and 1.00 of what is that near to 1. No model is that sure."""


def two_digits(probability: float) -> str:
    """``0.93``; ``>0.99`` of what would round to 1."""
    return ">0.99" if probability >= 1 - LEAST_TOLD else f"{probability:.2f}"


def by_label(probabilities: Sequence[float], names: Sequence[str]) -> dict[str, Any]:
    """What a record says of all classes."""
    rounded = [round(probability, 6) for probability in probabilities]
    return {"probabilities": dict(zip(names, rounded, strict=True)), "deprecated_probabilities": rounded}
