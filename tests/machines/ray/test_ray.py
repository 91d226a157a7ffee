"""docs/bulk.md's lines on a cluster of two Ray nodes on this machine. `make bulk-test` runs these."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from support.commands import ROOT, fmnist_edge
from support.docs import named
from train.dataset import Dataset

pytestmark = pytest.mark.slow

PYTHON = ROOT / "build" / "ray" / "bin" / "python"
PAGE = (ROOT / "docs" / "bulk.md").read_text()
TO_JSON = "import pyarrow.parquet, json, sys; print(json.dumps(pyarrow.parquet.read_table(sys.argv[1]).to_pylist()))"
TO_PARQUET = """
import pyarrow, pyarrow.parquet, pathlib, sys
paths = sorted(pathlib.Path(sys.argv[1]).iterdir())
table = pyarrow.table({"path": list(map(str, paths)), "bytes": [path.read_bytes() for path in paths]})
pyarrow.parquet.write_table(table, sys.argv[2], row_group_size=500)
"""


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """10,000 tiles, one of which is damaged."""
    folder = tmp_path_factory.mktemp("tiles")
    for number, tile in enumerate(dataset.test_images):
        Image.fromarray(tile).save(folder / f"{number:05}.png")
    (folder / "00007.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def answers(tiles: Path) -> dict[str, tuple[str, float, bool, str]]:
    """What the command says of each tile."""
    records = map(json.loads, fmnist_edge("classify", "--json", tiles).stdout.splitlines())
    return {
        record["path"]: (
            record.get("label", ""),
            record.get("confidence", 0),
            record.get("unsure", True),
            record.get("error", ""),
        )
        for record in records
    }


@pytest.fixture(scope="session")
def nodes() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """A cluster, whose address is in the environment. The last test kills one of the two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    first = start_node("--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false")
    second = None
    try:
        wait_for_nodes(address, 1)
        second = start_node(f"--address={address}")
        wait_for_nodes(address, 2)
        os.environ["RAY_ADDRESS"] = address
        yield [first, second]
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        for node in filter(None, (second, first)):
            kill(node)


def start_node(*options: str) -> "subprocess.Popen[bytes]":
    here = ["--block", "--node-ip-address=127.0.0.1", "--num-cpus=2", "--object-store-memory=100000000"]
    command = [PYTHON.with_name("ray"), "start", *here, *options]
    # a busy machine starts them slowly, and runs nothing of a niceness of 15, which is Ray's default
    patience = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_niceness": "0"}
    environment = {**os.environ, **patience, "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)


def wait_for_nodes(address: str, count: int) -> None:
    program = "import ray; ray.init(log_to_driver=False); print(sum(node['Alive'] for node in ray.nodes()))"
    for _ in range(30):
        done = subprocess.run(
            [PYTHON, "-c", program], env={**os.environ, "RAY_ADDRESS": address}, capture_output=True, text=True, timeout=600
        )
        if done.stdout.strip() == str(count):
            return
        time.sleep(1)
    pytest.fail(done.stderr)


def kill(node: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


def program_of_the_page(folder: Path) -> Path:
    (folder / "bulk.py").write_text(named("docs/bulk.md", "bulk.py").text)
    return folder / "bulk.py"


def test_pictures_in_a_parquet_column_get_the_same_answers(
    nodes: list["subprocess.Popen[bytes]"], tiles: Path, answers: dict[str, tuple[str, float, bool, str]], tmp_path: Path
) -> None:
    (of_a_column,) = re.findall(r"`(ray\.data\.read_parquet\(.*?\))`", PAGE)
    program = program_of_the_page(tmp_path)
    files = "ray.data.read_binary_files(folder, include_paths=True, override_num_blocks=100)"
    assert files in program.read_text()
    program.write_text(program.read_text().replace(files, of_a_column.replace('"pictures.parquet"', "folder")))
    subprocess.run([PYTHON, "-c", TO_PARQUET, tiles, tmp_path / "pictures.parquet"], check=True)

    done = subprocess.run(
        [PYTHON, program, tmp_path / "pictures.parquet", tmp_path / "answers"], capture_output=True, text=True, timeout=900
    )

    assert done.returncode == 0, done.stderr
    check(tmp_path / "answers", answers)


def test_a_node_that_is_killed_on_the_way_costs_no_answer(
    nodes: list["subprocess.Popen[bytes]"], tiles: Path, answers: dict[str, tuple[str, float, bool, str]], tmp_path: Path
) -> None:
    command = [PYTHON, program_of_the_page(tmp_path), tiles, tmp_path / "answers"]
    with open(tmp_path / "log", "w") as log, subprocess.Popen(command, stdout=log, stderr=log) as driver:
        while driver.poll() is None and not any((tmp_path / "answers").glob("*.parquet")):
            time.sleep(0.1)
        still_running = driver.poll() is None
        kill(nodes[1])
        status = driver.wait(timeout=900)

    assert status == 0, (tmp_path / "log").read_text()
    assert still_running
    check(tmp_path / "answers", answers)


def check(folder: Path, answers: dict[str, tuple[str, float, bool, str]]) -> None:
    rows = json.loads(subprocess.run([PYTHON, "-c", TO_JSON, folder], capture_output=True, check=True).stdout)
    found = {row["path"]: (row["label"], round(row["confidence"], 6), row["unsure"], row["error"]) for row in rows}

    assert len(rows) == len(found) == len(answers) == 10_000
    assert found == answers
