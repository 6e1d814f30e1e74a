"""Makes overviews, the indexes by which tiles and pages of large tables come without reading every row, and drops them."""

import math
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from geotables.collection import Collection
from geotables.column_types import integer_bits
from geotables.db.overview_names import key_ranges_name
from geotables.db.statements import execute
from geotables.identifiers import beside, qualified, quoted
from geotables.sql import overviews
from geotables.sql.overviews import GROWN, RATIO, SMALLEST, Overview

#: The most rows from which the bounds of overviews are computed.
SAMPLE = 1_000_000

#: An overview of more than one row in so many is not worth its size.
LEAST_SHARE = 3

#: Pages of the smallest table that gets an index of key ranges: fewer fit in PostgreSQL's ``shared_buffers`` of 128 MB.
LEAST_PAGES = 16_384

#: Ranges of pages in that index: more are finer, and each takes a search in a box a microsecond.
RANGES = 1_000

#: How well the order of the rows in the table must follow that of their keys, as ``pg_stats`` has it.
LEAST_CORRELATION = 0.9

#: The kinds of tables that PostgreSQL makes an index of while they are written: ordinary ones and materialized views.
INDEXABLE = ("r", "m")


def make(connection: sa.Connection, collection: Collection, limit: int | None) -> Iterator[str]:
    """Give a collection the overviews that it should have, drop the others, and say what is done.

    Args:
        connection: In autocommit mode: PostgreSQL makes these indexes outside of a transaction.
        collection: The collection.
        limit: How many rows a tile may show; None: there should be no overviews.
    """
    table = {"table": qualified(collection.table)}
    if builder := connection.scalar(_BUILDER, table):
        yield f"PostgreSQL's process {builder} is building an index of it: try again when it has ended"
        return
    stored = overviews.stored(connection, collection)
    reason = overviews.unfit(collection)
    if connection.scalar(_KIND, table) not in INDEXABLE:
        reason = "PostgreSQL indexes no view and no foreign table, and a partitioned table only while nobody writes"
    if reason:
        yield f"it can have no overviews: {reason}"
    if reason or limit is None:
        for name in stored:
            yield _drop(connection, collection, name)
        yield from _make_key_ranges(connection, collection, pages=0)
        return
    usable = [overview for overview in stored.values() if overview]
    rows, *numbers = _counts(connection, collection, usable)
    share = int(rows / (SMALLEST * limit))
    if usable and limit <= numbers[0] <= GROWN * limit:
        # The others go with it.
        share = usable[0].share
    shares = [*_shares(share)]
    kept = [
        overview.name
        for overview, number in zip(usable, numbers, strict=True)
        if overview.share in shares and 0.5 < number * overview.share / rows < 2
    ]
    least = math.ceil(LEAST_SHARE * SMALLEST * limit)
    yield f"{rows:,} rows" + ("" if shares else f" need none; {least:,} would")
    for name in stored:
        if name not in kept:
            yield _drop(connection, collection, name)
    missing = []
    if len(kept) < len(shares):
        computed = _computed(connection, collection, rows, shares)
        missing = [overview for overview in computed if overview.name not in kept]
    for overview in missing:
        connection.execute(CreateIndex(overview.index(concurrently=True)))
        name = beside(collection.table, overview.name)
        comment = f"COMMENT ON INDEX {name} IS ".replace("%", "%%")
        connection.exec_driver_sql(f"{comment}%(condition)s", {"condition": overview.condition})
        size = connection.scalar(_SIZE, {"name": name})
        yield f"{overview.name} is made: 1 row in {overview.share}, {size}"
    for name in kept:
        yield f"{name} is as it should be"
    pages = _pages_for_ranges(connection, collection)
    if missing or pages:
        # For the plans of tiles, if there are new indexes; for the correlation of the keys these alone are enough.
        columns = "" if missing else f" ({quoted(collection.key.name)})"
        execute(connection, f"ANALYZE {qualified(collection.table)}{columns}")
    yield from _make_key_ranges(connection, collection, pages)


def _pages_for_ranges(connection: sa.Connection, collection: Collection) -> int:
    """How many pages a table has; 0 if it is too small for an index of key ranges, or can have none."""
    # PostgreSQL 13 has no such operator class.
    is_able = (connection.dialect.server_version_info or ()) >= (14,)
    if not is_able or not integer_bits(collection.key.type):
        return 0
    pages: int = connection.scalar(_PAGES, {"table": qualified(collection.table)})
    return pages if pages >= LEAST_PAGES else 0


def _make_key_ranges(
    connection: sa.Connection, collection: Collection, pages: int
) -> Iterator[str]:
    """Give a table of so many pages its index of key ranges, or drop that, and say what is done."""
    name = key_ranges_name(collection.geometry)
    ranges = overviews.key_ranges(connection, collection)
    is_wanted = pages > 0 and _is_in_key_order(connection, collection)
    if is_wanted and ranges and ranges <= GROWN * RANGES:
        yield f"{name} is as it should be"
        return
    if ranges is not None:
        yield _drop(connection, collection, name)
    if is_wanted:
        bytes_of_key = integer_bits(collection.key.type) // 8
        each = pages // RANGES + 1
        table = collection.table.to_metadata(sa.MetaData())
        key = table.columns[collection.key.name]
        index = sa.Index(
            name,
            key,
            postgresql_using="brin",
            postgresql_ops={key.key: f"int{bytes_of_key}_minmax_multi_ops(values_per_range=64)"},
            postgresql_with={"pages_per_range": each, "autosummarize": "on"},
            postgresql_concurrently=True,
        )
        connection.execute(CreateIndex(index))
        size = connection.scalar(_SIZE, {"name": beside(collection.table, name)})
        yield f"{name} is made: the keys of every {each} pages, {size}"


def _is_in_key_order(connection: sa.Connection, collection: Collection) -> bool:
    """Whether the rows lie in the table about in the order of their keys, as the last ANALYZE has found it."""
    values = {"table": qualified(collection.table), "key": collection.key.name}
    return (connection.scalar(_CORRELATION, values) or 0) >= LEAST_CORRELATION


def _drop(connection: sa.Connection, collection: Collection, name: str) -> str:
    """Drop an index, and say so."""
    execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {beside(collection.table, name)}")
    return f"{name} is dropped"


def _shares(share: int) -> Iterator[int]:
    """The shares of overviews, beginning with that of the smallest one."""
    while share >= LEAST_SHARE:
        yield share
        share //= RATIO


def _counts(
    connection: sa.Connection, collection: Collection, usable: Sequence[Overview]
) -> list[int]:
    """The number of rows that tiles can show, and of those in each of some overviews."""
    numbers = [sa.func.count().filter(overview.rows) for overview in usable]
    counts = sa.select(sa.func.count(), *numbers).select_from(collection.table)
    return list(connection.execute(counts.where(*_shown(collection))).one())


def _shown(collection: Collection) -> tuple[sa.ColumnElement[bool], ...]:
    return collection.indexed_rows, collection.geometry.is_not(None)


def _computed(
    connection: sa.Connection, collection: Collection, rows: int, shares: Sequence[int]
) -> list[Overview]:
    """The overviews of these shares, computed from all rows, or from a sample where there are more than ``SAMPLE``."""
    order = overviews.order(collection)
    rank = sa.func.row_number().over(order_by=order).label("rank")
    ranked = (
        sa.select(
            *(sa.cast(expression, sa.Text()) for expression in order),
            rank,
            sa.func.count().over().label("number"),
        )
        .where(*_shown(collection))
        .where(sa.func.random() * rows <= SAMPLE)
        .subquery()
    )
    *bound, rank_, number = ranked.columns
    last = sa.or_(*(rank_ == number // share for share in shares))
    found = connection.execute(sa.select(*bound).where(last).order_by(rank_)).all()
    return [
        Overview(collection, share, tuple(row)) for share, row in zip(shares, found, strict=True)
    ]


_KIND = sa.text("SELECT relkind FROM pg_class WHERE oid = CAST(:table AS regclass)")

_BUILDER = sa.text(
    "SELECT pid FROM pg_stat_progress_create_index WHERE relid = CAST(:table AS regclass)"
)

_PAGES = sa.text(
    "SELECT pg_relation_size(CAST(:table AS regclass)) / CAST(current_setting('block_size') AS int)"
)

_CORRELATION = sa.text(
    "SELECT s.correlation FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname"
    " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename"
    " WHERE c.oid = CAST(:table AS regclass) AND s.attname = :key AND NOT s.inherited"
)

_SIZE = sa.text("SELECT pg_size_pretty(pg_relation_size(CAST(:name AS regclass)))")
