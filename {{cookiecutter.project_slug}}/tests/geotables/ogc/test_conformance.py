"""What the OGC's test suites assert (17-069r4, 18-058r1, 20-002, 20-057, 23-058r2, 24-030); each test names the requirement.

Only what no other test of this folder asserts is here.
"""

import json
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import shapely
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from geotables.collection import Collection
from geotables.http.faces import faces_of
from geotables.http.formats import SCHEMA

from contract import faces, writes
from rows import Rows

pytestmark = faces("features")

RELATION = "http://www.opengis.net/def/rel/ogc/1.0/"

#: The schemas of a collection, by the relations of the links to them.
SCHEMAS = {
    RELATION + "schema": "schema",
    RELATION + "queryables": "queryables",
    RELATION + "sortables": "sortables",
}

#: Keywords of JSON Schema that the standard names (/rec/schemas/properties, K) or needs.
KEYWORDS = {
    *("title", "description", "type", "format", "enum", "readOnly", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "x-ogc-role"),
}


def links(client: TestClient, path: str) -> dict[tuple[str, str], str]:
    """The links of a resource, by relation and media type."""
    return {(each["rel"], each["type"]): each["href"] for each in client.get(path).json()["links"]}


def prefix(client: TestClient) -> str:
    """The path of the service on its host."""
    path: str = client.app.state.settings.root_path
    return path


def features(client: TestClient, rows: Rows, **parameters: Any) -> list[dict[str, Any]]:
    response = client.get(rows.items, params={"limit": 1000} | parameters)
    assert response.status_code == 200, response.text
    return response.json()["features"]


# 17-069r4, Core


def test_a_server_conforms_to_what_its_classes_need(client: TestClient) -> None:
    """/req/core/conformance-success."""
    classes = set(client.get("/conformance").json()["conformsTo"])
    for needed in (
        "ogcapi-common-1/1.0/conf/core",
        "ogcapi-common-2/1.0/conf/collections",
        "ogcapi-common-3/1.0/conf/schemas",
        "ogcapi-features-1/1.0/conf/core",
        "ogcapi-features-5/1.0/conf/schemas",
        "ogcapi-features-8/1.0/conf/features-sorting",
    ):
        assert f"http://www.opengis.net/spec/{needed}" in classes


def test_the_document_has_the_address_of_the_service(client: TestClient) -> None:
    """/req/oas30/oas-definition-2: paths are relative to a server, behind a prefix as well."""
    document = client.get("/openapi.json").json()
    assert document["servers"] == [{"url": f"http://testserver{prefix(client)}"}]
    assert client.app.openapi()["servers"] == [{"url": "/"}]


def test_every_operation_of_the_document_may_be_refused(client: TestClient) -> None:
    """/req/oas30/completeness."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            assert any(status.startswith("4") for status in operation["responses"]), (method, path)


@pytest.mark.parametrize("digits", [7, 17])
def test_the_box_of_the_extent_holds_every_row(spread: TestClient, rows: Rows, digits: int) -> None:
    """/req/core/fc-bbox-response: with the digits that GDAL, QGIS and the OGC's suite write."""
    (box,) = spread.get(rows.collection_path).json()["extent"]["spatial"]["bbox"]
    assert -180 <= box[0] <= box[2] <= 180
    assert -90 <= box[1] <= box[3] <= 90
    assert box == [round(degrees, 7) for degrees in box]
    written = ",".join(
        f"{degrees:.{digits}g}" if digits > 7 else f"{degrees:.7f}" for degrees in box
    )
    everything = {each["id"] for each in features(spread, rows)}
    assert {each["id"] for each in features(spread, rows, bbox=written)} == everything
    if "tiles" in {face.name for face in faces_of(spread.app)}:
        tilejson = spread.get(rows.tileset, params={"f": "tilejson"}).json()
        assert tilejson["bounds"] == box


def test_features_come_with_their_links_and_numbers(spread: TestClient, rows: Rows) -> None:
    """/req/core/fc-links, fc-rel-type, fc-timeStamp, fc-numberReturned, fc-numberMatched."""
    page = spread.get(rows.items, params={"limit": 3}).json()
    assert {"self", "alternate", "next"} <= {each["rel"] for each in page["links"]}
    assert all(each["type"] and each["href"] for each in page["links"])
    assert page["timeStamp"].endswith("Z")
    assert page["numberReturned"] == len(page["features"]) == 3
    assert page.get("numberMatched", 4) > 3


def test_a_feature_leads_to_its_collection(spread: TestClient, rows: Rows) -> None:
    """/req/core/f-links."""
    (first,) = features(spread, rows, limit=1)
    found = links(spread, rows.item(first["id"]))
    assert spread.get(found["collection", "application/json"]).json()["id"] == rows.collection.name
    assert spread.get(found["self", "application/geo+json"]).json()["id"] == first["id"]


# 18-058r1, CRS


def test_features_come_in_every_crs_that_is_listed(spread: TestClient, rows: Rows) -> None:
    """/req/crs/fc-crs-valid-value, ogc-crs-header-value, fc-bbox-crs-valid-value."""
    collection = spread.get(rows.collection_path).json()
    assert collection["storageCrs"] in collection["crs"]
    for uri in collection["crs"]:
        response = spread.get(rows.items, params={"crs": uri, "limit": 1})
        assert response.headers["Content-Crs"] == f"<{uri}>"
        (feature,) = response.json()["features"]
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        box = ",".join(repr(degrees) for degrees in shape.bounds)
        found = spread.get(rows.items, params={"bbox": box, "bbox-crs": uri, "limit": 1000})
        assert found.status_code == 200, found.text


def test_another_crs_is_refused(spread: TestClient, rows: Rows) -> None:
    """/req/crs/fc-crs-valid-value, C."""
    unknown = "http://www.opengis.net/def/crs/0/unknown/unknown"
    for parameters in ({"crs": unknown}, {"bbox": "0,0,1,1", "bbox-crs": unknown}):
        assert spread.get(rows.items, params=parameters).status_code == 400


# 23-058r2 and 24-030, Schemas and Sorting


def test_schemas_are_linked_where_they_say_that_they_are(spread: TestClient, rows: Rows) -> None:
    """/req/returnables-and-receivables/link, /req/schemas/json-schema, /req/features-sorting/sortables-link."""
    found = links(spread, rows.collection_path)
    for relation, path in SCHEMAS.items():
        href = found[relation, SCHEMA.media_type]
        assert urlsplit(href).path == f"{prefix(spread)}{rows.collection_path}/{path}"
        response = spread.get(href, headers={"Accept": SCHEMA.media_type})
        assert response.headers["Content-Type"] == SCHEMA.media_type
        schema = response.json()
        assert (schema["$id"], schema["type"]) == (href, "object")
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(schema)


def test_each_property_has_its_type_and_role(
    spread: TestClient, collection: Collection, rows: Rows
) -> None:
    """/req/schemas/properties, additional-keywords, role-id; advanced-property-roles."""
    schema = spread.get(f"{rows.collection_path}/schema").json()
    roles: dict[str, str] = {}
    for name, property in schema["properties"].items():
        assert property.keys() <= KEYWORDS, name
        is_shape = property.get("format", "").startswith("geometry-")
        assert ("type" in property) != is_shape, name
        if role := property.get("x-ogc-role"):
            assert roles.setdefault(role, name) == name
        is_written = name in collection.written and name not in collection.read_only
        assert property.get("readOnly", False) != is_written, name
    assert roles["id"] == collection.key.name
    assert schema["properties"][roles["id"]]["type"] in ("string", "integer")
    assert roles["primary-geometry"] == collection.geometry.name
    # A property has one role.
    instant = None if collection.time is collection.key else collection.time
    assert roles.get("primary-instant") == getattr(instant, "name", None)
    assert schema["properties"].keys() == {column.name for column in collection.columns}
    for path in SCHEMAS.values():
        properties = spread.get(f"{rows.collection_path}/{path}").json()["properties"]
        ids = [each for each in properties.values() if each.get("x-ogc-role") == "id"]
        assert all(each["type"] in ("string", "integer") for each in ids), path


@writes
def test_what_clients_send_and_never_change_is_read_only(
    client: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/req/returnables-and-receivables/receivables."""
    written, geometry = rows.collection.written, rows.collection.geometry.name
    name = next(name for name in written if name not in (rows.key.name, geometry))
    monkeypatch.setattr(rows.collection, "read_only", frozenset({name}))
    properties = client.get(f"{rows.collection_path}/schema").json()["properties"]
    assert properties[name]["readOnly"] is True
    assert "readOnly" not in properties[geometry]


def test_every_feature_fits_the_schema_of_features(spread: TestClient, rows: Rows) -> None:
    """/req/returnables-and-receivables/response: as GeoJSON; what is null has no value."""
    schema = spread.get(f"{rows.collection_path}/schema/feature").json()
    Draft202012Validator.check_schema(schema)
    # A height is not of the GeoJSON schema's own making.
    validator = Draft202012Validator(schema)
    for feature in features(spread, rows, limit=20):
        values = feature["properties"].items()
        feature["properties"] = {name: value for name, value in values if value is not None}
        errors = [(list(error.path), error.message) for error in validator.iter_errors(feature)]
        assert errors == []


def test_gdal_finds_every_property_in_the_xml_schema(spread: TestClient, rows: Rows) -> None:
    """The relation describedby: GDAL cuts integers of 64 bits to 32 where it has a JSON Schema alone."""
    found = links(spread, rows.collection_path)
    assert ("describedby", SCHEMA.media_type) in found
    text = spread.get(found["describedby", "application/xml"]).content
    elements = ElementTree.fromstring(text).findall(".//{*}sequence/{*}element")
    types = {each.get("name"): each.get("type") for each in elements}
    geometry = rows.collection.geometry.name
    assert types.keys() - {geometry} == {column.name for column in rows.collection.properties}
    assert (geometry in types) == (
        not rows.collection.has_z and rows.collection.geometry_type != "GEOMETRY"
    )
    assert spread.get(f"{rows.collection_path}/schema/xsd?f=json").status_code == 400


def test_features_can_be_sorted_by_every_sortable(spread: TestClient, rows: Rows) -> None:
    """/req/sorting/sortby-response, /req/sortables/sortables-link; a name that is no sortable is refused."""
    sortables = spread.get(f"{rows.collection_path}/sortables").json()
    assert sortables["additionalProperties"] is False
    for name in sortables["properties"]:
        assert features(spread, rows, sortby=f"-{name}", limit=2)
    for wrong in ("this_is_not_a_sortable", rows.collection.geometry.name):
        assert spread.get(rows.items, params={"sortby": wrong}).status_code == 400
    linked = spread.head(rows.items).links[RELATION + "sortables"]["url"]
    assert linked == sortables["$id"]


# 20-057, Tiles


@faces("features", "tiles")
def test_operations_of_tiles_are_called_as_the_standard_has_it(
    spread: TestClient, rows: Rows
) -> None:
    """/req/oas30/operation-id."""
    paths = spread.get("/openapi.json").json()["paths"]
    ids = [
        operations["get"]["operationId"]
        for path, operations in paths.items()
        if path.startswith(f"{rows.collection_path}/tiles")
    ]
    suffixes = ["getTileSetsList", "getTileSet", "getTile"]
    assert sorted(ids) == sorted(
        f"{rows.collection.name}.collection.vector.{suffix}" for suffix in suffixes
    )


# 20-002, Create, Replace, Update and Delete


@writes
def test_answers_are_as_the_client_prefers(client: TestClient, rows: Rows) -> None:
    """/req/create-replace-delete/prefer: RFC 7240, return=minimal and return=representation."""
    body = {"type": "Feature", "geometry": None, "properties": rows.full_body()}
    body["geometry"] = body["properties"].pop(rows.collection.geometry.name)
    if rows.is_given:
        body["id"] = body["properties"].pop(rows.key.name)
    minimal = {"Prefer": "handling=lenient, return=minimal"}
    created = client.post(rows.items, json=body, headers=minimal)
    assert (created.status_code, created.content) == (201, b"")
    assert created.headers["Preference-Applied"] == "return=minimal"
    item = created.headers["Location"]
    feature = client.get(item).json()
    del feature["links"]
    replaced = client.put(item, json=feature, headers=minimal)
    assert (replaced.status_code, replaced.content) == (204, b"")
    assert replaced.headers["ETag"] == client.get(item).headers["ETag"]
    whole = {"Prefer": 'handling=strict, return="representation"'}
    for preferred, applied in (
        (whole, "return=representation, handling=strict"),
        ({}, None),
        ({"Prefer": "return=nothing"}, None),
    ):
        response = client.put(item, json=feature, headers=preferred)
        assert response.json()["id"] == feature["id"]
        assert response.headers.get("Preference-Applied") == applied
