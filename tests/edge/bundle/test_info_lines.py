"""The lines of `fmnist-edge info`."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fmnist_edge.bundle.info import in_short, to_lines, to_text
from support.commands import MODELS
from support.described import description

TRAINING = {
    **{"recipe": "standard", "purpose": "shop", "hidden": [512, 192], "epochs": 40, "seed": 3, "photos": {"count": 12}},
    **{
        "temperature": 1.23456789,
        "photo_temperature": 0.8125,
        "photo_odds": 1.5,
        "photo_mark": True,
        "unsure": {"tile": 0.6, "photo": 0.75},
        "dataset": {"images": "0ff"},
        "versions": {"keras": "3"},
    },
}


def test_each_fact_has_its_name() -> None:
    facts = description(training=TRAINING, input={"dtype": "int8", "shape": ["N", 28, 28]}, output="ten", classes=["Bag", "Coat"])

    assert to_lines(Path("my.onnx"), b"x" * 12345, facts) == [
        "model                  my.onnx",
        "size                   12,345 bytes",
        f"SHA-256                {sha256(b'x' * 12345).hexdigest()}",
        "file format            ONNX, description format 1",
        "runs in                onnxruntime",
        "input                  dtype int8\n                       shape N, 28, 28",
        "output                 ten",
        "classes                Bag, Coat",
        "recipe                 standard",
        "purpose                shop",
        "hidden layers          512, 192",
        "epochs                 40",
        "seed                   3",
        "own photos             count 12",
        "temperature of logits  1.235, already part of the weights",
        "temperature of photos  0.8125, by which the device also divides the logits of photos",
        "odds of photos         1.5, by which the device multiplies those of a photo's likeliest class",
        "photos are marked      yes",
        "unsure below           tile 0.6\n                       photo 0.75",
        "data set               images 0ff",
        "versions               keras 3",
    ]


def test_what_a_description_does_not_say_has_no_line() -> None:
    lines = to_lines(Path("my.tflite"), b"", description(training={"seed": 0}))

    names = [line[:23].rstrip() for line in lines]
    assert names == ["model", "size", "SHA-256", "file format", "runs in", "input", "classes", "seed"]
    assert lines[-1] == "seed                   0"
    assert lines[3] == "file format            TFLite, description format 1"
    assert lines[4].startswith("runs in                ai-edge-litert, tflite-runtime")


def test_the_built_in_model_is_known_by_its_recipe_and_checksum() -> None:
    content = (MODELS / "fmnist-int8.tflite").read_bytes()

    assert in_short() == f"model standard, SHA-256 {sha256(content).hexdigest()[:12]}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (0.123456, "0.1235"),
        (True, "yes"),
        (False, "no"),
        ("T恤", "T恤"),
        ("\033[31mred", '"\\u001b[31mred"'),
        ([], ""),
        ([1, ["a"]], "1, a"),
    ],
)
def test_a_value_does_nothing_to_a_terminal(value: Any, text: str) -> None:
    assert to_text(value) == text
