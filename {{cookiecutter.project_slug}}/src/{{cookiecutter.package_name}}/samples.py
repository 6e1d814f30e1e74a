"""Geometries and rows of every kind that the table can hold, for the checks and the tests."""

import datetime
import uuid
from decimal import Decimal
from typing import Any

import shapely
import sqlalchemy as sa
from geoalchemy2 import Geometry
from shapely.geometry.base import BaseGeometry
from sqlalchemy.dialects.postgresql import JSONB

from . import spatial
from .crs import STORAGE, WGS84
from .spatial import GeometryColumn

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
    kind = spatial.geometry_type(column)
    lon, lat = at or middle()
    found = []
    for shape in SHAPES.values() if kind == "GEOMETRY" else [SHAPES[kind]]:
        geometry = shapely.transform(shapely.from_wkt(shape), lambda xy: xy * size + (lon, lat))
        if spatial.dimension(column) == 3:
            geometry = shapely.force_3d(geometry, 10.0)
        found.append(shapely.set_srid(geometry, WGS84))
    return found


def middle() -> tuple[float, float]:
    """Longitude and latitude in the middle of the CRS's area, away from its edges and the poles."""
    west, east = STORAGE.domain.spans[0]
    return (west + east) / 2, (STORAGE.domain.ymin * 2 + STORAGE.domain.ymax) / 3


def attributes(table: sa.Table, number: int = 1) -> dict[str, Any]:
    """A value for each column that needs one; rows of different numbers differ where they must."""
    return {
        column.name: value(column, number)
        for column in table.columns
        if not column.nullable
        and column.server_default is None
        and not column.primary_key
        and not isinstance(column.type, Geometry)
    }


def value(column: sa.Column[Any], number: int = 1) -> Any:
    """A value that a column can store."""
    match column.type:
        case sa.String():
            return str(number)[: column.type.length]
        case sa.Boolean():
            return number % 2 == 0
        case sa.Integer():
            return number
        case sa.Numeric():
            return Decimal(number % 10).scaleb(-(column.type.scale or 0))
        case sa.Float():
            return number + 0.5
        case sa.DateTime():
            return datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
                hours=number
            )
        case sa.Date():
            return datetime.date(2020, 1, 1) + datetime.timedelta(days=number)
        case sa.Uuid():
            return uuid.UUID(int=number)
        case JSONB():
            return {"number": number}
    raise NotImplementedError(f"no sample of the type of {column}")
