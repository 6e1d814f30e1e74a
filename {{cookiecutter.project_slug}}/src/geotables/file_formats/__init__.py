"""Rows as GeoParquet and FlatGeobuf, written while they are read, in the same memory for any number of them.

PostgreSQL writes the rows as CSV, which a program makes files of in a process of its own: pyarrow takes half as much memory as
the whole service, and the work of the others goes on meanwhile.
"""

import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from pickle import UnpicklingError, dump, load
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

#: Starts the program, from this folder.
COMMAND = (sys.executable, "-m", "program")
FOLDER = Path(__file__).parent
SETTINGS = {
    # It would hide the folder.
    "PYTHONSAFEPATH": "",
    # Give memory back as soon as it is free: pyarrow's own allocator, and the system's by default, keep it.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 18),
}


class FormatError(ValueError):
    """A format cannot hold the rows, or needs a package that is not installed; the message says which."""


class Layer:
    """What a file holds of a collection.

    Attributes:
        query: Selects a line of CSV of each row: a text is quoted, NULL is not. Geometries are WKB in hexadecimal digits.
    """

    def __init__(
        self, format: str, collection: Collection, columns: Sequence[sa.Column[Any]], srid: int
    ) -> None:
        """Choose what to write.

        Args:
            format: One of ``FORMATS``.
            collection: The collection.
            columns: Some of its columns, the key among them.
            srid: The CRS of the geometries, x before y.

        Raises:
            FormatError: A package is not installed, or the format cannot hold the collection.
        """
        self._format, self._collection, self._srid = format, collection, srid
        self._columns = columns
        self._name = FORMATS[format]
        if missing := [package for package in PACKAGES if find_spec(package) is None]:
            raise FormatError(
                f"{self._name} needs {' and '.join(missing)}, of this project's extra called formats:"
                f" pip install {' '.join(missing)}"
            )
        cells = [self._cell(column) for column in columns]
        self.query = sa.select(sa.func.array_to_string(array(cells), ",", "", type_=sa.Text()))

    def write(self, chunks: Iterable[Sequence[Sequence[Any]]]) -> Generator[bytes, None, None]:
        """Write what the query selects.

        Args:
            chunks: The rows, some at a time.

        Raises:
            FormatError: The format cannot hold a value.
            RuntimeError: The program has ended before the file.
        """
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(COMMAND, cwd=FOLDER, env=os.environ | SETTINGS, **pipes) as process:
            try:
                yield from self._parts(process, chunks)
            except (BrokenPipeError, EOFError, UnpicklingError) as error:
                raise RuntimeError(
                    f"the program that writes {self._name} has ended with the status {process.wait()}"
                ) from error
            finally:
                process.kill()
                with suppress(BrokenPipeError):
                    cast("IO[bytes]", process.stdin).close()

    def _parts(
        self, process: subprocess.Popen[bytes], chunks: Iterable[Sequence[Sequence[Any]]]
    ) -> Iterator[bytes]:
        """What the program makes of the rows; it works on a block while the next one is read."""
        requests, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        dump((self._format, self._described()), requests)
        is_asked = False
        for block in chain(_blocks(chunks), [None]):
            if is_asked and (part := self._answer(answers)):
                yield part
            dump(block, requests)
            requests.flush()
            is_asked = True
        yield self._answer(answers)

    def _answer(self, answers: IO[bytes]) -> bytes:
        part: bytes | str = load(answers)
        if isinstance(part, str):
            raise FormatError(f"{self._name} cannot hold {part}")
        return part

    def _cell(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """A cell of CSV."""
        if column is self._collection.geometry:
            shape = in_srid(self._collection.geometry, self._srid)
            return sa.func.encode(sa.func.ST_AsBinary(shape, "NDR"), "hex", type_=sa.Text())
        if isinstance(column.type, sa.Date | sa.DateTime):
            time: sa.ColumnElement[Any] = column
            if self._format == "fgb" and isinstance(column.type, sa.DateTime):
                # GDAL reads milliseconds, and rounds what is nearer to the next second to the one before.
                time = sa.func.date_trunc("milliseconds", column)
            # In quotes, whatever the session's style of dates.
            return sa.cast(sa.func.to_json(time), sa.Text())
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


def _blocks(chunks: Iterable[Sequence[Sequence[Any]]]) -> Iterator[bytes]:
    """Lines in blocks of ``BLOCK`` bytes and more."""
    lines: list[str] = []
    size = 0
    for chunk in chunks:
        # Each line is ended: pyarrow takes NULL for an empty text where the file ends after it.
        lines += [f"{line}\n" for (line,) in chunk]
        size += sum(map(len, lines[-len(chunk) :]))
        if size >= BLOCK:
            yield "".join(lines).encode()
            lines, size = [], 0
    if lines:
        yield "".join(lines).encode()


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
