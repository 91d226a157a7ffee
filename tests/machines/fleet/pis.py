"""Raspberry Pis for the tests of deploy/, as far as this machine can play them: Debian's systemd and OpenSSH server, each in
namespaces and a root folder of its own, on a network of their own. What they share with this machine is its kernel, its
processor and a read-only /usr. Needs root, and Debian's packages systemd, dbus, openssh-server, sudo, iproute2 and python3."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from support.commands import run

BOOT = Path(__file__).with_name("boot.sh")
FROM_HOST = "nsswitch.conf ld.so.cache pam.d security login.defs alternatives os-release debian_version passwd group"
FOLDERS = "usr proc sys dev run tmp var/lib var/log var/tmp opt home/pi/.ssh root etc/ssh etc/sudoers.d local/sbin"
ACCOUNTS = {"passwd": "pi:x:1000:1000::/home/pi:/bin/bash", "group": "pi:x:1000:"}


def must(*command: str | Path) -> str:
    result = run(*command)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


def cgroups() -> Path:
    """Where the kernel's second kind of cgroups is mounted."""
    return Path(must("findmnt", "--noheadings", "--output", "TARGET", "--types", "cgroup2").split()[0])


class Pi:
    """One device. Its files outlive a power cut; ``disk`` megabytes of them fit."""

    def __init__(self, name: str, network: "Network", number: int, folder: Path, disk: int = 1500) -> None:
        self.name, self.network, self.address = name, network, f"10.77.0.{number}"
        self.root, self.link = folder / name, f"{network.name}-{number}"
        self.cgroup = cgroups() / self.link
        self.host_key = ""
        self._make_root(disk, folder / "key.pub")
        must("ip", "netns", "add", self.link)
        must("ip", "-n", network.name, "link", "add", self.link, "type", "veth", "peer", "eth0", "netns", self.link)
        must("ip", "-n", network.name, "link", "set", self.link, "master", "lan", "up")
        must("ip", "-n", self.link, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            must("ip", "-n", self.link, "link", "set", device, "up")
        self.cgroup.mkdir()

    def _make_root(self, disk: int, key: Path) -> None:
        self.root.mkdir()
        must("mount", "-t", "tmpfs", "-o", f"size={disk}m,mode=755", "tmpfs", self.root)
        for folder in FOLDERS.split():
            (self.root / folder).mkdir(parents=True)
        for folder in ("bin", "sbin", "lib", "lib64"):
            (self.root / folder).symlink_to(f"usr/{folder}")
        etc = self.root / "etc"
        for name in FROM_HOST.split():
            must("cp", "-a", f"/etc/{name}", etc)
        for name, account in ACCOUNTS.items():
            others = [line for line in (etc / name).read_text().splitlines() if line.split(":")[2] != "1000"]
            (etc / name).write_text("\n".join([*others, account, ""]))
        names = [line.split(":")[0] for line in (etc / "passwd").read_text().splitlines()]
        (etc / "shadow").write_text("".join(f"{name}:*:19000:0:99999:7:::\n" for name in names))
        (etc / "sudoers").write_text("root ALL=(ALL) ALL\npi ALL=(ALL) NOPASSWD: ALL\n")
        (etc / "sudoers").chmod(0o440)
        (etc / "machine-id").touch()
        (etc / "hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        (etc / "ssh" / "sshd_config").write_text("UsePAM yes\nSubsystem sftp internal-sftp\n")
        must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", etc / "ssh" / "ssh_host_ed25519_key")
        self.host_key = (etc / "ssh" / "ssh_host_ed25519_key.pub").read_text()
        wanted = etc / "systemd" / "system" / "multi-user.target.wants"
        wanted.mkdir(parents=True)
        (wanted / "ssh.service").symlink_to("/lib/systemd/system/ssh.service")
        (etc / "systemd" / "system" / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
        shutil.copy(key, self.root / "home" / "pi" / ".ssh" / "authorized_keys")
        must("chown", "-R", "1000:1000", self.root / "home" / "pi")
        for folder in ("tmp", "var/tmp"):
            (self.root / folder).chmod(0o1777)

    def boot(self) -> None:
        enter = f"echo 0 > {self.cgroup}/cgroup.procs && exec nsenter --net=/run/netns/{self.link}"
        spaces = "unshare --mount --pid --uts --ipc --cgroup --fork"
        subprocess.Popen(
            ["sh", "-c", f"{enter} {spaces} {BOOT} {self.root} {self.name}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.wait_for("the ssh server", lambda: self.network.run("ssh-keyscan", "-T", "2", self.address).stdout != "")

    def wait_for(self, what: str, happened: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, f"{self.name}: {what} did not come"
            time.sleep(0.2)

    def cut_power(self) -> None:
        (self.cgroup / "cgroup.kill").write_text("1")
        self.wait_for("the end", lambda: "populated 0" in (self.cgroup / "cgroup.events").read_text())

    def unplug(self) -> None:
        must("ip", "-n", self.network.name, "link", "set", self.link, "down")

    def plug(self) -> None:
        must("ip", "-n", self.network.name, "link", "set", self.link, "up")

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """As root at the Pi's own console."""
        (systemd,) = (pid for pid in self._processes() if Path(f"/proc/{pid}/comm").read_text() == "systemd\n")
        return run("nsenter", "--target", systemd, "--all", "/bin/sh", "-c", command, cwd="/")

    def _processes(self) -> list[str]:
        return (self.cgroup / "init.scope" / "cgroup.procs").read_text().split()

    def release(self) -> str:
        """The name of the current release."""
        return (self.root / "opt" / "fmnist-edge" / "current").readlink().name

    def serves(self) -> bool:
        return self.shell("systemctl is-active --quiet fmnist-edge-camera").returncode == 0

    def verifies(self) -> bool:
        current = "/opt/fmnist-edge/current"
        return self.shell(f"{current}/venv/bin/fmnist-edge verify --model {current}/models/fmnist-int8.tflite").returncode == 0

    def remove(self) -> None:
        self.cut_power()
        for cgroup in sorted(self.cgroup.rglob("*/"), reverse=True):
            cgroup.rmdir()
        self.cgroup.rmdir()
        run("ip", "netns", "delete", self.link)
        must("umount", self.root)


class Network:
    """A switch, and the workstation's plug in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        must("ip", "netns", "add", name)
        must("ip", "-n", name, "link", "add", "lan", "type", "bridge")
        must("ip", "-n", name, "address", "add", "10.77.0.254/24", "dev", "lan")
        for device in ("lo", "lan"):
            must("ip", "-n", name, "link", "set", device, "up")

    def run(self, *command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """A command on the workstation, which reaches the Pis and nothing else."""
        return run("nsenter", f"--net=/run/netns/{self.name}", *command, **options)

    def remove(self) -> None:
        run("ip", "netns", "delete", self.name)
