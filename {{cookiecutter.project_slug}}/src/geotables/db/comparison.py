"""How Alembic compares the database with the models, where its own way does not do."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.script import Script
from geoalchemy2 import alembic_helpers
from sqlalchemy.dialects.postgresql import JSONB

from geotables.column_types import AsText
from geotables.identifiers import qualified, sequence_of

#: The schema of a table, None for the default one, and its name.
Name = tuple[str | None, str]


def tables_made(scripts: Iterable[Script]) -> set[Name]:
    """The tables that revisions make, by their text: some cannot run without the rows that they change."""
    return {
        name
        for script in scripts
        for statement in _STATEMENT.split(Path(script.path).read_text(encoding="utf-8"))
        for name in _made_by(statement)
    }


def _made_by(statement: str) -> Iterator[Name]:
    for found in _MAKING.finditer(statement):
        schema, name = (found[part] and found[part].strip('"') for part in ("schema", "name"))
        if found["call"]:
            stated = _SCHEMA.findall(statement)
            name, schema = found["called"], stated[-1] if stated else None
        yield schema, name


#: What begins a statement of a revision; op.f() only names something in one.
_STATEMENT = re.compile(r"\bop\.(?!f\()")

#: Where a statement of Alembic's says the schema.
_SCHEMA = re.compile(r"""\bschema\s*=\s*["'](.+?)["']""")

_MAKING = re.compile(
    r"""
    (?P<call> create_table\( | rename_table\(\s*["'][^"']+["']\s*, ) \s*["'](?P<called>[^"']+)
    | (?: RENAME\s+TO\s | CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)? )
        \s*["']? (?: (?P<schema>"[^"]+"|\w+) \.)? (?P<name>"[^"]+"|\w+)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type in a revision, with what that has to import."""
    if kind == "type" and isinstance(item, AsText):
        context.imports.add("from geotables import AsText")
        return repr(item)
    rendered: str | Literal[False] = alembic_helpers.render_item(kind, item, context)  # type: ignore[no-untyped-call]
    return rendered


class PostgreSQL(PostgresqlImpl):
    """Compares defaults that are texts as they are: Alembic does not quote them, and fails at an apostrophe.

    The types of columns that are shown as text, of which SQLAlchemy knows hardly any, are left to ``check --database``.

    Alembic takes the class by its ``__dialect__``, once this module is imported.
    """

    __dialect__ = "postgresql"

    def compare_type(
        self, inspector_column: sa.Column[Any], metadata_column: sa.Column[Any]
    ) -> bool:
        if isinstance(metadata_column.type, AsText):
            return False
        return super().compare_type(inspector_column, metadata_column)

    def compare_server_default(
        self, stored: Any, column: sa.Column[Any], modelled: str | None, default: str | None
    ) -> Any:
        assert self.connection is not None
        if sequence := sequence_of(column):
            # Alembic leaves out the default of a serial column, and to compare it would take a number.
            owner = {"table": qualified(column.table), "column": column.name, "sequence": sequence}
            return not self.connection.scalar(_TAKES_NEXT, owner)
        text = getattr(column.server_default, "arg", None)
        if default is not None and modelled is not None and _has_no_equality(column.type):
            is_text = isinstance(text, str)
            ours = sa.literal(text, sa.Text()) if is_text else sa.literal_column(modelled)
            modelled_text, stored_text = (
                sa.cast(sa.cast(each, column.type), sa.Text())
                for each in (ours, sa.literal_column(default))
            )
            return not self.connection.scalar(sa.select(modelled_text == stored_text))
        if default is None or not isinstance(text, str):
            return super().compare_server_default(stored, column, modelled, default)  # type: ignore[no-untyped-call]
        value = sa.cast(sa.literal(text, sa.Text()), column.type)
        return not self.connection.scalar(sa.select(sa.literal_column(default) == value))


def _has_no_equality(kind: sa.types.TypeEngine[Any]) -> bool:
    """Whether values of a type may not be comparable in PostgreSQL, such as those of json, xml and point."""
    return isinstance(kind, AsText) or (isinstance(kind, sa.JSON) and not isinstance(kind, JSONB))


#: Whether a column's default takes the next value of a sequence.
_TAKES_NEXT = sa.text(
    """
    SELECT EXISTS (
        SELECT FROM pg_attrdef d
        JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        JOIN pg_depend p ON p.classid = CAST('pg_attrdef' AS regclass) AND p.objid = d.oid
        WHERE d.adrelid = to_regclass(:table) AND a.attname = :column
            AND p.refobjid = to_regclass(:sequence)
    )
    """
)
