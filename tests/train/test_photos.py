"""A user's own labelled photos: learned from with `--photos`, and counted by `python -m train.photos`."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fmnist_edge.contract import CLASSES, at_temperature
from fmnist_edge.errors import UsageError
from fmnist_edge.pictures.tile import look
from support.commands import MODELS, main_of
from train.augment import choose_folds
from train.calibrate import accepts, choose_photo_temperature
from train.cutting import PhotoTiles
from train.dataset import Dataset
from train.photos import find_photos, read_photos, read_tiles
from train.recipes import RECIPES

pytestmark = pytest.mark.tensorflow

PER_CLASS = 12
TROUSER, DRESS, BAG = (CLASSES.index(name) for name in ("Trouser", "Dress", "Bag"))
SMALL = replace(RECIPES["standard"], teacher=None, hidden=(64,), epochs=5)


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

    assert examples.accepted[:, [TROUSER, BAG]].sum(0).tolist() == [PER_CLASS, PER_CLASS]
    assert examples.tiles.shape == (2 * PER_CLASS, 28, 28)
    assert "no photos of T-shirt/top, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Ankle boot" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["T-shirt_top", "tshirt top", "t-shirt-top", "0"])
def test_a_folders_name_may_be_spelled_as_people_do(name: str, photos: Path) -> None:
    (photos / "Trouser").rename(photos / name)

    assert read_photos(photos).accepted.any(0).nonzero()[0].tolist() == [0, BAG]


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
    assert len(examples) == 2 * PER_CLASS
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
    from train.fit import fit, predict, score_photos

    for number in range(PER_CLASS):
        for folder, draw in (("trouser", draw_disc), ("bag", draw_cross)):
            (tmp_path / folder).mkdir(exist_ok=True)
            draw(number).save(tmp_path / folder / f"{number}.png")
    photos = read_photos(tmp_path)
    images, labels = dataset.train_images[:3000], dataset.train_labels[:3000]

    with_photos, holdout = fit(SMALL, images, labels, photos=photos)
    without, _ = fit(SMALL, images, labels)

    right, before = (accepts(photos.accepted, predict(model, photos.tiles)).mean() for model in (with_photos, without))
    assert right > 0.9 > before + 0.2
    assert score_photos(photos, holdout.said_of_photos)["your photos held out"].accuracy > 0.9


def test_what_is_said_of_a_contributors_photos_is_said_without_having_seen_any_of_theirs(dataset: Dataset) -> None:
    """Only one of six contributors has discs, and says that they are trousers; the others have crosses."""
    from train.fit import fit, predict

    contributors = np.repeat(np.arange(6), PER_CLASS)
    views = [look((draw_disc if who == 5 else draw_cross)(number % PER_CLASS)) for number, who in enumerate(contributors)]
    accepted = np.eye(10, dtype=bool)[np.where(contributors == 5, TROUSER, BAG)]
    photos = PhotoTiles(np.stack([view.tile for view in views]), accepted, contributors, np.full(len(views), "drawn"))

    model, holdout = fit(SMALL, dataset.train_images[:3000], dataset.train_labels[:3000], photos=photos)

    discs = photos[contributors == 5]
    assert accepts(discs.accepted, predict(model, discs.tiles)).mean() > 0.9
    assert accepts(discs.accepted, holdout.said_of_photos[contributors == 5]).mean() < 0.5
    assert accepts(photos.accepted, holdout.said_of_photos)[contributors != 5].mean() > 0.9


def test_of_several_right_classes_any_will_do(dataset: Dataset) -> None:
    """Discs are trousers, or perhaps dresses; crosses are bags. Photos of other things teach nothing."""
    from train.fit import fit, predict

    draw = (draw_disc, draw_cross, draw_cross)
    tiles = np.stack([look(draw[number % 3](number % PER_CLASS)).tile for number in range(3 * PER_CLASS)])
    accepted = np.zeros((len(tiles), 10), bool)
    accepted[0::3, [TROUSER, DRESS]] = True
    accepted[1::3, BAG] = True
    photos = PhotoTiles(tiles, accepted, np.arange(len(tiles)), np.full(len(tiles), "drawn"))

    model, _ = fit(SMALL, dataset.train_images[:3000], dataset.train_labels[:3000], photos=photos)

    said = predict(model, tiles)
    assert accepts(accepted, said)[accepted.any(1)].mean() > 0.9
    assert said[0::3][:, [TROUSER, DRESS]].sum(1).mean() > 0.9


def test_all_photos_by_one_contributor_are_held_out_together() -> None:
    contributors = np.repeat([7, 3, 1, 9, 2, 8], [50, 20, 10, 10, 9, 1])

    folds = choose_folds(contributors)

    assert all(len(np.unique(folds[contributors == one])) == 1 for one in np.unique(contributors))
    assert sorted(np.bincount(folds).tolist()) == [10, 10, 10, 20, 50]


@pytest.mark.parametrize("too_sure", [0.5, 2])
def test_a_temperature_makes_confidence_true(too_sure: float) -> None:
    random = np.random.default_rng(0)
    true = random.dirichlet(np.full(10, 0.3), 20_000)
    labels = (true.cumsum(1) < random.random((len(true), 1))).sum(1)
    said = at_temperature(true.astype(np.float32), 1 / too_sure)

    assert choose_photo_temperature(said, np.eye(10, dtype=bool)[labels]) == pytest.approx(too_sure, rel=0.05)


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

    assert (result.returncode, result.stderr) == (0, "")
    *classes, confidence = result.stdout.splitlines()
    assert [line.split()[:2] for line in classes] == [["Trouser", "12"], ["Bag", "12"], ["all", "24"]]
    assert re.fullmatch(
        r"confidence +calibration error 0\.\d{3}; .*% are not marked unsure(, of which .*% are right)?", confidence
    )
    assert float(result.stdout.splitlines()[0].split()[3].rstrip("%")) > 50


def test_labels_may_stand_in_a_table_and_more_than_one_may_be_right(photos: Path) -> None:
    (photos / "labels.csv").write_text("file,accepted_classes\nTrouser/0.png,1\n8/0.png,4 or 8\n8/1.png,ood\n")

    result = main_of("train.photos", photos)

    assert result.stdout.splitlines()[-2].split()[:2] == ["all", "2"]


def table_of(folder: Path, content: bytes) -> list[tuple[str, set[int]]]:
    (folder / "labels.csv").write_bytes(content)
    return [(str(path.relative_to(folder)), classes) for path, classes in find_photos(folder)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("before", ["", "sep={}\r\n"])
def test_a_table_may_come_from_excel_powershell_or_pandas(before: str, encoding: str, separator: str, tmp_path: Path) -> None:
    (tmp_path / "ä").mkdir()
    (tmp_path / "ä" / "c.jpg").touch()
    rows = ["File,Accepted_Classes ", '"a.jpg",1.0', "b.jpg,4 or 8", r"ä\c.jpg,0", "d.jpg,", "e.jpg,ood", ",", ""]
    text = before.format(separator) + "\r\n".join(rows).replace(",", separator)

    assert table_of(tmp_path, text.encode(encoding)) == [("a.jpg", {1}), ("b.jpg", {4, 8}), ("ä/c.jpg", {0})]


@pytest.mark.parametrize("text", ["4,8", "4, 8", "8;4", "4/8", "4|8", "[4, 8]", "4.0 or 8.0"])
def test_several_classes_may_be_written_in_several_ways(text: str, tmp_path: Path) -> None:
    assert table_of(tmp_path, f'file,accepted_classes\na.jpg,"{text}"\n'.encode()) == [("a.jpg", {4, 8})]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.jpg,1.5", "accepted_classes is '1.5'; write 4, or '4 or 8', or nothing where none is right"),
        ('a.jpg,"1,0"', "accepted_classes is '1,0'"),
        ("a.jpg,04. Aug", "accepted_classes is '04. Aug'"),
        ("a.jpg,Trouser", "accepted_classes is 'Trouser'"),
        ("a.jpg,-1", "accepted_classes is '-1'"),
        ("a.jpg,10", "classes are 0 to 9, not '10'"),
        ("a.jpg", "there are fewer columns than in the first line"),
        ("a.jpg,4,8", "there are more columns than in the first line; write '4 or 8' without a comma"),
        (",3", "there is no file"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(row: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path}/labels.csv, line 3: {reason}")):
        table_of(tmp_path, f"file,accepted_classes\nb.jpg,3\n{row}\n".encode())


def test_a_table_in_another_encoding_says_how_to_save_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither UTF-8 nor UTF-16; in Excel, save it as 'CSV UTF-8'"):
        table_of(tmp_path, "file;accepted_classes\nSchön.jpg;1\n".encode("cp1252"))


def test_what_systems_keep_beside_photos_is_no_class(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "__MACOSX").mkdir()
    (photos / "8" / "._0.png").write_bytes(b"\0\x05\x16\x07")
    (photos / "8" / "1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")

    found = find_photos(photos)
    read_tiles(found[-PER_CLASS:])

    complaints = capsys.readouterr().err
    assert len(found) == 2 * PER_CLASS + 1
    assert "__MACOSX" not in complaints
    assert "._0.png" not in complaints
