"""What `fmnist-edge classify` prints: colours, progress, CSV, languages, doubts; several processes; Ctrl-C."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge import Classifier
from fmnist_edge.classify.output import FORMATS
from support.commands import FMNIST_EDGE, fmnist_edge
from train.dataset import Dataset


@pytest.fixture
def shoes(dataset: Dataset, tmp_path: Path) -> Path:
    """A folder with 150 test images."""
    for number, tile in enumerate(dataset.test_images[:150]):
        Image.fromarray(tile).save(tmp_path / f"{number:03}.png")
    return tmp_path


def on_a_terminal(stream: str, *arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """What the command writes to a terminal as that stream; the other one goes to a pipe."""
    terminal, end = pty.openpty()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: end}
    variables = {**os.environ, "TERM": "xterm", **(environment or {})}
    with subprocess.Popen([FMNIST_EDGE, *arguments], cwd=cwd, env=variables, **streams) as process:  # type: ignore[call-overload]
        os.close(end)
        process.communicate()
    written = b""
    try:
        while part := os.read(terminal, 1000):
            written += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(terminal)
    return written.decode()


@pytest.mark.slow
def test_colours_are_for_terminals(shoes: Path) -> None:
    assert on_a_terminal("stdout", "classify", "000.png", cwd=shoes).startswith("\033[1;32mAnkle boot ")
    assert "\033[" not in fmnist_edge("classify", "000.png", cwd=shoes).stdout


@pytest.mark.slow
def test_many_images_get_a_progress_bar_on_a_terminal(shoes: Path) -> None:
    bar = on_a_terminal("stderr", "classify", ".", cwd=shoes)

    assert "150/150, " in bar
    assert "images/s" in bar
    assert re.search(r"\r\033\[Kfmnist-edge: 150 pictures in [\d.]+ s: \d+ unsure, 0 failed\s+$", bar)


@pytest.mark.slow
def test_few_images_get_none(shoes: Path) -> None:
    assert "\r\033" not in on_a_terminal("stderr", "classify", "000.png", "001.png", cwd=shoes)


def test_no_terminal_gets_no_progress_bar(shoes: Path) -> None:
    assert len(fmnist_edge("classify", ".", cwd=shoes).stderr.splitlines()) == 1


def test_json_with_all_has_every_probability(shoes: Path, classifier: Classifier) -> None:
    result = fmnist_edge("classify", "--json", "--all", "000.png", cwd=shoes)

    expected = classifier.classify(shoes / "000.png")[0].probabilities
    np.testing.assert_allclose(list(json.loads(result.stdout)["probabilities"].values()), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["json", "csv"])
def test_a_format_and_its_short_form_print_the_same(name: str, shoes: Path) -> None:
    long, short = (fmnist_edge("classify", *option, "000.png", cwd=shoes) for option in (["--format", name], [f"--{name}"]))

    without_times = [re.sub(r"[\d.]+(?=(,,true,tile)?}?$)", "", result.stdout, flags=re.MULTILINE) for result in (long, short)]
    assert without_times[0] == without_times[1] != ""


def test_bars_can_be_had_of_several_pictures_and_text_of_one(shoes: Path) -> None:
    bars = fmnist_edge("classify", "--format", "bars", "--top-k", "2", "000.png", "001.png", cwd=shoes).stdout.splitlines()
    text = fmnist_edge("classify", "--format", "text", "000.png", cwd=shoes).stdout

    assert len(bars) == 2
    assert text.startswith("000.png: ")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_chosen(name: str) -> None:
    result = fmnist_edge("classify", "--format", name, "docs/shoe.png")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--csv", "x.png"], "--json or --csv, not both"),
        (["--format", "text", "--csv", "x.png"], "--format text or --csv, not both"),
        (["--all", "x.png"], "--all goes with --json or --csv"),
        (["--stdin", "x.png"], "--stdin takes the place of the paths"),
        ([], "name a picture or a folder, or use --stdin; 'fmnist-edge classify --help' explains more"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(arguments: list[str], message: str) -> None:
    result = fmnist_edge("classify", *arguments)

    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"fmnist-edge: {message}\n")


def test_labels_are_chinese_if_asked_for(shoes: Path) -> None:
    bars = fmnist_edge("classify", "--labels-lang", "zh", "000.png", cwd=shoes)
    record = fmnist_edge("classify", "--labels-lang", "zh", "--json", "000.png", cwd=shoes)

    assert bars.stdout.startswith("短靴 ")
    assert json.loads(record.stdout)["label"] == "短靴"


def test_below_the_least_confidence_a_label_has_a_question_mark(shoes: Path) -> None:
    bars = fmnist_edge("classify", "--min-confidence", "1", "000.png", cwd=shoes)
    record = fmnist_edge("classify", "--min-confidence", "1", "--json", "000.png", cwd=shoes)

    assert bars.stdout.startswith("Ankle boot? ")
    assert json.loads(record.stdout)["unsure"] is True
    assert json.loads(record.stdout)["label"] == "Ankle boot"


def test_the_models_own_thresholds_mark_what_it_is_often_wrong_about(classifier: Classifier, dataset: Dataset) -> None:
    predictions = classifier.classify(dataset.test_images)

    unsure = np.array([prediction.unsure for prediction in predictions])
    right = np.array([prediction.class_id for prediction in predictions]) == dataset.test_labels
    assert 0.02 < unsure.mean() < 0.5
    assert right[~unsure].mean() > 0.93
    assert right[unsure].mean() < 0.75


def test_photos_have_a_threshold_of_their_own(classifier: Classifier, dataset: Dataset) -> None:
    tile = classifier.classify(dataset.test_images[0])[0]
    photo = classifier.classify(Image.effect_noise((300, 300), 50))[0]

    assert classifier.model.description["training"]["unsure"] == {"tile": tile.sure_from, "photo": photo.sure_from}


@pytest.mark.slow
def test_several_processes_print_the_same_in_the_same_order(shoes: Path) -> None:
    (shoes / "075b.png").write_text("no picture")

    one = fmnist_edge("classify", "-q", ".", cwd=shoes)
    two = fmnist_edge("classify", "-q", "-j", "2", ".", cwd=shoes)

    assert (two.stdout, two.stderr, two.returncode) == (one.stdout, one.stderr, 1)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_whole_lines_and_130(jobs: str, shoes: Path) -> None:
    photo = Image.effect_noise((3000, 3000), 50)
    for number in range(200):
        name = shoes / f"photo{number:03}.jpg"
        photo.save(name) if number == 0 else name.symlink_to(shoes / "photo000.jpg")
    command = [FMNIST_EDGE, "classify", "--json", "--jobs", jobs, "."]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, cwd=shoes, **options) as process:  # type: ignore[call-overload]
        lines = [process.stdout.readline()]
        os.killpg(process.pid, signal.SIGINT)
        lines += process.stdout.readlines()
        errors = process.stderr.read()

    records = [json.loads(line) for line in lines]
    assert (process.returncode, errors) == (130, "fmnist-edge: interrupted\n")
    assert [record["path"] for record in records] == sorted(record["path"] for record in records)
    assert len(records) < 350
