"""Trains a recipe's MLP: arrays in, a Keras model out that takes plain pixels / 255, whatever it was trained on."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from fmnist_edge.runtime import CLASSES, INPUT, OUTPUT, to_pixels
from fmnist_edge.tile import TILE_SIZE
from train.dataset import Dataset
from train.recipes import Recipe

VALIDATION_IMAGES = 10_000
"""Held out of the 60,000 training images, the last ones: what a choice may look at. The test images never are."""

STEPS_PER_EXECUTION = 16  # batches per call of the compiled step: the call costs more than a batch of so small a model


@dataclass(frozen=True)
class Scores:
    loss: float
    accuracy: float


@keras.saving.register_keras_serializable("fmnist")
class RandomShift(layers.Layer):
    """While training, moves an image by one pixel up, down, left or right with the given probability; the gap is background."""

    def __init__(self, probability: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.probability = probability
        self.random = keras.random.SeedGenerator(seed)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return images
        padded = tf.pad(images, [[0, 0], [1, 1], [1, 1]])
        size = TILE_SIZE
        choice = keras.random.randint((tf.shape(images)[0], 1, 1), 0, 4, seed=self.random)
        moved = padded[:, 1 : 1 + size, 0:size]
        for way, (row, column) in enumerate([(1, 2), (0, 1), (2, 1)]):
            moved = tf.where(choice == way, padded[:, row : row + size, column : column + size], moved)
        stay = keras.random.uniform((tf.shape(images)[0], 1, 1), seed=self.random) >= self.probability
        return tf.where(stay, images, moved)


def build(hidden: tuple[int, ...]) -> keras.Sequential:
    """The MLP: float32 (N, 28, 28) in [0, 1] to probabilities, float32 (N, 10)."""
    return keras.Sequential(
        [
            keras.Input((TILE_SIZE, TILE_SIZE), name=INPUT),
            layers.Flatten(),
            *(layers.Dense(units, activation="relu") for units in hidden),
            layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT),
        ],
        name="fmnist",
    )


def fit(recipe: Recipe, dataset: Dataset, seed: int, verbose: int | str = "auto") -> tuple[keras.Sequential, Scores]:
    """The trained MLP and its scores on the validation images. The same seed on the same machine gives the same weights.

    verbose: as for ``keras.Model.fit``.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    images, labels = to_pixels(dataset.train_images), dataset.train_labels
    model = build(recipe.hidden)
    front: list[layers.Layer] = []
    if recipe.shift:
        front.append(RandomShift(recipe.shift, seed))
    if recipe.standardize:
        mean, deviation = images[:-VALIDATION_IMAGES].mean(0), images[:-VALIDATION_IMAGES].std(0) + 0.1
        front.append(layers.Normalization(axis=(1, 2), mean=mean, variance=deviation**2))
    learner = keras.Sequential([keras.Input((TILE_SIZE, TILE_SIZE)), *front, *model.layers])
    steps = recipe.epochs * -(-(len(images) - VALIDATION_IMAGES) // recipe.batch_size)
    learner.compile(
        optimizer=make_optimizer(recipe, steps),
        # the sparse loss has no label smoothing
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
        if recipe.label_smoothing
        else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    targets = keras.utils.to_categorical(labels, len(CLASSES)) if recipe.label_smoothing else labels
    learner.fit(
        images[:-VALIDATION_IMAGES],
        targets[:-VALIDATION_IMAGES],
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        validation_data=(images[-VALIDATION_IMAGES:], targets[-VALIDATION_IMAGES:]),
        validation_batch_size=1000,
        verbose=verbose,
    )
    if recipe.standardize:
        fold_standardization(model, mean, deviation)
    return model, score(model, dataset.train_images[-VALIDATION_IMAGES:], labels[-VALIDATION_IMAGES:])


def score(model: keras.Model, tiles: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Scores:
    """Cross-entropy (nats) and accuracy (0 to 1). tiles: uint8 (N, 28, 28)."""
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return Scores(*map(float, model.evaluate(to_pixels(tiles), labels, batch_size=1000, verbose=0)))


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    if not recipe.warm_up:
        return keras.optimizers.Adam(recipe.learning_rate)
    warm_up_steps = round(recipe.warm_up * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up_steps, warmup_target=recipe.learning_rate, warmup_steps=warm_up_steps
    )
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


def fold_standardization(model: keras.Sequential, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> None:
    """Makes the first Dense layer take plain pixels: W' = W / deviation, b' = b - (mean / deviation) W."""
    dense = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    scaled = kernel / deviation.reshape(-1, 1)
    dense.set_weights([scaled, bias - mean.reshape(-1) @ scaled])
