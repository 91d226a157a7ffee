"""`fmnist-edge camera`: its options, and how they go together."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from fmnist_edge.cli.options import Input, LanguageOption, MinConfidenceOption, ModelOption
from fmnist_edge.errors import UsageError, reported

SAVE_MB = 100


@reported("fmnist-edge")
def camera(
    source: Annotated[
        str,
        typer.Option(
            envvar="FMNIST_EDGE_SOURCE",  # a command line is seen by all users
            help="picamera, /dev/videoN or N, a video file, frames/%04d.png, rtsp://... or http://..., FFmpeg's moving 'test' "
            "picture; 'auto': the first camera that works; 'list': say which there are.",
        ),
    ] = "auto",
    certificate: Annotated[
        str | None,
        typer.Option(
            help="That an https:// camera shows which nobody else vouches for: a PEM file, or its SHA-256.",
            metavar="FILE|SHA-256",
        ),
    ] = None,
    size: Annotated[str, typer.Option(help="What the camera is asked for.", metavar="WxH")] = "640x480",
    fps: Annotated[float | None, typer.Option(min=0.1, help="Frames a second that the camera is asked for.")] = None,
    roi: Annotated[str | None, typer.Option(help="Look at this part of each frame, in pixels.", metavar="X,Y,W,H")] = None,
    rotate: Annotated[Literal["0", "90", "180", "270"], typer.Option(help="Turn each frame clockwise.")] = "0",
    mirror: Annotated[bool, typer.Option("--mirror", help="Mirror each frame, left to right, once it is turned.")] = False,
    input: Annotated[Input, typer.Option(help="What frames are: 28x28 tiles, photos, or find out.")] = "auto",
    fast: Annotated[bool, typer.Option("--fast", help="Read a file as fast as it goes, and each of its frames.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON Lines on a terminal too.")] = False,
    on_change: Annotated[
        bool, typer.Option("--on-change", help="Print only when the label is another, and when it gets sure.")
    ] = False,
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    smooth: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds after which what was seen counts half as much; 0: each frame alone.")
    ] = 0.15,
    idle_fps: Annotated[float, typer.Option(min=0.1, max=1000, help="How often a second to classify while nothing moves.")] = 2,
    empty_scene: Annotated[
        bool,
        typer.Option(
            "--empty-scene",
            help="In the first second nothing is there; what looks like it later is 'nothing there'. "
            "Learned anew when 'e' is pressed, or at SIGUSR1.",
        ),
    ] = False,
    save_unsure: Annotated[
        Path | None,
        typer.Option(help="Keep frames that the model is unsure of, one a second at most.", metavar="DIR", file_okay=False),
    ] = None,
    save_mb: Annotated[
        int | None,
        typer.Option(min=1, help=f"With --save-unsure: megabytes to keep, {SAVE_MB} if not given; the oldest go first."),
    ] = None,
    no_retry: Annotated[bool, typer.Option("--no-retry", help="End when the camera or stream is lost.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Tell systemd how it goes, and its watchdog.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="End after so many frames.")] = None,
    model: ModelOption = None,
) -> None:
    """Say what is before the camera, over and over: on a terminal in one line, else as JSON Lines.

    Exit status: 0 the end of the video, of what was asked for, or SIGTERM; 1 the camera or the output is lost; 2 usage; 3 the
    model is missing or damaged; 130 Ctrl-C.
    """
    if source == "list":
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
    options = Options(part, int(rotate), mirror, input, smooth, idle_fps, empty_scene, seconds, frames)
    collection = Collection(save_unsure, (save_mb or SAVE_MB) * 10**6, screen.tell) if save_unsure else None
    classifier = Classifier(model, min_confidence)
    with Feed(source, wanted, screen.tell) as feed:
        if fast and feed.live:
            raise UsageError("--fast goes with files")
        screen.tell(feed.name)
        gc.enable()
        Watch(feed, classifier, options, screen, Systemd(systemd), collection).run()


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
