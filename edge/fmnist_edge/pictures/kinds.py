"""What counts as a picture: by its name, for folders, archives and training alike; and what a file is that can't be read."""

import re

READABLE = "PNG, JPEG, WebP, BMP, GIF or TIFF"

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    # pictures that can't be read here: they are listed as failed, so that nobody misses them
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)

SIDE_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
"""Where macOS, Synology's storage and Windows keep what belongs to pictures, or is deleted, under the names of pictures."""

JPEG = b"\xff\xd8\xff"

BEGINNINGS: dict[str, bytes | tuple[bytes, ...]] = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": JPEG,
    "BMP": b"BM",
    "GIF": b"GIF8",
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}

CONVERT = "save it as JPEG or PNG"

BRANDS = {
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
        f"HEIC; {CONVERT} (on an iPhone: Settings, Camera, Formats, Most Compatible)",
    ),
    **dict.fromkeys((b"avif", b"avis"), f"AVIF; {CONVERT}"),
    b"crx ": f"a raw picture; {CONVERT}",
}
"""What files of ISO media are, by the four letters after "ftyp" (ISO/IEC 14496-12; for HEIC 23008-12)."""

FILMS = (
    *(b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"\0\0\0\x01", b"FLV\x01", b"OggS", b"0&\xb2u"),
    *(b"YUV4MPEG2", b"DKIF"),
)
"""How videos begin: Matroska and WebM, MPEG, H.264 and H.265, Flash, Ogg, Windows Media, Y4M, IVF."""

OTHERS = {
    **dict.fromkeys((b"\xff\x0a", b"\0\0\0\x0cJXL "), f"JPEG XL; {CONVERT}"),
    b"\0\0\0\x0cjP  ": f"JPEG 2000; {CONVERT}",
    **dict.fromkeys((b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0"), f"a raw picture; {CONVERT}"),
    b"8BPS": f"a Photoshop file; {CONVERT}",
    b"%PDF": f"a PDF; {CONVERT}",
    b"\0\x05\x16\x07": "what macOS keeps beside a picture; the picture has the name without '._'",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"PK\x03\x04": "a ZIP archive; its name should end in .zip",
}


def is_picture(name: str) -> bool:
    """By its suffix. Hidden files are not pictures, such as the ``._IMG_1.JPG`` that macOS puts beside IMG_1.JPG."""
    return name.lower().endswith(SUFFIXES) and not is_kept_aside(name)


def is_kept_aside(path: str) -> bool:
    """Whether a file or folder is hidden, or in a folder that a system keeps for itself. path: in a folder or archive."""
    parts = re.split(r"[/\\]", path)
    return any((part.startswith(".") and part not in (".", "..")) or part in SIDE_FOLDERS for part in parts)


def format_of(begin: bytes) -> str | None:
    """The format of a file, of those that are read here, by its first 16 bytes."""
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP":
        return "WebP"
    return next((name for name, beginning in BEGINNINGS.items() if begin.startswith(beginning)), None)


def is_film(begin: bytes) -> bool:
    """Whether a file is a video, by its first 16 bytes."""
    if begin[4:8] == b"ftyp":
        return begin[8:12] not in BRANDS
    in_quicktime = begin[4:8] in (b"moov", b"mdat", b"wide")
    return begin.startswith(FILMS) or in_quicktime or (begin[:4] == b"RIFF" and begin[8:12] == b"AVI ")


def why_not(begin: bytes) -> str:
    """Why a file that Pillow does not take can't be read, and what to do, by its first 16 bytes."""
    if known := format_of(begin):
        return f"damaged, or a kind of {known} that can't be read here; {CONVERT}"
    if is_film(begin):
        found = "a video; 'fmnist-edge camera' watches it"
    elif begin[4:8] == b"ftyp":
        found = BRANDS[begin[8:12]]
    else:
        found = next((text for beginning, text in OTHERS.items() if begin.startswith(beginning)), "")
    return f"not a {READABLE} picture" + (found and f", but {found}")
