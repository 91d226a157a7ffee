"""`fmnist-edge camera` before servers that nobody here wrote: each shows docs/clothes.mp4, and each garment's label arrives."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.commands import ROOT, fmnist_edge

FILM = ROOT / "docs" / "clothes.mp4"
GARMENTS = {"Trouser", "T-shirt/top", "Bag", "Sneaker"}
SECONDS = 30
"""Two rounds of the film."""

MOTION = """\
daemon off
netcam_url file://{film}
width 320
height 240
framerate 25
stream_port {port}
stream_localhost on
stream_maxrate 25
stream_quality 90
text_left
text_right
webcontrol_port 0
picture_output off
movie_output off
target_dir {folder}
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """With the film, and of all users: VLC gets one of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copy(FILM, folder)
        yield Path(folder)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def motion(folder: Path, port: int) -> list[str]:
    (folder / "motion.conf").write_text(MOTION.format(film=folder / FILM.name, port=port, folder=folder))
    return ["motion", "-n", "-c", str(folder / "motion.conf")]


def vlc(folder: Path, port: int) -> list[str]:
    # root may not run it
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    stream = f"#rtp{{sdp=rtsp://127.0.0.1:{port}/}}"
    return [*nobody, "cvlc", "-q", str(folder / FILM.name), "--loop", "--sout", stream, "--sout-keep"]


def ffmpeg(folder: Path, port: int) -> list[str]:
    film = ["-re", "-stream_loop", "-1", "-i", str(FILM)]
    return ["ffmpeg", "-v", "error", *film, "-q:v", "3", "-f", "mpjpeg", "-listen", "1", f"http://127.0.0.1:{port}/"]


@pytest.mark.parametrize(("server", "scheme"), [(motion, "http"), (vlc, "rtsp"), (ffmpeg, "http")])
def test_each_garment_arrives(server: Callable[[Path, int], list[str]], scheme: str, open_folder: Path) -> None:
    port = free_port()
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    serving = subprocess.Popen(server(open_folder, port), env={**os.environ, "HOME": str(open_folder)}, **quiet)
    try:
        end = time.monotonic() + 30
        while (seen := watch(f"{scheme}://127.0.0.1:{port}/")).returncode and time.monotonic() < end:
            time.sleep(0.5)  # it is starting
    finally:
        serving.terminate()
        serving.wait()

    records = [json.loads(line) for line in seen.stdout.splitlines()]
    assert seen.returncode == 0, seen.stderr
    shown = Counter(record["label"] for record in records if record["garment_found"])
    assert {label for label, _ in shown.most_common(len(GARMENTS))} == GARMENTS
    # VLC ends the stream with the film, and begins another
    assert ("lost" in seen.stderr, "back" in seen.stderr) == (2 * (server is vlc,))


def watch(source: str) -> "subprocess.CompletedProcess[str]":
    return fmnist_edge("camera", "--source", source, "--json", "--on-change", "--seconds", SECONDS)
