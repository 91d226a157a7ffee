"""The fmnist-edge command. Thin: each command imports what it needs when it runs, so that starting stays fast."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmnist_edge.errors import reported

if TYPE_CHECKING:
    from fmnist_edge.classifier import Prediction
    from fmnist_edge.sources import Item

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    # file names that are no UTF-8 are printed escaped instead of ending the program
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app()


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


ModelOption = Annotated[
    Path | None, typer.Option(readable=False, help="A .tflite or .onnx file instead of the built-in int8 model.")
]


@app.command()
@reported("fmnist-edge")
def explain(
    photo: Annotated[Path, typer.Argument(help="A picture.", metavar="PHOTO", readable=False)],
    out: Annotated[
        Path | None, typer.Option(readable=False, help="The .png to write; NAME-explained.png in this folder if not given.")
    ] = None,
    model: ModelOption = None,
) -> None:
    """Draw one picture that explains an answer: the photo, the garment found in it, the tile, and ten bars.

    Exit status: 0 drawn, 1 the photo can't be read or the picture not be written, 2 usage, 3 the model is missing or damaged.
    """
    from fmnist_edge.classifier import Classifier
    from fmnist_edge.explain import explain
    from fmnist_edge.runtime import quiet_stderr

    with quiet_stderr():
        classifier = Classifier(model)
    out = out or Path(f"{photo.stem}-explained.png")
    prediction, sure = explain(photo, out, classifier)
    print(f"{out}: {prediction.label}{'' if sure else '?'} {prediction.confidence:.2f}", flush=True)


@app.command()
@reported("fmnist-edge")
def bench(
    model: ModelOption = None,
    photo: Annotated[Path | None, typer.Option(readable=False, help="The photo to use; a drawn one if not given.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, help="Try 1 to N threads; as many as there are cores, at most 4, if not given.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long each step is repeated.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; times in milliseconds.")] = False,
) -> None:
    """Time each step from a photo to a prediction on this device; also start, memory, threads, temperature and throttling.

    Exit status: 0 measured, 1 the photo can't be used, 2 usage, 3 the model is missing or damaged.
    """
    from fmnist_edge.bench import measure, report

    def tell(step: str) -> None:
        if sys.stderr is not None and sys.stderr.isatty():
            print(f"\r\033[K{step}", end="", file=sys.stderr, flush=True)

    try:
        result = measure(model, photo, threads, seconds, tell)
    finally:
        tell("")
    print(json_format.dumps(result) if json else report(result), flush=True)


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


def complain(message: str) -> None:
    print(f"fmnist-edge: {message}", file=sys.stderr)
