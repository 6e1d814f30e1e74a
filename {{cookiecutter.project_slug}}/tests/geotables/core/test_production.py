"""Settings of production: servers to fail over to, and what it refuses to start with."""

from collections.abc import Callable
from typing import Any

import psycopg2.extensions
import pytest
import sqlalchemy as sa

from geotables.db.database import Database
from geotables.service import Service
from geotables.settings import ServiceSettings, UnsafeProduction

Main = Callable[[list[str]], int]
Configured = Callable[..., ServiceSettings]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing of passwords."""
    for name in ("PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def configured(service: Service) -> Configured:
    """Makes settings of a database's URL and other values."""

    def configured(url: str, **values: Any) -> ServiceSettings:
        return service.settings(_env_file=None, database_url=url, **values)

    return configured


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://me:pw@a:5432,b:5433/places?target_session_attrs=read-write",
            {"host": "a,b", "port": "5432,5433", "target_session_attrs": "read-write"},
        ),
        ("postgres://a,b/places", {"host": "a,b"}),
        ("postgresql://me:p%40w@a:1,b:2,c:3/places", {"host": "a,b,c", "port": "1,2,3"}),
        ("postgresql://me:pw@a:5432/places", {"host": "a", "port": "5432"}),
        ("postgresql://me@a/places?options=-c%20a=1,2", {"host": "a", "options": "-c a=1,2"}),
    ],
)
def test_several_hosts_reach_libpq(
    configured: Configured, url: str, expected: dict[str, str]
) -> None:
    engine = sa.create_engine(configured(url).database_url)
    arguments, named = engine.dialect.create_connect_args(engine.url)
    dsn = psycopg2.extensions.parse_dsn(psycopg2.extensions.make_dsn(*arguments, **named))
    assert dsn["dbname"] == "places"
    assert {name: dsn[name] for name in expected} == expected


def test_a_url_may_say_how_a_lost_server_is_noticed(
    configured: Configured, database_url: str
) -> None:
    given = sa.make_url(database_url).update_query_dict({"connect_timeout": "7"})
    database = Database(configured(given.render_as_string(hide_password=False)))
    with database.read() as connection:
        parameters = connection.connection.dbapi_connection.get_dsn_parameters()
    database.close()
    assert parameters["connect_timeout"] == "7"
    assert parameters["tcp_user_timeout"] == "30000"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:postgres@db/x",
        "postgresql://me:change-me@db/x",
        "postgresql://me:Password@db/x",
        "postgresql://me:me@db/x",
        "postgresql://me@db/x",
        "postgresql://db/x",
        "postgresql://me:me@a,b/x",
    ],
)
def test_production_refuses_a_password_that_anybody_would_try(
    configured: Configured, url: str
) -> None:
    for values in ({"url": url}, {"url": "postgresql:///x", "database_read_url": url}):
        unsafe = configured(**values, environment="production")
        with pytest.raises(UnsafeProduction, match="URL: the password") as caught:
            unsafe.refuse_unsafe_production()
        assert url not in str(caught.value)
    configured(url).refuse_unsafe_production()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:0d5f1e@db/x",
        "postgresql:///x",
        "postgresql://me@db/x?sslcert=me.crt",
        "postgresql://me@/x?host=/run/postgresql",
    ],
)
def test_production_takes_what_proves_more(configured: Configured, url: str) -> None:
    with pytest.raises(UnsafeProduction) as caught:
        configured(url, environment="production", debug=True).refuse_unsafe_production()
    assert "password" not in str(caught.value)


def test_production_takes_a_password_of_the_environment(
    configured: Configured, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PGPASSWORD", "0d5f1e")
    test_production_takes_what_proves_more(configured, "postgresql://me@db/x")


def test_the_command_serve_says_every_reason_on_a_line(
    main: Main, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("DATABASE_URL", "postgresql://postgres:postgres@db/x")
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("DEBUG", "true")
    assert main(["serve"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) >= 2 and all(line.startswith("ENVIRONMENT=production: ") for line in said)
    assert any("DEBUG" in line for line in said)


def test_too_few_connections_are_counted(database: Database) -> None:
    assert database.shortage(1) == ""
    many = database.shortage(1000)
    assert many.startswith("1000 processes of up to ") and "max_connections" in many


@pytest.mark.parametrize("environment_name", ["prod", "Production", "staging", ""])
def test_an_environment_of_another_name_is_refused(
    configured: Configured, environment_name: str
) -> None:
    with pytest.raises(ValueError, match="environment"):
        configured("postgresql:///x", environment=environment_name)
