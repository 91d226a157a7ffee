"""Many pictures at once: each is shown, in order, with what belongs to it; progress, Ctrl-C, saved tiles."""

import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.classifier import Prediction
from fmnist_edge.classify.bulk import Progress, Tally, classify_all, name_of_tile, save_tile, uninterrupted
from fmnist_edge.classify.reading import Item
from fmnist_edge.errors import InputError
from fmnist_edge.pictures.tile import View
from support.commands import MODELS

TILES = np.random.default_rng(0).integers(0, 256, (7, 28, 28), np.uint8)
BAD = Item("bad\n.png", None, InputError("damaged"), 2)


def item(number: int) -> Item:
    return Item(f"{number}.png", View(TILES[number], "tile"), None, 1000)


Shown = list[tuple[str, "Prediction | None", float]]


def show_all(items: list[Item], classifier: Classifier, **options: object) -> tuple[Tally, Shown]:
    shown: Shown = []
    tally = classify_all(items, classifier, lambda item, found, ms: shown.append((item.name, found, ms)), **options)  # type: ignore[arg-type]
    return tally, shown


def test_each_picture_is_shown_in_order_with_its_own_prediction(
    classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    tally, shown = show_all([item(0), BAD, *map(item, range(1, 7))], classifier, batch_size=3)

    assert (tally.pictures, tally.failed) == (8, 1)
    assert show_all([BAD, item(0), BAD], classifier)[0].failed == 2
    assert [name for name, _, _ in shown] == ["0.png", "bad\n.png", *(f"{number}.png" for number in range(1, 7))]
    answers = [found.probabilities for _, found, _ in shown if found]
    np.testing.assert_array_equal(answers, [found.probabilities for found in classifier.classify(TILES)])
    assert shown[1][1] is None
    assert capsys.readouterr() == ("", 3 * "fmnist-edge: bad\\n.png: damaged\n")


def test_all_is_well_if_each_has_a_prediction(classifier: Classifier) -> None:
    assert show_all([item(0)], classifier)[0].failed == 0
    assert show_all([], classifier)[0].pictures == 0


def test_the_unsure_are_counted_and_the_time_is_taken() -> None:
    sure, unsure = (Classifier(MODELS / "fmnist-int8.tflite", min_confidence=least) for least in (0, 1))

    assert show_all([item(0), BAD, item(1)], sure)[0].unsure == 0
    tally, _ = show_all([item(0), BAD, item(1)], unsure)
    assert (tally.unsure, tally.pictures) == (2, 3)
    assert 0 < tally.seconds < 60


def test_how_it_went_is_a_line() -> None:
    assert str(Tally(1234, 56, 7, 8.91)) == "1,234 pictures in 8.9 s: 56 unsure, 7 failed"


def test_the_time_is_that_of_reading_and_a_share_of_classifying(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0, 0.3)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    _, shown = show_all([item(0), BAD, item(1)], classifier)

    assert [milliseconds for _, _, milliseconds in shown] == pytest.approx([1100, 102, 1100])


def test_tiles_are_saved_and_of_what_cannot_be_read_none(classifier: Classifier, tmp_path: Path) -> None:
    show_all([item(0), BAD, item(1)], classifier, save_tiles=tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png.png", "1.png.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "1.png.png")), TILES[1])


def test_progress_is_taken_away_before_lines_and_in_the_end(classifier: Classifier, capsys: pytest.CaptureFixture[str]) -> None:
    classify_all([item(0), item(1), BAD], classifier, lambda *_: None, progress=Progress(3), batch_size=2)

    clear = "\r\033[K"
    written = capsys.readouterr().err.split(clear)
    assert written[0] == ""
    assert written[1].startswith("\r[====================          ] 2/3, ")
    assert written[2].startswith("fmnist-edge: bad\\n.png: damaged\n\r[==============================] 3/3, ")
    assert written[3:] == [""]


def test_without_stdout_classifying_goes_on(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert show_all([item(0)], classifier)[0].failed == 0


def test_without_stderr_what_fails_is_not_among_the_output(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    assert show_all([BAD], classifier)[0].failed == 1
    assert capsys.readouterr().out == ""


def test_progress_says_how_many_are_done_and_how_many_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(4000)
    now = 102.0
    progress.advance(1000)
    progress.advance(2000)

    first, second = capsys.readouterr().err.split("\r")[1:]
    assert first == f"[{'=' * 7}{' ' * 23}] 1,000/4,000, 500 images/s "
    assert second == f"[{'=' * 22}{' ' * 8}] 3,000/4,000, 1,500 images/s "


def test_in_no_time_the_rate_is_no_infinity(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    Progress(2).advance(1)

    assert capsys.readouterr().err == "\r[===============               ] 1/2, 1,000 images/s "


def test_ctrl_c_waits_until_the_lines_are_whole() -> None:
    steps = []

    def write_lines() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("whole")
        steps.append("more")

    with pytest.raises(KeyboardInterrupt):
        write_lines()

    assert steps == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_ctrl_c_its_handler_is_as_it_was() -> None:
    with uninterrupted():
        pass

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("shoe.jpg", "shoe.jpg.png"),
        ("coats/1.jpg", "coats_1.jpg.png"),
        ("/tmp/a/../b.png", "tmp_b.png.png"),
        ("../../x.png", "x.png.png"),
        ("./tiles.npy[3]", "tiles.npy[3].png"),
        ("a//b.png", "a_b.png.png"),
        ("x" * 300, "x" * 200 + ".png"),
        ("x" * 200, "x" * 200 + ".png"),
        ("鞋" * 100, "鞋" * 66 + ".png"),
        (f"a{'鞋' * 90}.png", f"{'鞋' * 65}.png.png"),
    ],
)
def test_a_saved_tile_is_named_by_its_picture_and_its_folders(name: str, saved: str, tmp_path: Path) -> None:
    save_tile(TILES[0], tmp_path / f"{name_of_tile(name, {})}.png")

    (path,) = tmp_path.iterdir()
    assert path.name == saved
    assert Image.open(path).format == "PNG"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), TILES[0])


def test_a_tile_that_cannot_be_saved_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        save_tile(TILES[0], tmp_path / "gone" / "shoe.png")


SAME_WHEN_FLAT = [
    "a/1.jpg",
    "a_1.jpg",
    "A_1.jpg",
    "../a_1.jpg",
    "a/../a_1.jpg",
    "x/" * 150 + "y.png",
    "z/" + "x/" * 149 + "y.png",
]


def test_no_two_pictures_tiles_have_the_same_name() -> None:
    taken: dict[str, str] = {}

    names = [name_of_tile(name, taken) for name in SAME_WHEN_FLAT]

    assert names[0] == "a_1.jpg"
    assert names[4] == names[1]  # the same picture
    assert len({name.casefold() for name in names}) == len(names) - 1
    assert all(len(os.fsencode(name)) <= 240 for name in names)
    assert [name_of_tile(name, taken) for name in SAME_WHEN_FLAT] == names
