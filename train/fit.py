"""Trains a recipe's MLP: images in, a Keras model out that takes plain pixels / 255, whatever it was trained on.

A training with some images held out decides what there is to decide: when to stop, how sure to be. Then the model is trained
anew, in the same way, on all images.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fmnist_edge.contract import CLASSES, Probabilities, at_odds, at_temperature, mark_photos
from fmnist_edge.errors import FmnistEdgeError, UsageError
from train.arrays import Labels, as_labels, as_tiles
from train.augment import FOLDS, Examples, Lessons
from train.calibrate import (
    accepts,
    choose_photo_calibration,
    choose_temperature,
    choose_unsure,
    choose_unsure_of_photos,
)
from train.checkpoint import Checkpoint
from train.cutting import NO_PHOTOS, PhotoTiles
from train.disturb import disturb
from train.history import Epoch, best_epoch, good_enough, progress
from train.networks import Scale, build, choose_scale, fold_temperature, for_pixels, predict, predict_photos
from train.recipes import Recipe

COMMITTED = 0.3
"""How much counts, where any of several classes will do, that the model commits itself to one of them; the rest is their sum."""
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
    photo_odds: float
    """By which the odds of a photo's likeliest class are to be multiplied then."""
    unsure: dict[str, float]
    """The confidence below which it is unsure of a "tile", and of a "photo"."""
    validation: Scores
    disturbed: Scores
    """On the images held out, disturbed."""
    said_of_photos: Probabilities
    """Of each photo, what a model says that learned from no photo by its contributor, calibrated for photos: (N, 10)."""
    said_of_turned: Probabilities
    """The same of their tiles turned by 90 degrees, as if the garments lay on their side."""


@dataclass(frozen=True)
class Trained:
    """The MLP of one training, which takes plain pixels / 255, and how that went."""

    model: keras.Model
    history: list[Epoch]


def fit(
    recipe: Recipe,
    images: Any,
    labels: Any,
    seed: int = 0,
    photos: PhotoTiles = NO_PHOTOS,
    checkpoint: Checkpoint | None = None,
    answers: Probabilities | None = None,
) -> tuple[keras.Model, Holdout]:
    """The recipe's MLP, trained on all images, and what a training without some of them showed. Prints a line per epoch.

    The same seed on the same machine gives the same weights, bit by bit. images, labels: as train/arrays.py takes them; raises
    UsageError for anything else. photos: to learn from; for recipes with a share of photos. answers: what a teacher says of the
    images (see train/teacher.py), float32 (2, N, 10); recipes that have a teacher learn from labels alone without them.
    """
    tiles = as_tiles(images)
    examples = Examples(tiles, as_labels(labels, len(tiles)))
    if len(examples) < FEWEST:
        raise UsageError(f"{len(examples)} images are too few to learn from; {FEWEST} is the least")
    if len(photos) and not recipe.photo_share:
        raise UsageError("this recipe does not learn from photos; 'standard' and 'quick-photos' do")
    return train(Lessons(recipe, examples, seed, photos, answers=answers), checkpoint)


def train(lessons: Lessons, checkpoint: Checkpoint | None = None) -> tuple[keras.Model, Holdout]:
    """The MLP that ships, trained on everything, and what those showed that were trained without some of it."""
    recipe, folds = lessons.recipe, folds_of(lessons)
    if not recipe.may_stop_early:
        final, *others = train_networks(lessons, [None, *folds], recipe.epochs, checkpoint)
        holdout = judge(lessons, others)
    else:
        holdout = train_with_holdout(lessons, checkpoint)
        epochs = best_epoch(holdout.history) if recipe.patience else len(holdout.history)
        (final,) = train_networks(lessons, [None], epochs, checkpoint)
    fold_temperature(final.model, holdout.temperature)
    return final.model, holdout


def train_with_holdout(lessons: Lessons, checkpoint: Checkpoint | None = None) -> Holdout:
    """Trains with some images and the photos by some contributors held out, and decides by them."""
    return judge(lessons, train_networks(lessons, folds_of(lessons), lessons.recipe.epochs, checkpoint))


def folds_of(lessons: Lessons) -> range:
    """Which groups of contributors are held out, one after the other: so all photos have a say. Without photos, there is one."""
    return range(FOLDS if len(lessons.photos) else 1)


def judge(lessons: Lessons, trained: Sequence[Trained]) -> Holdout:
    """What is decided by the images and photos held out. trained: without them, one for each of ``folds_of``."""
    recipe, validation, photos = lessons.recipe, lessons.images[lessons.held_out], lessons.photos
    model = trained[0].model
    temperature = choose_temperature(predict(model, validation.tiles), validation.labels) if recipe.calibrate else 1.0
    for one in trained:
        fold_temperature(one.model, temperature)
    disturbed = disturb(validation.tiles, validation.labels, lessons.seed)
    marked = recipe.marks_photos
    of_tiles, of_disturbed = predict(model, validation.tiles), predict(model, mark_photos(disturbed) if marked else disturbed)
    unsure_of_photos = choose_unsure(of_disturbed.max(1), of_disturbed.argmax(1) == validation.labels)
    photo_temperature, photo_odds = 1.0, 1.0
    of_photos, of_turned = np.zeros((2, len(photos), len(CLASSES)), np.float32)
    for fold, one in enumerate(trained):
        held_out = lessons.folds == fold
        if held_out.any():
            of_photos[held_out] = predict_photos(one.model, photos.tiles[held_out], marked)
            of_turned[held_out] = predict_photos(one.model, np.rot90(photos.tiles[held_out], 1, (1, 2)), marked)
    if photos.accepted.any():
        photo_temperature, photo_odds = choose_photo_calibration(of_photos, photos.accepted)
        of_photos, of_turned = (at_odds(at_temperature(said, photo_temperature), photo_odds) for said in (of_photos, of_turned))
        unsure_of_photos = choose_unsure_of_photos(photos.accepted, of_photos)
    return Holdout(
        trained[0].history,
        temperature,
        photo_temperature,
        photo_odds,
        unsure={
            "tile": choose_unsure(of_tiles.max(1), of_tiles.argmax(1) == validation.labels),
            "photo": unsure_of_photos,
        },
        validation=score(of_tiles, validation.labels),
        disturbed=score(of_disturbed, validation.labels),
        said_of_photos=of_photos,
        said_of_turned=of_turned,
    )


def train_networks(
    lessons: Lessons, folds: Sequence[int | None], epochs: int, checkpoint: Checkpoint | None = None
) -> list[Trained]:
    """Trains an MLP for each fold, as many at once as there are processor cores.

    Side by side each of them has a core for itself, which networks this small use better than several. The weights are the same
    as one after the other. folds: what is held out: a group of photos and some images, or nothing if None.
    """
    hidden, jobs = lessons.recipe.hidden, []
    for fold in folds:
        make_reproducible(lessons.seed)
        jobs.append((build(hidden, "fmnist" if fold is None else f"without_{fold}"), fold))
    jobs[0][0].summary()
    ended = Event()

    def run(model: keras.Model, fold: int | None) -> Trained:
        history, scale = train_network(model, lessons, epochs, fold, checkpoint, ended.is_set)
        return Trained(for_pixels(model, hidden, scale), history)

    # several machines train each network together, and all have to work on the same one
    alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
    at_once = min(len(jobs), cores()) if alone else 1
    if at_once == 1:
        return [run(*job) for job in jobs]
    print(f"{len(jobs)} trainings, {at_once} at once", flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(run, *job) for job in jobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in futures if future.done()]
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_one_thread_each() -> None:
    """One thread for each network that is trained, so that several can be at once; of no effect once TensorFlow is in use."""
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(cores())


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
    checkpoint: Checkpoint | None = None,
    ended: Callable[[], bool] = lambda: False,
) -> tuple[list[Epoch], Scale]:
    """Trains the model from where the checkpoint left it, and prints a line per epoch. Returns these, and what it was shown.

    fold: the photos that are held out, with some images; None for nothing. ended: asked before each epoch; no more of them if so.
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
        print(f"{model.name}: going on after epoch {len(history)}", flush=True)
    for number in range(len(history) + 1, epochs + 1):
        if ended() or (validation and good_enough(recipe, history)):
            break
        began = time.monotonic()
        loss, accuracy = map(float, run_epoch(*map(tf.constant, lessons.draw(number, fold))))
        held_out = mean_of_workers(score(predict(model, validation.tiles, scale), validation.labels)) if validation else ()
        history.append(Epoch(loss, accuracy, *held_out))
        if not math.isfinite(history[-1].loss):
            raise TrainError("the training diverged: the loss is no number. A lower learning rate, or larger batches, may help")
        if best and number == best_epoch(history):
            copy(model.variables, best)
        print(f"{model.name}: {progress(number, epochs, history[-1])}; {time.monotonic() - began:.1f} s", flush=True)
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
            # where any of several classes will do, the sum of their probabilities counts, and the highest of them
            accepted = wanted * probabilities
            losses = tf.where(
                any_will_do[share],
                cost(tf.reduce_sum(accepted, 1)) * (1 - COMMITTED) + cost(tf.reduce_max(accepted, 1)) * COMMITTED,
                keras.losses.categorical_crossentropy(wanted, probabilities),
            )
            # the optimizer adds up what the workers give, so this is the mean over the whole batch
            loss = tf.reduce_sum(losses) / tf.cast(tf.shape(targets)[0], tf.float32)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        named = tf.gather(wanted, tf.argmax(probabilities, 1), batch_dims=1)
        right = tf.cast(named == tf.reduce_max(wanted, 1), tf.float32)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right)])

    def cost(probability: tf.Tensor) -> tf.Tensor:
        return -tf.math.log(tf.maximum(probability, 1e-7))

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
