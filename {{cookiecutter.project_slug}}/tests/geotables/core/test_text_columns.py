"""Columns of types that are shown as text: read, compared and sorted as such, and never written."""

from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection
from geotables.column_types import AsText, text_of
from geotables.identifiers import quoted

from contract import each, faces, only, writes
from rows import Rows


def text_columns(collection: Collection) -> list[sa.Column[Any]]:
    """The columns that are shown as text."""
    return [column for column in collection.properties if isinstance(column.type, AsText)]


def stored(connection: sa.Connection, rows: Rows, column: sa.Column[Any]) -> dict[Any, Any]:
    """What PostgreSQL itself makes of a column as text, by the ids of the rows."""
    name = quoted(column.name)
    query = sa.text(f"SELECT {rows.key_sql}, {name}::text FROM {rows.sql} ORDER BY 1")
    return dict(connection.execute(query).all())


@faces("features")
@each("column", text_columns, id=lambda column: column.name)
def test_they_are_read_compared_and_sorted_as_text(
    client: TestClient, connection: sa.Connection, rows: Rows, column: sa.Column[Any]
) -> None:
    rows.insert(connection, rows.spread(6))
    known, name = stored(connection, rows, column), column.name
    assert len(known) == 6
    page = client.get(rows.items).json()["features"]
    assert {feature["id"]: feature["properties"][name] for feature in page} == known
    some = next((text for text in known.values() if text is not None), None)
    if some is not None:
        same = [id for id, text in known.items() if text == some]
        text = some.replace("'", "''")
        # In a pattern a backslash escapes.
        pattern = text.replace("\\", "\\\\")
        for parameters in (
            {name: some},
            {"filter": f"{name} = '{text}'"},
            {"filter": f"{name} IN ('{text}', 'no such')"},
            {"filter": f"CASEI({name}) LIKE CASEI('{pattern}')"},
        ):
            found = client.get(rows.items, params=parameters).json()["features"]
            assert [feature["id"] for feature in found] == same, parameters
    order = sa.select(rows.key).order_by(text_of(column).desc().nulls_last(), rows.key)
    found, url = [], f"{rows.items}?limit=4&sortby=-{name}"
    while url:
        page = client.get(url).json()
        found += [feature["id"] for feature in page["features"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert found == list(connection.scalars(order))


@faces("features")
@only(lambda collection: bool(text_columns(collection)))
def test_schemas_say_that_they_are_read_only_strings(client: TestClient, rows: Rows) -> None:
    properties = client.get(f"{rows.collection_path}/queryables").json()["properties"]
    document = client.get("/openapi.json").json()
    model = rows.collection.model.__name__
    shown = document["components"]["schemas"][f"{model}Feature"]["properties"]["properties"]
    for column in text_columns(rows.collection):
        assert properties[column.name] == {
            "title": column.name,
            "type": "string",
            "readOnly": True,
        }
        assert shown["properties"][column.name]["type"] == "string"


@writes
@faces("rest")
@only(lambda collection: bool(text_columns(collection)))
def test_what_a_client_got_it_can_send_back(client: TestClient, rows: Rows) -> None:
    row = client.post(rows.path, json=rows.full_body()).json()
    path = f"{rows.path}{row[rows.key.name]}"
    changed = {column.name: "another" for column in text_columns(rows.collection)}
    for response in (
        client.put(path, json=row),
        client.put(path, json=row | changed),
        client.patch(path, json=changed),
    ):
        assert response.status_code == 200, response.text
        assert response.json() == row
