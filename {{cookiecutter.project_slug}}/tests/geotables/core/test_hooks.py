"""What a collection may do beside serving its table: guard its routes, show callers their rows, look at writes and tell of them."""

import copy
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from fastapi import Depends, HTTPException
from fastapi.testclient import TestClient
from httpx2 import Response

from geotables.collection import Change, Collection, Refused
from geotables.column_types import text_of, values_of
from geotables.context import Caller
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.statements import Condition
from geotables.geometry import bind, in_srid, samples
from geotables.service import Service
from geotables.sql import row_formats
from geotables.sql.keyset import by_id
from geotables.sql.paging import Pages

import apps
from contract import each, faces, writes
from rows import Rows, as_json

Serve = Callable[..., TestClient]

WORLD = "-180,-90,180,90"
#: Metres, more than from any place to any other.
EVERYWHERE = 21_000_000


@pytest.fixture
def serve_with(
    service: Service, collection: Collection, database_url: str, client_of: Serve
) -> Serve:
    """Makes a client of an application on the collection with hooks, which are given by their names."""

    def serve(**hooks: Any) -> TestClient:
        changed = apps.with_hooks(collection, **hooks)
        return client_of(apps.create(service, database_url, [changed]))

    return serve


def send(client: TestClient, method: str, path: str, body: Any, **headers: str) -> Response:
    return client.request(method, path, json=body, headers=headers)


def feature(rows: Rows, number: int = 1, **members: Any) -> dict[str, Any]:
    """What a client sends of a feature."""
    properties = rows.full_body(number, **members)
    shape = properties.pop(rows.collection.geometry.name)
    return {"type": "Feature", "geometry": shape, "properties": properties}


def without_key(rows: Rows, body: dict[str, Any]) -> dict[str, Any]:
    """The body of a row or a feature for one that is there, whose key stays."""
    if body.get("type") == "Feature":
        return body | {"properties": without_key(rows, body["properties"])}
    return {name: value for name, value in body.items() if name != rows.key.name}


# Readers and writers


def refuse() -> None:
    raise HTTPException(403, "not you")


def operations(client: TestClient, rows: Rows) -> list[tuple[str, str]]:
    """The methods and paths of a collection that the OpenAPI document has."""
    every = [
        (method.upper(), path)
        for path, methods in client.app.openapi()["paths"].items()
        for method in methods
        if f"{path}/".startswith((rows.path, f"{rows.collection_path}/"))
    ]
    # There need not be such a row: who may ask comes first.
    return [
        (method, re.sub(r"\{\w+\}", "0", path.replace("{id}", str(rows.no_id))))
        for method, path in every
    ]


def test_readers_guard_every_route_of_the_collection(serve_with: Serve, rows: Rows) -> None:
    client = serve_with(readers=[Depends(refuse)])
    there = operations(client, rows)
    assert there
    for method, path in there:
        response = client.request(method, path)
        assert (response.status_code, response.json()["detail"]) == (403, "not you"), path


def test_writers_guard_the_routes_that_write(serve_with: Serve, rows: Rows) -> None:
    client = serve_with(writers=[Depends(refuse)])
    for method, path in operations(client, rows):
        response = client.request(method, path)
        assert (response.status_code == 403) == (method not in ("GET", "HEAD")), (method, path)


@faces("ogc")
def test_the_list_of_collections_tells_nothing_that_readers_guard(
    serve_with: Serve, rows: Rows, connection: sa.Connection
) -> None:
    rows.insert(connection, rows.spread(5))
    client = serve_with(readers=[Depends(refuse)])
    (listed,) = client.get("/collections").json()["collections"]
    assert listed["id"] == rows.collection.name
    assert "extent" not in listed


@faces("tiles")
def test_the_style_of_all_collections_tells_nothing_that_readers_guard(
    serve_with: Serve, rows: Rows, connection: sa.Connection
) -> None:
    rows.insert(connection, rows.spread(50))
    assert "center" in serve_with(readers=[]).get("/style.json").json()
    client = serve_with(readers=[Depends(refuse)])
    assert "center" not in client.get("/style.json").json()


@faces("tiles")
@pytest.mark.parametrize("are_of_the_service", [True, False])
def test_no_cache_shares_a_tile_that_readers_guard(
    service: Service,
    collection: Collection,
    database_url: str,
    client_of: Serve,
    are_of_the_service: bool,
) -> None:
    from geotables.tiles.mvt import Tile

    import mvt

    readers, none = [Depends(apps.identify)], []
    changed = apps.with_hooks(collection, readers=none if are_of_the_service else readers)
    of_the_service = readers if are_of_the_service else none
    app = apps.create(service, database_url, [changed], ["tiles"], readers=of_the_service)
    response = client_of(app).get(mvt.path(collection, Tile(0, 0, 0)))
    assert response.headers["Cache-Control"].startswith("private")


# Which rows a caller sees


def parts(collection: Collection, parameter: str = "part") -> sa.ColumnElement[bool]:
    """A condition that divides the rows among the callers 0 and 1."""
    number = sa.func.hashtext(sa.cast(collection.key, sa.Text()), type_=sa.Integer())
    return sa.func.abs(number % 2) == sa.bindparam(parameter, type_=sa.Integer())


class Divided:
    """An application whose callers 0 and 1 see a part of the rows each; nobody else sees any."""

    def __init__(
        self,
        serve_with: Serve,
        rows: Rows,
        connection: sa.Connection,
        parameters: Sequence[str] = ("part",),
    ) -> None:
        self.rows, self._connection = rows, connection
        self._parameters = parameters
        self._expression = sa.and_(*(parts(rows.collection, name) for name in parameters))
        self.client = serve_with(where=self.where)
        rows.insert(connection, rows.spread(40))
        around = list(connection.scalars(rows.around_the_world()))
        connection.execute(sa.delete(rows.table).where(rows.key.in_(around)))

    def where(self, caller: Caller) -> Condition:
        return Condition(self._expression, self._values(int(caller.name or -1)))

    def _values(self, part: int) -> dict[str, int]:
        return dict.fromkeys(self._parameters, part)

    def ids(self, part: int, *, indexed: bool = True) -> list[str]:
        """The ids of a part of the rows, in their order."""
        query = sa.select(rows_key := self.rows.key).where(self._expression).order_by(rows_key)
        if indexed:
            query = query.where(self.rows.collection.indexed_rows)
        found = list(map(self.rows.text, self._connection.scalars(query, self._values(part))))
        assert found
        return found

    def get(self, path: str, caller: int | None = None, **parameters: Any) -> Response:
        return self.client.get(path, params=parameters, headers=self.headers(caller))

    def headers(self, caller: int | None) -> dict[str, str]:
        return {} if caller is None else {apps.CALLER: str(caller)}

    def features(self, caller: int | None = None, **parameters: Any) -> list[str]:
        """The ids of the features that a caller finds."""
        response = self.get(self.rows.items, caller, **{"limit": 1000} | parameters)
        assert response.status_code == 200, response.text
        return [self.rows.text(found["id"]) for found in response.json()["features"]]


@pytest.fixture
def divided(serve_with: Serve, rows: Rows, connection: sa.Connection) -> Divided:
    return Divided(serve_with, rows, connection)


def in_filter(rows: Rows, id: str) -> str:
    """An id in a filter: a number, or a string, which stands for a time or a UUID, too."""
    if isinstance(rows.key.type, sa.Integer | sa.Numeric):
        return id
    return "'" + id.replace("'", "''") + "'"


@faces("rest")
def test_where_holds_for_pages_and_for_what_is_near(divided: Divided, rows: Rows) -> None:
    every = {"all": True} if rows.collection.is_partial else {}
    name = rows.key.name
    for part in (0, 1):
        page = divided.get(rows.path, part, limit=1000, **every).json()
        assert [rows.text(row[name]) for row in page["items"]] == divided.ids(part, indexed=False)
        boxed = divided.get(rows.path, part, limit=1000, bbox=WORLD).json()
        assert [rows.text(row[name]) for row in boxed["items"]] == divided.ids(part)
        lon, lat = 0, 0
        near = {"lon": lon, "lat": lat, "radius": EVERYWHERE, "limit": 1000}
        found = divided.get(f"{rows.path}nearby", part, **near).json()["items"]
        assert sorted(rows.text(row[name]) for row in found) == sorted(divided.ids(part))
    for path, parameters in ((rows.path, every), (f"{rows.path}nearby", near)):
        assert divided.get(path, **parameters).json()["items"] == []


@faces("rest")
def test_where_holds_for_rows_that_are_asked_for(divided: Divided, rows: Rows) -> None:
    key = rows.key.name
    for part in (0, 1):
        mine, other = divided.ids(part), divided.ids(1 - part)[0]
        for asked, ids in (
            ({key: other}, []),
            ({key: mine[0]}, mine[:1]),
            ({"sortby": f"-{key}"}, mine[::-1]),
        ):
            page = divided.get(rows.path, part, limit=1000, **asked).json()
            assert [rows.text(row[key]) for row in page["items"]] == ids
        near = {"lon": 0, "lat": 0, "radius": EVERYWHERE, key: other}
        assert divided.get(f"{rows.path}nearby", part, **near).json()["items"] == []


@faces("features")
def test_where_holds_for_features_however_they_are_found(divided: Divided, rows: Rows) -> None:
    key = rows.key.name
    for part in (0, 1):
        mine, other = divided.ids(part), divided.ids(1 - part)[0]
        assert divided.features(part) == mine
        assert divided.features(part, bbox=WORLD) == mine
        assert divided.features(part, sortby=f"-{key}") == mine[::-1]
        assert divided.features(part, limit=3) == mine[:3]
        assert divided.features(part, offset=2) == mine[2:]
        literal = in_filter(rows, other)
        assert divided.features(part, filter=f'"{key}" = {literal}') == []
        assert divided.features(part, filter=f'"{key}" <> {literal}') == mine
        assert divided.features(part, **{key: other}) == []
        assert divided.features(part, **{key: mine[0]}) == mine[:1]
    assert divided.features() == []


@faces("features")
def test_where_holds_for_the_pages_that_follow(divided: Divided, rows: Rows) -> None:
    response = divided.get(rows.items, 0, limit=2)
    (following,) = [link["href"] for link in response.json()["links"] if link["rel"] == "next"]
    next_page = divided.client.get(following, headers=divided.headers(0)).json()["features"]
    assert [rows.text(found["id"]) for found in next_page] == divided.ids(0)[2:4]
    # The link of one caller gives another nothing that is not theirs.
    stolen = divided.client.get(following, headers=divided.headers(1)).json()["features"]
    assert {rows.text(found["id"]) for found in stolen} <= {*divided.ids(1)}


@faces("features")
def test_where_holds_for_streams_and_csv(divided: Divided, rows: Rows) -> None:
    for part in (0, 1):
        _, *texts = divided.get(rows.items, part, f="jsonseq").content.split(b"\x1e")
        streamed = sorted(rows.text(json.loads(text)["id"]) for text in texts)
        assert streamed == sorted(divided.ids(part))
        text = divided.get(rows.items, part, f="csv", limit=1000).text
        lines = csv.DictReader(io.StringIO(text))
        assert [line[rows.key.name] for line in lines] == divided.ids(part)
    assert divided.get(rows.items, f="jsonseq").content == b""


@faces("features")
def test_where_holds_for_counts(divided: Divided, rows: Rows, connection: sa.Connection) -> None:
    for part in (0, 1):
        counted = divided.get(rows.items, part, count="exact", limit=1).json()
        assert counted["numberMatched"] == len(divided.ids(part))
        # What one caller is told is never another's number.
        hits = divided.get(rows.items, part, resultType="hits").json()
        assert hits["numberMatched"] == len(divided.ids(part))
        assert "numberMatched" not in divided.get(rows.items, part, limit=1).json()
    assert divided.get(rows.items, count="exact").json()["numberMatched"] == 0
    # An estimate of the planner's would tell of the values that hidden rows have.
    connection.execute(sa.text(f"ANALYZE {rows.sql}"))
    key, literal = rows.key.name, in_filter(rows, divided.ids(1)[0])
    # Texts have no order in filters.
    for sign in ("=", "<>") if isinstance(rows.key.type, sa.String) else ("=", ">=", "<"):
        asked = {"filter": f'"{key}" {sign} {literal}', "limit": 1}
        exact, estimated = (
            divided.get(rows.items, 0, count=count, **asked).json()
            for count in ("exact", "estimated")
        )
        assert estimated["numberEstimated"] == exact["numberMatched"]


@writes
@pytest.mark.parametrize(
    "path",
    [pytest.param("path", marks=faces("rest")), pytest.param("items", marks=faces("features"))],
)
def test_a_hidden_row_is_none(
    divided: Divided, rows: Rows, connection: sa.Connection, path: str
) -> None:
    at = rows.at if path == "path" else rows.item
    body = without_key(rows, rows.full_body(3) if path == "path" else feature(rows, 3))
    own, hidden = at(divided.ids(0)[0]), at(divided.ids(1)[0])
    tag = divided.get(hidden, 1).headers["ETag"]
    assert divided.get(own, 0).status_code == 200
    before = connection.execute(sa.select(rows.table).order_by(rows.key)).all()
    for given in ({}, {"If-None-Match": tag}, {"If-None-Match": "*"}):
        response = divided.client.get(hidden, headers=divided.headers(0) | given)
        assert response.status_code == 404
        assert "ETag" not in response.headers
    for method, content in (("PUT", body), ("PATCH", {}), ("DELETE", None)):
        # Whoever knows its version does not learn that it is there.
        for given, status in (({}, 404), ({"If-Match": tag}, 412), ({"If-Match": "*"}, 412)):
            headers = divided.headers(0) | given
            response = divided.client.request(method, hidden, json=content, headers=headers)
            assert response.status_code == status, (method, given)
            nowhere = at(rows.no_id)
            response = divided.client.request(method, nowhere, json=content, headers=headers)
            assert response.status_code == status, (method, given)
    assert connection.execute(sa.select(rows.table).order_by(rows.key)).all() == before


@faces("ogc")
def test_where_holds_for_the_extent(
    divided: Divided, rows: Rows, connection: sa.Connection
) -> None:
    box = sa.func.ST_Extent(in_srid(rows.collection.geometry, WGS84))
    corners = [getattr(sa.func, f"ST_{name}")(box) for name in ("XMin", "YMin", "XMax", "YMax")]
    for part in (0, 1, 0):
        query = sa.select(*corners).where(parts(rows.collection), rows.collection.indexed_rows)
        expected = connection.execute(query, {"part": part}).one()
        (found,) = divided.get(rows.collection_path, part).json()["extent"]["spatial"]["bbox"]
        assert found == pytest.approx(expected, abs=1e-7)
    assert "extent" not in divided.get(rows.collection_path).json()


@faces("tiles")
def test_where_holds_for_tiles(divided: Divided, rows: Rows, connection: sa.Connection) -> None:
    from geotables.tiles.mvt import Tile

    import mvt

    lonlat = sa.func.ST_PointOnSurface(in_srid(rows.collection.geometry, WGS84))
    query = sa.select(rows.key, sa.func.ST_X(lonlat), sa.func.ST_Y(lonlat))
    shown = 0
    for part in (0, 1):
        inside = query.where(parts(rows.collection), rows.collection.indexed_rows)
        for id, lon, lat in connection.execute(inside, {"part": part}).all()[:5]:
            if abs(lat) < 80:
                path = mvt.path(rows.collection, Tile.at(lon, lat, 14))
                response = divided.get(path, part)
                assert response.headers["Cache-Control"].startswith("private")
                layers = mvt.decode(response.content)
                assert rows.text(id) in mvt.ids(rows.collection, layers[rows.collection.name])
                for caller in (1 - part, None):
                    content = divided.get(path, caller).content
                    found = mvt.decode(content)[rows.collection.name] if content else []
                    assert rows.text(id) not in mvt.ids(rows.collection, found)
                shown += 1
    assert shown


#: Names of parameters that the faces' own statements have, too.
PARAMETERS = (
    *("id", "_id", "limit", "offset", "size", "place", "radius", "after0", "start", "end"),
    *("first_part", "second_part", "first_covered", "lowest", "z", "x", "y", "worlds", "margin"),
)


@pytest.fixture
def alike(serve_with: Serve, rows: Rows, connection: sa.Connection) -> Divided:
    """The same, where the parameters of ``where`` have the names of others."""
    columns = (f"column_{number}" for number, _ in enumerate(rows.collection.columns))
    return Divided(serve_with, rows, connection, [*PARAMETERS, *columns])


@writes
@faces("rest")
def test_where_may_have_parameters_of_any_name(alike: Divided, rows: Rows) -> None:
    name, near = rows.key.name, {"lon": 0, "lat": 0, "radius": EVERYWHERE, "limit": 1000}
    for part in (0, 1):
        mine, other = alike.ids(part), alike.ids(1 - part)[0]
        for path, parameters in (
            (rows.path, {"limit": 1000}),
            (rows.path, {"limit": 1000, "bbox": WORLD}),
            (f"{rows.path}nearby", near),
        ):
            found = alike.get(path, part, **parameters).json()["items"]
            assert sorted(rows.text(row[name]) for row in found) == sorted(mine)
        assert alike.get(rows.at(mine[0]), part).status_code == 200
        assert alike.get(rows.at(other), part).status_code == 404
        for id, status in ((other, 404), (mine[0], 204)):
            response = alike.client.delete(rows.at(id), headers=alike.headers(part))
            assert response.status_code == status


@faces("features")
def test_no_value_of_a_client_is_one_of_where(alike: Divided, rows: Rows) -> None:
    key = rows.key.name
    for part in (0, 1):
        mine, other = alike.ids(part), alike.ids(1 - part)[0]
        assert alike.features(part) == mine
        assert alike.features(part, bbox=WORLD, sortby=f"-{key}") == mine[::-1]
        assert alike.features(part, **{key: mine[0]}) == mine[:1]
        assert alike.features(part, **{key: other}) == []
        if rows.collection.time is not None:
            assert alike.features(part, datetime="../..") == mine
        (following,) = [
            link["href"]
            for link in alike.get(rows.items, part, limit=1).json()["links"]
            if link["rel"] == "next"
        ]
        response = alike.client.get(following, headers=alike.headers(part))
        assert [rows.text(each["id"]) for each in response.json()["features"]] == mine[1:2]


@faces("tiles")
def test_where_may_have_parameters_of_any_name_in_tiles(alike: Divided, rows: Rows) -> None:
    for part in (0, 1):
        assert alike.get(f"{rows.tileset}/0/0/0", part).status_code in (200, 204)


def test_where_has_no_list_whose_length_may_differ(collection: Collection) -> None:
    for ids in ([], sa.bindparam("ids", expanding=True)):
        listed = Condition(collection.key.in_(ids))
        with pytest.raises(TypeError, match="in place of in_"):
            apps.with_hooks(collection, where=lambda _caller, listed=listed: listed).rows()


def test_a_condition_may_ask_a_table_that_has_columns_of_the_same_names(
    collection: Collection,
) -> None:
    """Whatever statement finds a page: one puts a subquery in the place of the table."""
    columns = [sa.Column(column.name, column.type) for column in collection.table.columns]
    others = sa.Table("others", sa.MetaData(), *columns)
    name = collection.key.name
    related = sa.exists().where(others.c[name] == collection.key)
    pages = Pages(row_formats.record(collection), by_id(collection), [related], sa.true(), [None])
    wanted = re.compile(rf'WHERE "?others"?\."?{name}"? = ')
    found = (pages.sorted_few, pages.sorted_some, pages.sorted_all)
    for statement in (pages.as_planned, *found, pages.walked_ids):
        assert wanted.search(statement.text), statement.text


# Before a row is written


class Witness:
    """Hooks that remember what they were told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, Any] | None, dict[str, Any] | None]] = []
        self.callers: list[str | None] = []
        self.told: list[list[Change]] = []

    def before_write(
        self,
        connection: sa.Connection,
        caller: Caller,
        old: Mapping[str, Any] | None,
        new: dict[str, Any] | None,
    ) -> None:
        # Within the transaction.
        assert connection.in_transaction()
        self.callers.append(caller.name)
        self.asked.append((copy.copy(old), copy.copy(new)))

    def after_commit(self, caller: Caller, changes: Sequence[Change]) -> None:
        self.callers.append(caller.name)
        self.told.append(list(changes))


FACES = pytest.mark.parametrize(
    "face",
    [pytest.param("rest", marks=faces("rest")), pytest.param("features", marks=faces("features"))],
)


class Writer:
    """Writes rows by a face."""

    def __init__(self, client: TestClient, rows: Rows, face: str) -> None:
        self._client, self._rows, self._is_rest = client, rows, face == "rest"
        self.parent = (rows.path if self._is_rest else rows.items).rstrip("/")
        self._headers = {apps.CALLER: "Ann"}

    def body(self, number: int) -> dict[str, Any]:
        """What a client sends of a row: each number has a place of its own, for tables without attributes."""
        geometry = self._rows.collection.geometry
        lon, lat = samples.middle(geometry)
        place = {geometry.name: samples.geometries(geometry, (lon + number / 100, lat))[0]}
        make = self._rows.full_body if self._is_rest else partial(feature, self._rows)
        return make(number, **place)

    def patch(self, name: str, value: Any) -> dict[str, Any]:
        if self._is_rest:
            return {name: value}
        is_place = name == self._rows.collection.geometry.name
        return {"geometry": value} if is_place else {"properties": {name: value}}

    def id_of(self, response: Response) -> str:
        assert response.status_code in (200, 201), response.text
        return str(response.json()[self._rows.key.name if self._is_rest else "id"])

    def post(self, body: Any) -> Response:
        path = self.parent + "/" * self._is_rest
        return self._client.post(path, json=body, headers=self._headers)

    def send(self, method: str, id: str, body: Any = None, **headers: str) -> Response:
        every = self._headers | {name.replace("_", "-"): text for name, text in headers.items()}
        path = self._rows.at(id) if self._is_rest else self._rows.item(id)
        if method == "PUT":
            body = without_key(self._rows, body)
        return self._client.request(method, path, json=body, headers=every)


def row_of(connection: sa.Connection, rows: Rows, id: str) -> dict[str, Any]:
    """A row as the table has it, its geometry as WKB."""
    columns = [
        sa.func.ST_AsBinary(column).label(column.name)
        if column is rows.collection.geometry
        else text_of(column).label(column.name)
        for column in rows.table.columns
    ]
    same = sa.literal_column(rows.id_sql, sa.Text()) == id
    return dict(connection.execute(sa.select(*columns).where(same)).mappings().one())


def same_row(row: Mapping[str, Any] | None, stored: Mapping[str, Any], rows: Rows) -> bool:
    """Whether a hook was shown a whole row, as it was stored."""
    assert row is not None
    place = rows.collection.geometry.name
    shape = shapely.from_wkb(bytes(stored[place]))
    return {**row, place: None} == {**stored, place: None} and shapely.equals_identical(
        row[place], shape
    )


@writes
@FACES
def test_before_write_sees_old_and_new(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str
) -> None:
    witness, place = Witness(), rows.collection.geometry.name
    writer = Writer(serve_with(before_write=witness.before_write), rows, face)
    id = writer.id_of(writer.post(writer.body(1)))
    ((old, new),) = witness.asked
    assert old is None
    assert new is not None
    assert new.keys() == rows.full_body(1).keys()
    assert new[place].geom_type == rows.samples[0].geom_type

    stored = row_of(connection, rows, id)
    witness.asked.clear()
    assert writer.send("PUT", id, writer.body(2)).status_code == 200
    ((old, new),) = witness.asked
    assert same_row(old, stored, rows)
    assert new is not None
    assert {name: as_json(new[name]) for name in rows.full_change(2) if name != place} == {
        name: typed(rows, 2)[name] for name in rows.full_change(2) if name != place
    }
    assert new[rows.key.name] == stored[rows.key.name]

    stored = row_of(connection, rows, id)
    witness.asked.clear()
    shape = as_json(rows.samples[-1])
    assert writer.send("PATCH", id, writer.patch(place, shape)).status_code == 200
    ((old, new),) = witness.asked
    assert same_row(old, stored, rows)
    assert new is not None
    # What the patch leaves out is as it is stored.
    assert {**new, place: None} == {**stored, place: None}

    stored = row_of(connection, rows, id)
    witness.asked.clear()
    assert writer.send("DELETE", id).status_code == 204
    ((old, new),) = witness.asked
    assert same_row(old, stored, rows)
    assert new is None
    assert {*witness.callers} == {"Ann"}


def typed(rows: Rows, number: int) -> dict[str, Any]:
    """What a hook is given of an example's row, as JSON: its values are those of the schema."""
    row = rows.collection.create.model_validate(rows.full_body(number))
    values = values_of(row)
    return {name: as_json(values[name]) for name in rows.full_body(number)}


@writes
@FACES
def test_before_write_changes_a_geometry(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str
) -> None:
    place = rows.collection.geometry.name
    there = shapely.set_srid(rows.samples[-1], WGS84)

    def put_there(
        _connection: sa.Connection, _caller: Caller, _old: Any, new: dict[str, Any] | None
    ) -> None:
        if new is not None:
            new[place] = there

    writer = Writer(serve_with(before_write=put_there), rows, face)
    lon, lat = samples.middle(rows.collection.geometry)
    elsewhere = as_json(samples.geometries(rows.collection.geometry, (lon + 1e-3, lat))[0])
    id = writer.id_of(writer.post(writer.body(1)))
    expected = connection.scalar(
        sa.select(sa.func.ST_AsBinary(bind(there, rows.collection.crs.srid)))
    )
    for change in (
        None,
        ("PUT", writer.body(2)),
        ("PATCH", writer.patch(place, elsewhere)),
    ):
        if change is not None:
            response = writer.send(change[0], id, change[1])
            assert response.status_code == 200, response.text
        stored = shapely.from_wkb(bytes(row_of(connection, rows, id)[place]))
        assert shapely.equals_exact(stored, shapely.from_wkb(bytes(expected)), 1e-6)


def changeable(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that a client writes and rows may share, whose examples differ."""
    rows = Rows.of(collection)
    one, other = collection.example(1), collection.example(2)
    return {
        column.name: column
        for column in rows.writable
        if column.name not in rows.unique and one[column.name] != other[column.name]
    }


@writes
@each("column", changeable)
@FACES
def test_before_write_changes_a_value(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str, column: sa.Column[Any]
) -> None:
    name = column.name
    given, set_value = rows.collection.example(1)[name], rows.collection.example(2)[name]

    def set_it(
        _connection: sa.Connection, _caller: Caller, _old: Any, new: dict[str, Any] | None
    ) -> None:
        if new is not None:
            new[name] = set_value

    writer = Writer(serve_with(before_write=set_it), rows, face)
    id = writer.id_of(writer.post(writer.body(1)))
    assert row_of(connection, rows, id)[name] == set_value
    for method, body in (
        ("PUT", writer.body(1)),
        ("PATCH", writer.patch(name, as_json(given))),
        ("PATCH", writer.patch(rows.collection.geometry.name, as_json(rows.samples[-1]))),
    ):
        connection.execute(sa.update(rows.table).values({name: given}))
        assert writer.send(method, id, body).status_code == 200
        assert row_of(connection, rows, id)[name] == set_value, method


def with_members(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns whose values are JSON objects."""
    example = collection.example(1)
    return {
        name: column
        for name, column in changeable(collection).items()
        if isinstance(column.type, sa.JSON) and isinstance(example[name], dict)
    }


@writes
@each("column", with_members)
@FACES
def test_before_write_changes_a_member_of_a_value(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str, column: sa.Column[Any]
) -> None:
    name, witness = column.name, Witness()

    def add_member(
        _connection: sa.Connection, _caller: Caller, _old: Any, new: dict[str, Any] | None
    ) -> None:
        if new is not None:
            new[name]["seen"] = True

    hooks = {"before_write": add_member, "after_commit": witness.after_commit}
    writer = Writer(serve_with(**hooks), rows, face)
    id = writer.id_of(writer.post(writer.body(1)))
    given = rows.collection.example(1)[name]
    place = writer.patch(rows.collection.geometry.name, as_json(rows.samples[-1]))
    for method, body in (("PUT", writer.body(1)), ("PATCH", place)):
        connection.execute(sa.update(rows.table).values({name: given}))
        assert writer.send(method, id, body).status_code == 200
        assert row_of(connection, rows, id)[name] == {**given, "seen": True}
        (change,) = witness.told[-1]
        assert change.old is not None
        assert change.old[name] == given


@writes
@FACES
def test_a_slip_of_the_pen_in_before_write_is_an_error(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str
) -> None:
    def set_unknown(
        _connection: sa.Connection, _caller: Caller, _old: Any, new: dict[str, Any] | None
    ) -> None:
        if new is not None:
            new["no such column"] = 1

    writer = Writer(serve_with(before_write=set_unknown), rows, face)
    assert writer.post(writer.body(1)).status_code == 500
    assert rows.count(connection) == 0


def optional(collection: Collection) -> dict[str, sa.Column[Any]]:
    """Those of them that have a default, or may be null."""
    return {
        name: column
        for name, column in changeable(collection).items()
        if column.nullable or column.server_default is not None
    }


@writes
@each("column", optional)
@FACES
def test_what_before_write_deletes_is_not_written(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str, column: sa.Column[Any]
) -> None:
    name = column.name

    def leave_out(
        _connection: sa.Connection, _caller: Caller, _old: Any, new: dict[str, Any] | None
    ) -> None:
        if new is not None:
            del new[name]

    writer = Writer(serve_with(before_write=leave_out), rows, face)
    id = writer.id_of(writer.post(writer.body(1)))
    before, given = rows.collection.example(1)[name], rows.collection.example(2)[name]
    for method, body in (
        ("PUT", writer.body(2)),
        ("PATCH", writer.patch(name, as_json(given))),
        ("PATCH", writer.patch(rows.collection.geometry.name, as_json(rows.samples[-1]))),
    ):
        connection.execute(sa.update(rows.table).values({name: before}))
        assert writer.send(method, id, body).status_code == 200
        assert row_of(connection, rows, id)[name] == before, method


@writes
@FACES
def test_what_before_write_refuses_is_not_written(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str
) -> None:
    witness, refuses = Witness(), [True]

    def refuse_it(*_asked: Any) -> None:
        if refuses[0]:
            raise Refused("the harbour is closed")

    hooks = {"before_write": refuse_it, "after_commit": witness.after_commit}
    writer = Writer(serve_with(**hooks), rows, face)
    responses = [writer.post(writer.body(1))]
    refuses[0] = False
    id = writer.id_of(writer.post(writer.body(1)))
    before = row_of(connection, rows, id)
    refuses[0], witness.told = True, []
    responses += [
        writer.send("PUT", id, writer.body(2)),
        writer.send(
            "PATCH", id, writer.patch(rows.collection.geometry.name, as_json(rows.samples[-1]))
        ),
        writer.send("DELETE", id),
    ]
    for response in responses:
        assert response.status_code == 422, response.text
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["detail"] == "the harbour is closed"
    assert row_of(connection, rows, id) == before
    assert rows.count(connection) == 1
    assert witness.told == []


@writes
@faces("features")
def test_of_many_features_one_is_refused_and_none_is_stored(
    serve_with: Serve, rows: Rows, connection: sa.Connection
) -> None:
    witness = Witness()

    def refuse_the_second(*asked: Any) -> None:
        witness.before_write(*asked)
        if len(witness.asked) == 2:
            raise Refused("one is enough")

    client = serve_with(before_write=refuse_the_second, after_commit=witness.after_commit)
    features = [feature(rows, number) for number in range(2)]
    body = {"type": "FeatureCollection", "features": features}
    response = client.post(rows.items, json=body)
    assert (response.status_code, response.json()["detail"]) == (422, "one is enough")
    assert (rows.count(connection), witness.told) == (0, [])


# After the commit


@writes
@FACES
def test_after_commit_is_told_once_what_was_written(
    serve_with: Serve, rows: Rows, connection: sa.Connection, own: Database, face: str
) -> None:
    witness, committed = Witness(), []

    def look(caller: Caller, changes: Sequence[Change]) -> None:
        witness.after_commit(caller, changes)
        # Others see it already.
        with own.read() as other:
            committed.append(rows.count(other))

    writer = Writer(serve_with(after_commit=look), rows, face)
    place = rows.collection.geometry.name
    id = writer.id_of(writer.post(writer.body(1)))
    first = row_of(connection, rows, id)
    assert writer.send("PUT", id, writer.body(2)).status_code == 200
    second = row_of(connection, rows, id)
    lon, lat = samples.middle(rows.collection.geometry)
    shape = as_json(samples.geometries(rows.collection.geometry, (lon + 1e-3, lat))[-1])
    assert writer.send("PATCH", id, writer.patch(place, shape)).status_code == 200
    third = row_of(connection, rows, id)
    assert writer.send("DELETE", id).status_code == 204
    assert committed == [1, 1, 1, 0]
    assert {*witness.callers} == {"Ann"}
    ((new,), (replaced,), (changed,), (gone,)) = witness.told
    assert new.old is None
    assert same_row(new.new, first, rows)
    assert same_row(replaced.old, first, rows)
    assert same_row(replaced.new, second, rows)
    assert same_row(changed.old, second, rows)
    assert same_row(changed.new, third, rows)
    assert same_row(gone.old, third, rows)
    assert gone.new is None


@writes
@faces("features")
def test_after_commit_is_told_once_of_many_features(serve_with: Serve, rows: Rows) -> None:
    witness = Witness()
    client = serve_with(after_commit=witness.after_commit)
    many = [feature(rows, number) for number in range(2)]
    response = client.post(rows.items, json={"type": "FeatureCollection", "features": many})
    assert response.status_code == 201, response.text
    (changes,) = witness.told
    written = [change.new[rows.key.name] for change in changes if change.new]
    assert list(map(rows.text, written)) == [
        rows.text(new["id"]) for new in response.json()["features"]
    ]


@writes
@FACES
def test_a_failure_after_the_commit_is_logged_and_the_row_is_there(
    serve_with: Serve,
    rows: Rows,
    connection: sa.Connection,
    face: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(caller: Caller, changes: Sequence[Change]) -> None:
        raise ConnectionError("no queue")

    writer = Writer(serve_with(after_commit=fail), rows, face)
    assert writer.post(writer.body(1)).status_code == 201
    assert rows.count(connection) == 1
    assert f"after_commit of {rows.collection.name} failed" in caplog.text
    assert "no queue" in caplog.text


@contextmanager
def failing_commits(connection: sa.Connection, rows: Rows) -> Iterator[None]:
    """Have PostgreSQL refuse every row of the table, as late as it can: when the transaction is committed."""
    connection.exec_driver_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not now'; END $$;"
        f" CREATE CONSTRAINT TRIGGER refusing AFTER INSERT OR UPDATE OR DELETE ON {rows.sql}"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        yield
    finally:
        connection.exec_driver_sql("DROP FUNCTION refuse CASCADE")


@writes
@FACES
def test_after_commit_is_not_told_of_what_was_not_written(
    serve_with: Serve, rows: Rows, connection: sa.Connection, face: str
) -> None:
    witness = Witness()
    writer = Writer(serve_with(after_commit=witness.after_commit), rows, face)
    id = writer.id_of(writer.post(writer.body(1)))
    witness.told.clear()
    place = rows.collection.geometry.name
    for status, response in (
        (412, writer.send("PUT", id, writer.body(2), If_Match='"x"')),
        (412, writer.send("DELETE", id, If_Match='"x"')),
        (404, writer.send("DELETE", str(rows.no_id))),
        (422, writer.send("PATCH", id, writer.patch(place, "nowhere"))),
        (200, writer.send("PATCH", id, {})),
    ):
        assert response.status_code == status, response.text
    with failing_commits(connection, rows):
        assert writer.post(writer.body(2)).status_code == 422
        assert writer.send("PUT", id, writer.body(2)).status_code == 422
        assert writer.send("DELETE", id).status_code == 422
    assert witness.told == []
    assert rows.count(connection) == 1
