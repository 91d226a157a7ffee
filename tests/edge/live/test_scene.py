"""What the camera's frames say before the model sees them: moved or not, black, frozen; and answers that hold still."""

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.classifier import Prediction
from fmnist_edge.live.scene import Scene
from fmnist_edge.live.steady import Steady


def noise(seed: int, level: float = 120, strength: float = 10) -> Image.Image:
    """A plain wall as a camera shows it in bad light."""
    values = level + strength * np.random.default_rng(seed).standard_normal((240, 320, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


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
