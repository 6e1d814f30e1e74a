"""Copies of tables, on which the checks try statements: temporary, empty, and rolled back."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from geotables.db.statements import execute
from geotables.geometry.metadata import is_view
from geotables.identifiers import qualified, quoted, sequence_of

#: The schema of the temporary tables of a session. PostgreSQL looks there first.
TEMPORARY = "pg_temp"


@contextmanager
def copied(connection: sa.Connection, table: sa.Table, including: str) -> Iterator[None]:
    """Have statements be about an empty copy of a table, which is rolled back at the end."""
    with connection.begin_nested() as savepoint:
        copy = f"{TEMPORARY}.{quoted(table.name)}"
        if is_view(table):
            # A view has no defaults: it is a copy of the table that the model states.
            make_temporary(connection, table)
            name = quoted(f"{table.name} of the model")
            execute(connection, f"ALTER TABLE {copy} RENAME TO {name}")
            original = f"{TEMPORARY}.{name}"
        else:
            original = qualified(table)
        execute(connection, f"CREATE TEMPORARY TABLE {copy} (LIKE {original} {including})")
        for column in table.columns:
            if sequence_of(column) is not None:
                # A number of the table's own sequence would be gone.
                sequence = f"{TEMPORARY}.{quoted(f'{column.name} of the copy')}"
                text = sequence.replace("'", "''")
                execute(connection, f"CREATE TEMPORARY SEQUENCE {sequence}")
                execute(
                    connection,
                    f"ALTER TABLE {copy} ALTER {quoted(column.name)} SET DEFAULT nextval('{text}')",
                )
        with hidden(connection, table):
            yield
        savepoint.rollback()


def make_temporary(connection: sa.Connection, table: sa.Table) -> None:
    """Make a temporary table as the model has it, without foreign keys and indexes."""
    create = CreateTable(table, include_foreign_key_constraints=[]).compile(
        connection, schema_translate_map=schemas(table), render_schema_translate=True
    )
    # The driver's text has its percent signs doubled already.
    connection.exec_driver_sql(str(create).replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))


@contextmanager
def hidden(connection: sa.Connection, table: sa.Table) -> Iterator[None]:
    """Have statements that name a table be about the temporary table of the same name."""
    if table.schema is None:
        # PostgreSQL does so by itself.
        yield
        return
    for other in table.metadata.tables.values():
        if other.schema == table.schema and other is not table:
            # A condition of the project may ask another table of the schema.
            execute(
                connection,
                f"CREATE TEMPORARY VIEW {TEMPORARY}.{quoted(other.name)} AS SELECT * FROM {qualified(other)}",
            )
    connection.execution_options(schema_translate_map=schemas(table))
    try:
        yield
    finally:
        connection.execution_options(schema_translate_map={})


def schemas(table: sa.Table) -> dict[str | None, str | None]:
    """The schema of a table's copy, by that of the table, as SQLAlchemy takes it."""
    return {} if table.schema is None else {table.schema: TEMPORARY}
