"""Every INSERT, UPDATE and DELETE that the service sends. The first two return the row as it was stored, and its version."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from shapely.geometry.base import BaseGeometry
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from . import spatial
from .geometry import bind
from .queries import GEOMETRY, TABLE, VERSION, RowFormat


def insert(record: RowFormat, new: BaseModel) -> ReturningInsert[Any]:
    """Add a row; what ``new`` leaves out gets the database's default."""
    values = _values(new, new.model_fields_set)
    return sa.insert(TABLE).values(values).returning(*record.columns, VERSION)


def update(
    record: RowFormat, id: Any, new: BaseModel, names: Iterable[str]
) -> ReturningUpdate[Any]:
    """Set the columns named to the values of ``new``; what it leaves out goes back to the database's default."""
    defaults: dict[str, Any] = {name: sa.literal_column("DEFAULT") for name in names}
    values = defaults | _values(new, new.model_fields_set & defaults.keys())
    return (
        sa.update(TABLE).where(TABLE.c.id == id).values(values).returning(*record.columns, VERSION)
    )


def lock(id: Any) -> sa.Select[Any]:
    """Keep others from changing a row until the transaction ends; returns its version."""
    return sa.select(VERSION).where(TABLE.c.id == id).with_for_update()


def delete(id: Any) -> ReturningDelete[Any]:
    """Remove a row."""
    return sa.delete(TABLE).where(TABLE.c.id == id).returning(TABLE.c.id)


def _values(new: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    return {name: _value(getattr(new, name)) for name in names}


def _value(value: Any) -> Any:
    return bind(value, spatial.srid(GEOMETRY)) if isinstance(value, BaseGeometry) else value
