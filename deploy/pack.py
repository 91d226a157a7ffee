"""python deploy/pack.py: packs a release for a device into two archives in build/deploy, named after their content.

venv-VERSION-HASH.tar.gz holds the packages for the device's processor and Python: our wheel and what it needs, in the versions
of requirements.txt. release-VERSION-HASH.tar holds the model and the service, and belongs to one venv. A venv is packed once:
for the next device of the same kind, nothing is downloaded.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from fmnist_edge.cli.commands import run
from fmnist_edge.errors import FmnistEdgeError, ModelError, reported

ROOT = Path(__file__).parents[1]
BUNDLE = ("fmnist-int8.tflite", "golden.npz", "manifest.json")
SIGNATURE = "manifest.json.sig"
UNIT = "fmnist-edge-camera.service"
OPTIONS, SOURCE = SECRET = ("service/options.json", "service/source.env")
"""Files that only root can read: the camera's address may contain a password, and all users can see command lines."""

UV = Path(sys.executable).with_name("uv")

DROP_IN = """\
[Service]
EnvironmentFile=/opt/fmnist-edge/current/service/source.env
ExecStart=
ExecStart=/opt/fmnist-edge/current/venv/bin/fmnist-edge {command} --systemd \\
  --model /opt/fmnist-edge/current/models/fmnist-int8.tflite {options}
"""

CAMERA = "camera --json --on-change --save-unsure %S/fmnist-edge/unsure"
PAGE = "page --save-unsure"
"""The page keeps its photos in %S/fmnist-edge/photos."""


class PackError(FmnistEdgeError):
    """The release can't be packed."""


@reported("pack")
def main(
    camera: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OPTION...]",
            help="The options of the camera's service, after --, or as JSON in $FMNIST_EDGE_CAMERA; those of the page after "
            "'page'. None: no service.",
        ),
    ] = None,
    models: Annotated[Path, typer.Option(metavar="DIR", help="The folder with the model, its golden set and manifest.")] = ROOT
    / "models",
    machine: Annotated[str, typer.Option(metavar="NAME", help="The device's processor: aarch64 or x86_64.")] = "aarch64",
    python: Annotated[str, typer.Option(help="The device's Python.", metavar="3.N")] = "3.13",
    keep: Annotated[
        str, typer.Option(help="Pack only the model, for this venv that the device has already.", metavar="VENV")
    ] = "",
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the archives.")] = ROOT / "build" / "deploy",
) -> None:
    """Pack a release for a device.

    Prints the names of the release and of its venv as one JSON object.

    \b
    Examples:
      python deploy/pack.py
      python deploy/pack.py --machine aarch64 --python 3.13 -- --source picamera
    """
    camera = camera or json.loads(os.environ.get("FMNIST_EDGE_CAMERA", "[]"))
    out.mkdir(parents=True, exist_ok=True)
    extra = "" if not camera else "[camera,page]" if camera[0] == "page" else "[camera]"
    venv = keep or pack_packages(extra, machine, python, out)
    print(json.dumps({"release": pack_release(venv, models, camera or [], out), "venv": venv}))


def pack_packages(extra: str, machine: str, python: str, out: Path) -> str:
    """Makes venv-VERSION-HASH.tar.gz, the content of site-packages. Returns VERSION-HASH."""
    wheels = list((ROOT / "dist").glob("fmnist_edge-*.whl"))
    if len(wheels) != 1:
        raise PackError(f"dist/ holds {len(wheels)} wheels of fmnist-edge, not one; run 'make wheel'")
    (wheel,), lock = wheels, ROOT / "requirements.txt"
    name = named(wheel.name.split("-")[1], wheel.read_bytes(), lock.read_bytes(), f"{extra} {machine} {python}".encode())
    archive, folder, part = (out / f"venv-{name}{suffix}" for suffix in (".tar.gz", "", ".part"))
    if archive.exists():
        return name
    shutil.rmtree(folder, ignore_errors=True)
    # 2.28 is the C library that ai-edge-litert asks for
    command = f"pip install --quiet --python-platform {machine}-manylinux_2_28 --python-version {python} --only-binary :all:"
    done = subprocess.run(
        [UV, *command.split(), "--constraint", lock, "--target", folder, f"{wheel}{extra}"], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise PackError(f"no packages for {machine} and Python {python}: {' '.join(done.stderr.split())[:500]}")
    shutil.rmtree(folder / "bin")  # they would start this machine's Python
    with tarfile.open(part, "w:gz", compresslevel=1) as packages:
        packages.add(folder, ".")
    part.replace(archive)
    shutil.rmtree(folder)
    return name


def pack_release(venv: str, models: Path, camera: list[str], out: Path) -> str:
    """Makes release-VERSION-HASH.tar; returns VERSION-HASH. The version is the packages'."""
    names = [*BUNDLE, SIGNATURE] if (models / SIGNATURE).exists() else BUNDLE
    try:
        contents = {f"models/{name}": (models / name).read_bytes() for name in names}
    except OSError as error:
        raise ModelError(f"{error.filename}: it can't be read ({error.strerror}); run 'make export'") from None
    if camera:
        contents[f"service/{UNIT}"] = (ROOT / "deploy" / UNIT).read_bytes()
        contents[OPTIONS] = json.dumps(camera).encode()  # 'make deploy-model' reads them
        command, options = (PAGE, camera[1:]) if camera[0] == "page" else (CAMERA, camera)
        source, others = taken_out(options, "--source")
        contents[SOURCE] = "".join(f"FMNIST_EDGE_SOURCE={in_environment(address)}\n" for address in source).encode()
        contents["service/deploy.conf"] = DROP_IN.format(command=command, options=" ".join(map(quoted, others))).encode()
    release = named(venv.rpartition("-")[0], venv.encode(), *(name.encode() for name in contents), *contents.values())
    with tarfile.open(out / f"release-{release}.tar", "w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o600 if name in SECRET else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return release


def taken_out(options: list[str], name: str) -> tuple[list[str], list[str]]:
    """The value of an option, none or one, and the other options."""
    if name not in options[:-1]:
        return [], options
    at = options.index(name)
    return [options[at + 1]], options[:at] + options[at + 2 :]


def in_environment(value: str) -> str:
    """The value, quoted for a file of EnvironmentFile= (systemd.exec(5))."""
    escaped = re.sub(r'(["\\`$])', r"\\\1", value)
    return f'"{escaped}"'


def quoted(option: str) -> str:
    """The word, quoted for a unit's command line, where systemd expands % and $ (systemd.service(5), "Command lines")."""
    return json.dumps(option, ensure_ascii=False).replace("%", "%%").replace("$", "$$")


def named(version: str, *contents: bytes) -> str:
    return f"{version}-{sha256(b''.join(sha256(content).digest() for content in contents)).hexdigest()[:10]}"


if __name__ == "__main__":
    run(main, "pack")
