"""Does an artifact say what the Keras model says? Figures over all test images, and the gates that they must pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, OUTPUT_SCALE, Probabilities, agreement, calibration_error, distance

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Gate:
    """How far an artifact may be from the Keras model."""

    accuracy_points: float
    top1_agreement: float
    max_dp: float


GATES = {
    "float32": Gate(accuracy_points=0, top1_agreement=1, max_dp=1e-5),
    "int8": Gate(accuracy_points=0.10, top1_agreement=0.995, max_dp=0.06),
}

# What a processor's arithmetic may change even in the same runtime (measured between x86 and Arm: 2.3e-6, and one step of int8)
ELSEWHERE = {"float32": 1e-5, "int8": OUTPUT_SCALE}
# The same of the mean (on aarch64, over the golden tiles: 6.6e-9, and 3.1e-6 of int8). It tells other rounding, which moves a few
# outputs, from other weights, which move many.
MEAN_ELSEWHERE = {"float32": 1e-7, "int8": 1e-5}
TOLERANCE_RULE = (
    "twice the largest difference to the default runtime over the test images, but at least what another processor may change: "
    "1e-5, or 1/256 for int8; and likewise the mean difference, at least 1e-7, or 1e-5 for int8"
)


@dataclass(frozen=True)
class Figures:
    """One artifact against the Keras model. Δp is the difference of a probability; accuracies are fractions of 1."""

    accuracy: float
    accuracy_difference: float
    top1_agreement: float
    max_dp: float
    mean_dp: float
    mean_kl: float
    calibration_error: float


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def compare(reference: Probabilities, probabilities: Probabilities, labels: Labels) -> Figures:
    """reference, probabilities: float32 (N, 10) of the Keras model and of the artifact, over the same images."""
    difference = distance(probabilities, reference)
    # an int8 output knows no probability between 0 and a step: both sides count at least as half a step
    p, q = (np.maximum(values.astype(np.float64), OUTPUT_SCALE / 2) for values in (reference, probabilities))
    p, q = (values / values.sum(1, keepdims=True) for values in (p, q))
    return Figures(
        accuracy=accuracy(probabilities, labels),
        accuracy_difference=accuracy(probabilities, labels) - accuracy(reference, labels),
        top1_agreement=agreement(reference, probabilities),
        max_dp=float(difference.max()),
        mean_dp=float(difference.mean()),
        mean_kl=float((p * np.log(p / q)).sum(1).mean()),
        calibration_error=calibration_error(probabilities, labels),
    )


def changes(reference: Probabilities, probabilities: Probabilities, labels: Labels) -> list[dict[str, str | int]]:
    """Each image whose class is another one: its number in the test set, its label, what Keras and what the artifact say."""
    return [
        {
            "image": int(i),
            "label": CLASSES[labels[i]],
            "keras": CLASSES[reference[i].argmax()],
            "artifact": CLASSES[probabilities[i].argmax()],
        }
        for i in np.flatnonzero(reference.argmax(1) != probabilities.argmax(1))
    ]


def broken_gates(dtype: str, figures: Figures) -> list[str]:
    """What an artifact with these figures misses of the gate for its dtype; empty if it passes. A NaN passes nothing."""
    gate = GATES[dtype]
    points = 100 * abs(figures.accuracy_difference)
    broken = []
    # the accuracies are counts of 10,000: a ten-thousandth of a point is rounding
    if not points <= gate.accuracy_points + 1e-4:
        broken.append(f"accuracy differs by {points:.2f} points, at most {gate.accuracy_points:.2f} is allowed")
    if not figures.top1_agreement >= gate.top1_agreement:
        broken.append(f"top-1 agreement is {figures.top1_agreement:.2%}, at least {gate.top1_agreement:.2%} is needed")
    if not figures.max_dp <= gate.max_dp:
        broken.append(f"a probability differs by {figures.max_dp:.2g}, at most {gate.max_dp:.2g} is allowed")
    return broken


def broken_int8_twins(outputs: Mapping[str, Probabilities]) -> list[str]:
    """What the two int8 files miss of saying the same: the same class everywhere, and outputs within one step."""
    tflite, onnx = outputs["fmnist-int8.tflite"], outputs["fmnist-int8.onnx"]
    disagreeing = int((tflite.argmax(1) != onnx.argmax(1)).sum())
    steps = float(np.abs(tflite - onnx).max() / OUTPUT_SCALE)
    broken = []
    if disagreeing:
        broken.append(f"fmnist-int8.onnx: another class than fmnist-int8.tflite on {disagreeing} images, none is allowed")
    if not steps <= 1.001:
        broken.append(f"fmnist-int8.onnx: an output is {steps:.0f}/256 from fmnist-int8.tflite's, at most 1/256 is allowed")
    return broken
