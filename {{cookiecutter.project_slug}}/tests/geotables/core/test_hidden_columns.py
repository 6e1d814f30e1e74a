"""A column that the schema ``read`` lacks is hidden: nothing shows it or asks about it. Who writes it may do so unseen."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy.sql.visitors import iterate

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.crs import WGS84
from geotables.geometry import in_srid
from geotables.service import Service

import apps
from contract import each, faces, writes
from rows import Rows, as_json


def writable(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that clients write, and that can be hidden."""
    return {column.name: column for column in Rows.of(collection).properties}


def properties(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that can be hidden: neither key nor geometry."""
    return {column.name: column for column in collection.properties if column is not collection.key}


HIDDEN = each("column", properties)
WRITE_ONLY = each("column", writable)


@pytest.fixture(scope="module")
def made() -> Iterator[dict[sa.Column[Any], FastAPI]]:
    """The applications that do not show a column."""
    made: dict[sa.Column[Any], FastAPI] = {}
    yield made
    for app in made.values():
        app.state.database.close()


@pytest.fixture
def hiding(
    service: Service,
    collection: Collection,
    column: sa.Column[Any],
    database_url: str,
    client: TestClient,
    made: dict[sa.Column[Any], FastAPI],
) -> TestClient:
    """A client of an application that does not show the column."""
    if column not in made:
        made[column] = apps.create(service, database_url, [apps.without(collection, column)])
    hiding = TestClient(made[column])
    hiding.portal = client.portal
    return hiding


@pytest.fixture
def some_rows(rows: Rows, connection: sa.Connection) -> list[str]:
    """A few rows; the ids of those that the index holds."""
    rows.insert(connection, rows.spread(9))
    return list(map(rows.text, rows.indexed_ids(connection)))


def shown(response: Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


# Hidden


@faces("rest")
@HIDDEN
def test_no_row_has_a_hidden_column(
    hiding: TestClient, rows: Rows, some_rows: list[str], column: sa.Column[Any]
) -> None:
    # Here: the folder of a face that a project has deleted cannot be imported.
    from geotables.rest.routes import distance_name

    distance = distance_name(apps.without(rows.collection, column))
    every = {"all": True} if rows.collection.is_partial else {}
    page = shown(hiding.get(rows.path, params=every))
    near = shown(hiding.get(f"{rows.path}nearby", params={"lon": 0, "lat": 0, "radius": 21e6}))
    row = shown(hiding.get(rows.at(some_rows[0])))
    others = {shown.name for shown in rows.collection.columns} - {column.name}
    assert row.keys() == others
    assert all(row.keys() == others for row in page["items"])
    assert all(row.keys() == {*others, distance} for row in near["items"])
    assert page["items"]
    assert near["items"]


@faces("features")
@HIDDEN
def test_no_feature_has_a_hidden_column(
    hiding: TestClient, rows: Rows, some_rows: list[str], column: sa.Column[Any]
) -> None:
    page = shown(hiding.get(rows.items))
    one = shown(hiding.get(rows.item(some_rows[0])))
    _, *texts = hiding.get(rows.items, params={"f": "jsonseq"}).content.split(b"\x1e")
    others = set(rows.feature_names) - {column.name}
    features = [*page["features"], one, *map(json.loads, texts)]
    assert len(features) == 2 * len(some_rows) + 1
    assert all(feature["properties"].keys() == others for feature in features)


@faces("features")
@HIDDEN
def test_no_table_has_a_hidden_column(
    hiding: TestClient, rows: Rows, some_rows: list[str], column: sa.Column[Any]
) -> None:
    text = hiding.get(rows.items, params={"f": "csv"}).text
    header = next(csv.reader(io.StringIO(text)))
    assert {*header} == {shown.name for shown in rows.collection.columns} - {column.name}
    for path in (rows.items, rows.item(some_rows[0])):
        page = hiding.get(path, params={"f": "html"}).text
        # In a head that sorts by it, a name is a link.
        heads = re.findall(r"<th[^>]*>\s*(?:<a[^>]*>)?([^<]*)<", page)
        shown_names = rows.columns.keys() & {html.unescape(head) for head in heads}
        assert shown_names - {rows.key.name} == rows.columns.keys() - {column.name, rows.key.name}


@faces("features")
@HIDDEN
def test_no_condition_asks_about_a_hidden_column(
    hiding: TestClient, rows: Rows, some_rows: list[str], column: sa.Column[Any]
) -> None:
    name = column.name
    queryables = shown(hiding.get(f"{rows.collection_path}/queryables", params={"f": "json"}))
    assert queryables["properties"].keys() == {shown.name for shown in rows.collection.columns} - {
        name
    }
    # As long as the name: messages cut long ones.
    nothing = f"{name[:-1]}_" if len(name) > 1 else "z"
    asks = [
        lambda name: {"sortby": name},
        lambda name: {"sortby": f"-{name}"},
        lambda name: {"filter": f'"{name}" IS NULL'},
        lambda name: {"filter": f'"{name}" = "{name}"'},
    ]
    # Here: the folder of a face that a project has deleted cannot be imported.
    from geotables.features.items_query import queries_of

    if column in queries_of(rows.collection).parameters.values():
        # Else there is a parameter of the service's own that has its name.
        asks.append(lambda name: {name: "1"})
    for ask in asks:
        response = hiding.get(rows.items, params=ask(name))
        # Refused as what is not there is.
        other = hiding.get(rows.items, params=ask(nothing))
        assert response.status_code == other.status_code == 400, response.text
        ((error,), (expected,)) = (answer.json()["errors"] for answer in (response, other))
        assert error["location"] == expected["location"].replace(
            f"query.{nothing}", f"query.{name}"
        )
        assert error["detail"] == expected["detail"].replace(f"'{nothing}", f"'{name}")


@faces("tiles")
@HIDDEN
def test_no_tile_has_a_hidden_column(
    hiding: TestClient,
    rows: Rows,
    some_rows: list[str],
    connection: sa.Connection,
    column: sa.Column[Any],
) -> None:
    # Here: the folder of a face that a project has deleted cannot be imported.
    from geotables.tiles.mvt import Tile

    import mvt

    lonlat = sa.func.ST_PointOnSurface(in_srid(rows.collection.geometry, WGS84))
    places = sa.select(rows.key, sa.func.ST_X(lonlat), sa.func.ST_Y(lonlat)).where(
        rows.collection.indexed_rows, sa.func.abs(sa.func.ST_Y(lonlat)) < 80
    )
    found = connection.execute(places).all()
    assert found
    for id, lon, lat in found:
        features = mvt.features(hiding, rows.collection, Tile.at(lon, lat, 14))
        assert rows.text(id) in mvt.ids(rows.collection, features)
        assert all(column.name not in feature.properties for feature in features)
    others = rows.columns.keys() - {column.name}
    tilejson = shown(hiding.get(rows.tileset, params={"f": "tilejson"}))
    (layer,) = tilejson["vector_layers"]
    assert layer["fields"].keys() == others
    (layer,) = shown(hiding.get(rows.tileset, params={"f": "json"}))["layers"]
    assert layer["propertiesSchema"]["properties"].keys() == others


@writes
@faces("rest")
@HIDDEN
def test_the_document_has_no_rows_with_a_hidden_column(
    hiding: TestClient, rows: Rows, column: sa.Column[Any]
) -> None:
    document = hiding.app.openapi()
    sent = (rows.collection.create.__name__, f"{rows.collection.model.__name__}Patch")
    members = {
        name: schema["properties"].keys()
        for name, schema in document["components"]["schemas"].items()
        if rows.collection.geometry.name in schema.get("properties", {})
    }
    assert len(members) > 1
    neighbour = members.pop(f"{rows.collection.model.__name__}Neighbour")
    for name, shown_members in members.items():
        assert (column.name in shown_members) == (
            name in sent and column.name in rows.collection.written
        ), name
    # Unless it has a distance in the place of the column.
    assert column.name not in neighbour - {"distance"}


@faces("features")
@HIDDEN
def test_the_document_has_no_features_with_a_hidden_column(
    hiding: TestClient, rows: Rows, column: sa.Column[Any]
) -> None:
    document = hiding.app.openapi()
    feature = document["components"]["schemas"][f"{rows.collection.model.__name__}Feature"]
    members = feature["properties"]["properties"]["properties"]
    assert members.keys() == set(rows.feature_names) - {column.name}
    parameters = document["paths"][rows.items]["get"]["parameters"]
    assert parameters
    # A parameter of the service's own may have its name.
    described = [each["description"] for each in parameters if each.get("name") == column.name]
    assert f"The value of {column.name}." not in described


@HIDDEN
def test_the_version_of_a_view_s_row_tells_nothing_of_a_hidden_column(
    collection: Collection, column: sa.Column[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a hash, and of a hidden column with few values a client could try each."""
    monkeypatch.setitem(collection.table.info, "is_view", True)
    version = apps.without(collection, column).version
    hashed = {each.name for each in iterate(version) if isinstance(each, sa.Column)}
    assert hashed == {shown.name for shown in collection.columns} - {column.name}


# Written and not seen


class Stored:
    """What the table has in the column of its only row."""

    def __init__(self, connection: sa.Connection, column: sa.Column[Any]) -> None:
        self._connection, self._column = connection, column

    def value(self) -> Any:
        return self._connection.execute(sa.select(text_of(self._column))).scalar_one()

    def set(self, value: Any) -> None:
        update = sa.update(self._column.table).values({self._column.name: value})
        self._connection.execute(update)


def other_value(rows: Rows, column: sa.Column[Any]) -> Any:
    """A value of another row, if rows differ."""
    values = [rows.collection.example(number)[column.name] for number in range(8)]
    return next((value for value in values if value != values[1]), values[1])


def feature_of(rows: Rows, body: dict[str, Any]) -> dict[str, Any]:
    shape = body.pop(rows.collection.geometry.name)
    return {"type": "Feature", "geometry": shape, "properties": body}


@writes
@faces("rest")
@WRITE_ONLY
def test_a_row_keeps_what_its_client_cannot_see(
    hiding: TestClient, rows: Rows, connection: sa.Connection, column: sa.Column[Any]
) -> None:
    name, stored = column.name, Stored(connection, column)
    response = hiding.post(rows.path, json=rows.full_body(1))
    assert response.status_code == 201, response.text
    assert name not in response.json()
    assert stored.value() == rows.collection.example(1)[name]
    stored.set(other := other_value(rows, column))
    path = rows.at(response.json()[rows.key.name])
    row = shown(hiding.get(path))
    # What came can go back, and changes nothing.
    assert shown(hiding.put(path, json=row)).keys() == row.keys()
    assert stored.value() == other
    shape = {rows.collection.geometry.name: as_json(rows.samples[-1])}
    assert name not in shown(hiding.patch(path, json=shape))
    assert stored.value() == other
    assert name not in shown(hiding.put(path, json=row | {name: rows.full_body(1)[name]}))
    assert stored.value() == rows.collection.example(1)[name]
    assert name not in shown(hiding.patch(path, json={name: as_json(other)}))
    assert stored.value() == other


@writes
@faces("features")
@WRITE_ONLY
def test_a_feature_keeps_what_its_client_cannot_see(
    hiding: TestClient, rows: Rows, connection: sa.Connection, column: sa.Column[Any]
) -> None:
    name, stored = column.name, Stored(connection, column)
    response = hiding.post(rows.items, json=feature_of(rows, rows.full_body(1)))
    assert response.status_code == 201, response.text
    assert name not in response.json()["properties"]
    assert stored.value() == rows.collection.example(1)[name]
    stored.set(other := other_value(rows, column))
    path = rows.item(response.json()["id"])
    feature = shown(hiding.get(path))
    assert name not in shown(hiding.put(path, json=feature))["properties"]
    assert stored.value() == other
    shape = {"geometry": as_json(rows.samples[-1])}
    assert name not in shown(hiding.patch(path, json=shape))["properties"]
    assert stored.value() == other
    given = feature["properties"] | {name: rows.full_body(1)[name]}
    assert name not in shown(hiding.put(path, json=feature | {"properties": given}))["properties"]
    assert stored.value() == rows.collection.example(1)[name]
    given = {"properties": {name: as_json(other)}}
    assert name not in shown(hiding.patch(path, json=given))["properties"]
    assert stored.value() == other


@writes
@pytest.mark.parametrize(
    "path",
    [pytest.param("path", marks=faces("rest")), pytest.param("items", marks=faces("features"))],
)
@each(
    "column",
    lambda c: {
        name: column
        for name, column in writable(c).items()
        if column.nullable and column.server_default is None
    },
)
def test_null_takes_away_what_nobody_sees(
    hiding: TestClient, rows: Rows, connection: sa.Connection, column: sa.Column[Any], path: str
) -> None:
    stored, is_row = Stored(connection, column), path == "path"
    body = rows.full_body(1)
    response = hiding.post(
        rows.path if is_row else rows.items, json=body if is_row else feature_of(rows, body)
    )
    assert response.status_code == 201, response.text
    content = response.json()
    item = rows.at(content[rows.key.name]) if is_row else rows.item(content["id"])
    patch = {column.name: None}
    shown(hiding.patch(item, json=patch if is_row else {"properties": patch}))
    assert stored.value() is None
    stored.set(rows.collection.example(1)[column.name])
    row = shown(hiding.get(item))
    if is_row:
        row |= patch
    else:
        row["properties"] |= patch
    shown(hiding.put(item, json=row))
    assert stored.value() is None
