"""The picture that explains an answer: what is drawn where, in which colour, how long."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.classifier import Prediction
from fmnist_edge.classify import explain as module
from fmnist_edge.classify.explain import EDGE, TOP, check_out, draw, explain, photo_and_garment, place_for
from fmnist_edge.classify.reading import Source
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import FmnistEdgeError, InputError, UsageError
from fmnist_edge.pictures.decode import read_image
from fmnist_edge.pictures.photo import CutOut
from support.predictions import prediction

BLUE, ORANGE, GRAY, EMPTY, PINK, INK = (
    (37, 99, 201),
    (217, 115, 13),
    (154, 165, 177),
    (237, 240, 243),
    (224, 33, 138),
    (31, 41, 51),
)
TILE = np.random.default_rng(0).integers(0, 64, (28, 28), np.uint8)
TILE[10:18, 10:18] = 200

Pixels = NDArray[np.uint8]


def drawn(found: Prediction, panels: int = 1) -> Pixels:
    picture = Image.new("RGB", (EDGE, EDGE), (1, 2, 3))
    return np.asarray(draw([("A heading", picture)] * panels, found))


def count(page: Pixels, colour: tuple[int, int, int]) -> int:
    return int((page == colour).all(2).sum())


def bar(page: Pixels, class_id: int, colour: tuple[int, int, int], left: int) -> int:
    """How many pixels of a class's bar have a colour, in the middle of its row."""
    y = TOP + class_id * EDGE // len(CLASSES) + 13
    return int((page[y, left : left + 150] == colour).all(1).sum())


LEFT = 32 + 280 + 32 + 92
"""Of the bars, beside one panel."""


@pytest.mark.parametrize(("sure_from", "colour", "other"), [(0.5, BLUE, ORANGE), (0.75, BLUE, ORANGE), (0.76, ORANGE, BLUE)])
def test_a_sure_answer_is_blue_and_a_guess_orange(
    sure_from: float, colour: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    page = drawn(prediction(7, 0.75, sure_from))

    assert bar(page, 7, colour, LEFT) in (112, 111)  # less the line of the threshold
    assert count(page, other) == 0
    assert count(page[:TOP], colour) > 50  # the answer above the bars


def test_each_bar_is_as_long_as_its_class_is_probable() -> None:
    probabilities = np.array([0.5, 0.2, 0.1, 0.08, 0.06, 0.04, 0.02, 0, 0, 0], np.float32)

    page = drawn(Prediction(probabilities, 0))

    assert bar(page, 0, BLUE, LEFT) == 75
    assert [bar(page, class_id, GRAY, LEFT) for class_id in range(1, 10)] == [30, 15, 12, 9, 6, 3, 0, 0, 0]
    assert [bar(page, class_id, EMPTY, LEFT) for class_id in range(10)] == [75, 120, 135, 138, 141, 144, 147, 150, 150, 150]


def test_the_threshold_is_a_line_across_the_bars_and_none_is_none() -> None:
    with_line, without = drawn(prediction(7, 0.9, 0.4)), drawn(prediction(7, 0.9, 0))

    x = LEFT + 60
    assert (with_line[TOP : TOP + EDGE + 4, x] == INK).all()
    assert (with_line[TOP + EDGE + 4, x] != INK).any()
    assert not (with_line[TOP : TOP + EDGE, x + 2] == INK).all(1).any()
    assert count(with_line[TOP + EDGE + 6 :], INK) > 20  # what it means
    assert count(without[TOP + EDGE :], INK) == 0


def rows_with(page: Pixels, colour: tuple[int, int, int], columns: slice) -> set[int]:
    """The classes in whose rows the columns have the colour."""
    found = np.nonzero((page[TOP : TOP + EDGE, columns] == colour).all(2).any(1))[0]
    return set((found * len(CLASSES) // EDGE).tolist())


@pytest.mark.parametrize(("sure_from", "colour"), [(0, BLUE), (0.9, ORANGE)])
def test_the_label_and_the_number_of_the_winner_alone_have_its_colour(sure_from: float, colour: tuple[int, int, int]) -> None:
    probabilities = np.array([0.02, 0.125, 0.0625, 0.7, 0, 0.0925, 0, 0, 0, 0], np.float32)

    page = drawn(Prediction(probabilities, sure_from))

    labels, numbers = slice(LEFT - 92, LEFT), slice(LEFT + 150, LEFT + 190)
    assert (rows_with(page, colour, labels), rows_with(page, INK, labels)) == ({3}, set(range(10)) - {3})
    assert (rows_with(page, colour, numbers), rows_with(page, INK, numbers)) == ({3}, {0, 1, 2, 5})


def extent(page: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of all that has a colour."""
    rows, columns = np.nonzero((page == colour).all(2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_bars_lie_on_grounds_of_one_size() -> None:
    probabilities = np.array([0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.5], np.float32)

    page = drawn(Prediction(probabilities, 0))[:, LEFT - 4 : LEFT + 154]

    first, last = page[TOP : TOP + 28], page[TOP + 252 : TOP + 280]
    assert extent(first, BLUE) == extent(last, GRAY) == (4, 4, 79, 23)
    assert extent(first, EMPTY) == extent(last, EMPTY) == (79, 4, 154, 23)


def test_panels_stand_beside_each_other_and_the_page_is_as_wide_as_they_need() -> None:
    one, three = drawn(prediction(7, 0.9)), drawn(prediction(7, 0.9), panels=3)

    assert one.shape == (64 + 280 + 32, 32 + 280 + 32 + 92 + 150 + 40 + 32, 3)
    assert three.shape == (64 + 280 + 32, one.shape[1] + 2 * (280 + 32), 3)
    for number in range(3):
        x = 32 + number * 312
        assert (three[TOP : TOP + EDGE, x : x + EDGE] == (1, 2, 3)).all()
        assert count(three[:TOP, x : x + EDGE], INK) > 20  # its heading


def test_a_narrow_picture_stands_in_the_middle_of_its_panel() -> None:
    page = np.asarray(draw([("Tall", Image.new("RGB", (100, 200), (1, 2, 3)))], prediction(7, 0.9)))

    rows, columns = np.nonzero((page == (1, 2, 3)).all(2))
    assert (rows.min(), rows.max() + 1) == (TOP, TOP + EDGE)
    assert (columns.min(), columns.max() + 1) == (32 + 70, 32 + 210)
    assert extent(page[:, : LEFT - 92], EMPTY) == (32, TOP, 32 + EDGE, TOP + EDGE)


def test_a_wide_picture_does_too() -> None:
    page = np.asarray(draw([("Wide", Image.new("RGB", (200, 100), (1, 2, 3)))], prediction(7, 0.9)))

    assert extent(page, (1, 2, 3)) == (32, TOP + 70, 32 + EDGE, TOP + 210)


def marked(mask: NDArray[np.bool_], garment_found: bool) -> tuple[list[str], Pixels, Pixels]:
    photo = Image.new("RGB", mask.shape[::-1], (200, 40, 40))
    (first, picture), (second, marked) = photo_and_garment(photo, CutOut(TILE, mask, garment_found))
    return [first, second], np.asarray(picture), np.asarray(marked)


def test_the_garment_keeps_its_colours_is_outlined_and_its_ground_pales() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[25:75, 25:75] = True

    headings, photo, page = marked(mask, garment_found=True)

    assert headings == ["The photo", "The garment found in it"]
    assert photo.shape == page.shape == (560, 560, 3)
    assert (photo == (200, 40, 40)).all()
    assert tuple(page[280, 280]) == (200, 40, 40)
    assert tuple(page[10, 10]) == (244, 212, 212)
    outline = (page == PINK).all(2)
    assert outline[280, 135:142].sum() == 3
    assert not outline[150:410, 150:410].any()


def test_if_nothing_stands_out_it_is_said_and_what_was_taken_instead() -> None:
    everything = np.ones((50, 50), np.bool_)
    headings, _, page = marked(everything, garment_found=False)
    everything[:10] = False
    headings_of_a_guess, _, guess = marked(everything, garment_found=False)

    assert headings[1] == "Nothing stands out: all of it is taken"
    assert (page == (200, 40, 40)).all()
    assert headings_of_a_guess[1] == "Nothing stands out: a guess"
    assert tuple(guess[10, 280]) == (244, 212, 212)


def named(photo: Path) -> Source:
    return Source(str(photo), partial(read_image, photo))


def test_what_the_model_gets_is_drawn_enlarged(classifier: Classifier, tmp_path: Path) -> None:
    Image.fromarray(TILE).save(tmp_path / "tile.png")

    found = explain(named(tmp_path / "tile.png"), tmp_path / "why.png", classifier)

    page = np.asarray(Image.open(tmp_path / "why.png"))
    panel = page[TOP : TOP + EDGE, 32 : 32 + EDGE]
    np.testing.assert_array_equal(panel, np.repeat(TILE.repeat(10, 0).repeat(10, 1)[..., None], 3, axis=2))
    np.testing.assert_array_equal(found.probabilities, classifier.classify(TILE)[0].probabilities)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tile.png", "why.png"]


def test_of_a_photo_its_garment_is_drawn_too(classifier: Classifier, tmp_path: Path) -> None:
    photo = Image.new("RGB", (200, 200), (120, 200, 120))
    photo.paste((200, 40, 40), (50, 50, 150, 150))
    photo.save(tmp_path / "photo.png")

    found = explain(named(tmp_path / "photo.png"), tmp_path / "why.PNG", classifier)

    page = np.asarray(Image.open(tmp_path / "why.PNG"))
    assert page.shape[1] == 32 + 3 * 312 + 92 + 150 + 40 + 32
    assert tuple(page[TOP + 140, 32 + 140]) == (200, 40, 40)
    outline = np.abs(page[:, 344 : 344 + EDGE].astype(int) - PINK).max(2) < 60
    assert outline.sum() > 300
    np.testing.assert_array_equal(found.probabilities, classifier.classify(photo)[0].probabilities)


def test_a_tile_that_is_said_to_be_a_photo_is_explained_as_one(classifier: Classifier, tmp_path: Path) -> None:
    explain(Source("tile.png", partial(Image.fromarray, TILE), "photo"), tmp_path / "why.png", classifier)

    assert Image.open(tmp_path / "why.png").width == 32 + 3 * 312 + 92 + 150 + 40 + 32


def refusal(kind: type[FmnistEdgeError], photo: Path, out: Path, classifier: Classifier) -> str:
    with pytest.raises(kind) as caught:
        explain(named(photo), out, classifier)
    assert type(caught.value) is kind
    return str(caught.value)


def test_the_photo_is_never_overwritten(classifier: Classifier, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(TILE).save(photo)
    (tmp_path / "link.png").symlink_to(photo)
    before = photo.read_bytes()

    for name in ("photo.png", "link.png"):
        said = refusal(UsageError, photo, tmp_path / name, classifier)
        assert said == f"{tmp_path / name} is the picture itself; name another file with --out"
    assert photo.read_bytes() == before


def test_what_cannot_be_done_is_said_and_leaves_nothing(classifier: Classifier, tmp_path: Path) -> None:
    photo, gone, out = tmp_path / "photo.png", tmp_path / "gone.png", tmp_path / "no" / "why.png"
    Image.fromarray(TILE).save(photo)

    assert refusal(InputError, gone, tmp_path / "why.png", classifier) == f"{gone}: no such file or directory"
    assert refusal(FmnistEdgeError, photo, out, classifier) == f"{out} can't be written (no such file or directory)"
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_what_is_written_is_a_png_or_for_several_pictures_goes_into_a_folder(tmp_path: Path) -> None:
    check_out(None, several=True)
    check_out(tmp_path / "why.PNG", several=False)
    check_out(tmp_path / "new" / "folder", several=True)

    assert (tmp_path / "new" / "folder").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"explanations can't be saved there"):
        check_out(tmp_path / "file" / "folder", several=True)
    with pytest.raises(UsageError, match=r"why\.jpg must end in \.png$"):
        check_out(tmp_path / "why.jpg", several=False)
    with pytest.raises(UsageError, match=r"why\.png is one file, but there are several pictures; name a folder with --out$"):
        check_out(tmp_path / "why.png", several=True)


def test_what_is_written_is_named_for_the_picture_and_no_two_have_one_name(tmp_path: Path) -> None:
    taken: dict[Path, str] = {}
    names = ["a/1.jpg", "b/1.jpg", "a/1.jpg", "http://h/snap.jpg", "tiles.npy[0]", "tiles.npy[1]", "/dev/video0"]

    assert [str(place_for(name, None, taken)) for name in names] == [
        *("1-explained.png", "b_1.jpg-explained.png", "1-explained.png", "snap-explained.png"),
        *("tiles-explained.png", "tiles.npy[1]-explained.png", "video0-explained.png"),
    ]
    assert place_for("a/1.jpg", tmp_path, {}) == tmp_path / "1-explained.png"
    assert place_for("a/1.jpg", tmp_path / "why.png", {}) == tmp_path / "why.png"


def test_the_colours_are_told_apart_by_who_sees_no_red() -> None:
    assert (module.SURE, module.UNSURE, module.OUTLINE) == ("#2563c9", "#d9730d", "#e0218a")
