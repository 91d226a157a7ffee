"""`fmnist-edge explain`: the parts of the picture that it draws, and what it says where it can't."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fmnist_edge import Classifier
from fmnist_edge.classify.explain import photo_and_garment
from fmnist_edge.pictures.photo import cut_out
from fmnist_edge.pictures.tile import look
from support.commands import FMNIST_EDGE, MODELS, fmnist_edge, run
from train.dataset import Dataset

GARMENT, GROUND = (200, 40, 40), (120, 200, 120)
SURE, UNSURE, EMPTY = (37, 99, 201), (217, 115, 13), (237, 240, 243)  # the colours of the bars

Pixels = NDArray[np.uint8]


@pytest.fixture
def shirt() -> Image.Image:
    """A photo of which the garment is a quarter; the ground is not plain, as no ground is."""
    photo = Image.new("RGB", (300, 400), GROUND)
    ImageDraw.Draw(photo).rectangle((75, 100, 224, 299), GARMENT)
    return photo


def explained(photo: str | Path, folder: Path, *options: str | Path) -> Pixels:
    """The picture that is drawn, (height, width, 3)."""
    result = fmnist_edge("explain", photo, *options, cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(folder / f"{Path(photo).stem}-explained.png") as page:
        return np.asarray(page)


def count(page: Pixels, colour: tuple[int, int, int]) -> int:
    return int((page == colour).all(2).sum())


def shows(page: Pixels, tile: Pixels) -> bool:
    """Whether the tile is somewhere on the page, each of its pixels a square of 10x10."""
    enlarged = tile.repeat(10, 0).repeat(10, 1)
    gray = np.where((page == page[..., :1]).all(2), page[..., 0], 1)
    windows = sliding_window_view(gray, enlarged.shape)
    places = np.argwhere((windows[..., ::10, ::10] == tile).all((2, 3)))
    return any((windows[y, x] == enlarged).all() for y, x in places)


def test_the_tile_of_a_photo_is_shown_enlarged_and_sharp(shirt: Image.Image, tmp_path: Path) -> None:
    shirt.save(tmp_path / "shirt.png")

    page = explained("shirt.png", tmp_path)

    assert shows(page, look(shirt).tile)


def test_the_photo_is_shown_and_again_with_its_ground_dimmed(shirt: Image.Image, tmp_path: Path) -> None:
    shirt.save(tmp_path / "shirt.png")

    page = explained("shirt.png", tmp_path)

    # the garment twice, the ground once
    assert count(page, GARMENT) / count(page, GROUND) == pytest.approx(2 * 0.25 / 0.75, rel=0.1)


def test_a_photo_without_a_garment_is_shown_twice_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), GROUND).save(tmp_path / "wall.png")

    assert count(explained("wall.png", tmp_path), GROUND) == 2 * 280 * 280


def test_a_turned_photo_is_shown_upright(shirt: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to show it
    shirt.save(tmp_path / "upright.png")
    shirt.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)

    np.testing.assert_array_equal(explained("turned.png", tmp_path), explained("upright.png", tmp_path))


def test_a_tile_is_shown_as_it_is_and_needs_no_mask(dataset: Dataset, shirt: Image.Image, tmp_path: Path) -> None:
    Image.fromarray(dataset.test_images[0]).save(tmp_path / "tile.png")
    shirt.save(tmp_path / "shirt.png")

    page = explained("tile.png", tmp_path)

    assert shows(page, dataset.test_images[0])
    assert page.shape[1] < explained("shirt.png", tmp_path).shape[1] / 1.5


def test_a_sure_answer_is_blue(dataset: Dataset, classifier: Classifier, tmp_path: Path) -> None:
    confidences = [prediction.confidence for prediction in classifier.classify(dataset.test_images)]
    Image.fromarray(dataset.test_images[np.argmax(confidences)]).save(tmp_path / "tile.png")

    page = explained("tile.png", tmp_path)

    assert count(page, SURE) > 1000
    assert count(page, UNSURE) == 0


def test_an_unsure_answer_is_orange_and_its_bar_as_long_as_it_is_probable(
    dataset: Dataset, classifier: Classifier, tmp_path: Path
) -> None:
    confidences = np.array([prediction.confidence for prediction in classifier.classify(dataset.test_images)])
    unsure = np.abs(confidences - 0.4).argmin()
    Image.fromarray(dataset.test_images[unsure]).save(tmp_path / "tile.png")

    page = explained("tile.png", tmp_path)

    full, empty = ((page == colour).all(2) for colour in (UNSURE, EMPTY))
    bars = np.ix_(empty.any(1), empty.any(0))
    assert full[bars].any(0).mean() == pytest.approx(confidences[unsure], abs=0.02)
    assert count(page, SURE) == 0


def test_the_line_says_where_it_is_and_what_the_model_says(tmp_path: Path) -> None:
    result = fmnist_edge("explain", Path("docs/shoe.png").resolve(), cwd=tmp_path)

    assert re.fullmatch(r"shoe-explained\.png: Sneaker (0\.\d\d|>0\.99)\n", result.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["shoe-explained.png"]


def test_another_place_and_another_model_can_be_named(tmp_path: Path) -> None:
    out = tmp_path / "why.png"

    result = fmnist_edge("explain", "docs/shoe.png", "-o", out, "-m", MODELS / "fmnist-float.tflite")

    assert result.stdout.startswith(f"{out}: Sneaker")
    assert out.stat().st_size > 1000


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to])
def test_the_photo_itself_is_never_overwritten(link: object, shirt: Image.Image, tmp_path: Path) -> None:
    shirt.save(tmp_path / "shirt.png")
    link(tmp_path / "same.png", tmp_path / "shirt.png")  # type: ignore[operator]
    before = (tmp_path / "shirt.png").read_bytes()

    for name in ("shirt.png", "same.png", "../" + tmp_path.name + "/shirt.png"):
        result = fmnist_edge("explain", "shirt.png", "--out", name, cwd=tmp_path)
        assert result.returncode == 2
        assert result.stderr == f"fmnist-edge: {name} is the picture itself; name another file with --out\n"

    assert (tmp_path / "shirt.png").read_bytes() == before


def test_what_it_writes_is_a_png(tmp_path: Path) -> None:
    result = fmnist_edge("explain", "docs/shoe.png", "--out", tmp_path / "why.jpg")

    assert (result.returncode, result.stderr) == (2, f"fmnist-edge: {tmp_path / 'why.jpg'} must end in .png\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.png", "no such file or directory"),
        ("notes.png", "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture"),
    ],
)
def test_what_is_no_picture_is_one_line(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("buy socks")

    result = fmnist_edge("explain", name, cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"fmnist-edge: {name}: {reason}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.png"]


def test_several_are_explained_a_video_by_its_first_frame_and_explanations_are_not(shirt: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("shirt.png", "old-explained.png"):
        shirt.save(tmp_path / "photos" / name)

    result = fmnist_edge("explain", "photos", "gone.png", Path("docs/clothes.mp4").resolve(), "--out", "why", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (1, "fmnist-edge: gone.png: no such file or directory\n")
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [
        "why/shirt-explained.png",
        "why/clothes-explained.png",
    ]
    assert sorted(path.name for path in (tmp_path / "why").iterdir()) == ["clothes-explained.png", "shirt-explained.png"]


def test_several_do_not_fit_into_one_file(shirt: Image.Image, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        shirt.save(tmp_path / name)

    result = fmnist_edge("explain", "one.png", "two.png", "--out", "why.png", cwd=tmp_path)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "fmnist-edge: why.png is one file, but there are several pictures; name a folder with --out\n"


def test_a_photo_that_lies_on_its_side_is_turned_as_is_said(shirt: Image.Image, tmp_path: Path) -> None:
    shirt.save(tmp_path / "upright.png")
    shirt.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png")

    turned = explained("lying.png", tmp_path, "--rotate", "90")

    np.testing.assert_array_equal(turned, explained("upright.png", tmp_path))


def test_half_a_photo_is_one_line(shirt: Image.Image, tmp_path: Path) -> None:
    shirt.effect_spread(50).save(tmp_path / "shirt.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "shirt.jpg").read_bytes()[:9000])

    result = fmnist_edge("explain", "half.jpg", cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("fmnist-edge: half.jpg: the picture is truncated or damaged")
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "gone" / "why.png"

    result = fmnist_edge("explain", "docs/shoe.png", "--out", out)

    assert (result.returncode, result.stderr) == (1, f"fmnist-edge: {out} can't be written (no such file or directory)\n")


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_to_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    # root may write everywhere, unless it gives that up
    drop_root = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []

    result = run(*drop_root, FMNIST_EDGE, "explain", "docs/shoe.png", "--out", tmp_path / "why.png")

    assert (result.returncode, result.stderr) == (
        1,
        f"fmnist-edge: {tmp_path / 'why.png'} can't be written (permission denied)\n",
    )


@pytest.mark.slow
def test_where_there_is_no_room_the_old_picture_stays(tmp_path: Path) -> None:
    (tmp_path / "why.png").write_text("old")

    # no file may become longer than 512 bytes
    result = run("sh", "-c", f"ulimit -f 1; {FMNIST_EDGE} explain docs/shoe.png --out {tmp_path / 'why.png'}")

    assert (result.returncode, result.stderr) == (1, f"fmnist-edge: {tmp_path / 'why.png'} can't be written (file too large)\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_damaged_model_draws_nothing(tmp_path: Path) -> None:
    (tmp_path / "half.tflite").write_bytes((MODELS / "fmnist-int8.tflite").read_bytes()[:1000])

    result = fmnist_edge("explain", "docs/shoe.png", "--out", tmp_path / "why.png", "--model", tmp_path / "half.tflite")

    assert result.returncode == 3
    assert not (tmp_path / "why.png").exists()


@pytest.mark.slow
def test_a_pillow_without_freetype_draws_too(shirt: Image.Image, tmp_path: Path) -> None:
    shirt.save(tmp_path / "shirt.png")
    program = "import sys; sys.modules['PIL._imagingft'] = None; from fmnist_edge.cli import main; main()"

    result = run(sys.executable, "-c", program, "explain", "shirt.png", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "shirt-explained.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("ground", "garment", "heading"),
    [
        (GROUND, GARMENT, "The garment found in it"),
        ((200, 190, 170), (192, 182, 162), "Nothing stands out: a guess"),
        ((200, 190, 170), (200, 190, 170), "Nothing stands out: all of it is taken"),
    ],
)
def test_the_heading_says_whether_the_garment_can_be_trusted(
    ground: tuple[int, int, int], garment: tuple[int, int, int], heading: str
) -> None:
    photo = Image.new("RGB", (300, 400), ground)
    ImageDraw.Draw(photo).rectangle((75, 100, 224, 299), garment)

    assert photo_and_garment(photo, cut_out(photo))[1][0] == heading
