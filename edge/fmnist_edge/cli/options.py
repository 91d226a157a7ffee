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
