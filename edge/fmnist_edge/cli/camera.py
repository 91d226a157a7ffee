"""`fmnist-edge camera`: its options, and how they go together."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fmnist_edge.address import safe_name
from fmnist_edge.cli.options import CertificateOption, Input, LanguageOption, MinConfidenceOption, ModelOption, RecursiveOption
from fmnist_edge.errors import UsageError, reported

if TYPE_CHECKING:
    from fmnist_edge.cameras.camera import Camera, FeedOptions

SAVE_MB = 100

MOST_FPS = 1000.0

SMOOTH = 0.15
"""The half-life in seconds, for sources whose frames show the same thing one after the other."""

ANIMATED = (".gif", ".apng")
"""Pictures that may be films."""

SOURCE = "FMNIST_EDGE_SOURCE"


@reported("fmnist-edge")
def camera(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="A camera: picamera, /dev/videoN or N; a video file; rtsp://... or http(s)://...; 'test', FFmpeg's moving test "
            "picture; pictures, folders, 'patterns*', frames/%04d.png and archives, shown in order; '-', a video or a list of "
            "pictures on stdin; 'auto' or nothing, the first camera that works. 'list' lists the cameras.",
            metavar="[SOURCE...]",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            envvar=SOURCE,
            metavar="SOURCE",
            help="One source. Use the variable for an address with a password: all users can read a command line.",
        ),
    ] = None,
    recursive: RecursiveOption = False,
    certificate: CertificateOption = None,
    size: Annotated[str, typer.Option(help="The frame size to ask the camera for.", metavar="WxH")] = "640x480",
    fps: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="N",
            help="Frames per second to ask the camera for; pictures per second to show, 1 if not given, 30 of %04d.png.",
        ),
    ] = None,
    roi: Annotated[str | None, typer.Option(help="Look only at this part of each frame, in pixels.", metavar="X,Y,W,H")] = None,
    rotate: Annotated[Literal["0", "90", "180", "270"], typer.Option(help="Turn each frame clockwise.")] = "0",
    mirror: Annotated[bool, typer.Option("--mirror", help="Mirror each frame left to right, after turning it.")] = False,
    input: Annotated[Input, typer.Option(help="What the frames are: 28x28 tiles, photos, or find out.")] = "auto",
    fast: Annotated[bool, typer.Option("--fast", help="Classify every frame of a file, as fast as possible.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON Lines on a terminal too.")] = False,
    on_change: Annotated[bool, typer.Option("--on-change", help="Print only when the label changes or becomes sure.")] = False,
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    smooth: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=60,
            metavar="SECONDS",
            help=f"The half-life of past frames in the answer, {SMOOTH} if not given. 0: each frame alone, as for pictures.",
        ),
    ] = None,
    idle_fps: Annotated[
        float,
        typer.Option(
            min=0.1, max=MOST_FPS, metavar="N", help="Classifications per second while nothing moves; pictures of a folder: all."
        ),
    ] = 2,
    empty_scene: Annotated[
        bool,
        typer.Option(
            "--empty-scene",
            help="Learn in the first second what the empty scene looks like, and say 'nothing there' when it looks like that "
            "again. Press 'e' or send SIGUSR1 to learn anew.",
        ),
    ] = False,
    save_unsure: Annotated[
        Path | None,
        typer.Option(help="Save frames that the model is unsure of, at most one per second.", metavar="DIR", file_okay=False),
    ] = None,
    save_mb: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=f"With --save-unsure: keep this many megabytes, {SAVE_MB} if not given; the oldest go first."
        ),
    ] = None,
    no_retry: Annotated[bool, typer.Option("--no-retry", help="Exit when the camera or stream is lost.")] = False,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Report readiness and status to systemd, and feed its watchdog.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(min=0, metavar="N", help="Stop after this many seconds.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after this many frames.")] = None,
    model: ModelOption = None,
) -> None:
    """Name the garment in front of a camera, continuously.

    On a terminal, one line is updated in place. Otherwise, or with --json, each answer is a line of JSON.

    \b
    Examples:
      fmnist-edge camera
      fmnist-edge camera http://192.168.1.20:8081/
      fmnist-edge camera film.mp4 --fast --json > answers.jsonl
      fmnist-edge camera list

    Exit status: 0 the video ended, --seconds or --frames were reached, or SIGTERM; 1 the camera or the output is lost; 2 usage;
    3 the model is missing or damaged; 130 Ctrl-C.
    """
    if sources and source and source != os.environ.get(SOURCE):
        raise UsageError("name the source once: by itself, or with --source")
    names = sources or [source or "auto"]
    if names == ["list"] and not os.path.lexists("list"):
        from fmnist_edge.cameras.devices import listing

        print("\n".join(listing()), flush=True)
        return
    if seconds is not None and frames is not None:
        raise UsageError("--seconds or --frames, not both")
    if save_mb and not save_unsure:
        raise UsageError("--save-mb goes with --save-unsure")
    part = to_roi(roi) if roi else None

    import gc

    from fmnist_edge.cameras.camera import FeedOptions
    from fmnist_edge.cameras.feed import Feed
    from fmnist_edge.classifier import Classifier
    from fmnist_edge.live.collect import Collection
    from fmnist_edge.live.screen import Screen
    from fmnist_edge.live.service import Systemd
    from fmnist_edge.live.watch import Options, Watch

    screen = Screen(json, on_change, labels_lang)
    if on_change and screen.in_place:
        raise UsageError("--on-change goes with --json, or with output that is no terminal")
    wanted = FeedOptions(to_size(size), fps, certificate, fast, not no_retry)
    collection = Collection(save_unsure, (save_mb or SAVE_MB) * 10**6, screen.tell) if save_unsure else None
    classifier = Classifier(model, min_confidence)
    cameras = cameras_for(names, wanted, recursive, whole=part is not None)
    if cameras[0].unrelated:  # each is an answer of its own
        idle_fps, smooth = MOST_FPS, smooth or 0
    smooth = SMOOTH if smooth is None else smooth
    options = Options(part, int(rotate), mirror, input, smooth, idle_fps, empty_scene, seconds, frames)
    with Feed(cameras, wanted, screen.tell) as feed:
        if fast and feed.live:
            raise UsageError("--fast goes with files")
        screen.tell(feed.name)
        gc.enable()
        Watch(feed, classifier, options, screen, Systemd(systemd), collection).run()


def cameras_for(sources: list[str], options: "FeedOptions", recursive: bool, whole: bool) -> "list[Camera]":
    """The cameras to try for one source that is watched, or one that shows any number of pictures."""
    from fmnist_edge.classify.find import find, on_stdin
    from fmnist_edge.source import OTHER, PICTURE, SEQUENCE, STDIN, WEB, kind_of

    kinds = [kind_of(source) for source in sources]
    if len(kinds) > 1 and (watched := [name for name, kind in zip(sources, kinds, strict=True) if kind.watched or kind == WEB]):
        raise UsageError(f"{safe_name(watched[0])} can't be shown together with others; name one source")
    piped = kinds == [STDIN] and on_stdin() == "a picture"
    animated = kinds == [PICTURE] and sources[0].lower().endswith(ANIMATED)
    if piped or animated or (len(kinds) == 1 and (kinds[0].watched or kinds[0] in (WEB, OTHER))):
        from fmnist_edge.cameras.devices import cameras

        return cameras(sources[0], options)
    if options.certificate:
        raise UsageError("--certificate goes with https://")
    from dataclasses import replace

    from fmnist_edge.cameras.slides import SEQUENCE_FPS, Slides
    from fmnist_edge.classify.reading import Options

    is_film = kinds == [SEQUENCE]
    if is_film and not options.fps:
        options = replace(options, fps=SEQUENCE_FPS)
    slides = ((source.name, source.open) for source in find(sources, Options(recursive, whole=whole)))
    name = f"{len(sources)} sources" if len(sources) > 1 else "stdin" if kinds == [STDIN] else sources[0]
    return [Slides(name, slides, options, unrelated=not is_film)]


def to_size(text: str) -> tuple[int, int]:
    from fmnist_edge.pictures.decode import MAX_PIXELS

    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < width * height <= MAX_PIXELS:
        raise UsageError(
            f"--size is width and height, {MAX_PIXELS // 10**6} million pixels at most, as in '--size 640x480', not '{text}'"
        )
    return width, height


def to_roi(text: str) -> tuple[int, int, int, int]:
    if not re.fullmatch(r"\d{1,5}(,\d{1,5}){3}", text):
        raise UsageError(f"--roi is left, top, width and height, as in '--roi 120,40,400,400', not '{text}'")
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height
