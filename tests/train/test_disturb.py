"""Disturbed tiles: what they have in common with those that they are made of."""

import numpy as np
import pytest

from fmnist_edge.contract import Tiles
from train.dataset import Dataset

pytestmark = pytest.mark.tensorflow


def disturb(tiles: Tiles, labels: np.ndarray, seed: int) -> Tiles:
    from train.disturb import disturb

    return disturb(tiles, labels, seed)


def test_the_same_seed_disturbs_alike_and_another_does_not(dataset: Dataset) -> None:
    some = dataset.train_images[:600], dataset.train_labels[:600]

    assert (disturb(*some, 1) == disturb(*some, 1)).all()
    assert (disturb(*some, 1) != disturb(*some, 2)).any((1, 2)).all()


def test_a_disturbed_garment_still_fills_its_tile_on_a_black_ground(dataset: Dataset) -> None:
    garments = disturb(dataset.train_images[:600], dataset.train_labels[:600], 0) > 0

    edges = np.maximum(garments.any(1).sum(1), garments.any(2).sum(1))
    assert (garments.mean((1, 2)) < 1).mean() > 0.9
    assert np.median(edges) >= 26
    assert (edges >= 20).mean() > 0.95


def test_half_of_the_shoes_point_the_other_way(dataset: Dataset) -> None:
    """A sneaker's heel is its tall end: on the right in Fashion-MNIST, on either side in photos."""
    images = dataset.train_images[dataset.train_labels == 7][:400]
    sneakers = disturb(images, np.full(400, 7), 0) > 0
    heel_on_the_left = sneakers[:, :, :10].sum((1, 2)) > sneakers[:, :, -10:].sum((1, 2))

    assert 0.3 < heel_on_the_left.mean() < 0.7


def test_empty_and_full_tiles_are_disturbed_too() -> None:
    tiles = np.zeros((4, 28, 28), np.uint8)
    tiles[2:] = 255

    assert disturb(tiles, np.array([0, 5, 0, 5]), 0).shape == tiles.shape
