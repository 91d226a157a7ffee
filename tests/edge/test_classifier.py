"""The Python interface, number by number: what it takes, in which order it answers, when it is unsure."""

import io
import pickle
import time
from base64 import b64decode
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.classifier import BATCH, BATCH_SECONDS, Prediction, batches
from fmnist_edge.contract import Tile
from fmnist_edge.errors import InputError, PictureError, UsageError
from fmnist_edge.notebook import to_html
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


def test_a_model_from_before_photos_were_treated_apart_is_never_unsure_and_nothing_is_done_to_its_answers(tmp_path: Path) -> None:
    (tmp_path / "old.tflite").write_bytes(described())
    write_manifest(tmp_path, "old.tflite")

    old = Classifier(tmp_path / "old.tflite")

    assert old.sure_from == {"tile": 0, "photo": 0}
    assert (old.photo_temperature, old.photo_odds, old.photo_mark) == (1, 1, False)


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


def test_tiles_and_photos_that_come_together_have_the_answers_that_each_has_alone(classifier: Classifier) -> None:
    views = [View(NOISE[0], "photo"), View(NOISE[1], "tile"), View(NOISE[2], "photo"), View(NOISE[3], "tile")]

    together = [found.probabilities for found in classifier.predict(views)]

    np.testing.assert_array_equal(together, [classifier.predict([view])[0].probabilities for view in views])
    assert {answer.dtype for answer in together} == {np.dtype(np.float32)}


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


def test_batches_are_full_but_for_the_last() -> None:
    assert [len(batch) for batch in batches(range(7), 3)] == [3, 3, 1]
    assert list(batches([], 3)) == []


def test_what_comes_slowly_is_not_waited_for() -> None:
    def slowly() -> Iterator[int]:
        yield 0
        yield 1
        time.sleep(0.06)
        yield 2
        yield 3

    assert BATCH_SECONDS == 0.05
    assert list(batches(slowly(), 64)) == [[0, 1, 2], [3]]


def test_what_was_read_before_ctrl_c_is_not_lost() -> None:
    def interrupted() -> Iterator[int]:
        yield 0
        yield 1
        raise KeyboardInterrupt

    given = batches(interrupted(), 64)

    assert next(given) == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        next(given)


def test_pictures_without_end_are_classified_one_batch_after_the_other(classifier: Classifier) -> None:
    taken = []

    def endless() -> Iterator[Tile]:
        for number in count():
            taken.append(number)
            yield NOISE[number % len(NOISE)]

    found = list(islice(classifier.iter_classify(endless()), 3))

    np.testing.assert_array_equal(found[2].probabilities, classifier.classify(NOISE[2])[0].probabilities)
    assert len(taken) <= BATCH


def test_a_frame_that_came_slowly_is_answered_before_the_next_comes(classifier: Classifier) -> None:
    taken = []

    def camera() -> Iterator[Tile]:
        for tile in NOISE:
            time.sleep(0.06)
            taken.append(tile)
            yield tile

    next(classifier.iter_classify(camera()))

    assert len(taken) == 1


def test_an_array_that_is_written_into_again_gives_an_answer_for_each_content(classifier: Classifier) -> None:
    buffer = np.zeros((28, 28), np.uint8)

    def frames() -> Iterator[Tile]:
        for tile in NOISE[:3]:
            buffer[:] = tile
            yield buffer

    found = classifier.classify(frames())

    for answer, tile in zip(found, NOISE, strict=False):
        np.testing.assert_array_equal(answer.probabilities, classifier.classify(tile)[0].probabilities)
        np.testing.assert_array_equal(answer.tile, tile)


def test_a_bad_picture_has_its_error_in_its_place_if_wanted(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("no picture")
    Image.fromarray(NOISE[0] // 8).save(tmp_path / "tile.png")

    paths = [tmp_path / "broken.jpg", tmp_path / "tile.png", tmp_path / "gone.jpg"]
    broken, tile, none, gone = classifier.classify([*paths[:2], None, paths[2]], on_error="return")  # type: ignore[list-item]

    assert isinstance(tile, Prediction)
    assert isinstance(broken, InputError)
    assert broken.path == str(paths[0])
    assert str(broken).startswith(f"{paths[0]}: not a PNG, JPEG")
    assert isinstance(none, PictureError)
    assert str(none).startswith("pictures[2]: None, which cv2.imread gives")
    assert isinstance(gone, InputError)
    assert str(gone) == f"{paths[2]}: no such file or directory"
    assert gone.__traceback__ is None  # which would keep the picture in memory


def test_a_bad_picture_is_named_when_it_is_raised_and_those_before_it_are_not_lost(
    classifier: Classifier, tmp_path: Path
) -> None:
    found = classifier.iter_classify([NOISE[0], tmp_path / "gone.jpg"])

    assert next(found).kind == "tile"
    with pytest.raises(InputError) as caught:
        next(found)
    assert (str(caught.value), caught.value.path) == (f"{tmp_path}/gone.jpg: no such file or directory", f"{tmp_path}/gone.jpg")


def test_a_picture_without_a_file_is_named_by_its_number(classifier: Classifier) -> None:
    with pytest.raises(InputError) as caught:
        classifier.classify([NOISE[0], Image.new("L", (0, 0))])
    assert (str(caught.value), caught.value.path) == ("pictures[1]: the picture has no pixels", None)

    with pytest.raises(InputError, match=r"^the picture has no pixels$"):
        classifier.classify(Image.new("L", (0, 0)))


def test_no_message_shows_a_password(classifier: Classifier) -> None:
    with pytest.raises(InputError) as caught:
        classifier.classify("rtsp://admin:hunter2@porch.local/live")
    assert "hunter2" not in str(caught.value)
    assert "an address" in str(caught.value)


def test_another_way_with_errors_is_a_usage_error(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match="on_error is 'raise' or 'return', not 'ignore'"):
        classifier.iter_classify([], on_error="ignore")  # type: ignore[call-overload]


def test_a_prediction_says_in_short_what_it_is() -> None:
    probabilities = prediction(8, 0.75).probabilities

    assert repr(Prediction(probabilities, 0.5)) == "Prediction(Bag 0.75)"
    assert repr(Prediction(probabilities, 0.8, path="a.png")) == "Prediction(Bag? 0.75, 'a.png')"


def test_a_notebook_shows_the_tile_and_a_bar_for_each_class_in_question(classifier: Classifier, tmp_path: Path) -> None:
    Image.fromarray(NOISE[0] // 8).save(tmp_path / "<b>&.png")
    (found,) = classifier.classify(tmp_path / "<b>&.png")

    shown = ElementTree.fromstring(found._repr_html_())
    (picture,) = shown.iter("img")
    content = b64decode(picture.attrib["src"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), NOISE[0] // 8)
    assert shown.findtext(".//small") == str(tmp_path / "<b>&.png")
    assert shown.findtext(".//b") == found.label + ("? (unsure)" if found.unsure else "")
    assert len(shown.findall(".//tr")) == (found.probabilities >= 0.005).sum()


def test_in_a_notebook_the_most_probable_class_comes_first_and_each_bar_is_as_long_as_its_class_is_probable() -> None:
    probabilities = np.array([0.125, 0, 0.25, 0, 0.005, 0, 0.62, 0, 0, 0])

    shown = ElementTree.fromstring(to_html("Shirt", probabilities.tolist(), None, None))

    rows = [("".join(row.itertext()), row.find(".//div")) for row in shown.iter("tr")]
    assert [text for text, _ in rows] == ["Shirt0.62", "Pullover0.25", "T-shirt/top0.12", "Coat0.01"]
    assert "".join(shown.itertext()) == "Shirt" + "".join(text for text, _ in rows)
    assert [bar.attrib["style"][:12] for _, bar in rows if bar is not None] == [
        *("width: 99px;", "width: 40px;", "width: 20px;", "width: 1px; "),
    ]


def test_a_notebook_shows_a_doubt_where_there_is_one() -> None:
    def heading(sure_from: float) -> str | None:
        return ElementTree.fromstring(Prediction(prediction(8, 0.75).probabilities, sure_from)._repr_html_()).findtext(".//b")

    assert (heading(0.5), heading(0.8)) == ("Bag", "Bag? (unsure)")


def test_a_notebook_says_of_what_is_not_there_nothing() -> None:
    page = Prediction(prediction(8, 1).probabilities, 0.5, garment_found=False)._repr_html_()

    assert "".join(ElementTree.fromstring(page).itertext()) == "Bag? (nothing stands out)Bag>0.99"
    assert "img" not in page
    assert "<small>" not in page
    assert "Bag? (nothing stands out)" in page
    assert "&gt;0.99" in page
