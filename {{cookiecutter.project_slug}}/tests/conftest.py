"""A migrated database for the tests, empty when each of them begins, and the application on it."""

from collections.abc import Iterator

import postgis
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from {{ cookiecutter.package_name }} import migrations
from {{ cookiecutter.package_name }}.database import Database
from {{ cookiecutter.package_name }}.main import create_app
from {{ cookiecutter.package_name }}.models import Base
from {{ cookiecutter.package_name }}.settings import Settings


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
        migrations.upgrade()
        yield url


@pytest.fixture(scope="session")
def application(database_url: str) -> Iterator[TestClient]:
    """The application, started once for all tests."""
    settings = Settings(_env_file=None, database_url=database_url)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def empty_tables(application: TestClient) -> Iterator[None]:
    """Whatever a test writes is gone after it."""
    yield
    with application.app.state.database.write() as connection:
        # For a few rows DELETE takes a tenth of the time of TRUNCATE.
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(sa.delete(table))


@pytest.fixture
def client(application: TestClient, empty_tables: None) -> TestClient:
    """A client of the application."""
    return application


@pytest.fixture
def settings(client: TestClient) -> Settings:
    """The application's settings."""
    return client.app.state.settings


@pytest.fixture
def database(client: TestClient) -> Database:
    """The application's connections."""
    return client.app.state.database


@pytest.fixture
def connection(database: Database) -> Iterator[sa.Connection]:
    """A connection whose every statement is a transaction of its own."""
    with database.read() as connection:
        yield connection
