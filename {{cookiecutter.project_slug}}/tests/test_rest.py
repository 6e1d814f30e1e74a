"""The plain REST resource: what is sent is stored, read back, changed and removed."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import rows
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rows import COLLECTION, CREATE, GEOMETRY, NO_ID, PATH, STORAGE, TABLE
from shapely.geometry.base import BaseGeometry
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.functions import FunctionElement

from geotables import geometry
from geotables.geometry import samples
from geotables.http import merge_patch

EVERY_GEOMETRY = pytest.mark.parametrize(
    "sample", samples.geometries(GEOMETRY), ids=lambda sample: sample.geom_type
)


def created(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    """The row that the service makes of a body."""
    response = client.post(PATH, json=body)
    assert response.status_code == 201, response.text
    return response.json()


def attributes(row: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a row as Python values, however its JSON spells them."""
    read = CREATE.model_validate(row)
    return read.model_dump(exclude={GEOMETRY.name})


def moved(sample: BaseGeometry) -> BaseGeometry:
    """The same shape a little further to the north-east."""
    there = shapely.transform(sample, lambda xyz: xyz + 0.001, include_z=sample.has_z)
    return shapely.set_srid(there, shapely.get_srid(sample))


def constant_defaults() -> list[sa.Column[Any]]:
    """The columns that a client may leave out, but those whose default differs from row to row."""
    return [
        column
        for column in rows.WRITABLE
        if column.name not in rows.body()
        and not isinstance(getattr(column.server_default, "arg", None), FunctionElement)
    ]


def geojson(sample: BaseGeometry, _connection: sa.Connection) -> Any:
    return rows.as_json(sample)


def wkt(sample: BaseGeometry, connection: sa.Connection) -> Any:
    stored = geometry.bind(sample, STORAGE.srid)
    return connection.scalar(sa.select(sa.func.ST_AsText(stored, type_=sa.Text())))


def ewkt(sample: BaseGeometry, _connection: sa.Connection) -> Any:
    return f"SRID={shapely.get_srid(sample)};{sample.wkt}"


@EVERY_GEOMETRY
@pytest.mark.parametrize("written", [geojson, wkt, ewkt])
def test_geometry_comes_back_as_it_was_sent(
    client: TestClient, connection: sa.Connection, sample: BaseGeometry, written: Any
) -> None:
    row = created(client, rows.body() | {GEOMETRY.name: written(sample, connection)})
    assert rows.same_place(rows.in_wgs84(connection, row[GEOMETRY.name]), sample)
    assert client.get(f"{PATH}{row['id']}").json() == row


@EVERY_GEOMETRY
def test_geometry_is_written_in_the_format_of_the_service(
    client: TestClient, sample: BaseGeometry
) -> None:
    given = created(client, rows.body(**{GEOMETRY.name: sample}))[GEOMETRY.name]
    if COLLECTION.format.is_json:
        # RFC 7946 has removed the member "crs".
        assert given.keys() <= {"type", "coordinates", "geometries"}
        assert given["type"] == sample.geom_type
    else:
        assert shapely.from_wkt(given).geom_type == sample.geom_type


def test_every_attribute_comes_back_as_it_was_sent(client: TestClient) -> None:
    row = created(client, rows.full_body(3))
    assert list(row) == TABLE.columns.keys()
    assert attributes(row) == attributes(rows.full_body(3))


def test_the_location_header_leads_to_the_new_row(client: TestClient) -> None:
    response = client.post(PATH, json=rows.body())
    row = response.json()
    assert urlsplit(response.headers["Location"]).path == f"{PATH}{row['id']}"
    assert client.get(response.headers["Location"]).json() == row


def test_links_lead_through_the_prefix_that_a_proxy_takes_off(client: TestClient) -> None:
    prefixed = TestClient(client.app, "https://example.org:8443", root_path="/geo")
    response = prefixed.post(f"/geo{PATH}", json=rows.body())
    id, location = response.json()["id"], response.headers["Location"]
    assert location == f"https://example.org:8443/geo{PATH}{id}"
    assert prefixed.get(location).json() == response.json()
    for link in prefixed.get(f"/geo/collections{PATH}items/{id}").json()["links"]:
        assert link["href"].startswith(f"https://example.org:8443/geo/collections{PATH[:-1]}")


def test_plain_sql_needs_only_what_has_no_default(
    client: TestClient, connection: sa.Connection
) -> None:
    rows.insert(connection, rows.spread(1), names=rows.REQUIRED)
    (id,) = connection.scalars(sa.select(TABLE.c.id))
    assert client.get(f"{PATH}{id}").json().keys() == set(TABLE.columns.keys())


def test_what_is_left_out_gets_the_default_of_the_database(
    client: TestClient, connection: sa.Connection
) -> None:
    rows.insert(connection, rows.spread(1), names=rows.REQUIRED)
    plain = client.get(f"{PATH}{connection.scalar(sa.select(TABLE.c.id))}").json()
    posted = created(client, rows.body(1))
    for column in constant_defaults():
        assert posted[column.name] == plain[column.name]


def test_what_the_service_says_of_a_row_is_not_taken_from_a_client(client: TestClient) -> None:
    first = created(client, rows.body(1))
    second = created(client, first | rows.full_body(2))
    assert second["id"] != first["id"]
    assert second["created_at"] > first["created_at"]
    assert second["updated_at"] == second["created_at"]


def test_put_replaces_a_row(client: TestClient, connection: sa.Connection) -> None:
    before = created(client, rows.full_body(2))
    there = moved(samples.geometries(GEOMETRY)[0])
    body = rows.full_body(3) | {GEOMETRY.name: rows.as_json(there)}
    response = client.put(f"{PATH}{before['id']}", json=body)
    after = response.json()
    assert response.status_code == 200
    assert attributes(after) == attributes(rows.full_body(3))
    assert rows.same_place(rows.in_wgs84(connection, after[GEOMETRY.name]), there)
    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])
    assert after["updated_at"] > before["updated_at"]
    assert client.get(f"{PATH}{before['id']}").json() == after


def test_put_returns_what_is_left_out_to_its_default(client: TestClient) -> None:
    fresh = created(client, rows.body(2))
    row = created(client, rows.full_body(3))
    after = client.put(f"{PATH}{row['id']}", json=rows.body(4)).json()
    for column in constant_defaults():
        assert after[column.name] == fresh[column.name]


def test_patch_changes_what_it_names(client: TestClient) -> None:
    row = created(client, rows.full_body(2))
    for name, value in rows.full_body(3).items():
        response = client.patch(f"{PATH}{row['id']}", json={name: value})
        assert response.status_code == 200, response.text
        after = response.json()
        assert {each for each in after if after[each] != row[each]} <= {name, "updated_at"}
        assert after["updated_at"] > row["updated_at"]
        row = after
    assert attributes(row) == attributes(rows.full_body(3))


@EVERY_GEOMETRY
def test_patch_replaces_the_geometry(
    client: TestClient, connection: sa.Connection, sample: BaseGeometry
) -> None:
    row = created(client, rows.body())
    patch = {GEOMETRY.name: ewkt(moved(sample), connection)}
    after = client.patch(f"{PATH}{row['id']}", json=patch).json()
    assert rows.same_place(rows.in_wgs84(connection, after[GEOMETRY.name]), moved(sample))


@pytest.mark.parametrize(
    "patch", [{}, {"id": 0, "created_at": None, "updated_at": "never"}, {"Unknown": None}]
)
def test_patch_that_names_nothing_of_the_client_changes_nothing(
    client: TestClient, patch: dict[str, Any]
) -> None:
    row = created(client, rows.full_body())
    assert client.patch(f"{PATH}{row['id']}", json=patch).json() == row


def test_patch_with_null_returns_a_member_to_its_default(client: TestClient) -> None:
    fresh = created(client, rows.body(2))
    row = created(client, rows.full_body(3))
    for column in constant_defaults():
        row = client.patch(f"{PATH}{row['id']}", json={column.name: None}).json()
        assert row[column.name] == fresh[column.name]


def test_patch_with_null_cannot_remove_what_is_required(client: TestClient) -> None:
    row = created(client, rows.full_body())
    for name in rows.body():
        response = client.patch(f"{PATH}{row['id']}", json={name: None})
        assert response.status_code == 422
        assert response.json()["errors"][0]["location"] == f"body.{name}"
    assert client.get(f"{PATH}{row['id']}").json() == row


def test_patch_reaches_into_json(unconstrained: TestClient) -> None:
    client = unconstrained
    row = created(client, rows.full_body())
    for column in rows.WRITABLE:
        if isinstance(column.type, JSONB):
            for patch in ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}, "number": None}):
                row = client.patch(f"{PATH}{row['id']}", json={column.name: patch}).json()
            assert row[column.name] == {"a": {"c": 2}}


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        # RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, merged: Any) -> None:
    assert merge_patch.merge(target, patch) == merged


def test_delete_removes_a_row(client: TestClient, connection: sa.Connection) -> None:
    kept, removed = (created(client, rows.body(number)) for number in (1, 2))
    response = client.delete(f"{PATH}{removed['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert client.get(f"{PATH}{removed['id']}").status_code == 404
    assert client.get(f"{PATH}{kept['id']}").json() == kept
    assert rows.count(connection) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_row_that_is_not_there_is_not_found(client: TestClient, method: str) -> None:
    body = rows.body() if method in ("PUT", "PATCH") else None
    response = client.request(method, f"{PATH}{NO_ID}", json=body)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert str(NO_ID) in response.json()["detail"]
