"""The release switcher, command by command: which release serves afterwards, and whose models are accepted.

The script runs as it is, but for its folders. systemd and the releases are stand-ins: a release is a folder whose ``fate`` says
what becomes of its service, and whose command writes down what it is asked. ``make fleet-test`` has the real ones.
"""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from support.commands import ROOT

SCRIPT = ROOT / "deploy" / "roles" / "fmnist_edge" / "files" / "fmnist-edge-release"

# fate: serves, or fails (its start fails), or dies (soon after it was ready)
SYSTEMCTL = """
echo "systemctl $*" >> log
fate=$(cat current/fate)
case "$1 $fate" in
    "restart fails") rm -f alive; exit 1 ;;
    restart*) touch alive; if [ -e slow ]; then sh slow; fi; echo "started $(readlink current)" >> log ;;
    stop*) rm -f alive ;;
    is-active*) [ -e alive ] ;;
esac
"""
# the seconds in which a release that dies does so
SLEEP = 'echo "sleep $1" >> log; case $(cat current/fate) in dies) rm -f alive ;; esac'
# what reaches the card with it: else a power cut could leave a name without its content
SEEN = "trial.new trial releases/.new venvs/*/lib venvs/*/complete"
SYNC = f'echo "synced $(readlink current) $(ls -d {SEEN} 2>/dev/null | xargs)" >> log'
COMMAND = """#!/bin/sh
echo "fmnist-edge $*" >> log
[ "$2" = --accept ] || [ ! -e "${3%/models/*}/refused" ] || exit 3
"""


class Device:
    """/opt/fmnist-edge and /etc/fmnist-edge in a folder."""

    def __init__(self, folder: Path) -> None:
        self.root, self.config, self.programs = folder / "opt", folder / "etc", folder / "programs"
        for path in (self.root, self.config, self.programs):
            path.mkdir()
        (self.config / "allowed_signers").touch()
        programs = {"systemctl": SYSTEMCTL, "sleep": SLEEP, "journalctl": "echo 'it said why'", "sync": SYNC}
        for name, text in programs.items():
            self._program(self.programs / name, f"#!/bin/sh\n{text}\n")
        text = SCRIPT.read_text().replace("/opt/fmnist-edge", str(self.root)).replace("/etc/fmnist-edge", str(self.config))
        self._program(self.programs / "fmnist-edge-release", text)

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def put(self, name: str, fate: str = "serves", service: bool = True) -> Path:
        """A release as ``install`` leaves it."""
        release, venv = self.root / "releases" / name, self.root / "venvs" / f"venv-{name}"
        (release / "service").mkdir(parents=True)
        (venv / "bin").mkdir(parents=True)
        (venv / "complete").touch()
        self._program(venv / "bin" / "fmnist-edge", COMMAND)
        (release / "venv").symlink_to(f"../../venvs/venv-{name}")
        (release / "fate").write_text(fate)
        if service:
            (release / "service" / "fmnist-edge-camera.service").touch()
        return release

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"}
        command = [str(self.programs / "fmnist-edge-release"), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and the last line on stderr."""
        with self.start(*arguments) as process:
            _, errors = process.communicate()
        return process.returncode, (errors.splitlines() or [""])[-1]

    def serving(self) -> str | None:
        current = self.root / "current"
        return os.readlink(current).removeprefix("releases/") if current.is_symlink() else None

    def log(self, start: str) -> list[str]:
        """What began so since the last look at it."""
        log = self.root / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return [line.removeprefix(start) for line in lines if line.startswith(start)]

    def accepted(self) -> list[str]:
        """The releases whose models were accepted since the last look at it."""
        paths = self.log("fmnist-edge verify --accept --model releases/")
        assert all(path.endswith("/models/fmnist-int8.tflite") for path in paths)
        return [path.partition("/")[0] for path in paths]

    def left(self, folder: str) -> set[str]:
        return {path.name for path in (self.root / folder).iterdir()}


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


@pytest.fixture
def serving(device: Device) -> Device:
    """One with release a serving."""
    device.put("a")
    assert device.run("switch", "a") == (0, "")
    device.log("")
    return device


def test_a_release_that_serves_replaces_the_one_before(serving: Device) -> None:
    serving.put("b")

    assert serving.run("switch", "b") == (0, "")

    assert serving.serving() == "b"
    assert serving.log("started ") == ["releases/b"]
    assert (serving.root / "releases" / "b" / "before").read_text() == "a\n"
    assert not (serving.root / "trial").exists()


def test_a_trial_is_on_the_card_before_it_begins_and_so_is_the_release_before_it_is_started(serving: Device) -> None:
    serving.put("b")

    serving.run("switch", "b")

    complete = "venvs/venv-a/complete venvs/venv-b/complete"
    assert serving.log("synced ") == [f"releases/a trial.new {complete}", f"releases/b trial {complete}"]


def test_a_release_that_fails_is_explained_by_its_journal(serving: Device) -> None:
    serving.put("b", "fails")

    with serving.start("switch", "b") as process:
        _, errors = process.communicate()

    assert errors.splitlines() == ["it said why", "b does not come up; a serves again"]


def test_the_model_is_verified_before_anything_is_switched(serving: Device) -> None:
    (serving.put("b") / "refused").touch()

    assert serving.run("switch", "b") == (1, "b is refused; a serves")

    assert serving.serving() == "a"
    assert serving.log("") == ["fmnist-edge verify --model releases/b/models/fmnist-int8.tflite"]


def test_on_a_new_device_a_refused_release_leaves_nothing_serving(device: Device) -> None:
    (device.put("a") / "refused").touch()

    assert device.run("switch", "a") == (1, "a is refused; nothing serves")
    assert device.serving() is None


@pytest.mark.parametrize("fate", ["fails", "dies"])
def test_a_release_that_does_not_stay_up_is_taken_back(fate: str, serving: Device) -> None:
    serving.put("b", fate)

    assert serving.run("switch", "b") == (1, "b does not come up; a serves again")

    assert serving.serving() == "a"
    assert (serving.root / "alive").exists()
    assert not (serving.root / "trial").exists()


def test_a_release_is_watched_for_three_seconds_after_it_is_ready(serving: Device) -> None:
    serving.put("b")

    serving.run("switch", "b")

    steps = [line for line in serving.log("") if line.startswith(("started", "sleep", "systemctl is-active"))]
    assert steps == ["started releases/b", "sleep 3", "systemctl is-active --quiet fmnist-edge-camera"]


@pytest.mark.parametrize("fate", ["fails", "dies"])
def test_on_a_new_device_a_release_that_does_not_stay_up_is_switched_off(fate: str, device: Device) -> None:
    device.put("a", fate)

    assert device.run("switch", "a") == (1, "a does not come up; nothing serves")

    assert device.serving() is None
    assert device.log("systemctl ")[-1] == "stop fmnist-edge-camera"
    assert not (device.root / "trial").exists()


def test_if_the_old_release_does_not_come_up_again_either_the_trial_is_still_to_be_settled(serving: Device) -> None:
    (serving.root / "releases" / "a" / "fate").write_text("fails")
    serving.put("b", "fails")

    assert serving.run("switch", "b") == (1, "b does not come up, nor does a again")
    assert (serving.root / "trial").read_text() == "a\n"


def test_a_release_without_a_camera_stops_the_service(serving: Device) -> None:
    serving.put("b", service=False)

    assert serving.run("switch", "b") == (0, "")

    assert serving.log("systemctl ") == ["daemon-reload", "stop fmnist-edge-camera"]
    assert not (serving.root / "alive").exists()


def test_two_jobs_at_once_run_one_after_the_other(serving: Device) -> None:
    serving.put("b")
    # whoever is started first waits a second for the other to begin, which it must not
    waits = "n=0; while [ $n -lt 50 ] && ! grep -q releases/a log; do n=$((n + 1)); /bin/sleep 0.02; done; rm slow"
    (serving.root / "slow").write_text(waits)

    with serving.start("switch", "b") as first:
        while serving.serving() != "b":
            assert first.poll() is None
        second = serving.run("back")

    assert (first.returncode, second) == (0, (0, ""))
    assert [line for line in serving.log("") if line.startswith(("started", "fmnist-edge"))] == [
        "fmnist-edge verify --model releases/b/models/fmnist-int8.tflite",
        "started releases/b",
        "fmnist-edge verify --accept --model releases/a/models/fmnist-int8.tflite",
        "fmnist-edge verify --model releases/a/models/fmnist-int8.tflite",
        "started releases/a",
    ]


def test_after_a_switch_the_release_before_is_accepted_so_that_one_can_go_back_to_it_and_no_further(serving: Device) -> None:
    serving.put("b")

    serving.run("switch", "b")

    assert serving.accepted() == ["a"]


def test_the_first_release_accepts_nothing_yet(device: Device) -> None:
    device.put("a")

    device.run("switch", "a")

    assert device.accepted() == []


def test_going_back_accepts_nothing_else_the_release_it_goes_to_might_be_refused(serving: Device) -> None:
    serving.put("b")
    serving.run("switch", "b")
    serving.log("")

    assert serving.run("back") == (0, "")

    assert serving.serving() == "a"
    assert serving.accepted() == []


@pytest.mark.parametrize("fate", ["fails", "dies"])
def test_a_release_that_is_taken_back_accepts_nothing(fate: str, serving: Device) -> None:
    serving.put("b", fate)

    serving.run("switch", "b")

    assert serving.accepted() == []


def test_without_a_key_nothing_is_accepted(serving: Device) -> None:
    (serving.config / "allowed_signers").unlink()
    serving.put("b")

    assert serving.run("switch", "b") == (0, "")
    assert serving.accepted() == []


def test_without_a_release_before_there_is_no_way_back(serving: Device) -> None:
    assert serving.run("back") == (1, "there is no release before a")
    assert serving.serving() == "a"


def test_a_trial_that_a_power_cut_broke_off_is_settled(serving: Device) -> None:
    serving.put("b")
    (serving.root / "current").unlink()
    (serving.root / "current").symlink_to("releases/b")
    (serving.root / "trial").write_text("a\n")

    assert serving.run("settle") == (0, "")

    assert serving.serving() == "b"
    assert not (serving.root / "trial").exists()
    assert serving.accepted() == ["a"]


def test_a_broken_off_trial_of_a_release_that_does_not_stay_up_ends_with_the_one_before(serving: Device) -> None:
    serving.put("b", "dies")
    (serving.root / "current").unlink()
    (serving.root / "current").symlink_to("releases/b")
    (serving.root / "trial").write_text("a\n")

    assert serving.run("settle") == (1, "b does not come up; a serves again")

    assert serving.serving() == "a"
    assert serving.accepted() == []


def test_where_no_trial_was_broken_off_settling_touches_nothing(serving: Device) -> None:
    assert serving.run("settle") == (0, "")
    assert serving.log("") == []


def test_the_release_that_serves_and_two_before_it_are_kept_with_what_they_need(serving: Device) -> None:
    for name in "bcde":
        serving.put(name)
        serving.run("switch", name)

    assert serving.left("releases") == {"c", "d", "e"}
    assert serving.left("venvs") == {"venv-c", "venv-d", "venv-e"}


def test_a_release_that_failed_is_not_kept(serving: Device) -> None:
    serving.put("b", "fails")

    serving.run("switch", "b")

    assert serving.left("releases") == {"a"}


def test_switching_to_what_serves_already_keeps_the_way_back(serving: Device) -> None:
    serving.put("b")
    serving.run("switch", "b")

    assert serving.run("switch", "b") == (0, "")
    assert (serving.root / "releases" / "b" / "before").read_text() == "a\n"


def test_check_says_whether_the_service_is_up(serving: Device) -> None:
    assert serving.run("check") == (0, "")
    (serving.root / "alive").unlink()

    complaint = "the service is not up; 'journalctl --unit fmnist-edge-camera' says why"
    assert serving.run("check") == (1, complaint)


# its ``-m venv --without-pip FOLDER`` and ``-m compileall``
PYTHON = """
echo "python $*" >> log
[ ! -e broken ] || exit 1
case "$2" in venv) mkdir -p "$4/bin" "$4/lib/python3.13/site-packages"; cp "$0" "$4/bin/python" ;; esac
"""


@pytest.fixture
def receiving(serving: Device) -> Device:
    """One with release a serving, to which release b was sent, and a Python."""
    incoming = serving.root / "incoming"
    incoming.mkdir()
    serving._program(serving.programs / "python3", f"#!/bin/sh\n{PYTHON}\n")
    for name, mode, member, text in (
        ("venv-v.tar.gz", "w:gz", "fmnist_edge/cli.py", "the packages"),
        ("release-b.tar", "w", "models/fmnist-int8.tflite", "the model"),
    ):
        with tarfile.open(incoming / name, mode) as archive:
            entry = tarfile.TarInfo(member)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return serving


def install(device: Device) -> tuple[int, str]:
    return device.run("install", "b", "v", str(device.programs / "python3"))


def test_what_was_sent_becomes_a_release_beside_the_one_that_serves(receiving: Device) -> None:
    assert install(receiving) == (0, "")

    release = receiving.root / "releases" / "b"
    assert (release / "models" / "fmnist-int8.tflite").read_text() == "the model"
    assert (release / "venv" / "lib" / "python3.13" / "site-packages" / "fmnist_edge" / "cli.py").read_text() == "the packages"
    command = release / "venv" / "bin" / "fmnist-edge"
    assert command.read_text().splitlines()[0] == f"#!{receiving.root}/venvs/v/bin/python"
    assert os.access(command, os.X_OK)
    assert receiving.serving() == "a"
    assert not (receiving.root / "incoming").exists()


def test_packages_and_release_are_on_the_card_before_they_count_as_whole(receiving: Device) -> None:
    install(receiving)

    first, second = receiving.log("synced releases/a ")
    assert first == "venvs/v/lib venvs/venv-a/complete"
    assert second.startswith("releases/.new ")


def test_packages_that_are_there_are_not_unpacked_again(receiving: Device) -> None:
    (receiving.root / "venvs" / "v").mkdir()
    (receiving.root / "venvs" / "v" / "complete").touch()

    assert install(receiving) == (0, "")
    assert receiving.log("python ") == []


def test_packages_that_a_power_cut_left_are_unpacked_anew(receiving: Device) -> None:
    (receiving.root / "venvs" / "v" / "lib").mkdir(parents=True)
    (receiving.root / "venvs" / "v" / "lib" / "half").touch()

    assert install(receiving) == (0, "")
    assert not (receiving.root / "venvs" / "v" / "lib" / "half").exists()
    assert (receiving.root / "venvs" / "v" / "complete").exists()


def test_an_install_that_fails_leaves_nothing_and_what_serves_goes_on(receiving: Device) -> None:
    (receiving.root / "broken").touch()

    assert install(receiving)[0] != 0

    assert receiving.left("venvs") == {"venv-a"}
    assert receiving.left("releases") == {"a"}
    assert not (receiving.root / "incoming").exists()
    assert receiving.serving() == "a"


def test_a_release_that_breaks_off_leaves_its_packages_and_no_half_of_it(receiving: Device) -> None:
    (receiving.root / "incoming" / "release-b.tar").write_bytes(b"half of it")

    assert install(receiving)[0] != 0

    assert receiving.left("venvs") == {"v", "venv-a"}
    assert receiving.left("releases") == {"a"}
