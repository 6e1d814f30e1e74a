"""Pages of rows: each row once, in the order of the ids, up to an end."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection

from contract import each
from rows import Rows, refused


@pytest.fixture
def some_rows(connection: sa.Connection, rows: Rows) -> list[str]:
    """A few rows; the ids of those that a list shows, in their order."""
    rows.insert(connection, rows.spread(9))
    return list(map(rows.text, rows.indexed_ids(connection)))


def ids(rows: Rows, page: dict[str, Any]) -> list[str]:
    return [rows.text(row[rows.key.name]) for row in page["items"]]


def pages(client: TestClient, url: str) -> list[dict[str, Any]]:
    """A page and all that follow it."""
    found = [client.get(url).json()]
    while (following := found[-1]["next"]) is not None:
        found.append(client.get(following).json())
        assert len(found) < 100, "the pages do not end"
    return found


@pytest.mark.parametrize("limit", [1, 2, 4, 8, 9, 10])
def test_pages_hold_each_row_once_and_end(
    client: TestClient, rows: Rows, some_rows: list[str], limit: int
) -> None:
    found = pages(client, f"{rows.path}?limit={limit}")
    assert [id for page in found for id in ids(rows, page)] == some_rows
    # As many pages as it takes: the last one is known to be the last.
    assert len(found) == max(1, -(-len(some_rows) // limit))


def test_an_empty_table_is_one_empty_page(client: TestClient, rows: Rows) -> None:
    assert client.get(rows.path).json() == {"items": [], "next": None}


def test_a_page_is_not_disturbed_by_changes_before_it(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    first = client.get(rows.path, params={"limit": 2}).json()
    for id in ids(rows, first)[:1]:
        client.delete(rows.at(id))
    following = client.get(first["next"]).json() if first["next"] else {"items": []}
    assert ids(rows, following) == some_rows[2:4]


def test_the_next_page_keeps_the_other_parameters(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    url = f"{rows.path}?limit=1&bbox=-180,-90,180,90"
    assert [id for page in pages(client, url) for id in ids(rows, page)] == some_rows


def test_rows_are_as_they_are_by_id(client: TestClient, rows: Rows, some_rows: list[str]) -> None:
    listed = client.get(rows.path).json()["items"]
    assert listed == [client.get(rows.at(id)).json() for id in some_rows]


def test_an_id_that_is_gone_still_tells_where_to_go_on(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    found = []
    for id in some_rows:
        client.delete(rows.at(id))
        found.append(ids(rows, client.get(rows.path, params={"after": id}).json()))
    assert found == [some_rows[number + 1 :] for number in range(len(some_rows))]


def test_the_limit_is_lowered_to_the_maximum_and_has_a_default(
    serve: Callable[..., TestClient], rows: Rows, some_rows: list[str]
) -> None:
    client = serve(page_size=2, max_page_size=3)
    assert ids(rows, client.get(rows.path).json()) == some_rows[:2]
    for limit in (3, 4, 10**12):
        listed = client.get(rows.path, params={"limit": limit}).json()
        assert ids(rows, listed) == some_rows[:3]
        where = {"lon": 0, "lat": 0, "radius": 1e9, "limit": limit}
        near = client.get(f"{rows.path}nearby", params=where).json()
        assert len(near["items"]) == len(some_rows[:3])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "-1", "x", "1.5", "", "1e3", "9" * 5000)),
        ("offset", "1"),
        ("Limit", "1"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    client: TestClient, rows: Rows, name: str, value: str
) -> None:
    refused(client.get(rows.path, params={name: value}), f"query.{name}")


def wrong_ids(collection: Collection) -> list[str]:
    """What no id is."""
    match Rows.of(collection).no_id:
        case str():
            return ["a\0b"]
        case Decimal():
            return ["x", "", "1e200000", "NaN"]
        case datetime.date():
            return ["x", "", "1.5", "2020-02-30", "20200101"]
    return ["x", "", "1.5", str(2**63), str(-(2**63) - 1), "NaN"]


@each("id", wrong_ids, id=lambda id: repr(id[:20]))
def test_what_is_no_id_is_refused_as_one(client: TestClient, rows: Rows, id: str) -> None:
    refused(client.get(rows.path, params={"after": id}), "query.after")
