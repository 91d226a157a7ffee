"""python -m train.study: measures the recipes over several seeds, what each part of them gives, and what learners ask.

Every result stands in docs/study.json as soon as it is there, and is not measured again: a study that was broken off goes on.
docs/study.md shows them: see train/study_page.py.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fmnist_edge.contract import Probabilities, to_pixels
from fmnist_edge.errors import reported
from fmnist_edge.terminal import quiet_stderr
from train.dataset import Dataset, load
from train.recipes import RECIPES, Recipe
from train.study_page import PARTS, QUESTIONS, STANDARD, Result, fill_page, settings_of

with quiet_stderr():
    import keras
    import tensorflow

    from train.augment import NO_EXAMPLES, Examples, Lessons
    from train.calibrate import calibration_error
    from train.fit import perform, rehearse, score, teach
    from train.networks import predict
    from train.photos import find_hits, find_photos, read_photos, read_tiles

RESULTS, PAGE = Path("docs/study.json"), Path("docs/study.md")
TEACHERS = Path("build/study")
"""What teachers said: each is trained once for all recipes that have it."""


@reported("study")
def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings of each.")] = 3,
    tried: Annotated[Path | None, typer.Option("--try", help="Labelled photos to try each model on.", metavar="DIR")] = None,
    photos: Annotated[Path | None, typer.Option(help="Labelled photos for `standard` to learn from.", metavar="DIR")] = None,
) -> None:
    """Measure the recipes: writes docs/study.json and docs/study.md. Takes more than an hour on two cores.

    To measure something anew, delete it from docs/study.json; delete build/study too if the teacher's network has changed.
    """
    study = Study(load(), tried)
    # the textbook comes before the recipes: these switch TensorFlow to reproducible kernels, which are slower and check less
    study.keep("textbook", "an output layer of 5", partial(textbook, study.dataset, 0, outputs=5))
    study.keep("textbook", "one-hot labels, seed 0", partial(textbook, study.dataset, 0, one_hot=True))
    for seed in range(seeds):
        study.keep("textbook", f"seed {seed}", partial(textbook, study.dataset, seed))
    for seed in range(seeds):
        for name, recipe in RECIPES.items():
            study.keep("recipes", f"{name}, seed {seed}", partial(study.whole, recipe, seed), recipe)
    if photos:
        own = read_photos(photos)
        study.keep("photos", f"`standard`, with {len(own):,} photos", partial(study.whole, STANDARD, 0, own), STANDARD)
    for group, recipes in (("parts", PARTS), ("questions", QUESTIONS)):
        for name, recipe in recipes.items():
            study.keep(group, name, partial(study.rehearsal, recipe, 0), recipe)
    PAGE.write_text(fill_page(study.results), "utf-8")
    print(f"wrote {RESULTS} and {PAGE}")


class Study:
    """The data set, the photos to try, and the results so far."""

    def __init__(self, dataset: Dataset, tried: Path | None) -> None:
        self.tried = read_tiles(find_photos(tried)) if tried else None
        self.dataset, self.examples = dataset, Examples(dataset.train_images, dataset.train_labels)
        self.results: dict[str, dict[str, Result]] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}

    def keep(self, group: str, name: str, measure: Callable[[], Result], recipe: Recipe | None = None) -> None:
        """Measures, unless the result is there already, and writes it to the file."""
        settings = settings_of(recipe) if recipe else {}
        known = self.results.setdefault(group, {})
        run = known.get(name, {})
        untried = self.tried is not None and run.get("photos") == {}
        if run.get("settings") == settings and not untried:
            return
        print(f"study: {group}: {name}", flush=True)
        known[name] = {"settings": settings, **measure()}
        part = RESULTS.with_suffix(".part")
        part.write_text(json.dumps(self.results, indent=1) + "\n", "utf-8")
        part.replace(RESULTS)

    def whole(self, recipe: Recipe, seed: int, photos: Examples = NO_EXAMPLES) -> Result:
        """The recipe as `make train` trains it. The test images are looked at once, at the end."""
        taught, teacher_seconds = self.taught(recipe, seed)
        began = time.monotonic()
        lessons = Lessons(recipe, self.examples, seed, taught, photos)
        rehearsal = rehearse(lessons)
        model = perform(lessons, rehearsal)
        seconds = teacher_seconds + time.monotonic() - began
        probabilities = predict(model, self.dataset.test_images)
        return {
            "test": score(probabilities, self.dataset.test_labels).accuracy,
            "calibration_error": calibration_error(probabilities, self.dataset.test_labels),
            "validation": rehearsal.validation.accuracy,
            "disturbed": rehearsal.disturbed.accuracy,
            "photos": self.try_photos(model),
            "temperature": rehearsal.temperature,
            "seconds": seconds,
        }

    def try_photos(self, model: keras.Model) -> Result:
        """How many photos there are to try, and of how many the model names a right class first, or among its first three."""
        if self.tried is None:
            return {}
        tiles, right = self.tried
        hits = find_hits(predict(model, np.stack(tiles)), right)
        return {"count": len(tiles), "right": float(hits[:, 0].mean()), "among_three": float(hits[:, :3].any(1).mean())}

    def rehearsal(self, recipe: Recipe, seed: int) -> Result:
        rehearsal = rehearse(Lessons(recipe, self.examples, seed, self.taught(recipe, seed)[0]))
        return {
            "validation": rehearsal.validation.accuracy,
            "disturbed": rehearsal.disturbed.accuracy,
            "losses": [epoch.validation_loss for epoch in rehearsal.history],
            "accuracies": [epoch.validation_accuracy for epoch in rehearsal.history],
        }

    def taught(self, recipe: Recipe, seed: int) -> tuple[Probabilities | None, float]:
        """What the recipe's teacher says, and how long it took to get to know: from a file, if it was asked before."""
        if recipe.teacher is None:
            return None, 0
        told = sha256(repr((recipe.teacher, seed)).encode()).hexdigest()[:12]
        path = TEACHERS / f"{told}.npz"
        if not path.exists():
            began = time.monotonic()
            taught = teach(recipe.teacher, self.examples, seed)
            TEACHERS.mkdir(parents=True, exist_ok=True)
            np.savez(path.with_suffix(".part.npz"), taught=taught, seconds=time.monotonic() - began)
            path.with_suffix(".part.npz").replace(path)
        with np.load(path) as file:
            return file["taught"], float(file["seconds"])


def textbook(dataset: Dataset, seed: int, outputs: int = 10, one_hot: bool = False) -> Result:
    """The tutorial's own program (tensorflow.org/tutorials/keras/classification); the error that it ends with, if it does."""
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
        # of a page with the paths of this machine, the line that matters
        return {"error": next(line for line in str(error).splitlines() if "label value" in line)}
    seconds = time.monotonic() - began
    right = model(to_pixels(dataset.test_images)).numpy().argmax(1) == dataset.test_labels
    return {"test": float(right.mean()), "seconds": seconds}


if __name__ == "__main__":
    typer.run(main)
