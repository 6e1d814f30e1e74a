"""Geometries of every type that the table can hold, for the checks and the tests."""

import shapely
from shapely.geometry.base import BaseGeometry

from geotables.crs import WGS84, Bounds
from geotables.geometry import metadata
from geotables.geometry.metadata import GeometryColumn

#: A shape of each type, in units of the ``size`` that ``geometries`` takes.
SHAPES = {
    "POINT": "POINT (0 0)",
    "LINESTRING": "LINESTRING (0 0, 1 1, 2 0)",
    "POLYGON": "POLYGON ((0 0, 3 0, 3 3, 0 3, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))",
    "MULTIPOINT": "MULTIPOINT (0 0, 1 1)",
    "MULTILINESTRING": "MULTILINESTRING ((0 0, 1 1), (2 2, 3 2, 3 3))",
    "MULTIPOLYGON": "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((2 2, 3 2, 3 3, 2 2)))",
    "GEOMETRYCOLLECTION": "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (1 1, 2 2))",
}


def geometries(
    column: GeometryColumn, at: tuple[float, float] | None = None, size: float = 0.001
) -> list[BaseGeometry]:
    """A geometry of each type that a column stores, in WGS 84.

    Args:
        column: The geometry column.
        at: Longitude and latitude; the middle of the CRS's area unless given.
        size: Degrees for a unit of ``SHAPES``.
    """
    kind = metadata.geometry_type(column)
    lon, lat = at or middle(column)
    found = []
    for shape in SHAPES.values() if kind == "GEOMETRY" else [SHAPES[kind]]:
        geometry = shapely.transform(shapely.from_wkt(shape), lambda xy: xy * size + (lon, lat))
        if metadata.dimension(column) == 3:
            geometry = shapely.force_3d(geometry, 10.0)
        found.append(shapely.set_srid(geometry, WGS84))
    return found


def middle(column: GeometryColumn) -> tuple[float, float]:
    """Longitude and latitude in the middle of the CRS's area, away from its edges and the poles."""
    domain = metadata.crs(column).domain
    west, east = domain.spans[0]
    return (west + east) / 2, (domain.ymin * 2 + domain.ymax) / 3


def small_box(column: GeometryColumn) -> Bounds:
    """A box of 0.001 degrees in the middle of the CRS's area."""
    lon, lat = middle(column)
    return Bounds(lon, lat, lon + 0.001, lat + 0.001)
