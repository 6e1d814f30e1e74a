"""The migrations: they make what the models say, and can be undone."""

import threading
from collections.abc import Iterator

import postgis
import pytest
import sqlalchemy as sa
from alembic import command

from geotables import checks
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
    assert not tables(service, engine)
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
