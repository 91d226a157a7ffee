"""python -m train.teacher: computes convolutional networks' answers to Fashion-MNIST's training images, for MLPs to learn.

This is distillation (Hinton, Vinyals, Dean 2015, arXiv:1503.02531): a teacher's answer says more than the label, such as "mostly
a shirt, a bit of a coat". The answer is the mean of several networks, one of which has not seen the image: a network that has
memorized the label would only repeat it. No network sees the validation images or the test images.

The answers are in train/answers.npz, so that nobody has to wait for the teachers.
"""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from fmnist_edge.cli.commands import run
from fmnist_edge.contract import CLASSES, Probabilities, Tiles
from fmnist_edge.errors import FmnistEdgeError, reported
from fmnist_edge.files import replacing
from fmnist_edge.terminal import quiet_stderr
from train.dataset import checksums, load
from train.recipes import TEACHER, Recipe, settings_of

if TYPE_CHECKING:
    from train.augment import Examples
    from train.checkpoint import Checkpoint

ANSWERS = Path(__file__).with_name("answers.npz")
CHECKPOINT = Path("build/teacher.checkpoint.npz")
NETWORKS = 4
"""Each is trained without a quarter of the images."""
WHOLE = 255
"""The byte that stands for a probability of 1."""


class TeacherError(FmnistEdgeError):
    """The teachers' answers are missing or damaged."""


def read_answers() -> Probabilities:
    """The teachers' answers to Fashion-MNIST's 60,000 training images, unchanged and mirrored: float32 (2, 60000, 10).

    Raises TeacherError if the file is missing or damaged.
    """
    try:
        with np.load(ANSWERS) as file:
            written: NDArray[np.uint8] = file["answers"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TeacherError(
            f"{ANSWERS} can't be read ({error}); 'git checkout' restores it, 'make teacher' computes it again"
        ) from None
    answers: Probabilities = written.astype(np.float32)
    answers /= answers.sum(-1, keepdims=True)
    return answers


@reported("teacher", "the same command continues")
def main(
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder with the four Fashion-MNIST files.")] = None,
) -> None:
    """Train the teachers and write their answers, which MLPs learn from. Takes an hour or two."""
    dataset = load(data_dir)
    with quiet_stderr():
        from train.augment import Examples, held_out
        from train.checkpoint import Checkpoint, code
        from train.fit import score
    examples = Examples(dataset.train_images, dataset.train_labels)
    settings = {"recipe": "teacher", "code": code(), **settings_of(TEACHER)}
    CHECKPOINT.parent.mkdir(exist_ok=True)
    checkpoint = Checkpoint(CHECKPOINT, settings, CHECKPOINT.read_bytes() if CHECKPOINT.exists() else b"", "make teacher")
    answers = teach(TEACHER, examples, checkpoint)
    kept_apart = held_out(len(examples))
    validation = score(answers[0, kept_apart], examples.labels[kept_apart])
    print(f"validation: loss {validation.loss:.4f}, accuracy {validation.accuracy:.4f}")
    about = {"recipe": settings_of(TEACHER), "networks": NETWORKS, "validation": asdict(validation), "dataset": checksums()}
    with replacing(ANSWERS) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, answers=np.rint(answers * WHOLE).astype(np.uint8), about=json.dumps(about))
    checkpoint.remove()
    print(f"wrote {ANSWERS.name}")


def teach(recipe: Recipe, examples: "Examples", checkpoint: "Checkpoint | None" = None) -> Probabilities:
    """The networks' mean answer to each image, unchanged and mirrored: float32 (2, N, 10)."""
    from train.augment import Lessons, held_out
    from train.fit import make_reproducible, train_network
    from train.networks import build_teacher

    answers, numbers = np.zeros((2, len(examples), len(CLASSES)), np.float32), np.arange(len(examples))
    for number in range(NETWORKS):
        print(f"network {number + 1} of {NETWORKS}", flush=True)
        make_reproducible(number)
        network = build_teacher(f"teacher_{number}")
        shown = examples[~held_out(len(examples)) & (numbers % NETWORKS != number)]
        _, scale = train_network(network, Lessons(recipe, shown, number), recipe.epochs, None, checkpoint)
        answers += answer(network, examples.tiles, scale) / NETWORKS
    return answers


def answer(network: Any, tiles: Tiles, scale: Any) -> Probabilities:
    """A network's answers to tiles, unchanged and mirrored: (2, N, 10). Each is the mean over the tile's shifts."""
    from train.augment import WAYS, move
    from train.networks import predict

    return np.stack(
        [np.mean([predict(network, move(seen, *way), scale) for way in WAYS], 0) for seen in (tiles, tiles[:, :, ::-1])]
    )


if __name__ == "__main__":
    run(main, "teacher")
