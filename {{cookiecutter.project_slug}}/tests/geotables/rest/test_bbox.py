"""Lists of the rows in a box: those that transforming each row and looking finds, too."""

import itertools

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection
from geotables.crs import Bounds

from contract import each
from rows import Rows, refused

WORLD = Bounds(-180, -90, 180, 90)


def listed(client: TestClient, rows: Rows, box: Bounds) -> list[str]:
    """The ids that the service lists for a box."""
    query = {"bbox": ",".join(map(repr, box)), "limit": 10_000}
    response = client.get(rows.path, params=query)
    assert response.status_code == 200, response.text
    return [rows.text(row[rows.key.name]) for row in response.json()["items"]]


def brute_force(client: TestClient, rows: Rows, box: Bounds) -> list[str]:
    """The ids of the rows that a box holds, by transforming every row: without the service's queries and without an index."""
    # PostGIS makes a line or a point of a box without an area.
    query = sa.text(
        f"SELECT {rows.key_sql} FROM {rows.sql} WHERE {rows.indexed_sql} AND EXISTS ("
        " SELECT FROM (VALUES (:west, :east), (:west2, :east2)) AS own_box (own_west, own_east)"
        f" WHERE ST_Intersects(ST_Transform({rows.geometry_sql}, 4326), ST_SetSRID(ST_Envelope("
        "  ST_MakeLine(ST_MakePoint(own_west, :south), ST_MakePoint(own_east, :north))), 4326))"
        f") ORDER BY {rows.key_sql}"
    )
    first, second = (box.spans * 2)[:2]
    values = {"west": first[0], "east": first[1], "west2": second[0], "east2": second[1]}
    values |= {"south": box.ymin, "north": box.ymax}
    with client.app.state.database.read() as connection:
        return list(map(rows.text, connection.scalars(query, values)))


def on_a_row(client: TestClient, rows: Rows) -> tuple[float, float]:
    """The first coordinates of a row that a list shows."""
    place = f"(ST_DumpPoints(ST_Transform({rows.geometry_sql}, 4326))).geom"
    places = f"SELECT {place} AS at FROM {rows.sql} WHERE {rows.indexed_sql}"
    query = sa.text(f"SELECT ST_X(at), ST_Y(at) FROM ({places}) AS found")
    with client.app.state.database.read() as connection:
        return tuple(connection.execute(query).first() or (0.0, 0.0))


def boxes(collection: Collection) -> dict[str, Bounds]:
    """Boxes on the edges of the world, and some of all sizes in and around the area of the CRS; always the same."""
    eighths = {
        f"eighth {west} {south}": Bounds(west, south, west + 90, south + 90)
        for west, south in itertools.product((-180, -90, 0, 90), (-90, 0))
    }
    inside = {f"{number}": box for number, box in enumerate(some_boxes(collection))}
    return {
        "world": WORLD,
        **eighths,
        "antimeridian": Bounds(170, -90, -170, 90),
        "antimeridian without width": Bounds(180, -90, -180, 90),
        "antimeridian and nearly the world": Bounds(10, -90, 9, 90),
        "north pole": Bounds(-180, 80, 180, 90),
        "south pole": Bounds(-180, -90, 180, -80),
        "line at the north pole": Bounds(-180, 90, 180, 90),
        "point at the south pole": Bounds(0, -90, 0, -90),
        "line on the antimeridian": Bounds(-180, -90, -180, 90),
        "line around the world": Bounds(-180, 10, 180, 10),
        **inside,
    }


def some_boxes(collection: Collection) -> list[Bounds]:
    """Boxes of all sizes, in and around the area of the CRS; always the same."""
    random = np.random.default_rng(2)
    west, south, east, north = collection.crs.domain
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


@each("box", boxes)
def test_a_box_lists_the_rows_that_brute_force_finds(
    spread: TestClient, rows: Rows, box: Bounds
) -> None:
    assert listed(spread, rows, box) == brute_force(spread, rows, box)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (1, 0), (0, 1), (1e-9, 1e-9), (1, 1)])
def test_a_box_around_a_row_holds_it(
    spread: TestClient, rows: Rows, width: float, height: float
) -> None:
    x, y = on_a_row(spread, rows)
    box = Bounds(
        max(x - width, -180), max(y - height, -90), min(x + width, 180), min(y + height, 90)
    )
    found = listed(spread, rows, box)
    assert found == brute_force(spread, rows, box)
    assert found or not listed(spread, rows, WORLD)


def test_the_world_holds_every_row_of_a_list(spread: TestClient, rows: Rows) -> None:
    with spread.app.state.database.read() as connection:
        ids = list(map(rows.text, rows.indexed_ids(connection)))
    assert listed(spread, rows, WORLD) == ids


def test_heights_in_a_box_are_passed_over(spread: TestClient, rows: Rows) -> None:
    flat, tall = (
        spread.get(rows.path, params={"bbox": box}).json()["items"]
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
    client: TestClient, rows: Rows, box: str, reason: str
) -> None:
    refused(client.get(rows.path, params={"bbox": box}), "query.bbox", reason)
