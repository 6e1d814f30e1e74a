"""Features out of files: GeoJSON by itself, every other format through GDAL.

A file is read a batch at a time, so that one of any size takes the same memory. Coordinates are x before y whatever
the CRS: longitude before latitude.
"""

import codecs
import csv
import gzip
import io
import itertools
import json
import re
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import orjson
import shapely

from geotables import geometry, json_numbers
from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.files.fields import Fields, of_arrow, stated
from geotables.geometry import arrays
from geotables.sql.stream import RECORD_SEPARATOR

#: Features of a batch. Larger ones gain nothing, and PostgreSQL would wait for them.
BATCH = 2_000

#: Bytes of a batch that GDAL reads, at the most.
BATCH_SIZE = 1 << 26

#: Bytes, or characters, that are read at once.
CHUNK = 1 << 20


class SourceError(ValueError):
    """A file cannot be read; the message names it, and what would help."""


class Feature(NamedTuple):
    """A feature as a file has it: its geometry as GeoJSON, if any, its properties, and why it cannot be read."""

    geometry: dict[str, Any] | None
    properties: dict[str, Any]
    problem: str | None = None
    #: Of its text, in bytes or characters.
    size: int = 0
    id: Any = None


@dataclass(slots=True)
class Batch:
    """Features that follow one another in a file.

    Attributes:
        positions: Where each stands in the file, from 1.
        geometries: Shapely's, without an SRID; None where there is none.
        properties: By the names that the file has for them.
        problems: What cannot be read, by the index in the batch.
        ids: The features' own ids; empty where the format has none.
    """

    positions: list[int]
    geometries: np.ndarray[Any, Any]
    properties: list[dict[str, Any]]
    problems: dict[int, str]
    ids: list[Any] = field(default_factory=list)


class Source(Protocol):
    """A file of features."""

    #: The SRID of the coordinates; of GeoJSON it is known when the first batch is.
    srid: int
    #: What ``size`` and ``progress`` count.
    unit: str
    #: How much there is to read; None: unknown.
    size: int | None
    #: How much has been read.
    progress: int
    #: Whether the values of JSON attributes are texts that hold JSON.
    json_as_text: bool

    @property
    def reading(self) -> str:
        """How it is read, for people: what was found or taken for granted, and the options that say otherwise."""

    def batches(self) -> Iterator[Batch]:
        """The features, in the order of the file.

        Raises:
            SourceError: The file is broken.
        """

    def fields(self) -> Fields:
        """What the file says of the properties, to which those of its batches can be added."""


class Coordinates(NamedTuple):
    """The columns of a table that hold coordinates; None: they are found by their names."""

    x: str | None = None
    y: str | None = None
    z: str | None = None


def source(
    path: Path,
    collection: Collection | None = None,
    srid: int | None = None,
    layer: str | None = None,
    *,
    encoding: str | None = None,
    linearize: bool = False,
    coordinates: Coordinates | None = None,
) -> Source:
    """A file, by its content: GeoJSON, CSV, GeoParquet, or what GDAL reads.

    Args:
        path: The file, or the folder if the format is one.
        collection: Where the features go: its columns tell where the geometries of a table without any may be. None: it has
            yet to be made, and a table whose CRS is not said is taken to be in WGS 84.
        srid: The SRID of its coordinates, whatever the file says; None: what it says.
        layer: Which one, of a file that has several.
        encoding: Of its texts; None: what the file says, else UTF-8.
        linearize: Make lines of curves.
        coordinates: The columns that hold them, where there is no geometry; None: found by their names.

    Raises:
        SourceError: It cannot be opened, or its CRS or layer has to be said.
    """
    coordinates = coordinates or Coordinates()
    if not path.exists():
        raise SourceError(f"there is no file {path}")
    # Of a pipe, which cannot be read twice, only GeoJSON can come.
    if not path.is_file() and not path.is_dir():
        return GeoJSON(path, srid, encoding)
    head = b"a folder" if path.is_dir() else _head(path, encoding)
    if _GEOJSON.match(head) and not _OTHER_JSON.search(head.partition(b'"features"')[0]):
        if layer is not None:
            raise SourceError(f"{path} is GeoJSON, which has no layers")
        return GeoJSON(path, srid, encoding)
    if path.is_file() and {".csv", ".tsv"} & set(map(str.lower, path.suffixes)):
        return CSV(path, collection, srid, encoding, coordinates)
    if head.startswith(b"PAR1"):
        return GeoParquet(path, collection, srid, coordinates)
    return Layer(
        path,
        collection,
        srid,
        layer,
        encoding=encoding,
        linearize=linearize,
        coordinates=coordinates,
    )


def _head(path: Path, encoding: str | None) -> bytes:
    """How a file begins, in UTF-8 where its encoding is known."""
    with _opened(path) as file:
        try:
            head = file.read(4096)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path} is broken: {error}") from error
    return head.decode(encoding, "ignore").encode() if encoding else head


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """A file to be read, decompressed if need be."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    return gzip.open(path) if zipped else path.open("rb")


GZIP = b"\x1f\x8b"

_GEOJSON = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*(\x1e|{|$)")

#: What TopoJSON and Esri JSON have before their features, if they have any.
_OTHER_JSON = re.compile(
    rb'"type"\s*:\s*"Topology"|"(geometryType|displayFieldName|spatialReference)"\s*:'
)


class GeoJSON:
    """A FeatureCollection, or a sequence of Features: one to a line, or each after a record separator (RFC 8142)."""

    unit = "B"
    json_as_text = False

    def __init__(self, path: Path, srid: int | None = None, encoding: str | None = None) -> None:
        self.path = path
        self.srid = srid or WGS84
        self.size = path.stat().st_size if path.is_file() else None
        self.progress = 0
        self._encoding = encoding
        self._follows_file = srid is None

    @property
    def reading(self) -> str:
        return f"GeoJSON in EPSG:{self.srid} (--source-crs)"

    def batches(self) -> Iterator[Batch]:
        first = 1
        with io.FileIO(self.path) if self.path.is_file() else _Pipe(self.path) as file:
            # A pipe has no place to look at twice.
            stream: io.BufferedReader[Any] = io.BufferedReader(file, CHUNK)
            if stream.peek(2)[:2] == GZIP:
                stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), CHUNK)
            if self._encoding is not None:
                stream = io.BufferedReader(_Recoded(stream, self._encoding), CHUNK)
            try:
                for some in _together(self._features(stream)):
                    if self.size is not None:
                        self.progress = file.tell()
                    yield _batch(first, some)
                    first += len(some)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise SourceError(f"{self.path} is broken: {error}") from error

    def fields(self) -> Fields:
        return Fields({})

    def _features(self, stream: "io.BufferedReader[Any]") -> Iterator[Feature]:
        head = stream.peek(CHUNK)
        if head.startswith(codecs.BOM_UTF8):
            head = head.removeprefix(codecs.BOM_UTF8)
            stream.read(len(codecs.BOM_UTF8))
        if head.startswith(RECORD_SEPARATOR):
            yield from map(_parsed, filter(bytes.strip, _records(stream)))
        elif _is_feature(head.partition(b"\n")[0]):
            yield from map(_parsed, filter(bytes.strip, stream))
        else:
            yield from self._documents(stream)

    def _documents(self, stream: BinaryIO) -> Iterator[Feature]:
        """The features of one FeatureCollection, or of several JSON texts one after the other."""
        parser = _Parser(stream)
        try:
            while parser.peek():
                yield from self._document(parser)
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.path} is not UTF-8, as JSON must be: {error.reason}, {parser.place};"
                " --encoding names another, such as latin1"
            ) from error
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.path} is not GeoJSON: {error} ({parser.place})") from error

    def _document(self, parser: "_Parser") -> Iterator[Feature]:
        members: dict[str, Any] = {}
        has_features, constant = False, None
        for name in parser.members():
            if name == "features" and parser.peek() == "[":
                has_features = True
                if self._follows_file:
                    self.srid = _srid_of_member(members.get("crs"))
                for each in parser.elements():
                    yield _feature(each, parser.text, parser.constant)
            else:
                members[name] = parser.value()
                if name == "properties":
                    members[name] = _exact(members[name], parser.text)
                constant = constant or parser.constant
        if has_features:
            if self._follows_file and _srid_of_member(members.get("crs")) != self.srid:
                raise SourceError(
                    f'{self.path} says its CRS after its features: move the member "crs" before them'
                    " or give the CRS with --source-crs"
                )
        elif members.get("type") == "Feature":
            yield _feature(members, "", constant)
        else:
            kind = members.get("type", "no GeoJSON object")
            raise ValueError(f"a FeatureCollection or a Feature is expected, this is {kind!s:.50}")


def _records(stream: BinaryIO) -> Iterator[bytes]:
    """The texts of an RFC 8142 sequence."""
    rest = b""
    while chunk := stream.read(CHUNK):
        *records, rest = (rest + chunk).split(RECORD_SEPARATOR)
        yield from records
    yield rest


def _is_feature(line: bytes) -> bool:
    with suppress(ValueError):
        value = json.loads(line)
        return isinstance(value, dict) and value.get("type") == "Feature"
    return False


def _parsed(text: bytes) -> Feature:
    try:
        return _feature(orjson.loads(text), text)
    except ValueError as error:
        reason = str(error)
    # Slower, and exact where orjson refuses: NaN is of one value, and named.
    constants: list[str] = []
    try:
        value = json.loads(text, parse_constant=constants.append)
    except (ValueError, RecursionError):
        return Feature(None, {}, f"not JSON: {reason}")
    return _feature(value, text, *constants[:1])


def _feature(value: Any, text: bytes | str, constant: str | None = None) -> Feature:
    """A parsed value as a feature.

    Args:
        value: What has been parsed.
        text: What it was parsed from.
        constant: NaN, Infinity or -Infinity, if the text has one.
    """
    if not isinstance(value, dict) or value.get("type") != "Feature":
        return Feature(None, {}, "not a GeoJSON Feature")
    shape, properties = value.get("geometry"), value.get("properties") or {}
    if not isinstance(properties, dict):
        return Feature(None, {}, "a Feature whose properties are not an object")
    if constant is not None:
        return Feature(None, properties, f"{constant} is not JSON: null stands for no number")
    if shape is not None and not isinstance(shape, dict):
        return Feature(None, properties, "a Feature whose geometry is not an object")
    if not _WITH_DIGITS.isdisjoint(map(type, properties.values())):
        properties = _exact(value, text).get("properties")
    return Feature(shape, properties, size=len(text), id=value.get("id"))


#: What may have numbers that a double does not hold.
_WITH_DIGITS = {float, dict, list}

#: Numbers that a double may not hold, and coordinates, too.
_MANY_DIGITS = re.compile(r"[0-9][0-9.]{15}")


def _exact(value: Any, text: bytes | str) -> Any:
    """A parsed value; parsed again with all the digits of its numbers where doubles may have lost some."""
    many = _MANY_DIGITS.search(text if isinstance(text, str) else text.decode(errors="replace"))
    return value if many is None else json_numbers.loads(text)


def _together(features: Iterable[Feature]) -> Iterator[list[Feature]]:
    """As many features at a time as a batch has; fewer if they are large."""
    some: list[Feature] = []
    size = 0
    for each in features:
        some.append(each)
        size += each.size
        if len(some) == BATCH or size > CHUNK:
            yield some
            some, size = [], 0
    if some:
        yield some


def _batch(first: int, features: list[Feature]) -> Batch:
    problems = {at: each.problem for at, each in enumerate(features) if each.problem}
    geometries = arrays.read([each.geometry for each in features])
    for at in np.flatnonzero(shapely.is_missing(geometries)).tolist():
        shape = features[at].geometry
        if shape is not None:
            try:
                geometry.read(shape, default_srid=WGS84)
            except ValueError as error:
                problems[at] = str(error)
    positions = list(range(first, first + len(features)))
    return Batch(
        positions,
        geometries,
        [each.properties for each in features],
        problems,
        [each.id for each in features],
    )


def _packages(path: Path) -> tuple[Any, Any]:
    """pyarrow and pyogrio, which only the formats besides GeoJSON need."""
    try:
        import pyarrow
        import pyogrio
    except ImportError as error:
        raise SourceError(
            f"{path} is not GeoJSON; other formats need the packages pyogrio and pyarrow:"
            f" install this project with its extra, formats ({error})"
        ) from error
    return pyarrow, pyogrio


class Layer:
    """A layer of a file that GDAL reads: GeoPackage, FlatGeobuf, Shapefile and many more."""

    unit = " features"
    json_as_text = True

    def __init__(
        self,
        path: Path,
        collection: Collection | None,
        srid: int | None,
        layer: str | None,
        *,
        encoding: str | None,
        linearize: bool,
        coordinates: Coordinates,
    ) -> None:
        self.path = path
        self.progress = 0
        self._collection = collection
        self._encoding = encoding
        self._pyarrow, self._pyogrio = _packages(path)
        # So that a batch of large geometries has fewer of them.
        self._pyogrio.set_gdal_config_options({"OGR_ARROW_MEM_LIMIT": BATCH_SIZE})
        self._opened = str(path)
        # Where all cells are texts, GDAL would take the header for a row.
        is_sheet = path.suffix.lower() in (".xlsx", ".ods")
        self._options = {"HEADERS": "FORCE"} if is_sheet else {}
        errors = self._pyogrio.errors
        try:
            self._open(linearize=linearize)
            self.layer, about = self._layer(layer, coordinates)
        except (errors.DataSourceError, errors.DataLayerError, errors.GeometryError) as error:
            raise SourceError(f"{path} cannot be read: {_without_advice(error)}") from error
        # Of what GDAL makes as it reads, the number is not known before.
        self.size = about["features"] if about["features"] >= 0 else None
        self.srid = srid or self._srid(about)
        #: As GDAL names it: Point, 3D MultiPolygon, Unknown.
        self.geometry_type: str = about["geometry_type"] or ""
        self.driver: str = about["driver"]
        kinds = zip(about["fields"], about["ogr_types"], strict=True)
        self._times = [str(name) for name, kind in kinds if kind == "OFTDateTime"]
        layer_of = f", layer {self.layer} (--layer)" if self.layer else ""
        columns = f", {self._table.reading}" if self._table else ""
        self.reading = f"{self.driver}{layer_of}{columns} in EPSG:{self.srid} (--source-crs)"

    def _open(self, *, linearize: bool) -> None:
        """Have GDAL make lines of curves, and take layers whose type pyogrio does not know."""
        steps = ["set-geom-type --linear"] if linearize else []
        try:
            self._pyogrio.list_layers(self.path)
        except self._pyogrio.errors.GeometryError:
            steps.append("set-geom-type --geometry-type=GEOMETRY")
        if steps:
            name = str(self.path.resolve()).replace("\\", "\\\\").replace('"', '\\"')
            pipeline = " ! ".join(["gdal vector pipeline", f'read "{name}"', *steps])
            self._folder = tempfile.TemporaryDirectory()
            made = Path(self._folder.name, "pipeline.gdalg.json")
            made.write_text(
                json.dumps({"type": "gdal_streamed_alg", "command_line": pipeline}),
                encoding="utf-8",
            )
            self._opened = str(made)

    def _layer(self, layer: str | None, coordinates: Coordinates) -> tuple[str, dict[str, Any]]:
        """The layer to read, and what GDAL says of it."""
        self._table: _Table | None = None
        found = {str(name): kind for name, kind in self._pyogrio.list_layers(self._opened)}
        layers = [name for name, kind in found.items() if kind is not None] or list(found)
        if layer is None and len(layers) == 1:
            layer = layers[0]
        if not layers:
            raise SourceError(f"{self.path} has no geometries")
        if layer not in found:
            raise SourceError(
                f"{self.path} has the layers {', '.join(found)}: say which one with --layer"
            )
        about = self._pyogrio.read_info(
            self._opened,
            layer=layer,
            force_feature_count=self._opened == str(self.path),
            **self._options,
        )
        if found[layer] is None:
            names = list(map(str, about["fields"]))
            self._table = _Table(self.path, self._collection, names, coordinates)
        return layer, about

    def _srid(self, about: dict[str, Any]) -> int:
        crs = about["crs"]
        if not crs and self._table is not None:
            return self._table.srid
        # https://github.com/topojson/topojson-specification: like GeoJSON, unless it says otherwise.
        if not crs and about["driver"] == "TopoJSON":
            return WGS84
        try:
            return srid_of(crs or "")
        except ValueError as error:
            said = f"its CRS is not of the EPSG: {crs!r:.200}" if crs else "it has no CRS"
            raise SourceError(f"{self.path}: {said}; say which with --source-crs EPSG:n") from error

    def _reading(self) -> Any:
        return self._pyogrio.raw.open_arrow(
            self._opened,
            layer=self.layer,
            batch_size=BATCH,
            use_pyarrow=False,
            # So that offsets from UTC are kept.
            datetime_as_string=True,
            # Without it GDAL goes by what the shapefile says; other formats are decoded here.
            encoding=self._encoding if self.driver == "ESRI Shapefile" else None,
            **self._options,
        )

    def batches(self) -> Iterator[Batch]:
        try:
            with self._reading() as (about, stream):
                stream = iter(self._pyarrow.RecordBatchReader.from_stream(stream))
                while (columns := _next(stream)) is not None:
                    yield self._batch(columns, about["geometry_name"] or "wkb_geometry")
        except (OSError, self._pyogrio.errors.DataLayerError) as error:
            raise SourceError(f"{self.path} is broken: {error}") from error

    def fields(self) -> Fields:
        with self._reading() as (about, stream):
            schema = self._pyarrow.RecordBatchReader.from_stream(stream).schema
        found = stated(about, schema)
        for name in self._table.names if self._table else ():
            del found[name]
        return Fields(found)

    def _batch(self, columns: Any, geometry_name: str) -> Batch:
        encoding = None if self.driver == "ESRI Shapefile" else self._encoding
        problems: dict[int, str] = {}
        values = {
            name: _cells(name, columns.column(name), encoding, problems)
            for name in columns.schema.names
            if name != geometry_name
        }
        for name in self._times:
            values[name] = [text if text is None else _with_offset(text) for text in values[name]]
        if self._table is None:
            try:
                shapes = columns.column(geometry_name).to_pylist()
            except SystemError as error:
                # GDAL's reader of FlatGeobuf gives such a feature a negative length.
                reason = "it has features without a geometry, which GDAL cannot read: make a GeoPackage of it"
                raise SourceError(f"{self.path}: {reason} (ogr2ogr)") from error
            geometries, unread = _from_wkb(shapes)
        else:
            geometries, unread = self._table.geometries(values, self.srid)
        first = self.progress + 1
        self.progress += len(geometries)
        positions = list(range(first, self.progress + 1))
        return Batch(positions, geometries, _rows(values, len(positions)), unread | problems)


def _next(stream: Iterator[Any]) -> Any:
    """The next batch; what GDAL warns of, such as an unusual way to write a time, is read all the same."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return next(stream, None)


def _without_advice(error: Exception) -> str:
    """What GDAL says, without the advice that only its own tools can follow."""
    return str(error).partition("; It might help")[0]


class CSV:
    """A table with a column of WKT, or with columns of coordinates.

    A cell that is empty is null, one that is empty between quotes is an empty text.
    """

    unit = "B"
    json_as_text = True

    def __init__(
        self,
        path: Path,
        collection: Collection | None,
        srid: int | None,
        encoding: str | None,
        coordinates: Coordinates,
    ) -> None:
        self.path = path
        self.size: int | None = path.stat().st_size
        self.progress = 0
        self._encoding = encoding
        self._pyarrow, _ = _packages(path)
        try:
            with _opened(path) as file:
                # A spreadsheet writes a mark before UTF-8. More than the header is decoded here.
                text = io.TextIOWrapper(
                    file, encoding or "utf-8-sig", errors="surrogateescape", newline=""
                )
                head = text.readline()
                head.encode()
                self._delimiter = max(",;\t|", key=head.count)
                self._names = next(csv.reader([head], delimiter=self._delimiter), [])
        except UnicodeError as error:
            raise SourceError(
                f"{path}: its header is not {encoding or 'UTF-8 (--encoding names another)'}: {error}"
            ) from error
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        if twice := {name for name in self._names if self._names.count(name) > 1}:
            raise SourceError(f"{path} has several columns called {', '.join(sorted(twice))}")
        self._table = _Table(path, collection, self._names, coordinates)
        self.srid = srid or self._table.srid
        self.reading = (
            f"CSV separated by {self._delimiter!r}, {encoding or 'UTF-8'} (--encoding),"
            f" {self._table.reading} in EPSG:{self.srid} (--source-crs)"
        )

    def batches(self) -> Iterator[Batch]:
        from pyarrow import csv as arrow

        broken: list[Any] = []

        def note(row: Any) -> str:
            broken.append(row)
            return "skip"

        with _opened(self.path) as file:
            try:
                reader = arrow.open_csv(
                    file,
                    # One thread, so that a row that is broken has a number.
                    arrow.ReadOptions(
                        block_size=BATCH_SIZE, encoding=self._encoding or "utf8", use_threads=False
                    ),
                    arrow.ParseOptions(
                        delimiter=self._delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=note,
                    ),
                    arrow.ConvertOptions(
                        # Decoded here, so that what is not of the encoding has a place.
                        column_types=dict.fromkeys(self._names, self._pyarrow.binary()),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
                position = 0
                for block in reader:
                    self.progress = file.tell()
                    numbers = {row.number - 1 for row in broken}
                    for start in range(0, block.num_rows, BATCH):
                        rows = block.slice(start, BATCH)
                        after = (
                            each for each in itertools.count(position + 1) if each not in numbers
                        )
                        positions = list(itertools.islice(after, rows.num_rows))
                        position = positions[-1]
                        yield self._batch(positions, rows)
            except (OSError, ValueError, EOFError, zlib.error) as error:
                raise SourceError(f"{self.path} is broken: {error}") from error
        if broken:
            yield Batch(
                [row.number - 1 for row in broken],
                np.full(len(broken), None),
                [{} for _ in broken],
                {
                    at: f"{row.actual_columns} columns where there are {row.expected_columns}: {row.text!r:.60}"
                    for at, row in enumerate(broken)
                },
            )

    def fields(self) -> Fields:
        return Fields({}, as_text=True)

    def _batch(self, positions: list[int], columns: Any) -> Batch:
        problems: dict[int, str] = {}
        values = {name: _cells(name, columns.column(name), None, problems) for name in self._names}
        geometries, unread = self._table.geometries(values, self.srid)
        return Batch(positions, geometries, _rows(values, len(positions)), unread | problems)


class GeoParquet:
    """GeoParquet; without its metadata, a table like that of CSV, in which WKB may be, too."""

    unit = " features"
    json_as_text = True

    def __init__(
        self,
        path: Path,
        collection: Collection | None,
        srid: int | None,
        coordinates: Coordinates,
    ) -> None:
        self.path, self.progress = path, 0
        self._pyarrow, _ = _packages(path)
        from pyarrow.parquet import ParquetFile

        try:
            self._file = ParquetFile(path)
            self._schema = self._file.schema_arrow
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        try:
            about = json.loads((self._file.metadata.metadata or {}).get(b"geo", b"{}"))
            self._geometry = about.get("primary_column")
            column = about["columns"][self._geometry] if about else {}
            # The boxes of the geometries are no property.
            boxes = column.get("covering", {}).get("bbox", {}).get("xmin", [None])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{path}: its metadata, geo, is not GeoParquet's ({error!r}): write the file again with GDAL or geopandas"
            ) from error
        self.size: int | None = self._file.metadata.num_rows
        self._names = [name for name in self._schema.names if name != boxes[0]]
        self._table = None
        if not column:
            self._table = _Table(path, collection, self._names, coordinates)
        self._see_that_it_is_text_or_wkb(*(self._table.names if self._table else [self._geometry]))
        self.srid = srid or (self._table.srid if self._table else self._srid(column))
        columns = f"Parquet, {self._table.reading}" if self._table else "GeoParquet"
        self.reading = f"{columns} in EPSG:{self.srid} (--source-crs)"

    def _see_that_it_is_text_or_wkb(self, name: str, *others: str) -> None:
        """Refuse a column of geometries in GeoArrow's own types; with others, it is one of coordinates."""
        if name not in self._schema.names:
            raise SourceError(
                f"{self.path} has no column {name!r}, where its metadata, geo, has the geometries;"
                f" it has {', '.join(self._schema.names)}"
            )
        kind = str(self._schema.field(name).type)
        if not others and not re.search("string|binary|wkb|wkt", kind):
            raise SourceError(
                f"{self.path}: its column {name} has geometries as {kind:.60}; write them as WKB: GDAL with"
                " -lco GEOMETRY_ENCODING=WKB, geopandas with geometry_encoding='WKB'"
            )

    def _srid(self, column: dict[str, Any]) -> int:
        if "crs" not in column:
            return WGS84
        crs = column["crs"] or {}
        # Before GeoParquet 1.0 it was a text.
        name: Any = crs
        identifier = str(crs)
        if isinstance(crs, dict):
            about = crs.get("id") or {}
            name, identifier = crs.get("name"), f"{about.get('authority')}:{about.get('code')}"
        try:
            return srid_of(identifier)
        except ValueError as error:
            said = f"its CRS, {name!s:.60}, is not of the EPSG"
            reason = said if crs else "it has no CRS"
            raise SourceError(
                f"{self.path}: {reason}; say which with --source-crs EPSG:n"
            ) from error

    def batches(self) -> Iterator[Batch]:
        try:
            for rows in self._file.iter_batches(BATCH, columns=self._names):
                yield self._batch(rows)
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.path} is broken: {error}") from error

    def fields(self) -> Fields:
        taken = [self._geometry, *(self._table.names if self._table else ())]
        columns = [self._schema.field(name) for name in self._names if name not in taken]
        return Fields(of_arrow(columns))

    def _batch(self, rows: Any) -> Batch:
        values = {}
        for name in self._names:
            column = rows.column(name)
            if self._pyarrow.types.is_timestamp(column.type):
                # Python has no nanoseconds.
                column = column.cast(self._pyarrow.timestamp("us", column.type.tz), safe=False)
            values[name] = column.to_pylist()
        if self._table is None:
            geometries, unread = _from_wkb(values.pop(self._geometry))
        else:
            geometries, unread = self._table.geometries(values, self.srid)
        first = self.progress + 1
        self.progress += rows.num_rows
        positions = list(range(first, self.progress + 1))
        return Batch(positions, geometries, _rows(values, len(positions)), unread)


def _with_offset(text: str) -> str:
    """A time with its offset from UTC, or a date; these formats mean UTC where they do not say."""
    return text if _COMPLETE.search(text) else f"{text}Z"


_COMPLETE = re.compile(r"(Z|[+-]\d\d:?\d\d|^\d{4}-\d\d-\d\d)$")


def _from_wkb(shapes: list[bytes | None]) -> tuple[np.ndarray[Any, Any], dict[int, str]]:
    """Geometries, and why some cannot be read: GeoJSON has no curves."""
    texts = np.array(shapes, dtype=object)
    problems: dict[int, str] = {}
    try:
        return np.asarray(shapely.from_wkb(texts)), problems
    except (NotImplementedError, shapely.GEOSException):
        found = np.full(len(texts), None)
    for at, wkb in enumerate(shapes):
        if wkb is not None:
            try:
                found[at] = _without_curves(wkb)[0]
            except (ValueError, struct.error, shapely.GEOSException) as error:
                problems[at] = str(error)
    return found, problems


#: WKB's number of it (OGC 06-103r4, table 7); it is a polygon in all but name.
_TRIANGLE = 17


def _without_curves(wkb: bytes, start: int = 0) -> tuple[shapely.Geometry, int]:
    """A geometry of WKB, and where that ends; a MultiSurface of polygons, say, becomes a MultiPolygon.

    Raises:
        ValueError: A part of it is not plain.
    """
    order = "<" if wkb[start] else ">"
    (code,) = struct.unpack_from(f"{order}I", wkb, start + 1)
    # As ISO has it, and as GDAL and PostGIS had it before.
    has_z = bool(code & 1 << 31) or code % 10_000 // 1000 in (1, 3)
    has_m = bool(code & 1 << 30) or code % 10_000 // 1000 in (2, 3)
    kind = (code & 0xFFFF) % 1000
    size, at = 8 * (2 + has_z + has_m), start + 5

    def number() -> int:
        nonlocal at
        (found,) = struct.unpack_from(f"{order}I", wkb, at)
        at += 4
        return int(found)

    match kind:
        case 1:
            at += size
        case 2:
            positions = number()
            at += positions * size
        case 3 | 17:
            for _ in range(number()):
                positions = number()
                at += positions * size
        case 4 | 5 | 6 | 7 | 9 | 10 | 11 | 12 | 15 | 16:
            parts = []
            for _ in range(number()):
                part, at = _without_curves(wkb, at)
                parts.append(part)
            if has_m:
                raise ValueError("coordinates with a measure (M), which the column does not store")
            return _whole(kind, parts), at
        case 8:
            raise ValueError(
                "an arc (CircularString), which GeoJSON does not have (--linearize makes a line of it)"
            )
        case _:
            raise ValueError(f"a geometry of WKB's type {kind}, which GeoJSON does not have")
    plain = bytearray(wkb[start:at])
    if kind == _TRIANGLE:
        struct.pack_into(f"{order}I", plain, 1, code - _TRIANGLE + 3)
    return shapely.from_wkb(bytes(plain)), at


def _whole(kind: int, parts: list[shapely.Geometry]) -> shapely.Geometry:
    """A geometry of WKB's type of this number."""
    match kind:
        case 4:
            return shapely.MultiPoint(parts)
        case 5 | 11:
            return shapely.MultiLineString(parts)
        case 6 | 12 | 15 | 16:
            return shapely.MultiPolygon(parts)
        case 7:
            return shapely.GeometryCollection(parts)
        case 9:
            # Each line begins where the one before ends.
            lines = [shapely.get_coordinates(part, include_z=part.has_z) for part in parts]
            return shapely.LineString(
                np.concatenate([*lines[:1], *(line[1:] for line in lines[1:])])
            )
    return shapely.Polygon(parts[0], parts[1:])


def _cells(name: str, column: Any, encoding: str | None, problems: dict[int, str]) -> list[Any]:
    """The values of a column; what is no text of the encoding is noted."""
    kind = str(column.type)
    if "string" not in kind and "binary" not in kind:
        values: list[Any] = column.to_pylist()
        return values
    if encoding is None:
        with suppress(ValueError):
            texts: list[Any] = column.cast("string").to_pylist()
            return texts
    texts = []
    for at, cell in enumerate(column.cast("binary").to_pylist()):
        try:
            texts.append(cell if cell is None else cell.decode(encoding or "utf-8"))
        except UnicodeDecodeError as error:
            texts.append(cell.decode(errors="backslashreplace"))
            problems[at] = (
                f"{name}: {texts[-1]!r:.60} is not {error.encoding.upper()}"
                " (--encoding names another, such as latin1)"
            )
    return texts


def _rows(columns: dict[str, list[Any]], length: int) -> list[dict[str, Any]]:
    """Columns as the properties of each feature."""
    if not columns:
        return [{} for _ in range(length)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class _Table:
    """Where the rows of a table without geometries lie: in a column of WKT, or in columns of coordinates."""

    #: Names of such columns, without their case.
    WKT = ("wkt", "geometry", "geom", "the_geom", "wkb_geometry", "shape")
    XY = (
        ("longitude", "latitude"),
        ("long", "lat"),
        ("lon", "lat"),
        ("lng", "lat"),
        ("x", "y"),
    )

    def __init__(
        self,
        path: Path,
        collection: Collection | None,
        names: list[str],
        coordinates: Coordinates,
    ) -> None:
        self._path = path
        self._collection = collection
        known = {name.strip().casefold(): name for name in names}
        self.names: list[str] = []
        given = [each for each in coordinates if each is not None]
        if missing := [each for each in given if each.casefold() not in known]:
            raise SourceError(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}")
        x, y = coordinates.x, coordinates.y
        if (x is None) != (y is None):
            raise SourceError("give both --x and --y, the columns of the coordinates")
        own = (collection.geometry.name.casefold(),) if collection else ()
        texts = [known[name] for name in (*own, *self.WKT) if name in known]
        self._in_degrees = False
        if x is None and texts:
            self.names = texts[:1]
        elif x is None:
            x, y = next((pair for pair in self.XY if known.keys() >= {*pair}), (None, None))
            self._in_degrees = y is not None and y.startswith("lat")
        if x is not None and y is not None:
            has_z = (collection is None or collection.has_z) and "z" in known
            z = coordinates.z or ("z" if has_z else None)
            self.names = [known[each.casefold()] for each in (x, y, z) if each is not None]
        if not self.names:
            listed = f": its columns are {', '.join(names)}" if names else ""
            raise SourceError(
                f"{path} has no geometries{listed}. They come in a column WKT, or in lon and lat,"
                " or in those that --x and --y name"
            )

    @property
    def reading(self) -> str:
        """The columns of the geometries, and the options that name others."""
        if len(self.names) == 1:
            return f"geometries from {self.names[0]}"
        return f"points from {', '.join(self.names)} (--x, --y)"

    @property
    def srid(self) -> int:
        """The SRID of the coordinates, if there can be only one."""
        srid = self._collection.crs.srid if self._collection else WGS84
        if self._in_degrees or srid == WGS84:
            return WGS84
        raise SourceError(
            f"{self._path}: it has no CRS; say which with --source-crs EPSG:n: export writes CSV in"
            f" EPSG:{srid}, the service in EPSG:{WGS84} unless it is asked for another"
        )

    def geometries(
        self, values: dict[str, list[Any]], srid: int
    ) -> tuple[np.ndarray[Any, Any], dict[int, str]]:
        """The geometries of the rows, whose columns are dropped unless they are attributes as well."""
        columns = [values[name] for name in self.names]
        kept: set[str] = set()
        if self._collection is not None:
            kept = {*self._collection.table.columns.keys()} - {self._collection.geometry.name}
        for name in self.names:
            if name not in kept:
                del values[name]
        make = _from_text if len(columns) == 1 else _from_numbers
        found = np.full(len(columns[0]), None)
        problems = {}
        for at, cells in enumerate(zip(*columns, strict=True)):
            if any(cell not in (None, "") for cell in cells):
                try:
                    found[at] = make(srid, *cells)
                except ValueError as error:
                    problems[at] = f"{', '.join(self.names)}: {error}"
        return found, problems


def _from_text(srid: int, text: Any) -> shapely.Geometry:
    """A geometry of WKT, of EWKT in the CRS of the file, or of WKB, also in hexadecimal digits, as PostGIS writes it."""
    if isinstance(text, bytes) or re.fullmatch(r"0[01][0-9A-Fa-f]{16,}", str(text)):
        try:
            shape = shapely.from_wkb(text)
        except (shapely.GEOSException, NotImplementedError) as error:
            raise ValueError(f"malformed WKB: {error}") from error
    else:
        shape = geometry.read(text if text is None else str(text), default_srid=srid)
    if shapely.get_srid(shape) not in (0, srid):
        raise ValueError(f"it is in SRID {shapely.get_srid(shape)}, the file in {srid}")
    return shapely.set_srid(shape, 0)


def _from_numbers(_srid: int, *cells: Any) -> shapely.Geometry:
    """A point of its coordinates."""
    try:
        return shapely.Point(*map(float, cells))
    except (TypeError, ValueError):
        listed = ", ".join(f"{cell!r:.40}" for cell in cells)
        # Spreadsheets write 50,93 in many languages.
        hint = ": decimals follow a point" if any("," in str(cell) for cell in cells) else ""
        raise ValueError(f"{listed} are not the numbers of a place{hint}") from None


def srid_of(crs: str) -> int:
    """The SRID of ``EPSG:27700`` or of another name of a CRS of the EPSG's; of CRS 84 it is that of WGS 84.

    Raises:
        ValueError: It is of neither.
    """
    if re.search(r'\bCRS84"?\W*$', crs):
        return WGS84
    match = re.fullmatch(r"(?i)(?:.*\bEPSG[:/](?:[\d.]*[:/])?)?(\d{1,6})", crs)
    if match is None:
        raise ValueError(f"{crs!r:.100} is no CRS of the EPSG, like EPSG:27700")
    return int(match[1])


def _srid_of_member(crs: Any) -> int:
    """The SRID of the member "crs", which GeoJSON had before RFC 7946 and GDAL still writes."""
    if crs is None:
        return WGS84
    try:
        return srid_of(crs["properties"]["name"])
    except (TypeError, KeyError):
        raise ValueError('its member "crs" names no CRS') from None


class _Pipe(io.FileIO):
    """A pipe that hears of a signal within a second, even where that comes just before it waits."""

    def readinto(self, buffer: Any) -> int | None:
        while not select([self], [], [], 1)[0]:
            pass
        return super().readinto(buffer)


class _Recoded(io.RawIOBase):
    """The bytes of a text in UTF-8 that is stored in another encoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding, newline="")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Of a byte at least, unless the stream has ended.
        try:
            self._rest = self._rest or self._text.read(CHUNK).encode()
        except UnicodeDecodeError as error:
            raise SourceError(f"this is not {error.encoding}: {error}") from error
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


class _Parser:
    """Walks through JSON that is larger than memory, an element at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._constants: list[str] = []
        self._scan = json.JSONDecoder(parse_constant=self._constants.append).raw_decode
        self._buffer, self._at, self._ended = "", 0, False
        #: Of the elements that have been read; None before the first one.
        self._element: int | None = None
        #: The lines and bytes before the buffer.
        self._lines, self._bytes = 0, 0
        #: The last value as it was written.
        self.text = ""

    @property
    def constant(self) -> str | None:
        """What the last value has that JSON does not: NaN, Infinity or -Infinity."""
        return self._constants[0] if self._constants else None

    @property
    def place(self) -> str:
        """Where the parser is, for people."""
        before = self._buffer[: self._at]
        line = 1 + self._lines + before.count("\n")
        at = 1 + self._bytes + len(before.encode())
        feature = "" if self._element is None else f"feature {self._element + 1}, "
        return f"{feature}line {line}, byte {at}"

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._fill()

    def members(self) -> Iterator[str]:
        """The names of an object's members; read the value before you ask for the next name."""
        for _ in self._items("{", "}"):
            name = self.value()
            self._expect(":")
            yield name

    def elements(self) -> Iterator[Any]:
        """The elements of an array."""
        self._element = 0
        for _ in self._items("[", "]"):
            yield self.value()
            self._element += 1
        self._element = None

    def value(self) -> Any:
        """The next value, as a whole."""
        self.peek()
        while True:
            self._constants.clear()
            try:
                value, end = self._scan(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._is_cut(error):
                    self._at = error.pos
                    raise ValueError(f"{error.msg}: {self._buffer[error.pos :][:40]!r}") from error
            else:
                # What ends with the buffer may go on: of 1234 it may have 12.
                if self._ended or end < len(self._buffer):
                    self.text = self._buffer[self._at : end]
                    self._at = end
                    return value
            self._fill()

    def _items(self, opening: str, closing: str) -> Iterator[None]:
        self._expect(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self._expect("," + closing) == closing:
                return
            if self.peek() == closing:
                raise ValueError(f"a comma before {closing}, after which nothing comes")

    def _expect(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            wanted = " or ".join(characters)
            raise ValueError(f"{wanted} expected, not {self._buffer[self._at :][:40]!r}")
        self._at += 1
        return found

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the error may be of the buffer's end rather than of the text."""
        return error.msg.startswith("Unterminated") or error.pos > len(self._buffer) - 16

    def _fill(self) -> None:
        done, rest = self._buffer[: self._at], self._buffer[self._at :]
        self._lines += done.count("\n")
        self._bytes += len(done.encode())
        self._buffer, self._at = rest, 0
        # At least as much again, so that a value of many chunks is not tried once for each of them.
        more = self._stream.read(max(CHUNK, len(rest)))
        try:
            self._buffer += self._decoder.decode(more, not more)
        except UnicodeDecodeError as error:
            # The place is that of the byte.
            self._buffer += error.object[: error.start].decode(errors="replace")
            self._at = len(self._buffer)
            raise
        self._ended = not more


_SPACE = re.compile(r"[ \t\n\r]*")
