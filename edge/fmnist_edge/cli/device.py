"""`fmnist-edge verify`, `info`, `status`, `doctor` and `bench`: the model and the machine that it runs on."""

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from fmnist_edge.cli.options import ModelOption
from fmnist_edge.errors import ModelError, reported, stop


@reported("fmnist-edge")
def verify(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="If a key is configured: from now on, refuse models signed before this one.")
    ] = False,
) -> None:
    """Check that the model computes here what it did when exported.

    Runs the golden tiles stored beside the model, and compares the outputs with those that the workstation stored.

    \b
    Examples:
      fmnist-edge verify
      fmnist-edge verify --model models/fmnist-float.onnx

    Exit status: 0 the outputs agree; 2 usage; 3 they do not, or the model or its golden.npz is missing or damaged.
    """
    from dataclasses import asdict

    from fmnist_edge.bundle.golden import to_lines, verify

    verdict = verify(model)
    print(dumps(asdict(verdict)) if json else "\n".join(to_lines(verdict)), flush=True)
    if not verdict.holds:
        raise ModelError(verdict.complaint)
    if accept:
        from fmnist_edge.bundle.signature import accept_counter

        accept_counter(Path(verdict.model))


@reported("fmnist-edge")
def info(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the description as stored in the file.")] = False,
) -> None:
    """Show the model's self-description: inputs, recipe, data.

    Needs no runtime.

    \b
    Examples:
      fmnist-edge info
      fmnist-edge info --model models/fmnist-float.onnx --json

    Exit status: 0 the description is shown; 2 usage; 3 the model is missing or damaged.
    """
    from fmnist_edge.bundle.info import to_lines
    from fmnist_edge.bundle.model import read_model

    path, content, description = read_model(model)
    print(dumps(description, indent=1) if json else "\n".join(to_lines(path, content, description)), flush=True)


@reported("fmnist-edge")
def status(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the state of this device: model, camera, temperature.

    Also the model's signature, and whether 'fmnist-edge verify' succeeds.

    \b
    Examples:
      fmnist-edge status
      fmnist-edge status --json

    Exit status: 0 healthy; 2 usage; 3 not healthy.
    """
    from fmnist_edge.device.status import examine, to_lines

    found = examine(model)
    print(dumps(found) if json else "\n".join(to_lines(found)), flush=True)
    if found["problem"]:
        raise ModelError(found["problem"])


@reported("fmnist-edge")
def doctor(
    model: ModelOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check what classifying needs, and say how to fix the rest.

    Each line is ok, a note or a problem; problems say what to do. Put its output into a bug report.

    \b
    Examples:
      fmnist-edge doctor
      fmnist-edge doctor --model my-model.tflite

    Exit status: 0 classifying works; 2 usage; 3 it does not.
    """
    from fmnist_edge.device.doctor import examine

    findings = []
    for finding in examine(model):
        findings.append(finding)
        if not json:  # each as it is found: some take seconds
            print("{:8} {:12} {}".format(*finding), flush=True)
    healthy = all(state != "problem" for state, _, _ in findings)
    if json:
        parts = [dict(zip(("state", "part", "text"), finding, strict=True)) for finding in findings]
        print(dumps({"healthy": healthy, "findings": parts}), flush=True)
    if not healthy:
        stop("fmnist-edge", "classifying does not work here; fix what is marked as a problem, from the top", 3)


@reported("fmnist-edge")
def bench(
    model: ModelOption = None,
    photo: Annotated[
        Path | None, typer.Option(readable=False, metavar="FILE", help="The photo to use. If not given: a drawn one.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Try 1 to N threads. If not given: up to the number of cores, at most 4."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, metavar="N", help="Repeat each step for this many seconds.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with times in milliseconds.")] = False,
) -> None:
    """Time each step from a photo to a prediction on this device.

    Also measures start-up, memory, threads, temperature and throttling.

    \b
    Examples:
      fmnist-edge bench
      fmnist-edge bench --photo shoe.jpg --seconds 0.2

    Exit status: 0 measured; 1 the photo can't be used; 2 usage; 3 the model is missing or damaged.
    """
    from fmnist_edge.device.bench import measure, report
    from fmnist_edge.terminal import tell

    def show(step: str) -> None:
        if sys.stderr is not None and sys.stderr.isatty():
            print(f"\r\033[K{step}", end="", file=sys.stderr, flush=True)
        elif step.startswith("1/"):
            tell(f"measuring, about {seconds:g} s for each step")

    try:
        result = measure(model, photo, threads, seconds, show)
    finally:
        show("")
    print(dumps(result) if json else report(result), flush=True)
