"""Classify pictures of clothes with a small Fashion-MNIST model.

>>> from fmnist_edge import Classifier
>>> Classifier().classify("docs/shoe.png")[0].label
'Sneaker'
"""

from typing import TYPE_CHECKING, Any

from fmnist_edge.errors import FmnistEdgeError

if TYPE_CHECKING:
    from fmnist_edge.classifier import Classifier, Prediction

__all__ = ["Classifier", "FmnistEdgeError", "Prediction"]


def __getattr__(name: str) -> Any:
    """Imports numpy and Pillow only for who needs them: `fmnist-edge doctor` must start where they are broken."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fmnist_edge import classifier

    return getattr(classifier, name)
