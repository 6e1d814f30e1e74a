"""Geometry between PostGIS, Shapely, GeoJSON and WKT, as Pydantic types.

GeoJSON is longitude, latitude in WGS 84, whatever the table stores (RFC 7946, section 4). WKT is in the table's CRS,
x before y; EWKT may name that or WGS 84.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from shapely.geometry.base import BaseGeometry

from geotables import json_numbers
from geotables.context import current
from geotables.crs import CRS84, WGS84, WORLD, Bounds
from geotables.geometry import metadata
from geotables.geometry.metadata import GeometryColumn

#: The types of GeoJSON (RFC 7946, section 3.1) by the names that PostGIS has for them.
GEOJSON_TYPES = {
    "POINT": "Point",
    "LINESTRING": "LineString",
    "POLYGON": "Polygon",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiLineString",
    "MULTIPOLYGON": "MultiPolygon",
    "GEOMETRYCOLLECTION": "GeometryCollection",
}

#: Those of them that have parts.
COMPOUND = frozenset({"MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"})

#: The most pairs of a geometry's segments whose boxes overlap, each counted from both sides. GEOS compares all of them to tell
#: whether an area is valid or what a line intersects: so many take up to a second, and ten times as many, where rings meet in
#: one point, a minute and gigabytes.
MAX_OVERLAPS = 5_000_000

#: The most vertices with which a geometry cannot have more such pairs.
FEW_VERTICES = math.isqrt(MAX_OVERLAPS)

#: The most vertices of an invalid geometry of which GEOS is asked for the reason.
MAX_EXPLAINED = 1_000

#: How deep collections may be nested. PostGIS refuses 200 levels, and a recursive parser would crash the process before.
MAX_DEPTH = 32


class GeometryFormat(ABC):
    """How the geometry of a column is written, in SQL, by Pydantic and in the OpenAPI document.

    Used as ``Annotated[BaseGeometry, GeoJSON(column)]``. Either format takes a GeoJSON object, WKT or EWKT text, a
    Shapely geometry and what GeoAlchemy2 loads, and refuses geometry that the column could not store.
    """

    #: Whether what PostGIS writes is JSON already.
    is_json: ClassVar[bool] = False

    def __init__(self, column: Any) -> None:
        self.column: GeometryColumn = sa.inspect(column).expression

    @abstractmethod
    def select(self) -> sa.ColumnElement[str]:
        """The expression that has PostGIS write the column."""

    @abstractmethod
    def write(self, geometry: BaseGeometry) -> Any:
        """The geometry as a JSON value."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema of what is written."""

    def parse(self, value: Any) -> BaseGeometry:
        """A geometry that the column can store, its SRID set.

        Raises:
            PydanticCustomError: It cannot be read or stored; the message has the reason.
        """
        try:
            geometry = read(value, default_srid=metadata.srid(self.column))
            verify(geometry, self.column)
        except (ValueError, NotImplementedError) as error:
            raise PydanticCustomError("geometry", "{reason}", {"reason": str(error)}) from error
        return geometry

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(self.write),
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if handler.mode == "serialization":
            return self.schema()
        return {"oneOf": [GeoJSON(self.column).schema(), WKT(self.column).schema()]}


class GeoJSON(GeometryFormat):
    """Writes GeoJSON, in WGS 84."""

    is_json = True

    def select(self) -> sa.ColumnElement[str]:
        # Options 0: without them PostGIS adds a "crs" member, which RFC 7946 has removed.
        return sa.func.ST_AsGeoJSON(in_srid(self.column, WGS84), CRS84.decimals, 0, type_=sa.Text())

    def write(self, geometry: BaseGeometry) -> Any:
        if shapely.get_srid(geometry) not in (0, WGS84):
            raise ValueError(f"GeoJSON is in WGS 84, not in SRID {shapely.get_srid(geometry)}")
        return orjson.loads(shapely.to_geojson(geometry))

    def schema(self) -> dict[str, Any]:
        kind = metadata.geometry_type(self.column)
        kinds = GEOJSON_TYPES if kind == "GEOMETRY" else [kind]
        schemas = [_geojson_schema(each, metadata.dimension(self.column)) for each in kinds]
        return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}


class WKT(GeometryFormat):
    """Writes WKT, in the CRS of the table."""

    def select(self) -> sa.ColumnElement[str]:
        return sa.func.ST_AsText(self.column, type_=sa.Text())

    def write(self, geometry: BaseGeometry) -> Any:
        return geometry.wkt

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "description": f"WKT in EPSG:{metadata.srid(self.column)}, x before y",
        }


def in_srid(geometry: sa.ColumnElement[Any], srid: int) -> sa.ColumnElement[Any]:
    """A geometry column in another CRS."""
    if isinstance(geometry.type, Geometry) and geometry.type.srid == srid:
        return geometry
    return sa.func.ST_Transform(geometry, srid, type_=Geometry(srid=srid))


def bind(geometry: BaseGeometry, srid: int) -> sa.ColumnElement[Any]:
    """A geometry, its SRID set, as a value in SQL in another CRS."""
    own = int(shapely.get_srid(geometry))
    value = sa.func.ST_GeomFromWKB(shapely.to_wkb(geometry), own, type_=Geometry(srid=own))
    return in_srid(value, srid)


def parameter(name: str, srid: int) -> sa.ColumnElement[Any]:
    """A geometry in SQL whose value is given by name, as ``ewkb`` writes it."""
    value = sa.bindparam(name, type_=sa.LargeBinary())
    # Not sa.func: GeoAlchemy2 would pass it the SRID, which EWKB has.
    return sa.Function("ST_GeomFromEWKB", value, type_=Geometry(srid=srid))


def of_text(text: sa.ColumnElement[Any], srid: int, *, is_json: bool) -> sa.ColumnElement[Any]:
    """A geometry in SQL of GeoJSON, or of WKT in a CRS: what ``read`` makes of the same text."""
    if is_json:
        return sa.Function("ST_GeomFromGeoJSON", text, type_=Geometry(srid=WGS84))
    return sa.Function("ST_GeomFromText", text, srid, type_=Geometry(srid=srid))


def intersecting(
    geometry: sa.ColumnElement[Any], names: Iterable[str], srid: int
) -> sa.ColumnElement[bool]:
    """Whether a geometry intersects any of those whose values are given by these names."""
    found = (
        sa.Function("ST_Intersects", geometry, parameter(name, srid), type_=sa.Boolean())
        for name in names
    )
    return sa.or_(*found)


def ewkb(geometry: BaseGeometry) -> bytes:
    """A geometry, its SRID set, as PostGIS reads it."""
    return bytes(shapely.to_wkb(geometry, include_srid=True))


def boxes(bounds: Bounds) -> list[BaseGeometry]:
    """A box in WGS 84 as geometries: two, side by side, where it crosses the antimeridian.

    Without width or height it is a line or a point: a flat polygon is invalid, and intersects less than its line does.
    """
    found = []
    for west, east in bounds.spans:
        low, high = (west, bounds.ymin), (east, bounds.ymax)
        if west < east and bounds.ymin < bounds.ymax:
            part = shapely.box(*low, *high)
        elif low == high:
            part = shapely.Point(low)
        else:
            part = shapely.LineString([low, high])
        found.append(shapely.set_srid(part, WGS84))
    return found


def read(value: Any, *, default_srid: int) -> BaseGeometry:
    """A Shapely geometry, its SRID set, of GeoJSON, WKT, EWKT or what GeoAlchemy2 loads.

    Raises:
        ValueError: It is none of them, or malformed.
    """
    match value:
        case dict():
            return _read_geojson(value)
        case str():
            return _read_wkt(value, default_srid)
        case BaseGeometry():
            srid = shapely.get_srid(value)
            return value if srid else shapely.set_srid(value, default_srid)
        case WKBElement():
            geometry = shapely.from_wkb(bytes.fromhex(value.desc))
            return shapely.set_srid(geometry, value.srid if value.srid > 0 else default_srid)
    raise ValueError("not a geometry: a GeoJSON object or WKT text is expected")


def _read_geojson(value: dict[str, Any]) -> BaseGeometry:
    if value.get("type") not in GEOJSON_TYPES.values():
        names = ", ".join(GEOJSON_TYPES.values())
        raise ValueError(f"the type of a GeoJSON geometry is one of {names}")
    try:
        text = orjson.dumps(value, default=json_numbers.write)
        _verify_depth(text, b"[]")
        geometry = shapely.from_geojson(text)
    except (shapely.GEOSException, TypeError) as error:
        raise ValueError(f"malformed GeoJSON geometry: {_reason(error)}") from error
    return shapely.set_srid(geometry, WGS84)


def _read_wkt(text: str, default_srid: int) -> BaseGeometry:
    match = re.fullmatch(r"(?i)\s*(?:SRID\s*=\s*(\d{1,6})\s*;)?(.*)", text, re.DOTALL)
    if match is None or "\0" in text:
        raise ValueError("malformed WKT")
    srid = int(match[1]) if match[1] else default_srid
    if srid not in (default_srid, WGS84):
        # PostGIS would transform coordinates beyond the area of the other CRS to somewhere that does not exist.
        wanted = " or ".join(map(str, dict.fromkeys((default_srid, WGS84))))
        raise ValueError(f"EWKT in SRID {srid}, where {wanted} is expected")
    _verify_depth(text.encode(errors="replace"), b"()")
    try:
        geometry = shapely.from_wkt(match[2])
        verify_plain(geometry)
    except shapely.GEOSException as error:
        raise ValueError(f"malformed WKT: {_reason(error)}") from error
    except NotImplementedError as error:
        raise ValueError(str(error)) from error
    return shapely.set_srid(geometry, srid)


def verify_plain(geometries: Any) -> None:
    """Look for curves in one geometry or in many: Shapely reads those that are within collections, and can do nothing with them.

    Raises:
        NotImplementedError: There is one.
    """
    parts = np.asarray(geometries).ravel()
    while parts.size:
        collections = shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION
        parts = shapely.get_parts(parts[collections])


def _verify_depth(text: bytes, brackets: bytes) -> None:
    """Refuse text that is nested more deeply than a parser can be trusted with."""
    if text.count(brackets[0]) > MAX_DEPTH:
        characters = np.frombuffer(text, np.uint8)
        opened, closed = (np.cumsum(characters == bracket) for bracket in brackets)
        if (opened - closed).max() > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _reason(error: Exception) -> str:
    """GEOS' reason without the name of its exception class."""
    return str(error).removeprefix("ParseException: ").removeprefix("IllegalArgumentException: ")


def verify(geometry: BaseGeometry, column: GeometryColumn) -> None:
    """Check that the column can store the geometry.

    Raises:
        ValueError: It is of another type or dimension, empty, not finite, out of range, or invalid.
    """
    kind, wanted = geometry.geom_type.upper(), metadata.geometry_type(column)
    most, vertices = current.get().max_vertices, int(shapely.get_num_coordinates(geometry))
    if most is not None and vertices > most:
        raise ValueError(f"a geometry of {vertices:,} vertices, where {most:,} are the most")
    if kind not in GEOJSON_TYPES:
        raise ValueError(f"a {geometry.geom_type}, which GeoJSON does not have")
    if wanted not in ("GEOMETRY", kind):
        raise ValueError(f"a {geometry.geom_type} where the column stores {wanted}")
    dimension = metadata.dimension(column)
    is_empty, has_axes = geometry.is_empty, shapely.has_z(geometry) == (dimension == 3)
    # Not of the others: for an array of one NumPy takes longer than GEOS for the point in it.
    if kind in COMPOUND:
        parts = shapely.get_parts(geometry)
        if (shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
            # RFC 7946, section 3.1.8: they SHOULD be avoided; ST_AsGeoJSON of PostGIS 3.3 fails on one.
            raise ValueError(
                "a GeometryCollection within a GeometryCollection: put its parts into one"
            )
        # An empty part of a part, too: ST_AsGeoJSON writes [[0,0],] for MULTIPOINT (0 0, EMPTY).
        inner = shapely.get_parts(parts)
        is_empty |= shapely.is_empty(parts).any() or shapely.is_empty(inner).any()
        has_axes &= (shapely.has_z(parts) == (dimension == 3)).all()
    if is_empty:
        raise ValueError("an empty geometry")
    if shapely.has_m(geometry):
        raise ValueError("coordinates with a measure (M), which the column does not store")
    if not has_axes:
        axes = {2: "x and y", 3: "x, y and z"}[dimension]
        raise ValueError(f"coordinates of another dimension: the column stores {axes}")
    coordinates = shapely.get_coordinates(geometry, include_z=dimension == 3)
    if not np.isfinite(coordinates).all():
        raise ValueError("a coordinate that is NaN or infinite")
    _verify_range(coordinates[:, :2], shapely.get_srid(geometry), column)
    if kind in ("POINT", "MULTIPOINT"):
        # They have no segments, and are always valid.
        return
    if is_tangled(geometry):
        raise ValueError(
            f"a geometry of {vertices:,} vertices whose segments lie over one another, or meet, too often: split it"
        )
    # Not geometry.is_valid, which keeps other threads from running meanwhile.
    if not shapely.is_valid(geometry):
        raise ValueError(_invalid(geometry, vertices))


def _invalid(geometry: BaseGeometry, vertices: int) -> str:
    """Why a geometry is invalid; of a large one only that it is, since GEOS keeps other threads from running meanwhile."""
    if vertices > MAX_EXPLAINED:
        return f"an invalid geometry of {vertices:,} vertices: PostGIS' ST_IsValidReason says why"
    return f"an invalid geometry: {shapely.is_valid_reason(geometry)}"


def is_tangled(geometry: BaseGeometry) -> bool:
    """Whether more pairs of segments than ``MAX_OVERLAPS``, or 50 for each segment, have boxes that overlap.

    Where many rings meet in one point, or many long diagonals lie side by side, GEOS and PostGIS take time with the square
    of their number.
    """
    if shapely.get_num_coordinates(geometry) <= FEW_VERTICES:
        return False
    # Of a collection that has a MULTI geometry, its parts' parts.
    parts = shapely.get_parts(shapely.get_parts(geometry))
    lines = parts[shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING]
    paths = np.concatenate([shapely.get_rings(parts), lines])
    coordinates, path = shapely.get_coordinates(paths, return_index=True)
    joined = path[1:] == path[:-1]
    ends = np.stack([coordinates[:-1][joined], coordinates[1:][joined]])
    low, high = ends.min(axis=0), ends.max(axis=0)
    most = max(MAX_OVERLAPS, 50 * len(low))
    # Boxes overlap along both axes: for the usual geometry this bound is enough.
    if min(_overlaps(low[:, axis], high[:, axis]) for axis in (0, 1)) <= most:
        return False
    boxes = shapely.box(*low.T, *high.T)
    tree, overlaps = shapely.STRtree(boxes), 0
    # So few that an answer has at most ``MAX_OVERLAPS`` pairs, even if every box overlaps every other.
    at_once = max(1, MAX_OVERLAPS // len(boxes))
    for first in range(0, len(boxes), at_once):
        overlaps += tree.query(boxes[first : first + at_once]).shape[1]
        if overlaps > most:
            return True
    return False


def _overlaps(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> int:
    """How many pairs of intervals overlap, each counted from both sides and with itself."""
    apart = int(np.searchsorted(np.sort(high), low).sum())
    return len(low) ** 2 - 2 * apart


def _verify_range(coordinates: np.ndarray[Any, Any], srid: int, column: GeometryColumn) -> None:
    """Refuse coordinates that the CRS does not define; those of a foreign SRID are left to PostGIS."""
    crs = metadata.crs(column)
    if srid == WGS84 and not WORLD.contain(coordinates):
        raise ValueError(f"coordinates out of range: longitude and latitude are {WORLD}")
    if srid == crs.srid == WGS84:
        # Its domain and its extent are the world.
        return
    if srid == WGS84 and not crs.domain.contain(coordinates):
        raise ValueError(f"a place outside of {crs}, where longitude and latitude are {crs.domain}")
    if srid == crs.srid and not crs.extent.contain(coordinates):
        raise ValueError(f"coordinates out of range: those of {crs} are {crs.extent}")


def _geojson_schema(kind: str, dimension: int) -> dict[str, Any]:
    """JSON Schema of one type of geometry (RFC 7946, section 3.1)."""
    if kind == "GEOMETRYCOLLECTION":
        kinds = [each for each in GEOJSON_TYPES if each != kind]
        members: dict[str, Any] = {"oneOf": [_geojson_schema(each, dimension) for each in kinds]}
        return _member_schema(kind, "geometries", {"type": "array", "items": members})
    position = _array({"type": "number"}, dimension) | {"maxItems": dimension}
    line, ring = _array(position, 2), _array(position, 4)
    coordinates = {
        "POINT": position,
        "LINESTRING": line,
        "POLYGON": _array(ring),
        "MULTIPOINT": _array(position),
        "MULTILINESTRING": _array(line),
        "MULTIPOLYGON": _array(_array(ring)),
    }[kind]
    return _member_schema(kind, "coordinates", coordinates)


def _array(items: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def _member_schema(kind: str, member: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": GEOJSON_TYPES[kind],
        "required": ["type", member],
        "properties": {"type": {"type": "string", "enum": [GEOJSON_TYPES[kind]]}, member: value},
    }
