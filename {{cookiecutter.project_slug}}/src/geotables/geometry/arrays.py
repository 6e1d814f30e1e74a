"""Geometries by the thousand: what ``geometry.read`` and ``geometry.verify`` do with one, with all at once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
import shapely

from geotables import geometry
from geotables.context import current
from geotables.crs import CRS, WGS84
from geotables.geometry import GEOJSON_TYPES, metadata
from geotables.geometry.metadata import GeometryColumn

#: Geometries of Shapely's; None where there is none.
Geometries = np.ndarray[Any, Any]

#: How each type becomes one of many parts.
JOIN = {
    "POINT": shapely.multipoints,
    "LINESTRING": shapely.multilinestrings,
    "POLYGON": shapely.multipolygons,
}

#: How GeoJSON's coordinates become geometries: what makes them of parts, from the outermost brackets inwards.
STEPS = {
    "Point": (),
    "MultiPoint": (shapely.multipoints,),
    "LineString": (shapely.linestrings,),
    "MultiLineString": (shapely.multilinestrings, shapely.linestrings),
    "Polygon": (shapely.polygons, shapely.linearrings),
    "MultiPolygon": (shapely.multipolygons, shapely.polygons, shapely.linearrings),
}


def read(shapes: Sequence[dict[str, Any] | None]) -> Geometries:
    """Geometries of GeoJSON; None where there is none or where it is malformed."""
    geometries = np.full(len(shapes), None)
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        if shape is not None:
            kinds[str(shape.get("type"))].append(index)
    for kind, indices in kinds.items():
        if kind in GEOJSON_TYPES.values():
            geometries[indices] = _read(kind, [shapes[index] for index in indices])
    return geometries


def _read(kind: str, shapes: list[Any]) -> Geometries:
    """Geometries of one type."""
    try:
        return _built(STEPS[kind], [shape["coordinates"] for shape in shapes])
    except (KeyError, TypeError, ValueError, OverflowError, shapely.GEOSException):
        # One is malformed, or they differ in dimension: each is read for itself, which takes longer.
        geometries = np.full(len(shapes), None)
        for index, shape in enumerate(shapes):
            with suppress(ValueError):
                geometries[index] = geometry.read(shape, default_srid=WGS84)
        return geometries


def _built(steps: Sequence[Callable[..., Geometries]], coordinates: list[Any]) -> Geometries:
    """Geometries of coordinates as GeoJSON nests them.

    Raises:
        TypeError, ValueError, OverflowError, shapely.GEOSException: They are not all well-formed, or not of one dimension.
    """
    sizes = []
    for _ in steps:
        sizes.append([len(each) for each in coordinates])
        coordinates = list(chain.from_iterable(coordinates))
    dimensions = set(map(len, coordinates))
    numbers = list(chain.from_iterable(coordinates))
    # NumPy would take true and false for numbers, too.
    if dimensions not in ({2}, {3}) or not set(map(type, numbers)) <= {int, float, Decimal}:
        raise ValueError("positions are two or three numbers, and all the same")
    built: Geometries = np.fromiter(numbers, float, len(numbers)).reshape(-1, *dimensions)
    if not all(map(all, sizes)):
        raise ValueError("a geometry without coordinates")
    if shapely.linearrings in steps:
        ends = np.cumsum(sizes[-1])
        if (built[ends - sizes[-1]] != built[ends - 1]).any():
            raise ValueError("a ring that is not closed")
    if steps[-1:] in ((), (shapely.multipoints,)):
        built = shapely.points(built)
    for make, size in zip(reversed(steps), reversed(sizes), strict=True):
        built = make(built, indices=np.repeat(np.arange(len(size)), size))
    return np.asarray(built)


def to_wkb(geometries: Geometries) -> list[str]:
    """The geometries as COPY reads them, in hexadecimal digits."""
    # GEOS takes five times as long to write the digits.
    return [r"\N" if wkb is None else wkb.hex() for wkb in shapely.to_wkb(geometries)]


def fitted(
    geometries: Geometries,
    column: GeometryColumn,
    *,
    force_2d: bool = False,
    make_valid: bool = False,
) -> Geometries:
    """The geometries as the column can store them, where nothing is lost: a part for a whole, or a whole of one part.

    Files often know one of POLYGON and MULTIPOLYGON only.

    Args:
        geometries: The geometries; they are left as they are.
        column: The column that is to store them.
        force_2d: Drop z and m.
        make_valid: Repair those that are invalid, unless GEOS would take too long to see it.
    """
    fitted = shapely.force_2d(geometries) if force_2d else geometries.copy()
    if make_valid:
        at = np.flatnonzero(~shapely.is_missing(fitted) & ~_is_tangled(fitted))
        at = at[~shapely.is_valid(fitted[at])]
        fitted[at] = shapely.make_valid(fitted[at], method="structure", keep_collapsed=False)
    types = shapely.get_type_id(fitted)
    kind = metadata.geometry_type(column)
    part = kind.removeprefix("MULTI")
    if part not in JOIN:
        return fitted
    if part != kind:
        at = np.flatnonzero(types == shapely.GeometryType[part])
        fitted[at] = JOIN[part](fitted[at], indices=np.arange(len(at)))
    else:
        single = shapely.get_num_geometries(fitted) == 1
        at = np.flatnonzero((types == shapely.GeometryType[f"MULTI{part}"]) & single)
        fitted[at] = shapely.get_geometry(fitted[at], 0)
    return fitted


def problems(
    geometries: Geometries, column: GeometryColumn, srid: int
) -> Iterator[tuple[int, str]]:
    """Which of the geometries, whose coordinates are in this CRS, the column cannot store, and why."""
    for index in np.flatnonzero(~storable(geometries, column, srid)).tolist():
        shape = geometries[index]
        if shape is None:
            if not column.nullable:
                yield index, "no geometry"
            continue
        try:
            geometry.verify(shapely.set_srid(shape, srid), column)
        except ValueError as error:
            hint = ""
            if metadata.dimension(column) == 2 and (shape.has_z or shape.has_m):
                hint = " (--force-2d drops the others)"
            elif str(error).startswith("an invalid geometry"):
                hint = " (--make-valid repairs it)"
            yield index, f"{error}{hint}"


def storable(geometries: Geometries, column: GeometryColumn, srid: int) -> Geometries:
    """Which of the geometries are fit to be stored beyond doubt; the others have to be looked at one by one."""
    types = shapely.get_type_id(geometries)
    kind, has_z = metadata.geometry_type(column), metadata.dimension(column) == 3
    kinds = GEOJSON_TYPES if kind == "GEOMETRY" else [kind]
    fit = np.isin(types, [shapely.GeometryType[each] for each in kinds])
    fit &= _is_whole(geometries, has_z) & _is_in_range(geometries, metadata.crs(column), srid)
    vertices = shapely.get_num_coordinates(geometries)
    if (most := current.get().max_vertices) is not None:
        fit &= vertices <= most
    collections = np.flatnonzero(types >= shapely.GeometryType.MULTIPOINT)
    parts, owner = shapely.get_parts(geometries[collections], return_index=True)
    nested = shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION
    fit[collections[owner[nested | ~_is_whole(parts, has_z)]]] = False
    # Of a collection's parts, those with parts of their own.
    inner, part = shapely.get_parts(parts, return_index=True)
    fit[collections[owner[part[shapely.is_empty(inner)]]]] = False
    coordinates, owner = shapely.get_coordinates(geometries, include_z=has_z, return_index=True)
    fit[owner[~np.isfinite(coordinates).all(axis=1)]] = False
    # Last, what costs most, and only of what is left.
    fit[fit] = ~_is_tangled(geometries[fit])
    left = np.flatnonzero(fit)
    fit[left] = shapely.is_valid(geometries[left])
    return np.asarray(fit)


def _is_tangled(geometries: Geometries) -> Geometries:
    """Which of the geometries ``geometry.is_tangled`` says are."""
    tangled = np.zeros(len(geometries), dtype=bool)
    for index in np.flatnonzero(shapely.get_num_coordinates(geometries) > geometry.FEW_VERTICES):
        tangled[index] = geometry.is_tangled(geometries[index])
    return tangled


def _is_whole(geometries: Geometries, has_z: bool) -> Geometries:
    """Which of the geometries have coordinates, and of the column's dimension."""
    measured = shapely.has_m(geometries)
    whole = ~shapely.is_empty(geometries) & ~measured & (shapely.has_z(geometries) == has_z)
    return np.asarray(whole)


def _is_in_range(geometries: Geometries, crs: CRS, srid: int) -> Geometries:
    """Which of the geometries lie where both their own CRS and that of the table are defined."""
    limits = [crs.extent] if srid == crs.srid else []
    limits += [crs.domain] if srid == WGS84 else []
    xmin, ymin, xmax, ymax = shapely.bounds(geometries).T
    inside = np.ones(len(geometries), dtype=bool)
    for limit in limits:
        spans = [(west <= xmin) & (xmax <= east) for west, east in limit.spans]
        inside &= np.logical_or.reduce(spans) & (limit.ymin <= ymin) & (ymax <= limit.ymax)
    return np.asarray(inside)
