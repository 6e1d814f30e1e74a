"""Whether the database has the tables, columns, indexes and constraints of the models."""

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.schema import CreateIndex

from geotables.checks.copies import TEMPORARY, hidden, make_temporary
from geotables.db.migrations import Migrations
from geotables.db.overview_names import is_overview, overview_share
from geotables.db.statements import execute
from geotables.geometry import metadata
from geotables.geometry.metadata import GeometryColumn
from geotables.identifiers import qualified, quoted

log = logging.getLogger(__name__)


def is_read_only(connection: sa.Connection) -> bool:
    """Whether the session cannot write, and so makes no temporary tables."""
    return bool(connection.scalar(sa.text("SHOW transaction_read_only")) == "on")


def check_revision(migrations: Migrations, connection: sa.Connection) -> Iterator[str]:
    """See that the database is at the newest revision."""
    current = migrations.current(connection)
    if newer := migrations.unknown(current):
        yield (
            f"the database is at revision {', '.join(newer)}, which this version does not have: "
            "a newer one has migrated it, and can check it"
        )
    elif set(current) != {migrations.revisions()[0]}:
        yield (
            f"the database is at revision {', '.join(current) or 'none'}, "
            f"the migrations at {migrations.revisions()[0]}: migrate first"
        )
    else:
        for table in migrations.missing_tables(connection):
            yield f"the database has no table {table}, though it is migrated: restore it"


def check_tables(migrations: Migrations, connection: sa.Connection) -> Iterator[str]:
    """See that the database has the tables and indexes of the models."""
    drift = list(_check_drift(migrations, connection))
    yield from drift
    inspector = sa.inspect(connection)
    for table in migrations.metadata.sorted_tables:
        if not inspector.has_table(table.name, schema=table.schema):
            # No revision makes it yet, as the drift says.
            continue
        columns = metadata.geometry_columns(table)
        for column in columns:
            yield from _check_stored_column(connection, column)
        if metadata.is_view(table):
            yield from _check_view(connection, table)
            continue
        for column in columns:
            yield from _check_stored_gist_indexes(connection, column)
        yield from _check_stored_definitions(connection, table, columns=not drift)
        yield from _check_behaviour(connection, table)
        yield from _check_invalid_indexes(connection, table)


def _check_drift(migrations: Migrations, connection: sa.Connection) -> Iterator[str]:
    context = MigrationContext.configure(connection, opts=migrations.comparison(connection))
    with warnings.catch_warnings():
        # Of a column that is generated, which _check_stored_definitions finds.
        warnings.filterwarnings("ignore", "Computed default")
        differences = compare_metadata(context, migrations.metadata)
    for difference in differences:
        yield f"the database differs from the model: {_described(difference)} (if the model is right: make revision)"


def _described(difference: Any) -> str:
    """A difference that Alembic found, in words."""
    if isinstance(difference, list):
        return "; ".join(map(_described, difference))
    verb, *what = difference
    return f"{verb.replace('_', ' ')} {', '.join(str(each) for each in what if each is not None)}"


def _check_stored_column(connection: sa.Connection, column: GeometryColumn) -> Iterator[str]:
    table = column.table
    names = {"name": table.name, "table": qualified(table), "column": column.name}
    found = connection.execute(_GEOMETRY_COLUMN, names).one_or_none()
    if found is None:
        yield f"{column}: geometry_columns does not list it"
        return
    wanted = {
        "geometry type": metadata.geometry_type(column),
        "SRID": metadata.srid(column),
        "dimension": metadata.dimension(column),
    }
    if found.srid == 0:
        yield from _check_untyped(connection, column)
    for (name, ours), theirs in zip(wanted.items(), found, strict=True):
        if ours != theirs:
            yield (
                f"{column}: its {name} is {ours} in the model and {theirs} in the database"
                f" (if the model is right: {_made_right(column)})"
            )


_GEOMETRY_COLUMN = sa.text(
    "SELECT type, srid, coord_dimension FROM geometry_columns"
    " WHERE f_table_name = :name AND f_geometry_column = :column"
    " AND format('%I.%I', f_table_schema, f_table_name)::regclass = CAST(:table AS regclass)"
)


def _check_untyped(connection: sa.Connection, column: GeometryColumn) -> Iterator[str]:
    """Count what a column without a type has and the model does not allow: no answer can hold such a row."""
    name, table = quoted(column.name), qualified(column.table)
    srid, has_arc = metadata.srid(column), f"ST_HasArc({name})"
    for condition, what, mend in (
        (f"ST_SRID({name}) <> {srid}", "of another SRID", f"ST_SetSRID({name}, {srid})"),
        (has_arc, "a curve", f"ST_CurveToLine({name})"),
    ):
        number = execute(connection, f"SELECT count(*) FROM {table} WHERE {condition}").scalar()
        if number:
            yield (
                f"{column}: {number:,} rows have a geometry that is {what}, and every answer with one of them fails:"
                f" UPDATE {table} SET {name} = {mend} WHERE {condition}"
            )


def _made_right(column: GeometryColumn) -> str:
    """What has a column store what the model says."""
    name, table = quoted(column.name), qualified(column.table)
    kind = f"geometry({column.type.geometry_type},{metadata.srid(column)})"  # type: ignore[attr-defined]
    if metadata.is_view(column.table):
        return f"have it select {name}::{kind}"
    return f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind}"


def _check_view(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Compare the columns of a view with those of the model: their names and types, since all of them may be null there."""
    if is_read_only(connection):
        return
    stored, meant = _stored_and_meant(connection, table, _COLUMNS)
    for column in table.columns:
        there, wanted = stored.get(column.name), meant[column.name]
        if there is None:
            yield f"{table.fullname}: the database has no column {column.name}, which the model has"
        elif there != wanted and not isinstance(column.type, Geometry):
            yield f"{table.fullname}: column {column.name} is `{there}` in the database and `{wanted}` in the model"


def _stored_and_meant(
    connection: sa.Connection, table: sa.Table, query: sa.TextClause
) -> tuple[dict[str, str], dict[str, str]]:
    """What a query finds, by names: in the table of the database, and in the empty one that the model makes."""

    def ask(name: str) -> dict[str, str]:
        rows = connection.execute(query, {"table": name})
        return {row.name: row.definition for row in rows}

    with connection.begin_nested() as savepoint:
        make_temporary(connection, table)
        if not metadata.is_view(table):
            with hidden(connection, table):
                for index in table.indexes:
                    connection.execute(CreateIndex(index))
        meant = ask(f"{TEMPORARY}.{quoted(table.name)}")
        savepoint.rollback()
    return ask(qualified(table)), meant


#: The types of a table's columns.
_COLUMNS = sa.text(
    "SELECT attname AS name, format_type(atttypid, atttypmod) AS definition FROM pg_attribute"
    " WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped"
)


def _check_stored_gist_indexes(connection: sa.Connection, column: GeometryColumn) -> Iterator[str]:
    """See that there is no GiST index that the model does not have: it would slow writes down and help no search."""
    ours = {str(index.name) for index in column.table.indexes}
    constraints = column.table.constraints
    ours |= {str(each.name) for each in constraints if isinstance(each, ExcludeConstraint)}
    found = connection.execute(
        _GIST_INDEXES, {"table": qualified(column.table), "column": column.name}
    )
    for name, definition in found:
        if name not in ours and overview_share(column, name) is None:
            yield f"{column}: the database has a GiST index that the model does not have: {definition}"


_GIST_INDEXES = sa.text(
    """
    SELECT c.relname, pg_get_indexdef(c.oid)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam AND m.amname = 'gist'
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = :column
    JOIN pg_depend d ON d.objid = c.oid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum
    WHERE i.indrelid = CAST(:table AS regclass)
    GROUP BY c.oid, c.relname
    """
)


def _check_stored_definitions(
    connection: sa.Connection, table: sa.Table, *, columns: bool
) -> Iterator[str]:
    """Compare columns, indexes and constraints with those that the model makes on an empty table.

    That way PostgreSQL spells both. Alembic does not see a changed predicate, check constraint or precision, a column that is
    generated, nor what is deferrable; the columns that it has found already are left out.
    """
    if is_read_only(connection):
        return
    stored, meant = _stored_and_meant(connection, table, _DEFINITIONS)
    names = [name for name in meant | stored if columns or not name.startswith("column ")]
    partitioned_key = _partitioned_key(connection, table)
    for name in names:
        if partitioned_key and name.partition(" ")[2] == partitioned_key.name:
            continue
        there, wanted = stored.get(name), meant.get(name)
        if there is None:
            yield f"{table.fullname}: the database has no {name}, which the model has (make revision)"
        elif wanted is None and name.startswith("constraint "):
            yield f"{table.fullname}: the model has no {name}, which the database has: `{there}`"
        elif wanted is not None and there == f"{wanted} NOT VALID":
            log.warning("%s: %s is not validated yet", table.fullname, name)
        elif wanted is not None and there != wanted:
            yield f"{table.fullname}: {name} is `{there}` in the database and `{wanted}` in the model"


def _partitioned_key(connection: sa.Connection, table: sa.Table) -> Any:
    """The primary key of a partitioned table that has more columns than the model's: it must have those of the partitions."""
    found = connection.execute(_PARTITIONED_KEY, {"table": qualified(table)}).one_or_none()
    keys = [column.name for column in table.primary_key]
    if found is None or keys == found.columns or not {*keys} <= {*found.columns}:
        return None
    log.warning(
        "%s: its primary key is %s; that %s alone tells its rows apart is for who writes them to see to",
        table.fullname,
        ", ".join(found.columns),
        ", ".join(keys),
    )
    return found


_PARTITIONED_KEY = sa.text(
    """
    SELECT c.conname AS name, array_agg(CAST(a.attname AS text) ORDER BY a.attnum) AS columns
    FROM pg_constraint c
    JOIN pg_class r ON r.oid = c.conrelid AND r.relkind = 'p'
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = ANY (c.conkey)
    WHERE c.conrelid = CAST(:table AS regclass) AND c.contype = 'p'
    GROUP BY c.oid, c.conname
    """
)


#: The columns of a table; its indexes, from the method on, and whether they can be used; its constraints, but for foreign
#: keys, which Alembic compares, and NOT NULL.
_DEFINITIONS = sa.text(
    """
    SELECT 'column ' || a.attname AS name,
        format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation = t.typcollation THEN '' ELSE ' COLLATE ' || c.collname END
        || CASE a.attgenerated WHEN '' THEN '' ELSE ' GENERATED ALWAYS AS ' || pg_get_expr(d.adbin, d.adrelid) END
        AS definition
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_collation c ON c.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'index ' || c.relname,
        substring(pg_get_indexdef(c.oid) FROM ' USING .*') || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = CAST(:table AS regclass)
    UNION ALL
    SELECT 'constraint ' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE conrelid = CAST(:table AS regclass) AND contype IN ('c', 'p', 'u', 'x')
    """
)


def _check_behaviour(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """See what may happen to rows beside what statements say: no model has it."""
    found = connection.execute(_BEHAVIOUR, {"table": qualified(table)}).one()
    if found.persistence == "u":
        yield f"{table.fullname}: it is UNLOGGED, and empty after a crash: ALTER TABLE {qualified(table)} SET LOGGED"
    if found.is_secured:
        log.warning(
            "%s: row-level security is on: what the service sees and writes depends on its role's policies",
            table.fullname,
        )
    for name, is_instead in connection.execute(_RULES, {"table": qualified(table)}):
        if is_instead:
            yield f"{table.fullname}: the rule {name} does something else instead of what the service asks: drop it"
        else:
            log.warning("%s: the rule %s does more than the service asks", table.fullname, name)


_BEHAVIOUR = sa.text(
    "SELECT relpersistence AS persistence, relrowsecurity AS is_secured FROM pg_class"
    " WHERE oid = CAST(:table AS regclass)"
)

_RULES = sa.text(
    "SELECT rulename, is_instead FROM pg_rewrite WHERE ev_class = CAST(:table AS regclass)"
    " AND ev_type <> '1' ORDER BY rulename"
)


def _check_invalid_indexes(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """See that every index can be used; ``check_overviews`` sees to the overviews."""
    found = connection.execute(_INVALID_INDEXES, {"table": qualified(table)})
    for plain_name, name, kind in found:
        if kind == "I":
            yield (
                f"{table.fullname}: the index {name} is invalid, since a partition has no index for it: build one there,"
                f" and ALTER INDEX {name} ATTACH PARTITION its name"
            )
        elif not is_overview(table, plain_name):
            yield (
                f"{table.fullname}: the index {name} is invalid, left by a CREATE INDEX CONCURRENTLY that failed: "
                f"DROP INDEX CONCURRENTLY {name}, and build it again"
            )


#: The indexes that cannot be used: the name of each, the same as SQL has it, and its kind.
_INVALID_INDEXES = sa.text(
    "SELECT c.relname, CAST(CAST(c.oid AS regclass) AS text), c.relkind"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = CAST(:table AS regclass) AND NOT i.indisvalid"
)
