"""GeoJSON (RFC 7946), and sequences of it (RFC 8142)."""

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
import shapely

from geotables import geometry, json_numbers
from geotables.crs import WGS84
from geotables.files.fields import Fields
from geotables.files.sources import streams
from geotables.files.sources.base import BATCH, Batch, OpenOptions, SourceError
from geotables.files.sources.crs_names import srid_of
from geotables.files.sources.json_parser import Parser
from geotables.geometry import arrays
from geotables.sql.stream import RECORD_SEPARATOR


class Feature(NamedTuple):
    """A feature as a file has it: its geometry as GeoJSON, if any, its properties, and why it cannot be read."""

    geometry: dict[str, Any] | None
    properties: dict[str, Any]
    problem: str | None = None
    #: Of its text, in bytes or characters.
    size: int = 0
    id: Any = None


class GeoJSON:
    """A FeatureCollection, or a sequence of Features: one to a line, or each after a record separator (RFC 8142)."""

    unit = "B"
    json_as_text = False

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self.path = path
        self.srid = options.srid or WGS84
        self.size = path.stat().st_size if path.is_file() else None
        self.progress = 0
        self._encoding = options.encoding
        self._follows_file = options.srid is None

    @property
    def reading(self) -> str:
        return f"GeoJSON in EPSG:{self.srid} (--source-crs)"

    def batches(self) -> Iterator[Batch]:
        first = 1
        with io.FileIO(self.path) if self.path.is_file() else streams.Pipe(self.path) as file:
            # A pipe has no place to look at twice.
            stream: io.BufferedReader[Any] = io.BufferedReader(file, streams.CHUNK)
            if stream.peek(2)[:2] == streams.GZIP:
                stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), streams.CHUNK)
            if self._encoding is not None:
                stream = io.BufferedReader(streams.Recoded(stream, self._encoding), streams.CHUNK)
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
        head = stream.peek(streams.CHUNK)
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
        parser = Parser(stream)
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

    def _document(self, parser: Parser) -> Iterator[Feature]:
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
    while chunk := stream.read(streams.CHUNK):
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
        if len(some) == BATCH or size > streams.CHUNK:
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


def _srid_of_member(crs: Any) -> int:
    """The SRID of the member "crs", which GeoJSON had before RFC 7946 and GDAL still writes."""
    if crs is None:
        return WGS84
    try:
        return srid_of(crs["properties"]["name"])
    except (TypeError, KeyError):
        raise ValueError('its member "crs" names no CRS') from None
