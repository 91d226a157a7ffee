"""The emulated Raspberry Pi as the tests use it: booted, and commands run in it.

PYTEST_DONT_REWRITE: the tests import it before pytest takes its fixtures from it.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from support.commands import ROOT
from support.film import scene
from train.dataset import Dataset

PAGES = os.environ.get("PAGES", "")
"""Empty, or 16k: of the memory, as on a Pi 5."""

BUILT = ROOT / "build" / ("pi-vm-16k" if PAGES == "16k" else "pi-vm")
CPU = "cortex-a76" if PAGES == "16k" else "cortex-a72"


class Pi:
    """A booted machine, whose disk is as it was built, whatever an earlier boot did to it.

    share: a folder, which is /share in the machine; commands are run there
    cpu: as qemu names it; a Pi 4 has a cortex-a72, a Pi 5 a cortex-a76, with instructions of its own for int8
    ssh_port: systemd is booted, with an ssh server that is reached there on 127.0.0.1; the machine reaches nothing. None: neither
    """

    def __init__(self, share: Path, cpu: str = CPU, ssh_port: int | None = None) -> None:
        self.share, self.console = share, share / "console.log"
        ours, theirs = socket.socketpair()
        options = (
            f"-machine virt -accel tcg,thread=multi -cpu {cpu} -smp 2 -m 1024 -nodefaults -display none -serial stdio -no-reboot "
            "-kernel kernel -initrd initrd.gz -drive file=disk.ext4,if=virtio,format=raw,snapshot=on "
            f"-device virtio-serial -chardev socket,id=commands,fd={theirs.fileno()} -device virtserialport,chardev=commands"
        ).split()
        options += ["-virtfs", f"local,path={share},mount_tag=share,security_model=none"]
        kernel = "console=ttyAMA0 oops=panic panic=-1 quiet mitigations=off nokaslr"  # a third faster
        if ssh_port:
            kernel += " FIRST=/usr/lib/systemd/systemd systemd.show_status=false"
            lan = f"user,id=lan,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"
            options += ["-netdev", lan, "-device", "virtio-net,netdev=lan"]
        options += ["-append", kernel]
        with self.console.open("w") as console:
            self.machine = subprocess.Popen(
                ["qemu-system-aarch64", *options],
                cwd=BUILT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        theirs.close()
        ours.settimeout(600)
        self.commands = ours.makefile("rw", encoding="utf-8")

    def run(self, *command: str, seconds: int = 300) -> subprocess.CompletedProcess[str]:
        """A command's exit status, stdout and stderr. After so many seconds it is ended, with the status 124."""
        try:
            self.commands.write(json.dumps(["timeout", str(seconds), *command]) + "\n")
            self.commands.flush()
            status, stdout, stderr = json.loads(self.commands.readline())
        except (OSError, ValueError) as error:
            raise RuntimeError(f"the machine has stopped:\n{self.console.read_text()}") from error
        return subprocess.CompletedProcess(command, status, stdout, stderr)

    def start(self, command: str) -> str:
        """A shell's command that goes on. Returns its process's number."""
        return self.run("sh", "-c", f"({command}) & echo $!").stdout.strip()

    def end(self, process: str) -> None:
        """With SIGTERM, and waits for it."""
        self.run("busybox", "kill", process)
        wait_for(lambda: self.run("test", "-e", f"/proc/{process}/exe").returncode == 1)

    def stop(self) -> None:
        self.commands.close()
        self.machine.kill()
        self.machine.wait()


class Webcam:
    """What is before the camera at /dev/video0: vivid shows there what comes to /dev/video1. YU12 it hands on unchanged."""

    def __init__(self, pi: Pi, dataset: Dataset) -> None:
        self.pi, self.dataset = pi, dataset
        pi.run("v4l2-ctl", "-d", "/dev/video1", "--set-dv-bt-timings", "index=4")
        self.forget_sizes()
        pi.run("v4l2-ctl", "-d", "/dev/video0", "--set-ctrl", "hdmi_000_0_is_connected_to=2,osd_text_mode=2")
        self.show(0)
        self.plug_in()

    def forget_sizes(self) -> None:
        """And 25 frames a second. Asked for a small picture, vivid fills a corner of larger ones until its timings change."""
        for index in (3, 4):
            self.pi.run("v4l2-ctl", "-d", "/dev/video0", "--set-dv-bt-timings", f"index={index}")

    def plug_in(self) -> None:
        self.pi.start(
            "exec v4l2-ctl -d /dev/video1 --set-fmt-video-out=width=640,height=480,pixelformat=YU12,field=none "
            "--stream-out-mmap --stream-loop --stream-from=/tmp/shown >/dev/null 2>&1"
        )

    def show(self, class_id: int) -> None:
        """Two frames, with a camera's noise, are shown in turns."""
        bright = np.asarray(scene(self.dataset, class_id).convert("L").resize((640, 480)), np.float32)
        noisy = bright + 2 * np.random.default_rng(0).standard_normal((2, *bright.shape))
        frames = np.full((2, 720, 640), 128, np.uint8)
        frames[:, :480] = (16 + 219 / 255 * noisy).clip(16, 235)
        (self.pi.share / "picture").write_bytes(frames.tobytes())
        self.pi.run("dd", "if=picture", "of=/tmp/shown", "bs=1M", "conv=notrunc")


def wait_for(condition: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the machine sees as /share."""
    folder = tmp_path_factory.mktemp("share")
    shutil.copy(ROOT / "docs" / "shoe.png", folder)
    return folder


@pytest.fixture(scope="session")
def pi(share: Path) -> Iterator[Pi]:
    machine = Pi(share)
    yield machine
    machine.stop()


@pytest.fixture(scope="session")
def webcam(pi: Pi, dataset: Dataset) -> Webcam:
    return Webcam(pi, dataset)
