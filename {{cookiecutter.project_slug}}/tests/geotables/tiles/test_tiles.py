"""Vector tiles: what their features say of the rows, and what the service says of its tiles."""

import json
import math
from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from shapely.geometry.base import BaseGeometry

from geotables.collection import Collection
from geotables.db.database import Database
from geotables.geometry import samples
from geotables.settings import ServiceSettings
from geotables.sql import extent, row_formats
from geotables.sql.extent import Extents
from geotables.sql.overviews import SIZE_STEP
from geotables.tiles.mvt import PIXEL, Tile
from geotables.tiles.routes import CONFORMANCE

import mvt
from contract import faces, only
from rows import Rows, as_json

WHOLE_WORLD = Tile(0, 0, 0)

#: Of this size in degrees, in a tile of that zoom, each part of a geometry is seen.
SIZE, ZOOM = 0.1, 8

#: How a layer ends that has 4096 units along a side, and is of version 2 of the specification: fields 5 and 15.
LAST_FIELDS = bytes([5 << 3, 0x80, 0x20, 15 << 3, 2])


def place(collection: Collection) -> tuple[float, float]:
    """Longitude and latitude in the middle of the CRS's area, where all of a geometry is in one tile."""
    lon, lat = samples.middle(collection.geometry)
    while Tile.at(lon + 3 * SIZE, lat, ZOOM).x != Tile.at(lon, lat, ZOOM).x:
        lon += SIZE
    while Tile.at(lon, lat + 3 * SIZE, ZOOM).y != Tile.at(lon, lat, ZOOM).y:
        lat += SIZE
    return lon, lat


def insert(rows: Rows, connection: sa.Connection, lon: float, lat: float) -> list[str]:
    """Insert rows at a place, of every kind; the ids of those that tiles show, in their order."""
    shapes = samples.geometries(rows.collection.geometry, (lon, lat), SIZE)
    stored = [rows.in_storage(connection, shape) for shape in shapes for _ in range(rows.kinds)]
    rows.insert(connection, stored)
    return list(map(rows.text, rows.indexed_ids(connection)))


def shown_by_id(rows: Rows, features: list[mvt.Feature]) -> dict[str, list[mvt.Feature]]:
    """The features of each row, by its id."""
    found = defaultdict(list)
    for feature in features:
        found[rows.text(feature.properties[rows.key.name])].append(feature)
    return found


def test_features_have_the_attributes_of_their_rows(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    collection = rows.collection
    inserted = insert(rows, connection, *place(collection))
    features = mvt.features(client, collection, Tile.at(*place(collection), ZOOM))
    assert mvt.ids(collection, features) == set(inserted)
    record = row_formats.record(collection)
    stored = {}
    for values in connection.execute(sa.select(*record.columns)):
        row = as_json(record.encode_one(values))
        del row[collection.geometry.name]
        if isinstance(rows.key.type, sa.Numeric):
            # As text, so that it leads to the feature.
            row[rows.key.name] = rows.text(row[rows.key.name])
        stored[rows.text(row[rows.key.name])] = row
    for feature in features:
        row = stored[rows.text(feature.properties[rows.key.name])]
        properties = {
            name: json.loads(value) if isinstance(rows.columns[name].type, sa.JSON) else value
            for name, value in feature.properties.items()
        }
        id = row[rows.key.name]
        assert feature.id == (id if isinstance(id, int) else None)
        assert properties == {name: row[name] for name in row if row[name] is not None}


def test_a_tile_is_of_the_type_that_the_client_accepts(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    insert(rows, connection, *place(rows.collection))
    path = mvt.path(rows.collection, Tile.at(*place(rows.collection), ZOOM))
    vector, octets = "application/vnd.mapbox-vector-tile", "application/octet-stream"
    for accepted, expected in ((vector, vector), (octets, octets), ("*/*", vector)):
        response = client.get(path, headers={"Accept": accepted})
        assert (response.status_code, response.headers["Content-Type"]) == (200, expected)
        assert response.headers["Vary"] == "Accept"
        assert response.content.endswith(LAST_FIELDS)


def mercator(collection: Collection) -> sa.ColumnElement[bytes]:
    """The geometry in Web Mercator, as WKB."""
    geometry = sa.func.ST_Transform(sa.func.ST_Force2D(collection.geometry), 3857)
    return sa.func.ST_AsBinary(geometry, type_=sa.LargeBinary())


def test_a_geometry_is_shown_with_all_its_parts_where_it_is(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    inserted = insert(rows, connection, *place(rows.collection))
    tile = Tile.at(*place(rows.collection), ZOOM)
    shown = shown_by_id(rows, mvt.features(client, rows.collection, tile))
    for id, wkb in connection.execute(sa.select(rows.key, mercator(rows.collection))):
        if str(id) not in inserted:
            assert str(id) not in shown
            continue
        geometry = mvt.in_grid(shapely.from_wkb(bytes(wkb)), tile)
        dimensions = {int(shapely.get_dimensions(part)) for part in shapely.get_parts(geometry)}
        pieces = shown[str(id)]
        assert sorted(piece.type for piece in pieces) == sorted(
            map(mvt.TYPES.__getitem__, dimensions)
        )
        # Coordinates are rounded to the grid.
        found = shapely.GeometryCollection([piece.geometry for piece in pieces])
        assert shapely.hausdorff_distance(geometry, found) < 1.5


def insert_area(rows: Rows, connection: sa.Connection, area: BaseGeometry) -> None:
    """Insert a row with an area in WGS 84."""
    if rows.collection.geometry_type == "MULTIPOLYGON":
        area = shapely.MultiPolygon([area])
    rows.insert(connection, [rows.in_storage(connection, shapely.set_srid(area, 4326))])


@only(lambda c: c.geometry_type in ("POLYGON", "MULTIPOLYGON"))
def test_an_area_of_a_few_pixels_loses_vertices_and_keeps_its_shape(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    lon, lat = place(rows.collection)
    insert_area(rows, connection, shapely.Point(lon, lat).buffer(SIZE / 2, quad_segs=64))
    wkb = connection.scalar(sa.select(mercator(rows.collection)))
    tile = Tile.at(lon, lat, ZOOM - 3)
    (feature,) = mvt.features(client, rows.collection, tile)
    stored = mvt.in_grid(shapely.from_wkb(bytes(wkb)), tile)
    assert shapely.hausdorff_distance(stored, feature.geometry) < 1.5
    if rows.collection.crs.geographic:
        assert shapely.get_num_coordinates(feature.geometry) < 50


@only(lambda c: c.geometry_type in ("POLYGON", "MULTIPOLYGON"))
def test_a_thin_area_at_the_edge_of_a_tile_does_not_fill_it(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    lon, lat = place(rows.collection)
    tile = Tile.at(lon, lat, ZOOM + 3)
    unit = 360 / 2**tile.z / mvt.GRID
    middle = shapely.Point(tile.box.xmax - 3 * unit, lat)
    # Simplified, its rings cross.
    ring = middle.buffer(10 * unit).difference(middle.buffer(9.99 * unit))
    insert_area(rows, connection, ring)
    (feature,) = mvt.features(client, rows.collection, tile)
    west, south, east, north = feature.geometry.bounds
    assert max(east - west, north - south) < mvt.GRID / 10


def test_what_is_smaller_than_a_pixel_does_not_vanish(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    lon, lat = place(rows.collection)
    shapes = samples.geometries(rows.collection.geometry, (lon, lat), 0.0003)
    rows.insert(connection, [rows.in_storage(connection, shape) for shape in shapes])
    stored = set(map(rows.text, rows.indexed_ids(connection)))
    for zoom in (0, 5):
        features = mvt.features(client, rows.collection, Tile.at(lon, lat, zoom))
        assert mvt.ids(rows.collection, features) == stored
        # As large as a pixel, and of its own dimension: the style draws each by a layer of its own.
        for feature in features:
            west, south, east, north = feature.geometry.bounds
            assert (feature.type == "Point") == (max(east - west, north - south) < 1)
            assert max(east - west, north - south) <= 2 * PIXEL


@only(lambda c: c.geometry_type == "LINESTRING" and c.crs.srid == 4326)
def test_a_tiny_line_does_not_vanish_far_from_greenwich(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    corners = [(170.0, 60.0), (170.00000001, 60.0), (170.00000001, 60.00000001)]
    line = shapely.set_srid(shapely.LineString(corners), 4326)
    rows.insert(connection, [rows.in_storage(connection, line)])
    assert len(mvt.features(client, rows.collection, Tile.at(*corners[0], 20))) == 1


@only(
    # The CRS reaches beyond the antimeridian.
    lambda c: c.crs.domain.contain(
        np.array([(lon, samples.middle(c.geometry)[1]) for lon in (-179.95, -179.5)])
    )
)
def test_the_tiles_at_the_antimeridian_show_what_is_on_its_other_side(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    lat = samples.middle(rows.collection.geometry)[1]
    inserted = insert(rows, connection, -179.95, lat)
    for tile, edge in ((Tile.at(-179.95, lat, 4), 0), (Tile.at(179.95, lat, 4), mvt.GRID)):
        features = mvt.features(client, rows.collection, tile)
        assert mvt.ids(rows.collection, features) == set(inserted)
        for feature in features:
            x = shapely.get_coordinates(feature.geometry)[:, 0]
            assert all((edge < x) & (x <= edge + mvt.BUFFER))


def test_a_tile_of_too_many_rows_shows_the_largest_and_says_so(
    client: TestClient,
    database: Database,
    settings: ServiceSettings,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collection = rows.collection
    lonlat = f"ST_Transform({rows.geometry_sql}, 4326)"
    size = f"({rows.geometry_sql}::box3d)::box2d"
    by_size = (
        f"SELECT {rows.id_sql}, |/ ((ST_XMax({size}) - ST_XMin({size})) ^ 2"
        f" + (ST_YMax({size}) - ST_YMin({size})) ^ 2) AS size"
        f" FROM {rows.sql} WHERE {rows.indexed_sql} ORDER BY size DESC"
    )
    with database.write() as connection:
        rows.insert(connection, rows.spread(100))
        # Web Mercator ends before the poles.
        beyond = f"ST_YMax({lonlat}) > 85 OR ST_YMin({lonlat}) < -85"
        connection.execute(sa.delete(rows.table).where(sa.text(beyond)))
        sizes = dict(map(tuple, connection.execute(sa.text(by_size))))
    limit = len(sizes) // 2
    least = [*sizes.values()][limit - 1] if limit else 0
    path = mvt.path(collection, WHOLE_WORLD)
    assert "Tile-Limit" not in client.get(path).headers
    monkeypatch.setattr(settings, "tile_limit", max(limit, 1))
    response = client.get(path)
    assert response.headers.get("Tile-Limit") == (str(limit) if limit else None)
    shown = mvt.ids(collection, mvt.features(client, collection, WHOLE_WORLD))
    assert len(shown) <= limit
    # Those of about the same size are equal.
    assert all(sizes[id] >= least * math.exp(-SIZE_STEP) for id in shown)
    # What one zoom shows is not gone at the next.
    closer = [
        mvt.features(client, collection, Tile(1, x, y)) for x, y in product(range(2), repeat=2)
    ]
    assert shown <= set().union(*(mvt.ids(collection, features) for features in closer))


def test_a_tile_is_sent_once(client: TestClient, connection: sa.Connection, rows: Rows) -> None:
    path = mvt.path(rows.collection, Tile.at(*place(rows.collection), ZOOM))
    empty = client.get(path)
    assert empty.status_code == 204
    inserted = insert(rows, connection, *place(rows.collection))
    first = client.get(path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    connection.execute(sa.delete(rows.table))
    # Of a partial index there may have been none.
    assert client.get(path, headers=known).status_code == (204 if inserted else 304)


def test_a_tile_may_be_kept_for_as_long_as_the_setting_says(
    client: TestClient,
    settings: ServiceSettings,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where not everybody may read, or callers see different rows, no cache may share what one of them got.
    is_guarded = collection.readers or collection.where is not None
    sharing = "private" if is_guarded else "public"
    for age, expected in ((60, f"{sharing}, max-age=60"), (0, "no-cache")):
        monkeypatch.setattr(settings, "tile_max_age", age)
        response = client.get(mvt.path(collection, WHOLE_WORLD))
        assert response.headers["Cache-Control"] == expected


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
    client: TestClient, rows: Rows, address: str
) -> None:
    response = client.get(f"{rows.tileset}/{address}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_the_last_zoom_has_tiles(client: TestClient, connection: sa.Connection, rows: Rows) -> None:
    lon, lat = samples.middle(rows.collection.geometry)
    inserted = insert(rows, connection, lon, lat)
    inside = Tile.at(lon + SIZE / 2, lat + SIZE / 2, 24)
    shown = mvt.ids(rows.collection, mvt.features(client, rows.collection, inside))
    assert shown <= set(inserted)


@faces("ogc")
def test_links_lead_from_the_collection_to_its_tiles(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    insert(rows, connection, *place(rows.collection))
    tilesets = linked(client, rows.collection_path, "tilesets-vector").json()
    (tileset,) = tilesets["tilesets"]
    whole = client.get(link(tileset, "self")).json()
    assert tileset.items() <= whole.items()
    assert whole["layers"][0]["propertiesSchema"]["properties"].keys() == rows.columns.keys()
    address = {"tileMatrix": 0, "tileRow": 0, "tileCol": 0}
    tile = client.get(link(whole, "item").format(**address))
    assert tile.content == client.get(mvt.path(rows.collection, WHOLE_WORLD)).content


def test_tilejson_has_what_a_map_needs(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    insert(rows, connection, *place(rows.collection))
    tileset = client.get(rows.tileset).json()
    response = client.get(link(tileset, "alternate"))
    assert response.headers["Content-Type"] == "application/vnd.mapbox.tilejson+json"
    found = response.json()
    accept = {"Accept": "application/vnd.mapbox.tilejson+json"}
    assert client.get(rows.tileset, headers=accept).json() == found
    assert found["tilejson"] == "3.0.0"
    assert [layer["id"] for layer in found["vector_layers"]] == [rows.collection.name]
    assert found["vector_layers"][0]["fields"].keys() == rows.columns.keys()
    assert set(found["vector_layers"][0]["fields"].values()) <= {"String", "Number", "Boolean"}
    (template,) = found["tiles"]
    tile = client.get(template.format(z=0, y=0, x=0))
    assert tile.content == client.get(mvt.path(rows.collection, WHOLE_WORLD)).content
    if tile.content:
        west, south, east, north = found["bounds"]
        lon, lat = place(rows.collection)
        assert west - SIZE <= lon <= east + SIZE
        assert south - SIZE <= lat <= north + SIZE


def test_a_style_draws_the_tiles_and_begins_where_the_rows_are(
    client: TestClient, connection: sa.Connection, rows: Rows
) -> None:
    insert(rows, connection, *place(rows.collection))
    name = rows.collection.name
    address = link(client.get(rows.tileset).json(), "stylesheet")
    response = client.get(address)
    assert response.headers["Content-Type"] == "application/vnd.mapbox.style+json"
    style = response.json()
    source = style["sources"][name]
    tilejson = client.get(source["url"]).json()
    (layer,) = tilejson["vector_layers"]
    assert source["promoteId"] == {name: rows.key.name}
    drawn = [each for each in style["layers"] if each.get("source") == name]
    assert drawn and {each["source-layer"] for each in drawn} == {layer["id"]}
    everything = client.get("/style.json").json()
    assert [each for each in everything["layers"] if each.get("source") == name] == drawn
    view = {key: style.pop(key) for key in ("center", "zoom") if key in style}
    assert client.get(f"{address}?view=false").json() == style
    # The predicate of the index may leave every row out.
    is_shown = bool(client.get(mvt.path(rows.collection, WHOLE_WORLD)).content)
    assert (bool(view), "bounds" in tilejson) == (is_shown, is_shown)
    if is_shown:
        (lon, lat), (west, south, east, north) = view["center"], tilejson["bounds"]
        assert west <= lon <= east + 360 * (west > east)
        assert south <= lat <= north


def test_maps_do_not_wait_for_the_extent_of_many_rows(
    connection: sa.Connection, database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(rows, connection, *place(rows.collection))
    monkeypatch.setattr(extent, "FEW", -1)
    extents = Extents(database, rows.collection, lifetime=60)
    assert extents.at_hand() is None
    known = extents.get()
    assert extents.at_hand() == known


def test_a_style_does_not_wait_for_the_database(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Extents) -> None:
        raise sa.exc.OperationalError("SELECT", None, ConnectionError("gone"))

    monkeypatch.setattr(Extents, "get", fail)
    response = client.get("/style.json")
    assert response.status_code == 200
    assert "layers" in response.json() and "center" not in response.json()


def test_a_style_is_light_or_dark(client: TestClient) -> None:
    light, dark = (client.get(f"/style.json?scheme={name}").json() for name in ("light", "dark"))
    assert light == client.get("/style.json").json() != dark
    response = client.get("/style.json?scheme=blue")
    assert response.status_code == 400
    assert response.json()["errors"][0]["location"] == "query.scheme"


@faces("webmap")
def test_a_style_has_the_land_and_the_background_of_the_map(
    client: TestClient, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "map_background_url", "https://tiles.example.org/{z}/{x}/{y}.png")
    monkeypatch.setattr(settings, "map_background_attribution", "<b>&</b>")
    sources = client.get("/style.json").json()["sources"]
    assert client.get(sources["base:land"]["data"]).json()["type"] == "MultiPolygon"
    assert sources["base:background"]["tiles"] == ["https://tiles.example.org/{z}/{x}/{y}.png"]
    assert sources["base:background"]["attribution"] == "&lt;b&gt;&amp;&lt;/b&gt;"


def test_the_tile_set_has_no_other_format(client: TestClient, rows: Rows) -> None:
    response = client.get(rows.tileset, params={"f": "png"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["location"] == "query.f"


@faces("ogc")
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


@faces("ogc")
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
