"""How Alembic compares the database with the models, where its own way does not do."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.script import Script


def tables_made(scripts: Iterable[Script]) -> set[str]:
    """The tables that revisions make, by their text: some cannot run without the rows that they change."""
    return {
        name
        for script in scripts
        for name in _MAKING.findall(Path(script.path).read_text(encoding="utf-8"))
    }


_MAKING = re.compile(
    r"""
    (?: create_table\( | rename_table\(\s*["']\w+["']\s*, | RENAME\s+TO\s
        | CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)? )
    \s*["']? (?:"?\w+"?\.)? "? (\w+)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class PostgreSQL(PostgresqlImpl):
    """Compares defaults that are texts as they are: Alembic does not quote them, and fails at an apostrophe.

    Alembic takes the class by its ``__dialect__``, once this module is imported.
    """

    __dialect__ = "postgresql"

    def compare_server_default(
        self, stored: Any, column: sa.Column[Any], modelled: str | None, default: str | None
    ) -> Any:
        text = getattr(column.server_default, "arg", None)
        if default is None or not isinstance(text, str):
            return super().compare_server_default(stored, column, modelled, default)  # type: ignore[no-untyped-call]
        value = sa.cast(sa.literal(text, sa.Text()), column.type)
        assert self.connection is not None
        return not self.connection.scalar(sa.select(sa.literal_column(default) == value))
