"""What a file holds, read from PostgreSQL's CSV as Arrow tables."""

import binascii
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from pyarrow import csv

#: Bytes of WKB that a point has: its byte order and type, then x and y.
POINT_SIZE = 21


class ValueRefused(ValueError):
    """A format cannot hold a value; the message says which, and its column."""

    def __init__(self, column: str, value: str) -> None:
        super().__init__(f"{value} in the column {column}")


def refused(column: str, error: pyarrow.ArrowInvalid) -> Exception:
    """What to raise where Arrow refuses a value of a column; its message quotes the value."""
    value = re.search("'(.*?)'", str(error), re.DOTALL)
    return ValueRefused(column, value[1]) if value else error


class Table(NamedTuple):
    """What is written.

    Attributes:
        name: Of the layer.
        columns: For each its name, the name of pyarrow's type, or json, and the arguments of that.
        geometry: The name of the column with the geometries; None: there is none.
        geometry_type: As GeoJSON has it; None: any.
        has_z: Whether the geometries have z.
        srid: Their CRS, of the EPSG.
        is_lonlat: Whether that is longitude, latitude in WGS 84.
    """

    name: str
    columns: Sequence[tuple[Any, ...]]
    geometry: str | None
    geometry_type: str | None
    has_z: bool
    srid: int
    is_lonlat: bool

    def read(self, text: bytes) -> Any:
        """Lines of CSV as an Arrow table, with geometries as WKB.

        Raises:
            ValueRefused: A type does not have a value.
        """
        names = [name for name, *_ in self.columns]
        try:
            rows = self._rows(text, names)
        except pyarrow.ArrowInvalid as error:
            if not (column := re.search(r"CSV column #(\d+)", str(error))):
                raise
            raise refused(names[int(column[1])], error) from error
        if self.geometry is None:
            return rows
        place = names.index(self.geometry)
        return rows.set_column(place, self.geometry, _from_hex(rows.column(place).chunk(0)))

    def _rows(self, text: bytes, names: Sequence[str]) -> Any:
        return csv.read_csv(
            pyarrow.py_buffer(text),
            csv.ReadOptions(use_threads=False, column_names=names, block_size=max(len(text), 1)),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types={name: arrow_type(kind, *of) for name, kind, *of in self.columns},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        ).combine_chunks()

    def points(self, rows: Any) -> Any:
        """The coordinates of geometries that are points, x and y; None: some are not, or have z."""
        shapes = rows.column(self.geometry).combine_chunks()
        data = np.frombuffer(shapes.buffers()[2] or b"", np.uint8)
        if self.geometry_type != "Point" or self.has_z or len(data) != POINT_SIZE * len(shapes):
            return None
        return np.ascontiguousarray(data.reshape(-1, POINT_SIZE)[:, 5:]).view("<f8")

    @property
    def arrow_schema(self) -> Any:
        """The schema of the Arrow tables."""
        return pyarrow.schema(
            [
                (name, pyarrow.binary() if name == self.geometry else arrow_type(kind, *of))
                for name, kind, *of in self.columns
            ]
        )


def arrow_type(kind: str, *of: Any) -> Any:
    """A type of pyarrow's by its name."""
    return pyarrow.string() if kind == "json" else getattr(pyarrow, kind)(*of)


def _from_hex(texts: Any) -> Any:
    """What texts of hexadecimal digits stand for, all of them at once."""
    validity, offsets, digits = texts.buffers()
    data = binascii.unhexlify(digits or b"")
    halves = np.frombuffer(offsets, np.int32, len(texts) + 1) // 2
    buffers = [validity, pyarrow.py_buffer(halves), pyarrow.py_buffer(data)]
    return pyarrow.BinaryArray.from_buffers(pyarrow.binary(), len(texts), buffers)
