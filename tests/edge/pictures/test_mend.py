"""What is left out of a picture's file, and what of a JPEG may be missing: byte by byte, of files that hold no picture."""

import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from fmnist_edge.errors import InputError
from fmnist_edge.pictures.mend import NOISE, exif_saying, is_of_pixels, mend

TURNED = exif_saying(6)
UPRIGHT = exif_saying(1)
GARBAGE = b"\0\x08\0\x02\x01\x12\0\x03 neither II nor MM"


def mended(content: bytes) -> bytes:
    """What is decoded in place of a file."""
    given: list[bytes] = []

    def decode(content: bytes) -> Image.Image:
        given.append(content)
        return Image.new("L", (1, 1))

    mend(content, decode)
    return given[0]


def test_exif_that_says_how_to_turn_is_read_as_such() -> None:
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + TURNED)

    assert dict(exif) == {0x0112: 6}


@pytest.mark.parametrize("content", [b"BM\x36\0\0\0", b"GIF89a", b"%PDF-1.7", b""])
def test_where_there_is_no_way_it_says_so(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^there is no way to mend it$"):
        mended(content)


def segment(marker: int, body: bytes = b"body") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


START, REST = b"\xff\xd8", segment(0xDA, b"scan") + b"what the picture shows \xff\xe1 \xff\xd9"


@pytest.mark.parametrize("marker", [0xC0, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xEE, 0xF0, 0xFD])
def test_of_a_jpeg_stays_what_its_pixels_need(marker: int) -> None:
    content = START + segment(marker) + segment(0xDB) + REST

    assert mended(content) == content


@pytest.mark.parametrize("marker", [*range(0xE1, 0xEE), 0xEF, 0xFE])
def test_what_applications_and_people_wrote_into_a_jpeg_goes(marker: int) -> None:
    text = b"longer than one byte can say" * 10

    content = START + segment(0xE0) + segment(marker, text) + segment(0xDB) + REST

    assert mended(content) == START + segment(0xE0) + segment(0xDB) + REST


def test_how_a_jpeg_is_to_be_turned_stays_and_nothing_else_of_its_exif() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"

    content = START + segment(0xE1, exif.tobytes()) + REST

    assert mended(content) == START + segment(0xE1, b"Exif\0\0" + TURNED) + REST


@pytest.mark.parametrize("exif", [GARBAGE, UPRIGHT, b""])
def test_exif_that_turns_nothing_goes(exif: bytes) -> None:
    assert mended(START + segment(0xE1, b"Exif\0\0" + exif) + REST) == START + REST


@pytest.mark.parametrize("padding", [b"\xff", b"\xff\xff"])
def test_padding_between_a_jpegs_segments_goes(padding: bytes) -> None:
    content = START + segment(0xDB) + padding + segment(0xC4) + REST

    assert mended(content) == START + segment(0xDB) + segment(0xC4) + REST


def test_a_jpeg_that_breaks_off_in_a_segment_is_read_as_far_as_it_goes() -> None:
    content = START + segment(0xDB) + segment(0xC4)[:-2]

    assert mended(content).startswith(content)


def chunk(kind: bytes, body: bytes = b"body") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PNG = b"\x89PNG\r\n\x1a\n"


def test_of_a_png_stay_the_critical_chunks_and_which_colour_is_transparent() -> None:
    needed = [chunk(b"IHDR", bytes(13)), chunk(b"PLTE", b"abc"), chunk(b"tRNS", b"\0"), chunk(b"IDAT", b""), chunk(b"IEND", b"")]
    others = [chunk(b"tEXt"), chunk(b"iCCP", b""), chunk(b"acTL"), chunk(b"pHYs", b"\0"), chunk(b"eXIf", GARBAGE)]

    assert mended(PNG + needed[0] + b"".join(others) + b"".join(needed[1:])) == PNG + b"".join(needed)


def test_how_a_png_is_to_be_turned_stays() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"

    content = PNG + chunk(b"IHDR") + chunk(b"eXIf", exif.tobytes()[6:]) + chunk(b"IDAT")

    assert mended(content) == PNG + chunk(b"IHDR") + chunk(b"eXIf", TURNED) + chunk(b"IDAT")
    assert mended(PNG + chunk(b"eXIf", UPRIGHT) + chunk(b"IDAT")) == PNG + chunk(b"IDAT")


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def extended(flags: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes([flags, 0, 0, 0, 99, 0, 0, 49, 0, 0])


ALPHA, PIXELS = (b"ALPH", b"odd"), (b"VP8 ", b"pixels")


def test_of_a_webp_metadata_go_with_the_bits_that_announce_them() -> None:
    content = riff(extended(0x3C), (b"ICCP", b"profile"), ALPHA, PIXELS, (b"EXIF", GARBAGE), (b"XMP ", b"<x/>"))

    assert mended(content) == riff(extended(0x10), ALPHA, PIXELS)


def test_a_webp_without_metadata_stays_as_it_is() -> None:
    assert mended(riff(PIXELS)) == riff(PIXELS)
    assert mended(riff(extended(0x12), ALPHA, PIXELS)) == riff(extended(0x12), ALPHA, PIXELS)


@pytest.mark.parametrize("exif", [TURNED, TURNED + b"\0"])
def test_how_a_webp_is_to_be_turned_stays(exif: bytes) -> None:
    content = riff(extended(0x3C), (b"ICCP", b""), ALPHA, PIXELS, (b"EXIF", exif), (b"XMP ", b"<x/>"))

    assert mended(content) == riff(extended(0x18), ALPHA, PIXELS, (b"EXIF", TURNED))


def test_a_webp_in_the_simple_form_has_no_place_for_it() -> None:
    assert mended(riff(PIXELS, (b"EXIF", TURNED))) == riff(PIXELS)


Tag = tuple[int, int, int, int]


def tiff(order: str, tags: list[Tag], pixels: bytes, start: int = 8) -> bytes:
    """The list of tags stands before the pixels, or, from ``start`` on, behind them."""
    listing = struct.pack(f"{order}H", len(tags)) + b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags) + bytes(4)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    return head + listing + pixels if start == 8 else head + pixels.ljust(start - 8, b"\0") + listing


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pixels", [b"pixels", b"seven.."])
def test_of_a_tiff_stay_the_tags_that_its_pixels_need_in_a_list_at_the_end(order: str, pixels: bytes) -> None:
    needed: list[Tag] = [(256, 4, 1, 100), (259, 4, 1, 1), (273, 4, 1, 8)]
    others: list[Tag] = [(270, 2, 2**31, 2**31), (34665, 4, 1, 2**31)]
    content = tiff(order, [needed[0], others[0], *needed[1:], others[1]], pixels)
    end = len(content) + len(content) % 2

    assert mended(content) == tiff(order, needed, content[8:], end)


@pytest.mark.parametrize("order", ["<", ">"])
def test_how_a_tiff_is_to_be_turned_stays_if_it_is_one_number_of_16_bits(order: str) -> None:
    six = 6 if order == "<" else 6 << 16
    width: Tag = (256, 4, 1, 100)

    def kept(tag: Tag) -> bool:
        content = tiff(order, [width, tag], b"pixels")
        return mended(content) == tiff(order, [width, tag], content[8:], len(content))

    assert kept((274, 3, 1, six))
    assert not kept((274, 4, 1, six))
    assert not kept((274, 3, 2, six))


@pytest.mark.parametrize(
    ("tag", "of_pixels"),
    [
        ((274, 3, 1, 0), False),
        ((274, 3, 1, 1), True),
        ((274, 3, 1, 8), True),
        ((274, 3, 1, 9), False),
        ((274, 3, 0, 6), False),
        ((253, 4, 1, 0), False),
        ((254, 4, 1, 0), True),
        ((259, 3, 1, 5), True),
        ((260, 3, 1, 5), False),
        ((347, 7, 99, 0), True),
        ((700, 1, 99, 0), False),
    ],
)
def test_tags_of_pixels_are_told_from_others(tag: Tag, of_pixels: bool) -> None:
    assert is_of_pixels(*tag) == of_pixels


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bigtiff_is_none_that_can_be_mended(order: str) -> None:
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)

    with pytest.raises(InputError, match=r"^a BigTIFF$"):
        mended(head)


def breaking_off_at(row: int, height: int = 160) -> Callable[[bytes], Image.Image]:
    """Decodes a JPEG without an end, whose last rows come out as whatever stands there."""

    def decode(content: bytes) -> Image.Image:
        assert content.endswith(b"\xff\xd9")
        image = Image.new("L", (10, height))
        image.paste(255 if NOISE in content else 0, (0, row, 10, height))
        return image

    return decode


BROKEN_OFF = START + segment(0xDB) + segment(0xDA) + b"half of it"


@pytest.mark.parametrize("row", [150, 159, 160])
def test_a_jpeg_may_lack_a_sixteenth_of_its_rows(row: int) -> None:
    image = mend(BROKEN_OFF, breaking_off_at(row))

    assert image.getextrema() == (0, 0)  # nothing of the noise


@pytest.mark.parametrize("row", [0, 149])
def test_a_jpeg_that_lacks_more_is_damaged(row: int) -> None:
    with pytest.raises(InputError, match=r"^more than its last rows are missing$"):
        mend(BROKEN_OFF, breaking_off_at(row))


@pytest.mark.parametrize("padding", [b"", b"\0", bytes(512)])
def test_a_jpeg_that_has_its_end_is_whole_whatever_follows(padding: bytes) -> None:
    content = BROKEN_OFF + b"\xff\xd9" + padding

    assert mended(content) == content
