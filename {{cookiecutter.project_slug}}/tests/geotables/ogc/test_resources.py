"""OGC API - Common: the landing page, the conformance classes and the collections lead to everything else."""

import json
from typing import Any
from urllib.parse import urljoin

import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection
from geotables.crs import CRS84
from geotables.http.faces import faces_of
from geotables.http.html_values import shapes
from geotables.service import Service

import markup
from contract import faces, only, writes
from markup import BROWSER
from rows import Rows

RESOURCES = ["/", "/conformance", "/collections"]

#: What there is of a collection, by the rest of its path.
OF_A_COLLECTION = pytest.mark.parametrize(
    "path",
    [
        "",
        pytest.param("/items", marks=faces("features")),
        pytest.param("/queryables", marks=faces("features")),
        pytest.param("/sortables", marks=faces("features")),
        pytest.param("/schema", marks=faces("features")),
        pytest.param("/schema/feature", marks=faces("features")),
    ],
)


def is_a_page(client: TestClient, path: str) -> None:
    """Assert that a resource is a page for browsers, and JSON for programs."""
    linked: set[str] = set()
    for response in (client.get(path, headers=BROWSER), client.get(path, params={"f": "html"})):
        assert response.headers["Vary"] == "Accept"
        linked |= set(markup.read(response).linked)
    for href in linked:
        # Standards are described elsewhere.
        if not href.startswith("http"):
            assert client.get(urljoin(path, href)).status_code == 200, href
    assert client.get(path).headers["Content-Type"].endswith("json")
    assert client.get(path).headers["Vary"] == "Accept"


def refuses_what_it_does_not_know(client: TestClient, path: str) -> None:
    """Assert that a resource refuses unknown parameters and formats."""
    wrong = [{"Unknown": "1"}, {"f": "pdf"}, {"F": "json"}, {"f": ""}, {"f": ["json", "json"]}]
    for parameters in wrong:
        response = client.get(path, params=parameters)
        assert response.status_code == 400
        assert response.json()["errors"][0]["location"] == f"query.{next(iter(parameters))}"


def has_head(client: TestClient, path: str) -> None:
    """Assert that HEAD answers as GET does, without the body."""
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


# The service


def test_the_landing_page_leads_to_everything(client: TestClient) -> None:
    landing = client.get("/").json()
    types = {link["rel"]: link["type"] for link in landing["links"]}
    assert types["service-desc"] == "application/vnd.oai.openapi+json;version=3.0"
    assert types["service-doc"] == types["alternate"] == "text/html"
    assert types["conformance"] == types["data"] == types["self"] == "application/json"
    for link in landing["links"]:
        assert client.get(link["href"]).status_code == 200, link


@pytest.mark.parametrize("path", RESOURCES)
def test_every_resource_is_a_page_for_people_too(client: TestClient, path: str) -> None:
    is_a_page(client, path)


@pytest.mark.parametrize("path", RESOURCES)
def test_unknown_parameters_and_formats_are_refused(client: TestClient, path: str) -> None:
    refuses_what_it_does_not_know(client, path)


@pytest.mark.parametrize(
    "path",
    [*RESOURCES, "/openapi.json", "/docs", pytest.param("/map", marks=faces("webmap"))],
)
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    has_head(client, path)


def test_a_format_may_be_called_by_its_media_type(client: TestClient) -> None:
    response = client.get("/collections?f=text/html")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_every_collection_is_listed_in_its_order(client: TestClient, service: Service) -> None:
    listed = client.get("/collections").json()["collections"]
    names = [collection.name for collection in service.collections]
    assert [collection["id"] for collection in listed] == names
    for path in ("/", "/collections"):
        page = markup.read(client.get(path, params={"f": "html"}))
        assert [href for href in page.linked if href.removeprefix("/collections/") in names] == [
            f"/collections/{name}" for name in names
        ]


def test_what_is_not_there_can_do_nothing(client: TestClient, any_rows: Rows) -> None:
    assert client.options("/nowhere").status_code == 404
    for path in ("", "/items", "/queryables", "/tiles"):
        response = client.get(f"{any_rows.collection_path}_another{path}")
        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/problem+json"


# A collection


def test_the_collection_says_what_it_is(
    spread: TestClient, collection: Collection, rows: Rows
) -> None:
    resource = spread.get(rows.collection_path).json()
    assert resource["id"] == collection.name
    assert resource["title"] == collection.title
    assert resource["description"] == collection.description
    assert resource["storageCrs"] == collection.storage_crs.uri
    assert resource["storageCrs"] in resource["crs"]
    assert CRS84.uri in resource["crs"]
    assert resource["links"]
    for link in resource["links"]:
        response = spread.get(link["href"])
        assert response.headers["Content-Type"].partition(";")[0] == link["type"]
    everything = spread.get("/collections").json()["collections"]
    (listed,) = [found for found in everything if found["id"] == collection.name]
    assert listed.keys() == resource.keys()


def test_the_page_of_a_collection_has_its_columns_and_requests_to_copy(
    spread: TestClient, collection: Collection, rows: Rows
) -> None:
    page = markup.read(spread.get(rows.collection_path, headers=BROWSER))
    assert [cells[0] for cells in page.cells[1:]] == [column.name for column in collection.columns]
    assert collection.description in page.texts
    if "features" in {face.name for face in faces_of(spread.app)}:
        for request in ("curl", "ogr2ogr", "geopandas", "QGIS"):
            assert request in page.texts
        assert f"http://testserver{rows.items}?limit=" in page.texts


def test_pages_tell_how_many_rows_there_are_where_that_is_cheap(
    spread: TestClient, collection: Collection, rows: Rows
) -> None:
    with spread.app.state.database.read() as connection:
        number = rows.count(connection)
    assert 0 < number <= 1_000
    known = not (collection.where or collection.is_partial or collection.is_view)
    counted = f"{number:,} {shapes(collection)}"
    page = markup.read(spread.get(rows.collection_path, headers=BROWSER))
    assert (counted in page.texts) == known
    for path in ("/", "/collections"):
        page = markup.read(spread.get(path, headers=BROWSER))
        assert counted in page.texts or not known or collection.readers


@faces("features")
def test_the_collection_says_where_its_features_are(spread: TestClient, rows: Rows) -> None:
    links = spread.get(rows.collection_path).json()["links"]
    first = next(link for link in links if link["rel"] == "items")
    # Without parameters: programs add their own.
    assert first["type"] == "application/geo+json"
    assert first["href"].endswith(rows.items)


@faces("features")
def test_the_extent_holds_every_feature(spread: TestClient, rows: Rows) -> None:
    extent = spread.get(rows.collection_path).json()["extent"]
    west, south, east, north = extent["spatial"]["bbox"][0]
    features = features_of(spread, rows)
    assert features
    for feature in features:
        xmin, ymin, xmax, ymax = shapely.from_geojson(shape_of(feature)).bounds
        assert west <= xmin <= xmax <= east
        assert south <= ymin <= ymax <= north


@pytest.mark.parametrize("distance", ["Infinity", "NaN", "1e300"])
def test_a_row_at_no_place_leaves_the_collections_listed(
    unconstrained: TestClient,
    rows: Rows,
    unconstrained_connection: sa.Connection,
    distance: str,
) -> None:
    rows.insert(unconstrained_connection, rows.spread(2))
    place = rows.collection.geometry
    by = sa.cast(distance, sa.Double())
    moved = sa.func.ST_Translate(place, by, by, type_=place.type)
    unconstrained_connection.execute(sa.update(rows.table).values({place.name: moved}))
    # As another process writes it.
    unconstrained.app.state.extents[rows.collection.name]._until = 0.0
    for path in ("/collections", rows.collection_path):
        response = unconstrained.get(path)
        assert response.status_code == 200, response.text


@faces("features")
@only(lambda c: c.time is not None)
def test_the_extent_holds_the_time_of_every_feature(spread: TestClient, rows: Rows) -> None:
    extent = spread.get(rows.collection_path).json()["extent"]
    ((first, last),) = extent["temporal"]["interval"]
    within = features_of(spread, rows, datetime=f"{first or '..'}/{last or '..'}")
    assert within == features_of(spread, rows) != []


def features_of(client: TestClient, rows: Rows, /, **parameters: str) -> list[dict[str, Any]]:
    """The features of a collection that meet a condition."""
    response = client.get(rows.items, params={"limit": 10_000} | parameters)
    assert response.status_code == 200, response.text
    return response.json()["features"]


def shape_of(feature: dict[str, Any]) -> str:
    return json.dumps(feature["geometry"])


@OF_A_COLLECTION
def test_all_of_a_collection_is_a_page_for_people_too(
    spread: TestClient, rows: Rows, path: str
) -> None:
    is_a_page(spread, rows.collection_path + path)


@OF_A_COLLECTION
def test_all_of_a_collection_refuses_what_it_does_not_know(
    spread: TestClient, rows: Rows, path: str
) -> None:
    refuses_what_it_does_not_know(spread, rows.collection_path + path)


@OF_A_COLLECTION
def test_head_is_get_without_the_body_for_all_of_a_collection(
    spread: TestClient, rows: Rows, path: str
) -> None:
    has_head(spread, rows.collection_path + path)


@faces("features")
def test_head_of_a_feature_that_is_not_there(spread: TestClient, rows: Rows) -> None:
    has_head(spread, rows.item(rows.no_id))


@writes
@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("", "GET, HEAD, OPTIONS"),
        pytest.param("/items", "GET, HEAD, POST, OPTIONS", marks=faces("features")),
        pytest.param("/items/1", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", marks=faces("features")),
    ],
)
def test_options_tell_what_can_be_done(
    spread: TestClient, rows: Rows, path: str, methods: str
) -> None:
    response = spread.options(rows.collection_path + path)
    assert (response.status_code, response.headers["Allow"]) == (200, methods)
    assert spread.request("TRACE", rows.collection_path + path).headers["Allow"] == methods


@faces("tiles")
def test_tilejson_may_be_called_by_its_media_type(spread: TestClient, rows: Rows) -> None:
    tilejson = "application/vnd.mapbox.tilejson+json"
    response = spread.get(f"{rows.tileset}?f={tilejson}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, tilejson)
