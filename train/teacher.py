"""python -m train.teacher: what convolutional networks say of Fashion-MNIST's training images, for MLPs to learn.

Distillation (Hinton, Vinyals, Dean 2015, arXiv:1503.02531): of a picture, a teacher says more than its label does, "mostly a
shirt, a bit of a coat". The answer is the mean of several networks, of which one has not seen the picture: one that knows its
label by heart would only repeat it. None of them sees the images that recipes decide by, nor the test images.

The answers stand in train/answers.npz, so that nobody has to wait for the teachers.
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
"""How a probability of 1 is written down: in one byte."""


class TeacherError(FmnistEdgeError):
    """The teachers' answers are not there, or not what they should be."""


def read_answers() -> Probabilities:
    """What the teachers say of Fashion-MNIST's 60,000 training images, as they are and mirrored: float32 (2, 60000, 10).

    Raises TeacherError if the file is missing or damaged.
    """
    try:
        with np.load(ANSWERS) as file:
            written: NDArray[np.uint8] = file["answers"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TeacherError(
            f"{ANSWERS} can't be read ({error}); 'git checkout' brings it back, 'make teacher' makes it anew"
        ) from None
    answers: Probabilities = written.astype(np.float32)
    answers /= answers.sum(-1, keepdims=True)
    return answers


@reported("teacher", "the same command goes on")
def main(
    data_dir: Annotated[Path | None, typer.Option(help="A folder that has the four Fashion-MNIST files.")] = None,
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
    """The mean answer of the networks to each image, as it is and mirrored: float32 (2, N, 10)."""
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
    """What a network says of tiles, as they are and mirrored, each the mean over the ways in which it is moved: (2, N, 10)."""
    from train.augment import WAYS, move
    from train.networks import predict

    return np.stack(
        [np.mean([predict(network, move(seen, *way), scale) for way in WAYS], 0) for seen in (tiles, tiles[:, :, ::-1])]
    )


if __name__ == "__main__":
    run(main, "teacher")
