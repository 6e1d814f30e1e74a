"""Every INSERT, UPDATE and DELETE that the faces send. The first two return the row as it was stored, and its version.

They are built once, with parameters for what differs: building one takes as long as sending it. The hooks of a collection
(``before_write``, ``after_commit``) are called here, so that no face can forget them.
"""

import copy
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from geotables.collection import Change, Collection
from geotables.column_types import text_of, values_of
from geotables.context import current
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.statements import OWN, Condition, Row, Statement, together
from geotables.geometry import ewkb, metadata, parameter, read
from geotables.sql.row_formats import RowFormat

log = logging.getLogger(__name__)

#: The parameters that are no columns.
ID, PLACE, SENT, VERSIONS = (f"{OWN}{name}" for name in ("id", "place", "sent", "versions"))

#: The version of a row that is being written: what its xmin will be, unless a hook leaves a savepoint open. RETURNING of a
#: partitioned table has no xmin.
VERSION: sa.ColumnElement[str] = sa.literal_column("pg_current_xact_id()::xid::text", sa.Text())

#: Values of a row by the names of the columns; the geometry is Shapely's, its SRID set.
Values = dict[str, Any]


def insert(database: Database, record: RowFormat, new: BaseModel) -> Row:
    """Add a row, in a transaction of its own; what ``new`` leaves out gets the database's default.

    Raises:
        Refused: ``before_write`` of the collection does not let it be written.
    """
    collection = record.collection
    if collection.has_hooks:
        with transaction(database, collection) as writing:
            (written,) = writing.insert(record, [new])
        return tuple(written)
    values = values_of(new)
    statement = _insert_one(record, frozenset(values))
    (row,) = database.change(statement, _parameters(collection, values))
    return row


def matching(collection: Collection, id: Any, versions: Sequence[str] | None) -> Condition:
    """A row that the caller sees, if it has one of some versions; None: any.

    READ COMMITTED evaluates it again after waiting for another writer of the row.
    """
    conditions = [Condition(_same(collection), {ID: id}), collection.visible()]
    if versions is not None:
        conditions.append(Condition(_has_version(collection), {VERSIONS: versions}))
    return together(conditions)


@cache
def are_single(collection: Collection) -> bool:
    """Whether one statement can change a row: no hook is called, and no value made by Python (``onupdate``)."""
    return not collection.has_hooks and not any(
        column.onupdate is not None and not column.onupdate.is_clause_element
        for column in collection.table.columns
    )


def update(
    database: Database,
    record: RowFormat,
    row: Condition,
    new: BaseModel,
    names: frozenset[str],
    *,
    shape: Any,
    before: RowFormat,
) -> Row | None:
    """Change a row in a transaction of its own, as ``Writing.update`` does; None if no row meets the condition.

    Args:
        database: The database.
        record: What is returned of the row.
        row: Which one it is (``matching``).
        new: Its new values.
        names: The columns to set, at least one.
        shape: Its geometry as the client sent it: if that is what was written of the stored one, the stored one stays.
        before: How rows are written in the CRS of ``shape``.
    """
    collection = record.collection
    given = {name: value for name, value in values_of(new).items() if name in names}
    values = {**row.values, **_parameters(collection, given)}
    if values.get(PLACE) is not None:
        values[SENT] = ewkb(read(shape, default_srid=metadata.srid(collection.geometry)))
    left_out = frozenset(names - given.keys())
    statement = _update_one(
        record, frozenset(given), left_out, row.expression, before if SENT in values else None
    )
    rows = database.change(statement, values)
    return rows[0] if rows else None


def delete(database: Database, collection: Collection, row: Condition) -> bool:
    """Remove a row in a transaction of its own; returns whether one meets the condition (``matching``)."""
    return bool(database.change(_delete_one(collection, row.expression), row.values))


@contextmanager
def transaction(database: Database, collection: Collection) -> Iterator["Writing"]:
    """Writes to a collection in one transaction, committed at the end unless an exception leaves it."""
    with database.write() as connection:
        writing = Writing(connection, collection)
        yield writing
    writing.committed()


class Writing:
    """Writes to a collection, within a transaction."""

    def __init__(self, connection: sa.Connection, collection: Collection) -> None:
        self.connection = connection
        self._collection = collection
        self._has_hooks = collection.has_hooks
        self._changes: list[Change] = []

    def lock(self, id: Any) -> str | None:
        """Lock a row until the transaction ends; returns its version, None if the caller sees no such row."""
        visible = self._collection.visible()
        lock = _lock(self._collection, visible.expression)
        version: str | None = self.connection.scalar(lock, {**visible.values, ID: id})
        return version

    def insert(self, record: RowFormat, news: Sequence[BaseModel]) -> list[sa.Row[Any]]:
        """Add rows, which are returned in the order given; what they leave out gets the database's default."""
        values = [values_of(new) for new in news]
        for each in values:
            self._ask(None, each)
        rows = insert_all(self.connection, record, values)
        if self._has_hooks:
            stored = (self._stored(record.key_of(row)) for row in rows)
            self._changes += [Change(None, new) for new in stored]
        return rows

    def update(
        self, record: RowFormat, id: Any, new: BaseModel, names: Iterable[str]
    ) -> sa.Row[Any]:
        """Set the columns named to the values of ``new``; what it leaves out goes back to the database's default."""
        collection, names = self._collection, frozenset(names)
        given = {name: value for name, value in values_of(new).items() if name in names}
        left_out = names - given.keys()
        old: Mapping[str, Any] | None = None
        if self._has_hooks:
            old = self._stored(id)
            whole = {name: value for name, value in old.items() if name not in left_out} | given
            asked = {name: own(value) for name, value in whole.items()}
            self._ask(old, asked)
            changed = {
                name
                for name, value in asked.items()
                if name not in whole or differs(whole[name], value)
            }
            given = {name: asked[name] for name in asked if name in given or name in changed}
            left_out -= changed
        if not (given or left_out or _has_onupdate(collection)):
            return self.connection.execute(record.by_id.query, {"id": id}).one()
        statement = _update(record, frozenset(given), frozenset(left_out), _same(collection))
        row = self.connection.execute(statement, _parameters(collection, given) | {ID: id}).one()
        if old is not None:
            self._changes.append(Change(old, self._stored(id)))
        return row

    def delete(self, id: Any) -> None:
        """Remove a row."""
        if self._has_hooks:
            old = self._stored(id)
            self._ask(old, None)
            self._changes.append(Change(old, None))
        self.connection.execute(_delete(self._collection, _same(self._collection)), {ID: id})

    def committed(self) -> None:
        """Tell ``after_commit`` what was written; that it fails is logged, since the rows are there."""
        if self._collection.after_commit is None or not self._changes:
            return
        try:
            self._collection.after_commit(current.get().caller, self._changes)
        except Exception:
            log.exception("after_commit of %s failed", self._collection.name)

    def _ask(self, old: Mapping[str, Any] | None, new: Values | None) -> None:
        if self._collection.before_write is None:
            return
        self._collection.before_write(self.connection, current.get().caller, old, new)
        unknown = (new or {}).keys() - self._collection.table.columns.keys()
        if unknown:
            # SQLAlchemy would leave it out: a rule with a typo would do nothing.
            raise KeyError(
                f"before_write sets {min(unknown)}, which {self._collection.name} has not"
            )

    def _stored(self, id: Any) -> Values:
        """A row as the table has it, with its hidden columns."""
        collection = self._collection
        row = self.connection.execute(_whole(collection), {ID: id}).mappings().one()
        values = dict(row)
        place, srid = collection.geometry.name, metadata.srid(collection.geometry)
        if values[place] is not None:
            values[place] = read(values[place], default_srid=srid)
        return values


def own(value: Any) -> Any:
    """A value that a hook may change: JSON is a copy, so that one can tell whether it did."""
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def differs(before: Any, after: Any) -> bool:
    """Whether a hook has changed a value."""
    if isinstance(before, dict | list):
        # By their texts: to Python, 1 and true are equal.
        return repr(before) != repr(after)
    return before is not after


def insert_all(
    connection: sa.Connection, record: RowFormat, news: Sequence[Values]
) -> list[sa.Row[Any]]:
    """Add rows in the transaction of a connection, without asking the hooks; they are returned in the order given."""
    collection, name = record.collection, record.collection.key.name
    new_ids = _new_ids(collection)
    if new_ids is not None and len(news) > 1 and any(name not in new for new in news):
        # PostgreSQL returns them in any order: their ids, made before, tell them apart.
        ids = connection.scalars(new_ids, {"number": len(news)}).all()
        news = [{name: id} | new for new, id in zip(news, ids, strict=True)]
    if isinstance(collection.key.type, sa.CHAR):
        # As it comes back: padded with spaces.
        length = collection.key.type.length or 1
        news = [new | {name: new[name].ljust(length)} if name in new else new for new in news]
    alike: dict[frozenset[str], list[int]] = defaultdict(list)
    for number, new in enumerate(news):
        alike[frozenset(new)].append(number)
    rows: dict[int, sa.Row[Any]] = {}
    place = collection.geometry.name
    for names, numbers in alike.items():
        # By the names of the columns: SQLAlchemy takes a parameter that is stated for a key to be the same in every row.
        values = [dict(news[number]) for number in numbers]
        if place in names:
            for each in values:
                shape = each.pop(place)
                each[PLACE] = None if shape is None else ewkb(shape)
        found = connection.execute(_insert_many(record, has_place=place in names), values)
        rows |= zip(numbers, found, strict=True)
    return [rows[number] for number in range(len(news))]


@cache
def _placed(collection: Collection) -> sa.ColumnElement[Any]:
    """A geometry of EWKB, in the table's CRS. Where it has that already, ST_Transform leaves it as it is."""
    return sa.func.ST_Transform(parameter(PLACE, WGS84), metadata.srid(collection.geometry))


@cache
def _same(collection: Collection) -> sa.ColumnElement[bool]:
    return collection.key == sa.bindparam(ID)


@lru_cache(maxsize=64)
def _lock(collection: Collection, visible: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(collection.version).where(_same(collection), visible).with_for_update()


@cache
def _has_version(collection: Collection) -> sa.ColumnElement[bool]:
    versions = sa.bindparam(VERSIONS, type_=sa.ARRAY(sa.Text()))
    return collection.version == sa.any_(versions)


@cache
def _has_onupdate(collection: Collection) -> bool:
    """Whether a change without values changes something: a time, say."""
    return any(column.onupdate is not None for column in collection.table.columns)


@lru_cache(maxsize=64)
def _delete(collection: Collection, rows: sa.ColumnElement[bool]) -> sa.Delete:
    return sa.delete(collection.table).where(rows)


@lru_cache(maxsize=64)
def _delete_one(collection: Collection, rows: sa.ColumnElement[bool]) -> Statement:
    return Statement(_delete(collection, rows).returning(sa.literal_column("1")))


@cache
def _whole(collection: Collection) -> sa.Select[Any]:
    columns = (text_of(column).label(column.name) for column in collection.table.columns)
    return sa.select(*columns).where(_same(collection))


@cache
def _new_ids(collection: Collection) -> sa.Select[Any] | None:
    """A number of ids, made as the column's default makes one; None where PostgreSQL numbers the rows as they come."""
    default = collection.key.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    series = sa.func.generate_series(1, sa.bindparam("number"))
    return sa.select(sa.type_coerce(default.arg, collection.key.type)).select_from(series)


@lru_cache(maxsize=256)
def _insert_one(record: RowFormat, names: frozenset[str]) -> Statement:
    """A row with values for these columns."""
    collection = record.collection
    new = sa.insert(collection.table).values(_bound(collection, names))
    return Statement(new.returning(*record.columns, VERSION))


@cache
def _insert_many(record: RowFormat, *, has_place: bool) -> ReturningInsert[Any]:
    """Rows with the columns that there are parameters for, returned in their order.

    SQLAlchemy restores the order, by ids that are given or that grow. Drawing ids from the sequence beforehand would take a
    right that an INSERT does not need.
    """
    collection = record.collection
    new = sa.insert(collection.table)
    if has_place:
        new = new.values({collection.geometry.name: _placed(collection)})
    return new.returning(*record.columns, VERSION, sort_by_parameter_order=True)


@lru_cache(maxsize=256)
def _update(
    record: RowFormat,
    names: frozenset[str],
    left_out: frozenset[str],
    rows: sa.ColumnElement[bool],
) -> ReturningUpdate[Any]:
    """A change of some columns to values, and of those left out to their defaults."""
    collection = record.collection
    values = _bound(collection, names)
    values |= {name: sa.literal_column("DEFAULT") for name in left_out}
    statement = sa.update(collection.table).where(rows).values(values)
    return statement.returning(*record.columns, VERSION)


@lru_cache(maxsize=256)
def _update_one(
    record: RowFormat,
    names: frozenset[str],
    left_out: frozenset[str],
    rows: sa.ColumnElement[bool],
    before: RowFormat | None,
) -> Statement:
    """The same as a ``Statement``; the geometry stays if the one sent equals it as ``before`` writes it."""
    query, geometry = _update(record, names, left_out, rows), record.collection.geometry
    if before is not None:
        stays = before.rounded == parameter(SENT, WGS84)
        place = sa.case((stays, geometry), else_=_placed(record.collection))
        query = query.values({geometry.name: place})
    return Statement(query)


@cache
def _names(collection: Collection) -> dict[str, str]:
    """The names of the parameters, by those of the columns: SQLAlchemy may take two columns' names for one parameter's."""
    columns = enumerate(collection.table.columns)
    names = {column.name: f"{OWN}{number}" for number, column in columns}
    return names | {collection.geometry.name: PLACE}


def _bound(collection: Collection, names: frozenset[str]) -> dict[str, Any]:
    """A parameter for each of some columns."""
    columns, parameters = collection.table.columns, _names(collection)
    bound: dict[str, Any] = {
        # In the order of the table, so that the text of the statement is the same in every process.
        column.name: sa.bindparam(parameters[column.name], type_=column.type)
        for column in columns
        if column.name in names
    }
    if collection.geometry.name in bound:
        bound[collection.geometry.name] = _placed(collection)
    return bound


def _parameters(collection: Collection, values: Mapping[str, Any]) -> Values:
    """The values of a row, by the names of the parameters."""
    names = _names(collection)
    parameters = {names[name]: value for name, value in values.items()}
    if (place := parameters.get(PLACE)) is not None:
        parameters[PLACE] = ewkb(place)
    return parameters
