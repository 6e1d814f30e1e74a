"""What a client may ask for has limits; beyond them it is told which."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import rows
import shapely
from fastapi.testclient import TestClient
from rows import GEOMETRY, PATH
from shapely.geometry.base import BaseGeometry

from geotables.geometry import metadata, samples

Serve = Callable[..., TestClient]

SAMPLE = samples.geometries(GEOMETRY)[-1]


def test_vertices(serve: Serve) -> None:
    client = serve(max_vertices=int(shapely.get_num_coordinates(SAMPLE)))
    assert client.post(PATH, json=rows.body(**{GEOMETRY.name: SAMPLE})).status_code == 201
    client = serve(max_vertices=2)
    # Before anything else is found wrong with it.
    for value in ("LINESTRING (0 0, 1 1, 1 2)", "MULTIPOINT (0 0, 1 1, 1 2)"):
        response = client.post(PATH, json=rows.body() | {GEOMETRY.name: value})
        rows.refused(response, f"body.{GEOMETRY.name}", "3 vertices, where 2 are the most")


def _tangled() -> BaseGeometry | None:
    """A geometry that the column could store, but whose segments GEOS would compare each with each."""
    lon, lat = samples.middle(GEOMETRY)
    turns = np.linspace(0, 2 * np.pi, 3_000)
    corners = np.c_[lon + np.cos(turns) / 1_000, lat + np.sin(turns) / 1_000]
    # Triangles that meet in the middle, and diagonals beside each other.
    holes = [[(lon, lat), *corners[first : first + 2]] for first in range(0, len(turns), 2)]
    area = shapely.Polygon(shapely.box(lon - 1, lat - 1, lon + 1, lat + 1).exterior, holes)
    steps = np.arange(5_000)
    line = shapely.LineString(np.c_[lon + steps / 1e6 + steps % 2 / 10, lat + steps % 2 / 10])
    shapes: dict[str, BaseGeometry] = {
        "LINESTRING": line,
        "MULTILINESTRING": shapely.MultiLineString([line]),
        "POLYGON": area,
        "MULTIPOLYGON": shapely.MultiPolygon([area]),
        "GEOMETRYCOLLECTION": shapely.GeometryCollection([area, line]),
        "GEOMETRY": area,
    }
    shape = shapes.get(metadata.geometry_type(GEOMETRY))
    return shape if shape is None or metadata.dimension(GEOMETRY) == 2 else shapely.force_3d(shape)


TANGLED = _tangled()

if TANGLED is not None:

    def test_segments_that_meet_too_often(client: TestClient) -> None:
        members = rows.body(**{GEOMETRY.name: TANGLED})
        response = client.post(PATH, json=members)
        rows.refused(response, f"body.{GEOMETRY.name}", "too often: split it")
        shape = members.pop(GEOMETRY.name)
        feature = {"type": "Feature", "properties": members, "geometry": shape}
        collection = {"type": "FeatureCollection", "features": [feature]}
        response = client.post(f"/collections{PATH}items", json=collection)
        rows.refused(response, "body.features.0.geometry", "too often: split it")
        assert client.get(PATH).json()["items"] == []

    def test_many_vertices_are_fine(client: TestClient) -> None:
        shape = shapely.segmentize(shapely.force_2d(SAMPLE), SAMPLE.length / 10_000)
        if metadata.dimension(GEOMETRY) == 3:
            shape = shapely.force_3d(shape)
        response = client.post(PATH, json=rows.body(**{GEOMETRY.name: shape}))
        assert response.status_code == 201, response.text


def test_radius(serve: Serve) -> None:
    client = serve(max_radius=1000)
    lon, lat = samples.middle(GEOMETRY)
    query = {"lon": lon, "lat": lat, "radius": 1000}
    assert client.get(f"{PATH}nearby", params=query).status_code == 200
    response = client.get(f"{PATH}nearby", params=query | {"radius": 1000.1})
    rows.refused(response, "query.radius", "at most 1000 metres")


@pytest.mark.parametrize("path", [PATH, f"/collections{PATH}items"])
def test_width_of_a_box(serve: Serve, path: str) -> None:
    client = serve(max_bbox_width=10)
    for box in ("0,0,10,10", "175,0,-175,1", "5,5,5,5"):
        assert client.get(path, params={"bbox": box}).status_code == 200
    for box in ("0,0,10.1,1", "170,0,-170,1", "-180,-90,180,90"):
        response = client.get(path, params={"bbox": box})
        assert response.status_code in (400, 422)
        assert "wider than 10 degrees" in response.json()["detail"]


@pytest.mark.parametrize("depth", [33, 10_000, 200_000])
def test_geometry_that_is_nested_too_deeply(client: TestClient, depth: int) -> None:
    wkt = "GEOMETRYCOLLECTION (" * depth + "POINT (0 0)" + ")" * depth
    geojson = '{"type": "GeometryCollection", "geometries": [' * depth + "]}" * depth
    for value in (json.dumps(wkt), geojson):
        body = json.dumps(rows.body() | {GEOMETRY.name: 0}).replace("0}", f"{value}}}")
        response = client.post(PATH, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 413, 422), response.text
        assert response.headers["Content-Type"] == "application/problem+json"


def test_a_patch_that_is_nested_too_deeply(client: TestClient) -> None:
    row = client.post(PATH, json=rows.body()).json()
    for depth in (200, 900, 5000):
        body = '{"a": ' * depth + "1" + "}" * depth
        response = client.patch(
            f"{PATH}{row['id']}", content=body, headers={"Content-Type": "application/json"}
        )
        assert response.status_code in (400, 422), response.text


def test_hosts(serve: Serve) -> None:
    client = serve(allowed_hosts="places.example.org, *.test")
    for host, status in {
        "places.example.org": 200,
        "PLACES.example.org:8000": 200,
        "a.test": 200,
        "example.org": 421,
        "places.example.org.evil": 421,
        "xtest": 421,
        "": 421,
    }.items():
        response = client.get(PATH, headers={"Host": host})
        assert response.status_code == status, host
        assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_pages_from_elsewhere(client: TestClient, serve: Serve) -> None:
    origin = {"Origin": "https://example.org"}
    assert "Access-Control-Allow-Origin" not in client.get(PATH, headers=origin).headers
    shared = serve(cors_origins="https://example.org")
    assert (
        shared.get(PATH, headers=origin).headers["Access-Control-Allow-Origin"] == origin["Origin"]
    )
    preflight = origin | {"Access-Control-Request-Method": "PUT"}
    assert shared.options(PATH, headers=preflight).status_code == 200
    other = shared.get(PATH, headers={"Origin": "https://other.org"}).headers
    assert "Access-Control-Allow-Origin" not in other


@pytest.mark.parametrize("path", [PATH, "/", "/map", "/docs", "/nowhere", "/health/live"])
def test_every_answer_protects_the_browser(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
