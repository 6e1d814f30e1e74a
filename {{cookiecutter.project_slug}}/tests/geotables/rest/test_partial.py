"""A partial index: every answer over many rows is about the rows that it holds, an id reaches every row."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response

from contract import only, writes
from rows import Rows, as_json, refused

pytestmark = only(lambda collection: collection.is_partial)

WORLD = "-180,-90,180,90"

#: More rows of a page than there are.
EVERY: dict[str, Any] = {"limit": 10_000}


@pytest.fixture
def every_row(connection: sa.Connection, rows: Rows) -> list[str]:
    """Some rows, of every kind; their ids in order."""
    rows.insert(connection, rows.spread(4 * rows.kinds))
    return list(map(rows.text, connection.scalars(sa.select(rows.key).order_by(rows.key))))


@pytest.fixture
def indexed(connection: sa.Connection, rows: Rows, every_row: list[str]) -> list[str]:
    """The ids of those rows that the index holds, in order."""
    return list(map(rows.text, rows.indexed_ids(connection)))


def ids(rows: Rows, response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [rows.text(row[rows.key.name]) for row in response.json()["items"]]


@pytest.mark.parametrize("parameters", [{}, {"all": "false"}, {"bbox": WORLD}], ids=str)
def test_a_list_is_of_the_rows_that_the_index_holds(
    client: TestClient, rows: Rows, indexed: list[str], parameters: dict[str, str]
) -> None:
    assert ids(rows, client.get(rows.path, params=EVERY | parameters)) == indexed


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_a_search_is_of_the_rows_that_the_index_holds(
    client: TestClient, rows: Rows, indexed: list[str], limit: int
) -> None:
    query = {"lon": 0, "lat": 0, "radius": 1e9, "limit": limit}
    found = ids(rows, client.get(f"{rows.path}nearby", params=query))
    assert len(found) == min(limit, len(indexed))
    assert set(found) <= set(indexed)


@pytest.mark.parametrize("parameters", [{"all": "true"}, {"all": "true", "bbox": WORLD}], ids=str)
def test_all_rows_can_be_asked_for(
    client: TestClient, rows: Rows, every_row: list[str], parameters: dict[str, str]
) -> None:
    assert every_row
    assert ids(rows, client.get(rows.path, params=EVERY | parameters)) == every_row


def test_the_next_page_is_of_the_same_rows(
    client: TestClient, rows: Rows, every_row: list[str]
) -> None:
    first = client.get(rows.path, params={"all": "true", "limit": 1}).json()
    assert ids(rows, client.get(first["next"])) == every_row[1:2]


@writes
def test_an_id_reaches_every_row(client: TestClient, rows: Rows, every_row: list[str]) -> None:
    assert every_row
    for id in every_row:
        assert str(client.get(rows.at(id)).json()[rows.key.name]) == id
        assert client.delete(rows.at(id)).status_code == 204


@writes
def test_a_row_leaves_the_answers_when_the_condition_holds_no_more(
    client: TestClient, connection: sa.Connection, rows: Rows, every_row: list[str]
) -> None:
    """And comes back: the condition is asked anew each time."""
    path = rows.at(every_row[0])
    for number in (*range(rows.kinds), 0):
        patch = as_json(rows.asked_for(number))
        assert client.patch(path, json=patch).status_code == 200
        now = list(map(rows.text, rows.indexed_ids(connection)))
        assert ids(rows, client.get(rows.path, params=EVERY)) == now


@pytest.mark.parametrize("value", ["maybe", "", "2"])
def test_all_is_true_or_false(client: TestClient, rows: Rows, value: str) -> None:
    refused(client.get(rows.path, params={"all": value}), "query.all")


def test_the_documentation_says_which_rows_there_are(client: TestClient, rows: Rows) -> None:
    operations = client.get("/openapi.json").json()["paths"][rows.path]
    said = [each.get("description", "") for each in operations["get"]["parameters"]]
    assert any(str(rows.collection.indexed_rows) in each for each in said)
