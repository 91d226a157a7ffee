"""One picture that explains an answer: the photo, the garment found in it, the tile that the model gets, and what it says."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from fmnist_edge.answers import LEAST_TOLD, two_digits
from fmnist_edge.classifier import Classifier, Prediction
from fmnist_edge.classify.bulk import name_of_tile
from fmnist_edge.classify.reading import Source
from fmnist_edge.contract import CLASSES, TILE_SIZE
from fmnist_edge.errors import FmnistEdgeError, InputError, UsageError
from fmnist_edge.files import prepare_folder, replacing
from fmnist_edge.pictures.photo import CutOut, cut_out, fitted
from fmnist_edge.pictures.tile import look
from fmnist_edge.pictures.upright import upright
from fmnist_edge.terminal import printable

Panel = tuple[str, Image.Image]
"""A heading, and the picture under it."""

EXPLAINED = "-explained.png"
"""The end of a written file's name, after the picture's."""

EDGE = 10 * TILE_SIZE
"""Pixels of a panel's edge: a multiple of the tile's, so that each of its pixels becomes a square."""

MARGIN, GAP, TOP = 32, 32, 64
LABELS, BARS, NUMBERS = 92, 150, 40
"""Pixels that the three columns of the bars are wide."""

PAPER, FAINT, GRAY, INK, OUTLINE = "#ffffff", "#edf0f3", "#9aa5b1", "#1f2933", "#e0218a"
SURE, UNSURE = "#2563c9", "#d9730d"


def explain(source: Source, out: Path, classifier: Classifier) -> Prediction:
    """Writes the picture that explains a photo, or a tile. Returns what the model says.

    out: a .png; replaced if there is one. Raises InputError for a picture that can't be read, UsageError for an ``out`` that
    is the picture itself, FmnistEdgeError if it can't be written.
    """
    if os.path.exists(out) and os.path.exists(source.name) and os.path.samefile(out, source.name):
        raise UsageError(f"{out} is the picture itself; name another file with --out")
    try:
        image = source.open()
        view = look(image, source.wanted)
        panels = [] if view.kind == "tile" else photo_and_garment(upright(image)[0], cut_out(image))
    except InputError as error:
        raise InputError(f"{printable(source.name)}: {error}") from None
    (prediction,) = classifier.predict([view])
    enlarged = Image.fromarray(view.tile).resize((EDGE, EDGE), Image.Resampling.NEAREST)
    page = draw([*panels, ("The tile that the model gets", enlarged)], prediction)
    try:
        with replacing(out) as part:
            page.save(part, "png")
    except OSError as error:
        raise FmnistEdgeError(f"{out} can't be written ({(error.strerror or str(error)).lower()})") from None
    return prediction


def check_out(out: Path | None, several: bool) -> None:
    """Raises UsageError if ``out`` does not fit: a .png is for one picture, a folder for one or several."""
    if out is None:
        return
    if is_folder(out):
        prepare_folder(out, "explanations")
    elif out.suffix.lower() != ".png":
        raise UsageError(f"{out} must end in .png")
    elif several:
        raise UsageError(f"{out} is one file, but there are several pictures; name a folder with --out")


def place_for(name: str, out: Path | None, taken: dict[Path, str]) -> Path:
    """The path of the picture that explains another. taken: the names of earlier pictures by path; this one is added."""
    if out and not is_folder(out):
        return out
    folder = out or Path()
    short, long = (folder / f"{stem}{EXPLAINED}" for stem in (Path(name).stem, name_of_tile(name, {})))
    place = short if taken.get(short, name) == name else long
    taken[place] = name
    return place


def is_folder(out: Path) -> bool:
    return out.is_dir() or not out.suffix


def photo_and_garment(photo: Image.Image, cut: CutOut) -> list[Panel]:
    """photo: RGB, as ``cut_out`` saw it."""
    photo = fitted(photo, 2 * EDGE, Image.Resampling.LANCZOS)  # drawn at twice the size: that makes the outline smooth
    values = Image.fromarray(cut.mask.astype(np.uint8) * 255).resize(photo.size, Image.Resampling.BICUBIC)
    garment = values.point(lambda value: 255 * (value > 127))
    ground = Image.blend(photo, Image.new("RGB", photo.size, PAPER), 0.8)
    marked = Image.composite(photo, ground, garment)
    marked.paste(OUTLINE, mask=ImageChops.difference(garment, garment.filter(ImageFilter.MaxFilter(7))))
    guess = "all of it is taken" if cut.mask.all() else "a guess"
    heading = "The garment found in it" if cut.garment_found else f"Nothing stands out: {guess}"
    return [("The photo", photo), (heading, marked)]


def draw(panels: list[Panel], prediction: Prediction) -> Image.Image:
    """The panels from left to right, then the ten bars."""
    winner, unsure = (UNSURE, ", unsure") if prediction.unsure else (SURE, "")
    left = MARGIN + len(panels) * (EDGE + GAP)
    start, end = left + LABELS, left + LABELS + BARS
    page = Image.new("RGB", (end + NUMBERS + MARGIN, TOP + EDGE + MARGIN), PAPER)
    pen, small, large = ImageDraw.Draw(page), font(14), font(24)
    for number, (heading, picture) in enumerate(panels):
        x, picture = MARGIN + number * (EDGE + GAP), fitted(picture, EDGE, Image.Resampling.LANCZOS)
        pen.text((x, TOP - 26), heading, INK, small)
        pen.rectangle((x, TOP, x + EDGE - 1, TOP + EDGE - 1), FAINT)
        page.paste(picture, (x + (EDGE - picture.width) // 2, TOP + (EDGE - picture.height) // 2))
    pen.text((left, TOP - 38), f"{prediction.label} {two_digits(prediction.confidence)}{unsure}", winner, large)
    for class_id, (label, probability) in enumerate(zip(CLASSES, prediction.probabilities.tolist(), strict=True)):
        y, wins = TOP + class_id * EDGE // len(CLASSES), class_id == prediction.class_id
        pen.text((left, y + 5), label, winner if wins else INK, small)
        pen.rectangle((start, y + 4, end - 1, y + 22), FAINT)
        if length := round(BARS * probability):
            pen.rectangle((start, y + 4, start + length - 1, y + 22), winner if wins else GRAY)
        if probability >= LEAST_TOLD:
            pen.text((end + 10, y + 5), two_digits(probability), winner if wins else INK, small)
    if prediction.garment_found and (threshold := prediction.sure_from):
        x = start + round(BARS * threshold)
        pen.line((x, TOP, x, TOP + EDGE + 3), INK)
        pen.text((start, TOP + EDGE + 6), f"sure from {threshold:.2f} on", INK, small)
    return page


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size)
    except (ImportError, TypeError):  # a Pillow without FreeType, or before 10.1, has letters of one size
        return ImageFont.load_default()
