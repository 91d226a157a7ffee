"""The page stays up: bounded loads on loopback. Here they are short; `make page-load` takes the long ones (ten minutes)."""

import http.client
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.cameras.feed import Frame
from fmnist_edge.live.steady import Answer
from fmnist_edge.live.watch import Seen
from fmnist_edge.pictures.tile import look_closely
from support.camera_server import CameraServer, jpeg
from support.commands import MODELS, ROOT
from support.pages import OPTIONS, SOURCE, Asker, served, started, wait_for

pytestmark = pytest.mark.slow

FULL = bool(os.environ.get("PAGE_LOAD"))
"""Whether it is `make page-load`."""

CLIENTS, PICTURES = (20, 200) if FULL else (6, 4)
RETURNS = 50 if FULL else 2
COMERS = 200 if FULL else 30
KILLS = 30 if FULL else 2
ANSWERS = 2 * 24 * 3600 * 10 if FULL else 3000
"""Two days of ten a second."""

MODEL = ("--model", MODELS / "fmnist-int8.tflite")


def memory(pid: int) -> float:
    """MB that a process and its children have."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    found = (re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{each}/status").read_text()) for each in pids)
    return sum(int(line[1]) for line in found if line) / 1000


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def metric(ask: Asker, name: str) -> float:
    return sum(
        float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", ask.get("/metrics").body.decode(), re.MULTILINE)
    )


class Viewer(threading.Thread):
    """Looks at a stream until it is told to stop. ``received``: its bytes, or only how many, once they are many."""

    def __init__(self, ask: Asker, path: str, keep: bool = False) -> None:
        super().__init__(daemon=True)
        self.connection = ask.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 30)
        self.count, self.received, self.ended, self._keep = 0, b"", False, keep
        self.start()

    def run(self) -> None:
        with suppress(OSError):
            while more := self.connection.recv(65536):
                self.count += len(more)
                self.received += more if self._keep else b""
        self.ended = True

    def leave(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.join(10)
        self.connection.close()


@contextmanager
def camera_page(folder: Path, source: str) -> Iterator[tuple[Asker, "subprocess.Popen[str]"]]:
    with started(folder, "--source", source, *MODEL) as (ask, process):
        assert wait_for(lambda: metric(ask, "fmnist_edge_answers_total") > 3), "the camera gives no answer"
        yield ask, process


def ages(folder: Path, work: Callable[[Asker, int], None]) -> tuple[float, float]:
    """Milliseconds, p50 and p99, of the camera's answers while this is done, as the command says at its end."""
    folder.mkdir()
    with camera_page(folder, "test") as (ask, process):
        work(ask, process.pid)
    said = re.search(r"age p50 (\d+) ms, p99 (\d+) ms", (folder / "stderr").read_text())
    assert said
    return float(said[1]), float(said[2])


def test_many_clients_while_the_camera_runs_and_others_look(tmp_path: Path) -> None:
    photo = Image.new("RGB", (1600, 1200), (220, 220, 215))
    photo.paste((30, 40, 90), (500, 250, 1100, 1000))
    photo.save(tmp_path / "photo.jpg")
    figures: dict[str, Any] = {}

    def load(ask: Asker, pid: int) -> None:
        viewers = [Viewer(ask, path) for path in ("/live.mjpg", "/live.mjpg", "/live.mjpg", "/api/answers", "/api/answers")]
        labels = [ask.post("/api/classify", file.read_bytes()).json["label"] for file in files]
        time.sleep(3)
        before, began = memory(pid), time.monotonic()
        command = [sys.executable, ROOT / "tests" / "support" / "page_clients.py", ask.port, CLIENTS, PICTURES, *files]
        printed = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
        figures["seconds"] = round(time.monotonic() - began, 1)
        figures["memory"] = before, memory(pid)
        counts = json.loads(printed)
        figures["503"] = counts.pop("503", 0)
        figures["labels"] = labels
        figures["counts"] = counts
        figures["viewers"] = [viewer.count // 1000 for viewer in viewers]
        assert not any(viewer.ended for viewer in viewers)
        for viewer in viewers:
            viewer.leave()

    files = [tmp_path / "photo.jpg", ROOT / "docs" / "shoe.png"]
    alone = ages(tmp_path / "alone", lambda ask, pid: time.sleep(20 if FULL else 2))
    loaded = ages(tmp_path / "loaded", load)
    print(f"alone: p50, p99 {alone} ms; with load: {loaded} ms; {figures}")

    expected = {f"200 {number} {label}" for number, label in enumerate(figures["labels"])}
    assert set(figures["counts"]) == expected
    assert sum(figures["counts"].values()) == CLIENTS * PICTURES
    assert figures["memory"][1] - figures["memory"][0] < 20


def test_the_camera_goes_away_and_comes_back_while_others_look(tmp_path: Path) -> None:
    with CameraServer() as camera, camera_page(tmp_path, camera.source) as (ask, process):
        viewers = [Viewer(ask, path, keep=path != "/live.mjpg") for path in 2 * ["/live.mjpg", "/api/answers"]]
        time.sleep(1)
        before, files = memory(process.pid), open_files(process.pid)
        for number in range(RETURNS):
            camera.picture = jpeg((200, number, 0))  # else it would be frozen
            faults = viewers[1].received.count(b"event: fault")
            camera.unplug()
            assert wait_for(lambda faults=faults: viewers[1].received.count(b"event: fault") > faults), number
            camera.plug_in()
            assert wait_for(lambda number=number: viewers[1].received.count(b"event: recovered") > number, 60), number
            assert wait_for(lambda: ask.get("/healthz").status == 200)
        pictures = [viewer.count for viewer in viewers]
        time.sleep(1)
        print(f"{RETURNS} times: memory {before:.1f} to {memory(process.pid):.1f} MB, files {files} to {open_files(process.pid)}")

        assert metric(ask, "fmnist_edge_reconnects_total") == RETURNS
        assert all(viewer.count > count and not viewer.ended for viewer, count in zip(viewers, pictures, strict=True))
        assert memory(process.pid) - before < 20
        assert open_files(process.pid) <= files + 2
        for viewer in viewers:
            viewer.leave()


def test_viewers_come_and_go(tmp_path: Path) -> None:
    with camera_page(tmp_path, "test") as (ask, process):
        for _ in range(10):  # what is imported or grows once
            Viewer(ask, "/live.mjpg").leave()
        time.sleep(1)
        before, files = memory(process.pid), open_files(process.pid)
        there: list[Viewer] = []
        for number in range(COMERS):
            there.append(Viewer(ask, "/live.mjpg" if number % 2 else "/api/answers"))
            if len(there) > 20:
                there.pop(random.randrange(len(there))).leave()
            time.sleep(0.05)
        for viewer in there:
            viewer.leave()

        assert wait_for(lambda: metric(ask, "fmnist_edge_viewers") == 0)
        assert wait_for(lambda: open_files(process.pid) <= files + 2)
        print(
            f"{COMERS} viewers: memory {before:.1f} to {memory(process.pid):.1f} MB, files {files} to {open_files(process.pid)}"
        )
        assert memory(process.pid) - before < 20


def test_a_viewer_that_stalls_stays_and_slows_nobody(tmp_path: Path) -> None:
    with camera_page(tmp_path, "test") as (ask, _):
        stalled = ask.raw(b"GET /live.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(3 if not FULL else 30)
        viewer = Viewer(ask, "/api/answers", keep=True)
        time.sleep(3)

        # ten a second when the machine has time for it
        assert viewer.received.count(b"event: answer") > 10
        assert metric(ask, "fmnist_edge_viewers") == 2
        first = stalled.recv(1000)
        stalled.close()
        viewer.leave()
        assert first.startswith(b"HTTP/1.1 200")


def test_killed_while_it_is_taught_it_loses_no_picture_and_has_none_twice(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    acknowledged: set[bytes] = set()
    for number in range(KILLS):
        with started(tmp_path, "--source", "none", *MODEL) as (ask, process):
            acknowledged |= teach_until_killed(ask, process, generator, 0.3 + 0.05 * (number % 12))
        kept = [path for path in (tmp_path / "photos").rglob("*.png") if path.stat().st_size]
        found = Counter(np.asarray(Image.open(path)).tobytes() for path in kept)

        assert acknowledged <= found.keys(), f"lost after kill {number}"
        assert set(found.values()) <= {1}, f"doubled after kill {number}"
    print(f"{KILLS} kills: {len(acknowledged)} pictures acknowledged, {len(found)} there, each once")


def teach_until_killed(
    ask: Asker, process: "subprocess.Popen[str]", generator: np.random.Generator, seconds: float
) -> set[bytes]:
    """Pictures that the page said it has, while it kept, labelled and unlabelled pictures until it was killed."""
    threading.Timer(seconds, process.send_signal, (signal.SIGKILL,)).start()
    acknowledged = set()
    with suppress(OSError, ValueError, http.client.HTTPException):
        while True:
            tile = np.zeros((28, 28), np.uint8)
            tile[4:24, 4:24] = generator.integers(1, 255, (20, 20))
            file = io.BytesIO()
            Image.fromarray(tile).save(file, "png")
            kept = ask.post("/api/teach", file.getvalue()).json["id"]
            acknowledged.add(tile.tobytes())
            undo = ask.post(f"/api/teach/{kept}", {"class_id": int(generator.integers(10))}).json
            if generator.random() < 0.5:
                ask.post("/api/teach/undo", undo)
    process.wait(20)
    return acknowledged


def test_days_of_answers_do_not_add_up(tmp_path: Path) -> None:
    """The loop's answers as they come, but without waiting for the next."""
    picture = Image.new("RGB", (320, 240), (200, 200, 200))
    picture.paste((30, 40, 90), (100, 60, 200, 200))
    view, mask = look_closely(picture, "photo")
    shares = np.full(11, 0.05)
    with served(tmp_path, source=SOURCE) as (ask, running):
        live, hub = running.page.live, running.page.hub
        assert live is not None
        assert hub is not None
        viewers = [Viewer(ask, "/live.mjpg"), Viewer(ask, "/api/answers")]
        tenth = ANSWERS // 10
        sizes = []
        for number in range(ANSWERS):
            shares[number % 11] += 0.5
            frame = Frame(picture, number, time.monotonic(), number / 10)
            live.show(Answer(number % 11, shares / shares.sum(), 0.5, True), frame, number, 10.0)
            hub.offer(Seen(frame, picture, OPTIONS, view, mask, True), {"frame": number})
            shares[number % 11] -= 0.5
            if number % tenth == tenth - 1:
                sizes.append(memory(os.getpid()))
        for viewer in viewers:
            viewer.leave()
    print(f"{ANSWERS} answers: memory {[round(size, 1) for size in sizes]} MB")

    assert sizes[-1] - sizes[1] < 5
