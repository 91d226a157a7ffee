"""A user's own labelled photos: learned from with `--photos`, and counted by `python -m train.photos`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import UsageError
from support.commands import MODELS, main_of
from train.dataset import Dataset
from train.recipes import RECIPES

if TYPE_CHECKING:
    from train.augment import Examples

pytestmark = pytest.mark.tensorflow

PER_CLASS = 12
TROUSER, BAG = CLASSES.index("Trouser"), CLASSES.index("Bag")


def read_photos(folder: Path) -> "Examples":
    from train.photos import read_photos

    return read_photos(folder)


@pytest.fixture
def photos(dataset: Dataset, tmp_path: Path) -> Path:
    """Photos of trousers and bags, in a folder per class: what tiles show, larger, in colour and dark on light."""
    for folder, class_id in (("Trouser", TROUSER), ("8", BAG)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number, tile in enumerate(dataset.test_images[dataset.test_labels == class_id][:PER_CLASS]):
            Image.fromarray(255 - tile).resize((112, 112)).convert("RGB").save(tmp_path / "photos" / folder / f"{number}.png")
    return tmp_path / "photos"


def test_folders_are_named_by_class_name_or_number(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = read_photos(photos)

    assert sorted(examples.labels.tolist()) == [TROUSER] * PER_CLASS + [BAG] * PER_CLASS
    assert examples.tiles.shape == (2 * PER_CLASS, 28, 28)
    assert "no photos of T-shirt/top, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Ankle boot" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["T-shirt_top", "tshirt top", "t-shirt-top", "0"])
def test_a_folders_name_may_be_spelled_as_people_do(name: str, photos: Path) -> None:
    (photos / "Trouser").rename(photos / name)

    assert set(read_photos(photos).labels.tolist()) == {0, BAG}


def test_a_folder_that_is_no_class_ends_it_before_the_training(photos: Path, tmp_path: Path) -> None:
    (photos / "Trouser").rename(photos / "trousrs")

    result = main_of("train", "--photos", photos, "--out", tmp_path / "fmnist.keras")

    assert result.returncode == 2
    assert f"{photos}/trousrs: 'trousrs' is no class; folders are named 0 to 9, or t_shirt_top, trouser," in result.stderr
    assert "epoch" not in result.stdout


def test_a_photo_that_cannot_be_read_is_named_and_the_others_are_used(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "8" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (photos / "stray.png").write_bytes((photos / "8" / "0.png").read_bytes())

    examples = read_photos(photos)

    complaints = capsys.readouterr().err
    assert len(examples.labels) == 2 * PER_CLASS
    assert f"photos: {photos}/8/broken.jpg: " in complaints
    assert f"photos: {photos}/stray.png is in no class's folder, and left out" in complaints


def test_a_folder_without_photos_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no photos to read"):
        read_photos(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        read_photos(tmp_path / "nowhere")


def test_a_recipe_without_disturbed_tiles_says_that_it_does_not_learn_from_photos(photos: Path, tmp_path: Path) -> None:
    result = main_of("train", "--recipe", "quick", "--photos", photos, "--out", tmp_path / "fmnist.keras")

    assert result.returncode == 2
    assert "this recipe does not learn from photos; 'standard' does" in result.stderr


def test_the_model_learns_what_the_photos_show(dataset: Dataset, tmp_path: Path) -> None:
    """Discs and crosses, which Fashion-MNIST has not: the photos say that they are trousers and bags."""
    from train.fit import fit, predict

    for number in range(PER_CLASS):
        for folder, draw in (("trouser", draw_disc), ("bag", draw_cross)):
            (tmp_path / folder).mkdir(exist_ok=True)
            draw(number).save(tmp_path / folder / f"{number}.png")
    photos = read_photos(tmp_path)
    recipe = replace(RECIPES["standard"], teacher=None, hidden=(64,), epochs=5)
    images, labels = dataset.train_images[:3000], dataset.train_labels[:3000]

    with_photos, rehearsal = fit(recipe, images, labels, photos=photos)
    without, _ = fit(recipe, images, labels)

    right, before = ((predict(model, photos.tiles).argmax(1) == photos.labels).mean() for model in (with_photos, without))
    assert right > 0.9 > before + 0.2
    assert rehearsal.photos is not None
    assert rehearsal.photos.accuracy > 0.9


def draw_disc(number: int) -> Image.Image:
    photo = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(photo).ellipse((20, 20, 70 + number, 70 + number), fill=(40, 10 * number, 90))
    return photo


def draw_cross(number: int) -> Image.Image:
    photo = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(photo).line((20, 20, 80, 80), fill=(40, 10 * number, 90), width=10 + number)
    ImageDraw.Draw(photo).line((20, 80, 80, 20), fill=(40, 10 * number, 90), width=10 + number)
    return photo


def test_a_model_is_tried_on_labelled_photos(photos: Path) -> None:
    result = main_of("train.photos", photos, "--model", MODELS / "fmnist-int8.tflite")

    assert result.returncode == 0, result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["Trouser", "12"], ["Bag", "12"], ["all", "24"]]
    assert float(result.stdout.splitlines()[0].split()[3].rstrip("%")) > 50


def test_labels_may_stand_in_a_table_and_more_than_one_may_be_right(photos: Path) -> None:
    (photos / "labels.csv").write_text("file,accepted_classes\nTrouser/0.png,1\n8/0.png,4 or 8\n8/1.png,ood\n")

    result = main_of("train.photos", photos)

    assert result.stdout.splitlines()[-1].split()[:2] == ["all", "2"]
