"""Classify pictures of clothes with a small Fashion-MNIST model.

>>> from fmnist_edge import Classifier
>>> Classifier().classify("docs/shoe.png")[0].label
'Sneaker'
"""

from typing import TYPE_CHECKING, Any

from fmnist_edge.errors import FmnistEdgeError, InputError, ModelError, PictureError, RuntimeUnavailableError, UsageError

if TYPE_CHECKING:
    from fmnist_edge.classifier import Classifier, Prediction
    from fmnist_edge.contract import CLASSES

    __version__: str

__all__ = [
    "CLASSES",
    "Classifier",
    "FmnistEdgeError",
    "InputError",
    "ModelError",
    "PictureError",
    "Prediction",
    "RuntimeUnavailableError",
    "UsageError",
]


def __getattr__(name: str) -> Any:
    """Imports numpy and Pillow only for who needs them: `fmnist-edge doctor` must start where they are broken."""
    if name == "__version__":
        from importlib.metadata import version  # takes longer to import than a model to open

        return version("fmnist-edge")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fmnist_edge import classifier

    return getattr(classifier, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
