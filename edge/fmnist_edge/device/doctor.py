"""Why does it not work here? Each part that classifying needs, with `ok` or what to do.

Imports the standard library alone. What may be missing, broken or crash is tried in a process of its own.
"""

import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from fmnist_edge.processes import available_megabytes

Finding = tuple[str, str, str]
"""``ok``, ``note`` or ``problem`` (classifying does not work); the part; the text."""

TIME_LIMIT = 120
"""Seconds for one check: a Pi Zero takes about ten to import numpy, a Pi 3 half a minute to import TensorFlow."""

ENOUGH_MEMORY = 100
"""MB. `classify` of one tile took 54 on x86-64; a large photo takes some more."""

# what is tried; ``model`` is set before
READ = (
    "from fmnist_edge.bundle.model import read_model; from fmnist_edge.bundle.untrusted import configured_keys; "
    "path, keys = read_model(model)[0], configured_keys(); "
    "print(path, 'as it was exported', *[f'signed by a key in {keys}'] * bool(keys), sep=', ')"
)
IMPORT = (
    "from fmnist_edge.runtimes.tflite import import_tflite, version_of; name, module = import_tflite(); "
    "print('ok', name, version_of(name, module))"
)
RUN = (
    "import numpy; from fmnist_edge.bundle.model import open_model; model = open_model(model); session = model.session; "
    "session.probabilities(numpy.zeros((1, 28, 28), numpy.uint8)); why = model.no_runtime; "
    "print(f'note {session.runtime} alone, which is slower: {why}') if why else print('ok', session.runtime)"
)
VERIFY = (
    "from fmnist_edge.bundle.golden import verify; verdict = verify(model); "
    "print('ok', verdict.summary) if verdict.holds else print('problem', verdict.complaint)"
)
CAMERAS = (
    "from fmnist_edge.cameras.v4l2 import found; cameras = [f'{camera.path} ({camera.card})' for camera in found()]; "
    "print('ok', *cameras) if cameras else print('note none at /dev/video*: not connected, or its driver is missing')"
)


def examine(model: Path | None) -> Iterator[Finding]:
    """Findings in the order in which to fix them. model: the built-in one if None."""
    yield "ok", "Python", f"{platform.python_version()}, {python_bits()} bits, {sys.executable}"
    yield look_at_system()
    yield look_at_memory()
    packages = [look_at_package("numpy", "numpy"), look_at_package("Pillow", "PIL.Image")]
    yield from packages
    if all(state == "ok" for state, _, _ in packages):
        yield from look_at_model(model)
    else:
        yield "note", "model", "not checked, and neither is the runtime: both need numpy and Pillow"
    yield from look_at_cameras()


def look_at_system() -> Finding:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    kernel_bits = 64 if "64" in platform.machine() else 32
    text = f"{name}, {platform.machine()}, kernel of {kernel_bits} bits, {' '.join(platform.libc_ver()).strip() or 'no glibc'}"
    if python_bits() < kernel_bits:
        return "note", "system", f"{text}, Python has {python_bits()}, so install fmnist-edge with 'linux32 pip install'"
    return "ok", "system", text


def python_bits() -> int:
    return 64 if sys.maxsize > 2**32 else 32


def look_at_memory() -> Finding:
    megabytes = available_megabytes()
    if megabytes is None:
        return "ok", "memory", "unknown"
    if megabytes < ENOUGH_MEMORY:
        return "note", "memory", f"{megabytes} MB free; classifying needs {ENOUGH_MEMORY}; close other programs"
    return "ok", "memory", f"{megabytes:,} MB free"


def look_at_package(package: str, module: str) -> Finding:
    worked, said = attempt(f"import {module}; from importlib.metadata import version; print(version({package!r}))")
    if worked:
        return "ok", package, said
    # what piwheels builds wants Debian's libraries, whose packages are named by Debian's policy, section 8.1
    if missing := re.match(r"(lib[\w-]+)\.so\.(\d+)", said):
        library, number = missing.groups()
        return "problem", package, f"{said}; sudo apt install {library}{'-' if library[-1].isdigit() else ''}{number}"
    return "problem", package, f"{said}; pip install --force-reinstall {package.lower()}"


def look_at_model(model: Path | None) -> Iterator[Finding]:
    whole, said = attempt(READ, model)
    yield "ok" if whole else "problem", "model", said
    works, said = attempt(RUN if whole else IMPORT, model)
    state, text = said.split(" ", 1) if works else ("problem", said)
    yield state, "runtime", text
    if whole and works:
        verified, said = attempt(VERIFY, model)
        state, text = said.split(" ", 1) if verified else ("note", said)
        yield state, "verify", text


def look_at_cameras() -> Iterator[Finding]:
    worked, said = attempt("from fmnist_edge.cameras.picamera import found; print(len(found()), 'cameras found')")
    yield "ok" if worked else "note", "picamera2", said
    installed = find_spec("av") is not None
    cure = "not installed; for cameras and videos: pip install 'fmnist-edge[camera]'"
    yield "ok" if installed else "note", "av", "installed" if installed else cure
    if not all(os.access(node, os.R_OK | os.W_OK) for node in Path("/dev").glob("video*")):
        yield "note", "camera", "this user may not open it: sudo usermod -aG video $USER, then log in again"
        return
    worked, said = attempt(CAMERAS)
    state, text = said.split(" ", 1) if worked else ("note", said)
    yield state, "camera", text


def attempt(program: str, model: Path | None = None) -> tuple[bool, str]:
    """Runs a Python program in its own process, as it may crash or hang. Returns whether it worked, and its last line."""
    # it imports what would be imported here; `python -c` alone looks into the working directory first
    head = f"import sys; sys.path[:] = {sys.path!r}; model = {str(model) if model else None!r}; "
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"}
    try:
        done = subprocess.run([sys.executable, "-c", head + program], env=environment, capture_output=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return False, f"no answer for {TIME_LIMIT} seconds"
    except OSError as error:
        return False, f"no other Python can be started ({error.strerror})"
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return False, f"crashes ({name}): it is built for another processor, or damaged; install it again, or an older version"
    text = (done.stdout if done.returncode == 0 else done.stderr).decode("utf-8", "replace")
    last = (text.strip() or "it says nothing").splitlines()[-1]
    return done.returncode == 0, re.sub(r"^([\w.]*(Error|Exception)|Original error was): ", "", last)
