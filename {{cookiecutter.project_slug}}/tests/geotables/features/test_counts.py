"""How many features there are: told wherever that costs nothing, and exactly."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.sql import counts
from geotables.sql.counts import Counts

from contract import faces, only, writes
from rows import Rows

#: All features, by a condition that is not known to be one of all.
WORLD = "-180,-90,180,90"


@pytest.fixture
def some_rows(client: TestClient, connection: sa.Connection, rows: Rows) -> int:
    """How many features there are."""
    rows.insert(connection, rows.spread(9))
    around = list(connection.scalars(rows.around_the_world()))
    connection.execute(sa.delete(rows.table).where(rows.key.in_(around)))
    return len(rows.indexed_ids(connection))


def matched(client: TestClient, rows: Rows, **parameters: Any) -> int | None:
    """The number of features that a page tells."""
    response = client.get(rows.items, params=parameters)
    assert response.status_code == 200, response.text
    number: int | None = response.json().get("numberMatched")
    return number


def test_the_last_page_tells_how_many_there_are(
    client: TestClient, rows: Rows, some_rows: int
) -> None:
    assert matched(client, rows, bbox=WORLD, limit=some_rows) == some_rows
    assert matched(client, rows, bbox=WORLD, offset=1) == some_rows
    assert matched(client, rows, **{rows.key.name: rows.text(rows.no_id)}) == 0
    assert matched(client, rows, bbox=WORLD, offset=some_rows + 1) is None
    assert matched(client, rows, count="none") is None
    if some_rows > 1:
        page = client.get(rows.items, params={"bbox": WORLD, "limit": some_rows - 1}).json()
        (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
        last = client.get(following).json()
        assert (len(last["features"]), last.get("numberMatched")) == (1, None)


def test_hits_are_a_number_without_features(client: TestClient, rows: Rows, some_rows: int) -> None:
    for asked in ({}, {"bbox": WORLD}, {"limit": 1, "offset": 1}):
        answer = client.get(rows.items, params={"resultType": "hits", **asked}).json()
        assert (answer["numberMatched"], answer["numberReturned"]) == (some_rows, 0)
        assert answer["features"] == []
    for f, lines in (("csv", 1), ("jsonseq", 0)):
        answer = client.get(rows.items, params={"resultType": "hits", "f": f})
        assert answer.headers["OGC-NumberMatched"] == str(some_rows)
        assert answer.headers["OGC-NumberReturned"] == "0"
        assert answer.text.count("\n") == lines


def test_other_formats_have_the_numbers_and_the_links_as_headers(
    client: TestClient, rows: Rows, some_rows: int
) -> None:
    for f in ("csv", "jsonseq"):
        asked = {"f": f, "limit": some_rows, "bbox": WORLD}
        whole = client.get(rows.items, params=asked)
        assert whole.headers["OGC-NumberMatched"] == str(some_rows)
        assert whole.headers["OGC-NumberReturned"] == str(some_rows)
        assert {"self", "alternate"} <= whole.links.keys()
        assert "next" not in whole.links
        assert whole.links["self"]["url"] == str(whole.url)
        if some_rows > 1:
            first = client.get(rows.items, params=asked | {"limit": 1})
            assert first.headers["OGC-NumberReturned"] == "1"
            assert first.links["next"]["type"] == whole.links["self"]["type"]
    stream = client.get(rows.items, params={"f": "jsonseq", "count": "exact", "bbox": WORLD})
    assert stream.headers["OGC-NumberMatched"] == str(some_rows)


# What is kept


@pytest.fixture
def kept(client: TestClient, rows: Rows) -> Counts:
    """The number that the application keeps, out of date when a test begins."""
    found: Counts = client.app.state.counts[rows.collection.name]
    found._until = found._resting_until = 0.0
    return found


@only(lambda c: c.where is None and not c.is_view)
def test_the_number_of_all_is_counted_once_for_a_while(
    client: TestClient,
    rows: Rows,
    some_rows: int,
    kept: Counts,
    connection: sa.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    once = kept._read
    monkeypatch.setattr(kept, "_read", lambda: read.append(once()) or read[-1])
    for _ in range(3):
        assert kept.at_hand(1) == some_rows
    assert read == [some_rows]
    # Another process takes all of them.
    connection.execute(sa.delete(rows.table))
    assert kept.at_hand(0) == some_rows
    assert matched(client, rows, resultType="hits") == 0
    assert kept.at_hand(0) == 0
    assert len(read) == 2


@only(lambda c: c.where is None and not c.is_view)
def test_a_page_that_has_more_than_is_kept_does_not_tell_that(
    client: TestClient, rows: Rows, kept: Counts, connection: sa.Connection
) -> None:
    assert kept.now() == 0
    # As another process does.
    rows.insert(connection, rows.spread(9))
    number = len(rows.indexed_ids(connection))
    assert kept.at_hand(1) == number
    kept._value = 0
    kept._resting_until = float("inf")
    assert kept.at_hand(1) is None


@only(lambda c: c.where is None and not c.is_view)
def test_pages_do_not_count_what_is_dear(
    client: TestClient,
    rows: Rows,
    some_rows: int,
    kept: Counts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counts, "CHEAP", 0)
    assert kept.at_hand(0) is None
    assert matched(client, rows, count="exact", limit=1) == some_rows
    # Known by now.
    assert kept.at_hand(0) == some_rows


@writes
@faces("ogc")
def test_what_this_process_writes_is_counted_at_once(
    client: TestClient, rows: Rows, kept: Counts
) -> None:
    path = rows.collection_path
    before = client.get(path).json()["itemCount"]
    feature = {"type": "Feature", "geometry": None, "properties": rows.full_body()}
    feature["geometry"] = feature["properties"].pop(rows.collection.geometry.name)
    assert client.post(rows.items, json=feature).status_code == 201
    after = client.get(path).json()["itemCount"]
    # A partial index may leave it out.
    assert after == before + 1 or rows.collection.is_partial
    assert after == matched(client, rows, resultType="hits")
