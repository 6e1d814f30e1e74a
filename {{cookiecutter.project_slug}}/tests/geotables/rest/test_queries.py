"""Rows by the values of their columns, and in the order of any: as features are found."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from rows import Rows, refused

#: The parameters of a page, and of a search nearby: columns with these names have none.
OWN = {"limit", "sortby", "token", "after", "bbox", "all", "lon", "lat", "radius"}

EVERYWHERE = {"lon": 0, "lat": 0, "radius": 1e9, "limit": 1000}


def found(client: TestClient, url: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a page and of all that follow it."""
    page = client.get(url, params=parameters or None)
    assert page.status_code == 200, page.text
    items: list[dict[str, Any]] = page.json()["items"]
    following = page.json().get("next")
    return items + (found(client, following) if following else [])


def names(rows: Rows) -> list[str]:
    return [name for name in rows.queryable if name not in OWN]


def test_a_column_is_asked_for_its_value(spread: TestClient, rows: Rows) -> None:
    listed = found(spread, rows.path, limit=1000)
    near = found(spread, f"{rows.path}nearby", **EVERYWHERE)
    for name in names(rows):
        value = next((row[name] for row in listed if row[name] is not None), None)
        if value is None:
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        same = [row for row in listed if row[name] == value]
        assert found(spread, rows.path, limit=7, **{name: text}) == same != []
        nearest = [row for row in near if row[name] == value]
        assert found(spread, f"{rows.path}nearby", **EVERYWHERE, **{name: text}) == nearest


def test_pages_keep_the_order(spread: TestClient, rows: Rows) -> None:
    key = rows.key.name
    ids = [row[key] for row in found(spread, rows.path, limit=1000)]
    for name in names(rows)[-2:]:
        for order in (name, f"-{name}"):
            sorted_rows = found(spread, rows.path, limit=1000, sortby=order)
            assert sorted(rows.text(row[key]) for row in sorted_rows) == sorted(map(rows.text, ids))
            assert found(spread, rows.path, limit=90, sortby=order) == sorted_rows
    assert [row[key] for row in found(spread, rows.path, sortby=f"-{key}", limit=90)] == ids[::-1]


def test_what_cannot_be_asked_is_refused_by_name(spread: TestClient, rows: Rows) -> None:
    for name in names(rows):
        wrong = "\0" if isinstance(rows.queryable[name].type, sa.String) else "x"
        for path, others in ((rows.path, {}), (f"{rows.path}nearby", EVERYWHERE)):
            refused(spread.get(path, params={**others, name: wrong}), f"query.{name}")
    twice = spread.get(f"{rows.path}?limit=1&limit=2")
    refused(twice, "query.limit", "given twice")
    repeated = spread.get(rows.path, params={"bbox": [1, 2, 3]})
    refused(repeated, "query.bbox", "it has 3 numbers")
    wrong = spread.get(rows.path, params={"sortby": "no such"})
    refused(wrong, "query.sortby", f"'no such' is not one of {', '.join(rows.queryable)}")
    refused(spread.get(rows.path, params={"token": "x"}), "query.token")
    id = found(spread, rows.path, limit=1000)[0][rows.key.name]
    after = {"sortby": rows.key.name, "after": rows.text(id)}
    refused(spread.get(rows.path, params=after), "query.after", "token")


@pytest.mark.parametrize("path", ["", "nearby"])
def test_the_parameters_are_documented(spread: TestClient, rows: Rows, path: str) -> None:
    operation = spread.get("/openapi.json").json()["paths"][f"{rows.path}{path}"]["get"]
    described = {each.get("name") for each in operation["parameters"]}
    assert {*names(rows)} <= described
    assert ("sortby" in described) == (path == "")
