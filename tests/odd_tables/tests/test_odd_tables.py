"""Tables whose keys and names are odd: their rows are created, found, linked, changed and listed as any others."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response

PARCELS, OLD_ROADS, SURVEYS, SAMPLES = (
    f"/collections/{name}/items" for name in ("land_parcels", "old_roads", "surveys", "samples")
)
LINE = "LINESTRING (1600000 5400000, 1600100 5400100)"
AREA = {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]}

#: Keys, and how a path has them.
IN_PATHS = {
    "a/b": "a%2Fb",
    "a//b/": "a%2F%2Fb%2F",
    "../x": "..%2Fx",
    "100 %": "100%20%25",
    "?#&+;=": "%3F%23%26%2B%3B%3D",
    "Größe ☃": "Gr%C3%B6%C3%9Fe%20%E2%98%83",
    "it's <b>": "it%27s%20%3Cb%3E",
    "nearby": "~nearby",
    "": "~",
    ".": "~.",
    "..": "~..",
    "~": "~~",
    "~nearby": "~~nearby",
}


def parcel(key: str, **members: Any) -> dict[str, Any]:
    """A land parcel as a client sends it."""
    place = {"type": "Point", "coordinates": [10, 50]}
    return {"Parcel No": key, "100% (a)": f"of {key}", "The Geom": place, **members}


def parcel_feature(key: str, **properties: Any) -> dict[str, Any]:
    """The same as a feature."""
    properties = {"100% (a)": f"of {key}", **properties}
    place = {"type": "Point", "coordinates": [10, 50]}
    return {"type": "Feature", "id": key, "geometry": place, "properties": properties}


def detail(response: Response, status: int) -> str:
    """What is wrong with a request."""
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


@pytest.mark.parametrize(("key", "path"), IN_PATHS.items())
def test_every_text_is_a_key_that_links_lead_to(client: TestClient, key: str, path: str) -> None:
    created = client.post("/land_parcels/", json=parcel(key))
    assert created.status_code == 201, created.text
    assert created.headers["Location"].endswith(f"/land_parcels/{path}")
    assert client.get(created.headers["Location"]).json()["Parcel No"] == key
    feature = client.get(f"{PARCELS}/{path}")
    assert feature.json()["id"] == key
    assert f'items/{path}"' in client.get(f"{PARCELS}?f=html").text
    assert feature.json()["properties"]["Parcel No"] == key
    assert client.get(PARCELS, params={"Parcel No": key}).json()["numberReturned"] == 1
    change = {"properties": {"Größe": 2.5}}
    assert client.patch(f"{PARCELS}/{path}", json=change).json()["properties"]["Größe"] == 2.5
    assert client.delete(f"/land_parcels/{path}").status_code == 204
    again = client.post(PARCELS, json=parcel_feature(key))
    assert again.headers["Location"].endswith(f"{PARCELS}/{path}")


def test_a_feature_has_one_path(client: TestClient) -> None:
    client.post("/land_parcels/", json=parcel("a"))
    assert client.get(f"{PARCELS}/a").status_code == 200
    for other in ("~a", "A", "a ", "a/"):
        assert client.get(f"{PARCELS}/{quote(other)}").status_code == 404


def test_pages_go_on_after_any_text(client: TestClient) -> None:
    for key in IN_PATHS:
        client.post("/land_parcels/", json=parcel(key))
    for first, items in (("/land_parcels/?limit=2", "items"), (f"{PARCELS}?limit=2", "features")):
        found, following = [], first
        while following:
            page = client.get(following).json()
            found += [each.get("Parcel No", each.get("id")) for each in page[items]]
            links = [link["href"] for link in page.get("links", ()) if link["rel"] == "next"]
            following = page.get("next") or next(iter(links), None)
        assert sorted(found) == sorted(IN_PATHS)


def test_the_key_of_a_row_stays(client: TestClient) -> None:
    client.post("/land_parcels/", json=parcel("a", **{"Land Use": "wood"}))
    reason = "body.Parcel No: the key of a row stays, and this one is a"
    assert detail(client.put("/land_parcels/a", json=parcel("b")), 422) == reason
    assert detail(client.patch("/land_parcels/a", json={"Parcel No": "b"}), 422) == reason
    other = {"id": "b"}
    assert detail(client.patch(f"{PARCELS}/a", json=other), 422).startswith("body.id: the key")
    assert detail(client.put(f"{PARCELS}/a", json=parcel_feature("b")), 422).startswith("body.id")
    as_property = parcel_feature("a", **{"Parcel No": "b"})
    place = "body.properties.Parcel No: "
    for method in ("PUT", "PATCH"):
        response = client.request(method, f"{PARCELS}/a", json=as_property)
        assert detail(response, 422) == f"{place}the id of the feature is another: a"
        response = client.request(method, f"{PARCELS}/a", json=as_property | {"id": None})
        assert detail(response, 422) == f"{place}the key of a row stays, and this one is a"
    without = parcel("a")
    del without["Parcel No"]
    for body in (parcel("a"), without):
        replaced = client.put("/land_parcels/a", json=body)
        assert (replaced.status_code, replaced.json()["Parcel No"]) == (200, "a")
        assert replaced.json()["Land Use"] is None
    del (feature := parcel_feature("a"))["id"]
    assert client.put(f"{PARCELS}/a", json=feature).json()["id"] == "a"


def test_a_second_row_with_a_key_is_refused(client: TestClient) -> None:
    client.post("/land_parcels/", json=parcel("a"))
    again = client.post("/land_parcels/", json=parcel("a", **{"100% (a)": "other"}))
    assert "(constraint: pk_Land Parcels; column: Parcel No)" in detail(again, 409)
    again = client.post("/land_parcels/", json=parcel("b", **{"100% (a)": "of a"}))
    assert "(constraint: Land Parcels 100%; column: 100% (a))" in detail(again, 409)
    refused = client.post("/land_parcels/", json=parcel("c", **{"100% (a)": "no!"}))
    assert "column: 100% (a)" in detail(refused, 422)
    missing = parcel_feature("a")
    del missing["id"]
    assert detail(client.post(PARCELS, json=missing), 422) == "body.id: Field required"


def test_members_have_the_names_of_the_columns(client: TestClient) -> None:
    values = {
        "Land Use": "wood",
        "Land_Use": "field",
        "addr:housenumber": "5 A",
        "Größe": 0.5,
        "select": 1,
        "class": "B",
        "_id": 2,
        "_place": "here",
        "limit": 3,
        "distance": 4.5,
        "lat": 6.5,
    }
    for key in "ab":
        created = client.post("/land_parcels/", json=parcel(key, **values))
        assert values.items() <= created.json().items()
    assert client.get(f"{PARCELS}/a").json()["properties"].items() >= values.items()
    for name, value in values.items() - {("limit", 3)}:
        assert len(client.get(PARCELS, params={name: value}).json()["features"]) == 2
        assert client.get(PARCELS, params={name: 7}).json()["features"] == []
    for name, value in values.items():
        text = f"'{value}'" if isinstance(value, str) else value
        found = client.get(PARCELS, params={"filter": f'"{name}" = {text}', "sortby": f"-{name}"})
        assert [feature["id"] for feature in found.json()["features"]] == ["a", "b"]
    near = client.get("/land_parcels/nearby?lon=10&lat=50&radius=1").json()["items"]
    assert [(each["distance"], each["distance_in_metres"]) for each in near] == [(4.5, 0), (4.5, 0)]


def test_an_exact_number_is_a_key(client: TestClient) -> None:
    text = f'{{"number": 9007199254740993.01, "name": "a", "geom": "{LINE}"}}'
    json = {"Content-Type": "application/json"}
    created = client.post("/old_roads/", content=text, headers=json)
    assert created.headers["Location"].endswith("/old_roads/9007199254740993.01")
    assert '"number":9007199254740993.01,' in client.get(created.headers["Location"]).text
    assert client.get("/old_roads/9007199254740993.02").status_code == 404
    feature = client.get(f"{OLD_ROADS}/9007199254740993.01").text
    assert '"id":"9007199254740993.01",' in feature
    assert '"number":9007199254740993.01,' in feature
    again = client.put(f"{OLD_ROADS}/9007199254740993.01", content=feature, headers=json)
    assert again.text.startswith(feature.partition(',"links"')[0])
    for number in (-1.5, 0, 2):
        body = {"number": number, "name": "b", "geom": LINE}
        assert client.post("/old_roads/", json=body).status_code == 201
    after = client.get("/old_roads/?limit=2").json()
    assert [row["number"] for row in after["items"]] == [-1.5, 0]
    assert "9007199254740993.01" in client.get(after["next"]).text


def test_a_date_is_a_key(client: TestClient) -> None:
    body = {"day": "2000-02-29", "crew": "east", "area": AREA}
    assert client.post("/surveys/", json=body).headers["Location"].endswith("/surveys/2000-02-29")
    assert client.get("/surveys/2000-02-29").json()["crew"] == "east"
    assert client.get("/surveys/2001-02-29").status_code == 422
    assert client.get(f"{SURVEYS}/2001-02-29").status_code == 404
    feature = client.get(f"{SURVEYS}/2000-02-29").json()
    assert feature["id"] == feature["properties"]["day"] == "2000-02-29"


def test_a_row_is_replaced_whose_key_no_client_could_give(
    client: TestClient, connection: sa.Connection
) -> None:
    shape = "'SRID=3857;MULTIPOLYGON(((0 0,1 0,1 1,0 0)))'"
    connection.exec_driver_sql(f"INSERT INTO archive.surveys VALUES ('infinity', 'east', {shape})")
    body = {"crew": "west", "area": AREA}
    assert client.put("/surveys/infinity", json=body).json()["crew"] == "west"
    properties = {"crew": "both"}
    feature = {"type": "Feature", "geometry": AREA, "properties": properties}
    replaced = client.put(f"{SURVEYS}/infinity", json=feature).json()
    assert (replaced["id"], replaced["properties"]["crew"]) == ("infinity", "both")


def test_a_time_is_a_key_to_the_microsecond(client: TestClient) -> None:
    place = {"type": "Point", "coordinates": [1, 2]}
    for number in range(3):
        taken = f"2020-02-28T23:59:59.99999{number}+00:00"
        body = {"taken": taken, "depth": number, "code": str(number), "geom": place}
        created = client.post("/samples/", json=body)
        assert client.get(created.headers["Location"]).json()["depth"] == number
    page = client.get("/samples/?limit=1").json()
    assert [row["depth"] for row in client.get(page["next"]).json()["items"]] == [1]
    own = f"{SAMPLES}/{quote('2020-02-28T23:59:59.999991+00:00')}"
    assert client.get(own).json()["properties"]["depth"] == 1
    left_out = client.post("/samples/", json={"depth": 9, "code": "9", "geom": place}).json()
    assert left_out["taken"] > "2026"


def test_tables_of_one_name_are_apart(client: TestClient) -> None:
    assert client.post("/old_roads/", json={"number": 1, "name": "a", "geom": LINE}).json()
    (road,) = [client.post("/roads/", json={"name": "b", "geom": LINE}).json()]
    assert client.get("/roads/").json()["items"] == [road]
    assert [row["name"] for row in client.get("/old_roads/").json()["items"]] == ["a"]


def test_rows_are_exported_and_loaded_with_their_keys(
    client: TestClient, database_url: str, main: Any, tmp_path: Path
) -> None:
    for key in IN_PATHS:
        client.post("/land_parcels/", json=parcel(key, **{"Land Use": f"of {key}", "lat": 1.25}))
    before = client.get("/land_parcels/?limit=100").json()["items"]
    for suffix in ("geojson", "ndjson", "csv", "gpkg", "fgb"):
        file = str(tmp_path / f"parcels.{suffix}")
        assert main(["export", "--table", "land_parcels", file]) == 0
        for row in before:
            path = IN_PATHS[row["Parcel No"]]
            assert client.delete(f"/land_parcels/{path}").status_code == 204
        assert main(["load", "--table", "land_parcels", file]) == 0
        after = client.get("/land_parcels/?limit=100").json()["items"]
        assert after == before, suffix
        assert main(["load", "--table", "land_parcels", "--key", "Parcel No", file]) == 0
    assert client.get("/land_parcels/?limit=100").json()["items"] == before
