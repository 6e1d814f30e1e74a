"""Pages of rows: each row once, in the order of the ids, up to an end."""

from typing import Any

import pytest
import rows
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rows import PATH

from geotables.db.database import Database

from {{ cookiecutter.package_name }}.main import create_app
from {{ cookiecutter.package_name }}.settings import Settings


@pytest.fixture
def some_rows(connection: sa.Connection) -> list[str]:
    """A few rows; the ids of those that a list shows, in their order."""
    rows.insert(connection, rows.spread(9))
    return list(map(str, rows.indexed_ids(connection)))


def ids(page: dict[str, Any]) -> list[str]:
    return [str(row["id"]) for row in page["items"]]


def pages(client: TestClient, url: str) -> list[dict[str, Any]]:
    """A page and all that follow it."""
    found = [client.get(url).json()]
    while (following := found[-1]["next"]) is not None:
        found.append(client.get(following).json())
        assert len(found) < 100, "the pages do not end"
    return found


@pytest.mark.parametrize("limit", [1, 2, 4, 8, 9, 10])
def test_pages_hold_each_row_once_and_end(
    client: TestClient, some_rows: list[str], limit: int
) -> None:
    found = pages(client, f"{PATH}?limit={limit}")
    assert [id for page in found for id in ids(page)] == some_rows
    # As many pages as it takes: the last one is known to be the last.
    assert len(found) == max(1, -(-len(some_rows) // limit))


def test_an_empty_table_is_one_empty_page(client: TestClient) -> None:
    assert client.get(PATH).json() == {"items": [], "next": None}


def test_a_page_is_not_disturbed_by_changes_before_it(
    client: TestClient, some_rows: list[str]
) -> None:
    first = client.get(PATH, params={"limit": 2}).json()
    for id in ids(first)[:1]:
        client.delete(f"{PATH}{id}")
    following = client.get(first["next"]).json() if first["next"] else {"items": []}
    assert ids(following) == some_rows[2:4]


def test_the_next_page_keeps_the_other_parameters(client: TestClient, some_rows: list[str]) -> None:
    url = f"{PATH}?limit=1&bbox=-180,-90,180,90"
    assert [id for page in pages(client, url) for id in ids(page)] == some_rows


def test_rows_are_as_they_are_by_id(client: TestClient, some_rows: list[str]) -> None:
    for row in client.get(PATH).json()["items"]:
        assert client.get(f"{PATH}{row['id']}").json() == row


def test_an_id_that_is_gone_still_tells_where_to_go_on(
    client: TestClient, some_rows: list[str]
) -> None:
    for number, id in enumerate(some_rows):
        client.delete(f"{PATH}{id}")
        assert ids(client.get(PATH, params={"after": id}).json()) == some_rows[number + 1 :]


def test_the_limit_is_lowered_to_the_maximum_and_has_a_default(
    database: Database, settings: Settings, some_rows: list[str]
) -> None:
    small = settings.model_copy(update={"page_size": 2, "max_page_size": 3})
    with TestClient(create_app(small)) as client:
        assert ids(client.get(PATH).json()) == some_rows[:2]
        for limit in (3, 4, 10**12):
            assert ids(client.get(PATH, params={"limit": limit}).json()) == some_rows[:3]
            where = {"lon": 0, "lat": 0, "radius": 1e9, "limit": limit}
            near = client.get(f"{PATH}nearby", params=where).json()
            assert len(near["items"]) == len(some_rows[:3])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "-1", "x", "1.5", "", "1e3", "9" * 5000)),
        *(("after", value) for value in ("x", "", "1.5", str(2**63), str(-(2**63) - 1), "NaN")),
        ("offset", "1"),
        ("Limit", "1"),
    ],
)
def test_wrong_parameters_are_refused_by_name(client: TestClient, name: str, value: str) -> None:
    rows.refused(client.get(PATH, params={name: value}), f"query.{name}")
