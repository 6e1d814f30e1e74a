"""The schema's revisions, which Alembic keeps in the folder ``migrations``."""

import io
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.script import ScriptDirectory
from geoalchemy2 import alembic_helpers


def config() -> Config:
    """Alembic's configuration.

    Raises:
        FileNotFoundError: The folder is neither here nor beside the sources.
    """
    for root in (Path.cwd(), Path(__file__).parents[2]):
        folder = root / "migrations"
        if (folder / "env.py").is_file():
            alembic = Config()
            alembic.set_main_option("script_location", str(folder).replace("%", "%%"))
            return alembic
    raise FileNotFoundError("no folder migrations here: run this in the project's folder")


def upgrade(revision: str = "head") -> None:
    """Bring the database to a revision."""
    command.upgrade(config(), revision)


def revisions() -> list[str]:
    """The revisions, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()]


def sql() -> str:
    """The SQL of all revisions."""
    alembic = config()
    alembic.output_buffer = io.StringIO()
    command.upgrade(alembic, "head", sql=True)
    return alembic.output_buffer.getvalue()


def comparison(connection: sa.Connection) -> dict[str, Any]:
    """How Alembic compares the database with the models, and writes what it finds.

    No model has the tables of extensions, such as PostGIS' spatial_ref_sys, nor the partitions of a table.
    """
    foreign = set(connection.scalars(_TABLES_OF_NO_MODEL))
    return {
        "compare_server_default": True,
        "include_name": lambda name, kind, _parents: kind != "table" or name not in foreign,
        "render_item": alembic_helpers.render_item,
    }


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


_TABLES_OF_NO_MODEL = sa.text(
    "SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'"
    " WHERE d.classid = 'pg_class'::regclass"
    " UNION ALL SELECT relname FROM pg_class WHERE relispartition"
)
