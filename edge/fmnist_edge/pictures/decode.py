"""From a picture's file or bytes to a Pillow image: which formats are read, how large they may be, what is wrong with them."""

import io
import logging
import os
import re
import stat
from contextlib import suppress
from functools import cache
from typing import IO

from PIL import Image, UnidentifiedImageError

from fmnist_edge.errors import InputError, first_line
from fmnist_edge.pictures.kinds import CONVERT, JPEG, format_of, why_not

# Pillow logs what it finds wrong in a file as well as raising it; where nobody has set logging up, Python would print that
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Pillow's other formats are never opened: EPS, for one, starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")

MAX_PIXELS = 64_000_000
"""Pictures that decode to more pixels are refused, so that a small file can't fill the memory.

A JPEG is decoded at an eighth of its width and height if that is enough: one of 200 million pixels takes 3 million.
"""

WORKING_EDGE = 256
"""Pixels of the longest edge that a photo keeps, at least, when it is shrunk before anything else."""

SMALL = 100_000
"""Bytes of a file that is read in one piece."""

MAX_BYTES = 256_000_000
"""Largest picture on stdin or in an archive, and batch of tiles, so that it can't fill the memory."""

TOO_LONG = f"larger than {MAX_BYTES // 10**6} MB; unpack it first"


class TooLargeError(InputError):
    """A picture that decodes to more pixels than allowed."""


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, whole: bool = False) -> Image.Image:
    """The picture in a file, decoded; a JPEG at a fraction of its size, unless the whole is wanted. Raises InputError."""
    try:
        # without blocking: opening a pipe would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputError("is a directory" if stat.S_ISDIR(status.st_mode) else "not a file")
            if status.st_size == 0:
                raise InputError("the file is empty")
            if status.st_size > SMALL:
                with open(descriptor, "rb", closefd=False) as file:
                    return decode(file, max_pixels, whole)
            content = os.read(descriptor, SMALL)
        finally:
            os.close(descriptor)
        # Pillow reads a tile's few hundred bytes in many pieces, which takes longer from a file
        return decode(io.BytesIO(content), max_pixels, whole)
    except OSError as error:
        raise InputError((error.strerror or first_line(error)).lower()) from None
    except ValueError as error:  # a path that can't be one
        raise InputError(first_line(error)) from None


def decode(file: IO[bytes], max_pixels: int = MAX_PIXELS, whole: bool = False) -> Image.Image:
    """The same of an open file."""
    try:
        return decode_as_it_is(file, max_pixels, whole)
    except Exception as error:
        problem = error
    file.seek(0)
    begin = file.read(16)
    if not isinstance(problem, InputError | MemoryError) and format_of(begin):
        from fmnist_edge.pictures.mend import mend  # rarely needed

        with suppress(Exception):  # the first error says what is wrong
            file.seek(0)
            return mend(file.read(MAX_BYTES), lambda content: decode_as_it_is(io.BytesIO(content), max_pixels, whole))
    raise as_input_error(problem, begin) from None


def decode_as_it_is(file: IO[bytes], max_pixels: int, whole: bool) -> Image.Image:
    """Raises InputError, or whatever Pillow raises."""
    image = open_jpeg(file) if file.read(3) == JPEG else Image.open(file, formats=FORMATS)
    if image.format != "JPEG" or not comes_in_one_scan(image, file):
        check_size(image, max_pixels)
    if not whole:
        image.draft(None, (WORKING_EDGE, WORKING_EDGE))  # many times faster for a JPEG
    check_size(image, max_pixels)
    load(image)
    return image


def open_jpeg(file: IO[bytes]) -> Image.Image:
    """``Image.open`` would refuse 178 million pixels however few are decoded, and look for frames in the metadata."""
    from PIL.JpegImagePlugin import JpegImageFile

    file.seek(0)
    return JpegImageFile(file)


def comes_in_one_scan(jpeg: Image.Image, file: IO[bytes]) -> bool:
    """Whether libjpeg can decode it block by block; of several scans it holds all that is in them, whatever size is wanted."""
    layers = len(jpeg.getbands())
    size = 6 + 2 * layers  # of the header of a scan that holds all of them; Pillow has stopped behind the first scan's
    file.seek(-size, os.SEEK_CUR)
    return "progressive" not in jpeg.info and file.read(3) == bytes([0, size, layers])


def load(image: Image.Image) -> None:
    if image.format == "TIFF":
        silence_libtiff()
    image.load()


def as_input_error(error: Exception, begin: bytes = b"") -> InputError:
    """An InputError for whatever Pillow raises: its parsers raise errors of any type for a broken file.

    begin: the file's first 16 bytes, if there is one.
    """
    if isinstance(error, InputError):
        return error
    if isinstance(error, UnidentifiedImageError):
        return InputError(why_not(begin))
    if isinstance(error, Image.DecompressionBombError):
        return too_large(MAX_PIXELS)
    if re.match("unsupported|cannot handle|unknown", str(error), re.IGNORECASE) and (found := format_of(begin)):
        return InputError(f"a kind of {found} that can't be read here ({first_line(error)}); {CONVERT}")
    return InputError(f"the picture is truncated or damaged ({first_line(error)})")


@cache
def silence_libtiff() -> None:
    """Keeps libtiff 4.7 from writing warnings to stderr, from C. What matters is raised as well.

    For the whole process; stderr itself can't be moved away meanwhile, since other threads may need it.
    """
    with suppress(ImportError, OSError, AttributeError):  # no ctypes, or a Pillow that has libtiff inside
        import ctypes

        from PIL import _imaging

        libtiff = ctypes.CDLL(_imaging.__file__)  # finds what it is linked with
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)


def check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise too_large(max_pixels)
    if width * height == 0:
        raise InputError("the picture has no pixels")


def too_large(max_pixels: int) -> InputError:
    return TooLargeError(f"larger than {max_pixels / 10**6:g} million pixels (--max-pixels); make it smaller first")
