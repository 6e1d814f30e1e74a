"""Rows as GeoParquet and FlatGeobuf, written while they are read, in the same memory for any number of them.

PostgreSQL writes the rows as CSV, which a program makes files of in a process of its own: pyarrow takes half as much memory as
the whole service, and the work of the others goes on meanwhile.
"""

import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from pickle import dump, load
from typing import IO, Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.crs import WGS84
from geotables.geometry import GEOJSON_TYPES, in_srid

#: The formats, by the names that ``f`` and files have for them.
FORMATS = {"parquet": "GeoParquet", "fgb": "FlatGeobuf"}

#: The packages of the extra ``formats`` that they need.
PACKAGES = ("pyarrow", "pyproj")

#: Bytes of CSV that are worth a call of pyarrow's.
BLOCK = 1 << 19

#: Digits of Arrow's decimals.
DECIMAL_DIGITS = 38

PROGRAM = str(Path(__file__).with_name("program.py"))


class FormatError(ValueError):
    """A format cannot hold the rows, or needs a package that is not installed; the message says which."""


class Layer:
    """What a file holds of a collection.

    Attributes:
        query: Selects a line of CSV of each row: a text is quoted, NULL is not. Geometries are WKB in hexadecimal digits.
    """

    def __init__(
        self, collection: Collection, columns: Sequence[sa.Column[Any]], srid: int
    ) -> None:
        """Choose what to write.

        Args:
            collection: The collection.
            columns: Some of its columns, the key among them.
            srid: The CRS of the geometries, x before y.
        """
        self._collection, self._srid = collection, srid
        self._columns = columns
        cells = [self._cell(column) for column in columns]
        self.query = sa.select(sa.func.array_to_string(array(cells), ",", "", type_=sa.Text()))

    def write(
        self, format: str, chunks: Iterator[Sequence[Sequence[Any]]]
    ) -> Generator[bytes, None, None]:
        """Write what the query selects.

        Args:
            format: One of ``FORMATS``.
            chunks: The rows, some at a time.

        Raises:
            FormatError: A package is not installed, or the format cannot hold the rows.
        """
        name, collection = FORMATS[format], self._collection
        if missing := [package for package in PACKAGES if find_spec(package) is None]:
            raise FormatError(
                f"{name} needs {' and '.join(missing)}, of this project's extra called formats:"
                f" pip install {' '.join(missing)}"
            )
        if format == "fgb" and collection.has_z and collection.geometry_type == "GEOMETRY":
            raise FormatError(f"{name} of geometries of any type has no z: GeoParquet has")
        command = [sys.executable, "-P", PROGRAM]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            requests, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)

            def answer() -> bytes:
                part: bytes | str = load(answers)
                if isinstance(part, str):
                    raise FormatError(f"{name} cannot hold the rows: {part}; GeoJSON and CSV can")
                return part

            def send(content: Any) -> None:
                dump(content, requests)
                requests.flush()

            try:
                send((format, self._described()))
                is_asked = False
                for block in _blocks(chunks):
                    # The program has worked while the block was read.
                    if is_asked and (part := answer()):
                        yield part
                    send(block)
                    is_asked = True
                if is_asked and (part := answer()):
                    yield part
                send(None)
                yield answer()
            finally:
                process.kill()

    def _cell(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """A cell of CSV."""
        if column is self._collection.geometry:
            shape = in_srid(self._collection.geometry, self._srid)
            return sa.func.encode(sa.func.ST_AsBinary(shape, "NDR"), "hex", type_=sa.Text())
        if isinstance(column.type, sa.Date | sa.DateTime):
            # In quotes, whatever the session's style of dates.
            return sa.cast(sa.func.to_json(column), sa.Text())
        text = sa.cast(text_of(column), sa.Text())
        if self._type(column)[0] in ("string", "json"):
            quote = sa.literal_column("'\"'", sa.Text())
            return quote + sa.func.replace(text, '"', '""', type_=sa.Text()) + quote
        return text

    def _described(self) -> dict[str, Any]:
        """What the program has to know: ``Table`` there."""
        collection = self._collection
        return {
            "name": collection.name,
            "columns": [(column.name, *self._type(column)) for column in self._columns],
            "geometry": next(
                (column.name for column in self._columns if column is collection.geometry), None
            ),
            "geometry_type": GEOJSON_TYPES.get(collection.geometry_type),
            "has_z": collection.has_z,
            "srid": self._srid,
            "is_lonlat": self._srid == WGS84,
        }

    def _type(self, column: sa.Column[Any]) -> tuple[Any, ...]:
        """The type of a column: the name of pyarrow's, and its arguments."""
        match column.type:
            case sa.Numeric(precision=int(digits), scale=after) if (
                digits <= DECIMAL_DIGITS and 0 <= (after or 0) <= digits
            ):
                return "decimal128", digits, after or 0
            case sa.DateTime(timezone=has_zone):
                return "timestamp", "us", "UTC" if has_zone else None
        return (
            next(
                (name for kind, name in _TYPES.items() if isinstance(column.type, kind)), "string"
            ),
        )


def _blocks(chunks: Iterator[Sequence[Sequence[Any]]]) -> Iterator[bytes]:
    """Lines in blocks of ``BLOCK`` bytes and more."""
    lines: list[str] = []
    size = 0
    for chunk in chunks:
        lines += [line for (line,) in chunk]
        size += sum(map(len, lines[-len(chunk) :]))
        if size >= BLOCK:
            yield "\n".join(lines).encode()
            lines, size = [], 0
    if lines:
        yield "\n".join(lines).encode()


#: By the types of columns; any other is text.
_TYPES: dict[type[Any], str] = {
    sa.Boolean: "bool_",
    sa.SmallInteger: "int16",
    sa.BigInteger: "int64",
    sa.Integer: "int32",
    sa.REAL: "float32",
    sa.Float: "float64",
    sa.Date: "date32",
    sa.JSON: "json",
}
