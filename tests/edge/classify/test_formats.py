"""What each format prints for a prediction, to the letter."""

import csv
import io
import json
import sys

import numpy as np
import pytest

from fmnist_edge.answers import by_label
from fmnist_edge.classifier import Prediction
from fmnist_edge.classify.output import FORMATS, Show, Style, as_bars, as_csv, as_json, as_text
from fmnist_edge.classify.reading import Item
from fmnist_edge.contract import CLASSES, LANGUAGES, NOTHING_STANDS_OUT
from fmnist_edge.errors import InputError
from support.predictions import prediction
from support.terminals import stdout_on_a_terminal

GREEN, YELLOW, END = "\033[1;32m", "\033[1;33m", "\033[0m"

ENGLISH = Style(3, False, CLASSES, NOTHING_STANDS_OUT["en"])
CHINESE = Style(3, False, LANGUAGES["zh"], NOTHING_STANDS_OUT["zh"])
PICTURE = Item("shoe.png", None, None, 0)
BROKEN = Item("gone.png", None, InputError("no such file"), 0)

SNEAKER = Prediction(np.array([0, 0, 0, 0, 0, 0.125, 0, 0.75, 0.0625, 0.0625], np.float32), 0.5)
UNSURE = Prediction(SNEAKER.probabilities, 0.8)
NOT_FOUND = Prediction(SNEAKER.probabilities, 0.5, garment_found=False)


def printed(show: Show, *items: tuple[Item, Prediction | None], capsys: pytest.CaptureFixture[str]) -> str:
    for item, found in items:
        show(item, found, 1.23456)
    return capsys.readouterr().out


def test_text_is_a_line_per_picture_best_class_first(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(as_text(ENGLISH), (PICTURE, SNEAKER), (BROKEN, None), capsys=capsys)

    assert out == "shoe.png: Sneaker 0.75, Sandal 0.12, Bag 0.06\n"


def test_text_marks_a_guess_with_a_question_mark_at_the_best_class_alone(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(as_text(ENGLISH), (PICTURE, UNSURE), capsys=capsys)

    assert out == "shoe.png: Sneaker? 0.75, Sandal 0.12, Bag 0.06\n"


@pytest.mark.parametrize(("style", "remark"), [(ENGLISH, " (nothing stands out)"), (CHINESE, " (没有明显的物体)")])
def test_where_nothing_stands_out_it_is_said_after_the_best_class_alone(
    style: Style, remark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(as_text(style), (PICTURE, NOT_FOUND), capsys=capsys)
    bars = printed(as_bars(style), (PICTURE, NOT_FOUND), capsys=capsys)

    sneaker, sandal, bag = (style.names[class_id] for class_id in (7, 5, 8))
    assert text == f"shoe.png: {sneaker}? 0.75{remark}, {sandal} 0.12, {bag} 0.06\n"
    assert [line.endswith(remark) for line in bars.splitlines()] == [True, False, False]


def test_a_name_is_printed_so_that_it_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(as_text(ENGLISH), (PICTURE._replace(name="\033[31mred"), SNEAKER), capsys=capsys)

    assert out.startswith("\\x1b[31mred: ")


def test_only_as_many_classes_are_printed_as_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    style = ENGLISH._replace(top_k=1)

    assert printed(as_text(style), (PICTURE, SNEAKER), capsys=capsys) == "shoe.png: Sneaker 0.75\n"
    assert len(printed(as_bars(style), (PICTURE, SNEAKER), capsys=capsys).splitlines()) == 1


def test_a_bar_is_as_long_as_its_class_is_probable(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(as_bars(ENGLISH), (PICTURE, SNEAKER), (BROKEN, None), capsys=capsys)

    assert out.splitlines() == [
        "Sneaker      0.75 ███████████████",
        "Sandal       0.12 ██",
        "Bag          0.06 █",
    ]


def test_bars_stand_below_each_other_in_chinese_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(as_bars(CHINESE), (PICTURE, SNEAKER), capsys=capsys).splitlines() == [
        "运动鞋    0.75 ███████████████",
        "凉鞋      0.12 ██",
        "包        0.06 █",
    ]


def test_bars_are_plain_where_there_is_no_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)

    as_bars(ENGLISH)(PICTURE, SNEAKER, 0)

    out.seek(0)
    assert out.readline() == "Sneaker      0.75 ###############\n"


def test_a_sure_answer_is_green_and_a_guess_yellow_and_the_other_classes_have_no_colour() -> None:
    with stdout_on_a_terminal() as terminal:
        show = as_bars(ENGLISH)
        show(PICTURE, SNEAKER, 0)
        sure = terminal.read().splitlines()
        show(PICTURE, UNSURE, 0)
        unsure = terminal.read().splitlines()

    assert sure == [f"{GREEN}Sneaker      0.75 {'█' * 15}{END}", "Sandal       0.12 ██", "Bag          0.06 █"]
    assert unsure == [f"{YELLOW}Sneaker?     0.75 {'█' * 15}{END}", "Sandal       0.12 ██", "Bag          0.06 █"]


def test_off_a_terminal_there_is_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(as_bars(ENGLISH), (PICTURE, UNSURE), capsys=capsys)

    assert out.splitlines()[0] == f"Sneaker?     0.75 {'█' * 15}"


def test_a_class_without_a_bar_has_no_space_in_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(as_bars(ENGLISH), (PICTURE, prediction(8, 0.9)), capsys=capsys)

    assert out.splitlines()[1:] == ["T-shirt/top  0.01", "Trouser      0.01"]


def test_people_are_told_of_no_class_that_is_out_of_the_question(capsys: pytest.CaptureFixture[str]) -> None:
    found = Prediction(np.array([0, 0.0049, 0, 0.0051, 0, 0, 0, 0, 0.99, 0], np.float32), 0.5)

    assert printed(as_text(ENGLISH), (PICTURE, found), capsys=capsys) == "shoe.png: Bag 0.99, Dress 0.01\n"
    assert printed(as_bars(ENGLISH), (PICTURE, found), capsys=capsys).count("\n") == 2


def test_a_record_that_would_lack_a_class_or_its_name_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="zip"):
        by_label([0.5, 0.5], ["Shirt"])
    with pytest.raises(ValueError, match="zip"):
        by_label([0.5], ["Shirt", "Coat"])


@pytest.mark.parametrize(("confidence", "told"), [(0.994, "0.99"), (0.9951, ">0.99"), (1, ">0.99")])
def test_people_are_told_of_no_certainty(confidence: float, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = prediction(8, confidence)

    assert printed(as_text(ENGLISH), (PICTURE, found), capsys=capsys) == f"shoe.png: Bag {told}\n"
    assert printed(as_bars(ENGLISH), (PICTURE, found), capsys=capsys).startswith(f"Bag          {told} ███")
    assert json.loads(printed(as_json(ENGLISH), (PICTURE, found), capsys=capsys))["confidence"] == pytest.approx(confidence)


def test_json_says_everything_of_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = printed(as_json(ENGLISH), (PICTURE, SNEAKER), capsys=capsys).splitlines()

    assert json.loads(line) == {
        **{"path": "shoe.png", "class_id": 7, "label": "Sneaker", "confidence": 0.75, "unsure": False, "milliseconds": 1.235},
        **{"format": 2, "kind": "tile", "garment_found": True},
        "top": [
            {"class_id": 7, "label": "Sneaker", "confidence": 0.75},
            {"class_id": 5, "label": "Sandal", "confidence": 0.125},
            {"class_id": 8, "label": "Bag", "confidence": 0.0625},
        ],
    }


def test_json_has_the_reason_of_what_could_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(printed(as_json(ENGLISH), (BROKEN, None), capsys=capsys))

    assert record == {"format": 2, "path": "gone.png", "error": "no such file"}


def test_json_has_all_probabilities_if_wanted_to_six_places(capsys: pytest.CaptureFixture[str]) -> None:
    style = CHINESE._replace(top_k=1, everything=True)

    record = json.loads(printed(as_json(style), (PICTURE, prediction(1, 1 / 3)), capsys=capsys))

    assert record["probabilities"] == dict.fromkeys(LANGUAGES["zh"], 0.074074) | {"裤子": 0.333333}
    assert record["deprecated_probabilities"] == list(record["probabilities"].values())
    assert record["confidence"] == 0.333333
    assert record["top"] == [{"class_id": 1, "label": "裤子", "confidence": 0.333333}]
    assert record["label"] == "裤子"


def rows(style: Style, *items: tuple[Item, Prediction | None], capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    out = printed(as_csv(style), *items, capsys=capsys)
    assert "\r" not in out
    return list(csv.DictReader(out.splitlines()))


def test_csv_is_a_line_per_picture_read_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = rows(ENGLISH._replace(top_k=1), (PICTURE, UNSURE), (BROKEN, None), capsys=capsys)

    assert good == {
        **{"path": "shoe.png", "class_id": "7", "label": "Sneaker", "confidence": "0.75", "unsure": "true"},
        **{"milliseconds": "1.235", "error": "", "garment_found": "true", "kind": "tile"},
    }
    assert bad == dict.fromkeys(good, "") | {"path": "gone.png", "error": "no such file"}


def test_csv_has_each_probability_in_the_column_of_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = rows(ENGLISH._replace(top_k=1, everything=True), (PICTURE, SNEAKER), (BROKEN, None), capsys=capsys)

    last = ["unsure", "milliseconds", "error", "garment_found", "kind"]
    assert list(good) == ["path", "class_id", "label", "confidence", *CLASSES, *last]
    assert {name: float(good[name]) for name in CLASSES if float(good[name])} == {
        **{"Sandal": 0.125, "Sneaker": 0.75, "Bag": 0.0625, "Ankle boot": 0.0625},
    }
    assert good["unsure"] == "false"
    assert {bad[name] for name in CLASSES} == {""}


def test_csv_has_the_next_classes_in_its_last_columns(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = rows(ENGLISH._replace(top_k=2), (PICTURE, SNEAKER), (BROKEN, None), capsys=capsys)

    assert list(good)[-3:] == ["class_id_2", "label_2", "confidence_2"]
    assert list(good.values())[-3:] == ["5", "Sandal", "0.125"]
    assert list(bad.values())[-3:] == ["", "", ""]


def test_json_and_csv_say_whether_anything_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(printed(as_json(ENGLISH), (PICTURE, NOT_FOUND), capsys=capsys))
    (row,) = rows(ENGLISH, (PICTURE, NOT_FOUND), capsys=capsys)

    assert (record["garment_found"], record["unsure"]) == (False, True)
    assert (row["garment_found"], row["unsure"]) == ("false", "true")


def test_each_format_has_its_name() -> None:
    named = {"text": as_text, "bars": as_bars, "json": as_json, "csv": as_csv}
    assert named.items() <= FORMATS.items()
