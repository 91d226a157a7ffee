"""What the study measures: whole trainings, parts of them, and the textbook's own program. Results go to docs/study.json."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow
from numpy.typing import NDArray

from fmnist_edge.contract import calibration_error, to_pixels
from fmnist_edge.files import replacing
from train.augment import FOLDS, Examples, Lessons
from train.calibrate import accepts
from train.clothing import get_clothes
from train.cutting import cut
from train.dataset import Dataset
from train.fit import score, train, train_networks, train_with_holdout
from train.machine import processor
from train.networks import predict, predict_photos
from train.photos import find_hits, find_photos, read_tiles
from train.recipes import Recipe, settings_of
from train.study_page import RESULTS, WITH_PHOTOS, Result, busy_people, give_back, read_results
from train.teacher import read_answers


class Study:
    """The data set, the photos to try, and the results so far."""

    def __init__(self, dataset: Dataset, tried: Path | None) -> None:
        self.tried = read_tiles([(path, classes) for path, classes in find_photos(tried) if classes]) if tried else None
        self.photos = cut(get_clothes())
        self.clothes = self.photos[np.asarray(self.photos.accepted.any(1))]
        self.dataset, self.examples = dataset, Examples(dataset.train_images, dataset.train_labels)
        self.answers = read_answers()
        self.results: dict[str, dict[str, Result]] = read_results()

    def keep(self, group: str, name: str, measure: Callable[[], Result], recipe: Recipe | None = None) -> None:
        """Measures and writes the result to the file, unless it is there already."""
        settings = settings_of(recipe) if recipe else {}
        known = self.results.setdefault(group, {})
        run = known.get(name, {})
        untried = self.tried is not None and run.get("photos") == {}
        if run.get("settings") == settings and not untried:
            return
        print(f"study: {group}: {name}", flush=True)
        known[name] = {"settings": settings, **measure()}
        with replacing(RESULTS) as part:
            part.write_text(json.dumps(self.results, indent=1) + "\n", "utf-8")

    def whole(self, recipe: Recipe, seed: int) -> Result:
        """The recipe as `make train` trains it. The test images are looked at once, at the end."""
        began = time.monotonic()
        model, holdout = train(Lessons(recipe, self.examples, seed, self.photos, answers=self.answers))
        seconds = time.monotonic() - began
        probabilities = predict(model, self.dataset.test_images)
        return {
            "test": score(probabilities, self.dataset.test_labels).accuracy,
            "calibration_error": calibration_error(probabilities.max(1), probabilities.argmax(1) == self.dataset.test_labels),
            "validation": holdout.validation.accuracy,
            "disturbed": holdout.disturbed.accuracy,
            "photos": self.try_photos(model, recipe.marks_photos),
            "temperature": holdout.temperature,
            "seconds": seconds,
            "machine": processor(),
        }

    def try_photos(self, model: keras.Model, marked: bool) -> Result:
        """The number of photos to try, and the shares with a correct class first and among the first three."""
        if self.tried is None:
            return {}
        tiles, right = self.tried
        hits = find_hits(predict_photos(model, np.stack(tiles), marked), right)
        return {"count": len(tiles), "right": float(hits[:, 0].mean()), "among_three": float(hits[:, :3].any(1).mean())}

    def learn_from(self, recipe: Recipe, chosen: NDArray[np.bool_]) -> Result:
        """How models that learned from the chosen photos do on all photos by contributors they do not know. chosen: (N,)."""
        photos = self.clothes
        lessons = Lessons(recipe, self.examples, 0, photos, chosen)
        if chosen.any():
            holdout = train_with_holdout(lessons)
            said, validation = holdout.said_of_photos, holdout.validation.accuracy
        else:
            (only,) = train_networks(lessons, [0], recipe.epochs)
            said, validation = predict_photos(only.model, photos.tiles, recipe.marks_photos), only.history[-1].validation_accuracy
        right = accepts(photos.accepted, said)
        return {
            "learned": int(chosen.sum()),
            "contributors": len(np.unique(photos.contributors[chosen])),
            "right": float(right.mean()),
            "shoes": {kind: float(right[photos.kinds == kind].mean()) for kind in ("sandal", "sneaker", "boot")},
            "calibration_error": calibration_error(said.max(1), right),
            "validation": validation,
        }

    def learn_from_own(self, recipe: Recipe, count: int) -> Result:
        """How models do on photos by a person from whom they learned so many others: a model for each busy person."""
        right, asked, validation = [], [], []
        for person in busy_people(self.clothes):
            photos, chosen, rest = give_back(self.clothes, person, count)
            # what takes longest to make, the disturbed copies, is the same for all
            lessons = copy(self.lessons)
            lessons.recipe, lessons.photos, lessons.chosen = recipe, photos, chosen
            # no photo is in this fold, and a sixth of the images is
            (only,) = train_networks(lessons, [FOLDS], recipe.epochs)
            right.append(
                float(accepts(photos.accepted[rest], predict_photos(only.model, photos.tiles[rest], recipe.marks_photos)).mean())
            )
            asked.append(int(rest.sum()))
            validation.append(only.history[-1].validation_accuracy)
        return {"right": right, "asked": asked, "validation": float(np.mean(validation))}

    @cached_property
    def lessons(self) -> Lessons:
        return Lessons(WITH_PHOTOS, self.examples, 0, self.clothes)

    def holdout(self, recipe: Recipe, seed: int) -> Result:
        # without photos: what tiles show is enough to compare parts
        holdout = train_with_holdout(Lessons(recipe, self.examples, seed, answers=self.answers))
        return {
            "validation": holdout.validation.accuracy,
            "disturbed": holdout.disturbed.accuracy,
            "losses": [epoch.validation_loss for epoch in holdout.history],
            "accuracies": [epoch.validation_accuracy for epoch in holdout.history],
        }


def in_its_own_process(measure: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    """With as many threads as TensorFlow takes by itself, and its usual kernels: as whoever runs the program has it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments, **options).result()


def textbook(dataset: Dataset, seed: int, outputs: int = 10, one_hot: bool = False) -> Result:
    """The tutorial's own program (tensorflow.org/tutorials/keras/classification), or the error that it ends with."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(outputs),
        ]
    )
    losses = keras.losses.CategoricalCrossentropy if one_hot else keras.losses.SparseCategoricalCrossentropy
    labels = keras.utils.to_categorical(dataset.train_labels, 10) if one_hot else dataset.train_labels
    model.compile("adam", losses(from_logits=True), metrics=["accuracy"])
    began = time.monotonic()
    try:
        model.fit(to_pixels(dataset.train_images), labels, epochs=10, verbose=0)
    except tensorflow.errors.InvalidArgumentError as error:
        # the message is a page with paths of this machine: keep the line that matters
        return {"error": next(line for line in str(error).splitlines() if "label value" in line)}
    seconds = time.monotonic() - began
    right = model(to_pixels(dataset.test_images)).numpy().argmax(1) == dataset.test_labels
    return {"test": float(right.mean()), "seconds": seconds, "machine": processor()}
