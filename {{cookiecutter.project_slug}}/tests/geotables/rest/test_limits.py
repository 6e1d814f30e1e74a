"""What a client may ask for has limits; beyond them it is told which."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from shapely.geometry.base import BaseGeometry

from geotables.collection import Collection
from geotables.geometry import samples

from contract import faces, only, writes
from rows import Rows, refused

Serve = Callable[..., TestClient]


@writes
def test_vertices(rows: Rows, serve: Serve) -> None:
    sample, name = rows.samples[-1], rows.collection.geometry.name
    client = serve(max_vertices=int(shapely.get_num_coordinates(sample)))
    assert client.post(rows.path, json=rows.body(**{name: sample})).status_code == 201
    client = serve(max_vertices=2)
    # Before anything else is found wrong with it.
    for value in ("LINESTRING (0 0, 1 1, 1 2)", "MULTIPOINT (0 0, 1 1, 1 2)"):
        response = client.post(rows.path, json=rows.body() | {name: value})
        refused(response, f"body.{name}", "3 vertices, where 2 are the most")


def tangled(collection: Collection) -> BaseGeometry | None:
    """A geometry that the column could store, but whose segments GEOS would compare each with each; None: of points there is none."""
    lon, lat = samples.middle(collection.geometry)
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
    shape = shapes.get(collection.geometry_type)
    return shapely.force_3d(shape) if shape is not None and collection.has_z else shape


has_segments = only(lambda collection: tangled(collection) is not None)


@writes
@faces("features")
@has_segments
def test_segments_that_meet_too_often(rows: Rows, client: TestClient) -> None:
    name = rows.collection.geometry.name
    members = rows.body(**{name: tangled(rows.collection)})
    response = client.post(rows.path, json=members)
    refused(response, f"body.{name}", "too often: split it")
    shape = members.pop(name)
    feature = {"type": "Feature", "properties": members, "geometry": shape}
    collection = {"type": "FeatureCollection", "features": [feature]}
    response = client.post(rows.items, json=collection)
    refused(response, "body.features.0.geometry", "too often: split it")
    assert client.get(rows.path).json()["items"] == []


@writes
@has_segments
def test_many_vertices_are_fine(rows: Rows, client: TestClient) -> None:
    sample = shapely.force_2d(rows.samples[-1])
    shape = shapely.segmentize(sample, sample.length / 10_000)
    if rows.collection.has_z:
        shape = shapely.force_3d(shape)
    response = client.post(rows.path, json=rows.body(**{rows.collection.geometry.name: shape}))
    assert response.status_code == 201, response.text


def test_radius(rows: Rows, serve: Serve) -> None:
    client = serve(max_radius=1000)
    lon, lat = samples.middle(rows.collection.geometry)
    query = {"lon": lon, "lat": lat, "radius": 1000}
    assert client.get(f"{rows.path}nearby", params=query).status_code == 200
    response = client.get(f"{rows.path}nearby", params=query | {"radius": 1000.1})
    refused(response, "query.radius", "at most 1000 metres")


@faces("features")
@pytest.mark.parametrize("resource", ["path", "items"])
def test_width_of_a_box(rows: Rows, serve: Serve, resource: str) -> None:
    client, path = serve(max_bbox_width=10), getattr(rows, resource)
    for box in ("0,0,10,10", "175,0,-175,1", "5,5,5,5"):
        assert client.get(path, params={"bbox": box}).status_code == 200
    for box in ("0,0,10.1,1", "170,0,-170,1", "-180,-90,180,90"):
        response = client.get(path, params={"bbox": box})
        assert response.status_code in (400, 422)
        assert "wider than 10 degrees" in response.json()["detail"]


@writes
@pytest.mark.parametrize("depth", [33, 10_000, 200_000])
def test_geometry_that_is_nested_too_deeply(rows: Rows, client: TestClient, depth: int) -> None:
    wkt = "GEOMETRYCOLLECTION (" * depth + "POINT (0 0)" + ")" * depth
    geojson = '{"type": "GeometryCollection", "geometries": [' * depth + "]}" * depth
    name = rows.collection.geometry.name
    for value in (json.dumps(wkt), geojson):
        body = json.dumps(rows.body() | {name: "HERE"}).replace('"HERE"', value)
        response = client.post(
            rows.path, content=body, headers={"Content-Type": "application/json"}
        )
        assert response.status_code in (400, 413, 422), response.text
        assert response.headers["Content-Type"] == "application/problem+json"


@writes
def test_a_patch_that_is_nested_too_deeply(rows: Rows, client: TestClient) -> None:
    row = client.post(rows.path, json=rows.body()).json()
    for depth in (200, 900, 5000):
        body = '{"a": ' * depth + "1" + "}" * depth
        response = client.patch(
            rows.at(row[rows.key.name]),
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code in (400, 422), response.text
