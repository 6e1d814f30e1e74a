"""OGC API - Features: pages hold each feature once, in the order asked for, up to an end."""

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.collection import Collection
from geotables.crs import WORLD
from geotables.http.faces import page_searches
from geotables.sql import bbox, paging, row_formats

from contract import each, writes
from rows import Rows


@pytest.fixture
def some_rows(client: TestClient, rows: Rows, connection: sa.Connection) -> list[str]:
    """A few rows; the ids of those that are features, in their order."""
    rows.insert(connection, rows.spread(9))
    return list(map(rows.text, rows.indexed_ids(connection)))


def pages(rows: Rows, client: TestClient, /, **parameters: Any) -> Iterator[dict[str, Any]]:
    """A page and all that follow it."""
    response = client.get(rows.items, params=parameters)
    while True:
        assert response.status_code == 200, response.text
        page = response.json()
        yield page
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        if not following:
            return
        response = client.get(following[0])


def ids(found: Iterator[dict[str, Any]]) -> list[str]:
    return [str(feature["id"]) for page in found for feature in page["features"]]


def token_of(rows: Rows, client: TestClient, /, **parameters: Any) -> str:
    """The token of the second page."""
    page = client.get(rows.items, params={"limit": 1} | parameters).json()
    (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    return following.partition("token=")[2].partition("&")[0]


@pytest.mark.parametrize("limit", [1, 2, 4, 8, 9, 10])
def test_pages_hold_each_feature_once_and_end(
    client: TestClient, rows: Rows, some_rows: list[str], limit: int
) -> None:
    found = list(pages(rows, client, limit=limit))
    assert ids(iter(found)) == some_rows
    assert len(found) == max(1, -(-len(some_rows) // limit))


def test_a_box_is_paged_alike_whichever_way_it_is_found(
    client: TestClient, rows: Rows, some_rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few; many whose ids fill the page, fill a part of it, or are not worth a look.
    ways = ((500, (9, 1000)), (0, (1000, 1000)), (0, (1000, 100)), (0, (0, 1000)))
    for few, expected in ways:
        monkeypatch.setattr(paging, "SORT_LIMIT", few)
        monkeypatch.setattr(paging, "_expected", lambda *_, expected=expected: expected)
        for limit in (2, 100):
            assert ids(pages(rows, client, limit=limit, bbox="-180,-90,180,90")) == some_rows
        assert ids(pages(rows, client, limit=3, bbox="-180,-90,180,90", offset=2)) == some_rows[2:]


@pytest.mark.parametrize("spare", [1.1, 0.5])
def test_a_page_of_many_rows_is_sorted_up_to_a_row_that_ends_it(
    client: TestClient,
    rows: Rows,
    some_rows: list[str],
    monkeypatch: pytest.MonkeyPatch,
    spare: float,
) -> None:
    monkeypatch.setattr(paging, "SORT_LIMIT", 3)
    monkeypatch.setattr(paging, "IN_ORDER", 0)
    monkeypatch.setattr(paging, "SPARE", spare)
    monkeypatch.setattr(paging, "_expected", lambda *_: (0, 1000))
    paging._pages.cache_clear()
    if spare > 1:
        # Only where too few of the rows up to that one meet the conditions.
        monkeypatch.setattr(paging.Pages, "sorted_all", None)
    page = next(pages(rows, client, limit=1, bbox="-180,-90,180,90"))
    assert ids(iter([page])) == some_rows[:1]


def test_a_page_of_many_rows_begins_after_an_offset(
    client: TestClient, rows: Rows, some_rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "SORT_LIMIT", 6)
    for offset in (1, 2, 5, 7):
        found = pages(rows, client, limit=1, offset=offset, bbox="-180,-90,180,90")
        assert ids(found) == some_rows[offset:]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a plan and those below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_rows_in_a_box_are_compared_with_it_until_the_page_is_full(
    rows: Rows, some_rows: list[str], connection: sa.Connection
) -> None:
    """The exact test of a large geometry takes longer than to read it."""
    collection, limit = rows.collection, 2
    inside = bbox.within(collection.geometry, WORLD)
    for search in page_searches("a page", row_formats.record(collection), inside):
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {search.statement.text}"
        values = search.statement.values({**search.values, "limit": limit})
        (plan,) = connection.exec_driver_sql(explain, values).scalar_one()
        (tested,) = (node for node in nodes(plan["Plan"]) if node["Node Type"] == "Subquery Scan")
        assert "intersects" in tested["Filter"]
        number = tested["Actual Rows"] + tested["Rows Removed by Filter"]
        assert number == min(limit, len(some_rows))


def test_the_planner_is_asked_about_many_rows(
    client: TestClient, rows: Rows, some_rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    ask = paging._expected
    monkeypatch.setattr(paging, "SORT_LIMIT", 0)
    monkeypatch.setattr(paging, "_expected", lambda *asked: told.append(ask(*asked)) or told[-1])
    found = client.get(rows.items, params={"bbox": "-180,-90,180,90"}).json()["features"]
    assert len(told) == bool(found)
    for expected, every in told:
        assert 0 <= expected <= every


def test_a_request_sends_the_same_statements_whatever_was_asked_before(
    client: TestClient, rows: Rows, some_rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def span(statement: str) -> AbstractContextManager[None]:
        sent.append(statement)
        return nullcontext()

    monkeypatch.setattr(client.app.state.database, "span", span)
    world, nowhere = (
        {"bbox": box, "limit": 1} for box in ("-180,-90,180,90", "179,-90,179.5,-89.5")
    )
    for few in (500, 0):
        monkeypatch.setattr(paging, "SORT_LIMIT", few)
        answers = []
        for query in (world, world, nowhere, world):
            sent.clear()
            client.get(rows.items, params=query)
            answers.append([*sent])
        assert answers[0] and answers[0] == answers[1] == answers[3]


@pytest.mark.parametrize("sign", ["", "-"])
@each("column", lambda c: Rows.of(c).queryable)
def test_features_are_sorted_by_any_column(
    client: TestClient, rows: Rows, some_rows: list[str], column: sa.Column[Any], sign: str
) -> None:
    name = column.name
    (everything,) = pages(rows, client, limit=100, sortby=sign + name)
    found = list(pages(rows, client, limit=4, sortby=sign + name))
    features = everything["features"]
    assert [feature for page in found for feature in page["features"]] == features
    assert sorted(ids(iter(found))) == sorted(some_rows)
    if isinstance(column.type, sa.Integer | sa.Float | sa.DateTime):
        values = [
            {rows.key.name: feature["id"], **feature["properties"]}[name] for feature in features
        ]
        for one, other in pairwise(values[::-1] if sign == "-" else values):
            assert one is None or other is None or one <= other


def test_a_plus_is_the_order_that_there_is_without_it(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    for name in rows.queryable:
        plain, plus = (
            ids(pages(rows, client, limit=100, sortby=sign + name)) for sign in ("", "+")
        )
        assert plain == plus


def test_null_is_last_and_pages_go_on_through_it(
    client: TestClient,
    collection: Collection,
    rows: Rows,
    connection: sa.Connection,
    some_rows: list[str],
) -> None:
    id = sa.cast(rows.key, sa.Text())
    unset = id.in_(some_rows[::2])
    for column in rows.writable:
        if column.nullable and column.name in rows.queryable.keys() - rows.unique:
            some = sa.cast(sa.literal(collection.example(0)[column.name], column.type), column.type)
            value = sa.case((unset, sa.null()), else_=some)
            connection.execute(
                sa.update(rows.table).where(id.in_(some_rows)).values({column.name: value})
            )
            # A partial index may hold fewer of them than before.
            present = set(map(rows.text, rows.indexed_ids(connection)))
            for sign in ("", "-"):
                found = ids(pages(rows, client, limit=3, sortby=sign + column.name))
                assert found == [id for id in [*some_rows[1::2], *some_rows[::2]] if id in present]


@pytest.mark.parametrize(
    "names", ["", "Unknown", ",", "{id},{id}", "{id},-{id}", "--{id}", "{id} desc"]
)
def test_what_is_no_order_is_refused(client: TestClient, rows: Rows, names: str) -> None:
    response = client.get(rows.items, params={"sortby": names.format(id=rows.key.name)})
    assert response.status_code == 400
    assert response.json()["errors"][0]["location"] == "query.sortby"


def test_an_offset_passes_over_features(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    for offset in range(len(some_rows) + 2):
        assert ids(pages(rows, client, limit=2, offset=offset)) == some_rows[offset:]


@pytest.mark.parametrize("limit", [10**4 + 1, 10**30])
def test_a_limit_above_the_maximum_is_the_maximum(
    client: TestClient, rows: Rows, some_rows: list[str], limit: int
) -> None:
    assert ids(pages(rows, client, limit=limit)) == some_rows


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "-1", "x", "1.5", "", "9" * 5000)),
        *(("offset", value) for value in ("-1", "x", "1.5", "", str(2**63))),
        *(("token", value) for value in ("", "x", "xx", "é", "W10", "WzFd", "bnVsbA", "=" * 9)),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    client: TestClient, rows: Rows, name: str, value: str
) -> None:
    response = client.get(rows.items, params={name: value})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert [error["location"] for error in response.json()["errors"]] == [f"query.{name}"]


def test_a_token_goes_with_its_order(client: TestClient, rows: Rows, some_rows: list[str]) -> None:
    token = token_of(rows, client)
    content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    digest, *values = orjson.loads(content)
    # Any column but the key, the last of them where there are several.
    others = [name for name in rows.queryable if name != rows.key.name][-1:]
    wrong: list[dict[str, Any]] = [
        *({"token": token, "sortby": name} for name in others),
        {"token": token, "sortby": f"-{rows.key.name}"},
        *({"token": token_of(rows, client, sortby=f"-{name}")} for name in others),
        {"token": token, "offset": 1},
        {"token": token[:-1]},
        {"token": base64.urlsafe_b64encode(orjson.dumps([digest, "5"])).decode()},
        {"token": base64.urlsafe_b64encode(orjson.dumps([digest, *values, None])).decode()},
    ]
    for parameters in wrong:
        response = client.get(rows.items, params=parameters)
        assert response.status_code == 400, parameters
        assert response.json()["errors"][0]["location"] == "query.token"


@writes
def test_features_that_come_and_go_do_not_move_the_pages(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    walk = pages(rows, client, limit=2)
    first = [rows.text(feature["id"]) for feature in next(walk)["features"]]
    for id in first:
        assert client.delete(rows.item(id)).status_code == 204
    assert ids(walk) == some_rows[2:]
