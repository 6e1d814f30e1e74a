"""Distances on degrees: metres on the spheroid, over the antimeridian and the poles too."""

import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.geometry import samples
from geotables.rest.routes import distance_name

from contract import only
from rows import Rows

pytestmark = only(lambda collection: collection.crs.geographic)


@pytest.mark.parametrize(
    ("row", "place", "metres"),
    [
        pytest.param((-179.99, 0), (179.99, 0), 2226.4, id="over the antimeridian"),
        pytest.param((0, 89.9), (180, 89.9), 22338.8, id="over the north pole"),
        pytest.param((90, -89.9), (-90, -89.9), 22338.8, id="over the south pole"),
        pytest.param((1, 0), (0, 0), 111319.5, id="a degree of longitude"),
        pytest.param((0, 1), (0, 0), 110574.4, id="a degree of latitude"),
        pytest.param((0, 60), (1, 60), 55800.0, id="a degree of longitude in the north"),
    ],
)
def test_distances_are_metres_on_the_spheroid(
    client: TestClient,
    connection: sa.Connection,
    rows: Rows,
    row: tuple[float, float],
    place: tuple[float, float],
    metres: float,
) -> None:
    sample = samples.geometries(rows.collection.geometry, row, 1e-7)[0]
    rows.insert(connection, [shapely.set_srid(sample, rows.collection.crs.srid)] * rows.kinds)
    for radius, expected in ((metres * 0.99, []), (metres * 1.01, rows.indexed_ids(connection))):
        query = {"lon": place[0], "lat": place[1], "radius": radius}
        found = client.get(f"{rows.path}nearby", params=query).json()["items"]
        assert [rows.text(each[rows.key.name]) for each in found] == list(map(rows.text, expected))
        assert all(
            each[distance_name(rows.collection)] == pytest.approx(metres, rel=2e-3)
            for each in found
        )
