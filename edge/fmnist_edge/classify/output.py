"""Prints predictions: for people, as JSON Lines, or as CSV."""

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from fmnist_edge.answers import FORMAT, LEAST_TOLD, by_label, two_digits
from fmnist_edge.classifier import Prediction
from fmnist_edge.classify.reading import Item
from fmnist_edge.errors import InputError
from fmnist_edge.terminal import columns, printable, wants_colour

BAR = 20
"""Characters of the bar that stands for 1."""


class Style(NamedTuple):
    """top_k: classes shown of each picture; everything: all probabilities, in JSON and CSV; names: of the classes;
    nothing_stands_out: the remark on a photo in which nothing stands out."""

    top_k: int
    everything: bool
    names: tuple[str, ...]
    nothing_stands_out: str


RANKED = ("class_id", "label", "confidence")
"""A record's fields for each of the likeliest classes."""

Show = Callable[[Item, Prediction | None, float], None]
"""Prints a picture's prediction, None if it could not be read. The number: milliseconds that reading and classifying took."""


def as_text(style: Style) -> Show:
    """A picture per line: ``shoe.png: Sneaker 0.97, Sandal 0.02, Ankle boot 0.01``; nothing for one that can't be read."""

    def show(item: Item, prediction: Prediction | None, milliseconds: float) -> None:
        if prediction is not None:
            first, *others = [f"{label} {two_digits(probability)}" for label, probability in labelled(prediction, style)]
            print(f"{printable(item.name)}: {', '.join([first + remark(prediction, style), *others])}")

    return show


def as_bars(style: Style) -> Show:
    """A class per line, with a bar."""
    width = max(map(columns, style.names)) + 2
    block = "█" if sys.stdout is not None and "utf" in sys.stdout.encoding.lower() else "#"
    sure, unsure, end = ("\033[1;32m", "\033[1;33m", "\033[0m") if wants_colour() else ("", "", "")

    def show(item: Item, prediction: Prediction | None, milliseconds: float) -> None:
        if prediction is None:
            return
        for rank, (label, probability) in enumerate(labelled(prediction, style)):
            bar = block * round(BAR * probability)
            line = f"{label}{' ' * (width - columns(label))}{two_digits(probability)} {bar}".rstrip()
            first = f"{unsure if prediction.unsure else sure}{line}{end}{remark(prediction, style)}"
            print(first if rank == 0 else line)

    return show


def as_json(style: Style) -> Show:
    def show(item: Item, prediction: Prediction | None, milliseconds: float) -> None:
        print(json.dumps(to_record(item.name, prediction or item.error, milliseconds, style)))

    return show


def as_csv(style: Style) -> Show:
    import csv

    probabilities = style.names if style.everything else ()
    others = [f"{name}_{rank}" for rank in range(2, style.top_k + 1) for name in RANKED]
    # new columns go to the end: programs may count columns
    last = ("unsure", "milliseconds", "error", "garment_found", "kind", *others)
    # stdout turns line ends into the system's, as csv would
    writer = csv.DictWriter(
        sys.stdout, ("path", *RANKED, *probabilities, *last), restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()

    def show(item: Item, prediction: Prediction | None, milliseconds: float) -> None:
        record = to_record(item.name, prediction or item.error, milliseconds, style)
        for name in ("unsure", "garment_found"):
            if name in record:
                record[name] = json.dumps(record[name])
        for rank, candidate in enumerate(record.get("top", [])[1:], start=2):
            record |= {f"{name}_{rank}": candidate[name] for name in RANKED}
        writer.writerow(record | record.get("probabilities", {}))

    return show


FORMATS: dict[str, Callable[[Style], Show]] = {"text": as_text, "bars": as_bars, "json": as_json, "csv": as_csv}
"""By the name that ``--format`` has for each. To add one, write a function like those above and add it here."""


def to_record(name: str, found: Prediction | InputError | None, milliseconds: float, style: Style) -> dict[str, Any]:
    """A picture's JSON record. found: its prediction, or why it can't be read."""
    if not isinstance(found, Prediction):
        return {"format": FORMAT, "path": name, "error": str(found)}
    record = {
        "format": FORMAT,
        "path": name,
        "kind": found.kind,
        "class_id": found.class_id,
        "label": style.names[found.class_id],
        "confidence": round(found.confidence, 6),
        "unsure": found.unsure,
        "garment_found": found.garment_found,
        "top": [
            {"class_id": class_id, "label": style.names[class_id], "confidence": round(probability, 6)}
            for class_id, probability in found.top(style.top_k)
        ],
        "milliseconds": round(milliseconds, 3),
    }
    if style.everything:
        record |= by_label(found.probabilities.tolist(), style.names)
    return record


def labelled(prediction: Prediction, style: Style) -> list[tuple[str, float]]:
    """The names and probabilities of the most probable classes, for people; the first with a question mark if the model is
    unsure."""
    found = [(style.names[number], share) for number, share in prediction.top(style.top_k) if share >= LEAST_TOLD]
    return [(f"{found[0][0]}?", found[0][1]), *found[1:]] if prediction.unsure else found


def remark(prediction: Prediction, style: Style) -> str:
    """What follows the label: that nothing stands out, or nothing."""
    return "" if prediction.garment_found else f" ({style.nothing_stands_out})"
