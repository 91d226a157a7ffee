"""The gates, and what is made of them: figures of outputs written by hand, and which files may ship."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from export import bundle, parity
from export.check import judge, judge_witness
from export.errors import ParityError, RoundingError
from export.parity import Figures
from fmnist_edge.contract import Probabilities
from support.altered_models import MLP
from support.commands import MODELS

PERFECT = Figures(
    accuracy=0.9,
    accuracy_difference=0,
    ties=0,
    both_right=9_000,
    only_keras_right=0,
    only_artifact_right=0,
    both_wrong=1_000,
    top1_agreement=1,
    max_dp=0,
    mean_dp=0,
    mean_kl=0,
    calibration_error=0,
)


def twins(tflite: tuple[int, int], onnx: tuple[int, int]) -> dict[str, Probabilities]:
    """The two int8 files' outputs for three images, the second of which gets so many steps for Sandal and for Coat."""
    outputs = {}
    for name, steps in (("fmnist-int8.tflite", tflite), ("fmnist-int8.onnx", onnx)):
        outputs[name] = np.zeros((3, 10), np.float32)
        outputs[name][:, 0] = 0.5
        outputs[name][1, [0, 5, 4]] = np.float32((0, *steps)) / 256
    return outputs


@pytest.mark.parametrize(("tflite", "onnx"), [((99, 98), (98, 98)), ((98, 98), (98, 99)), ((120, 98), (120, 98))])
def test_the_int8_files_may_differ_by_a_tie(tflite: tuple[int, int], onnx: tuple[int, int]) -> None:
    assert parity.broken_int8_twins(twins(tflite, onnx)) == []


ANOTHER_CLASS = "fmnist-int8.onnx: another class than fmnist-int8.tflite on 1 images, none is allowed (test image 1: {}, not {})"
COAT, SANDAL = ANOTHER_CLASS.format("Coat", "Sandal"), ANOTHER_CLASS.format("Sandal", "Coat")
TOO_FAR = "fmnist-int8.onnx: an output is {}/256 from that of fmnist-int8.tflite, at most 1/256 is allowed (test image 1: {})"


@pytest.mark.parametrize(
    ("tflite", "onnx", "broken"),
    [
        ((99, 98), (98, 99), [COAT]),
        ((98, 99), (99, 98), [SANDAL]),
        ((120, 98), (118, 98), [TOO_FAR.format(2, "Sandal")]),
        ((118, 98), (120, 98), [TOO_FAR.format(2, "Sandal")]),
        ((120, 98), (98, 120), [COAT, TOO_FAR.format(22, "Coat")]),
    ],
)
def test_int8_files_that_say_different_things_do_not_pass(
    tflite: tuple[int, int], onnx: tuple[int, int], broken: list[str]
) -> None:
    assert parity.broken_int8_twins(twins(tflite, onnx)) == broken


def test_int8_files_that_give_no_numbers_are_no_twins() -> None:
    outputs = twins((120, 98), (120, 98))
    outputs["fmnist-int8.onnx"][1] = np.nan

    assert len(parity.broken_int8_twins(outputs)) == 2


def as_witness(sandal: int, coat: int, more: int = 0) -> tuple[Probabilities, Probabilities]:
    """Of 1,000 images, our answers and those of a witness who gives the second so many steps, and the next ones one more."""
    ours = np.zeros((1_000, 10), np.float32)
    ours[:, 0], ours[1, [0, 5, 4]] = 0.5, np.float32((0, 110, 100)) / 256
    witness = ours.copy()
    witness[1, [5, 4]] = np.float32((sandal, coat)) / 256
    witness[2 : 2 + more, 0] += 1 / 256
    return ours, witness


@pytest.mark.parametrize("witness", [(110, 100, 0), (106, 104, 8), (110, 100, 10)])
def test_a_witness_may_round_a_few_values_otherwise(witness: tuple[int, int, int]) -> None:
    ours, theirs = as_witness(*witness)

    judge_witness(ours, theirs)

    found = parity.compare_witness(ours, theirs)
    assert (found["same_class"], found["outputs"]) == (1_000, 10_000)
    assert found["differing_outputs"] == 2 * (witness[0] != 110) + witness[2]
    assert found["max_difference"] == max(abs(witness[0] - 110), abs(witness[1] - 100), min(witness[2], 1)) / 256


BY_TF2ONNX = "tf2onnx's conversion of fmnist-int8.tflite"


@pytest.mark.parametrize(
    ("witness", "message"),
    [
        (
            (107, 108, 0),
            f"another class than {BY_TF2ONNX} on 1 images, none is allowed (test image 1: Sandal, not Coat); "
            f"fmnist-int8.onnx: an output is 8/256 from that of {BY_TF2ONNX}, at most 4/256 is allowed (test image 1: Coat)",
        ),
        ((105, 100, 0), f"an output is 5/256 from that of {BY_TF2ONNX}, at most 4/256 is allowed (test image 1: Sandal)"),
        ((110, 100, 11), f"11 of 10,000 outputs differ from those of {BY_TF2ONNX}, at most 0.1% may"),
    ],
)
def test_a_witness_who_says_something_else_is_believed_and_both_files_the_image_and_the_class_are_named(
    witness: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(RoundingError) as refused:
        judge_witness(*as_witness(*witness))

    assert str(refused.value) == f"fmnist-int8.onnx: {message}"


def test_a_witness_who_gives_no_numbers_is_refused() -> None:
    ours, witness = as_witness(110, 100)
    witness[3] = np.nan

    with pytest.raises(RoundingError, match=r"another class than .* on 1 images.*an output is nan/256 from"):
        judge_witness(ours, witness)


def turned(wrong: int, right: int) -> Figures:
    return replace(
        PERFECT, accuracy_difference=(right - wrong) / 10_000, only_keras_right=wrong, only_artifact_right=right, both_right=8_000
    )


@pytest.mark.parametrize(("wrong", "right"), [(0, 500), (10, 0), (26, 11), (200, 175)])
def test_a_gain_a_small_loss_and_a_loss_by_chance_pass(wrong: int, right: int) -> None:
    assert parity.broken_gates("int8", turned(wrong, right)) == []


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (11, 0, "accuracy is 0.11 points lower: 11 images turned wrong, 0 right, and chance does so in 0.05% of all cases; "),
        (29, 13, "accuracy is 0.16 points lower: 29 images turned wrong, 13 right, and chance does so in 0.98% of all cases; "),
        (201, 175, "accuracy is 0.26 points lower: 201 images turned wrong, 175 right, at most 0.25 points are allowed"),
        (500, 0, "accuracy is 5.00 points lower: 500 images turned wrong, 0 right, at most 0.25 points are allowed"),
    ],
)
def test_a_larger_loss_does_not_and_its_images_are_counted(wrong: int, right: int, message: str) -> None:
    (line,) = parity.broken_gates("int8", turned(wrong, right))

    assert line.startswith(message)


def test_a_float_file_may_lose_nothing() -> None:
    assert parity.broken_gates("float32", turned(1, 0)) == [
        "accuracy is 0.01 points lower: 1 images turned wrong, 0 right, at most 0.00 points are allowed"
    ]


@pytest.mark.parametrize(("wrong", "right", "share"), [(0, 0, 1), (0, 9, 1), (1, 0, 0.5), (3, 1, 5 / 16), (5, 0, 1 / 32)])
def test_chance_is_that_of_tossed_coins(wrong: int, right: int, share: float) -> None:
    assert parity.chance(wrong, right) == share


def verdict(waiver: str = "", outputs: dict[str, Probabilities] | None = None, **changes: Figures) -> dict[str, Any]:
    """Of files that say the same, but for the figures that are given for a file, or for all of a dtype."""
    same = {name: np.full((10, 10), 0.1, np.float32) for name in bundle.ARTIFACTS}
    figures = {name: changes.get(name, changes.get(dtype, PERFECT)) for name, dtype in bundle.ARTIFACTS.items()}
    contents = {name: (MODELS / name).read_bytes() for name in bundle.ARTIFACTS}
    return judge(contents, {**same, **(outputs or {})}, figures, MLP, np.zeros((10, 28, 28), np.uint8), waiver)


def test_what_passes_all_gates_is_waived_nothing() -> None:
    assert verdict() == verdict("it is too sure") == {"missed": [], "reason": ""}


@pytest.mark.parametrize("lost", [11, 100])
def test_a_waiver_lets_int8_files_lose_up_to_a_point_and_says_so(lost: int) -> None:
    waived = verdict("it is too sure", int8=turned(lost, 0))

    assert waived["reason"] == "it is too sure"
    assert [line.split(":")[0] for line in waived["missed"]] == ["fmnist-int8.tflite", "fmnist-int8.onnx"]
    assert all(f"accuracy is {lost / 100:.2f} points lower" in line for line in waived["missed"])


@pytest.mark.parametrize("name", ["fmnist-int8.tflite", "fmnist-int8.onnx"])
@pytest.mark.parametrize("lost", [101, 500])
def test_no_waiver_ships_an_int8_file_that_lost_more_than_a_point(name: str, lost: int) -> None:
    with pytest.raises(RoundingError, match=f"^{name}: accuracy is {lost / 100:.2f} points lower"):
        verdict("it is too sure", **{name: turned(lost, 0)})


def test_a_waiver_is_for_int8_files_alone() -> None:
    for cause in ({"float32": turned(1, 0)}, {"int8": replace(PERFECT, ties=11)}):
        with pytest.raises(ParityError):
            verdict("it is too sure", **cause)
    for int8 in (PERFECT, turned(11, 0)):
        with pytest.raises(RoundingError, match=r"an output is 230/256 from that of fmnist-int8\.tflite"):
            verdict("it is too sure", {"fmnist-int8.onnx": np.eye(10, dtype=np.float32)[[3] * 10]}, int8=int8)


@pytest.mark.parametrize("name", bundle.ARTIFACTS)
def test_every_file_is_judged_by_name(name: str) -> None:
    with pytest.raises(ParityError, match=f"^{name}: accuracy is 5.00 points lower: 500 images turned wrong"):
        verdict(**{name: turned(500, 0)})


def test_all_that_was_missed_is_said_file_by_file() -> None:
    far_off, lost = replace(turned(500, 0), max_dp=0.5), turned(30, 0)

    with pytest.raises(ParityError) as refused:
        verdict(**{"fmnist-float.onnx": far_off, "fmnist-int8.onnx": lost})

    of_float, of_int8 = str(refused.value).split("; fmnist-int8.onnx: ")
    assert of_float.endswith("points are allowed, a probability differs by 0.5, at most 1e-05 is allowed")
    assert of_int8.startswith("accuracy is 0.30 points lower")


@pytest.mark.parametrize(
    ("dtype", "figures", "message"),
    [
        ("float32", replace(PERFECT, top1_agreement=0.9999), "top-1 agreement is 99.99%, at least 100.00% is needed"),
        ("int8", replace(PERFECT, top1_agreement=0.9949), "top-1 agreement is 99.49%, at least 99.50% is needed"),
        ("float32", replace(PERFECT, max_dp=1.1e-5), "a probability differs by 1.1e-05, at most 1e-05 is allowed"),
        ("int8", replace(PERFECT, max_dp=0.061), "a probability differs by 0.061, at most 0.06 is allowed"),
    ],
)
def test_each_gate_has_its_limit(dtype: str, figures: Figures, message: str) -> None:
    at_the_limit = replace(
        PERFECT, top1_agreement=1 if dtype == "float32" else 0.995, max_dp=1e-5 if dtype == "float32" else 0.06
    )

    assert parity.broken_gates(dtype, figures) == [message]
    assert parity.broken_gates(dtype, at_the_limit) == []


def test_figures_count_who_is_right_and_leave_ties_out() -> None:
    """Six images of class 0: both right, Keras alone, the artifact alone, neither of two, and one on which Keras has a tie."""
    keras, artifact = np.zeros((2, 6, 10), np.float32)
    keras[[0, 1, 2, 3, 4], [0, 0, 1, 1, 1]], artifact[[0, 1, 2, 3, 4], [0, 2, 0, 2, 2]] = 1, 1
    keras[5, [0, 1]], artifact[5, 1] = 0.5, 1

    figures = parity.compare(keras, artifact, np.zeros(6, np.uint8))

    counts = (figures.both_right, figures.only_keras_right, figures.only_artifact_right, figures.both_wrong, figures.ties)
    assert counts == (1, 1, 1, 2, 1)
    assert figures.accuracy == 2 / 6
    assert figures.accuracy_difference == 0
    assert figures.top1_agreement == 2 / 6
    assert figures.max_dp == 1
    assert figures.mean_dp == pytest.approx((4 * 2 + 1) / 60)
    assert figures.calibration_error == pytest.approx(4 / 6)
    assert [change["image"] for change in parity.changes(keras, artifact, np.zeros(6, np.uint8))] == [1, 2, 3, 4]


@pytest.mark.parametrize(("label", "difference"), [(0, -0.5), (2, 0.5), (1, 0)])
def test_a_loss_is_negative_and_a_gain_positive(label: int, difference: float) -> None:
    keras, artifact = np.eye(10, dtype=np.float32)[[0, 1]], np.eye(10, dtype=np.float32)[[2, 1]]

    assert parity.compare(keras, artifact, np.array([label, 1], np.uint8)).accuracy_difference == difference


def test_the_divergence_is_that_of_kullback_and_leibler_and_nothing_counts_as_half_a_step() -> None:
    keras, artifact = np.zeros((2, 2, 10), np.float32)
    keras[0, :2], artifact[0, 0] = 0.5, 1
    keras[1, 2], artifact[1, 2:6] = 1, 0.25
    half = 1 / 512
    keras_counts = np.array([[0.5, 0.5, *[half] * 8], [half, half, 1, *[half] * 7]])
    artifact_counts = np.array([[1, *[half] * 9], [half, half, *[0.25] * 4, *[half] * 4]])
    p, q = (counts / counts.sum(1)[:, None] for counts in (keras_counts, artifact_counts))

    figures = parity.compare(keras, artifact, np.zeros(2, np.uint8))

    assert figures.mean_kl == pytest.approx((p * np.log(p / q)).sum() / 2)
    assert parity.compare(keras, keras, np.zeros(2, np.uint8)).mean_kl == 0


def test_a_change_names_the_image_its_label_and_what_both_say() -> None:
    keras, artifact = np.eye(10, dtype=np.float32)[[0, 1]], np.eye(10, dtype=np.float32)[[0, 3]]

    assert parity.changes(keras, artifact, np.array([0, 6], np.uint8)) == [
        {"image": 1, "label": "Shirt", "keras": "Trouser", "artifact": "Dress"}
    ]


def test_ties_of_any_file_count() -> None:
    assert parity.broken_ties({"one": PERFECT, "other": replace(PERFECT, ties=10)}) == []
    assert len(parity.broken_ties({"one": replace(PERFECT, ties=11), "other": PERFECT})) == 1


def test_another_rounding_is_tried_for_int8_files_alone() -> None:
    with pytest.raises(RoundingError):
        verdict(int8=turned(30, 0))
    for cause in (
        {"float32": turned(30, 0)},
        {"float32": turned(30, 0), "int8": turned(30, 0)},
        {"int8": replace(PERFECT, ties=11)},
    ):
        with pytest.raises(ParityError) as refused:
            verdict(**cause)
        assert type(refused.value) is ParityError


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("dtype", parity.GATES)
def test_an_output_that_is_no_number_passes_nothing(dtype: str) -> None:
    keras = np.eye(10, dtype=np.float32)
    artifact = keras.copy()
    artifact[4, 4] = np.nan

    figures = parity.compare(keras, artifact, np.arange(10, dtype=np.uint8))

    assert (figures.max_dp, figures.top1_agreement) == (1, 0.9)
    assert len(parity.broken_gates(dtype, figures)) == 2
    unknown = replace(PERFECT, top1_agreement=np.nan, max_dp=np.nan)
    assert len(parity.broken_gates(dtype, unknown)) == 2
