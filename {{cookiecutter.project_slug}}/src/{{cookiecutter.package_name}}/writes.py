"""Every INSERT, UPDATE and DELETE that the service sends. The first two return the row as it was stored, and its version.

They are built once, with parameters for what differs: to build one takes as long as to send it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from . import spatial
from .crs import WGS84
from .database import Database
from .geometry import ewkb, parameter
from .queries import GEOMETRY, TABLE, VERSION, RowFormat
from .statements import Row, Statement

#: The parameters that are no columns; no column has a name that begins like this.
ID, PLACE = "_id", "_place"

#: A geometry of EWKB, in the table's CRS. Where it has that already, ST_Transform leaves it as it is.
PLACED = sa.func.ST_Transform(parameter(PLACE, WGS84), spatial.srid(GEOMETRY))

_ROW = TABLE.c.id == sa.bindparam(ID)

#: Keeps others from changing a row until the transaction ends; returns its version.
LOCK = sa.select(VERSION).where(_ROW).with_for_update()

#: Removes a row.
DELETE = sa.delete(TABLE).where(_ROW)


def _new_ids() -> sa.Select[Any] | None:
    """A number of ids, made as the column's default makes one; None where PostgreSQL numbers the rows as they come."""
    default = TABLE.c.id.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    series = sa.func.generate_series(1, sa.bindparam("number"))
    return sa.select(sa.type_coerce(default.arg, TABLE.c.id.type)).select_from(series)


NEW_IDS = _new_ids()


def insert(database: Database, record: RowFormat, new: BaseModel) -> Row:
    """Add a row, in a transaction of its own; what ``new`` leaves out gets the database's default."""
    values = _parameters(new, new.model_fields_set)
    (row,) = database.change(_insert_one(record, frozenset(values)), values)
    return row


def insert_all(
    connection: sa.Connection, record: RowFormat, news: Sequence[BaseModel]
) -> list[sa.Row[Any]]:
    """Add rows as ``insert`` does, in the transaction of the connection; they are returned in the order given."""
    values = [_parameters(new, new.model_fields_set) for new in news]
    if NEW_IDS is not None:
        # PostgreSQL returns them in any order: their ids, made before, tell them apart.
        ids = connection.scalars(NEW_IDS, {"number": len(news)}).all()
        values = [each | {TABLE.c.id.name: id} for each, id in zip(values, ids, strict=True)]
    alike: dict[frozenset[str], list[int]] = defaultdict(list)
    for number, each in enumerate(values):
        alike[frozenset(each)].append(number)
    rows: dict[int, sa.Row[Any]] = {}
    for numbers in alike.values():
        found = connection.execute(_insert_many(record), [values[number] for number in numbers])
        rows |= zip(numbers, found, strict=True)
    return [rows[number] for number in range(len(news))]


def update(
    connection: sa.Connection, record: RowFormat, id: Any, new: BaseModel, names: Iterable[str]
) -> sa.Row[Any]:
    """Set the columns named to the values of ``new``; what it leaves out goes back to the database's default."""
    names = frozenset(names)
    given = names & new.model_fields_set
    statement = _update(record, names - given, has_place=GEOMETRY.name in given)
    return connection.execute(statement, _parameters(new, given) | {ID: id}).one()


@lru_cache
def _insert_one(record: RowFormat, names: frozenset[str]) -> Statement:
    """A row with the columns that have parameters of these names."""
    values: dict[str, Any] = {GEOMETRY.name: PLACED}
    values |= {name: sa.bindparam(name, type_=TABLE.c[name].type) for name in names - {PLACE}}
    return Statement(sa.insert(TABLE).values(values).returning(*record.columns, VERSION))


@cache
def _insert_many(record: RowFormat) -> ReturningInsert[Any]:
    """Rows with the columns that there are parameters for, returned in their order.

    That SQLAlchemy sees to, by ids that are given or that grow. To draw numbers for them takes a right to the sequence, which
    an INSERT does not.
    """
    rows = sa.insert(TABLE).values({GEOMETRY.name: PLACED})
    return rows.returning(*record.columns, VERSION, sort_by_parameter_order=True)


@lru_cache
def _update(
    record: RowFormat, left_out: frozenset[str], *, has_place: bool
) -> ReturningUpdate[Any]:
    """A change of the columns that there are parameters for, and of those left out."""
    values: dict[str, Any] = {name: sa.literal_column("DEFAULT") for name in left_out}
    if has_place:
        values[GEOMETRY.name] = PLACED
    statement = sa.update(TABLE).where(_ROW).values(values)
    return statement.returning(*record.columns, VERSION)


def _parameters(new: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    """The values of a row, by the names of the parameters."""
    values = {name: getattr(new, name) for name in names}
    if GEOMETRY.name in values:
        values[PLACE] = ewkb(values.pop(GEOMETRY.name))
    return values
