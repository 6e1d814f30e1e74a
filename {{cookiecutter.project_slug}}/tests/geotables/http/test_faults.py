"""Faults of the database: each has its answer, passes by itself, and leaves nothing behind."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi.testclient import TestClient
from httpx2 import Response

from geotables.db import database as database_module
from geotables.db.database import Database

from contract import faces
from rows import Rows

Serve = Callable[..., TestClient]
Main = Callable[[list[str]], int]


@pytest.fixture
def other(database: Database) -> Iterator[sa.Connection]:
    """A session that is none of the service's."""
    with sa.create_engine(database.engine.url, poolclass=sa.NullPool).connect() as other:
        yield other


@pytest.fixture
def row(any_rows: Rows, client: TestClient) -> str:
    """The path of a row."""
    created = client.post(any_rows.path, json=any_rows.body()).json()
    return any_rows.at(created[any_rows.key.name])


def assert_problem(response: Response, status: int, reason: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert reason in response.json()["detail"]
    assert ("Retry-After" in response.headers) == (status == 503)


def assert_nothing_left(client: TestClient, rows: Rows) -> None:
    """See that the service works, and that every connection is back."""
    assert client.get(rows.path).status_code == 200
    database: Database = client.app.state.database
    assert database.usage(database.engine)["in_use"] == 0
    assert database.waiting == 0
    assert database.hung_connections._waiting == {}


def lock(rows: Rows, other: sa.Connection) -> None:
    other.execute(sa.text(f"LOCK TABLE {rows.sql}"))


def terminate(other: sa.Connection) -> None:
    """End every session of this database but that one, and wait until they have ended."""
    others = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), :other)"
    )
    keep = {"other": other.scalar(sa.text("SELECT pg_backend_pid()"))}
    # A transaction sees the sessions as they were when it first looked.
    autocommit = other.engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        for _ in range(6000):
            if not connection.execute(others, keep).all():
                return
            time.sleep(0.02)
    raise AssertionError("not every session ends")


def in_thread(request: Callable[[], Response]) -> tuple[threading.Thread, list[Response]]:
    answers: list[Response] = []
    thread = threading.Thread(target=lambda: answers.append(request()))
    thread.start()
    return thread, answers


def wait_for_lock(other: sa.Connection) -> None:
    """Wait until somebody waits for a lock of that session."""
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks"
        " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    for _ in range(6000):
        if other.scalar(waiting):
            return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


@contextmanager
def served(app: Any, **options: Any) -> Iterator[int]:
    """Serve an application on a port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait, for a third of the time that PostgreSQL gives to a statement."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come true")


@faces("rest", "features")
def test_clients_that_leave_take_their_statements_along(
    any_rows: Rows, serve: Serve, other: sa.Connection, row: str, connection: sa.Connection
) -> None:
    app = serve(pool_size=2, max_overflow=1, pool_timeout=60).app
    database: Database = app.state.database
    text = json.dumps(any_rows.body(2))
    new = f"POST {any_rows.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    requests = [
        *[f"GET {row} HTTP/1.1\r\nHost: x\r\n\r\n"] * 50,
        f"GET {any_rows.items}?f=jsonseq HTTP/1.1\r\nHost: x\r\n\r\n",
        f"{new}Content-Length: {len(text)}\r\n\r\n{text}",
    ]
    lock(any_rows, other)
    with served(app) as port:
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in requests]
        for client, request in zip(clients, requests, strict=True):
            client.sendall(request.encode())
        # More than there are threads, let alone connections.
        wait_until(lambda: len(app.state.running) == len(requests))
        wait_for_lock(other)
        for client in clients:
            client.close()
        wait_until(lambda: not app.state.running)
        assert database.usage(database.engine)["in_use"] == database.waiting == 0
        other.rollback()
    assert any_rows.count(connection) == 1


@pytest.fixture
def http(main: Main, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Any:
    """How ``serve`` has uvicorn read requests, if they have to come within half a second."""
    monkeypatch.setenv("REQUEST_TIMEOUT", "0.5")
    calls: list[dict[str, Any]] = []
    with monkeypatch.context() as without_server:
        without_server.setattr(uvicorn, "run", lambda *_, **options: calls.append(options))
        assert main(["serve"]) == 0
    return calls[0]["http"]


@faces("rest", "ogc")
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("", b"HTTP/1.1 408 "),
        ("GET / HTTP/1.1\r\nHost", b"HTTP/1.1 408 "),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 405 "),
        ("POST PATH HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b""),
        ("GET PATH HTTP/1.1\r\nHost: x\r\n\r\nGET", b"HTTP/1.1 200 "),
    ],
    ids=["nothing", "half a head", "a body of no use", "half a body", "a word more"],
)
def test_a_request_that_does_not_come_ends_its_connection(
    any_rows: Rows, client: TestClient, http: Any, sent: str, answer: bytes
) -> None:
    with (
        served(client.app, http=http, lifespan="off") as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(sent.replace("PATH", any_rows.path).encode())
        received = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert received.startswith(answer)
    assert received or not answer


@faces("rest")
def test_a_request_that_has_come_may_take_longer_to_answer(
    any_rows: Rows, client: TestClient, http: Any, other: sa.Connection, row: str
) -> None:
    lock(any_rows, other)
    with served(client.app, http=http, lifespan="off") as port:
        thread, answers = in_thread(lambda: httpx2.get(f"http://127.0.0.1:{port}{row}"))
        wait_for_lock(other)
        time.sleep(0.7)
        other.rollback()
        thread.join()
    assert answers[0].status_code == 200


def test_headers_without_an_end_are_not_read(client: TestClient, http: Any) -> None:
    with (
        served(client.app, http=http, lifespan="off") as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for number in range(100):
                connection.sendall(f"X-{number}: {'x' * 10_000}\r\n".encode())
                time.sleep(0.001)
            connection.sendall(b"Host: x\r\n\r\n")
        received = b""
        with suppress(ConnectionError):
            received = connection.recv(10_000)
    assert received[:13] in (b"", b"HTTP/1.1 431 ")


@faces("rest")
def test_a_statement_that_takes_too_long(
    any_rows: Rows, serve: Serve, other: sa.Connection, row: str
) -> None:
    client = serve(statement_timeout=1)
    lock(any_rows, other)
    assert_problem(client.get(row), 504, "too long")
    assert_problem(client.delete(row), 504, "too long")
    other.rollback()
    assert client.get(row).status_code == 200
    assert_nothing_left(client, any_rows)


@faces("rest", "ogc")
def test_a_collection_is_told_without_what_takes_too_long_to_find_out(
    any_rows: Rows, serve: Serve, other: sa.Connection, row: str
) -> None:
    client = serve(statement_timeout=1)
    lock(any_rows, other)
    described = client.get(any_rows.collection_path)
    assert described.status_code == 200
    assert not described.json().keys() & {"extent", "itemCount"}
    other.rollback()
    # Nobody waits for it again before what is kept would be out of date.
    assert client.get(any_rows.collection_path).json() == described.json()
    for kept in (client.app.state.extents, client.app.state.counts):
        kept[any_rows.collection.name]._too_slow_until = 0.0
    assert client.get(any_rows.collection_path).json()["itemCount"] >= 0
    assert client.get(row).status_code == 200
    assert_nothing_left(client, any_rows)


@faces("rest", "features")
def test_sessions_that_end_under_their_statements(
    any_rows: Rows, serve: Serve, other: sa.Connection, row: str
) -> None:
    client = serve()
    lock(any_rows, other)
    stream = f"{any_rows.items}?f=jsonseq"
    for request in (
        lambda: client.get(row),
        lambda: client.get(stream),
        lambda: client.delete(row),
    ):
        thread, answers = in_thread(request)
        wait_for_lock(other)
        terminate(other)
        thread.join()
        assert_problem(answers[0], 503, "unavailable")
    other.rollback()
    assert client.get(row).status_code == 200
    assert_nothing_left(client, any_rows)


@faces("rest")
def test_sessions_that_end_between_requests(
    any_rows: Rows, serve: Serve, other: sa.Connection, row: str
) -> None:
    client = serve()
    for _ in range(3):
        assert client.get(row).status_code == 200
        terminate(other)
    assert client.patch(row, json={}).status_code == 200
    assert_nothing_left(client, any_rows)


@faces("rest")
def test_a_server_that_stops_answering(
    any_rows: Rows, serve: Serve, monkeypatch: pytest.MonkeyPatch, connection: sa.Connection
) -> None:
    """Its machine still takes what is sent to it, so TCP sees nothing wrong."""
    with Stopping(connection.engine.url) as between:
        client = serve(database_url=between.url)
        database: Database = client.app.state.database
        with client:
            assert client.get(any_rows.path).status_code == 200
            database.hung_connections.patience = 0.5
            between.stopped.set()
            # Without the watch the request would be answered once the server goes on.
            again = threading.Timer(30, between.stopped.clear)
            again.start()
            assert_problem(client.get(any_rows.path), 503, "unavailable")
            again.cancel()
            between.stopped.clear()
            assert_nothing_left(client, any_rows)


@faces("rest")
def test_a_server_that_takes_no_connection(
    any_rows: Rows, serve: Serve, monkeypatch: pytest.MonkeyPatch, connection: sa.Connection
) -> None:
    monkeypatch.setitem(database_module.NETWORK, "connect_timeout", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = serve(database_url=connection.engine.url.set(host="127.0.0.1", port=port))
        assert_problem(client.get(any_rows.path), 503, "unavailable")


@faces("rest")
def test_a_deadlock(any_rows: Rows, serve: Serve, other: sa.Connection) -> None:
    client, key, geometry = serve(), any_rows.key, any_rows.collection.geometry
    first, second = (
        client.post(any_rows.path, json=any_rows.full_body(n)).json()[key.name] for n in (1, 2)
    )
    touch = sa.update(any_rows.table).values({geometry: geometry})
    # Of two that wait for each other PostgreSQL ends the one that notices it first: that shall be the service's.
    other.execute(sa.text("SET deadlock_timeout = '60s'"))
    other.execute(touch.where(key == second))
    database: Database = client.app.state.database

    @client.app.post("/deadlock")
    def deadlock() -> None:
        with database.write() as connection:
            connection.execute(touch.where(key == first))
            connection.execute(touch.where(key == second))

    thread, answers = in_thread(lambda: client.post("/deadlock"))
    wait_for_lock(other)
    other.execute(touch.where(key == first))
    other.rollback()
    thread.join()
    assert_problem(answers[0], 409, "same rows")
    assert_nothing_left(client, any_rows)


@faces("rest")
def test_a_server_that_only_reads(any_rows: Rows, serve: Serve, connection: sa.Connection) -> None:
    name = connection.engine.url.database
    connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        client = serve()
        assert client.get(any_rows.path).status_code == 200
        assert_problem(client.post(any_rows.path, json=any_rows.body()), 503, "no writes")
    finally:
        undo = f'SET LOCAL transaction_read_only = off; ALTER DATABASE "{name}" RESET ALL'
        connection.exec_driver_sql(undo)
    assert_nothing_left(client, any_rows)


class Stopping:
    """A way to the database that stops passing anything on, while ``stopped`` is set."""

    def __init__(self, url: sa.URL) -> None:
        self.stopped = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._to = (url.host or "127.0.0.1", url.port or 5432)
        self._ends: list[socket.socket] = []
        self.url = url.set(host="127.0.0.1", port=self._server.getsockname()[1])

    def __enter__(self) -> "Stopping":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._server, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._server.accept()
            except OSError:
                return
            theirs = socket.create_connection(self._to)
            self._ends += [ours, theirs]
            for ends in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                while self.stopped.is_set():
                    time.sleep(0.01)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return
