"""The named training set-ups, in one table. To add one, add a line here; `python -m train --recipe NAME` trains it."""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from fmnist_edge.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Recipe:
    """An MLP and how it is trained. The defaults are the tutorials' ones (tensorflow.org/tutorials/keras/classification)."""

    purpose: str
    hidden: tuple[int, ...] = (128,)
    """Units of each hidden layer."""
    epochs: int = 10
    stop_at_loss: float | None = None
    """Training ends early after an epoch with this loss, or less, on the training images."""
    stop_at_accuracy: float | None = None
    """The same for this accuracy, or more."""
    patience: int | None = None
    """Training ends early after so many epochs without a lower validation loss; the epoch with the lowest counts."""
    batch_size: int = 32
    learning_rate: float = 1e-3
    """Constant with Adam; the peak where ``warm_up`` is given."""
    warm_up: float = 0
    """Part of the training in which the rate rises to its peak, before it falls to 0 as a cosine; 0 leaves it constant."""
    weight_decay: float = 0
    label_smoothing: float = 0
    scaling: str = "normalize"
    """The MLP's input in training: pixel / 255 ("normalize"), (that - mean) / (deviation + 0.1) per pixel ("standardize"), or the
    plain pixel ("none"). Afterwards the scaling is folded into the first layer."""
    sqrt_input: bool = False
    """Whether the MLP is shown the pixels' square roots, which tell dark grays apart. They stay in the model, as an operator."""
    shift: float = 0
    """Probability that a training image is shown one pixel off, up, down, left or right."""
    flip: float = 0
    """Probability that a training image is mirrored, if its class looks the same then."""
    photo_share: float = 0
    """Photos shown for each training image: disturbed tiles of photos (train/clothing.py, or a user's own) and, where there are
    few, of training images in their place. They are marked (PHOTO_MARK), so that the MLP tells them from plain tiles."""
    photo_balance: float = 0.5
    """How evenly the kinds of photos are shown: 0 as often as there are photos of them, 1 all equally often."""
    own_weight: float = 1
    """How often a user's own photos are shown, as a multiple of others of a kind as rare."""
    calm_share: float = 0
    """The last part of the training, in which images are moved and mirrored a third as often."""
    taught: bool = False
    """Whether the MLP learns what a teacher says of the images (train/teacher.py), and not their labels alone."""
    teachers_share: float = 0.8
    """The teacher's share in the target; the rest is the label."""
    calibrate: bool = False
    """Divide the logits by the temperature that makes the MLP as sure as it is right."""
    int8_waiver: str = ""
    """Why the int8 files of this recipe may miss their gates; they are exported nevertheless, and say so."""

    @property
    def marks_photos(self) -> bool:
        """Whether the MLP is to be shown photos with PHOTO_MARK, as it learned them."""
        return self.photo_share > 0

    @property
    def may_stop_early(self) -> bool:
        """Whether a training without some images decides for how many epochs the model is trained."""
        return any(limit is not None for limit in (self.stop_at_loss, self.stop_at_accuracy, self.patience))


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe makes a difference to its results, as JSON has it, where it is not as in the tutorials."""
    words = ("purpose", "int8_waiver")
    changed = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name not in words}
    changed = {name: value for name, value in changed.items() if value != getattr(Recipe(""), name)}
    return dict(json.loads(json.dumps(changed)))


TEACHER = Recipe(
    "teaches the MLPs",
    epochs=24,
    batch_size=256,
    learning_rate=4e-3,
    warm_up=0.2,
    weight_decay=0.05,
    shift=0.8,
    flip=0.5,
    scaling="standardize",
)

# what all but the textbook have in common: large batches that learn fast
FAST = Recipe(
    "",
    batch_size=256,
    learning_rate=4e-3,
    warm_up=0.15,
    weight_decay=0.1,
    scaling="standardize",
    calibrate=True,
)
# a teacher's pupils have time; what it says of the other classes does more for them than label smoothing
TAUGHT = replace(FAST, taught=True, batch_size=512, learning_rate=6e-3, sqrt_input=True, shift=0.6, calm_share=0.5)

RECIPES = {
    "tutorial": Recipe(
        "the textbook, unchanged: what to compare with",
        int8_waiver="without weight decay or label smoothing its logits are large, and int8 steps of large logits are coarse",
    ),
    "quick": replace(
        FAST, purpose="a first look in seconds", sqrt_input=True, epochs=3, learning_rate=6e-3, label_smoothing=0.05
    ),
    "quick-photos": replace(
        FAST,
        purpose="a first look at photos in a minute, your own too",
        hidden=(256,),
        sqrt_input=True,
        epochs=3,
        learning_rate=6e-3,
        label_smoothing=0.05,
        photo_share=0.6,
    ),
    "compact": replace(
        TAUGHT,
        purpose="the best at the textbook's size, taught by a convolutional network",
        epochs=240,
        weight_decay=0.05,
        flip=0.3,
    ),
    "standard": replace(
        TAUGHT,
        purpose="what ships: a larger network that knows photos too, taught by a convolutional network",
        hidden=(512, 192),
        epochs=30,
        flip=0.3,
        photo_share=0.5,
    ),
    "max": replace(
        TAUGHT,
        purpose="the record: as accurate as an MLP of that size gets, without regard to photos",
        hidden=(512, 192),
        epochs=75,
        flip=0.5,
    ),
}


def find_recipe(name: str) -> Recipe:
    """Raises UsageError if there is none of that name."""
    if name not in RECIPES:
        raise UsageError(f"there is no recipe '{name}'; there are {', '.join(RECIPES)}{did_you_mean(name, RECIPES)}")
    return RECIPES[name]
