"""OGC API - Features, part 6 (a draft): clients name the properties that they want."""

import csv
import io
import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from geotables.db.database import Database

from contract import only
from rows import Rows

#: A table may have a key and a place, and nothing else.
has_properties = only(lambda c: bool(c.properties))


def feature(client: TestClient, url: str, **parameters: Any) -> Any:
    response = client.get(url, params=parameters or None)
    assert response.status_code == 200, response.text
    answer = response.json()
    return answer["features"][0] if "features" in answer else answer


def test_features_have_the_properties_that_are_asked_for(spread: TestClient, rows: Rows) -> None:
    whole = feature(spread, rows.items, limit=1)
    item = rows.item(whole["id"])
    place, last = rows.collection.geometry.name, rows.feature_names[-1:]
    for names in (last, [place], [*last, place], [*reversed(rows.feature_names)], []):
        wanted = {name: value for name, value in whole["properties"].items() if name in names}
        # As one value with commas, and repeated, as some generated clients send lists.
        for url, value in ((rows.items, ",".join(names)), (item, names or "")):
            found = feature(spread, url, properties=value)
            assert found["id"] == whole["id"]
            assert found["properties"] == wanted
            assert found["geometry"] == (whole["geometry"] if place in names else None)
            # In the order of the table.
            assert list(found["properties"]) == list(wanted)


@has_properties
def test_every_format_and_the_next_page_keep_to_them(spread: TestClient, rows: Rows) -> None:
    name = rows.feature_names[-1]
    asked = {"properties": name, "limit": 2, "sortby": f"-{rows.key.name}"}
    page = spread.get(rows.items, params=asked).json()
    text = spread.get(rows.items, params=asked | {"f": "csv"}).text
    assert next(csv.reader(io.StringIO(text))) == list(dict.fromkeys([rows.key.name, name]))
    sequence = spread.get(rows.items, params=asked | {"f": "jsonseq"}).content.split(b"\x1e")[1:]
    assert [json.loads(each) for each in sequence] == page["features"]
    stream = spread.get(rows.items, params={"properties": name, "f": "jsonseq"}).content
    assert json.loads(stream.split(b"\x1e")[1])["properties"].keys() == {name}
    (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    found = feature(spread, following)
    assert (found["properties"].keys(), found["geometry"]) == ({name}, None)
    html = spread.get(rows.items, params=asked | {"f": "html"})
    assert html.status_code == 200
    assert f'<th scope="col">{rows.collection.geometry.name}</th>' not in html.text


def test_the_rest_is_not_read(
    spread: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    database: Database = spread.app.state.database
    fetch = database.fetch
    monkeypatch.setattr(
        database, "fetch", lambda asked, values: sent.append(asked.text) or fetch(asked, values)
    )
    feature(spread, rows.items, properties="", limit=1)
    names = [name for name in rows.columns if name != rows.key.name]
    selected = sent[0].partition("FROM")[0]
    assert not [name for name in names if re.search(rf'\."?{re.escape(name)}\b', selected)]
    assert "ST_AsGeoJSON" not in selected


@has_properties
def test_a_name_that_no_property_has_is_refused_with_those_that_there_are(
    spread: TestClient, rows: Rows
) -> None:
    for url in (rows.items, rows.item(feature(spread, rows.items, limit=1)["id"])):
        response = spread.get(url, params={"properties": f"{rows.feature_names[-1]},no such"})
        assert response.status_code == 400
        (error,) = response.json()["errors"]
        assert error["location"] == "query.properties"
        assert "'no such'" in error["detail"]
        for name in (*rows.feature_names, rows.collection.geometry.name):
            assert name in error["detail"]


@has_properties
def test_each_selection_has_a_tag_of_its_own(spread: TestClient, rows: Rows) -> None:
    item = rows.item(feature(spread, rows.items, limit=1)["id"])
    name = rows.feature_names[-1]
    whole, some = (spread.get(item, params=asked) for asked in ({}, {"properties": name}))
    assert whole.headers["ETag"] != some.headers["ETag"]
    known = {"If-None-Match": whole.headers["ETag"]}
    assert spread.get(item, headers=known).status_code == 304
    assert spread.get(item, params={"properties": name}, headers=known).status_code == 200
    known = {"If-None-Match": some.headers["ETag"]}
    assert spread.get(item, params={"properties": name}, headers=known).status_code == 304
