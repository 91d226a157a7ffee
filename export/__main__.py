"""python -m export: from models/fmnist.keras to four artifacts, proven over all test images, with manifest and golden set."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from export import bundle, keras_model, parity, replace_folder
from export.check import check, judge, judge_witness
from export.errors import ExportError, ParityError, RoundingError
from export.keras_model import Mlp
from export.sign import SIGNATURE
from export.table import make_table
from fmnist_edge.bundle.manifest import FORMAT
from fmnist_edge.cli import commands
from fmnist_edge.contract import Probabilities, calibration_error, to_pixels
from fmnist_edge.errors import first_line, reported
from fmnist_edge.runtimes.formats import format_of
from fmnist_edge.runtimes.session import Session
from fmnist_edge.terminal import quiet_stderr
from train.dataset import Dataset, load
from train.keep import TEST_IMAGES, Score, find_worse, keep, label_of, say_kept, score_of, scores_of_photos

VERSIONS = ("tensorflow", "keras", "onnx", "tf2onnx", "ai-edge-litert", "onnxruntime")
RETRIES = 3
"""How many other roundings are tried for an int8 file that misses a gate; each takes a few seconds."""


@reported("export")
def main(
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The Keras model, from python -m train. If not given: models/fmnist.keras; with --check, that in --out.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the artifacts.", file_okay=False)] = Path("models"),
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder with the four Fashion-MNIST files.")] = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Write nothing; check that what is there is complete and does what it claims.")
    ] = False,
) -> None:
    """Export a Keras model to TFLite and ONNX, with proof.

    Writes float and int8 files in both formats, and only if they agree with the Keras model on all test images.

    \b
    Examples:
      python -m export
      python -m export --model build/quick/fmnist.keras --out build/quick
      python -m export --check
    """
    if only_check:
        print(make_table(check(out, model or out / "fmnist.keras", load(data_dir))))
        print(f"ok: {out} is complete, and does what its manifest says")
        return
    from export.report import make_report, prove, tolerances

    model = model or Path("models/fmnist.keras")
    mlp, training = keras_model.read(model)
    replace_folder.check_replaceable(out)
    dataset = load(data_dir)
    say("starting TensorFlow")
    answers = ask_keras(model, dataset)
    from export.by_tf2onnx import ask_witness

    for attempt in range(1 + RETRIES):
        say("converting")
        contents, int8_losses = convert(mlp, dataset, training, attempt)
        say(f"comparing with Keras over {len(dataset.test_images):,} test images")
        outputs = run(contents, dataset)
        figures = {name: parity.compare(answers, output, dataset.test_labels) for name, output in outputs.items()}
        witness = ask_witness(contents["fmnist-int8.tflite"], dataset.test_images)
        try:
            waived = judge(contents, outputs, figures, mlp, dataset.test_images, training.get("int8_waiver", ""))
            judge_witness(outputs["fmnist-int8.onnx"], witness)
            break
        except ParityError as error:
            if attempt == RETRIES or not isinstance(error, RoundingError):
                raise type(error)(f"{error}. Nothing was written") from None
            say(f"{error}. Trying another rounding, {attempt + 1} of {RETRIES}")

    say("comparing runtimes")
    measured = prove(contents, dataset, answers, outputs, figures, int8_losses)
    proof = {
        "golden.npz": bundle.pack_golden(dataset, {"reference": answers, **outputs}, tolerances(measured)),
        "parity.json": bundle.to_json(measured).encode(),
    }
    manifest = {
        "format": FORMAT,
        "training": training,
        "versions": {name: version(name) for name in VERSIONS},
        "reference": {
            "file": model.name,
            **bundle.fingerprint(model.read_bytes()),
            "accuracy": parity.accuracy(answers, dataset.test_labels),
            "calibration_error": calibration_error(answers.max(1), answers.argmax(1) == dataset.test_labels),
        },
        "gates": {dtype: asdict(gate) for dtype, gate in parity.GATES.items()},
        "waived": waived,
        "witness": {
            **parity.compare_witness(outputs["fmnist-int8.onnx"], witness),
            **asdict(parity.compare(answers, witness, dataset.test_labels)),
        },
        "files": {
            name: {
                **bundle.fingerprint(content),
                "format": name.rsplit(".", 1)[1],
                "dtype": bundle.ARTIFACTS[name],
                **asdict(figures[name]),
            }
            for name, content in contents.items()
        },
        "proof": {name: bundle.fingerprint(content) for name, content in proof.items()},
    }
    page = make_report(manifest, measured, dataset, answers, outputs)
    files = {**contents, **proof, **page, "manifest.json": bundle.to_json(manifest).encode()}
    kept = keep_better(out, manifest, files)
    say(f"writing {out}")
    replace_folder.write(out, files)
    print(make_table(manifest))
    for line in waived["missed"]:
        print(f"missed, and waived for this recipe: {line}\n  because {waived['reason']}")
    print(f"wrote {len(contents)} artifacts and their proof to {out}")
    if kept:
        say(kept)


def keep_better(out: Path, manifest: Mapping[str, Any], names: Iterable[str]) -> str:
    """Keeps a copy of the bundle that is about to be replaced, if its successor is worse; returns a message about it, or "".

    manifest: the successor's. names: of the files that are replaced.
    """
    try:
        old = json.loads((out / "manifest.json").read_text("utf-8"))
        worse = find_worse(scores_of(old), scores_of(manifest))
        label = label_of(old["training"], old["reference"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""  # there is none, or it is incomplete
    return say_kept(keep(out, [*names, SIGNATURE], label), worse) if worse else ""


def scores_of(manifest: Mapping[str, Any]) -> dict[str, Score]:
    files = {name: score_of(file["accuracy"], TEST_IMAGES) for name, file in manifest["files"].items()}
    return {**files, **scores_of_photos(manifest["training"])}


def ask_keras(model: Path, dataset: Dataset) -> Probabilities:
    """What Keras itself says of the test images: float32 (10000, 10)."""
    with quiet_stderr():
        import keras
    try:
        keras_model = keras.saving.load_model(model, compile=False)
    # Keras raises all kinds of exceptions for a broken file
    except Exception as error:
        raise ExportError(f"{model} is not a Keras model ({first_line(error)})") from None
    answers: Probabilities = keras_model.predict(to_pixels(dataset.test_images), batch_size=1000, verbose=0)
    return answers


def convert(
    mlp: Mlp, dataset: Dataset, training: dict[str, Any], attempt: int
) -> tuple[dict[str, bytes], dict[str, dict[str, float]]]:
    """The content of each artifact, with its self-description; and what each part of int8 loses. attempt: see ``quantize``."""
    from export.by_tf2onnx import to_float_onnx
    from export.quantize import losses, quantize
    from export.representative import choose_even, make_strange
    from export.to_onnx import to_int8_onnx
    from export.to_tflite import to_float_tflite, to_int8_tflite

    even = choose_even(dataset.train_images, dataset.train_labels)
    # the errors that count are rare: all images are asked about them
    int8 = quantize(mlp, dataset.train_images, make_strange(even), attempt)
    with quiet_stderr():
        float_tflite, int8_tflite = to_float_tflite(mlp), to_int8_tflite(int8.rounded, int8.ranges, even, mlp.sqrt_input)
        float_onnx = to_float_onnx(mlp)
    of_float, of_int8 = (bundle.describe(dtype, training) for dtype in ("float32", "int8"))
    contents = {
        "fmnist-float.tflite": bundle.attach_description(float_tflite, of_float),
        "fmnist-int8.tflite": bundle.attach_description(int8_tflite, of_int8),
        "fmnist-float.onnx": bundle.attach_onnx_description(float_onnx, of_float),
        "fmnist-int8.onnx": bundle.attach_onnx_description(to_int8_onnx(int8_tflite, mlp.sqrt_input), of_int8),
    }
    return contents, losses(int8, dataset.test_images)


def run(contents: Mapping[str, bytes], dataset: Dataset) -> dict[str, Probabilities]:
    """What each artifact says of the test images: float32 (10000, 10)."""
    with quiet_stderr():
        sessions: dict[str, Session] = {name: format_of(Path(name).suffix).open(content, 1) for name, content in contents.items()}
    return {name: session.probabilities(dataset.test_images) for name, session in sessions.items()}


def say(message: str) -> None:
    print(f"export: {message}", file=sys.stderr)


if __name__ == "__main__":
    commands.run(main, "export")
