"""`python -m train` on more than one machine: here two processes, which know each other by TF_CONFIG."""

import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from conftest import ROOT, python_m

from fmnist_edge.errors import UsageError
from train.workers import WorkerError, join

SMALL = ("-m", "train", "--recipe", "quick", "--epochs", "3", "--hidden", "32", "--batch-size", "1000")

TEACH = """
from hashlib import sha256
from train.workers import join, together
strategy = join()
from dataclasses import replace
from train.augment import Examples
from train.dataset import load
from train.fit import teach
from train.recipes import TEACHER
dataset = load()
with together(strategy):
    taught = teach(replace(TEACHER, epochs=1), Examples(dataset.train_images[:1500], dataset.train_labels[:1500]), 0)
print(sha256(taught.tobytes()).hexdigest())
"""


def tf_config(ports: Sequence[int], index: int) -> str:
    workers = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})


def free_ports() -> list[int]:
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other:
        return [server.getsockname()[1] for server in (one, other)]


def start_two(commands: Iterable[Sequence[object]]) -> list[subprocess.Popen[str]]:
    """Two workers that train together, with one thread each."""
    ports = free_ports()
    return [
        subprocess.Popen(
            [sys.executable, "-u", *map(str, command)],
            cwd=ROOT,
            env={**os.environ, "TF_CONFIG": tf_config(ports, index), "TF_NUM_INTRAOP_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, command in enumerate(commands)
    ]


def end(workers: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Of each worker its exit status, and what it has yet to say on stdout and stderr."""
    said = [worker.communicate(timeout=300) for worker in workers]
    return [(worker.returncode, *words) for worker, words in zip(workers, said, strict=True)]


def accuracy_of(model: Path) -> float:
    with zipfile.ZipFile(model) as archive:
        return float(json.loads(archive.read("fmnist.json"))["scores"]["test"]["accuracy"])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The model of each of two workers that trained together, on a disk of its own."""
    models = [tmp_path_factory.mktemp("worker") / "fmnist.keras" for _ in range(2)]
    ended = end(start_two([*SMALL, "--out", model] for model in models))
    assert [status for status, _, _ in ended] == [0, 0], ended
    return models


def test_two_workers_have_the_same_model(together: list[Path]) -> None:
    assert together[0].read_bytes() == together[1].read_bytes()


def test_two_workers_are_as_accurate_as_one(together: list[Path], tmp_path: Path) -> None:
    python_m(*SMALL[1:], "--out", tmp_path / "alone.keras")

    assert abs(accuracy_of(together[0]) - accuracy_of(tmp_path / "alone.keras")) <= 0.005


def test_where_a_worker_dies_the_other_says_so_and_both_go_on_from_its_checkpoint(together: list[Path], tmp_path: Path) -> None:
    """The one that died comes back on a machine that has no checkpoint."""
    models = [tmp_path / "0" / "fmnist.keras", tmp_path / "1" / "fmnist.keras"]
    settings = [[*SMALL, "--out", model] for model in models]
    workers = start_two(settings)
    assert workers[0].stdout is not None
    while not workers[0].stdout.readline().startswith("epoch   2/3"):
        assert workers[0].poll() is None
    workers[1].kill()
    (status, _, complaint), _ = end(workers)
    checkpoints = [model.with_suffix(".checkpoint.npz") for model in models]
    checkpoints[1].unlink()

    assert status == 1
    assert complaint.splitlines()[-1].startswith("train: another worker is gone (")
    assert checkpoints[0].exists()

    resumed = end(start_two([*command, "--resume"] for command in settings))

    assert all("going on after epoch 2" in printed for _, printed, _ in resumed), resumed
    assert [model.read_bytes() for model in models] == [together[0].read_bytes()] * 2


def test_a_teacher_says_the_same_on_both_workers() -> None:
    """Its batch normalization would have means and variances of its own on each."""
    (_, one, _), (_, other, _) = end(start_two([("-c", TEACH)] * 2))

    assert one.splitlines()[-1] == other.splitlines()[-1]


def test_workers_with_other_settings_do_not_train_together(tmp_path: Path) -> None:
    first, second = end(start_two([*SMALL, "--seed", seed, "--out", tmp_path / seed / "fmnist.keras"] for seed in ("0", "1")))

    assert first[0] == 1
    assert second[0] == 2
    assert second[2].splitlines()[-1] == "train: the first worker has other settings; start all of them with the same options"


def test_a_worker_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_ports()
    monkeypatch.setenv("TF_CONFIG", tf_config(ports, 0))

    with pytest.raises(WorkerError, match=f"worker 127.0.0.1:{ports[1]} is not there after 1 s"):
        join(patience=1)


@pytest.mark.parametrize("config", ["", "{", "{}", "3", tf_config([1, 2], 2), tf_config([1, 2], 0).replace(":1", "")])
def test_a_tf_config_that_makes_no_sense_is_answered_with_one_that_does(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)

    with pytest.raises(UsageError, match=r"TF_CONFIG can't be used .*10\.0\.0\.1:2222"):
        join()


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TF_CONFIG", tf_config([port, 1], 0))

        with pytest.raises(WorkerError, match=f"127.0.0.1:{port} can't be this worker's address .*in use"):
            join()
