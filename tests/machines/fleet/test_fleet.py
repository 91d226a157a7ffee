"""From a workstation to four "Pis" (pis.py) with deploy/: what is rolled out; whatever goes wrong, a verified version serves."""

import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pis import Network, Pi, must

from support.bundles import INT8, another_bundle
from support.commands import MODELS, ROOT
from support.docs import named

pytestmark = pytest.mark.slow

VARIABLES = {"ansible_user": "pi", "fmnist_edge_source": "test", "fmnist_edge_options": ["--size", "160x120", "--fps", "2"]}


class Fleet:
    """Four Pis on a network, and the workstation that deploys to them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.network = folder, Network(f"fleet{os.getpid()}")
        self.pis: list[Pi] = []

    def boot(self) -> None:
        folder = self.folder
        must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
        for number in (1, 2, 3, 4):
            self.pis.append(Pi(f"pi{number}", self.network, number, folder))
            self.pis[-1].boot()
        (folder / "known_hosts").write_text("".join(f"{pi.address} {pi.host_key}" for pi in self.pis))
        hosts = {pi.name: {"ansible_host": pi.address} for pi in self.pis}
        (folder / "inventory.json").write_text(json.dumps({"all": {"vars": VARIABLES, "hosts": hosts}}))
        must("make", "-C", ROOT, "wheel", "build/ansible/installed")
        self.pack()

    def pack(self) -> None:
        """In the Pis' network the workstation can download nothing: it does it before."""
        version = self.pis[0].shell("python3 -c 'import sys; print(\"3.%d\" % sys.version_info[1])'").stdout.strip()
        for camera in (["--", "--source", "test"], ["--", "page", "--source", "test"], []):
            must(sys.executable, ROOT / "deploy" / "pack.py", "--machine", platform.machine(), "--python", version, *camera)

    def make(self, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", target, f"INVENTORY={self.folder}/inventory.json", *arguments]
        return self.network.run(*command, environment=self.environment(), timeout=900)

    def environment(self) -> dict[str, str]:
        ssh = f"-o UserKnownHostsFile={self.folder}/known_hosts -o ControlPath={self.folder}/%C"
        return {"ANSIBLE_PRIVATE_KEY_FILE": f"{self.folder}/key", "ANSIBLE_SSH_COMMON_ARGS": ssh}

    def start(self, model: Path, **variables: str) -> "subprocess.Popen[str]":
        """Deploys to pi1 what was packed, in the background; without connections of before."""
        for connection in self.folder.glob("?" * 40):
            connection.unlink()
        playbook = [
            "build/ansible/bin/ansible-playbook",
            "deploy/site.yml",
            "--limit",
            "pi1",
            "-i",
            f"{self.folder}/inventory.json",
        ]
        variables["fmnist_edge_models"] = str(model)
        together = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]  # all of its processes end at once
        return subprocess.Popen(
            [*together, "nsenter", f"--net=/run/netns/{self.network.name}", *playbook, "-e", json.dumps(variables)],
            cwd=ROOT, env={**os.environ, **self.environment(), "ANSIBLE_CONFIG": "deploy/ansible.cfg"}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def releases(self) -> list[str]:
        return [pi.release() for pi in self.pis]

    def assert_all_serve(self) -> None:
        for pi in self.pis:
            assert pi.serves(), pi.shell("journalctl -u fmnist-edge-camera -n 20").stdout
            assert pi.verifies()

    def model(self, name: str, poisoned: bool = False) -> Path:
        return another_bundle(self.folder / name, poisoned)

    def remove(self) -> None:
        for pi in self.pis:
            pi.remove()
        self.network.remove()


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """After a first roll-out."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.boot()
        result = fleet.make("deploy")
        assert result.returncode == 0, result.stdout + result.stderr
        yield fleet
    finally:
        fleet.remove()


def recap(result: subprocess.CompletedProcess[str], count: str) -> list[int]:
    """Of each Pi in turn: how many tasks were ``count``: changed, failed, unreachable."""
    return [int(number) for number in re.findall(rf"^\S+ +: .* {count}=(\d+)", result.stdout, re.MULTILINE)]


def test_a_first_roll_out_serves_everywhere(fleet: Fleet) -> None:
    assert len(set(fleet.releases())) == 1
    fleet.assert_all_serve()


def test_a_second_time_nothing_changes(fleet: Fleet) -> None:
    result = fleet.make("deploy")

    assert result.returncode == 0, result.stdout
    assert recap(result, "changed") == [0, 0, 0, 0]


def test_a_check_tells_what_would_change_and_changes_nothing(fleet: Fleet) -> None:
    before = fleet.releases()

    result = fleet.make("deploy-model", f"MODELS={fleet.model('checked')}", "ARGS=--check")

    assert result.returncode == 0, result.stdout
    assert min(recap(result, "changed")) > 0
    assert fleet.releases() == before


def test_another_model_is_rolled_out_and_rolled_back(fleet: Fleet) -> None:
    before = fleet.releases()

    assert fleet.make("deploy-model", f"MODELS={fleet.model('another')}").returncode == 0
    assert not set(fleet.releases()) & set(before)
    fleet.assert_all_serve()

    assert fleet.make("rollback").returncode == 0
    assert fleet.releases() == before
    fleet.assert_all_serve()


def test_a_model_that_does_not_verify_stops_at_the_first_device_and_changes_none(fleet: Fleet) -> None:
    before = fleet.releases()

    result = fleet.make("deploy-model", f"MODELS={fleet.model('poisoned', poisoned=True)}")

    assert result.returncode != 0
    assert "not what the workstation computed" in result.stdout
    assert f"is refused; {before[0]} serves" in result.stdout
    assert "pi2" not in result.stdout
    assert fleet.releases() == before
    fleet.assert_all_serve()


def test_a_service_that_does_not_come_up_is_put_back(fleet: Fleet) -> None:
    before = fleet.releases()

    result = fleet.make("deploy", "ARGS=-e fmnist_edge_source=/nowhere.mp4")

    assert result.returncode != 0
    assert "/nowhere.mp4" in result.stdout
    assert f"does not come up; {before[0]} serves again" in result.stdout
    assert fleet.releases() == before
    fleet.assert_all_serve()


def test_a_power_cut_in_the_trial_of_a_service_that_does_not_come_up_ends_with_the_old_one(fleet: Fleet) -> None:
    pi = fleet.pis[0]
    before = pi.release()

    process = fleet.start(MODELS, fmnist_edge_source="/nowhere.mp4")
    pi.wait_for("the trial", lambda: pi.release() != before)
    pi.cut_power()
    pi.boot()

    assert "could not find job" in process.communicate(timeout=120)[0]
    pi.wait_for("the end of the trial", lambda: not (pi.root / "opt" / "fmnist-edge" / "trial").exists())
    assert pi.release() == before
    assert pi.serves()
    assert pi.verifies()


def test_without_a_camera_there_is_the_command_and_no_service(fleet: Fleet) -> None:
    pi = fleet.pis[3]

    assert fleet.make("deploy", "ARGS=--limit pi4 -e fmnist_edge_source=none").returncode == 0
    assert pi.verifies()
    assert not pi.serves()

    assert fleet.make("rollback", "ARGS=--limit pi4").returncode == 0
    assert pi.serves()


def test_the_page_takes_the_place_of_the_bare_camera_and_its_photos_are_fetched(fleet: Fleet) -> None:
    pi, token = fleet.pis[3], "a-token-from-the-vault"
    page = f"http://{pi.address}:8642"
    bearer = ["-H", f"Authorization: Bearer {token}"]

    deployed = fleet.make("deploy", f"ARGS=--limit pi4 -e fmnist_edge_page=true -e fmnist_edge_page_token={token}")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert pi.serves()
    assert token not in deployed.stdout
    assert pi.shell("stat -c %a /etc/fmnist-edge/page-token").stdout.strip() == "600"

    stranger = fleet.network.run("curl", "-s", f"{page}/api/teach")
    assert "it asks for the token" in stranger.stdout
    answer = fleet.network.run("curl", "-s", *bearer, "--data-binary", "@docs/shoe.png", f"{page}/api/classify")
    assert json.loads(answer.stdout)["label"] == "Sneaker", answer.stdout
    kept = fleet.network.run("curl", "-s", *bearer, "--data-binary", "@docs/shoe.png", f"{page}/api/teach").stdout
    picture = f"{page}/api/teach/{json.loads(kept)['id']}"
    wrong = fleet.network.run("curl", "-s", *bearer, "-d", '{"class_id": 9}', picture).stdout
    assert fleet.make("fetch-photos", "ARGS=--limit pi4").returncode == 0
    fleet.network.run("curl", "-s", *bearer, "-d", wrong, f"{page}/api/teach/undo")
    fleet.network.run("curl", "-s", *bearer, "-d", '{"class_id": 7}', picture)

    fetched = fleet.make("fetch-photos", "ARGS=--limit pi4")
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    photos = ROOT / "build" / "photos" / "pi4"
    assert [path.parent.name for path in photos.rglob("kept-*")] == ["sneaker"]
    assert pi.shell("ls /run/fmnist-edge-photos.tar.gz || echo gone").stdout.strip() == "gone"
    assert f"{page}/" in fleet.make("fleet-status").stdout

    without = fleet.make("deploy", "ARGS=--limit pi4 -e fmnist_edge_page=true -e fmnist_edge_page_token=")
    assert without.returncode == 0, without.stdout + without.stderr
    assert pi.serves()
    assert "it asks for the token" in fleet.network.run("curl", "-s", *bearer, f"{page}/api/teach").stdout

    assert fleet.make("rollback", "ARGS=--limit pi4").returncode == 0
    assert pi.serves()


def test_a_device_that_is_away_is_left_out_and_gets_it_later(fleet: Fleet) -> None:
    before, model = fleet.releases(), f"MODELS={fleet.model('pi3-is-away')}"
    fleet.pis[2].unplug()
    result = fleet.make("deploy-model", model)
    fleet.pis[2].plug()

    assert result.returncode != 0
    assert recap(result, "unreachable") == [0, 0, 1, 0]
    assert [now == then for now, then in zip(fleet.releases(), before, strict=True)] == [False, False, True, False]
    fleet.assert_all_serve()

    assert fleet.make("deploy-model", model, "ARGS=--limit pi3").returncode == 0
    assert len(set(fleet.releases())) == 1


def test_a_full_disk_leaves_the_old_version(fleet: Fleet) -> None:
    before, pi = fleet.releases(), fleet.pis[3]
    pi.shell("cat /dev/zero > /opt/full")
    result = fleet.make("deploy-model", f"MODELS={fleet.model('too-much')}", "ARGS=--limit pi4")
    pi.shell("rm /opt/full")

    assert result.returncode != 0
    assert pi.release() == before[3]
    fleet.assert_all_serve()


def test_three_releases_are_kept(fleet: Fleet) -> None:
    for number in range(3):
        assert fleet.make("deploy-model", f"MODELS={fleet.model(f'number-{number}')}", "ARGS=--limit pi1").returncode == 0

    assert len(fleet.pis[0].shell("ls /opt/fmnist-edge/releases").stdout.split()) == 3
    assert fleet.pis[0].serves()


def test_the_table_shows_each_device(fleet: Fleet) -> None:
    fleet.pis[2].unplug()
    result = fleet.make("fleet-status")
    fleet.pis[2].plug()

    for pi in ("pi1", "pi2", "pi4"):
        assert re.search(rf"{pi} +0\.1\.0 +[0-9a-f]{{10}} +True", result.stdout), result.stdout
    assert re.search(r"pi3 .*(unreachable|timed out|No route)", result.stdout)


def test_a_device_with_a_key_takes_only_what_is_signed_and_nothing_older(fleet: Fleet) -> None:
    pi, key, limit = fleet.pis[1], fleet.folder / "signer", "ARGS=--limit pi2"
    must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    (pi.root / "etc" / "fmnist-edge").mkdir()
    (pi.root / "etc" / "fmnist-edge" / "allowed_signers").write_text(f"fmnist-edge {key.with_suffix('.pub').read_text()}")
    models = {counter: fleet.model(f"signed-{counter}") for counter in (1, 2, 3)}
    for counter, folder in models.items():
        must(sys.executable, "-m", "export.sign", "--models", folder, "--key", key, "--counter", str(counter))

    unsigned = fleet.make("deploy-model", f"MODELS={fleet.model('unsigned')}", limit)
    accepted = [fleet.make("deploy-model", f"MODELS={models[counter]}", limit) for counter in (2, 3)]
    replayed = fleet.make("deploy-model", f"MODELS={models[1]}", limit)
    back = fleet.make("rollback", limit)
    serves = pi.serves() and pi.verifies()
    shutil.rmtree(pi.root / "etc" / "fmnist-edge")

    assert unsigned.returncode != 0
    assert "is not signed" in unsigned.stdout
    assert [result.returncode for result in accepted] == [0, 0]
    assert replayed.returncode != 0
    assert "signed before the one accepted last" in replayed.stdout
    assert back.returncode == 0
    assert serves


def the_pages(fleet: Fleet, page: str, block: str, **environment: str) -> list[subprocess.CompletedProcess[str]]:
    """Its commands as they stand there, with pi4 for raspberrypi.local."""
    environment |= {**fleet.environment(), "SOURCE": "test"}
    address = fleet.pis[3].address
    environment["ANSIBLE_SSH_COMMON_ARGS"] += f" -o HostName={address} -o HostKeyAlias={address}"
    # no terminal: ssh-keygen would ask for a passphrase there
    options = {"environment": environment, "timeout": 900, "stdin": subprocess.DEVNULL, "start_new_session": True}
    return [fleet.network.run("sh", "-c", line, **options) for line in named(page, block).text.splitlines()]


def test_the_pages_commands_do_what_it_says(fleet: Fleet) -> None:
    pi = fleet.pis[3]
    before = pi.release()

    deployed, model, rollback, status = the_pages(fleet, "docs/deploy.md", "deploy")

    assert [deployed.returncode, model.returncode, rollback.returncode] == [0, 0, 0]
    assert (recap(deployed, "changed"), recap(model, "changed")) == ([3], [0])
    assert pi.release() == before
    assert re.search(r"raspberrypi.local +0\.1\.0 +[0-9a-f]{10} +True", status.stdout)


def test_the_pages_commands_let_a_device_trust_a_key(fleet: Fleet, tmp_path: Path) -> None:
    pi, models = fleet.pis[3], fleet.model("trusted")
    (tmp_path / ".ssh").mkdir()

    results = the_pages(fleet, "docs/signing.md", "trust", HOME=str(tmp_path), MODELS=str(models))
    unsigned = fleet.make("deploy-model", f"MODELS={fleet.model('not-trusted')}", "ARGS=--limit pi4")
    other = fleet.make("trust", "ARGS=--limit pi4", f"KEY={fleet.folder}/key")
    serves = pi.serves() and pi.verifies()
    shutil.rmtree(pi.root / "etc" / "fmnist-edge")

    assert [result.returncode for result in results] == [0, 0, 0], "".join(result.stdout + result.stderr for result in results)
    assert unsigned.returncode != 0
    assert "is not signed" in unsigned.stdout
    assert other.returncode != 0
    assert "is not signed as" in other.stdout
    assert serves


def test_cut_off_at_any_moment_the_old_or_the_new_version_serves(fleet: Fleet) -> None:
    """Thirty times: the cable, the power, or the workstation fails, while a model or, every second time, all is deployed."""
    pi, (wheel,) = fleet.pis[0], (ROOT / "dist").glob("fmnist_edge-*.whl")
    model, began = fleet.model("moment"), time.monotonic()
    assert fleet.start(model).wait() == 0
    seconds, kept = time.monotonic() - began, 0
    for moment in range(30):
        if moment % 2:
            with zipfile.ZipFile(wheel, "a") as archive:
                archive.comment = b"%d" % moment  # another wheel: its packages are another environment
            fleet.pack()
        before, model = pi.release(), fleet.model(f"moment-{moment}")
        process = fleet.start(model)
        time.sleep(random.uniform(0, seconds * (1 + moment % 2)))
        cut_off(pi, process, moment % 3)

        pi.wait_for("the service", pi.serves)
        assert pi.shell("flock --timeout 60 /opt/fmnist-edge/lock true").returncode == 0
        new = (pi.root / f"opt/fmnist-edge/releases/{pi.release()}/models/{INT8}").read_bytes() == (model / INT8).read_bytes()
        assert new or pi.release() == before
        assert pi.serves()
        assert pi.verifies()
        kept += not new
    print(f"the old version served {kept} times, the new one {30 - kept} times")
    assert fleet.start(fleet.model("after-all")).wait() == 0


def cut_off(pi: Pi, process: "subprocess.Popen[str]", how: int) -> None:
    if how == 0:
        pi.unplug()
        time.sleep(random.uniform(0, 30))
        pi.plug()
    elif how == 1:
        pi.cut_power()
        pi.boot()
    if how == 2:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=300)
