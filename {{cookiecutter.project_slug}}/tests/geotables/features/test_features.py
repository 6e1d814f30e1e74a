"""OGC API - Features, parts 1 and 2: what is there can be found, in every CRS, format and order."""

import csv
import datetime
import io
import json
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import anyio
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables import geometry
from geotables.collection import Collection
from geotables.crs import CRS84, LATLON, MERCATOR, Reference
from geotables.db.database import Database
from geotables.geometry import samples
from geotables.sql import stream

from contract import each, only
from rows import Rows, same_place

GEOJSON = "application/geo+json"
FORMATS = ["geojson", "html", "csv", "jsonseq"]
#: In a path, what is the id of no row, whichever type ids have.
NO_IDS = ["x", "1.0", "01", " 1", "1e3", "-", "9" * 30, "%00", "é"]
EVERY_CRS = each("crs", lambda c: c.references.values(), id=lambda crs: crs.name)


@pytest.fixture
def connection(spread: TestClient, own: Database) -> Iterator[sa.Connection]:
    with own.read() as connection:
        yield connection


def found(rows: Rows, client: TestClient, /, **parameters: Any) -> dict[str, Any]:
    """The FeatureCollection that the service answers with."""
    names = {
        name.replace("_", "-") if "crs" in name else name: parameters[name] for name in parameters
    }
    response = client.get(rows.items, params={"limit": 10_000} | names)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == GEOJSON
    return response.json()


def ids(page: dict[str, Any]) -> list[str]:
    return [str(feature["id"]) for feature in page["features"]]


def every_id(rows: Rows, connection: sa.Connection) -> list[str]:
    return list(map(rows.text, rows.indexed_ids(connection)))


def links(resource: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in resource["links"] if link["rel"] == rel]


def refused(rows: Rows, client: TestClient, location: str, /, **parameters: Any) -> None:
    """Assert that a parameter is refused as OGC API - Features says, with its place."""
    response = client.get(rows.items, params=parameters)
    assert response.status_code == 400, (parameters, response.text)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert [error["location"] for error in response.json()["errors"]] == [f"query.{location}"]


def in_order(feature: dict[str, Any], crs: Reference) -> shapely.Geometry:
    """The geometry of a feature, x before y."""
    shape = shapely.set_srid(shapely.from_geojson(json.dumps(feature["geometry"])), crs.srid)
    return shapely.transform(shape, lambda xy: xy[:, ::-1]) if crs.swapped else shape


# Features


def test_every_feature_is_found_and_is_the_one_of_its_id(
    spread: TestClient, collection: Collection, rows: Rows, connection: sa.Connection
) -> None:
    page = found(rows, spread)
    assert ids(page) == every_id(rows, connection)
    assert page["numberReturned"] == len(page["features"]) > 0
    assert page["numberMatched"] == page["numberReturned"]
    for feature in page["features"][:5]:
        response = spread.get(rows.item(feature["id"]))
        single = response.json()
        assert response.headers["Content-Crs"] == f"<{collection.default_crs.uri}>"
        assert {link["rel"] for link in single.pop("links")} == {"self", "alternate", "collection"}
        assert single == feature


@each("id", lambda c: [quote(Rows.of(c).text(Rows.of(c).no_id)), *NO_IDS])
def test_an_id_that_no_feature_has_is_not_found(spread: TestClient, rows: Rows, id: str) -> None:
    response = spread.get(f"{rows.items}/{id}")
    assert response.status_code == 404, response.text
    assert response.headers["Content-Type"] == "application/problem+json"


@EVERY_CRS
def test_coordinates_are_in_the_crs_asked_for_in_its_order(
    spread: TestClient,
    collection: Collection,
    rows: Rows,
    connection: sa.Connection,
    crs: Reference,
) -> None:
    response = spread.get(rows.items, params={"crs": crs.uri, "limit": 5})
    assert response.headers["Content-Crs"] == f"<{crs.uri}>"
    for feature in response.json()["features"]:
        single = spread.get(rows.item(feature["id"]), params={"crs": crs.uri})
        assert single.headers["Content-Crs"] == f"<{crs.uri}>"
        assert single.json()["geometry"] == feature["geometry"]
        transformed = sa.func.ST_AsBinary(
            geometry.in_srid(collection.geometry, crs.srid), type_=sa.LargeBinary()
        )
        stored = connection.scalar(sa.select(transformed).where(rows.key == feature["id"]))
        expected = shapely.get_coordinates(shapely.from_wkb(bytes(stored)))
        given = shapely.get_coordinates(in_order(feature, crs))
        assert np.allclose(given, expected, rtol=0, atol=10.0**-crs.decimals)


@pytest.mark.parametrize("name", ["crs", "bbox-crs"])
def test_other_crss_are_refused(spread: TestClient, rows: Rows, name: str) -> None:
    for uri in ("", "EPSG:4326", f"{LATLON.uri}0", CRS84.uri.replace("http:", "https:")):
        refused(rows, spread, name, **{"bbox": "0,0,1,1", name: uri})


@EVERY_CRS
def test_a_box_finds_what_meets_it_in_every_crs(
    spread: TestClient, collection: Collection, rows: Rows, crs: Reference
) -> None:
    features = found(rows, spread, crs=crs.uri)["features"]
    shapes = {rows.text(feature["id"]): in_order(feature, crs) for feature in features}
    # A box around a feature or two: halfway through one of them.
    for shape in list(shapes.values())[:10]:
        x, y = shapely.get_coordinates(shape)[0]
        size = (shape.bounds[2] - shape.bounds[0]) or abs(x) / 1e4 + 1e-3
        box = shapely.box(x - size, y - size, x, y)
        projected = crs.srid == collection.crs.srid and not collection.crs.geographic
        if not projected and not _in_degrees(box, crs):
            continue
        corners = np.array(box.bounds).reshape(2, 2)[:, ::-1] if crs.swapped else box.bounds
        text = ",".join(repr(float(corner)) for corner in np.ravel(corners))
        given = set(ids(found(rows, spread, bbox=text, bbox_crs=crs.uri)))
        # Rounded coordinates may be on the other side of an edge.
        inner, outer = (
            box.buffer(-size / 1e3, join_style="mitre"),
            box.buffer(size / 1e3, join_style="mitre"),
        )
        assert {id for id in shapes if shapes[id].intersects(inner)} <= given
        assert given <= {id for id in shapes if shapes[id].intersects(outer)}


def _in_degrees(box: shapely.Geometry, crs: Reference) -> bool:
    west, south, east, north = box.bounds
    limit = (180, 90) if crs is not MERCATOR else (20_037_508, 20_037_508)
    return -limit[0] <= west and east <= limit[0] and -limit[1] <= south and north <= limit[1]


def test_a_box_may_hold_the_world_or_cross_the_antimeridian(
    spread: TestClient, collection: Collection, rows: Rows, connection: sa.Connection
) -> None:
    everything = every_id(rows, connection)
    assert ids(found(rows, spread, bbox="-180,-90,180,90")) == everything
    assert ids(found(rows, spread, bbox="-180,-90,-1e4,180,90,1e4")) == everything
    middle = samples.middle(collection.geometry)[0]
    beyond = set(ids(found(rows, spread, bbox=f"{middle},-90,180,90")))
    before = set(ids(found(rows, spread, bbox=f"-180,-90,{middle - 1},90")))
    across = found(rows, spread, bbox=f"{middle},-90,{middle - 1},90")
    assert set(ids(across)) == beyond | before
    size = 20_037_508
    world = f"{-size},{-size * 20},{size},{size * 20}"
    assert ids(found(rows, spread, bbox=world, bbox_crs=MERCATOR.uri)) == everything


def test_heights_are_asked_for_where_there_are_any(
    spread: TestClient, collection: Collection, rows: Rows
) -> None:
    low = found(rows, spread, bbox="-180,-90,-1000,180,90,-999")
    assert (ids(low) == []) == collection.has_z


@pytest.mark.parametrize(
    "bbox",
    ["", "0", "0,0,1", "0,0,1,1,1", "a,0,1,1", "0,0,nan,1", "0,0,inf,1", "0,1,1,0", "0,0,,1"],
)
def test_what_is_no_box_is_refused(
    spread: TestClient, collection: Collection, rows: Rows, bbox: str
) -> None:
    refused(rows, spread, "bbox", bbox=bbox)
    if collection.storage_crs.srid != 4326:
        refused(
            rows,
            spread,
            "bbox",
            **{
                "bbox": bbox if bbox != "0,1,1,0" else "1,1,0,0",
                "bbox-crs": collection.storage_crs.uri,
            },
        )


@EVERY_CRS
def test_degrees_beyond_the_world_are_refused(
    spread: TestClient, collection: Collection, rows: Rows, crs: Reference
) -> None:
    """In the order of the axes that the CRS has, which the message names."""
    in_degrees = crs.srid == 4326 or (crs == collection.storage_crs and collection.crs.geographic)
    order = "south,west,north,east" if crs.swapped else "west,south,east,north"
    unit = "degrees" if in_degrees else "units"
    expected = f"not a box {order} in {unit} of {crs.uri}: "
    for west, south, east, north, reason in [
        (-181, 0, 0, 1, "the longitude -181 is beyond -180 to 180"),
        (0, 0, 181, 1, "the longitude 181 is beyond -180 to 180"),
        (0, -91, 1, 0, "the latitude -91 is beyond -90 to 90"),
        (0, 0, 1, 91, "the latitude 91 is beyond -90 to 90"),
        (0, 2, 1, 1, "its southern edge, 2, is north of its northern edge, 1"),
    ]:
        corners = (south, west, north, east) if crs.swapped else (west, south, east, north)
        query = {"bbox": ",".join(map(str, corners)), "bbox-crs": crs.uri}
        if in_degrees:
            refused(rows, spread, "bbox", **query)
            detail = spread.get(rows.items, params=query).json()["errors"][0]["detail"]
            assert detail == expected + reason
    refused(rows, spread, "bbox", **{"bbox": "1,2,3", "bbox-crs": crs.uri})
    detail = spread.get(rows.items, params={"bbox": "1,2,3", "bbox-crs": crs.uri}).json()["detail"]
    assert detail == f"query.bbox: {expected}it has 3 numbers"


def test_a_format_may_be_called_by_its_media_type(spread: TestClient, rows: Rows) -> None:
    for path, name, media_type in [
        (rows.items, "application/geo+json", GEOJSON),
        (rows.items, "application%2Fgeo%2Bjson", GEOJSON),
        (rows.items, "application/json", GEOJSON),
        (rows.items, "text/csv", "text/csv; charset=utf-8"),
        (rows.items, "Text/HTML", "text/html; charset=utf-8"),
        (rows.items, "application/geo+json-seq", "application/geo+json-seq"),
        (
            f"{rows.collection_path}/queryables",
            "application/schema+json",
            "application/schema+json",
        ),
    ]:
        response = spread.get(f"{path}?f={name}")
        assert (response.status_code, response.headers["Content-Type"]) == (200, media_type)
    for wrong in ("application/xml", "geo+json", "text/csv,", "*/*"):
        response = spread.get(f"{rows.items}?f={wrong}")
        assert response.status_code == 400
        assert (
            "'geojson', 'json', 'html', 'csv', 'jsonseq', 'parquet' or 'fgb'"
            in response.json()["detail"]
        )


@only(lambda c: c.time is not None)
def test_a_time_finds_what_is_in_its_interval(
    spread: TestClient, collection: Collection, rows: Rows, connection: sa.Connection
) -> None:
    wanted = sa.select(rows.key, collection.time).where(collection.indexed_rows).order_by(rows.key)
    moments = {rows.text(id): _moment(value) for id, value in connection.execute(wanted)}
    known = sorted(filter(None, moments.values())) or [datetime.datetime.now(datetime.UTC)]
    unknown = {id for id, moment in moments.items() if not moment}
    start, end = (moment.isoformat().replace("+00:00", "Z") for moment in (known[0], known[-1]))
    after = (known[-1] + datetime.timedelta(days=2)).isoformat().replace("+00:00", "Z")
    for text in (
        f"{start}/{end}",
        f"{start}/..",
        f"../{end}",
        f"{start}/",
        f"/{end}",
        "../..",
        start[:10] + "/" + end[:10],
    ):
        assert set(ids(found(rows, spread, datetime=text))) == moments.keys(), text
    assert set(ids(found(rows, spread, datetime=f"{after}/.."))) == unknown
    once = {id for id, moment in moments.items() if moment == known[0]}
    assert set(ids(found(rows, spread, datetime=start))) == once | unknown


def _moment(value: Any) -> datetime.datetime | None:
    if isinstance(value, datetime.datetime) or value is None:
        return value
    return datetime.datetime.combine(value, datetime.time(), datetime.UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2020", "2020-01-01T00:00:00", "2020-02-30", "2021-01-01/2020-01-01"),
        *("2020-01-01/2020-01-02/2020-01-03", "0001-01-01T00:00:00+14:00", "2020-01-01T25:00:00Z"),
    ],
)
def test_what_is_no_time_is_refused(spread: TestClient, rows: Rows, text: str) -> None:
    refused(rows, spread, "datetime", datetime=text)


def test_each_column_is_a_parameter(spread: TestClient, rows: Rows) -> None:
    features = found(rows, spread)["features"]
    for name in rows.queryable.keys() - {"limit"}:
        # Of the key, too, as a property.
        values = [
            {rows.key.name: feature["id"], **feature["properties"]}[name] for feature in features
        ]
        for value in values[:3]:
            if value is not None:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                same = [
                    feature
                    for feature, other in zip(features, values, strict=True)
                    if other == value
                ]
                assert found(rows, spread, **{name: text})["features"] == same != [], name


def test_a_value_that_its_column_cannot_have_is_refused(spread: TestClient, rows: Rows) -> None:
    for name, column in rows.queryable.items():
        if not isinstance(column.type, sa.String):
            for value in ("x", "", "NaN;"):
                refused(rows, spread, name, **{name: value})
        else:
            refused(rows, spread, name, **{name: "\0"})


def test_counts_are_exact_or_have_another_name(
    spread: TestClient, rows: Rows, connection: sa.Connection
) -> None:
    everything = len(every_id(rows, connection))
    assert found(rows, spread, count="exact", limit=1)["numberMatched"] == everything
    assert found(rows, spread, count="exact", bbox="-180,-90,180,90")["numberMatched"] == everything
    estimated = found(rows, spread, count="estimated")
    assert "numberMatched" not in estimated
    assert estimated["numberEstimated"] > 0
    assert not {"numberMatched", "numberEstimated"} & found(rows, spread, count="none").keys()
    refused(rows, spread, "count", count="yes")


# Formats


def test_the_key_is_a_property_unless_it_is_called_id(spread: TestClient, rows: Rows) -> None:
    name = rows.key.name
    for feature in found(rows, spread)["features"]:
        assert list(feature["properties"]) == rows.feature_names
        if name != "id":
            assert rows.text(feature["properties"][name]) == rows.text(feature["id"])
        # A double has not the digits of an exact number.
        assert isinstance(feature["id"], int if isinstance(rows.key.type, sa.Integer) else str)


def test_csv_has_a_line_for_each_feature(
    spread: TestClient, collection: Collection, rows: Rows
) -> None:
    features = found(rows, spread)["features"]
    for wanted in ({"params": {"f": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        response = spread.get(rows.items, **wanted)
        lines = list(csv.DictReader(io.StringIO(response.text)))
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert lines
        for line, feature in zip(lines, features, strict=False):
            assert line[rows.key.name] == rows.text(feature["id"])
            shape = shapely.from_wkt(line[collection.geometry.name])
            assert same_place(shape, in_order(feature, CRS84))
            for name, value in feature["properties"].items():
                if value is None or isinstance(value, str):
                    assert line[name] == (value or "")


def test_a_sequence_has_a_text_for_each_feature(spread: TestClient, rows: Rows) -> None:
    response = spread.get(
        rows.items, params={"limit": 5}, headers={"Accept": "application/geo+json-seq"}
    )
    assert response.headers["Content-Type"] == "application/geo+json-seq"
    empty, *texts = response.content.split(b"\x1e")
    assert (empty, all(text.endswith(b"\n") for text in texts)) == (b"", True)
    assert [json.loads(text) for text in texts] == found(rows, spread, limit=5)["features"]


@each("crs", lambda c: {"CRS84": CRS84, "storage": c.storage_crs})
def test_a_sequence_without_a_limit_has_every_feature(
    spread: TestClient,
    collection: Collection,
    rows: Rows,
    connection: sa.Connection,
    crs: Reference,
) -> None:
    answer = spread.get(rows.items, params={"f": "jsonseq", "crs": crs.uri})
    assert answer.headers["Content-Crs"] == f"<{crs.uri}>"
    _, *texts = answer.content.split(b"\x1e")
    streamed = {rows.text(feature["id"]): feature for feature in map(json.loads, texts)}
    ids = connection.scalars(sa.select(rows.key).where(collection.indexed_rows))
    assert sorted(streamed) == sorted(map(rows.text, ids))
    for feature in found(rows, spread, limit=5, crs=crs.uri)["features"]:
        assert streamed[rows.text(feature["id"])] == feature


def test_a_stream_keeps_to_the_conditions_and_the_order(spread: TestClient, rows: Rows) -> None:
    wanted = {"bbox": "-170,-80,170,80", "sortby": f"-{rows.key.name}"}
    answer = spread.get(rows.items, params=wanted | {"f": "jsonseq"})
    _, *texts = answer.content.split(b"\x1e")
    page = found(rows, spread, **wanted, limit=10_000)["features"]
    assert [json.loads(text)["id"] for text in texts] == [feature["id"] for feature in page]


def test_streams_leave_connections_for_others(spread: TestClient, rows: Rows) -> None:
    database: Database = spread.app.state.database
    with ExitStack() as streams:
        for _ in range(max(1, database.usage(database.engine)["limit"] // 2)):
            streams.enter_context(database.stream())
        answer = spread.get(rows.items, params={"f": "jsonseq"})
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert spread.get(rows.items, params={"f": "jsonseq"}).status_code == 200


@pytest.mark.parametrize("parts", [1, 3])
def test_the_connection_comes_back_when_the_client_leaves(
    spread: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    monkeypatch.setattr(stream, "CHUNK", 2)
    database: Database = spread.app.state.database
    received: list[bytes] = []
    in_use: list[int] = []

    async def leave() -> None:
        left = anyio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            received.append(message.get("body", b""))
            in_use.append(database.usage(database.engine)["in_use"])
            if len(received) > parts:
                left.set()
                # As where a client reads no more: nothing goes on until it is known to be gone.
                await anyio.sleep_forever()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": rows.items,
            "query_string": b"f=jsonseq",
            "headers": [],
            "server": ("testserver", 80),
            "scheme": "http",
        }
        await spread.app(scope, receive, send)

    spread.portal.call(leave)
    assert [text.count(b"\x1e") for text in received] == [0, *[2] * parts]
    assert in_use == [1] * (parts + 1)
    assert database.usage(database.engine)["in_use"] == 0
    assert spread.get(rows.items, params={"f": "jsonseq"}).content.count(b"\x1e") > 2 * parts


def test_the_headers_of_a_stream_take_no_rows(
    spread: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "stream", None)
    answer = spread.head(rows.items, params={"f": "jsonseq"})
    assert answer.headers["Content-Type"] == "application/geo+json-seq"


def test_each_format_leads_to_the_others_and_to_the_next_page(
    spread: TestClient, rows: Rows
) -> None:
    for name in FORMATS:
        response = spread.get(rows.items, params={"limit": 1, "f": name})
        following = response.links.get("next", {}).get("url")
        if name == "geojson":
            page = response.json()
            assert len(links(page, "self")) == len(links(page, "next")) == 1
            assert {link["type"] for link in links(page, "alternate")} == {
                "text/html",
                "text/csv",
                "application/geo+json-seq",
                "application/vnd.apache.parquet",
                "application/flatgeobuf",
            }
            for link in page["links"]:
                answer = spread.get(link["href"])
                assert answer.headers["Content-Type"].partition(";")[0] == link["type"]
        elif name != "html":
            assert spread.get(following).headers["Content-Type"] == response.headers["Content-Type"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", GEOJSON),
        ("application/json", GEOJSON),
        ("application/geo+json;q=0.5, text/csv", "text/csv"),
        ("text/csv;q=0.1, text/html;q=0.2", "text/html"),
        ("text/html;q=0, */*", GEOJSON),
        ("image/png", GEOJSON),
        ("nonsense;q=x,,;", GEOJSON),
        ("", GEOJSON),
    ],
)
def test_accept_chooses_the_format(
    spread: TestClient, rows: Rows, accept: str, media_type: str
) -> None:
    response = spread.get(rows.items, params={"limit": 1}, headers={"Accept": accept})
    assert response.headers["Content-Type"].partition(";")[0] == media_type


def test_queryables_are_the_columns(spread: TestClient, collection: Collection, rows: Rows) -> None:
    response = spread.get(f"{rows.collection_path}/queryables", params={"f": "json"})
    schema = response.json()
    assert response.headers["Content-Type"] == "application/schema+json"
    assert schema["$id"].endswith(f"{rows.collection_path}/queryables")
    assert schema["properties"].keys() == {column.name for column in collection.columns}
    assert "type" not in schema["properties"][collection.geometry.name]
    assert schema["properties"][collection.geometry.name]["format"].startswith("geometry-")
