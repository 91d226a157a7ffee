"""What is a picture, by its name; and what a file is that is none, by its first bytes."""

import pytest

from fmnist_edge.pictures.kinds import CONVERT, format_of, is_picture, why_not


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.jpeg", "a.webp", "a.bmp", "a.gif", "a.tif", "a.tiff", "A.JPG", "x.y.Png", "./a.png", "../a.png"]
)
def test_a_picture_is_known_by_its_suffix(name: str) -> None:
    assert is_picture(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "png",
        "a.png.zip",
        "a.eps",
        "",
        ".png",
        "._a.jpg",
        "__MACOSX/a.jpg",
        "a/.b/c.png",
        "@eaDir\\a.jpg",
        "$RECYCLE.BIN/a.png",
    ],
)
def test_other_files_are_no_pictures(name: str) -> None:
    assert not is_picture(name)


@pytest.mark.parametrize(
    ("begin", "known"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0", "JPEG"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "WebP"),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"RIFX\x24\0\0\0WEBPVP8 ", None),
        (b"BM\x36\0\0\0\0\0\0\0", "BMP"),
        (b"GIF89a", "GIF"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"MM\0+\0\x08\0\0", "TIFF"),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_a_format_is_known_by_its_first_bytes(begin: bytes, known: str | None) -> None:
    assert format_of(begin) == known


NOT_A_PICTURE = "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture"


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", f"damaged, or a kind of PNG that can't be read here; {CONVERT}"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", f"{NOT_A_PICTURE}, but HEIC; {CONVERT} (on an iPhone: Settings, Camera, Formats, "
         "Most Compatible)"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", f"{NOT_A_PICTURE}, but AVIF; {CONVERT}"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", f"{NOT_A_PICTURE}, but a raw picture; {CONVERT}"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", f"{NOT_A_PICTURE}, but a video; 'fmnist-edge camera' watches it"),
        (b"%PDF-1.7", f"{NOT_A_PICTURE}, but a PDF; {CONVERT}"),
        (b"Rar!\x1a\x07", f"{NOT_A_PICTURE}, but a RAR archive; unpack it first"),
        (b"\xff\x0a\xfa", f"{NOT_A_PICTURE}, but JPEG XL; {CONVERT}"),
        (b"plain text", NOT_A_PICTURE),
        (b"", NOT_A_PICTURE),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_called_what_it_is(begin: bytes, reason: str) -> None:
    assert why_not(begin) == reason
