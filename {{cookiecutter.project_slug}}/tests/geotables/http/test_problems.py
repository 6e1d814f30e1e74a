"""Errors are problem details (RFC 9457), and never tell how the service works inside."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy.dialects import postgresql

from geotables.collection import Collection
from geotables.db.database import Database
from geotables.geometry import samples
from geotables.http import problems
from geotables.identifiers import named_in, quoted
from geotables.service import Service

from contract import each, faces, writes
from rows import Rows, as_json, refused


def assert_problem(response: Response, status: int) -> None:
    """See that a response is a problem, and no more than one."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] and problem["title"] and problem["detail"]
    for word in ("Traceback", "psycopg2", "sqlalchemy", "SELECT", "INSERT", ".py"):
        assert word not in response.text


def feature(rows: Rows, properties: dict[str, Any]) -> dict[str, Any]:
    """A feature that could be stored without some of its properties."""
    row = rows.body()
    geometry = row.pop(rows.collection.geometry.name)
    return {"type": "Feature", "geometry": geometry, "properties": row | properties}


@pytest.fixture
def dead(service: Service) -> Iterator[TestClient]:
    """A client of an application whose database is not there."""
    settings = service.settings(
        _env_file=None, database_url="postgresql://nobody:s3cret@127.0.0.1:1/nothing"
    )
    with TestClient(service.create_app(settings)) as client:
        yield client


@pytest.fixture
def failing_index(rows: Rows, connection: sa.Connection) -> Iterator[str]:
    """The name of an index whose condition divides by zero for every row."""
    condition = f"1 / (CASE WHEN {rows.key_sql} IS NULL THEN 1 ELSE 0 END) > 0"
    index = sa.Index("idx_fails", rows.key, postgresql_where=sa.literal_column(condition))
    # It cannot be made for rows that are there, nor for deleted ones that a vacuum has not removed.
    connection.execute(sa.text(f"TRUNCATE {rows.sql} CASCADE"))
    index.create(connection)
    yield "idx_fails"
    index.drop(connection)
    rows.table.indexes.discard(index)


@writes
@faces("rest", "features")
def test_a_row_that_an_index_cannot_take_is_refused_by_the_name_of_the_index(
    rows: Rows, client: TestClient, failing_index: str
) -> None:
    for response in (
        client.post(rows.path, json=rows.body()),
        client.post(rows.items, json=feature(rows, {})),
    ):
        assert_problem(response, 422)
        assert failing_index in response.json()["detail"]
        assert f"{rows.key_sql} IS NULL" in response.json()["detail"]


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


@faces("rest")
def test_a_method_that_is_not_there(any_rows: Rows, client: TestClient) -> None:
    response = client.delete(any_rows.path)
    assert_problem(response, 405)
    assert "POST" in response.headers["Allow"]


@faces("rest")
def test_a_body_that_is_too_large(any_rows: Rows, serve: Callable[..., TestClient]) -> None:
    client = serve(max_body_size=100)
    for body in (b"x" * 101, iter([b"x" * 50] * 3)):
        response = client.post(any_rows.path, content=body)
        assert_problem(response, 413)
        assert "100 bytes" in response.json()["detail"]
        assert response.headers["X-Request-Id"]
    assert_problem(client.post(any_rows.path, content=b"x" * 100), 415)


@faces("rest")
def test_every_error_of_a_body_is_listed(any_rows: Rows, client: TestClient) -> None:
    response = client.post(any_rows.path, json={"Unknown": 1, "Strange": 2})
    assert_problem(response, 422)
    errors = response.json()["errors"]
    missing = {f"body.{name}" for name in any_rows.required_members}
    assert {error["location"] for error in errors} == {"body.Unknown", "body.Strange"} | missing
    assert errors[0]["detail"] in response.json()["detail"]


@faces("rest", "features")
def test_of_many_errors_twenty_are_listed_and_all_are_counted(
    any_rows: Rows, client: TestClient
) -> None:
    members = {f"Unknown{number}": number for number in range(22)}
    for path, body in (
        (any_rows.path, any_rows.body() | members),
        (any_rows.items, feature(any_rows, members)),
    ):
        response = client.post(path, json=body)
        assert_problem(response, 422)
        assert len(response.json()["errors"]) == 20
        assert "the first of 22 errors" in response.json()["detail"]
        assert response.text.count("Unknown7") == 1


@faces("rest", "features")
def test_an_object_with_far_more_members_than_columns_is_one_error(
    any_rows: Rows, client: TestClient
) -> None:
    members = {f"Unknown{number}": number for number in range(10_000)}
    row = client.post(any_rows.path, json=any_rows.body()).json()
    for method, path, body, place in (
        ("POST", any_rows.path, members, "body"),
        ("PUT", any_rows.at(row[any_rows.key.name]), members, "body"),
        ("PATCH", any_rows.at(row[any_rows.key.name]), members, "body"),
        ("POST", any_rows.items, feature(any_rows, members), "body.properties"),
        (
            "POST",
            any_rows.items,
            {
                "type": "FeatureCollection",
                "features": [feature(any_rows, {}), feature(any_rows, members)],
            },
            "body.features.1.properties",
        ),
        (
            "PUT",
            any_rows.item(row[any_rows.key.name]),
            feature(any_rows, members),
            "body.properties",
        ),
        (
            "PATCH",
            any_rows.item(row[any_rows.key.name]),
            {"properties": members},
            "body.properties",
        ),
    ):
        response = client.request(method, path, json=body)
        refused(response, place, "members, where a row has")
        assert len(response.content) < 1000


def assert_names(response: Response, constraint: str, column: str | None) -> None:
    """See that the problem names what a row breaks."""
    problem = response.json()
    assert (problem["constraint"], problem.get("column")) == (constraint, column)
    assert constraint in problem["detail"]


def unique_columns(collection: Collection) -> dict[str, sa.UniqueConstraint]:
    """The constraints by the one column whose values are unique."""
    return {
        constraint.columns[0].name: constraint
        for constraint in collection.table.constraints
        if isinstance(constraint, sa.UniqueConstraint) and len(constraint.columns) == 1
    }


@writes
@faces("rest")
@each("unique", unique_columns)
def test_a_value_of_a_unique_column_that_another_row_has(
    rows: Rows, client: TestClient, unique: sa.UniqueConstraint
) -> None:
    name = unique.columns[0].name
    preparer = postgresql.dialect(paramstyle="named").identifier_preparer
    (constraint,) = named_in(preparer.format_constraint(unique))
    first = client.post(rows.path, json=rows.full_body(1)).json()
    response = client.post(rows.path, json=rows.full_body(2) | {name: first[name]})
    assert_problem(response, 409)
    assert_names(response, constraint, name)
    other = client.post(rows.path, json=rows.full_body(2)).json()
    response = client.patch(rows.at(other[rows.key.name]), json={name: first[name]})
    assert_problem(response, 409)
    assert_names(response, constraint, name)
    own = client.patch(rows.at(first[rows.key.name]), json={name: first[name]})
    assert own.status_code == 200


class Rule(NamedTuple):
    """A rule that the second of two rows breaks.

    Attributes:
        add: Adds it, in SQL.
        remove: Removes it.
        column: The one that it is about, if PostgreSQL tells it.
        status: What the row is answered with.
    """

    add: str
    remove: str
    column: str | None
    status: int


RULES: dict[str, Callable[[Rows], Rule]] = {
    "an exclusion": lambda rows: Rule(
        f"ALTER TABLE {rows.sql} ADD CONSTRAINT a_rule EXCLUDE USING gist ({rows.geometry_sql} WITH &&)",
        f"ALTER TABLE {rows.sql} DROP CONSTRAINT a_rule",
        rows.collection.geometry.name,
        409,
    ),
    "a unique index": lambda rows: Rule(
        f"CREATE UNIQUE INDEX a_rule ON {rows.sql} (({rows.key_sql} IS NULL))",
        f"DROP INDEX {quoted(rows.table.schema) + '.' if rows.table.schema else ''}a_rule",
        rows.key.name,
        409,
    ),
    "a foreign key": lambda rows: Rule(
        f"CREATE TABLE others AS SELECT {rows.key_sql} AS id FROM {rows.sql} WHERE false;"
        " ALTER TABLE others ADD PRIMARY KEY (id);"
        f" ALTER TABLE {rows.sql} ADD CONSTRAINT a_rule"
        f" FOREIGN KEY ({rows.key_sql}) REFERENCES others NOT VALID",
        f"ALTER TABLE {rows.sql} DROP CONSTRAINT a_rule; DROP TABLE others",
        rows.key.name,
        409,
    ),
    "a check": lambda rows: Rule(
        f"ALTER TABLE {rows.sql} ADD CONSTRAINT a_rule CHECK ({rows.key_sql} IS NULL) NOT VALID",
        f"ALTER TABLE {rows.sql} DROP CONSTRAINT a_rule",
        # It is not in the model: PostgreSQL names only the constraint.
        None,
        422,
    ),
}


@writes
@faces("rest")
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_a_row_breaks_is_named_with_its_column(
    rows: Rows, client: TestClient, connection: sa.Connection, rule: str
) -> None:
    add, remove, column, status = RULES[rule](rows)
    assert client.post(rows.path, json=rows.body(1)).status_code == 201
    connection.exec_driver_sql(add)
    try:
        response = client.post(rows.path, json=rows.body(2))
    finally:
        connection.exec_driver_sql(remove)
    assert_problem(response, status)
    assert_names(response, "a_rule", column)
    assert rows.count(connection) == 1


@writes
@faces("rest")
def test_a_row_that_another_table_refers_to_is_not_deleted(
    rows: Rows, client: TestClient, connection: sa.Connection
) -> None:
    id = client.post(rows.path, json=rows.body()).json()[rows.key.name]
    connection.exec_driver_sql(
        f"CREATE TABLE visits AS SELECT {rows.key_sql} AS place FROM {rows.sql};"
        f" ALTER TABLE visits ADD CONSTRAINT a_rule FOREIGN KEY (place) REFERENCES {rows.sql}"
    )
    try:
        response = client.delete(rows.at(id))
    finally:
        connection.exec_driver_sql("DROP TABLE visits")
    assert_problem(response, 409)
    assert_names(response, "a_rule", rows.key.name)
    assert client.get(rows.at(id)).status_code == 200


@writes
@faces("rest", "features")
@pytest.mark.parametrize(
    ("using", "named"),
    [("", ""), (" USING ERRCODE = 'check_violation', CONSTRAINT = 'no_sundays'", "no_sundays")],
)
def test_a_row_that_a_trigger_refuses(
    rows: Rows, client: TestClient, connection: sa.Connection, using: str, named: str
) -> None:
    id = client.post(rows.path, json=rows.body()).json()[rows.key.name]
    lon, lat = samples.middle(rows.collection.geometry)
    elsewhere = samples.geometries(rows.collection.geometry, (lon + 1e-3, lat))[0]
    connection.exec_driver_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'hidden'{using}; END $$;"
        f" CREATE TRIGGER refusing BEFORE INSERT OR UPDATE ON {rows.sql}"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        for response in (
            client.post(rows.path, json=rows.body(2)),
            client.post(rows.items, json=feature(rows, {})),
            client.put(rows.at(id), json=rows.change(2)),
            client.patch(rows.item(id), json={"geometry": as_json(elsewhere)}),
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


@faces("ogc")
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


@faces("rest")
def test_a_dead_database(
    any_rows: Rows, dead: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [
        dead.get(any_rows.path),
        dead.post(any_rows.path, json=any_rows.body()),
        dead.get(f"{any_rows.path}nearby?lon=0&lat=0&radius=1"),
        *(dead.request(method, any_rows.at(any_rows.no_id)) for method in ("GET", "DELETE")),
        dead.put(any_rows.at(any_rows.no_id), json=any_rows.change()),
        dead.patch(any_rows.at(any_rows.no_id), json={}),
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


@faces("rest")
def test_what_is_wrong_with_a_request_is_said_even_where_the_database_is_dead(
    any_rows: Rows,
    dead: TestClient,
) -> None:
    assert_problem(dead.get(any_rows.path, params={"limit": 0}), 422)
    assert_problem(dead.post(any_rows.path, json={"Unknown": 1}), 422)
