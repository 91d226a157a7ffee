"""Hostile pictures and models, thousands of them: each must end in a result or in an error of ours. `make fuzz` runs it.

A case is a whole file that was damaged with a purpose: flipped, cut, spliced, with another length in its header, its checksums
made to fit again so that the decoder or runtime behind them gets to see it. Its number seeds all that is random in it, so
`python tests/support/fuzz.py models --only 1234` plays it again. Needs a system that can fork.
"""

import argparse
import io
import json
import os
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from fmnist_edge import Classifier, FmnistEdgeError
from fmnist_edge.pictures.decode import FORMATS
from fmnist_edge.runtimes import isolated
from fmnist_edge.terminal import quiet_stderr

MODELS = Path(__file__).parents[2] / "models"
JOBS = 2
TIME_LIMIT = 20
"""Seconds for a case; those that take longer hang."""
MEMORY_LIMIT = 1_200_000_000
"""Bytes that a process may have at its peak: Pillow 13 holds a WebP of 64 million pixels four times."""

TELLING_NUMBERS = (0, 0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damage(rng: random.Random, content: bytes, places: list[int], others: list[bytes], in_place: bool = False) -> bytes:
    """The content with one to four things wrong.

    places: where its headers are; others: what it may be spliced with; in_place: what follows stays where it is.
    """
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.choice(places) + rng.randrange(24) if rng.random() < 0.8 else rng.randrange(len(data) + 1)
        kind = rng.choice((0, 1, 2, 2, 3) if in_place else range(7))
        span = rng.choice((1, 4, 30, 500))
        if kind == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif kind < 3:
            size = rng.choice((1, 2, 4, 4, 8))
            number = rng.choice((*TELLING_NUMBERS, rng.randrange(2**32))) % 256**size
            place -= place % size if kind == 2 else 0
            data[place : place + size] = number.to_bytes(size, rng.choice(("big", "little")))
        elif kind == 3:
            data[place : place + span] = rng.randbytes(span)
        elif kind == 4:
            del data[place : place + span]
        elif kind == 5:
            data[place:place] = data[place : place + span] * rng.choice((1, 2, 50))
        else:
            data[place:] = rng.choice((b"", rng.choice(others)[place:]))
    return bytes(data)


# --- pictures


@cache
def whole_pictures() -> list[bytes]:
    """One of each format and kind, small and large; the same in every run."""
    shades = np.add.outer(np.arange(40) * 2, np.arange(60) * 3).astype(np.uint8)
    shades[10:30, 15:45] = np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8)
    photo = Image.merge("RGB", [Image.fromarray(np.roll(shades, shift, 0)) for shift in (0, 5, 10)])
    tile = photo.convert("L").resize((28, 28))
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a shoe"
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 300, zip=True)
    text.add_itxt("Title", "Schuh", "de", "Schuh")
    info: dict[str, Any] = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    frames: dict[str, Any] = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    pictures = [saved(tile, name) for name in FORMATS]
    pictures += [saved(photo.resize((900, 700)), name) for name in FORMATS]
    pictures += [saved(photo, name, **info) for name in ("PNG", "JPEG", "WEBP", "TIFF")]
    pictures += [saved(photo, name, **frames) for name in ("PNG", "WEBP", "GIF", "TIFF")]
    pictures += [saved(photo.convert(mode), "PNG", pnginfo=text) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    pictures += [saved(photo.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")]
    pictures += [saved(photo.convert(mode), "GIF", transparency=3) for mode in ("1", "L", "P")]
    pictures += [saved(photo.convert(mode), "TIFF") for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "LAB", "I", "F", "YCbCr")]
    pictures += [saved(photo.convert(mode), "JPEG", progressive=True) for mode in ("L", "RGB", "CMYK")]
    pictures += [saved(photo.convert("RGBA"), "WEBP", lossless=True), saved(deep, "PNG"), saved(deep, "TIFF")]
    pictures += [saved(photo, "TIFF", compression=way) for way in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd")]
    pictures += [saved(photo.convert("1"), "TIFF", compression=way) for way in ("group3", "group4", "tiff_ccitt")]
    return pictures


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def hostile_picture(rng: random.Random) -> bytes:
    pictures = whole_pictures()
    content = rng.choice(pictures)
    headers = [0, 4, 16, 24, 40, 80, 160, 320, max(0, len(content) - 300), max(0, len(content) - 100)]
    content = damage(rng, content, headers, pictures)
    return with_fitting_crcs(content) if rng.random() < 0.7 else content


def with_fitting_crcs(content: bytes) -> bytes:
    """The PNG with its chunks' checksums made to fit; anything else as it is."""
    data, place = bytearray(content), 8
    while content.startswith(b"\x89PNG") and place + 12 <= len(data):
        end = place + 8 + struct.unpack_from(">I", data, place)[0]
        if end + 4 <= len(data):
            struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(data)


def play_picture(rng: random.Random, folder: Path) -> None:
    """Classifies a picture, mostly from a file and sometimes as a Pillow image."""
    content = hostile_picture(rng)
    if rng.random() < 0.3:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture: Any = Image.open(io.BytesIO(content), formats=FORMATS)
        except Exception:
            return  # in the user's own code
    else:
        picture = folder / "picture"
        picture.write_bytes(content)
    (prediction,) = classifier().classify(picture)
    assert abs(prediction.probabilities.sum() - 1) < 0.05


@cache
def classifier() -> Classifier:
    with quiet_stderr():
        return Classifier()


# --- models


@cache
def whole_models() -> dict[str, tuple[bytes, str]]:
    """Each artifact's bytes by its name, and its description; a .tflite without the ZIP archive at its end."""
    models = {}
    for path in sorted(MODELS.glob("*.tflite")):
        with zipfile.ZipFile(path) as archive:
            start = min(member.header_offset for member in archive.infolist())
            models[path.name] = path.read_bytes()[:start], archive.read("fmnist.json").decode()
    for path in sorted(MODELS.glob("*.onnx")):
        content = path.read_bytes()
        models[path.name] = content, content[content.index(b'{\n "format"') : content.rindex(b"}\n") + 2].decode()
    return models


@cache
def headers_of(name: str) -> list[int]:
    """Where the file's structure is, in place of weights: near names, at the start, and at the end."""
    content, _ = whole_models()[name]
    names = [match.start() - 24 for match in re.finditer(rb"[A-Za-z_]{5,}", content)]
    return [max(0, place) for place in (*names, *range(0, 360, 24), *range(len(content) - 1500, len(content), 24))]


def hostile_model(rng: random.Random) -> tuple[str, bytes]:
    """A file name and bytes. Most have fitting checksums."""
    name = rng.choice(sorted(whole_models()))
    content, description = whole_models()[name]
    what = rng.random()
    if what < 0.7:
        content = damage(rng, content, headers_of(name), [content], in_place=rng.random() < 0.8)
    elif what < 0.85:
        description = hostile_description(rng, description)
    if name.endswith(".tflite"):
        content = described(content, description)
    elif what >= 0.7:
        content = content.replace(whole_models()[name][1].encode(), description.encode())
    if what < 0.85 and name.endswith(".onnx"):
        content = with_fitting_checksum(content)
    if what >= 0.85:
        content = damage(rng, content, list(range(max(0, len(content) - 2800), len(content), 24)), [content])
    return name, content


def open_each_model() -> None:
    """Loads the runtimes."""
    with quiet_stderr():
        for name in whole_models():
            Classifier(MODELS / name)


def hostile_description(rng: random.Random, text: str) -> str:
    """The JSON text, damaged as bytes, or with one of its values replaced by something strange."""
    if rng.random() < 0.5:
        return damage(rng, text.encode(), [0, len(text) - 30], [text.encode()]).decode("latin-1")
    parts: Any = json.loads(text)
    strange: list[Any] = [
        None,
        True,
        -1,
        2,
        0.5,
        1e999,
        float("nan"),
        10**400,
        "",
        "x" * 200_000,
        "\x1b[2J\n",
        [],
        {},
        {"tile": 1},
        [[]] * 9,
    ]
    whole = parts
    while isinstance(parts, dict):
        key = rng.choice(sorted(parts))
        if not isinstance(parts[key], dict) or not parts[key] or rng.random() < 0.3:
            parts[key] = rng.choice(strange)
            break
        parts = parts[key]
    return json.dumps(whole).replace("[[]", "[" * rng.choice((1, 40_000)) + "[]")


def described(flatbuffer: bytes, description: str) -> bytes:
    """The .tflite with its description, whose checksum is made to fit, at its end."""
    fitting = re.sub(r'(?<="model_sha256": ")[0-9a-f]{64}', sha256(flatbuffer).hexdigest(), description)
    file = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo("fmnist.json"), fitting.encode("latin-1"))
    return file.getvalue()


def with_fitting_checksum(onnx: bytes) -> bytes:
    digest = re.search(rb'"model_sha256": "([0-9a-f]{64})"', onnx)
    if digest is None:
        return onnx
    blank = onnx.replace(digest[1], b"0" * 64)
    return blank.replace(b"0" * 64, sha256(blank).hexdigest().encode())


def play_model(rng: random.Random, folder: Path) -> None:
    """Opens a model as a user would, and classifies tiles with it."""
    name, content = hostile_model(rng)
    path = folder / name
    path.write_bytes(content)
    tiles = np.frombuffer(rng.randbytes(3 * 28 * 28), np.uint8).reshape(3, 28, 28)
    assert len(Classifier(path).classify(tiles)) == 3


class ForkedProcess:
    """What the isolated session wants of subprocess.Popen, but forked: Python's start would take most of the time."""

    def __init__(self, command: list[str], **_: Any) -> None:
        (its_stdin, stdin), (stdout, its_stdout) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                nothing = os.open(os.devnull, os.O_WRONLY)
                for descriptor, end in enumerate((its_stdin, its_stdout, nothing)):
                    os.dup2(end, descriptor)
                os.closerange(3, 100)
                signal.alarm(0)
                exec(command[2], {})
            finally:
                os._exit(1)
        os.close(its_stdin)
        os.close(its_stdout)
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self.status: int | None = None

    def kill(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.wait()
        self.stdout.close()
        self.stdin.close()


# --- running them

KINDS: dict[str, Callable[[random.Random, Path], None]] = {"pictures": play_picture, "models": play_model}


def play(kind: str, number: int, folder: Path) -> str:
    """What came of a case: "result", an error of ours without its particulars, or "FAILED" and how."""
    try:
        KINDS[kind](random.Random(f"{kind} {number}"), folder)
    except FmnistEdgeError as error:
        message = str(error)
        if not message.isprintable() or not 10 < len(message) < 1000:
            return f"FAILED: its message is no line: {message[:1000]!r}"
        particulars = rf"^{folder}/[^:]*: | [(].*|(?<=format is ).*(?=, this)|[0-9.]+"
        return f"{type(error).__name__}: {re.sub(particulars, '', message)[:90]}"
    except BaseException:
        return f"FAILED: {traceback.format_exc()!r}"
    return "result"


def work(kind: str, numbers: Iterable[int], log: Path, progress: Callable[[int], None]) -> None:
    """Plays the cases, and writes each one's number into the log before it starts and its outcome when it ends."""
    # as the command does: Pillow warns of odd files, Python 3.12 of forks where there are threads
    warnings.simplefilter("ignore")
    vars(isolated)["Popen"] = ForkedProcess
    isolated.TIME_LIMIT = TIME_LIMIT / 2
    with tempfile.TemporaryDirectory() as folder, open(log, "a") as lines, tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        for count, number in enumerate(numbers):
            progress(count)
            print(number, end=" ", file=lines, flush=True)
            signal.alarm(TIME_LIMIT)  # nobody handles it: it ends this process, wherever it is
            outcome = play(kind, number, Path(folder))
            if noise.tell():
                noise.seek(0)
                outcome = f"FAILED: it wrote to stderr: {noise.read()!r}"
                noise.truncate(0)
                noise.seek(0)
            if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > MEMORY_LIMIT:
                outcome = "FAILED: it filled the memory"
            print(outcome, file=lines, flush=True)
            if outcome.endswith("memory"):
                return  # a fresh process measures the next ones
        signal.alarm(0)


def run(kind: str, numbers: range, folder: Path) -> dict[int, str]:
    """The outcomes of the cases, by their numbers, from JOBS processes that are started anew when a case ends them."""
    started = time.monotonic()

    def show(part: range, count: int) -> None:
        if sys.stdout.isatty() and count % 50 == 0:
            done = part[count] - numbers[0] + 1
            speed = done / (time.monotonic() - started)
            print(f"\r{kind}: {done:,} of {len(numbers):,}, {speed:.0f}/s ", end="", flush=True)

    def start(part: range, log: Path) -> int:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                work(kind, part, log, partial(show, part))
            except BaseException:
                log.write_text(log.read_text() + f"FAILED: {traceback.format_exc()!r}\n")
            finally:
                os._exit(0)
        return pid

    parts = {folder / f"{kind}-{job}": numbers[job::JOBS] for job in range(min(JOBS, len(numbers)))}
    running = {start(part, log): log for log, part in parts.items()}
    while running:
        pid, status = os.wait()
        log = running.pop(pid)
        if os.WIFSIGNALED(status):
            with open(log, "a") as lines:
                signal_name = signal.Signals(os.WTERMSIG(status)).name
                print("FAILED: it hangs" if signal_name == "SIGALRM" else f"FAILED: {signal_name}", file=lines)
        if rest := parts[log][len(log.read_text().splitlines()) :]:
            running[start(rest, log)] = log
    outcomes = (line.split(" ", 1) for log in parts for line in log.read_text().splitlines())
    return {int(number): outcome for number, outcome in outcomes}


def summarize(kind: str, outcomes: dict[int, str], seconds: float) -> bool:
    """Prints what came of the cases. Returns whether all was well."""
    failed = {number: outcome for number, outcome in outcomes.items() if outcome.startswith("FAILED")}
    counts = Counter(outcome.split(":")[0] if outcome in failed.values() else outcome for outcome in outcomes.values())
    print(f"\r{kind}: {len(outcomes):,} cases in {seconds:.0f} s, {len(failed)} failed")
    for outcome, count in counts.most_common():
        print(f"  {count:6,}  {outcome}")
    for number, outcome in sorted(failed.items())[:20]:
        print(f"\npython tests/support/fuzz.py {kind} --only {number}\n{outcome}")
    return not failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help=" or ".join(KINDS), metavar="KIND")
    parser.add_argument("--cases", type=int, default=20_000, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--only", type=int, help="play this one, and say what comes of it")
    options = parser.parse_args()
    # what every case needs, before the processes fork
    prepare: dict[str, Callable[[], object]] = {"pictures": lambda: (classifier(), whole_pictures()), "models": open_each_model}
    well = True
    for kind in options.kinds or KINDS:
        if options.only is not None:
            options.first, options.cases = options.only, 1
        started = time.monotonic()
        prepare[kind]()
        with tempfile.TemporaryDirectory() as folder:
            outcomes = run(kind, range(options.first, options.first + options.cases), Path(folder))
        well &= summarize(kind, outcomes, time.monotonic() - started)
    sys.exit(not well)


if __name__ == "__main__":
    main()
