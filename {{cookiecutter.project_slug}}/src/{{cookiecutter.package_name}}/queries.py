"""Every SELECT that the service sends, and how its rows become JSON."""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from . import bbox, spatial
from .crs import Bounds
from .geometry import GeometryFormat
from .models import Base

TABLE = Base.metadata.tables["{{ cookiecutter.table_name }}"]
GEOMETRY = spatial.geometry_column(TABLE)

#: The rows that every answer over many rows is about, as the geometry's index holds them.
INDEXED_ROWS = spatial.indexed_rows(GEOMETRY)
EVERY_ROW = sa.true()


class Record:
    """A row as a flat JSON object, with its geometry in a format of the caller's choice."""

    def __init__(self, geometry: GeometryFormat) -> None:
        self.columns: list[sa.ColumnElement[Any]] = []
        self._members: list[tuple[str, bool]] = []
        for column in TABLE.columns:
            if column is GEOMETRY:
                value, is_json = geometry.select(), geometry.is_json
            elif _is_written_by_postgresql(column):
                value, is_json = sa.cast(sa.func.to_json(column), sa.Text()), True
            else:
                value, is_json = column, False
            self.columns.append(value.label(column.name))
            self._members.append((column.name, is_json))

    def encode(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row that begins with these columns, as a value for ``orjson``."""
        return {
            name: orjson.Fragment(value) if is_json and value is not None else value
            for (name, is_json), value in zip(self._members, row, strict=False)
        }


def _is_written_by_postgresql(column: sa.Column[Any]) -> bool:
    """Whether PostgreSQL has values of the type that Python or orjson has not: infinite times, exact numbers."""
    return isinstance(column.type, sa.Date | sa.DateTime | sa.Numeric | JSONB)


def by_id(record: Record, id: Any) -> sa.Select[Any]:
    """One row, of all that the table has; none if there is no such id."""
    return sa.select(*record.columns).where(TABLE.c.id == id)


def select(record: Record, rows: sa.ColumnElement[bool] = INDEXED_ROWS) -> sa.Select[Any]:
    """The rows that answers over many rows are about, in no order."""
    return sa.select(*record.columns).where(rows)


def page(
    rows: sa.Select[Any], *, limit: int, after: Any = None, box: Bounds | None = None
) -> sa.Select[Any]:
    """The rows that follow an id, in the order of their ids, ``limit`` at the most.

    A page begins where the one before it ended (a keyset), so that a deep page costs what the first one does.
    """
    query = rows.order_by(TABLE.c.id).limit(limit)
    if after is not None:
        query = query.where(TABLE.c.id > after)
    if box is not None:
        query = query.where(bbox.within(GEOMETRY, box))
    return query
