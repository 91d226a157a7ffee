"""A model file's self-description: its format, classes, tensors and training, and the checksum that reveals damage.

Everything in it may come from a hostile file, so only what is checked here can be relied on.
"""

from typing import Any

from fmnist_edge.bundle.untrusted import parse
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import ModelError
from fmnist_edge.runtimes.formats import format_of

FORMAT = 3
"""The description's format; raised when an old reader would misread a new file. 2: photos have their own temperature, which
the device applies; a reader that ignored it would be overconfident or underconfident. 3: photos may be marked, and have odds; a
reader that did not mark them would get worse answers."""

READABLE = (1, 2, FORMAT)
"""Formats that can be read. Files of format 1 have no temperature for photos, which means 1; before 3 no photo is marked."""

KERAS = (".keras", ".h5")

NEVER_UNSURE = {"tile": 0.0, "photo": 0.0}
"""The thresholds of files made before thresholds existed."""


def read_description(content: bytes, suffix: str) -> dict[str, Any]:
    """A model file's self-description; its suffix tells the kind. Raises ModelError unless it is complete and consistent."""
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
        known = f"{READABLE[0]} to {FORMAT}"
        raise ModelError(
            f"its format is {repr(format_version)[:20]}, this fmnist-edge reads {known}; update it, or export the model again"
        )
    if classes != list(CLASSES):
        raise ModelError("its classes are not Fashion-MNIST's; export it again")
    if not is_calibration(training):
        raise ModelError("what it says of its confidence or of photos is missing or wrong; export it again")
    if model_sha256 != description.get("model_sha256"):
        raise ModelError("it is damaged: it is not what was exported; copy it again")
    return description


def is_calibration(training: Any) -> bool:
    """Whether what it says of tiles and photos, and how sure to be of them, is valid; older files may lack some of it."""
    if not isinstance(training, dict):
        return False
    unsure = training.get("unsure", NEVER_UNSURE)
    return (
        all(is_number(training.get(name, 1), 1e-6, 1e6) for name in ("temperature", "photo_temperature"))
        and is_number(training.get("photo_odds", 1), 1, 1e6)
        and isinstance(training.get("photo_mark", False), bool)
        and isinstance(unsure, dict)
        and unsure.keys() == NEVER_UNSURE.keys()
        and all(is_number(confidence, 0, 1) for confidence in unsure.values())
    )


def is_number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most
