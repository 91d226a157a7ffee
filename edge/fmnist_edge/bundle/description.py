"""What a model file says of itself: its format, classes, tensors and training, and the checksum by which damage shows.

Everything in it may come from a hostile file, so only what is checked here can be relied on.
"""

from typing import Any

from fmnist_edge.bundle.untrusted import parse
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes.formats import format_of

FORMAT = 2
"""Of the description alone; raised when an old reader would misread a new file. 2: photos have a temperature of their own, which
the device applies; a reader that ignored it would be wrongly confident."""

READABLE = (1, FORMAT)
"""Formats that are read. A file of format 1 says nothing of a temperature of photos, which means 1."""

KERAS = (".keras", ".h5")

NEVER_UNSURE = {"tile": 0.0, "photo": 0.0}
"""The thresholds of files that were made before there were any."""


def read_description(content: bytes, suffix: str) -> dict[str, Any]:
    """What a model file, by whose suffix its kind is known, says of itself. Raises ModelError unless it is whole and all fits."""
    if suffix in KERAS:
        raise ModelError("it is a Keras model; 'make export' makes the .tflite and .onnx files of it that run here")
    text, model_sha256 = format_of(suffix).find_description(content)
    return check_description(text, model_sha256)


def check_description(text: str, model_sha256: str) -> dict[str, Any]:
    try:
        description: dict[str, Any] = parse(text)
        format_version, classes, training = description["format"], description["classes"], description["training"]
        description["input"]["dtype"]
    except (ValueError, KeyError, TypeError):
        raise ModelError("it does not describe itself; only files made by 'python -m export' are run") from None
    if format_version not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise ModelError(
            f"its format is {repr(format_version)[:20]}, this fmnist-edge reads {known}; update it, or export the model again"
        )
    if classes != list(CLASSES):
        raise ModelError("its classes are not Fashion-MNIST's; export it again")
    if not is_calibration(training):
        raise ModelError("it does not say rightly when it is unsure; export it again")
    if model_sha256 != description.get("model_sha256"):
        raise ModelError("it is damaged: it is not what was exported; copy it again")
    return description


def is_calibration(training: Any) -> bool:
    """Whether it has what is read of it: how sure it may be, and from which confidence it is sure; older files lack them."""
    if not isinstance(training, dict):
        return False
    unsure = training.get("unsure", NEVER_UNSURE)
    return (
        all(is_number(training.get(name, 1), 1e-6, 1e6) for name in ("temperature", "photo_temperature"))
        and is_number(training.get("photo_odds", 1), 1, 1e6)
        and isinstance(unsure, dict)
        and unsure.keys() == NEVER_UNSURE.keys()
        and all(is_number(confidence, 0, 1) for confidence in unsure.values())
    )


def is_number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most
