"""What cannot be stored is refused with the place and the reason, and nothing of it is stored."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from shapely.geometry.base import BaseGeometry

from geotables.collection import Collection
from geotables.crs import WORLD
from geotables.geometry import samples

from contract import each, only, writes
from rows import Rows, as_json, integer_bits, refused

pytestmark = writes

#: Where a shape of a type crosses itself, or has no length.
INVALID = {
    "LINESTRING": "LINESTRING (0 0, 0 0)",
    "POLYGON": "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))",
    "MULTILINESTRING": "MULTILINESTRING ((0 0, 1 1), (2 2, 2 2))",
    "MULTIPOLYGON": "MULTIPOLYGON (((0 0, 2 0, 2 2, 0 2, 0 0)), ((1 1, 3 1, 3 3, 1 3, 1 1)))",
    "GEOMETRYCOLLECTION": "GEOMETRYCOLLECTION (POINT (0 0), POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0)))",
    "GEOMETRY": "POLYGON ((0 0, 3 0, 3 3, 0 3, 0 0), (1 1, 5 1, 5 2, 1 2, 1 1))",
}


class Wrong(NamedTuple):
    """What a client sends as a geometry, and a word of the reason for which it is refused."""

    value: Any
    reason: str


def placed(collection: Collection, wkt: str) -> Any:
    """The GeoJSON of a shape in the middle of the CRS, in the dimension of the column."""
    lon, lat = samples.middle(collection.geometry)
    shape = shapely.transform(shapely.from_wkt(wkt), lambda xy: xy / 1000 + (lon, lat))
    return as_json(shapely.force_3d(shape, 10.0) if collection.has_z else shape)


def at(collection: Collection, lon: float, lat: float) -> Any:
    """The GeoJSON of a sample somewhere else."""
    return as_json(samples.geometries(collection.geometry, (lon, lat))[0])


def with_first_number(sample: BaseGeometry, number: Any) -> Any:
    """The GeoJSON of a sample with another number in the place of its first."""
    text = json.dumps(as_json(sample))
    first = json.dumps(shapely.get_coordinates(sample)[0, 0])
    return json.loads(text.replace(first, json.dumps(number), 1))


def wrong_geometries(collection: Collection) -> dict[str, Wrong]:
    """Geometries that the column cannot store, by what they are."""
    cases = list(_wrong_geometries(collection))
    wrong = {name: Wrong(value, reason) for name, value, reason in cases}
    assert len(wrong) == len(cases), "two have the same name"
    return wrong


def _wrong_geometries(collection: Collection) -> Iterator[tuple[str, Any, str]]:
    kind, crs = collection.geometry_type, collection.crs
    sample = samples.geometries(collection.geometry)[0]
    another = f"column stores {kind}"
    given = as_json(sample)
    if kind in INVALID:
        yield "invalid", placed(collection, INVALID[kind]), "invalid geometry"
    for name, shape in samples.SHAPES.items():
        if kind not in (name, "GEOMETRY"):
            yield f"a {name}", placed(collection, shape), another
        elif name == "GEOMETRYCOLLECTION":
            yield "empty collection", {"type": "GeometryCollection", "geometries": []}, "empty"
            for inner in ("MULTIPOINT ((0 0), EMPTY)", "POINT (0 0), MULTILINESTRING (EMPTY)"):
                yield f"empty {inner}", f"{name} ({inner})", "an empty geometry"
            inside = placed(collection, shape)
            deeper = {"type": "GeometryCollection", "geometries": [inside]}
            reason = "a GeometryCollection within a GeometryCollection"
            yield "nested collection", deeper, reason
            beside = [*inside["geometries"], deeper]
            yield "nested collection beside others", deeper | {"geometries": beside}, reason
        empty = "an empty geometry" if kind in (name, "GEOMETRY") else another
        yield f"{name} EMPTY", f"{name} EMPTY", empty
    flat = not sample.has_z
    other = shapely.force_3d(sample, 1.0) if flat else shapely.force_2d(sample)
    yield "another dimension", as_json(other), "dimension"
    takes_points = kind in ("POINT", "GEOMETRY")
    yield "a measure", "POINT M (0 0 1)", "measure" if takes_points else another
    nowhere = "POINT (nan nan)" if flat else "POINT Z (nan nan 1)"
    yield "NaN in WKT", nowhere, "NaN or infinite" if takes_points else another
    curve, curved = "CIRCULARSTRING (0 0, 1 1, 2 0)", "Nonlinear geometry types are not"
    yield "a curve", curve, curved
    yield "a collection of curves", f"GEOMETRYCOLLECTION ({curve})", curved
    yield "a ring", "LINEARRING (0 0, 1 1, 1 0, 0 0)", "a LinearRing"
    for number in (float("nan"), float("inf"), -float("inf"), "0", None, True, [0], 10**400):
        yield f"the coordinate {number!s:.10}", with_first_number(sample, number), "malformed"
    # The ring of a polygon is not closed then.
    reason = "malformed" if "POLYGON" in kind else "out of range"
    yield "the coordinate 1e300", with_first_number(sample, 1e300), reason
    for lon, lat in ((200, 0), (-180.1, 0), (0, 91), (0, -90.1)):
        yield f"longitude {lon}, latitude {lat}", at(collection, lon, lat), "out of range"
    for lon, lat in ((-100, 60), (100, -60), (-100, -30), (100, 30), (0, 0)):
        if not crs.domain.contain(np.array([(lon, lat)])):
            yield f"outside of the CRS {lon} {lat}", at(collection, lon, lat), "outside of EPSG:"
    beyond = shapely.transform(sample, lambda xy: xy * 0 + (crs.extent.xmax * 1.1, 0))
    beyond = shapely.force_3d(beyond, 1.0) if sample.has_z else beyond
    yield "WKT out of range", shapely.to_wkt(beyond), "out of range"
    taken = "4326" if crs.srid == 4326 else f"{crs.srid} or 4326"
    for srid in (0, 1, 4978, 5773, 32661, 999999):
        reason = f"SRID {srid}, where {taken} is expected"
        yield f"SRID {srid}", f"SRID={srid};{shapely.to_wkt(sample)}", reason
    yield "no type", {"coordinates": [0, 0]}, "type"
    yield "no coordinates", {"type": given["type"]}, "malformed"
    yield "unknown type", given | {"type": "Circle"}, "type"
    yield "type in capitals", given | {"type": given["type"].upper()}, "type"
    yield "type that is no text", given | {"type": {}}, "type"
    yield "coordinates as text", {"type": "Point", "coordinates": "0 0"}, "malformed"
    yield "one coordinate", {"type": "Point", "coordinates": [0]}, "malformed"
    yield "five coordinates", {"type": "Point", "coordinates": [0, 0, 0, 0, 0]}, "malformed"
    yield "open ring", {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}, "malformed"
    yield "deep coordinates", {"type": "Point", "coordinates": nested(300)}, "malformed"
    yield "a feature", {"type": "Feature", "geometry": given, "properties": {}}, "type"
    for text in ("", "POINT", "POINT (", "POINT (x y)", "0 0", "SRID=4326", "SRID=x;POINT (0 0)"):
        yield f"the text {text!r}", text, "malformed WKT"
    yield "NUL in WKT", "POINT (0 0)\0", "malformed WKT"
    yield "a long text", "x" * 100_000, "malformed WKT"
    yield "a surrogate", "POINT (\ud800 0)", "malformed WKT"
    nulls = [] if collection.geometry.nullable else [None]
    for value in (*nulls, True, 5, 0.5, [], [0, 0]):
        yield f"{value!r}", value, "not a geometry"
    yield "an empty object", {}, "type"


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


#: By type, what a column of that type cannot hold.
WRONG: dict[type, list[Any]] = {
    sa.String: ["a\0b", "\ud800", 5, True, [], {}],
    sa.Boolean: ["maybe", 2, [], "\0"],
    sa.Integer: [1.5, "x", 10**30, -(10**30), float("nan"), [], "9" * 5000],
    sa.Numeric: [float("nan"), float("inf"), "NaN", "x", 10**40, "1e999999", []],
    sa.Float: [float("nan"), float("inf"), "x", []],
    sa.Date: [
        *("x", "2020-02-30", "0000-01-01", "-0001-01-01", "10000-01-01", "infinity"),
        *("20200131", 20200131, 1e300, []),
    ],
    sa.DateTime: [
        *("x", "2020-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-00:01"),
        *("2016-12-31T23:59:60Z", "2020-01-01T00:00:00+24:00", "infinity", "2020"),
        *(1577836800, "1577836800", -1e12, 1e300, []),
    ],
    sa.Uuid: ["x", "", 5, []],
    sa.JSON: ["a\0b", "\ud800", {"\0": 1}, {"\ud800": 1}, float("nan"), [10**400]],
}


def wrong_values(rows: Rows) -> Iterator[tuple[str, Any]]:
    """Values that the columns cannot hold, beside their names."""
    for column in rows.writable:
        kind = next((kind for kind in type(column.type).__mro__ if kind in WRONG), None)
        for value in WRONG.get(kind, ()):
            if value in (10**40, "1e999999") and getattr(column.type, "precision", 0) is None:
                # It has as many digits as PostgreSQL has.
                continue
            yield column.name, value
        if isinstance(column.type, sa.String) and column.type.length:
            yield column.name, "x" * (column.type.length + 1)
        if isinstance(column.type, sa.Integer):
            bits = integer_bits(column)
            yield from ((column.name, 2**bits), (column.name, -(2**bits) - 1))
        if (
            isinstance(column.type, sa.Numeric)
            and column.type.precision
            and not isinstance(column.type, sa.Float)
        ):
            yield column.name, 10 ** (column.type.precision - (column.type.scale or 0))
        if not column.nullable and not isinstance(column.type, sa.JSON):
            yield column.name, None


def send(client: TestClient, method: str, path: str, body: Any) -> Response:
    """A request with a body that may hold what JSON has not: NaN, infinity, single surrogates."""
    content = json.dumps(body).encode()
    return client.request(
        method, path, content=content, headers={"Content-Type": "application/json"}
    )


@each("wrong", wrong_geometries)
def test_a_geometry_that_the_column_cannot_store_is_refused(
    client: TestClient, connection: sa.Connection, rows: Rows, wrong: Wrong
) -> None:
    name = rows.collection.geometry.name
    response = send(client, "POST", rows.path, rows.body() | {name: wrong.value})
    refused(response, f"body.{name}", wrong.reason)
    assert rows.count(connection) == 0


def test_a_value_that_its_column_cannot_hold_is_refused(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    for name, value in wrong_values(rows):
        response = send(client, "POST", rows.path, rows.body() | {name: value})
        assert response.status_code == 422, (name, value, response.text)
        assert name in response.json()["detail"]
    assert rows.count(connection) == 0


def test_a_refused_change_changes_nothing(client: TestClient, rows: Rows) -> None:
    row = client.post(rows.path, json=rows.full_body()).json()
    path = rows.at(row[rows.key.name])
    wrong = [*wrong_values(rows), (rows.collection.geometry.name, "POINT (")]
    for name, value in wrong:
        for method, body in (("PATCH", {}), ("PUT", rows.change())):
            if method == "PATCH" and value is None:
                continue
            response = send(client, method, path, body | {name: value})
            assert response.status_code == 422, (method, name, value, response.text)
    assert client.get(path).json() == row


@pytest.mark.parametrize("name", ["Unknown", "ID", "geometry ", "", "\0", "__class__"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_unknown_member_is_refused_by_name(
    client: TestClient, connection: sa.Connection, rows: Rows, method: str, name: str
) -> None:
    row = client.post(rows.path, json=rows.body()).json()
    path = rows.path if method == "POST" else rows.at(row[rows.key.name])
    body = rows.body(2) if method == "POST" else rows.change(2)
    response = send(client, method, path, body | {name: 1})
    refused(response, f"body.{name}", "not permitted")
    assert rows.count(connection) == 1


@only(lambda collection: bool(Rows.of(collection).required_members))
def test_every_missing_member_is_named(client: TestClient, rows: Rows) -> None:
    response = client.post(rows.path, json={})
    assert response.status_code == 422
    locations = {error["location"] for error in response.json()["errors"]}
    assert locations == {f"body.{name}" for name in rows.required_members}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "content",
    [
        *(b"null", b"true", b"5", b'"x"', b"[]", b"[{}]", b"{", b"{]", b"", b"\0", b"{'a': 1}"),
        *(b"\xff\xfe", b'{"a": \xff}', b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000),
    ],
    ids=lambda content: repr(content[:10]),
)
def test_a_body_that_is_no_object_is_refused(
    client: TestClient, connection: sa.Connection, rows: Rows, method: str, content: bytes
) -> None:
    path = rows.path if method == "POST" else rows.at(rows.no_id)
    headers = {"Content-Type": "application/json"}
    response = client.request(method, path, content=content, headers=headers)
    assert response.status_code in (400, 422), response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert re.match(r"(the )?body(?!\.\d)", response.json()["detail"])
    assert rows.count(connection) == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "x"]
)
def test_a_body_of_another_type_is_refused(
    client: TestClient, connection: sa.Connection, rows: Rows, content_type: str
) -> None:
    content = json.dumps(rows.body()).encode()
    response = client.post(rows.path, content=content, headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == f"the body is {content_type}, not application/json"
    assert rows.count(connection) == 0


def ids_that_are_none(collection: Collection) -> list[str]:
    rows = Rows.of(collection)
    wrong = ["x", "1.5", "1e3", "null", "-", "%F0%9F%97%BA"]
    if isinstance(rows.no_id, str):
        # To a text that no row has, all the rest of a path may belong.
        return [*wrong, "1", "a/b", "nearby/", "~nearby"]
    if isinstance(rows.no_id, UUID):
        wrong += [str(rows.no_id)[:-1], str(rows.no_id) + "0"]
    return [*wrong, "%00", "1" if isinstance(rows.no_id, UUID) else str(UUID(int=1))]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@each("id", ids_that_are_none, id=lambda id: id[:20])
def test_what_is_no_id_is_no_path(client: TestClient, rows: Rows, method: str, id: str) -> None:
    body = rows.change() if method in ("PUT", "PATCH") else None
    response = client.request(method, f"{rows.path}{id}", json=body)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_number_that_no_id_can_be_is_refused(client: TestClient, rows: Rows, method: str) -> None:
    body = rows.change() if method in ("PUT", "PATCH") else None
    for id in (str(2**63), str(-(2**63) - 1), "9" * 5000):
        response = client.request(method, f"{rows.path}{id}", json=body)
        if isinstance(rows.no_id, int):
            refused(response, "path.id")
        else:
            # Of a key that is a time, this many digits may begin a year.
            assert response.status_code in (404, 422)


@only(lambda collection: collection.crs.domain == WORLD)
def test_the_world_is_not_refused_for_a_crs_of_the_world(client: TestClient, rows: Rows) -> None:
    for number, place in enumerate([(-180, -90), (179.99, 89.99)]):
        body = rows.full_body(number)
        body[rows.collection.geometry.name] = at(rows.collection, *place)
        response = send(client, "POST", rows.path, body)
        assert response.status_code == 201, response.text
