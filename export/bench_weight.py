"""What the wheel weighs on a 64-bit Pi, with all that it brings: for `make bench`. Needs a network."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

UV = Path(sys.executable).with_name("uv")
PYTHON, ARCHITECTURE, GLIBC = "3.13", "aarch64", 28


def measure() -> dict[str, Any] | None:
    """MB, without and with the camera's extra; None, and a line on stderr, where the packages can't be had."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ".")
            (wheel,) = Path(folder).glob("*.whl")
            return {name: weigh(wheel, extra, Path(folder) / name) for name, extra in (("plain", ""), ("camera", "[camera]"))}
        except subprocess.CalledProcessError as error:
            why = (error.stderr.strip().splitlines() or ["it was killed"])[-1].strip()
            print(f"bench: what the wheel weighs is left out, what it brings can't be had: {why}", file=sys.stderr)
            return None


def weigh(wheel: Path, extra: str, folder: Path) -> dict[str, float]:
    """MB: of the wheel files; unpacked, and of that ours; of the bytecode that pip then compiles of all modules."""
    installed, downloaded = folder / "installed", folder / "downloaded"
    platform = ["--only-binary", ":all:", "--python-version", PYTHON]
    run(
        UV,
        "pip",
        "install",
        *platform,
        "--python-platform",
        f"{ARCHITECTURE}-manylinux_2_{GLIBC}",
        "--target",
        installed,
        f"{wheel}{extra}",
    )
    packages = ["==".join(path.name.removesuffix(".dist-info").split("-")) for path in installed.glob("*.dist-info")]
    others = [package for package in packages if not package.startswith("fmnist_edge==")]
    tags = [f"--platform=manylinux_2_{minor}_{ARCHITECTURE}" for minor in range(17, GLIBC + 1)]
    run(sys.executable, "-m", "pip", "download", "--no-deps", *platform, *tags, "--dest", downloaded, *others)
    unpacked, ours = size(installed), sum(map(size, installed.glob("fmnist_edge*")))
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", installed], stdout=subprocess.DEVNULL
    )  # some tests are no Python 3.11
    return {
        "download_mb": size(downloaded) + wheel.stat().st_size / 1e6,
        "unpacked_mb": unpacked,
        "ours_mb": ours,
        "bytecode_mb": size(installed) - unpacked,
    }


def size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def in_words(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    plain, camera = result["plain"], result["camera"]
    return (
        f"The wheel and all that it brings, for {ARCHITECTURE} and Python {PYTHON}: {plain['download_mb']:.0f} MB to download, "
        f"{plain['unpacked_mb']:.0f} unpacked, of which ours {plain['ours_mb']:.1f};\n"
        f"the bytecode that pip compiles besides: {plain['bytecode_mb']:.0f} (not with `pip install --no-compile`). With the camera's "
        f"extra: {camera['download_mb']:.0f}, {camera['unpacked_mb']:.0f} and {camera['bytecode_mb']:.0f}.\n"
    )
