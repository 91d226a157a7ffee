"""How a garment is told from its ground, step by step, with numbers that can be checked by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.pictures import segment
from fmnist_edge.pictures.segment import (
    barrier_distance,
    blur,
    border,
    centre_log_odds,
    colour_frequencies,
    extend_paths,
    fill_holes,
    find_garment,
    main_blobs,
    opponent_colours,
    otsu,
    refine,
    resized,
    run_starts,
    sigmoid,
    soft_step,
)

Array = NDArray[np.generic]


def mask_of(*rows: str) -> NDArray[np.bool_]:
    """'#' is garment."""
    return np.array([[character == "#" for character in row] for row in rows])


def test_what_was_chosen_by_measurement_is_as_it_was_measured() -> None:
    assert (segment.SEGMENT_EDGE, segment.PLAUSIBLE_AREA, segment.VISIBLE) == (96, (0.03, 0.95), 1)
    assert (segment.CLEAR_STEP, segment.CLEAR_GROUND) == (3, 0.25)
    assert (segment.BINS, segment.ROUNDS) == (12, 6)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (70, 0, 0)),
        ((255, 0, 0), (0.7 * 29.9, 120, -40)),
        ((0, 255, 0), (0.7 * 58.7, -120, -40)),
        ((0, 0, 255), (0.7 * 11.4, 0, 80)),
        ((63.75, 63.75, 63.75), (35, 0, 0)),
    ],
)
def test_colours_are_lightness_red_against_green_and_blue_against_yellow(
    rgb: tuple[float, float, float], expected: tuple[float, float, float]
) -> None:
    channels = opponent_colours(np.array([[rgb]], np.float32))

    assert channels.shape == (3, 1, 1)
    np.testing.assert_allclose(channels[:, 0, 0], expected, atol=1e-4)


def test_channels_keep_rows_and_columns() -> None:
    assert opponent_colours(np.zeros((4, 6, 3), np.float32)).shape == (3, 4, 6)


def test_a_garment_is_more_probable_in_the_middle() -> None:
    odds = centre_log_odds(3, 5)

    assert odds.shape == (3, 5)
    assert odds.dtype == np.float32
    np.testing.assert_allclose(odds[1], np.log([0.1 / 0.9, 0.85 / 0.15, 0.85 / 0.15, 0.85 / 0.15, 0.1 / 0.9]), rtol=1e-4)
    np.testing.assert_allclose(odds[0], np.log(np.full(5, 0.1 / 0.9)), rtol=1e-4)
    np.testing.assert_allclose(odds, odds[::-1, ::-1])
    np.testing.assert_allclose(centre_log_odds(1, 9)[0, 4:], [-2.1972246] * 5, rtol=1e-4)
    assert centre_log_odds(9, 9)[4, 7] == pytest.approx(np.log(0.5375 / 0.4625))  # three quarters of the way to the border


def test_the_border_is_as_thick_as_a_share_of_the_longest_edge_and_a_pixel_at_least() -> None:
    np.testing.assert_array_equal(border((4, 5), 0), mask_of("#####", "#...#", "#...#", "#####"))
    np.testing.assert_array_equal(border((5, 6), 1 / 3), mask_of("######", "######", "##..##", "######", "######"))


def test_blur_is_the_mean_of_nine_pixels_with_the_outermost_repeated() -> None:
    values = np.zeros((3, 4), np.float32)
    values[0, 0] = 9
    values[2, 2] = 9

    np.testing.assert_allclose(blur(values), [[4, 2, 0, 0], [2, 2, 1, 1], [0, 2, 2, 2]], atol=1e-6)


def test_each_channel_is_blurred_for_itself() -> None:
    values = np.stack([np.zeros((3, 3)), np.ones((3, 3))])

    np.testing.assert_allclose(blur(values), values)


def test_resizing_keeps_height_and_width_apart() -> None:
    assert resized(np.zeros((4, 6), np.float32), 2, 3).shape == (2, 3)
    np.testing.assert_allclose(resized(np.array([[0, 10]], np.float32), 1, 4), [[0, 2.5, 7.5, 10]])


def test_the_distance_is_the_span_that_must_be_crossed_from_the_border() -> None:
    channels = np.zeros((3, 40, 40), np.float32)
    channels[0, 12:28, 12:28] = 30
    channels[1, 12:28, 12:28] = -10

    distance = barrier_distance(channels)

    assert distance.shape == (40, 40)
    assert distance[20, 20] == pytest.approx(40)
    assert distance[4, 4] == 0


def test_the_border_is_ground_whatever_it_shows() -> None:
    distance = barrier_distance(np.random.default_rng(0).uniform(0, 100, (3, 40, 40)).astype(np.float32))

    assert distance[border((40, 40), 0)].max() == 0


@pytest.mark.parametrize("turns", range(4))
def test_behind_a_wall_lies_what_the_wall_costs_and_a_gap_on_any_side_lets_through(turns: int) -> None:
    ring = np.zeros((3, 60, 60), np.float32)
    ring[0, 10:38, 14:42] = 30
    ring[0, 16:32, 20:36] = 0
    with_gap = ring.copy()
    with_gap[0, 20:28, 34:44] = 0

    def inside(channels: NDArray[np.float32]) -> float:
        return float(np.rot90(barrier_distance(np.rot90(channels, turns, (1, 2))), -turns)[24, 28])

    assert inside(ring) == pytest.approx(30)
    assert inside(with_gap) < 5


def test_shading_costs_its_whole_span_once() -> None:
    ramp = np.tile(np.linspace(0, 100, 60, dtype=np.float32), (60, 1))
    channels = np.stack([ramp, np.zeros_like(ramp), np.zeros_like(ramp)])

    # the top and bottom border are as bright as what lies between
    assert barrier_distance(channels).max() < 10


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (3, 7)])
def test_a_picture_of_a_few_pixels_has_distances_too(shape: tuple[int, int]) -> None:
    distance = barrier_distance(np.ones((3, *shape), np.float32))

    assert distance.shape == shape
    assert np.isfinite(distance).all()


def test_a_path_goes_on_where_it_is_better_than_the_best_known() -> None:
    ends = np.array([[5, -5], [8, -8], [2, -2], [9, -9]], np.float32)[:, :, None, None]  # four lines of one pixel
    paths = np.array([[0, 5, -5], [9, 8, -8], [1, 2, -2], [1, 9, -9]], np.float32)[:, :, None, None]

    extend_paths(paths, ends)

    span, highest, minus_lowest = paths[:, :, 0, 0].T.tolist()
    assert span == [0, 3, 1, 1]  # the last two are reached better from elsewhere
    assert highest == [5, 8, 2, 9]
    assert minus_lowest == [-5, -5, -2, -9]


def test_otsus_threshold_parts_two_heaps() -> None:
    values = np.array([0.0, 0, 0, 1, 9, 10, 10], np.float32)

    assert 0.9 < otsu(values) < 9
    assert otsu(np.array([5.0, 5.0], np.float32)) == pytest.approx(5, abs=0.01)


def test_the_threshold_lies_just_above_the_lower_heap_wherever_that_is() -> None:
    heaps = np.array([0.0, 10.0], np.float32)

    assert otsu(heaps) == pytest.approx(10 / 256)
    assert otsu(heaps + 5) == pytest.approx(5 + 10 / 256)


def test_a_single_outlier_moves_no_threshold() -> None:
    assert 0 < otsu(np.array([0] * 50 + [4] * 50 + [20], np.float32)) < 3


def test_the_threshold_lies_where_the_means_of_both_sides_differ_most() -> None:
    few_high = np.array([0] * 90 + [4] * 5 + [10] * 5, np.float32)

    threshold = otsu(few_high)

    assert otsu(few_high + 5) == pytest.approx(threshold + 5)
    spreads = {}
    for cut in np.linspace(0.1, 9.9, 99):
        below, above = few_high[few_high <= cut], few_high[few_high > cut]
        spreads[cut] = len(below) * len(above) * (below.mean() - above.mean()) ** 2
    best = max(spreads.values())
    below, above = few_high[few_high <= threshold], few_high[few_high > threshold]
    assert len(below) * len(above) * (below.mean() - above.mean()) ** 2 == pytest.approx(best)


def test_a_soft_step_is_a_half_at_the_threshold_and_steeper_for_small_ones() -> None:
    values = np.array([0.0] * 50 + [10.0] * 50, np.float32)
    threshold = otsu(values)

    stepped = soft_step(values)

    np.testing.assert_allclose(stepped[0], 1 / (1 + np.exp(1 / 0.3)), rtol=1e-3)
    np.testing.assert_allclose(stepped[-1], 1 / (1 + np.exp(-(10 - threshold) / (0.3 * threshold))), rtol=1e-3)


@pytest.mark.parametrize(("value", "expected"), [(0, 0.5), (1, 0.7310586), (-1, 0.2689414), (1000, 1), (-1000, 9.3576e-14)])
def test_a_sigmoid_never_overflows(value: float, expected: float) -> None:
    with np.errstate(all="raise"):
        assert sigmoid(np.array([value])) == pytest.approx(expected, rel=1e-4)


def test_a_colour_counts_by_its_weight_and_for_its_neighbours_a_little() -> None:
    colour = (3 * 12 + 5) * 12 + 7
    weights = np.array([1.0, 3.0], np.float32)

    frequencies = colour_frequencies(np.array([colour, 0]), weights)

    assert frequencies.shape == (12**3,)
    assert frequencies.min() >= 1e-5
    assert frequencies.sum() == pytest.approx(1 + 12**3 * 1e-5, rel=1e-4)
    fall = np.exp(-((1 / 0.8) ** 2) / 2)
    for neighbour in (1, 12, 144):
        assert frequencies[colour + neighbour] - 1e-5 == pytest.approx(fall * (frequencies[colour] - 1e-5), rel=1e-3)
        assert frequencies[colour - neighbour] - 1e-5 == pytest.approx(fall * (frequencies[colour] - 1e-5), rel=1e-3)
    assert frequencies[0] > frequencies[colour]


def test_what_has_the_garments_colours_becomes_garment_and_what_has_the_grounds_does_not() -> None:
    channels = np.zeros((3, 30, 30), np.float32)
    channels[0, 8:22, 8:22] = 50
    guess = np.full((30, 30), 0.2, np.float32)
    guess[10:20, 10:20] = 0.8  # too small

    probability = refine(guess, channels, hints=np.zeros((30, 30), np.float32))

    assert ((probability > 0.5) != (channels[0] == 50)).sum() <= 4  # its corners
    assert probability[15, 15] > 0.98
    assert probability[2, 2] < 0.1


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_small_difference_in_one_channel_tells_beside_a_large_one_in_another(channel: int) -> None:
    channels = np.zeros((3, 30, 30), np.float32)
    channels[channel - 1, 0] = 70  # a bright edge of the ground
    channels[channel, 8:22, 8:22] = 5
    guess = np.full((30, 30), 0.2, np.float32)
    guess[10:20, 10:20] = 0.8

    probability = refine(guess, channels, hints=np.zeros((30, 30), np.float32))

    assert probability[10:20, 10:20].min() > 0.9
    assert probability[1:6].max() < 0.1


def test_a_pixel_counts_by_the_square_of_its_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "ROUNDS", 1)
    channels, guess = np.zeros((3, 20, 20), np.float32), np.full((20, 20), 0.2, np.float32)
    channels[:, :, 10:], guess[:, 10:] = 50, 0.8

    probability = refine(guess, channels, hints=np.zeros((20, 20), np.float32))

    odds = 0.8**2 / 0.2**2
    assert probability[10, 15] == pytest.approx(odds / (1 + odds), abs=1e-3)
    assert probability[10, 5] == pytest.approx(1 / (1 + odds), abs=1e-3)


def test_hints_decide_where_colours_do_not() -> None:
    channels = np.zeros((3, 20, 20), np.float32)
    hints = np.full((20, 20), -3, np.float32)
    hints[:, 10:] = 3

    probability = refine(np.full((20, 20), 0.5, np.float32), channels, hints)

    assert probability[10, 2] < 0.1
    assert probability[10, 17] > 0.9


def test_small_blobs_beside_the_garment_are_dropped_and_another_shoe_is_not() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:30, 4:18] = True
    mask[10:30, 22:36] = True
    mask[1:4, 18:22] = True

    kept = main_blobs(mask)

    assert kept[20, 10]
    assert kept[20, 30]
    assert not kept[2, 20]


def test_central_pixels_count_more() -> None:
    mask = np.zeros((41, 41), np.bool_)
    mask[18:23, 18:23] = True  # 25 pixels in the middle
    mask[0:5, 0:5] = mask[36:41, 36:41] = True  # as many in a corner, and in another

    kept = main_blobs(mask)

    assert kept[20, 20]
    assert not kept[2, 2]
    assert not kept[38, 38]


def test_a_blob_with_a_quarter_of_the_weight_is_kept() -> None:
    mask = np.zeros((201, 201), np.bool_)
    mask[100, 80:120] = True  # forty pixels in the middle
    mask[102, 94:106] = True  # twelve
    mask[104, 96:105] = True  # nine

    kept = main_blobs(mask)

    assert (kept[102].sum(), kept[104].sum()) == (12, 0)


def test_without_a_garment_nothing_is_kept() -> None:
    assert not main_blobs(np.zeros((5, 5), np.bool_)).any()


def test_holes_are_filled_and_bays_are_not() -> None:
    ring = mask_of("......", ".####.", ".#..#.", ".####.", "......")
    bay = mask_of("......", ".####.", ".#....", ".####.", "......")
    corner = mask_of("......", ".###..", ".#.#..", ".##...", "......")
    inlet = mask_of("##.###", "#..###", "######", "######")

    assert fill_holes(ring).sum() == ring.sum() + 2
    np.testing.assert_array_equal(fill_holes(bay), bay)
    np.testing.assert_array_equal(fill_holes(inlet), inlet)  # one pixel of it is at the border
    assert fill_holes(corner)[2, 2]  # ground that touches at a corner alone does not reach the border


def test_runs_start_where_their_left_neighbour_is_ground() -> None:
    np.testing.assert_array_equal(run_starts(mask_of("##.#", ".###")), mask_of("#..#", ".#.."))


def garment(edge: int, gray: int, ground: int = 255) -> Image.Image:
    """A square in the middle of 96 pixels."""
    image = Image.new("RGB", (96, 96), (ground, ground, ground))
    start = (96 - edge) // 2
    image.paste((gray, gray, gray), (start, start, start + edge, start + edge))
    return image


def test_a_square_is_found_to_the_pixel() -> None:
    found = find_garment(garment(40, 0))

    assert found is not None
    assert found.stands_out
    assert found.mask.dtype == np.bool_
    expected = np.zeros((96, 96), np.bool_)
    expected[28:68, 28:68] = True
    assert (found.mask != expected).mean() < 0.01


def test_a_garment_that_hardly_differs_is_found_and_one_that_differs_less_is_not() -> None:
    assert find_garment(garment(40, 120, ground=128)) is not None
    assert find_garment(garment(40, 126, ground=128)) is None


@pytest.mark.parametrize(("gray", "stands_out"), [(105, True), (118, False)])
def test_what_is_found_stands_out_if_it_clearly_differs(gray: int, stands_out: bool) -> None:
    found = find_garment(garment(40, gray, ground=128))

    assert found is not None
    assert found.stands_out is stands_out


def test_what_differs_no_more_than_the_ground_does_from_itself_does_not_stand_out() -> None:
    clouds = Image.fromarray(np.random.default_rng(0).normal(0, 8, (24, 24)).astype(np.float32)).resize((96, 96))
    pixels = np.asarray(garment(40, 112, ground=128)) + np.asarray(clouds)[:, :, None]

    found = find_garment(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))

    assert found is not None
    assert not found.stands_out


def test_a_garment_that_fades_into_the_ground_ends_where_a_fifth_of_it_is_left() -> None:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]  # type: ignore[misc]
    garment = np.exp(-(x**2 + y**2) / 0.18)

    found = find_garment(Image.fromarray((200 - 90 * garment).astype(np.uint8)).convert("RGB"))

    assert found is not None
    assert (found.mask != (garment > 0.21)).mean() < 0.01


@pytest.mark.parametrize(("edge", "found"), [(12, False), (24, True), (80, True)])
def test_what_is_too_small_is_no_garment(edge: int, found: bool) -> None:
    assert (find_garment(garment(edge, 0)) is not None) is found
