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
import rows
import shapely
import sqlalchemy as sa
from rows import COLLECTION, EVERY_ROW, GEOMETRY, INDEXED_ROWS, STORAGE, TABLE, WRITABLE

from geotables import geometry
from geotables.crs import WGS84, Bounds
from geotables.db.database import Database
from geotables.db.statements import Condition, together
from geotables.files import export, load, sources
from geotables.files.export import ExportError
from geotables.files.load import Options
from geotables.geometry import metadata, samples
from geotables.sql import bbox, stream

EVERY, INDEXED = Condition(EVERY_ROW), Condition(INDEXED_ROWS)

#: Whether GDAL can say of the column that it has z.
FLATGEOBUF = metadata.dimension(GEOMETRY) == 2 or metadata.geometry_type(GEOMETRY) != "GEOMETRY"


@pytest.fixture
def transaction(database: Database) -> Iterator[sa.Connection]:
    """A connection in a transaction, with rows of all kinds."""
    lon, lat = samples.middle(GEOMETRY)
    with database.write() as connection:
        shapes = []
        for number in range(12):
            found = samples.geometries(GEOMETRY, (lon + number / 100, lat))
            shape = geometry.bind(found[number % len(found)], STORAGE.srid)
            wkb = connection.scalar(sa.select(sa.func.ST_AsBinary(shape, type_=sa.LargeBinary())))
            shapes.append(shapely.from_wkb(bytes(wkb)))
        rows.insert(connection, shapes)
    with database.write() as connection:
        connection.execute(sa.text("SET LOCAL TimeZone = 'UTC'"))
        yield connection


def sequence(connection: sa.Connection, chosen: Condition) -> Generator[bytes, None, None]:
    """Rows as an RFC 8142 sequence of features."""
    return stream.sequence(connection, chosen, feature=stream.exact_feature(COLLECTION))


def features(texts: Iterator[bytes]) -> list[dict[str, Any]]:
    """The features of an RFC 8142 sequence."""
    records = b"".join(texts).split(b"\x1e")
    assert records[0] == b""
    assert all(record.endswith(b"}\n") for record in records[1:])
    return [json.loads(record) for record in records[1:]]


def state(
    connection: sa.Connection, unit: str = "microseconds"
) -> list[tuple[list[Any], shapely.Geometry]]:
    """What the rows say that a client may write, and where they are, from west to east."""
    values = [
        sa.func.date_trunc(unit, column) if isinstance(column.type, sa.DateTime) else column
        for column in WRITABLE
    ]
    place = sa.func.ST_AsBinary(GEOMETRY, type_=sa.LargeBinary())
    found = [
        (texts, shapely.from_wkb(bytes(wkb)))
        for wkb, *texts in connection.execute(
            sa.select(place, *(sa.cast(each, sa.Text()) for each in values))
        )
    ]
    return sorted(found, key=lambda each: each[1].bounds)


@pytest.mark.parametrize("name", ["a.geojson", "a.geojsonl", "a.json", *["a.fgb"] * FLATGEOBUF])
def test_what_comes_out_goes_in_again(
    transaction: sa.Connection, tmp_path: Path, name: str
) -> None:
    kind = export.SUFFIXES.get(Path(name).suffix, "geojsonseq")
    path = tmp_path / name
    # FlatGeobuf has no smaller unit of time.
    unit = "milliseconds" if kind == "flatgeobuf" else "microseconds"
    before = state(transaction, unit)
    export.export(transaction, COLLECTION, EVERY, kind, path)
    transaction.execute(sa.delete(TABLE))
    result = load.load(
        transaction,
        COLLECTION,
        sources.source(path, COLLECTION),
        Options(),
        lambda refusal: None,
        lambda done: None,
    )
    assert (result.loaded, list(result.unknown)) == (len(before), [])
    # GeoJSON has 15 decimals, and is transformed there and back where the table is in another CRS.
    tolerance = 0 if kind == "flatgeobuf" else 1e-14 if STORAGE.srid == WGS84 else 0.01
    for (old, place), (new, placed) in zip(before, state(transaction, unit), strict=True):
        assert new == old
        assert shapely.equals_exact(placed, place, tolerance), (placed, place)


def test_a_sequence_is_of_features(transaction: sa.Connection) -> None:
    found = features(sequence(transaction, EVERY))
    stored = {
        str(row.id): shapely.from_wkb(bytes(row.place))
        for row in transaction.execute(
            sa.select(
                TABLE.c.id,
                sa.func.ST_AsBinary(
                    sa.func.ST_Transform(GEOMETRY, WGS84), type_=sa.LargeBinary()
                ).label("place"),
            )
        )
    }
    assert {str(each["id"]) for each in found} == stored.keys()
    for each in found:
        assert each["type"] == "Feature"
        assert each["properties"].keys() == {*TABLE.columns.keys()} - {GEOMETRY.name, "id"}
        shape = geometry.read(each["geometry"], default_srid=WGS84)
        assert rows.same_place(shape, stored[str(each["id"])])


def test_a_sequence_comes_in_chunks_from_a_cursor(
    transaction: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK", 1)
    total = rows.count(transaction)
    cursors = sa.text("SELECT count(*) FROM pg_cursors WHERE NOT is_holdable")
    texts = sequence(transaction, EVERY)
    sizes = [next(texts).count(b"\n")]
    assert transaction.scalar(cursors) == 1
    sizes += [text.count(b"\n") for text in texts]
    assert sizes == [1] * total
    assert transaction.scalar(cursors) == 0
    # Whoever stops reading leaves no cursor.
    texts = sequence(transaction, EVERY)
    next(texts)
    texts.close()
    assert transaction.scalar(cursors) == 0


def test_which_rows_come_out(transaction: sa.Connection) -> None:
    lon, lat = samples.middle(GEOMETRY)
    for chosen in (
        EVERY,
        INDEXED,
        together([INDEXED, bbox.within(GEOMETRY, Bounds(lon - 1, lat - 1, lon + 1, lat + 1))]),
    ):
        ids = transaction.scalars(
            sa.select(TABLE.c.id).where(chosen.expression), chosen.values
        ).all()
        found = features(sequence(transaction, chosen))
        assert {str(each["id"]) for each in found} == set(map(str, ids))


def test_a_collection_is_one_json_text(
    transaction: sa.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stream, "CHUNK", 1)
    path = tmp_path / "a.geojson"
    export.export(transaction, COLLECTION, EVERY, "geojson", path)
    assert json.loads(path.read_bytes()) == {
        "type": "FeatureCollection",
        "features": features(sequence(transaction, EVERY)),
    }
    export.export(transaction, COLLECTION, Condition(sa.false()), "geojson", path)
    assert json.loads(path.read_bytes()) == {"type": "FeatureCollection", "features": []}


def test_csv_has_the_geometry_as_wkt(transaction: sa.Connection, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    box = Bounds(-180, -90, 180, 90)
    export.export(transaction, COLLECTION, bbox.within(GEOMETRY, box), "csv", path)
    found = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    stored = {
        str(row.id): row
        for row in transaction.execute(
            sa.select(TABLE.c.id, sa.func.ST_AsText(GEOMETRY).label("place"))
        )
    }
    assert {each["id"]: each[GEOMETRY.name] for each in found} == {
        id: row.place for id, row in stored.items()
    }
    assert list(found[0]) == TABLE.columns.keys()


def test_a_percent_sign_is_one(transaction: sa.Connection, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    percent = sa.literal_column("'%' = '%'", sa.Boolean())
    export.export(transaction, COLLECTION, Condition(percent), "csv", path)
    assert len(list(csv.reader(io.StringIO(path.read_text(), newline="")))) > 1


def test_z_is_not_lost_in_silence(transaction: sa.Connection, tmp_path: Path) -> None:
    path = tmp_path / "a.fgb"
    if FLATGEOBUF:
        export.export(transaction, COLLECTION, EVERY, "flatgeobuf", path)
        assert path.exists()
    else:
        with pytest.raises(ExportError, match="has no z"):
            export.export(transaction, COLLECTION, EVERY, "flatgeobuf", path)
        assert not path.exists()


@pytest.mark.parametrize("kind", ["geojson", "geojsonseq", "csv", *["flatgeobuf"] * FLATGEOBUF])
def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    transaction: sa.Connection, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    broken = sa.literal_column(f"1 / (length({TABLE.name}::text) * 0) = 1", sa.Boolean())
    with (
        pytest.raises((sa.exc.DBAPIError, ExportError), match="division by zero"),
        transaction.begin_nested(),
    ):
        export.export(transaction, COLLECTION, Condition(broken), kind, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with transaction.begin_nested():
        export.export(transaction, COLLECTION, EVERY, kind, path)
    assert path.read_bytes() != b"before"
    assert list(tmp_path.iterdir()) == [path]


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", rows.PACKAGE, "export", *map(str, arguments)],
        capture_output="stdout" not in options,
        env={**os.environ, "PYTHONPATH": str(rows.SOURCES)},
        check=False,
        **options,
    )


@pytest.fixture
def written(transaction: sa.Connection, tmp_path: Path) -> Callable[..., list[Any]]:
    """The ids of the features that a run of the command writes."""

    def written(*arguments: object) -> list[Any]:
        process = command(*arguments, cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        return sorted(str(json.loads(line)["id"]) for line in process.stdout.splitlines())

    return written


@pytest.mark.process
def test_the_command_writes_a_feature_to_a_line(
    transaction: sa.Connection, written: Callable[..., list[Any]]
) -> None:
    def ids(chosen: Condition) -> list[str]:
        query = sa.select(TABLE.c.id).where(chosen.expression)
        return sorted(map(str, transaction.scalars(query, chosen.values)))

    assert written() == ids(INDEXED)
    assert written("--all") == ids(EVERY)
    box = bbox.within(GEOMETRY, Bounds(-20.5, 10, 0, 55))
    assert written("--bbox", "-20.5,10,0,55", "--all") == ids(box)


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--bbox", "1,2,3"], b"not a box west,south,east,north in degrees: it has 3 numbers"),
        (["--format", "gml"], b"invalid choice: 'gml'"),
        (["missing/a.geojson"], b"No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said(
    written: Callable[..., list[Any]], tmp_path: Path, arguments: list[str], reason: bytes
) -> None:
    process = command(*arguments, cwd=tmp_path)
    assert process.returncode
    assert reason in process.stderr
    assert b"Traceback" not in process.stderr


@pytest.mark.process
def test_a_reader_may_have_enough(written: Callable[..., list[Any]], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = command("--all", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")
