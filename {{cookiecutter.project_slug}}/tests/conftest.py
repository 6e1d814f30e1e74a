"""A migrated database for the tests, empty when each of them begins, and the application on it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import postgis
import pytest
import rows
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, BaseTransport, Request, Response
from rows import GEOMETRY, STORAGE, TABLE

from geotables.db.database import Database

from {{ cookiecutter.package_name }}.main import create_app
from {{ cookiecutter.package_name }}.settings import Settings
from {{ cookiecutter.package_name }}.tables import MIGRATIONS
from {{ cookiecutter.package_name }}.tables.base import Base

#: Rows that lie across the antimeridian, or beyond it where the CRS has other coordinates for the same place: their
#: longitudes go around the world the wrong way, and brute force finds them where they are not.
AROUND_THE_WORLD = sa.text(
    f"SELECT id FROM (SELECT id, {GEOMETRY.name} AS stored, ST_Transform({GEOMETRY.name}, 4326) AS lonlat FROM {TABLE.name}) AS found"
    " WHERE ST_XMax(lonlat) - ST_XMin(lonlat) > 180 OR ST_Distance("
    f"  ST_Centroid(stored), ST_Centroid(ST_Transform(lonlat, {STORAGE.srid}))) > 1"
)


@pytest.fixture(scope="session")
def server() -> Iterator[postgis.Server]:
    """A PostGIS; without one there is nothing to test."""
    try:
        with postgis.server() as server:
            yield server
    except postgis.PostgisUnavailable as error:
        pytest.exit(f"the tests need PostGIS: {error}", returncode=1)


@pytest.fixture(scope="session")
def database_url(server: postgis.Server) -> Iterator[str]:
    """A database of the tests' own, at the newest revision; DATABASE_URL names it."""
    with server.database() as url, pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        environment.setenv("DATABASE_URL", url)
        MIGRATIONS.upgrade(Settings(_env_file=None, database_url=url).database_url)
        yield url


class Transport(BaseTransport):
    """Has an application answer in one trip to the thread of its event loop, where a TestClient makes nine."""

    def __init__(self, client: TestClient) -> None:
        self._application = ASGITransport(client.app)
        self._portal = client.portal

    def handle_request(self, request: Request) -> Response:
        return self._portal.call(self._answer, request)

    async def _answer(self, request: Request) -> Response:
        answer = await self._application.handle_async_request(request)
        return Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@pytest.fixture(scope="session")
def application(database_url: str) -> Iterator[TestClient]:
    """The application, started once for all tests."""
    with _application(database_url) as client:
        yield client


@contextmanager
def _application(url: str) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(_env_file=None, database_url=url))) as client:
        client._transport = Transport(client)
        yield client


@pytest.fixture(scope="session")
def own(database_url: str) -> Iterator[Database]:
    """The tests' own connections: the pool of the application may be of a single one."""
    with _connections(database_url) as own:
        yield own


@contextmanager
def _connections(url: str) -> Iterator[Database]:
    connections = Database(Settings(_env_file=None, database_url=url, pool_size=5))
    yield connections
    connections.close()


@pytest.fixture(scope="session")
def unconstrained_url(own: Database, database_url: str) -> str:
    """The tests' database with another table in front of the real one: with its columns and keys, but no other constraint,
    no foreign key and no trigger.

    Tests that need other values than the collection's `example` has, such as the ends of a type, store them there: the real table
    may have constraints of yours.
    """
    with own.write() as connection:
        connection.exec_driver_sql(
            "CREATE SCHEMA unconstrained;"
            f" CREATE TABLE unconstrained.{TABLE.name}"
            f" (LIKE {TABLE.name} INCLUDING ALL EXCLUDING CONSTRAINTS)"
        )
    path = {"options": "-c search_path=unconstrained,public"}
    url = sa.make_url(database_url).update_query_dict(path)
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def _unconstrained_application(unconstrained_url: str) -> Iterator[TestClient]:
    with _application(unconstrained_url) as client:
        yield client


@pytest.fixture
def unconstrained(_unconstrained_application: TestClient) -> Iterator[TestClient]:
    """A client of the application on the table that is not constrained; empty when a test begins."""
    yield _unconstrained_application
    _empty(_unconstrained_application.app.state.database, [TABLE])


@pytest.fixture
def unconstrained_connection(
    unconstrained: TestClient, unconstrained_url: str
) -> Iterator[sa.Connection]:
    """A connection to that table, whose every statement is a transaction of its own."""
    with _connections(unconstrained_url) as connections, connections.read() as connection:
        yield connection


@pytest.fixture(scope="session")
def emptied(own: Database) -> list[sa.Table]:
    """The tables that tests empty; a table that a revision has filled stays as it is."""
    with own.read() as connection:
        return [
            table
            for table in reversed(Base.metadata.sorted_tables)
            if connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) is None
        ]


@pytest.fixture(scope="module")
def spread(application: TestClient, emptied: list[sa.Table]) -> Iterator[TestClient]:
    """A client of the application, which has rows all over its CRS: for the tests of a module that only read."""
    with application.app.state.database.write() as connection:
        rows.insert(connection, rows.spread(500))
        around = list(connection.scalars(AROUND_THE_WORLD))
        connection.execute(sa.delete(TABLE).where(TABLE.c.id.in_(around)))
    yield application
    _empty(application.app.state.database, emptied)


@pytest.fixture
def empty_tables(application: TestClient, emptied: list[sa.Table]) -> Iterator[None]:
    """Whatever a test writes is gone after it."""
    yield
    _empty(application.app.state.database, emptied)


def _empty(database: Database, tables: Sequence[sa.Table]) -> None:
    with database.write() as connection:
        # For a few rows DELETE takes a tenth of the time of TRUNCATE.
        for table in tables:
            connection.execute(sa.delete(table))


@pytest.fixture
def client(application: TestClient, empty_tables: None) -> TestClient:
    """A client of the application."""
    return application


@pytest.fixture
def serve(database_url: str, empty_tables: None) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of an application with other settings, which are given by their names."""
    clients = []

    def serve(**values: Any) -> TestClient:
        settings = Settings(_env_file=None, **{"database_url": database_url} | values)
        clients.append(TestClient(create_app(settings)))
        return clients[-1]

    yield serve
    for client in clients:
        client.app.state.database.close()


@pytest.fixture
def settings(client: TestClient) -> Settings:
    """The application's settings."""
    return client.app.state.settings


@pytest.fixture
def database(client: TestClient) -> Database:
    """The application's connections."""
    return client.app.state.database


@pytest.fixture
def connection(client: TestClient, own: Database) -> Iterator[sa.Connection]:
    """A connection whose every statement is a transaction of its own."""
    with own.read() as connection:
        yield connection
