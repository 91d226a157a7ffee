"""A model file's self-description as text for people. Needs no runtime."""

import json
from pathlib import Path
from typing import Any

from fmnist_edge.bundle.model import read_model
from fmnist_edge.checksum import sha256
from fmnist_edge.runtimes.formats import format_of

WIDTH = 23

TRAINING = {
    "recipe": "recipe",
    "purpose": "purpose",
    "hidden layers": "hidden",
    "epochs": "epochs",
    "seed": "seed",
    "own photos": "photos",
    "photos learned from": "photo_dataset",
    "on photos of others": "on_photos",
    "temperature of logits": "temperature",
    "temperature of photos": "photo_temperature",
    "odds of photos": "photo_odds",
    "photos are marked": "photo_mark",
    "unsure below": "unsure",
    "data set": "dataset",
    "versions": "versions",
}
"""The name that is shown, and the key in the description's ``training``."""

REMARKS = {
    "temperature of logits": ", already part of the weights",
    "temperature of photos": ", by which the device also divides the logits of photos",
    "odds of photos": ", by which the device multiplies those of a photo's likeliest class",
}


def to_lines(path: Path, content: bytes, description: dict[str, Any]) -> list[str]:
    """Names and values. content: the file's bytes. Only the parts of the description that ``open_model`` checks are reliable."""
    training = description["training"]
    facts = {
        "model": str(path),
        "size": f"{len(content):,} bytes",
        "SHA-256": sha256(content).hexdigest(),
        "file format": f"{format_of(path.suffix).name}, description format {description['format']}",
        "runs in": ", ".join(format_of(path.suffix).runtimes),
        **{name: description.get(name) for name in ("input", "output", "classes")},
        **{name: training.get(key) for name, key in TRAINING.items()},
    }
    return [f"{name:{WIDTH}}{to_text(value)}{REMARKS.get(name, '')}" for name, value in facts.items() if value is not None]


def in_short() -> str:
    """The built-in model's recipe and checksum, in a few words. Raises FmnistEdgeError."""
    _, content, description = read_model()
    return f"model {to_text(description['training'].get('recipe'))}, SHA-256 {sha256(content).hexdigest()[:12]}"


def to_text(value: Any) -> str:
    """A JSON value: lists as a, b; objects with a line for each member."""
    if isinstance(value, dict):
        return f"\n{'':{WIDTH}}".join(f"{to_text(name)} {to_text(member)}" for name, member in value.items())
    if isinstance(value, list):
        return ", ".join(map(to_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else json.dumps(text)
