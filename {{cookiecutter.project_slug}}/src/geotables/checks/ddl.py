"""Whether the first revision makes the tables of the models, and whether these take rows."""

import difflib
import re
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.schema import CreateIndex, CreateTable

from geotables.checks.rows import new_row
from geotables.collection import Collection
from geotables.db.migrations import Migrations
from geotables.db.statements import execute
from geotables.geometry import metadata, samples
from geotables.identifiers import sequence_of
from geotables.sql import row_formats, writes

#: What Alembic writes SQL with.
ALEMBIC: sa.Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


def check_first_revision(migrations: Migrations) -> Iterator[str]:
    """Compare the models with the migration, as long as there is one; later the database is the judge."""
    if len(migrations.revisions()) > 1:
        return
    ours, views = set[str](), set[str]()
    for table in migrations.metadata.sorted_tables:
        # A revision may make a table in the place of a view, for tests.
        lines = views if metadata.is_view(table) else ours
        lines |= _lines(str(CreateTable(table).compile(dialect=ALEMBIC)))
        for index in table.indexes:
            lines |= _lines(str(CreateIndex(index).compile(dialect=ALEMBIC)))
    not_of_models = _not_of_models(migrations.version_table)
    theirs = {line for line in _lines(migrations.sql()) if not line.startswith(not_of_models)}
    theirs -= views - ours
    left = sorted(theirs - ours)
    for line in sorted(ours - theirs):
        # Each of theirs is named once.
        near = difflib.get_close_matches(line, left, 1)
        left = [other for other in left if other not in near]
        stated = f"`{near[0]}`" if near else "nothing of it"
        yield f"the model says `{line}`, the migrations {stated}: make revision adds one for it"
    for line in left:
        yield f"the migrations say `{line}`, the model does not: put it back, or make revision"


def _not_of_models(version_table: str) -> tuple[str, ...]:
    """How the statements of a migration begin that no model asks for."""
    return (
        "BEGIN",
        "COMMIT",
        "CREATE EXTENSION",
        "CREATE SCHEMA",
        "CREATE SEQUENCE",
        "ALTER SEQUENCE",
        "DO ",
        f"CREATE TABLE {version_table}",
        f"INSERT INTO {version_table}",
        "version_num",
        f"CONSTRAINT {version_table}",
        f"UPDATE {version_table}",
        "--",
    )


def _lines(ddl: str) -> set[str]:
    """The lines of some DDL, each a column, a constraint or a statement."""
    lines = (re.sub(r"\s+", " ", line).strip(" ,;") for line in ddl.splitlines())
    return {line for line in lines if line not in ("", "(", ")")}


def create_tables(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Make tables, in the schemas that the connection has for theirs."""
    for table in tables.sorted_tables:
        for column in table.columns:
            # Only revisions make it, and a default names its schema itself.
            if sequence := sequence_of(column):
                if schema := sequence.rpartition(".")[0]:
                    execute(connection, f"CREATE SCHEMA IF NOT EXISTS {schema}")
                execute(connection, f"CREATE SEQUENCE IF NOT EXISTS {sequence}")
    tables.create_all(connection, checkfirst=False)


def check_new_rows(connection: sa.Connection, collection: Collection) -> Iterator[str]:
    """See that the conditions of the indexes can be worked out, for rows that are in them and for others."""
    shapes = samples.geometries(collection.geometry)
    for number in range(32):
        with connection.begin_nested() as savepoint:
            row = new_row(collection, number, shapes[number % len(shapes)])
            try:
                writes.insert_all(connection, row_formats.record(collection), [row])
            except sa.exc.IntegrityError:
                # What a row refers to is not there; constraints are for the check of the database.
                pass
            except sa.exc.DBAPIError as error:
                conditions = metadata.conditions(collection.table) or "none"
                yield f"a row is refused: {str(error.orig).strip()} (conditions of indexes: {conditions})"
                return
            finally:
                savepoint.rollback()
