"""The rows nearest to a place, in metres on the spheroid.

On longitude and latitude a geography index finds the rows within a distance. On any other CRS, whose units are not metres on
the ground or not everywhere, distances are measured on the rows' longitude and latitude (ST_Distance on geography), and the
index is asked in the table's CRS for the rows to measure.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import shapely
import sqlalchemy as sa
from shapely import Point

from geotables.collection import Collection
from geotables.crs import WGS84, WORLD, Bounds
from geotables.db.database import Database
from geotables.db.statements import OWN, Condition, Row, Statement
from geotables.geometry import ewkb, in_srid, metadata, parameter
from geotables.http.faces import Search
from geotables.sql.bbox import candidates
from geotables.sql.queries import select
from geotables.sql.row_formats import RowFormat

#: The column of the rows found that has their distance.
DISTANCE = f"{OWN}distance"

#: Metres by which ST_DWithin may find two places farther apart than ST_Distance does.
SLACK = 1.0

#: The spheroid's least radius of curvature, in metres: it makes a circle's box too large, never too small.
LEAST_CURVATURE = 6_335_439.0


def search(
    database: Database,
    record: RowFormat,
    rows: Condition,
    place: Point,
    radius: float,
    limit: int,
) -> list[Row]:
    """Rows within a radius, nearest first, each with its distance at the end, both in metres."""
    crs = record.collection.crs
    if not crs.geographic and crs.domain.contain(shapely.get_coordinates(place)):
        ((reach,),) = database.fetch(*_how_far(record.collection, rows, place, limit))
        radius = radius if reach is None else min(radius, reach)
    return database.fetch(*statement(record, rows, place, radius, limit))


def searches(record: RowFormat, place: Point, radius: float, limit: int) -> Iterator[Search]:
    """All that a search may send."""
    collection, rows = record.collection, record.collection.rows()
    # A model without the index is a finding of its own.
    indexes = list(metadata.gist_indexes(collection.geometry))[:1]
    indexes += metadata.geography_indexes(collection.geometry)
    if not collection.crs.geographic:
        how_far = _how_far(collection, rows, place, limit)
        yield Search("how far the nearest rows are", *how_far, indexes)
    yield Search("the nearest rows", *statement(record, rows, place, radius, limit), indexes)


def _how_far(
    collection: Collection, rows: Condition, place: Point, limit: int
) -> tuple[Statement, dict[str, Any]]:
    """The statement that finds how far the first rows are in the index's order, and the values of its parameters."""
    values = {**rows.values, "place": ewkb(place), "limit": limit}
    return _farthest(collection, rows.expression), values


def statement(
    record: RowFormat, rows: Condition, place: Point, radius: float, limit: int
) -> tuple[Statement, dict[str, Any]]:
    """The statement that finds the rows within a radius, nearest first, and the values of its parameters."""
    collection = record.collection
    values = {**rows.values, "place": ewkb(place), "radius": radius, "limit": limit}
    if collection.crs.geographic:
        return _nearest_by_geography(record, rows.expression), values
    near = candidates(collection.geometry, around(place, radius))
    return _nearest(record, rows.expression, near.expression), {**values, **near.values}


@lru_cache(maxsize=64)
def _nearest_by_geography(record: RowFormat, visible: sa.ColumnElement[bool]) -> Statement:
    """The search as one statement, on longitude and latitude.

    The geometry's index orders by distance in degrees (``<->``), so its first rows only tell how far to look; those up
    to there, which the geography index finds, are sorted by the distance reported. It could not order them itself: on
    a spheroid smaller than that of WGS 84, PostGIS ends with "index returned tuples in wrong order".
    """
    collection = record.collection
    rows = select(record, visible)
    limit = sa.bindparam("limit", type_=sa.Integer())
    radius: sa.BindParameter[float] = sa.bindparam("radius", type_=sa.Double())
    # The cast as the index spells it: any other keeps PostgreSQL from using the index.
    there = sa.func.geography(collection.geometry)
    point = in_srid(parameter("place", WGS84), collection.crs.srid)
    here = sa.func.geography(point)
    distance: sa.Label[float] = sa.func.ST_Distance(there, here, type_=sa.Double()).label(DISTANCE)
    nearness = collection.geometry.op("<->")(point)
    first = rows.with_only_columns(distance).order_by(nearness).limit(limit).subquery()
    reach = sa.select(sa.func.max(first.c[DISTANCE]) + SLACK).scalar_subquery()
    return Statement(
        rows.add_columns(distance)
        .where(sa.func.ST_DWithin(there, here, sa.func.least(radius, reach)))
        .order_by(distance, collection.key)
        .limit(limit),
        needs_work_mem=True,
    )


@lru_cache(maxsize=64)
def _farthest(collection: Collection, visible: sa.ColumnElement[bool]) -> Statement:
    """The distance in metres within which the first rows in the index's order lie: the nearest rows are no farther."""
    point = in_srid(parameter("place", WGS84), collection.crs.srid)
    nearness = collection.geometry.op("<->")(point)
    limit = sa.bindparam("limit", type_=sa.Integer())
    nearest = sa.select(_distance(collection)).where(visible).order_by(nearness).limit(limit)
    first = nearest.subquery()
    return Statement(sa.select(sa.func.max(first.c[DISTANCE])), needs_work_mem=True)


@lru_cache(maxsize=64)
def _nearest(
    record: RowFormat, visible: sa.ColumnElement[bool], near: sa.ColumnElement[bool]
) -> Statement:
    metres = _distance(record.collection)
    return Statement(
        select(record, visible)
        .add_columns(metres)
        .where(near, metres.element <= sa.bindparam("radius", type_=sa.Double()))
        .order_by(metres, record.collection.key)
        .limit(sa.bindparam("limit", type_=sa.Integer())),
        needs_work_mem=True,
    )


def _distance(collection: Collection) -> sa.Label[float]:
    """Metres on the spheroid of WGS 84 between a row and a place."""
    there = sa.func.geography(in_srid(collection.geometry, WGS84))
    here = sa.func.geography(parameter("place", WGS84))
    return sa.func.ST_Distance(there, here, type_=sa.Double()).label(DISTANCE)


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
