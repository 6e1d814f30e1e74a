"""The bulk way out: rows as a file, and as a stream of features.

Rows come through a cursor of the server's, some at a time, so that a table of any size takes the same memory.
"""

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import sqlalchemy as sa

from . import queries, spatial
from .crs import CRS84, WGS84
from .geometry import GEOJSON_TYPES
from .queries import GEOMETRY, STORAGE, TABLE
from .sources import RECORD_SEPARATOR
from .statements import Condition, Statement

#: Rows of a chunk.
CHUNK = 1_000

#: Features that give back what is stored, with all the digits that PostGIS writes, where that is WGS 84.
FEATURE = queries.geojson(CRS84._replace(decimals=15) if STORAGE.srid == WGS84 else CRS84)


class ExportError(ValueError):
    """Nothing was written; the message says why."""


def sequence(
    connection: sa.Connection,
    rows: Condition,
    *,
    feature: queries.Feature = FEATURE,
    order: Sequence[sa.ColumnElement[Any]] = (),
    separator: bytes = RECORD_SEPARATOR,
) -> Generator[bytes, None, None]:
    """Rows as a GeoJSON text sequence (RFC 8142), in chunks of many features.

    Args:
        connection: In a transaction, whose time zone is UTC.
        rows: Which rows.
        feature: What to write of each.
        order: What to sort by; none: as they are stored, which is the quickest.
        separator: What stands before each; empty: they are told apart by their lines alone.
    """
    query = queries.select(feature, rows.expression).order_by(*order)
    for chunk in _chunks(connection, query, rows):
        yield b"".join([separator + orjson.dumps(each) + b"\n" for each in feature.encode(chunk)])


def collection(
    connection: sa.Connection,
    rows: Condition,
    *,
    feature: queries.Feature = FEATURE,
) -> Iterator[bytes]:
    """Rows as a GeoJSON FeatureCollection, in chunks of many features; the arguments are those of ``sequence``."""
    yield b'{"type":"FeatureCollection","features":['
    before = b"\n"
    for chunk in _chunks(connection, queries.select(feature, rows.expression), rows):
        yield before + b",\n".join(map(orjson.dumps, feature.encode(chunk)))
        before = b",\n"
    yield b"\n]}\n"


def export(connection: sa.Connection, rows: Condition, kind: str, path: Path | None) -> None:
    """Write rows to a file, which is there as a whole or not at all.

    Args:
        connection: In a transaction.
        rows: Which rows.
        kind: The format, one of ``WRITERS``.
        path: The file; None: standard output.

    Raises:
        ExportError: The format needs a package that is not installed.
    """
    write = WRITERS[kind]
    # It takes as long as it takes.
    connection.execute(
        sa.text(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
            " SET LOCAL TimeZone = 'UTC'"
        )
    )
    if path is None:
        write(connection, rows, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with _replaced(path) as fresh, fresh.open("wb") as file:
        write(connection, rows, file)


def _write_geojsonseq(connection: sa.Connection, rows: Condition, file: BinaryIO) -> None:
    # One to a line, which more programs read than know of the separator.
    file.writelines(sequence(connection, rows, separator=b""))


def _write_geojson(connection: sa.Connection, rows: Condition, file: BinaryIO) -> None:
    file.writelines(collection(connection, rows))


def _write_csv(connection: sa.Connection, rows: Condition, file: BinaryIO) -> None:
    """CSV with the geometry as WKT, in the table's CRS."""
    query = sa.select(
        *(
            sa.func.ST_AsText(column).label(column.name) if column is GEOMETRY else column
            for column in TABLE.columns
        )
    ).where(rows.expression)
    statement = Statement(query)
    driver: Any = connection.connection
    with driver.cursor() as cursor:
        text = cursor.mogrify(statement.text, statement.values(rows.values)).decode()
        try:
            cursor.copy_expert(
                f"COPY ({text}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')", file
            )
        except driver.Error as error:
            raise ExportError(f"database: {str(error).strip()}") from error


def _write_flatgeobuf(connection: sa.Connection, rows: Condition, file: BinaryIO) -> None:
    """FlatGeobuf, in the table's CRS."""
    try:
        import pyarrow
        import pyogrio
    except ImportError as error:
        raise ExportError(
            "FlatGeobuf needs the packages pyogrio and pyarrow: install this project with its"
            f" extra, formats ({error})"
        ) from error
    types = {column.name: _arrow_type(pyarrow, column) for column in TABLE.columns}
    schema = pyarrow.schema(list(types.items()))
    query = sa.select(
        *(_for_arrow(column, types[column.name] == pyarrow.string()) for column in TABLE.columns)
    ).where(rows.expression)
    failures = []

    def batches() -> Iterator[Any]:
        try:
            for chunk in _chunks(connection, query, rows):
                columns = zip(*chunk, strict=True)
                yield pyarrow.record_batch(
                    [
                        pyarrow.array(values, each.type)
                        for values, each in zip(columns, schema, strict=True)
                    ],
                    schema,
                )
        except BaseException as error:
            # GDAL says only that there was one.
            failures.append(error)
            raise

    kind = GEOJSON_TYPES.get(spatial.geometry_type(GEOMETRY), "Unknown")
    if spatial.dimension(GEOMETRY) == 3:
        if kind == "Unknown":
            raise ExportError("FlatGeobuf of geometries of any type has no z: export geojsonseq")
        kind += " Z"
    with tempfile.TemporaryDirectory() as folder:
        # GDAL writes files only.
        path = Path(folder, f"{TABLE.name}.fgb")
        try:
            pyogrio.raw.write_arrow(
                pyarrow.RecordBatchReader.from_batches(schema, batches()),
                path,
                layer=str(TABLE.name),
                driver="FlatGeobuf",
                geometry_name=str(GEOMETRY.name),
                geometry_type=kind,
                crs=f"EPSG:{STORAGE.srid}",
            )
        except RuntimeError:
            for failure in failures:
                raise failure from None
            raise
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


def _arrow_type(pyarrow: Any, column: sa.Column[Any]) -> Any:
    """The type of a column in FlatGeobuf, which has no numbers that are exact and no ids: these are texts."""
    if column is GEOMETRY:
        return pyarrow.binary()
    match column.type:
        case sa.Boolean():
            return pyarrow.bool_()
        case sa.BigInteger():
            return pyarrow.int64()
        case sa.Integer():
            return pyarrow.int32()
        case sa.Float():
            return pyarrow.float64()
        case sa.Date():
            return pyarrow.date32()
        case sa.DateTime():
            return pyarrow.timestamp("ms", tz="UTC")
    return pyarrow.string()


def _for_arrow(column: sa.Column[Any], is_text: bool) -> sa.ColumnElement[Any]:
    if column is GEOMETRY:
        return sa.func.ST_AsBinary(column, type_=sa.LargeBinary())
    return sa.cast(column, sa.Text()) if is_text else column


#: The formats, by their names.
WRITERS = {
    "geojsonseq": _write_geojsonseq,
    "geojson": _write_geojson,
    "flatgeobuf": _write_flatgeobuf,
    "csv": _write_csv,
}

#: The formats that the names of files end with.
SUFFIXES = {
    ".geojson": "geojson",
    ".json": "geojson",
    ".fgb": "flatgeobuf",
    ".csv": "csv",
}


def _chunks(connection: sa.Connection, query: sa.Select[Any], rows: Condition) -> Iterator[Any]:
    options = {"yield_per": CHUNK}
    with connection.execute(query, rows.values, execution_options=options) as result:
        yield from result.partitions()


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of another once it is written."""
    if path.exists() and not path.is_file():
        # A device or a pipe is no file to be replaced.
        yield path
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        fresh = Path(folder, path.name)
        yield fresh
        fresh.replace(path)
