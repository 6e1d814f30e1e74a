"""Export rows to a file, in the same memory for a table of any size."""

import functools
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.db.statements import Condition, Statement
from geotables.file_formats import FormatError, Layer
from geotables.files import flatgeobuf
from geotables.geometry import GEOJSON_TYPES
from geotables.sql.stream import DIGITS, chunks, exact_feature, texts


class ExportError(ValueError):
    """Nothing was written; the message says why."""


@dataclass(slots=True)
class Rows:
    """Rows to be written.

    Attributes:
        connection: In a transaction, whose time zone is UTC.
        collection: What they are of. A column that it does not show is not written.
        condition: Which ones.
        written: How many of them have been written.
    """

    connection: sa.Connection
    collection: Collection
    condition: Condition
    written: int = 0

    def chunks(self, query: sa.Select[Any]) -> Iterator[Any]:
        """What a query over the table selects of them."""
        chosen = query.where(self.condition.expression)
        for chunk in chunks(self.connection, chosen, self.condition):
            yield chunk
            self.written += len(chunk)

    def have_no_place(self) -> bool:
        """Whether one of them has no geometry, or an empty one."""
        place = self.collection.geometry
        unplaced = sa.or_(place.is_(None), sa.func.ST_IsEmpty(place))
        wanted = sa.select(sa.literal(1)).where(self.condition.expression, unplaced)
        query = wanted.select_from(self.collection.table).limit(1)
        return self.connection.scalar(query, self.condition.values) is not None

    def refuse(
        self, column: sa.Column[Any], condition: sa.ColumnElement[bool], reason: str, kind: str
    ) -> None:
        """Refuse to write rows that a format would change.

        Raises:
            ExportError: There is one; the message names it.
        """
        wanted = sa.select(self.collection.key).where(self.condition.expression, condition)
        id = self.connection.scalar(wanted.limit(1), self.condition.values)
        if id is not None:
            raise ExportError(
                f"{column.name} of the row {id} {reason}, which {kind} cannot hold: export geojsonseq or CSV"
            )

    def refuse_other_times(self, kind: str) -> None:
        """Refuse to write dates and times that a format does not have: infinite ones, and those of other years."""
        for column in self.collection.columns:
            if isinstance(column.type, sa.Date | sa.DateTime):
                beyond = sa.not_(sa.func.date_part("year", column).between(1, 9999))
                infinite = sa.not_(sa.func.isfinite(column))
                reason = "is infinite, or not of the years 1 to 9999"
                self.refuse(column, sa.or_(infinite, beyond), reason, kind)


def export(
    connection: sa.Connection,
    collection: Collection,
    condition: Condition,
    kind: str,
    path: Path | None,
    *,
    for_spreadsheets: bool = False,
) -> int:
    """Write rows to a file, which is there as a whole or not at all; returns their number.

    Args:
        connection: In a transaction.
        collection: What the rows are of.
        condition: Which rows.
        kind: The format, one of ``KINDS``.
        path: The file; None: standard output.
        for_spreadsheets: Have CSV begin no text as a formula.

    Raises:
        ExportError: The format cannot hold a row, or needs a package that is not installed.
    """
    # An export may take any time.
    connection.execute(
        sa.text(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
            " SET LOCAL TimeZone = 'UTC'"
        )
    )
    rows = Rows(connection, collection, condition)
    if kind == "shapefile":
        _write_shapefile(rows, path)
        return rows.written
    write = WRITERS[kind]
    if for_spreadsheets:
        if kind != "csv":
            raise ExportError(f"{kind} has no formulas: only CSV is written for spreadsheets")
        write = functools.partial(_write_csv, for_spreadsheets=True)
    if path is None:
        write(rows, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with _replaced(path) as fresh, fresh.open("wb") as file:
            write(rows, file)
    return rows.written


def _write_geojsonseq(rows: Rows, file: BinaryIO) -> None:
    # One to a line, which more programs read than know of the separator of RFC 8142.
    feature = exact_feature(rows.collection)
    for chunk in rows.chunks(sa.select(*feature.columns)):
        file.write(texts(feature.encode(chunk), separator=b""))


def _write_geojson(rows: Rows, file: BinaryIO) -> None:
    feature = exact_feature(rows.collection)
    file.write(b'{"type":"FeatureCollection","features":[')
    before = b"\n"
    for chunk in rows.chunks(sa.select(*feature.columns)):
        file.write(before + b",\n".join(map(orjson.dumps, feature.encode(chunk))))
        before = b",\n"
    file.write(b"\n]}\n")


def _write_csv(rows: Rows, file: BinaryIO, *, for_spreadsheets: bool = False) -> None:
    """CSV with the geometry as WKT, in the table's CRS; NULL is empty, an empty text is quoted."""
    collection, condition = rows.collection, rows.condition
    query = sa.select(
        *(_for_csv(collection, each, for_spreadsheets) for each in collection.columns)
    )
    statement = Statement(query.where(condition.expression))
    driver: Any = rows.connection.connection
    with driver.cursor() as cursor:
        text = cursor.mogrify(statement.text, statement.values(condition.values)).decode()
        try:
            cursor.copy_expert(
                f"COPY ({text}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')", file
            )
        except driver.Error as error:
            raise sa.exc.DBAPIError(text, None, error) from error
        rows.written = cursor.rowcount


def _for_csv(
    collection: Collection, column: sa.Column[Any], for_spreadsheets: bool
) -> sa.ColumnElement[Any]:
    if column is collection.geometry:
        return sa.func.ST_AsText(column, DIGITS).label(column.name)
    if for_spreadsheets and isinstance(column.type, sa.String):
        # https://owasp.org/www-community/attacks/CSV_Injection
        text = text_of(column)
        is_formula = text.op("~")(sa.literal("^[-=+@\t\r]"))
        return sa.case((is_formula, sa.literal("'") + text), else_=text).label(column.name)
    return text_of(column).label(column.name)


def _write_flatgeobuf(rows: Rows, file: BinaryIO) -> None:
    if rows.collection.has_z and rows.collection.geometry_type == "GEOMETRY":
        raise ExportError("FlatGeobuf of geometries of any type has no z: export geojsonseq")
    rows.refuse_other_times("FlatGeobuf")
    if rows.have_no_place():
        # Its index takes no feature without a geometry.
        _write_layer(rows, "fgb", file)
        return
    with _layer(rows, "fgb") as layer:
        query = flatgeobuf.boxed(layer, rows.collection.geometry)
        flatgeobuf.write(layer, rows.chunks(query), file)


def _write_geoparquet(rows: Rows, file: BinaryIO) -> None:
    _write_layer(rows, "parquet", file)


def _write_layer(rows: Rows, format: str, file: BinaryIO) -> None:
    with _layer(rows, format) as layer:
        file.writelines(layer.write(rows.chunks(layer.query)))


@contextmanager
def _layer(rows: Rows, format: str) -> Iterator[Layer]:
    """What a file of a format of ``file_formats`` holds of the table, in the table's CRS.

    Raises:
        ExportError: The format cannot hold it.
    """
    collection = rows.collection
    try:
        yield Layer(format, collection, collection.columns, collection.crs.srid)
    except FormatError as error:
        raise ExportError(f"{error}; export geojsonseq or csv instead") from error


def _write_geopackage(rows: Rows, file: BinaryIO) -> None:
    names = {column.name.lower() for column in rows.collection.columns}
    # GDAL's own key; a column may have its name.
    key = next(name for name in ("fid", "ogc_fid", "gdal_fid") if name not in names)
    _copy_written(rows, "GPKG", "gpkg", file, layer_options={"FID": key})


def _copy_written(rows: Rows, driver: str, suffix: str, file: BinaryIO, **options: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # GDAL writes files only.
        path = Path(folder, f"{rows.collection.name}.{suffix}")
        _write_by_gdal(rows, driver, path, **options)
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


def _write_shapefile(rows: Rows, path: Path | None) -> None:
    """A Shapefile: several files, which have names of ten characters and texts of 254 bytes."""
    if path is None or path.suffix.lower() != ".shp":
        raise ExportError("a Shapefile is of several files: give a name that ends with .shp")
    if rows.collection.geometry_type in ("GEOMETRY", "GEOMETRYCOLLECTION"):
        raise ExportError("a Shapefile has geometries of one type only: export GeoPackage")
    for column in rows.collection.columns:
        if isinstance(column.type, sa.String | sa.JSON):
            size = sa.func.octet_length(sa.cast(column, sa.Text()))
            rows.refuse(column, size > 254, "is longer than 254 bytes", "a Shapefile")
        if isinstance(column.type, sa.BigInteger):
            # What has more digits is read as a double.
            large = sa.not_(column.between(1 - 10**17, 10**17 - 1))
            rows.refuse(column, large, "has more than 17 digits", "a Shapefile")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        _write_by_gdal(rows, "ESRI Shapefile", Path(folder, path.name), encoding="UTF-8")
        for written in sorted(Path(folder).iterdir()):
            written.replace(path.with_name(written.name))


def _write_by_gdal(rows: Rows, driver: str, path: Path, **options: Any) -> None:
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
    collection = rows.collection
    rows.refuse_other_times(driver)
    short = driver == "ESRI Shapefile"
    types = {
        column.name: pyarrow.string()
        # A Shapefile has dates, but no times.
        if short and isinstance(column.type, sa.DateTime)
        else _arrow_type(pyarrow, collection, column)
        for column in collection.columns
    }
    names = _short_names(types) if short else list(types)
    schema = pyarrow.schema(list(zip(names, types.values(), strict=True)))
    query = sa.select(
        *(
            _for_arrow(collection, column, types[column.name] == pyarrow.string())
            for column in collection.columns
        )
    )
    failures = []

    def batches() -> Iterator[Any]:
        try:
            for chunk in rows.chunks(query):
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

    kind = GEOJSON_TYPES.get(collection.geometry_type, "Unknown")
    if collection.has_z and kind != "Unknown":
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
                geometry_name=names[list(types).index(collection.geometry.name)],
                geometry_type=kind,
                crs=f"EPSG:{collection.crs.srid}",
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


def _arrow_type(pyarrow: Any, collection: Collection, column: sa.Column[Any]) -> Any:
    """The type of a column in GDAL's formats, which have no numbers that are exact and no ids: these are texts."""
    if column is collection.geometry:
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


def _for_arrow(
    collection: Collection, column: sa.Column[Any], is_text: bool
) -> sa.ColumnElement[Any]:
    if column is collection.geometry:
        return sa.func.ST_AsBinary(column, type_=sa.LargeBinary())
    return sa.cast(column, sa.Text()) if is_text else column


#: The formats of one file, by their names.
WRITERS: dict[str, Callable[[Rows, BinaryIO], None]] = {
    "geojsonseq": _write_geojsonseq,
    "geojson": _write_geojson,
    "flatgeobuf": _write_flatgeobuf,
    "geopackage": _write_geopackage,
    "geoparquet": _write_geoparquet,
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
    ".parquet": "geoparquet",
    ".geoparquet": "geoparquet",
    ".shp": "shapefile",
    ".csv": "csv",
}


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
