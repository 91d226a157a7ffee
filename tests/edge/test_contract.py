"""What training, export and device agree on, number by number: were one of these wrong, all three would be wrong together."""

import numpy as np
import pytest

from fmnist_edge import contract
from fmnist_edge.contract import (
    CLASSES,
    LANGUAGES,
    agreement,
    agrees,
    at_temperature,
    best_classes,
    calibration_error,
    confidence_bins,
    dequantize,
    distance,
    quantize,
    to_input,
    to_pixels,
    to_probabilities,
)

ALL_VALUES = np.arange(256, dtype=np.uint8)


def test_the_classes_are_fashion_mnists_in_its_order() -> None:
    assert (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ) == CLASSES


def test_each_class_has_its_chinese_name() -> None:
    assert LANGUAGES["en"] == CLASSES
    assert dict(zip(CLASSES, LANGUAGES["zh"], strict=True)) == {
        **{"T-shirt/top": "T恤/上衣", "Trouser": "裤子", "Pullover": "套头衫", "Dress": "连衣裙", "Coat": "外套"},
        **{"Sandal": "凉鞋", "Shirt": "衬衫", "Sneaker": "运动鞋", "Bag": "包", "Ankle boot": "短靴"},
    }


def test_files_made_before_can_still_be_read() -> None:
    assert (contract.TILE_SIZE, contract.INPUT, contract.OUTPUT) == (28, "image", "probabilities")
    assert contract.DESCRIPTION == "fmnist.json"
    assert (contract.INPUT_SCALE, contract.OUTPUT_SCALE, contract.ZERO_POINT) == (1 / 255, 1 / 256, -128)


def test_a_float_model_takes_pixels_from_0_to_1() -> None:
    pixels = to_pixels(ALL_VALUES)

    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, ALL_VALUES.astype(np.float32) / np.float32(255))
    assert (pixels[0], pixels[51], pixels[255]) == (0, np.float32(0.2), 1)


def test_an_int8_model_takes_pixels_less_128() -> None:
    values = quantize(ALL_VALUES)

    assert values.dtype == np.int8
    np.testing.assert_array_equal(values, ALL_VALUES.astype(int) - 128)


def test_int8_values_stand_for_scale_times_their_distance_from_the_zero_point() -> None:
    values = dequantize(np.array([-128, -3, 0, 127], np.int8), 0.5, -3)

    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [-62.5, 0, 1.5, 65])


def test_the_int8_input_stands_for_the_float_input() -> None:
    stands_for = dequantize(quantize(ALL_VALUES), contract.INPUT_SCALE, contract.ZERO_POINT)

    np.testing.assert_allclose(stands_for, to_pixels(ALL_VALUES), rtol=1e-6)


def test_the_input_has_the_models_dtype() -> None:
    np.testing.assert_array_equal(to_input(ALL_VALUES, np.int8), quantize(ALL_VALUES))
    np.testing.assert_array_equal(to_input(ALL_VALUES, np.float32), to_pixels(ALL_VALUES))
    assert to_input(ALL_VALUES, np.dtype("float32")).dtype == np.float32


def test_int8_outputs_are_probabilities_in_steps_of_a_256th() -> None:
    output = np.arange(-128, 128).astype(np.int8).reshape(2, 128)

    probabilities = to_probabilities(output)

    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities.ravel(), np.arange(256) / 256)
    assert probabilities.shape == (2, 128)


def test_float_outputs_are_probabilities_already() -> None:
    output = np.random.default_rng(0).random((2, 10), np.float32)

    assert to_probabilities(output) is output


def test_agreement_is_the_share_that_names_the_same_class() -> None:
    one = np.array([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.1, 0.9]], np.float32)
    other = np.array([[0.9, 0.1], [0.4, 0.6], [0.49, 0.51], [0.2, 0.8]], np.float32)

    assert agreement(one, other) == 0.75
    assert isinstance(agreement(one, other), float)


def test_classes_as_near_to_the_best_as_rounding_may_move_them_are_best_too() -> None:
    assert contract.TIE == 1e-5
    best = np.float32(0.5)
    nearest = best - np.float32(contract.TIE)
    reference = np.array([[best, nearest, np.nextafter(nearest, np.float32(0)), 0]], np.float32)

    assert best_classes(reference).tolist() == [[True, True, False, False]]
    assert best_classes(np.array([[np.nan, 1]], np.float32)).tolist() == [[False, False]]


def test_a_probability_of_0_counts_as_a_4096th_when_its_temperature_changes() -> None:
    certain = np.eye(10, dtype=np.float32)[:1]

    answer = at_temperature(certain, 2)

    assert answer[0, 0] / answer[0, 1] == pytest.approx(4096**0.5)
    assert answer.sum() == pytest.approx(1)
    assert at_temperature(certain, 1) is certain


def test_distance_counts_in_both_directions() -> None:
    one, other = np.array([[0.5, 0.25]], np.float32), np.array([[0.25, 0.5]], np.float32)

    np.testing.assert_array_equal(distance(one, other), [[0.25, 0.25]])
    assert distance(one, other).dtype == np.float64


def test_what_is_no_number_is_as_far_away_as_can_be() -> None:
    one, other = np.array([[np.nan, 0.5]], np.float32), np.array([[0.5, np.nan]], np.float32)

    np.testing.assert_array_equal(distance(one, other), [[1, 1]])


def test_distance_keeps_differences_that_float32_would_lose() -> None:
    one, other = np.array([[1.0]], np.float32), np.array([[1e-9]], np.float32)

    assert distance(one, other)[0, 0] != 1


@pytest.mark.parametrize(
    ("confidence", "number"),
    [(-0.1, 0), (np.nan, 0), (0, 0), (0.0666, 0), (0.0667, 1), (0.1, 1), (0.5, 7), (0.9333, 13), (0.9334, 14), (1, 14)],
)
def test_there_are_fifteen_bins_of_equal_width(confidence: float, number: int) -> None:
    assert contract.CALIBRATION_BINS == 15
    assert confidence_bins(np.array([confidence])) == [number]


def error_of(*answers: tuple[float, bool]) -> float:
    """Of answers by their confidence and whether they are right."""
    confidence, right = zip(*answers, strict=True)
    return calibration_error(np.array(confidence, np.float32), np.array(right))


def test_a_model_that_is_right_as_often_as_it_is_confident_has_no_calibration_error() -> None:
    assert error_of((0.75, True), (0.75, True), (0.75, True), (0.75, False)) == 0


def test_too_much_confidence_and_too_little_both_count_by_the_size_of_their_bin() -> None:
    assert error_of((1, False), (0.5, True), (0.5, True), (0.5, True)) == (1 + 3 * 0.5) / 4


def test_within_a_bin_only_the_means_count() -> None:
    # 0.75 and 0.78125 are in one bin: their mean is compared with a half
    assert error_of((0.75, True), (0.78125, False)) == pytest.approx((0.75 + 0.78125 - 1) / 2)


def test_what_is_no_number_makes_its_own_image_disagree_and_no_other() -> None:
    reference = np.eye(10, dtype=np.float32)[:2]
    found = reference.copy()
    found[0, 5] = np.nan

    assert agrees(reference, found).tolist() == [False, True]
