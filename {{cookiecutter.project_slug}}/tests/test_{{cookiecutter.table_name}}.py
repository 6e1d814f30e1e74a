"""{{ cookiecutter.table_name | capitalize }} by example: read these first, and change them with the table.

What every table keeps is tested in geotables/, whose contract.py has the fixtures: client, serve, connection and others.
"""

{% set example = cookiecutter | example %}
{% set table = cookiecutter | table %}
{% set key = 'KEY' if table.key.is_odd else '"' ~ table.key.name ~ '"' %}
{% set feature_id = 'float(feature["id"])' if table.key.type in ('decimal', 'numeric') else 'feature["id"]' %}
{% set key_in_text = key | replace('"', "'") %}
{% set geometry = 'PLACE' if table.is_geometry_odd else '"' ~ table.geometry ~ '"' %}
{% set add = 'add' if table.is_read_only else 'post' %}
{% set every = 'all=true&' if table.predicate and not example.listed else '' %}
from typing import Any

import pytest
{% if table.is_read_only %}
import sqlalchemy as sa
{% endif %}
from contract import faces
{% if table.is_read_only %}
from fastapi import FastAPI
{% endif %}
from fastapi.testclient import TestClient
{% if cookiecutter.output_format == 'wkt' or table.is_read_only %}
from shapely import from_wkt
{% endif %}
from shapely.geometry import shape
{% if table.is_read_only %}

{{ (cookiecutter.package_name ~ '.tables.' ~ cookiecutter.table_name) | imported([cookiecutter.__class_name]) }}
{% elif cookiecutter.auth == 'api_key' %}

from {{ cookiecutter.package_name }}.auth import digest
{% endif %}

# The tests that use a face are left out if main.py leaves it out.
pytestmark = faces("rest")

URL = "/{{ cookiecutter.table_name }}/"
COLLECTION = "/collections/{{ cookiecutter.table_name }}"
ITEMS = f"{COLLECTION}/items"
{% if key == 'KEY' %}
{{ table.key.name | assigned('KEY') }}
{% endif %}
{% if geometry == 'PLACE' %}
{{ table.geometry | assigned('PLACE') }}
{% endif %}

{% if table.is_read_only %}
#: What SQL inserts of a row, and of another one to the north-east of it; their places in degrees.
{% else %}
#: What clients send of a row, and of another one to the north-east of it.
{% endif %}
{{ example.row | exploded('ROW: dict[str, Any] = ') }}
{{ example.another | exploded('ANOTHER: dict[str, Any] = ') }}

#: Boxes around the rows: west, south, east, north in degrees.
BOX = "{{ example.place.box | join(',') }}"
OTHER_BOX = "{{ example.elsewhere.box | join(',') }}"


{% if table.is_read_only %}
def add(client: TestClient, values: dict[str, Any]) -> dict[str, Any]:
    """Add a row as whatever writes the table does, and return it as the service does."""
    key = {{ cookiecutter.__class_name }}.__table__.c[{{ key }}]
    place = sa.func.ST_GeomFromText(values[{{ geometry }}], 4326)
    row = values | {{ '{' }}{{ geometry }}: sa.func.ST_Transform(place, {{ cookiecutter.srid }})}
    assert isinstance(client.app, FastAPI)
    with client.app.state.database.write() as connection:
        statement = sa.insert({{ cookiecutter.__class_name }}).values(row).returning(key)
        id = connection.scalar(statement)
    return client.get(f"{URL}{id}").json()


def test_a_row_that_is_there_can_be_read(client: TestClient) -> None:
    row = add(client, ROW)
{% for name, value in example.sent if name | asserted(value) %}
{{ name | asserted(value) }}
{% endfor %}
    assert client.get(f"{URL}{row[{{ key_in_text }}]}").json() == row


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_written(client: TestClient, method: str) -> None:
    row = add(client, ROW)
    url = URL if method == "POST" else f"{URL}{row[{{ key_in_text }}]}"
    response = client.request(method, url, json=row)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert client.get(f"{URL}{row[{{ key_in_text }}]}").json() == row


{% else %}
def post(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    """Add a row, and return it as the service does."""
    response = client.post(URL, json=body)
    assert response.status_code == 201, response.text
    return response.json()


def test_a_row_that_is_posted_can_be_read(client: TestClient) -> None:
    response = client.post(URL, json=ROW)
    row = response.json()
    assert response.status_code == 201
{% for name, value in example.sent if name | asserted(value) %}
{{ name | asserted(value) }}
{% endfor %}
    assert client.get(response.headers["Location"]).json() == row
    assert client.get(f"{URL}{row[{{ key_in_text }}]}").json() == row


{% if cookiecutter.output_format == 'geojson' %}
def test_its_place_comes_back_as_geojson_in_degrees(client: TestClient) -> None:
    row = post(client, ROW)
    stored, sent = shape(row[{{ geometry }}]), ROW[{{ geometry }}]
    assert stored.equals_exact(shape(sent), 1e-6)
{% else %}
def test_its_place_comes_back_as_wkt_in_the_crs_of_the_table(client: TestClient) -> None:
    place = from_wkt(post(client, ROW)[{{ geometry }}])
    assert place.geom_type == "{{ example.geometry_type }}"
{% endif %}


{% if table.relation.has_given_key %}
def test_the_client_gives_the_id(client: TestClient) -> None:
    response = client.post(URL, json=ROW)
    assert response.json()[{{ key }}] == ROW[{{ key }}]
    assert client.post(URL, json=ROW).status_code == 409
{% elif table.has_times %}
def test_the_database_sets_the_id_and_the_times(client: TestClient) -> None:
    row = post(client, {**ROW, {{ key }}: "mine", "created_at": None})
    assert isinstance(row[{{ key }}], {{ table.key.json_type }})
    assert row[{{ key }}] != "mine"
    assert row["created_at"] == row["updated_at"]
{% else %}
def test_the_database_sets_the_id(client: TestClient) -> None:
    row = post(client, {**ROW, {{ key }}: "mine"})
    assert isinstance(row[{{ key }}], {{ table.key.json_type }})
    assert row[{{ key }}] != "mine"
{% endif %}


{% for name, value in example.optional if name | asserted(value) %}
{% if loop.first %}
def test_a_member_that_is_left_out_has_its_default(client: TestClient) -> None:
    body = dict(ROW)
    del body[{{ name | literal }}]
    row = post(client, body)
{{ name | asserted(value) }}


{% endif %}
{% endfor %}
{% if example.parameters %}
def test_a_row_may_be_posted_as_query_parameters(client: TestClient) -> None:
{{ example.parameters | exploded('parameters = ', 4) }}
    response = client.post(URL, params=parameters)
    assert response.status_code == 201
    assert client.get(response.headers["Location"]).json() == response.json()


{% endif %}
def test_put_replaces_a_row(client: TestClient) -> None:
    row = post(client, ROW)
{% if table.relation.has_given_key %}
    body = {name: value for name, value in ANOTHER.items() if name != {{ key }}}
    replaced = client.put(f"{URL}{row[{{ key_in_text }}]}", json=body).json()
{% else %}
    replaced = client.put(f"{URL}{row[{{ key_in_text }}]}", json=ANOTHER).json()
{% endif %}
    assert replaced[{{ key }}] == row[{{ key }}]
{% if table.has_times %}
    assert replaced["updated_at"] > row["updated_at"]
{% endif %}
    assert client.get(f"{URL}{row[{{ key_in_text }}]}").json() == replaced


def test_a_row_that_is_sent_back_stays_as_it_is(client: TestClient) -> None:
    row = post(client, ROW)
    again = client.put(f"{URL}{row[{{ key_in_text }}]}", json=row).json()
    assert again == {{ '{**row, "updated_at": again["updated_at"]}' if table.has_times else 'row' }}


{% for name, value in example.changed if name | asserted(value) %}
{% if loop.first %}
def test_patch_changes_one_member(client: TestClient) -> None:
    row = post(client, ROW)
{{ {name: value} | laid_out('patch = ', 4) }}
    changed = client.patch(f"{URL}{row[{{ key_in_text }}]}", json=patch).json()
    assert changed == {{ '{**row, **patch, "updated_at": changed["updated_at"]}' if table.has_times else '{**row, **patch}' }}


{% endif %}
{% endfor %}
def test_patch_moves_a_row(client: TestClient) -> None:
    row, name = post(client, ROW), {{ geometry }}
    moved = client.patch(f"{URL}{row[{{ key_in_text }}]}", json={name: ANOTHER[name]}).json()
    assert moved[name] != row[name]
    assert moved == {{ '{**row, name: moved[name], "updated_at": moved["updated_at"]}' if table.has_times else '{**row, name: moved[name]}' }}


{% for name, value in example.optional if name | asserted(value) %}
{% if loop.first %}
def test_patch_with_null_returns_a_member_to_its_default(client: TestClient) -> None:
    row = post(client, ANOTHER)
{{ {name: None} | laid_out('patch = ', 4) }}
    row = client.patch(f"{URL}{row[{{ key_in_text }}]}", json=patch).json()
{{ name | asserted(value) }}


{% endif %}
{% endfor %}
def test_a_version_that_is_no_longer_there_is_not_overwritten(client: TestClient) -> None:
    response = client.post(URL, json=ROW)
    url, version = response.headers["Location"], {"If-Match": response.headers["ETag"]}
    assert client.put(url, json={{ 'ROW' if table.relation.has_given_key else 'ANOTHER' }}, headers=version).status_code == 200
    assert client.put(url, json=ROW, headers=version).status_code == 412


def test_delete_removes_a_row(client: TestClient) -> None:
    row = post(client, ROW)
    assert client.delete(f"{URL}{row[{{ key_in_text }}]}").status_code == 204
    assert client.get(f"{URL}{row[{{ key_in_text }}]}").status_code == 404


{% if example.unique and not table.relation.has_given_key %}
def test_what_is_unique_is_taken_once(client: TestClient) -> None:
    post(client, ROW)
    assert client.post(URL, json=ROW).status_code == 409


{% endif %}
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
{% for wrong in example.wrong %}
{{ wrong | laid_out('', 8, ',') }}
{% endfor %}
        ("no such column", 1, "not permitted"),
    ],
)
def test_what_a_column_cannot_have_is_refused_with_the_reason(
    client: TestClient, name: str, value: Any, reason: str
) -> None:
    response = client.post(URL, json={**ROW, name: value})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["location"] == f"body.{name}"
    assert reason in error["detail"]


{% if example.missing %}
def test_every_member_that_is_missing_is_named(client: TestClient) -> None:
    errors = client.post(URL, json={}).json()["errors"]
    missing = {error["location"] for error in errors}
{{ example.missing | laid_out('assert missing == ', 4) }}


{% endif %}
{% if cookiecutter.auth == 'api_key' %}
def test_writing_needs_a_key(serve: Any) -> None:
    client = serve(api_keys=f"ann:{digest('secret')}:write")
    assert client.post(URL, json=ROW).status_code == 401
    assert client.post(URL, json=ROW, headers={"X-API-Key": "secret"}).status_code == 201


def test_a_key_for_reading_does_not_write(serve: Any) -> None:
    client = serve(api_keys=f"bob:{digest('secret')}:read")
    assert client.get(URL, headers={"X-API-Key": "secret"}).status_code == 200
    assert client.post(URL, json=ROW, headers={"X-API-Key": "secret"}).status_code == 403
{% elif cookiecutter.auth == 'oidc' %}
def test_writing_needs_a_token(serve: Any) -> None:
    client = serve(oidc_issuer="https://issuer.example.org", oidc_audience="places")
    assert client.post(URL, json=ROW).status_code == 401
    assert client.get(URL).status_code == 200
{% elif cookiecutter.auth == 'none' %}
def test_nobody_writes_where_writing_is_closed(serve: Any) -> None:
    client = serve(write_access="closed")
    assert client.post(URL, json=ROW).status_code == 403
    assert client.get(URL).status_code == 200
{% endif %}


{% endif %}
def test_a_list_is_in_the_order_of_the_ids(client: TestClient) -> None:
    ids = [{{ add }}(client, body)[{{ key }}] for body in (ROW, ANOTHER)]
    listed = client.get({{ 'URL' if not every else 'f"{URL}?all=true"' }}).json()
    assert [row[{{ key }}] for row in listed["items"]] == sorted(ids)
    assert listed["next"] is None


def test_a_page_leads_to_the_next(client: TestClient) -> None:
    ids = [{{ add }}(client, body)[{{ key }}] for body in (ROW, ANOTHER)]
    page = client.get(f"{URL}?{{ every }}limit=1").json()
    following = client.get(page["next"]).json()
    assert [page["items"][0][{{ key }}], following["items"][0][{{ key }}]] == sorted(ids)
    assert following["next"] is None


def test_a_box_has_the_row_in_it_and_not_the_other(client: TestClient) -> None:
    row, other = {{ add }}(client, ROW), {{ add }}(client, ANOTHER)
    assert client.get(f"{URL}?{{ every }}bbox={BOX}").json()["items"] == [row]
    assert client.get(f"{URL}?{{ every }}bbox={OTHER_BOX}").json()["items"] == [other]


{% if example.outside %}
def test_a_row_outside_of_the_index_is_in_no_list_unless_it_asks_for_all(
    client: TestClient,
) -> None:
{{ example.outside | exploded('outside = ', 4) }}
    row = {{ add }}(client, {**ROW, **outside})
    assert client.get(URL).json()["items"] == []
    assert client.get(f"{URL}?all=true").json()["items"] == [row]
    assert client.get(f"{URL}{row[{{ key_in_text }}]}").json() == row


{% endif %}
{% if example.listed %}
def test_the_nearest_row_comes_first(client: TestClient) -> None:
    other, row = {{ add }}(client, ANOTHER), {{ add }}(client, ROW)
    place = {"lon": {{ example.place.lon }}, "lat": {{ example.place.lat }}, "radius": 1_000_000}
    first, second = client.get(f"{URL}nearby", params=place).json()["items"]
    assert first == {**row, "distance": pytest.approx(0, abs=0.1)}
    assert second == {**other, "distance": second["distance"]}
    assert second["distance"] > 1000


def test_what_is_farther_than_the_radius_is_not_near(client: TestClient) -> None:
    {{ add }}(client, ANOTHER)
    row = {{ add }}(client, ROW)
    place = {"lon": {{ example.place.lon }}, "lat": {{ example.place.lat }}, "radius": 1000}
    (found,) = client.get(f"{URL}nearby", params=place).json()["items"]
    assert found[{{ key }}] == row[{{ key }}]


{% endif %}
@faces("features")
def test_a_feature_is_geojson_in_degrees(client: TestClient) -> None:
    row = {{ add }}(client, ROW)
    feature = client.get(f"{ITEMS}/{row[{{ key_in_text }}]}").json()
    assert {{ feature_id }} == row[{{ key }}]
{% if table.key.name != 'id' %}
    assert feature["properties"][{{ key }}] == row[{{ key }}]
{% endif %}
{% if table.has_times %}
    assert feature["properties"]["created_at"] == row["created_at"]
{% endif %}
    stored, sent = shape(feature["geometry"]), ROW[{{ geometry }}]
{% if table.is_read_only %}
    assert stored.equals_exact(from_wkt(sent), 1e-6)
{% elif cookiecutter.output_format == 'geojson' %}
    assert stored.equals_exact(shape(sent), 1e-6)
{% else %}
    assert stored.equals_exact(from_wkt(sent.removeprefix("SRID=4326;")), 1e-6)
{% endif %}


{% if example.listed %}
@faces("features")
def test_features_in_a_box(client: TestClient) -> None:
    row, other = {{ add }}(client, ROW), {{ add }}(client, ANOTHER)
    for box, id in ((BOX, row[{{ key }}]), (OTHER_BOX, other[{{ key }}])):
        features = client.get(f"{ITEMS}?bbox={box}").json()["features"]
        assert [{{ feature_id }} for feature in features] == [id]


{% if table.has_times %}
@faces("features")
def test_features_the_newest_first(client: TestClient) -> None:
    ids = [{{ add }}(client, body)[{{ key }}] for body in (ROW, ANOTHER)]
    features = client.get(f"{ITEMS}?sortby=-created_at").json()["features"]
    assert [{{ feature_id }} for feature in features] == ids[::-1]


{% else %}
@faces("features")
def test_features_the_last_first(client: TestClient) -> None:
    ids = [{{ add }}(client, body)[{{ key }}] for body in (ROW, ANOTHER)]
    features = client.get(ITEMS, params={"sortby": {{ ('-' ~ table.key.name) | literal }}}).json()["features"]
    assert [{{ feature_id }} for feature in features] == sorted(ids, reverse=True)


{% endif %}
{% for condition in example.filters if ({'filter': condition} | laid_out('query = ', 4) | length) <= 100 %}
{% if loop.first %}
@faces("features")
def test_features_of_which_a_condition_is_true(client: TestClient) -> None:
    row, _other = {{ add }}(client, ROW), {{ add }}(client, ANOTHER)
{{ {'filter': condition} | laid_out('query = ', 4) }}
    features = client.get(ITEMS, params=query).json()["features"]
    assert [{{ feature_id }} for feature in features] == [row[{{ key }}]]


{% endif %}
{% endfor %}
@faces("features")
def test_features_as_csv(client: TestClient) -> None:
    row = {{ add }}(client, ROW)
    header, line = client.get(f"{ITEMS}?f=csv").text.splitlines()
{{ table.csv_assertion }}
    assert line.startswith(f"{row[{{ key_in_text }}]},")


@faces("tiles")
def test_the_tile_around_a_row_has_it(client: TestClient) -> None:
    {{ add }}(client, ROW)
    tiles = f"{COLLECTION}/tiles/WebMercatorQuad"
    tile = client.get(f"{tiles}/{{ example.place.tile | join('/') }}")
    assert tile.headers["Content-Type"] == "application/vnd.mapbox-vector-tile"
    assert b"{{ cookiecutter.table_name }}" in tile.content
    assert client.get(f"{tiles}/{{ example.far_tile | join('/') }}").status_code == 204


@faces("ogc")
def test_the_collection_says_where_its_rows_are(client: TestClient) -> None:
    {{ add }}(client, ROW)
    collection = client.get(COLLECTION).json()
    assert collection["id"] == "{{ cookiecutter.table_name }}"
    (box,) = collection["extent"]["spatial"]["bbox"]
    west, south, *_ = box
    assert (west, south) == pytest.approx(({{ example.place.lon }}, {{ example.place.lat }}), abs=1e-3)


{% endif %}
@faces("features")
def test_the_columns_that_a_query_may_ask_about(client: TestClient) -> None:
    properties = client.get(f"{COLLECTION}/queryables").json()["properties"]
{{ example.queryables | laid_out('assert list(properties) == ', 4) }}
