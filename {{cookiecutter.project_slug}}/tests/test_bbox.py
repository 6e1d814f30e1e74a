"""Lists of the rows in a box: those that transforming each row and looking finds, too."""

import itertools

import numpy as np
import pytest
import rows
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rows import GEOMETRY, INDEXED_ROWS, PATH, STORAGE, TABLE, in_sql

from geotables.crs import Bounds

#: The rows in one of two boxes, by transforming every row. PostGIS makes a line or a point of a box without an area.
#: No column has a name that begins with an underscore.
IN_BOXES = sa.text(
    f"SELECT id FROM {TABLE.name} WHERE {in_sql(INDEXED_ROWS)} AND EXISTS ("
    " SELECT FROM (VALUES (:west, :east), (:west2, :east2)) AS _box (_west, _east)"
    f" WHERE ST_Intersects(ST_Transform({GEOMETRY.name}, 4326), ST_SetSRID(ST_Envelope("
    "  ST_MakeLine(ST_MakePoint(_west, :south), ST_MakePoint(_east, :north))), 4326))"
    ") ORDER BY id"
)


def listed(client: TestClient, box: Bounds) -> list[str]:
    """The ids that the service lists for a box."""
    query = {"bbox": ",".join(map(repr, box)), "limit": 10_000}
    response = client.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return [str(row["id"]) for row in response.json()["items"]]


def brute_force(client: TestClient, box: Bounds) -> list[str]:
    """The ids of the rows that a box holds, without the service's queries and without an index."""
    first, second = (box.spans * 2)[:2]
    values = {"west": first[0], "east": first[1], "west2": second[0], "east2": second[1]}
    values |= {"south": box.ymin, "north": box.ymax}
    with client.app.state.database.read() as connection:
        return list(map(str, connection.scalars(IN_BOXES, values)))


def on_a_row(client: TestClient) -> tuple[float, float]:
    """The first coordinates of a row that a list shows."""
    place = f"(ST_DumpPoints(ST_Transform({GEOMETRY.name}, 4326))).geom"
    query = f"SELECT ST_X(at), ST_Y(at) FROM (SELECT {place} AS at FROM {TABLE.name} WHERE {in_sql(INDEXED_ROWS)}) AS found"
    with client.app.state.database.read() as connection:
        return tuple(connection.execute(sa.text(query)).first() or (0.0, 0.0))


def some_boxes() -> list[Bounds]:
    """Boxes of all sizes, in and around the area of the CRS; always the same."""
    random = np.random.default_rng(2)
    west, south, east, north = STORAGE.domain
    width = (east - west) % 360 or 360
    found = []
    for size in (0.001, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9):
        for _ in range(3):
            x = west + random.uniform(-0.1, 1.1) * width
            y = min(max(south + random.uniform(-0.1, 1.1) * (north - south), -90), 90)
            edges = (x, x + size * width)
            # Beyond 180 degrees the box goes on from -180.
            x1, x2 = ((x + 180) % 360 - 180 for x in edges)
            found.append(Bounds(x1, y, x2, min(y + size * (north - south), 90)))
    return found


@pytest.mark.parametrize(
    "box",
    [
        pytest.param(Bounds(-180, -90, 180, 90), id="world"),
        *(
            pytest.param(Bounds(west, south, west + 90, south + 90), id=f"eighth {west} {south}")
            for west, south in itertools.product((-180, -90, 0, 90), (-90, 0))
        ),
        pytest.param(Bounds(170, -90, -170, 90), id="antimeridian"),
        pytest.param(Bounds(180, -90, -180, 90), id="antimeridian without width"),
        pytest.param(Bounds(10, -90, 9, 90), id="antimeridian and nearly the world"),
        pytest.param(Bounds(-180, 80, 180, 90), id="north pole"),
        pytest.param(Bounds(-180, -90, 180, -80), id="south pole"),
        pytest.param(Bounds(-180, 90, 180, 90), id="line at the north pole"),
        pytest.param(Bounds(0, -90, 0, -90), id="point at the south pole"),
        pytest.param(Bounds(-180, -90, -180, 90), id="line on the antimeridian"),
        pytest.param(Bounds(-180, 10, 180, 10), id="line around the world"),
        *(pytest.param(box, id=f"{number}") for number, box in enumerate(some_boxes())),
    ],
)
def test_a_box_lists_the_rows_that_brute_force_finds(spread: TestClient, box: Bounds) -> None:
    assert listed(spread, box) == brute_force(spread, box)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (1, 0), (0, 1), (1e-9, 1e-9), (1, 1)])
def test_a_box_around_a_row_holds_it(spread: TestClient, width: float, height: float) -> None:
    x, y = on_a_row(spread)
    box = Bounds(
        max(x - width, -180), max(y - height, -90), min(x + width, 180), min(y + height, 90)
    )
    found = listed(spread, box)
    assert found == brute_force(spread, box)
    assert found or not listed(spread, Bounds(-180, -90, 180, 90))


def test_the_world_holds_every_row_of_a_list(spread: TestClient) -> None:
    with spread.app.state.database.read() as connection:
        ids = list(map(str, rows.indexed_ids(connection)))
    assert listed(spread, Bounds(-180, -90, 180, 90)) == ids


def test_heights_in_a_box_are_passed_over(spread: TestClient) -> None:
    flat, tall = (
        spread.get(PATH, params={"bbox": box}).json()["items"]
        for box in ("-90,-45,90,45", "-90,-45,0,90,45,1")
    )
    assert flat == tall


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("a,b,c,d", "numbers"),
        ("", "numbers"),
        ("1,2,3,", "numbers"),
        ("1,2,3", "3 numbers"),
        ("1,2,3,4,5", "5 numbers"),
        ("0,0,nan,1", "finite"),
        ("0,0,inf,1", "finite"),
        ("0,0,1e999,1", "finite"),
        ("0,10,1,-10", "south"),
        ("-181,0,0,1", "longitude"),
        ("0,0,181,1", "longitude"),
        ("0,-91,1,1", "latitude"),
        ("0,0,1,91", "latitude"),
    ],
)
def test_what_is_no_box_is_refused_with_the_reason(
    client: TestClient, box: str, reason: str
) -> None:
    rows.refused(client.get(PATH, params={"bbox": box}), "query.bbox", reason)
