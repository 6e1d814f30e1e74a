"""OGC API - Features, part 4: what is sent is stored, and nobody undoes what another has done."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from shapely.geometry.base import BaseGeometry

from geotables import geometry
from geotables.collection import Collection
from geotables.crs import Reference
from geotables.db.database import Database
from geotables.geometry import samples

from contract import each, faces, only, writes
from rows import Rows, as_json, refused, same_place

GEOJSON = "application/geo+json"
MERGE_PATCH = "application/merge-patch+json"

EVERY_GEOMETRY = each(
    "sample", lambda c: samples.geometries(c.geometry), id=lambda sample: sample.geom_type
)

pytestmark = writes
EVERY_CRS = each("crs", lambda c: c.references.values(), id=lambda crs: crs.name)


def feature(rows: Rows, number: int = 1, **members: Any) -> dict[str, Any]:
    """What a client sends of a feature."""
    id = {"id": rows.full_body(number)[rows.key.name]} if rows.is_given else {}
    return change(rows, number, **id, **members)


def change(rows: Rows, number: int = 1, **members: Any) -> dict[str, Any]:
    """The same for a feature that is there, whose id stays."""
    properties = rows.full_change(number)
    shape = properties.pop(rows.collection.geometry.name)
    return {"type": "Feature", "geometry": shape, "properties": properties} | members


def send(
    client: TestClient,
    method: str,
    path: str,
    content: Any,
    media_type: str = GEOJSON,
    **headers: str,
) -> Any:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers |= {"Content-Type": media_type}
    return client.request(method, path, content=text, headers=headers)


def created(rows: Rows, client: TestClient, content: dict[str, Any]) -> dict[str, Any]:
    response = send(client, "POST", rows.items, content)
    assert response.status_code == 201, response.text
    return response.json()


def read(rows: Rows, client: TestClient, id: Any) -> dict[str, Any]:
    found = client.get(rows.item(id)).json()
    del found["links"]
    return found


def placed(connection: sa.Connection, sample: BaseGeometry, crs: Reference) -> dict[str, Any]:
    """The GeoJSON of a sample in a CRS and its order of the axes."""
    shape = sa.func.ST_AsBinary(geometry.bind(sample, crs.srid), type_=sa.LargeBinary())
    found = shapely.from_wkb(bytes(connection.scalar(sa.select(shape))))
    if crs.swapped:
        found = shapely.transform(
            found, lambda xyz: xyz[:, [1, 0, 2][: xyz.shape[1]]], include_z=found.has_z
        )
    return json.loads(shapely.to_geojson(found))


@EVERY_GEOMETRY
@EVERY_CRS
@pytest.mark.parametrize("brackets", ["<{}>", "{}"])
def test_a_feature_is_stored_whatever_crs_it_is_sent_in(
    client: TestClient,
    collection: Collection,
    rows: Rows,
    connection: sa.Connection,
    sample: BaseGeometry,
    crs: Reference,
    brackets: str,
) -> None:
    content = feature(rows, geometry=placed(connection, sample, crs))
    response = send(client, "POST", rows.items, content, Content_Crs=brackets.format(crs.uri))
    assert response.status_code == 201, response.text
    new = response.json()
    assert response.headers["Location"].endswith(rows.item(new["id"]))
    assert response.headers["Content-Crs"] == f"<{collection.default_crs.uri}>"
    assert same_place(rows.in_wgs84(connection, new["geometry"]), sample)
    assert read(rows, client, new["id"]) == new
    path = rows.item(new["id"])
    moved = send(client, "PATCH", path, {"geometry": content["geometry"]}, Content_Crs=crs.uri)
    assert same_place(rows.in_wgs84(connection, moved.json()["geometry"]), sample)


def test_properties_come_back_as_they_were_sent(client: TestClient, rows: Rows) -> None:
    content = feature(rows, 3)
    new = created(rows, client, content)
    other = feature(rows, 4)
    unique = {name: other["properties"][name] for name in rows.unique - {rows.key.name}}
    keyless = {name: new["properties"][name] for name in new["properties"].keys() - {rows.key.name}}
    again = created(rows, client, other | {"properties": keyless | unique})
    for name in content["properties"].keys() - rows.unique:
        assert again["properties"][name] == new["properties"][name]
    assert again["id"] != new["id"]


def test_a_collection_is_stored_whole_or_not_at_all(
    client: TestClient, rows: Rows, connection: sa.Connection
) -> None:
    features = [feature(rows, number) for number in range(2)]
    wrong = [*features, feature(rows, 2, geometry="POINT (0 0)")]
    response = send(client, "POST", rows.items, {"type": "FeatureCollection", "features": wrong})
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == "body.features.2.geometry"
    assert rows.count(connection) == 0
    response = send(client, "POST", rows.items, {"type": "FeatureCollection", "features": features})
    assert response.status_code == 201, response.text
    assert rows.count(connection) == len(response.json()["features"]) == 2


@only(lambda c: c.key.identity is not None)
def test_postgresql_alone_numbers_the_features_of_a_collection(
    client: TestClient, rows: Rows, connection: sa.Connection
) -> None:
    numbered = f"ALTER TABLE {rows.sql} ALTER {rows.key_sql} SET GENERATED"
    usual = "ALWAYS" if rows.key.identity.always else "BY DEFAULT"
    # As for a role that has no right to the sequence, ids of the client's own are refused.
    connection.execute(sa.text(f"{numbered} ALWAYS"))
    try:
        created(rows, client, {"type": "FeatureCollection", "features": distinct(rows, 3)})
    finally:
        connection.execute(sa.text(f"{numbered} {usual}"))


def distinct(rows: Rows, most: int) -> list[dict[str, Any]]:
    """Features from west to east, as many as the unique columns tell apart; they do not leave out the same members."""
    lon, lat = samples.middle(rows.collection.geometry)
    optional = rows.full_change().keys() - rows.body().keys()
    taken: set[tuple[str, Any]] = set()
    found = []
    for number in range(most):
        shapes = samples.geometries(rows.collection.geometry, (lon + number / 10_000, lat))
        given = feature(rows, number, geometry=as_json(shapes[number % len(shapes)]))
        properties = given["properties"]
        for name in [name for name in sorted(optional) if (number + len(name)) % 3 == 0]:
            del properties[name]
        unique = {(name, str(properties[name])) for name in rows.unique & properties.keys()}
        if not unique & taken:
            taken |= unique
            found.append(given)
    return found


def xy(features: list[dict[str, Any]]) -> Any:
    """The coordinates of features, one after the other."""
    shapes = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]
    return shapely.get_coordinates(shapes)


@pytest.mark.parametrize("most", [0, 10, 2_500])
def test_the_features_of_a_collection_come_back_in_their_order(
    client: TestClient, collection: Collection, rows: Rows, connection: sa.Connection, most: int
) -> None:
    least = feature(rows, most, properties=rows.change(most))
    del least["properties"][collection.geometry.name]
    alone = created(rows, client, least)
    client.delete(rows.item(alone["id"]))
    given = distinct(rows, most)
    new = created(rows, client, {"type": "FeatureCollection", "features": given})["features"]
    assert np.allclose(xy(new), xy(given), rtol=0, atol=1e-6)
    for one, other in zip(given, new, strict=True):
        for column in rows.properties:
            found = other["properties"][column.name]
            if column.name in one["properties"]:
                if isinstance(column.type, sa.String | sa.Integer):
                    assert found == one["properties"][column.name]
            elif isinstance(column.type, sa.DateTime | sa.Uuid) and column.server_default:
                assert found is not None
            else:
                assert found == alone["properties"][column.name]
    assert rows.count(connection) == len({row["id"] for row in new}) == len(given)
    for row in new[:: len(new) // 10 + 1]:
        assert read(rows, client, row["id"]) == row


@EVERY_CRS
def test_a_collection_is_in_the_crs_of_the_request(
    client: TestClient, rows: Rows, connection: sa.Connection, crs: Reference
) -> None:
    found = rows.samples
    for number in range(2):
        given = [
            feature(rows, number, geometry=placed(connection, sample, crs)) for sample in found
        ]
        content = {"type": "FeatureCollection", "features": given[: 1 if rows.unique else None]}
        response = send(client, "POST", rows.items, content, Content_Crs=crs.uri)
        assert response.status_code == 201, response.text
        for new, sample in zip(response.json()["features"], found, strict=False):
            assert same_place(rows.in_wgs84(connection, new["geometry"]), sample)


def changed(shape: Any, value: Any) -> Any:
    """A geometry, or coordinates, with another value for the first of the numbers."""
    if isinstance(shape, dict):
        member = "geometries" if "geometries" in shape else "coordinates"
        return shape | {member: changed(shape[member], value)}
    return [changed(shape[0], value), *shape[1:]] if isinstance(shape, list) else value


def of_another_dimension(shape: dict[str, Any]) -> Any:
    """A geometry without z where the column has it, and the other way round."""
    found = shapely.from_geojson(json.dumps(shape))
    return as_json(shapely.force_2d(found) if found.has_z else shapely.force_3d(found))


def wrong_features(rows: Rows) -> dict[str, Any]:
    """Features that are refused, by what is wrong with them."""
    given = feature(rows)
    shape, properties = given["geometry"], given["properties"]
    shapes = {
        **({} if rows.collection.geometry.nullable else {"no geometry": None}),
        "a text": "POINT (0 0)",
        "no type": {"coordinates": [0, 0]},
        "empty": shape | {"coordinates": [], "geometries": []},
        "too far": changed(shape, 1e9),
        "a boolean": changed(shape, True),
        "a number in quotes": changed(shape, "1"),
        "another dimension": of_another_dimension(shape),
    }
    members: dict[str, Any] = {
        "properties that are no object": [1],
        "an unknown property": properties | {"Unknown": 1},
        "the geometry as a property": properties | {rows.collection.geometry.name: 1},
    }
    return {
        "a number": 1,
        "no feature": given | {"type": "Point"},
        **{name: given | {"geometry": wrong} for name, wrong in shapes.items()},
        **{name: given | {"properties": wrong} for name, wrong in members.items()},
        "two things": given
        | {"geometry": shapes["too far"], "properties": members["an unknown property"]},
    }


@each("wrong", lambda c: wrong_features(Rows.of(c)))
@EVERY_CRS
def test_one_wrong_feature_among_many_is_refused_as_it_is_alone(
    client: TestClient, rows: Rows, connection: sa.Connection, wrong: Any, crs: Reference
) -> None:
    alone = send(client, "POST", rows.items, wrong, Content_Crs=crs.uri)
    assert alone.status_code == 422, alone.text
    good = placed(connection, rows.samples[0], crs)
    features = [feature(rows, number, geometry=good) for number in range(5)]
    features[3] = wrong
    content = {"type": "FeatureCollection", "features": features}
    response = send(client, "POST", rows.items, content, Content_Crs=crs.uri)
    assert response.status_code == 422
    for error in (errors := alone.json()["errors"]):
        error["location"] = error["location"].replace("body", "body.features.3", 1)
    assert response.json()["errors"] == errors
    assert rows.count(connection) == 0


def test_a_collection_has_the_limits_of_a_request(
    serve: Callable[..., TestClient], rows: Rows, connection: sa.Connection
) -> None:
    client = serve(max_vertices=1)
    content = {"type": "FeatureCollection", "features": [feature(rows)]}
    response = send(client, "POST", rows.items, content)
    vertices = len(xy([feature(rows)]))
    assert response.status_code == (201 if vertices == 1 else 422), response.text
    assert rows.count(connection) == (vertices == 1)


@only(lambda c: bool(Rows.of(c).unique_alone))
def test_a_collection_with_a_value_that_is_taken_is_refused(
    client: TestClient, rows: Rows, connection: sa.Connection
) -> None:
    for name in rows.unique_alone:
        features = [feature(rows, number) for number in range(2)]
        if name == rows.key.name:
            features[1]["id"] = features[0]["id"]
        else:
            features[1]["properties"][name] = features[0]["properties"][name]
        response = send(
            client, "POST", rows.items, {"type": "FeatureCollection", "features": features}
        )
        assert response.status_code == 409, response.text
        assert rows.count(connection) == 0


def test_null_is_what_the_database_has_as_the_default(client: TestClient, rows: Rows) -> None:
    content = feature(rows, 2)
    required = rows.body(2).keys()
    properties = {
        name: value if name in required else None for name, value in content["properties"].items()
    }
    new = created(rows, client, content | {"properties": properties})
    for column in rows.properties:
        if not column.nullable:
            assert new["properties"][column.name] is not None


def test_put_replaces_a_feature_and_keeps_its_id(client: TestClient, rows: Rows) -> None:
    before = created(rows, client, feature(rows, 2))
    path = rows.item(before["id"])
    id = {} if rows.is_given else {"id": "another"}
    response = send(client, "PUT", path, change(rows, 3, **id))
    after = response.json()
    assert (response.status_code, after["id"]) == (200, before["id"])
    for name in {"created_at"} & before["properties"].keys() & rows.collection.read_only:
        assert after["properties"][name] == before["properties"][name]
    assert after == read(rows, client, before["id"])
    again = send(client, "PUT", path, after)
    assert again.json()["properties"].keys() == after["properties"].keys()


@pytest.mark.parametrize("media_type", [MERGE_PATCH, "application/json", GEOJSON])
def test_patch_changes_what_it_names(client: TestClient, rows: Rows, media_type: str) -> None:
    row = created(rows, client, feature(rows, 2))
    for name, value in feature(rows, 3)["properties"].items():
        path = rows.item(row["id"])
        response = send(client, "PATCH", path, {"properties": {name: value}}, media_type)
        assert response.status_code == 200, response.text
        after = response.json()
        assert after["geometry"] == row["geometry"]
        changed = {
            other
            for other, value in after["properties"].items()
            if value != row["properties"][other]
        }
        assert changed <= {name, *rows.collection.read_only}
        row = after


def test_patch_with_null_unsets_a_property(client: TestClient, rows: Rows) -> None:
    row = created(rows, client, feature(rows, 2))
    path = rows.item(row["id"])
    for column in rows.properties:
        if column.name not in rows.body():
            response = send(client, "PATCH", path, {"properties": {column.name: None}}, MERGE_PATCH)
            assert response.status_code == 200, response.text
    key = {} if rows.is_given else {rows.key.name: 5}
    for properties in ({}, {**key, "updated_at": None}, {"Unknown": None}):
        patch = {"type": "Feature", "properties": properties}
        assert send(client, "PATCH", path, patch, MERGE_PATCH).json() == read(
            rows, client, row["id"]
        )


@only(lambda c: c.has_given_key and c.key.name != "id")
def test_a_given_key_may_be_a_property(client: TestClient, rows: Rows) -> None:
    content, name = feature(rows, 1), rows.key.name
    key, another = content["id"], feature(rows, 2)["id"]
    place = f"body.properties.{name}"
    both = content | {"properties": content["properties"] | {name: key}}
    other = content | {"properties": content["properties"] | {name: another}}
    refused(send(client, "POST", rows.items, other), place, "the id of the feature is another")
    row = created(rows, client, {member: both[member] for member in both.keys() - {"id"}})
    path = rows.item(row["id"])
    # What was read, as editors send it back.
    for method in ("PUT", "PATCH"):
        assert send(client, method, path, row).json()["id"] == row["id"]
        refused(send(client, method, path, other), place, "the id of the feature is another")
        without = {member: other[member] for member in other.keys() - {"id"}}
        refused(send(client, method, path, without), place, "the key of a row stays")
    assert read(rows, client, row["id"])["properties"][name] == row["properties"][name]


@only(lambda c: not c.has_given_key and c.key.name != "id")
def test_a_key_of_the_database_is_ignored_as_a_property(client: TestClient, rows: Rows) -> None:
    name, another = rows.key.name, as_json(rows.no_id)
    content = feature(rows)
    row = created(rows, client, content | {"properties": content["properties"] | {name: another}})
    assert row["properties"][name] != another
    for method in ("PUT", "PATCH"):
        body = change(rows) | {"properties": row["properties"] | {name: another}}
        changed = send(client, method, rows.item(row["id"]), body).json()
        assert (changed["id"], changed["properties"][name]) == (row["id"], row["properties"][name])


def test_patch_with_a_property_in_the_wrong_place_is_refused(
    client: TestClient, collection: Collection, rows: Rows
) -> None:
    row = created(rows, client, feature(rows, 2))
    path = rows.item(row["id"])
    for name, value in rows.full_body(3).items():
        # Members of a feature itself.
        if name not in ("geometry", "id"):
            right = "geometry" if name == collection.geometry.name else f"properties.{name}"
            response = send(client, "PATCH", path, {name: value}, MERGE_PATCH)
            refused(response, f"body.{name}", right)
    response = send(client, "PATCH", path, {"Unknown": 1}, MERGE_PATCH)
    assert response.json() == read(rows, client, row["id"])


def test_delete_removes_a_feature(client: TestClient, rows: Rows) -> None:
    row = created(rows, client, feature(rows))
    response = client.delete(rows.item(row["id"]))
    assert (response.status_code, response.content) == (204, b"")
    assert client.get(rows.item(row["id"])).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@each("id", lambda c: [Rows.of(c).text(Rows.of(c).no_id), "x"])
def test_a_feature_that_is_not_there_is_not_found(
    client: TestClient, rows: Rows, connection: sa.Connection, method: str, id: str
) -> None:
    response = send(client, method, rows.item(id), change(rows))
    assert response.status_code == 404
    assert rows.count(connection) == 0


def no_features(rows: Rows) -> dict[str, tuple[Any, int, str | None]]:
    """What is no feature, by what it is: with the status of the answer, and the place that it names."""
    name = rows.collection.geometry.name
    properties = feature(rows)["properties"]
    without_place: dict[str, tuple[Any, int, str | None]] = {
        "no members": ({"type": "Feature"}, 422, "body.geometry"),
        "no geometry": (feature(rows, geometry=None), 422, "body.geometry"),
    }
    return {
        **({} if rows.collection.geometry.nullable else without_place),
        "half of an object": (b"{", 400, None),
        "nothing": (b"", 400, None),
        "NaN": (b"[NaN]", 422, "body"),
        "no UTF-8": (b"\xff", 400, None),
        "an array": ([], 422, "body"),
        "an empty object": ({}, 422, "body"),
        "a geometry": ({"type": "Point", "coordinates": [0, 0]}, 422, "body"),
        "WKT": (feature(rows, geometry="POINT (0 0)"), 422, "body.geometry"),
        "a circle": (feature(rows, geometry={"type": "Circle"}), 422, "body.geometry"),
        "an array of properties": (feature(rows, properties=[]), 422, "body.properties"),
        "an unknown property": (
            feature(rows, properties={"Unknown": 1} | properties),
            422,
            "body.properties.Unknown",
        ),
        "the geometry as a property": (
            feature(rows, properties={name: 1}),
            422,
            f"body.properties.{name}",
        ),
        "a collection of nothing": ({"type": "FeatureCollection"}, 422, "body.features"),
        "a collection of a number": (
            {"type": "FeatureCollection", "features": [1]},
            422,
            "body.features.0",
        ),
    }


@each("case", lambda c: no_features(Rows.of(c)))
def test_what_is_no_feature_is_refused_with_its_place(
    client: TestClient, rows: Rows, connection: sa.Connection, case: tuple[Any, int, str | None]
) -> None:
    content, status, location = case
    response = send(client, "POST", rows.items, content)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    if location is not None:
        assert response.json()["errors"][0]["location"] == location
    assert rows.count(connection) == 0


def test_other_media_types_and_crss_are_refused(client: TestClient, rows: Rows) -> None:
    assert send(client, "POST", rows.items, feature(rows), "text/plain").status_code == 415
    assert send(client, "POST", rows.items, feature(rows), MERGE_PATCH).status_code == 415
    assert (
        send(client, "POST", rows.items, feature(rows), Content_Crs="<EPSG:4326>").status_code
        == 400
    )


# Versions


def test_every_change_is_a_new_version(client: TestClient, rows: Rows) -> None:
    response = send(client, "POST", rows.items, feature(rows, 2))
    path = rows.item(response.json()["id"])
    tags = [response.headers["ETag"], client.get(path).headers["ETag"]]
    assert tags[0] == tags[1]
    sample = rows.samples[0]
    elsewhere = as_json(shapely.transform(sample, lambda xyz: xyz + 0.001, include_z=sample.has_z))
    for method, content in (
        ("PUT", change(rows, 3)),
        ("PATCH", {"geometry": elsewhere}),
    ):
        tags.append(send(client, method, path, content).headers["ETag"])
        assert client.get(path).headers["ETag"] == tags[-1]
    assert len(set(tags)) == 3


def test_what_the_client_has_is_not_sent_again(
    client: TestClient, collection: Collection, rows: Rows
) -> None:
    path = rows.item(created(rows, client, feature(rows))["id"])
    tags = {client.get(path, params={"crs": uri}).headers["ETag"] for uri in collection.references}
    tags |= {client.get(path, params={"f": "html"}).headers["ETag"]}
    assert len(tags) == len(collection.references) + 1
    tag = client.get(path).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        response = client.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == tag
    for other in tags - {tag}:
        assert client.get(path, headers={"If-None-Match": other}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_of_another_version_is_refused(
    client: TestClient, collection: Collection, rows: Rows, method: str
) -> None:
    path = rows.item(created(rows, client, feature(rows))["id"])
    stale = client.get(path).headers["ETag"]
    send(client, "PUT", path, change(rows, 2))
    for tag in (stale, f"W/{stale}", '"x"'):
        response = send(client, method, path, change(rows, 3), If_Match=tag)
        assert response.status_code == 412
    assert send(client, method, path, change(rows, 3), If_None_Match="*").status_code == 412
    for uri in collection.references:
        tag = client.get(path, params={"crs": uri}).headers["ETag"]
    # A proxy that compresses makes a tag weak, and the client gives back what it got.
    weak = f'"x", W/{tag}'
    assert send(client, method, path, change(rows, 3), If_None_Match=weak).status_code == 412
    assert send(client, method, path, change(rows, 3), If_Match=weak).status_code < 300
    assert (
        send(client, method, rows.item(rows.no_id), change(rows), If_Match="*").status_code == 412
    )


def test_of_eight_writers_at_once_one_succeeds(client: TestClient, rows: Rows) -> None:
    path = rows.item(created(rows, client, feature(rows))["id"])
    for number in range(5):
        tag = client.get(path).headers["ETag"]

        def write(number: int, tag: str = tag) -> int:
            content = change(rows, number)
            return send(client, "PUT", path, content, If_Match=tag).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(write, range(number, number + 8)))
        assert sorted(statuses) == [200, *[412] * 7]


@faces("ogc")
def test_what_this_process_writes_is_in_the_extent_at_once(
    client: TestClient, rows: Rows, database: Database
) -> None:
    path = rows.collection_path
    assert "extent" not in client.get(path).json()
    places = rows.spread(40)
    for some in (places[:10], places[10:]):
        with database.write() as connection:
            connection.execute(sa.delete(rows.table))
            rows.insert(connection, some)
        (box,) = client.get(path).json()["extent"]["spatial"]["bbox"]
        features = client.get(rows.items, params={"limit": 100}).json()["features"]
        shapes = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]
        assert np.allclose(box, shapely.total_bounds(shapes), rtol=0, atol=1e-6)


def test_text_does_not_become_a_part_of_a_page(unconstrained: TestClient, rows: Rows) -> None:
    client = unconstrained
    texts = {
        column.name: "<b>&"[: column.type.length]
        for column in rows.properties
        if isinstance(column.type, sa.String)
    }
    content = feature(rows)
    row = created(rows, client, content | {"properties": content["properties"] | texts})
    for path in (rows.items, rows.item(row["id"])):
        page = client.get(path, params={"f": "html"}).text
        assert "<b>" not in page
    assert ("&lt;" in page) == bool(texts)


@pytest.mark.parametrize("path", ["items", pytest.param("path", marks=faces("rest"))])
def test_a_geometry_that_stays_may_lie_anywhere_in_the_table(
    client: TestClient, rows: Rows, connection: sa.Connection, database: Database, path: str
) -> None:
    """Also where the CRS reaches farther than its domain in WGS 84, where clients may put none."""
    with database.write() as writing:
        rows.insert(writing, rows.spread(20))
    ids = connection.scalars(sa.select(rows.key)).all()
    assert ids
    for id in ids:
        own = rows.at(id) if path == "path" else rows.item(id)
        changed = send(client, "PATCH", own, {}, MERGE_PATCH)
        assert changed.status_code == 200, changed.text
