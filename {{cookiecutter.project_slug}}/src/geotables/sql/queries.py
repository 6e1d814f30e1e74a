"""The SELECTs that the faces share: one row, many rows, their number and their extent."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.statements import Condition, Row, Statement
from geotables.geometry import in_srid
from geotables.sql.row_formats import RowFormat


def find(database: Database, record: RowFormat, id: Any) -> Row | None:
    """One row that the caller may see, with its version at the end; None if there is no such id."""
    if record.collection.where is None:
        statement, values = record.by_id, {"id": id}
    else:
        visible = record.collection.visible()
        statement, values = record.visible_by_id(visible.expression), {**visible.values, "id": id}
    rows = database.fetch(statement, values)
    return rows[0] if rows else None


def select(record: RowFormat, rows: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Rows that meet a condition, in no order."""
    return sa.select(*record.columns).where(rows)


def count(collection: Collection, rows: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """How many rows there are."""
    return sa.select(sa.func.count()).select_from(collection.table).where(rows)


def extent(collection: Collection, rows: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The box in WGS 84 that holds rows, corner by corner, and the first and the last of their times.

    ST_EstimatedExtent would be quicker, and miss rows.
    """
    box = sa.func.ST_Extent(in_srid(collection.geometry, WGS84))
    corners = [
        sa.func.ST_XMin(box),
        sa.func.ST_YMin(box),
        sa.func.ST_XMax(box),
        sa.func.ST_YMax(box),
    ]
    time = sa.null() if collection.time is None else collection.time
    times = [
        sa.cast(sa.func.to_json(each), sa.Text()) for each in (sa.func.min(time), sa.func.max(time))
    ]
    return sa.select(*corners, *times).select_from(collection.table).where(rows)


def estimate(database: Database, collection: Collection, rows: Condition) -> int:
    """How many rows the planner expects, which takes it a tenth of a millisecond."""
    every: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(collection.table)
    wanted = Statement(every.where(rows.expression), explained=True)
    return int(plan(database, wanted, rows.values)["Plan Rows"])


def plan(database: Database, explained: Statement, values: Mapping[str, Any]) -> dict[str, Any]:
    """The outermost node of the plan of a statement that is explained (PostgreSQL: EXPLAIN, FORMAT JSON)."""
    ((plans,),) = database.fetch(explained, values)
    node: dict[str, Any] = plans[0]["Plan"]
    return node
