"""What is folded into a model's weights: what it was trained on, and how sure it may be. Nothing here is trained for long."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fmnist_edge.contract import at_temperature
from train.augment import Examples, Lessons
from train.recipes import Recipe

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
TILES = RANDOM.integers(0, 256, (600, 28, 28), np.uint8)
LABELS = RANDOM.integers(0, 10, 600).astype(np.uint8)
RECIPE = Recipe("", hidden=(16,), epochs=1, batch_size=50, calibrate=True)
OVERFIT = replace(RECIPE, epochs=8, scaling="standardize", learning_rate=1e-2)


def network(sqrt_input: bool = False) -> Any:
    from train.fit import make_reproducible
    from train.networks import build

    make_reproducible(0)
    return build((16,), sqrt_input=sqrt_input)


@pytest.mark.parametrize("temperature", [0.5, 2])
def test_a_temperature_above_1_makes_the_model_less_sure_and_changes_no_class(temperature: float) -> None:
    from train.networks import fold_temperature, predict

    model = network()
    model.layers[-1].bias.assign(np.linspace(-1, 1, 10))
    before = predict(model, TILES)

    fold_temperature(model, temperature)
    after = predict(model, TILES)

    np.testing.assert_allclose(after, at_temperature(before, temperature), atol=1e-5)
    assert (after.max(1).mean() < before.max(1).mean()) == (temperature > 1)


@pytest.mark.parametrize("sqrt_input", [False, True])
@pytest.mark.parametrize("scaling", ["none", "normalize", "standardize"])
def test_a_model_takes_plain_pixels_whatever_it_was_trained_on(scaling: str, sqrt_input: bool) -> None:
    from train.networks import choose_scale, for_pixels, predict

    scale = choose_scale(replace(RECIPE, scaling=scaling, sqrt_input=sqrt_input), TILES)
    trained = network()
    bias = trained.layers[2].bias
    bias.assign(np.linspace(-1, 1, 16))

    model = for_pixels(trained, (16,), scale)

    np.testing.assert_allclose(predict(model, TILES), predict(trained, TILES, scale), atol=1e-4)


def test_what_is_standardized_has_no_mean_and_about_unit_deviation() -> None:
    from train.networks import choose_scale

    for sqrt_input in (False, True):
        recipe = replace(RECIPE, scaling="standardize", sqrt_input=sqrt_input)
        pixels = TILES.astype(np.float32) / 255

        scaled = np.asarray(choose_scale(recipe, TILES)(pixels))

        deviation = (np.sqrt(pixels) if sqrt_input else pixels).std(0)
        np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(scaled.std(0), deviation / (deviation + 0.1), rtol=1e-3)


def lessons(recipe: Recipe = RECIPE) -> Lessons:
    return Lessons(recipe, Examples(TILES, LABELS), 0)


@pytest.fixture(scope="module")
def holdout() -> Any:
    """Of labels that nobody can know: a model that learned any of them is too sure."""
    from train.fit import train_with_holdout

    return train_with_holdout(lessons(OVERFIT))


def test_the_temperature_is_that_of_images_that_were_not_trained_on(holdout: Any) -> None:
    from train.fit import train_with_holdout

    as_trained = train_with_holdout(lessons(replace(OVERFIT, calibrate=False)))

    assert as_trained.temperature == 1
    assert holdout.temperature > 1.5
    # less sure, it is less wrong about what nobody can know
    assert holdout.validation.loss < as_trained.validation.loss - 0.1
    assert holdout.disturbed.loss < as_trained.disturbed.loss
    assert holdout.validation.accuracy == as_trained.validation.accuracy
