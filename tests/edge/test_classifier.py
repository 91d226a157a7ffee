"""The Python interface, number by number: what it takes, in which order it answers, when it is unsure."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.classifier import BATCH, Prediction, to_view
from fmnist_edge.errors import UsageError
from fmnist_edge.pictures.tile import View
from support.commands import MODELS
from support.described import described, write_manifest
from support.predictions import prediction

INT8 = MODELS / "fmnist-int8.tflite"
NOISE = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 3, 28, 28), np.uint8)


def test_a_least_confidence_of_zero_makes_nothing_unsure() -> None:
    classifier = Classifier(INT8, min_confidence=0)

    assert classifier.sure_from == {"tile": 0, "photo": 0}
    assert not any(prediction.unsure for prediction in classifier.classify(NOISE))


def test_a_least_confidence_holds_for_tiles_and_photos() -> None:
    assert Classifier(INT8, min_confidence=0.75).sure_from == {"tile": 0.75, "photo": 0.75}


def test_without_a_least_confidence_the_models_own_thresholds_hold() -> None:
    classifier = Classifier(INT8)

    assert classifier.sure_from == classifier.model.description["training"]["unsure"]
    assert 0 < classifier.sure_from["tile"] < 1
    assert classifier.sure_from["tile"] != classifier.sure_from["photo"]


def test_the_model_that_is_named_is_the_one_that_answers() -> None:
    floats = MODELS / "fmnist-float.tflite"

    assert Classifier(floats).model.path == floats
    assert Classifier().model.path == INT8


def test_a_model_from_before_there_were_thresholds_is_never_unsure(tmp_path: Path) -> None:
    (tmp_path / "old.tflite").write_bytes(described())
    write_manifest(tmp_path, "old.tflite")

    assert Classifier(tmp_path / "old.tflite").sure_from == {"tile": 0, "photo": 0}


def test_a_copy_in_another_process_has_the_same_model_and_least_confidence() -> None:
    copy = pickle.loads(pickle.dumps(Classifier(MODELS / "fmnist-float.tflite", min_confidence=0.75)))

    assert copy.model.path == MODELS / "fmnist-float.tflite"
    assert copy.sure_from == {"tile": 0.75, "photo": 0.75}


def test_a_tile_and_a_photo_get_their_own_threshold(classifier: Classifier) -> None:
    tile, photo = classifier.predict([View(NOISE[0], "tile"), View(NOISE[0], "photo")])

    assert (tile.sure_from, photo.sure_from) == (classifier.sure_from["tile"], classifier.sure_from["photo"])


@pytest.mark.parametrize(("confidence", "unsure"), [(0.4375, True), (0.5, False), (0.5625, False)])
def test_unsure_is_below_the_threshold_and_not_at_it(confidence: float, unsure: bool) -> None:
    assert prediction(3, confidence, sure_from=0.5).unsure is unsure


def test_a_prediction_names_its_most_probable_class() -> None:
    found = prediction(8, 0.75)

    assert (found.class_id, found.label, found.confidence) == (8, "Bag", 0.75)
    assert isinstance(found.class_id, int)
    assert isinstance(found.confidence, float)


def test_the_top_classes_come_best_first_and_equal_ones_in_class_order() -> None:
    probabilities = np.array([0.125, 0, 0.25, 0, 0.125, 0, 0.5, 0, 0, 0], np.float32)

    assert Prediction(probabilities, 0).top(4) == [(6, 0.5), (2, 0.25), (0, 0.125), (4, 0.125)]


def test_answers_come_in_the_order_of_the_pictures_however_many_there_are(classifier: Classifier) -> None:
    together = classifier.classify(NOISE)

    assert BATCH == 64  # on a Pi Zero more fill the memory
    assert len(together) == len(NOISE)
    for tile, found in list(zip(NOISE, together, strict=True))[:: BATCH - 1]:
        np.testing.assert_array_equal(found.probabilities, classifier.classify(tile)[0].probabilities)


@pytest.mark.parametrize("kind", ["path", "str", "image", "tile", "list", "array"])
def test_each_way_to_name_a_picture_is_one_picture(kind: str, classifier: Classifier, tmp_path: Path) -> None:
    image = Image.fromarray(NOISE[0] // 8)
    image.save(tmp_path / "tile.png")
    pictures = {
        **{"path": tmp_path / "tile.png", "str": str(tmp_path / "tile.png"), "image": image},
        **{"tile": NOISE[0] // 8, "list": [image], "array": NOISE[:1] // 8},
    }

    (found,) = classifier.classify(pictures[kind])

    np.testing.assert_array_equal(found.probabilities, classifier.classify(NOISE[0] // 8)[0].probabilities)


def test_a_prediction_says_of_which_file_it_is_and_what_that_was_taken_for(classifier: Classifier, tmp_path: Path) -> None:
    Image.fromarray(NOISE[0] // 8).save(tmp_path / "tile.png")
    Image.new("RGB", (300, 200), (200, 190, 170)).save(tmp_path / "wall.png")

    tile, wall, nameless = classifier.classify([tmp_path / "tile.png", str(tmp_path / "wall.png"), NOISE[0]])

    assert (tile.path, tile.kind, tile.garment_found) == (str(tmp_path / "tile.png"), "tile", True)
    assert (wall.path, wall.kind, wall.garment_found) == (str(tmp_path / "wall.png"), "photo", False)
    assert (nameless.path, nameless.kind) == (None, "tile")


def test_no_views_give_no_predictions(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (np.zeros((28, 28), np.int8), "int8 (28, 28)"),
        (np.zeros((28, 27), np.uint8), "uint8 (28, 27)"),
        (np.zeros((27, 28), np.uint8), "uint8 (27, 28)"),
        (5, "int"),
    ],
)
def test_what_is_no_picture_is_told_what_one_is(picture: object, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        to_view(picture)  # type: ignore[arg-type]
    assert str(caught.value) == f"a picture is a path, a Pillow image or a uint8 array of shape (28, 28), not {found}"


@pytest.mark.parametrize("nonsense", [None, 5, [None]])
def test_what_is_no_picture_is_a_usage_error(nonsense: object, classifier: Classifier) -> None:
    with pytest.raises(UsageError, match="a picture is a path, a Pillow image or a uint8 array"):
        classifier.classify(nonsense)  # type: ignore[arg-type]


def test_an_array_is_a_tile_as_it_is() -> None:
    tile = NOISE[0]

    assert to_view(tile) == (tile, "tile", True)
