"""The fmnist-edge command. Thin: each command imports what it needs when it runs, so that starting stays fast."""

import gc
import sys
import warnings
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from fmnist_edge.cli_camera import camera
from fmnist_edge.cli_options import Input, LanguageOption, MinConfidenceOption, ModelOption
from fmnist_edge.errors import ModelError, UsageError, reported, stop

MANY = 100
"""More pictures get a progress bar, on a terminal."""

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    gc.disable()  # there is no garbage in what commands import, and looking for it takes a twentieth of the start
    # file names that are no UTF-8 are printed escaped instead of ending the program
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.simplefilter("ignore")  # Pillow's, of odd files; what matters is raised
    try:
        app()
    except ImportError as error:
        stop("fmnist-edge", f"{error.name or 'a package'} can't be imported; 'fmnist-edge doctor' says what to do", 3)
    finally:
        gc.freeze()  # nor does Python look through it all at the end, which would take a tenth of the whole


@app.callback()
def fmnist_edge() -> None:
    """Classify pictures of clothes on a small computer."""


@app.command()
@reported("fmnist-edge")
def classify(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders, ZIP archives of pictures, tiles as .npy, .npz or IDX; '-': a list of paths on stdin.",
            metavar="PATH...",
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Look into the folders of folders too.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Classify the picture whose bytes come on stdin.")] = False,
    input: Annotated[Input, typer.Option(help="What pictures are: 28x28 tiles of Fashion-MNIST, photos, or find out.")] = "auto",
    top_k: Annotated[int, typer.Option(min=1, max=10, help="How many classes to print for each picture.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object per picture.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line per picture.")] = False,
    all: Annotated[bool, typer.Option("--all", help="With --json or --csv: the probabilities of all classes too.")] = False,
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    save_tiles: Annotated[
        Path | None, typer.Option(help="Write what the model was shown, as 28x28 PNG files.", metavar="DIR", file_okay=False)
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that read pictures; worth it for many photos.")] = 1,
    max_pixels: Annotated[int, typer.Option(min=1, max=178_000_000, help="Refuse larger pictures.")] = 64_000_000,
    model: ModelOption = None,
) -> None:
    """Say what is on each picture: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag or ankle boot.

    A label marked '?' is a guess: the model's confidence is too low to rely on it.

    Exit status: 0 all classified, 1 some pictures failed (the others are printed), 2 usage, 3 the model is missing or damaged.
    """
    from itertools import chain, islice

    from fmnist_edge.bulk import Progress, classify_all
    from fmnist_edge.classifier import BATCH, Classifier
    from fmnist_edge.files import prepare_folder
    from fmnist_edge.output import LANGUAGES, Style, as_bars, as_csv, as_json, as_text
    from fmnist_edge.reading import Options, read_all
    from fmnist_edge.runtime import quiet_stderr
    from fmnist_edge.sources import find, picture_on_stdin

    if not paths and not stdin:
        raise UsageError("name a picture or a folder, or use --stdin; 'fmnist-edge classify --help' tells more")
    if stdin and paths:
        raise UsageError("--stdin takes the place of the paths")
    if json and csv:
        raise UsageError("--json or --csv, not both")
    if all and not (json or csv):
        raise UsageError("--all goes with --json or --csv")
    if save_tiles:
        prepare_folder(save_tiles, "tiles")
    with quiet_stderr():
        classifier = Classifier(model, min_confidence)
    names, options = paths or [], Options(recursive, input, max_pixels)
    # a list on stdin may come slowly, and each answer is wanted before the next path comes
    listed = "-" in names
    sources = iter([picture_on_stdin(options)] if stdin else find(names, options))
    first = list(islice(sources, 0 if listed else 2))
    alone = len(first) == 1 and (stdin or first[0].name == names[0])
    style = Style(top_k, all, LANGUAGES[labels_lang])
    show = (as_json if json else as_csv if csv else as_bars if alone else as_text)(style)
    progress = None
    if not (stdin or listed) and sys.stderr is not None and sys.stderr.isatty():
        count = sum(1 for _ in find(names, options))
        progress = Progress(count) if count > MANY else None
    gc.freeze()  # all of this stays: it need not be looked through again and again
    gc.enable()
    items = read_all(chain(first, sources), jobs)
    complete = classify_all(items, classifier, show, save_tiles, progress, batch_size=1 if listed else BATCH)
    raise typer.Exit(0 if complete else 1)


app.command()(camera)


@app.command()
@reported("fmnist-edge")
def verify(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="From now on, refuse what was signed before this model, if a key is configured.")
    ] = False,
) -> None:
    """Run the golden tiles beside the model and compare with the outputs that the workstation stored with them.

    Exit status: 0 the same, 2 usage, 3 not the same, or the model or its golden.npz is missing or damaged.
    """
    from dataclasses import asdict

    from fmnist_edge.runtime import quiet_stderr
    from fmnist_edge.verify import to_lines, verify

    with quiet_stderr():
        verdict = verify(model)
    print(dumps(asdict(verdict)) if json else "\n".join(to_lines(verdict)), flush=True)
    if not verdict.holds:
        raise ModelError(verdict.complaint)
    if accept:
        from fmnist_edge.signature import accept_counter

        accept_counter(Path(verdict.model))


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
    print(dumps(description, indent=1) if json else "\n".join(to_lines(path, content, description)), flush=True)


@app.command()
@reported("fmnist-edge")
def status(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how this device is: the model, its signature, whether it verifies, the camera's service, the temperature.

    Exit status: 0 healthy, 2 usage, 3 not.
    """
    from fmnist_edge.status import examine, to_lines

    found = examine(model)
    print(dumps(found) if json else "\n".join(to_lines(found)), flush=True)
    if found["problem"]:
        raise ModelError(found["problem"])


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
    prediction = explain(photo, out, classifier)
    print(f"{out}: {prediction.label}{'?' if prediction.unsure else ''} {prediction.confidence:.2f}", flush=True)


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
    print(dumps(result) if json else report(result), flush=True)
