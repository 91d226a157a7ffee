"""How an answer's numbers are told, wherever that is: to programs in JSON."""

from collections.abc import Sequence
from typing import Any

FORMAT = 2
"""Of a record in JSON; raised when a program that reads records would misread one. 2: ``probabilities`` is an object by label;
the list that it was before, in records without a ``format``, stands beside it as ``deprecated_probabilities`` until format 3."""


def by_label(probabilities: Sequence[float], names: Sequence[str]) -> dict[str, Any]:
    """What a record says of all classes."""
    rounded = [round(probability, 6) for probability in probabilities]
    return {"probabilities": dict(zip(names, rounded, strict=True)), "deprecated_probabilities": rounded}
