"""Classify pictures of clothes with a small Fashion-MNIST model.

>>> from fmnist_edge import Classifier
>>> Classifier().classify("docs/shoe.png")[0].label
'Sneaker'
"""

from fmnist_edge.classifier import Classifier, Prediction
from fmnist_edge.errors import FmnistEdgeError

__all__ = ["Classifier", "FmnistEdgeError", "Prediction"]
