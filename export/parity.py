"""Does an artifact agree with the Keras model? Figures over all test images, and the gates that they must pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from fmnist_edge.contract import (
    CLASSES,
    OUTPUT_SCALE,
    TIE,
    Probabilities,
    agreement,
    agrees,
    best_classes,
    calibration_error,
    distance,
)

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Gate:
    """How far an artifact may be from the Keras model. It may lose ``accuracy_points``; more, up to ``most_points``, only if
    chance explains the loss. To gain is no fault."""

    accuracy_points: float
    most_points: float
    top1_agreement: float
    max_dp: float


GATES = {
    "float32": Gate(accuracy_points=0, most_points=0, top1_agreement=1, max_dp=TIE),
    "int8": Gate(accuracy_points=0.10, most_points=0.25, top1_agreement=0.995, max_dp=0.06),
}
LEAST_CHANCE = 0.01
"""Chance explains a loss if it produces one at least as large in at least this share of cases."""
MOST_TIES = 10
"""Of the 10,000 test images."""
WITNESS = "tf2onnx's conversion of fmnist-int8.tflite"
"""It computes with float32, where the files have integers. That rounds a value to the next step now and then."""
WITNESS_STEPS = 4
"""Of the output: what a step of the logits (0.06 at most, of twelve models) makes; measured: 3."""
WITNESS_SHARE = 1e-3
"""Of the outputs, how many may differ; measured: 9 of 100,000 at most."""

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
    """One artifact against the Keras model. Δp is the difference of a probability; accuracies are fractions of 1.

    ``ties`` counts the images on which Keras has two best classes. The next four count the others, by who is right; from them
    comes ``accuracy_difference``.
    """

    accuracy: float
    accuracy_difference: float
    ties: int
    both_right: int
    only_keras_right: int
    only_artifact_right: int
    both_wrong: int
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
    untied = best_classes(reference).sum(1) == 1
    keras_right, right = ((values.argmax(1) == labels)[untied] for values in (reference, probabilities))
    lost, gained = int((keras_right & ~right).sum()), int((right & ~keras_right).sum())
    # an int8 output knows no probability between 0 and a step: both sides count at least as half a step
    p, q = (np.maximum(values.astype(np.float64), OUTPUT_SCALE / 2) for values in (reference, probabilities))
    p, q = (values / values.sum(1, keepdims=True) for values in (p, q))
    return Figures(
        accuracy=accuracy(probabilities, labels),
        accuracy_difference=(gained - lost) / len(labels),
        ties=int((~untied).sum()),
        both_right=int((keras_right & right).sum()),
        only_keras_right=lost,
        only_artifact_right=gained,
        both_wrong=int((~keras_right & ~right).sum()),
        top1_agreement=agreement(reference, probabilities),
        max_dp=float(difference.max()),
        mean_dp=float(difference.mean()),
        mean_kl=float((p * np.log(p / q)).sum(1).mean()),
        calibration_error=calibration_error(probabilities.max(1), probabilities.argmax(1) == labels),
    )


def changes(reference: Probabilities, probabilities: Probabilities, labels: Labels) -> list[dict[str, str | int]]:
    """Each image whose class differs: its number in the test set, its label, and the classes of Keras and of the artifact."""
    return [
        {
            "image": int(i),
            "label": CLASSES[labels[i]],
            "keras": CLASSES[reference[i].argmax()],
            "artifact": CLASSES[probabilities[i].argmax()],
        }
        for i in np.flatnonzero(~agrees(reference, probabilities))
    ]


def broken_gates(dtype: str, figures: Figures) -> list[str]:
    """The parts of its dtype's gate that an artifact with these figures misses; empty if it passes. NaN never passes."""
    gate = GATES[dtype]
    broken = broken_accuracy(gate, figures)
    if not figures.top1_agreement >= gate.top1_agreement:
        broken.append(f"top-1 agreement is {figures.top1_agreement:.2%}, at least {gate.top1_agreement:.2%} is needed")
    if not figures.max_dp <= gate.max_dp:
        broken.append(f"a probability differs by {figures.max_dp:.2g}, at most {gate.max_dp:.2g} is allowed")
    return broken


def broken_accuracy(gate: Gate, figures: Figures) -> list[str]:
    wrong, right = figures.only_keras_right, figures.only_artifact_right
    # it is a count of 10,000 images: a ten-thousandth of a point is rounding
    points, rounding = -100 * figures.accuracy_difference, 1e-4
    found = f"accuracy is {points:.2f} points lower: {wrong} images turned wrong, {right} right"
    if points > gate.most_points + rounding:
        return [f"{found}, at most {gate.most_points:.2f} points are allowed"]
    if points > gate.accuracy_points + rounding and (by_chance := chance(wrong, right)) < LEAST_CHANCE:
        return [
            f"{found}, and chance does so in {by_chance:.2%} of all cases; if in less than {LEAST_CHANCE:.0%}, "
            f"at most {gate.accuracy_points:.2f} points are allowed"
        ]
    return []


def chance(wrong: int, right: int) -> float:
    """How often at least so many of the images that turned wrong or right turn wrong, if either is as likely: the exact one-sided
    McNemar test."""
    turned = wrong + right
    return sum(comb(turned, count) for count in range(wrong, turned + 1)) / (1 << turned)


def broken_ties(figures: Mapping[str, Figures]) -> list[str]:
    """A complaint if the Keras model has too many ties: each would excuse a different class of an artifact."""
    ties = max(of_one.ties for of_one in figures.values())
    return [f"the Keras model has two best classes on {ties} images, at most {MOST_TIES} are allowed"] if ties > MOST_TIES else []


def broken_int8_twins(outputs: Mapping[str, Probabilities]) -> list[str]:
    """What the two int8 files miss of saying the same: the same class everywhere, and outputs within one step.

    One of the softmaxes is float, and how it rounds makes a step of difference.
    """
    return contradictions("fmnist-int8.onnx", outputs["fmnist-int8.onnx"], "fmnist-int8.tflite", outputs["fmnist-int8.tflite"], 1)


def compare_witness(ours: Probabilities, witness: Probabilities) -> dict[str, float]:
    """How near fmnist-int8.onnx comes to the witness. Both float32 (N, 10), over the same images."""
    difference = distance(ours, witness)
    return {
        "same_class": int(say_the_same(ours, witness).sum()),
        "outputs": difference.size,
        "differing_outputs": int((difference > 0).sum()),
        "max_difference": float(difference.max()),
    }


def broken_witness(ours: Probabilities, witness: Probabilities) -> list[str]:
    """Where fmnist-int8.onnx disagrees with the witness by more than is allowed."""
    broken = contradictions("fmnist-int8.onnx", ours, WITNESS, witness, WITNESS_STEPS)
    found = compare_witness(ours, witness)
    if not found["differing_outputs"] <= WITNESS_SHARE * found["outputs"]:
        broken.append(
            f"fmnist-int8.onnx: {found['differing_outputs']:,} of {found['outputs']:,} outputs differ from those of {WITNESS}, "
            f"at most {WITNESS_SHARE:.1%} may"
        )
    return broken


def contradictions(name: str, outputs: Probabilities, other_name: str, others: Probabilities, most_steps: int) -> list[str]:
    """Where two int8 files do not say the same: the same class, and outputs within so many steps."""
    broken = []
    other_class = np.flatnonzero(~say_the_same(outputs, others))
    if len(other_class):
        image = other_class[0]
        broken.append(
            f"{name}: another class than {other_name} on {len(other_class)} images, none is allowed "
            f"(test image {image}: {CLASSES[outputs[image].argmax()]}, not {CLASSES[others[image].argmax()]})"
        )
    difference = np.abs(outputs - others)
    image, class_id = np.unravel_index(difference.argmax(), difference.shape)
    steps = float(difference[image, class_id] / OUTPUT_SCALE)
    if not steps <= most_steps + 0.001:
        broken.append(
            f"{name}: an output is {steps:.0f}/256 from that of {other_name}, at most {most_steps}/256 is allowed "
            f"(test image {image}: {CLASSES[class_id]})"
        )
    return broken


def say_the_same(one: Probabilities, other: Probabilities) -> NDArray[np.bool_]:
    """Whether the classes are the same, bool (N,). Of two equal outputs either is: the last digit decides between them."""
    return agrees(one, other) | agrees(other, one)
