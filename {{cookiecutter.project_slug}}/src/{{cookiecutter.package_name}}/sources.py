"""Features out of files: GeoJSON by itself, every other format through GDAL.

A file is read a batch at a time, so that one of any size takes the same memory. Coordinates are x before y whatever
the CRS: longitude before latitude.
"""

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import orjson
import shapely

from . import bulk, geometry
from .crs import WGS84

#: Features of a batch. Larger ones gain nothing, and PostgreSQL would wait for them.
BATCH = 2_000

#: Bytes of a batch that GDAL reads, at the most.
BATCH_SIZE = 1 << 26

#: Bytes, or characters, that are read at once.
CHUNK = 1 << 20

RECORD_SEPARATOR = b"\x1e"


class SourceError(ValueError):
    """A file cannot be read; the message names it, and what would help."""


class Feature(NamedTuple):
    """A feature as a file has it: its geometry as GeoJSON, if any, its properties, and why it cannot be read."""

    geometry: dict[str, Any] | None
    properties: dict[str, Any]
    problem: str | None = None
    #: Of its text, in bytes or characters.
    size: int = 0


@dataclass(slots=True)
class Batch:
    """Features that follow one another in a file.

    Attributes:
        positions: Where each stands in the file, from 1.
        geometries: Shapely's, without an SRID; None where there is none.
        properties: By the names that the file has for them.
        problems: What cannot be read, by the index in the batch.
    """

    positions: list[int]
    geometries: np.ndarray[Any, Any]
    properties: list[dict[str, Any]]
    problems: dict[int, str]


class Source(Protocol):
    """A file of features."""

    #: The SRID of the coordinates; of GeoJSON it is known when the first batch is.
    srid: int
    #: What ``size`` and ``progress`` count.
    unit: str
    #: How much there is to read, None if nobody knows.
    size: int | None
    #: How much has been read.
    progress: int
    #: Whether the values of JSON attributes are texts that hold JSON.
    json_as_text: bool

    def batches(self) -> Iterator[Batch]:
        """The features, in the order of the file.

        Raises:
            SourceError: The file is broken.
        """


def source(path: Path, srid: int | None = None, layer: str | None = None) -> Source:
    """A file, by its content: GeoJSON, or what GDAL reads.

    Args:
        path: The file, or the folder if the format is one.
        srid: The SRID of its coordinates, whatever the file says; None: what it says.
        layer: Which one, of a file that has several.

    Raises:
        SourceError: It cannot be opened, or its CRS or layer has to be said.
    """
    if not path.exists():
        raise SourceError(f"there is no file {path}")
    # Of a pipe, which cannot be read twice, only GeoJSON can come.
    if not path.is_dir() and (not path.is_file() or _GEOJSON.match(_head(path))):
        if layer is not None:
            raise SourceError(f"{path} is GeoJSON, which has no layers")
        return GeoJSON(path, srid)
    return Layer(path, srid, layer)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


_GEOJSON = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*(\x1e|{|$)")


class GeoJSON:
    """A FeatureCollection, or a sequence of Features: one to a line, or each after a record separator (RFC 8142)."""

    unit = "B"
    json_as_text = False

    def __init__(self, path: Path, srid: int | None = None) -> None:
        self.path = path
        self.srid = srid or WGS84
        self.size = path.stat().st_size if path.is_file() else None
        self.progress = 0
        self._follows_file = srid is None

    def batches(self) -> Iterator[Batch]:
        first = 1
        with io.BufferedReader(self.path.open("rb", buffering=0), CHUNK) as stream:
            for some in _together(self._features(stream)):
                if self.size is not None:
                    self.progress = stream.tell()
                yield _batch(first, some)
                first += len(some)

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
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.path} is not GeoJSON: {error}") from error

    def _document(self, parser: "_Parser") -> Iterator[Feature]:
        members: dict[str, Any] = {}
        has_features = False
        for name in parser.members():
            if name == "features" and parser.peek() == "[":
                has_features = True
                if self._follows_file:
                    self.srid = _srid_of_member(members.get("crs"))
                for each in parser.elements():
                    yield _feature(each, parser.size)
            else:
                members[name] = parser.value()
        if has_features:
            if self._follows_file and _srid_of_member(members.get("crs")) != self.srid:
                raise SourceError(
                    f'{self.path} says its CRS after its features: move the member "crs" before them'
                    " or give the CRS with --source-crs"
                )
        elif members.get("type") == "Feature":
            yield _feature(members, parser.size)
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
        value = orjson.loads(line)
        return isinstance(value, dict) and value.get("type") == "Feature"
    return False


def _parsed(text: bytes) -> Feature:
    try:
        return _feature(orjson.loads(text), len(text))
    except ValueError as error:
        return Feature(None, {}, f"not JSON: {error}")


def _feature(value: Any, size: int) -> Feature:
    if not isinstance(value, dict) or value.get("type") != "Feature":
        return Feature(None, {}, "not a GeoJSON Feature")
    shape, properties = value.get("geometry"), value.get("properties") or {}
    if not isinstance(properties, dict):
        return Feature(None, {}, "a Feature whose properties are not an object")
    if shape is not None and not isinstance(shape, dict):
        return Feature(None, properties, "a Feature whose geometry is not an object")
    return Feature(shape, properties, size=size)


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
    geometries = bulk.read([each.geometry for each in features])
    for at in np.flatnonzero(shapely.is_missing(geometries)).tolist():
        shape = features[at].geometry
        if shape is not None:
            try:
                geometry.read(shape, default_srid=WGS84)
            except ValueError as error:
                problems[at] = str(error)
    positions = list(range(first, first + len(features)))
    return Batch(positions, geometries, [each.properties for each in features], problems)


class Layer:
    """A layer of a file that GDAL reads: GeoPackage, FlatGeobuf, Shapefile and many more."""

    unit = " features"
    json_as_text = True

    def __init__(self, path: Path, srid: int | None, layer: str | None) -> None:
        self.path = path
        self.progress = 0
        try:
            import pyarrow
            import pyogrio
        except ImportError as error:
            raise SourceError(
                f"{path} is not GeoJSON; other formats need the packages pyogrio and pyarrow:"
                f" install this project with its extra, formats ({error})"
            ) from error
        # So that a batch of large geometries has fewer of them.
        pyogrio.set_gdal_config_options({"OGR_ARROW_MEM_LIMIT": BATCH_SIZE})
        self._stream_of = pyarrow.RecordBatchReader.from_stream
        self._pyogrio = pyogrio
        try:
            layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
            if layer is None and len(layers) == 1:
                layer = layers[0]
            if not layers:
                raise SourceError(f"{path} has no geometries")
            if layer not in layers:
                raise SourceError(
                    f"{path} has the layers {', '.join(layers)}: say which one with --layer"
                )
            about = pyogrio.read_info(path, layer=layer, force_feature_count=True)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        self.layer = layer
        self.size = about["features"]
        self.srid = srid or self._srid(about["crs"])
        kinds = zip(about["fields"], about["ogr_types"], strict=True)
        self._times = [str(name) for name, kind in kinds if kind == "OFTDateTime"]

    def _srid(self, crs: str | None) -> int:
        try:
            return srid_of(crs or "")
        except ValueError as error:
            said = f"its CRS is not of the EPSG: {crs!r:.200}" if crs else "it has no CRS"
            raise SourceError(f"{self.path}: {said}; say which with --source-crs EPSG:n") from error

    def batches(self) -> Iterator[Batch]:
        reading = self._pyogrio.raw.open_arrow(
            self.path,
            layer=self.layer,
            batch_size=BATCH,
            use_pyarrow=False,
            # So that offsets from UTC are kept.
            datetime_as_string=True,
        )
        try:
            with reading as (about, stream):
                for columns in self._stream_of(stream):
                    yield self._batch(columns, about["geometry_name"] or "wkb_geometry")
        except OSError as error:
            raise SourceError(f"{self.path} is broken: {error}") from error

    def _batch(self, columns: Any, geometry_name: str) -> Batch:
        values = {name: columns.column(name).to_pylist() for name in columns.schema.names}
        shapes = values.pop(geometry_name)
        for name in self._times:
            values[name] = [text if text is None else _with_offset(text) for text in values[name]]
        properties: list[dict[str, Any]] = [{} for _ in shapes]
        for name, column in values.items():
            for each, value in zip(properties, column, strict=True):
                each[name] = value
        geometries = _from_wkb(shapes)
        problems = {
            at: "a geometry of a type that GeoJSON does not have"
            for at in np.flatnonzero(shapely.is_missing(geometries)).tolist()
            if shapes[at] is not None
        }
        first = self.progress + 1
        self.progress += len(shapes)
        return Batch(list(range(first, self.progress + 1)), geometries, properties, problems)


def _with_offset(text: str) -> str:
    """A time with its offset from UTC; these formats mean UTC where they do not say."""
    return text if _OFFSET.search(text) else f"{text}Z"


_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def _from_wkb(shapes: list[bytes | None]) -> np.ndarray[Any, Any]:
    """Geometries; None for those that Shapely has no type for, such as curves."""
    texts = np.array(shapes, dtype=object)
    try:
        return np.asarray(shapely.from_wkb(texts, on_invalid="ignore"))
    except NotImplementedError:
        found = np.full(len(texts), None)
        for at, text in enumerate(shapes):
            with suppress(NotImplementedError):
                found[at] = shapely.from_wkb(text, on_invalid="ignore")
        return found


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


class _Parser:
    """Walks through JSON that is larger than memory, an element at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder(parse_constant=_refuse).raw_decode
        self._buffer, self._at, self._ended = "", 0, False
        #: Characters of the last value.
        self.size = 0

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._fill()

    def members(self) -> Iterator[str]:
        """The names of an object's members; whoever asks for the next one has read the value."""
        for _ in self._items("{", "}"):
            name = self.value()
            self._expect(":")
            yield name

    def elements(self) -> Iterator[Any]:
        """The elements of an array."""
        for _ in self._items("[", "]"):
            yield self.value()

    def value(self) -> Any:
        """The next value, as a whole."""
        self.peek()
        while True:
            try:
                value, end = self._scan(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._is_cut(error):
                    raise ValueError(f"{error.msg}: {self._buffer[error.pos :][:40]!r}") from error
            else:
                # What ends with the buffer may go on: of 1234 it may have 12.
                if self._ended or end < len(self._buffer):
                    self.size = end - self._at
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
        rest = self._buffer[self._at :]
        # At least as much again, so that a value of many chunks is not tried once for each of them.
        more = self._stream.read(max(CHUNK, len(rest)))
        self._buffer, self._at, self._ended = (
            rest + self._decoder.decode(more, not more),
            0,
            not more,
        )


_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
