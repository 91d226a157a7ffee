"""python -m bench: times and weighs the artifacts, and the command on them; writes docs/bench.json and docs/bench.md."""

import json
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.aims import describe_aims
from bench.bulk import describe_bulk, measure_bulk
from bench.camera import describe_camera, measure_camera
from bench.device import describe_device, measure_device
from bench.timing import BATCHES
from bench.weight import describe_weight, measure_weight
from export import bare_runtimes
from export.bundle import ARTIFACTS, to_json
from export.table import align
from fmnist_edge.cli.commands import run
from fmnist_edge.errors import reported
from train.machine import processor

SHOWN = (1, 64, 1024)


@reported("bench")
def main(
    models: Annotated[Path, typer.Option(metavar="DIR", help="The folder with the artifacts.", file_okay=False)] = Path("models"),
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for bench.json and bench.md.", file_okay=False)] = Path(
        "docs"
    ),
) -> None:
    """Time and weigh the artifacts in each runtime.

    Each runtime has a process of its own. The camera alone is watched for ten minutes.

    \b
    Examples:
      python -m bench
      python -m bench --models build/quick --out build/quick
    """
    rows = [row for runtime in bare_runtimes.RUNTIMES if bare_runtimes.is_here(runtime) for row in measure_files(runtime, models)]
    print("bench: fmnist-edge", file=sys.stderr)
    device, bulk = measure_device(), measure_bulk()
    print("bench: fmnist-edge camera, ten minutes", file=sys.stderr)
    result = {
        "machine": f"{processor()}, Python {platform.python_version()}",
        "device": device,
        "weight": measure_weight(),
        "bulk": bulk,
        "camera": measure_camera(),
        "int8_onnx_to_float_onnx": faster_onnx(rows),
        "numpy_to_litert": child("ai-edge-litert", "numpy", models / "fmnist-int8.tflite"),
        "files": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(to_json(result), "utf-8")
    (out / "bench.md").write_text(page := make_page(result), "utf-8")
    print(page)


def measure_files(runtime: str, models: Path) -> list[dict[str, Any]]:
    """The rows of the files that the runtime can run."""
    print(f"bench: {runtime}", file=sys.stderr)
    files = [models / name for name in ARTIFACTS if runtime in bare_runtimes.runtimes_for(name)]
    raced = child(runtime, "race", *files)
    return [
        {
            "file": file.name,
            "runtime": runtime,
            "version": bare_runtimes.version_of(runtime),
            "bytes": file.stat().st_size,
            **child(runtime, "weigh", file),
            **raced[str(file)],
        }
        for file in files
    ]


def child(runtime: str, job: str, *files: Path) -> Any:
    arguments = (job, runtime, *(file.resolve() for file in files))
    answer = json.loads(bare_runtimes.in_fresh_process(runtime, "bench.timing", *arguments))
    return {str(file): answer[str(file.resolve())] for file in files} if job == "race" else answer


def faster_onnx(rows: list[dict[str, Any]]) -> dict[str, float]:
    """By batch size: the time of the int8 ONNX file as a part of the float one's, both in turns in the same process."""
    times = {row["file"]: row["us_per_image"] for row in rows if row["runtime"] == "onnxruntime"}
    return {str(batch): times["fmnist-int8.onnx"][str(batch)] / times["fmnist-float.onnx"][str(batch)] for batch in BATCHES}


def make_page(result: dict[str, Any]) -> str:
    head = ("file", "runtime", "KB", "load ms", "memory MB", *(f"µs at {b}" for b in SHOWN), "ours at 1", "at 256")
    rows: list[tuple[str, ...]] = [head]
    for row in result["files"]:
        times, ratio = row["us_per_image"], row["ratio"]
        rows.append(
            (
                row["file"],
                f"{row['runtime']} {row['version']}",
                f"{row['bytes'] / 1000:.0f}",
                f"{row['load_ms']:.1f}",
                f"{row['memory_mb']:.0f}" if row["memory_mb"] else "-",
                *(f"{times[str(batch)]:.1f}" for batch in SHOWN),
                *(f"{ratio[batch]:.2f}" if ratio[batch] else "-" for batch in ("1", "256")),
            )
        )
    slower = ", ".join(f"{ratio:.1f} at {batch}" for batch, ratio in result["numpy_to_litert"].items())
    faster = ", ".join(f"{share:.2f} at {batch}" for batch, share in result["int8_onnx_to_float_onnx"].items())
    return (
        f"{align(rows)}\n\nint8 ONNX takes this part of float ONNX's time: {faster}.\n"
        f"Numpy alone takes so many times ai-edge-litert's time for the int8 file: {slower}. Machine: {result['machine']}.\n\n"
        f"{describe_device(result['device'])}{describe_weight(result['weight'])}{describe_bulk(result['bulk'])}"
        f"{describe_camera(result['camera'])}\n{describe_aims(result)}\n"
    )


if __name__ == "__main__":
    run(main, "bench")
