"""Whether the service lives and can serve."""

import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Client, ConnectError, Response

from geotables.http import health, lifecycle
from geotables.identifiers import qualified, quoted
from geotables.service import Service

from contract import faces
from rows import Rows

Serve = Callable[..., TestClient]


@pytest.fixture
def fresh(serve: Serve) -> TestClient:
    """A client of an application that has not been asked yet."""
    return serve()


def not_ready(response: Response, reason: str) -> None:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "1"
    assert reason in response.json()["detail"]


def test_ready(service: Service, fresh: TestClient) -> None:
    found = fresh.get("/health/ready").json()
    assert found["status"] == "ready"
    assert found["revision"] == service.migrations.revisions()[0]
    assert found["postgis"][0].isdigit() and found["postgresql"][0].isdigit()


@pytest.mark.parametrize("given", [(700, 10, 10), (0, 10, 10), (100_000, 5, 5)])
def test_garbage_is_collected_less_often_while_it_serves(
    fresh: TestClient, given: tuple[int, int, int]
) -> None:
    before, rare = gc.get_threshold(), (lifecycle.GC_THRESHOLD, 10, 10)
    try:
        gc.set_threshold(*given)
        with fresh:
            assert gc.get_threshold() == (rare if given[0] == 700 else given)
        assert gc.get_threshold() == given
    finally:
        gc.set_threshold(*before)


def test_without_its_database_it_lives_and_is_not_ready(serve: Serve) -> None:
    client = serve(database_url="postgresql://nobody@127.0.0.1:1/nothing")
    assert client.get("/health/live").status_code == 200
    not_ready(client.get("/health/ready"), "unavailable")


def test_what_was_found_holds_for_a_second(fresh: TestClient) -> None:
    seen = []
    engine = fresh.app.state.database.engines["primary"]
    sa.event.listen(engine, "before_cursor_execute", lambda *_: seen.append(1))
    assert fresh.get("/health/ready").status_code == 200
    first = len(seen)
    for _ in range(5):
        assert fresh.get("/health/ready").status_code == 200
    assert len(seen) == first > 0


def test_a_database_that_is_not_migrated(
    service: Service, fresh: TestClient, connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = service.migrations.revisions()[0]
    monkeypatch.setattr(health, "LIFETIME", 0.0)
    monkeypatch.setattr(health.Readiness, "_older_revisions", frozenset({"older"}))
    change = f"UPDATE {service.migrations.version_table} SET version_num = '{{}}'"
    try:
        connection.exec_driver_sql(change.format("older"))
        not_ready(fresh.get("/health/ready"), "not been migrated")
        # The next version of the service has been here first.
        connection.exec_driver_sql(change.format("newer"))
        assert fresh.get("/health/ready").status_code == 200
    finally:
        connection.exec_driver_sql(change.format(revision))


#: The name of a table that is taken away.
AWAY = "taken_away"


@pytest.fixture
def without(connection: sa.Connection) -> Iterator[Callable[..., None]]:
    """Takes a table away, until the test ends."""
    taken = []

    def without(name: str, schema: str | None = None) -> None:
        names = [qualified(sa.Table(each, sa.MetaData(), schema=schema)) for each in (name, AWAY)]
        connection.exec_driver_sql(f"ALTER TABLE {names[0]} RENAME TO {AWAY}")
        taken.append((names[1], quoted(name)))

    yield without
    for away, name in taken:
        connection.exec_driver_sql(f"ALTER TABLE {away} RENAME TO {name}")


def test_a_missing_table_is_named(
    any_rows: Rows, fresh: TestClient, without: Callable[..., None]
) -> None:
    without(any_rows.table.name, any_rows.table.schema)
    not_ready(fresh.get("/health/ready"), f"no table {any_rows.sql}")


def test_a_table_with_a_percent_sign_in_its_name_is_found(
    service: Service, fresh: TestClient, connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sa.Table("100 % known", sa.MetaData(), sa.Column("id", sa.Integer()))
    monkeypatch.setattr(service.migrations, "metadata", table.metadata)
    monkeypatch.setattr(health, "LIFETIME", 0.0)
    not_ready(fresh.get("/health/ready"), 'no table "100 % known"')
    table.create(connection)
    try:
        assert fresh.get("/health/ready").status_code == 200
    finally:
        table.drop(connection)


def test_a_database_that_no_migration_has_seen(
    service: Service, fresh: TestClient, without: Callable[..., None]
) -> None:
    without(service.migrations.version_table)
    not_ready(fresh.get("/health/ready"), "not been migrated")


@faces("rest", "features", "tiles", "ogc")
def test_data_of_a_database_that_is_not_migrated(
    any_rows: Rows, fresh: TestClient, without: Callable[..., None]
) -> None:
    without(any_rows.table.name, any_rows.table.schema)
    answers = [
        fresh.get(path, params=parameters)
        for path, parameters in (
            (any_rows.path, {}),
            (any_rows.at(any_rows.no_id), {}),
            (any_rows.collection_path, {}),
            (any_rows.items, {}),
            (any_rows.items, {"f": "html"}),
            (any_rows.items, {"bbox": "0,0,1,1"}),
            (any_rows.item(any_rows.no_id), {}),
            (f"{any_rows.tileset}/0/0/0", {}),
        )
    ]
    answers += [
        fresh.post(any_rows.path, json=any_rows.body()),
        fresh.delete(any_rows.at(any_rows.no_id)),
    ]
    for answer in answers:
        assert answer.status_code == 503, answer.request.url
        assert answer.headers["Retry-After"].isdigit()
        # As a page where a page was asked for.
        assert "he database has not been migrated" in answer.text


def test_a_service_with_every_connection_in_use_is_ready(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LIFETIME", 0.0)
    client = serve(pool_size=1, max_overflow=0)
    assert client.get("/health/ready").status_code == 200
    with client.app.state.database.read():
        assert client.get("/health/ready").status_code == 200


@pytest.mark.process
@faces("rest")
def test_a_service_that_ends_says_so_first_and_finishes(
    any_rows: Rows, service: Service, database_url: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        service.package,
        "serve",
        "--port",
        str(port),
    ]
    environment = os.environ | {"DATABASE_URL": database_url, "DRAIN_SECONDS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        with Client(base_url=f"http://127.0.0.1:{port}") as client:
            wait_for(client)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            not_ready(client.get("/health/ready"), "ending")
            assert client.get(any_rows.path).status_code == 200
            assert process.wait(timeout=120) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def wait_for(client: Client) -> None:
    for _ in range(1200):
        try:
            assert client.get("/health/ready").status_code == 200
            return
        except ConnectError:
            time.sleep(0.1)
    raise AssertionError("the service does not start")
