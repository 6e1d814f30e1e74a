"""The table that the parameters state together, the private ones among them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from . import names
from .attributes import TIMES, Attribute, parse_declarations, typed
from .columns import Column, StatementError, Table, load_columns, load_table

#: The values that are not asked for: what was found in a database.
PRIVATE = ("_columns", "_table")

#: What they are where a project was made without them.
DEFAULTS = {
    **{"key_column": "id", "primary_key": "bigint", "timestamps": "yes", "read_only": "no"},
    **{"attributes": "", "table_schema": "", **dict.fromkeys(PRIVATE, "")},
}

#: The columns that `primary_key` stands for.
KEYS = {
    "bigint": Column("", "bigint", identity="by default"),
    "uuid": Column("", "uuid", default="gen_random_uuid()"),
    "integer": Column("", "integer", identity="by default"),
    "smallint": Column("", "smallint", identity="by default"),
    "text": Column("", "text"),
}

#: The types of a key, as `Attribute` calls them: what orders the rows and can stand in a URL.
KEY_TYPES = frozenset(
    {"smallint", "int", "bigint", "numeric", "decimal", "str", "text", "varchar", "char"}
    | {"uuid", "date", "datetime"}
)


@dataclass(frozen=True)
class Relation:
    """A table and its columns, by their real names.

    Attributes:
        collection: The name of the collection, which is that of the table unless its real name is another.
        stated: What was found of it; of a new table the defaults.
        schema: The schema; "" is the one where PostgreSQL makes tables.
        key: The key.
        attributes: The columns besides the key, the geometry and the two times.
        geometry: The name of the geometry column.
        has_times: Whether it has created_at and updated_at.
        is_read_only: Whether nothing is written.
        identifiers: The names in Python, by those of the columns.
    """

    collection: str
    stated: Table
    schema: str
    key: Attribute
    attributes: tuple[Attribute, ...]
    geometry: str
    has_times: bool
    is_read_only: bool
    identifiers: Mapping[str, str]

    @property
    def name(self) -> str:
        """The table's real name."""
        return self.stated.name or self.collection

    @cached_property
    def columns(self) -> dict[str, Attribute | None]:
        """Every column in the order of the model; None stands for the geometry and the two times."""
        own = {self.key.name: self.key, **{each.name: each for each in self.attributes}}
        return own | {self.geometry: None} | dict.fromkeys(TIMES if self.has_times else ())

    @property
    def has_given_key(self) -> bool:
        """Whether a client gives the key."""
        return not (self.key.default or self.key.is_set)

    @property
    def written(self) -> tuple[Attribute, ...]:
        """The columns that a client may give, besides the geometry."""
        key = (self.key,) if self.has_given_key else ()
        return (*key, *(each for each in self.attributes if is_writable(each)))

    @property
    def read_only(self) -> frozenset[str]:
        """The columns that the database sets."""
        return frozenset(self.columns) - {each.name for each in self.written} - {self.geometry}


def is_writable(attribute: Attribute) -> bool:
    """Whether clients may give a value of the column: its type is known, and the database does not set it."""
    return attribute.type != "other" and not attribute.is_set


def relation(context: Mapping[str, str]) -> Relation:
    """The table that valid parameters state.

    Raises:
        StatementError: A private value is wrong.
    """
    given = DEFAULTS | {name: f"{value}" for name, value in context.items()}
    table, further = load_table(given["_table"]), load_columns(given["_columns"])
    key = table.key or replace(
        KEYS.get(given["primary_key"], KEYS["bigint"]), name=given["key_column"]
    )
    geometry = table.geometry_column or given["geometry_column"]
    has_times = given["timestamps"] == "yes"
    declared = parse_declarations(given["attributes"], own_columns(given))
    attributes = (*(each.attribute for each in declared), *map(typed, further))
    identifiers = {key.name: given["key_column"], geometry: given["geometry_column"]}
    identifiers |= {name: name for name in TIMES if has_times}
    for each in attributes:
        taken = identifiers.values()
        identifiers.setdefault(each.name, names.identifier(each.name, {*taken}))
    return Relation(
        given["table_name"],
        table,
        table.schema or given["table_schema"],
        typed(key),
        attributes,
        geometry,
        has_times,
        given["read_only"] == "yes",
        identifiers,
    )


def own_columns(context: Mapping[str, str]) -> frozenset[str]:
    """The columns that a table has besides `attributes`, `_columns` and the geometry."""
    given = DEFAULTS | dict(context)
    return frozenset({given["key_column"], *(TIMES if given["timestamps"] == "yes" else ())})


def contradictions(found: Relation) -> str:
    """What is wrong in what the private values say together; "" if nothing is."""
    key, table = found.key, found.stated
    own = [key.name, *(TIMES if found.has_times else ()), found.geometry]
    every = [*own, *(each.name for each in found.attributes)]
    if twice := next((name for name in every if every.count(name) > 1), ""):
        return f"the column {names.shown(twice)} is stated twice"
    if key.type not in KEY_TYPES:
        return f"table.key.type: {key.sql or key.type} cannot be a key"
    for constraint in table.constraints:
        for name in constraint.columns:
            if name not in found.columns:
                return f"table.constraints: {names.shown(constraint.name)} is of {names.shown(name)}, which is no column"
    return ""


def why_not_writable(found: Relation) -> str:
    """Why nothing can be written to it; "" if it can."""
    if found.stated.is_view:
        return f"a {found.stated.kind} is not written to"
    for each in found.attributes:
        if each.type == "other" and not (each.nullable or each.default or each.is_set):
            return (
                f"the column {names.shown(each.name)} ({each.sql}) is shown as text and not written, and"
                " is NOT NULL without a default: no row could be added"
            )
    return ""


__all__ = [
    "PRIVATE",
    "Relation",
    "StatementError",
    "contradictions",
    "is_writable",
    "own_columns",
    "relation",
    "why_not_writable",
]
