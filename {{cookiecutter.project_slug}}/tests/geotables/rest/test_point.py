"""A row given as query parameters, its place as ``lat`` and ``lon``."""

import json
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection
from geotables.geometry import samples

from contract import each, only, writes
from rows import Rows, refused, same_place

pytestmark = [only(lambda collection: collection.geometry_type == "POINT"), writes]


def place(collection: Collection) -> dict[str, float]:
    """The parameters that make the geometry, in the order of its coordinates."""
    lon, lat = samples.middle(collection.geometry)
    return {"lon": lon, "lat": lat} | ({"height": 12.5} if collection.has_z else {})


def query(rows: Rows, number: int = 1, /, **members: Any) -> dict[str, Any]:
    """The parameters of a row: no more than there must be, and the members given."""
    body = rows.body(number)
    del body[rows.collection.geometry.name]
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}
    return texts | place(rows.collection) | members


def test_query_parameters_make_a_row(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    response = client.post(rows.path, params=query(rows))
    assert response.status_code == 201, response.text
    body = response.json()
    point = shapely.Point(*place(rows.collection).values())
    assert same_place(rows.in_wgs84(connection, body[rows.collection.geometry.name]), point)
    assert client.get(rows.at(body[rows.key.name])).json() == body


def test_they_make_the_row_that_a_body_makes(client: TestClient, rows: Rows) -> None:
    name = rows.collection.geometry.name
    point = {"type": "Point", "coordinates": list(place(rows.collection).values())}
    one = client.post(rows.path, params=query(rows, 1)).json()
    other = client.post(rows.path, json=rows.body(2) | {name: point}).json()
    assert one[name] == other[name]
    assert one.keys() == other.keys()


@each("name", place, id=str)
@pytest.mark.parametrize("value", ["x", "", "nan", "inf", "1e999"])
def test_a_wrong_place_is_refused_by_name(
    client: TestClient, connection: sa.Connection, rows: Rows, name: str, value: str
) -> None:
    response = client.post(rows.path, params=query(rows) | {name: value})
    refused(response, f"query.{name}")
    assert rows.count(connection) == 0


@pytest.mark.parametrize(
    ("name", "value"), [("lat", 91), ("lat", -90.1), ("lon", 181), ("lon", -200)]
)
def test_a_place_out_of_range_is_refused_by_name(
    client: TestClient, connection: sa.Connection, rows: Rows, name: str, value: float
) -> None:
    response = client.post(rows.path, params=query(rows) | {name: value})
    refused(response, f"query.{name}")
    assert rows.count(connection) == 0


def test_every_missing_parameter_is_refused_by_name(client: TestClient, rows: Rows) -> None:
    for name in query(rows):
        parameters = query(rows)
        del parameters[name]
        refused(client.post(rows.path, params=parameters), f"query.{name}", "required")


def test_an_unknown_parameter_is_refused_by_name(client: TestClient, rows: Rows) -> None:
    response = client.post(rows.path, params=query(rows, Unknown=1))
    refused(response, "query.Unknown", "not permitted")


def test_null_is_a_body_and_no_row(client: TestClient, rows: Rows) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.post(rows.path, params=query(rows), content=b"null", headers=headers)
    refused(response, "body", "null")


def test_neither_body_nor_parameters_is_refused(client: TestClient, rows: Rows) -> None:
    response = client.post(rows.path)
    assert response.status_code == 422
    assert "lon" in response.json()["detail"]


def test_a_body_and_parameters_are_refused(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    response = client.post(rows.path, params=query(rows), json=rows.body())
    refused(response, "query", "not both")
    assert rows.count(connection) == 0
