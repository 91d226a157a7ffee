"""What a model file must say of itself to be run: each check, at its limits."""

import json
from typing import Any

import pytest

from fmnist_edge.bundle.description import (
    FORMAT,
    NEVER_UNSURE,
    READABLE,
    check_description,
    is_calibration,
    is_number,
    read_description,
)
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import ModelError
from support.commands import MODELS
from support.described import described, description

SHA256 = "0" * 64


def checked(**changes: Any) -> dict[str, Any]:
    return check_description(json.dumps(description(**{"model_sha256": SHA256} | changes)), SHA256)


def refusal(**changes: Any) -> str:
    with pytest.raises(ModelError) as caught:
        checked(**changes)
    return str(caught.value)


def test_what_fits_is_given_as_it_is() -> None:
    assert checked(more="of it") == description(model_sha256=SHA256, more="of it")


def test_files_of_today_are_read_tomorrow() -> None:
    assert (FORMAT, READABLE) == (3, (1, 2, 3))
    assert NEVER_UNSURE == {"tile": 0, "photo": 0}
    for number in READABLE:
        assert checked(format=number)["format"] == number


@pytest.mark.parametrize("missing", ["format", "classes", "training", "input"])
def test_what_lacks_a_part_does_not_describe_itself(missing: str) -> None:
    whole = description(model_sha256=SHA256)
    del whole[missing]

    with pytest.raises(ModelError) as caught:
        check_description(json.dumps(whole), SHA256)
    assert str(caught.value) == "it does not describe itself; only files made by 'python -m export' are run"


@pytest.mark.parametrize(
    "text", ["", "5", "[]", '{"format": NaN}', json.dumps(description(input=[])), json.dumps(description(input={}))]
)
def test_what_is_no_description_does_not_describe_itself(text: str) -> None:
    with pytest.raises(ModelError, match="it does not describe itself"):
        check_description(text, SHA256)


def test_another_format_is_named_in_a_few_characters() -> None:
    known = "this fmnist-edge reads 1 to 3; update it, or export the model again"
    for number in (0, 4):
        assert refusal(format=number) == f"its format is {number}, {known}"
    assert refusal(format="x" * 1000) == f"its format is '{'x' * 19}, {known}"


@pytest.mark.parametrize("classes", [list(CLASSES[:9]), list(reversed(CLASSES)), "T-shirt/top", [*CLASSES, "Hat"]])
def test_other_classes_would_give_wrong_names(classes: object) -> None:
    assert refusal(classes=classes) == "its classes are not Fashion-MNIST's; export it again"


def test_a_checksum_that_does_not_fit_is_damage() -> None:
    message = "it is damaged: it is not what was exported; copy it again"
    assert refusal(model_sha256="1" * 64) == message

    with pytest.raises(ModelError) as caught:
        check_description(json.dumps(description()), SHA256)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"temperature": 1e-6},
        {"temperature": 1e6},
        {"temperature": 1},
        {"photo_temperature": 1e-6},
        {"photo_temperature": 1e6, "temperature": 2},
        {"photo_odds": 1},
        {"photo_odds": 1e6, "photo_temperature": 0.8},
        {"unsure": {"tile": 0, "photo": 1}},
        {"photo_mark": True},
        {"photo_mark": False},
        {"unsure": {"photo": 0.0, "tile": 1.0}, "temperature": 1.5},
    ],
)
def test_a_calibration_within_its_limits_is_used(training: dict[str, Any]) -> None:
    assert is_calibration(training)
    assert checked(training=training)["training"] == training


@pytest.mark.parametrize(
    "training",
    [
        *({"temperature": temperature} for temperature in (0.9e-6, 1e6 + 0.5, -1, "1", None, True)),
        *({"photo_temperature": temperature} for temperature in (0.9e-6, 1e6 + 0.5, -1, "1", None, True)),
        *({"photo_odds": odds} for odds in (0.99, 0, 1e6 + 0.5, -2, "2", None, True)),
        *({"photo_mark": mark} for mark in (1, 0, "yes", None)),
        *({"unsure": {"tile": tile, "photo": 0.5}} for tile in (-0.01, 1.01, "0.5", None, True)),
        *({"unsure": {"tile": 0.5, "photo": photo}} for photo in (-0.01, 1.01, "0.5", None, True)),
        *({"unsure": unsure} for unsure in (None, 0.5, ["tile", "photo"], {}, {"tile": 0.5}, {"photo": 0.5})),
        {"unsure": {"tile": 0.5, "photo": 0.5, "video": 0.5}},
        *(None, [], "none", 5),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused(training: object) -> None:
    assert not is_calibration(training)
    assert refusal(training=training) == "what it says of its confidence or of photos is missing or wrong; export it again"


@pytest.mark.parametrize(("value", "is_one"), [(1, True), (2, True), (1.5, True), (0.99, False), (2.01, False), (True, False)])
def test_a_number_is_one_within_its_limits(value: object, is_one: bool) -> None:
    assert is_number(value, 1, 2) is is_one


def test_each_format_is_read_where_its_description_stands() -> None:
    for name, dtype in (("fmnist-int8.tflite", "int8"), ("fmnist-float.onnx", "float32")):
        model = MODELS / name
        assert read_description(model.read_bytes(), model.suffix)["input"]["dtype"] == dtype


def test_of_a_keras_model_it_is_said_how_to_export_it() -> None:
    with pytest.raises(ModelError, match="it is a Keras model; 'make export' makes the"):
        read_description((MODELS / "fmnist.keras").read_bytes(), ".keras")


def test_a_flipped_bit_anywhere_before_the_description_is_damage() -> None:
    content = bytearray(described())
    content[1000] ^= 1

    with pytest.raises(ModelError, match="it is damaged"):
        read_description(bytes(content), ".tflite")
