"""Picture files: which are opened, how large they may be, what is said of each that can't be read."""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

from fmnist_edge.errors import InputError
from fmnist_edge.pictures import decode as module
from fmnist_edge.pictures.decode import MAX_PIXELS, SMALL, as_input_error, check_size, decode, read_image, too_large
from fmnist_edge.pictures.kinds import CONVERT

NOISE = Image.effect_noise((400, 300), 100)


def refusal(path: str | os.PathLike[str], *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path, *arguments)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff"])
@pytest.mark.parametrize("edge", [28, 600])
def test_each_format_is_read_whether_small_or_large(suffix: str, edge: int, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    NOISE.resize((edge, edge)).convert("P" if suffix == "gif" else "RGB").save(path)

    image = read_image(path)

    assert max(image.size) == (edge if suffix != "jpg" or edge < 512 else 300)
    assert image.getextrema()  # it is loaded: its file is closed


@pytest.mark.parametrize("suffix", ["ppm", "eps", "ico"])
def test_formats_that_nobody_needs_are_never_opened(suffix: str, tmp_path: Path) -> None:
    NOISE.convert("RGB").resize((64, 64)).save(tmp_path / f"picture.{suffix}")

    assert refusal(tmp_path / f"picture.{suffix}") == "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture"


def test_a_large_jpeg_is_decoded_at_a_fraction_that_is_large_enough(tmp_path: Path) -> None:
    for edge, decoded in ((511, 511), (512, 256), (1024, 256), (1000, 500), (5000, 625)):
        Image.new("RGB", (edge, edge)).save(tmp_path / "large.jpg")
        assert read_image(tmp_path / "large.jpg").size == (decoded, decoded)


def write(path: Path, size: int) -> Path:
    """A BMP of so many bytes; what follows the picture is nothing to it."""
    file = io.BytesIO()
    Image.new("L", (28, 28), 5).save(file, "bmp")
    path.write_bytes(file.getvalue() + bytes(size - len(file.getvalue())))
    return path


@pytest.mark.parametrize("size", [SMALL - 1, SMALL, SMALL + 1])
def test_around_the_size_that_is_read_at_once_pictures_are_read(size: int, tmp_path: Path) -> None:
    assert SMALL == 100_000
    assert read_image(write(tmp_path / "picture.bmp", size)).getpixel((0, 0)) == 5


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    NOISE.save(tmp_path / "small.png")
    (tmp_path / "large.bmp").write_bytes(write(tmp_path / "x.bmp", 2 * SMALL).read_bytes())
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    (tmp_path / "empty.png").touch()

    for name in ("small.png", "large.bmp", "bad.png", "empty.png", "."):
        with suppress(InputError):
            read_image(tmp_path / name)

    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_no_file_is_said_to_be_none_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").touch()

    assert refusal(tmp_path) == "is a directory"
    assert refusal(tmp_path / "pipe.png") == "not a file"
    assert refusal("/dev/null") == "not a file"
    assert refusal(tmp_path / "empty.png") == "the file is empty"
    assert refusal(tmp_path / "gone.png") == "no such file or directory"
    assert refusal(tmp_path / ("x" * 300)) == "file name too long"
    assert refusal("shoe\0.png") == "embedded null byte"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif"])
def test_half_a_picture_is_damaged(suffix: str, tmp_path: Path) -> None:
    NOISE.save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / "half").write_bytes(content[: len(content) // 2])

    assert refusal(tmp_path / "half").startswith("the picture is truncated or damaged (")


def test_a_picture_with_one_pixel_too_many_is_refused_undecoded(tmp_path: Path) -> None:
    Image.new("1", (1000, 500)).save(tmp_path / "picture.png")

    assert read_image(tmp_path / "picture.png", 500_000).size == (1000, 500)
    assert refusal(tmp_path / "picture.png", 499_999) == (
        "larger than 0.499999 million pixels (--max-pixels); make it smaller first"
    )


def test_by_default_64_million_pixels_are_decoded_at_most(tmp_path: Path) -> None:
    assert MAX_PIXELS == 64_000_000
    Image.new("1", (8001, 8000)).save(tmp_path / "bomb.png")

    message = "larger than 64 million pixels (--max-pixels); make it smaller first"
    assert refusal(tmp_path / "bomb.png") == message
    with pytest.raises(InputError, match=r"larger than 64 million"), open(tmp_path / "bomb.png", "rb") as file:
        decode(file)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError) as caught:
        check_size(Image.new("L", size), 100)
    assert str(caught.value) == "the picture has no pixels"


@pytest.mark.parametrize("size", [(10, 10), (1, 100), (100, 1), (1, 1)])
def test_a_picture_up_to_the_limit_is_not(size: tuple[int, int]) -> None:
    check_size(Image.new("L", size), 100)


def test_whatever_pillow_raises_is_an_input_error() -> None:
    ours = InputError("not a file")

    assert as_input_error(ours) is ours
    assert str(as_input_error(UnidentifiedImageError("x"))) == "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture"
    assert str(as_input_error(Image.DecompressionBombError("x"))) == str(too_large(MAX_PIXELS))
    assert str(as_input_error(SyntaxError("broken\nPNG"))) == "the picture is truncated or damaged (broken)"


@pytest.mark.parametrize(
    ("said", "begin", "complaint"),
    [
        ("Unsupported BMP compression (9)", b"BM", "a kind of BMP that can't be read here (Unsupported BMP compression (9)); {}"),
        (
            "cannot handle 5-layer images",
            b"\xff\xd8\xff",
            "a kind of JPEG that can't be read here (cannot handle 5-layer images); {}",
        ),
        ("unknown pixel mode", b"II*\0", "a kind of TIFF that can't be read here (unknown pixel mode); {}"),
        ("unknown pixel mode", b"", "the picture is truncated or damaged (unknown pixel mode)"),
        ("header unsupported", b"BM", "the picture is truncated or damaged (header unsupported)"),
    ],
)
def test_a_kind_of_picture_that_pillow_can_not_read_is_not_called_damaged(said: str, begin: bytes, complaint: str) -> None:
    assert str(as_input_error(OSError(said), begin)) == complaint.format(CONVERT)


def test_what_is_no_picture_is_called_what_it_is_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "phone.png").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (tmp_path / "page.png").write_bytes(b"%PDF-1.7" + bytes(100))

    assert ", but HEIC; save it as JPEG or PNG" in refusal(tmp_path / "phone.png")
    assert refusal(tmp_path / "page.png").endswith(", but a PDF; save it as JPEG or PNG")


def test_a_photo_is_decoded_in_full_if_that_is_wanted(tmp_path: Path) -> None:
    Image.new("RGB", (1024, 600)).save(tmp_path / "large.jpg")

    assert read_image(tmp_path / "large.jpg", whole=True).size == (1024, 600)
    with open(tmp_path / "large.jpg", "rb") as file:
        assert decode(file, whole=True).size == (1024, 600)
    assert refusal(tmp_path / "large.jpg", 614_399, True).startswith("larger than 0.614399 million pixels")
    assert read_image(tmp_path / "large.jpg", 614_399).size == (512, 300)  # what is decoded counts


def test_a_large_file_is_decoded_in_full_too_and_by_default_none_is(tmp_path: Path) -> None:
    NOISE.resize((1024, 600)).convert("RGB").save(tmp_path / "large.jpg", quality=100, subsampling=0)
    assert (tmp_path / "large.jpg").stat().st_size > SMALL

    assert read_image(tmp_path / "large.jpg", whole=True).size == (1024, 600)
    assert read_image(tmp_path / "large.jpg").size == (512, 300)
    with open(tmp_path / "large.jpg", "rb") as file:
        assert decode(file).size == (512, 300)


def test_of_a_jpeg_only_what_is_decoded_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow by itself refuses 178 million pixels however few are wanted."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for suffix in ("jpg", "png"):
        Image.new("RGB", (1024, 600)).save(tmp_path / f"large.{suffix}")

    assert read_image(tmp_path / "large.jpg").size == (512, 300)
    assert refusal(tmp_path / "large.png").startswith("larger than ")


def test_a_progressive_jpeg_counts_in_full_as_all_of_it_is_held(tmp_path: Path) -> None:
    Image.new("RGB", (1024, 600)).save(tmp_path / "large.jpg", progressive=True)

    assert read_image(tmp_path / "large.jpg", 614_400).size == (512, 300)
    assert refusal(tmp_path / "large.jpg", 614_399).startswith("larger than 0.614399 million pixels")


def test_a_damaged_tiff_says_nothing_on_stderr_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    NOISE.save(tmp_path / "whole.tiff", compression="tiff_lzw")
    content = bytearray((tmp_path / "whole.tiff").read_bytes())
    content[1000:1300] = b"\xff" * 300
    (tmp_path / "damaged.tiff").write_bytes(content)

    assert refusal(tmp_path / "damaged.tiff").startswith("the picture is truncated or damaged (")
    assert capfd.readouterr().err == ""


def test_the_limits_are_those_that_a_small_device_can_hold() -> None:
    assert (module.WORKING_EDGE, module.MAX_BYTES) == (256, 256_000_000)
    assert module.TOO_LONG == "larger than 256 MB; unpack it first"
