"""`fmnist-edge page`: its options, and which of them go together."""

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
            envvar="FMNIST_EDGE_SOURCE",  # all users can read a command line
            metavar="SOURCE",
            help="A camera, a stream or a video, as for 'fmnist-edge camera'; a video repeats. 'auto': the first camera that "
            "works, if there is one. 'none': no camera.",
        ),
    ] = "auto",
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="The address to listen on. 127.0.0.1: this machine only; 0.0.0.0: others too, with a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="The port to listen on. 0: any free port.")] = 8642,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another host name of this machine in browsers; repeatable.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate for https://, as a PEM file.", metavar="FILE")] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The key of the certificate, if it is in another file.", metavar="FILE")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="The folder for pictures that wait for a label, with a folder per class. If not given: "
            "~/.local/share/fmnist-edge/photos.",
            metavar="DIR",
            file_okay=False,
        ),
    ] = None,
    save_unsure: Annotated[
        bool, typer.Option("--save-unsure", help="Save frames there that the model is unsure of, at most one per second.")
    ] = False,
    save_mb: Annotated[int, typer.Option(min=1, metavar="N", help="Keep at most this many megabytes of photos.")] = SAVE_MB,
    certificate: Annotated[
        str | None,
        typer.Option(
            help="The self-signed certificate of an https:// camera: a PEM file, or its SHA-256.",
            metavar="FILE|SHA-256",
        ),
    ] = None,
    size: Annotated[str, typer.Option(help="The frame size to ask the camera for.", metavar="WxH")] = "640x480",
    fps: Annotated[float | None, typer.Option(min=0.1, metavar="N", help="Frames per second to ask the camera for.")] = None,
    roi: Annotated[str | None, typer.Option(help="Look only at this part of each frame, in pixels.", metavar="X,Y,W,H")] = None,
    rotate: Annotated[Literal["0", "90", "180", "270"], typer.Option(help="Turn each frame clockwise.")] = "0",
    mirror: Annotated[bool, typer.Option("--mirror", help="Mirror each frame left to right, after turning it.")] = False,
    input: Annotated[Input, typer.Option(help="What the frames are: 28x28 tiles, photos, or find out.")] = "auto",
    labels_lang: LanguageOption = "en",
    min_confidence: MinConfidenceOption = None,
    smooth: Annotated[
        float,
        typer.Option(min=0, max=60, metavar="SECONDS", help="The half-life of past frames in the answer. 0: each frame alone."),
    ] = 0.15,
    idle_fps: Annotated[
        float, typer.Option(min=0.1, max=1000, metavar="N", help="Classifications per second while nothing moves.")
    ] = 2,
    empty_scene: Annotated[
        bool, typer.Option("--empty-scene", help="Learn the empty scene in the first second; the page has a button for it too.")
    ] = False,
    no_retry: Annotated[bool, typer.Option("--no-retry", help="Exit when the camera or stream is lost.")] = False,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Report readiness and status to systemd, and feed its watchdog.")
    ] = False,
    model: ModelOption = None,
) -> None:
    """Serve a web page with the camera, uploads and labelling.

    The page shows what the camera sees, classifies pictures, and collects photos with the right label. Only this machine can
    open it, unless --host says otherwise. Other machines need the token, which is made at the first start.

    \b
    Examples:
      fmnist-edge page
      fmnist-edge page --host 0.0.0.0 --source picamera
      fmnist-edge page --source none --photos ~/photos

    Exit status: 0 SIGTERM; 1 the port is taken, or with --no-retry the camera is lost; 2 usage; 3 the model is missing or
    damaged, or the extra 'page' is not installed; 130 Ctrl-C.
    """
    if tls_key and not tls_cert:
        raise UsageError("--tls-key needs --tls-cert")
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
    """Under the unit's ``StateDirectory=fmnist-edge`` in systemd, otherwise among the user's own files."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given, "photos")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "fmnist-edge" / "photos"
