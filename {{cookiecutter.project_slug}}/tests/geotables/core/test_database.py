"""Connections: what each kind is for, and what becomes of them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.db.database import Database
from geotables.db.statements import Statement
from geotables.service import Service
from geotables.settings import ServiceSettings

from contract import faces, writes
from rows import Rows


def setting(connection: sa.Connection, name: str) -> str:
    return str(connection.scalar(sa.text("SELECT current_setting(:name)"), {"name": name}))


def test_a_sort_has_a_work_mem_of_its_own(settings: ServiceSettings) -> None:
    database = Database(settings.model_copy(update={"work_mem": "77MB"}))
    asked = sa.select(sa.func.current_setting("work_mem"))
    assert database.fetch(Statement(asked, needs_work_mem=True), {}) == [("77MB",)]
    assert database.fetch(Statement(asked), {}) != [("77MB",)]
    for connect in (database.read, database.write):
        with connect() as connection:
            assert setting(connection, "work_mem") != "77MB"
    database.close()


def test_every_connection_gives_up_in_the_end_and_counts_in_utc(
    database: Database, settings: ServiceSettings
) -> None:
    limit = f"{settings.statement_timeout}s"
    for connect in (database.read, database.write, database.stream):
        with connect() as connection:
            assert setting(connection, "statement_timeout") == limit
            assert setting(connection, "TimeZone") == "UTC"
    asked = (sa.func.current_setting(name) for name in ("statement_timeout", "TimeZone"))
    assert database.fetch(Statement(sa.select(*asked)), {}) == [(limit, "UTC")]


def test_a_parameter_may_have_any_name(database: Database) -> None:
    """The driver takes no spaces and no parentheses: SQLAlchemy sends another name."""
    asked = sa.select(sa.bindparam("Land Use (a)", type_=sa.Text()))
    assert database.fetch(Statement(asked), {"Land Use (a)": "park"}) == [("park",)]


def test_a_write_is_undone_where_an_exception_leaves_it(
    any_rows: Rows, database: Database, connection: sa.Connection
) -> None:
    with pytest.raises(KeyError), database.write() as writing:
        any_rows.insert(writing, any_rows.spread(1))
        raise KeyError
    assert any_rows.count(connection) == 0


@writes
@faces("rest")
def test_each_write_is_one_message(
    rows: Rows, client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def span(statement: str) -> AbstractContextManager[None]:
        sent.append(statement)
        return nullcontext()

    body = rows.body()
    # The first connection asks for the server's version.
    assert client.get(rows.path).status_code == 200
    monkeypatch.setattr(database, "span", span)
    before = database.writes
    added = client.post(rows.path, json=body)
    path, tag = added.headers["Location"], added.headers["ETag"]
    replaced = client.put(path, json=body, headers={"If-Match": tag})
    place = {rows.collection.geometry.name: body[rows.collection.geometry.name]}
    changed = client.patch(path, json=place, headers={"If-Match": replaced.headers["ETag"]})
    removed = client.delete(path, headers={"If-Match": changed.headers["ETag"]})
    statuses = [answer.status_code for answer in (added, replaced, changed, removed)]
    assert statuses == [201, 200, 200, 204]
    assert [statement.split()[0] for statement in sent] == ["INSERT", "UPDATE", "UPDATE", "DELETE"]
    assert database.writes == before + 4


def test_a_value_that_cannot_be_written_takes_no_connection(database: Database) -> None:
    statement = Statement(sa.select(sa.bindparam("value", type_=sa.JSON())))
    for _ in range(2):
        with pytest.raises(TypeError):
            database.change(statement, {"value": object()})
    assert database.fetch(statement, {"value": {"a": [1]}}) == [({"a": [1]},)]
    assert database.usage(database.engine)["in_use"] == 0


def test_a_short_statement_is_not_spread_over_processes(database: Database) -> None:
    asked = sa.select(sa.func.current_setting("max_parallel_workers_per_gather"))
    before = database.fetch(Statement(asked), {})
    assert database.fetch(Statement(asked, single_process=True), {}) == [("0",)] != before
    assert database.fetch(Statement(asked), {}) == before


def test_a_stream_cannot_write(any_rows: Rows, database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="read-only"), database.stream() as connection:
        any_rows.insert(connection, any_rows.spread(1))


def test_a_stream_is_waited_for_part_by_part(database: Database) -> None:
    watch = database.hung_connections
    with database.stream() as connection:
        driver = connection.connection.dbapi_connection
        parts = watch.watched(connection, iter(range(3)))
        for _ in range(3):
            next(parts)
            # It is the client that is waited for.
            assert id(driver) not in watch._waiting
        assert list(parts) == []
        assert id(driver) in watch._waiting
    assert id(driver) not in watch._waiting


@faces("rest")
def test_connections_that_the_server_closed_are_replaced(
    any_rows: Rows, client: TestClient
) -> None:
    database = client.app.state.database
    assert client.get(any_rows.path).status_code == 200
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    engine = sa.create_engine(database.engine.url, poolclass=sa.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {others}")
        while connection.scalar(sa.text(f"SELECT count(*) {others}")):
            time.sleep(0.01)
    for _ in range(2):
        assert client.get(any_rows.path).status_code == 200


@faces("rest")
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_connections_to_a_server_that_only_reads_are_replaced(
    any_rows: Rows, serve: Callable[..., TestClient], connection: sa.Connection, method: str
) -> None:
    """As after a failover: sessions that were opened before go on refusing to write."""

    def write(number: int) -> int:
        if method == "POST":
            return client.post(any_rows.path, json=any_rows.body(number)).status_code
        return client.delete(any_rows.at(any_rows.no_id)).status_code

    client, done = serve(pool_size=3, max_overflow=0), 201 if method == "POST" else 404
    name = connection.scalar(sa.text("SELECT quote_ident(current_database())"))
    connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(client.app.state.database.read())
        assert write(0) == 503
    finally:
        connection.exec_driver_sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    for number in range(1, 5):
        assert write(number) == done


@faces("rest")
def test_the_pool_is_as_large_as_the_settings_say(
    serve: Callable[..., TestClient], any_rows: Rows
) -> None:
    client = serve(pool_size=1, max_overflow=1, pool_timeout=0.01)
    database = client.app.state.database
    with database.read():
        assert client.get(any_rows.path).status_code == 200
        with database.read():
            refused = client.get(any_rows.path)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"].isdigit()
    assert client.get(any_rows.path).status_code == 200


def test_an_app_connects_when_it_is_first_asked(service: Service) -> None:
    dead = "postgresql://nobody@localhost:1/nothing"
    app = service.create_app(service.settings(_env_file=None, database_url=dead))
    usage = app.state.database.usage(app.state.database.engine)
    assert usage["in_use"] == usage["idle"] == 0
