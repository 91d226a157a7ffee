"""The fmnist-edge command. Thin: each command imports what it needs when it runs, so that starting stays fast."""

import gc
import os
import sys
import warnings
from typing import Annotated

import typer

from fmnist_edge.cli.commands import SETTINGS, Commands
from fmnist_edge.errors import reported, stop

app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=SETTINGS
)


def main() -> None:
    # numpy's OpenBLAS starts a thread for each core, which takes 40 of 100 ms of the import; what is multiplied here is tiny
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # imports leave no garbage, and looking for it takes a twentieth of the start
    # file names that are not UTF-8 are printed escaped instead of ending the program
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.simplefilter("ignore")  # Pillow warns of odd files; what matters is raised
    try:
        with reported("fmnist-edge"):
            app()
    except ImportError as error:
        stop("fmnist-edge", f"{error.name or 'a package'} can't be imported; 'fmnist-edge doctor' says what to do", 3)
    finally:
        gc.freeze()  # keeps Python from searching for garbage at exit, which would take a tenth of the whole run


def show_version(wanted: bool) -> None:
    if not wanted:
        return
    from fmnist_edge import __version__
    from fmnist_edge.errors import FmnistEdgeError

    try:
        from fmnist_edge.bundle.info import in_short

        model = in_short()
    except (FmnistEdgeError, ImportError) as error:
        model = f"no model: {error}"
    print(f"fmnist-edge {__version__} ({model})", flush=True)
    raise typer.Exit


@app.callback()
def fmnist_edge(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and the model, and exit.")
    ] = False,
) -> None:
    """Classify pictures of clothes on a small computer.

    \b
      fmnist-edge classify shoe.jpg
      fmnist-edge camera
      fmnist-edge doctor

    'fmnist-edge COMMAND --help' explains a command and has examples.
    """
