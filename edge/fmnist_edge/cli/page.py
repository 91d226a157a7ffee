"""`fmnist-edge page`: its options, and how they go together."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from fmnist_edge.cli.camera import SAVE_MB, to_roi, to_size
from fmnist_edge.cli.options import Input, LanguageOption, MinConfidenceOption, ModelOption
from fmnist_edge.errors import RuntimeUnavailableError, UsageError, reported


@reported("fmnist-edge")
def page(
    source: Annotated[
        str,
        typer.Option(
            envvar="FMNIST_EDGE_SOURCE",  # a command line is seen by all users
            help="A camera, a stream or a video, as 'fmnist-edge camera' takes it; a video is shown over and over. 'auto': the "
            "first camera that works, if there is one; 'none': no camera.",
        ),
    ] = "auto",
    host: Annotated[
        str, typer.Option(help="The address to listen at: 127.0.0.1, this machine alone; 0.0.0.0: others too, with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen at; 0: any that is free.")] = 8642,
    name: Annotated[
        list[str] | None, typer.Option(help="Another name by which browsers find this machine; may be given several times.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate for https://, a PEM file.", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, if that is not in the same file.", metavar="FILE")] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Where pictures wait for a label, and a folder per class; ~/.local/share/fmnist-edge/photos if not given.",
            metavar="DIR",
            file_okay=False,
        ),
    ] = None,
    save_unsure: Annotated[
        bool, typer.Option("--save-unsure", help="Keep frames there that the model is unsure of, one a second at most.")
    ] = False,
    save_mb: Annotated[int, typer.Option(min=1, help="Megabytes that all these photos may have.")] = SAVE_MB,
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
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    smooth: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds after which what was seen counts half as much; 0: each frame alone.")
    ] = 0.15,
    idle_fps: Annotated[float, typer.Option(min=0.1, max=1000, help="How often a second to classify while nothing moves.")] = 2,
    empty_scene: Annotated[
        bool, typer.Option("--empty-scene", help="In the first second nothing is there; the page has a button for it too.")
    ] = False,
    no_retry: Annotated[bool, typer.Option("--no-retry", help="End when the camera or stream is lost.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Tell systemd how it goes, and its watchdog.")] = False,
    model: ModelOption = None,
) -> None:
    """Show in a browser what the camera sees, classify pictures from a phone, and collect photos with the right label.

    Without --host it is for this machine alone. Others need the token, which is made at the first start.

    Exit status: 0 SIGTERM; 1 the port is taken, or the camera is lost and --no-retry given; 2 usage; 3 the model is missing or
    damaged, or the extra is not installed; 130 Ctrl-C.
    """
    if tls_key and not tls_cert:
        raise UsageError("--tls-key goes with --tls-cert")
    part, wanted_size = to_roi(roi) if roi else None, to_size(size)

    import gc

    try:
        import python_multipart  # noqa: F401 (starlette looks for it when the first form comes)

        from fmnist_edge.cameras.camera import FeedOptions
        from fmnist_edge.live.watch import Options
        from fmnist_edge.page.live import Source
        from fmnist_edge.page.serve import Settings, run
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("anyio", "h11", "python_multipart", "segno", "starlette", "uvicorn"):
            raise
        raise RuntimeUnavailableError("the page needs more packages: pip install 'fmnist-edge[page]'") from None

    feed = FeedOptions(wanted_size, fps, certificate, False, not no_retry)
    options = Options(part, int(rotate), mirror, input, smooth, idle_fps, empty_scene, None, None)
    settings = Settings(
        host,
        port,
        name or [],
        tls_cert,
        tls_key,
        photos or photos_folder(),
        save_unsure,
        save_mb,
        model,
        min_confidence,
        labels_lang,
        systemd,
    )
    gc.enable()
    run(settings, None if source == "none" else Source(source, feed, options))


def photos_folder() -> Path:
    """In what systemd makes of the unit's ``StateDirectory=fmnist-edge``, or among the user's own files."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given, "photos")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "fmnist-edge" / "photos"
