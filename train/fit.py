"""Trains a recipe's MLP: images in, a Keras model out that takes plain pixels / 255, whatever it was trained on.

A rehearsal, with some images held out, decides what there is to decide: when to stop, how sure to be. Then the model is trained
anew, in the same way, on all images.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from fmnist_edge.errors import UsageError
from fmnist_edge.runtime import CLASSES, INPUT, OUTPUT, to_pixels
from fmnist_edge.tile import TILE_SIZE
from train.arrays import as_labels, as_tiles
from train.augment import NO_EXAMPLES, VIEWS, Examples, Labels, Lessons, Targets, Tiles, view
from train.calibrate import choose_temperature, choose_unsure
from train.checkpoint import Checkpoint
from train.disturb import disturb
from train.recipes import Recipe
from train.report import Epoch, best_epoch
from train.teacher import build_teacher

Scale = tuple[NDArray[np.float32], NDArray[np.float32]]
"""float32 (28, 28) twice: what is subtracted from pixels / 255, and by what they are divided then."""
AS_THEY_ARE: Scale = np.zeros((TILE_SIZE, TILE_SIZE), np.float32), np.ones((TILE_SIZE, TILE_SIZE), np.float32)


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy (nats) and accuracy (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Trained:
    """A model that was trained on all images, and what its rehearsal showed on those held out."""

    model: keras.Sequential
    history: list[Epoch]
    temperature: float
    """By which the model's logits are divided already."""
    unsure: dict[str, float]
    """The confidence below which the model is unsure of a "tile", and of a "photo"."""
    validation: Scores
    disturbed: Scores
    """Of the images held out, disturbed."""
    photos: Scores | None
    """Of the user's photos held out, if there are any."""


def build(hidden: tuple[int, ...], name: str = "fmnist") -> keras.Sequential:
    """The MLP: float32 (N, 28, 28) in [0, 1] to probabilities, float32 (N, 10)."""
    return keras.Sequential(
        [
            keras.Input((TILE_SIZE, TILE_SIZE), name=INPUT),
            layers.Flatten(),
            *(layers.Dense(units, activation="relu") for units in hidden),
            layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT),
        ],
        name=name,
    )


def fit(
    recipe: Recipe,
    images: Any,
    labels: Any,
    seed: int = 0,
    photos: Examples = NO_EXAMPLES,
    taught: Targets | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Trains the recipe's MLP, printing a line per epoch. The same seed on the same machine gives the same weights, bit by bit.

    images, labels: as train/arrays.py takes them. photos: a user's own, for recipes with disturbed tiles. taught: what ``teach``
    gave, if it was called before. Raises UsageError for images or labels that are not what they should be.
    """
    tiles = as_tiles(images)
    examples = Examples(tiles, as_labels(labels, len(tiles)))
    if len(photos) and not recipe.disturbed:
        raise UsageError("this recipe does not learn from photos; 'standard' does, as any with disturbed tiles")
    tf.config.experimental.enable_op_determinism()
    if recipe.teacher and taught is None:
        taught = teach(recipe.teacher, examples, seed, checkpoint)
    if recipe.disturbed:
        print("disturbing images, as photos are", flush=True)
    lessons = Lessons(recipe, examples, seed, taught, photos)

    validation, own = examples[lessons.held_out], photos[lessons.photos_held_out]
    disturbed = Examples(disturb(validation.tiles, seed), validation.labels)
    print(f"rehearsal: {len(validation):,} images are held out", flush=True)
    keras.utils.set_random_seed(seed)
    rehearsed = build(recipe.hidden, "rehearsal")
    rehearsed.summary()
    history = train_network(rehearsed, lessons, recipe.epochs, validation, checkpoint)
    temperature = choose_temperature(predict(rehearsed, validation.tiles), validation.labels) if recipe.calibrate else 1.0
    fold_temperature(rehearsed, temperature)
    said = {name: predict(rehearsed, part.tiles) for name, part in (("tile", validation), ("photo", disturbed))}

    print(f"the same on all {len(examples):,} images", flush=True)
    keras.utils.set_random_seed(seed)
    model = build(recipe.hidden)
    train_network(model, lessons, best_epoch(history) if recipe.patience else len(history), None, checkpoint)
    fold_temperature(model, temperature)
    return Trained(
        model,
        history,
        temperature,
        {name: choose_unsure(probabilities, validation.labels) for name, probabilities in said.items()},
        validation=score(said["tile"], validation.labels),
        disturbed=score(said["photo"], validation.labels),
        photos=score(predict(rehearsed, own.tiles), own.labels) if len(own) else None,
    )


def teach(recipe: Recipe, examples: Examples, seed: int, checkpoint: Checkpoint | None = None) -> Targets:
    """Trains a teacher on what a rehearsal shows, and returns what it says of each view of each image: float32 (views, N, 10)."""
    print("the teacher, a convolutional network, goes first", flush=True)
    keras.utils.set_random_seed(seed)
    teacher, lessons = build_teacher(), Lessons(recipe, examples, seed)
    train_network(teacher, lessons, recipe.epochs, examples[lessons.held_out], checkpoint)
    print("asking the teacher about each image as it is, moved and mirrored", flush=True)
    return np.stack([predict(teacher, view(examples.tiles, *kind)) for kind in VIEWS])


def train_network(
    model: keras.Sequential, lessons: Lessons, epochs: int, validation: Examples | None, checkpoint: Checkpoint | None
) -> list[Epoch]:
    """Trains the model from where the checkpoint left it, and prints a line per epoch.

    validation: the images held out, for a rehearsal; without them everything is shown.
    """
    recipe = lessons.recipe
    shown = lessons.images[~lessons.held_out] if validation else lessons.images
    scale = choose_scale(recipe.scaling, shown.tiles)
    optimizer = make_optimizer(recipe, lessons.size(everything=not validation))
    run_epoch = make_epoch(model, optimizer, recipe.batch_size, scale)
    best = [tf.Variable(variable.value) for variable in model.variables] if recipe.patience and validation else []
    variables = [*model.variables, *optimizer.variables, *best]
    history = checkpoint.restore(model.name, variables) if checkpoint else []
    if history:
        print(f"going on after epoch {len(history)}")
    for number in range(len(history) + 1, epochs + 1):
        if validation and good_enough(recipe, history):
            break
        began = time.monotonic()
        loss, accuracy = run_epoch(*map(tf.constant, lessons.draw(number, everything=not validation)))
        held_out = score(predict(model, validation.tiles, scale), validation.labels) if validation else None
        history.append(Epoch(float(loss), float(accuracy), *((held_out.loss, held_out.accuracy) if held_out else ())))
        if number == best_epoch(history):
            for kept, variable in zip(best, model.variables, strict=False):
                kept.assign(variable.value)
        print(f"{progress(number, epochs, history[-1])}; {time.monotonic() - began:.1f} s", flush=True)
        if checkpoint:
            checkpoint.save(model.name, variables, history)
    for kept, variable in zip(best, model.variables, strict=False):
        variable.assign(kept)
    fold_scale(model, scale)
    return history


def good_enough(recipe: Recipe, history: list[Epoch]) -> bool:
    """Whether the last epoch reached what the recipe asks for, or the validation loss has not fallen for long enough."""
    return bool(history) and (
        (recipe.stop_at_loss is not None and history[-1].loss <= recipe.stop_at_loss)
        or (recipe.stop_at_accuracy is not None and history[-1].accuracy >= recipe.stop_at_accuracy)
        or (recipe.patience is not None and len(history) - best_epoch(history) >= recipe.patience)
    )


def progress(number: int, epochs: int, epoch: Epoch) -> str:
    line = (
        f"epoch {number:3}/{epochs} [{'=' * round(20 * number / epochs):20}] loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
    )
    if math.isnan(epoch.validation_loss):
        return line
    return f"{line}; validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.4f}"


def predict(model: keras.Model, tiles: Tiles, scale: Scale = AS_THEY_ARE) -> Targets:
    """Probabilities, float32 (N, 10), of tiles. scale: what the model was trained on, until that is folded into it."""
    mean, deviation = scale
    parts = np.array_split(tiles, -(-len(tiles) // 1000))
    return np.concatenate([model((to_pixels(part) - mean) / deviation, training=False).numpy() for part in parts])


def score(probabilities: Targets, labels: Labels) -> Scores:
    of_label = probabilities[np.arange(len(labels)), labels]
    right = probabilities.argmax(1) == labels
    return Scores(loss=float(-np.log(np.maximum(of_label, 1e-7)).mean()), accuracy=float(right.mean()))


def make_epoch(model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int, scale: Scale) -> Any:
    """A function that trains on each tile once, in order, and returns loss and accuracy.

    An epoch is one graph: for a model this small, ``Model.fit`` of Keras 3.15 spends four fifths of its time between the batches.
    """
    mean, deviation = scale
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


def choose_scale(scaling: str, tiles: Tiles) -> Scale:
    """What ``Recipe.scaling`` means. The 0.1 keeps pixels that hardly vary from counting most."""
    if scaling == "standardize":
        pixels = to_pixels(tiles)
        return pixels.mean(0), pixels.std(0) + np.float32(0.1)
    mean, deviation = AS_THEY_ARE
    return (mean, deviation / 255) if scaling == "none" else AS_THEY_ARE


def fold_scale(model: keras.Sequential, scale: Scale) -> None:
    """Makes the first Dense layer take plain pixels / 255: W' = W / deviation, b' = b - (mean / deviation) W."""
    if scale is AS_THEY_ARE:
        return
    mean, deviation = scale
    dense = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    scaled = kernel / deviation.reshape(-1, 1)
    dense.set_weights([scaled, bias - mean.reshape(-1) @ scaled])


def fold_temperature(model: keras.Sequential, temperature: float) -> None:
    """Divides the last layer's weights by it: no class changes, only how sure the model says it is."""
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / temperature, bias / temperature])
