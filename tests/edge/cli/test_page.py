"""`fmnist-edge page`: what it refuses, what it says, how it ends; and that no other command pays for it."""

import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fmnist_edge.cli.page import photos_folder
from support.commands import FMNIST_EDGE, MODELS, fmnist_edge, run
from support.film import write_film
from support.pages import SHOE, started, wait_for

MODEL = ("--model", MODELS / "fmnist-int8.tflite")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--tls-key", "key.pem"], "--tls-key needs --tls-cert"),
        (["--tls-cert", "gone.pem"], "--tls-cert gone.pem: the certificate or its key can't be used"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid is not an address of this machine"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1: cannot assign requested address"),
        (["--roi", "1,2"], "--roi is left, top, width and height"),
        (["--port", "0", "--photos", "docs/shoe.png"], ""),
    ],
)
def test_what_can_not_be_meant_is_refused_in_one_line(options: list[str], complaint: str) -> None:
    result = fmnist_edge("page", "--source", "none", *options)

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f"fmnist-edge: {complaint}" if complaint else "")
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = fmnist_edge("page", "--source", "none", "--port", port, "--photos", tmp_path)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"fmnist-edge: port {port} is taken; is a page running already? Choose another with --port\n"


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "python_multipart", "anyio"])
def test_without_the_extra_the_command_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package or name.startswith("fmnist_edge.page.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    result = fmnist_edge("page", "--photos", tmp_path)

    assert result.returncode == 3
    assert result.stderr == "fmnist-edge: the page needs more packages: pip install 'fmnist-edge[page]'\n"


def test_photos_are_among_the_users_own_files_or_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert photos_folder() == Path("/data/fmnist-edge/photos")

    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/fmnist-edge")
    assert photos_folder() == Path("/var/lib/fmnist-edge/photos")


OTHERS = ("anyio", "fmnist_edge.page", "h11", "python_multipart", "segno", "starlette", "uvicorn")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["classify", "docs/shoe.png"],
        ["camera", "--source", "docs/clothes.mp4", "--frames", "2"],
        ["verify"],
        ["info"],
        ["status"],
        ["doctor"],
        ["page", "--help"],
    ],
)
def test_no_module_of_the_page_is_imported_by_another_command(arguments: list[str]) -> None:
    program = (
        "import atexit, sys\n"
        "from fmnist_edge.cli import main\n"
        f"atexit.register(lambda: print(sorted(n for n in sys.modules if n.startswith({OTHERS!r})), file=sys.stderr))\n"
        "main()"
    )
    result = run(sys.executable, "-c", program, *arguments)

    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["none", "docs/clothes.mp4"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_when_it_is_told_to(source: str, number: int, status: int, tmp_path: Path) -> None:
    with started(tmp_path, "--source", source, *MODEL) as (ask, process):
        assert ask.post("/api/classify", SHOE).json["label"] == "Sneaker"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        viewer = ask.raw(b"GET /api/answers HTTP/1.1\r\nHost: localhost\r\n\r\n")
        process.send_signal(number)

        assert process.wait(10) == status
        assert children
        assert not any(Path(f"/proc/{child}").exists() for child in children)
        viewer.close()
    assert "Traceback" not in (tmp_path / "stderr").read_text()


@pytest.mark.slow
def test_killed_it_leaves_no_process_behind(tmp_path: Path) -> None:
    with started(tmp_path, "--source", "none", *MODEL) as (_, process):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()

        assert wait_for(lambda: not any(running(child) for child in children))


def running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_camera_that_is_not_there_is_awaited_and_the_page_serves_meanwhile(tmp_path: Path) -> None:
    with started(tmp_path, "--source", "http://127.0.0.1:9/", *MODEL) as (ask, _):
        assert ask.get("/healthz").status == 503
        assert ask.post("/api/classify", SHOE).status == 200
        assert ask.get("/api/status").json["source"] is None
        viewer = ask.raw(b"GET /api/answers HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while b"event: fault" not in received:
            received += viewer.recv(1000)
        viewer.close()
    assert b"127.0.0.1:9" in received


@pytest.mark.slow
def test_without_any_camera_auto_serves_pictures_and_is_healthy(tmp_path: Path) -> None:
    with started(tmp_path, *MODEL) as (ask, _):
        assert ask.get("/healthz").status == 200


@pytest.mark.slow
def test_with_no_retry_a_camera_that_is_not_there_ends_it(tmp_path: Path) -> None:
    result = run(FMNIST_EDGE, "page", "--port", "0", "--source", "gone.mp4", "--no-retry", "--photos", tmp_path)

    assert (result.returncode, result.stderr) == (1, "fmnist-edge: gone.mp4: no such file or directory\n")


@pytest.mark.slow
def test_the_link_with_the_token_is_shown_once_and_on_a_terminal_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    command = [FMNIST_EDGE, "page", "--host", "0.0.0.0", "--port", "0", "--source", "none", "--photos", tmp_path / "photos"]
    token_file = tmp_path / "fmnist-edge" / "page-token"

    first = shown(command, environment)
    token = token_file.read_text().strip()
    second = shown(command, environment)

    assert f"/?token={token}" in first
    assert "█" in first or "▄" in first
    assert token not in second
    assert str(token_file) in second.replace("\r\n", "")
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    token_file.unlink()
    with started(tmp_path, "--host", "0.0.0.0", "--source", "none", XDG_STATE_HOME=str(tmp_path)) as (ask, _):
        assert ask.get("/api/teach").status == 401


def shown(command: list[object], environment: dict[str, str]) -> str:
    """What the command writes to a terminal before it serves."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(part) for part in command], env=environment, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    written = b""
    while b"page-token" not in written:
        assert select.select([ours], [], [], 20)[0], written
        written += os.read(ours, 10_000)
    process.terminate()
    process.wait(10)
    os.close(ours)
    return written.decode()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["none", "test"])
def test_systemd_hears_that_it_serves_is_alive_and_ends(source: str, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(10)
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000", "RUNTIME_DIRECTORY": str(tmp_path)}
        with started(tmp_path, "--systemd", "--source", source, *MODEL, **environment) as (ask, process):
            heard = [systemd.recv(1000).decode() for _ in range(6)]
            assert ask.get("/healthz").status == 200
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        systemd.settimeout(0.2)
        while heard[-1] != "STOPPING=1":
            heard.append(systemd.recv(1000).decode())

    assert heard[0] == "READY=1"
    assert "WATCHDOG=1" in heard
    assert [message[:7] for message in heard].count("STATUS=") >= 1
    assert heard.count("STOPPING=1") == 1
    assert (tmp_path / "status.json").exists()


@pytest.mark.slow
def test_a_video_begins_again_when_it_has_ended(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [(Image.new("RGB", (160, 120), colour), 0.5) for colour in ("red", "blue")])
    with started(tmp_path, "--source", film, *MODEL) as (ask, _):
        # it has 30 frames
        assert wait_for(lambda: ask.get("/api/status").json["frames"] > 40)
        assert ask.get("/healthz").status == 200
