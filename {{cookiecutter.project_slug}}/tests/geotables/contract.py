"""Markers, parametrization and fixtures of the tests in this folder.

Each test with a fixture ``rows`` or ``collection`` runs for every collection that it applies to. The database is migrated, and
empty when a test begins. All that is known of the project is the ``Service`` that its tests/conftest.py returns.
"""

import faulthandler
import gc
import importlib
import importlib.util
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import postgis
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, BaseTransport, Request, Response

from geotables.collection import Collection
from geotables.column_types import AsText
from geotables.db.database import Database
from geotables.db.statements import execute
from geotables.http.faces import faces_of
from geotables.identifiers import quoted
from geotables.service import Service
from geotables.settings import ServiceSettings

pytest.register_assert_rewrite("rows", "mvt", "markup")
from rows import Rows  # noqa: E402

FOLDER = Path(__file__).parent

#: The folders with the tests of a face.
FACE_FOLDERS = {"rest", "features", "tiles", "webmap", "ogc", "files"}

#: The names of the faces that the service has.
FACES_KEY = pytest.StashKey[set[str]]()


class Hooks:
    """What the contract asks the project's conftest.py for."""

    @pytest.hookspec(firstresult=True)
    def pytest_geotables_service(self) -> Service:
        """Return the service that the tests are about."""
        raise NotImplementedError


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


# The markers. `with_args`, since a mark that is called with a function alone decorates that function.


def only(holds: Callable[[Collection], bool]) -> pytest.MarkDecorator:
    """Run a test for the collections of which this holds; where there is none it is deselected."""
    return pytest.mark.only.with_args(holds)


def is_writable(collection: Collection) -> bool:
    """Whether clients write rows of a collection."""
    return collection.is_writable


def always_has_a_place(collection: Collection) -> bool:
    """Whether no row is without a geometry."""
    return not collection.geometry.nullable


#: Run a test, or those of a module (``pytestmark``), for the collections that clients write.
writes = only(is_writable)


def each(
    name: str, values: Callable[[Collection], Iterable[Any]], *, id: Callable[[Any], str] = str
) -> pytest.MarkDecorator:
    """Run a test for each of some values that a collection has, such as its columns.

    Args:
        name: The test's argument.
        values: Returns the values; or a dict, whose keys are the ids of the cases.
        id: Names a case.
    """
    return pytest.mark.each.with_args(name, values, id)


def faces(*names: str) -> pytest.MarkDecorator:
    """Run a test only where the application has these faces, beside the one whose folder it is in."""
    return pytest.mark.faces.with_args(*names)


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "only(holds): the collections that a test is for (contract.only)",
        "each(name, values, id): values of a collection that a test is for (contract.each)",
        "faces(*names): the faces that a test uses (contract.faces)",
        "no_collection: a test that applies to no collection of this service",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collect the garbage that is left; pytest would go through all objects five times."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each collection that a test function applies to, with each of its values."""
    marks = list(metafunc.definition.iter_markers())
    if "collection" not in metafunc.fixturenames:
        own = metafunc.definition.own_markers
        if any(mark.name in ("only", "each") for mark in own):
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid}: only and each need the fixture rows or collection"
            )
        return
    conditions = [mark.args[0] for mark in marks if mark.name == "only"]
    # The decorator nearest to the function comes first in marks, and last in the ids.
    values = [mark.args for mark in reversed(marks) if mark.name == "each"]
    names = ["collection", *(name for name, _, _ in values)]
    cases = [
        case
        for collection in metafunc.config.hook.pytest_geotables_service().collections
        if all(holds(collection) for holds in conditions)
        for case in _cases(collection, values)
    ]
    if not cases:
        cases = [pytest.param(*[None] * len(names), id="none", marks=pytest.mark.no_collection)]
    metafunc.parametrize(names, cases)


def _cases(collection: Collection, values: Sequence[Any]) -> Iterator[Any]:
    for chosen in itertools.product(*(_named(of(collection), id) for _, of, id in values)):
        ids = [collection.name, *(id for id, _ in chosen)]
        yield pytest.param(collection, *(value for _, value in chosen), id="-".join(ids))


def _named(values: Iterable[Any], id: Callable[[Any], str]) -> list[tuple[str, Any]]:
    if isinstance(values, Mapping):
        return list(values.items())
    return [(id(value), value) for value in values]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that apply to no collection, or use a face or a writable collection that the service does not have."""
    there = _faces(config)
    has_writable = any(map(is_writable, config.hook.pytest_geotables_service().collections))
    left = [
        item
        for item in items
        if item.get_closest_marker("no_collection")
        or ("any_collection" in getattr(item, "fixturenames", ()) and not has_writable)
        or {name for mark in item.iter_markers("faces") for name in mark.args} - there
    ]
    if left:
        config.hook.pytest_deselected(items=left)
        excluded = set(left)
        items[:] = [item for item in items if item not in excluded]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the folder of a face that the project has deleted, from main.py or as a whole."""
    name = collection_path.name
    if collection_path.parent == FOLDER and name in FACE_FOLDERS and name not in _faces(config):
        return True
    return None


def _faces(config: pytest.Config) -> set[str]:
    """The names of the faces that the service has: looked for once, without a database and without this machine's settings."""
    if FACES_KEY not in config.stash:
        service = config.hook.pytest_geotables_service()
        with _no_settings(service):
            app = service.create_app(_settings(service, "postgresql://localhost/none"))
        found = {face.name for face in faces_of(app)}
        # A face of the command line, not of the application.
        if importlib.util.find_spec("geotables.files") is not None:
            found.add("files")
        config.stash[FACES_KEY] = found
    return config.stash[FACES_KEY]


@contextmanager
def _no_settings(service: Service) -> Iterator[pytest.MonkeyPatch]:
    """Without the settings in this machine's environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name in service.settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        yield environment


def _settings(service: Service, url: str, **values: Any) -> ServiceSettings:
    return service.settings(_env_file=None, **{"database_url": url} | values)


@pytest.fixture(scope="session")
def service(pytestconfig: pytest.Config) -> Service:
    """The service that the tests are about."""
    found: Service = pytestconfig.hook.pytest_geotables_service()
    return found


@pytest.fixture(scope="session")
def served_faces(pytestconfig: pytest.Config) -> set[str]:
    """The names of the application's faces."""
    return _faces(pytestconfig)


@pytest.fixture(scope="session")
def main(service: Service) -> Callable[[list[str]], int]:
    """The project's command line: takes the arguments, and returns the exit code."""
    found: Callable[[list[str]], int] = importlib.import_module(f"{service.package}.cli").main
    return found


@pytest.fixture(scope="session")
def everything() -> Mapping[str, str]:
    """Headers of a caller who may see and change every row: override it where a collection has readers, writers or ``where``."""
    return {}


# What depends on `collection` is of function scope: of a larger one pytest would sort the tests by the numbers of their cases,
# and tear the rows down between the cases of one test.


@pytest.fixture
def rows(collection: Collection) -> Rows:
    """Rows of the collection."""
    return Rows.of(collection)


@pytest.fixture(scope="session")
def any_collection(service: Service) -> Collection:
    """The first collection that clients write, for what is about the service and needs some table.

    Where all are read-only, the tests that use it are deselected.
    """
    return next(filter(is_writable, service.collections))


@pytest.fixture(scope="session")
def any_rows(any_collection: Collection) -> Rows:
    """Rows of the first collection."""
    return Rows.of(any_collection)


@pytest.fixture(scope="session")
def server() -> Iterator[postgis.Server]:
    """A PostGIS; without one the run ends."""
    # The first time it is downloaded, which may take longer than a test.
    faulthandler.cancel_dump_traceback_later()
    try:
        with postgis.server() as server:
            yield server
    except postgis.PostgisUnavailable as error:
        pytest.exit(f"the tests need PostGIS: {error}", returncode=1)


@pytest.fixture(scope="session")
def database_url(server: postgis.Server, service: Service) -> Iterator[str]:
    """A database of the tests' own, at the newest revision; DATABASE_URL names it."""
    with server.database() as url, _no_settings(service) as environment:
        environment.setenv("DATABASE_URL", url)
        service.migrations.upgrade(_settings(service, url).database_url)
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


@contextmanager
def _application(service: Service, url: str, headers: Mapping[str, str]) -> Iterator[TestClient]:
    app = service.create_app(_settings(service, url))
    with TestClient(app, headers=dict(headers)) as client:
        client._transport = Transport(client)
        yield client


@pytest.fixture(scope="session")
def application(
    service: Service, database_url: str, everything: Mapping[str, str]
) -> Iterator[TestClient]:
    """The application, started once for all tests."""
    with _application(service, database_url, everything) as client:
        yield client


@pytest.fixture(scope="session")
def own(service: Service, database_url: str) -> Iterator[Database]:
    """The tests' own connections: the application's pool may have a single one."""
    with _connections(service, database_url) as own:
        yield own


@contextmanager
def _connections(service: Service, url: str) -> Iterator[Database]:
    connections = Database(_settings(service, url, pool_size=5))
    yield connections
    connections.close()


@pytest.fixture(scope="session")
def unconstrained_url(server: postgis.Server, service: Service) -> Iterator[str]:
    """Another database, whose tables have their columns and keys, but no other constraint, no foreign key and no trigger.

    Tests that need other values than a collection's ``example`` has, such as the ends of a type, store them there: the real
    tables may have constraints of yours.
    """
    with server.database() as url:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DATABASE_URL", url)
            service.migrations.upgrade(_settings(service, url).database_url)
        with _connections(service, url) as own, own.write() as connection:
            for collection in service.collections:
                table = Rows.of(collection).sql
                statements = connection.scalars(_UNCONSTRAIN, {"table": table}).all()
                changes = (f"ALTER TABLE {table} {change}" for change in _unconstrained(collection))
                for statement in (*statements, *changes):
                    execute(connection, statement)
        yield url


#: The statements that take the constraints and the triggers from a table.
_UNCONSTRAIN = sa.text(
    """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', CAST(conrelid AS regclass), conname)
    FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND contype IN ('c', 'f')
    UNION ALL
    SELECT format('DROP TRIGGER %I ON %s', tgname, CAST(tgrelid AS regclass))
    FROM pg_trigger WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal
    """
)


def _unconstrained(collection: Collection) -> Iterator[str]:
    """What has the columns of a table take any value."""
    for column in collection.table.columns:
        name = quoted(column.name)
        if column.computed is not None:
            yield f"ALTER {name} DROP EXPRESSION"
        if isinstance(column.type, AsText):
            yield f"ALTER {name} TYPE text USING {name}::text"
        if column.identity is not None and not column.primary_key:
            yield f"ALTER {name} SET GENERATED BY DEFAULT"


@pytest.fixture(scope="session")
def _unconstrained_application(
    service: Service, unconstrained_url: str, everything: Mapping[str, str]
) -> Iterator[TestClient]:
    with _application(service, unconstrained_url, everything) as client:
        yield client


@pytest.fixture
def unconstrained(service: Service, _unconstrained_application: TestClient) -> Iterator[TestClient]:
    """A client of the application on the tables that are not constrained; they are empty when a test begins."""
    yield _unconstrained_application
    tables = [collection.table for collection in service.collections]
    _empty(_unconstrained_application.app.state.database, tables)


@pytest.fixture(scope="session")
def _unconstrained_own(service: Service, unconstrained_url: str) -> Iterator[Database]:
    with _connections(service, unconstrained_url) as own:
        yield own


@pytest.fixture
def unconstrained_connection(
    unconstrained: TestClient, _unconstrained_own: Database
) -> Iterator[sa.Connection]:
    """A connection to the tables that are not constrained; each statement is a transaction of its own."""
    with _unconstrained_own.read() as connection:
        yield connection


@pytest.fixture(scope="session")
def emptied(own: Database, service: Service) -> list[sa.Table]:
    """The tables that tests empty; a table that a revision has filled stays as it is."""
    with own.read() as connection:
        return [
            table
            for table in reversed(service.migrations.metadata.sorted_tables)
            if connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) is None
        ]


def _empty(database: Database, tables: Sequence[sa.Table]) -> None:
    with database.write() as connection:
        # For a few rows DELETE takes a tenth of the time of TRUNCATE.
        for table in tables:
            connection.execute(sa.delete(table))


@pytest.fixture(scope="session")
def _filled() -> set[str]:
    """The names of the collections that have rows for tests that only read."""
    return set()


@pytest.fixture(scope="module")
def _reading(application: TestClient, emptied: list[sa.Table], _filled: set[str]) -> Iterator[None]:
    yield
    _filled.clear()
    _empty(application.app.state.database, emptied)


@pytest.fixture
def spread(application: TestClient, rows: Rows, _reading: None, _filled: set[str]) -> TestClient:
    """A client of the application, whose collection has rows all over its CRS: for tests that only read."""
    if rows.collection.name not in _filled:
        with application.app.state.database.write() as connection:
            rows.insert(connection, rows.spread(500))
            around = list(connection.scalars(rows.around_the_world()))
            connection.execute(sa.delete(rows.table).where(rows.key.in_(around)))
        _filled.add(rows.collection.name)
    return application


@pytest.fixture
def empty_tables(
    application: TestClient, emptied: list[sa.Table], _filled: set[str]
) -> Iterator[None]:
    """Empty the tables after the test."""
    if _filled:
        # Rows for tests that only read, of the same module.
        _filled.clear()
        _empty(application.app.state.database, emptied)
    yield
    _empty(application.app.state.database, emptied)


@pytest.fixture
def client(application: TestClient, empty_tables: None) -> TestClient:
    """A client of the application."""
    return application


@pytest.fixture
def client_of(application: TestClient, empty_tables: None) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of an application, whose connections are closed after the test."""
    clients = []

    def client_of(app: FastAPI, **headers: str) -> TestClient:
        client = TestClient(app, headers=headers)
        # Else each request would start an event loop and its threads.
        client.portal = application.portal
        clients.append(client)
        return client

    yield client_of
    for client in clients:
        client.app.state.database.close()


@pytest.fixture
def serve(
    service: Service,
    database_url: str,
    everything: Mapping[str, str],
    client_of: Callable[..., TestClient],
) -> Callable[..., TestClient]:
    """Makes a client of an application with other settings, which are given by their names."""

    def serve(**values: Any) -> TestClient:
        app = service.create_app(_settings(service, database_url, **values))
        return client_of(app, **everything)

    return serve


@pytest.fixture
def settings(client: TestClient) -> ServiceSettings:
    """The application's settings."""
    found: ServiceSettings = client.app.state.settings
    return found


@pytest.fixture
def database(client: TestClient) -> Database:
    """The application's connections."""
    found: Database = client.app.state.database
    return found


@pytest.fixture
def connection(client: TestClient, own: Database) -> Iterator[sa.Connection]:
    """A connection whose every statement is a transaction of its own."""
    with own.read() as connection:
        yield connection
