"""What is a picture, by its name; and what a file is that is none, by its first bytes."""

import pytest

from fmnist_edge.pictures.kinds import CONVERT, format_of, is_film, is_kept_aside, is_picture, why_not


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
    "suffix",
    [
        *("apng", "jpe", "jif", "jfif", "dib", "heic", "heif", "hif", "avif", "jxl", "jp2"),
        *("dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf"),
    ],
)
def test_rarer_pictures_and_those_that_can_not_be_read_are_named_too(suffix: str) -> None:
    assert is_picture(f"IMG_1.{suffix.upper()}")


@pytest.mark.parametrize(
    ("path", "aside"),
    [
        (".", False),
        ("..", False),
        ("a/./b", False),
        ("a/../b", False),
        (".a", True),
        ("...", True),
        ("a\\.b\\c", True),
        ("@eaDir", True),
    ],
)
def test_hidden_files_and_folders_are_kept_aside_and_the_way_to_a_folder_is_not(path: str, aside: bool) -> None:
    assert is_kept_aside(path) is aside


@pytest.mark.parametrize(
    "begin",
    [
        *(
            b"\x1aE\xdf\xa3",
            b"\0\0\x01\xba",
            b"\0\0\x01\xb3",
            b"\0\0\0\x01",
            b"FLV\x01",
            b"OggS",
            b"0&\xb2u",
            b"YUV4MPEG2",
            b"DKIF",
        ),
        *(b"\0\0\0\x14ftypqt  ", b"\0\0\0\x08moov", b"\0\0\0\x08mdat", b"\0\0\0\x08wide", b"RIFF\0\0\0\0AVI LIST"),
    ],
)
def test_a_video_is_known_by_its_first_bytes(begin: bytes) -> None:
    assert is_film(begin)
    assert why_not(begin).endswith(", but a video; 'fmnist-edge camera' watches it")


@pytest.mark.parametrize(
    "begin",
    [b"", b"moov", b"RIFF\0\0\0\0WAVE", b"RIFX\0\0\0\0AVI ", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavis", b"\0\0\0\x18ftypcrx "],
)
def test_sounds_and_pictures_are_no_videos(begin: bytes) -> None:
    assert not is_film(begin)


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
        *((b"\0\0\0\x18ftyp" + brand, f"{NOT_A_PICTURE}, but HEIC; {CONVERT} (on an iPhone: Settings, Camera, Formats, "
           "Most Compatible)") for brand in (b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")),
        (b"\0\0\0\x18ftypavis", f"{NOT_A_PICTURE}, but AVIF; {CONVERT}"),
        *((begin, f"{NOT_A_PICTURE}, but a raw picture; {CONVERT}") for begin in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS",
                                                                                               b"IIU\0")),
        (b"\0\0\0\x0cJXL \r\n", f"{NOT_A_PICTURE}, but JPEG XL; {CONVERT}"),
        (b"\0\0\0\x0cjP  \r\n", f"{NOT_A_PICTURE}, but JPEG 2000; {CONVERT}"),
        (b"8BPS\0\1", f"{NOT_A_PICTURE}, but a Photoshop file; {CONVERT}"),
        (b"\0\5\x16\7\0\2", f"{NOT_A_PICTURE}, but what macOS keeps beside a picture; the picture has the name without '._'"),
        (b"7z\xbc\xaf\x27\x1c", f"{NOT_A_PICTURE}, but a 7z archive; unpack it first"),
        (b"PK\3\4", f"{NOT_A_PICTURE}, but a ZIP archive; its name should end in .zip"),
        (b"plain text", NOT_A_PICTURE),
        (b"", NOT_A_PICTURE),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_called_what_it_is(begin: bytes, reason: str) -> None:
    assert why_not(begin) == reason
