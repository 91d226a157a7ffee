"""Does this device compute what the workstation computed? The golden tiles, run here, against the outputs stored with them."""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.bundle.manifest import FORMAT, is_listed
from fmnist_edge.bundle.model import Model, open_model, open_witness
from fmnist_edge.contract import CLASSES, TILE_SIZE, Probabilities, Tiles, agreement, distance
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes.formats import format_of

GOLDEN = "golden.npz"
ABOUT = "about"
"""The name of the array with a JSON text: the format, and by how much the outputs of each artifact and runtime may differ."""

MAX_GOLDEN_BYTES = 10_000_000
"""Unpacked; ours has a quarter of a million."""


@dataclass(frozen=True)
class Golden:
    """The golden set, as far as one kind of artifact needs it. ``tiles`` is uint8 (N, 28, 28), ``labels`` uint8 (N,);
    ``outputs``, the artifact's on the workstation, and ``reference``, the Keras model's, are float32 (N, 10). ``tolerances``: of
    the largest and of the mean difference, by runtime."""

    tiles: Tiles
    labels: NDArray[np.uint8]
    outputs: Probabilities
    reference: Probabilities
    tolerances: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Verdict:
    """What a runtime makes of the golden tiles. Agreement (the same class) and accuracy are fractions of 1; differences are of a
    probability, the largest and, of all, the mean.

    witness: what numpy alone makes of them, if it can: its version, and how far that is from the workstation's outputs.
    """

    model: str
    artifact: str
    runtime: str
    tiles: int
    agreement: float
    difference: float
    tolerance: float
    mean_difference: float
    mean_tolerance: float
    accuracy: float
    agreement_with_keras: float
    difference_to_keras: float
    holds: bool
    witness: str | None = None
    witness_difference: float | None = None

    @property
    def summary(self) -> str:
        return (
            f"{self.agreement:.2%} of {self.tiles} tiles have the same class as on the workstation; difference: "
            f"largest {self.difference:.2g}, allowed {self.tolerance:.2g}; mean {self.mean_difference:.2g}, "
            f"allowed {self.mean_tolerance:.2g}"
        )

    @property
    def complaint(self) -> str:
        cure = f"copy the model and {GOLDEN} again from one export"
        if self.witness_difference is None:
            cure = f"{cure}, and if that does not help, install another runtime"
        elif self.witness_difference <= self.tolerance:
            cure = f"{self.witness} computes it correctly, so {self.runtime} does not: install another runtime or version"
        return f"{self.model}: not what the workstation computed ({self.runtime}: {self.summary}); {cure}"


def verify(path: str | os.PathLike[str] | None = None) -> Verdict:
    """Runs the golden tiles of the golden.npz beside a model; the packaged model's if None.

    Raises ModelError if there is none or it is damaged, and whatever ``open_model`` raises.
    """
    model = open_model(path)
    artifact = artifact_like(model)
    golden = read_golden(model.path.with_name(GOLDEN), artifact, model.listed)
    found = model.session.probabilities(golden.tiles)
    difference = distance(found, golden.outputs)
    witness = open_witness(model)
    # a runtime or version that the export did not measure may differ by as much as any that it did measure
    largest, mean = (max(values) for values in zip(*golden.tolerances.values(), strict=True))
    tolerance, mean_tolerance = golden.tolerances.get(model.session.runtime, (largest, mean))
    return Verdict(
        model=str(model.path),
        artifact=artifact,
        runtime=model.session.runtime,
        tiles=len(golden.tiles),
        agreement=agreement(golden.outputs, found),
        difference=float(difference.max()),
        tolerance=tolerance,
        mean_difference=float(difference.mean()),
        mean_tolerance=mean_tolerance,
        accuracy=float((found.argmax(1) == golden.labels).mean()),
        agreement_with_keras=agreement(golden.reference, found),
        difference_to_keras=float(distance(found, golden.reference).max()),
        holds=bool(difference.max() <= tolerance and difference.mean() <= mean_tolerance),
        witness=witness.runtime if witness else None,
        witness_difference=float(distance(witness.probabilities(golden.tiles), golden.outputs).max()) if witness else None,
    )


def to_lines(verdict: Verdict) -> list[str]:
    """For people."""
    keras = f"{verdict.agreement_with_keras:.2%} have the same class, largest difference {verdict.difference_to_keras:.2g}"
    witness = (
        [] if verdict.witness is None else [f"witness   {verdict.witness}: largest difference {verdict.witness_difference:.2g}"]
    )
    return [
        f"model     {verdict.model}, compared with {verdict.artifact}",
        f"runtime   {verdict.runtime}",
        f"verdict   {'ok' if verdict.holds else 'not the same'}: {verdict.summary}",
        *witness,
        f"Keras     {keras}",
        f"accuracy  {verdict.accuracy:.2%} of these tiles",
    ]


def artifact_like(model: Model) -> str:
    """The name that the export gives to a file of this format and dtype, whatever it is called here."""
    dtype = "int8" if model.description["input"]["dtype"] == "int8" else "float"
    return f"fmnist-{dtype}.{format_of(model.path.suffix).name.lower()}"


def read_golden(path: Path, artifact: str, listed: dict[str, str]) -> Golden:
    """The golden set in a golden.npz. Raises ModelError if it is missing, damaged, of another format, or not the one that is
    listed."""
    try:
        content = path.read_bytes()
        is_listed(path, content, listed)  # raises if the manifest lists another checksum
        with np.load(io.BytesIO(content)) as arrays:
            if sum(entry.file_size for entry in arrays.zip.infolist()) > MAX_GOLDEN_BYTES:
                raise ValueError("too large")
            about = json.loads(str(arrays[ABOUT]))
            if about["format"] != FORMAT:
                raise ModelError(f"its format is {about['format']}, this fmnist-edge reads {FORMAT}; export again")
            tolerances = {name: (float(largest), float(mean)) for name, (largest, mean) in about["tolerances"][artifact].items()}
            golden = Golden(arrays["tiles"], arrays["labels"], arrays[artifact], arrays["reference"], tolerances)
        check(golden)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; copy it from where the model comes from") from None
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from None
    # numpy's and zipfile's parsers raise all kinds of exceptions for a broken file
    except Exception:
        raise ModelError(f"{path}: it is damaged, or not a golden set; copy it and the model again, or export again") from None
    return golden


def check(golden: Golden) -> None:
    """Raises ValueError unless the arrays have the expected shapes and types."""
    count = len(golden.tiles)
    wanted: list[tuple[NDArray[Any], str, tuple[int, ...]]] = [
        (golden.tiles, "uint8", (count, TILE_SIZE, TILE_SIZE)),
        (golden.labels, "uint8", (count,)),
        (golden.outputs, "float32", (count, len(CLASSES))),
        (golden.reference, "float32", (count, len(CLASSES))),
    ]
    if count == 0 or not golden.tolerances or any(a.dtype != dtype or a.shape != shape for a, dtype, shape in wanted):
        raise ValueError("not a golden set")
