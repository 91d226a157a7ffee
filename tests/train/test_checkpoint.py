"""What a training leaves for the next one to go on from, and when that does not."""

import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist_edge.errors import UsageError
from train.checkpoint import Checkpoint, CheckpointError, check_interrupted, code, command_to_go_on, interruptible
from train.history import Epoch

SETTINGS = {
    "recipe": "quick",
    "seed": 0,
    "photos": "",
    "code": "1",
    "hidden": (128,),
    "epochs": 2,
}
HISTORY = [Epoch(0.9, 0.7, 0.8, 0.72), Epoch(0.5, 0.8)]


def checkpoint(path: Path, settings: dict[str, Any] = SETTINGS, resume: bool = True) -> Any:
    return Checkpoint(path, settings, path.read_bytes() if resume and path.exists() else b"", "make train")


class Variable:
    """What is needed here of Keras', which takes seconds to import."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = np.array(values, np.float32)

    def numpy(self) -> np.ndarray:
        return self.values

    def assign(self, values: np.ndarray) -> None:
        assert values.shape == self.values.shape
        self.values = values


def variables(*values: Sequence[float]) -> list[Any]:
    return [Variable(row) for row in values]


@pytest.fixture(autouse=True)
def started_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAKE_AGAIN", "FMNIST_PHOTOS", "FMNIST_DATA", "TF_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of two networks."""
    path = tmp_path / "fmnist.checkpoint.npz"
    writing = checkpoint(path, resume=False)
    writing.save("without_0", variables([5, 6]), HISTORY[:1])
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

    history = checkpoint(path).restore("without_0", [weights])

    assert weights.numpy().tolist() == [5, 6]
    assert str(history) == str(HISTORY[:1])


def untouched(found: Any, network: str = "holdout") -> bool:
    first, second = variables([9, 9], [9])
    return found.restore(network, [first, second]) == [] and [first.numpy().tolist(), second.numpy().tolist()] == [[9, 9], [9]]


def test_a_network_that_was_not_begun_begins_anew(path: Path) -> None:
    assert untouched(checkpoint(path), "fmnist")


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"photos": "40"}, "photos was , now 40"),
        ({"epochs": 3}, "epochs was 2, now 3"),
        ({"hidden": (64, 32)}, "hidden was 128, now 64, 32"),
        ({"flip": 0.5}, "flip was none, now 0.5"),
        ({"recipe": "compact", "epochs": 9, "seed": 2}, "recipe was quick, now compact; seed was 0, now 2"),
    ],
)
def test_a_training_with_other_settings_is_refused_and_says_which(changed: dict[str, Any], difference: str, path: Path) -> None:
    content = path.read_bytes()

    with pytest.raises(UsageError) as refusal:
        checkpoint(path, {**SETTINGS, **changed})

    assert f"{path} holds an interrupted training with other settings ({difference}). To continue it: make train. " in str(
        refusal.value
    )
    assert str(refusal.value).endswith("To discard it: --restart. To keep it: train into another place, with --out")
    assert path.read_bytes() == content


def test_more_than_a_few_settings_are_counted(path: Path) -> None:
    with pytest.raises(UsageError, match=r"a was none, now 1; b was .*; c was .*; d was none, now 1; 2 more\)"):
        checkpoint(path, {**SETTINGS, **dict.fromkeys("abcdef", 1)})


def test_as_many_as_can_be_named_are_named(path: Path) -> None:
    with pytest.raises(UsageError, match=r"\(a was none, now 1; b was none, now 1; c was none, now 1; d was none, now 1\)\."):
        checkpoint(path, {**SETTINGS, **dict.fromkeys("abcd", 1)})


def test_a_training_that_make_started_is_given_up_by_make(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKE_AGAIN", "make train SEED=1")

    with pytest.raises(UsageError) as refusal:
        checkpoint(path, {**SETTINGS, "seed": 1})

    assert str(refusal.value).endswith(
        "To continue it: make train. To discard it: make train SEED=1 RESTART=1. "
        "To keep it: train into another place, with MODELS"
    )


def test_after_a_change_of_the_code_no_command_goes_on(path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        checkpoint(path, {**SETTINGS, "code": "2"})

    assert "(code was 1, now 2). To discard it: --restart" in str(refusal.value)


def test_settings_that_are_not_known_yet_are_not_compared(path: Path) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "photos"}

    check_interrupted(path, settings, resume=True)
    with pytest.raises(UsageError, match=rf"^{path} holds .*\(seed was 0, now 1\)\. To continue it: make train\. "):
        check_interrupted(path, {**settings, "seed": 1}, resume=False)


def test_a_damaged_file_is_said_before_the_photos_are_read(path: Path) -> None:
    path.write_bytes(b"")

    with pytest.raises(UsageError, match=rf"^{path} is not an interrupted training"):
        check_interrupted(path, SETTINGS, resume=False)


def test_to_resume_there_has_to_be_something(tmp_path: Path) -> None:
    check_interrupted(tmp_path / "none.npz", SETTINGS, resume=False)
    with pytest.raises(
        UsageError, match=r"^there is no interrupted training to resume: no /.*none\.npz; without --resume, one is"
    ):
        check_interrupted(tmp_path / "none.npz", SETTINGS, resume=True)


def test_the_order_of_the_settings_is_no_matter(path: Path) -> None:
    assert not untouched(checkpoint(path, dict(reversed(SETTINGS.items()))))


def test_what_was_given_up_is_overwritten(path: Path) -> None:
    begun = checkpoint(path, resume=False)
    assert untouched(begun)

    begun.save("fmnist", variables([7]), HISTORY[:1])

    assert untouched(checkpoint(path))
    assert len(checkpoint(path).restore("fmnist", variables([9]))) == 1


def test_what_was_gone_on_from_is_kept_beside_what_comes(path: Path) -> None:
    going_on = checkpoint(path)
    going_on.save("fmnist", variables([7]), HISTORY[:1])

    assert not untouched(checkpoint(path))
    assert len(checkpoint(path).restore("without_0", variables([9, 9]))) == 1


@pytest.mark.parametrize("part", [slice(100), slice(-1), slice(9, None)])
def test_what_a_full_disk_left_of_a_checkpoint_is_said_to_be_damaged(part: slice, path: Path) -> None:
    path.write_bytes(path.read_bytes()[part])

    with pytest.raises(UsageError, match=rf"^{path} is not an interrupted training, or is damaged; remove it, or use --restart"):
        checkpoint(path)


def test_neither_is_another_programs_file(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))

    with pytest.raises(UsageError, match="is not an interrupted training"):
        checkpoint(path)


def test_where_there_is_none_a_training_begins_anew(tmp_path: Path) -> None:
    assert untouched(checkpoint(tmp_path / "none.npz"))


def test_nothing_else_is_left_beside_it_and_in_the_end_nothing_at_all(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]

    checkpoint(path).remove()
    checkpoint(path).remove()

    assert list(path.parent.iterdir()) == []


def test_the_command_that_goes_on_is_the_one_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(Path.cwd() / ".venv" / "bin" / "python"))

    assert command_to_go_on(["--restart", "--out", "my model.keras"]) == (
        ".venv/bin/python -m train --out 'my model.keras' --resume"
    )
    monkeypatch.setenv("FMNIST_PHOTOS", "/my photos")
    assert command_to_go_on(["--resume"]) == "FMNIST_PHOTOS='/my photos' .venv/bin/python -m train --resume"
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert command_to_go_on([]) == "FMNIST_PHOTOS='/my photos' TF_CONFIG='{}' /usr/bin/python3 -m train --resume"
    monkeypatch.setenv("MAKE_AGAIN", "make train RECIPE=quick")
    assert command_to_go_on(["--recipe", "quick"]) == "make train RECIPE=quick"


def test_a_checkpoint_that_cannot_be_written_ends_the_training_and_says_how_to_go_on(path: Path) -> None:
    going_on = checkpoint(path)
    going_on.path = path.parent / "gone" / path.name

    with pytest.raises(CheckpointError, match=r"fmnist\.checkpoint\.npz can't be written \(No such file or directory\)$"):
        going_on.save("fmnist", variables([7]), HISTORY[:1])


def test_a_full_disk_leaves_the_last_checkpoint_and_says_how_to_go_on_from_it(path: Path) -> None:
    going_on, before = checkpoint(path), path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(CheckpointError) as ended:
            going_on.save("fmnist", variables([7]), HISTORY[:1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(ended.value) == f"{path} can't be written (File too large); when that is fixed, continue with: make train"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_takes_no_room_but_beside_the_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/none")

    checkpoint(path).save("fmnist", variables([7]), HISTORY[:1])

    assert len(checkpoint(path).restore("fmnist", variables([9]))) == 1


def test_who_interrupts_a_training_is_told_how_to_go_on(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, interruptible(path, "make train"):
        raise KeyboardInterrupt

    assert ended.value.code == 130
    assert capfd.readouterr().err == "train: interrupted; to continue: make train\n"


def test_before_the_first_epoch_is_over_there_is_nothing_to_go_on_from(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), interruptible(tmp_path / "none.npz", "make train"):
        raise KeyboardInterrupt

    assert capfd.readouterr().err == "train: interrupted; no epoch was complete; to start again: make train\n"


def test_to_be_told_to_end_is_to_be_interrupted_and_later_is_as_it_was(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended, interruptible(path, "make train"):
        os.kill(os.getpid(), signal.SIGTERM)

    assert ended.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err == "train: interrupted; to continue: make train\n"
    assert signal.getsignal(signal.SIGTERM) == before
    with interruptible(path, "make train"):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_trains_is_our_code_and_the_versions_of_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this goes on with what another one began."""
    versions = {"keras": "1", "numpy": "1", "tensorflow": "1"}
    monkeypatch.setattr("train.checkpoint.version", versions.__getitem__)
    monkeypatch.setattr("train.checkpoint.__file__", str(tmp_path / "checkpoint.py"))
    seen = set()
    (tmp_path / "fit.py").write_text("1")
    seen.add(code())
    (tmp_path / "fit.py").write_text("2")
    seen.add(code())
    (tmp_path / "augment.py").write_text("1")
    seen.add(code())
    for name in versions:
        versions[name] = "2"
        seen.add(code())

    (tmp_path / "README.md").write_text("not code")

    assert len(seen) == 6
    assert code() in seen
