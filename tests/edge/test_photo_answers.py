"""What a classifier says of photos: the mean of ten views at a temperature of their own, and a doubt where nothing stands out."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from export.bundle import attach_description, describe
from fmnist_edge import Classifier
from fmnist_edge.contract import Tile, at_odds, at_temperature, ten_views
from fmnist_edge.pictures.tile import View
from support.altered_models import TRAINING, flatbuffer
from train.dataset import Dataset


def classifier_with(folder: Path, temperature: float = 1, odds: float = 1, mark: bool = False) -> Classifier:
    """The shipped int8 model, saying this of photos; a manifest vouches for it."""
    calibration = {"photo_temperature": temperature, "photo_odds": odds, "photo_mark": mark}
    content = attach_description(flatbuffer(), describe("int8", TRAINING | calibration))
    (folder / "model.tflite").write_bytes(content)
    listed = {"files": {"model.tflite": {"sha256": sha256(content).hexdigest()}}}
    (folder / "manifest.json").write_text(json.dumps(listed))
    return Classifier(folder / "model.tflite")


@pytest.fixture
def tile(dataset: Dataset) -> Tile:
    return dataset.test_images[12]


@pytest.fixture
def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1, 1.7, 3])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    logits = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 10))

    found = at_temperature(softmax(logits).astype(np.float32), temperature)

    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-6)


@pytest.mark.parametrize("temperature", [1e-6, 0.3, 3, 1e6])
def test_zeros_of_an_int8_output_stay_probabilities_at_any_temperature(temperature: float) -> None:
    found = at_temperature(np.eye(10, dtype=np.float32), temperature)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert found.argmax(1).tolist() == list(range(10))


@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_an_unsure_answer_beside_a_sure_one_stays_probabilities_at_any_temperature(temperature: float) -> None:
    sure, unsure = [1, *[0] * 9], [0.5, 0.3, 0.2, *[0] * 7]

    found = at_temperature(np.array([sure, unsure], np.float32), temperature)

    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert found.argmax(1).tolist() == [0, 0]


@pytest.mark.parametrize(("odds", "first"), [(1, 0.5), (2, 2 / 3), (4, 0.8)])
def test_odds_make_the_likeliest_class_so_many_times_as_likely_as_the_others_together(odds: float, first: float) -> None:
    found = at_odds(np.array([[0.3, 0.5, 0.2, *[0] * 7]], np.float32), odds)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, :4], [0.6 * (1 - first), first, 0.4 * (1 - first), 0], atol=1e-6)


@pytest.mark.parametrize("row", [[0.4, 0.4, 0.2], [1, 0, 0], [0.5, 0.5, 0]])
def test_odds_change_no_ranking(row: list[float]) -> None:
    found = at_odds(np.array([row + [0] * 7], np.float32), 3)

    assert found.sum() == pytest.approx(1)
    assert np.argsort(-found, 1, kind="stable").tolist() == [list(range(10))]


def test_each_photo_has_its_own_odds() -> None:
    photos = np.array([[0.3, 0.5, 0.2, *[0] * 7], [0.1, 0, 0.9, *[0] * 7]], np.float32)

    np.testing.assert_allclose(at_odds(photos, 3), [at_odds(photo[None], 3)[0] for photo in photos], atol=1e-6)


def test_the_ten_views_are_five_places_each_in_a_mirror_too() -> None:
    tile = np.zeros((28, 28), np.uint8)
    tile[0, 3], tile[20, 10] = 100, 200

    views = ten_views(tile[None])[0]

    inner = [tuple(map(int, np.argwhere(view == 200)[0])) for view in views]
    assert inner[:5] == [(20, 10), (21, 10), (19, 10), (20, 11), (20, 9)]
    np.testing.assert_array_equal(views[5:], views[:5, :, ::-1])
    assert [int((view == 100).sum()) for view in views[:5]] == [1, 1, 0, 1, 1]  # what leaves does not come back at the other side


def test_a_photos_answer_is_the_mean_over_its_ten_views_and_a_tiles_is_its_own(tile: Tile, tmp_path: Path) -> None:
    classifier = classifier_with(tmp_path)

    photo, alone = classifier.predict([View(tile, "photo"), View(tile, "tile")])

    views = np.stack([each.probabilities for each in classifier.classify(ten_views(tile[None])[0])])
    np.testing.assert_allclose(photo.probabilities, views.mean(0), atol=1e-6)
    np.testing.assert_array_equal(alone.probabilities, views[0])


def test_a_model_that_knows_photos_by_a_mark_is_shown_them_with_it_and_tiles_without(tile: Tile, tmp_path: Path) -> None:
    classifier = classifier_with(tmp_path, mark=True)

    photo, alone = classifier.predict([View(tile, "photo"), View(tile, "tile")])

    views = ten_views(tile[None], marked=True)[0]
    assert (views[:, 0, 0] == 255).all()
    assert (views.reshape(10, -1)[:, 1:] == ten_views(tile[None])[0].reshape(10, -1)[:, 1:]).all()
    shown = np.stack([each.probabilities for each in classifier.classify(views, on_error="raise")])
    np.testing.assert_allclose(photo.probabilities, shown.mean(0), atol=1e-6)
    np.testing.assert_array_equal(alone.probabilities, classifier.classify(tile)[0].probabilities)
    assert photo.tile is not None
    np.testing.assert_array_equal(photo.tile, tile)


def test_the_temperature_and_the_odds_of_photos_are_for_photos_only(tile: Tile, tmp_path: Path) -> None:
    views = [View(tile, "tile"), View(tile, "photo"), View(tile, "tile")]

    plain = classifier_with(tmp_path).predict(views)
    cool = classifier_with(tmp_path, 2.5, 1.5).predict(views)

    np.testing.assert_array_equal(cool[0].probabilities, plain[0].probabilities)
    np.testing.assert_array_equal(cool[2].probabilities, plain[2].probabilities)
    np.testing.assert_allclose(
        cool[1].probabilities, at_odds(at_temperature(plain[1].probabilities[None], 2.5), 1.5)[0], atol=1e-6
    )
    assert cool[1].confidence < plain[1].confidence


def test_a_garment_on_a_plain_ground_stands_out(classifier: Classifier) -> None:
    photo = Image.new("RGB", (300, 400), (120, 200, 120))
    ImageDraw.Draw(photo).rectangle((75, 100, 224, 299), (200, 40, 40))

    assert classifier.classify(photo)[0].garment_found


def test_a_tile_needs_no_ground(classifier: Classifier, tile: Tile) -> None:
    assert classifier.classify(tile)[0].garment_found


def test_where_nothing_stands_out_no_least_confidence_makes_it_sure(noise: Image.Image) -> None:
    prediction = Classifier(min_confidence=0).classify(noise)[0]

    assert not prediction.garment_found
    assert prediction.unsure


def test_a_cut_out_picture_is_a_garment_whatever_it_shows(classifier: Classifier, noise: Image.Image) -> None:
    outline = Image.new("L", noise.size)
    ImageDraw.Draw(outline).ellipse((50, 30, 150, 170), 255)
    noise.putalpha(outline)

    assert classifier.classify(noise)[0].garment_found
