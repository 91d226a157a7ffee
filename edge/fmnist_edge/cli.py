"""The fmnist-edge command. Thin: each command imports what it needs when it runs, so that starting stays fast."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmnist_edge.errors import ModelError, reported, stop

if TYPE_CHECKING:
    from fmnist_edge.classifier import Prediction
    from fmnist_edge.sources import Item

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    # file names that are no UTF-8 are printed escaped instead of ending the program
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except ImportError as error:
        stop("fmnist-edge", f"{error.name or 'a package'} can't be imported; 'fmnist-edge doctor' says what to do", 3)


ModelOption = Annotated[
    Path | None, typer.Option(readable=False, help="A .tflite or .onnx file instead of the built-in int8 model.")
]


@app.callback()
def fmnist_edge() -> None:
    """Classify pictures of clothes on a small computer."""


@app.command()
@reported("fmnist-edge")
def classify(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.", metavar="PATH...", readable=False)],
    top_k: Annotated[int, typer.Option(min=1, max=10, help="How many classes to print for each picture.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object per picture.")] = False,
    model: Annotated[
        Path | None, typer.Option(readable=False, help="A .tflite or .onnx file instead of the built-in int8 model.")
    ] = None,
) -> None:
    """Say what is on each picture: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag or ankle boot.

    Exit status: 0 all classified, 1 some pictures failed (the others are printed), 2 usage, 3 the model is missing or damaged.
    """
    from fmnist_edge.classifier import Classifier, batches
    from fmnist_edge.runtime import quiet_stderr
    from fmnist_edge.sources import read_items

    with quiet_stderr():
        classifier = Classifier(model)
    failed = False
    for items in batches(read_items(paths)):
        predictions = iter(classifier.classify([item.tile for item in items if item.tile is not None]))
        for item in items:
            if item.tile is None:
                failed = True
                complain(f"{item.path}: {item.error}")
            show(item, next(predictions) if item.tile is not None else None, top_k, json)
    raise typer.Exit(1 if failed else 0)


def show(item: "Item", prediction: "Prediction | None", top_k: int, json: bool) -> None:
    if json:
        print(json_format.dumps(to_record(item, prediction, top_k)), flush=True)
    elif prediction is not None:
        classes = ", ".join(f"{label} {probability:.2f}" for label, probability in prediction.top(top_k))
        print(f"{item.path}: {classes}", flush=True)


def to_record(item: "Item", prediction: "Prediction | None", top_k: int) -> dict[str, Any]:
    if prediction is None:
        return {"path": str(item.path), "error": str(item.error)}
    return {
        "path": str(item.path),
        "class_id": prediction.class_id,
        "label": prediction.label,
        "confidence": round(prediction.confidence, 6),
        "top": [{"label": label, "confidence": round(p, 6)} for label, p in prediction.top(top_k)],
    }


@app.command()
@reported("fmnist-edge")
def verify(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the golden tiles beside the model and compare with the outputs that the workstation stored with them.

    Exit status: 0 the same, 2 usage, 3 not the same, or the model or its golden.npz is missing or damaged.
    """
    from dataclasses import asdict

    from fmnist_edge.runtime import quiet_stderr
    from fmnist_edge.verify import to_lines, verify

    with quiet_stderr():
        verdict = verify(model)
    print(json_format.dumps(asdict(verdict) | {"holds": verdict.holds}) if json else "\n".join(to_lines(verdict)), flush=True)
    if not verdict.holds:
        raise ModelError(verdict.complaint)


@app.command()
@reported("fmnist-edge")
def info(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the description as it stands in the file.")] = False,
) -> None:
    """Say what the model file says of itself. Needs no runtime.

    Exit status: 0 all is well, 2 usage, 3 the model is missing or damaged.
    """
    from fmnist_edge.info import to_lines
    from fmnist_edge.model import read_description

    path, content, description = read_description(model)
    print(json_format.dumps(description, indent=1) if json else "\n".join(to_lines(path, content, description)), flush=True)


@app.command()
@reported("fmnist-edge")
def doctor(model: ModelOption = None) -> None:
    """Look at all that classifying needs: each line is ok, or says what to do.

    Exit status: 0 classifying works, 2 usage, 3 it does not.
    """
    from fmnist_edge.doctor import examine

    healthy = True
    for state, part, text in examine(model):
        healthy = healthy and state != "problem"
        print(f"{state:8} {part:12} {text}", flush=True)
    if not healthy:
        stop("fmnist-edge", "classifying does not work here; mend what is marked as a problem, from the top", 3)


def complain(message: str) -> None:
    print(f"fmnist-edge: {message}", file=sys.stderr)
