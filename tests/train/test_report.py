"""The training report, by what it leaves in its folder: the page, its numbers and its pictures. Needs no TensorFlow."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import UsageError
from train.cutting import PhotoTiles
from train.dataset import Dataset
from train.history import Epoch
from train.report import PhotoAnswers, write_report

pytestmark = pytest.mark.slow

T_SHIRT, PULLOVER, COAT, SHIRT = (CLASSES.index(name) for name in ("T-shirt/top", "Pullover", "Coat", "Shirt"))

NOISE = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 10)  # ten images of each class, in order
DATASET = Dataset(NOISE[:30], LABELS[::-1][:30], NOISE, LABELS)
HISTORY = [Epoch(0.9, 0.7, 0.8, 0.72), Epoch(0.5, 0.8, 0.4321, 0.81), Epoch(0.3, 0.9, 0.6, 0.7654)]
DESCRIPTION = {
    "recipe": "by hand",
    "hidden": (64, 32),
    "epochs": 3,
    "seed": 7,
    "label_smoothing": 0.05,
    "versions": {"keras": "3"},
}
NO_DISPLAY = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def sure_of(answers: np.ndarray, confidence: float) -> np.ndarray:
    """Probabilities of a model that gives these answers, each with the same confidence."""
    probabilities = np.full((len(answers), len(CLASSES)), (1 - confidence) / 9, np.float32)
    probabilities[np.arange(len(answers)), answers] = confidence
    return probabilities


def six_mistakes() -> np.ndarray:
    """Three shirts are called T-shirt/top, one T-shirt/top is called a shirt, two coats are called pullovers."""
    answers = LABELS.astype(int)
    answers[[60, 61, 62]] = T_SHIRT
    answers[0] = SHIRT
    answers[[40, 41]] = PULLOVER
    return answers


def no_coat_recognized() -> np.ndarray:
    """Probabilities: all coats are called pullovers, with confidences from 35.4 to 98.7 %; the rest is right."""
    probabilities = sure_of(np.where(LABELS == COAT, PULLOVER, LABELS), 0.5)
    probabilities[:40] = sure_of(LABELS[:40], 0.77)
    probabilities[43] = sure_of(np.array([PULLOVER]), 0.987)
    probabilities[45] = sure_of(np.array([PULLOVER]), 0.354)
    return probabilities


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def write_example(folder: Path) -> None:
    write_report(folder, DATASET, HISTORY, sure_of(six_mistakes(), 0.9), DESCRIPTION)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "report"
    write_example(folder)
    return folder


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return one_line(report)


@pytest.fixture(scope="module")
def later_report(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another training's report in place of the first, where a user has put a file too: no history, and no coat is recognized."""
    folder = tmp_path_factory.mktemp("models") / "report"
    shutil.copytree(report, folder)
    (folder / "notes.txt").write_text("mine")
    write_report(folder, DATASET, [], no_coat_recognized(), DESCRIPTION)
    return folder


def one_line(report: Path) -> str:
    """The page as one line: where a sentence wraps is no matter."""
    return " ".join((report / "report.md").read_text("utf-8").split())


def test_every_picture_on_the_page_is_there_and_fits_a_readme(report: Path, page: str) -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    sizes = [Image.open(report / name).size for name in pictures]
    colors = [len(Image.open(report / name).convert("RGB").getcolors(1 << 20) or ()) for name in pictures]

    assert sorted([*pictures, "report.md"]) == sorted(contents(report))
    assert len(pictures) == 7
    assert all(600 <= width <= 900 and 300 <= height <= 1000 for width, height in sizes)
    assert all(count > 10 for count in colors)


def test_pictures_have_a_light_ground(report: Path) -> None:
    corners = {path.name: Image.open(path).convert("RGB").getpixel((0, 0)) for path in report.glob("*.png")}

    assert set(corners.values()) == {(255, 255, 255)}


def test_the_folder_is_small(report: Path) -> None:
    assert sum(map(len, contents(report).values())) < 600_000


def test_the_page_counts_right_answers(page: str) -> None:
    assert "Test accuracy: **94.00%**. Of 100 images that the model had never seen, it named 94 correctly" in page


def test_the_page_names_the_most_confused_pair(page: str) -> None:
    assert "most confused pair is T-shirt/top and Shirt, 4 of 6 mistakes" in page
    assert "T-shirt/top called Shirt 1 times, Shirt called T-shirt/top 3 times" in page


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [
        ("T-shirt/top", "75.0%", "90.0%"),  # 9 of the 12 called so; 9 of the 10 there are
        ("Pullover", "83.3%", "100.0%"),  # 10 of 12; 10 of 10
        ("Coat", "100.0%", "80.0%"),  # 8 of 8; 8 of 10
        ("Shirt", "87.5%", "70.0%"),  # 7 of 8; 7 of 10
        ("Bag", "100.0%", "100.0%"),
    ],
)
def test_the_page_has_precision_and_recall_of_each_class(page: str, name: str, precision: str, recall: str) -> None:
    assert f"| {name} | {precision} | {recall} |" in page


def test_a_class_that_is_never_named_has_no_precision(later_report: Path) -> None:
    assert "| Coat | - | 0.0% |" in one_line(later_report)


def test_the_page_says_how_far_confidence_and_accuracy_are_apart(page: str) -> None:
    """All answers are 90 % sure and 94 % are right."""
    assert "On average this model is 90.0% sure and 94.0% right" in page
    assert "weighted by the number of images: 0.040." in page


def test_the_calibration_error_is_weighted_by_how_many_answers_are_that_sure(later_report: Path) -> None:
    """Of 58 answers with 50 % 50 are right, of 40 with 77 % all, and neither of those with 98.7 and 35.4 %:
    (|29 - 50| + |30.8 - 40| + 0.987 + 0.354) / 100."""
    assert "weighted by the number of images: 0.315." in one_line(later_report)


def test_the_page_counts_the_wrong_ones_among_the_predictions_shown(page: str) -> None:
    assert "The first 15 test images." in page
    assert "red if wrong (1 of these)" in page


def test_the_page_says_how_sure_the_worst_mistakes_were(later_report: Path) -> None:
    assert "The 10 mistakes that the model was surest of, from 98.7% down to 35.4%." in one_line(later_report)


def test_the_page_finds_the_epoch_with_the_lowest_validation_loss(page: str) -> None:
    assert "The validation loss was lowest in epoch 2 of 3: 0.4321; after the last it was 0.6000." in page
    assert "the accuracy was 90.00% in training and 76.54% in validation" in page


def test_the_page_says_how_the_model_was_trained(report: Path) -> None:
    text = (report / "report.md").read_text("utf-8")

    assert (
        "| setting | value |\n|---|---|\n| recipe | by hand |\n| hidden | 64, 32 |\n| epochs | 3 |\n| seed | 7 |\n"
        "| label smoothing | 0.05 |\n\n" in text
    )


def test_the_page_shows_no_placeholder(page: str) -> None:
    assert not re.search(r"[{}]|\bnan\b|\bNone\b", page)


def test_without_a_history_there_are_no_curves_and_no_old_ones_stay(later_report: Path) -> None:
    assert not (later_report / "curves.png").exists()
    assert "epoch by epoch" not in one_line(later_report)


def test_one_epoch_without_a_mistake_makes_a_report_too(tmp_path: Path) -> None:
    write_report(tmp_path, DATASET, HISTORY[:1], sure_of(LABELS, 0.9), DESCRIPTION)

    assert "lowest in epoch 1 of 1: 0.8000" in one_line(tmp_path)
    assert "**100.00%**" in one_line(tmp_path)
    assert not (tmp_path / "mistakes.png").exists()


@pytest.mark.slow
def test_the_same_training_gives_the_same_bytes_without_a_display_and_whatever_style_the_user_has(
    report: Path, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: black\nfont.size: 20\nsavefig.dpi: 30\nbackend: tkagg\n")
    code = "import sys, test_report as t; t.write_example(t.Path('again')); sys.exit('matplotlib.pyplot' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=NO_DISPLAY, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "again") == contents(report)


@pytest.mark.slow
def test_ctrl_c_while_it_draws_leaves_the_old_report(later_report: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    shutil.copytree(later_report, folder)
    before = contents(folder)
    code = f"import test_report as t; t.write_example(t.Path({str(folder)!r}))"
    drawing = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, stderr=subprocess.PIPE, env=NO_DISPLAY)
    while not list(tmp_path.glob(".train-*/*.png")):
        assert drawing.poll() is None
        time.sleep(0.01)
    drawing.send_signal(signal.SIGINT)
    _, complaint = drawing.communicate(timeout=60)

    assert b"KeyboardInterrupt" in complaint
    assert contents(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_what_else_is_in_the_folder_stays(later_report: Path) -> None:
    assert (later_report / "notes.txt").read_text() == "mine"


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "report").touch()

    with pytest.raises(UsageError, match=r"report: the report can't be written \(File exists\)"):
        write_example(tmp_path / "report")


def twenty_photos() -> PhotoTiles:
    """Ten pants by one person, five shirts and five blouses by another, and a hat."""
    kinds = np.repeat(["Pants", "Shirt", "Blouse", "Hat"], [10, 5, 5, 1])
    accepted = np.zeros((len(kinds), len(CLASSES)), bool)
    accepted[:10, CLASSES.index("Trouser")] = True
    accepted[10:20, SHIRT] = True
    accepted[15:20, T_SHIRT] = True
    return PhotoTiles(NOISE[: len(kinds)], accepted, np.repeat([1, 2, 3], [10, 10, 1]), kinds)


def test_photos_are_counted_by_what_they_show_and_by_whose_they_are(tmp_path: Path) -> None:
    photos = twenty_photos()
    answers = np.repeat([CLASSES.index("Trouser"), T_SHIRT, CLASSES.index("Bag")], [10, 10, 1])
    probabilities = sure_of(answers, 0.9)
    probabilities[10:15] = sure_of(answers[10:15], 0.6)
    description = {**DESCRIPTION, "unsure": {"tile": 0.5, "photo": 0.7}}

    lying = sure_of(np.full(21, T_SHIRT), 0.6)
    lying[16:20] = sure_of(np.full(4, T_SHIRT), 0.8)
    lying[:1] = sure_of(np.array([CLASSES.index("Bag")]), 0.9)

    of_photos = PhotoAnswers(photos, probabilities, lying, 3)
    write_report(tmp_path / "report", DATASET, [], sure_of(LABELS, 0.9), description, of_photos)

    page = one_line(tmp_path / "report")
    assert "20 photos by 2 people" in page
    assert "**75.0%** are named rightly" in page
    few = (("Blouse", 5, 5, 5), ("Pants", 10, 0, 10), ("Shirt", 0, 0, 5))
    for kind, right, right_turned, of in few:
        shares = " | ".join(f"{hits} of {of} right, too few to say" for hits in (right, right_turned))
        assert f"| {kind} | {of} | {shares} |" in page
    assert "as if the garments lay on their side: 25.0% of all are right" in page
    assert "Of the tiles turned by 90 degrees, 25.0% are not marked, and 80.0% of these are right" in page
    assert "the trained model names 3 without a mark" in page
    assert "| 4 to 10 | 2 | 20 | 75.0% |" in page
    assert "75.0% are not marked, and 100.0% of these are right. Of 1 photos of other things" in page
    assert {"photos.png", "photo-reliability.png"} <= set(contents(tmp_path / "report"))


def test_without_photos_nothing_is_said_of_them(report: Path, page: str) -> None:
    assert "photos" not in page.lower()
    assert "photos.png" not in contents(report)
