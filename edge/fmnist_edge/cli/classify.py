"""`fmnist-edge classify` and `fmnist-edge explain`: pictures in, answers out."""

import gc
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fmnist_edge.cli.options import Input, LanguageOption, MinConfidenceOption, ModelOption
from fmnist_edge.errors import UsageError, reported

MANY = 100
"""More pictures get a progress bar, on a terminal."""


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
    top_k: Annotated[
        int | None,
        typer.Option("-k", "--top-k", min=1, max=10, help="How many classes to print of each picture, at most: 3; in CSV 1."),
    ] = None,
    format: Annotated[
        Literal["text", "bars", "json", "csv"] | None,
        typer.Option(help="How to print: a line per picture, bars, JSON Lines or CSV. Bars for one picture, text for more."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json: one object per picture.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Short for --format csv: one line per picture.")] = False,
    all: Annotated[bool, typer.Option("--all", help="With JSON or CSV: the probabilities of all classes too.")] = False,
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    save_tiles: Annotated[
        Path | None, typer.Option(help="Write what the model was shown, as 28x28 PNG files.", metavar="DIR", file_okay=False)
    ] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Processes that read pictures; worth it for many photos.")] = 1,
    max_pixels: Annotated[
        int, typer.Option(min=1, max=178_000_000, help="Refuse pictures of which more would have to be decoded.")
    ] = 64_000_000,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="On stderr, say only what failed.")] = False,
    model: ModelOption = None,
) -> None:
    """Say what is on each picture: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag or ankle boot.

    A label marked '?' is a guess: the model's confidence is too low to rely on it, or nothing stands out in the photo.

    Exit status: 0 all classified, 1 some pictures failed (the others are printed), 2 usage, 3 the model is missing or damaged.
    """
    from itertools import chain, islice

    from fmnist_edge.classifier import BATCH, Classifier
    from fmnist_edge.classify.bulk import Progress, classify_all
    from fmnist_edge.classify.find import find, picture_on_stdin
    from fmnist_edge.classify.output import FORMATS, Style
    from fmnist_edge.classify.reading import Options, read_all
    from fmnist_edge.contract import LANGUAGES, NOTHING_STANDS_OUT
    from fmnist_edge.files import prepare_folder
    from fmnist_edge.terminal import tell

    if not paths and not stdin:
        raise UsageError("name a picture or a folder, or use --stdin; 'fmnist-edge classify --help' tells more")
    if stdin and paths:
        raise UsageError("--stdin takes the place of the paths")
    options_given = {f"--format {format}": format, "--json": "json" if json else None, "--csv": "csv" if csv else None}
    given = {option: name for option, name in options_given.items() if name}
    if len(set(given.values())) > 1:
        raise UsageError(f"{' or '.join(given)}, not both")
    chosen = next(iter(given.values()), None)
    if all and chosen not in ("json", "csv"):
        raise UsageError("--all goes with --json or --csv")
    if save_tiles:
        prepare_folder(save_tiles, "tiles")
    classifier = Classifier(model, min_confidence)
    names, options = paths or [], Options(recursive, input, max_pixels)
    # a list on stdin may come slowly, and each answer is wanted before the next path comes
    listed = "-" in names
    sources = iter([picture_on_stdin(options)] if stdin else find(names, options))
    first = list(islice(sources, 0 if listed else 2))
    alone = len(first) == 1 and (stdin or first[0].name == names[0])
    style = Style(top_k or (1 if chosen == "csv" else 3), all, LANGUAGES[labels_lang], NOTHING_STANDS_OUT[labels_lang])
    show = FORMATS[chosen or ("bars" if alone else "text")](style)
    progress = None
    if not (quiet or stdin or listed) and sys.stderr is not None and sys.stderr.isatty():
        count = sum(1 for _ in find(names, options))
        progress = Progress(count) if count > MANY else None
    gc.freeze()  # all of this stays: it need not be looked through again and again
    gc.enable()
    items = read_all(chain(first, sources), jobs)
    tally = classify_all(items, classifier, show, save_tiles, progress, batch_size=1 if listed else BATCH)
    if tally.pictures > 1 and not quiet:
        tell(str(tally))
    raise typer.Exit(1 if tally.failed else 0)


@reported("fmnist-edge")
def explain(
    photo: Annotated[Path, typer.Argument(help="A picture.", metavar="PHOTO", readable=False)],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", readable=False, help="The .png to write; NAME-explained.png in this folder if not given."),
    ] = None,
    model: ModelOption = None,
) -> None:
    """Draw one picture that explains an answer: the photo, the garment found in it, the tile, and ten bars.

    Exit status: 0 drawn, 1 the photo can't be read or the picture not be written, 2 usage, 3 the model is missing or damaged.
    """
    from fmnist_edge.answers import two_digits
    from fmnist_edge.classifier import Classifier
    from fmnist_edge.classify.explain import explain
    from fmnist_edge.contract import NOTHING_STANDS_OUT

    classifier = Classifier(model)
    out = out or Path(f"{photo.stem}-explained.png")
    prediction = explain(photo, out, classifier)
    remark = "" if prediction.garment_found else f" ({NOTHING_STANDS_OUT['en']})"
    print(f"{out}: {prediction.label}{'?' if prediction.unsure else ''} {two_digits(prediction.confidence)}{remark}", flush=True)
