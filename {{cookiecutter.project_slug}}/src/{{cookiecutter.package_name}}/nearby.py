"""The rows nearest to a place, in metres on the spheroid.

On longitude and latitude a geography index finds the rows within a distance. On any other CRS, whose units are not metres on
the ground or not everywhere, distances are measured on the rows' longitude and latitude (ST_Distance on geography), and the
index is asked in the table's CRS for the rows to measure.
"""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import shapely
import sqlalchemy as sa
from shapely import Point

from .bbox import candidates
from .crs import WGS84, WORLD, Bounds
from .database import Database
from .geometry import ewkb, in_srid, parameter
from .queries import GEOMETRY, INDEXED_ROWS, STORAGE, TABLE, RowFormat, select
from .statements import Row, Statement

#: Metres by which ST_DWithin may find two places farther apart than ST_Distance does.
SLACK = 1.0

#: The least radius by which the spheroid curves, in metres: it makes a circle's box too large, never too small.
LEAST_CURVATURE = 6_335_439.0


def search(
    database: Database, record: RowFormat, place: Point, radius: float, limit: int
) -> list[Row]:
    """The rows within a radius, nearest first, each with its distance at the end, both in metres."""
    if not STORAGE.geographic and STORAGE.domain.contain(shapely.get_coordinates(place)):
        ((reach,),) = database.fetch(_farthest(), {"place": ewkb(place), "limit": limit})
        radius = radius if reach is None else min(radius, reach)
    return database.fetch(*_within(record, place, radius, limit))


def statements(
    record: RowFormat, place: Point, radius: float, limit: int
) -> Iterator[tuple[str, Statement, Mapping[str, Any]]]:
    """What a search sends, by name, and the values of its parameters."""
    if not STORAGE.geographic:
        yield "how far the nearest rows are", _farthest(), {"place": ewkb(place), "limit": limit}
    yield "the nearest rows", *_within(record, place, radius, limit)


def _within(
    record: RowFormat, place: Point, radius: float, limit: int
) -> tuple[Statement, dict[str, Any]]:
    """The rows within a radius, nearest first."""
    values = {"place": ewkb(place), "radius": radius, "limit": limit}
    if STORAGE.geographic:
        return _nearest_by_geography(record), values
    near = candidates(GEOMETRY, around(place, radius))
    return _nearest(record, near.expression), {**near.values, **values}


@cache
def _nearest_by_geography(record: RowFormat) -> Statement:
    """The search as one statement, on longitude and latitude.

    The geometry's index orders by distance in degrees (``<->``), so its first rows only tell how far to look; those up
    to there, which the geography index finds, are sorted by the distance reported. It could not order them itself: on
    a spheroid smaller than that of WGS 84, PostGIS ends with "index returned tuples in wrong order".
    """
    rows = select(record)
    limit = sa.bindparam("limit", type_=sa.Integer())
    radius: sa.BindParameter[float] = sa.bindparam("radius", type_=sa.Double())
    # The cast as the index spells it: any other keeps PostgreSQL from using the index.
    there = sa.func.geography(GEOMETRY)
    point = in_srid(parameter("place", WGS84), STORAGE.srid)
    here = sa.func.geography(point)
    distance: sa.Label[float] = sa.func.ST_Distance(there, here, type_=sa.Double()).label(
        "distance"
    )
    first = (
        rows.with_only_columns(distance).order_by(GEOMETRY.op("<->")(point)).limit(limit).subquery()
    )
    reach = sa.select(sa.func.max(first.c.distance) + SLACK).scalar_subquery()
    return Statement(
        rows.add_columns(distance)
        .where(sa.func.ST_DWithin(there, here, sa.func.least(radius, reach)))
        .order_by(distance, *TABLE.primary_key)
        .limit(limit),
        sorting=True,
    )


@cache
def _farthest() -> Statement:
    """How far in metres the first rows are in the index's order: no others that are as near lie farther."""
    nearness = GEOMETRY.op("<->")(in_srid(parameter("place", WGS84), STORAGE.srid))
    limit = sa.bindparam("limit", type_=sa.Integer())
    first = sa.select(_distance()).where(INDEXED_ROWS).order_by(nearness).limit(limit).subquery()
    return Statement(sa.select(sa.func.max(first.c.distance)), sorting=True)


@cache
def _nearest(record: RowFormat, near: sa.ColumnElement[bool]) -> Statement:
    metres = _distance()
    return Statement(
        select(record)
        .add_columns(metres)
        .where(near, metres.element <= sa.bindparam("radius", type_=sa.Double()))
        .order_by(metres, *TABLE.primary_key)
        .limit(sa.bindparam("limit", type_=sa.Integer())),
        sorting=True,
    )


def _distance() -> sa.Label[float]:
    """Metres on the spheroid of WGS 84 between a row and a place."""
    there = sa.func.geography(in_srid(GEOMETRY, WGS84))
    here = sa.func.geography(parameter("place", WGS84))
    return sa.func.ST_Distance(there, here, type_=sa.Double()).label("distance")


def around(place: Point, radius: float) -> Bounds:
    """A box in WGS 84 that holds the circle around a place."""
    angle = radius / LEAST_CURVATURE
    south, north = (place.y + sign * math.degrees(angle) for sign in (-1, 1))
    if south <= WORLD.ymin or north >= WORLD.ymax:
        # The circle holds a pole, and so every longitude.
        return Bounds(WORLD.xmin, max(south, WORLD.ymin), WORLD.xmax, min(north, WORLD.ymax))
    width = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(place.y)))))
    west, east = place.x - width, place.x + width
    return Bounds(west + 360 * (west < -180), south, east - 360 * (east > 180), north)
