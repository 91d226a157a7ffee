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
from train.checkpoint import Checkpoint
from train.dataset import Dataset
from train.recipes import Recipe
from train.report import Epoch
from train.teacher import build_teacher

VALIDATION_IMAGES = 10_000
"""Held out of the 60,000 training images, the last ones: what a choice may look at. The test images never are."""

Tiles = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Targets = NDArray[np.float32]
Image = NDArray[np.float32]

WAYS = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
"""Where a tile is cut out of one that is two pixels larger: in place, or a pixel lower, higher, to the right, to the left."""
VIEWS = tuple((way, flipped) for way in WAYS for flipped in (False, True))
"""All that a tile may be shown as; number 2 * way + flipped."""

FLIPPABLE = np.array([name not in ("Sandal", "Sneaker", "Ankle boot") for name in CLASSES])
"""Classes that look the same in a mirror. Fashion-MNIST's shoes all point to the left."""


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy (nats) and accuracy (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Images:
    """Tiles and labels to train on, and those held out."""

    tiles: Tiles
    labels: Labels
    validation_tiles: Tiles
    validation_labels: Labels


@dataclass(frozen=True)
class Trained:
    """What a training gives. ``temperature`` is already folded into the model."""

    model: keras.Sequential
    history: list[Epoch]
    temperature: float
    validation: Scores


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


def fit(recipe: Recipe, dataset: Dataset, seed: int, checkpoint: Checkpoint) -> Trained:
    """Trains the recipe's MLP, printing a line per epoch. The validation images are held out; they set the temperature.

    The same seed on the same machine gives the same weights, bit by bit.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    images = Images(
        dataset.train_images[:-VALIDATION_IMAGES],
        dataset.train_labels[:-VALIDATION_IMAGES],
        dataset.train_images[-VALIDATION_IMAGES:],
        dataset.train_labels[-VALIDATION_IMAGES:],
    )
    taught = None
    if recipe.teacher:
        print("the teacher, a convolutional network, goes first")
        teacher = build_teacher()
        run_epochs(teacher, recipe.teacher, images, None, seed, *no_standardization(), checkpoint)
        print("asking the teacher about each image as it is, moved and mirrored", flush=True)
        taught = np.stack([predict(teacher, to_pixels(view(images.tiles, *kind))) for kind in VIEWS])
    model = build(recipe.hidden)
    model.summary()
    mean, deviation = standardization(images.tiles) if recipe.standardize else no_standardization()
    history = run_epochs(model, recipe, images, taught, seed, mean, deviation, checkpoint)
    fold_standardization(model, mean, deviation)
    validation_pixels = to_pixels(images.validation_tiles)
    temperature = 1.0
    if recipe.calibrate:
        temperature = choose_temperature(predict(model, validation_pixels), images.validation_labels)
        fold_temperature(model, temperature)
    return Trained(model, history, temperature, score(predict(model, validation_pixels), images.validation_labels))


def run_epochs(
    model: keras.Model,
    recipe: Recipe,
    images: Images,
    taught: Targets | None,
    seed: int,
    mean: Image,
    deviation: Image,
    checkpoint: Checkpoint,
) -> list[Epoch]:
    """Trains the model on (pixel - mean) / deviation, from where the checkpoint left it, and prints a line per epoch."""
    optimizer = make_optimizer(recipe, len(images.tiles))
    run_epoch = make_epoch(model, optimizer, recipe.batch_size, mean, deviation)
    validation_pixels = (to_pixels(images.validation_tiles) - mean) / deviation
    variables = [*model.variables, *optimizer.variables]
    history = checkpoint.restore(model.name, variables)
    if history:
        print(f"going on after epoch {len(history)}")
    for number in range(len(history) + 1, recipe.epochs + 1):
        if good_enough(recipe, history):
            break
        began = time.monotonic()
        # each epoch has its own random numbers, whatever happened in those before
        shown, targets = draw(recipe, images, taught, np.random.default_rng([seed, number]))
        loss, accuracy = (float(value) for value in run_epoch(tf.constant(shown), tf.constant(targets)))
        validation = score(predict(model, validation_pixels), images.validation_labels)
        history.append(Epoch(loss, accuracy, validation.loss, validation.accuracy))
        bar = "=" * round(20 * number / recipe.epochs)
        print(
            f"epoch {number:3}/{recipe.epochs} [{bar:20}] loss {loss:.4f}, accuracy {accuracy:.4f}; "
            f"validation loss {validation.loss:.4f}, accuracy {validation.accuracy:.4f}; {time.monotonic() - began:.1f} s",
            flush=True,
        )
        checkpoint.save(model.name, variables, history)
    return history


def good_enough(recipe: Recipe, history: list[Epoch]) -> bool:
    """Whether the last epoch reached what the recipe asks for."""
    return bool(history) and (
        (recipe.stop_at_loss is not None and history[-1].loss <= recipe.stop_at_loss)
        or (recipe.stop_at_accuracy is not None and history[-1].accuracy >= recipe.stop_at_accuracy)
    )


def predict(model: keras.Model, pixels: Image) -> Targets:
    """Probabilities, float32 (N, 10), of images as the model takes them, float32 (N, 28, 28)."""
    parts = np.array_split(pixels, -(-len(pixels) // 1000))
    return np.concatenate([model(part, training=False).numpy() for part in parts])


def score(probabilities: Targets, labels: Labels) -> Scores:
    of_label = probabilities[np.arange(len(labels)), labels]
    right = probabilities.argmax(1) == labels
    return Scores(loss=float(-np.log(np.maximum(of_label, 1e-7)).mean()), accuracy=float(right.mean()))


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


def draw(recipe: Recipe, images: Images, taught: Targets | None, random: np.random.Generator) -> tuple[Tiles, Targets]:
    """What one epoch shows: the tiles in a new order, some moved or mirrored, and the probabilities wanted, float32 (N, 10).

    taught: what the teacher says of each of VIEWS, float32 (views, N, 10).
    """
    count = len(images.tiles)
    ways = np.where(random.random(count) < recipe.shift, random.integers(1, len(WAYS), count), 0)
    flips = (random.random(count) < recipe.flip) & FLIPPABLE[images.labels]
    views = 2 * ways + flips
    shown = np.empty_like(images.tiles)
    for number, kind in enumerate(VIEWS):
        shown[views == number] = view(images.tiles[views == number], *kind)
    smooth = np.float32(recipe.label_smoothing)
    wanted = np.eye(len(CLASSES), dtype=np.float32)[images.labels] * (1 - smooth) + smooth / len(CLASSES)
    if taught is not None:
        share = np.float32(recipe.teachers_share)
        wanted = share * taught[views, np.arange(count)] + (1 - share) * wanted
    order = random.permutation(count)
    return shown[order], wanted[order]


def view(tiles: Tiles, way: tuple[int, int], flipped: bool) -> Tiles:
    """The tiles cut out as WAYS says, background where there is nothing, and mirrored if asked for."""
    row, column = way
    moved = np.pad(tiles, ((0, 0), (1, 1), (1, 1)))[:, row : row + TILE_SIZE, column : column + TILE_SIZE]
    return moved[:, :, ::-1] if flipped else moved


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


def choose_temperature(probabilities: Targets, labels: Labels) -> float:
    """By which to divide the logits so that confidence is as high as accuracy (Guo et al. 2017, arXiv:1706.04599).

    The one with the least cross-entropy on images that were not trained on. probabilities: float32 (N, 10).
    """
    logits = np.log(np.maximum(probabilities, 1e-12).astype(np.float64))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())

    return float(min(np.geomspace(0.25, 4, 401), key=loss))


def fold_temperature(model: keras.Sequential, temperature: float) -> None:
    """Divides the last layer's weights by it: no class changes, only how sure the model says it is."""
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / temperature, bias / temperature])
