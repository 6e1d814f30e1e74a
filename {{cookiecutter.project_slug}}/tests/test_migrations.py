"""The migrations: they make what the models say, and can be undone."""

import threading
from collections.abc import Iterator

import postgis
import pytest
import sqlalchemy as sa
from alembic import command
from rows import SERVICE

from geotables import checks

from {{ cookiecutter.package_name }}.settings import Settings
from {{ cookiecutter.package_name }}.tables import MIGRATIONS
from {{ cookiecutter.package_name }}.tables.base import Base


@pytest.fixture
def engine(
    server: postgis.Server, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sa.Engine]:
    """A database that no migration has seen; DATABASE_URL names it."""
    with server.database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        engine = sa.create_engine(Settings().database_url)
        yield engine
        engine.dispose()


def tables(engine: sa.Engine) -> set[str]:
    """The tables that are there, without those of PostGIS and Alembic."""
    return set(sa.inspect(engine).get_table_names()) & set(Base.metadata.tables)


def test_they_make_what_the_models_say(settings: Settings) -> None:
    command.check(MIGRATIONS.config())


def test_they_add_postgis_where_it_is_missing(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP EXTENSION postgis CASCADE"))
    MIGRATIONS.upgrade(engine.url)
    assert tables(engine) == set(Base.metadata.tables)


def test_they_go_down_and_up_again(engine: sa.Engine) -> None:
    MIGRATIONS.upgrade(engine.url)
    assert tables(engine) == set(Base.metadata.tables)
    command.downgrade(MIGRATIONS.config(), "base")
    assert tables(engine) == set()
    MIGRATIONS.upgrade(engine.url)
    assert list(checks.check_database(SERVICE, engine)) == []


def test_they_can_be_run_again(engine: sa.Engine) -> None:
    for _ in range(2):
        MIGRATIONS.upgrade(engine.url)
    assert tables(engine) == set(Base.metadata.tables)


def test_of_two_processes_one_migrates_and_the_other_waits(engine: sa.Engine) -> None:
    lock = sa.text(
        "SELECT pg_advisory_xact_lock(hashtext('alembic'), hashtext(current_database()))"
    )
    other = threading.Thread(target=MIGRATIONS.upgrade, args=(engine.url,))
    script = MIGRATIONS.sql().replace("BEGIN;", "").replace("COMMIT;", "")
    with engine.begin() as connection:
        connection.execute(lock)
        other.start()
        other.join(timeout=0.5)
        assert other.is_alive(), "it did not wait"
        connection.exec_driver_sql(script)
    other.join()
    assert list(checks.check_database(SERVICE, engine)) == []


def test_their_sql_can_be_had_without_a_database() -> None:
    script = MIGRATIONS.sql()
    for name in Base.metadata.tables:
        assert f"CREATE TABLE {name} " in script
