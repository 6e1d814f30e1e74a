"""Rows near a place: those that measuring the distance of each row finds too, in the same order."""

from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.rest.routes import distance_name

from contract import each
from rows import Rows, refused

#: Radius in metres, and limit.
SEARCHES = [
    (0, 10),
    (1e4, 10),
    (3e5, 1),
    (3e5, 500),
    (3e6, 50),
    (2.1e7, 1),
    (1e12, 5),
    (1e12, 5000),
]


def found(client: TestClient, rows: Rows, **query: float) -> list[dict[str, Any]]:
    """The rows that the service finds, nearest first."""
    response = client.get(f"{rows.path}nearby", params=query)
    assert response.status_code == 200, response.text
    return response.json()["items"]


def by_distance(client: TestClient, rows: Rows, lon: float, lat: float) -> list[Any]:
    """The id of every row with its distance, nearest first, without the service's queries and without an index."""
    crs = rows.collection.crs
    # A geographic CRS has a spheroid of its own to measure on; for a projected one it is that of WGS 84.
    measured_in = crs.srid if crs.geographic else WGS84
    query = sa.text(
        f"SELECT {rows.key_sql} AS found_id,"
        f" ST_Distance(ST_Transform({rows.geometry_sql}, {measured_in})::geography,"
        f"  ST_Transform(own_place, {measured_in})::geography) AS distance,"
        f" ST_Distance(ST_Transform({rows.geometry_sql}, 4326)::geography, own_place::geography)"
        f" AS metres FROM {rows.sql}, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS own_place"
        f" WHERE {rows.indexed_sql} ORDER BY 2, 1"
    )
    with client.app.state.database.read() as connection:
        return list(connection.execute(query, {"lon": lon, "lat": lat}))


def places(collection: Collection) -> list[tuple[float, float]]:
    """Places in and around the area of the CRS, and on the edges of the world; always the same."""
    random = np.random.default_rng(3)
    west, south, east, north = collection.crs.domain
    width = (east - west) % 360 or 360
    near = []
    for _ in range(5):
        lon = (west + random.uniform(-0.1, 1.1) * width + 180) % 360 - 180
        lat = south + random.uniform(-0.1, 1.1) * (north - south)
        near.append((lon, min(max(lat, -90.0), 90.0)))
    return [*near, (0, 90), (0, -90), (180, 0), (-180, 51.5), (179.999, -40), (-105, 40)]


@each("place", places, id=lambda place: f"{place[0]:.3f},{place[1]:.3f}")
def test_the_nearest_rows_are_those_that_brute_force_finds(
    spread: TestClient, rows: Rows, place: tuple[float, float]
) -> None:
    lon, lat = place
    every = by_distance(spread, rows, lon, lat)
    for radius, limit in SEARCHES:
        ours = found(spread, rows, lon=lon, lat=lat, radius=radius, limit=limit)
        theirs = [row for row in every if row.distance <= radius][:limit]
        assert [rows.text(row[rows.key.name]) for row in ours] == [
            rows.text(row.found_id) for row in theirs
        ]
        distances = [row[distance_name(rows.collection)] for row in ours]
        assert distances == pytest.approx([row.distance for row in theirs])
        # In metres, whatever the CRS of the table measures in.
        assert distances == pytest.approx([row.metres for row in theirs], rel=1e-3, abs=1000)


def test_a_row_is_at_no_distance_from_itself(
    spread: TestClient, rows: Rows, collection: Collection
) -> None:
    lon, lat = places(collection)[0]
    at = f"ST_Transform(ST_PointOnSurface({rows.geometry_sql}), 4326)"
    query = sa.text(f"SELECT ST_X({at}), ST_Y({at}) FROM {rows.sql} WHERE {rows.key_sql} = :id")
    nearest = by_distance(spread, rows, lon, lat)[:3]
    distances = []
    for row in nearest:
        with spread.app.state.database.read() as connection:
            x, y = connection.execute(query, {"id": row.found_id}).one()
        # An area may lie on another.
        there = {
            rows.text(neighbour[rows.key.name]): neighbour[distance_name(collection)]
            for neighbour in found(spread, rows, lon=x, lat=y, radius=0.01)
        }
        distances.append(there[rows.text(row.found_id)])
    assert distances == pytest.approx([0] * len(nearest), abs=0.01)


def test_a_neighbour_is_the_row_and_its_distance(spread: TestClient, rows: Rows) -> None:
    neighbours = found(spread, rows, lon=0, lat=0, radius=1e9, limit=3)
    stored = [spread.get(rows.at(row[rows.key.name])).json() for row in neighbours]
    name = distance_name(rows.collection)
    distances = [{name: row[name]} for row in neighbours]
    assert neighbours == [a | b for a, b in zip(stored, distances, strict=True)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("lon", value) for value in ("181", "-180.1", "nan", "inf", "x", "")),
        *(("lat", value) for value in ("91", "-90.1", "nan", "-inf", "x", "")),
        *(("radius", value) for value in ("-1", "nan", "inf", "1e999", "x", "")),
        *(("limit", value) for value in ("0", "-1", "x")),
        ("bbox", "0,0,1,1"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    client: TestClient, rows: Rows, name: str, value: str
) -> None:
    query = {"lon": "0", "lat": "0", "radius": "1"} | {name: value}
    refused(client.get(f"{rows.path}nearby", params=query), f"query.{name}")


@pytest.mark.parametrize("name", ["lon", "lat", "radius"])
def test_missing_parameters_are_named(client: TestClient, rows: Rows, name: str) -> None:
    query = {"lon": "0", "lat": "0", "radius": "1"}
    del query[name]
    refused(client.get(f"{rows.path}nearby", params=query), f"query.{name}", "required")
