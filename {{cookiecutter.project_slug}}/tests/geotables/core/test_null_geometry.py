"""Rows without a geometry, and with an empty one, in every face."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection

from contract import faces, only, writes
from rows import Rows

pytestmark = only(lambda collection: collection.geometry.nullable)

Main = Callable[[list[str]], int]


@pytest.fixture
def ids(rows: Rows, connection: sa.Connection) -> list[str]:
    """The ids of a row with a geometry, of one without, and of one with an empty one."""
    shape = rows.in_storage(connection, rows.samples[0])
    place = rows.collection.geometry.name
    srid = rows.collection.crs.srid
    rows.insert(connection, [shape] * 3)
    ids = list(connection.scalars(sa.select(rows.key).order_by(rows.key)))
    for id, value in zip(ids[1:], (sa.null(), _empty(shape.geom_type, srid)), strict=True):
        connection.execute(sa.update(rows.table).where(rows.key == id).values({place: value}))
    return [str(id) for id in ids]


def _empty(kind: str, srid: int) -> sa.ColumnElement[Any]:
    return sa.func.ST_GeomFromText(f"{kind.upper()} EMPTY", srid)


@faces("rest", "features")
def test_it_is_null_in_every_format(client: TestClient, rows: Rows, ids: list[str]) -> None:
    place = rows.collection.geometry.name
    assert client.get(f"{rows.path}{ids[1]}").json()[place] is None
    assert client.get(f"{rows.items}/{ids[1]}").json()["geometry"] is None
    assert client.get(f"{rows.items}/{ids[1]}?f=html").status_code == 200
    listed = client.get(rows.path).json()["items"]
    assert [row[place] is None for row in listed] == [False, True, False]
    features = client.get(rows.items).json()["features"]
    assert [feature["geometry"] is None for feature in features] == [False, True, False]
    lines = client.get(f"{rows.items}?f=csv").text.splitlines()
    assert lines[2].split(",")[:2] == [ids[1], ""]
    assert "EMPTY" in lines[3]
    for f in ("html", "jsonseq"):
        assert client.get(f"{rows.items}?f={f}").status_code == 200


@faces("rest", "features")
def test_pages_go_on_through_it(client: TestClient, rows: Rows, ids: list[str]) -> None:
    found, url = [], f"{rows.items}?limit=1"
    while url:
        page = client.get(url).json()
        found += [str(feature["id"]) for feature in page["features"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert found == ids


@faces("rest", "features", "ogc", "tiles")
def test_no_search_finds_it(client: TestClient, rows: Rows, ids: list[str]) -> None:
    world = "-180,-90,180,90"
    assert [
        str(row[rows.key.name]) for row in client.get(f"{rows.path}?bbox={world}").json()["items"]
    ] == ids[:1]
    features = client.get(f"{rows.items}?bbox={world}").json()["features"]
    assert [str(feature["id"]) for feature in features] == ids[:1]
    near = client.get(f"{rows.path}nearby", params={"lon": 0, "lat": 0, "radius": 21e6})
    assert [str(row[rows.key.name]) for row in near.json()["items"]] == ids[:1]
    assert client.get(f"{rows.tileset}/0/0/0").status_code in (200, 204)
    assert "bbox" in client.get(rows.collection_path).json()["extent"]["spatial"]
    place = rows.collection.geometry.name
    unset = client.get(rows.items, params={"filter": f"{place} IS NULL"}).json()["features"]
    assert [str(feature["id"]) for feature in unset] == ids[1:2]


@faces("ogc")
def test_a_collection_without_any_geometry_has_no_extent(
    client: TestClient, rows: Rows, connection: sa.Connection, ids: list[str]
) -> None:
    connection.execute(sa.update(rows.table).values({rows.collection.geometry.name: None}))
    # Written by another process: it is known once the extent is no longer kept.
    client.app.state.extents[rows.collection.name]._until = 0.0
    assert "extent" not in client.get(rows.collection_path).json()


@writes
@faces("rest")
def test_rows_may_be_written_without_it(client: TestClient, rows: Rows) -> None:
    place = rows.collection.geometry.name
    body = rows.body()
    sample = body.pop(place)
    for given in (body, body | {place: None}):
        assert client.post(rows.path, json=given).json()[place] is None
    row = client.post(rows.path, json=body | {place: sample}).json()
    path = f"{rows.path}{row[rows.key.name]}"
    assert row[place] is not None
    assert client.patch(path, json={place: None}).json()[place] is None
    assert client.patch(path, json={place: sample}).json()[place] == row[place]
    assert client.put(path, json=body).json()[place] is None
    assert client.put(path, json=client.get(path).json()).json()[place] is None


@writes
@faces("features")
def test_features_may_be_written_without_it(client: TestClient, rows: Rows) -> None:
    body = rows.body()
    sample = body.pop(rows.collection.geometry.name)
    feature = {"type": "Feature", "geometry": None, "properties": body}
    another = feature | {"geometry": sample, "properties": {**body, **_unique(rows, 2)}}
    created = client.post(rows.items, json=feature)
    assert created.status_code == 201, created.text
    assert created.json()["geometry"] is None
    path = f"{rows.items}/{created.json()['id']}"
    assert client.patch(path, json={"geometry": sample}).json()["geometry"] is not None
    assert client.patch(path, json={"geometry": None}).json()["geometry"] is None
    assert client.put(path, json=client.get(path).json()).json()["geometry"] is None
    client.delete(path)
    several = {"type": "FeatureCollection", "features": [feature, another]}
    found = client.post(rows.items, json=several).json()["features"]
    assert [each["geometry"] is None for each in found] == [True, False]


def _unique(rows: Rows, number: int) -> dict[str, Any]:
    body = rows.body(number)
    return {name: body[name] for name in rows.unique & body.keys()}


@faces("files")
@pytest.mark.parametrize(
    "name", ["rows.geojson", "rows.geojsonl", "rows.csv", "rows.gpkg", "rows.fgb"]
)
def test_it_is_exported(
    main: Main,
    collection: Collection,
    connection: sa.Connection,
    rows: Rows,
    ids: list[str],
    tmp_path: Path,
    name: str,
) -> None:
    empty = rows.key == connection.scalar(
        sa.select(rows.key).where(sa.cast(rows.key, sa.Text()) == ids[2])
    )
    connection.execute(sa.delete(rows.table).where(empty))
    path = tmp_path / name
    assert main(["export", "--table", collection.name, str(path)]) == 0
    if not collection.is_writable or path.suffix == ".fgb":
        # GDAL cannot read a FlatGeobuf with a feature without a geometry.
        return
    connection.execute(sa.delete(rows.table))
    crs = ["--source-crs", f"EPSG:{collection.crs.srid}"] if path.suffix == ".csv" else []
    assert main(["load", "--table", collection.name, *crs, str(path)]) == 0
    query = sa.select(collection.geometry).order_by(rows.key)
    shapes = [
        None if shape is None else shapely.from_wkb(bytes.fromhex(shape.desc))
        for shape in connection.scalars(query)
    ]
    # In the order of the file, which is as the rows are stored.
    assert sorted(shape is None for shape in shapes) == [False, True]


def test_the_document_says_so(client: TestClient, rows: Rows) -> None:
    document = client.get("/openapi.json").json()
    schemas, model = document["components"]["schemas"], rows.collection.model.__name__
    assert '"null"' not in client.get("/openapi.json").text
    geometry = schemas[f"{model}Feature"]["properties"]["geometry"]
    first = geometry.get("oneOf", [geometry])[0]
    assert first["nullable"] is True
