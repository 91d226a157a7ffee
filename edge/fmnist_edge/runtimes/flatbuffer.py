"""Reads a flatbuffer, which is what a .tflite file is: tables that refer to each other, with numbered fields.

Source: flatbuffers.dev, "Internals". A damaged file raises struct.error, LookupError or ValueError.
"""

from struct import unpack_from
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Table(NamedTuple):
    """The table that starts at a byte of a file."""

    content: bytes
    start: int

    def number(self, field: int, kind: str) -> int:
        """kind: a format of struct, such as ``<i``. 0 if the field is absent."""
        place = self._place(field)
        return int(unpack_from(kind, self.content, place)[0]) if place else 0

    def array(self, field: int, dtype: str) -> NDArray[Any]:
        """A vector of numbers, empty if the field is absent."""
        count, start = self._vector(field)
        return np.frombuffer(self.content, dtype, count, start)

    def table(self, field: int) -> "Table":
        place = self._place(field)
        if not place:
            raise LookupError
        return Table(self.content, self._target(place))

    def tables(self, field: int) -> list["Table"]:
        """A vector of tables, empty if the field is absent."""
        count, start = self._vector(field)
        return [Table(self.content, self._target(start + 4 * number)) for number in range(count)]

    def _place(self, field: int) -> int:
        """The position of a field's value; 0 if the field is absent."""
        places = self.start - int(unpack_from("<i", self.content, self.start)[0])
        (size,) = unpack_from("<H", self.content, places)
        (offset,) = unpack_from("<H", self.content, places + 4 + 2 * field) if 4 + 2 * field < size else (0,)
        return self.start + int(offset) if offset else 0

    def _vector(self, field: int) -> tuple[int, int]:
        """The number of members, and the position of the first."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = self._target(place)
        return int(unpack_from("<I", self.content, start)[0]), start + 4

    def _target(self, place: int) -> int:
        return place + int(unpack_from("<I", self.content, place)[0])


def read_root(content: bytes) -> Table:
    return Table(content, int(unpack_from("<I", content)[0]))
