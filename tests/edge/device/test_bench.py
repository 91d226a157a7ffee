"""`fmnist-edge bench`: what it measures on a device, for people and as JSON. How fast this machine is, is not tested."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.device.bench import measure
from support.commands import FMNIST_EDGE, MODELS, run

pytestmark = pytest.mark.slow

STEPS = ["decode", "tile", "invoke", "file to prediction"]


def measured(*options: str | Path, **environment: str) -> dict[str, Any]:
    result = run(FMNIST_EDGE, "bench", "--json", "--seconds", "0.05", *options, environment=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo that is drawn where none is named."""
    path = tmp_path_factory.mktemp("photo") / "drawn.jpg"
    result = run(sys.executable, "-m", "fmnist_edge.device.bench", path)
    assert result.returncode == 0, result.stderr
    return path


@pytest.fixture
def pi(tmp_path: Path) -> dict[str, str]:
    """An environment with a vcgencmd that gets hotter each time it is asked, and was throttled before."""
    (tmp_path / "vcgencmd").write_text(
        f"""#!/bin/sh
        case $1 in
          get_throttled) echo throttled=0x50005 ;;
          measure_temp) echo x >>{tmp_path}/asked; echo "temp=6$(wc -l <{tmp_path}/asked).8'C" ;;
        esac"""
    )
    (tmp_path / "vcgencmd").chmod(0o755)
    return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def test_each_step_is_timed_and_the_figures_fit_together(photo: Path) -> None:
    result = measured("--photo", photo, "--threads", "3")

    assert list(result["steps"]) == STEPS
    assert list(result["threads"]) == ["1", "2", "3"]
    assert (result["model"], result["photo"]) == ("fmnist-int8.tflite", str(photo))
    for images, times in [(1, result["steps"][step]) for step in STEPS] + [(64, times) for times in result["threads"].values()]:
        assert 0 < times["p50_ms"] <= times["p90_ms"] <= times["p99_ms"]
        # a mean and a median: far apart on a busy machine, never by the 1,000 of a wrong unit
        assert 1 / 100 < times["images_per_second"] / (images * 1000 / times["p50_ms"]) < 100


def test_the_whole_takes_longer_than_its_parts(photo: Path) -> None:
    steps = measured("--photo", photo)["steps"]

    assert steps["file to prediction"]["p50_ms"] > steps["invoke"]["p50_ms"]


def test_start_and_memory_are_plausible(photo: Path) -> None:
    result = measured("--photo", photo)

    assert 1 < result["import_ms"] < 60_000
    assert 0.01 < result["load_ms"] < 10_000
    # Python with numpy and a runtime, in MB; without what the tests, which started it, need
    assert 20 < result["peak_memory_mb"] < 200


def test_without_a_photo_one_is_drawn_and_removed(tmp_path: Path) -> None:
    result = measured(TMPDIR=str(tmp_path))

    assert result["photo"] is None
    assert list(tmp_path.iterdir()) == []


def test_the_drawn_photo_is_large_and_shows_a_shirt(photo: Path, classifier: Classifier) -> None:
    with Image.open(photo) as image:
        assert image.size == (4000, 3000)
    assert 2e6 < photo.stat().st_size < 5e6
    assert classifier.classify(photo)[0].label in ("T-shirt/top", "Shirt", "Pullover")


def test_the_table_has_a_line_for_each_figure(photo: Path, pi: dict[str, str]) -> None:
    result = run(FMNIST_EDGE, "bench", "--photo", photo, "--seconds", "0.05", "--threads", "2", environment=pi)

    assert (result.returncode, result.stderr) == (0, "fmnist-edge: measuring, about 0.05 s for each step\n")
    lines = result.stdout.splitlines()
    assert lines[1] == f"photo: {photo}"
    for start in [*STEPS, "64 tiles, 1 thread ", "64 tiles, 2 threads", "runtime imported", "model opened", "peak memory"]:
        assert sum(line.startswith(start) for line in lines) == 1
    assert len({len(line) for line in lines[3:10]}) == 1  # the columns line up


def test_an_onnx_model_is_timed_in_onnxruntime(photo: Path) -> None:
    result = measured("--photo", photo, "--model", MODELS / "fmnist-int8.onnx")

    assert result["model"] == "fmnist-int8.onnx"
    assert result["runtime"].startswith("onnxruntime ")


def test_a_pi_that_is_throttled_says_so_and_how_hot_it_gets(photo: Path, pi: dict[str, str]) -> None:
    result = measured("--photo", photo, **pi)

    reasons = ["under-voltage now", "throttled now"]
    assert result["before"] == {"temperature_c": 61.8, "throttled": reasons}
    assert result["after"] == {"temperature_c": 62.8, "throttled": reasons}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("0x0", "no"),
        ("0xA0000", "frequency capped earlier, soft temperature limit earlier"),
        ("0x8", "soft temperature limit now"),
    ],
)
def test_what_the_flags_of_a_pi_mean_is_said_in_words(flags: str, words: str, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "vcgencmd").write_text(f"#!/bin/sh\necho throttled={flags}")
    (tmp_path / "vcgencmd").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    result = run(FMNIST_EDGE, "bench", "--photo", photo, "--seconds", "0.01", environment={"PATH": path})

    (line,) = [line for line in result.stdout.splitlines() if line.startswith("throttled")]
    assert line.split("  ")[-1] == f"{words} before, {words} after"


def test_a_vcgencmd_that_fails_is_as_good_as_none(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\necho VCHI initialization failed; exit 255")
    (tmp_path / "vcgencmd").chmod(0o755)

    result = measured("--photo", photo, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert result["before"]["throttled"] is None


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file or directory"), ("text", "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture")]
)
def test_what_is_no_photo_is_one_line(content: str | None, reason: str, tmp_path: Path) -> None:
    if content:
        (tmp_path / "x.jpg").write_text(content)

    result = run(FMNIST_EDGE, "bench", "--photo", "x.jpg", "--seconds", "0.01", cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"fmnist-edge: x.jpg: {reason}\n")


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    result = run(FMNIST_EDGE, "bench", "--model", tmp_path / "gone.tflite")

    assert (result.returncode, result.stderr) == (3, f"fmnist-edge: {tmp_path / 'gone.tflite'}: no such model file\n")


def test_each_step_is_named_before_it_is_measured(photo: Path) -> None:
    begun: list[str] = []

    measure(None, photo, 2, 0.001, begun.append)

    assert begun == [
        *(f"{number}/8 {step}" for number, step in enumerate(["model", "photo", *STEPS], start=1)),
        *("7/8 64 tiles, threads: 1", "8/8 64 tiles, threads: 2"),
    ]


def test_where_no_photo_can_be_drawn_it_says_what_to_do(tmp_path: Path) -> None:
    # no file may become longer than 512 kB
    result = run("sh", "-c", f"ulimit -f 1000; {FMNIST_EDGE} bench --seconds 0.01", environment={"TMPDIR": str(tmp_path)})

    assert result.returncode == 1
    assert "\nfmnist-edge: no photo could be drawn (" in result.stderr
    assert result.stderr.endswith("; name one with --photo\n")


@pytest.mark.parametrize("option", ["--threads=0", "--threads=many", "--seconds=0", "--seconds=-1"])
def test_a_wrong_number_is_a_usage_error(option: str) -> None:
    result = run(FMNIST_EDGE, "bench", option)

    assert result.returncode == 2
    assert "Traceback" not in result.stderr
