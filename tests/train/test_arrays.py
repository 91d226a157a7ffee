"""`train.fit` takes images and labels as people have them, and says what is wrong with others."""

import numpy as np
import pytest

from fmnist_edge.errors import UsageError
from train.arrays import as_labels, as_tiles
from train.dataset import Dataset

TILES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = np.arange(12) % 10


def with_value(value: float) -> np.ndarray:
    images = TILES.astype(np.float64)
    images[3, 4, 5] = value
    return images


@pytest.mark.parametrize(
    "images",
    [TILES, TILES / 255, (TILES / 255).astype(np.float32), TILES.astype(np.float32), TILES.astype(np.int64), TILES.tolist(),
     TILES[..., None], TILES.reshape(-1, 784)],
    ids=["uint8", "0 to 1", "float32", "0 to 255", "int64", "lists", "with a channel", "rows"],
)  # fmt: skip
def test_images_may_be_bytes_or_floats(images: object) -> None:
    tiles = as_tiles(images)

    assert tiles.dtype == np.uint8
    assert (tiles == TILES).all()


def test_from_a_pixel_above_1_on_they_count_to_255() -> None:
    assert as_tiles(np.full((1, 28, 28), 2.0)).max() == 2
    assert as_tiles(np.full((1, 28, 28), 1.0)).max() == 255


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS.astype(np.uint8), LABELS.astype(float), LABELS.tolist(), LABELS[:, None], np.eye(10)[LABELS]]
)
def test_labels_may_be_numbers_or_one_hot(labels: object) -> None:
    found = as_labels(labels, 12)

    assert found.dtype == np.uint8
    assert found.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (TILES[:, :27], r"images have the shape \(N, 28, 28\), not \(12, 27, 28\)"),
        (TILES[0], r"images have the shape \(N, 28, 28\), not \(28, 28\)"),
        (TILES[:0], r"not \(0, 28, 28\)"),
        (with_value(256), "pixels are 0 to 255, or 0 to 1; image 3 has 0 to 256"),
        (with_value(-1), "pixels are 0 to 255, or 0 to 1; image 3 has -1 to"),
        (with_value(np.nan), "image 3 has nan"),
        (TILES.astype(str), "images are an array of numbers, not <U3"),
        ([[1, 2], [3]], "images are an array of numbers"),
        (None, "images are an array of numbers, not NoneType"),
    ],
)
def test_what_is_wrong_with_images_is_said(images: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        as_tiles(images)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (LABELS[:11], r"12 images have labels of the shape \(12,\), or \(12, 10\) if one-hot, not \(11,\)"),
        (np.eye(5)[LABELS % 5], r"not \(12, 5\)"),
        (LABELS + 1, "labels are 0 to 9; label 9 is 10"),
        (LABELS - 1, "labels are 0 to 9; label 0 is -1"),
        (LABELS + 0.5, "labels are 0 to 9; label 0 is 0.5"),
        (np.full(12, np.nan), "labels are 0 to 9; label 0 is nan"),
        (np.eye(10)[LABELS] * np.where(np.arange(12) == 3, 2, 1)[:, None], "nine 0; label 3 is"),
        (np.zeros((12, 10)), "a one-hot label has one 1 and nine 0; label 0 is"),
        (["a"] * 12, "labels are an array of numbers"),
    ],
)
def test_what_is_wrong_with_labels_is_said(labels: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        as_labels(labels, 12)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_one_hot_labels_and_floats_train_the_same_model(dataset: Dataset) -> None:
    from train.fit import fit
    from train.recipes import RECIPES, replace

    recipe = replace(RECIPES["quick"], epochs=1, hidden=(16,))
    images, labels = dataset.train_images[:1200], dataset.train_labels[:1200]

    model, _ = fit(recipe, images, labels)
    same, _ = fit(recipe, images / 255, np.eye(10)[labels])

    assert all((one == other).all() for one, other in zip(model.get_weights(), same.get_weights(), strict=True))
