"""The training report: what the data look like, how the training went, and where the model is right, wrong, or too sure.

The input is a data set, the scores of each epoch and the model's outputs. The output is a folder with pictures and report.md.
Each draw_ function returns a picture and its numbers, which the template train/report.md.in explains to a beginner.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fmnist_edge.contract import CALIBRATION_BINS as BINS
from fmnist_edge.contract import CLASSES, Probabilities, calibration_error, confidence_bins
from fmnist_edge.errors import UsageError
from train.arrays import Labels
from train.calibrate import accepts, judge_photos
from train.cutting import PhotoTiles
from train.dataset import Dataset
from train.history import Epoch, best_epoch
from train.photos import FEW, tell

RIGHT, WRONG, OTHER = "tab:blue", "tab:red", "silver"

SIZES = ((1, 3), (4, 10), (11, 30), (31, 100), (101, np.inf))
"""Groups of contributors, by how many photos they have: from, to."""

Drawn = tuple[Figure, dict[str, Any]]


@dataclass(frozen=True)
class PhotoAnswers:
    """What is said of photos, and by models that learned from none by the same person. They are not shown: they are not ours."""

    photos: PhotoTiles
    upright: Probabilities
    """float32 (N, 10)."""
    turned: Probabilities
    """The same of the photos' tiles turned by 90 degrees."""
    scenes_named: int
    """How many of a hundred scenes without a garment the trained model names without a doubt."""


def write_report(
    folder: Path,
    dataset: Dataset,
    history: Sequence[Epoch],
    probabilities: Probabilities,
    description: Mapping[str, Any],
    of_photos: PhotoAnswers | None = None,
) -> None:
    """Writes pictures and report.md into the folder. The same input gives the same bytes. Raises UsageError if it can't write.

    probabilities: float32 (N, 10), the trained model's outputs for the test images. Without a history there are no curves.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".train-", dir=folder.parent) as scratch, matplotlib.rc_context():
            matplotlib.rcdefaults()  # ignores the user's own style
            matplotlib.rcParams["figure.constrained_layout.use"] = True
            drawn = {
                "image": draw_image(dataset),
                "images": draw_images(dataset),
                "confusion": draw_confusion(dataset.test_labels, probabilities),
                "predictions": draw_predictions(dataset, probabilities),
                "reliability": draw_reliability(dataset.test_labels, probabilities),
                **({"curves": draw_curves(history)} if history else {}),
                **(draw_photos(of_photos, description["unsure"]["photo"]) if of_photos else {}),
            }
            drawn |= {"mistakes": draw_mistakes(dataset, probabilities)} if drawn["confusion"][1]["mistakes"] else {}
            for name, (figure, _) in drawn.items():
                figure.savefig(Path(scratch) / f"{name}.png", metadata={"Software": None})
            numbers = {key: value for _, of_picture in drawn.values() for key, value in of_picture.items()}
            (Path(scratch) / "report.md").write_text(fill_page(numbers, description, set(drawn)), "utf-8")
            # the page is removed first and added last, so it never stands beside another training's pictures
            for name in ("report.md", "curves.png", "mistakes.png", "photos.png", "photo-reliability.png"):
                (folder / name).unlink(missing_ok=True)
            for file in sorted(Path(scratch).iterdir(), key=lambda file: file.name == "report.md"):
                file.replace(folder / file.name)
    except OSError as error:
        raise UsageError(f"{folder}: the report can't be written ({error.strerror})") from None


def fill_page(numbers: Mapping[str, Any], description: Mapping[str, Any], pictures: set[str]) -> str:
    """The template with its numbers, without the sections that have no picture."""
    start, *sections = Path(__file__).with_suffix(".md.in").read_text("utf-8").split("\n## ")
    kept = [section for section in sections if any(f"({name}.png)" in section for name in pictures)]
    # nested values (checksums, versions) are in the model's own description
    settings = {name: value for name, value in description.items() if not isinstance(value, Mapping) and value not in ("", None)}
    texts = [", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value) for value in settings.values()]
    rows = [f"| {name.replace('_', ' ')} | {text} |" for name, text in zip(settings, texts, strict=True)]
    return "\n## ".join([start, *kept]).format(**numbers, settings="\n".join(rows))


def show(axes: Axes, image: NDArray[np.uint8], label: int, row: Probabilities | None = None) -> None:
    """Draws the image, titled with its class; with its probabilities, also with the answer: blue if right, red if wrong."""
    title = CLASSES[label] if row is None else f"{CLASSES[row.argmax()]} {row.max():.0%}\n({CLASSES[label]})"
    axes.set_title(title, fontsize=9, color="black" if row is None else RIGHT if row.argmax() == label else WRONG)
    axes.imshow(image, "gray_r", vmin=0, vmax=255)
    axes.set_axis_off()


def draw_image(dataset: Dataset) -> Drawn:
    figure, image, label = Figure((6, 4.4)), dataset.train_images[0], dataset.train_labels[0]
    figure.colorbar(figure.subplots().imshow(image, "gray_r", vmin=0, vmax=255), ticks=np.linspace(0, 255, 6))
    return figure, {"first_label": label, "first_name": CLASSES[label], "shape": image.shape}


def draw_images(dataset: Dataset) -> Drawn:
    figure = Figure((9, 9.6))
    for axes, image, label in zip(figure.subplots(5, 5).flat, dataset.train_images, dataset.train_labels, strict=False):
        show(axes, image, label)
    return figure, {"training_images": len(dataset.train_images)}


def draw_curves(history: Sequence[Epoch]) -> Drawn:
    figure, epochs = Figure((9, 4)), np.arange(1, len(history) + 1)
    best = best_epoch(history)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        training, validation = (np.array([getattr(e, which + name) for e in history]) for which in ("", "validation_"))
        worse = validation > training if name == "loss" else validation < training
        axes.plot(epochs, training, ".-", color=RIGHT, label="training")
        axes.plot(epochs, validation, ".-", color="tab:orange", label="validation")
        axes.fill_between(epochs, training, validation, worse, interpolate=True, color=WRONG, alpha=0.15, label="over-fitting")
        axes.axvline(best, color="gray", linestyle="--", label=f"lowest validation loss: epoch {best}")
        axes.set(title=name.capitalize(), xlabel="epoch")
        axes.locator_params(axis="x", integer=True)
        axes.legend(fontsize=8)
    return figure, {"best_epoch": best, "best": history[best - 1], "epochs": len(history), "last": history[-1]}


def draw_confusion(labels: Labels, probabilities: Probabilities) -> Drawn:
    figure, count = Figure((9, 7)), len(CLASSES)
    confusion = np.bincount(labels * np.intp(count) + probabilities.argmax(1), minlength=count**2).reshape(count, count)
    axes, diagonal, right = figure.subplots(), np.eye(count, dtype=bool), int(confusion.trace())
    for hidden, colors in ((~diagonal, "Blues"), (diagonal, "Reds")):
        # the upper half of these colours is too dark for black digits
        most = max(int(confusion[~hidden].max()), 1)
        axes.imshow(np.where(hidden, np.nan, confusion), colors, vmin=0, vmax=2 * most, aspect="auto")
    for (row, column), number in np.ndenumerate(confusion):
        axes.text(column, row, str(number), ha="center", va="center", color="black" if number else OTHER)
    axes.set_xticks(range(count), CLASSES, rotation=40, ha="right")
    axes.set_yticks(range(count), CLASSES)
    axes.set(xlabel="what the model says", ylabel="what it is")
    both_ways = np.triu(confusion + confusion.T, 1)
    one, other = np.unravel_index(both_ways.argmax(), both_ways.shape)
    shares = [[f"{r / n:.1%}" if n else "-" for r, n in zip(confusion.diagonal(), confusion.sum(a), strict=True)] for a in (0, 1)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in zip(CLASSES, *shares, strict=True))
    test = {"images": len(labels), "right": right, "accuracy": right / len(labels), "guessing": 1 / count}
    pair = {"pair": (CLASSES[one], CLASSES[other]), "there": confusion[one, other], "back": confusion[other, one]}
    return figure, {**test, **pair, "pair_mistakes": both_ways.max(), "mistakes": len(labels) - right, "classes": table}


def draw_predictions(dataset: Dataset, probabilities: Probabilities) -> Drawn:
    figure, wrong, classes = Figure((9, 8.5)), 0, np.arange(len(CLASSES))
    cells = figure.subplots(5, 6).reshape(-1, 2)
    for (picture, bars), image, label, row in zip(cells, dataset.test_images, dataset.test_labels, probabilities, strict=False):
        wrong += row.argmax() != label
        show(picture, image, label, row)
        colors = np.where(classes == label, RIGHT, np.where(classes == row.argmax(), WRONG, OTHER))
        bars.barh(classes, row, color=colors)
        bars.set_yticks(classes, CLASSES, fontsize=7)
        bars.set(xlim=(0, 1), ylim=(len(CLASSES) - 0.5, -0.5), xticks=[])
        bars.spines[["top", "right", "bottom"]].set_visible(False)
    return figure, {"shown": min(len(cells), len(probabilities)), "shown_wrong": wrong}


def draw_mistakes(dataset: Dataset, probabilities: Probabilities) -> Drawn:
    figure, wrong = Figure((9, 3.2)), np.flatnonzero(probabilities.argmax(1) != dataset.test_labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:16]
    for i, number in enumerate(surest, start=1):
        show(figure.add_subplot(2, 8, i), dataset.test_images[number], dataset.test_labels[number], probabilities[number])
    most, *_, least = probabilities[surest].max(1).repeat(2)
    return figure, {"surest": len(surest), "most_sure": most, "least_sure": least}


def draw_reliability(labels: Labels, probabilities: Probabilities) -> Drawn:
    confidence = probabilities.max(1)
    figure = Figure((9, 6))
    error = draw_bars(figure, confidence, probabilities.argmax(1) == labels)
    return figure, {"confidence": confidence.mean(), "calibration_error": error}


def draw_bars(figure: Figure, sureness: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Draws how often answers of similar confidence were right. Returns the calibration error."""
    confidence, error = sureness.astype(np.float64), calibration_error(sureness, right)
    bins = confidence_bins(confidence)
    sizes, sure, got = (np.bincount(bins, weights, BINS) for weights in (None, confidence, right))
    some = np.where(sizes, sizes, np.nan)
    place = {
        "x": np.arange(BINS) / BINS,
        "width": 1 / BINS,
        "align": "edge",
        "edgecolor": "white",
    }
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.bar(height=got / some, color=RIGHT, label="how often it is right", **place)
    top.hlines(
        sure / some,
        np.arange(BINS) / BINS,
        np.arange(1, BINS + 1) / BINS,
        WRONG,
        linewidth=3,
        label="how sure it is",
    )
    top.set(title=f"Expected calibration error: {error:.3f}", ylabel="how often it is right", xlim=(0, 1), ylim=(0, 1))
    top.legend()
    bottom.bar_label(bottom.bar(height=sizes, color=OTHER, **place), fmt="{:,.0f}", fontsize=8)
    bottom.set(xlabel="how sure the model is", ylabel="images", ylim=(0, 1.25 * sizes.max()))
    return error


def draw_photos(answers: PhotoAnswers, sure_from: float) -> dict[str, Drawn]:
    """Draws the answers to photos by what they show and by contributor, and their reliability.

    sure_from: the confidence below which an answer is unsure.
    """
    photos, probabilities = answers.photos, answers.upright
    clothes, said, right = photos.accepted.sum(1) > 0, probabilities.argmax(1), accepts(photos.accepted, probabilities)
    kinds = sorted(np.unique(photos.kinds), key=lambda kind: (not clothes[photos.kinds == kind].any(), str(kind)))
    counts = np.array([np.bincount(said[photos.kinds == kind], minlength=len(CLASSES)) for kind in kinds])
    accepted = np.array([photos.accepted[photos.kinds == kind].sum(0) > 0 for kind in kinds])
    matrix = Figure((9, 1.5 + 0.35 * len(kinds)))
    axes = matrix.subplots()
    share = counts / counts.sum(1, keepdims=True)
    for hidden, colors in ((~accepted, "Blues"), (accepted, "Reds")):
        axes.imshow(np.where(hidden, np.nan, share), colors, vmin=0, vmax=2, aspect="auto")
    for (row, column), number in np.ndenumerate(counts):
        axes.text(column, row, str(number), ha="center", va="center", color="black" if number else OTHER)
    axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=40, ha="right")
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set(xlabel="what the model says", ylabel="what the photo shows")
    reliability = Figure((9, 6))
    draw_bars(reliability, probabilities.max(1)[clothes], right[clothes])
    names, places, sizes = np.unique(photos.contributors[clothes], return_inverse=True, return_counts=True)
    size = sizes[places]
    by_size = [
        [f"{low} to {high}" if high < np.inf else f"{low} or more", len(np.unique(names[(sizes >= low) & (sizes <= high)])),
         *rates(right[clothes], (size >= low) & (size <= high))]
        for low, high in SIZES
    ]  # fmt: skip
    right_turned = accepts(photos.accepted, answers.turned)
    rows = [
        [kind, *rates(right, photos.kinds == kind), rates(right_turned, photos.kinds == kind)[1]]
        for kind, some in zip(kinds, accepted, strict=True) if some.any()
    ]  # fmt: skip
    numbers = {
        "of_photos": judge_photos(photos.accepted, probabilities, sure_from),
        "of_turned": judge_photos(photos.accepted, answers.turned, sure_from),
        "scenes_named": answers.scenes_named,
        "contributors": len(names),
        "photo_sure_from": sure_from,
        "photo_kinds": to_rows(rows),
        "photo_sizes": to_rows(by_size),
    }
    return {"photos": (matrix, numbers), "photo-reliability": (reliability, {})}


def rates(right: NDArray[np.bool_], part: NDArray[np.bool_]) -> list[object]:
    """The number of photos, and the share that is right; instead of a share, a count if there are few photos."""
    count, hits = int(part.sum()), int(right[part].sum())
    return [count, f"{hits / count:.1%}" if count >= FEW else tell(hits, count) if count else "-"]


def to_rows(rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
