"""Rows near a place: those that measuring the distance of each row finds too, in the same order."""

from typing import Any

import numpy as np
import pytest
import rows
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rows import GEOMETRY, INDEXED_ROWS, PATH, STORAGE, TABLE, in_sql

from geotables.crs import WGS84

#: A geographic CRS has a spheroid of its own to measure on; for a projected one it is that of WGS 84.
MEASURED_IN = STORAGE.srid if STORAGE.geographic else WGS84

#: All rows with their distance, nearest first. No column has a name that begins with an underscore.
EVERY_ROW = sa.text(
    f"SELECT id, ST_Distance(ST_Transform({GEOMETRY.name}, {MEASURED_IN})::geography,"
    f"  ST_Transform(_place, {MEASURED_IN})::geography) AS distance,"
    f" ST_Distance(ST_Transform({GEOMETRY.name}, 4326)::geography, _place::geography) AS metres"
    f" FROM {TABLE.name}, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS _place"
    f" WHERE {in_sql(INDEXED_ROWS)} ORDER BY 2, id"
)

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


def found(client: TestClient, **query: float) -> list[dict[str, Any]]:
    """The rows that the service finds, nearest first."""
    response = client.get(f"{PATH}nearby", params=query)
    assert response.status_code == 200, response.text
    return response.json()["items"]


def by_distance(client: TestClient, lon: float, lat: float) -> list[Any]:
    """All rows, nearest first, without the service's queries and without an index."""
    with client.app.state.database.read() as connection:
        return list(connection.execute(EVERY_ROW, {"lon": lon, "lat": lat}))


def places() -> list[tuple[float, float]]:
    """Places in and around the area of the CRS; always the same."""
    random = np.random.default_rng(3)
    west, south, east, north = STORAGE.domain
    width = (east - west) % 360 or 360
    found = []
    for _ in range(5):
        lon = (west + random.uniform(-0.1, 1.1) * width + 180) % 360 - 180
        lat = south + random.uniform(-0.1, 1.1) * (north - south)
        found.append((lon, min(max(lat, -90), 90)))
    return found


@pytest.mark.parametrize(
    ("lon", "lat"),
    [*places(), (0, 90), (0, -90), (180, 0), (-180, 51.5), (179.999, -40), (-105, 40)],
)
def test_the_nearest_rows_are_those_that_brute_force_finds(
    spread: TestClient, lon: float, lat: float
) -> None:
    every = by_distance(spread, lon, lat)
    for radius, limit in SEARCHES:
        ours = found(spread, lon=lon, lat=lat, radius=radius, limit=limit)
        theirs = [row for row in every if row.distance <= radius][:limit]
        assert [str(row["id"]) for row in ours] == [str(row.id) for row in theirs]
        distances = [row["distance"] for row in ours]
        assert distances == pytest.approx([row.distance for row in theirs])
        # In metres, whatever the CRS of the table measures in.
        assert distances == pytest.approx([row.metres for row in theirs], rel=1e-3, abs=1000)


def test_a_row_is_at_no_distance_from_itself(spread: TestClient) -> None:
    lon, lat = places()[0]
    for row in by_distance(spread, lon, lat)[:3]:
        at = f"ST_Transform(ST_PointOnSurface({GEOMETRY.name}), 4326)"
        query = sa.text(f"SELECT ST_X({at}), ST_Y({at}) FROM {TABLE.name} WHERE id = :id")
        with spread.app.state.database.read() as connection:
            x, y = connection.execute(query, {"id": row.id}).one()
        # An area may lie on another.
        distances = {
            str(each["id"]): each["distance"] for each in found(spread, lon=x, lat=y, radius=0.01)
        }
        assert distances[str(row.id)] == pytest.approx(0, abs=0.01)


def test_a_neighbour_is_the_row_and_its_distance(spread: TestClient) -> None:
    for row in found(spread, lon=0, lat=0, radius=1e9, limit=3):
        assert {**spread.get(f"{PATH}{row['id']}").json(), "distance": row["distance"]} == row


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
def test_wrong_parameters_are_refused_by_name(client: TestClient, name: str, value: str) -> None:
    query = {"lon": "0", "lat": "0", "radius": "1"} | {name: value}
    rows.refused(client.get(f"{PATH}nearby", params=query), f"query.{name}")


@pytest.mark.parametrize("name", ["lon", "lat", "radius"])
def test_missing_parameters_are_named(client: TestClient, name: str) -> None:
    query = {"lon": "0", "lat": "0", "radius": "1"}
    del query[name]
    rows.refused(client.get(f"{PATH}nearby", params=query), f"query.{name}", "required")
