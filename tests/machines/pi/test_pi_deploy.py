"""From this workstation into the emulated Pi with deploy/: over ssh, with systemd there, to a service with a V4L2 camera."""

import json
import re
import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from machine import BUILT, Pi

from support.bundles import INT8, another_bundle
from support.commands import MODELS, run


class Workstation:
    """It knows the Pi as raspberrypi.local, and reaches it at a port of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
        host_key = (BUILT / "root" / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text()
        (folder / "known_hosts").write_text(f"raspberrypi.local {host_key}")
        ssh = f"-o HostName=127.0.0.1 -o Port={port} -o HostKeyAlias=raspberrypi.local"
        ssh += f" -o UserKnownHostsFile={folder}/known_hosts -o ControlPath={folder}/%C"
        self.environment = {"ANSIBLE_PRIVATE_KEY_FILE": f"{folder}/key", "ANSIBLE_SSH_COMMON_ARGS": ssh}
        self.pi = Pi(folder, ssh_port=port)
        self.pi.run("install", "-D", "-o", "pi", "-m", "600", "key.pub", "/home/pi/.ssh/authorized_keys")
        self.pi.run("chown", "pi:", "/home/pi")
        # its second input is a webcam, which delivers as few frames as it is asked for
        self.pi.run("v4l2-ctl", "-d", "/dev/video0", "--set-input", "1")

    def make(self, *arguments: str) -> str:
        """What `make` says, which has to be done without a fault."""
        began = time.monotonic()
        result = run("make", *arguments, "HOST=pi@raspberrypi.local", environment=self.environment, timeout=1800)
        print(f"make {arguments[0]}: {time.monotonic() - began:.0f} s")
        assert result.returncode == 0, f"{result.stdout}{result.stderr}{self.journal()}"
        return result.stdout

    def journal(self) -> str:
        return self.pi.run("journalctl", "-u", "fmnist-edge-camera", "-o", "cat", "-n", "20").stdout

    def release(self) -> str:
        return self.pi.run("readlink", "/opt/fmnist-edge/current").stdout

    def status(self) -> dict[str, object]:
        current = "/opt/fmnist-edge/current"
        result = self.pi.run(f"{current}/venv/bin/fmnist-edge", "status", "--json", "--model", f"{current}/models/{INT8}")
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def workstation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """After a first roll-out."""
    workstation = Workstation(tmp_path_factory.mktemp("workstation"))
    try:
        options = {"fmnist_edge_options": ["--size", "320x180", "--fps", "2"]}
        workstation.make("deploy", "SOURCE=/dev/video0", f"ARGS=-e '{json.dumps(options)}'")
        yield workstation
    finally:
        workstation.pi.stop()


def test_a_first_roll_out_serves_the_camera_as_nobody_in_particular(workstation: Workstation) -> None:
    user = workstation.pi.run("sh", "-c", "stat -c %u /proc/$(systemctl show -P MainPID fmnist-edge-camera)").stdout
    status = workstation.status()

    print(status)
    assert "/dev/video0 (vivid), 320x180" in workstation.journal()
    assert 61184 <= int(user) <= 65519  # systemd.exec(5), DynamicUser=
    assert status["verified"]
    assert status["label"]
    assert status["problem"] is None


def test_another_model_is_rolled_out_and_rolled_back(workstation: Workstation, tmp_path: Path) -> None:
    before, models = workstation.release(), another_bundle(tmp_path / "another")

    workstation.make("deploy-model", f"MODELS={models}")
    table = workstation.make("fleet-status")

    assert workstation.release() != before
    assert re.search(rf"raspberrypi.local +0\.1\.0 +{fingerprint(models)} +True", table), table

    workstation.make("rollback")

    assert workstation.release() == before
    assert workstation.status()["sha256"].startswith(fingerprint(MODELS))


def fingerprint(models: Path) -> str:
    """As the table shows it."""
    return sha256((models / INT8).read_bytes()).hexdigest()[:10]
