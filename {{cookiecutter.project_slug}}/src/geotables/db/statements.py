"""Statements that are built and compiled once, and sent without SQLAlchemy."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate
from sqlalchemy.sql.visitors import replacement_traverse

from geotables import json_numbers
from geotables.identifiers import DIALECT

#: Begins the names that statements use beside those of columns; ``check`` refuses a column whose name begins with it.
OWN = "geotables/"

#: A row as the driver has it.
Row: TypeAlias = tuple[Any, ...]


def json_text(value: Any) -> str:
    """Serialize a JSON value for PostgreSQL."""
    return orjson.dumps(value, default=json_numbers.write).decode()


_DIALECT: sa.Dialect = PGDialect_psycopg2(json_serializer=json_text)  # type: ignore[no-untyped-call]


def execute(connection: sa.Connection, statement: str) -> sa.CursorResult[Any]:
    """Execute SQL without parameters, for which the driver would take a percent sign in a name, and ``sa.text`` a colon."""
    return connection.exec_driver_sql(statement.replace("%", "%%"))


def literal(condition: sa.ClauseElement) -> str:
    """A condition as a CHECK or an index of a table has it: with its values, and without the name of the table."""
    options = {"literal_binds": True, "include_table": False}
    return str(condition.compile(dialect=DIALECT, compile_kwargs=options))


class Condition(NamedTuple):
    """Which rows are asked for.

    Attributes:
        expression: The condition in SQL: the same object for all conditions of its kind, which differ in values alone.
        values: The values of its parameters, by their names.
        indexed: Whether an index may find the rows.
        candidates: What an index finds for it, some rows too many, where the expression is slow to test; None: the expression.
    """

    expression: sa.ColumnElement[bool]
    values: Mapping[str, Any] = {}
    indexed: bool = False
    candidates: sa.ColumnElement[bool] | None = None


def together(conditions: Iterable[Condition]) -> Condition:
    """One condition of several, all of which rows must meet."""
    values: dict[str, Any] = {}
    expressions = []
    for condition in conditions:
        expressions.append(condition.expression)
        values |= condition.values
    return Condition(_all(tuple(expressions)), values)


@lru_cache(maxsize=256)
def _all(expressions: tuple[sa.ColumnElement[bool], ...]) -> sa.ColumnElement[bool]:
    """The same object for the same conditions, for which statements are kept."""
    return sa.and_(*expressions)


def set_apart(condition: Condition) -> Condition:
    """A condition of a project, with names of parameters that no other part of a statement has.

    What one part has for ``limit``, or a client for a column, would else be the value of the condition's parameter, too.

    Raises:
        TypeError: It has a list (``in_``), whose SQL differs with its length: statements are compiled once.
    """
    values = {f"{_APART}{name}": value for name, value in condition.values.items()}
    return Condition(_renamed(condition.expression), values, condition.indexed)


_APART = "project_"


@lru_cache(maxsize=256)
def _renamed(expression: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The same object for the same expression, for which statements are kept."""

    def rename(element: Any, **_: Any) -> Any:
        if not isinstance(element, sa.BindParameter):
            return None
        if element.expanding:
            raise TypeError(f"{expression}: in place of in_(), sa.any_() of an sa.ARRAY")
        if element.unique:
            # SQLAlchemy names by itself, apart from all others, those that only have a value.
            return None
        value: dict[str, Any] = {} if element.required else {"value": element.value}
        return sa.bindparam(f"{_APART}{element.key}", type_=element.type, **value)

    renamed: sa.ColumnElement[bool] = replacement_traverse(expression, {}, rename)
    return renamed


class Statement:
    """A SELECT, or a change that returns rows, whose parameters that differ from use to use have names.

    SQLAlchemy takes several times as long to build one as PostgreSQL takes to find a row by its id, and about as long to send
    one. So this is for what clients ask for all the time. Its rows are the driver's: PostgreSQL must have written what
    Python has no type for.

    Attributes:
        query: The statement as SQLAlchemy has it.
        text: The same as the driver takes it.
        needs_work_mem: Whether it sorts, in the memory that the setting ``work_mem`` allows.
        single_process: Whether to keep PostgreSQL from starting parallel workers: that takes some 20 ms, and where clients
            send many such statements at once, the workers only take turns.
    """

    def __init__(
        self,
        query: sa.Select[Any] | ReturningInsert[Any] | ReturningUpdate[Any] | ReturningDelete[Any],
        *,
        needs_work_mem: bool = False,
        single_process: bool = False,
        explained: bool = False,
    ) -> None:
        """Compile a statement; ``explained``, it returns its plan instead of its rows."""
        self.query = query
        self.needs_work_mem, self.single_process = needs_work_mem, single_process
        compiled = query.compile(dialect=_DIALECT)
        self.text = f"EXPLAIN (FORMAT JSON) {compiled}" if explained else str(compiled)
        # What the driver does not write by itself, such as JSON.
        self._writers = {
            name: write
            for bound, name in compiled.bind_names.items()
            if (write := bound.type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
        }
        # Other names than those given: the driver takes no spaces and no parentheses.
        self._escaped = compiled.escaped_bind_names
        self._always = compiled.params | self._written(compiled.params)

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of all the parameters, of which those that differ are given."""
        values = {**self._always, **given, **self._written(given)}
        if self._escaped:
            values |= {self._escaped[name]: values[name] for name in given if name in self._escaped}
        return values

    def _written(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: write(values[name]) for name, write in self._writers.items() if name in values
        }
