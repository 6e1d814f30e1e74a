"""The schema's revisions, which Alembic keeps in the folder ``migrations``."""

import io
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from geoalchemy2 import alembic_helpers

from .database import examine
from .models import Base
from .settings import Settings

log = logging.getLogger(__name__)

#: Where this project keeps its revision: another in the same database, or schema, has a table of its own.
VERSION_TABLE = "{{ cookiecutter.__version_table }}"

#: Where it was kept before, as by every project that does not name a table.
SHARED_VERSION_TABLE = "alembic_version"

#: Alembic's names of the newest revision.
NEWEST = frozenset({"head", "heads"})


def config() -> Config:
    """Alembic's configuration for the revisions that belong to this package.

    Raises:
        FileNotFoundError: The package was installed without them.
    """
    package = Path(__file__).parent
    # A wheel has them inside; the sources have them beside ``src``. The working directory may be another project's.
    for folder in (package / "_migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").is_file():
            alembic = Config()
            alembic.set_main_option("script_location", str(folder).replace("%", "%%"))
            return alembic
    raise FileNotFoundError(
        f"{package.name} was installed without its migrations: build its wheel from the project's folder"
    )


def upgrade(revision: str = "head") -> None:
    """Bring the database to a revision. "head" leaves one as it is that a newer version has migrated.

    Raises:
        alembic.util.CommandError: The database cannot be brought there, or lacks a table afterwards.
    """
    engine = sa.create_engine(Settings().database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        # The first revision adds PostGIS.
        if problems := list(examine(connection, installed=False)):
            raise CommandError("\n".join(problems))
    try:
        command.upgrade(config(), revision)
    except CommandError as error:
        with engine.connect() as connection:
            newer = ", ".join(unknown(current(connection)))
        if not newer:
            raise
        if revision not in NEWEST:
            raise CommandError(
                f"the database is at revision {newer}, to which a newer version has migrated it: this one cannot"
                f" bring it to {revision}, and has changed nothing"
            ) from error
        log.warning(
            "a newer version has migrated the database to revision %s, which this one leaves as it is",
            newer,
        )
    else:
        with engine.connect() as connection:
            _check_reached(connection, revision)
    with engine.connect() as connection:
        if revision in NEWEST and (missing := missing_tables(connection)):
            raise CommandError(
                f"the database is migrated, but has no table {', '.join(missing)}: restore it from a backup; "
                f"or, to make everything anew, drop {VERSION_TABLE} and migrate again"
            )


def _check_reached(connection: sa.Connection, revision: str) -> None:
    """See that the database is not beyond a revision: to upgrade to it has done nothing."""
    if {"+", "-"} & set(revision):
        # It is relative, such as 0001+1: Alembic itself refuses to go down.
        return
    script, reached = ScriptDirectory.from_config(config()), current(connection)
    wanted = {found.revision for found in script.get_revisions(revision) if found is not None}
    # None is that of "base": a database without tables.
    if reached and (wanted or {revision}) - set(reached):
        raise CommandError(
            f"the database is at revision {', '.join(reached)}, beyond {revision}: nothing was changed. An older version "
            f"of the service runs on it as it is. `alembic downgrade {revision}` in the project's folder undoes the "
            "later revisions, and loses what is stored in their columns and tables"
        )


def current(connection: sa.Connection) -> tuple[str, ...]:
    """The revisions that the database is at: one, unless there are branches; none before the first migration."""
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_heads()


def unknown(recorded: Iterable[str]) -> list[str]:
    """Those of some revisions that this version does not have: a newer one has made them."""
    return sorted(set(recorded) - set(revisions()))


def revisions() -> list[str]:
    """The revisions, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()]


def missing_tables(connection: sa.Connection) -> list[str]:
    """The tables of the models that the database does not have."""
    inspector = sa.inspect(connection)
    return [
        table.fullname
        for table in Base.metadata.sorted_tables
        if not inspector.has_table(table.name, schema=table.schema)
    ]


def sql() -> str:
    """The SQL of all revisions."""
    alembic = config()
    alembic.output_buffer = io.StringIO()
    command.upgrade(alembic, "head", sql=True)
    return alembic.output_buffer.getvalue()


def take_over(connection: sa.Connection) -> None:
    """Copy this project's revision from the table that projects shared.

    A revision there is this project's if the project has it and one of the tables that it and the earlier ones make
    is there: every project begins with 0001.
    """
    schema = connection.dialect.default_schema_name
    inspector = sa.inspect(connection)
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "version_table_schema": schema}
    )
    if context.get_current_heads() or not inspector.has_table(SHARED_VERSION_TABLE, schema=schema):
        return
    quoted = connection.dialect.identifier_preparer.format_table(
        sa.table(SHARED_VERSION_TABLE, schema=schema)
    )
    recorded = set(connection.scalars(sa.text(f"SELECT version_num FROM {quoted}")))
    script = ScriptDirectory.from_config(config())
    ours = tuple(recorded & set(revisions()))
    made = _tables_made(script.iterate_revisions(ours, "base")) or {*Base.metadata.tables}
    if ours and any(inspector.has_table(name, schema=schema) for name in made):
        log.warning("%s takes over revision %s of %s", VERSION_TABLE, ", ".join(ours), quoted)
        # Its type is said to be of a single revision.
        context.stamp(script, ours)  # type: ignore[arg-type]


def comparison(connection: sa.Connection) -> dict[str, Any]:
    """How Alembic compares the database with the models, and writes what it finds.

    A table is this project's if a model has it or a revision makes it. Others are left alone, such as those of QGIS, of
    extensions, and of other services, and so are the partitions of a table.
    """
    made = _tables_made(ScriptDirectory.from_config(config()).walk_revisions())
    ours = {table.name for table in Base.metadata.sorted_tables} | made
    ours -= set(connection.scalars(_PARTITIONS))
    return {
        "version_table": VERSION_TABLE,
        # Where CREATE TABLE puts the project's tables, too, whatever else the search path has.
        "version_table_schema": connection.dialect.default_schema_name,
        "compare_server_default": True,
        "include_name": lambda name, kind, _parents: kind != "table" or name in ours,
        "render_item": alembic_helpers.render_item,
    }


def _tables_made(scripts: Iterable[Script]) -> set[str]:
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


class _PostgreSQL(PostgresqlImpl):
    """Compares defaults that are texts as they are: Alembic does not quote them, and fails at an apostrophe."""

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


_PARTITIONS = sa.text("SELECT relname FROM pg_class WHERE relispartition")
