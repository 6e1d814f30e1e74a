"""What goes out can come back: reading a row and writing it back changes nothing, whatever its columns hold."""

import datetime
import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from geotables.collection import Collection
from geotables.commands import command_line, run
from geotables.crs import WGS84
from geotables.files import add_commands
from geotables.service import Service

from contract import each, faces, only, writes
from rows import Rows, as_json, integer_bits, refused

pytestmark = [faces("rest", "features"), writes]

JSON = {"Content-Type": "application/json"}

#: The same examples in every run: what a run finds, the next one finds again.
few = hypothesis.settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=12,
    # Without shrinking, which takes minutes.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = (
    st.integers(-(10**30), 10**30)
    | st.decimals(-(10**20), 10**20, allow_nan=False, places=18)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Decimal(repr(number)))
    | st.sampled_from([2**53 + 1, 2**63, 2**64, Decimal("0.1"), Decimal("1E+300")])
)
DOCUMENTS = st.recursive(
    TEXTS | NUMBERS | st.booleans(),
    lambda inner: (
        st.lists(st.none() | inner, max_size=3)
        | st.dictionaries(TEXTS, st.none() | inner, max_size=3)
    ),
    max_leaves=6,
)
DAYS = st.sampled_from([datetime.date.min, datetime.date.max]) | st.dates()


@st.composite
def moments(draw: st.DrawFn) -> str:
    """Times as RFC 3339 writes them, with offsets from UTC of any size."""
    first, last = datetime.datetime.min, datetime.datetime.max
    moment = draw(st.sampled_from([first, last]) | st.datetimes())
    minutes = draw(st.sampled_from([0, 1, -1, 330, 839, -839, 1439, -1439]))
    try:
        local = moment + datetime.timedelta(minutes=minutes)
    except OverflowError:
        return f"{moment.isoformat()}Z"
    hours, rest = divmod(abs(minutes), 60)
    return f"{local.isoformat()}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def values(column: sa.Column[Any]) -> SearchStrategy[Any]:
    """What a column holds, up to its extremes, as JSON."""
    match column.type:
        case sa.String(length=length):
            return TEXTS.map(lambda text: text[:length])
        case sa.Boolean():
            return st.booleans()
        case sa.Integer():
            most = 2 ** integer_bits(column) - 1
            return st.sampled_from([most, -most - 1, min(most, 2**31 - 1)]) | st.integers(
                -most - 1, most
            )
        case sa.Numeric(precision=precision, scale=scale):
            most = 10 ** (precision or 50) - 1
            digits = st.sampled_from([most, -most]) | st.integers(-most, most)
            places = 20 if precision is None else scale or 0
            return digits.map(lambda number: Decimal(f"{number}E-{places}"))
        case sa.Float():
            if isinstance(column.type, sa.REAL):
                # Of single precision, by the fewest digits that tell it apart.
                singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
                return singles.map(lambda number: Decimal(str(np.float32(number))))
            return st.floats(allow_nan=False, allow_infinity=False).map(
                lambda number: Decimal(repr(number))
            )
        case sa.DateTime():
            return moments()
        case sa.Date():
            return DAYS.map(str)
        case sa.Uuid():
            return st.uuids().map(str)
        case sa.JSON():
            return DOCUMENTS
    raise NotImplementedError(f"no values of the type of {column}")


@cache
def strategies(rows: Rows) -> dict[str, SearchStrategy[Any]]:
    """What each column holds that a client writes, but the geometry."""
    return {column.name: values(column) for column in rows.writable}


def written(value: Any) -> str:
    """JSON with every digit of its numbers."""
    match value:
        case dict():
            members = (f"{json.dumps(name)}:{written(each)}" for name, each in value.items())
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(map(written, value))}]"
        case Decimal():
            return str(value)
    return json.dumps(value)


def parsed(response: Response, status: int = 200) -> Any:
    """The JSON of an answer, with every digit of its numbers."""
    assert response.status_code == status, response.text
    return json.loads(response.content, parse_float=Decimal)


def send(client: TestClient, method: str, path: str, body: Any) -> Response:
    return client.request(method, path, content=written(body), headers=JSON)


def paths(rows: Rows, row: dict[str, Any]) -> tuple[str, str]:
    """The paths of a row, and of the feature that it is."""
    id = row[rows.key.name]
    return rows.at(id), rows.item(id)


def same(column: sa.Column[Any], sent: Any, stored: Any) -> bool:
    """Whether an answer has what was sent, which may be spelled in another way."""
    if isinstance(column.type, sa.DateTime):
        return datetime.datetime.fromisoformat(sent) == datetime.datetime.fromisoformat(stored)
    if isinstance(column.type, sa.Float):
        # The shortest digits of a double are not the same everywhere.
        return float(sent) == float(stored)
    return bool(sent == stored)


def command(service: Service, *arguments: str) -> int:
    """Run ``load`` or ``export``; the exit code."""
    parser, commands = command_line(service.package)
    add_commands(commands, service)
    return run(parser, arguments)


def members(rows: Rows, row: dict[str, Any]) -> dict[str, Any]:
    """The members of a row that a client writes, but its place and its key."""
    return {column.name: row[column.name] for column in rows.properties}


# From Python 3.14 on, hypothesis looks for its own generator among what gc.freeze() has hidden.
@pytest.mark.filterwarnings("ignore:It looks like `register_random`")
@few
@given(data=st.data())
def test_what_goes_out_can_come_back(
    unconstrained: TestClient,
    collection: Collection,
    rows: Rows,
    unconstrained_connection: sa.Connection,
    data: st.DataObject,
) -> None:
    unconstrained_connection.execute(sa.delete(rows.table))
    sent = {name: data.draw(values, name) for name, values in strategies(rows).items()}
    row = parsed(send(unconstrained, "POST", rows.path, rows.body() | sent), 201)
    own, item = paths(rows, row)
    for column in rows.writable:
        assert same(column, sent[column.name], row[column.name]), column.name
    # More digits than are written.
    moved = sa.func.ST_Translate(
        collection.geometry, 0.00001234567, 0.00001234567, type_=collection.geometry.type
    )
    unconstrained_connection.execute(
        sa.update(rows.table).values({collection.geometry.name: moved})
    )
    place = sa.select(sa.func.ST_AsEWKB(collection.geometry, type_=sa.LargeBinary()))
    before = bytes(unconstrained_connection.scalar(place))
    row, feature = parsed(unconstrained.get(own)), parsed(unconstrained.get(item))
    assert members(rows, feature["properties"]) == members(rows, row)

    # In a patch, a null within JSON takes a member away (RFC 7396).
    patch = {
        column.name: row[column.name]
        for column in rows.writable
        if not isinstance(column.type, sa.JSON)
    }
    properties = {name: value for name, value in patch.items() if name != rows.key.name}
    for method, path, body in (
        ("PUT", own, row),
        ("PUT", item, feature),
        ("PATCH", own, {collection.geometry.name: row[collection.geometry.name]}),
        ("PATCH", item, {"geometry": feature["geometry"]}),
        ("PATCH", own, patch),
        ("PATCH", item, {"properties": properties}),
    ):
        after = parsed(send(unconstrained, method, path, body))
        assert members(rows, after.get("properties", after)) == members(rows, row), (method, path)
        assert bytes(unconstrained_connection.scalar(place)) == before, (method, path)
    assert members(rows, parsed(unconstrained.get(own))) == members(rows, row)

    assert unconstrained.delete(own).status_code == 204
    feature = parsed(send(unconstrained, "POST", rows.items, feature), 201)
    assert members(rows, feature["properties"]) == members(rows, row)


@hypothesis.settings(few, max_examples=3)
@given(data=st.data())
def test_what_is_exported_can_be_loaded(
    unconstrained: TestClient,
    service: Service,
    collection: Collection,
    rows: Rows,
    unconstrained_connection: sa.Connection,
    unconstrained_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
) -> None:
    monkeypatch.setenv("DATABASE_URL", unconstrained_url)
    unconstrained_connection.execute(sa.delete(rows.table))
    for number in range(6):
        sent = {}
        for column in rows.writable:
            if column.name not in rows.unique:
                null = st.none() if column.nullable else st.nothing()
                sent[column.name] = data.draw(null | strategies(rows)[column.name], column.name)
        parsed(send(unconstrained, "POST", rows.path, rows.full_body(number) | sent), 201)
    for name in ("rows.geojson", "rows.geojsonl", "rows.csv"):
        before = stored(rows, unconstrained_connection)
        written_to = str(tmp_path / name)
        assert command(service, "export", "--table", collection.name, "--all", written_to) == 0
        loaded(service, rows, unconstrained_connection, tmp_path / name, collection.crs.srid)
        assert stored(rows, unconstrained_connection) == before, name
    # The items are the rows that a partial index holds, which may be none.
    unconstrained_connection.execute(
        sa.delete(rows.table).where(collection.indexed_rows.is_not(sa.true()))
    )
    before = stored(rows, unconstrained_connection)
    path = tmp_path / "items.csv"
    path.write_bytes(unconstrained.get(f"{rows.items}?f=csv").content)
    if before:
        loaded(service, rows, unconstrained_connection, path, WGS84)
        assert stored(rows, unconstrained_connection) == before


def stored(rows: Rows, connection: sa.Connection) -> list[tuple[Any, ...]]:
    """What the columns hold that a client writes, but for the geometry, as PostgreSQL writes it."""
    texts = [sa.cast(column, sa.Text()) for column in rows.writable]
    found = connection.execute(sa.select(sa.literal("row"), *texts).select_from(rows.table))
    return sorted(map(tuple, found), key=repr)


def loaded(service: Service, rows: Rows, connection: sa.Connection, path: Path, srid: int) -> None:
    """Put the rows of a file in the place of all."""
    connection.execute(sa.delete(rows.table))
    crs = ["--source-crs", f"EPSG:{srid}"] if path.suffix == ".csv" else []
    assert command(service, "load", "--table", rows.collection.name, *crs, str(path)) == 0


def unsendable(column: sa.Column[Any]) -> list[str]:
    """What PostgreSQL stores in a column and no client can send, in SQL."""
    match column.type:
        case sa.DateTime() | sa.Date():
            return ["infinity", "0044-03-15 BC", "10000-01-01"]
        case sa.Float():
            return ["NaN", "-Infinity"]
        case sa.Numeric():
            return ["NaN"]
        case sa.JSON():
            return ['{"a": 1e400}', '{"a": -1e-5000}', "-1e400"]
    return []


def with_unsendable(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that hold something that no client can send, but for those that change with every change."""
    return {
        column.name: column
        for column in Rows.of(collection).columns.values()
        if unsendable(column) and column.onupdate is None and column is not collection.key
    }


def is_shown(rows: Rows, client: TestClient, id: Any, column: sa.Column[Any]) -> None:
    """Assert that a row is shown in every format, alone and among others."""
    every = "?all=true" if rows.collection.is_partial else ""
    order = f"&sortby={column.name}" if column.name in rows.queryable else ""
    for path in (
        *(rows.path + every, f"{rows.items}/{id}?f=html", rows.collection_path),
        *(f"{rows.items}?f={name}{order}" for name in ("html", "csv", "jsonseq")),
    ):
        response = client.get(path)
        assert response.status_code == 200, (path, response.text)


@faces("ogc")
@each("column", with_unsendable)
def test_what_no_client_can_send_stays_while_other_members_change(
    unconstrained: TestClient,
    rows: Rows,
    unconstrained_connection: sa.Connection,
    column: sa.Column[Any],
) -> None:
    geometry, name = rows.collection.geometry.name, column.name
    row = parsed(send(unconstrained, "POST", rows.path, rows.full_body()), 201)
    own, item = paths(rows, row)
    shape = parsed(unconstrained.get(item))["geometry"]
    for value in unsendable(column):
        # Cast by PostgreSQL: Python has no such value.
        stored = sa.cast(sa.literal(value, sa.Text()), column.type)
        unconstrained_connection.execute(sa.update(rows.table).values({name: stored}))
        is_shown(rows, unconstrained, row[rows.key.name], column)
        before = parsed(unconstrained.get(own))
        others = members(rows, rows.full_body())
        others.pop(name, None)
        for path, patch in (
            (own, others | {geometry: row[geometry]}),
            (item, {"properties": others, "geometry": shape}),
        ):
            after = parsed(send(unconstrained, "PATCH", path, patch))
            after = after.get("properties", after)
            assert after[name] == before[name], value
        if isinstance(before[name], dict):
            for path, patch in ((own, {"b": 1}), (item, {"b": None})):
                inner = {name: patch}
                body = inner if path == own else {"properties": inner}
                after = parsed(send(unconstrained, "PATCH", path, body))
                kept = after.get("properties", after)[name]
                assert {**kept, "b": 0} == {**before[name], "b": 0}, (path, value)
        if name in strategies(rows):
            response = send(unconstrained, "PUT", own, before | others)
            refused(response, f"body.{name}")


@pytest.mark.parametrize(
    "number",
    ["1e400", "-1e400", "1e999999999", "1e-999999999", "1e99999999999999999999", "9" * 5000],
)
def test_a_number_beyond_a_double_is_refused_by_name(
    unconstrained: TestClient,
    collection: Collection,
    rows: Rows,
    unconstrained_connection: sa.Connection,
    number: str,
) -> None:
    feature = {"type": "Feature", "geometry": as_json(rows.samples[0])}
    for name in strategies(rows):
        kind = rows.table.c[name].type
        if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) and not kind.precision:
            # It has as many digits as PostgreSQL has.
            continue
        body = written(rows.body() | {name: "@"}).replace('"@"', number)
        refused(unconstrained.post(rows.path, content=body, headers=JSON), f"body.{name}")
        properties = {
            member: value
            for member, value in rows.body().items()
            if member != collection.geometry.name
        }
        body = written(feature | {"properties": properties | {name: "@"}}).replace('"@"', number)
        response = unconstrained.post(rows.items, content=body, headers=JSON)
        place = "id" if name == rows.key.name == "id" else f"properties.{name}"
        refused(response, f"body.{place}")
    assert rows.count(unconstrained_connection) == 0


@pytest.mark.parametrize("number", ["1e-4300", "-1.5e-4299", "1e-2200", "0.001e-4297"])
def test_a_small_number_that_is_taken_can_come_back(
    unconstrained: TestClient, rows: Rows, unconstrained_connection: sa.Connection, number: str
) -> None:
    for name in strategies(rows):
        body = written(rows.body() | {name: "@"}).replace('"@"', number)
        response = unconstrained.post(rows.path, content=body, headers=JSON)
        if response.status_code == 201:
            row = parsed(response, 201)
            # As the service spells it, with all its zeros.
            own, text = rows.at(row[rows.key.name]), response.content
            after = parsed(unconstrained.put(own, content=text, headers=JSON))
            assert members(rows, after) == members(rows, row)
            # The next row may have the same unique values.
            assert unconstrained.delete(own).status_code == 204
        else:
            refused(response, f"body.{name}")
    assert rows.count(unconstrained_connection) == 0


@only(lambda c: Rows.of(c).has_timestamps)
@pytest.mark.parametrize("offset", ["+15:59", "+16:00", "-23:59", "+23:59"])
def test_a_time_with_any_offset_can_be_asked_for(
    client: TestClient, rows: Rows, offset: str
) -> None:
    parsed(send(client, "POST", rows.path, rows.full_body()), 201)
    for name in ("created_at", "datetime"):
        found = parsed(client.get(rows.items, params={name: f"1066-10-14T09:00:00{offset}"}))
        assert found["numberReturned"] == 0
