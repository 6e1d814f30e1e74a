"""OGC API - Features as pages: a table that links and forms sort, filter and page, and a page for each feature."""

import csv
import io
import json
from typing import Any
from urllib.parse import parse_qsl, quote, urljoin

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.dialects.postgresql import JSONB

from geotables.collection import Collection
from geotables.features.containing import is_text
from geotables.features.items_query import queries_of
from geotables.http import html_values
from geotables.http.ids import in_path
from geotables.settings import ServiceSettings

import markup
from contract import each, only
from markup import BROWSER, Page
from rows import Rows, as_json


@pytest.fixture
def some_rows(client: TestClient, rows: Rows, connection: sa.Connection) -> list[str]:
    """A few rows; the ids of those that are features, in their order."""
    rows.insert(connection, rows.spread(9))
    return ids_of(client, rows)


def ids_of(client: TestClient, rows: Rows, **parameters: Any) -> list[str]:
    """The ids of features, as text."""
    response = client.get(rows.items, params={"f": "csv", "limit": 1000} | parameters)
    return [line[0] for line in csv.reader(io.StringIO(response.text))][1:]


def open_page(client: TestClient, path: str, **parameters: Any) -> Page:
    response = client.get(path, params=parameters or None, headers=BROWSER)
    assert response.status_code == 200, response.text
    return markup.read(response)


def ids(page: Page) -> list[str]:
    """The ids in the first column of a page's table, below its head and its filters."""
    return [cells[0].strip() for cells in page.cells[2:]]


def test_the_table_has_a_line_for_each_feature_and_leads_to_its_page(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    page = open_page(client, rows.items)
    assert ids(page) == some_rows
    for id in some_rows:
        assert f"{rows.items}/{in_path(id)}" in page.linked


def test_heads_sort_by_a_click_the_other_way_by_a_second_and_no_longer_by_a_third(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    name = next(reversed(rows.queryable))
    start = open_page(client, rows.items, limit=100)
    once = _link(start, sortby=name)
    page = open_page(client, urljoin(rows.items, once))
    assert ids(page) == ids_of(client, rows, sortby=name)
    twice = _link(page, sortby=f"-{name}")
    page = open_page(client, urljoin(rows.items, twice))
    assert ids(page) == ids_of(client, rows, sortby=f"-{name}")
    assert "?limit=100" in page.linked


def _link(page: Page, **parameters: str) -> str:
    """The link of a page that has these parameters."""
    wanted = parameters.items()
    return next(
        href for href in page.linked if wanted <= dict(parse_qsl(href.partition("?")[2])).items()
    )


def test_every_column_that_has_a_parameter_can_be_asked_about_in_a_form_or_by_a_link(
    client: TestClient, collection: Collection, rows: Rows, some_rows: list[str]
) -> None:
    page = open_page(client, rows.items, limit=5)
    asked = {names[-1] for names in page.forms}
    assert "filter" in asked
    # A form keeps what else was asked for.
    assert all("limit" in names for names in page.forms)
    for column in queries_of(collection).parameters.values():
        name = column.name
        if isinstance(column.type, sa.Boolean):
            assert _link(page, **{name: "true"}) and _link(page, **{name: "false"})
        elif column is collection.time:
            assert "datetime" in asked
        elif not isinstance(column.type, sa.DateTime):
            assert name in asked


def test_a_filter_is_shown_with_a_link_that_removes_it(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    page = open_page(client, rows.items, **{rows.key.name: some_rows[0]}, limit=7)
    assert ids(page) == some_rows[:1]
    assert f"{rows.key.name} = {some_rows[0]}" in page.texts
    assert "?limit=7" in page.linked
    none = open_page(client, rows.items, **{rows.key.name: as_json(rows.no_id)})
    assert ids(none) == [] and "Nothing meets these filters" in none.texts


@only(lambda c: any(is_text(column, queries_of(c)) for column in c.properties))
def test_a_text_is_asked_for_what_it_contains(
    client: TestClient, collection: Collection, rows: Rows, some_rows: list[str]
) -> None:
    (column, *_) = (each for each in collection.properties if is_text(each, queries_of(collection)))
    features = client.get(rows.items, params={"limit": 1000}).json()["features"]
    texts = {rows.text(each["id"]): each["properties"][column.name] for each in features}
    # The longest text, without its ends, in the other case; % and _ stand for themselves.
    part = max(filter(None, texts.values()), key=len)[1:-1].swapcase() or "%"
    address = f"/collections/{collection.name}/containing/{quote(column.name, safe='')}"
    asked = {"f": "html", "limit": "100", column.name: part}
    response = client.get(address, params=asked, headers=BROWSER)
    assert response.status_code == 200, response.text
    expected = [id for id in some_rows if part.lower() in (texts[id] or "").lower()]
    assert ids(markup.read(response)) == expected
    # The address is one of Features: other formats take it.
    found = client.get(str(response.url).replace("f=html", "f=csv"))
    assert [line[0] for line in csv.reader(io.StringIO(found.text))][1:] == expected
    for text in ("%", "_", "'", "no such"):
        page = client.get(address, params={column.name: text}, headers=BROWSER)
        assert ids(markup.read(page)) == [id for id in some_rows if text in (texts[id] or "")]
    # A condition that is there already stays.
    for lang, none in (("cql2-text", f'"{rows.key.name}" IS NULL'), ("cql2-json", NONE)):
        condition = none.replace("KEY", json.dumps(rows.key.name))
        asked = {"filter": condition, "filter-lang": lang, column.name: part}
        assert ids(markup.read(client.get(address, params=asked, headers=BROWSER))) == []
    missing = client.get(f"/collections/{collection.name}/containing/no%20such?x=y")
    assert missing.status_code == 404


#: A condition that no feature meets.
NONE = '{"op": "isNull", "args": [{"property": KEY}]}'


def test_pages_go_forward_and_back(client: TestClient, rows: Rows, some_rows: list[str]) -> None:
    size = max(1, len(some_rows) // 3)
    seen, path = [], f"{rows.items}?limit={size}"
    places = []
    while path:
        places.append(path)
        response = client.get(path, headers=BROWSER)
        seen += ids(markup.read(response))
        path = _related(response.text, rows, "next")
    assert seen == some_rows
    for place in reversed(places[:-1]):
        path = _related(client.get(places.pop(), headers=BROWSER).text, rows, "prev")
        assert ids(markup.read(client.get(path, headers=BROWSER))) == ids(
            markup.read(client.get(place, headers=BROWSER))
        )


def _related(text: str, rows: Rows, rel: str) -> str:
    """The address of the page before or after; empty if there is none."""
    before, found, _ = text.partition(f'" rel="{rel}"')
    href = before.rpartition('href="')[2].replace("&amp;", "&")
    return urljoin(f"http://testserver{rows.items}", href) if found else ""


def test_what_is_shown_can_be_had_in_every_format(
    client: TestClient, rows: Rows, some_rows: list[str]
) -> None:
    page = open_page(client, rows.items, limit=2, sortby=f"-{rows.key.name}")
    for name in ("geojson", "csv", "jsonseq"):
        response = client.get(urljoin(rows.items, _link(page, f=name, limit="2")))
        assert response.status_code == 200
        for id in some_rows[::-1][:2]:
            assert id in response.text
        for id in some_rows[::-1][2:]:
            assert f'"id":{id},' not in response.text


def test_a_feature_shows_each_property_its_geometry_and_its_neighbours(
    client: TestClient, collection: Collection, rows: Rows, some_rows: list[str]
) -> None:
    page = open_page(client, f"{rows.items}/{in_path(some_rows[0])}")
    names = [cells[0] for cells in page.cells]
    assert names == [
        *(column.name for column in collection.properties if column is not collection.key),
        collection.geometry.name,
    ]
    assert "coordinates" in page.cells[-1][1]
    near = [href for href in page.linked if href.startswith(f"{rows.items}/") and "?" not in href]
    assert set(near) <= {f"{rows.items}/{in_path(id)}" for id in some_rows[1:]}
    assert len(near) == min(5, len(some_rows) - 1)


def test_neighbours_are_the_nearest(
    client: TestClient, rows: Rows, connection: sa.Connection
) -> None:
    rows.insert(connection, rows.spread(60))
    first, *others = rows.indexed_ids(connection)
    page = open_page(client, rows.item(first))
    near = [href for href in page.linked if href.startswith(f"{rows.items}/") and "?" not in href]
    shape = rows.collection.geometry
    place = sa.select(shape).where(rows.key == first).scalar_subquery()
    there = rows.table.alias()
    distance = sa.func.ST_Distance(there.c[shape.name], place)
    key = there.c[rows.key.name]
    nearest = sa.select(key).where(key.in_(others)).order_by(distance).limit(5)
    expected = [rows.item(id) for id in connection.scalars(nearest)]
    assert _features(client, near) == _features(client, expected)


def _features(client: TestClient, paths: list[str]) -> list[str]:
    return sorted(client.get(path).text.partition('"links"')[0] for path in paths)


@only(
    lambda c: c.is_writable and any(type(column.type) is sa.Text for column in Rows.of(c).writable)
)
def test_the_text_of_a_row_is_text(unconstrained: TestClient, rows: Rows) -> None:
    name = next(column.name for column in rows.writable if type(column.type) is sa.Text)
    body = rows.full_body(**{name: "<script>alert('&')</script>"})
    id = unconstrained.post(rows.path, json=body).json()[rows.key.name]
    text = unconstrained.get(f"{rows.items}/{id}", headers=BROWSER).text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in text


@each("column", lambda c: Rows.of(c).queryable)
def test_any_value_is_written_for_people(
    client: TestClient, rows: Rows, some_rows: list[str], column: sa.Column[Any]
) -> None:
    name = column.name
    if name == rows.key.name:
        assert some_rows[0] in open_page(client, rows.items).cells[2][0]
        return
    path = f"{rows.items}/{in_path(some_rows[0])}"
    value = client.get(path).json()["properties"][name]
    page = open_page(client, path)
    shown = {cells[0]: cells[1].strip() for cells in page.cells}[name]
    match value:
        case None:
            assert shown == "–"
        case bool():
            assert shown == ("yes" if value else "no")
        case str() if isinstance(column.type, sa.DateTime):
            assert shown.startswith(value[:10]) and "T" not in shown.replace("UTC", "")
        case int() | float() if not column.foreign_keys:
            assert float(shown.replace("−", "-")) == value
        case _:
            assert shown.startswith(str(value)[:100])


@only(lambda c: c.is_writable and any(isinstance(column.type, JSONB) for column in c.properties))
def test_nested_json_is_shown_member_by_member(unconstrained: TestClient, rows: Rows) -> None:
    name = next(
        column.name for column in rows.collection.properties if isinstance(column.type, JSONB)
    )
    nested = {"owners": [{"name": "Ann", "share": 0.5}, None], "large": 10**40, "none": {}}
    body = json.dumps({**rows.full_body(), name: nested})
    headers = {"Content-Type": "application/json"}
    response = unconstrained.post(rows.path, content=body, headers=headers)
    assert response.status_code == 201, response.text
    path = f"{rows.items}/{response.json()[rows.key.name]}"
    page = markup.read(unconstrained.get(path, headers=BROWSER))
    (shown,) = (cells[1] for cells in page.cells if cells[0] == name)
    for part in ("owners", "Ann", "0.5", str(10**40), "empty"):
        assert part in shown
    assert "{" not in shown


def test_a_page_costs_one_query_and_a_feature_two(
    client: TestClient, rows: Rows, some_rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    database = client.app.state.database
    fetch = database.fetch
    monkeypatch.setattr(database, "fetch", lambda *asked: sent.append(asked) or fetch(*asked))
    open_page(client, rows.items)
    assert len(sent) == 1
    sent.clear()
    open_page(client, f"{rows.items}/{in_path(some_rows[0])}")
    assert len(sent) == 2
    sent.clear()
    client.get(f"{rows.items}/{in_path(some_rows[0])}")
    assert len(sent) == 1


def test_how_many_there_are_is_told_where_it_is_asked(
    client: TestClient, rows: Rows, some_rows: list[str], settings: ServiceSettings
) -> None:
    number = len(some_rows)
    assert ("1 item" if number == 1 else f"{number} items") in open_page(client, rows.items).texts
    assert f"of {number}" in open_page(client, rows.items, count="exact", limit=1).texts


def test_the_label_is_a_name_before_a_code(collection: Collection) -> None:
    label = html_values.label(collection)
    texts = [column for column in collection.properties if isinstance(column.type, sa.String)]
    assert (label is None) == (not [column for column in texts if not column.foreign_keys])
    if any(column.name == "name" and not column.foreign_keys for column in texts):
        assert label is not None and label.name == "name"
