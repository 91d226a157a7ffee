"""Broken or huge metadata, and a missing end: pictures whose pixels are good are read; those that lack more are not."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from fmnist_edge.contract import Tile
from fmnist_edge.errors import InputError
from fmnist_edge.pictures.decode import decode
from fmnist_edge.pictures.tile import view_of

SIZES = [(75, 100), (480, 640), (900, 1200)]
GARBAGE = b"Exif\0\0\0\x08\0\x02\x01\x12\0\x03 neither II nor MM"
TURNED_LEFT = 6  # EXIF's number for: turn it clockwise to show it


def photo(size: tuple[int, int]) -> Image.Image:
    """A boot, which looks different however it is turned."""
    width, height = size
    image = Image.new("RGB", size, (235, 230, 225))
    outline = [(0.3, 0.1), (0.55, 0.1), (0.55, 0.6), (0.9, 0.75), (0.9, 0.9), (0.3, 0.9)]
    ImageDraw.Draw(image).polygon([(x * width, y * height) for x, y in outline], fill=(120, 60, 40))
    return image


def content_of(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tile_of(content: bytes) -> Tile:
    return view_of(decode(io.BytesIO(content)), "auto").tile


def alike(tile: Tile, other: Tile) -> bool:
    return bool(np.abs(tile.astype(int) - other).mean() < 8)


def png_chunk(kind: bytes, body: bytes, crc_off_by: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ crc_off_by)


def with_png_chunk(content: bytes, chunk: bytes) -> bytes:
    return content[:33] + chunk + content[33:]


def with_jpeg_segment(content: bytes, marker: int, body: bytes) -> bytes:
    return content[:2] + struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body + content[2:]


def with_tiff_tag(content: bytes, *tag: int) -> bytes:
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    tags = [content[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    tags = sorted([*tags, struct.pack("<HHII", *tag)], key=lambda entry: struct.unpack_from("<H", entry))
    listing = struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    return content[:4] + struct.pack("<I", len(content)) + content[8:] + listing


Break = Callable[[bytes], bytes]
TEXT = b"comment\0\0" + zlib.compress(bytes(2_000_000))
BROKEN: dict[str, tuple[str, Break]] = {
    "JPEG, EXIF": ("JPEG", lambda content: with_jpeg_segment(content, 0xE1, GARBAGE)),
    "JPEG, several pictures that are not there": (
        "JPEG",
        lambda content: with_jpeg_segment(content, 0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0\x01\xb0\x04\0\x01\0\0\0\x05\0\0\0\0\0\0\0"),
    ),
    "JPEG, Photoshop": ("JPEG", lambda content: with_jpeg_segment(content, 0xED, b"Photoshop 3.0\x008BIM\x03\xed\xff\xff\xff")),
    "PNG, EXIF": ("PNG", lambda content: with_png_chunk(content, png_chunk(b"eXIf", GARBAGE[6:]))),
    "PNG, a long text": ("PNG", lambda content: with_png_chunk(content, png_chunk(b"zTXt", TEXT))),
    "PNG, a long profile": ("PNG", lambda content: with_png_chunk(content, png_chunk(b"iCCP", TEXT))),
    "PNG, a text's checksum": ("PNG", lambda content: with_png_chunk(content, png_chunk(b"tEXt", b"a\0b", crc_off_by=1))),
    "PNG, a short pHYs": ("PNG", lambda content: with_png_chunk(content, png_chunk(b"pHYs", b"\0"))),
    "PNG, an animation's control": ("PNG", lambda content: with_png_chunk(content, png_chunk(b"acTL", b"\0"))),
    "TIFF, EXIF far away": ("TIFF", lambda content: with_tiff_tag(content, 34665, 3, 5, 2**31)),
    "TIFF, a number for XMP": ("TIFF", lambda content: with_tiff_tag(content, 700, 4, 1, 8)),
    "TIFF, numbers for a description": ("TIFF", lambda content: with_tiff_tag(content, 270, 99, 2**31, 2**31)),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("way", BROKEN)
def test_metadata_refuse_no_picture_of_any_size(way: str, size: tuple[int, int]) -> None:
    kind, breaking = BROKEN[way]
    content = content_of(photo(size), kind)

    np.testing.assert_array_equal(tile_of(breaking(content)), tile_of(content))


def test_a_photo_that_had_to_be_mended_is_in_full_if_that_is_wanted() -> None:
    content = content_of(photo((900, 1200)), "JPEG")[:-2]

    assert decode(io.BytesIO(content), whole=True).size == (900, 1200)
    assert decode(io.BytesIO(content)).size == (450, 600)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("kind", "way"), [("JPEG", ""), ("WEBP", ""), ("TIFF", ""), ("PNG", ""), ("PNG", "PNG, a long text")])
def test_a_picture_is_turned_upright_whatever_else_is_wrong(kind: str, way: str, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = TURNED_LEFT
    upright = photo(size)
    content = content_of(upright.transpose(Image.Transpose.ROTATE_90), kind, exif=exif)

    if way:
        content = BROKEN[way][1](content)

    assert alike(tile_of(content), tile_of(content_of(upright, kind)))
    assert not alike(tile_of(content), tile_of(content_of(upright.transpose(Image.Transpose.ROTATE_90), kind)))


def test_a_webp_whose_profile_is_cut_off_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = TURNED_LEFT
    whole = content_of(photo((300, 400)), "WEBP", exif=exif, xmp=b"<x/>")
    cut = whole[: whole.index(b"XMP ") + 6]

    np.testing.assert_array_equal(tile_of(cut), tile_of(whole))


@pytest.mark.parametrize("scale", [1, 4])
def test_transparency_is_kept_where_metadata_are_left_out(scale: int) -> None:
    image = photo((300 * scale, 400 * scale))
    content = content_of(image, "PNG", transparency=image.getpixel((0, 0)), pnginfo=text_of(b"short"))

    np.testing.assert_array_equal(tile_of(BROKEN["PNG, a long text"][1](content)), tile_of(content))


def text_of(text: bytes) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", text)
    return info


def test_a_damaged_picture_stays_damaged() -> None:
    content = bytearray(content_of(photo((300, 400)), "PNG"))
    content[content.index(b"IDAT") + 30] ^= 0xFF

    with pytest.raises(InputError, match="truncated or damaged"):
        tile_of(BROKEN["PNG, a long text"][1](bytes(content)))


def test_a_bmp_of_a_kind_that_cannot_be_read_is_not_called_damaged() -> None:
    content = bytearray(content_of(photo((30, 40)), "BMP"))
    content[28] = 64  # bits of a pixel

    with pytest.raises(InputError, match=r"^a kind of BMP that can't be read here \(.*64.*\); save it as JPEG or PNG$"):
        tile_of(bytes(content))


def grainy_jpeg(**options: object) -> bytes:
    """Of a photo with detail everywhere, so that a share of its bytes is a share of its rows."""
    grain = Image.effect_noise((480, 640), 30).convert("RGB")
    return content_of(Image.blend(photo((480, 640)), grain, 0.3), "JPEG", quality=85, **options)


@pytest.mark.parametrize("end", [b"", b"\xff", bytes(512)], ids=["cut", "half of it", "zeros"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_marker_is_read(progressive: bool, end: bytes) -> None:
    content = grainy_jpeg(progressive=progressive)

    np.testing.assert_array_equal(tile_of(content[:-2] + end), tile_of(content))


@pytest.mark.parametrize("lost", [10, 500])
def test_a_jpeg_that_lacks_its_last_rows_is_read(lost: int) -> None:
    content = grainy_jpeg()

    assert np.abs(tile_of(content[:-lost]).astype(int) - tile_of(content)).mean() < 2


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("end", [b"", bytes(512)], ids=["cut", "zeros"])
def test_a_jpeg_that_lacks_more_is_damaged(kept: float, end: bytes) -> None:
    content = grainy_jpeg()

    with pytest.raises(InputError, match="the picture is truncated or damaged"):
        tile_of(content[: int(kept * len(content))] + end)
