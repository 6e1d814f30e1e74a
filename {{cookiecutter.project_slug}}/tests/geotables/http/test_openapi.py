"""The OpenAPI document: of version 3.0, with the table's own paths, parameters and answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openapi_spec_validator import OpenAPIV30SpecValidator

from geotables.http import openapi30
from geotables.service import Service
from geotables.settings import ServiceSettings

from contract import faces, writes
from rows import Rows

MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.0"


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(each)


def test_the_document_is_valid_in_version_3_0(client: TestClient, document: dict[str, Any]) -> None:
    assert client.get("/openapi.json").headers["Content-Type"] == MEDIA_TYPE
    assert document["openapi"].startswith("3.0.")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []


def test_no_schema_is_in_a_later_dialect(document: dict[str, Any]) -> None:
    for node in nodes(document):
        assert node.get("type") != "null"
        assert (
            not isinstance(node.get("exclusiveMinimum"), int | float)
            or node["exclusiveMinimum"] is True
        )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"const": 1}, {"enum": [1]}),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "x"},
            {"type": "string", "title": "x", "nullable": True},
        ),
        (
            {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]},
            {"anyOf": [{"$ref": "#/x"}, {"type": "object", "nullable": True, "enum": [None]}]},
        ),
        (
            {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "number", "nullable": True}, {"type": "string"}]},
        ),
        ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
        ({"type": "array", "prefixItems": [{}]}, {"type": "array", "items": {}}),
    ],
)
def test_schemas_are_rewritten(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert openapi30.schema(given) == expected


@faces("features")
def test_paths_are_literal_and_limit_is_looked_up(
    rows: Rows, document: dict[str, Any], settings: ServiceSettings
) -> None:
    parameters = document["paths"][rows.items]["get"]["parameters"]
    assert {"$ref": "#/components/parameters/limit"} in parameters
    limit = document["components"]["parameters"]["limit"]["schema"]
    assert limit["maximum"] == settings.max_page_size
    assert 1 == limit["minimum"] <= limit["default"] <= limit["maximum"]


@faces("features")
def test_every_parameter_of_the_items_is_documented(rows: Rows, document: dict[str, Any]) -> None:
    # Here: the folder of a face that a project has deleted cannot be imported.
    from geotables.features.items_query import queries_of

    parameters = {
        each["name"]: each
        for each in document["paths"][rows.items]["get"]["parameters"]
        if "name" in each
    }
    names = {"f", "crs", "bbox", "bbox-crs", "offset", "token", "sortby", "count"}
    names |= {"filter", "filter-lang", "filter-crs", "properties", "resultType"}
    if rows.collection.time is not None:
        names.add("datetime")
    own = queries_of(rows.collection).parameters.values()
    assert parameters.keys() == names | {column.name for column in own}
    for each in parameters.values():
        assert (each["in"], each["style"], each["explode"]) == ("query", "form", False)
        assert not each["required"]
    assert parameters["bbox"]["schema"]["type"] == "array"


def test_every_answer_of_every_operation_is_documented(
    service: Service, document: dict[str, Any]
) -> None:
    items = tuple(Rows.of(collection).items for collection in service.collections)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = operation["responses"].keys()
            assert {"500", "503", "504"} <= statuses, (method, path)
            if path.startswith(items):
                assert {"200", "201", "204"} & statuses
                assert "400" in statuses or method == "delete"
                assert ("412" in statuses) == (method != "get")
                assert ("404" in statuses) == (path not in items or method == "post")
            responses = operation["responses"]
            pages = {"text/html"} & {
                kind
                for status, response in responses.items()
                for kind in response.get("content", ())
                if status < "400"
            }
            for status in statuses:
                if status >= "400":
                    content = responses[status]["content"]
                    assert content.keys() == {"application/problem+json"} | pages


@faces("features", "rest", "tiles")
def test_generated_clients_can_do_with_it(service: Service, document: dict[str, Any]) -> None:
    """As openapi-python-client does: bytes are octet-stream, and a body's schema has a name for all its media types."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    types = ("application/vnd.mapbox-vector-tile", "application/octet-stream")
    for collection in service.collections:
        tile = f"{Rows.of(collection).tileset}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
        content = document["paths"][tile]["get"]["responses"]["200"]["content"]
        assert content == dict.fromkeys(types, binary)
    bodies = [
        operation["requestBody"]["content"].values()
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    several = [each for each in bodies if len(each) > 1]
    assert len(several) >= 3 * sum(each.is_writable for each in service.collections)
    assert all("$ref" in content["schema"] for each in several for content in each)


#: What a type of JSON Schema is in Python.
TYPES = {"string": str, "integer": int, "number": int | float, "boolean": bool, "object": dict}


@writes
@faces("rest")
def test_a_row_is_what_the_document_says(
    rows: Rows, client: TestClient, document: dict[str, Any]
) -> None:
    answer = document["paths"][rows.path]["post"]["responses"]["201"]["content"]["application/json"]
    name = answer["schema"]["$ref"].rpartition("/")[2]
    row = client.post(rows.path, json=rows.full_body()).json()
    properties = document["components"]["schemas"][name]["properties"]
    assert properties.keys() == row.keys()
    for name, schema in properties.items():
        if row[name] is None:
            alternatives = schema.get("anyOf") or schema.get("oneOf") or [schema]
            # Without a type, null fits.
            assert any(each.get("nullable", "type" not in each) for each in alternatives), name
        elif "type" in schema:
            assert isinstance(row[name], TYPES[schema["type"]]), name


@writes
@faces("rest", "features")
def test_every_write_takes_the_example_that_the_document_has(
    rows: Rows, client: TestClient, document: dict[str, Any]
) -> None:
    """As Swagger UI sends it, which adds the defaults of query parameters."""
    for path in (rows.path, rows.items):
        url, one = path, path.rstrip("/") + "/{id}"
        for method, template in (("post", path), ("put", one), ("patch", one)):
            operation = document["paths"][template][method]
            defaults = {
                parameter["name"]: parameter["schema"]["default"]
                for parameter in operation.get("parameters", ())
                if parameter.get("in") == "query" and "default" in parameter["schema"]
            }
            for media_type, content in operation["requestBody"]["content"].items():
                response = client.request(
                    method,
                    url,
                    params=defaults,
                    json=content["example"],
                    headers={"Content-Type": media_type},
                )
                assert response.status_code in (200, 201), (method, template, response.text)
                if method == "post" and list(operation["requestBody"]["content"])[-1] != media_type:
                    # A value that is unique is there once.
                    client.delete(response.headers["Location"])
            url = response.headers.get("Location", url)
        assert client.delete(url).status_code == 204


def test_the_page_of_the_document_takes_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/assets/{name}" in page
        assert client.get(f"/docs/assets/{name}").status_code == 200


def test_names_are_distinct_over_the_collections(document: dict[str, Any]) -> None:
    operations = [
        operation for operations in document["paths"].values() for operation in operations.values()
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) > 0


@faces("rest")
def test_a_box_is_one_value(document: dict[str, Any]) -> None:
    boxes = [
        parameter
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter.get("name") == "bbox"
    ]
    assert [box.get("explode") for box in boxes] == [False] * len(boxes) != []
