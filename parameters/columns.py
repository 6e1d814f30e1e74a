"""The columns of a table and the relation that they are of, however they were stated.

`attributes` is parsed into `Column`, and so is the private `_columns`: a JSON list of the columns that `attributes` cannot say,
such as an enum, an array, or a name with a space. The private `_table` is a JSON object, a `Table`: what a table that was found
in a database is, beyond what the parameters say. Both are written by `dump` and read by `load_columns` and `load_table`.
"""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .names import NAME_BYTES, byte_count, printable, shown

Stated = TypeVar("Stated")

#: What a relation may be, as PostgreSQL's documentation calls it.
Kind = Literal["table", "partitioned table", "view", "materialized view", "foreign table"]

#: Whether a client may give the value of an identity column; "" is that of a column that is none.
Identity = Literal["", "always", "by default"]


class StatementError(ValueError):
    """A private value does not say what it has to: the message says where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what clients send and get by its name, and what the database does with it.

    Attributes:
        name: As PostgreSQL and clients have it: any text of up to 63 bytes.
        type: The SQL type, as `format_type` writes it: `character varying(100)`, `integer`, `public.mood`, `text[]`.
        nullable: Whether it may be NULL.
        unique: Whether it has a unique constraint of its own, under the default name; others are `Table.constraints`.
        default: The expression of its default, as `pg_get_expr` writes it; "" if it has none. Not that of a generated column.
        generated: The expression of a generated column, likewise.
        identity: Whether the database numbers it, and how.
        collation: The collation, where it is not the type's own.
        sample: The text of a value that it takes, such as a label of an enum: for the rows of tests.
    """

    name: str
    type: str
    nullable: bool = False
    unique: bool = False
    default: str = ""
    generated: str = ""
    identity: Identity = ""
    collation: str = ""
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint that the table has: the primary key, a unique constraint or a CHECK.

    A foreign key is not stated: its table need not be there where the service's tests run.

    Attributes:
        name: Its name in the database.
        kind: What it is.
        columns: Names of the columns of a primary key or of a unique constraint, in their order.
        condition: That of a CHECK: what is in its parentheses, as `pg_get_expr(conbin, conrelid)` writes it.
    """

    name: str
    kind: Literal["primary key", "unique", "check"]
    columns: tuple[str, ...] = ()
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that the table has, beside those of its constraints.

    Attributes:
        name: Its name in the database.
        elements: What it is of, as `pg_get_indexdef` writes each: `kind`, `"Land Use" DESC`, `lower(name)`, `((geom)::geography)`.
        method: `btree`, `gist`, …
        unique: Whether it is unique.
        include: Names of further columns in it (INCLUDE).
        predicate: The condition of a partial index, as `pg_get_expr` writes it.
    """

    name: str
    elements: tuple[str, ...]
    method: str = "btree"
    unique: bool = False
    include: tuple[str, ...] = ()
    predicate: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What has to be there before the table, or what stands in for a view, can be made in an empty database.

    Attributes:
        kind: What it is.
        name: Its name as SQL, with its schema but for an extension: `hstore`, `public.mood`, `cadastre."Parcel_gid_seq"`.
        statement: The SQL that makes it. It is executed only where it is not there yet.
    """

    kind: Literal["schema", "extension", "type", "sequence", "function"]
    name: str
    statement: str


@dataclass(frozen=True, slots=True)
class Table:
    """What a relation is beyond what the parameters say: those of a new table are the defaults.

    Attributes:
        name: Its real name; "" is that of `table_name`.
        schema: Its schema's real name; "" is that of `table_schema`.
        kind: What it is.
        adopted: Whether it was there before the service: no revision makes or drops it.
        key: The key; None is that of `key_column` and `primary_key`, under which a rendered project still names it.
        geometry_column: The geometry column's real name; "" is that of `geometry_column`.
        geometry_nullable: Whether the geometry may be NULL.
        constraints: All the constraints of an adopted table that can be stated.
        indexes: All the valid indexes of an adopted table that are of no constraint, those on the geometry among them. Where none is
            a GiST index on the geometry, one of `index_name` is stated besides, and likewise one on its geography.
        requires: What has to be there before it.
    """

    name: str = ""
    schema: str = ""
    kind: Kind = "table"
    adopted: bool = False
    key: Column | None = None
    geometry_column: str = ""
    geometry_nullable: bool = False
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    requires: tuple[Requirement, ...] = ()

    @property
    def is_view(self) -> bool:
        """Whether it is one that no revision can make: a plain table stands in for it where there is none."""
        return self.kind in {"view", "materialized view", "foreign table"}


# -- JSON ----------------------------------------------------------------------------------------


def dump(stated: Table | Sequence[Column]) -> str:
    """The JSON of `_table`, or of `_columns`: one line, without what is as it is by default; "" if nothing is left."""
    value = [_plain(each) for each in stated] if isinstance(stated, Sequence) else _plain(stated)
    return json.dumps(value, ensure_ascii=False) if value else ""


def _plain(stated: Any) -> Any:
    if dataclasses.is_dataclass(stated):
        values = {each.name: getattr(stated, each.name) for each in dataclasses.fields(stated)}
        defaults = {each.name: each.default for each in dataclasses.fields(stated)}
        return {n: _plain(v) for n, v in values.items() if v != defaults[n]}
    return [_plain(each) for each in stated] if isinstance(stated, tuple) else stated


def load_columns(text: str) -> tuple[Column, ...]:
    """The columns of `_columns`; "" has none.

    Raises:
        StatementError: The text is not such a list.
    """
    if not text:
        return ()
    columns: tuple[Column, ...] = _read(tuple[Column, ...], _parse(text), "columns")
    _refuse_doubles("column", (column.name for column in columns))
    for number, column in enumerate(columns):
        _check_column(column, f"columns[{number}]")
    return columns


def load_table(text: str) -> Table:
    """The relation of `_table`; "" is a new table.

    Raises:
        StatementError: The text is not such an object.
    """
    if not text:
        return Table()
    table: Table = _read(Table, _parse(text), "table")
    for name in ("name", "schema", "geometry_column"):
        if getattr(table, name):
            _check_name(getattr(table, name), f"table.{name}")
    if table.key:
        _check_column(table.key, "table.key")
        if table.key.nullable or table.key.generated:
            raise StatementError("table.key: a key is neither nullable nor generated")
    _refuse_doubles("constraint", (each.name for each in table.constraints))
    _refuse_doubles("index", (each.name for each in table.indexes))
    for number, constraint in enumerate(table.constraints):
        _check_constraint(constraint, f"table.constraints[{number}]")
    for number, index in enumerate(table.indexes):
        _check_index(index, f"table.indexes[{number}]")
    for number, requirement in enumerate(table.requires):
        place = f"table.requires[{number}]"
        _check_text(requirement.name, f"{place}.name")
        _check_text(requirement.statement, f"{place}.statement")
    if (table.is_view or table.constraints or table.indexes) and not table.adopted:
        raise StatementError(
            'table.adopted: only a relation that was found has these: "adopted": true'
        )
    return table


def _parse(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_doubles("member", (name for name, _ in pairs))
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StatementError(f"not JSON: {error}") from error


def _read(kind: Any, value: Any, place: str) -> Any:
    """A value of JSON as one of a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _read(arguments[0], value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise StatementError(f"{place}: {_written(value)} is no list")
        return tuple(_read(arguments[0], each, f"{place}[{n}]") for n, each in enumerate(value))
    if origin is Literal:
        if value not in arguments or not isinstance(value, str):
            choices = ", ".join(map(_written, arguments))
            raise StatementError(f"{place}: {_written(value)} is not one of {choices}")
        return value
    if dataclasses.is_dataclass(kind):
        return _read_members(kind, value, place)
    if not isinstance(value, kind):
        raise StatementError(
            f"{place}: {_written(value)} is {'no text' if kind is str else 'neither true nor false'}"
        )
    return value


def _read_members(kind: Any, value: Any, place: str) -> Any:
    fields = {each.name: each for each in dataclasses.fields(kind)}
    if not isinstance(value, Mapping):
        raise StatementError(f"{place}: {_written(value)} is no object with {', '.join(fields)}")
    for name in value:
        if name not in fields:
            raise StatementError(f"{place}: no member is called {shown(name)}: {', '.join(fields)}")
    for name, each in fields.items():
        if name not in value and each.default is dataclasses.MISSING:
            raise StatementError(f"{place}: {name} is missing")
    annotations = typing.get_type_hints(kind)
    return kind(
        **{name: _read(annotations[name], each, f"{place}.{name}") for name, each in value.items()}
    )


def _written(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 80 else f"{text[:60]}…"


# -- What the values may be ----------------------------------------------------------------------


def _refuse_doubles(what: str, names: Iterable[str]) -> None:
    known: set[str] = set()
    for name in names:
        if name in known:
            raise StatementError(f"the {what} {shown(name)} is stated twice")
        known.add(name)


def _check_name(name: str, place: str) -> None:
    if not name or not printable(name):
        raise StatementError(f"{place}: {shown(name)} is no name that shows on a screen")
    if (size := byte_count(name)) > NAME_BYTES:
        raise StatementError(f"{place}: {shown(name)} is {size} bytes long, at most {NAME_BYTES}")


def _check_text(text: str, place: str) -> None:
    if not text.strip() or re.search("[\x00\ud800-\udfff]", text):
        raise StatementError(f"{place}: {shown(text)} is no SQL")


def _check_column(column: Column, place: str) -> None:
    _check_name(column.name, f"{place}.name")
    _check_text(column.type, f"{place}.type")
    for name in ("default", "generated", "collation", "sample"):
        if text := getattr(column, name):
            _check_text(text, f"{place}.{name}")
    set_by = [name for name in ("default", "generated", "identity") if getattr(column, name)]
    if len(set_by) > 1:
        raise StatementError(f"{place}: a column has no {' and '.join(set_by)} at once")


def _check_constraint(constraint: Constraint, place: str) -> None:
    _check_name(constraint.name, f"{place}.name")
    if constraint.kind == "check":
        _check_text(constraint.condition, f"{place}.condition")
    elif not constraint.columns:
        raise StatementError(f"{place}.columns: name the columns of the {constraint.kind}")


def _check_index(index: Index, place: str) -> None:
    _check_name(index.name, f"{place}.name")
    if not index.elements:
        raise StatementError(f"{place}.elements: name what the index is of")
    for number, element in enumerate(index.elements):
        _check_text(element, f"{place}.elements[{number}]")
