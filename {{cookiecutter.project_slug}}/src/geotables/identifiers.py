"""Names of tables and columns in SQL, which may have capitals, spaces and a schema."""

import re
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

#: Writes SQL in which no percent sign is doubled: only the driver wants that.
DIALECT: sa.Dialect = PGDialect_psycopg2(paramstyle="named")  # type: ignore[no-untyped-call]
_PREPARER = DIALECT.identifier_preparer

#: The length of a name in PostgreSQL; it cuts off what is longer.
NAME_BYTES = 63

#: A text, a quoted name, or a word.
_TOKEN = re.compile(r"""'(?:[^']|'')*' | "((?:[^"]|"")+)" | ([^\W\d][\w$]*)""", re.VERBOSE)

#: The default of a column that a sequence numbers.
_NEXTVAL = re.compile(r"""nextval\('((?:[^']|'')+)'(?:::regclass)?\)""", re.IGNORECASE)


def quoted(name: str) -> str:
    """A name as SQL has it: in quotes where it needs them."""
    return _PREPARER.quote(name)


def qualified(table: sa.Table) -> str:
    """The name of a table as SQL has it, with its schema if the model says one."""
    return _PREPARER.format_table(table)


def beside(table: sa.Table, name: str) -> str:
    """The name of an index, say, as SQL has it, with the schema of its table if the model says one."""
    return f"{quoted(table.schema)}.{quoted(name)}" if table.schema else quoted(name)


def named_in(code: str) -> Iterator[str]:
    """The names and the words of some SQL."""
    for token in _TOKEN.finditer(code):
        if token[1]:
            yield token[1].replace('""', '"')
        elif token[2]:
            yield token[2]


def sequence_of(column: sa.Column[object]) -> str | None:
    """The sequence that a column's default takes the next value of, as SQL names it."""
    default = getattr(column.server_default, "arg", None)
    found = _NEXTVAL.fullmatch(str(default)) if isinstance(default, sa.TextClause) else None
    return found[1].replace("''", "'") if found else None
