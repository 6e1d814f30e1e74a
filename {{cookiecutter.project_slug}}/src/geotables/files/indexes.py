"""Make a table's indexes after its rows: in less time than PostgreSQL takes to keep them with each row."""

from collections.abc import Mapping

import sqlalchemy as sa

from geotables.db.statements import execute
from geotables.identifiers import qualified

#: Plain indexes by their names; those of constraints stay, and so do those of which this would lose something: a
#: comment, a tablespace, that the table is clustered on it.
_INDEXES = sa.text(
    """
    SELECT CAST(CAST(indexrelid AS regclass) AS text) AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = CAST(:table AS regclass) AND relkind = 'i' AND NOT relispartition AND reltablespace = 0
        AND indisvalid AND NOT (indisunique OR indisexclusion OR indisclustered)
        AND obj_description(indexrelid, 'pg_class') IS NULL
    ORDER BY indexrelid
    """
)


def is_empty(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether a table has no rows, not even any that the collection hides."""
    return connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) is None


def drop(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    """Drop a table's plain indexes until the transaction makes them again; their definitions, by their names."""
    found = connection.execute(_INDEXES, {"table": qualified(table)})
    indexes = {row.name: row.definition for row in found}
    for name in indexes:
        execute(connection, f"DROP INDEX {name}")
    return indexes


def make(connection: sa.Connection, indexes: Mapping[str, str]) -> None:
    """Make the indexes that were dropped."""
    if indexes:
        # PostgreSQL makes no index of a table whose deferred constraints wait to be checked.
        execute(connection, "SET CONSTRAINTS ALL IMMEDIATE")
    for definition in indexes.values():
        execute(connection, definition)
