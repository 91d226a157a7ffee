"""Trains a recipe's MLP: images in, a Keras model out that takes plain pixels / 255, whatever it was trained on.

A rehearsal, with some images held out, decides what there is to decide: when to stop, how sure to be. Then the model is trained
anew, in the same way, on all images.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fmnist_edge.contract import Probabilities
from fmnist_edge.errors import FmnistEdgeError, UsageError
from train.arrays import Labels, as_labels, as_tiles
from train.augment import NO_EXAMPLES, Examples, Lessons
from train.calibrate import choose_temperature, choose_unsure
from train.checkpoint import Checkpoint
from train.disturb import disturb
from train.history import Epoch, best_epoch, good_enough, progress
from train.networks import Scale, build, build_teacher, choose_scale, fold_temperature, for_pixels, predict
from train.recipes import Recipe

FEWEST = 60  # ten of them are held out


class TrainError(FmnistEdgeError):
    """The training gave no model."""


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy (nats) and accuracy (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Rehearsal:
    """What a model that was trained without the images held out showed on them."""

    history: list[Epoch]
    temperature: float
    """By which its logits are divided already."""
    unsure: dict[str, float]
    """The confidence below which it is unsure of a "tile", and of a "photo"."""
    validation: Scores
    disturbed: Scores
    """On the images held out, disturbed."""
    photos: Scores | None
    """On the user's photos held out, if there are any."""


def fit(
    recipe: Recipe,
    images: Any,
    labels: Any,
    seed: int = 0,
    photos: Examples = NO_EXAMPLES,
    checkpoint: Checkpoint | None = None,
) -> tuple[keras.Model, Rehearsal]:
    """The recipe's MLP, trained on all images, and its rehearsal. Prints a line per epoch.

    The same seed on the same machine gives the same weights, bit by bit. images, labels: as train/arrays.py takes them; raises
    UsageError for anything else. photos: a user's own, for recipes with disturbed tiles.
    """
    tiles = as_tiles(images)
    examples = Examples(tiles, as_labels(labels, len(tiles)))
    if len(examples) < FEWEST:
        raise UsageError(f"{len(examples)} images are too few to learn from; {FEWEST} is the least")
    if len(photos) and not recipe.disturbed:
        raise UsageError("this recipe does not learn from photos; 'standard' does, as any with disturbed tiles")
    taught = teach(recipe.teacher, examples, seed, checkpoint) if recipe.teacher else None
    lessons = Lessons(recipe, examples, seed, taught, photos)
    rehearsal = rehearse(lessons, checkpoint)
    return perform(lessons, rehearsal, checkpoint), rehearsal


def teach(recipe: Recipe, examples: Examples, seed: int, checkpoint: Checkpoint | None = None) -> Probabilities:
    """Trains a teacher on what a rehearsal shows; returns what it says of each image, as it is and mirrored: (2, N, 10)."""
    print("the teacher, a convolutional network, goes first", flush=True)
    make_reproducible(seed)
    teacher = build_teacher()
    train_network(teacher, Lessons(recipe, examples, seed), recipe.epochs, False, checkpoint)
    print("asking the teacher about each image as it is, and mirrored", flush=True)
    return np.stack([predict(teacher, examples.tiles), predict(teacher, examples.tiles[:, :, ::-1])])


def rehearse(lessons: Lessons, checkpoint: Checkpoint | None = None) -> Rehearsal:
    """Trains with some images held out, and decides by them."""
    recipe, validation, own = lessons.recipe, lessons.images[lessons.held_out], lessons.photos[lessons.photos_held_out]
    print(f"rehearsal: {len(validation):,} images are held out", flush=True)
    make_reproducible(lessons.seed)
    model = build(recipe.hidden, "rehearsal")
    model.summary()
    history, scale = train_network(model, lessons, recipe.epochs, False, checkpoint)
    model = for_pixels(model, recipe.hidden, scale)
    temperature = choose_temperature(predict(model, validation.tiles), validation.labels) if recipe.calibrate else 1.0
    fold_temperature(model, temperature)
    disturbed = disturb(validation.tiles, validation.labels, lessons.seed)
    said = {"tile": predict(model, validation.tiles), "photo": predict(model, disturbed)}
    return Rehearsal(
        history,
        temperature,
        unsure={kind: choose_unsure(probabilities, validation.labels) for kind, probabilities in said.items()},
        validation=score(said["tile"], validation.labels),
        disturbed=score(said["photo"], validation.labels),
        photos=score(predict(model, own.tiles), own.labels) if len(own) else None,
    )


def perform(lessons: Lessons, rehearsal: Rehearsal, checkpoint: Checkpoint | None = None) -> keras.Model:
    """The MLP trained anew on everything, as the rehearsal decided."""
    epochs = best_epoch(rehearsal.history) if lessons.recipe.patience else len(rehearsal.history)
    print(f"now on all {len(lessons.images):,} images", flush=True)
    make_reproducible(lessons.seed)
    model = build(lessons.recipe.hidden)
    _, scale = train_network(model, lessons, epochs, True, checkpoint)
    model = for_pixels(model, lessons.recipe.hidden, scale)
    fold_temperature(model, rehearsal.temperature)
    return model


def make_reproducible(seed: int) -> None:
    """Before a network is built: the same random numbers whatever was trained before.

    Without ``clear_session``: in Keras 3.12 that drops the strategy too, and each worker would train alone.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train_network(
    model: keras.Model, lessons: Lessons, epochs: int, everything: bool, checkpoint: Checkpoint | None
) -> tuple[list[Epoch], Scale]:
    """Trains the model from where the checkpoint left it, and prints a line per epoch. Returns these, and what it was shown.

    everything: also on what is held out.
    """
    recipe, images = lessons.recipe, lessons.images
    validation = None if everything else images[lessons.held_out]
    scale = choose_scale(recipe, images.tiles if everything else images.tiles[~lessons.held_out])
    optimizer = make_optimizer(recipe, lessons.size(everything))
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
        loss, accuracy = map(float, run_epoch(*map(tf.constant, lessons.draw(number, everything))))
        held_out = mean_of_workers(score(predict(model, validation.tiles, scale), validation.labels)) if validation else ()
        history.append(Epoch(loss, accuracy, *held_out))
        if not math.isfinite(history[-1].loss):
            raise TrainError("the training diverged: the loss is no number. A lower learning rate, or larger batches, may help")
        if best and number == best_epoch(history):
            copy(model.variables, best)
        print(f"{progress(number, epochs, history[-1])}; {time.monotonic() - began:.1f} s", flush=True)
        if checkpoint:
            checkpoint.save(model.name, variables, history)
    if best:
        copy(best, model.variables)
    return history, scale


def mean_of_workers(scores: Scores) -> tuple[float, ...]:
    """Loss and accuracy: one decision for all workers when to stop, even if their processors round differently."""
    values = tf.constant([scores.loss, scores.accuracy], tf.float64)
    return tuple(map(float, tf.distribute.get_strategy().reduce("MEAN", values, axis=None)))


def copy(variables: Sequence[Any], to: Sequence[Any]) -> None:
    for variable, target in zip(variables, to, strict=True):
        target.assign(variable.numpy())


def score(probabilities: Probabilities, labels: Labels) -> Scores:
    of_label = probabilities[np.arange(len(labels)), labels]
    right = probabilities.argmax(1) == labels
    return Scores(loss=float(-np.log(np.maximum(of_label, 1e-7)).mean()), accuracy=float(right.mean()))


def make_epoch(model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int, scale: Scale) -> Any:
    """A function that trains on each tile once, in order, and returns loss and accuracy.

    An epoch is one graph: for a model this small, ``Model.fit`` of Keras 3 spends four fifths of its time between the batches.
    """
    optimizer.build(model.trainable_variables)
    strategy = tf.distribute.get_strategy()

    def run_step(tiles: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Trains on this worker's share of a batch: all of it if it is alone. Returns the sums of losses and right answers."""
        worker = tf.distribute.get_replica_context()
        share = slice(worker.replica_id_in_sync_group, None, worker.num_replicas_in_sync)
        images = scale(tf.cast(tiles[share], tf.float32) / 255)
        wanted = targets[share]
        with tf.GradientTape() as tape:
            probabilities = model(images, training=True)
            losses = keras.losses.categorical_crossentropy(wanted, probabilities)
            # the optimizer adds up what the workers give, so this is the mean over the whole batch
            loss = tf.reduce_sum(losses) / tf.cast(tf.shape(targets)[0], tf.float32)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        right = tf.cast(tf.argmax(wanted, 1) == tf.argmax(probabilities, 1), tf.float32)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right)])

    @tf.function
    def run_epoch(tiles: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        count = tf.shape(tiles)[0]
        sums = tf.zeros(2)
        for start in tf.range(0, count, batch_size):
            batch = tiles[start : start + batch_size], targets[start : start + batch_size]
            sums += strategy.reduce("SUM", strategy.run(run_step, batch), axis=None)
        return sums / tf.cast(count, tf.float32)

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
