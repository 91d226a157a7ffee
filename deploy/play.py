"""python deploy/play.py PLAYBOOK: runs one of the playbooks here for HOST or INVENTORY, with ARGS, MODELS, KEY and SOURCE.

These are environment variables, so their values arrive as typed: neither make, a shell nor Ansible's templates expand them.
"""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from fmnist_edge.errors import UsageError, reported

ROOT = Path(__file__).parents[1]
ANSIBLE = ROOT / "build" / "ansible" / "bin" / "ansible-playbook"
KEY = "~/.ssh/fmnist-edge"


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    with reported("make"):
        playbook, *more = sys.argv[1:]
        command = [str(ANSIBLE), *devices(os.environ), *arguments(os.environ), *more, str(ROOT / "deploy" / playbook)]
        variables = {"ANSIBLE_CONFIG": str(ROOT / "deploy" / "ansible.cfg")}
        if models := os.environ.get("MODELS"):
            variables["MODELS"] = os.path.expanduser(models)
        if playbook == "trust.yml":
            variables["FMNIST_EDGE_SIGNERS"] = signers(os.environ.get("KEY") or KEY)
        os.execve(command[0], command, {**os.environ, **variables})


def devices(environment: Mapping[str, str]) -> list[str]:
    """ansible-playbook's options for one device or for several. Raises UsageError if none is named."""
    host, inventory = environment.get("HOST"), environment.get("INVENTORY")
    if host and "," in host:
        raise UsageError("HOST is one device; for several: INVENTORY=file as in deploy/inventory.example.yml")
    if host:
        user, at, name = host.rpartition("@")
        return ["-i", f"{name},", *(["-u", user] if at else [])]  # sftp takes no user@ from Ansible
    if inventory:
        return ["-i", os.path.expanduser(inventory)]
    raise UsageError("which device? HOST=pi@raspberrypi.local, or INVENTORY=file as in deploy/inventory.example.yml")


def arguments(environment: Mapping[str, str]) -> list[str]:
    """The words of ARGS, quoted as for a shell; a "$" in them is one. Raises UsageError."""
    try:
        return shlex.split(environment.get("ARGS", ""))
    except ValueError as error:
        raise UsageError(f"ARGS: {str(error).lower()}") from None


def signers(keys: str) -> str:
    """The lines of allowed_signers. keys: a private key's path, or those of several between spaces. Raises UsageError."""
    lines = []
    whole = public(keys).is_file()
    for key in [keys] if whole else keys.split():
        try:
            lines.append(f"fmnist-edge {public(key).read_text().strip()}\n")
        except OSError:
            raise UsageError(f"{public(key)}: no such key; make one: ssh-keygen -t ed25519 -f {shlex.quote(key)}") from None
    return "".join(lines)


def public(key: str) -> Path:
    return Path(f"{os.path.expanduser(key)}.pub")


if __name__ == "__main__":
    main()
