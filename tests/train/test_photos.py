"""A user's own labelled photos: what folders and tables say of them, and how a model is tried on them."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.classifier import Classifier, Prediction
from fmnist_edge.contract import CLASSES
from fmnist_edge.errors import UsageError
from support.commands import MODELS, ROOT, main_of
from train.photos import (
    AMBIGUOUS,
    OTHER_NAMES,
    class_of,
    classify,
    find_hits,
    find_photos,
    folder_name,
    read_classes,
    read_photos,
    read_tiles,
    summarize,
    tell,
)

PER_CLASS = 12
TROUSER, BAG = (CLASSES.index(name) for name in ("Trouser", "Bag"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of trousers and bags, in a folder per class: what tiles show, larger, in colour and dark on light."""
    with np.load(MODELS / "golden.npz") as golden:
        tiles, labels = golden["tiles"], golden["labels"]
    for folder, class_id in (("Trouser", TROUSER), ("8", BAG)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number, tile in enumerate(tiles[labels == class_id][:PER_CLASS]):
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


def test_a_photo_that_cannot_be_read_is_named_and_the_others_are_used(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "8" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (photos / "stray.png").write_bytes((photos / "8" / "0.png").read_bytes())

    examples = read_photos(photos)

    stray, broken, missing = capsys.readouterr().err.splitlines()
    assert len(examples) == 2 * PER_CLASS
    assert stray == f"photos: {photos}/stray.png is not in a class's folder; left out"
    assert broken == f"photos: {photos}/8/broken.jpg: the picture is truncated or damaged (Truncated File Read); left out"
    assert missing.endswith("Ankle boot: the model will not learn from your photos what these look like")


def test_a_folder_without_photos_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^there are no photos to read$"):
        read_photos(tmp_path)
    with pytest.raises(UsageError, match=rf"^there is no folder {tmp_path}/nowhere$"):
        read_photos(tmp_path / "nowhere")


def test_a_model_is_tried_on_labelled_photos(photos: Path) -> None:
    result = main_of("train.photos", photos, "--model", MODELS / "fmnist-int8.tflite")

    assert (result.returncode, result.stderr) == (0, "")
    trouser, bag, everything, confidence = result.stdout.splitlines()
    assert re.match(r"Trouser +([7-9]|1[0-2]) of 12 right, too few to say; ", trouser)
    assert re.match(r"Bag +\d+ of 12 right, too few to say; ", bag)
    assert re.match(r"all +\d+ of 24 right, .*%; ", everything)
    assert confidence.startswith("confidence   calibration error 0.")


def said(*probabilities: float, sure: bool = True) -> Prediction:
    """Of the first classes; the others share the rest."""
    rest = (1 - sum(probabilities)) / (10 - len(probabilities))
    row = np.array([*probabilities, *[rest] * (10 - len(probabilities))], np.float32)
    return Prediction(row, sure_from=0 if sure else 1.1)


def test_what_is_right_by_class_how_true_confidence_is_and_what_is_said_of_other_things() -> None:
    of_others = [said(0.9, sure=False), said(0.9), said(0.9, sure=False), said(0.9, sure=False)]
    of_clothes = [
        said(0.1, 0.8),
        said(0.3, 0.5),
        said(0.8),
        said(0.4, 0.3, 0.2, sure=False),
        said(0.15, 0.6, 0.12, 0.1),
    ]
    right = [{1}, {0, 4}, {0}, {2}, {3}, set(), set(), set(), set()]

    assert summarize([*of_clothes, *of_others], right) == [
        "T-shirt/top  1 of 2 right, too few to say; 2 have a right class among the first three",
        "Trouser      1 of 1 right, too few to say; 1 have a right class among the first three",
        "Pullover     0 of 1 right, too few to say; 1 have a right class among the first three",
        "Dress        0 of 1 right, too few to say; 0 have a right class among the first three",
        "all          2 of 5 right, too few to say; 4 have a right class among the first three",
        # (|0.8 + 0.8 - 2| + 0.5 + 0.6 + 0.4) / 5
        "confidence   calibration error 0.380; 80.0% are not marked unsure, of which 50.0% are right",
        "other things     4 photos:  75.0% are marked unsure",
    ]


def test_what_there_is_none_of_is_not_told() -> None:
    unsure, of_a_bag = said(0.5, sure=False), said(*[0.01] * 8, 0.9)

    assert summarize([unsure], [set()]) == ["other things     1 photos: 100.0% are marked unsure"]
    assert summarize([unsure], [{0}])[2:] == ["confidence   calibration error 0.500; 0.0% are not marked unsure"]
    assert summarize([of_a_bag], [{8}])[2:] == [
        "confidence   calibration error 0.100; 100.0% are not marked unsure, of which 100.0% are right"
    ]


@pytest.mark.parametrize(
    ("right", "of", "said"),
    [(2, 8, "2 of 8 right, too few to say"), (19, 19, "19 of 19 right, too few to say"), (10, 20, "10 of 20 right, 50.0%")],
)
def test_a_share_of_a_few_photos_is_not_told(right: int, of: int, said: str) -> None:
    assert tell(right, of) == said


def test_labels_may_stand_in_a_table_and_more_than_one_may_be_right(photos: Path) -> None:
    (photos / "labels.csv").write_text("file,accepted_classes\nTrouser/0.png,1\n8/0.png,4 or 8\n8/1.png,ood\n")

    found = find_photos(photos)

    assert found == [(photos / "Trouser/0.png", {1}), (photos / "8/0.png", {4, 8}), (photos / "8/1.png", set())]


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

    labelled = [("a.jpg", {1}), ("b.jpg", {4, 8}), ("ä/c.jpg", {0})]
    assert table_of(tmp_path, text.encode(encoding)) == [*labelled, ("d.jpg", set()), ("e.jpg", set())]


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


@pytest.mark.parametrize(
    "content", [b"", b"name,label\na.jpg,3\n", b"file,label\na.jpg,3\n", b"file,accepted_classes\n" + b"a" * 200_000]
)
def test_another_table_says_which_columns_it_should_have(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        table_of(tmp_path, content)

    assert str(refused.value) == f"{tmp_path}/labels.csv is not a table with the columns file and accepted_classes"


def test_a_table_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").mkdir()

    with pytest.raises(UsageError) as refused:
        find_photos(tmp_path)

    assert str(refused.value) == f"{tmp_path}/labels.csv can't be read (Is a directory)"


def test_the_line_of_a_mistake_is_the_files_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv, line 5: classes are 0 to 9"):
        table_of(tmp_path, b'file,accepted_classes,note\na.jpg,1,"two\nlines"\n\nb.jpg,12,\n')


def test_the_first_line_says_what_separates_columns(tmp_path: Path) -> None:
    assert table_of(tmp_path, b'file;accepted_classes\n"a,b,c.jpg";1\n') == [("a,b,c.jpg", {1})]
    assert table_of(tmp_path, b"SEP=|\r\nfile|accepted_classes\na;b.jpg|1\n") == [("a;b.jpg", {1})]


def test_a_name_with_a_backslash_is_no_folder_where_there_is_such_a_file(tmp_path: Path) -> None:
    (tmp_path / "a\\b.jpg").touch()

    assert table_of(tmp_path, b"file,accepted_classes\na\\b.jpg,1\n") == [("a\\b.jpg", {1})]


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    assert table_of(tmp_path, b"who,accepted_classes,file\nme,3,a.jpg\n") == [("a.jpg", {3})]


def test_what_is_learned_of_several_classes_and_of_none(photos: Path) -> None:
    (photos / "labels.csv").write_text("file,accepted_classes\nTrouser/0.png,6 or 0\n8/0.png,\n8/1.png,8\n")

    examples = read_photos(photos)

    assert examples.kinds.tolist() == ["your T-shirt/top or Shirt", "your other things", "your Bag"]
    assert [row.nonzero()[0].tolist() for row in examples.accepted] == [[0, 6], [], [8]]
    assert examples.contributors.tolist() == [-1, -2, -3]


def test_what_is_no_picture_and_a_folder_without_one_are_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "8" / "notes.txt").touch()
    (photos / "8" / "more").mkdir()
    (photos / "Dress").mkdir()

    found = find_photos(photos)

    assert len(found) == 2 * PER_CLASS
    assert capsys.readouterr().err.splitlines() == [
        f"photos: {photos}/8/more is not a picture that can be read here; left out",
        f"photos: {photos}/8/notes.txt is not a picture that can be read here; left out",
        f"photos: {photos}/Dress: no pictures in this folder (PNG, JPEG, WebP, BMP, GIF or TIFF)",
    ]


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


def test_of_equal_probabilities_the_first_class_counts_first() -> None:
    assert find_hits(np.full((1, 10), 0.1), [{3}])[0].nonzero()[0].tolist() == [3]


def test_the_photos_that_can_be_read_are_classified_with_their_classes(photos: Path) -> None:
    (photos / "8" / "0.png").write_bytes(b"")
    found = [(photos / "Trouser" / "0.png", {1}), (photos / "8" / "0.png", {8}), (photos / "8" / "1.png", {8})]

    predictions, right = classify(Classifier(), found)

    assert [prediction.kind for prediction in predictions] == ["photo", "photo"]
    assert (predictions[0].probabilities != predictions[1].probabilities).any()
    assert right == [{1}, {8}]


def test_the_most_probable_class_counts_first_and_then_the_second() -> None:
    said = np.array([[0.1, 0.2, 0.7, *[0] * 7], [0.5, 0.3, 0.2, *[0] * 7]])

    hits = find_hits(said, [{2, 0}, set()])

    assert hits.shape == (2, 10)
    assert hits[0].nonzero()[0].tolist() == [0, 2]
    assert not hits[1].any()


def test_a_users_photos_count_as_by_several_contributors_none_of_whom_is_the_datasets(photos: Path) -> None:
    """So some of each class are always learned from when others are held out."""
    examples = read_photos(photos)

    numbers, counts = np.unique(examples.contributors, return_counts=True)
    assert numbers.tolist() == [-5, -4, -3, -2, -1]
    assert counts.tolist() == [4, 5, 5, 5, 5]
    for class_id in (TROUSER, BAG):
        assert len(np.unique(examples.contributors[examples.accepted[:, class_id]])) == 5
    assert set(examples.kinds) == {"your Trouser", "your Bag"}
    assert examples.accepted.sum(1).tolist() == [1] * 24


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        *(("4", {4}), ("9", {9}), ("0", {0}), ("4 or 8 or 2", {2, 4, 8}), ("0 1 2 3 4 5 6 7 8 9", set(range(10)))),
        *((text, set()) for text in ("", "OOD", "nan", "NaN", "none", "N/A", "NA", "null", "-")),
    ],
)
def test_a_field_names_one_class_several_or_none(text: str, classes: set[int]) -> None:
    assert read_classes(text) == classes


@pytest.mark.parametrize(
    ("name", "label"),
    [
        *((label, label) for label in CLASSES),
        *((str(number), label) for number, label in enumerate(CLASSES)),
        ("ankle_boot", "Ankle boot"),
        ("T-Shirt_top", "T-shirt/top"),
        ("t-shirt", "T-shirt/top"),
        ("tshirts", "T-shirt/top"),
        ("Tees", "T-shirt/top"),
        ("dresses", "Dress"),
        ("trousers", "Trouser"),
        ("jeans", "Trouser"),
        ("pants", "Trouser"),
        ("boots", "Ankle boot"),
        ("heels", "Sandal"),
        ("sneakers", "Sneaker"),
        ("handbag", "Bag"),
        ("clutches", "Bag"),
        ("Tote Bags", "Bag"),
    ],
)
def test_a_folder_is_named_for_its_class_as_people_do(name: str, label: str) -> None:
    assert CLASSES[class_of(Path("photos") / name.replace("/", "_"))] == label


def test_each_name_is_of_one_class_in_the_singular_and_in_the_plural() -> None:
    names = {name: label for label, known in OTHER_NAMES.items() for name in known.split(", ")}

    assert set(OTHER_NAMES) == set(CLASSES)
    for name, label in names.items():
        plural = f"{name}es" if name.endswith(("ch", "sh", "ss")) else f"{name}s"
        assert [CLASSES[class_of(Path(spelled))] for spelled in (name, plural)] == [label, label]


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("shoes", "sandal, sneaker or ankle_boot"),
        ("Tops", "t_shirt_top or shirt"),
        ("hoodies", "pullover or coat"),
        ("long-sleeve", "pullover or shirt"),
    ],
)
def test_a_folder_whose_name_may_mean_several_classes_is_refused_with_the_choice(name: str, choice: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' may be {choice}; sort its photos into these"):
        class_of(Path("photos") / name)


def test_what_may_be_several_classes_are_classes() -> None:
    for names, labels in AMBIGUOUS.items():
        assert set(labels.split(", ")) < set(CLASSES)
        for name in names.split(", "):
            with pytest.raises(UsageError, match="may be"):
                class_of(Path(name))


@pytest.mark.parametrize("name", ["10", "-1", "3a", "hat", "s", ""])
def test_a_folder_that_is_no_class_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is not a class; folders are named 0 to 9, or t_shirt_top, trouser,"):
        class_of(Path("photos") / name if name else Path())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("trousrs", "trouser"),
        ("Sneekers", "sneaker"),
        ("ankel boots", "ankle_boot"),
        ("jaens", "trouser"),
        ("T-Shrit", "t_shirt_top"),
    ],
)
def test_a_misspelt_class_gets_a_suggestion(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf", or t_shirt_top, .*; did you mean '{meant}'\?$"):
        class_of(Path(name))


@pytest.mark.parametrize("name", ["hats", "shorts", "Skirt", "10", "x"])
def test_what_is_no_class_at_all_gets_none(name: str) -> None:
    with pytest.raises(UsageError, match=r"ankle_boot$"):
        class_of(Path(name))


def test_a_name_in_a_table_of_numbers_is_answered_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,accepted_classes\na.jpg,snaeker\n")

    with pytest.raises(UsageError, match=r"line 2: accepted_classes is 'snaeker'; write 4, .*; Sneaker is 7$"):
        find_photos(tmp_path)


def test_a_folder_that_is_not_sorted_yet_says_how(photos: Path) -> None:
    with pytest.raises(UsageError, match="8 holds no folders: its photos are not sorted yet"):
        read_photos(photos / "8")


def test_a_wrong_name_is_said_before_the_photos_are_looked_at(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "8" / "notes.txt").touch()
    (photos / "hats").mkdir()

    with pytest.raises(UsageError, match="'hats' is not a class"):
        find_photos(photos)
    assert capsys.readouterr().err == ""


def test_the_names_are_listed_in_the_docs() -> None:
    page = (ROOT / "docs" / "own-photos.md").read_text("utf-8")

    for label, names in OTHER_NAMES.items():
        assert f"| {CLASSES.index(label)} | `{folder_name(label)}` | {names} |\n" in page
    for names, labels in AMBIGUOUS.items():
        assert f"| {names} | {', '.join(f'`{folder_name(label)}`' for label in labels.split(', '))} |\n" in page
