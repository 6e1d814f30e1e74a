"""Names of the indexes that ``python -m … overviews`` makes: no model and no revision has them."""

import hashlib
import re

import sqlalchemy as sa

from geotables.geometry import metadata
from geotables.geometry.metadata import GeometryColumn
from geotables.identifiers import NAME_BYTES


def overview_name(column: GeometryColumn, share: int) -> str:
    """The name of the overview that has one row in so many."""
    return _name(column, str(share))


def key_ranges_name(column: GeometryColumn) -> str:
    """The name of the index of key ranges."""
    return _name(column, "keys")


def overview_share(column: GeometryColumn, name: str) -> int | None:
    """Of how many rows the overview of this name has one; None if it is no overview of the column."""
    found = re.fullmatch(r".*_overview_([1-9][0-9]{0,9})", name, re.DOTALL)
    share = int(found[1]) if found else 0
    return share if share and overview_name(column, share) == name else None


def is_overview(table: sa.Table, name: str) -> bool:
    """Whether an index of this name is an overview of a table, or its index of key ranges."""
    return any(
        name == key_ranges_name(column) or overview_share(column, name) is not None
        for column in metadata.geometry_columns(table)
    )


def _name(column: GeometryColumn, end: str) -> str:
    """A name like that of the column's GiST index, cut off where it would be too long for PostgreSQL."""
    index, suffix = next(metadata.gist_indexes(column), None), f"_overview_{end}"
    name = str(index.name) if index is not None else f"idx_{column.table.name}_{column.name}"
    if len(f"{name}{suffix}".encode()) > NAME_BYTES:
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:4]
        room = NAME_BYTES - len(f"_{digest}{suffix}")
        name = f"{name.encode()[:room].decode(errors='ignore')}_{digest}"
    return f"{name}{suffix}"
