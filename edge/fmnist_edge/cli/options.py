"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Input = Literal["auto", "tile", "photo"]
"""What pictures are taken for."""

ModelOption = Annotated[
    Path | None, typer.Option("-m", "--model", readable=False, help="A .tflite or .onnx file instead of the built-in int8 model.")
]

LanguageOption = Annotated[Literal["en", "zh"], typer.Option(help="The language of the labels.")]

MinConfidenceOption = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Mark a label '?' below this confidence, in place of the model's own thresholds."),
]

RecursiveOption = Annotated[bool, typer.Option("-r", "--recursive", help="Look into the folders of folders too.")]

CertificateOption = Annotated[
    str | None,
    typer.Option(
        help="That an https:// camera shows which nobody else vouches for: a PEM file, or its SHA-256.", metavar="FILE|SHA-256"
    ),
]

RotateOption = Annotated[
    Literal["0", "90", "180", "270", "auto"],
    typer.Option(
        help="Turn each picture clockwise. auto: look at it all four ways, unsure where they disagree; of photos that lie on "
        "their side 70 % instead of 48 % are named rightly, of upright ones 69 % instead of 84 %."
    ),
]
