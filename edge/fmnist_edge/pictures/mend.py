"""Pictures that Pillow refuses although their pixels are good: for their metadata, or because their last bytes are missing."""

import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image, ImageChops

from fmnist_edge.errors import InputError
from fmnist_edge.pictures.kinds import format_of
from fmnist_edge.pictures.orientation import UPRIGHT, orientation_of

Decode = Callable[[bytes], Image.Image]

END_OF_JPEG = b"\xff\xd9"

LAST_ROWS = 1 / 16
"""Share of its height that a picture may lack at the bottom: cameras lose the last blocks, which are 16 rows high."""

NOISE = bytes(range(255)) * 4
"""More of a JPEG's blocks, whose content does not matter."""

TIFF_TAGS_OF_PIXELS = {
    *range(254, 260),
    *(262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339, 347, 529, 530, 532),
}
"""Sizes, compressions, colours, and where the pixels are (TIFF 6.0, appendix A; 347: JPEG tables of the technical note 2)."""


def mend(content: bytes, decode: Decode) -> Image.Image:
    """The picture without its metadata, except its orientation. Raises whatever its pixels make ``decode`` raise."""
    kind = format_of(content[:16])
    if kind == "JPEG":
        return end_jpeg(b"".join(parts_of_jpeg(content)), decode)
    if kind == "PNG":
        return decode(b"".join(chunks_of_png(content)))
    if kind == "WebP":
        return decode(without_metadata_of_webp(content))
    if kind == "TIFF":
        return decode(without_metadata_of_tiff(content))
    raise InputError("there is no way to mend it")


def end_jpeg(content: bytes, decode: Decode) -> Image.Image:
    """The picture in a JPEG whose end marker may be missing, and with it some of its last rows."""
    if content.rstrip(b"\0").endswith(END_OF_JPEG):
        return decode(content)
    image, other = decode(content + END_OF_JPEG), decode(content + NOISE + END_OF_JPEG)
    # what libjpeg makes up for what is missing is not the same in both
    missing = ImageChops.difference(image, other).getbbox()
    if missing and missing[1] < (1 - LAST_ROWS) * image.height:
        raise InputError("more than its last rows are missing")
    return image


def exif_saying(orientation: int) -> bytes:
    """The shortest EXIF there is: one tag."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, orientation, 0)


def orientation_in(exif: bytes) -> int:
    image = Image.new("L", (1, 1))
    image.info["exif"] = exif
    return orientation_of(image)


def parts_of_jpeg(content: bytes) -> Iterator[bytes]:
    """All segments but comments and those of applications, of which libjpeg needs two to know the colours (JFIF, Adobe)."""
    yield content[:2]
    place = 2
    while content[place : place + 1] == b"\xff" and (marker := content[place + 1 : place + 2]) != b"\xda":
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        segment = content[place:end]
        if marker == b"\xff":  # padding
            end = place + 1
        elif segment[4:10] == b"Exif\0\0" and (orientation := orientation_in(segment[4:])) != UPRIGHT:
            exif = b"Exif\0\0" + exif_saying(orientation)
            yield b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
        elif not (b"\xe1" <= marker <= b"\xed" or marker in (b"\xef", b"\xfe")):
            yield segment
        place = max(end, place + 1)
    yield content[place:]


def chunks_of_png(content: bytes) -> Iterator[bytes]:
    """The critical chunks, and tRNS, without which transparent pixels would show."""
    yield content[:8]
    place = 8
    while place < len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : place + 8]
        if kind == b"eXIf" and (orientation := orientation_in(content[place + 8 : end - 4])) != UPRIGHT:
            body = kind + exif_saying(orientation)
            yield struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        elif kind[:1].isupper() or kind == b"tRNS":
            yield content[place:end]
        place = end


def without_metadata_of_webp(content: bytes) -> bytes:
    """Without ICCP, EXIF and XMP, and the bits that announce them (RFC 9649, section 2.7)."""
    chunks, place, orientation = bytearray(), 12, UPRIGHT
    while place < len(content):
        kind, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        end = place + 8 + size + size % 2
        if kind == b"EXIF":
            orientation = orientation_in(content[place + 8 : end])
        elif kind not in (b"ICCP", b"XMP "):
            chunks += content[place:end]
        place = end
    if chunks[:4] == b"VP8X":
        chunks[8] &= ~(0x20 | 0x08 | 0x04)
        if orientation != UPRIGHT:
            chunks[8] |= 0x08
            exif = exif_saying(orientation)
            chunks += b"EXIF" + struct.pack("<I", len(exif)) + exif
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def without_metadata_of_tiff(content: bytes) -> bytes:
    """With the first picture's tags that matter for its pixels alone, in a new list at the end."""
    order = "<" if content.startswith(b"II") else ">"
    version, start = struct.unpack_from(f"{order}HI", content, 2)
    if version != 42:
        raise InputError("a BigTIFF")
    (count,) = struct.unpack_from(f"{order}H", content, start)
    tags = [content[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    kept = [tag for tag in tags if is_of_pixels(*struct.unpack_from(f"{order}HHIH", tag))]
    place = len(content) + len(content) % 2
    listing = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:4] + struct.pack(f"{order}I", place) + content[8:].ljust(place - 8, b"\0") + listing


def is_of_pixels(tag: int, kind: int, count: int, value: int) -> bool:
    """Or says how to turn the picture: as one number of 16 bits."""
    return tag in TIFF_TAGS_OF_PIXELS or (tag == 274 and (kind, count) == (3, 1) and value in range(1, 9))
