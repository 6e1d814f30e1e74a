"""OGC API - Features, part 4: what is sent is stored, and nobody undoes what another has done."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import rows
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rows import DEFAULT, GEOMETRY, NO_ID, REFERENCES, TABLE
from shapely.geometry.base import BaseGeometry

from geotables import geometry
from geotables.crs import Reference
from geotables.db.database import Database
from geotables.geometry import samples

ITEMS = f"/collections/{TABLE.name}/items"
GEOJSON = "application/geo+json"
MERGE_PATCH = "application/merge-patch+json"

EVERY_GEOMETRY = pytest.mark.parametrize(
    "sample", samples.geometries(GEOMETRY), ids=lambda sample: sample.geom_type
)
EVERY_CRS = pytest.mark.parametrize("crs", REFERENCES.values(), ids=lambda crs: crs.name)


def feature(number: int = 1, **members: Any) -> dict[str, Any]:
    """What a client sends of a feature."""
    properties = rows.full_body(number)
    shape = properties.pop(GEOMETRY.name)
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


def created(client: TestClient, content: dict[str, Any]) -> dict[str, Any]:
    response = send(client, "POST", ITEMS, content)
    assert response.status_code == 201, response.text
    return response.json()


def read(client: TestClient, id: Any) -> dict[str, Any]:
    found = client.get(f"{ITEMS}/{id}").json()
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
    connection: sa.Connection,
    sample: BaseGeometry,
    crs: Reference,
    brackets: str,
) -> None:
    content = feature(geometry=placed(connection, sample, crs))
    response = send(client, "POST", ITEMS, content, Content_Crs=brackets.format(crs.uri))
    assert response.status_code == 201, response.text
    new = response.json()
    assert response.headers["Location"].endswith(f"{ITEMS}/{new['id']}")
    assert response.headers["Content-Crs"] == f"<{DEFAULT.uri}>"
    assert rows.same_place(rows.in_wgs84(connection, new["geometry"]), sample)
    assert read(client, new["id"]) == new
    path = f"{ITEMS}/{new['id']}"
    moved = send(client, "PATCH", path, {"geometry": content["geometry"]}, Content_Crs=crs.uri)
    assert rows.same_place(rows.in_wgs84(connection, moved.json()["geometry"]), sample)


def test_properties_come_back_as_they_were_sent(client: TestClient) -> None:
    content = feature(3)
    new = created(client, content)
    again = created(client, feature(4) | {"properties": new["properties"] | rows_unique(4)})
    for name in content["properties"].keys() - rows.UNIQUE:
        assert again["properties"][name] == new["properties"][name]
    assert again["id"] != new["id"]


def rows_unique(number: int) -> dict[str, Any]:
    """Other values for the columns that tell rows apart."""
    return {name: feature(number)["properties"][name] for name in rows.UNIQUE}


def test_a_collection_is_stored_whole_or_not_at_all(
    client: TestClient, connection: sa.Connection
) -> None:
    features = [feature(number) for number in range(2)]
    wrong = [*features, feature(geometry=None)]
    response = send(client, "POST", ITEMS, {"type": "FeatureCollection", "features": wrong})
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == "body.features.2.geometry"
    assert rows.count(connection) == 0
    response = send(client, "POST", ITEMS, {"type": "FeatureCollection", "features": features})
    assert response.status_code == 201, response.text
    assert rows.count(connection) == len(response.json()["features"]) == 2


@pytest.mark.skipif(TABLE.c.id.identity is None, reason="PostgreSQL does not number the rows")
def test_postgresql_alone_numbers_the_features_of_a_collection(
    client: TestClient, connection: sa.Connection
) -> None:
    numbered = f"ALTER TABLE {TABLE.name} ALTER id SET GENERATED"
    # As for a role that has no right to the sequence, ids of the client's own are refused.
    connection.execute(sa.text(f"{numbered} ALWAYS"))
    try:
        created(client, {"type": "FeatureCollection", "features": distinct(3)})
    finally:
        connection.execute(sa.text(f"{numbered} BY DEFAULT"))


def distinct(most: int) -> list[dict[str, Any]]:
    """Features from west to east, as many as the unique columns tell apart; they do not leave out the same members."""
    lon, lat = samples.middle(GEOMETRY)
    optional = rows.full_body().keys() - rows.body().keys()
    taken: set[tuple[str, Any]] = set()
    found = []
    for number in range(most):
        shapes = samples.geometries(GEOMETRY, (lon + number / 10_000, lat))
        given = feature(number, geometry=rows.as_json(shapes[number % len(shapes)]))
        properties = given["properties"]
        for name in [name for name in sorted(optional) if (number + len(name)) % 3 == 0]:
            del properties[name]
        unique = {(name, str(properties[name])) for name in rows.UNIQUE & properties.keys()}
        if not unique & taken:
            taken |= unique
            found.append(given)
    return found


def xy(features: list[dict[str, Any]]) -> Any:
    """The coordinates of features, one after the other."""
    shapes = [shapely.from_geojson(json.dumps(each["geometry"])) for each in features]
    return shapely.get_coordinates(shapes)


@pytest.mark.parametrize("most", [0, 10, 2_500])
def test_the_features_of_a_collection_come_back_in_their_order(
    client: TestClient, connection: sa.Connection, most: int
) -> None:
    least = feature(most, properties=rows.body(most))
    del least["properties"][GEOMETRY.name]
    alone = created(client, least)
    client.delete(f"{ITEMS}/{alone['id']}")
    given = distinct(most)
    new = created(client, {"type": "FeatureCollection", "features": given})["features"]
    assert np.allclose(xy(new), xy(given), rtol=0, atol=1e-6)
    for one, other in zip(given, new, strict=True):
        for column in rows.WRITABLE:
            found = other["properties"][column.name]
            if column.name in one["properties"]:
                if isinstance(column.type, sa.String | sa.Integer):
                    assert found == one["properties"][column.name]
            elif isinstance(column.type, sa.DateTime | sa.Uuid) and column.server_default:
                assert found is not None
            else:
                assert found == alone["properties"][column.name]
    assert rows.count(connection) == len({each["id"] for each in new}) == len(given)
    for each in new[:: len(new) // 10 + 1]:
        assert read(client, each["id"]) == each


@EVERY_CRS
def test_a_collection_is_in_the_crs_of_the_request(
    client: TestClient, connection: sa.Connection, crs: Reference
) -> None:
    found = samples.geometries(GEOMETRY)
    for number in range(2):
        given = [feature(number, geometry=placed(connection, each, crs)) for each in found]
        content = {"type": "FeatureCollection", "features": given[: 1 if rows.UNIQUE else None]}
        response = send(client, "POST", ITEMS, content, Content_Crs=crs.uri)
        assert response.status_code == 201, response.text
        for new, sample in zip(response.json()["features"], found, strict=False):
            assert rows.same_place(rows.in_wgs84(connection, new["geometry"]), sample)


def changed(shape: Any, value: Any) -> Any:
    """A geometry, or coordinates, with another value for the first of the numbers."""
    if isinstance(shape, dict):
        member = "geometries" if "geometries" in shape else "coordinates"
        return shape | {member: changed(shape[member], value)}
    return [changed(shape[0], value), *shape[1:]] if isinstance(shape, list) else value


def of_another_dimension(shape: dict[str, Any]) -> Any:
    """A geometry without z where the column has it, and the other way round."""
    found = shapely.from_geojson(json.dumps(shape))
    return rows.as_json(shapely.force_2d(found) if found.has_z else shapely.force_3d(found))


def wrong_features() -> dict[str, Any]:
    """Features that are refused, by what is wrong with them."""
    given = feature()
    shape, properties = given["geometry"], given["properties"]
    shapes = {
        "no geometry": None,
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
        "the geometry as a property": properties | {GEOMETRY.name: 1},
    }
    return {
        "a number": 1,
        "no feature": given | {"type": "Point"},
        **{name: given | {"geometry": each} for name, each in shapes.items()},
        **{name: given | {"properties": each} for name, each in members.items()},
        "two things": given
        | {"geometry": shapes["too far"], "properties": members["an unknown property"]},
    }


@pytest.mark.parametrize("wrong", wrong_features().values(), ids=wrong_features())
@EVERY_CRS
def test_one_wrong_feature_among_many_is_refused_as_it_is_alone(
    client: TestClient, connection: sa.Connection, wrong: Any, crs: Reference
) -> None:
    alone = send(client, "POST", ITEMS, wrong, Content_Crs=crs.uri)
    assert alone.status_code == 422, alone.text
    good = placed(connection, samples.geometries(GEOMETRY)[0], crs)
    features = [feature(number, geometry=good) for number in range(5)]
    features[3] = wrong
    content = {"type": "FeatureCollection", "features": features}
    response = send(client, "POST", ITEMS, content, Content_Crs=crs.uri)
    assert response.status_code == 422
    for each in (errors := alone.json()["errors"]):
        each["location"] = each["location"].replace("body", "body.features.3", 1)
    assert response.json()["errors"] == errors
    assert rows.count(connection) == 0


def test_a_collection_has_the_limits_of_a_request(
    serve: Callable[..., TestClient], connection: sa.Connection
) -> None:
    client = serve(max_vertices=1)
    content = {"type": "FeatureCollection", "features": [feature()]}
    response = send(client, "POST", ITEMS, content)
    vertices = len(xy([feature()]))
    assert response.status_code == (201 if vertices == 1 else 422), response.text
    assert rows.count(connection) == (vertices == 1)


def test_a_collection_with_a_value_that_is_taken_is_refused(
    client: TestClient, connection: sa.Connection
) -> None:
    for name in rows.UNIQUE:
        features = [feature(number) for number in range(2)]
        features[1]["properties"][name] = features[0]["properties"][name]
        response = send(client, "POST", ITEMS, {"type": "FeatureCollection", "features": features})
        assert response.status_code == 409, response.text
        assert rows.count(connection) == 0


def test_null_is_what_the_database_has_as_the_default(client: TestClient) -> None:
    content = feature(2)
    required = rows.body(2).keys()
    properties = {
        name: value if name in required else None for name, value in content["properties"].items()
    }
    new = created(client, content | {"properties": properties})
    for column in rows.WRITABLE:
        if not column.nullable:
            assert new["properties"][column.name] is not None


def test_put_replaces_a_feature_and_keeps_its_id(client: TestClient) -> None:
    before = created(client, feature(2))
    path = f"{ITEMS}/{before['id']}"
    response = send(client, "PUT", path, feature(3, id="another"))
    after = response.json()
    assert (response.status_code, after["id"]) == (200, before["id"])
    assert after["properties"]["created_at"] == before["properties"]["created_at"]
    assert after == read(client, before["id"])
    again = send(client, "PUT", path, after)
    assert again.json()["properties"].keys() == after["properties"].keys()


@pytest.mark.parametrize("media_type", [MERGE_PATCH, "application/json", GEOJSON])
def test_patch_changes_what_it_names(client: TestClient, media_type: str) -> None:
    row = created(client, feature(2))
    for name, value in feature(3)["properties"].items():
        path = f"{ITEMS}/{row['id']}"
        response = send(client, "PATCH", path, {"properties": {name: value}}, media_type)
        assert response.status_code == 200, response.text
        after = response.json()
        assert after["geometry"] == row["geometry"]
        changed = {
            each for each, value in after["properties"].items() if value != row["properties"][each]
        }
        assert changed <= {name, "updated_at"}
        row = after


def test_patch_with_null_unsets_a_property(client: TestClient) -> None:
    row = created(client, feature(2))
    path = f"{ITEMS}/{row['id']}"
    for column in rows.WRITABLE:
        if column.name not in rows.body():
            response = send(client, "PATCH", path, {"properties": {column.name: None}}, MERGE_PATCH)
            assert response.status_code == 200, response.text
    for properties in ({}, {"id": 5, "updated_at": None}, {"Unknown": None}):
        patch = {"type": "Feature", "properties": properties}
        assert send(client, "PATCH", path, patch, MERGE_PATCH).json() == read(client, row["id"])


def test_patch_with_a_property_in_the_wrong_place_is_refused(client: TestClient) -> None:
    row = created(client, feature(2))
    path = f"{ITEMS}/{row['id']}"
    for name, value in rows.full_body(3).items():
        if name != "geometry":
            right = "geometry" if name == GEOMETRY.name else f"properties.{name}"
            response = send(client, "PATCH", path, {name: value}, MERGE_PATCH)
            rows.refused(response, f"body.{name}", right)
    response = send(client, "PATCH", path, {"Unknown": 1}, MERGE_PATCH)
    assert response.json() == read(client, row["id"])


def test_delete_removes_a_feature(client: TestClient) -> None:
    row = created(client, feature())
    response = client.delete(f"{ITEMS}/{row['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert client.get(f"{ITEMS}/{row['id']}").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("id", [NO_ID, "x"])
def test_a_feature_that_is_not_there_is_not_found(
    client: TestClient, connection: sa.Connection, method: str, id: Any
) -> None:
    response = send(client, method, f"{ITEMS}/{id}", feature())
    assert response.status_code == 404
    assert rows.count(connection) == 0


@pytest.mark.parametrize(
    ("content", "status", "location"),
    [
        (b"{", 400, None),
        (b"", 400, None),
        (b"[NaN]", 422, "body"),
        (b"\xff", 400, None),
        ([], 422, "body"),
        ({}, 422, "body"),
        ({"type": "Point", "coordinates": [0, 0]}, 422, "body"),
        ({"type": "Feature"}, 422, "body.geometry"),
        (feature(geometry=None), 422, "body.geometry"),
        (feature(geometry="POINT (0 0)"), 422, "body.geometry"),
        (feature(geometry={"type": "Circle"}), 422, "body.geometry"),
        (feature(properties=[]), 422, "body.properties"),
        (
            feature(properties={"Unknown": 1} | feature()["properties"]),
            422,
            "body.properties.Unknown",
        ),
        (feature(properties={GEOMETRY.name: 1}), 422, f"body.properties.{GEOMETRY.name}"),
        ({"type": "FeatureCollection"}, 422, "body.features"),
        ({"type": "FeatureCollection", "features": [1]}, 422, "body.features.0"),
    ],
)
def test_what_is_no_feature_is_refused_with_its_place(
    client: TestClient, connection: sa.Connection, content: Any, status: int, location: str | None
) -> None:
    response = send(client, "POST", ITEMS, content)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    if location is not None:
        assert response.json()["errors"][0]["location"] == location
    assert rows.count(connection) == 0


def test_other_media_types_and_crss_are_refused(client: TestClient) -> None:
    assert send(client, "POST", ITEMS, feature(), "text/plain").status_code == 415
    assert send(client, "POST", ITEMS, feature(), MERGE_PATCH).status_code == 415
    assert send(client, "POST", ITEMS, feature(), Content_Crs="<EPSG:4326>").status_code == 400


# Versions


def test_every_change_is_a_new_version(client: TestClient) -> None:
    response = send(client, "POST", ITEMS, feature(2))
    path = f"{ITEMS}/{response.json()['id']}"
    tags = [response.headers["ETag"], client.get(path).headers["ETag"]]
    assert tags[0] == tags[1]
    for method, content in (("PUT", feature(3)), ("PATCH", {"geometry": feature()["geometry"]})):
        tags.append(send(client, method, path, content).headers["ETag"])
        assert client.get(path).headers["ETag"] == tags[-1]
    assert len(set(tags)) == 3


def test_what_the_client_has_is_not_sent_again(client: TestClient) -> None:
    path = f"{ITEMS}/{created(client, feature())['id']}"
    tags = {client.get(path, params={"crs": uri}).headers["ETag"] for uri in REFERENCES}
    tags |= {client.get(path, params={"f": "html"}).headers["ETag"]}
    assert len(tags) == len(REFERENCES) + 1
    tag = client.get(path).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        response = client.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == tag
    for other in tags - {tag}:
        assert client.get(path, headers={"If-None-Match": other}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_of_another_version_is_refused(client: TestClient, method: str) -> None:
    path = f"{ITEMS}/{created(client, feature())['id']}"
    stale = client.get(path).headers["ETag"]
    send(client, "PUT", path, feature(2))
    for tag in (stale, f"W/{stale}", '"x"'):
        response = send(client, method, path, feature(3), If_Match=tag)
        assert response.status_code == 412
    assert send(client, method, path, feature(3), If_None_Match="*").status_code == 412
    for uri in REFERENCES:
        tag = client.get(path, params={"crs": uri}).headers["ETag"]
    # A proxy that compresses makes a tag weak, and the client gives back what it got.
    weak = f'"x", W/{tag}'
    assert send(client, method, path, feature(3), If_None_Match=weak).status_code == 412
    assert send(client, method, path, feature(3), If_Match=weak).status_code < 300
    assert send(client, method, f"{ITEMS}/{NO_ID}", feature(), If_Match="*").status_code == 412


def test_of_two_writers_at_once_one_is_told(client: TestClient) -> None:
    path = f"{ITEMS}/{created(client, feature())['id']}"
    for number in range(5):
        tag = client.get(path).headers["ETag"]

        def write(each: int, tag: str = tag) -> int:
            return send(client, "PUT", path, feature(each), If_Match=tag).status_code

        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(write, range(number, number + 4)))
        assert sorted(statuses) == [200, 412, 412, 412]


def test_what_this_process_writes_is_in_the_extent_at_once(
    client: TestClient, database: Database
) -> None:
    path = f"/collections/{TABLE.name}"
    assert "extent" not in client.get(path).json()
    places = rows.spread(40)
    for some in (places[:10], places[10:]):
        with database.write() as connection:
            connection.execute(sa.delete(TABLE))
            rows.insert(connection, some)
        (box,) = client.get(path).json()["extent"]["spatial"]["bbox"]
        features = client.get(ITEMS, params={"limit": 100}).json()["features"]
        shapes = [shapely.from_geojson(json.dumps(each["geometry"])) for each in features]
        assert np.allclose(box, shapely.total_bounds(shapes), rtol=0, atol=1e-6)


def test_text_does_not_become_a_part_of_a_page(unconstrained: TestClient) -> None:
    client = unconstrained
    texts = {
        column.name: "<b>&"[: column.type.length]
        for column in rows.WRITABLE
        if isinstance(column.type, sa.String)
    }
    content = feature()
    row = created(client, content | {"properties": content["properties"] | texts})
    for path in (ITEMS, f"{ITEMS}/{row['id']}"):
        page = client.get(path, params={"f": "html"}).text
        assert "<b>" not in page
    assert ("&lt;" in page) == bool(texts)


@pytest.mark.parametrize("path", [ITEMS, f"/{TABLE.name}"], ids=["the items", "the plain resource"])
def test_a_geometry_that_stays_may_lie_anywhere_in_the_table(
    client: TestClient, connection: sa.Connection, database: Database, path: str
) -> None:
    """Also where the CRS reaches farther than its domain in WGS 84, where clients may put none."""
    with database.write() as writing:
        rows.insert(writing, rows.spread(20))
    for id in connection.scalars(sa.select(TABLE.c.id)).all():
        changed = send(client, "PATCH", f"{path}/{id}", {}, MERGE_PATCH)
        assert changed.status_code == 200, changed.text
