"""Errors are problem details (RFC 9457), and never tell how the service works inside."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from rows import GEOMETRY, PATH, TABLE

from geotables.db.database import Database
from geotables.http import problems

from {{ cookiecutter.package_name }}.main import create_app
from {{ cookiecutter.package_name }}.settings import Settings

ITEMS = f"/collections/{TABLE.name}/items"


def assert_problem(response: Response, status: int) -> None:
    """See that a response is a problem, and no more than one."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] and problem["title"] and problem["detail"]
    for word in ("Traceback", "psycopg2", "sqlalchemy", "SELECT", "INSERT", ".py"):
        assert word not in response.text


def feature(properties: dict[str, Any]) -> dict[str, Any]:
    """A feature that could be stored without some of its properties."""
    row = rows.body()
    geometry = row.pop(GEOMETRY.name)
    return {"type": "Feature", "geometry": geometry, "properties": row | properties}


@pytest.fixture
def dead() -> Iterator[TestClient]:
    """A client of an application whose database is not there."""
    settings = Settings(database_url="postgresql://nobody:s3cret@127.0.0.1:1/nothing")
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def failing_index(connection: sa.Connection) -> Iterator[str]:
    """The name of an index whose condition divides by zero for every row."""
    condition = "1 / (CASE WHEN created_at IS NULL THEN 1 ELSE 0 END) > 0"
    index = sa.Index("idx_fails", TABLE.c.id, postgresql_where=sa.literal_column(condition))
    # It cannot be made for rows that are there, nor for deleted ones that a vacuum has not removed.
    connection.execute(sa.text(f"TRUNCATE {TABLE.name} CASCADE"))
    index.create(connection)
    yield "idx_fails"
    index.drop(connection)
    TABLE.indexes.discard(index)


def test_a_row_that_an_index_cannot_take_is_refused_by_the_name_of_the_index(
    client: TestClient, failing_index: str
) -> None:
    for response in (client.post(PATH, json=rows.body()), client.post(ITEMS, json=feature({}))):
        assert_problem(response, 422)
        assert failing_index in response.json()["detail"]
        assert "created_at IS NULL" in response.json()["detail"]


@pytest.fixture
def failing(database: Database) -> TestClient:
    """A client of an application that has an error of PostgreSQL for each error code."""
    app = FastAPI()
    problems.install(app)

    @app.api_route("/{code}", methods=["GET", "POST"])
    def fail(code: str) -> None:
        with database.write() as connection:
            statement = f"DO $$ BEGIN RAISE EXCEPTION 'hidden' USING ERRCODE = '{code}'; END $$"
            connection.exec_driver_sql(statement)

    return TestClient(app, raise_server_exceptions=False)


def test_a_path_that_is_not_there(client: TestClient) -> None:
    assert_problem(client.get("/nowhere/at/all"), 404)


def test_a_method_that_is_not_there(client: TestClient) -> None:
    response = client.delete(PATH)
    assert_problem(response, 405)
    assert "POST" in response.headers["Allow"]


def test_a_body_that_is_too_large(settings: Settings) -> None:
    small = settings.model_copy(update={"max_body_size": 100})
    with TestClient(create_app(small)) as client:
        for body in (b"x" * 101, iter([b"x" * 50] * 3)):
            response = client.post(PATH, content=body)
            assert_problem(response, 413)
            assert "100 bytes" in response.json()["detail"]
            assert response.headers["X-Request-Id"]
        assert_problem(client.post(PATH, content=b"x" * 100), 415)


def test_every_error_of_a_body_is_listed(client: TestClient) -> None:
    response = client.post(PATH, json={"Unknown": 1})
    assert_problem(response, 422)
    errors = response.json()["errors"]
    assert {error["location"] for error in errors} > {"body.Unknown"}
    assert errors[0]["detail"] in response.json()["detail"]


def test_of_many_errors_twenty_are_listed_and_all_are_counted(client: TestClient) -> None:
    members = {f"Unknown{number}": number for number in range(22)}
    for path, body in (
        (PATH, rows.body() | members),
        (f"/collections{PATH}items", feature(members)),
    ):
        response = client.post(path, json=body)
        assert_problem(response, 422)
        assert len(response.json()["errors"]) == 20
        assert "the first of 22 errors" in response.json()["detail"]
        assert response.text.count("Unknown7") == 1


def test_an_object_with_far_more_members_than_columns_is_one_error(client: TestClient) -> None:
    members = {f"Unknown{number}": number for number in range(10_000)}
    row = client.post(PATH, json=rows.body()).json()
    items = f"/collections{PATH}items"
    for method, path, body, place in (
        ("POST", PATH, members, "body"),
        ("PUT", f"{PATH}{row['id']}", members, "body"),
        ("PATCH", f"{PATH}{row['id']}", members, "body"),
        ("POST", items, feature(members), "body.properties"),
        (
            "POST",
            items,
            {"type": "FeatureCollection", "features": [feature({}), feature(members)]},
            "body.features.1.properties",
        ),
        ("PUT", f"{items}/{row['id']}", feature(members), "body.properties"),
        ("PATCH", f"{items}/{row['id']}", {"properties": members}, "body.properties"),
    ):
        response = client.request(method, path, json=body)
        rows.refused(response, place, "members, where a row has")
        assert len(response.content) < 1000


def assert_names(response: Response, constraint: str, column: str | None) -> None:
    """See that the problem names what a row breaks."""
    problem = response.json()
    assert (problem["constraint"], problem.get("column")) == (constraint, column)
    assert constraint in problem["detail"]


def test_a_value_of_a_unique_column_that_another_row_has(client: TestClient) -> None:
    first = client.post(PATH, json=rows.full_body(1)).json()
    for name in rows.UNIQUE:
        response = client.post(PATH, json=rows.full_body(2) | {name: first[name]})
        assert_problem(response, 409)
        assert_names(response, f"uq_{TABLE.name}_{name}", name)
    other = client.post(PATH, json=rows.full_body(2)).json()
    for name in rows.UNIQUE:
        response = client.patch(f"{PATH}{other['id']}", json={name: first[name]})
        assert_problem(response, 409)
        assert_names(response, f"uq_{TABLE.name}_{name}", name)
        assert client.patch(f"{PATH}{first['id']}", json={name: first[name]}).status_code == 200


#: A rule that the second of two rows breaks, added and removed by SQL; the column it is about, and the status.
RULES = {
    "an exclusion": (
        f"ALTER TABLE {TABLE.name} ADD CONSTRAINT a_rule EXCLUDE USING gist ({GEOMETRY.name} WITH &&)",
        f"ALTER TABLE {TABLE.name} DROP CONSTRAINT a_rule",
        GEOMETRY.name,
        409,
    ),
    "a unique index": (
        f"CREATE UNIQUE INDEX a_rule ON {TABLE.name} ((created_at IS NULL))",
        "DROP INDEX a_rule",
        "created_at",
        409,
    ),
    "a foreign key": (
        "CREATE TABLE times AS SELECT now() AS time; ALTER TABLE times ADD PRIMARY KEY (time);"
        f"ALTER TABLE {TABLE.name} ADD CONSTRAINT a_rule"
        " FOREIGN KEY (updated_at) REFERENCES times NOT VALID",
        f"ALTER TABLE {TABLE.name} DROP CONSTRAINT a_rule; DROP TABLE times",
        "updated_at",
        409,
    ),
    "a check": (
        f"ALTER TABLE {TABLE.name} ADD CONSTRAINT a_rule CHECK (created_at < '2000-01-01') NOT VALID",
        f"ALTER TABLE {TABLE.name} DROP CONSTRAINT a_rule",
        # It is not in the model: PostgreSQL names only the constraint.
        None,
        422,
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_a_row_breaks_is_named_with_its_column(
    client: TestClient, connection: sa.Connection, rule: str
) -> None:
    add, remove, column, status = RULES[rule]
    assert client.post(PATH, json=rows.body(1)).status_code == 201
    connection.exec_driver_sql(add)
    try:
        response = client.post(PATH, json=rows.body(2))
    finally:
        connection.exec_driver_sql(remove)
    assert_problem(response, status)
    assert_names(response, "a_rule", column)
    assert rows.count(connection) == 1


def test_a_row_that_another_table_refers_to_is_not_deleted(
    client: TestClient, connection: sa.Connection
) -> None:
    id = client.post(PATH, json=rows.body()).json()["id"]
    connection.exec_driver_sql(
        f"CREATE TABLE visits AS SELECT id AS place FROM {TABLE.name};"
        f" ALTER TABLE visits ADD CONSTRAINT a_rule FOREIGN KEY (place) REFERENCES {TABLE.name}"
    )
    try:
        response = client.delete(f"{PATH}{id}")
    finally:
        connection.exec_driver_sql("DROP TABLE visits")
    assert_problem(response, 409)
    assert_names(response, "a_rule", "id")
    assert client.get(f"{PATH}{id}").status_code == 200


@pytest.mark.parametrize(
    ("using", "named"),
    [("", ""), (" USING ERRCODE = 'check_violation', CONSTRAINT = 'no_sundays'", "no_sundays")],
)
def test_a_row_that_a_trigger_refuses(
    client: TestClient, connection: sa.Connection, using: str, named: str
) -> None:
    id = client.post(PATH, json=rows.body()).json()["id"]
    connection.exec_driver_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'hidden'{using}; END $$;"
        f" CREATE TRIGGER refusing BEFORE INSERT OR UPDATE ON {TABLE.name}"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        for response in (
            client.post(PATH, json=rows.body(2)),
            client.post(ITEMS, json=feature({})),
            client.put(f"{PATH}{id}", json=rows.body(2)),
            client.patch(f"{ITEMS}/{id}", json={"geometry": feature({})["geometry"]}),
        ):
            assert_problem(response, 422)
            assert named in response.json()["detail"]
            assert "hidden" not in response.text
    finally:
        connection.exec_driver_sql("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize(("code", "status"), [(c, s) for c, (s, _) in problems.SQLSTATES.items()])
def test_an_error_code_of_postgresql_has_its_status(
    failing: TestClient, code: str, status: int
) -> None:
    assert_problem(failing.get(f"/{code}"), status)


@pytest.mark.parametrize("code", ["22003", "22P02", "22021"])
def test_a_value_that_postgresql_cannot_store_or_compare_with(
    failing: TestClient, code: str
) -> None:
    assert_problem(failing.post(f"/{code}"), 422)
    assert_problem(failing.get(f"/{code}"), 400)


@pytest.mark.parametrize("code", ["53300", "57P01", "57P03", "53200"])
def test_a_database_that_cannot_serve_now(failing: TestClient, code: str) -> None:
    response = failing.get(f"/{code}")
    assert_problem(response, 503)
    assert response.headers["Retry-After"] == problems.RETRY_AFTER


@pytest.mark.parametrize("code", ["42883", "XX000", "P0004"])
def test_an_error_that_nobody_foresaw_is_logged_and_not_shown(
    failing: TestClient, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    response = failing.get(f"/{code}")
    assert_problem(response, 500)
    assert "hidden" not in response.text
    assert "hidden" in caplog.text


def test_an_exception_that_nobody_foresaw_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def fail() -> None:
        raise ZeroDivisionError("hidden")

    response = TestClient(app, raise_server_exceptions=False).get("/")
    assert_problem(response, 500)
    assert "hidden" not in response.text
    assert "ZeroDivisionError: hidden" in caplog.text


def test_a_dead_database(dead: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    requests = [
        dead.get(PATH),
        dead.post(PATH, json=rows.body()),
        dead.get(f"{PATH}nearby?lon=0&lat=0&radius=1"),
        *(dead.request(method, f"{PATH}{rows.NO_ID}") for method in ("GET", "DELETE")),
        dead.put(f"{PATH}{rows.NO_ID}", json=rows.body()),
        dead.patch(f"{PATH}{rows.NO_ID}", json={}),
    ]
    for response in requests:
        assert_problem(response, 503)
        assert response.headers["Retry-After"] == problems.RETRY_AFTER
        assert "s3cret" not in response.text
    assert "s3cret" not in caplog.text
    assert {record.levelno for record in caplog.records} <= {
        logging.ERROR,
        logging.WARNING,
        logging.INFO,
    }


def test_what_is_wrong_with_a_request_is_said_even_where_the_database_is_dead(
    dead: TestClient,
) -> None:
    assert_problem(dead.get(PATH, params={"limit": 0}), 422)
    assert_problem(dead.post(PATH, json={}), 422)
