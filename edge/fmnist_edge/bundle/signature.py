"""Who made this model? If keys are configured, only bundles whose manifest.json is signed by one of them run.

The configuration is a folder, /etc/fmnist-edge or $FMNIST_EDGE_CONFIG. Its file ``allowed_signers`` has a line for each key,
"fmnist-edge ssh-ed25519 AAAA...", as ssh-keygen(1) describes under ALLOWED SIGNERS. ``accepted`` holds the counter of the
manifest that was accepted last: one signed before it is refused, so that no old model comes back. It is written by
``fmnist-edge verify --accept`` alone, and counts for all bundles; whoever else runs a model need not be able to write.

ssh-keygen checks the signature: every Raspberry Pi OS has it, and the Python package cryptography 50 takes 15 MB (aarch64).
"""

import os
import subprocess
from pathlib import Path

from fmnist_edge.bundle.untrusted import MAX_MANIFEST_BYTES, configured_keys, parse, read
from fmnist_edge.errors import SignatureError, UsageError
from fmnist_edge.files import replacing

NAME = "fmnist-edge"
"""The signer's name and ssh-keygen's namespace: signatures that the key made for other purposes do not count here."""

TIME_LIMIT = 60
"""Seconds for ssh-keygen, which takes some ms."""

AGAIN = "sign it with 'make sign' and copy all of it again"


def check(manifest: Path, text: bytes, keys: Path) -> int:
    """The counter of a manifest. text: its content.

    Raises SignatureError if no key signed it, if it is older than the one accepted last, or if that can't be known.
    """
    signature = manifest.with_name(f"{manifest.name}.sig")
    if not os.path.isfile(signature):
        raise SignatureError(f"the manifest.json beside it is not signed, and {keys} asks for that; {AGAIN}")
    try:
        if not any(line.startswith(f"{NAME} ".encode()) for line in keys.read_bytes().splitlines()):
            raise SignatureError(f"{keys} has no key: none of its lines begins with '{NAME} '")
    except OSError as error:
        raise SignatureError(f"{keys} can't be read ({error.strerror})") from None
    command = ["ssh-keygen", "-Y", "verify", "-f", str(keys), "-I", NAME, "-n", NAME, "-s", str(signature)]
    try:
        done = subprocess.run(command, input=text, capture_output=True, timeout=TIME_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        raise SignatureError("ssh-keygen, which checks signatures, does not work; sudo apt install openssh-client") from None
    if done.returncode != 0:
        reason = (done.stderr.decode(errors="replace").strip() or "signed by another key").splitlines()[-1]
        # of a systemd unit with DynamicUser=, which only that package lets it look up
        cure = "sudo apt install libnss-systemd" if reason.startswith("No user exists for uid") else AGAIN
        raise SignatureError(f"the manifest.json beside it is not signed as {keys} asks for ({reason}); {cure}")
    counter = parse(text.decode()).get("counter")
    if type(counter) is not int:
        raise SignatureError(f"the manifest.json beside it has no counter; {AGAIN}")
    if counter < (newest := accepted(keys)):
        raise SignatureError(f"it was signed before the one accepted last ({counter}, {newest}); to go back to it, {AGAIN}")
    return counter


def accepted(keys: Path) -> int:
    """The counter of the manifest accepted last; 0 if there is none. Raises SignatureError if it can't be read."""
    path = keys.with_name("accepted")
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "damaged"
        raise SignatureError(f"{path} can't be read ({reason}); remove it, and run 'fmnist-edge verify --accept'") from None


def accept_counter(model: Path) -> None:
    """From now on, models signed before the manifest beside this model are refused. Does nothing if no key is configured.

    Raises SignatureError as ``check`` does, UsageError if the counter can't be stored.
    """
    keys, manifest = configured_keys(), model.with_name("manifest.json")
    if keys is None:
        return
    counter = check(manifest, read(manifest, MAX_MANIFEST_BYTES), keys)
    if counter == accepted(keys):
        return
    path = keys.with_name("accepted")
    try:
        with replacing(path) as part, open(part, "w") as file:
            file.write(f"{counter}\n")
            file.flush()
            os.fsync(file.fileno())  # an empty file after a power cut would make the device refuse all models
            os.fchmod(file.fileno(), 0o644)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}); try with sudo") from None
