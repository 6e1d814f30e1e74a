"""The schema's revisions, which Alembic keeps in the folder ``migrations``."""

import importlib.util
import io
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geotables.db.overview_names import is_overview
from geotables.db.server import examine
from geotables.geometry.metadata import is_view

# Alembic is imported by the methods that need it: a project's tables state their revisions, and to load, to export and to
# serve need not wait for it.
if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

log = logging.getLogger(__name__)

#: Alembic's default version table, which projects used to share.
SHARED_VERSION_TABLE = "alembic_version"

#: What PostgreSQL answers where it lacks a table, a column or a schema of the models.
NOT_MIGRATED = ("42P01", "42703", "3F000")

#: What a command says then.
MIGRATE_FIRST = "the database has not been migrated: run migrate first"

#: Alembic's names of the newest revision.
NEWEST = frozenset({"head", "heads"})


class Migrations:
    """The revisions of a project, and the tables that they make.

    Attributes:
        metadata: That of the models.
        version_table: Where the project keeps its revision: another in the same database has a table of its own.
    """

    def __init__(self, metadata: sa.MetaData, *, package: str, version_table: str) -> None:
        """State where a project's revisions are.

        Args:
            metadata: That of the models.
            package: The name of the project's package. A wheel has the revisions in its folder ``_migrations``; the sources
                have them in ``migrations``, beside ``src``.
            version_table: Where to keep the revision.
        """
        self.metadata, self.version_table = metadata, version_table
        self._package = package

    def config(self) -> "Config":
        """Alembic's configuration for the revisions that belong to this package.

        Raises:
            FileNotFoundError: The package was installed without them.
        """
        from alembic.config import Config

        spec = importlib.util.find_spec(self._package)
        assert spec is not None and spec.origin is not None
        package = Path(spec.origin).parent
        # A wheel has them inside; the sources have them beside ``src``. The working directory may be another project's.
        for folder in (package / "_migrations", package.parents[1] / "migrations"):
            if (folder / "env.py").is_file():
                # Its default is what was the output when Alembic was imported.
                alembic = Config(stdout=sys.stdout)
                alembic.set_main_option("script_location", str(folder).replace("%", "%%"))
                return alembic
        raise FileNotFoundError(
            f"{package.name} was installed without its migrations: build its wheel from the project's folder"
        )

    def upgrade(self, url: sa.URL, revision: str = "head") -> None:
        """Bring the database at a URL to a revision; Alembic itself reads the URL from the settings.

        With "head", a database that a newer version has migrated stays as it is.

        Raises:
            alembic.util.CommandError: The database cannot be brought there, or lacks a table afterwards.
        """
        from alembic import command
        from alembic.util import CommandError

        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            # The first revision adds PostGIS.
            if problems := list(examine(connection, installed=False)):
                raise CommandError("\n".join(problems))
        try:
            command.upgrade(self.config(), revision)
        except CommandError as error:
            with engine.connect() as connection:
                newer = ", ".join(self.unknown(self.current(connection)))
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
                self._check_reached(connection, revision)
        with engine.connect() as connection:
            if revision in NEWEST and (missing := self.missing_tables(connection)):
                raise CommandError(
                    f"the database is migrated, but has no table {', '.join(missing)}: restore it from a backup; "
                    f"or, to make everything anew, drop {self.version_table} and migrate again"
                )

    def _check_reached(self, connection: sa.Connection, revision: str) -> None:
        """Refuse a revision that the database is beyond: the upgrade has done nothing."""
        from alembic.util import CommandError

        if {"+", "-"} & set(revision):
            # It is relative, such as 0001+1: Alembic itself refuses to go down.
            return
        script, reached = self._scripts(), self.current(connection)
        wanted = {found.revision for found in script.get_revisions(revision) if found is not None}
        # None is that of "base": a database without tables.
        if reached and (wanted or {revision}) - set(reached):
            raise CommandError(
                f"the database is at revision {', '.join(reached)}, beyond {revision}: nothing was changed. An older version "
                f"of the service runs on it as it is. `alembic downgrade {revision}` in the project's folder undoes the "
                "later revisions, and loses what is stored in their columns and tables"
            )

    def current(self, connection: sa.Connection) -> tuple[str, ...]:
        """The revisions that the database is at: one, unless there are branches; none before the first migration."""
        from alembic.runtime.migration import MigrationContext

        return MigrationContext.configure(
            connection, opts={"version_table": self.version_table}
        ).get_current_heads()

    def unknown(self, recorded: Iterable[str]) -> list[str]:
        """Those of some revisions that this version does not have: a newer one has made them."""
        return sorted(set(recorded) - set(self.revisions()))

    def revisions(self) -> list[str]:
        """The revisions, newest first."""
        return [script.revision for script in self._scripts().walk_revisions()]

    def _scripts(self) -> "ScriptDirectory":
        from alembic.script import ScriptDirectory

        return ScriptDirectory.from_config(self.config())

    def missing_tables(self, connection: sa.Connection) -> list[str]:
        """The tables of the models that the revisions make, and the database does not have."""
        from geotables.db.comparison import tables_made

        inspector = sa.inspect(connection)
        # A model without a revision yet must not keep the command that writes it from running.
        made = tables_made(self._scripts().walk_revisions())
        return [
            table.fullname
            for table in self.metadata.sorted_tables
            if (table.schema, table.name) in made
            and not inspector.has_table(table.name, schema=table.schema)
        ]

    @property
    def schemas(self) -> list[str | None]:
        """The schemas of the models' tables; None, which comes first, is the default one."""
        return [
            None,
            *sorted({each.schema for each in self.metadata.tables.values() if each.schema}),
        ]

    @property
    def _modelled(self) -> set[tuple[str | None, str]]:
        """The tables of the models."""
        return {(table.schema, table.name) for table in self.metadata.sorted_tables}

    def sql(self) -> str:
        """The SQL of all revisions."""
        from alembic import command

        alembic = self.config()
        alembic.output_buffer = io.StringIO()
        command.upgrade(alembic, "head", sql=True)
        return alembic.output_buffer.getvalue()

    def take_over(self, connection: sa.Connection) -> None:
        """Copy this project's revision from the table that projects shared.

        A revision there is this project's if the project has it and one of the tables that it and the earlier ones make
        is there: every project begins with 0001.
        """
        from alembic.runtime.migration import MigrationContext

        from geotables.db.comparison import tables_made

        schema = connection.dialect.default_schema_name
        inspector = sa.inspect(connection)
        context = MigrationContext.configure(
            connection, opts={"version_table": self.version_table, "version_table_schema": schema}
        )
        if context.get_current_heads() or not inspector.has_table(
            SHARED_VERSION_TABLE, schema=schema
        ):
            return
        shared = sa.table(SHARED_VERSION_TABLE, sa.column("version_num"), schema=schema)
        recorded = set(connection.scalars(sa.select(shared.c.version_num)))
        script = self._scripts()
        ours = tuple(recorded & set(self.revisions()))
        made = tables_made(script.iterate_revisions(ours, "base")) or self._modelled
        if ours and any(inspector.has_table(name, schema=own or schema) for own, name in made):
            revisions = ", ".join(ours)
            log.warning(
                "%s takes over revision %s of %s", self.version_table, revisions, shared.fullname
            )
            # Its annotation allows a single revision only.
            context.stamp(script, ours)  # type: ignore[arg-type]

    def comparison(self, connection: sa.Connection) -> dict[str, Any]:
        """How Alembic compares the database with the models, and writes what it finds.

        A table is this project's if a model has it or a revision makes it. Others are left alone, such as those of QGIS, of
        extensions, and of other services, and so are the partitions of a table.
        """
        from geotables.db.comparison import render_item, tables_made
        from geotables.db.renames import warn_of_renames

        default = connection.dialect.default_schema_name
        ours = self._modelled | tables_made(self._scripts().walk_revisions())
        for schema, name in connection.execute(_PARTITIONS):
            ours.discard((None if schema == default else schema, name))
        views = {
            (table.schema, table.name) for table in self.metadata.sorted_tables if is_view(table)
        }
        ours -= views
        schemas = {schema for schema, _ in ours}

        def is_ours(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
            if kind == "schema":
                return name in schemas
            if kind == "index" and name is not None:
                table = self.metadata.tables.get(parents["schema_qualified_table_name"] or "")
                return table is None or not is_overview(table, name)
            return kind != "table" or (parents["schema_name"], name) in ours

        def is_compared(item: Any, name: str | None, kind: str, *_: Any) -> bool:
            # What no revision makes has no differences.
            return kind != "table" or (item.schema, name) not in views

        return {
            "version_table": self.version_table,
            # Where CREATE TABLE puts the project's tables, too, whatever else the search path has.
            "version_table_schema": default,
            "compare_server_default": True,
            "include_schemas": True,
            "include_name": is_ours,
            "include_object": is_compared,
            "render_item": render_item,
            "process_revision_directives": warn_of_renames,
        }


_PARTITIONS = sa.text(
    "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE relispartition"
)
