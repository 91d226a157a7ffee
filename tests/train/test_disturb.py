"""Disturbed tiles: what they have in common with those that they are made of, and in what they differ."""

import numpy as np
import pytest

from fmnist_edge.contract import PHOTO_MARK, Tiles
from train.augment import COPIES, PHOTO_COPIES, Examples, Lessons
from train.cutting import PhotoTiles
from train.dataset import Dataset
from train.disturb import disturb, disturb_photos, near, row_ends, silhouettes, smooth_noise, step
from train.recipes import Recipe

SANDAL, SNEAKER, BAG = 5, 7, 8


@pytest.mark.tensorflow
def test_the_same_seed_disturbs_alike_and_another_does_not(dataset: Dataset) -> None:
    some = dataset.train_images[:600], dataset.train_labels[:600]

    assert (disturb(*some, 1) == disturb(*some, 1)).all()
    assert (disturb(*some, 1) != disturb(*some, 2)).any((1, 2)).all()


# mean and standard deviation of the first 24 tiles
OF_IMAGES = [
    *(57.1, 68.8, 23.6, 43.5, 26.8, 40.0, 59.0, 53.8, 37.0, 54.3, 80.0, 74.0, 33.0, 63.4, 114.4, 82.7),
    *(27.9, 44.9, 38.8, 63.7, 39.3, 50.8, 62.0, 97.8, 17.5, 42.7, 30.1, 52.2, 14.5, 27.9, 77.9, 99.3),
    *(37.7, 79.1, 48.9, 68.9, 34.1, 70.3, 22.5, 30.8, 110.1, 105.0, 66.6, 90.0, 72.4, 71.1, 130.8, 87.4),
]
OF_PHOTOS = [
    *(68.8, 77.5, 78.1, 80.9, 45.2, 46.8, 80.1, 52.7, 47.4, 76.4, 91.9, 80.1, 39.3, 70.3, 38.9, 53.8),
    *(15.6, 33.2, 38.8, 70.7, 60.9, 64.7, 36.5, 64.3, 27.4, 43.0, 22.1, 41.5, 30.2, 60.7, 77.0, 102.0),
    *(51.0, 61.9, 46.6, 66.0, 64.5, 86.4, 33.0, 35.5, 92.7, 97.8, 38.3, 71.1, 78.3, 79.3, 112.6, 61.4),
]


@pytest.mark.tensorflow
def test_tiles_are_disturbed_as_they_were_when_the_recipes_were_measured(dataset: Dataset) -> None:
    """Whoever changes how, finds other best recipes, and other figures in docs/study.md: then these change, too."""
    images, labels = dataset.train_images[:40], dataset.train_labels[:40]

    for seen, figures in ((disturb(images, labels, 0), OF_IMAGES), (disturb_photos(images, labels == SNEAKER, 0), OF_PHOTOS)):
        found = np.stack([seen[:24].mean((1, 2)), seen[:24].std((1, 2))], 1)
        np.testing.assert_allclose(found.ravel(), figures, atol=0.25)


@pytest.mark.tensorflow
def test_a_disturbed_garment_still_fills_its_tile_on_a_black_ground(dataset: Dataset) -> None:
    garments = disturb(dataset.train_images[:600], dataset.train_labels[:600], 0) > 0

    edges = np.maximum(garments.any(1).sum(1), garments.any(2).sum(1))
    assert (garments.mean((1, 2)) < 1).mean() > 0.9
    assert np.median(edges) >= 26
    assert (edges >= 20).mean() > 0.95


@pytest.mark.tensorflow
def test_half_of_the_shoes_point_the_other_way(dataset: Dataset) -> None:
    """A sneaker's heel is its tall end: on the right in Fashion-MNIST, on either side in photos."""
    images = dataset.train_images[dataset.train_labels == SNEAKER][:400]
    sneakers = disturb(images, np.full(400, SNEAKER, np.uint8), 0) > 0
    heel_on_the_left = sneakers[:, :, :10].sum((1, 2)) > sneakers[:, :, -10:].sum((1, 2))

    assert 0.3 < heel_on_the_left.mean() < 0.7


@pytest.mark.tensorflow
def test_of_an_empty_tile_nothing_is_made_but_ground_and_a_full_one_is_seen() -> None:
    tiles = np.zeros((100, 28, 28), np.uint8)
    tiles[50:] = 255

    empty, full = np.split(disturb(tiles, np.zeros(100, np.uint8), 0), 2)

    assert (full > 0).mean() > 0.5 > 0.1 > (empty > 0).mean()
    assert np.median(full[full > 0]) > 128


@pytest.mark.tensorflow
@pytest.mark.parametrize(("shoes", "turned"), [(False, 0.1), (True, 0.3)])
def test_photos_are_disturbed_and_some_are_turned_by_quarters(shoes: bool, turned: float) -> None:
    """A bar across the tile lies as it did, or stands. Shoes in photos are in pairs already: no second bar is added."""
    bars, are_shoes = bars_across(600), np.full(600, shoes)

    seen = disturb_photos(bars, are_shoes, 0) > 0
    standing = seen.any(2).sum(1) > seen.any(1).sum(1)

    assert standing.mean() == pytest.approx(turned * 2 / 3, abs=0.04)  # by 180 degrees it lies again
    assert np.median(seen.mean((1, 2))) < 0.3
    assert (disturb_photos(bars, are_shoes, 0) == disturb_photos(bars, are_shoes, 0)).all()
    assert (disturb_photos(bars, are_shoes, 0) != disturb_photos(bars, are_shoes, 1)).any()


@pytest.mark.tensorflow
def test_most_photos_are_disturbed_gently() -> None:
    """A camera has disturbed them before. A bar of one brightness stays one, where the others get shades and noise."""
    seen = disturb_photos(bars_across(600), np.full(600, False), 0)

    commonest = np.array([np.bincount(tile[tile > 0], minlength=1).max() for tile in seen])
    assert (commonest > 40).mean() == pytest.approx(0.8, abs=0.05)


def bars_across(count: int) -> Tiles:
    bars = np.zeros((count, 28, 28), np.uint8)
    bars[:, 11:17, 2:26] = 220
    return bars


RECIPE = Recipe("", photo_share=0.5)


def plain(count: int, value: int) -> Tiles:
    return np.full((count, 28, 28), value, np.uint8)


@pytest.mark.tensorflow
def test_lessons_have_marked_copies_of_each_image_and_each_photo_no_two_alike() -> None:
    some = Examples(np.concatenate([plain(6, 20), plain(6, 240)]), np.zeros(12, np.uint8))
    tiles = np.concatenate([plain(2, 20), plain(1, 240)])
    photos = PhotoTiles(tiles, np.eye(10, dtype=bool)[:3], np.arange(3), np.full(3, "photo"))

    one, same, other = (Lessons(RECIPE, some, seed, photos) for seed in (0, 0, 1))
    alone = Lessons(RECIPE, some, 0)

    assert alone.disturbed.shape == (COPIES, 12, 28, 28)
    assert one.photo_copies.shape == (3, PHOTO_COPIES, 28, 28)
    assert len({copy.tobytes() for copy in alone.disturbed.reshape(-1, 784)}) == COPIES * 12
    assert len({copy.tobytes() for copy in one.photo_copies.reshape(-1, 784)}) == 3 * PHOTO_COPIES
    assert (alone.disturbed[..., 0, 0] == PHOTO_MARK).all()
    assert (one.photo_copies[..., 0, 0] == PHOTO_MARK).all()
    # what was dark is darker, on average, than what was bright: no copy stands in another one's place
    brightness = one.photo_copies.mean((1, 2, 3))
    assert max(brightness[:2]) < brightness[2]
    assert alone.disturbed[:, :6].mean() < alone.disturbed[:, 6:].mean()
    assert (alone.disturbed == Lessons(RECIPE, some, 0).disturbed).all()
    assert (one.photo_copies == same.photo_copies).all()
    assert (one.photo_copies != other.photo_copies).any()
    assert (alone.disturbed != Lessons(RECIPE, some, 1).disturbed).any()


@pytest.mark.tensorflow
def test_where_there_are_photos_enough_no_image_is_disturbed() -> None:
    some, photos = Examples(plain(12, 20), np.zeros(12, np.uint8)), plain(6, 240)

    by_six, by_one = (
        PhotoTiles(photos, np.eye(10, dtype=bool)[:6], contributors, np.full(6, "photo"))
        for contributors in (np.arange(6), np.zeros(6, int))
    )

    assert Lessons(RECIPE, some, 0, by_six).disturbed.size == 0
    # but for the network that learns without this contributor there are none
    assert len(Lessons(RECIPE, some, 0, by_one).disturbed) == COPIES


@pytest.mark.tensorflow
def test_lessons_may_be_without_some_of_the_photos() -> None:
    photos = PhotoTiles(plain(3, 20), np.eye(10, dtype=bool)[:3], np.arange(3), np.full(3, "photo"))

    lessons = Lessons(RECIPE, Examples(plain(12, 20), np.zeros(12, np.uint8)), 0, photos, np.array([True, False, True]))

    assert lessons.to_learn(None).tolist() == [True, False, True]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("label", "pairs"), [(SANDAL, 0), (SANDAL, 1), (BAG, 1)])
def test_shoes_alone_are_shown_in_pairs(label: int, pairs: float) -> None:
    """One shoe is a bar across the tile; two of them cover more of it."""
    shown = disturb(bars_across(60), np.full(60, label, np.uint8), 0, pairs)

    assert (np.median((shown > 0).mean((1, 2))) > 0.35) == (label == SANDAL and pairs == 1)


def test_a_silhouette_has_no_holes_and_no_noise_of_the_ground() -> None:
    tile = np.zeros((1, 28, 28), np.uint8)
    tile[0, 5:20, 8:18] = 200
    tile[0, 10:14, 11:14] = 0
    tile[0, 25, 25] = 8

    (outline,) = silhouettes(tile)

    assert outline[5:20, 8:18].all()
    assert outline.sum() == 15 * 10


def test_a_rows_ends_are_the_outer_edges_of_its_garment_from_the_centre() -> None:
    outlines = np.zeros((2, 28, 28), bool)
    outlines[0, 10, 5:9] = True

    ends = row_ends(outlines)

    assert {tuple(end) for end in ends[0].tolist()} == {(4.5 - 13.5, -3.5), (8.5 - 13.5, -3.5)}
    # an empty tile is as good as a full one
    assert (np.abs(ends[1]).max(0) == [14, 13.5]).all()


def test_noise_is_smooth_and_of_about_unit_variance() -> None:
    noise = smooth_noise(np.random.default_rng(0), 500, 7)

    assert noise.shape == (500, 28, 28)
    assert noise.std() == pytest.approx(1, abs=0.1)
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert np.diff(noise, axis=1).std() < 0.4


def test_a_step_is_soft_and_near_is_within_three_pixels() -> None:
    mask = np.zeros((1, 28, 28), np.float32)
    mask[0, 10, 10] = 1

    assert step(np.array([-2, 0, 2], np.float32)) == pytest.approx([0, 0.5, 1], abs=1e-4)
    assert near(mask)[0, 7:14, 7:14].all()
    assert near(mask).sum() == 49
