"""What cannot be stored is refused with the place and the reason, and nothing of it is stored."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rows
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rows import GEOMETRY, PATH, STORAGE
from shapely.geometry.base import BaseGeometry
from sqlalchemy.dialects.postgresql import JSONB

from geotables.crs import WORLD
from geotables.geometry import metadata, samples

SAMPLE = samples.geometries(GEOMETRY)[0]
#: Where a shape of a type crosses itself, or has no length.
INVALID = {
    "LINESTRING": "LINESTRING (0 0, 0 0)",
    "POLYGON": "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))",
    "MULTILINESTRING": "MULTILINESTRING ((0 0, 1 1), (2 2, 2 2))",
    "MULTIPOLYGON": "MULTIPOLYGON (((0 0, 2 0, 2 2, 0 2, 0 0)), ((1 1, 3 1, 3 3, 1 3, 1 1)))",
    "GEOMETRYCOLLECTION": "GEOMETRYCOLLECTION (POINT (0 0), POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0)))",
    "GEOMETRY": "POLYGON ((0 0, 3 0, 3 3, 0 3, 0 0), (1 1, 5 1, 5 2, 1 2, 1 1))",
}


def placed(wkt: str) -> BaseGeometry:
    """A shape in the middle of the CRS, in the dimension of the column."""
    lon, lat = samples.middle(GEOMETRY)
    shape = shapely.transform(shapely.from_wkt(wkt), lambda xy: xy / 1000 + (lon, lat))
    return shapely.force_3d(shape, 10.0) if metadata.dimension(GEOMETRY) == 3 else shape


def at(lon: float, lat: float) -> Any:
    return rows.as_json(samples.geometries(GEOMETRY, (lon, lat))[0])


def with_first_number(number: Any) -> Any:
    """The GeoJSON of a sample with another number in the place of its first."""
    text = json.dumps(rows.as_json(SAMPLE))
    first = json.dumps(shapely.get_coordinates(SAMPLE)[0, 0])
    return json.loads(text.replace(first, json.dumps(number), 1))


def refused_geometries() -> Iterator[Any]:
    """Geometries that the column cannot store, and a word of the reason."""
    kind = metadata.geometry_type(GEOMETRY)
    another = f"column stores {kind}"
    given = rows.as_json(SAMPLE)
    if kind in INVALID:
        yield "invalid", rows.as_json(placed(INVALID[kind])), "invalid geometry"
    for name, shape in samples.SHAPES.items():
        if kind not in (name, "GEOMETRY"):
            yield f"a {name}", rows.as_json(placed(shape)), another
        elif name == "GEOMETRYCOLLECTION":
            yield "empty collection", {"type": "GeometryCollection", "geometries": []}, "empty"
            for inner in ("MULTIPOINT ((0 0), EMPTY)", "POINT (0 0), MULTILINESTRING (EMPTY)"):
                yield f"empty {inner}", f"{name} ({inner})", "an empty geometry"
            collection = rows.as_json(placed(shape))
            deeper = {"type": "GeometryCollection", "geometries": [collection]}
            reason = "a GeometryCollection within a GeometryCollection"
            yield "nested collection", deeper, reason
            beside = [*collection["geometries"], deeper]
            yield "nested collection beside others", deeper | {"geometries": beside}, reason
        empty = "an empty geometry" if kind in (name, "GEOMETRY") else another
        yield f"{name} EMPTY", f"{name} EMPTY", empty
    flat = not SAMPLE.has_z
    other = shapely.force_3d(SAMPLE, 1.0) if flat else shapely.force_2d(SAMPLE)
    yield "another dimension", rows.as_json(other), "dimension"
    takes_points = kind in ("POINT", "GEOMETRY")
    yield "a measure", "POINT M (0 0 1)", "measure" if takes_points else another
    nowhere = "POINT (nan nan)" if flat else "POINT Z (nan nan 1)"
    yield "NaN in WKT", nowhere, "NaN or infinite" if takes_points else another
    curve, curved = "CIRCULARSTRING (0 0, 1 1, 2 0)", "Nonlinear geometry types are not"
    yield "a curve", curve, curved
    takes_collections = kind in ("GEOMETRYCOLLECTION", "GEOMETRY")
    collection_of_curves = f"GEOMETRYCOLLECTION ({curve})"
    yield "a collection of curves", collection_of_curves, curved if takes_collections else another
    yield "a ring", "LINEARRING (0 0, 1 1, 1 0, 0 0)", "a LinearRing"
    for number in (float("nan"), float("inf"), -float("inf"), "0", None, True, [0], 10**400):
        yield f"the coordinate {number!s:.10}", with_first_number(number), "malformed"
    # The ring of a polygon is not closed then.
    reason = "malformed" if "POLYGON" in kind else "out of range"
    yield "the coordinate 1e300", with_first_number(1e300), reason
    for lon, lat in ((200, 0), (-180.1, 0), (0, 91), (0, -90.1)):
        yield f"longitude {lon}, latitude {lat}", at(lon, lat), "out of range"
    for lon, lat in ((-100, 60), (100, -60), (-100, -30), (100, 30), (0, 0)):
        if not STORAGE.domain.contain(np.array([(lon, lat)])):
            yield f"outside of the CRS {lon} {lat}", at(lon, lat), "outside of EPSG:"
    beyond = shapely.transform(SAMPLE, lambda xy: xy * 0 + (STORAGE.extent.xmax * 1.1, 0))
    beyond = shapely.force_3d(beyond, 1.0) if SAMPLE.has_z else beyond
    yield "WKT out of range", shapely.to_wkt(beyond), "out of range"
    taken = "4326" if STORAGE.srid == 4326 else f"{STORAGE.srid} or 4326"
    for srid in (0, 1, 4978, 5773, 32661, 999999):
        reason = f"SRID {srid}, where {taken} is expected"
        yield f"SRID {srid}", f"SRID={srid};{shapely.to_wkt(SAMPLE)}", reason
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
    for value in (None, True, 5, 0.5, [], [0, 0]):
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
    JSONB: ["a\0b", "\ud800", {"\0": 1}, {"\ud800": 1}, float("nan"), [10**400]],
}


def refused_values() -> Iterator[tuple[str, Any]]:
    """Values that the columns cannot hold, beside their names."""
    for column in rows.WRITABLE:
        kind = next(each for each in type(column.type).__mro__ if each in WRONG)
        for value in WRONG[kind]:
            yield column.name, value
        if isinstance(column.type, sa.String) and column.type.length:
            yield column.name, "x" * (column.type.length + 1)
        if isinstance(column.type, sa.Integer):
            bits = 63 if isinstance(column.type, sa.BigInteger) else 31
            yield from ((column.name, 2**bits), (column.name, -(2**bits) - 1))
        if isinstance(column.type, sa.Numeric) and not isinstance(column.type, sa.Float):
            yield column.name, 10 ** (column.type.precision - (column.type.scale or 0))
        if not column.nullable and not isinstance(column.type, JSONB):
            yield column.name, None


def send(client: TestClient, body: Any, method: str = "POST", path: str = PATH) -> Any:
    """A request with a body that may hold what JSON has not: NaN, infinity, single surrogates."""
    content = json.dumps(body).encode()
    return client.request(
        method, path, content=content, headers={"Content-Type": "application/json"}
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [pytest.param(value, reason, id=name) for name, value, reason in refused_geometries()],
)
def test_a_geometry_that_the_column_cannot_store_is_refused(
    client: TestClient, connection: sa.Connection, value: Any, reason: str
) -> None:
    response = send(client, rows.body() | {GEOMETRY.name: value})
    rows.refused(response, f"body.{GEOMETRY.name}", reason)
    assert rows.count(connection) == 0


def test_a_value_that_its_column_cannot_hold_is_refused(
    client: TestClient, connection: sa.Connection
) -> None:
    for name, value in refused_values():
        response = send(client, rows.body() | {name: value})
        assert response.status_code == 422, (name, value, response.text)
        assert name in response.json()["detail"]
    assert rows.count(connection) == 0


def test_a_refused_change_changes_nothing(client: TestClient) -> None:
    row = client.post(PATH, json=rows.full_body()).json()
    wrong = [*refused_values(), (GEOMETRY.name, "POINT (")]
    for name, value in wrong:
        for method, body in (("PATCH", {}), ("PUT", rows.body())):
            if method == "PATCH" and value is None:
                continue
            response = send(client, body | {name: value}, method, f"{PATH}{row['id']}")
            assert response.status_code == 422, (method, name, value, response.text)
    assert client.get(f"{PATH}{row['id']}").json() == row


@pytest.mark.parametrize("name", ["Unknown", "ID", "geometry ", "", "\0", "__class__"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_unknown_member_is_refused_by_name(
    client: TestClient, connection: sa.Connection, method: str, name: str
) -> None:
    row = client.post(PATH, json=rows.body()).json()
    path = PATH if method == "POST" else f"{PATH}{row['id']}"
    response = send(client, rows.body(2) | {name: 1}, method, path)
    rows.refused(response, f"body.{name}", "not permitted")
    assert rows.count(connection) == 1


def test_every_missing_member_is_named(client: TestClient) -> None:
    response = client.post(PATH, json={})
    assert response.status_code == 422
    locations = {error["location"] for error in response.json()["errors"]}
    assert locations == {f"body.{name}" for name in rows.body()}


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
    client: TestClient, connection: sa.Connection, method: str, content: bytes
) -> None:
    path = PATH if method == "POST" else f"{PATH}{rows.NO_ID}"
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
    client: TestClient, connection: sa.Connection, content_type: str
) -> None:
    content = json.dumps(rows.body()).encode()
    response = client.post(PATH, content=content, headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == f"the body is {content_type}, not application/json"
    assert rows.count(connection) == 0


def ids_that_are_none() -> list[str]:
    wrong = ["x", "1.5", "1e3", "%00", "null", "-", "%F0%9F%97%BA"]
    if isinstance(rows.NO_ID, int):
        return [*wrong, str(rows.UUID(int=1))]
    return [*wrong, "1", str(rows.NO_ID)[:-1], str(rows.NO_ID) + "0"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("id", ids_that_are_none(), ids=lambda id: id[:20])
def test_what_is_no_id_is_no_path(client: TestClient, method: str, id: str) -> None:
    body = rows.body() if method in ("PUT", "PATCH") else None
    response = client.request(method, f"{PATH}{id}", json=body)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_number_that_no_id_can_be_is_refused(client: TestClient, method: str) -> None:
    body = rows.body() if method in ("PUT", "PATCH") else None
    for id in (str(2**63), str(-(2**63) - 1), "9" * 5000):
        response = client.request(method, f"{PATH}{id}", json=body)
        if isinstance(rows.NO_ID, int):
            rows.refused(response, "path.id")
        else:
            assert response.status_code == 404


@pytest.mark.skipif(STORAGE.domain != WORLD, reason=f"EPSG:{STORAGE.srid} is not of the world")
def test_the_world_is_not_refused_for_a_crs_of_the_world(client: TestClient) -> None:
    for number, place in enumerate([(-180, -90), (179.99, 89.99)]):
        response = send(client, rows.full_body(number) | {GEOMETRY.name: at(*place)})
        assert response.status_code == 201, response.text
