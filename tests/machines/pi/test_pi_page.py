"""`fmnist-edge page` in the emulated Pi, from the wheel and its page's extra, asked by curl."""

import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from machine import Pi, Webcam, wait_for

from fmnist_edge.contract import CLASSES
from fmnist_edge.device.bench import draw_photo

pytest_plugins = ["machine"]

TURNS = 5

START_SECONDS = 600
"""That the page may take on a machine that has other things to do."""


class Reply(NamedTuple):
    """seconds: from curl's first step to its last."""

    status: int
    json: Any
    seconds: float


class Page(NamedTuple):
    """One that goes on."""

    pi: Pi
    port: int

    def curl(self, path: str, *options: str) -> Reply:
        told = "\n%{http_code} %{time_total}"
        done = self.pi.run("curl", "--silent", "--write-out", told, *options, f"http://127.0.0.1:{self.port}{path}")
        body, _, numbers = done.stdout.rpartition("\n")
        status, seconds = numbers.split()
        return Reply(int(status), json.loads(body or "null"), float(seconds))


@contextmanager
def started(pi: Pi, port: int, options: str) -> Iterator[Page]:
    process = pi.start(f"exec fmnist-edge page --port {port} --photos /tmp/photos {options} >page.out 2>page.err")
    try:
        wait_for(lambda: f":{port}/" in (pi.share / "page.out").read_text(), START_SECONDS)
        yield Page(pi, port)
    finally:
        pi.end(process)
    print((pi.share / "page.err").read_text())


@pytest.fixture(scope="module")
def page(pi: Pi) -> Iterator[Page]:
    with started(pi, 8642, "--source none") as page:
        yield page


def test_it_is_well_and_answers_as_the_command_does(page: Page) -> None:
    assert page.curl("/healthz")[:2] == (200, {"ok": True})

    answer = page.curl("/api/classify?name=shoe.png", "--data-binary", "@shoe.png")

    printed = json.loads(page.pi.run("fmnist-edge", "classify", "--json", "--all", "shoe.png").stdout)
    assert answer.status == 200
    assert {**answer.json, "milliseconds": 0} == {**printed, "milliseconds": 0}


def test_a_phones_photo_gets_the_commands_answer(page: Page, share: Path) -> None:
    """And how long that takes, in parts of the command's time: in seconds the emulation says nothing of a Pi."""
    draw_photo(share / "photo.jpg", 12)
    seconds = []
    for _ in range(TURNS):
        tried = page.curl("/api/classify?explain=1", "--data-binary", "@photo.jpg")
        command = page.pi.run("busybox", "time", "-f", "%e", "fmnist-edge", "classify", "--json", "photo.jpg")
        assert tried.status == 200, tried.json
        assert tried.json["label"] == json.loads(command.stdout)["label"]
        seconds.append((tried.seconds, float(command.stderr)))

    tried_seconds, command_seconds = (statistics.median(column) for column in zip(*seconds, strict=True))
    share_of_it = tried_seconds / command_seconds
    print(f"12 megapixels: Try {tried_seconds:.2f} s, classify {command_seconds:.2f} s, {share_of_it:.2f} of it: {seconds}")


def test_to_the_network_it_shows_the_camera_and_asks_for_the_token(pi: Pi, webcam: Webcam) -> None:
    webcam.forget_sizes()
    webcam.show(3)

    with started(pi, 8643, "--source /dev/video0 --host 0.0.0.0") as page:
        kept = "~/.local/state/fmnist-edge/page-token"
        bearer = f"Authorization: Bearer {pi.run('sh', '-c', f'cat {kept}').stdout.strip()}"

        assert pi.run("sh", "-c", f"stat -c %a {kept}").stdout == "600\n"
        assert "token=" in (pi.share / "page.out").read_text()
        for path in ("/api/status", "/api/teach"):
            assert page.curl(path).status == 401
            assert page.curl(path, "--header", "Authorization: Bearer not-the-token").status == 401
        assert page.curl("/api/classify", "--data-binary", "@shoe.png").status == 401
        assert page.curl("/api/teach", "--header", bearer).status == 200
        wait_for(lambda: page.curl("/api/status", "--header", bearer).json["label"] == CLASSES[3])
        assert page.curl("/healthz").status == 200
        assert page.curl("/api/status", "--header", bearer).json["source"].startswith("/dev/video0 (vivid), 640x480")
