"""python -m train: trains a recipe and writes the Keras model. Old models stay until the new one is complete."""

import json
import os
import platform
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from fmnist_edge.cli.commands import run
from fmnist_edge.contract import DESCRIPTION
from fmnist_edge.errors import UsageError, reported
from fmnist_edge.files import check_writable
from fmnist_edge.terminal import quiet_stderr
from train.checkpoint import Checkpoint, check_interrupted, code, command_to_go_on, interruptible, refuse_nothing, restart_by
from train.clothing import CLOTHING, Photo, get_clothes
from train.cutting import NO_PHOTOS, cut
from train.dataset import checksums, load
from train.keep import keep_better, read_description
from train.photos import read_photos, tell
from train.recipes import RECIPES, Recipe, find_recipe
from train.teacher import read_answers

RECIPE_HELP = "; ".join(f"{name}: {recipe.purpose}" for name, recipe in RECIPES.items()) + "."


@reported("train")
def main(
    recipe: Annotated[str, typer.Option(metavar="NAME", help=RECIPE_HELP)] = "standard",
    hidden: Annotated[
        list[int] | None, typer.Option(min=1, metavar="N", help="Units of a hidden layer; repeat for more layers.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Images per step.")] = None,
    stop_at_loss: Annotated[
        float | None, typer.Option(min=0, metavar="LOSS", help="Stop when the training loss is this or less.")
    ] = None,
    stop_at_accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Stop when the training accuracy is this or more.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Stop after N epochs without a lower validation loss, and keep the best epoch."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Learn from your own photos too: a folder with a folder per class.", metavar="DIR")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Fail if there is no interrupted training to continue. Without it, one is continued if there is one."
        ),
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Discard an interrupted training, and start again.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, metavar="N", help="The same seed gives the same weights.")] = 0,
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder with the four Fashion-MNIST files.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the Keras model.", dir_okay=False)] = Path(
        "models/fmnist.keras"
    ),
) -> None:
    """Train an MLP on Fashion-MNIST, and write the Keras model.

    \b
    Examples:
      python -m train
      python -m train --recipe quick --out build/quick/fmnist.keras
      python -m train --photos ~/photos
    """
    named = find_recipe(recipe)
    if out.suffix != ".keras":
        raise UsageError(f"{out}: a Keras model's name ends in .keras")
    chosen = replace(
        named,
        hidden=tuple(hidden or named.hidden),
        epochs=epochs or named.epochs,
        batch_size=batch_size or named.batch_size,
        stop_at_loss=stop_at_loss,
        stop_at_accuracy=stop_at_accuracy,
        patience=patience,
    )
    if photos and not chosen.photo_share:
        able = [name for name, other in RECIPES.items() if other.photo_share]
        raise UsageError(f"the recipe '{recipe}' does not learn from photos; {' and '.join(map(repr, able))} do")
    if resume and restart:
        raise UsageError("--resume continues an interrupted training, --restart discards it; use one of them")
    prepare(out)
    interrupted, again = out.with_suffix(".checkpoint.npz"), command_to_go_on(sys.argv[1:])
    settings = {"recipe": recipe, "seed": seed, "code": code(), **makes_weights(chosen)}
    if not restart:
        # of several workers, the first one's counts
        check_interrupted(interrupted, settings, resume and "TF_CONFIG" not in os.environ)
    own = read_photos(photos) if photos else NO_PHOTOS
    dataset, answers = load(data_dir), read_answers() if chosen.taught else None
    clothes = get_clothes() if chosen.photo_share else []
    learned_from = describe_clothes(clothes)
    warn_of_losing_photos(out, learned_from, len(own))
    if restart:
        interrupted.unlink(missing_ok=True)
    with interruptible(interrupted, again):
        say("starting TensorFlow")
        with quiet_stderr():
            import keras
            import tensorflow

            from train.calibrate import judge_photos
            from train.fit import fit, score, score_photos, use_one_thread_each
            from train.networks import predict, predict_photos
            from train.report import PhotoAnswers, write_report
            from train.scenes import count_named
            from train.workers import agree, from_first, join, together

        use_one_thread_each()
        tensorflow.get_logger().setLevel("ERROR")  # it warns about retracing, but each network needs a graph of its own
        shown = cut(clothes) + own
        settings["photos"] = f"{len(shown):,} (checksum {shown.sha256[:8]})"
        strategy = join()
        began = time.monotonic()
        with together(strategy):
            agree(json.dumps(settings))
            content = from_first(interrupted.read_bytes() if interrupted.exists() else b"")
            if resume and not content:
                refuse_nothing(interrupted)
            checkpoint = Checkpoint(interrupted, settings, content, again)
            if content and not resume:
                say(f"continuing the interrupted training in {interrupted}; to start again: {restart_by()}")
            model, holdout = fit(chosen, dataset.train_images, dataset.train_labels, seed, shown, checkpoint, answers)
        seconds = time.monotonic() - began
        probabilities, said = predict(model, dataset.test_images), holdout.said_of_photos
        scores = {
            "validation": holdout.validation,
            "validation, disturbed": holdout.disturbed,
            **score_photos(shown, said),
            "test": score(probabilities, dataset.test_labels),
        }
        # 'said' is empty if the recipe does not learn from photos
        of_others = np.flatnonzero(shown.contributors[: len(said)] >= 0)
        theirs = shown[of_others]
        of_own, own_clothes = scores.get("your photos held out"), int(own.accepted.any(1).sum())
        description = {
            "recipe": recipe if chosen == named else f"{recipe}, changed",
            **asdict(chosen),
            "seed": seed,
            "photos": len(own),
            "temperature": holdout.temperature,
            "photo_temperature": holdout.photo_temperature,
            "photo_odds": holdout.photo_odds,
            "photo_mark": chosen.marks_photos,
            "unsure": holdout.unsure,
            "dataset": checksums(),
            **({"photo_dataset": learned_from} if learned_from else {}),
            **({"on_photos": judge_photos(theirs.accepted, said[of_others], holdout.unsure["photo"])} if len(theirs) else {}),
            **({"on_your_photos": {"photos": own_clothes, "right": of_own.accuracy}} if of_own else {}),
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tensorflow.__version__,
                "keras": keras.__version__,
            },
        }
        kept = keep_better(out, description, scores["test"].accuracy)
        save(model, out, {"training": description, "scores": {name: asdict(part) for name, part in scores.items()}})
        print(f"trained in {seconds:.0f} s")
        for name, part in scores.items():
            count = f" ({tell(round(part.accuracy * own_clothes), own_clothes)})" if part is of_own else ""
            print(f"{name}: loss {part.loss:.4f}, accuracy {part.accuracy:.4f}{count}")
        if kept:
            say(kept)
        report = out.parent / "report"
        answer = partial(
            predict_photos, model, marked=chosen.marks_photos, temperature=holdout.photo_temperature, odds=holdout.photo_odds
        )
        scenes_named = count_named(answer, holdout.unsure["photo"]) if len(said) else 0
        of_photos = PhotoAnswers(shown, said, holdout.said_of_turned, scenes_named) if len(said) else None
        write_report(report, dataset, holdout.history, probabilities, description, of_photos)
        checkpoint.remove()
    print(f"wrote {out} and {report / 'report.md'}")


def makes_weights(recipe: Recipe) -> dict[str, Any]:
    """The settings of a recipe that affect the weights."""
    return {name: value for name, value in vars(recipe).items() if name not in ("purpose", "int8_waiver")}


def describe_clothes(photos: Sequence[Photo]) -> dict[str, Any]:
    """The photos that a model learned from; empty if there are none."""
    clothes = [photo for photo in photos if photo.accepted]
    if not clothes:
        return {}
    return {
        "name": CLOTHING.name,
        "commit": CLOTHING.commit,
        "photos": len(clothes),
        "contributors": len({photo.contributor for photo in clothes}),
        "sha256": CLOTHING.digest,
    }


def warn_of_losing_photos(out: Path, learned_from: Mapping[str, Any], own: int) -> None:
    """Warns if a model that learned from photos is about to be replaced by one that did not. own: the user's own photos."""
    training = read_description(out).get("training")
    known = training.get("photo_dataset") if isinstance(training, dict) else None
    if known and not learned_from:
        for line in (
            f"{out} learned from {known['photos']:,} photos of clothes; the new model will not, and will get far fewer right",
            "to keep the old model, stop now (Ctrl-C); 'make photos' gets the photos, and the recipe 'standard' learns from them",
            "to keep both, write the new model elsewhere with --out, or with MODELS for make",
        ):
            say(f"WARNING: {line}")
    known_own = training.get("on_your_photos") if isinstance(training, dict) else None
    if known_own and not own:
        say(f"WARNING: {out} learned from {known_own['photos']:,} photos of yours; without --photos, the new model will not")


def prepare(out: Path) -> None:
    """Raises UsageError if the model can't be written there: before the training, not after it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        check_writable(out.parent)
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror})") from None


def save(model: Any, out: Path, description: dict[str, Any]) -> None:
    """Writes the .keras archive with fmnist.json inside. The same model gives the same bytes. One rename puts it in place."""
    try:
        with tempfile.TemporaryDirectory(prefix=".train-", dir=out.parent) as scratch:
            saved, path = Path(scratch) / "saved.keras", Path(scratch) / out.name
            model.save(saved)
            with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
                members = {name: source.read(name) for name in source.namelist()}
                # the date and memory addresses would make two runs differ
                members["config.json"] = re.sub(rb', "shared_object_id": \d+', b"", members["config.json"])
                members["metadata.json"] = to_json({"keras_version": json.loads(members["metadata.json"])["keras_version"]})
                for name, content in {**members, DESCRIPTION: to_json(description)}.items():
                    target.writestr(zipfile.ZipInfo(name), content)
            path.replace(out)
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror}); it is unchanged") from None


def say(message: str) -> None:
    print(f"train: {message}", file=sys.stderr)


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


if __name__ == "__main__":
    run(main, "train")
