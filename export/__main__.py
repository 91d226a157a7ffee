"""python -m export: from models/fmnist.keras to four artifacts, proven over all test images, with manifest and golden set."""

import json
import os
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from export import bundle, parity, swap
from export.errors import ExportError, ParityError
from export.parity import Figures, Probabilities
from fmnist_edge.errors import reported
from fmnist_edge.model import DESCRIPTION, FORMAT
from fmnist_edge.runtime import OnnxSession, Session, TFLiteSession, first_line, quiet_stderr, to_pixels
from train.dataset import Dataset, load

REPRESENTATIVE_PER_CLASS = 1000
TIMED_RUNS = 500
WAIVED_AT_MOST = 0.01
"""How far the accuracy (1 is all) of an int8 file may be off even where its gates are waived."""


@reported("export")
def main(
    model: Annotated[Path, typer.Option(help="The Keras model, from python -m train.")] = Path("models/fmnist.keras"),
    out: Annotated[Path, typer.Option(help="The folder for the artifacts.", file_okay=False)] = Path("models"),
    data_dir: Annotated[Path | None, typer.Option(help="A folder that has the four Fashion-MNIST files.")] = None,
) -> None:
    """Export a Keras model to float and int8 TFLite and ONNX, and prove that they agree with it on all test images."""
    training = read_training(model)
    swap.check_replaceable(out)
    dataset = load(data_dir)
    say("starting TensorFlow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras
    try:
        keras_model = keras.saving.load_model(model, compile=False)
    # Keras lets through whatever a broken file makes it raise
    except Exception as error:
        raise ExportError(f"{model} is no Keras model ({first_line(error)})") from None

    say("converting")
    with quiet_stderr():
        contents = convert(keras_model, dataset, training)
        sessions: dict[str, Session] = {
            name: TFLiteSession(content) if name.endswith(".tflite") else OnnxSession(content)
            for name, content in contents.items()
        }

    say(f"comparing with Keras over {len(dataset.test_images):,} test images")
    reference = keras_model.predict(to_pixels(dataset.test_images), batch_size=1000, verbose=0)
    outputs = {name: session.probabilities(dataset.test_images) for name, session in sessions.items()}
    figures = {name: parity.compare(reference, output, dataset.test_labels) for name, output in outputs.items()}
    waived = judge(figures, outputs, training.get("int8_waiver", ""))

    golden = bundle.choose_golden(dataset.test_labels)
    manifest = {
        "format": FORMAT,
        "training": training,
        "versions": {name: version(name) for name in ("tensorflow", "keras", "onnx", "ai-edge-litert", "onnxruntime")},
        "reference": {
            "file": model.name,
            "sha256": sha256(model.read_bytes()).hexdigest(),
            "accuracy": parity.accuracy(reference, dataset.test_labels),
            "calibration_error": parity.calibration_error(reference, dataset.test_labels),
        },
        "gates": {dtype: asdict(gate) for dtype, gate in parity.GATES.items()},
        "waived": waived,
        "files": {
            name: {
                "bytes": len(content),
                "sha256": sha256(content).hexdigest(),
                "format": name.rsplit(".", 1)[1],
                "dtype": bundle.ARTIFACTS[name],
                **asdict(figures[name]),
            }
            for name, content in contents.items()
        },
    }
    arrays = {"tiles": dataset.test_images, "labels": dataset.test_labels, "reference": reference, **outputs}
    table = make_table(model, manifest, {name: microseconds(session, dataset.test_images) for name, session in sessions.items()})
    swap.write(
        out,
        contents
        | {
            "golden.npz": bundle.pack_golden({name: array[golden] for name, array in arrays.items()}),
            "parity.md": table.encode(),
            "manifest.json": bundle.to_json(manifest).encode(),
        },
    )
    print(table)
    for line in waived["missed"]:
        print(f"missed, and waived for this recipe: {line}\n  because {waived['reason']}")
    print(f"wrote {len(contents)} artifacts, manifest.json and golden.npz to {out}")


def read_training(model: Path) -> dict[str, Any]:
    """What `python -m train` wrote into the .keras file of how it trained; says so for a model from elsewhere."""
    try:
        with zipfile.ZipFile(model) as archive:
            training: dict[str, Any] = json.loads(archive.read(DESCRIPTION))["training"]
            return training
    except FileNotFoundError:
        raise ExportError(f"there is no {model}; 'make train' makes it") from None
    except (zipfile.BadZipFile, OSError, ValueError, TypeError) as error:
        raise ExportError(f"{model} is no Keras model ({error})") from None
    except KeyError:
        return {"recipe": "unknown: not trained by python -m train"}


def choose_representative(tiles: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The tiles that int8 is fitted to: uint8 (10000, 28, 28), drawn with a fixed seed, the same number of each class."""
    random = np.random.default_rng(0)
    chosen = [
        random.choice(np.flatnonzero(labels == class_id), REPRESENTATIVE_PER_CLASS, replace=False) for class_id in range(10)
    ]
    representative: NDArray[np.uint8] = tiles[np.sort(np.concatenate(chosen))]
    return representative


def convert(keras_model: Any, dataset: Dataset, training: dict[str, Any]) -> dict[str, bytes]:
    """The content of each artifact, with its self-description."""
    from export.quantize import choose_ranges, round_weights
    from export.to_onnx import to_float_onnx, to_int8_onnx
    from export.to_tflite import dense_layers, to_float_tflite, to_int8_tflite

    layers = dense_layers(keras_model)
    representative = choose_representative(dataset.train_images, dataset.train_labels)
    rounded = round_weights(layers, representative)
    ranges = choose_ranges(layers, rounded, representative)
    flatbuffers = {"float32": to_float_tflite(layers), "int8": to_int8_tflite(rounded, ranges, representative)}
    onnx = {"float32": to_float_onnx(layers), "int8": to_int8_onnx(flatbuffers["int8"])}
    contents = {}
    for name, dtype in bundle.ARTIFACTS.items():
        description = bundle.describe(dtype, training)
        if name.endswith(".tflite"):
            contents[name] = bundle.attach_description(flatbuffers[dtype], description)
        else:
            contents[name] = bundle.attach_onnx_description(onnx[dtype], description)
    return contents


def judge(figures: Mapping[str, Figures], outputs: Mapping[str, Probabilities], int8_waiver: str) -> dict[str, Any]:
    """The gates that were missed but are waived, with the recipe's reason. Raises ParityError for any other that was missed."""
    broken: dict[str, list[str]] = {"float32": [], "int8": []}
    for name, dtype in bundle.ARTIFACTS.items():
        broken[dtype] += parity.broken_gates(name, dtype, figures[name])
    most_lost = max(abs(figures[name].accuracy_difference) for name in bundle.ARTIFACTS)
    waived = broken["int8"] if int8_waiver and most_lost <= WAIVED_AT_MOST else []
    fatal = [*broken["float32"], *(broken["int8"] if not waived else []), *parity.broken_int8_twins(outputs)]
    if fatal:
        raise ParityError("; ".join(fatal) + ". Nothing was written")
    return {"missed": waived, "reason": int8_waiver if waived else ""}


def microseconds(session: Session, tiles: NDArray[np.uint8]) -> float:
    """Median time of one image by itself, through ``fmnist_edge.runtime``."""
    times = []
    for number in range(TIMED_RUNS):
        began = time.perf_counter_ns()
        session.probabilities(tiles[number : number + 1])
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times)) / 1000


def make_table(model: Path, manifest: dict[str, Any], times: Mapping[str, float]) -> str:
    """The figures as Markdown that is readable as it is. Difference is in points, against the Keras model."""
    rows = [
        ("file", "KB", "accuracy", "difference", "agreement", "largest Δp", "µs per image"),
        (
            model.name,
            f"{model.stat().st_size / 1000:.0f}",
            f"{manifest['reference']['accuracy']:.2%}",
            "-",
            "-",
            "-",
            "-",
        ),
    ]
    rows += [
        (
            name,
            f"{file['bytes'] / 1000:.0f}",
            f"{file['accuracy']:.2%}",
            f"{100 * file['accuracy_difference']:+.2f}",
            f"{file['top1_agreement']:.2%}",
            f"{file['max_dp']:.1g}" if file["max_dp"] < 0.001 else f"{file['max_dp']:.3f}",
            f"{times[name]:.0f}",
        )
        for name, file in manifest["files"].items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    limits = [
        f"{dtype} {gate.accuracy_points:.2f} points, {gate.top1_agreement:.1%}, Δp {gate.max_dp:g}"
        for dtype, gate in parity.GATES.items()
    ]
    return "\n".join([*lines, "", f"Limits: {'; '.join(limits)}.", ""])


def say(message: str) -> None:
    print(f"export: {message}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
