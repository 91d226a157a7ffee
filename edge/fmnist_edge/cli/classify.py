"""`fmnist-edge classify` and `fmnist-edge explain`: pictures in, answers out."""

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fmnist_edge.cli.options import (
    CertificateOption,
    Input,
    LanguageOption,
    MinConfidenceOption,
    ModelOption,
    RecursiveOption,
    RotateOption,
)
from fmnist_edge.errors import InputError, UsageError, reported

if TYPE_CHECKING:
    from fmnist_edge.classifier import Classifier

MANY = 100
"""With more pictures than this, a terminal shows a progress bar."""


@reported("fmnist-edge")
def classify(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders, 'patterns*', numbered pictures as frames/%04d.png, ZIP archives, tiles as .npy, .npz or "
            "IDX, http(s):// addresses. '-' reads a list of these from stdin, or the bytes of one picture.",
            metavar="SOURCE...",
        ),
    ] = None,
    recursive: RecursiveOption = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="The same as '-'.")] = False,
    input: Annotated[Input, typer.Option(help="What the pictures are: 28x28 Fashion-MNIST tiles, photos, or find out.")] = "auto",
    top_k: Annotated[
        int | None,
        typer.Option(
            "-k",
            "--top-k",
            min=1,
            max=10,
            metavar="N",
            help="Print at most this many classes per picture; 3 if not given, in CSV 1.",
        ),
    ] = None,
    format: Annotated[
        Literal["text", "bars", "json", "csv"] | None,
        typer.Option(
            help="Print a line per picture, bars, JSON Lines or CSV. If not given: bars for one picture, text for several."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json: one object per picture.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Short for --format csv: one line per picture.")] = False,
    all: Annotated[bool, typer.Option("--all", help="With JSON or CSV: add the probabilities of all classes.")] = False,
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    save_tiles: Annotated[
        Path | None, typer.Option(help="Save the tiles that the model saw, as 28x28 PNG files.", metavar="DIR", file_okay=False)
    ] = None,
    rotate: RotateOption = "0",
    certificate: CertificateOption = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            min=1,
            metavar="N",
            help="Processes that read pictures. If not given: one per core when there are many pictures.",
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, max=178_000_000, metavar="N", help="Refuse pictures of which more pixels must be decoded.")
    ] = 64_000_000,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors on stderr.")] = False,
    model: ModelOption = None,
) -> None:
    """Name the garment in each picture.

    There are ten classes: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle boot. A label with a '?'
    is a guess: the model's confidence is too low to rely on it, or nothing stands out in the photo.

    \b
    Examples:
      fmnist-edge classify shoe.jpg
      fmnist-edge classify photos/ --csv > answers.csv
      find . -name '*.jpg' -print0 | fmnist-edge classify - --json

    Exit status: 0 all classified; 1 some pictures failed, the others are printed; 2 usage; 3 the model is missing or damaged.
    """
    from itertools import chain, islice

    from fmnist_edge.address import safe_name
    from fmnist_edge.classifier import BATCH
    from fmnist_edge.classify.bulk import Progress, classify_all
    from fmnist_edge.classify.find import find, on_stdin, picture_on_stdin
    from fmnist_edge.classify.output import FORMATS, Style
    from fmnist_edge.classify.reading import Options, read_all
    from fmnist_edge.contract import LANGUAGES, NOTHING_STANDS_OUT
    from fmnist_edge.files import prepare_folder
    from fmnist_edge.source import ON_STDIN
    from fmnist_edge.terminal import tell

    if not paths and not stdin:
        raise UsageError(name_a_picture("classify", "or use --stdin"))
    if stdin and paths:
        raise UsageError("--stdin takes the place of the paths")
    options_given = {f"--format {format}": format, "--json": "json" if json else None, "--csv": "csv" if csv else None}
    given = {option: name for option, name in options_given.items() if name}
    if len(set(given.values())) > 1:
        raise UsageError(f"{' or '.join(given)}, not both")
    chosen = next(iter(given.values()), None)
    if all and chosen not in ("json", "csv"):
        raise UsageError("--all goes with --json or --csv")
    names = paths or ["-"]
    check_certificate(certificate, names)
    if save_tiles:
        prepare_folder(save_tiles, "tiles")
    classifier = kind_of_classifier(rotate)(model, min_confidence)
    options = Options(recursive, input, max_pixels, degrees(rotate), certificate)
    from_stdin = any(name in ON_STDIN for name in names)
    piped = on_stdin() if from_stdin and len(names) == 1 else "names"
    # a list on stdin may arrive slowly, and each answer is wanted before the next path
    listed = from_stdin and piped == "names"
    sources = iter([picture_on_stdin(options)]) if stdin and piped == "nothing" else find(names, options)
    first = list(islice(sources, 0 if listed else 2))
    alone = len(first) == 1 and (piped != "names" or first[0].name in (names[0], safe_name(names[0])))
    style = Style(top_k or (1 if chosen == "csv" else 3), all, LANGUAGES[labels_lang], NOTHING_STANDS_OUT[labels_lang])
    show = FORMATS[chosen or ("bars" if alone else "text")](style)
    progress = None
    if not (quiet or from_stdin) and sys.stderr is not None and sys.stderr.isatty():
        count = sum(1 for _ in find(names, options))
        progress = Progress(count) if count > MANY else None
    gc.freeze()  # all of this stays in use: the collector need not search it again and again
    gc.enable()
    items = read_all(chain(first, sources), 1 if listed and jobs is None else jobs)
    tally = classify_all(items, classifier, show, save_tiles, progress, batch_size=1 if listed else BATCH)
    if tally.pictures > 1 and not quiet:
        tell(str(tally))
    raise typer.Exit(1 if tally.failed else 0)


def name_a_picture(command: str, otherwise: str) -> str:
    """What to do, for who named none: at a terminal with two examples."""
    if sys.stdin is None or not sys.stdin.isatty():
        return f"name a picture or a folder, {otherwise}; 'fmnist-edge {command} --help' explains more"
    return (
        f"name a picture or a folder, for example\n  fmnist-edge {command} shoe.jpg\n  fmnist-edge {command} photos/\n"
        f"'fmnist-edge {command} --help' explains more"
    )


@reported("fmnist-edge")
def explain(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            help="What classify takes, and videos, streams and cameras (/dev/videoN, picamera, test), of which it takes the next "
            "frame.",
            metavar="SOURCE...",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            readable=False,
            metavar="PATH",
            help="The .png to write, or the folder for several pictures. If not given: NAME-explained.png in this folder.",
        ),
    ] = None,
    recursive: RecursiveOption = False,
    rotate: RotateOption = "0",
    certificate: CertificateOption = None,
    model: ModelOption = None,
) -> None:
    """Draw how an answer came about: photo, garment, tile, ten bars.

    \b
    Examples:
      fmnist-edge explain shoe.jpg
      fmnist-edge explain photos/ --out explained/
      fmnist-edge explain /dev/video0

    Exit status: 0 all drawn; 1 a picture can't be read or written; 2 usage; 3 the model is missing or damaged.
    """
    from itertools import chain, islice

    from fmnist_edge.answers import two_digits
    from fmnist_edge.classify.explain import EXPLAINED, check_out, explain, place_for
    from fmnist_edge.classify.find import find
    from fmnist_edge.classify.reading import Options
    from fmnist_edge.contract import NOTHING_STANDS_OUT
    from fmnist_edge.terminal import printable

    if not pictures:
        raise UsageError(name_a_picture("explain", "a video or a camera"))
    check_certificate(certificate, pictures)
    classifier = kind_of_classifier(rotate)(model)
    found = find(pictures, Options(recursive, rotate=degrees(rotate), certificate=certificate, frames=True))
    # explanations found in a folder are not explained again
    sources = (source for source in found if source.name in pictures or not source.name.endswith(EXPLAINED))
    first = list(islice(sources, 2))
    if not first and "-" not in pictures:
        raise InputError(f"there are only explanations (*{EXPLAINED}); one that is named is explained too")
    check_out(out, several=len(first) > 1)
    complete, taken = True, dict[Path, str]()
    for source in chain(first, sources):
        place = place_for(source.name, out, taken)
        try:
            prediction = explain(source, place, classifier)
        except InputError as error:
            complete = False
            print(f"fmnist-edge: {error}", file=sys.stderr)
            continue
        remark = "" if prediction.garment_found else f" ({NOTHING_STANDS_OUT['en']})"
        label = f"{prediction.label}{'?' if prediction.unsure else ''}"
        print(f"{printable(str(place))}: {label} {two_digits(prediction.confidence)}{remark}", flush=True)
    raise typer.Exit(0 if complete else 1)


def check_certificate(certificate: str | None, names: list[str]) -> None:
    if certificate and not any(name == "-" or name.lower().startswith("https://") for name in names):
        raise UsageError("--certificate goes with https://")


def degrees(rotate: str) -> int:
    return 0 if rotate == "auto" else int(rotate)


def kind_of_classifier(rotate: str) -> "type[Classifier]":
    if rotate == "auto":
        from fmnist_edge.classify.turns import AnyWayUp

        return AnyWayUp
    from fmnist_edge.classifier import Classifier

    return Classifier
