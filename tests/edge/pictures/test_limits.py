"""How large pictures may be: what counts is what is decoded of them."""

import io
import warnings

import pytest
from PIL import Image

from fmnist_edge.errors import InputError
from fmnist_edge.pictures.decode import decode


def jpeg(size: tuple[int, int], **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("L" if options.pop("gray", False) else "RGB", size, "white").save(file, "JPEG", **options)
    return file.getvalue()


def split_into_scans(content: bytes) -> bytes:
    """With a header that says that the first scan holds the first colour alone."""
    place = content.index(b"\xff\xda\x00\x0c\x03")
    return content[:place] + b"\xff\xda\x00\x08\x01" + content[place + 5 : place + 7] + content[place + 11 :]


@pytest.mark.parametrize(("size", "shrunk"), [((9248, 6936), (1156, 867)), ((16320, 12240), (2040, 1530))])
def test_a_phones_largest_jpegs_are_read(size: tuple[int, int], shrunk: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's, of decompression bombs

        assert decode(io.BytesIO(jpeg(size, gray=True))).size == shrunk


@pytest.mark.parametrize("edge", [2000, 8000])
def test_the_limit_is_of_pixels_that_are_decoded(edge: int) -> None:
    content = jpeg((edge, edge))
    decoded = decode(io.BytesIO(content)).width ** 2
    assert decoded < edge**2

    decode(io.BytesIO(content), max_pixels=decoded)
    with pytest.raises(InputError, match="--max-pixels"):
        decode(io.BytesIO(content), max_pixels=decoded - 1)


@pytest.mark.parametrize(
    "content",
    [jpeg((2000, 2000), progressive=True), split_into_scans(jpeg((2000, 2000)))],
    ids=["progressive", "a scan for each colour"],
)
def test_where_all_of_a_jpeg_is_held_in_memory_all_of_it_counts(content: bytes) -> None:
    decode(io.BytesIO(jpeg((2000, 2000))), max_pixels=3_999_999)

    with pytest.raises(InputError, match="larger than 4 million pixels"):
        decode(io.BytesIO(content), max_pixels=3_999_999)


def test_a_long_strip_that_can_be_decoded_no_smaller_counts_in_full() -> None:
    with pytest.raises(InputError, match="--max-pixels"):
        decode(io.BytesIO(jpeg((20_000, 100))), max_pixels=1_000_000)
