"""`python -m train` on more than one machine: here two processes, which know each other by TF_CONFIG."""

import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fmnist_edge.errors import UsageError
from support.commands import ROOT, main_of

pytestmark = pytest.mark.tensorflow

SMALL = ("-m", "train", "--recipe", "quick", "--epochs", "3", "--hidden", "32", "--batch-size", "1000")

AGREE = """
import sys
from fmnist_edge.errors import reported
from train.workers import agree, join, together
with reported("train"), together(join()):
    agree(sys.argv[1])
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


@dataclass(frozen=True)
class BrokenOff:
    """A training of two workers, of which the second was killed, as the first one saw it."""

    commands: list[list[object]]
    models: list[Path]
    status: int
    complaint: str
    left: list[str]


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory) -> BrokenOff:
    folders = [tmp_path_factory.mktemp("worker") for _ in range(2)]
    models = [folder / "fmnist.keras" for folder in folders]
    commands: list[list[object]] = [[*SMALL, "--out", model] for model in models]
    workers = start_two(commands)
    assert workers[0].stdout is not None
    while not workers[0].stdout.readline().startswith("fmnist: epoch   2/3"):
        assert workers[0].poll() is None
    workers[1].kill()
    (status, _, complaint), _ = end(workers)
    return BrokenOff(commands, models, status, complaint, [file.name for file in folders[0].iterdir()])


@pytest.fixture(scope="module")
def resumed(broken_off: BrokenOff) -> list[Path]:
    """The models of both workers, which went on; the one that was killed did so on a machine that has no checkpoint."""
    broken_off.models[1].with_suffix(".checkpoint.npz").unlink(missing_ok=True)
    ended = end(start_two([*command, "--resume"] for command in broken_off.commands))
    assert [(status, "going on after epoch" in printed) for status, printed, _ in ended] == [(0, True)] * 2, ended
    return broken_off.models


def test_where_a_worker_dies_the_others_say_so_and_leave_a_checkpoint(broken_off: BrokenOff) -> None:
    assert broken_off.status == 1
    assert broken_off.complaint.splitlines()[-1].startswith("train: another worker is gone (")
    assert broken_off.left == ["fmnist.checkpoint.npz"]


def test_all_workers_end_with_the_same_model(resumed: list[Path]) -> None:
    assert resumed[0].read_bytes() == resumed[1].read_bytes()


def test_two_workers_are_as_accurate_as_one(resumed: list[Path], tmp_path: Path) -> None:
    main_of(*SMALL[1:], "--out", tmp_path / "alone.keras")

    assert abs(accuracy_of(resumed[0]) - accuracy_of(tmp_path / "alone.keras")) <= 0.005


def test_workers_with_other_settings_do_not_train_together() -> None:
    first, second = end(start_two([("-c", AGREE, "seed 0"), ("-c", AGREE, "seed 1")]))

    assert first[0] == 0
    assert second[0] == 2
    assert second[2].splitlines()[-1] == "train: the first worker has other settings; start all of them with the same options"


def test_a_worker_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from train.workers import WorkerError, join

    ports = free_ports()
    monkeypatch.setenv("TF_CONFIG", tf_config(ports, 0))

    with pytest.raises(WorkerError, match=f"worker 127.0.0.1:{ports[1]} can't be reached after 1 s"):
        join(patience=1)


@pytest.mark.parametrize("config", ["", "{", "{}", "3", tf_config([1, 2], 2), tf_config([1, 2], 0).replace(":1", "")])
def test_a_tf_config_that_makes_no_sense_is_answered_with_one_that_does(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.workers import join

    monkeypatch.setenv("TF_CONFIG", config)

    with pytest.raises(UsageError, match=r"TF_CONFIG can't be used .*10\.0\.0\.1:2222"):
        join()


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from train.workers import WorkerError, join

    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TF_CONFIG", tf_config([port, 1], 0))

        with pytest.raises(WorkerError, match=f"127.0.0.1:{port} can't be this worker's address .*in use"):
            join()
