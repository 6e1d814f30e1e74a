"""The schema's revisions, which Alembic keeps in the folder ``migrations``."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


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


def include_name(connection: sa.Connection) -> Callable[[str | None, str, Any], bool]:
    """What autogenerate is to compare: not the tables of extensions, such as PostGIS' spatial_ref_sys."""
    foreign = set(connection.scalars(_TABLES_OF_EXTENSIONS))
    return lambda name, kind, _parents: kind != "table" or name not in foreign


_TABLES_OF_EXTENSIONS = sa.text(
    "SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'"
    " WHERE d.classid = 'pg_class'::regclass"
)
