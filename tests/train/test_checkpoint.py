"""What a training leaves for the next one to go on from, and when that does not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.history import Epoch

pytestmark = pytest.mark.tensorflow

SETTINGS = {"recipe": "quick", "seed": 0, "photos": ""}
HISTORY = [Epoch(0.9, 0.7, 0.8, 0.72), Epoch(0.5, 0.8)]


def checkpoint(path: Path, settings: dict[str, Any] = SETTINGS, resume: bool = True) -> Any:
    from train.checkpoint import Checkpoint

    return Checkpoint(path, settings, resume)


def variables(*values: Sequence[float]) -> list[Any]:
    import keras

    return [keras.Variable(row, dtype="float32") for row in values]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of two networks."""
    path = tmp_path / "fmnist.checkpoint.npz"
    writing = checkpoint(path, resume=False)
    writing.save("teacher_0", variables([5, 6]), HISTORY[:1])
    writing.save("holdout", variables([0, 0], [0]), HISTORY[:1])
    writing.save("holdout", variables([1, 2], [3]), HISTORY)
    return path


def test_a_training_goes_on_with_the_weights_of_the_last_epoch(path: Path) -> None:
    first, second = variables([9, 9], [9])

    history = checkpoint(path).restore("holdout", [first, second])

    assert [first.numpy().tolist(), second.numpy().tolist()] == [[1, 2], [3]]
    assert str(history) == str(HISTORY)


def test_each_network_has_its_own_weights(path: Path) -> None:
    (weights,) = variables([9, 9])

    history = checkpoint(path).restore("teacher_0", [weights])

    assert weights.numpy().tolist() == [5, 6]
    assert str(history) == str(HISTORY[:1])


def untouched(found: Any, network: str = "holdout") -> bool:
    first, second = variables([9, 9], [9])
    return found.restore(network, [first, second]) == [] and [first.numpy().tolist(), second.numpy().tolist()] == [[9, 9], [9]]


def test_a_network_that_was_not_begun_begins_anew(path: Path) -> None:
    assert untouched(checkpoint(path), "fmnist")


@pytest.mark.parametrize("changed", [{"seed": 1}, {"recipe": "compact"}, {"photos": "others"}, {"epochs": 3}])
def test_a_training_of_another_seed_or_other_settings_is_not_gone_on_from(changed: dict[str, Any], path: Path) -> None:
    assert untouched(checkpoint(path, {**SETTINGS, **changed}))


def test_the_order_of_the_settings_is_no_matter(path: Path) -> None:
    assert not untouched(checkpoint(path, dict(reversed(SETTINGS.items()))))


def test_what_is_not_to_be_gone_on_from_is_overwritten(path: Path) -> None:
    begun = checkpoint(path, resume=False)
    assert untouched(begun)

    begun.save("fmnist", variables([7]), HISTORY[:1])

    assert untouched(checkpoint(path))
    assert len(checkpoint(path).restore("fmnist", variables([9]))) == 1


def test_what_was_gone_on_from_is_kept_beside_what_comes(path: Path) -> None:
    going_on = checkpoint(path)
    going_on.save("fmnist", variables([7]), HISTORY[:1])

    assert not untouched(checkpoint(path))
    assert len(checkpoint(path).restore("teacher_0", variables([9, 9]))) == 1


@pytest.mark.parametrize("part", [slice(0), slice(100), slice(-1), slice(9, None)])
def test_what_a_full_disk_left_of_a_checkpoint_is_none(part: slice, path: Path) -> None:
    path.write_bytes(path.read_bytes()[part])

    assert untouched(checkpoint(path))


def test_neither_is_another_programs_file(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))

    assert untouched(checkpoint(path))


def test_where_there_is_none_a_training_begins_anew(tmp_path: Path) -> None:
    assert untouched(checkpoint(tmp_path / "none.npz"))


def test_nothing_else_is_left_beside_it_and_in_the_end_nothing_at_all(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]

    checkpoint(path).remove()
    checkpoint(path).remove()

    assert list(path.parent.iterdir()) == []
