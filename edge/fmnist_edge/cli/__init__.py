"""The fmnist-edge command. Thin: each command imports what it needs when it runs, so that starting stays fast."""

import gc
import os
import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from fmnist_edge.cli.camera import camera
from fmnist_edge.cli.classify import classify, explain
from fmnist_edge.cli.device import bench, doctor, info, status, verify
from fmnist_edge.cli.page import page
from fmnist_edge.errors import stop


class Commands(TyperGroup):
    """Its errors quote arguments, which may be a camera's address with a password."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from fmnist_edge.address import mask_addresses

            # a UsageError, whose class has another place in each typer
            if isinstance(message := getattr(error, "message", None), str):
                error.message = mask_addresses(message)  # type: ignore[attr-defined]
            raise


app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    # numpy's OpenBLAS starts a thread for each core, which takes 40 of 100 ms of the import; what is multiplied here is tiny
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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


for command in (classify, camera, page, verify, info, status, doctor, explain, bench):
    app.command()(command)
