"""Bulk export: what comes out can be loaded again, in constant memory, as a whole or not at all."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from geotables import geometry
from geotables.collection import Collection
from geotables.crs import WGS84, Bounds
from geotables.db.database import Database
from geotables.db.statements import Condition, together
from geotables.files import export, load, sources
from geotables.files.export import ExportError
from geotables.files.load import Options
from geotables.geometry import samples
from geotables.service import Service
from geotables.sql import bbox, stream

from contract import each, only, writes
from rows import Rows, same_place

EVERY = Condition(sa.true())


def has_flatgeobuf(collection: Collection) -> bool:
    """Whether GDAL can say of the column that it has z."""
    return not collection.has_z or collection.geometry_type != "GEOMETRY"


@pytest.fixture
def transaction(database: Database, rows: Rows) -> Iterator[sa.Connection]:
    """A connection in a transaction, with rows of all kinds."""
    yield from _transaction(database, rows)


@pytest.fixture
def any_transaction(database: Database, any_rows: Rows) -> Iterator[sa.Connection]:
    """The same with rows of the first collection."""
    yield from _transaction(database, any_rows)


def _transaction(database: Database, rows: Rows) -> Iterator[sa.Connection]:
    column = rows.collection.geometry
    lon, lat = samples.middle(column)
    with database.write() as connection:
        shapes = []
        for number in range(12):
            found = samples.geometries(column, (lon + number / 100, lat))
            shapes.append(rows.in_storage(connection, found[number % len(found)]))
        rows.insert(connection, shapes)
    with database.write() as connection:
        connection.execute(sa.text("SET LOCAL TimeZone = 'UTC'"))
        yield connection


def sequence(
    connection: sa.Connection, rows: Rows, chosen: Condition
) -> Generator[bytes, None, None]:
    """Rows as an RFC 8142 sequence of features."""
    return stream.sequence(connection, chosen, feature=stream.exact_feature(rows.collection))


def features(texts: Iterator[bytes]) -> list[dict[str, Any]]:
    """The features of an RFC 8142 sequence."""
    records = b"".join(texts).split(b"\x1e")
    assert records[0] == b""
    assert all(record.endswith(b"}\n") for record in records[1:])
    return [json.loads(record) for record in records[1:]]


def state(
    connection: sa.Connection, rows: Rows, unit: str
) -> list[tuple[list[Any], shapely.Geometry]]:
    """What the rows say that a client may write, and where they are, from west to east."""
    values = [
        sa.func.date_trunc(unit, column) if isinstance(column.type, sa.DateTime) else column
        for column in rows.writable
    ]
    place = sa.func.ST_AsBinary(rows.collection.geometry, type_=sa.LargeBinary())
    found = [
        (texts, shapely.from_wkb(bytes(wkb)))
        for wkb, *texts in connection.execute(
            sa.select(place, *(sa.cast(value, sa.Text()) for value in values))
        )
    ]
    return sorted(found, key=lambda row: row[1].bounds)


def names(collection: Collection) -> Iterator[str]:
    """Names of files, of the formats that hold all that a client may write."""
    yield from ("a.geojson", "a.geojsonl", "a.json", "a.parquet")
    if has_flatgeobuf(collection):
        yield "a.fgb"


@writes
@each("name", names)
def test_what_comes_out_goes_in_again(
    transaction: sa.Connection, rows: Rows, tmp_path: Path, name: str
) -> None:
    kind = export.SUFFIXES.get(Path(name).suffix, "geojsonseq")
    path = tmp_path / name
    # FlatGeobuf has no smaller unit of time.
    unit = "milliseconds" if kind == "flatgeobuf" else "microseconds"
    before = state(transaction, rows, unit)
    export.export(transaction, rows.collection, EVERY, kind, path)
    transaction.execute(sa.delete(rows.table))
    result = load.load(
        transaction,
        rows.collection,
        sources.source(path, rows.collection),
        Options(),
        lambda refusal: None,
        lambda done: None,
    )
    assert (result.loaded, list(result.unknown)) == (len(before), [])
    # GeoJSON has 15 decimals, and is transformed there and back where the table is in another CRS.
    tolerance = (
        0
        if kind in ("flatgeobuf", "geoparquet")
        else 1e-14
        if rows.collection.crs.srid == WGS84
        else 0.01
    )
    for (old, place), (new, placed) in zip(before, state(transaction, rows, unit), strict=True):
        assert new == old
        assert shapely.equals_exact(placed, place, tolerance), (placed, place)


def test_a_sequence_is_of_features(transaction: sa.Connection, rows: Rows) -> None:
    found = features(sequence(transaction, rows, EVERY))
    stored = {
        str(id): shapely.from_wkb(bytes(wkb))
        for id, wkb in transaction.execute(
            sa.select(
                rows.key,
                sa.func.ST_AsBinary(
                    sa.func.ST_Transform(rows.collection.geometry, WGS84), type_=sa.LargeBinary()
                ),
            )
        )
    }
    assert {rows.text(feature["id"]) for feature in found} == stored.keys()
    for feature in found:
        assert feature["type"] == "Feature"
        assert list(feature["properties"]) == rows.feature_names
        shape = geometry.read(feature["geometry"], default_srid=WGS84)
        assert same_place(shape, stored[rows.text(feature["id"])])


def test_a_sequence_comes_in_chunks_from_a_cursor(
    transaction: sa.Connection, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK", 1)
    total = rows.count(transaction)
    cursors = sa.text("SELECT count(*) FROM pg_cursors WHERE NOT is_holdable")
    texts = sequence(transaction, rows, EVERY)
    sizes = [next(texts).count(b"\n")]
    assert transaction.scalar(cursors) == 1
    sizes += [text.count(b"\n") for text in texts]
    assert sizes == [1] * total
    assert transaction.scalar(cursors) == 0
    # Whoever stops reading leaves no cursor.
    texts = sequence(transaction, rows, EVERY)
    next(texts)
    texts.close()
    assert transaction.scalar(cursors) == 0


def test_which_rows_come_out(transaction: sa.Connection, rows: Rows) -> None:
    column, indexed = rows.collection.geometry, Condition(rows.collection.indexed_rows)
    lon, lat = samples.middle(column)
    box = bbox.within(column, Bounds(lon - 1, lat - 1, lon + 1, lat + 1))
    for chosen in (EVERY, indexed, together([indexed, box])):
        ids = transaction.scalars(sa.select(rows.key).where(chosen.expression), chosen.values).all()
        found = features(sequence(transaction, rows, chosen))
        assert {rows.text(feature["id"]) for feature in found} == set(map(str, ids))


def test_a_collection_is_one_json_text(
    transaction: sa.Connection, rows: Rows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stream, "CHUNK", 1)
    path = tmp_path / "a.geojson"
    export.export(transaction, rows.collection, EVERY, "geojson", path)
    assert json.loads(path.read_bytes()) == {
        "type": "FeatureCollection",
        "features": features(sequence(transaction, rows, EVERY)),
    }
    export.export(transaction, rows.collection, Condition(sa.false()), "geojson", path)
    assert json.loads(path.read_bytes()) == {"type": "FeatureCollection", "features": []}


def test_csv_has_the_geometry_as_wkt(
    transaction: sa.Connection, rows: Rows, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    column, box = rows.collection.geometry, Bounds(-180, -90, 180, 90)
    export.export(transaction, rows.collection, bbox.within(column, box), "csv", path)
    found = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    query = sa.select(rows.key, sa.func.ST_AsText(column))
    stored = {str(id): place for id, place in transaction.execute(query)}
    assert {line[rows.key.name]: line[column.name] for line in found} == stored
    assert list(found[0]) == [column.name for column in rows.collection.columns]


def test_a_percent_sign_is_one(transaction: sa.Connection, rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    percent = sa.literal_column("'%' = '%'", sa.Boolean())
    export.export(transaction, rows.collection, Condition(percent), "csv", path)
    assert len(list(csv.reader(io.StringIO(path.read_text(), newline="")))) > 1


@only(lambda c: not has_flatgeobuf(c))
def test_z_is_not_lost_in_silence(transaction: sa.Connection, rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "a.fgb"
    with pytest.raises(ExportError, match="has no z"):
        export.export(transaction, rows.collection, EVERY, "flatgeobuf", path)
    assert not path.exists()


def kinds(collection: Collection) -> Iterator[str]:
    """The formats of one file, that can hold what a collection stores."""
    yield from ("geojson", "geojsonseq", "csv")
    if has_flatgeobuf(collection):
        yield "flatgeobuf"


@each("kind", kinds)
def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    transaction: sa.Connection, rows: Rows, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    broken = sa.literal_column(f"1 / (length({rows.key_sql}::text) * 0) = 1", sa.Boolean())
    with (
        pytest.raises((sa.exc.DBAPIError, ExportError), match="division by zero"),
        transaction.begin_nested(),
    ):
        export.export(transaction, rows.collection, Condition(broken), kind, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with transaction.begin_nested():
        export.export(transaction, rows.collection, EVERY, kind, path)
    assert path.read_bytes() != b"before"
    assert list(tmp_path.iterdir()) == [path]


Command = Callable[..., int]


@pytest.fixture
def command(
    any_transaction: sa.Connection, main: Callable[[list[str]], int], any_collection: Collection
) -> Command:
    """Runs the command ``export``; the exit code."""
    return lambda *arguments: main(["export", "--table", any_collection.name, *arguments])


def test_the_command_writes_a_feature_to_a_line(
    any_transaction: sa.Connection,
    command: Command,
    any_rows: Rows,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def written(*arguments: str) -> list[str]:
        assert command(*arguments) == 0
        lines = capfdbinary.readouterr().out.splitlines()
        return sorted(str(json.loads(line)["id"]) for line in lines)

    def ids(chosen: Condition) -> list[str]:
        query = sa.select(any_rows.key).where(chosen.expression)
        return sorted(map(str, any_transaction.scalars(query, chosen.values)))

    assert written() == ids(Condition(any_rows.collection.indexed_rows))
    assert written("--all") == ids(EVERY)
    box = bbox.within(any_rows.collection.geometry, Bounds(-20.5, 10, 0, 55))
    assert written("--bbox", "-20.5,10,0,55", "--all") == ids(box)


@pytest.mark.parametrize("name", ["rows.csv", "rows.geojsonl", "rows.gpkg"])
def test_the_command_says_how_many_rows_are_in_the_file(
    any_transaction: sa.Connection,
    command: Command,
    any_rows: Rows,
    name: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    assert command("--all", str(file)) == 0
    number = any_rows.count(any_transaction)
    assert capfd.readouterr() == ("", f"{number} rows exported to {file}\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--bbox", "1,2,3"], "not a box west,south,east,north in degrees: it has 3 numbers"),
        (["--format", "gml"], "invalid choice: 'gml'"),
        (["missing/a.geojson"], "No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: Command, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = command(*arguments)
    except SystemExit as exit:
        code = exit.code
    assert code
    assert reason in capsys.readouterr().err


@pytest.mark.process
def test_a_reader_may_have_enough(
    any_transaction: sa.Connection, service: Service, any_collection: Collection
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    module = [sys.executable, "-m", service.package, "export", "--table", any_collection.name]
    process = subprocess.run(
        [*module, "--all"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")
