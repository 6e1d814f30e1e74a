"""Rendered services as real clients meet them: GDAL, OWSLib, schemathesis, and whoever goes by the OGC's standards."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyogrio
import pyproj
import pytest
import shapely
from clients import Service, gdal, serving
from conftest import Bake
from limits import MAXIMUM
from owslib.ogcapi.features import Features
from rendering import TEMPLATE

RENDERINGS = {
    "points": {},
    "land": {"geometry_type": "MULTIPOLYGON", "srid": "27700"},
    "partial": {"primary_key": "uuid", "index_predicate": "status = 'active'"},
}

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
PROBLEM = "application/problem+json"

#: West, south, east, north: on the land, over it all, across the antimeridian, and at the poles.
BOXES = [
    (-3.03, 51.02, -1.57, 52.36),
    (-180, -90, 180, 90),
    (177, -60, -177, 70),
    (-180, 63.5, 180, 90),
    (-180, -90, 180, -63.5),
]


@pytest.fixture(scope="module", params=RENDERINGS)
def service(
    request: pytest.FixtureRequest,
    bake_once: Bake,
    server: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service that tests leave as they found it."""
    project = bake_once(**RENDERINGS[request.param])
    with serving(project, server, tmp_path_factory.mktemp(request.param)) as service:
        yield service


def inside(service: Service, box: tuple[float, ...]) -> set[str]:
    """The names of the features that meet a box."""
    west, south, east, north = box
    spans = [(west, east)] if west <= east else [(west, 180), (-180, east)]
    shapes = np.array(list(service.shapes.values()))
    hits = np.zeros(len(shapes), bool)
    for start, end in spans:
        hits |= shapely.intersects(shapes, shapely.box(start, south, end, north))
    return {name for name, hit in zip(service.shapes, hits, strict=True) if hit}


def names(features: list[dict[str, Any]]) -> set[str]:
    found = [feature["properties"]["name"] for feature in features]
    assert len(found) == len(set(found)), "a feature is there twice"
    return set(found)


def everything(service: Service, **parameters: Any) -> list[dict[str, Any]]:
    """The features of a page and of all that follow it."""
    page = service.get(service.items, **({"limit": 700} | parameters))
    found = list(page["features"])
    while following := links(page).get("next"):
        page = service.get(following["href"])
        assert page["features"], "a page has nothing"
        found += page["features"]
        assert len(found) <= len(service.features), "the pages do not end"
    return found


def links(resource: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The first link of each relation."""
    return {link["rel"]: link for link in reversed(resource["links"])}


def one(service: Service) -> dict[str, Any]:
    feature: dict[str, Any] = service.get(service.items, limit=1)["features"][0]
    return feature


def stored_extent(service: Service, srid: int) -> list[float]:
    """The box of the collection's features in a CRS, as PostGIS has it: west, south, east, north."""
    geometry = service.project.context["geometry_column"]
    box = f"ST_Extent(ST_Transform({geometry}, {srid}))"
    corners = ", ".join(f"ST_{each}({box})" for each in ("XMin", "YMin", "XMax", "YMax"))
    rows = service.project.context["index_predicate"] or "true"
    database = psycopg2.connect(service.database_url.replace("+psycopg2", ""))
    try:
        with database.cursor() as cursor:
            cursor.execute(f"SELECT {corners} FROM {service.table} WHERE {rows}")
            return list(cursor.fetchone())
    finally:
        database.close()


# --- GDAL: the programs of the system, and the newest that there is, which comes with pyogrio -----------------------


def test_gdal_copies_everything_to_a_geopackage(service: Service, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gpkg"
    with service.requests() as seen:
        gdal("ogr2ogr", str(copy), f"OAPIF:{service.url}", service.table, "-oo", "PAGE_SIZE=1000")
    assert len([each for each in seen if each.path.endswith("/items")]) <= 6
    about = pyogrio.read_info(copy, force_total_bounds=True)
    assert about["features"] == len(service.features)
    assert about["total_bounds"] == pytest.approx(stored_extent(service, 4326), abs=1e-8)
    assert set(pyogrio.raw.read(copy, columns=["name"])[3][0]) == service.features.keys()


def test_gdal_reads_everything_with_the_pages_that_it_chooses(service: Service) -> None:
    described = gdal("ogrinfo", "-so", f"OAPIF:{service.url}", service.table)
    assert f"Feature Count: {len(service.features)}\n" in described
    with service.requests() as seen:
        _, _, _, [found] = pyogrio.raw.read(
            f"OAPIF:{service.url}", layer=service.table, columns=["name"]
        )
    assert set(found) == service.features.keys()
    assert len(seen) <= 10


def test_gdal_counts_without_reading_pages(service: Service) -> None:
    with service.requests() as seen:
        about = pyogrio.read_info(
            f"OAPIF:{service.url}", layer=service.table, force_feature_count=True
        )
    assert about["features"] == len(service.features) > 1000
    # A look at the first features; the collection says how many there are.
    assert len([each for each in seen if each.path.endswith("/items")]) == 1
    with service.requests() as seen:
        where = ["-so", "-where", "status = 'active'"]
        described = gdal("ogrinfo", *where, f"OAPIF:{service.url}", service.table)
    features = service.features.values()
    active = [each for each in features if each["properties"]["status"] == "active"]
    assert f"Feature Count: {len(active)}\n" in described
    _, *counts = (each.parameters for each in seen if each.path.endswith("/items"))
    assert counts == [{"resultType": "hits", "status": "active"}]


def test_gdal_leaves_filters_to_the_service(service: Service) -> None:
    box = BOXES[0]
    with service.requests() as seen:
        where = "status = 'active'"
        options = ["-so", "-oo", "PAGE_SIZE=1000", "-spat", *map(str, box), "-where", where]
        described = gdal("ogrinfo", *options, f"OAPIF:{service.url}", service.table)
    expected = [
        name
        for name in inside(service, box)
        if service.features[name]["properties"]["status"] == "active"
    ]
    assert f"Feature Count: {len(expected)}\n" in described
    *_, last = (each.parameters for each in seen if each.path.endswith("/items"))
    assert last["status"] == "active"
    assert tuple(map(float, last["bbox"].split(","))) == box


def test_gdal_reads_one_feature_by_its_id(service: Service) -> None:
    feature = one(service)
    id = feature["id"]
    which = ["-fid", f"{id}"] if isinstance(id, int) else ["-where", f"id = '{id}'"]
    with service.requests() as seen:
        described = gdal("ogrinfo", "-q", f"OAPIF:{service.url}", service.table, *which)
    assert f"name (String) = {feature['properties']['name']}\n" in described
    assert f"/collections/{service.table}/items/{id}" in [each.path for each in seen]


def test_gdal_reads_in_the_crs_of_the_table_and_in_others(service: Service) -> None:
    for asked, srid in [
        ("OGC:CRS84", 4326),
        ("EPSG:3857", 3857),
        (f"EPSG:{service.srid}", service.srid),
    ]:
        with service.requests() as seen:
            _, _, shapes, _ = pyogrio.raw.read(
                f"OAPIF:{service.url}", layer=service.table, CRS=asked, columns=[]
            )
        assert "crs" in seen[-1].parameters
        bounds = shapely.total_bounds(shapely.from_wkb(shapes))
        near = 1e-8 if srid == 4326 else 1e-3
        assert bounds == pytest.approx(stored_extent(service, srid), abs=near)


def test_gdal_reads_a_tile(service: Service, tmp_path: Path) -> None:
    # Of the British Isles, and of France.
    zoom, row, column = 4, 5, 7
    url = f"{service.collection}/tiles/WebMercatorQuad/{zoom}/{row}/{column}"
    response = service.ask(url)
    assert response.headers["Content-Type"] == "application/vnd.mapbox-vector-tile", response.text
    tile = tmp_path / "tile.mvt"
    tile.write_bytes(response.content)
    _, _, _, [found] = pyogrio.raw.read(
        tile, layer=service.table, columns=["name"], X=column, Y=row, Z=zoom
    )
    width = 360 / 2**zoom
    west = column * width - 180
    south, north = (
        math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * edge / 2**zoom))))
        for edge in (row + 1, row)
    )
    # What is near the edge is in the tile as well, so that it can be drawn across.
    near = width / 16
    expected = inside(service, (west, south, west + width, north))
    # A sliver of an area is none in the units of a tile.
    slivers = {
        name for name, shape in service.shapes.items() if 0 < shape.area < 10 * (width / 4096) ** 2
    }
    assert expected - slivers <= set(found)
    assert set(found) <= inside(
        service, (west - near, south - near, west + width + near, north + near)
    )


# --- OWSLib ---------------------------------------------------------------------------------------------------------


def test_owslib_reads(service: Service) -> None:
    client = Features(service.url)
    assert client.api()["openapi"].startswith("3.0")
    classes = client.conformance()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in classes
    assert client.feature_collections() == [service.table]
    assert client.collection(service.table)["id"] == service.table
    queryables = client.collection_queryables(service.table)["properties"]
    assert {"id", "name", "status", "created_at"} <= queryables.keys()

    box = BOXES[0]
    expected = inside(service, box)
    found = client.collection_items(service.table, bbox=box, limit=1000)
    assert names(found["features"]) == expected
    assert found["numberMatched"] == len(expected)
    pages: list[dict[str, Any]] = []
    while page := client.collection_items(service.table, limit=1000, offset=len(pages))["features"]:
        pages += page
    assert names(pages) == service.features.keys()
    whole = client.collection_items(service.table, limit=1, sortby=("name", "asc"))
    assert whole["numberMatched"] == len(service.features)
    some = client.collection_items(service.table, limit=7, sortby=("name", "desc"))["features"]
    descending = [each["properties"]["name"] for each in some]
    assert len(descending) == 7
    assert set(descending) <= service.features.keys()
    name = sorted(expected)[0]
    text = name.replace("'", "''")
    found = client.collection_items(service.table, filter=f"name = '{text}' OR name = 'nothing'")
    [feature] = found["features"]
    assert feature["properties"]["name"] == name
    item = client.collection_item(service.table, str(feature["id"]))
    assert item["geometry"] == feature["geometry"]


def test_owslib_edits(service: Service) -> None:
    client = Features(service.url)
    new = {"type": "Feature", "geometry": one(service)["geometry"], "properties": {"name": "new"}}
    assert client.collection_item_create(service.table, new)
    [feature] = client.collection_items(service.table, name="new")["features"]
    id = str(feature["id"])
    new["properties"] = {"name": "newer"}
    assert client.collection_item_update(service.table, id, new)
    assert client.collection_item(service.table, id)["properties"]["name"] == "newer"
    assert client.collection_item_delete(service.table, id)
    with pytest.raises(RuntimeError, match="Not Found"):
        client.collection_item(service.table, id)


# --- What QGIS looks for --------------------------------------------------------------------------------------------


def test_qgis_finds_what_it_needs(service: Service) -> None:
    landing = links(service.get(service.url))
    assert landing["service-desc"]["type"] == OPENAPI
    assert landing["data"]["type"] == "application/json"
    document = service.get(landing["service-desc"]["href"])
    limit = document["components"]["parameters"]["limit"]["schema"]
    assert (limit["minimum"], limit["maximum"]) == (1, MAXIMUM)
    assert 1 <= limit["default"] <= MAXIMUM
    parameters = document["paths"][f"/collections/{service.table}/items"]["get"]["parameters"]
    by_name = {each["name"]: each for each in parameters if "name" in each}
    for name in ("name", "status"):
        assert by_name[name]["schema"]["type"] == "string"
        assert (by_name[name]["style"], by_name[name]["explode"]) == ("form", False)
    classes = set(service.get(landing["conformance"]["href"])["conformsTo"])
    assert classes >= {
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
        "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
        "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    }


def test_qgis_may_edit(service: Service) -> None:
    allowed = service.ask(service.items, "OPTIONS").headers["Allow"]
    assert "POST" in allowed.split(", ")
    allowed = service.ask(f"{service.items}/{one(service)['id']}", "OPTIONS").headers["Allow"]
    assert {"PUT", "PATCH", "DELETE"} <= set(allowed.split(", "))


def test_qgis_sends_the_crs_without_brackets(service: Service) -> None:
    uri = service.get(service.collection)["storageCrs"]
    given = one(service)
    stored = service.get(f"{service.items}/{given['id']}", crs=uri)["geometry"]
    new = {"type": "Feature", "geometry": stored, "properties": {"name": "from QGIS"}}
    headers = {"Content-Type": "application/geo+json", "Content-Crs": uri}
    created = service.ask(service.items, "POST", json=new, headers=headers)
    assert created.status_code == 201
    location = created.headers["Location"]
    before, after = (
        shapely.from_geojson(json.dumps(each["geometry"]))
        for each in (given, service.get(location))
    )
    assert shapely.equals_exact(before, after, tolerance=1e-7)
    assert service.ask(location, "DELETE").status_code == 204


# --- OGC API - Features, part 1 -------------------------------------------------------------------------------------


def test_every_link_leads_to_what_it_says(service: Service) -> None:
    landing = service.get(service.url)
    pages = [landing] + [
        service.get(links(landing)[rel]["href"]) for rel in ("conformance", "data")
    ]
    pages += [service.get(service.collection), service.get(service.items, limit=2)]
    pages += [service.get(f"{service.items}/{one(service)['id']}")]
    pages += [service.get(f"{service.collection}/tiles")]
    pages += [service.get(f"{service.collection}/tiles/WebMercatorQuad")]
    for page in pages:
        for link in page.get("links", ()):
            if not link.get("templated"):
                response = service.ask(link["href"])
                assert response.status_code == 200, link
                expected, found = (
                    each.replace(" ", "").removesuffix(";charset=utf-8")
                    for each in (link["type"], response.headers["Content-Type"])
                )
                assert found == expected, link


def test_the_extent_holds_every_feature(service: Service) -> None:
    extent = service.get(service.collection)["extent"]["spatial"]
    assert extent["crs"] == CRS84
    shapes = [shapely.from_geojson(json.dumps(each["geometry"])) for each in everything(service)]
    assert shapely.box(*extent["bbox"][0]).covers(shapely.box(*shapely.total_bounds(shapes)))


def test_pages_hold_every_feature_once_and_end(service: Service) -> None:
    assert names(everything(service)) == service.features.keys()
    page = service.get(service.items, limit=3)
    assert page["numberReturned"] == len(page["features"]) == 3
    assert links(page)["next"]["type"] == "application/geo+json"
    assert service.get(service.items, count="exact")["numberMatched"] == len(service.features)


def test_a_limit_is_lowered_but_not_taken_for_another(service: Service) -> None:
    assert len(service.get(service.items, limit=MAXIMUM * 10)["features"]) == len(service.features)
    for wrong in ("0", "-1", "1.5", "ten", "", "1e2"):
        service.get(service.items, 400, limit=wrong)


def test_what_is_not_known_is_refused(service: Service) -> None:
    urls = [service.url, service.collection, service.items, f"{service.collection}/queryables"]
    urls += [f"{service.url}/conformance", f"{service.url}/collections"]
    urls += [f"{service.items}/{one(service)['id']}"]
    for url in urls:
        response = service.ask(url, params=[("unknown", "1")])
        assert (response.status_code, response.headers["Content-Type"]) == (400, PROBLEM), url
    for path in ("/collections/nothing", "/collections/nothing/items", "/nothing"):
        service.get(service.url + path, 404)
    for id in ("0", "-1", "nothing", "00000000-0000-0000-0000-000000000000", "1.0", "%00"):
        service.get(f"{service.items}/{id}", 404)


@pytest.mark.parametrize("box", BOXES)
def test_a_box_finds_what_meets_it(service: Service, box: tuple[float, ...]) -> None:
    west, south, east, north = box
    for text in (f"{west},{south},{east},{north}", f"{west},{south},-100,{east},{north},9000"):
        assert names(everything(service, bbox=text)) == inside(service, box)


@pytest.mark.parametrize(
    "box",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,b,c,d",
        "0,0,nan,1",
        "0,0,inf,1",
        "0,2,1,1",
        "0,0,1,91",
        "0 0 1 1",
    ],
)
def test_a_box_that_is_none_is_refused(service: Service, box: str) -> None:
    service.get(service.items, 400, bbox=box)


def test_times_find_what_was_then(service: Service) -> None:
    then = one(service)["properties"]["created_at"]
    number = len(service.features)
    for text, expected in [
        ("2000-01-01T00:00:00Z/..", number),
        ("2000-01-01/", number),
        ("../2000-01-01T00:00:00Z", 0),
        ("/2000-01-01", 0),
        ("2000-01-01T00:00:00Z", 0),
        (then, number),
    ]:
        page = service.get(service.items, datetime=text, limit=1, count="exact")
        assert page["numberMatched"] == expected, text
    for wrong in ("yesterday", "2000", "2000-13-01", "2001-01-01/2000-01-01", "a/b", "../../.."):
        service.get(service.items, 400, datetime=wrong)


def test_properties_find_what_has_them(service: Service) -> None:
    for status in ("active", "closed"):
        found = names(everything(service, status=status))
        assert found == {
            name
            for name, each in service.features.items()
            if each["properties"]["status"] == status
        }


def test_a_feature_is_what_its_url_says(service: Service) -> None:
    listed = one(service)
    feature = service.get(f"{service.items}/{listed['id']}")
    assert {**listed, "links": feature["links"]} == feature
    assert {"self", "alternate", "collection"} <= links(feature).keys()
    assert links(feature)["self"]["type"] == "application/geo+json"
    head = service.ask(f"{service.items}/{listed['id']}", "HEAD")
    assert (head.status_code, head.content) == (200, b"")


# --- part 2 ---------------------------------------------------------------------------------------------------------


def test_coordinates_come_in_every_crs_and_its_order_of_axes(service: Service) -> None:
    collection = service.get(service.collection)
    assert collection["crs"][0] == CRS84
    assert collection["storageCrs"] == f"{EPSG}{service.srid}"
    assert collection["storageCrs"] in collection["crs"]
    page = service.ask(service.items, params=[("limit", 50)])
    assert page.headers["Content-Crs"] == f"<{CRS84}>"
    given = shapely.get_coordinates(shapes_of(page.json()))
    for uri in collection["crs"]:
        page = service.ask(service.items, params=[("limit", 50), ("crs", uri)])
        assert page.headers["Content-Crs"] == f"<{uri}>"
        found = shapely.get_coordinates(shapes_of(page.json()))
        # Without always_xy the axes are as the authority has them.
        authority = "OGC:CRS84" if uri == CRS84 else f"EPSG:{uri.rpartition('/')[2]}"
        crs = pyproj.CRS(authority)
        expected = pyproj.Transformer.from_crs("OGC:CRS84", crs).transform(*given.T)
        # From one datum to another there is more than one way.
        near = 1e-7 if crs.is_geographic else 0.01 if authority == "EPSG:3857" else 200
        assert np.abs(found - np.column_stack(expected)).max() < near, uri
        id = page.json()["features"][0]["id"]
        item = service.ask(f"{service.items}/{id}", params=[("crs", uri)])
        assert item.headers["Content-Crs"] == f"<{uri}>"
        assert item.json()["geometry"] == page.json()["features"][0]["geometry"]


def shapes_of(page: dict[str, Any]) -> list[Any]:
    return [shapely.from_geojson(json.dumps(each["geometry"])) for each in page["features"]]


def test_boxes_come_in_every_crs(service: Service) -> None:
    for uri in service.get(service.collection)["crs"]:
        features = everything(service, crs=uri, bbox="-60,-60,60,75")
        shapes = np.array(shapes_of({"features": features}))
        low, high = np.array(shapely.total_bounds(shapes)).reshape(2, 2)
        middle = [*(low * 2 + high) / 3, *(low + high * 2) / 3]
        found = everything(service, bbox=",".join(map(str, middle)), bbox_crs=uri)
        hits = shapely.intersects(shapes, shapely.box(*middle))
        assert 0 < hits.sum() < len(features)
        assert names(found) == names(np.array(features)[hits].tolist()), uri


def test_a_crs_that_is_not_offered_is_refused(service: Service) -> None:
    for wrong in (f"{EPSG}2056", "EPSG:4326", "4326", ""):
        service.get(service.items, 400, crs=wrong)
        service.get(service.items, 400, bbox="0,0,1,1", bbox_crs=wrong)
        service.get(f"{service.items}/{one(service)['id']}", 400, crs=wrong)


# --- part 4 ---------------------------------------------------------------------------------------------------------


def test_who_is_late_changes_nothing(service: Service) -> None:
    new = {"type": "Feature", "geometry": one(service)["geometry"], "properties": {"name": "new"}}
    headers = {"Content-Type": "application/geo+json"}
    created = service.ask(service.items, "POST", json=new, headers=headers)
    assert created.status_code == 201
    url, first = created.headers["Location"], created.headers["ETag"]
    assert "/items/" in url
    assert service.ask(url).headers["ETag"] == first
    assert service.ask(url, headers={"If-None-Match": first}).status_code == 304

    patch = {"properties": {"name": "newer"}}
    as_patch = {"Content-Type": "application/merge-patch+json", "If-Match": first}
    changed = service.ask(url, "PATCH", json=patch, headers=as_patch)
    assert changed.status_code == 200
    second = changed.headers["ETag"]
    assert second != first
    assert service.ask(url, headers={"If-None-Match": first}).status_code == 200

    assert service.ask(url, "PATCH", json=patch, headers=as_patch).status_code == 412
    late = headers | {"If-Match": first}
    assert service.ask(url, "PUT", json=new, headers=late).status_code == 412
    assert service.ask(url, "DELETE", headers=late).status_code == 412
    assert service.get(url)["properties"]["name"] == "newer"

    in_time = headers | {"If-Match": second}
    replaced = service.ask(url, "PUT", json=new | {"id": "another"}, headers=in_time)
    assert replaced.status_code == 200
    assert service.get(url)["properties"]["name"] == "new"
    assert service.ask(url, "DELETE").status_code == 204
    assert service.ask(url, "PUT", json=new, headers=in_time).status_code == 412
    assert service.ask(url, "PUT", json=new, headers=headers).status_code == 404


# --- schemathesis ---------------------------------------------------------------------------------------------------


#: A precondition is looked at before the body is (RFC 9110, 13.2.2): the statuses that are expected without more, and 412.
REFUSALS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, "5xx"]
"""


# What the rendering of points has is in one of these: its kind of key in the first, its type of geometry in the second.
@pytest.mark.parametrize(("name", "key"), [("land", ""), ("partial", "a key")])
def test_schemathesis_finds_nothing(
    name: str, key: str, bake: Bake, server: Any, tmp_path: Path
) -> None:
    keys = {"API_KEYS": hashlib.sha256(key.encode()).hexdigest()} if key else {}
    (tmp_path / "schemathesis.toml").write_text(REFUSALS, encoding="utf-8")
    with serving(bake(**RENDERINGS[name]), server, tmp_path, **keys) as service:
        command = [Path(sys.executable).with_name("schemathesis"), "run"]
        command += [f"{service.url}/openapi.json", "--checks=all", "--no-color"]
        # A schema cannot say that the south of a box is not north of its north.
        command += ["--exclude-checks=positive_data_acceptance"]
        command += ["--seed=1", "--generation-deterministic"]
        command += ["--max-examples=5", "--phases=coverage,fuzzing,stateful"]
        command += ["--header", f"X-API-Key: {key}"] if key else []
        hooks = {"SCHEMATHESIS_HOOKS": "limits", "PYTHONPATH": str(TEMPLATE / "tests")}
        run = subprocess.run(
            command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"Selected: (\d+)/\1\n +Tested: \1\n", run.stdout), run.stdout
