"""The rows nearest to another, for the page of one row: the geometry's index finds them."""

from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.statements import Row, Statement
from geotables.geometry import in_srid
from geotables.sql.row_formats import Feature


class Neighbour(NamedTuple):
    """A row near to another."""

    id: str
    #: What it has in the column asked for.
    label: Any
    #: Metres on the spheroid.
    distance: float


def find(
    database: Database, record: Feature, label: sa.Column[Any] | None, row: Row, limit: int
) -> list[Neighbour]:
    """The first rows in the index's order of distance from one, which is not among them."""
    rows = record.collection.rows()
    statement = _nearest(record, label, rows.expression)
    values = {**rows.values, "id": record.key_of(row), "limit": limit}
    found = [
        Neighbour(record.id_of(near), *near[-2:]) for near in database.fetch(statement, values)
    ]
    return sorted(found, key=lambda near: near.distance)


@lru_cache(maxsize=64)
def _nearest(
    record: Feature, label: sa.Column[Any] | None, visible: sa.ColumnElement[bool]
) -> Statement:
    collection = record.collection
    geometry, key = collection.geometry, collection.key
    id: sa.BindParameter[Any] = sa.bindparam("id", type_=key.type)
    # The same table by another name: else SQLAlchemy takes its rows for those that are searched.
    other = collection.table.alias("the_row")
    place = sa.select(other.c[geometry.name]).where(other.c[key.name] == id).scalar_subquery()
    here, there = (sa.func.geography(in_srid(each, WGS84)) for each in (place, geometry))
    metres: sa.ColumnElement[float] = sa.func.ST_Distance(there, here, type_=sa.Double())
    shown = sa.null() if label is None else label
    # A feature begins with its key.
    rows = sa.select(*record.columns[:1], shown, metres).where(
        visible, key != id, geometry.is_not(None)
    )
    nearness = geometry.op("<->")(place)
    return Statement(
        rows.order_by(nearness).limit(sa.bindparam("limit", type_=sa.Integer())),
        needs_work_mem=True,
    )
