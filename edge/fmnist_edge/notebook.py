"""A prediction as a notebook shows it: the tile that the model saw, and bars."""

import io
from base64 import b64encode
from html import escape

from PIL import Image

from fmnist_edge.answers import LEAST_TOLD, two_digits
from fmnist_edge.contract import CLASSES, Tile

EDGE, BAR, THICK = 112, 160, 12
"""Pixels: of the picture, of the bar that stands for 1, and how thick that is."""


def to_html(answer: str, probabilities: list[float], tile: Tile | None, path: str | None) -> str:
    """A piece of HTML that needs nothing else, in the colours of the page that it stands in. tile, path: none if None."""
    ranked = sorted(zip(CLASSES, probabilities, strict=True), key=lambda pair: -pair[1])
    rows = "".join(to_row(name, probability) for name, probability in ranked if probability >= LEAST_TOLD)
    caption = f"<br/><small>{escape(path)}</small>" if path else ""
    picture = (
        f'<img src="{to_png(tile)}" width="{EDGE}" height="{EDGE}" style="image-rendering: pixelated"/>'
        if tile is not None
        else ""
    )
    return (
        f'<div style="display: flex; gap: 1em; align-items: center">{picture}'
        f"<div><b>{escape(answer)}</b>{caption}<table>{rows}</table></div></div>"
    )


def to_row(name: str, probability: float) -> str:
    bar = f'<div style="width: {round(BAR * probability)}px; height: {THICK}px; background: currentColor; opacity: 0.6"></div>'
    return f"<tr><td>{escape(name)}</td><td>{escape(two_digits(probability))}</td><td>{bar}</td></tr>"


def to_png(tile: Tile) -> str:
    """As an address that holds the picture itself."""
    file = io.BytesIO()
    Image.fromarray(tile).save(file, "png")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
