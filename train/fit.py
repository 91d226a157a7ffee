"""Trains a recipe's MLP: images in, a Keras model out that takes plain pixels / 255, whatever it was trained on.

A training with some images held out decides what there is to decide: when to stop, how sure to be. Then the model is trained
anew, in the same way, on all images.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fmnist_edge.contract import CLASSES, Probabilities, at_temperature
from fmnist_edge.errors import FmnistEdgeError, UsageError
from train.arrays import Labels, as_labels, as_tiles
from train.augment import FOLDS, Examples, Lessons, Teacher
from train.calibrate import accepts, choose_photo_temperature, choose_temperature, choose_unsure
from train.checkpoint import Checkpoint
from train.cutting import NO_PHOTOS, PhotoTiles
from train.disturb import disturb
from train.history import Epoch, best_epoch, good_enough, progress
from train.networks import Scale, build, build_teacher, choose_scale, fold_temperature, for_pixels, predict, predict_photos
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
class Holdout:
    """What a model that was trained without the images held out showed on them."""

    history: list[Epoch]
    temperature: float
    """By which its logits are divided already."""
    photo_temperature: float
    """By which the logits are to be divided once more for photos."""
    unsure: dict[str, float]
    """The confidence below which it is unsure of a "tile", and of a "photo"."""
    validation: Scores
    disturbed: Scores
    """On the images held out, disturbed."""
    said_of_photos: Probabilities
    """Of each photo, what a model says that learned from no photo by its contributor; for photos' temperature: (N, 10)."""


def fit(
    recipe: Recipe,
    images: Any,
    labels: Any,
    seed: int = 0,
    photos: PhotoTiles = NO_PHOTOS,
    checkpoint: Checkpoint | None = None,
) -> tuple[keras.Model, Holdout]:
    """The recipe's MLP, trained on all images, and what a training without some of them showed. Prints a line per epoch.

    The same seed on the same machine gives the same weights, bit by bit. images, labels: as train/arrays.py takes them; raises
    UsageError for anything else. photos: to learn from; for recipes with a share of photos.
    """
    tiles = as_tiles(images)
    examples = Examples(tiles, as_labels(labels, len(tiles)))
    if len(examples) < FEWEST:
        raise UsageError(f"{len(examples)} images are too few to learn from; {FEWEST} is the least")
    if len(photos) and not recipe.photo_share:
        raise UsageError("this recipe does not learn from photos; 'standard' and 'quick-photos' do")
    teacher = train_teacher(recipe, examples, seed, checkpoint)
    lessons = Lessons(recipe, examples, seed, photos)
    holdout = train_with_holdout(lessons, teacher, checkpoint)
    return train_final(lessons, holdout, teacher, checkpoint), holdout


def train_teacher(recipe: Recipe, examples: Examples, seed: int, checkpoint: Checkpoint | None = None) -> Teacher | None:
    """The recipe's teacher, if it has one, trained without the images that are held out."""
    if recipe.teacher is None:
        return None
    print("the teacher, a convolutional network, goes first", flush=True)
    make_reproducible(seed)
    network = build_teacher()
    network.name = "teacher"
    _, scale = train_network(network, Lessons(recipe.teacher, examples, seed), recipe.teacher.epochs, 0, None, checkpoint)
    return partial(predict, network, scale=scale)


def train_with_holdout(lessons: Lessons, teacher: Teacher | None = None, checkpoint: Checkpoint | None = None) -> Holdout:
    """Trains with some images and the photos by some contributors held out, and decides by them.

    If there are photos, once for each group of their contributors: so all photos have a say.
    """
    recipe, validation = lessons.recipe, lessons.images[lessons.held_out]
    print(f"first without {len(validation):,} images, to decide by them", flush=True)
    model, history = train_without(0, lessons, teacher, checkpoint)
    temperature = choose_temperature(predict(model, validation.tiles), validation.labels) if recipe.calibrate else 1.0
    fold_temperature(model, temperature)
    disturbed = disturb(validation.tiles, validation.labels, lessons.seed)
    of_tiles, of_disturbed = predict(model, validation.tiles), predict(model, disturbed)
    surest, right = of_disturbed.max(1), of_disturbed.argmax(1) == validation.labels
    photos, photo_temperature, of_photos = lessons.photos, 1.0, np.zeros((len(lessons.photos), len(CLASSES)), np.float32)
    if len(photos):
        for fold in range(FOLDS):
            if fold:
                print(f"training {fold + 1} of {FOLDS} without other contributors' photos", flush=True)
                model, _ = train_without(fold, lessons, teacher, checkpoint)
                fold_temperature(model, temperature)
            held_out = lessons.folds == fold
            if held_out.any():
                of_photos[held_out] = predict_photos(model, photos.tiles[held_out])
    if (clothes := photos.accepted.any(1)).any():
        photo_temperature = choose_photo_temperature(of_photos[clothes], photos.accepted[clothes])
        of_photos = at_temperature(of_photos, photo_temperature)
        # nothing that is said of other things is right
        surest, right = of_photos.max(1), accepts(photos.accepted, of_photos)
    return Holdout(
        history,
        temperature,
        photo_temperature,
        unsure={
            "tile": choose_unsure(of_tiles.max(1), of_tiles.argmax(1) == validation.labels),
            "photo": choose_unsure(surest, right),
        },
        validation=score(of_tiles, validation.labels),
        disturbed=score(of_disturbed, validation.labels),
        said_of_photos=of_photos,
    )


def train_without(
    fold: int, lessons: Lessons, teacher: Teacher | None = None, checkpoint: Checkpoint | None = None
) -> tuple[keras.Model, list[Epoch]]:
    """The MLP trained with some images held out, and with the photos of one fold."""
    recipe = lessons.recipe
    make_reproducible(lessons.seed)
    model = build(recipe.hidden, f"holdout_{fold}" if fold else "holdout")
    if not fold:
        model.summary()
    history, scale = train_network(model, lessons, recipe.epochs, fold, teacher, checkpoint)
    return for_pixels(model, recipe.hidden, scale), history


def train_final(
    lessons: Lessons, holdout: Holdout, teacher: Teacher | None = None, checkpoint: Checkpoint | None = None
) -> keras.Model:
    """The MLP trained anew on everything, as the images held out decided."""
    epochs = best_epoch(holdout.history) if lessons.recipe.patience else len(holdout.history)
    print(f"now on all {len(lessons.images):,} images", flush=True)
    make_reproducible(lessons.seed)
    model = build(lessons.recipe.hidden)
    _, scale = train_network(model, lessons, epochs, None, teacher, checkpoint)
    model = for_pixels(model, lessons.recipe.hidden, scale)
    fold_temperature(model, holdout.temperature)
    return model


def make_reproducible(seed: int) -> None:
    """Before a network is built: the same random numbers whatever was trained before.

    Without ``clear_session``: in Keras 3.12 that drops the strategy too, and each worker would train alone.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train_network(
    model: keras.Model,
    lessons: Lessons,
    epochs: int,
    fold: int | None,
    teacher: Teacher | None,
    checkpoint: Checkpoint | None,
) -> tuple[list[Epoch], Scale]:
    """Trains the model from where the checkpoint left it, and prints a line per epoch. Returns these, and what it was shown.

    fold: the photos that are held out, with some images; None for nothing.
    """
    recipe, images = lessons.recipe, lessons.images
    validation = None if fold is None else images[lessons.held_out]
    scale = choose_scale(recipe, images.tiles[lessons.shown(fold)])
    optimizer = make_optimizer(recipe, lessons.size(fold))
    run_epoch = make_epoch(model, optimizer, recipe.batch_size, scale)
    best = [tf.Variable(variable.value) for variable in model.variables] if recipe.patience and validation else []
    variables = [*model.variables, *optimizer.variables, *best]
    history = checkpoint.restore(model.name, variables) if checkpoint else []
    if history:
        print(f"going on after epoch {len(history)}")
    wanted = lessons.wanted(teacher) if len(history) < epochs else None
    for number in range(len(history) + 1, epochs + 1):
        if wanted is None or (validation and good_enough(recipe, history)):
            break
        began = time.monotonic()
        loss, accuracy = map(float, run_epoch(*map(tf.constant, lessons.draw(number, fold, wanted))))
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


def score_photos(photos: PhotoTiles, probabilities: Probabilities) -> dict[str, Scores]:
    """Scores of photos that were held out, a user's own apart: any of the classes that are right for a photo will do."""
    clothes, own = photos.accepted.any(1), photos.contributors < 0
    parts = {"photos held out": clothes & ~own, "your photos held out": clothes & own}
    scores = {}
    for name, part in parts.items():
        if len(probabilities) and part.any():
            of_right = (probabilities * photos.accepted)[part].sum(1)
            right = accepts(photos.accepted[part], probabilities[part])
            scores[name] = Scores(loss=float(-np.log(np.maximum(of_right, 1e-7)).mean()), accuracy=float(right.mean()))
    return scores


def make_epoch(model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int, scale: Scale) -> Any:
    """A function that trains on each tile once, in order, and returns loss and accuracy.

    An epoch is one graph: for a model this small, ``Model.fit`` of Keras 3 spends four fifths of its time between the batches.
    """
    optimizer.build(model.trainable_variables)
    strategy = tf.distribute.get_strategy()

    def run_step(tiles: tf.Tensor, targets: tf.Tensor, any_will_do: tf.Tensor) -> tf.Tensor:
        """Trains on this worker's share of a batch: all of it if it is alone. Returns the sums of losses and right answers."""
        worker = tf.distribute.get_replica_context()
        share = slice(worker.replica_id_in_sync_group, None, worker.num_replicas_in_sync)
        images = scale(tf.cast(tiles[share], tf.float32) / 255)
        wanted = targets[share]
        with tf.GradientTape() as tape:
            probabilities = model(images, training=True)
            # where any of several classes will do, what counts is the sum of their probabilities
            accepted = tf.reduce_sum(wanted * probabilities, 1)
            losses = tf.where(
                any_will_do[share],
                -tf.math.log(tf.maximum(accepted, 1e-7)),
                keras.losses.categorical_crossentropy(wanted, probabilities),
            )
            # the optimizer adds up what the workers give, so this is the mean over the whole batch
            loss = tf.reduce_sum(losses) / tf.cast(tf.shape(targets)[0], tf.float32)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        named = tf.gather(wanted, tf.argmax(probabilities, 1), batch_dims=1)
        right = tf.cast(named == tf.reduce_max(wanted, 1), tf.float32)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right)])

    @tf.function
    def run_epoch(tiles: tf.Tensor, targets: tf.Tensor, any_will_do: tf.Tensor) -> tf.Tensor:
        count = tf.shape(tiles)[0]
        sums = tf.zeros(2)
        for start in tf.range(0, count, batch_size):
            batch = tuple(part[start : start + batch_size] for part in (tiles, targets, any_will_do))
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
