"""Training with photos: what is learned of them, and what is said of those that were held out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fmnist_edge.contract import CLASSES
from fmnist_edge.pictures.tile import look
from support.commands import main_of
from train.calibrate import accepts
from train.cutting import PhotoTiles
from train.dataset import Dataset
from train.photos import read_photos
from train.recipes import RECIPES

pytestmark = pytest.mark.tensorflow

PER_CLASS = 12
TROUSER, DRESS, BAG = (CLASSES.index(name) for name in ("Trouser", "Dress", "Bag"))
SMALL = replace(RECIPES["standard"], taught=False, hidden=(64,), epochs=5, batch_size=256)


def draw_disc(number: int) -> Image.Image:
    photo = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(photo).ellipse((20, 20, 70 + number, 70 + number), fill=(40, 10 * number, 90))
    return photo


def draw_cross(number: int) -> Image.Image:
    photo = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(photo).line((20, 20, 80, 80), fill=(40, 10 * number, 90), width=10 + number)
    ImageDraw.Draw(photo).line((20, 80, 80, 20), fill=(40, 10 * number, 90), width=10 + number)
    return photo


def test_a_folder_that_is_no_class_ends_it_before_the_training(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "trousrs").mkdir(parents=True)
    draw_disc(0).save(photos / "trousrs" / "0.png")

    result = main_of("train", "--photos", photos, "--out", tmp_path / "fmnist.keras")

    assert result.returncode == 2
    assert f"{photos}/trousrs: 'trousrs' is not a class; folders are named 0 to 9, or t_shirt_top, trouser," in result.stderr
    assert "epoch" not in result.stdout


def test_a_recipe_that_cannot_learn_from_photos_says_so_before_it_looks_at_any(tmp_path: Path) -> None:
    result = main_of("train", "--recipe", "quick", "--photos", tmp_path / "nowhere", "--out", tmp_path / "fmnist.keras")

    assert result.returncode == 2
    assert result.stderr == "train: the recipe 'quick' does not learn from photos; 'quick-photos' and 'standard' do\n"


def test_the_model_learns_what_the_photos_show(dataset: Dataset, tmp_path: Path) -> None:
    """Discs and crosses, which Fashion-MNIST has not: the photos say that they are trousers and bags."""
    from train.fit import fit, score_photos
    from train.networks import predict_photos

    for number in range(PER_CLASS):
        for folder, draw in (("trouser", draw_disc), ("bag", draw_cross)):
            (tmp_path / folder).mkdir(exist_ok=True)
            draw(number).save(tmp_path / folder / f"{number}.png")
    photos = read_photos(tmp_path)
    images, labels = dataset.train_images[:3000], dataset.train_labels[:3000]

    with_photos, holdout = fit(SMALL, images, labels, photos=photos)
    without, _ = fit(SMALL, images, labels)

    # others than those that it learned from
    others = np.stack([look(draw(PER_CLASS + number)).tile for draw in (draw_disc, draw_cross) for number in range(PER_CLASS)])
    accepted = np.eye(10, dtype=bool)[np.repeat([TROUSER, BAG], PER_CLASS)]
    right, before = (accepts(accepted, predict_photos(model, others, marked=True)).mean() for model in (with_photos, without))
    assert right > 0.9 > before + 0.2
    assert score_photos(photos, holdout.said_of_photos)["your photos held out"].accuracy > 0.9


def test_what_is_said_of_a_contributors_photos_is_said_without_having_seen_any_of_theirs(dataset: Dataset) -> None:
    """Only one of six contributors has discs, and says that they are trousers; the others have crosses."""
    from train.fit import fit
    from train.networks import predict_photos

    contributors = np.repeat(np.arange(6), PER_CLASS)
    views = [look((draw_disc if who == 5 else draw_cross)(number % PER_CLASS)) for number, who in enumerate(contributors)]
    accepted = np.eye(10, dtype=bool)[np.where(contributors == 5, TROUSER, BAG)]
    photos = PhotoTiles(np.stack([view.tile for view in views]), accepted, contributors, np.full(len(views), "drawn"))

    model, holdout = fit(SMALL, dataset.train_images[:3000], dataset.train_labels[:3000], photos=photos)

    discs = photos[contributors == 5]
    assert accepts(discs.accepted, predict_photos(model, discs.tiles, marked=True)).mean() > 0.9
    assert accepts(discs.accepted, holdout.said_of_photos[contributors == 5]).mean() < 0.5
    assert accepts(photos.accepted, holdout.said_of_photos)[contributors != 5].mean() > 0.9


def test_of_several_right_classes_any_will_do(dataset: Dataset) -> None:
    """Discs are trousers, or perhaps dresses; crosses are bags. Photos of other things teach nothing."""
    from train.fit import fit
    from train.networks import predict_photos

    draw = (draw_disc, draw_cross, draw_cross)
    tiles = np.stack([look(draw[number % 3](number % PER_CLASS)).tile for number in range(3 * PER_CLASS)])
    accepted = np.zeros((len(tiles), 10), bool)
    accepted[0::3, [TROUSER, DRESS]] = True
    accepted[1::3, BAG] = True
    photos = PhotoTiles(tiles, accepted, np.arange(len(tiles)), np.full(len(tiles), "drawn"))

    model, _ = fit(SMALL, dataset.train_images[:3000], dataset.train_labels[:3000], photos=photos)

    said = predict_photos(model, tiles, marked=True)
    assert accepts(accepted, said)[accepted.any(1)].mean() > 0.9
    assert said[0::3][:, [TROUSER, DRESS]].sum(1).mean() > 0.9
