"""The migrations: they make what the models say, and can be undone."""

import ast
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import postgis
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext

from geotables import checks
from geotables.db.renames import warn_of_renames
from geotables.identifiers import qualified
from geotables.service import Service
from geotables.settings import ServiceSettings


@pytest.fixture
def engine(
    service: Service, server: postgis.Server, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sa.Engine]:
    """A database that no migration has seen; DATABASE_URL names it."""
    with server.database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        engine = sa.create_engine(service.settings().database_url)
        yield engine
        engine.dispose()


@pytest.fixture
def models(service: Service) -> set[str]:
    """The names of the tables that the models have."""
    return set(map(qualified, service.migrations.metadata.tables.values()))


def tables(service: Service, engine: sa.Engine) -> set[str]:
    """The names of those that are there."""
    inspector = sa.inspect(engine)
    return {
        qualified(table)
        for table in service.migrations.metadata.tables.values()
        if inspector.has_table(table.name, schema=table.schema)
    }


def found_before(service: Service) -> set[str]:
    """The names of those that were there before the service: a revision looks for them before it makes them, and leaves them."""
    folder = Path(service.migrations.config().get_main_option("script_location") or "")
    looking = [
        call
        for file in folder.glob("versions/*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "has_table"
    ]
    names = {each.value for call in looking for each in call.args if isinstance(each, ast.Constant)}
    tables = service.migrations.metadata.tables.values()
    return {qualified(table) for table in tables if table.name in names}


def test_they_make_what_the_models_say(
    service: Service, settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    command.check(service.migrations.config())
    assert "No new upgrade operations detected" in capsys.readouterr().out


def test_they_add_postgis_where_it_is_missing(
    service: Service, models: set[str], engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP EXTENSION postgis CASCADE"))
    service.migrations.upgrade(engine.url)
    assert tables(service, engine) == models


def test_they_go_down_and_up_again(service: Service, models: set[str], engine: sa.Engine) -> None:
    service.migrations.upgrade(engine.url)
    assert tables(service, engine) == models
    command.downgrade(service.migrations.config(), "base")
    assert tables(service, engine) == found_before(service)
    service.migrations.upgrade(engine.url)
    assert list(checks.check_database(service, engine)) == []


def test_they_can_be_run_again(service: Service, models: set[str], engine: sa.Engine) -> None:
    for _ in range(2):
        service.migrations.upgrade(engine.url)
    assert tables(service, engine) == models


def test_of_two_processes_one_migrates_and_the_other_waits(
    service: Service, engine: sa.Engine
) -> None:
    lock = sa.text(
        "SELECT pg_advisory_xact_lock(hashtext('alembic'), hashtext(current_database()))"
    )
    other = threading.Thread(target=service.migrations.upgrade, args=(engine.url,))
    script = service.migrations.sql().replace("BEGIN;", "").replace("COMMIT;", "")
    with engine.begin() as connection:
        connection.execute(lock)
        other.start()
        other.join(timeout=0.5)
        assert other.is_alive(), "it did not wait"
        connection.exec_driver_sql(script)
    other.join()
    assert list(checks.check_database(service, engine)) == []


def test_their_sql_can_be_had_without_a_database(service: Service, models: set[str]) -> None:
    script = service.migrations.sql()
    for name in models:
        assert f"CREATE TABLE {name} " in script


def table(table_name: str, /, **columns: type[sa.types.TypeEngine[object]]) -> sa.MetaData:
    """The models of one table."""
    metadata = sa.MetaData()
    sa.Table(table_name, metadata, *(sa.Column(name, type()) for name, type in columns.items()))
    return metadata


@pytest.mark.parametrize(
    ("models", "warned"),
    [
        (
            table("places", name=sa.Text, state=sa.Text),
            ['op.alter_column("places", "status", new_column_name="state")'],
        ),
        (
            table("sites", name=sa.Text, status=sa.Text),
            ['op.rename_table("places", "sites")'],
        ),
        (table("places", name=sa.Text), []),
        (table("places", name=sa.Text, status=sa.Text, state=sa.Text), []),
        (table("owners", code=sa.Integer), []),
    ],
    ids=["column renamed", "table renamed", "column dropped", "column added", "another table"],
)
def test_a_revision_that_would_lose_rows_says_so(
    caplog: pytest.LogCaptureFixture, models: sa.MetaData, warned: list[str]
) -> None:
    # It closes what it opened, as SQLite wants it.
    engine = sa.create_engine("sqlite://", poolclass=sa.NullPool)
    with engine.connect() as connection:
        table("places", name=sa.Text, status=sa.Text).create_all(connection)
        script = produce_migrations(MigrationContext.configure(connection), models)
    with caplog.at_level(logging.WARNING):
        warn_of_renames(None, None, [script])
    assert isinstance(script, MigrationScript)
    lines = [line for record in caplog.records for line in record.getMessage().splitlines()]
    assert [line.strip() for line in lines if line.startswith("    op.")] == warned
    assert len(caplog.records) == len(warned)
