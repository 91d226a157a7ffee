"""`fmnist-edge camera` as a service: what systemd hears of it. The tests play systemd, with a socket of their own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmnist_edge.contract import CLASSES
from support.commands import FMNIST_EDGE, ROOT, run

pytestmark = pytest.mark.slow


class Listener:
    """NOTIFY_SOCKET, and what came there. Each message waits for the next look at it."""

    def __init__(self, address: str) -> None:
        self.address, self.heard = address, []  # type: tuple[str, list[str]]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))

    def listen(self, wanted: str, seconds: float = 10) -> list[str]:
        """Everything that was heard until the wanted message came, or for so long."""
        end = time.monotonic() + seconds
        while wanted not in self.heard and (rest := end - time.monotonic()) > 0:
            self._socket.settimeout(rest)
            try:
                self.heard.append(self._socket.recv(1000).decode())
            except TimeoutError:
                break
        return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(str(tmp_path / "notify"))
    yield listener
    listener.close()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(listener: Listener) -> Iterator[Start]:
    """Starts the command as systemd would; ends it after the test."""
    processes = []

    def start(*arguments: str, stdout: int = subprocess.DEVNULL, **environment: str) -> "subprocess.Popen[str]":
        options: dict[str, Any] = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True}
        variables = {**os.environ, "NOTIFY_SOCKET": listener.address, **environment}
        processes.append(subprocess.Popen([FMNIST_EDGE, "camera", *arguments], env=variables, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_systemd_hears_of_the_first_frame_the_label_and_the_end(listener: Listener, start: Start) -> None:
    process = start("--systemd", "--source", "test")
    listener.listen("READY=1")
    process.send_signal(signal.SIGTERM)
    listener.listen("STOPPING=1")

    ready, stopping = listener.heard.index("READY=1"), listener.heard.index("STOPPING=1")
    (status,) = listener.heard[:ready]
    assert status.removeprefix("STATUS=") in CLASSES
    assert stopping == len(listener.heard) - 1
    assert process.wait(1) == 0


def test_the_watchdog_hears_nothing_once_it_hangs(listener: Listener, start: Start) -> None:
    start("--systemd", "--source", "test", WATCHDOG_USEC="200000", stdout=subprocess.PIPE)  # which nobody reads
    listener.listen("never", seconds=2)
    listener.heard.clear()

    assert listener.listen("never", seconds=0.5) == []


def test_the_unit_starts_a_command_that_works(listener: Listener, start: Start, tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "fmnist-edge-camera.service").read_text()
    program, command, *arguments = re.search("^ExecStart=(.*)$", unit, re.M)[1].replace("%S", str(tmp_path)).split()

    process = start(*arguments, "--source", "test", "--frames", "5")

    assert (Path(program).name, command) == ("fmnist-edge", "camera")
    assert "STOPPING=1" in listener.listen("STOPPING=1")
    assert process.wait(10) == 0
    assert (tmp_path / "fmnist-edge" / "unsure").is_dir()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "fmnist-edge-camera.service").read_text()
    copy = tmp_path / "fmnist-edge-camera.service"
    copy.write_text(unit.replace("/opt/fmnist-edge/bin/fmnist-edge", str(FMNIST_EDGE)))

    verdict = run("systemd-analyze", "verify", copy)
    exposure = run("systemd-analyze", "security", "--offline=true", "--threshold=20", copy)  # tenths

    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")
    assert exposure.returncode == 0, exposure.stdout
