"""What is logged and counted, and that a request can be followed into PostgreSQL."""

import json
import logging
import logging.config
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from opentelemetry import trace
from prometheus_client.parser import text_string_to_metric_families

from geotables.context import Context, current
from geotables.db.database import Database
from geotables.db.statements import Statement
from geotables.http.logs import JsonFormatter, logging_config
from geotables.http.tracing import trace_statements
from geotables.settings import ServiceSettings

from contract import faces
from rows import Rows

Serve = Callable[..., TestClient]


def numbers(client: TestClient) -> dict[tuple[str, ...], float]:
    """What /metrics says: names with the values of their labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def access(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of what was logged about requests."""
    return [vars(record)["fields"] for record in caplog.records if record.name == "access"]


@faces("rest")
@pytest.mark.parametrize("given", ["a", "0d5f.1-e_2", "x" * 64])
def test_a_request_keeps_the_id_that_it_has(any_rows: Rows, client: TestClient, given: str) -> None:
    for path in (any_rows.path, "/nowhere", "/health/live"):
        assert client.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@faces("rest")
@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "*/ SELECT 1 --", "%s", "é", "a\tb"])
def test_a_request_gets_an_id_for_one_that_might_do_harm(
    any_rows: Rows, client: TestClient, given: str
) -> None:
    answers = [
        client.get(any_rows.path, headers={"X-Request-ID": given.encode()}) for _ in range(2)
    ]
    ids = {answer.headers["X-Request-ID"] for answer in answers}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in ids)


def test_the_id_reaches_postgresql(serve: Serve) -> None:
    client = serve()
    database, asked = client.app.state.database, sa.select(sa.func.current_query())
    router = APIRouter()

    @router.get("/asked")
    def ask(request: Request) -> list[str]:
        with database.write() as connection:
            written = connection.scalar(asked)
        return [written, *database.fetch(Statement(asked), {})[0]]

    client.app.include_router(router)
    statements = client.get("/asked", headers={"X-Request-ID": "followed"}).json()
    assert len(statements) == 2
    assert all(each.startswith("/* request followed */ ") for each in statements)


@faces("rest")
def test_statements_are_traced_where_it_is_configured(
    any_rows: Rows, client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[tuple[str, str]] = []

    class Tracer:
        @contextmanager
        def start_as_current_span(self, name: str, **told: Any) -> Iterator[None]:
            spans.append((name, told["attributes"]["db.query.text"]))
            yield

    monkeypatch.setattr(database, "span", database.span)
    trace_statements(database)
    client.get(any_rows.path)
    assert spans == []
    with monkeypatch.context() as configured:
        configured.setattr(trace, "get_tracer_provider", lambda: None)
        configured.setattr(trace, "get_tracer", lambda name: Tracer())
        trace_statements(database)
    client.post(any_rows.path, json=any_rows.body())
    client.get(any_rows.path)
    for operation in ("INSERT", "SELECT"):
        assert any(name == operation and text.startswith(f"{operation} ") for name, text in spans)


@faces("rest")
def test_every_request_is_logged_with_what_became_of_it(
    any_rows: Rows, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "access")
    client.get(f"{any_rows.path}?limit=5")
    client.get(any_rows.at(any_rows.no_id))
    client.post(any_rows.path, json={"Unknown": 1})
    client.get("/health/live")
    assert [(each["method"], each["path"], each["status"]) for each in access(caplog)] == [
        ("GET", any_rows.path, 200),
        ("GET", unquote(any_rows.at(any_rows.no_id)), 404),
        ("POST", any_rows.path, 422),
    ]
    assert access(caplog)[0]["query"] == "limit=5"
    assert access(caplog)[0]["seconds"] > 0


def test_an_unexpected_error_is_logged_with_its_request_and_told_to_nobody(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    for debug in (False, True):
        client = serve(debug=debug)
        client.app.add_api_route("/broken", lambda: 1 / 0)
        response = client.get("/broken", headers={"X-Request-ID": "unlucky"})
        assert response.status_code == 500
        assert response.headers["X-Request-ID"] == "unlucky"
        assert response.headers["Content-Type"] == "application/problem+json"
        assert ("ZeroDivisionError" in response.text) == debug
        assert numbers(client)["http_request_duration_seconds_count", "GET", "/broken", "500"] == 1
    assert "ZeroDivisionError" in caplog.text


@faces("rest", "features")
def test_requests_are_counted_by_the_template_of_their_path(any_rows: Rows, serve: Serve) -> None:
    client = serve()
    for number in range(3):
        client.get(any_rows.at(any_rows.no_id))
        client.get(any_rows.item(any_rows.no_id))
        client.get(f"/nowhere/{number}")
        client.request(f"METHOD{number}", any_rows.path)
        client.head(any_rows.path)
    counted = {
        labels: value
        for (name, *labels), value in numbers(client).items()
        if name == "http_request_duration_seconds_count"
        for labels in [tuple(labels)]
    }
    assert counted == {
        ("GET", any_rows.path + "{id}", "404"): 3,
        ("GET", f"{any_rows.items}/" + "{id}", "404"): 3,
        ("GET", "none", "404"): 3,
        ("OTHER", any_rows.path, "405"): 3,
        ("HEAD", any_rows.path, "200"): 3,
    }


@faces("rest", "features")
def test_rows_are_counted(any_rows: Rows, serve: Serve) -> None:
    client = serve()
    id = client.post(any_rows.path, json=any_rows.body()).json()[any_rows.key.name]
    before = numbers(client)["database_rows_total",]
    for path in (any_rows.path, f"{any_rows.items}/"):
        assert client.get(f"{path}{id}").status_code == 200
    assert numbers(client)["database_rows_total",] > before


@faces("rest")
def test_the_pool_is_counted(any_rows: Rows, serve: Serve) -> None:
    client = serve(pool_size=1, max_overflow=1, pool_timeout=20)
    database = client.app.state.database

    def pool(state: str) -> float:
        return numbers(client)["database_pool_connections", "primary", state]

    with database.read(), database.read():
        assert (pool("in_use"), pool("idle"), pool("limit")) == (2, 0, 2)
        waiting = threading.Thread(target=client.get, args=(any_rows.path,))
        waiting.start()
        while not numbers(client)["database_pool_waiting",]:
            pass
    waiting.join()
    assert (pool("in_use"), pool("idle")) == (0, 1)
    assert numbers(client)["database_pool_waiting",] == 0


def test_a_record_is_an_object_of_one_line() -> None:
    record = logging.LogRecord("a.b", logging.ERROR, "", 1, "%s\nis \u2028 odd", ("this",), None)
    record.fields = {"status": 200}
    token = current.set(Context("followed"))
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as error:
        record.exc_info = (type(error), error, error.__traceback__)
        line = JsonFormatter().format(record)
    finally:
        current.reset(token)
    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == "this\nis \u2028 odd"
    assert entry["request_id"] == "followed" and entry["status"] == 200
    assert "ZeroDivisionError" in entry["exception"]
    assert entry["time"].endswith("+00:00")


def formatter(settings: ServiceSettings, form: str) -> logging.Formatter:
    config = logging_config(settings.model_copy(update={"log_format": form}))
    chosen = config["formatters"]["chosen"]
    return logging.config.DictConfigurator(config).configure_formatter(chosen)


#: Characters that would begin a line, or that a terminal obeys.
FORGED = "\n\r\v\x1b[2J\x00\x7f\x9b\x85\u2028\u2029"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_client_cannot_forge_a_line_of_the_log(
    client: TestClient, settings: ServiceSettings, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    caplog.set_level(logging.INFO, "access")
    forged = f"{FORGED}2026-01-01 00:00:00,000 INFO access: DELETE /everything 204"
    client.get(f"/{quote(forged)}?{quote(forged)}")
    [record] = [each for each in caplog.records if each.name == "access"]
    try:
        raise ValueError(forged)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
        line, *traceback = formatter(settings, form).format(record).split("\n")
    assert "everything" in line and line.isprintable()
    if form == "json":
        assert json.loads(line)["path"] == f"/{forged}"
        assert traceback == []
    else:
        assert line.endswith("204 404")
        assert any("everything" in each for each in traceback)
        assert all(each.startswith("    ") and each.isprintable() for each in traceback)
