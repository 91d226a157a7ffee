"""What the wheel weighs on a 64-bit Pi, with all that it brings: for `make bench`. Needs a network."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

UV = Path(sys.executable).with_name("uv")
PYTHON, MACHINE, GLIBC = "3.13", "aarch64", 28
"""Raspberry Pi OS 13; ai-edge-litert asks for the GLIBC 2.28, by its wheels' names."""


def measure_weight() -> dict[str, Any] | None:
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
    wanted = ["--only-binary", ":all:", "--python-version", PYTHON]
    platform = f"--python-platform={MACHINE}-manylinux_2_{GLIBC}"
    run(UV, "pip", "install", *wanted, platform, "--target", installed, f"{wheel}{extra}")
    packages = [path.stem.replace("-", "==") for path in installed.glob("*.dist-info") if not path.match("fmnist_edge-*")]
    platforms = [f"--platform=manylinux_2_{glibc}_{MACHINE}" for glibc in range(17, GLIBC + 1)]
    run(sys.executable, "-m", "pip", "download", "--no-deps", *wanted, *platforms, "--dest", downloaded, *packages)
    unpacked, ours = size(installed), sum(map(size, installed.glob("fmnist_edge*")))
    subprocess.run([sys.executable, "-m", "compileall", "-q", installed], capture_output=True)
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


def describe_weight(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    plain, camera = result["plain"], result["camera"]
    return (
        f"For {MACHINE} and Python {PYTHON} the wheel and all that it brings are {plain['download_mb']:.0f} MB to download and "
        f"{plain['unpacked_mb']:.0f} MB unpacked, {plain['ours_mb']:.1f} of them\n"
        f"ours; pip compiles about {plain['bytecode_mb']:.0f} MB of bytecode besides, unless told `--no-compile`. "
        f"With the camera's extra: {camera['download_mb']:.0f}, {camera['unpacked_mb']:.0f} and {camera['bytecode_mb']:.0f}.\n"
    )
