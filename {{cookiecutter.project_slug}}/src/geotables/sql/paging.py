"""Choose the statements that find a page of rows."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.visitors import replacement_traverse

from geotables.collection import EVERY_ROW
from geotables.db.database import Database
from geotables.db.statements import OWN, Condition, Row, Statement
from geotables.sql.keyset import Order, by_id
from geotables.sql.queries import plan
from geotables.sql.row_formats import RowFormat

#: The most rows of an index that are sorted at once: with more, the planner is asked first.
SORT_LIMIT = 1_000

#: How many times the rows of a page are read up to the one that bounds its keys, since some may not meet the conditions.
SPARE = 1.1

#: The share of the rows with the first keys that the index must have found first for the table to be in the order of its keys.
IN_ORDER = 0.75

#: Rows that are read in the order of their ids in the time in which an index finds one: fewer where all are in memory,
#: more where they are not.
ID_WALK_RATIO = 20

#: Read at most this many times the ids that should fill a page; then sort instead.
OVERSCAN = 2


def find(
    database: Database,
    record: RowFormat,
    conditions: Sequence[Condition],
    *,
    order: Order | None = None,
    after: Condition | None = None,
    limit: int,
    offset: int = 0,
) -> Sequence[Row]:
    """The first rows in an order.

    Args:
        database: Where to look.
        record: What to select of the rows.
        conditions: What they have to meet.
        order: Their order; None: that of the primary key.
        after: Where in it to begin (a keyset), so that a deep page costs what the first one does.
        limit: How many rows, at the most.
        offset: How many to pass over.

    Returns:
        Rows that begin with the columns of the record, and then those of the order.
    """
    order = order or by_id(record.collection)
    begin = after or EVERY_ROW
    values: dict[str, Any] = {"limit": limit, "offset": offset}
    for condition in (*conditions, begin):
        values |= condition.values
    expressions = tuple(condition.expression for condition in conditions)
    candidates = tuple(condition.candidates for condition in conditions)
    pages = _pages(record, order, expressions, begin.expression, candidates)
    if order.is_by_id and any(condition.indexed for condition in conditions):
        return _find_indexed(database, record, pages, values)
    return database.fetch(pages.as_planned, values)


def _find_indexed(
    database: Database, record: RowFormat, pages: "Pages", values: dict[str, Any]
) -> Sequence[Row]:
    """The first rows by id, where an index may find them.

    Left to itself PostgreSQL walks the primary key where it expects many rows, as if they lay anywhere: for those of a box,
    in a table that is sorted in space, that may lead through all of the table. So these are tried until one fills the page:

    1. Sort what the index finds, if that is at most ``SORT_LIMIT`` rows.
    2. Sort what it finds up to the key of a row that should end the page, one of those found first. That is less than all
       only where the table is in the order of its keys, as these rows tell.
    3. Read rows in the order of their ids, no more than should fill the page, if that takes less time than to sort all.
    4. Sort all that the index finds.
    """
    limit, offset = values["limit"], values["offset"]
    few = database.fetch(
        pages.sorted_few, values | {"size": SORT_LIMIT + 1, "limit": int(SPARE * limit)}
    )
    # Where every row found is passed over, there are no more than ``offset``.
    found = few[0][-1] if few else offset
    if found <= SORT_LIMIT:
        return few[:limit]
    expected, every = _expected(database, pages, values)
    expected = max(expected, found)
    ids = ids_to_walk(offset + limit, expected, every)
    # Of as many rows, a sequential scan may have found the first ones anywhere.
    are_many = 0 < ids <= expected
    if few and not are_many and _are_in_order(few, offset):
        rows = database.fetch(pages.sorted_some, values | {"last": record.id_of(few[-1])})
        if len(rows) == limit:
            return rows
    if ids:
        rows = database.fetch(pages.walked_ids, values | {"size": ids})
        if len(rows) == limit:
            return rows
    return database.fetch(pages.sorted_all, values)


def _are_in_order(few: Sequence[Row], offset: int) -> bool:
    """Whether an index found the rows with the first keys first, as it does in a table that is in the order of its keys.

    They do not tell where they are more than half of what it found.
    """
    last, found = offset + len(few), few[0][-1]
    early = sum(row[-2] <= last for row in few)
    return bool(last <= found // 2 and early >= IN_ORDER * len(few))


def ids_to_walk(wanted: int, expected: int, every: int) -> int:
    """How many rows to read in the order of their ids for a page; none where to sort all that an index finds is cheaper.

    Args:
        wanted: The rows of the page, and those passed over.
        expected: How many rows meet the condition, by the planner's estimate.
        every: How many rows the table has, likewise.
    """
    ids = OVERSCAN * wanted * every // expected
    return ids if ids <= ID_WALK_RATIO * expected else 0


def token_after(record: RowFormat, order: Order, row: Row) -> str:
    """The token of the page after a row that ``find`` has returned."""
    before = len(record.columns)
    return order.token([*row[before : before + len(order.columns)], record.id_of(row)])


def _expected(database: Database, pages: "Pages", values: dict[str, Any]) -> tuple[int, int]:
    """How many rows the planner expects, of a page's condition and of the table."""
    search = plan(database, pages.explained, values)
    (counting,) = (each for each in search["Plans"] if each["Parent Relationship"] == "InitPlan")
    return search["Plan Rows"], counting["Plans"][0]["Plan Rows"]


class Pages:
    """The statements for pages that differ in values alone."""

    def __init__(
        self,
        record: RowFormat,
        order: Order,
        conditions: Sequence[sa.ColumnElement[bool]],
        after: sa.ColumnElement[bool],
        candidates: Sequence[sa.ColumnElement[bool] | None],
    ) -> None:
        self._table, self._key = record.collection.table, record.collection.key
        self._columns = [*record.columns, *order.columns]
        self._order = order.by()
        self._wanted = sa.and_(*conditions)
        self._after = after
        # What the index finds, and the conditions that each row found has to meet then.
        pairs = list(zip(conditions, candidates, strict=True))
        self._found = sa.and_(*(each if found is None else found for each, found in pairs))
        self._exactly = [each for each, found in pairs if found is not None]
        self._rows = sa.select(*self._columns).where(self._wanted, after)

    @cached_property
    def as_planned(self) -> Statement:
        """The page, found as PostgreSQL sees fit."""
        return Statement(_cut(self._rows.order_by(*self._order)))

    @cached_property
    def sorted_few(self) -> Statement:
        """The page, of the first ``size`` rows that an index finds; the last columns are the turn of each, and their number.

        If there are as many, others may have smaller keys: then these are not compared with the conditions.
        """
        size = _number("size")
        few = sa.select(self._table).where(self._found, self._after).limit(size)
        first = few.subquery(self._table.name)
        turn = sa.func.row_number().over().label(f"{OWN}turn")
        number = sa.func.count().over().label(f"{OWN}number")
        numbered = sa.select(first, turn, number).order_by(first.c[self._key.name])
        found = numbered.offset(0).subquery(self._table.name)
        rows = self._looked_at(found, unless=found.c[number.name] == size)
        rows = rows.add_columns(found.c[turn.name], found.c[number.name])
        return Statement(_cut(rows.order_by(found.c[self._key.name])), single_process=True)

    @cached_property
    def explained(self) -> Statement:
        """The plan of a search for all the rows that are wanted, with one for all rows within."""
        every = sa.select(sa.func.count()).select_from(self._table.alias()).scalar_subquery()
        rows = sa.select(every).select_from(self._table).where(self._wanted, self._after)
        return Statement(rows, explained=True, single_process=True)

    @cached_property
    def walked_ids(self) -> Statement:
        """The page, as far as the first ``size`` rows in the order of their ids hold it."""
        ids = sa.select(self._table).where(self._after).order_by(self._key)
        first = ids.limit(_number("size")).subquery(self._table.name)
        columns = (self._of(first, column) for column in self._columns)
        rows = sa.select(*columns).where(self._of(first, self._wanted))
        return Statement(_cut(rows.order_by(first.c[self._key.name])), single_process=True)

    @cached_property
    def sorted_some(self) -> Statement:
        """The page, of the rows that indexes find up to the key ``last``."""
        last = sa.cast(sa.bindparam("last", type_=sa.Text()), self._key.type)
        return self._sorted(self._key <= last)

    @cached_property
    def sorted_all(self) -> Statement:
        """The page, of all the rows that an index finds."""
        return self._sorted(sa.true())

    def _sorted(self, some: sa.ColumnElement[bool]) -> Statement:
        """The page, of some rows that an index finds, which are looked at until it is full."""
        # An expression has no index that PostgreSQL could walk.
        place = sa.func.greatest(self._key).label(f"{OWN}place")
        every = sa.select(self._table, place).where(self._found, self._after, some)
        found = every.order_by(place).offset(0).subquery(self._table.name)
        rows = self._looked_at(found).order_by(found.c[place.name])
        return Statement(_cut(rows), needs_work_mem=True, single_process=True)

    def _looked_at(
        self, found: sa.Subquery, unless: sa.ColumnElement[bool] | None = None
    ) -> sa.Select[Any]:
        """Rows that an index has found and an offset keeps sorted: they are compared with the conditions until the page is full."""
        exactly = sa.and_(sa.true(), *(self._of(found, each) for each in self._exactly))
        columns = (self._of(found, column) for column in self._columns)
        return sa.select(*columns).where(exactly if unless is None else unless | exactly)

    def _of(self, rows: sa.Subquery, expression: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """An expression about the table as one about some of its rows, which have its name."""

        def replace(element: Any, **_: Any) -> Any:
            # A condition of the project may ask another table, whose columns stay what they are.
            table = element.table if isinstance(element, sa.Column) else None
            if getattr(table, "fullname", None) != self._table.fullname:
                return None
            return rows.c.get(element.name)

        replaced: sa.ColumnElement[Any] = replacement_traverse(expression, {}, replace)
        return replaced


#: To build and to compile the statements takes longer than to send them.
_pages = lru_cache(maxsize=256)(Pages)


def _cut(rows: sa.Select[Any]) -> sa.Select[Any]:
    return rows.limit(_number("limit")).offset(_number("offset"))


def _number(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger())
