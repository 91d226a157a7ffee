"""Signs a bundle's manifest.json for devices that require a signature. Writes manifest.json.sig beside it.

The manifest gets a counter, the seconds since 1970: a device refuses what was signed before the bundle that it accepted last.
So no counter is given twice, or after a higher one, whatever the clock says: the last stands beside the key, in KEY.counter.
"""

import subprocess
import time
from pathlib import Path
from typing import Annotated

import typer

from export import replace_folder
from export.bundle import to_json
from export.check import check_listed, read_json
from export.errors import BundleError, ExportError
from fmnist_edge.bundle.signature import NAME
from fmnist_edge.cli.commands import run
from fmnist_edge.errors import reported
from fmnist_edge.files import replacing

SIGNATURE = "manifest.json.sig"


@reported("export")
def main(
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key; or its .pub, if ssh-agent has the key.")],
    models: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the bundle.", file_okay=False)] = Path("models"),
    counter: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Use this counter instead of the seconds since 1970.")
    ] = None,
) -> None:
    """Sign the bundle in a folder with an SSH key.

    \b
    Examples:
      python -m export.sign --key ~/.ssh/fmnist-edge
      python -m export.sign --key ~/.ssh/fmnist-edge --models build/quick
    """
    manifest = read_json(models / "manifest.json")
    try:
        check_listed(models, manifest)
    except (KeyError, TypeError, AttributeError):
        raise BundleError(f"{models / 'manifest.json'}: it is incomplete; export again") from None
    last = key.with_name(f"{key.name.removesuffix('.pub')}.counter")
    counter = counter or max(int(time.time()), read_counter(last) + 1, manifest.get("counter", 0) + 1)
    text = to_json(manifest | {"counter": counter}).encode()
    signature = sign(text, key)
    keep_counter(last, counter)
    replace_folder.write(models, {"manifest.json": text, SIGNATURE: signature})
    print(f"signed {models} with {key}, counter {counter}")


def read_counter(path: Path) -> int:
    """The highest counter that the key has signed; 0 if none. Raises ExportError if it can't be read."""
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "damaged"
        raise ExportError(
            f"{path} can't be read ({reason}); remove it, and say --counter if devices then refuse the model"
        ) from None


def keep_counter(path: Path, counter: int) -> None:
    """Raises ExportError if it can't be written."""
    try:
        with replacing(path) as part:
            part.write_text(f"{max(counter, read_counter(path))}\n")
    except OSError as error:
        raise ExportError(
            f"{path} can't be written ({error.strerror}); devices would refuse what is signed by a clock behind"
        ) from None


def sign(text: bytes, key: Path) -> bytes:
    """ssh-keygen asks for the key's passphrase itself. Raises ExportError if it can't sign."""
    if not key.exists():
        raise ExportError(f"{key}: no such key; make one: ssh-keygen -t ed25519 -f {key}")
    try:
        done = subprocess.run(["ssh-keygen", "-Y", "sign", "-f", key, "-n", NAME], input=text, capture_output=True)
    except OSError as error:
        raise ExportError(f"ssh-keygen can't be started ({error.strerror}); install OpenSSH's client") from None
    if done.returncode != 0:
        raise ExportError(f"{key} can't sign: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return done.stdout


if __name__ == "__main__":
    run(main, "export")
