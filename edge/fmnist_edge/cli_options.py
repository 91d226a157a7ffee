"""Options that several commands have."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Input(str, Enum):
    """What pictures are taken for."""

    auto, tile, photo = "auto", "tile", "photo"


class Language(str, Enum):
    """Of the labels."""

    en, zh = "en", "zh"


ModelOption = Annotated[
    Path | None, typer.Option(readable=False, help="A .tflite or .onnx file instead of the built-in int8 model.")
]

LanguageOption = Annotated[Language, typer.Option(help="The language of the labels.")]

MinConfidenceOption = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Mark a label '?' below this confidence, in place of the model's own thresholds."),
]
