"""`fmnist-edge classify` as people use it: pictures of every kind, bad input, exit statuses."""

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fmnist_edge import Classifier
from fmnist_edge.errors import InputError
from support.commands import FMNIST_EDGE, MODELS, fmnist_edge, run
from train.dataset import Dataset

SNEAKER = 9  # the number of a test image that the model gets right


@pytest.fixture
def sneaker(dataset: Dataset) -> Image.Image:
    assert dataset.test_labels[SNEAKER] == 7
    return Image.fromarray(dataset.test_images[SNEAKER])


@pytest.fixture
def sneaker_photo(sneaker: Image.Image) -> Image.Image:
    """Large, in colour, dark on white."""
    return ImageOps.invert(sneaker).resize((280, 280), Image.Resampling.BICUBIC).convert("RGB")


def test_a_picture_gets_a_line_with_a_bar_for_each_likely_class(dataset: Dataset, tmp_path: Path) -> None:
    Image.fromarray(dataset.test_images[4]).save(tmp_path / "shirt.png")

    result = fmnist_edge("classify", "shirt.png", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    first, *others = result.stdout.splitlines()
    assert re.fullmatch(r"Shirt\?? +(0\.[5-9]\d|>0\.99) █{10,20}", first)
    assert len(others) <= 2
    assert all(re.fullmatch(r"[A-Z][A-Za-z/ -]+ +0\.([1-4]\d|0[1-9]) *█*", line) for line in others)
    assert result.stderr == ""


def test_several_pictures_get_a_line_each(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")

    result = fmnist_edge("classify", "shoe.png", "shoe.png", cwd=tmp_path)

    lines = result.stdout.splitlines()
    assert [re.match(r"shoe\.png: Sneaker (0\.[5-9]\d|>0\.99)", line) is not None for line in lines] == [True, True]


def test_of_more_than_one_picture_the_last_line_on_stderr_counts(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")
    pictures = ["shoe.png", "shoe.png", "gone.png"]

    result = fmnist_edge("classify", "--min-confidence", "1", *pictures, cwd=tmp_path)
    quiet = fmnist_edge("classify", "-q", *pictures, cwd=tmp_path)

    gone, last = result.stderr.splitlines()
    assert re.fullmatch(r"fmnist-edge: 3 pictures in \d+\.\d s: 2 unsure, 1 failed", last)
    assert quiet.stderr.splitlines() == [gone] == ["fmnist-edge: gone.png: no such file or directory"]


def test_tiles_as_png_score_as_the_arrays_do(classifier: Classifier, dataset: Dataset, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:05}.png" for number in range(500)]
    for path, tile in zip(paths, dataset.test_images, strict=False):
        Image.fromarray(tile).save(path)

    from_files = [prediction.probabilities for prediction in classifier.classify(paths)]
    from_arrays = [prediction.probabilities for prediction in classifier.classify(dataset.test_images[:500])]

    np.testing.assert_array_equal(from_files, from_arrays)


def test_json_lines_say_everything(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")

    result = fmnist_edge("classify", "--json", "--top-k", "2", "shoe.png", "gone.png", cwd=tmp_path)

    good, bad = map(json.loads, result.stdout.splitlines())
    assert result.returncode == 1
    assert good.keys() == {
        "path",
        "class_id",
        "label",
        "confidence",
        "unsure",
        "garment_found",
        "top",
        "milliseconds",
        "format",
        "kind",
    }
    assert (good["path"], good["class_id"], good["label"]) == ("shoe.png", 7, "Sneaker")
    assert good["top"][0] == {"class_id": 7, "label": "Sneaker", "confidence": good["confidence"]}
    assert len(good["top"]) == 2
    assert bad == {"format": 2, "path": "gone.png", "error": "no such file or directory"}


def test_top_k_is_how_many_classes_are_printed(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")

    many = fmnist_edge("classify", "--json", "--top-k", "5", "shoe.png", cwd=tmp_path)
    few = fmnist_edge("classify", "--json", "-k", "1", "shoe.png", cwd=tmp_path)
    columns = fmnist_edge("classify", "--csv", "-k", "2", "shoe.png", cwd=tmp_path)

    assert [len(json.loads(result.stdout)["top"]) for result in (many, few)] == [5, 1]
    assert columns.stdout.splitlines()[0].endswith(",class_id_2,label_2,confidence_2")


@pytest.mark.parametrize("model", sorted(path.name for path in MODELS.glob("fmnist-*")))
def test_each_artifact_classifies(model: str, sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")

    result = fmnist_edge("classify", "--model", MODELS / model, tmp_path / "shoe.png")

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Sneaker")


def test_a_folder_is_classified_in_order_of_name(sneaker: Image.Image, tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.webp", "d.bmp", "e.gif", "f.tiff"):
        sneaker.save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")

    result = fmnist_edge("classify", tmp_path)

    assert result.returncode == 0, result.stderr
    assert [Path(line.split(":")[0]).name for line in result.stdout.splitlines()] == [
        "a.jpg",
        "b.png",
        "c.webp",
        "d.bmp",
        "e.gif",
        "f.tiff",
    ]


def test_a_photo_is_turned_into_a_tile(sneaker_photo: Image.Image, classifier: Classifier) -> None:
    assert classifier.classify(sneaker_photo)[0].label == "Sneaker"


@pytest.mark.parametrize("edge", [280, 2800])
def test_a_rotated_photo_is_turned_upright(edge: int, sneaker_photo: Image.Image, classifier: Classifier, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to show it
    sneaker_photo.resize((edge, edge)).rotate(90).save(tmp_path / "phone.jpg", exif=exif)

    assert classifier.classify(tmp_path / "phone.jpg")[0].label == "Sneaker"


def test_a_transparent_background_is_no_garment(sneaker: Image.Image, sneaker_photo: Image.Image, classifier: Classifier) -> None:
    on_noise = Image.effect_noise((280, 280), 100).convert("RGB")
    mask = sneaker.resize((280, 280)).point(lambda value: 255 if value > 20 else 0)
    on_noise.paste(sneaker_photo, mask=mask)
    on_noise.putalpha(mask)

    assert classifier.classify(on_noise)[0].label == "Sneaker"


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK", "I;16", "F"])
def test_every_kind_of_pixel_is_understood(mode: str, sneaker_photo: Image.Image, classifier: Classifier) -> None:
    gray = sneaker_photo.convert("L")
    photo = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257) if mode == "I;16" else gray.convert(mode)

    assert photo.mode == mode
    assert classifier.classify(photo)[0].label == "Sneaker"


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2)])
def test_a_strange_shape_is_still_a_picture(size: tuple[int, int], classifier: Classifier) -> None:
    assert len(classifier.classify(Image.new("RGB", size, "red"))) == 1


def damaged_files(folder: Path, sneaker: Image.Image) -> dict[str, str]:
    """Writes one file for each way of being wrong. Returns what must be said of each."""
    sneaker.resize((300, 300)).save(folder / "whole.jpg")
    jpeg = (folder / "whole.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not a picture")
    (folder / "vector.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    (folder / "nothing-here").mkdir()
    os.mkfifo(folder / "pipe.png")
    return {
        "gone.png": "no such file or directory",
        "x" * 300 + ".png": "file name too long",
        "half.jpg": "the picture is truncated or damaged (image file is truncated",
        "empty.png": "the file is empty",
        "text.png": "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture",
        "vector.eps": "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture",
        "bomb.png": "larger than 64 million pixels (--max-pixels); make it smaller first",
        "nothing-here": "no pictures in this folder",
        "pipe.png": "not a file",
    }


def test_bad_pictures_are_named_and_the_rest_is_classified(sneaker: Image.Image, tmp_path: Path) -> None:
    expected = damaged_files(tmp_path, sneaker)

    result = fmnist_edge("classify", "-q", *expected, "whole.jpg", cwd=tmp_path)

    complaints = result.stderr.splitlines()
    assert result.returncode == 1
    assert result.stdout.startswith("whole.jpg: ")
    assert len(complaints) == len(expected)
    for line, (name, reason) in zip(complaints, expected.items(), strict=True):
        assert line.startswith(f"fmnist-edge: {name}: {reason}")


@pytest.mark.slow
def test_an_unreadable_file_is_named(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")
    (tmp_path / "shoe.png").chmod(0)
    # root may read everything, unless it gives that up
    drop_root = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    result = run(*drop_root, FMNIST_EDGE, "classify", "shoe.png", cwd=tmp_path)

    assert result.stderr == "fmnist-edge: shoe.png: permission denied\n"


def test_a_name_that_is_no_utf8_is_printed_escaped(sneaker: Image.Image, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    sneaker.save(tmp_path / name)

    result = fmnist_edge("classify", name, name, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("caf\\udce9.png: Sneaker")


@pytest.mark.slow
def test_json_is_valid_on_a_terminal_without_unicode(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "é☃.png")

    result = fmnist_edge("classify", "--json", "é☃.png", cwd=tmp_path, environment={"PYTHONIOENCODING": "ascii"})

    assert json.loads(result.stdout)["path"] == "é☃.png"


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_an_exit_status(sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")

    result = run("sh", "-c", f"{FMNIST_EDGE} classify shoe.png >/dev/full", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (1, "fmnist-edge: [Errno 28] No space left on device\n")


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(sneaker: Image.Image, tmp_path: Path) -> None:
    for number in range(200):
        sneaker.save(tmp_path / f"{number:03}.png")

    result = run("bash", "-c", f"{FMNIST_EDGE} classify . | head -n 1; exit ${{PIPESTATUS[0]}}", cwd=tmp_path)

    assert len(result.stdout.splitlines()) == 1
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_does_no_harm(closed: str, sneaker: Image.Image, tmp_path: Path) -> None:
    sneaker.save(tmp_path / "shoe.png")

    result = run("sh", "-c", f"{FMNIST_EDGE} classify shoe.png {closed}", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_a_large_picture_needs_little_memory(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((7000, 7000), np.uint16)).save(tmp_path / "large.png", compress_level=1)

    result = run("sh", "-c", f"ulimit -v 1500000; {FMNIST_EDGE} classify large.png", cwd=tmp_path)

    assert result.returncode == 0, result.stderr


def test_a_wrong_option_is_a_usage_error() -> None:
    result = fmnist_edge("classify", "--tpo-k", "1", "shoe.png")

    assert result.returncode == 2
    assert "No such option: --tpo-k" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_lists_the_command() -> None:
    result = fmnist_edge("--help")

    assert result.returncode == 0
    assert "classify" in result.stdout


def test_python_users_get_predictions(classifier: Classifier, dataset: Dataset, sneaker: Image.Image) -> None:
    predictions = classifier.classify([sneaker, dataset.test_images[0]])

    assert [prediction.label for prediction in predictions] == ["Sneaker", "Ankle boot"]
    assert predictions[0].probabilities.sum() == pytest.approx(1, abs=0.02)
    assert predictions[0].top(2)[0] == (predictions[0].class_id, predictions[0].confidence)


def test_no_pictures_give_no_predictions(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_a_broken_pillow_image_is_an_input_error(sneaker: Image.Image, classifier: Classifier) -> None:
    file = io.BytesIO()
    sneaker.resize((300, 300)).save(file, "png")

    with pytest.raises(InputError, match="truncated or damaged"):
        classifier.classify(Image.open(io.BytesIO(file.getvalue()[:200])))
    with pytest.raises(InputError, match="no pixels"):
        classifier.classify(Image.new("L", (0, 0)))


def test_a_missing_file_is_an_input_error_in_python(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="no such file"):
        classifier.classify("gone.png")
