"""Whether the searches of the faces can use the indexes that are meant for them."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from geotables.checks.copies import copied, schemas
from geotables.checks.rows import new_row
from geotables.collection import Collection
from geotables.crs import WORLD
from geotables.db.overview_names import key_ranges_name
from geotables.db.statements import Condition, Statement
from geotables.geometry import metadata, samples
from geotables.http.faces import Search, faces_of
from geotables.identifiers import qualified
from geotables.sql import bbox, overviews, row_formats, writes

log = logging.getLogger(__name__)

#: Parameters as PostgreSQL's own statements have them, so that the check can PREPARE what the service sends.
DIALECT: sa.Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def _searches(app: FastAPI, collection: Collection) -> Iterator[Search]:
    """Each kind of spatial query that the faces of an application send of a collection."""
    if next(metadata.gist_indexes(collection.geometry), None) is None:
        # There is no index to search; the models are found wrong for it.
        return
    for face in faces_of(app):
        yield from face.searches(collection)


def check_predicate(app: FastAPI, collection: Collection) -> Iterator[str]:
    """See that queries repeat the predicate to the letter: bound values would keep the index from being used."""
    if not collection.is_partial:
        return
    predicate = str(collection.indexed_rows)
    for search in _searches(app, collection):
        # Not in the driver's text, which doubles percent signs.
        if predicate not in str(search.statement.query.compile(dialect=DIALECT)):
            yield f"queries: {search.name} of {collection.name} does not have the predicate {predicate} as the index spells it"


def check_plans(app: FastAPI, connection: sa.Connection, collection: Collection) -> Iterator[str]:
    """See that PostgreSQL can use the indexes meant for each search, also where it plans without the values.

    This is tried on a thousand equal rows with one index at a time: for the real rows PostgreSQL may prefer another index,
    or none.
    """
    table = collection.table
    with copied(connection, table, "INCLUDING DEFAULTS INCLUDING IDENTITY"):
        row = new_row(collection, 0, samples.geometries(collection.geometry)[0])
        writes.insert_all(connection, row_formats.record(collection), [row])
        number = sa.func.generate_series(1, 1000).table_valued("number")
        columns = [column for column in table.columns if not _is_generated(column)]
        rows = sa.select(*columns).select_from(table.join(number, sa.true()))
        multiply = sa.insert(table).from_select(columns, rows, include_defaults=False)
        connection.execute(multiply)
        connection.execute(_PLAN_GENERICALLY)
        for search in _searches(app, collection):
            for index in search.indexes:
                with connection.begin_nested() as alone:
                    connection.execute(CreateIndex(index))
                    if index.name not in _indexes_used(connection, schemas(table), search):
                        yield f"plans: {search.name} of {collection.name} cannot use {index.name}"
                    alone.rollback()


def _is_generated(column: sa.Column[Any]) -> bool:
    """Whether PostgreSQL takes no value for a column."""
    identity = column.identity
    return column.computed is not None or bool(identity is not None and identity.always)


def check_view(connection: sa.Connection, collection: Collection) -> None:
    """See whether a search in a box can use an index of the tables that a view reads; without one it reads all of them."""
    if not metadata.is_view(collection.table):
        return
    box = bbox.within(collection.geometry, samples.small_box(collection.geometry))
    used = _indexes_used_for(connection, collection, box, sa.true())
    if not connection.scalar(_SPATIAL, {"names": [*used]}):
        log.warning(
            "%s: a search in a box reads every row of the view: no spatial index of its tables can be used",
            collection.name,
        )


def check_overviews(connection: sa.Connection, collection: Collection) -> Iterator[str]:
    """See that the overviews in the database are those of this version, and that tiles use them."""
    remedy = "run overviews again, or overviews --drop"
    estimate = connection.scalar(_ROWS, {"table": qualified(collection.table)})
    for name, overview in overviews.stored(connection, collection).items():
        if overview is None:
            yield f"{collection.name}: the overview {name} is invalid, or of another model or version: {remedy}"
            continue
        if estimate < MANY:
            continue
        box = bbox.overlapping(collection.geometry, WORLD)
        if name not in _indexes_used_for(connection, collection, box, overview.rows):
            yield f"plans: PostgreSQL does not use {name} for tiles of {collection.name}: ANALYZE the table, or {remedy}"
    if overviews.key_ranges(connection, collection) == 0:
        name = key_ranges_name(collection.geometry)
        yield f"{collection.name}: the index {name} is invalid: {remedy}"


#: In a table of fewer rows one index costs what another does, and PostgreSQL may take any.
MANY = 10_000

#: Has plans be made without values, and use an index wherever one can be used.
_PLAN_GENERICALLY = sa.text(
    "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"
)

_ROWS = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(:table AS regclass)")

_SPATIAL = sa.text(
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am m ON m.oid = c.relam"
    " WHERE c.relname = ANY (:names) AND m.amname IN ('gist', 'spgist', 'brin'))"
)


def _indexes_used_for(
    connection: sa.Connection,
    collection: Collection,
    box: Condition,
    further: sa.ColumnElement[bool],
) -> set[str]:
    """The indexes of the database that rows in a box, under a further condition, are found by."""
    rows = collection.rows()
    found = sa.select(collection.key).where(rows.expression, box.expression, further)
    search = Search("a box", Statement(found), {**rows.values, **box.values}, [])
    with connection.begin_nested() as savepoint:
        connection.execute(_PLAN_GENERICALLY)
        used = _indexes_used(connection, {}, search)
        savepoint.rollback()
    return used


def _indexes_used(
    connection: sa.Connection, translated: Mapping[str | None, str | None], search: Search
) -> set[str]:
    """The indexes that a search uses, in schemas that take the place of others."""
    compiled = search.statement.query.params(search.values).compile(
        dialect=DIALECT, schema_translate_map=translated, render_schema_translate=True
    )
    bound = [compiled.params[name] for name in compiled.positiontup or ()]
    given = f"({', '.join(['%s'] * len(bound))})" if bound else ""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(f"PREPARE checked AS {str(compiled).replace('%', '%%')}", ())
        try:
            cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE checked {given}", bound)
            (plan,) = cursor.fetchall()[0]
        finally:
            cursor.execute("DEALLOCATE checked")
    return set(_index_names(plan[0]["Plan"]))


def _index_names(node: dict[str, Any]) -> Iterator[str]:
    """The indexes that are searched or give an order; one that is read from end to end is of no use."""
    if "Index Cond" in node or "Order By" in node:
        yield node["Index Name"]
    for child in node.get("Plans", ()):
        yield from _index_names(child)
