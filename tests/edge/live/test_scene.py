"""What the camera's frames say before the model sees them: moved or not, black, frozen; and answers that hold still."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.classifier import Prediction
from fmnist_edge.live import scene as scenes
from fmnist_edge.live.scene import HEIGHT, WIDTH, EmptyScene, Scene, difference, evened
from fmnist_edge.live.steady import Steady


def noise(seed: int, level: float = 120, strength: float = 10) -> Image.Image:
    """A plain wall as a camera shows it in bad light."""
    values = level + strength * np.random.default_rng(seed).standard_normal((240, 320, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def grays(ground: float = 100, thing: float = 100, pixels: int = 0) -> NDArray[np.float32]:
    """A small picture; its first pixels show a thing."""
    small = np.full(WIDTH * HEIGHT, ground, np.float32)
    small[:pixels] = thing
    return small.reshape(HEIGHT, WIDTH)


def frame(ground: int = 100, thing: int = 100, pixels: int = 0) -> Image.Image:
    """A frame of which ``grays`` is what is compared."""
    return Image.fromarray(grays(ground, thing, pixels).astype(np.uint8).repeat(10, 0).repeat(10, 1))


def learned(seconds: tuple[float, ...] = (0, 0.5, 1), ground: int = 100) -> Scene:
    """One that has learned the bare ground."""
    scene = Scene(idle_fps=2)
    scene.learn()
    for now in seconds:
        scene.look(frame(ground), now)
    return scene


def test_noise_is_no_movement() -> None:
    scene = Scene(idle_fps=2)

    sights = [scene.look(noise(frame), frame / 30) for frame in range(90)]

    assert [sight.pause > 0 for sight in sights[:15]] == [False] * 15
    assert [sight.pause > 0 for sight in sights[16:]] == [True] * 74
    assert sum(sight.worth_a_result for sight in sights[16:]) == 4


def test_a_light_that_is_dimmed_is_no_movement() -> None:
    scene = Scene(idle_fps=2)

    sights = [scene.look(noise(frame, level=120 - frame / 3), frame / 30) for frame in range(90)]

    assert all(sight.pause > 0 for sight in sights[16:])


def test_noise_and_mains_hum_do_not_hide_the_empty_scene() -> None:
    scene = Scene(idle_fps=2)
    scene.learn()
    hum = [noise(frame, 120 + 10 * np.sin(frame), strength=25) for frame in range(300)]

    assert all(scene.look(picture, frame / 30).nothing for frame, picture in enumerate(hum))


def test_a_small_dark_thing_ends_the_empty_scene() -> None:
    scene = Scene(idle_fps=2)
    scene.learn()
    for frame in range(32):
        scene.look(noise(frame), frame / 30)
    picture = noise(32)
    picture.paste((70, 70, 70), (130, 90, 190, 150))  # a twentieth of the picture

    assert not scene.look(picture, 32 / 30).nothing
    assert scene.look(noise(33), 33 / 30).nothing


def test_a_camera_that_begins_in_the_dark_still_learns_the_empty_scene() -> None:
    scene = Scene(idle_fps=2)
    scene.learn()
    levels = [0] * 5 + [20, 40, 60, 80, 100] + [120] * 35
    for frame, level in enumerate(levels):
        scene.look(noise(frame, level), frame / 30)
    picture = noise(45)
    picture.paste((100, 100, 100), (130, 90, 190, 150))

    assert scene.look(noise(45), 45 / 30).nothing
    assert not scene.look(picture, 46 / 30).nothing


def test_a_picture_that_stands_still_to_the_last_pixel_is_frozen() -> None:
    scene = Scene(idle_fps=2)

    faults = [(scene.look(noise(frame), frame), scene.fault)[1] for frame in range(20)]
    frozen = [(scene.look(noise(20), frame), scene.fault)[1] for frame in range(20, 40)]
    alive = [(scene.look(noise(frame), frame), scene.fault)[1] for frame in range(40, 42)]

    assert (set(faults), set(alive)) == ({None}, {None})
    assert frozen == [None] * 10 + ["frozen"] * 10


@pytest.mark.parametrize("half_life", [0.05, 0.15, 1])
def test_a_label_changes_once_another_has_led_for_half_a_half_life(half_life: float) -> None:
    steady = Steady(half_life)
    first, second = (Prediction(np.eye(10, dtype=np.float32)[class_id], 0.5) for class_id in (3, 7))
    steady.update(first, 0)

    labels = [steady.update(second, half_life * step / 100).class_id for step in range(1, 200)]

    assert labels.index(7) == pytest.approx(150, abs=2)


def test_without_smoothing_each_frame_is_its_own_answer() -> None:
    steady = Steady(0)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 20).astype(np.float32)

    answers = [steady.update(Prediction(row, 0.5), step / 30) for step, row in enumerate(probabilities)]

    np.testing.assert_allclose([answer.shares[:10] for answer in answers], probabilities)
    assert [answer.class_id for answer in answers] == probabilities.argmax(1).tolist()
    assert [answer.unsure for answer in answers] == (probabilities.max(1) < 0.5).tolist()


def bag(garment_found: bool) -> Prediction:
    """One that is as confident as can be."""
    return Prediction(np.eye(10, dtype=np.float32)[8], 0.5, garment_found)


def test_where_nothing_stands_out_the_answer_is_unsure_however_confident() -> None:
    answer = Steady(0.15).update(bag(False), 0)

    assert answer.confidence == 1
    assert (answer.unsure, answer.garment_found) == (True, False)


def test_one_frame_in_which_the_garment_is_not_found_changes_nothing() -> None:
    steady = Steady(0.15)
    for frame in range(30):
        steady.update(bag(True), frame / 30)

    answers = [steady.update(bag(frame != 30), frame / 30) for frame in range(30, 40)]

    assert [answer.unsure for answer in answers] == [False] * 10


def test_when_the_garment_is_taken_away_the_answer_becomes_unsure_within_two_half_lives() -> None:
    steady = Steady(0.15)
    for frame in range(30):
        steady.update(bag(True), frame / 30)

    answers = [steady.update(bag(False), frame / 30) for frame in range(30, 40)]

    assert answers[-1].unsure
    assert not answers[-1].garment_found


def test_nothing_there_is_no_garment_and_no_guess() -> None:
    answer = Steady(0.15).update(None, 0)

    assert (answer.unsure, answer.garment_found) == (False, False)


def test_a_garment_stays_a_garment_however_long_it_lies_there() -> None:
    scene = learned()

    assert not any(scene.look(frame(thing=40, pixels=100), now).nothing for now in range(2, 600))
    assert scene.look(frame(), 600).nothing


@pytest.mark.parametrize(("thing", "alike"), [(106.9, True), (107.1, False)])
def test_a_shadow_that_comes_slowly_replaces_half_of_the_empty_scene_in_ten_seconds(thing: float, alike: bool) -> None:
    empty = EmptyScene()
    for now in (0, 0.5, 1):
        empty.is_like(grays(), now)

    # from 100 to 104, of which 102 is taken over, and five grays more are allowed
    assert all(empty.is_like(grays(thing=104, pixels=100), now) for now in range(2, 12))
    assert empty.is_like(grays(thing=thing, pixels=100), 12) is alike


@pytest.mark.parametrize(("pixels", "nothing"), [(23, True), (24, False)])
def test_what_covers_three_hundredths_of_the_picture_may_be_a_garment(pixels: int, nothing: bool) -> None:
    assert learned().look(frame(thing=40, pixels=pixels), 2).nothing is nothing


@pytest.mark.parametrize(("thing", "nothing"), [(105, True), (106, False), (95, True), (94, False)])
def test_what_differs_by_more_than_five_grays_is_seen(thing: int, nothing: bool) -> None:
    assert learned().look(frame(thing=thing, pixels=100), 2).nothing is nothing


@pytest.mark.parametrize(("thing", "nothing"), [(117, True), (118, False)])
def test_where_it_flickers_more_is_allowed(thing: int, nothing: bool) -> None:
    scene = Scene(idle_fps=2)
    scene.learn()
    for number in range(31):  # by two grays, of which six times as much are allowed
        scene.look(frame(thing=98 + 2 * (number % 3), pixels=100), number / 30)

    assert scene.look(frame(thing=thing, pixels=100), 2).nothing is nothing


@pytest.mark.parametrize("start", [0, 50])
def test_the_empty_scene_is_learned_for_a_second_from_when_it_is_asked_for(start: float) -> None:
    scene = Scene(idle_fps=2)
    scene.look(frame(30), start)
    scene.learn()
    for now in (0.1, 0.5, 1.09):
        assert scene.look(frame(100), start + now).nothing
    assert scene.look(frame(thing=40, pixels=100), start + 1.11).nothing  # the last that is learned from
    assert scene.look(frame(100), start + 1.2).nothing
    assert not scene.look(frame(thing=40, pixels=100), start + 1.3).nothing


def test_the_empty_scene_is_the_median_of_what_was_seen() -> None:
    empty = EmptyScene()
    for number in range(9):
        empty.is_like(grays(thing=100 if number < 5 else 200, pixels=100), number / 8)

    assert empty.is_like(grays(), 2)
    assert not empty.is_like(grays(thing=200, pixels=100), 3)


def test_the_empty_scene_is_learned_pixel_by_pixel() -> None:
    empty = EmptyScene()
    for now in (0, 0.5, 1):
        empty.is_like(grays(thing=40, pixels=300), now)

    assert empty.is_like(grays(thing=40, pixels=300), 2)
    assert not empty.is_like(grays(thing=100, pixels=300), 3)


def test_the_same_picture_has_the_same_samples_and_another_has_others() -> None:
    scene = Scene(idle_fps=2)

    first, again, other = (scene.look(picture, 0).samples for picture in (frame(), frame(), frame(thing=101, pixels=1)))

    assert first == again != other


def test_without_a_lesson_something_is_always_there() -> None:
    assert not Scene(idle_fps=2).look(frame(), 0).nothing


@pytest.mark.parametrize(("value", "black"), [(15, True), (16, False)])
def test_black_is_a_picture_of_which_no_pixel_is_brighter_than_videos_black(value: int, black: bool) -> None:
    assert Scene(idle_fps=2).look(frame(0, value, pixels=1), 0).nothing is black


def faults(*frames: tuple[Image.Image, float]) -> list[str | None]:
    scene = Scene(idle_fps=2)
    return [(scene.look(picture, now), scene.fault)[1] for picture, now in frames]


def test_black_is_said_after_a_second_and_no_longer_than_it_lasts() -> None:
    said = faults((frame(100), 5), (frame(0), 5.5), (frame(0), 5.99), (frame(0), 6.0), (frame(1), 7), (frame(100), 7.1))

    assert said == [None, None, None, "black", "black", None]


def test_frozen_is_said_after_ten_seconds_without_a_changed_pixel() -> None:
    said = faults((frame(100), 5), (frame(100), 14.99), (frame(100), 15), (frame(100, 101, pixels=1), 15.1), (frame(100), 20))

    assert said == [None, None, "frozen", None, None]


def test_a_black_picture_is_not_called_frozen() -> None:
    assert faults((frame(0), 0), (frame(0), 30)) == [None, "black"]


@pytest.mark.parametrize(("pixels", "moved"), [(7, False), (8, True)])
def test_a_hundredth_of_the_picture_must_differ_to_count_as_movement(pixels: int, moved: bool) -> None:
    scene = Scene(idle_fps=2)
    scene.look(frame(), 0)

    assert (scene.look(frame(thing=40, pixels=pixels), 5).pause == 0) is moved


def test_after_a_movement_every_frame_is_looked_at_for_half_a_second() -> None:
    scene = Scene(idle_fps=2)
    scene.look(frame(), 0)
    scene.look(frame(thing=40, pixels=100), 5)

    assert [scene.look(frame(thing=40, pixels=100), now).pause for now in (5.1, 5.49, 5.5, 5.6)] == [0, 0, 0.1, 0.1]


@pytest.mark.parametrize(("idle_fps", "pause"), [(2, 0.1), (10, 0.1), (20, 0.05)])
def test_while_nothing_moves_there_is_a_look_each_tenth_of_a_second_or_as_often_as_results_are_wanted(
    idle_fps: float, pause: float
) -> None:
    scene = Scene(idle_fps)
    scene.look(frame(), 0)

    assert scene.look(frame(), 5).pause == pause


def test_while_nothing_moves_results_come_as_often_as_wanted() -> None:
    scene = Scene(idle_fps=2)
    scene.look(frame(), 0)

    worth = [scene.look(frame(), now).worth_a_result for now in (0.25, 0.5, 0.74, 0.75, 1.24, 1.25)]

    assert worth == [True, False, False, True, False, True]


def test_when_the_empty_scene_comes_back_it_is_a_movement() -> None:
    scene = learned()
    scene.look(frame(thing=40, pixels=24), 2)
    still = scene.look(frame(thing=40, pixels=24), 3)

    back = scene.look(frame(thing=40, pixels=23), 4)  # a single pixel less

    assert (still.nothing, still.pause) == (False, 0.1)
    assert (back.nothing, back.worth_a_result, back.pause) == (True, True, 0)


def test_a_frame_is_seen_at_each_of_its_parts() -> None:
    picture = Image.new("RGB", (64, 48))
    picture.paste((255, 255, 255), (32, 24, 64, 48))
    scene = Scene(idle_fps=2)
    scene.learn()
    scene.look(picture, 0)
    scene.look(picture, 1)

    assert scene.look(picture, 2).nothing
    assert not scene.look(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 3).nothing
    assert not scene.look(picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM), 4).nothing


@pytest.mark.parametrize(("gray", "expected"), [(60, 60), (120, 120), (201, 200), (40, 50), (240, 200)])
def test_brightness_is_evened_out_by_one_stop_at_most(gray: float, expected: float) -> None:
    assert evened(grays(100), grays(gray)).max() == pytest.approx(expected, abs=1)


def test_the_brightness_is_that_of_the_ground_and_not_of_the_thing() -> None:
    np.testing.assert_array_equal(evened(grays(100), grays(100, 0, pixels=300)), grays(100))


def test_where_half_of_the_picture_is_brighter_the_gain_lies_in_the_middle() -> None:
    assert evened(grays(100), grays(100, 150, pixels=HEIGHT * WIDTH // 2)).max() == pytest.approx(124.75, abs=0.1)


def test_nothing_is_evened_out_to_more_than_white() -> None:
    assert evened(grays(100, 250, pixels=100), grays(150, 250, pixels=100)).max() == 255


def test_the_share_that_differs_is_of_pixels_darker_and_brighter() -> None:
    assert difference(grays(100, 40, pixels=96), grays(100)) == 96 / 768
    assert difference(grays(100, 160, pixels=96), grays(100)) == 96 / 768
    assert difference(grays(100, 105, pixels=96), grays(100)) == 0
    assert difference(grays(100, 160, pixels=96), grays(100), tolerance=60) == 0


def test_what_is_compared_has_the_sizes_that_the_thresholds_were_chosen_for() -> None:
    assert (scenes.WIDTH, scenes.HEIGHT, scenes.SAMPLES) == (32, 24, 10)


def test_of_what_the_empty_scene_was_learned_from_nothing_is_kept() -> None:
    """A service learns it anew for months."""
    scene = learned()
    tracemalloc.start()
    try:
        scene.learn()
        for number in range(101):
            scene.look(frame(), number / 100)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 50 * grays().nbytes
