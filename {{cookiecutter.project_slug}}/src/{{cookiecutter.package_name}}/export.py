"""The bulk way out: rows as a file, and as a stream of features.

Rows come through a cursor of the server's, some at a time, so that a table of any size takes the same memory.
"""

import functools
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from . import queries, spatial
from .crs import CRS84, WGS84
from .geometry import GEOJSON_TYPES
from .queries import GEOMETRY, STORAGE, TABLE
from .sources import RECORD_SEPARATOR
from .statements import Condition, Statement

#: Rows of a chunk.
CHUNK = 1_000

#: More decimals than any coordinate has: PostGIS then writes as many as make up the same double.
DIGITS = 30

#: Features that give back what is stored, with all the digits that PostGIS writes, where that is WGS 84.
FEATURE = queries.geojson(CRS84._replace(decimals=DIGITS) if STORAGE.srid == WGS84 else CRS84)


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


def export(
    connection: sa.Connection,
    rows: Condition,
    kind: str,
    path: Path | None,
    *,
    for_spreadsheets: bool = False,
) -> None:
    """Write rows to a file, which is there as a whole or not at all.

    Args:
        connection: In a transaction.
        rows: Which rows.
        kind: The format, one of ``KINDS``.
        path: The file; None: standard output.
        for_spreadsheets: Have CSV begin no text as a formula.

    Raises:
        ExportError: The format cannot hold a row, or needs a package that is not installed.
    """
    # It takes as long as it takes.
    connection.execute(
        sa.text(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
            " SET LOCAL TimeZone = 'UTC'"
        )
    )
    if kind == "shapefile":
        _write_shapefile(connection, rows, path)
        return
    write = WRITERS[kind]
    if for_spreadsheets:
        if kind != "csv":
            raise ExportError(f"{kind} has no formulas: only CSV is written for spreadsheets")
        write = functools.partial(_write_csv, for_spreadsheets=True)
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


def _write_csv(
    connection: sa.Connection, rows: Condition, file: BinaryIO, *, for_spreadsheets: bool = False
) -> None:
    """CSV with the geometry as WKT, in the table's CRS; NULL is empty, an empty text is quoted."""
    query = sa.select(*(_for_csv(each, for_spreadsheets) for each in TABLE.columns))
    statement = Statement(query.where(rows.expression))
    driver: Any = connection.connection
    with driver.cursor() as cursor:
        text = cursor.mogrify(statement.text, statement.values(rows.values)).decode()
        try:
            cursor.copy_expert(
                f"COPY ({text}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')", file
            )
        except driver.Error as error:
            raise ExportError(f"database: {str(error).strip()}") from error


def _for_csv(column: sa.Column[Any], for_spreadsheets: bool) -> sa.ColumnElement[Any]:
    if column is GEOMETRY:
        return sa.func.ST_AsText(column, DIGITS).label(column.name)
    if for_spreadsheets and isinstance(column.type, sa.String):
        # https://owasp.org/www-community/attacks/CSV_Injection
        is_formula = column.op("~")(sa.literal("^[-=+@\t\r]"))
        return sa.case((is_formula, sa.literal("'") + column), else_=column).label(column.name)
    return column


def _write_flatgeobuf(connection: sa.Connection, rows: Condition, file: BinaryIO) -> None:
    if spatial.dimension(GEOMETRY) == 3 and spatial.geometry_type(GEOMETRY) == "GEOMETRY":
        raise ExportError("FlatGeobuf of geometries of any type has no z: export geojsonseq")
    _copy_written(connection, rows, "FlatGeobuf", "fgb", file)


def _write_geopackage(connection: sa.Connection, rows: Condition, file: BinaryIO) -> None:
    names = {column.name for column in TABLE.columns}
    # GDAL's own key; a column may have its name.
    key = next(name for name in ("fid", "ogc_fid", "gdal_fid") if name not in names)
    _copy_written(connection, rows, "GPKG", "gpkg", file, layer_options={"FID": key})


def _copy_written(
    connection: sa.Connection,
    rows: Condition,
    driver: str,
    suffix: str,
    file: BinaryIO,
    **options: Any,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # GDAL writes files only.
        path = Path(folder, f"{TABLE.name}.{suffix}")
        _write_by_gdal(connection, rows, driver, path, **options)
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


def _write_shapefile(connection: sa.Connection, rows: Condition, path: Path | None) -> None:
    """A Shapefile: several files, which have names of ten characters and texts of 254 bytes."""
    if path is None or path.suffix.lower() != ".shp":
        raise ExportError("a Shapefile is of several files: give a name that ends with .shp")
    if spatial.geometry_type(GEOMETRY) in ("GEOMETRY", "GEOMETRYCOLLECTION"):
        raise ExportError("a Shapefile has geometries of one type only: export GeoPackage")
    for column in TABLE.columns:
        if isinstance(column.type, sa.String | JSONB):
            size = sa.func.octet_length(sa.cast(column, sa.Text()))
            _refuse(connection, rows, column, size > 254, "is longer than 254 bytes", "a Shapefile")
        if isinstance(column.type, sa.BigInteger):
            # What has more digits is read as a double.
            large = sa.not_(column.between(1 - 10**17, 10**17 - 1))
            _refuse(connection, rows, column, large, "has more than 17 digits", "a Shapefile")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        _write_by_gdal(
            connection, rows, "ESRI Shapefile", Path(folder, path.name), encoding="UTF-8"
        )
        for written in sorted(Path(folder).iterdir()):
            written.replace(path.with_name(written.name))


def _refuse(
    connection: sa.Connection,
    rows: Condition,
    column: sa.Column[Any],
    condition: sa.ColumnElement[bool],
    reason: str,
    kind: str,
) -> None:
    """Refuse to write rows that a format would change.

    Raises:
        ExportError: There is one; the message names it.
    """
    wanted = sa.select(TABLE.c.id).where(rows.expression, condition).limit(1)
    id = connection.scalar(wanted, rows.values)
    if id is not None:
        raise ExportError(
            f"{column.name} of the row {id} {reason}, which {kind} cannot hold: export geojsonseq or CSV"
        )


def _write_by_gdal(
    connection: sa.Connection, rows: Condition, driver: str, path: Path, **options: Any
) -> None:
    """A file of a format of GDAL's, in the table's CRS.

    Raises:
        ExportError: A package is missing, or the format cannot hold a value.
    """
    try:
        import pyarrow
        import pyogrio
    except ImportError as error:
        raise ExportError(
            f"{driver} needs the packages pyogrio and pyarrow: install this project with its"
            f" extra, formats ({error})"
        ) from error
    for column in TABLE.columns:
        if isinstance(column.type, sa.Date | sa.DateTime):
            beyond = sa.not_(sa.func.date_part("year", column).between(1, 9999))
            infinite = sa.not_(sa.func.isfinite(column))
            reason = "is infinite, or not of the years 1 to 9999"
            _refuse(connection, rows, column, sa.or_(infinite, beyond), reason, driver)
    short = driver == "ESRI Shapefile"
    types = {
        column.name: pyarrow.string()
        # A Shapefile has dates, but no times.
        if short and isinstance(column.type, sa.DateTime)
        else _arrow_type(pyarrow, column)
        for column in TABLE.columns
    }
    names = _short_names(types) if short else list(types)
    schema = pyarrow.schema(list(zip(names, types.values(), strict=True)))
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
    if spatial.dimension(GEOMETRY) == 3 and kind != "Unknown":
        kind += " Z"
    try:
        with warnings.catch_warnings():
            # GDAL warns of what it cuts.
            warnings.simplefilter("error", RuntimeWarning)
            pyogrio.raw.write_arrow(
                pyarrow.RecordBatchReader.from_batches(schema, batches()),
                path,
                layer=path.stem,
                driver=driver,
                geometry_name=names[list(types).index(GEOMETRY.name)],
                geometry_type=kind,
                crs=f"EPSG:{STORAGE.srid}",
                **options,
            )
    except (RuntimeError, RuntimeWarning, pyogrio.errors.DataSourceError) as error:
        for failure in failures:
            raise failure from None
        raise ExportError(f"{driver} cannot be written: {error}") from error


def _short_names(names: Iterable[str]) -> list[str]:
    """Names of ten characters at the most, which differ; ``load`` knows an attribute by the first ten of its name."""
    short: list[str] = []
    for name in names:
        candidates = chain([name[:10]], (f"{name[:8]}_{number}" for number in range(1, 10)))
        taken = {each.lower() for each in short}
        short.append(next((each for each in candidates if each.lower() not in taken), name))
    return short


def _arrow_type(pyarrow: Any, column: sa.Column[Any]) -> Any:
    """The type of a column in GDAL's formats, which have no numbers that are exact and no ids: these are texts."""
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


#: The formats of one file, by their names.
WRITERS: dict[str, Callable[[sa.Connection, Condition, BinaryIO], None]] = {
    "geojsonseq": _write_geojsonseq,
    "geojson": _write_geojson,
    "flatgeobuf": _write_flatgeobuf,
    "geopackage": _write_geopackage,
    "csv": _write_csv,
}
KINDS = (*WRITERS, "shapefile")

#: The formats that the names of files end with.
SUFFIXES = {
    ".geojson": "geojson",
    ".json": "geojson",
    ".geojsonl": "geojsonseq",
    ".geojsons": "geojsonseq",
    ".ndjson": "geojsonseq",
    ".fgb": "flatgeobuf",
    ".gpkg": "geopackage",
    ".shp": "shapefile",
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
