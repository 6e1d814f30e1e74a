"""Features as GeoParquet and FlatGeobuf: other programs read back exactly the rows."""

import io
import json
from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables import file_formats
from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.crs import WGS84
from geotables.geometry import GEOJSON_TYPES, samples

from contract import each
from rows import Rows

#: What a line of CSV could lose.
TEXT = 'a "b",\n\\ '

MEDIA_TYPES = {"parquet": "application/vnd.apache.parquet", "fgb": "application/flatgeobuf"}


def read_back(collection: Collection) -> list[str]:
    """The formats that these tests read: pyogrio takes no layer that has z and any type of geometry."""
    is_any = collection.has_z and collection.geometry_type == "GEOMETRY"
    return ["parquet"] if is_any else ["parquet", "fgb"]


@pytest.fixture
def stored(
    unconstrained_connection: sa.Connection, rows: Rows, unconstrained: TestClient
) -> list[dict[str, Any]]:
    """What is stored, by descending ids: with NULL and with odd texts, and geometries of every type."""
    place = rows.collection.geometry
    lon, lat = samples.middle(place)
    shapes = []
    for number in range(9):
        found = samples.geometries(place, (lon + number / 100, lat))
        shapes.append(rows.in_storage(unconstrained_connection, found[number % len(found)]))
    nulls = {column.name: None for column in rows.writable if column.nullable}
    texts = {
        column.name: TEXT[: column.type.length]
        for column in rows.writable
        if isinstance(column.type, sa.String) and column.name not in rows.unique
    }
    rows.insert(unconstrained_connection, shapes, ({}, nulls, texts))
    shown = [column for column in rows.collection.columns if column is not place]
    times = [column for column in shown if isinstance(column.type, sa.DateTime)]
    if times:
        # Nearly the next second, to which not every reader of FlatGeobuf rounds.
        values = {each.name: sa.cast("2020-01-01 23:59:59.9996", each.type) for each in times}
        first = sa.select(rows.key).limit(1).scalar_subquery()
        unconstrained_connection.execute(
            sa.update(rows.table).values(values).where(rows.key == first)
        )
    wkb = sa.func.ST_AsBinary(place, type_=sa.LargeBinary())
    query = sa.select(
        wkb.label(place.name), *(text_of(column).label(column.name) for column in shown)
    )
    chosen = query.where(rows.collection.indexed_rows).order_by(rows.key.desc())
    return [dict(row) for row in unconstrained_connection.execute(chosen).mappings()]


def table(content: bytes, f: str) -> Any:
    """The rows of a file as an Arrow table, as pyarrow or GDAL reads them."""
    if f == "parquet":
        return pyarrow.parquet.read_table(io.BytesIO(content))
    return pyogrio.read_arrow(io.BytesIO(content))[1]


def same(value: Any, stored: Any, column: sa.Column[Any], f: str) -> bool:
    """Whether a file has a value as it is stored: times of GDAL's have milliseconds, and dates are times."""
    if value is None or stored is None:
        return value is stored
    match column.type:
        case sa.JSON():
            return bool(json.loads(value) == stored)
        case sa.REAL():
            return bool(np.float32(value) == np.float32(stored))
        case sa.Numeric():
            return Decimal(value) == stored
        case sa.Date() if f == "fgb":
            return bool(value.date() == stored)
        case sa.DateTime() if f == "fgb":
            cut = stored.replace(microsecond=stored.microsecond // 1000 * 1000)
            return bool(value.replace(tzinfo=stored.tzinfo) == cut)
        case sa.Uuid():
            return bool(value == str(stored))
    return bool(value == stored and type(value) is type(stored))


@each("f", read_back)
def test_a_file_has_exactly_the_rows(
    unconstrained: TestClient, rows: Rows, stored: Sequence[dict[str, Any]], f: str
) -> None:
    collection, place = rows.collection, rows.collection.geometry.name
    wanted = {"f": f, "sortby": f"-{rows.key.name}", "crs": collection.storage_crs.uri}
    answer = unconstrained.get(rows.items, params=wanted)
    assert answer.headers["Content-Type"] == MEDIA_TYPES[f], answer.text
    assert answer.headers["Content-Disposition"].endswith(f".{f}")
    found = table(answer.content, f)
    for column in collection.columns:
        if column.name != place:
            values = found.column(column.name).to_pylist()
            for value, row in zip(values, stored, strict=True):
                assert same(value, row[column.name], column, f), (column, value, row[column.name])
    named = place if f == "parquet" else "wkb_geometry"
    geometries = shapely.from_wkb(found.column(named).to_pylist())
    expected = shapely.from_wkb([row[place] for row in stored])
    assert shapely.equals_identical(geometries, expected).all()
    kind = GEOJSON_TYPES.get(collection.geometry_type)
    kinds = [kind + " Z" * collection.has_z] if kind else []
    srid = collection.crs.srid
    if f == "fgb":
        about = pyogrio.read_info(io.BytesIO(answer.content))
        assert [about["crs"], about["geometry_type"]] == [f"EPSG:{srid}", *(kinds or ["Unknown"])]
        return
    file = pyarrow.parquet.ParquetFile(io.BytesIO(answer.content))
    geo = json.loads(file.metadata.metadata[b"geo"])
    about = geo["columns"][geo["primary_column"]]
    assert (geo["version"], geo["primary_column"], about["encoding"]) == ("1.1.0", place, "WKB")
    assert about["geometry_types"] == kinds
    assert about.get("crs", {"id": {"code": WGS84}})["id"]["code"] == srid
    boxes = found.column(about["covering"]["bbox"]["xmin"][0]).to_pylist()
    assert [tuple(box.values()) for box in boxes] == list(map(tuple, shapely.bounds(expected)))


def test_a_file_holds_a_page_or_nothing(spread: TestClient, any_rows: Rows) -> None:
    rows = any_rows
    wanted = {"bbox": "-170,-80,170,80", "sortby": f"-{rows.key.name}", "limit": 3, "offset": 1}
    page = spread.get(rows.items, params=wanted).json()["features"]
    f = read_back(rows.collection)[-1]
    answer = spread.get(rows.items, params={**wanted, "f": f, "properties": rows.key.name})
    ids = table(answer.content, f).column(rows.key.name).to_pylist()
    assert list(map(rows.text, ids)) == [rows.text(each["id"]) for each in page]
    for f in read_back(rows.collection):
        answer = spread.get(rows.items, params={"f": f, "resultType": "hits"})
        assert answer.headers["OGC-NumberReturned"] == "0"
        assert table(answer.content, f).num_rows == 0


def test_a_format_whose_package_is_missing_is_refused_with_the_reason(
    client: TestClient, any_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        file_formats, "find_spec", lambda name: None if name == "pyarrow" else find_spec(name)
    )
    answer = client.get(any_rows.items, params={"f": "parquet"})
    assert answer.status_code == 406
    assert answer.json()["detail"] == (
        "GeoParquet needs pyarrow, of this project's extra called formats: pip install pyarrow;"
        " ask for f=jsonseq or f=csv instead"
    )
    assert client.head(any_rows.items, params={"f": "fgb"}).status_code == 406


def test_the_headers_of_a_file_start_no_program(
    client: TestClient, any_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_formats, "COMMAND", None)
    for f in MEDIA_TYPES:
        answer = client.head(any_rows.items, params={"f": f})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, MEDIA_TYPES[f])


def test_a_file_has_a_place_or_is_refused_for_now(client: TestClient, any_rows: Rows) -> None:
    places = client.app.state.downloads
    assert places.acquire(blocking=False)
    answer = client.get(any_rows.items, params={"f": "fgb"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "DOWNLOADS" in answer.json()["detail"]
    places.release()
    # The place is given back at the end of each.
    for _ in range(2):
        assert client.get(any_rows.items, params={"f": "fgb", "limit": 1}).status_code == 200
