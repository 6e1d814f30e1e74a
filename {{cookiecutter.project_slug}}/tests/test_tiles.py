"""Vector tiles: what their features say of the rows, and what the service says of its tiles."""

import json
from itertools import product
from typing import Any

import mvt
import numpy as np
import pytest
import rows
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from rows import GEOMETRY, INDEXED_ROWS, STORAGE, TABLE
from sqlalchemy.dialects.postgresql import JSONB

from geotables.db.database import Database
from geotables.geometry import metadata, samples
from geotables.tiles.mvt import Tile
from geotables.tiles.routes import CONFORMANCE

from {{ cookiecutter.package_name }}.settings import Settings

WHOLE_WORLD = Tile(0, 0, 0)

#: Of this size in degrees, in a tile of that zoom, each part of a geometry is seen.
SIZE, ZOOM = 0.1, 8


def place() -> tuple[float, float]:
    """Longitude and latitude in the middle of the CRS's area, where all of a geometry is in one tile."""
    lon, lat = samples.middle(GEOMETRY)
    while Tile.at(lon + 3 * SIZE, lat, ZOOM).x != Tile.at(lon, lat, ZOOM).x:
        lon += SIZE
    while Tile.at(lon, lat + 3 * SIZE, ZOOM).y != Tile.at(lon, lat, ZOOM).y:
        lat += SIZE
    return lon, lat


def post(client: TestClient, lon: float, lat: float) -> list[str]:
    """Have the service make rows at a place, of every kind; the ids of those that tiles show, in their order."""
    shapes = samples.geometries(GEOMETRY, (lon, lat), SIZE)
    for number, shape in enumerate(np.repeat(shapes, rows.KINDS)):
        response = client.post(rows.PATH, json=rows.full_body(number, **{GEOMETRY.name: shape}))
        assert response.status_code == 201, response.text
    with client.app.state.database.read() as connection:
        return list(map(str, rows.indexed_ids(connection)))


def test_features_have_the_attributes_of_their_rows(client: TestClient) -> None:
    posted = post(client, *place())
    features = mvt.features(client, Tile.at(*place(), ZOOM))
    assert mvt.ids(features) == set(posted)
    for feature in features:
        row = client.get(f"{rows.PATH}{feature.properties['id']}").json()
        assert feature.id == (row["id"] if isinstance(row["id"], int) else None)
        del row[GEOMETRY.name]
        for column in TABLE.columns:
            if isinstance(column.type, JSONB) and row[column.name] is not None:
                row[column.name] = json.dumps(row[column.name])
        assert feature.properties == {name: row[name] for name in row if row[name] is not None}


def test_a_tile_is_of_the_type_that_the_client_accepts(client: TestClient) -> None:
    post(client, *place())
    tile = Tile.at(*place(), ZOOM)
    url = f"/collections/{TABLE.name}/tiles/WebMercatorQuad/{tile.z}/{tile.y}/{tile.x}"
    vector, octets = "application/vnd.mapbox-vector-tile", "application/octet-stream"
    for accepted, expected in ((vector, vector), (octets, octets), ("*/*", vector)):
        response = client.get(url, headers={"Accept": accepted})
        assert (response.status_code, response.headers["Content-Type"]) == (200, expected)
        assert response.headers["Vary"] == "Accept"


def test_a_geometry_is_shown_with_all_its_parts(client: TestClient) -> None:
    posted = post(client, *place())
    features = mvt.features(client, Tile.at(*place(), ZOOM))
    for id in posted:
        shown = [each.type for each in features if str(each.properties["id"]) == id]
        row = client.get(f"/collections/{TABLE.name}/items/{id}").json()
        geometry = shapely.from_geojson(json.dumps(row["geometry"]))
        dimensions = {int(shapely.get_dimensions(part)) for part in shapely.get_parts(geometry)}
        assert sorted(shown) == sorted(mvt.TYPES[dimension + 1] for dimension in dimensions)


@pytest.mark.skipif(
    not STORAGE.domain.contain(
        np.array([(lon, samples.middle(GEOMETRY)[1]) for lon in (-179.95, -179.5)])
    ),
    reason="the CRS does not reach beyond the antimeridian",
)
def test_the_tiles_at_the_antimeridian_show_what_is_on_its_other_side(client: TestClient) -> None:
    lat = samples.middle(GEOMETRY)[1]
    posted = post(client, -179.95, lat)
    for tile, edge in ((Tile.at(-179.95, lat, 4), 0), (Tile.at(179.95, lat, 4), mvt.GRID)):
        features = mvt.features(client, tile)
        assert mvt.ids(features) == set(posted)
        assert all(edge < x <= edge + mvt.BUFFER for each in features for x, _ in each.positions)


def test_a_tile_of_too_many_rows_shows_the_largest_and_says_so(
    client: TestClient, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lonlat = f"ST_Transform({GEOMETRY.name}, 4326)"
    size = f"({GEOMETRY.name}::box3d)::box2d"
    by_size = (
        f"SELECT id::text FROM {TABLE.name} WHERE {rows.in_sql(INDEXED_ROWS)}"
        f" ORDER BY (ST_XMax({size}) - ST_XMin({size})) ^ 2"
        f" + (ST_YMax({size}) - ST_YMin({size})) ^ 2 DESC"
    )
    with database.write() as connection:
        rows.insert(connection, rows.spread(100))
        # Web Mercator ends before the poles.
        beyond = f"ST_YMax({lonlat}) > 85 OR ST_YMin({lonlat}) < -85"
        connection.execute(sa.delete(TABLE).where(sa.text(beyond)))
        ids = connection.scalars(sa.text(by_size)).all()
    limit = len(ids) // 2
    largest = set(ids[:limit])
    assert "Tile-Limit" not in client.get(mvt.path(WHOLE_WORLD)).headers
    monkeypatch.setattr(settings, "tile_limit", max(limit, 1))
    response = client.get(mvt.path(WHOLE_WORLD))
    assert response.headers.get("Tile-Limit") == (str(limit) if limit else None)
    shown = mvt.ids(mvt.features(client, WHOLE_WORLD))
    assert len(shown) <= limit
    assert shown <= largest or metadata.geometry_type(GEOMETRY) == "POINT"
    # What one zoom shows is not gone at the next.
    closer = [mvt.features(client, Tile(1, x, y)) for x, y in product(range(2), repeat=2)]
    assert shown <= set().union(*map(mvt.ids, closer))


def test_a_tile_is_sent_once(client: TestClient) -> None:
    path = mvt.path(Tile.at(*place(), ZOOM))
    empty = client.get(path)
    assert empty.status_code == 204
    posted = post(client, *place())
    first = client.get(path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    for row in client.get(rows.PATH, params={"limit": 10_000}).json()["items"]:
        client.delete(f"{rows.PATH}{row['id']}")
    # Of a partial index there may have been none.
    assert client.get(path, headers=known).status_code == (204 if posted else 304)


def test_a_tile_may_be_kept_for_as_long_as_the_setting_says(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, said in ((60, "public, max-age=60"), (0, "no-cache")):
        monkeypatch.setattr(settings, "tile_max_age", age)
        assert client.get(mvt.path(WHOLE_WORLD)).headers["Cache-Control"] == said


@pytest.mark.parametrize(
    "address",
    [
        "25/0/0",
        "0/0/1",
        "0/1/0",
        "3/8/0",
        "3/0/8",
        "-1/0/0",
        "3/-1/0",
        "a/0/0",
        "3/0/1.5",
        "1e0/0/0",
        "9999999999/0/0",
    ],
)
def test_a_tile_that_the_matrix_set_does_not_have_is_not_found(
    client: TestClient, address: str
) -> None:
    response = client.get(f"{mvt.QUAD}/{address}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_the_last_zoom_has_tiles(client: TestClient) -> None:
    lon, lat = samples.middle(GEOMETRY)
    posted = post(client, lon, lat)
    inside = Tile.at(lon + SIZE / 2, lat + SIZE / 2, 24)
    assert mvt.ids(mvt.features(client, inside)) <= set(posted)


def test_links_lead_from_the_collection_to_its_tiles(client: TestClient) -> None:
    post(client, *place())
    tilesets = linked(client, f"/collections/{TABLE.name}", "tilesets-vector").json()
    (tileset,) = tilesets["tilesets"]
    whole = client.get(link(tileset, "self")).json()
    assert tileset.items() <= whole.items()
    assert whole["layers"][0]["propertiesSchema"]["properties"].keys() == {
        column.name for column in TABLE.columns if column is not GEOMETRY
    }
    address = {"tileMatrix": 0, "tileRow": 0, "tileCol": 0}
    tile = client.get(link(whole, "item").format(**address))
    assert tile.content == client.get(mvt.path(WHOLE_WORLD)).content


def test_tilejson_has_what_a_map_needs(client: TestClient) -> None:
    post(client, *place())
    tileset = client.get(mvt.QUAD).json()
    response = client.get(link(tileset, "alternate"))
    assert response.headers["Content-Type"] == "application/vnd.mapbox.tilejson+json"
    found = response.json()
    accept = {"Accept": "application/vnd.mapbox.tilejson+json"}
    assert client.get(mvt.QUAD, headers=accept).json() == found
    assert found["tilejson"] == "3.0.0"
    assert [layer["id"] for layer in found["vector_layers"]] == [TABLE.name]
    assert found["vector_layers"][0]["fields"].keys() == {
        column.name for column in TABLE.columns if column is not GEOMETRY
    }
    (template,) = found["tiles"]
    tile = client.get(template.format(z=0, y=0, x=0))
    assert tile.content == client.get(mvt.path(WHOLE_WORLD)).content
    if tile.content:
        west, south, east, north = found["bounds"]
        lon, lat = place()
        assert west - SIZE <= lon <= east + SIZE
        assert south - SIZE <= lat <= north + SIZE


def test_the_tile_set_has_no_other_format(client: TestClient) -> None:
    response = client.get(mvt.QUAD, params={"f": "png"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["location"] == "query.f"


def test_the_matrix_set_is_the_one_of_the_standard(client: TestClient) -> None:
    found = linked(client, "/", "tiling-schemes").json()
    (matrix_set,) = found["tileMatrixSets"]
    assert matrix_set["id"] == "WebMercatorQuad"
    matrices = client.get(link(matrix_set, "self")).json()["tileMatrices"]
    assert [matrix["id"] for matrix in matrices] == [str(zoom) for zoom in range(25)]
    # The numbers of 17-083r4, annex D.1.
    assert matrices[0]["scaleDenominator"] == pytest.approx(559082264.028717)
    assert matrices[24]["cellSize"] == pytest.approx(0.00933069200756)
    assert matrices[24]["matrixWidth"] == 16777216


def test_the_service_says_that_it_conforms(client: TestClient) -> None:
    conforms_to = client.get("/conformance").json()["conformsTo"]
    assert set(CONFORMANCE) <= set(conforms_to)


def link(resource: dict[str, Any], rel: str) -> str:
    """Where a link leads, by the last part of its relation."""
    (href,) = {each["href"] for each in resource["links"] if each["rel"].split("/")[-1] == rel}
    return href


def linked(client: TestClient, path: str, rel: str) -> Response:
    """What a link of a resource leads to."""
    return client.get(link(client.get(path).json(), rel))
