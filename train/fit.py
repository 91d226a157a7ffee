"""Trains a recipe's MLP: tiles in, a Keras model out that takes plain pixels / 255, whatever it was trained on."""

import time
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

Tiles = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Targets = NDArray[np.float32]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy (nats) and accuracy (0 to 1)."""

    loss: float
    accuracy: float


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


def fit(recipe: Recipe, dataset: Dataset, seed: int) -> tuple[keras.Sequential, Scores]:
    """The trained MLP and its scores on the validation images, which are held out. Prints a line per epoch.

    The same seed on the same machine gives the same weights, bit by bit.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tiles, labels = dataset.train_images[:-VALIDATION_IMAGES], dataset.train_labels[:-VALIDATION_IMAGES]
    held_out = dataset.train_images[-VALIDATION_IMAGES:], dataset.train_labels[-VALIDATION_IMAGES:]
    model = build(recipe.hidden)
    model.summary()
    mean, deviation = standardization(tiles) if recipe.standardize else no_standardization()
    run_epoch = make_epoch(model, make_optimizer(recipe, len(tiles)), recipe.batch_size, mean, deviation)
    validation_images = (to_pixels(held_out[0]) - mean) / deviation
    for epoch in range(1, recipe.epochs + 1):
        began = time.monotonic()
        # each epoch has its own random numbers, whatever happened in those before
        shown, targets = draw(recipe, tiles, labels, np.random.default_rng([seed, epoch]))
        loss, accuracy = (float(value) for value in run_epoch(tf.constant(shown), tf.constant(targets)))
        validation = score(model, validation_images, held_out[1])
        bar = "=" * round(20 * epoch / recipe.epochs)
        print(
            f"epoch {epoch:3}/{recipe.epochs} [{bar:20}] loss {loss:.4f}, accuracy {accuracy:.4f}; "
            f"validation loss {validation.loss:.4f}, accuracy {validation.accuracy:.4f}; {time.monotonic() - began:.1f} s",
            flush=True,
        )
    fold_standardization(model, mean, deviation)
    return model, score(model, to_pixels(held_out[0]), held_out[1])


def score(model: keras.Model, images: NDArray[np.float32], labels: Labels) -> Scores:
    """images: float32 (N, 28, 28), as the model takes them."""
    probabilities = np.concatenate([model(part).numpy() for part in np.array_split(images, len(images) // 1000)])
    of_label = probabilities[np.arange(len(labels)), labels]
    return Scores(
        loss=float(-np.log(np.maximum(of_label, 1e-7)).mean()), accuracy=float((probabilities.argmax(1) == labels).mean())
    )


def make_epoch(model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int, mean: Image, deviation: Image) -> Any:
    """A function that trains on each tile once, in order, and returns loss and accuracy.

    An epoch is one graph: for a model this small, ``Model.fit`` of Keras 3.15 spends four fifths of its time between the batches.
    """
    optimizer.build(model.trainable_variables)

    @tf.function
    def run_epoch(tiles: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.shape(tiles)[0]
        loss_sum, right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, count, batch_size):
            images = (tf.cast(tiles[start : start + batch_size], tf.float32) / 255 - mean) / deviation
            wanted = targets[start : start + batch_size]
            with tf.GradientTape() as tape:
                probabilities = model(images, training=True)
                losses = keras.losses.categorical_crossentropy(wanted, probabilities)
                loss = tf.reduce_mean(losses)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            loss_sum += tf.reduce_sum(losses)
            right += tf.reduce_sum(tf.cast(tf.argmax(wanted, 1) == tf.argmax(probabilities, 1), tf.float32))
        return loss_sum / tf.cast(count, tf.float32), right / tf.cast(count, tf.float32)

    return run_epoch


def make_optimizer(recipe: Recipe, images: int) -> keras.optimizers.Optimizer:
    if not recipe.warm_up:
        return keras.optimizers.Adam(recipe.learning_rate)
    steps = recipe.epochs * -(-images // recipe.batch_size)
    warm_up_steps = round(recipe.warm_up * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up_steps, warmup_target=recipe.learning_rate, warmup_steps=warm_up_steps
    )
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


def draw(recipe: Recipe, tiles: Tiles, labels: Labels, random: np.random.Generator) -> tuple[Tiles, Targets]:
    """What one epoch shows: the tiles in a new order, some of them moved, and the probabilities wanted, float32 (N, 10)."""
    order = random.permutation(len(tiles))
    smooth = np.float32(recipe.label_smoothing)
    targets = np.eye(len(CLASSES), dtype=np.float32)[labels[order]] * (1 - smooth) + smooth / len(CLASSES)
    return shift_some(tiles[order], recipe.shift, random), targets


def shift_some(tiles: Tiles, probability: float, random: np.random.Generator) -> Tiles:
    """Moves a tile by one pixel up, down, left or right, with the given probability; the gap is background."""
    ways = np.where(random.random(len(tiles)) < probability, random.integers(1, 5, len(tiles)), 0)
    moved = tiles.copy()
    for way, (row, column) in enumerate([(0, 1), (2, 1), (1, 0), (1, 2)], start=1):
        padded = np.pad(tiles[ways == way], ((0, 0), (1, 1), (1, 1)))
        moved[ways == way] = padded[:, row : row + TILE_SIZE, column : column + TILE_SIZE]
    return moved


def no_standardization() -> tuple[Image, Image]:
    return np.zeros((TILE_SIZE, TILE_SIZE), np.float32), np.ones((TILE_SIZE, TILE_SIZE), np.float32)


def standardization(tiles: Tiles) -> tuple[Image, Image]:
    """Mean and deviation + 0.1 of each pixel, float32 (28, 28): the 0.1 keeps pixels that hardly vary from counting most."""
    pixels = to_pixels(tiles)
    return pixels.mean(0), pixels.std(0) + np.float32(0.1)


def fold_standardization(model: keras.Sequential, mean: Image, deviation: Image) -> None:
    """Makes the first Dense layer take plain pixels: W' = W / deviation, b' = b - (mean / deviation) W."""
    dense = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    scaled = kernel / deviation.reshape(-1, 1)
    dense.set_weights([scaled, bias - mean.reshape(-1) @ scaled])
