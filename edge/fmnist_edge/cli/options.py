"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Input = Literal["auto", "tile", "photo"]
"""How pictures are read."""

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "-m", "--model", readable=False, metavar="FILE", help="A .tflite or .onnx file instead of the built-in int8 model."
    ),
]

LanguageOption = Annotated[Literal["en", "zh"], typer.Option(help="The language of the labels.")]

MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, metavar="P", help="Mark a label with '?' below this confidence, instead of at the model's own thresholds."
    ),
]

RecursiveOption = Annotated[bool, typer.Option("-r", "--recursive", help="Include the folders inside folders.")]

CertificateOption = Annotated[
    str | None,
    typer.Option(help="The self-signed certificate of an https:// camera: a PEM file, or its SHA-256.", metavar="FILE|SHA-256"),
]

RotateOption = Annotated[
    Literal["0", "90", "180", "270", "auto"],
    typer.Option(
        help="Turn each picture clockwise. auto: try all four ways, and be unsure where they disagree; more photos that lie on "
        "their side are named correctly (70 % instead of 48 %), fewer upright ones (69 % instead of 84 %)."
    ),
]
