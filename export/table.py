"""The figures of a bundle as a Markdown table: for the terminal, the README, docs/export.md and the parity page."""

from collections.abc import Sequence
from typing import Any

from export import parity


def make_table(manifest: dict[str, Any]) -> str:
    """The figures of a manifest as Markdown that is readable as it is. Difference is in points, against the Keras model."""
    reference = manifest["reference"]
    rows = [
        ("file", "KB", "accuracy", "difference", "agreement", "largest Δp"),
        (reference["file"], f"{reference['bytes'] / 1000:.0f}", f"{reference['accuracy']:.2%}", "-", "-", "-"),
    ]
    rows += [
        (
            name,
            f"{file['bytes'] / 1000:.0f}",
            f"{file['accuracy']:.2%}",
            f"{100 * file['accuracy_difference']:+.2f}",
            f"{file['top1_agreement']:.2%}",
            f"{file['max_dp']:.1g}" if file["dtype"] == "float32" else f"{file['max_dp']:.3f}",
        )
        for name, file in manifest["files"].items()
    ]
    witness = manifest["witness"]
    rows.append(
        (
            "fmnist-int8.tflite, by tf2onnx",
            "-",
            f"{witness['accuracy']:.2%}",
            f"{100 * witness['accuracy_difference']:+.2f}",
            f"{witness['top1_agreement']:.2%}",
            f"{witness['max_dp']:.3f}",
        )
    )
    limits = [
        f"{dtype} {points_allowed(gate)}, {gate.top1_agreement:.1%}, Δp {gate.max_dp:g}" for dtype, gate in parity.GATES.items()
    ]
    ties = max(file["ties"] for file in manifest["files"].values())
    return (
        f"{align(rows)}\n\nLimits: {'; '.join(limits)}.\n"
        f"The difference leaves out ties, on which Keras has two best classes: {ties} of the test images.\n"
        f"{witness_line(manifest)}\n"
    )


def witness_line(manifest: dict[str, Any]) -> str:
    found, converter = manifest["witness"], f"tf2onnx {manifest['versions']['tf2onnx']}"
    return (
        f"The last line is {converter}'s own conversion, a second witness, which is not shipped.\n"
        f"On {found['same_class']:,} images it names the class that fmnist-int8.onnx names; "
        f"{found['differing_outputs']:,} of {found['outputs']:,} outputs\n"
        f"differ, by {delta(found['max_difference'], 'int8')} at most (limits: all images, {parity.WITNESS_SHARE:.1%}, "
        f"{parity.WITNESS_STEPS}/256)."
    )


def points_allowed(gate: parity.Gate) -> str:
    by_chance = f" ({gate.most_points:.2f} if chance explains it)" if gate.most_points > gate.accuracy_points else ""
    return f"{gate.accuracy_points:.2f} points{by_chance}"


def align(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first row its head, with columns that line up."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def delta(difference: float, dtype: str) -> str:
    """A difference of two outputs: of int8 in its steps, of which 256 are a probability of 1."""
    return f"{difference:.1g}" if dtype == "float32" else f"{difference * 256:.3g}/256" if difference else "0"
