"""The plain REST resource: what is sent is stored, read back, changed and removed."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from shapely.geometry.base import BaseGeometry
from sqlalchemy.sql.functions import FunctionElement

from geotables import geometry
from geotables.collection import Collection
from geotables.column_types import values_of
from geotables.geometry import samples

from contract import each, faces, only, writes
from rows import Rows, as_json, same_place

EVERY_GEOMETRY = each(
    "sample",
    lambda collection: samples.geometries(collection.geometry),
    id=lambda sample: sample.geom_type,
)


def created(client: TestClient, rows: Rows, body: dict[str, Any]) -> dict[str, Any]:
    """The row that the service makes of a body."""
    response = client.post(rows.path, json=body)
    assert response.status_code == 201, response.text
    return response.json()


def path(rows: Rows, row: dict[str, Any]) -> str:
    """Where the service has a row."""
    return rows.at(row[rows.key.name])


def attributes(rows: Rows, row: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a row that are shown, as Python values, however its JSON spells them."""
    shown = rows.columns.keys() - {rows.key.name}
    hidden = {name: value for name, value in rows.full_body().items() if name not in shown}
    read = rows.collection.create.model_validate(hidden | row)
    return {name: value for name, value in values_of(read).items() if name in shown}


def moved(sample: BaseGeometry) -> BaseGeometry:
    """The same shape a little further to the north-east."""
    there = shapely.transform(sample, lambda xyz: xyz + 0.001, include_z=sample.has_z)
    return shapely.set_srid(there, shapely.get_srid(sample))


def constant_defaults(collection: Collection) -> list[sa.Column[Any]]:
    """The columns that a client may leave out, but those whose default differs from row to row."""
    rows = Rows.of(collection)
    return [
        column
        for column in rows.writable
        if column.name not in rows.body()
        and column in collection.columns
        and not isinstance(getattr(column.server_default, "arg", None), FunctionElement)
    ]


def json_columns(collection: Collection) -> list[sa.Column[Any]]:
    """The columns whose values are JSON."""
    return [
        column
        for column in Rows.of(collection).writable
        if isinstance(column.type, sa.JSON) and column in collection.columns
    ]


def has_timestamps(collection: Collection) -> bool:
    """Whether the database sets the times at which a row was added and changed."""
    return Rows.of(collection).has_timestamps


def geojson(_rows: Rows, sample: BaseGeometry, _connection: sa.Connection) -> Any:
    return as_json(sample)


def wkt(rows: Rows, sample: BaseGeometry, connection: sa.Connection) -> Any:
    stored = geometry.bind(sample, rows.collection.crs.srid)
    return connection.scalar(sa.select(sa.func.ST_AsText(stored, type_=sa.Text())))


def ewkt(_rows: Rows, sample: BaseGeometry, _connection: sa.Connection) -> Any:
    return f"SRID={shapely.get_srid(sample)};{sample.wkt}"


@writes
@EVERY_GEOMETRY
@pytest.mark.parametrize("written", [geojson, wkt, ewkt])
def test_geometry_comes_back_as_it_was_sent(
    client: TestClient,
    connection: sa.Connection,
    rows: Rows,
    sample: BaseGeometry,
    written: Callable[[Rows, BaseGeometry, sa.Connection], Any],
) -> None:
    name = rows.collection.geometry.name
    row = created(client, rows, rows.body() | {name: written(rows, sample, connection)})
    assert same_place(rows.in_wgs84(connection, row[name]), sample)
    assert client.get(path(rows, row)).json() == row


@writes
@EVERY_GEOMETRY
def test_geometry_is_written_in_the_format_of_the_service(
    client: TestClient, rows: Rows, sample: BaseGeometry
) -> None:
    name = rows.collection.geometry.name
    given = created(client, rows, rows.body(**{name: sample}))[name]
    if rows.collection.format.is_json:
        # RFC 7946 has removed the member "crs".
        assert given.keys() <= {"type", "coordinates", "geometries"}
        assert given["type"] == sample.geom_type
    else:
        assert shapely.from_wkt(given).geom_type == sample.geom_type


@writes
def test_every_attribute_comes_back_as_it_was_sent(client: TestClient, rows: Rows) -> None:
    row = created(client, rows, rows.full_body(3))
    assert list(row) == [column.name for column in rows.collection.columns]
    assert attributes(rows, row) == attributes(rows, rows.full_body(3))


@writes
def test_the_location_header_leads_to_the_new_row(client: TestClient, rows: Rows) -> None:
    response = client.post(rows.path, json=rows.body())
    row = response.json()
    assert urlsplit(response.headers["Location"]).path == path(rows, row)
    assert client.get(response.headers["Location"]).json() == row


@writes
def test_links_lead_through_the_prefix_that_a_proxy_takes_off(
    client: TestClient, rows: Rows
) -> None:
    prefixed = TestClient(client.app, "https://example.org:8443", root_path="/geo")
    response = prefixed.post(f"/geo{rows.path}", json=rows.body())
    location = response.headers["Location"]
    assert location == f"https://example.org:8443/geo{path(rows, response.json())}"
    assert prefixed.get(location).json() == response.json()


@writes
@faces("features")
def test_links_of_a_feature_lead_through_the_prefix_that_a_proxy_takes_off(
    client: TestClient, rows: Rows
) -> None:
    prefixed = TestClient(client.app, "https://example.org:8443", root_path="/geo")
    id = prefixed.post(f"/geo{rows.path}", json=rows.body()).json()[rows.key.name]
    links = prefixed.get(f"/geo{rows.item(id)}").json()["links"]
    assert links
    for link in links:
        assert link["href"].startswith(f"https://example.org:8443/geo{rows.collection_path}")


def test_plain_sql_needs_only_what_has_no_default(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    rows.insert(connection, rows.spread(1), names=rows.required)
    (id,) = connection.scalars(sa.select(rows.key))
    row = client.get(rows.at(id)).json()
    assert row.keys() == {column.name for column in rows.collection.columns}


@writes
@each("column", constant_defaults, id=lambda column: column.name)
def test_what_is_left_out_gets_the_default_of_the_database(
    client: TestClient, connection: sa.Connection, rows: Rows, column: sa.Column[Any]
) -> None:
    rows.insert(connection, rows.spread(1), names=rows.required)
    plain = client.get(rows.at(connection.scalar(sa.select(rows.key)))).json()
    posted = created(client, rows, rows.body(1))
    assert posted[column.name] == plain[column.name]


@writes
def test_an_id_is_not_taken_from_a_client(client: TestClient, rows: Rows) -> None:
    first = created(client, rows, rows.body(1))
    second = created(client, rows, first | rows.full_body(2))
    assert second[rows.key.name] != first[rows.key.name]


@writes
@only(has_timestamps)
def test_times_of_a_row_are_not_taken_from_a_client(client: TestClient, rows: Rows) -> None:
    first = created(client, rows, rows.body(1))
    second = created(client, rows, first | rows.full_body(2))
    assert second["created_at"] > first["created_at"]
    assert second["updated_at"] == second["created_at"]


@writes
def test_put_replaces_a_row(client: TestClient, connection: sa.Connection, rows: Rows) -> None:
    name = rows.collection.geometry.name
    before = created(client, rows, rows.full_body(2))
    there = moved(samples.geometries(rows.collection.geometry)[0])
    body = rows.full_change(3) | {name: as_json(there)}
    response = client.put(path(rows, before), json=body)
    after = response.json()
    assert response.status_code == 200
    assert attributes(rows, after) == attributes(rows, rows.full_body(3))
    assert same_place(rows.in_wgs84(connection, after[name]), there)
    assert after[rows.key.name] == before[rows.key.name]
    assert client.get(path(rows, before)).json() == after


@writes
@only(has_timestamps)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_sets_the_time_of_the_last_change_alone(
    client: TestClient, rows: Rows, method: str
) -> None:
    before = created(client, rows, rows.full_body(2))
    after = client.request(method, path(rows, before), json=rows.full_change(3)).json()
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


@writes
@each("column", constant_defaults, id=lambda column: column.name)
def test_put_returns_what_is_left_out_to_its_default(
    client: TestClient, rows: Rows, column: sa.Column[Any]
) -> None:
    fresh = created(client, rows, rows.body(2))
    row = created(client, rows, rows.full_body(3))
    after = client.put(path(rows, row), json=rows.change(4)).json()
    assert after[column.name] == fresh[column.name]


@writes
def test_patch_changes_what_it_names(client: TestClient, rows: Rows) -> None:
    row = created(client, rows, rows.full_body(2))
    for name, value in rows.full_change(3).items():
        response = client.patch(path(rows, row), json={name: value})
        assert response.status_code == 200, response.text
        after = response.json()
        changed = {each for each in after if after[each] != row[each]}
        assert changed <= {name, *rows.collection.read_only}
        row = after
    assert attributes(rows, row) == attributes(rows, rows.full_body(3))


@writes
@only(has_timestamps)
def test_each_patch_sets_the_time_of_the_last_change(client: TestClient, rows: Rows) -> None:
    row = created(client, rows, rows.full_body(2))
    for name, value in rows.full_change(3).items():
        after = client.patch(path(rows, row), json={name: value}).json()
        assert after["updated_at"] > row["updated_at"]
        row = after


@writes
@EVERY_GEOMETRY
def test_patch_replaces_the_geometry(
    client: TestClient, connection: sa.Connection, rows: Rows, sample: BaseGeometry
) -> None:
    name = rows.collection.geometry.name
    row = created(client, rows, rows.body())
    patch = {name: ewkt(rows, moved(sample), connection)}
    after = client.patch(path(rows, row), json=patch).json()
    assert same_place(rows.in_wgs84(connection, after[name]), moved(sample))


@writes
@pytest.mark.parametrize("value", [0, None, "never"])
def test_patch_of_what_the_database_sets_changes_nothing(
    client: TestClient, rows: Rows, value: Any
) -> None:
    row = created(client, rows, rows.full_body())
    patch = dict.fromkeys(rows.collection.read_only, value)
    assert client.patch(path(rows, row), json=patch).json() == row


@writes
@pytest.mark.parametrize("patch", [{}, {"Unknown": None}])
def test_patch_that_names_nothing_of_the_client_changes_nothing(
    client: TestClient, rows: Rows, patch: dict[str, Any]
) -> None:
    row = created(client, rows, rows.full_body())
    assert client.patch(path(rows, row), json=patch).json() == row


@writes
@each("column", constant_defaults, id=lambda column: column.name)
def test_patch_with_null_returns_a_member_to_its_default(
    client: TestClient, rows: Rows, column: sa.Column[Any]
) -> None:
    fresh = created(client, rows, rows.body(2))
    row = created(client, rows, rows.full_body(3))
    after = client.patch(path(rows, row), json={column.name: None}).json()
    assert after[column.name] == fresh[column.name]


@writes
def test_patch_with_null_cannot_remove_what_is_required(client: TestClient, rows: Rows) -> None:
    row = created(client, rows, rows.full_body())
    for name in rows.required_members:
        response = client.patch(path(rows, row), json={name: None})
        assert response.status_code == 422
        assert response.json()["errors"][0]["location"] == f"body.{name}"
    assert client.get(path(rows, row)).json() == row


@writes
@each("column", json_columns, id=lambda column: column.name)
def test_patch_reaches_into_json(
    unconstrained: TestClient, rows: Rows, column: sa.Column[Any]
) -> None:
    client = unconstrained
    row = created(client, rows, rows.full_body(**{column.name: {"number": 1}}))
    for patch in ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}, "number": None}):
        row = client.patch(path(rows, row), json={column.name: patch}).json()
    assert row[column.name] == {"a": {"c": 2}}


@writes
def test_delete_removes_a_row(client: TestClient, connection: sa.Connection, rows: Rows) -> None:
    kept, removed = (created(client, rows, rows.body(number)) for number in (1, 2))
    response = client.delete(path(rows, removed))
    assert (response.status_code, response.content) == (204, b"")
    assert client.get(path(rows, removed)).status_code == 404
    assert client.get(path(rows, kept)).json() == kept
    assert rows.count(connection) == 1


@writes
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_row_that_is_not_there_is_not_found(client: TestClient, rows: Rows, method: str) -> None:
    body = rows.change() if method in ("PUT", "PATCH") else None
    response = client.request(method, rows.at(rows.no_id), json=body)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert str(rows.no_id) in response.json()["detail"]
