"""python -m train: trains a recipe and writes the Keras model. Old models stay until the new one is complete."""

import json
import platform
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fmnist_edge.contract import DESCRIPTION
from fmnist_edge.errors import UsageError, reported
from fmnist_edge.files import check_writable
from fmnist_edge.terminal import quiet_stderr
from train.clothing import CLOTHING, Photo, get_clothes
from train.dataset import checksums, load
from train.recipes import RECIPES

RECIPE_HELP = "; ".join(f"{name}: {recipe.purpose}" for name, recipe in RECIPES.items()) + "."


@reported("train")
def main(
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "standard",
    hidden: Annotated[list[int] | None, typer.Option(min=1, help="Units of a hidden layer; repeat it for more layers.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per step.")] = None,
    stop_at_loss: Annotated[float | None, typer.Option(min=0, help="Stop when the training loss is this or less.")] = None,
    stop_at_accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stop when the training accuracy is this or more.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a lower validation loss, and take the best one.")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Your own photos to learn from: a folder with a folder per class.", metavar="DIR")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a training with these settings was broken off.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same weights.")] = 0,
    data_dir: Annotated[Path | None, typer.Option(help="A folder that has the four Fashion-MNIST files.")] = None,
    out: Annotated[Path, typer.Option(help="Where the Keras model goes.", dir_okay=False)] = Path("models/fmnist.keras"),
) -> None:
    """Train an MLP on Fashion-MNIST."""
    if recipe not in RECIPES:
        raise UsageError(f"there is no recipe '{recipe}'; there are {', '.join(RECIPES)}")
    if out.suffix != ".keras":
        raise UsageError(f"{out}: a Keras model's name ends in .keras")
    named = RECIPES[recipe]
    chosen = replace(
        named,
        hidden=tuple(hidden or named.hidden),
        epochs=epochs or named.epochs,
        batch_size=batch_size or named.batch_size,
        stop_at_loss=stop_at_loss,
        stop_at_accuracy=stop_at_accuracy,
        patience=patience,
    )
    prepare(out)
    dataset = load(data_dir)
    clothes = get_clothes() if chosen.photo_share else []
    learned_from = describe_clothes(clothes)
    warn_of_losing_photos(out, learned_from)
    print("train: starting TensorFlow", file=sys.stderr)
    with quiet_stderr():
        import keras
        import tensorflow

        from train.calibrate import judge_photos
        from train.checkpoint import Checkpoint
        from train.cutting import NO_PHOTOS, cut
        from train.fit import fit, score, score_photos
        from train.networks import predict
        from train.photos import read_photos
        from train.report import write_report
        from train.workers import join, together

    own = read_photos(photos) if photos else NO_PHOTOS
    shown = cut(clothes) + own
    strategy = join()
    began = time.monotonic()
    settings = {**asdict(chosen), "seed": seed, "photos": len(own)}
    same_photos = {"photos_sha256": shown.sha256}
    with together(strategy):
        checkpoint = Checkpoint(out.with_suffix(".checkpoint.npz"), settings | same_photos, resume)
        if resume and not checkpoint.state:
            print(f"train: {checkpoint.path} holds no training with these settings; starting anew", file=sys.stderr)
        model, holdout = fit(chosen, dataset.train_images, dataset.train_labels, seed, shown, checkpoint)
    seconds = time.monotonic() - began
    probabilities, said = predict(model, dataset.test_images), holdout.said_of_photos
    description = {
        "recipe": recipe if chosen == named else f"{recipe}, changed",
        **settings,
        "temperature": holdout.temperature,
        "photo_temperature": holdout.photo_temperature,
        "unsure": holdout.unsure,
        "dataset": checksums(),
        **({"photo_dataset": learned_from} if learned_from else {}),
        **({"on_photos": judge_photos(shown.accepted, said, holdout.unsure["photo"])} if len(said) else {}),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tensorflow.__version__,
            "keras": keras.__version__,
        },
    }
    scores = {
        "validation": holdout.validation,
        "validation, disturbed": holdout.disturbed,
        **score_photos(shown, said),
        "test": score(probabilities, dataset.test_labels),
    }
    save(model, out, {"training": description, "scores": {name: asdict(part) for name, part in scores.items()}})
    print(f"trained in {seconds:.0f} s")
    for name, part in scores.items():
        print(f"{name}: loss {part.loss:.4f}, accuracy {part.accuracy:.4f}")
    checkpoint.remove()
    report = out.parent / "report"
    write_report(report, dataset, holdout.history, probabilities, description, shown, said)
    print(f"wrote {out} and {report / 'report.md'}")


def describe_clothes(photos: Sequence[Photo]) -> dict[str, Any]:
    """Which photos a model learned from; nothing if there are none."""
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


def warn_of_losing_photos(out: Path, learned_from: Mapping[str, Any]) -> None:
    """Says so if a model that learned from photos is about to be replaced by one that does not."""
    try:
        with zipfile.ZipFile(out) as archive:
            known = json.loads(archive.read(DESCRIPTION))["training"].get("photo_dataset")
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, AttributeError):
        return  # no model, or none of ours
    if known and not learned_from:
        for line in (
            f"{out} learned from {known['photos']:,} photos of clothes; its successor will not, and will name far fewer rightly",
            "to keep it, stop now (Ctrl-C); 'make photos' gets the photos, and the recipe 'standard' learns from them",
            "another model can stand in another place: --out, or for make MODELS",
        ):
            print(f"train: WARNING: {line}", file=sys.stderr)


def prepare(out: Path) -> None:
    """Raises UsageError now, and not after the training, if nothing can be written there."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        check_writable(out.parent)
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror})") from None


def save(model: Any, out: Path, description: dict[str, Any]) -> None:
    """Writes the .keras archive with fmnist.json inside, the same bytes for the same model, in place by one rename."""
    try:
        with tempfile.TemporaryDirectory(prefix=".train-", dir=out.parent) as scratch:
            saved, path = Path(scratch) / "saved.keras", Path(scratch) / out.name
            model.save(saved)
            with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
                members = {name: source.read(name) for name in source.namelist()}
                # what would make two runs differ: the date, and memory addresses
                members["config.json"] = re.sub(rb', "shared_object_id": \d+', b"", members["config.json"])
                members["metadata.json"] = to_json({"keras_version": json.loads(members["metadata.json"])["keras_version"]})
                for name, content in {**members, DESCRIPTION: to_json(description)}.items():
                    target.writestr(zipfile.ZipInfo(name), content)
            path.replace(out)
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror}); it is as it was before") from None


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


if __name__ == "__main__":
    typer.run(main)
