"""`python -m train` as people use it."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.commands import ROOT, main_of, python_m
from train.recipes import RECIPES

pytestmark = pytest.mark.tensorflow

SMALL = ("--recipe", "quick", "--epochs", "1", "--hidden", "32", "--hidden", "16")
SIX_EPOCHS = (*SMALL, "--epochs", "6")
THIRD_EPOCH = r": epoch   3/6 \[==========          \] "
SMALL_PARAMETERS = 784 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small model, and what training it printed."""
    path = tmp_path_factory.mktemp("trained") / "fmnist.keras"
    result = python_m("train", *SMALL, "--out", path)
    assert result.returncode == 0, result.stderr
    return path, result.stdout


def test_training_shows_the_network_and_its_scores(trained: tuple[Path, str]) -> None:
    _, printed = trained

    assert f"Total params: {SMALL_PARAMETERS:,}" in printed
    assert re.search(
        r"epoch   1/1 \[=+\] loss \d\.\d{4}, accuracy 0\.\d{4}; validation loss \d\.\d{4}, accuracy 0\.\d{4}", printed
    )
    for part in ("validation", "validation, disturbed", "test"):
        assert re.search(rf"^{part}: loss \d\.\d{{4}}, accuracy 0\.\d{{4}}$", printed, re.MULTILINE)


def test_the_model_takes_plain_pixels_whatever_it_was_trained_on(trained: tuple[Path, str]) -> None:
    """`quick` standardises its images; unless that was folded into the weights, these scores were near 0.1."""
    _, printed = trained
    match = re.search(r"^test: loss .*, accuracy (0\.\d+)$", printed, re.MULTILINE)

    assert match is not None
    assert float(match[1]) > 0.75


def test_the_model_says_how_it_was_trained(trained: tuple[Path, str]) -> None:
    path, _ = trained
    with zipfile.ZipFile(path) as archive:
        training = json.loads(archive.read("fmnist.json"))["training"]

    assert training["recipe"] == "quick, changed"
    assert (training["hidden"], training["epochs"], training["seed"]) == ([32, 16], 1, 0)
    assert len(training["dataset"]) == 4
    assert 0 < training["unsure"]["tile"] <= training["unsure"]["photo"] <= 1


def test_the_same_seed_gives_the_same_file(trained: tuple[Path, str], tmp_path: Path) -> None:
    path, _ = trained

    python_m("train", *SMALL, "--out", tmp_path / "again.keras")
    python_m("train", *SMALL, "--seed", "1", "--out", tmp_path / "other.keras")

    assert (tmp_path / "again.keras").read_bytes() == path.read_bytes()
    assert (tmp_path / "other.keras").read_bytes() != path.read_bytes()


def training_after(line: str, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A training that runs, and has printed a line that begins so (a regular expression). ``environment`` is added to ours."""
    command = [sys.executable, "-u", "-m", "train", *map(str, arguments)]
    surroundings = {**os.environ, **(environment or {})}
    training = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert training.stdout is not None
    while not re.match(line, training.stdout.readline()):
        assert training.poll() is None
    return training


def test_ctrl_c_leaves_the_old_model(tmp_path: Path) -> None:
    path = tmp_path / "fmnist.keras"
    path.write_bytes(b"the old model")
    training = training_after("fmnist: epoch   2/500", *SMALL, "--epochs", "500", "--out", path)
    training.send_signal(signal.SIGINT)
    _, complaint = training.communicate(timeout=60)

    assert training.returncode == 130
    again = f"{Path(sys.executable).relative_to(ROOT)} -m train {' '.join(SMALL)} --epochs 500 --out {path} --resume"
    assert complaint.splitlines()[-1] == f"train: interrupted; to continue: {again}"
    assert path.read_bytes() == b"the old model"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fmnist.checkpoint.npz", "fmnist.keras"]


def test_an_interrupted_training_is_not_overwritten_by_another(tmp_path: Path) -> None:
    path = tmp_path / "fmnist.keras"
    training = training_after("fmnist: epoch   2/500", *SMALL, "--epochs", "500", "--out", path)
    training.terminate()
    _, complaint = training.communicate(timeout=60)
    content = (tmp_path / "fmnist.checkpoint.npz").read_bytes()
    again = complaint.splitlines()[-1].removeprefix("train: interrupted; to continue: ")

    other = main_of("train", *SMALL, "--epochs", "500", "--seed", "1", "--out", path)

    assert training.returncode == 143
    assert other.returncode == 2
    assert other.stderr == (
        f"train: {tmp_path}/fmnist.checkpoint.npz holds an interrupted training with other settings (seed was 0, now 1). "
        f"To continue it: {again}. To discard it: --restart. To keep it: train into another place, with --out\n"
    )
    assert (tmp_path / "fmnist.checkpoint.npz").read_bytes() == content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What six epochs give that nobody interrupts."""
    path = tmp_path_factory.mktemp("whole") / "fmnist.keras"
    python_m("train", *SIX_EPOCHS, "--out", path)
    return path.read_bytes()


@pytest.mark.parametrize("moment", [f"without_0{THIRD_EPOCH}", f"fmnist{THIRD_EPOCH}"], ids=["holdout", "model"])
def test_a_training_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(moment: str, whole: bytes, tmp_path: Path) -> None:
    training = training_after(moment, *SIX_EPOCHS, "--out", tmp_path / "killed.keras")
    training.kill()
    training.communicate()

    resumed = python_m("train", *SIX_EPOCHS, "--out", tmp_path / "killed.keras")

    assert f"train: continuing the interrupted training in {tmp_path}/killed.checkpoint.npz; to start again: " in resumed.stderr
    assert "going on after epoch" in resumed.stdout
    assert (tmp_path / "killed.keras").read_bytes() == whole
    assert not list(tmp_path.glob("*.npz"))


def held_out(printed: str, score: str) -> list[float]:
    """Of each epoch of the holdout the "loss", "accuracy" or "validation_loss"."""
    line = r"\] loss (?P<loss>\S+), accuracy (?P<accuracy>\S+); validation loss (?P<validation_loss>\S+),"
    return [float(epoch[score]) for epoch in re.finditer(line, printed)]


def test_training_stops_when_it_is_good_enough(tmp_path: Path) -> None:
    result = main_of("train", *SMALL, "--epochs", "50", "--stop-at-accuracy", "0.7", "--out", tmp_path / "fmnist.keras")

    accuracies = held_out(result.stdout, "accuracy")
    assert result.returncode == 0, result.stderr
    assert [accuracy >= 0.7 for accuracy in accuracies] == [False] * (len(accuracies) - 1) + [True]


def test_training_stops_when_validation_gets_worse_and_the_best_epoch_counts(tmp_path: Path) -> None:
    settings = ("--recipe", "tutorial", "--hidden", "64", "--batch-size", "256", "--epochs", "60", "--patience", "1")
    result = main_of("train", *settings, "--out", tmp_path / "fmnist.keras")

    losses = held_out(result.stdout, "validation_loss")
    best = losses.index(min(losses)) + 1
    assert result.returncode == 0, result.stderr
    assert len(losses) == best + 1 < 60
    assert re.findall(r"^fmnist: epoch +(\d+)/\d+ ", result.stdout, re.MULTILINE)[-1] == str(best)
    assert f"validation: loss {min(losses):.4f}" in result.stdout


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    result = main_of("train", "--recipe", "standrad")

    known = ", ".join(RECIPES)
    assert result.returncode == 2
    assert result.stderr == f"train: there is no recipe 'standrad'; there are {known}; did you mean 'standard'?\n"


def test_an_unwritable_place_is_named_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = main_of("train", *SMALL, "--out", tmp_path / "file" / "fmnist.keras")

    assert result.returncode == 2
    assert f"{tmp_path}/file/fmnist.keras can't be written" in result.stderr
    assert "epoch" not in result.stdout


def test_the_tutorial_recipe_is_the_textbooks_network() -> None:
    from train.fit import build

    assert build(RECIPES["tutorial"].hidden).count_params() == 101_770


NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "FMNIST_PHOTOS": ""}


def test_without_photos_and_without_a_network_training_says_what_the_model_will_not_know(tmp_path: Path) -> None:
    arguments = ("--recipe", "standard", "--epochs", "1", "--hidden", "8", "--out", tmp_path / "fmnist.keras")
    training = training_after("fmnist: epoch", *arguments, environment={**NO_NETWORK, "XDG_CACHE_HOME": str(tmp_path)})
    training.terminate()
    _, complaint = training.communicate()

    said = [line for line in complaint.splitlines() if line.startswith("photos: ")]
    assert len(said) == 1
    assert said[0].startswith(
        "photos: the model will know tiles, but not what photos of clothes look like: no photos from https://"
    )
    assert "Connection refused" in said[0]


def test_a_folder_of_photos_that_is_named_and_is_none_ends_it_before_the_training(tmp_path: Path) -> None:
    result = python_m("train", "--out", tmp_path / "fmnist.keras", environment={"FMNIST_PHOTOS": str(tmp_path / "nowhere")})

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"train: {tmp_path}/nowhere/images.csv is missing"
    assert "epoch" not in result.stdout


def test_a_model_that_knows_photos_is_not_replaced_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "fmnist.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fmnist.json", json.dumps({"training": {"photo_dataset": {"photos": 2911}}}))

    old = path.read_bytes()
    first, again = (python_m("train", *SMALL, "--out", path).stderr for _ in range(2))

    assert f"train: WARNING: {path} learned from 2,911 photos of clothes; the new model will not" in first
    assert "'make photos' gets the photos" in first
    assert first.index("WARNING") < first.index("starting TensorFlow")
    assert "WARNING" not in again
    (kept,) = (tmp_path / "kept").glob("*/fmnist.keras")
    assert first.splitlines()[-1].endswith(f"To restore them: cp -r {kept.parent}/. {tmp_path}")
    assert kept.read_bytes() == old
