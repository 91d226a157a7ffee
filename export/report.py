"""The parity report: what the export changed, in figures, pictures, and a page that explains them to beginners.

The outputs of Keras and of each artifact come in; parity.json and the files of the page go out. The template is report.md.in.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export import bare_runtimes, parity
from export.bundle import ARTIFACTS
from export.parity import Figures
from export.table import align, delta, make_table
from fmnist_edge.bundle.manifest import FORMAT
from fmnist_edge.contract import CLASSES, TIE, Probabilities, agreement, distance
from train.dataset import Dataset

MOVED = 16  # images in the picture of those that moved most
BARS = 3  # classes that it shows of each
EDGES = [0, *(10.0**k for k in range(-8, 1))]  # of the histogram of |Δp|
SHIPPED = "fmnist-int8.tflite"
BEFORE, AFTER = "tab:blue", "tab:orange"


def prove(
    contents: Mapping[str, bytes],
    dataset: Dataset,
    answers: Probabilities,
    outputs: Mapping[str, Probabilities],
    figures: Mapping[str, Figures],
    int8_losses: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """parity.json: all that was measured of each artifact over the test images.

    contents: of the artifacts. answers, outputs: float32 (N, 10), of Keras and of each artifact; figures: of each artifact;
    int8_losses: from ``quantize.losses``.
    """
    files = {
        name: {
            **asdict(figures[name]),
            "changes": parity.changes(answers, outputs[name], dataset.test_labels),
            "moved_most": np.argsort(-distance(answers, outputs[name]).max(1), kind="stable")[:MOVED].tolist(),
            "histogram": np.histogram(distance(answers, outputs[name]), EDGES)[0].tolist(),
            "runtimes": {
                runtime: compare_runtime(runtime, contents[name], dataset, answers, outputs[name], dtype)
                for runtime in bare_runtimes.runtimes_for(name)
            },
        }
        for name, dtype in ARTIFACTS.items()
    }
    return {
        "format": FORMAT,
        "images": len(dataset.test_images),
        "histogram_edges": EDGES,
        "tolerance": parity.TOLERANCE_RULE,
        "files": files,
        "int8_losses": int8_losses,
    }


def compare_runtime(
    runtime: str, content: bytes, dataset: Dataset, answers: Probabilities, default: Probabilities, dtype: str
) -> dict[str, Any] | None:
    """An artifact in one runtime, against the Keras model and against the artifact's default runtime; by TOLERANCE_RULE, how far
    this runtime's outputs may be from the golden ones. None where it is not on this machine."""
    if not bare_runtimes.is_here(runtime):
        return None
    found = bare_runtimes.run(runtime, content, dataset.test_images, dtype)
    difference = distance(found, default)
    most, mean = float(difference.max()), float(difference.mean())
    return {
        "version": bare_runtimes.version_of(runtime),
        "agreement_with_keras": agreement(answers, found),
        "max_dp_to_keras": float(np.abs(found - answers).max()),
        "agreement_with_default": agreement(default, found),
        "max_dp_to_default": most,
        "mean_dp_to_default": mean,
        "tolerance": max(2 * most, parity.ELSEWHERE[dtype]),
        "mean_tolerance": max(2 * mean, parity.MEAN_ELSEWHERE[dtype]),
    }


def tolerances(proof: dict[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """Of each artifact in each runtime, named as a device names it: of the largest difference, and of the mean.

    The larger ones where a runtime has several kernels: which it uses is its own affair (on some Pis XNNPACK is silently off).
    """
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in proof["files"]}
    for name, file in proof["files"].items():
        for runtime, row in file["runtimes"].items():
            if row is not None:
                device_name = f"{bare_runtimes.RUNTIMES[runtime][0]} {row['version']}"
                largest, mean = found[name].get(device_name, (0, 0))
                found[name][device_name] = max(row["tolerance"], largest), max(row["mean_tolerance"], mean)
    return found


def make_report(
    manifest: dict[str, Any],
    proof: dict[str, Any],
    dataset: Dataset,
    answers: Probabilities,
    outputs: Mapping[str, Probabilities],
) -> dict[str, bytes]:
    """The page and its pictures, by their paths in the bundle. The same input gives the same bytes; needs no display."""
    output = outputs[SHIPPED]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not in the user's own style
        matplotlib.rcParams["figure.constrained_layout.use"] = True
        pictures = {
            "parity-histogram": draw_histogram(proof),
            "parity-moved": draw_moved(proof["files"][SHIPPED]["moved_most"], dataset, answers, output),
            "parity-confusion": draw_confusion(dataset.test_labels, answers, output),
        }
        files = {f"report/{name}.png": to_png(figure) for name, figure in pictures.items()}
    return {**files, "report/parity.md": make_page(manifest, proof).encode()}


def make_page(manifest: dict[str, Any], proof: dict[str, Any]) -> str:
    """The page, in Markdown."""
    changes = proof["files"][SHIPPED]["changes"]
    template = Path(__file__).with_suffix(".md.in").read_text("utf-8")
    return template.format(
        table=make_table(manifest),
        more=more_figures(proof),
        losses=loss_table(proof["int8_losses"]),
        runtimes=runtime_table(proof),
        rule=proof["tolerance"],
        images=proof["images"],
        int8=proof["files"][SHIPPED],
        floats=proof["files"]["fmnist-float.tflite"],
        changed=len(changes),
        turned=turned_table(proof["files"][SHIPPED]),
        chance=parity.chance(proof["files"][SHIPPED]["only_keras_right"], proof["files"][SHIPPED]["only_artifact_right"]),
        least_chance=parity.LEAST_CHANCE,
        gate=parity.GATES["int8"],
        tie=TIE,
        witness=manifest["witness"],
        witness_delta=delta(manifest["witness"]["max_difference"], "int8"),
        steps=parity.WITNESS_STEPS,
        share=parity.WITNESS_SHARE,
        moved=MOVED,
        changes=change_table(changes),
    )


def to_png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=72, metadata={"Software": None})
    return file.getvalue()


def draw_histogram(proof: dict[str, Any]) -> Figure:
    """How many of all probabilities moved by how much: each artifact in its own panel."""
    figure = Figure((9, 4.5))
    names = ["0", *(f"1e{k}" for k in range(-8, 1))]
    for axes, (name, file) in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, proof["files"].items(), strict=True):
        bars = axes.bar(range(len(file["histogram"])), file["histogram"], width=1, align="edge", color=BEFORE, edgecolor="white")
        axes.bar_label(bars, [f"{count:,}" if count else "" for count in file["histogram"]], fontsize=7)
        axes.set_title(name, fontsize=10)
        axes.set(yscale="log", ylim=(0.5, 2e6), xlim=(0, len(file["histogram"])))
        axes.set_xticks(range(len(names)), names, fontsize=8)
    figure.supxlabel("|Δp|", fontsize=10)
    figure.supylabel("probabilities", fontsize=10)
    return figure


def draw_moved(numbers: Sequence[int], dataset: Dataset, answers: Probabilities, output: Probabilities) -> Figure:
    figure = Figure((9, 7))
    cells = figure.subplots(4, 8, width_ratios=[1, 1.3] * 4).reshape(-1, 2)
    for (picture, bars), i in zip(cells, numbers, strict=True):
        picture.imshow(dataset.test_images[i], "gray_r", vmin=0, vmax=255)
        picture.set_title(f"no. {i}:\n{CLASSES[dataset.test_labels[i]]}", fontsize=8)
        picture.set_axis_off()
        best = np.argsort(-np.maximum(answers[i], output[i]), kind="stable")[:BARS]
        places = np.arange(len(best))
        bars.barh(places - 0.2, answers[i, best], 0.4, color=BEFORE, label="Keras")
        bars.barh(places + 0.2, output[i, best], 0.4, color=AFTER, label="int8")
        bars.set_yticks(places, [CLASSES[k] for k in best], fontsize=7)
        bars.set(xlim=(0, 1), ylim=(len(best) - 0.5, -0.5), xticks=[])
        bars.spines[["top", "right", "bottom"]].set_visible(False)
    figure.legend(*cells[0, 1].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def draw_confusion(labels: NDArray[np.uint8], answers: Probabilities, output: Probabilities) -> Figure:
    """int8's confusion matrix minus Keras'."""
    change = np.zeros((len(CLASSES), len(CLASSES)), int)
    np.add.at(change, (labels, output.argmax(1)), 1)
    np.subtract.at(change, (labels, answers.argmax(1)), 1)
    figure = Figure((7, 5))
    axes, most = figure.subplots(), max(int(np.abs(change).max()), 1)
    axes.imshow(change, "PuOr_r", vmin=-2 * most, vmax=2 * most, aspect="auto")
    for (row, column), number in np.ndenumerate(change):
        if number:
            axes.text(column, row, f"{number:+}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(CLASSES)), CLASSES, fontsize=8)
    axes.set(xlabel="what the model says", ylabel="what it is")
    return figure


def more_figures(proof: dict[str, Any]) -> str:
    rows = [("file", "images of another class", "mean Δp", "mean KL divergence", "calibration error")]
    for name, file in proof["files"].items():
        figures = (f"{file['mean_dp']:.1e}", f"{file['mean_kl']:.1e}", f"{file['calibration_error']:.4f}")
        rows.append((name, str(len(file["changes"])), *figures))
    return align(rows)


def loss_table(losses: Mapping[str, Mapping[str, float]]) -> str:
    rows = [("rounded", "agreement", "largest Δp", "Δp (rms)")]
    for part, row in losses.items():
        rows.append((part, f"{row['top1_agreement']:.2%}", f"{row['max_dp']:.3f}", f"{row['rms_dp']:.5f}"))
    return align(rows)


def runtime_table(proof: dict[str, Any]) -> str:
    rows = [["file", "runtime", "same class as Keras", "as the default", "largest Δp to the default", "tolerance"]]
    for name, file in proof["files"].items():
        for runtime, row in file["runtimes"].items():
            if row is None:
                rows.append([name, runtime, "not measured here", "", "", ""])
                continue
            shares = [f"{row[key]:.2%}" for key in ("agreement_with_keras", "agreement_with_default")]
            deltas = [delta(row[key], ARTIFACTS[name]) for key in ("max_dp_to_default", "tolerance")]
            rows.append([name, f"{runtime} {row['version']}", *shares, *deltas])
    return align(rows)


def turned_table(file: Mapping[str, Any]) -> str:
    return align(
        [
            ("images", "int8 right", "int8 wrong"),
            ("Keras right", str(file["both_right"]), str(file["only_keras_right"])),
            ("Keras wrong", str(file["only_artifact_right"]), str(file["both_wrong"])),
        ]
    )


def change_table(changes: Sequence[Mapping[str, Any]]) -> str:
    head = ["image", "what it is", "Keras said", "int8 says"]
    return align([head, *([str(value) for value in change.values()] for change in changes)])
