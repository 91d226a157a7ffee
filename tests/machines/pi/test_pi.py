"""The wheel in an emulated 64-bit Raspberry Pi: Debian trixie, Python 3.13, aarch64. `make pi-test` builds it and runs these."""

import json
from pathlib import Path

from machine import PAGES, Pi
from PIL import Image

from fmnist_edge import Classifier
from support.commands import MODELS
from train.dataset import Dataset

pytest_plugins = ["machine"]


def test_verify_finds_what_the_workstation_computed(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "verify")

    print(pi.run("uname", "-rm").stdout + result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert "verdict   ok: 100.00% of 256 tiles" in result.stdout


def test_verify_finds_it_on_the_processor_of_a_pi_5_too(tmp_path: Path) -> None:
    pi = Pi(tmp_path, cpu="cortex-a76")

    result = pi.run("fmnist-edge", "verify")

    pi.stop()
    print(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_memorys_pages_are_as_large_as_was_asked_for(pi: Pi) -> None:
    assert pi.run("getconf", "PAGESIZE").stdout == ("16384\n" if PAGES == "16k" else "4096\n")


def test_tiles_get_the_labels_that_they_get_here(pi: Pi, share: Path, classifier: Classifier, dataset: Dataset) -> None:
    tiles = dataset.test_images[:100]
    (share / "tiles").mkdir()
    for number, tile in enumerate(tiles):
        Image.fromarray(tile).save(share / "tiles" / f"{number:02}.png")

    result = pi.run("fmnist-edge", "classify", "-q", "--json", "tiles")

    labels = [json.loads(line)["label"] for line in result.stdout.splitlines()]
    assert (result.returncode, result.stderr) == (0, "")
    assert labels == [prediction.label for prediction in classifier.classify(tiles)]


def test_classify_starts_in_less_than_100_mb(pi: Pi) -> None:
    result = pi.run("busybox", "time", "-f", "%M KB, %e s in this emulation", "fmnist-edge", "classify", "shoe.png")

    print(result.stderr)
    assert result.stdout.startswith("Sneaker ")
    assert int(result.stderr.split()[0]) < 100_000


def test_the_doctor_finds_no_problem(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "doctor")

    assert (result.returncode, result.stderr) == (0, "")
    assert "Debian GNU/Linux 13 (trixie), aarch64, kernel of 64 bits" in result.stdout
    assert "problem" not in result.stdout


def test_info_says_which_model_it_is(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "info")

    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((MODELS / "manifest.json").read_text())["files"]["fmnist-int8.tflite"]["sha256"] in result.stdout


def test_bench_times_each_step(pi: Pi) -> None:
    result = pi.run("fmnist-edge", "bench", "--seconds", "0.2", "--json")

    figures = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (0, "fmnist-edge: measuring, about 0.2 s for each step\n")
    assert all(0 < step["p50_ms"] <= step["p99_ms"] for step in figures["steps"].values())


def test_a_damaged_model_ends_in_one_line(pi: Pi, share: Path) -> None:
    content = bytearray((MODELS / "fmnist-int8.tflite").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (share / "damaged.tflite").write_bytes(content)

    result = pi.run("fmnist-edge", "classify", "--model", "damaged.tflite", "shoe.png")

    assert (result.returncode, result.stdout) == (3, "")
    assert len(result.stderr.splitlines()) == 1
