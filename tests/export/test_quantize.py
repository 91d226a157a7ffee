"""Rounding an MLP to int8: what the weights and ranges keep of it. The networks are small, and their inputs random."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from export.keras_model import Layers, Mlp, probabilities
from export.quantize import (
    ROOTS,
    balance_units,
    centre_logits,
    choose_ranges,
    choose_scale,
    flat_pixels,
    in_int8,
    in_steps,
    losses,
    quantize,
    round_kernel,
    round_weights,
)
from fmnist_edge.contract import Tiles

RANDOM = np.random.default_rng(0)
TILES: Tiles = RANDOM.integers(0, 256, (400, 28, 28), np.uint8)
STRANGE: Tiles = np.concatenate([255 - TILES[:20], np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)])
LARGEST = 127
"""LiteRT's int8 weights."""
VALUES, STRANGE_VALUES = flat_pixels(TILES), flat_pixels(STRANGE)


def layers_of(*sizes: int, seed: int = 1) -> Layers:
    random = np.random.default_rng(seed)
    return [
        (random.normal(0, 4 / inputs**0.5, (inputs, units)).astype(np.float32), random.normal(0, 0.3, units).astype(np.float32))
        for inputs, units in pairwise(sizes)
    ]


LAYERS = layers_of(784, 12, 10)
FEW_INPUTS = np.random.default_rng(2).uniform(0, 1, (400, 60)).astype(np.float32)
FEW = layers_of(60, 12, 10)


def test_a_root_is_the_nearest_step_of_255() -> None:
    assert ROOTS.dtype == np.uint8
    assert ROOTS[[0, 1, 64, 255]].tolist() == [0, 16, 128, 255]
    assert (np.diff(ROOTS.astype(int)) >= 0).all()


STRETCH = np.geomspace(1, 3, 12).astype(np.float32)


@pytest.mark.parametrize(
    "first",
    [(LAYERS[0][0] * STRETCH, LAYERS[0][1] * STRETCH), (LAYERS[0][0] * np.float32(0.001), 0.1 * STRETCH)],
    ids=["by their weights", "by their biases, and none as far as 1"],
)
def test_units_are_scaled_to_reach_about_as_far_as_each_other_and_nothing_else_changes(first: Any) -> None:
    uneven: Layers = [first, (LAYERS[1][0] / STRETCH[:, None], LAYERS[1][1])]

    balanced = balance_units(uneven, VALUES, STRANGE_VALUES)

    def reach(layers: Layers) -> np.ndarray:
        everything = np.concatenate([VALUES, STRANGE_VALUES])
        values: np.ndarray = np.maximum(everything @ layers[0][0] + layers[0][1], 0).max(0)
        return values

    before, after = reach(uneven), reach(balanced)
    np.testing.assert_allclose(probabilities(VALUES, balanced), probabilities(VALUES, uneven), atol=1e-5)
    assert after.max() / after.min() < before.max() / before.min() / 2
    # not all the way: on other images some would reach farther
    assert np.corrcoef(np.log(before), np.log(after))[0, 1] > 0.5


def test_a_unit_that_never_fires_and_an_input_that_never_varies_break_nothing() -> None:
    kernel, bias = FEW[0]
    dead: Layers = [(kernel * (np.arange(12) != 3), np.where(np.arange(12) == 3, -1, bias).astype(np.float32)), FEW[1]]
    values = FEW_INPUTS.copy()
    values[:, 5] = 0.25

    rounded = round_weights(balance_units(dead, values, FEW_INPUTS), values)

    assert all(np.isfinite(array).all() for layer in rounded for array in layer)
    assert np.abs(probabilities(values, rounded) - probabilities(values, dead)).max() < 0.05


def test_rounded_weights_are_whole_steps_and_the_largest_of_a_unit_reaches_the_end_of_its_scale() -> None:
    """The converter derives the scale from the largest weight: with another one it would round anew."""
    for kernel, _ in round_weights(FEW, FEW_INPUTS):
        steps = kernel / (np.abs(kernel).max(0) / LARGEST)

        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        assert (np.abs(steps).max(0).round() == LARGEST).all()


def test_a_rounding_is_made_good_by_the_weights_that_are_not_rounded_yet() -> None:
    """Inputs that vary together: rounded each by itself, the weights would be several times as far off."""
    random = np.random.default_rng(0)
    inputs = (random.normal(0, 1, (500, 4)) @ random.normal(0, 1, (4, 60)) + random.normal(0, 0.05, (500, 60))).astype(np.float32)
    kernel = random.normal(0, 1, (60, 8))
    covariance = np.cov(inputs, rowvar=False, bias=True)

    rounded = round_kernel(kernel, covariance, np.ones(60))

    scale = np.abs(kernel).max(0) / LARGEST
    nearest = np.round(kernel / scale) * scale
    ours, theirs = (np.sqrt(((inputs @ (other - kernel)) ** 2).mean()) for other in (rounded, nearest))
    assert ours < theirs / 2
    assert np.abs(rounded - kernel).max() < 10 * scale.max()  # each weight still stands in its own place


def test_however_far_a_weight_has_to_go_to_make_good_for_others_its_unit_keeps_its_scale() -> None:
    """Two inputs that hardly vary, and with a third that does: they have to go twenty times as far as it is rounded."""
    random = np.random.default_rng(0)
    inputs = random.normal(0, 1, (500, 1)) * [1, 0.05, 0.05] + random.normal(0, 0.001, (500, 3))
    kernel = random.uniform(0.5, 1, (3, 200)) * random.choice([-1, 1], (3, 200)) * [[0.5], [1], [1]]

    rounded = round_kernel(kernel, np.cov(inputs, rowvar=False, bias=True), np.ones(3))

    steps = rounded / (np.abs(rounded).max(0) / LARGEST)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


def test_biases_make_up_for_the_mean_of_what_was_rounded_off() -> None:
    inputs = FEW_INPUTS

    for (kernel, bias), (rounded_kernel, rounded_bias) in zip(FEW, round_weights(FEW, FEW_INPUTS), strict=True):
        values = inputs @ rounded_kernel + rounded_bias
        difference = values - (inputs @ kernel + bias)
        assert np.abs(difference.mean(0)).max() < 1e-4 < np.abs(difference).max()
        inputs = np.maximum(values, 0)


def test_a_further_attempt_rounds_otherwise_and_the_same_one_does_not() -> None:
    first, again, other, other_again = (round_weights(FEW, FEW_INPUTS, attempt)[0][0] for attempt in (0, 0, 1, 1))

    assert (first == again).all()
    assert (first != other).any()
    assert (other == other_again).all()


def test_a_scale_clips_a_weight_only_if_the_others_gain_by_it() -> None:
    random = np.random.default_rng(0)
    alike = random.uniform(-1, 1, (200, 1))
    alike[0] = 1
    with_a_rare_large_one = alike.copy()
    with_a_rare_large_one[0] = 1.5
    variances = np.where(np.arange(200) == 0, 1e-9, 1)

    assert choose_scale(with_a_rare_large_one, variances)[0] == pytest.approx(1 / LARGEST, rel=0.06)
    assert choose_scale(with_a_rare_large_one, np.ones(200))[0] > 1.4 / LARGEST


def test_logits_are_centred_and_say_the_same() -> None:
    centred = centre_logits(LAYERS, VALUES)

    def logits(layers: Layers) -> np.ndarray:
        hidden = np.maximum(VALUES @ layers[0][0] + layers[0][1], 0)
        values: np.ndarray = hidden @ layers[1][0] + layers[1][1]
        return values

    np.testing.assert_allclose(probabilities(VALUES, centred), probabilities(VALUES, LAYERS), atol=1e-5)
    best_two, before = (np.sort(logits(layers), 1)[:, -2:].mean(1) for layers in (centred, LAYERS))
    hidden = np.maximum(VALUES @ LAYERS[0][0] + LAYERS[0][1], 0)
    inputs = np.column_stack([hidden, np.ones(len(hidden))])
    least = before - inputs @ np.linalg.lstsq(inputs, before, rcond=None)[0]
    assert best_two.mean() == pytest.approx(0, abs=0.02)
    assert best_two.std() < 1.1 * least.std() < before.std()


@pytest.mark.parametrize("ends", [(0.0, 2.55), (-1.0, 1.55), (-2.55, 0.0)])
def test_int8_holds_256_steps_one_of_which_is_0(ends: tuple[float, float]) -> None:
    values = np.linspace(-4, 4, 10_001, dtype=np.float32)

    held = in_steps(values, ends)

    inside = (values >= ends[0]) & (values <= ends[1])
    assert len(np.unique(held)) == 256
    assert 0 in held
    assert held.dtype == np.float32
    assert np.abs(held - values)[inside].max() < 0.00501
    assert (held.min(), held.max()) == pytest.approx(ends, abs=1e-6)


def test_ranges_begin_at_0_for_hidden_layers_and_reach_as_far_as_their_values() -> None:
    hidden, logits = choose_ranges(LAYERS, LAYERS, VALUES, STRANGE_VALUES)
    values, strange = (np.maximum(v @ LAYERS[0][0] + LAYERS[0][1], 0) for v in (VALUES, STRANGE_VALUES))

    assert hidden[0] == 0
    assert hidden[1] == pytest.approx(max(values.max(), np.quantile(strange.max(1), 0.9)), rel=1e-5)
    said = np.maximum(VALUES @ LAYERS[0][0] + LAYERS[0][1], 0) @ LAYERS[1][0] + LAYERS[1][1]
    assert 1.01 * said.min() < logits[0] < 0 < logits[1]


def test_the_range_of_logits_keeps_what_counts_in_a_softmax() -> None:
    ranges = choose_ranges(LAYERS, LAYERS, VALUES, STRANGE_VALUES)
    exact = probabilities(VALUES, LAYERS)

    held = in_int8(VALUES, LAYERS, dict(enumerate(ranges, start=1)))

    assert np.abs(held - exact).max() < 0.02
    assert (held.argmax(1) == exact.argmax(1)).mean() > 0.97


def test_the_range_of_logits_is_neither_too_wide_nor_too_narrow() -> None:
    """The largest errors count most: their fourth power."""
    ranges = choose_ranges(LAYERS, LAYERS, VALUES, STRANGE_VALUES)
    exact = probabilities(VALUES, LAYERS)

    def error(factor: float) -> float:
        low, high = ranges[-1]
        return float(((in_int8(VALUES, LAYERS, {2: (low * factor, high * factor)}) - exact) ** 4).mean())

    assert error(1) < min(error(0.5), error(2))


def test_further_attempts_leave_more_room_below_the_logits() -> None:
    ranges = [choose_ranges(LAYERS, LAYERS, VALUES, STRANGE_VALUES, attempt) for attempt in (0, 2)]

    assert choose_ranges(LAYERS, LAYERS, VALUES, STRANGE_VALUES) == ranges[0]
    assert ranges[1][:-1] == ranges[0][:-1]
    assert ranges[1][-1] == pytest.approx((ranges[0][-1][0] * 1.3, ranges[0][-1][1]))


def test_a_further_attempt_is_another_model_and_the_first_one_takes_inputs_by_how_they_vary() -> None:
    first, same, other = (quantize(Mlp(LAYERS, False), TILES, STRANGE, *attempt) for attempt in ((), (0,), (1,)))
    covariance = np.cov(FEW_INPUTS, rowvar=False, bias=True)

    assert (first.rounded[0][0] == same.rounded[0][0]).all()
    assert first.ranges == same.ranges
    assert (first.rounded[0][0] != other.rounded[0][0]).any()
    assert other.ranges == choose_ranges(other.exact, other.rounded, VALUES, STRANGE_VALUES, 1)
    assert other.ranges[-1][0] < first.ranges[-1][0]
    by_variance = round_kernel(FEW[0][0].astype(float), covariance, np.ones(60))
    np.testing.assert_allclose(round_weights(FEW, FEW_INPUTS)[0][0], by_variance, rtol=1e-6)


def test_only_the_layers_with_a_range_are_held_in_steps() -> None:
    np.testing.assert_allclose(in_int8(VALUES, LAYERS, {}), probabilities(VALUES, LAYERS), atol=1e-6)
    coarse = in_int8(VALUES, LAYERS, {2: (-0.1, 0.1)})
    assert (coarse.max(1) / coarse.min(1)).max() == pytest.approx(np.exp(0.2), rel=0.02)
    # a hidden layer that is held at nothing leaves the last one's biases
    nothing = in_int8(VALUES, LAYERS, {1: (0.0, 0.0)})
    np.testing.assert_allclose(nothing, np.tile(probabilities(np.zeros((1, 12)), LAYERS[1:]), (400, 1)), atol=1e-4)


@pytest.mark.parametrize(("layers", "sqrt_input"), [(LAYERS, False), (LAYERS, True), (layers_of(784, 12, 12, 10), False)])
def test_int8_says_nearly_what_the_mlp_says_and_each_part_of_the_loss_is_named(layers: Layers, sqrt_input: bool) -> None:
    mlp = Mlp(layers, sqrt_input)

    int8 = quantize(mlp, TILES, STRANGE)
    lost = losses(int8, TILES)

    hidden = [f"values of hidden layer {number}" for number in range(1, len(layers))]
    parts = ["weights", *hidden, "logits", "all of these"]
    assert list(lost) == (["pixels' square roots", *parts] if sqrt_input else parts)
    assert int8.sqrt_input == sqrt_input
    assert len(int8.ranges) == len(int8.rounded) == len(int8.exact) == len(layers)
    pixels = flat_pixels(TILES)
    exact = probabilities(np.sqrt(pixels) if sqrt_input else pixels, layers)
    values = flat_pixels(ROOTS[TILES]) if sqrt_input else pixels
    held = in_int8(values, int8.rounded, dict(enumerate(int8.ranges, start=1)))
    assert np.abs(held - exact).max() < 0.08
    assert lost["all of these"]["max_dp"] == pytest.approx(np.abs(held - probabilities(values, int8.exact)).max())
    for figures in lost.values():
        assert 0 < figures["rms_dp"] < figures["max_dp"] < 0.08
        assert 0.95 < figures["top1_agreement"] <= 1
    assert lost["all of these"]["rms_dp"] > lost["weights"]["rms_dp"]


def test_what_a_device_may_be_shown_besides_counts_for_the_ranges() -> None:
    without, with_brighter = (choose_ranges(FEW, FEW, FEW_INPUTS / 4, strange)[0][1] for strange in (FEW_INPUTS / 4, FEW_INPUTS))

    assert with_brighter > 1.2 * without
    # but the tenth of them that reaches farthest does not
    values = np.maximum(FEW_INPUTS @ FEW[0][0] + FEW[0][1], 0).max(1)
    assert with_brighter == pytest.approx(np.quantile(values, 0.9), rel=1e-5)
