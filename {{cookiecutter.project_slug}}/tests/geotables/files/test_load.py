"""Bulk loading: every format in, all or nothing, each refusal with its reason."""

import datetime
import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from geotables import geometry
from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.statements import execute
from geotables.files import copying, load, sources
from geotables.files.load import Options, Result
from geotables.files.refusals import LoadError, Refusal, Rejects
from geotables.files.sources import OpenOptions, SourceError, gdal, geojson, streams
from geotables.geometry import arrays, samples
from geotables.service import Service
from geotables.sql.row_formats import Record

from contract import always_has_a_place, each, only, writes
from rows import Rows, as_json, same_place

pytestmark = writes

Feature = dict[str, Any]
Column = sa.Column[Any]
Write = Callable[[str], Path]


def feature(rows: Rows, number: int = 1, /, **properties: Any) -> Feature:
    """A feature that says all that a row can have; those of other numbers differ where they must."""
    column = rows.collection.geometry
    lon, lat = samples.middle(column)
    shapes = samples.geometries(column, (lon + number / 100, lat))
    body = rows.full_body(number) | properties
    del body[column.name]
    shape = as_json(shapes[number % len(shapes)])
    return {"type": "Feature", "id": number, "geometry": shape, "properties": body}


def features(rows: Rows, most: int = 7) -> list[Feature]:
    """Features of different numbers, as many as the unique columns tell apart."""
    found: list[Feature] = []
    for number in range(most):
        made = feature(rows, number)
        if not any(
            made["properties"][name] == other["properties"][name]
            for other in found
            for name in rows.unique & made["properties"].keys()
        ):
            found.append(made)
    return found


def columns(of: Callable[[Collection], Iterable[Column]]) -> pytest.MarkDecorator:
    """Run a test for each of some columns of a collection."""
    return each("column", of, id=lambda column: column.name)


def writable(collection: Collection) -> list[Column]:
    return Rows.of(collection).writable


def keys(collection: Collection) -> list[str]:
    """The attributes that are unique by themselves."""
    alone = [
        [column.name for column in constraint.columns]
        for constraint in collection.table.constraints
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    ]
    return [column.name for column in writable(collection) if [column.name] in alone]


def part(collection: Collection) -> str:
    """What a MULTI… has parts of; of another type, the type."""
    return collection.geometry_type.removeprefix("MULTI")


def feature_collection(found: list[Feature], **members: Any) -> str:
    return json.dumps({"type": "FeatureCollection", **members, "features": found})


def lines(found: list[Feature]) -> str:
    return "\n".join(map(json.dumps, found))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of features."""

    def write(text: str) -> Path:
        path = tmp_path / "features.json"
        path.write_bytes(text.encode(errors="surrogatepass"))
        return path

    return write


class Loaded:
    """Loads files, and keeps what is refused."""

    def __init__(self, database: Database, collection: Collection) -> None:
        self._database, self._collection = database, collection
        self.refusals: list[Refusal] = []

    def __call__(self, source: Path | sources.Source, **options: Any) -> Result:
        self.refusals = []
        if isinstance(source, Path):
            names = {"srid", "layer"} & options.keys()
            how = OpenOptions(**{name: options.pop(name) for name in names})
            source = sources.source(source, self._collection, how)
        with self._database.write() as connection:
            return load.load(
                connection,
                self._collection,
                source,
                Options(**options),
                self.refusals.append,
                lambda done: None,
            )

    @property
    def reasons(self) -> list[str]:
        return [f"{refusal.position}: {refusal.reason}" for refusal in self.refusals]


@pytest.fixture
def loaded(database: Database, collection: Collection) -> Loaded:
    return Loaded(database, collection)


def stored(rows: Rows, connection: sa.Connection) -> list[Feature]:
    """The rows as features, from west to east, as ``features`` has them."""
    column = rows.collection.geometry
    record = Record(rows.collection, geometry.GeoJSON(column))
    found = []
    for row in connection.execute(sa.select(*record.columns)):
        members = as_json(record.encode_one(row))
        shape = members.pop(column.name)
        found.append({"geometry": shape, "properties": members})
    return sorted(found, key=lambda feature: place(feature).bounds)


def same(rows: Rows, found: list[Feature], given: list[Feature]) -> bool:
    """Whether features are the same in all that a client says of a row."""
    return len(found) == len(given) and all(
        same_place(place(one), place(other))
        and all(value(rows, column, one) == value(rows, column, other) for column in rows.writable)
        for one, other in zip(found, given, strict=True)
    )


def place(feature: Feature) -> shapely.Geometry:
    """Where a feature is: rings may begin anywhere."""
    return shapely.normalize(geometry.read(feature["geometry"], default_srid=WGS84))


def value(rows: Rows, column: Column, feature: Feature) -> Any:
    """An attribute of a feature: there are many ways to write a time or a number."""
    adapter = _adapter(rows.collection, column.name)
    return adapter.validate_python(feature["properties"][column.name])


@functools.cache
def _adapter(collection: Collection, name: str) -> TypeAdapter[Any]:
    """What an attribute may be."""
    rule: Any = collection.written[name].annotation
    return TypeAdapter(rule)


# Formats

SEQUENCES: dict[str, Callable[[list[Feature]], str]] = {
    "collection": feature_collection,
    "indented collection": lambda found: json.dumps(
        {"bbox": [0, 1.5], "type": "FeatureCollection", "name": "a ] [", "features": found},
        indent=2,
    ),
    "members after the features": lambda found: json.dumps(
        {"features": found, "type": "FeatureCollection", "crs": None}
    ),
    "byte order mark": lambda found: "\ufeff" + feature_collection(found),
    "byte order mark and lines": lambda found: "\ufeff" + lines(found),
    "lines": lines,
    "blank lines": lambda found: lines(found).replace("\n", "\r\n\r\n") + "\n",
    "RFC 8142": lambda found: "".join(f"\x1e{json.dumps(one, indent=1)}\n" for one in found),
    "one after the other": lambda found: "\n".join(json.dumps(one, indent=1) for one in found),
}


@pytest.mark.parametrize("chunk", [3, streams.CHUNK], ids=["tiny reads", "large reads"])
@pytest.mark.parametrize("encode", SEQUENCES.values(), ids=SEQUENCES)
def test_geojson_comes_in_whatever_its_form(
    loaded: Loaded,
    connection: sa.Connection,
    rows: Rows,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    encode: Callable[[list[Feature]], str],
    chunk: int,
) -> None:
    monkeypatch.setattr(streams, "CHUNK", chunk)
    given = features(rows)
    result = loaded(write(encode(given)))
    assert (result.loaded, result.refused, list(result.unknown)) == (len(given), 0, [])
    assert same(rows, stored(rows, connection), given)


@pytest.mark.parametrize("text", ["", " \n", feature_collection([])])
def test_an_empty_file_is_no_success(loaded: Loaded, write: Write, text: str) -> None:
    with pytest.raises(LoadError, match="nothing was loaded: the file has no features"):
        loaded(write(text))


#: The endings of the names of files, by GDAL's drivers.
DRIVERS = {"GPKG": "gpkg", "FlatGeobuf": "fgb", "ESRI Shapefile": "shp"}


def drivers(collection: Collection) -> Iterator[str]:
    """The drivers that can write what a collection stores."""
    kind = collection.geometry_type
    yield "GPKG"
    # GDAL has no type in it for geometries of any kind with z, which would be lost.
    if kind != "GEOMETRY" or not collection.has_z:
        yield "FlatGeobuf"
    if kind in arrays.JOIN or kind.startswith("MULTI"):
        yield "ESRI Shapefile"


def written(rows: Rows, path: Path, driver: str, given: list[Feature], **options: Any) -> Path:
    """A file that GDAL writes, in WGS 84 unless it is said otherwise."""
    shapes = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in given]
    columns = {
        column.name: [feature["properties"][column.name] for feature in given]
        for column in rows.writable
    }
    plain = (str, int, float, bool)
    fields = [
        np.array(
            values
            if all(isinstance(value, plain) for value in values)
            else [*map(json.dumps, values)],
            dtype=object if isinstance(values[0], str | dict) else None,
        )
        for values in columns.values()
    ]
    names = [name[:10] if driver == "ESRI Shapefile" else name for name in columns]
    kind = geometry.GEOJSON_TYPES.get(rows.collection.geometry_type, "Unknown")
    if rows.collection.has_z and kind != "Unknown":
        kind += " Z"
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapes),
        fields,
        names,
        driver=driver,
        geometry_type=kind,
        **{"crs": "EPSG:4326"} | options,
    )
    return path


@each("driver", drivers)
def test_what_gdal_reads_comes_in(
    loaded: Loaded, connection: sa.Connection, rows: Rows, tmp_path: Path, driver: str
) -> None:
    given = features(rows, 2)
    path = written(rows, tmp_path / f"features.{DRIVERS[driver]}", driver, given)
    shortened = driver == "ESRI Shapefile"
    # GDAL names the fields of a Shapefile itself where it cannot have the name.
    names = [column.name for column in rows.writable if re.fullmatch(r"\w+", column.name)]
    renamed = {name[:10]: name for name in names} if shortened else {}
    assert loaded(path, renamed=renamed).loaded == len(given), loaded.reasons
    assert same(rows, stored(rows, connection), given)


def test_a_layer_has_to_be_said_where_there_are_several(
    loaded: Loaded, rows: Rows, tmp_path: Path
) -> None:
    path = tmp_path / "features.gpkg"
    given = features(rows, 2)
    for layer in ("one", "other"):
        written(rows, path, "GPKG", given, layer=layer, append=layer == "other")
    with pytest.raises(SourceError, match="the layers one, other: say which one with --layer"):
        loaded(path)
    assert loaded(path, layer="other").loaded == len(given)


def test_a_file_without_geometries_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_text("name\none\n")
    with pytest.raises(SourceError, match=r"features\.csv has no geometries"):
        loaded(path)


def test_formats_need_their_packages(
    loaded: Loaded, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(rows, tmp_path / "features.gpkg", "GPKG", features(rows, 1))
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(SourceError, match="install this project with its extra, formats"):
        loaded(path)


def test_a_file_that_is_not_there_is_named(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*missing\.gpkg"):
        loaded(tmp_path / "missing.gpkg")


def test_geojson_has_no_layers(loaded: Loaded, rows: Rows, write: Write) -> None:
    with pytest.raises(SourceError, match="is GeoJSON, which has no layers"):
        loaded(write(lines(features(rows))), layer="one")


def test_a_time_without_an_offset_is_utc_in_what_gdal_reads() -> None:
    times = ["2020-01-02T03:04:05.678Z", "2020-01-02T03:04:05+02:00", "2020-01-02"]
    assert [gdal.with_offset(time) for time in times] == times
    assert gdal.with_offset("2020-01-02T03:04:05") == "2020-01-02T03:04:05Z"


@pytest.mark.parametrize("encode", [feature_collection, lines], ids=["collection", "lines"])
def test_large_features_come_in_small_batches(
    rows: Rows,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    encode: Callable[[list[Feature]], str],
) -> None:
    given = [feature(rows)] * 10
    path = write(encode(given))

    def positions() -> list[list[int]]:
        return [batch.positions for batch in sources.source(path, rows.collection).batches()]

    assert positions() == [[*range(1, 11)]]
    monkeypatch.setattr(streams, "CHUNK", int(2.5 * len(json.dumps(given[0]))))
    assert positions() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10]]
    monkeypatch.setattr(geojson, "BATCH", 2)
    assert positions()[:2] == [[1, 2], [3, 4]]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_crs_is_never_guessed(loaded: Loaded, rows: Rows, tmp_path: Path) -> None:
    path = written(rows, tmp_path / "features.gpkg", "GPKG", features(rows, 2), crs=None)
    with pytest.raises(SourceError, match="it has no CRS; say which with --source-crs EPSG:n"):
        loaded(path)
    assert loaded(path, srid=WGS84).loaded


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x00\x01\x02", "not recognized"),
        (b"[1, 2]", "not recognized"),
        (b'{"type": "Point"}', "a FeatureCollection or a Feature is expected, this is Point"),
        (b'{"type": "FeatureCollection", "features": [{"type": "Feat', "Unterminated string"),
        (b'{"type": "FeatureCollection", "features": [1 2]}', ", or ] expected, not '2]}'"),
        (
            b'{"type": "FeatureCollection",\n"features": [{},]}',
            "a comma before ], after which nothing comes (feature 2, line 2, byte 47)",
        ),
        (
            b'{"type": "FeatureCollection",\n"name": "\xff"}',
            "is not UTF-8, as JSON must be: invalid start byte, line 2, byte 40",
        ),
    ],
)
def test_a_file_that_is_broken_is_named(
    loaded: Loaded, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        loaded(path, skip_invalid=True)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


# Coordinates


def elsewhere(connection: sa.Connection, given: list[Feature], srid: int) -> list[Feature]:
    """Features with their coordinates in another CRS, as PostGIS transforms them."""
    placed = []
    for feature in given:
        shape = geometry.read(feature["geometry"], default_srid=WGS84)
        moved = sa.func.ST_AsGeoJSON(geometry.bind(shape, srid), 15, 0)
        placed.append(feature | {"geometry": json.loads(connection.scalar(sa.select(moved)))})
    return placed


@each("srid", lambda c: sorted({3857, c.crs.srid}))
def test_a_file_may_be_in_any_crs(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, srid: int
) -> None:
    given = features(rows)
    name = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{srid}"}}
    members = {"crs": name} if srid != WGS84 else {}
    path = write(feature_collection(elsewhere(connection, given, srid), **members))
    assert loaded(path).loaded == len(given), loaded.reasons
    assert same(rows, stored(rows, connection), given)


def test_a_crs_that_is_said_counts_more_than_the_file(
    loaded: Loaded,
    connection: sa.Connection,
    rows: Rows,
    write: Write,
) -> None:
    given = features(rows)
    moved = elsewhere(connection, given, 3857)
    for encode in (lines, feature_collection):
        assert loaded(write(encode(moved)), srid=3857).loaded == len(given)
        assert same(rows, stored(rows, connection), given)
        connection.execute(sa.delete(rows.table))


def test_a_crs_after_the_features_is_too_late(loaded: Loaded, rows: Rows, write: Write) -> None:
    name = {"type": "name", "properties": {"name": "EPSG:3857"}}
    text = json.dumps({"type": "FeatureCollection", "features": features(rows), "crs": name})
    with pytest.raises(SourceError, match='move the member "crs" before them'):
        loaded(write(text))


def test_places_that_the_table_does_not_have_are_refused(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write
) -> None:
    far = feature(rows, 0)
    shape = shapely.transform(
        shapely.from_geojson(json.dumps(far["geometry"])),
        lambda position: position + 1e9,
        include_z=rows.collection.has_z,
    )
    text = lines([far | {"geometry": as_json(shape)}, *features(rows)[1:]])
    with pytest.raises(LoadError):
        loaded(write(text))
    assert "out of range" in loaded.reasons[0]
    with pytest.raises(LoadError):
        loaded(write(text), srid=3857)
    crs = rows.collection.crs
    assert loaded.reasons[0] == (
        f"1: a place outside of {crs}"
        if crs.srid != 3857
        else f"1: coordinates out of range: those of {crs} are {crs.extent}"
    )
    assert rows.count(connection) == 0


@pytest.mark.parametrize(
    ("name", "srid"),
    [
        ("EPSG:27700", 27700),
        ("epsg:4326", 4326),
        ("2263", 2263),
        ("urn:ogc:def:crs:EPSG::3857", 3857),
        ("urn:ogc:def:crs:EPSG:9.8:3857", 3857),
        ("http://www.opengis.net/def/crs/EPSG/0/25832", 25832),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
        ("OGC:CRS84", 4326),
        ('GEOGCS["WGS 84 (CRS84)",AUTHORITY["OGC","CRS84"]]', 4326),
    ],
)
def test_crs_names(name: str, srid: int) -> None:
    assert sources.srid_of(name) == srid


@pytest.mark.parametrize("name", ["", "WGS 84", "ESRI:102100", "EPSG:", "EPSG:27700x", "-1"])
def test_names_that_are_of_no_crs(name: str) -> None:
    with pytest.raises(ValueError, match="is no CRS of the EPSG, like EPSG:27700"):
        sources.srid_of(name)


def test_an_unknown_crs_is_refused(loaded: Loaded, rows: Rows, write: Write) -> None:
    with pytest.raises(LoadError, match="EPSG:999999 is no CRS that PostGIS knows"):
        loaded(write(lines(features(rows))), srid=999999)


@only(lambda c: part(c) in arrays.JOIN)
def test_a_part_stands_for_a_whole_and_a_whole_for_its_one_part(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write
) -> None:
    given, join = feature(rows), arrays.JOIN[part(rows.collection)]
    shape = shapely.from_geojson(json.dumps(given["geometry"]))
    is_whole = rows.collection.geometry_type.startswith("MULTI")
    other = shapely.get_geometry(shape, 0) if is_whole else join([shape])
    loaded(write(lines([given | {"geometry": as_json(other)}])))
    [row] = stored(rows, connection)
    wanted = join([other]) if is_whole else shape
    assert same_place(shapely.from_geojson(json.dumps(row["geometry"])), wanted)


def test_z_is_dropped_only_when_asked(loaded: Loaded, rows: Rows, write: Write) -> None:
    shape = shapely.from_geojson(json.dumps(feature(rows)["geometry"]))
    other = shapely.force_2d(shape) if rows.collection.has_z else shapely.force_3d(shape, 5.0)
    path = write(lines([feature(rows) | {"geometry": as_json(other)}]))
    with pytest.raises(LoadError):
        loaded(path)
    hint = "" if rows.collection.has_z else " (--force-2d drops the others)"
    axes = "x, y and z" if rows.collection.has_z else "x and y"
    assert loaded.reasons == [
        f"1: coordinates of another dimension: the column stores {axes}{hint}"
    ]
    if not rows.collection.has_z:
        assert loaded(path, force_2d=True).loaded == 1


ODD = [
    "POINT (0 0)",
    "POINT EMPTY",
    "POINT Z (0 0 1)",
    "POINT (NaN 1)",
    "POINT Z (0 0 NaN)",
    "POINT (200 0)",
    "POINT (0 -91)",
    "LINESTRING (0 0, 0 0)",
    "LINESTRING (0 0, 1 1)",
    "LINESTRING Z (0 0 1, 1 1 1)",
    "LINESTRING M (0 0 1, 1 1 1)",
    "LINESTRING (0 0, Infinity 1)",
    "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))",
    "POLYGON ((0 0, 1 1, 1 0, 0 0))",
    "POLYGON Z ((0 0 1, 1 1 1, 1 0 1, 0 0 1))",
    "POLYGON EMPTY",
    "MULTIPOINT (0 0, 1 1)",
    "MULTIPOINT ((0 0), EMPTY)",
    "MULTIPOINT EMPTY",
    "MULTILINESTRING ((0 0, 1 1), EMPTY)",
    "MULTILINESTRING ((0 0, 1 1), (179 0, 181 0))",
    "MULTIPOLYGON (((0 0, 1 1, 1 0, 0 0)), ((0 0, 2 2, 2 0, 0 0)))",
    "MULTIPOLYGON (((0 0, 1 1, 1 0, 0 0)))",
    "GEOMETRYCOLLECTION (POINT (0 0), POINT Z (0 0 1))",
    "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING EMPTY)",
    "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (0 0, 1 1))",
    "GEOMETRYCOLLECTION EMPTY",
    "GEOMETRYCOLLECTION (GEOMETRYCOLLECTION (POINT (0 0)))",
    "GEOMETRYCOLLECTION (POINT (0 0), GEOMETRYCOLLECTION (POINT (0 0), POINT (1 1)))",
    "GEOMETRYCOLLECTION (MULTIPOINT ((0 0), EMPTY))",
    "GEOMETRYCOLLECTION (POINT (0 0), MULTILINESTRING ((0 0, 1 1), EMPTY))",
]


@each("srid", lambda c: sorted({WGS84, c.crs.srid, 3857}))
def test_all_at_once_are_judged_as_one_by_one(rows: Rows, srid: int) -> None:
    column = rows.collection.geometry
    lon, lat = samples.middle(column)
    shapes = [
        *shapely.from_wkt(ODD),
        *shapely.transform(shapely.from_wkt(ODD), lambda xy: xy / 100 + (lon, lat)),
        *rows.samples,
        *rows.spread(20),
    ]
    found = dict(arrays.problems(np.array([None, *shapes]), column, srid))
    assert found.pop(0, None) == (None if column.nullable else "no geometry")
    for index, shape in enumerate(shapes, 1):
        try:
            geometry.verify(shapely.set_srid(shape, srid), column)
        except ValueError as error:
            assert found.pop(index).startswith(str(error)), shape
    assert not found


SHAPES = [
    {"type": "Point", "coordinates": [1, 2]},
    {"type": "Point", "coordinates": [1.5, 2, 3]},
    {"type": "Point", "coordinates": []},
    {"type": "Point", "coordinates": ["1", "2"]},
    {"type": "Point", "coordinates": [True, 2.5]},
    {"type": "Point", "coordinates": [10**400, 2]},
    {"type": "Point", "coordinates": {"x": 1, "y": 2}},
    {"type": "Point", "coordinates": [1]},
    {"type": "Point", "coordinates": None},
    {"type": "Point"},
    {"type": "LineString", "coordinates": [[1, 2], [3, 4], [5, 6]]},
    {"type": "LineString", "coordinates": [[1, 2], [3, False]]},
    {"type": "LineString", "coordinates": [[1, 2]]},
    {"type": "LineString", "coordinates": []},
    {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]},
    {
        "type": "Polygon",
        "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]], [[2, 1], [3, 1], [3, 2], [2, 1]]],
    },
    {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 1]]]},
    {"type": "Polygon", "coordinates": []},
    {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
    {"type": "MultiPoint", "coordinates": []},
    {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
    {
        "type": "MultiPolygon",
        "coordinates": [
            [[[0, 0], [9, 0], [9, 9], [0, 0]], [[2, 1], [3, 1], [3, 2], [2, 1]]],
            [[[20, 0], [29, 0], [29, 9], [20, 0]]],
        ],
    },
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]},
    {"type": "GeometryCollection", "geometries": []},
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}},
    {"type": ["Point"], "coordinates": [1, 2]},
    {"coordinates": [1, 2]},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_at_once_are_read_as_one_by_one(shape: dict[str, Any]) -> None:
    try:
        wanted = shapely.set_srid(geometry.read(shape, default_srid=WGS84), 0)
    except ValueError:
        wanted = None
    # Beside others of its type: those take the quick way if they can.
    for beside in ([], [other for other in SHAPES if other.get("type") == shape.get("type")]):
        found = arrays.read([*beside, None, shape])[-2:]
        assert found[0] is None
        assert found[1] == wanted if wanted is not None else found[1] is None
        if wanted is not None:
            assert shapely.equals_identical(shapely.set_srid(found[1], 0), wanted)


# Refusals


def broken(collection: Collection) -> dict[str, tuple[Any, str]]:
    """Features that no table takes, or not this one, and the reasons."""
    rows = Rows.of(collection)
    found: dict[str, tuple[Any, str]] = {
        "another type": (
            feature(rows) | {"geometry": {"type": "Curve", "coordinates": []}},
            "the type of a GeoJSON geometry is one of",
        ),
        "malformed": (
            feature(rows) | {"geometry": {"type": "Point", "coordinates": [1]}},
            "malformed GeoJSON geometry",
        ),
        "geometry": (feature(rows) | {"geometry": 1}, "geometry is not an object"),
        "properties": (feature(rows) | {"properties": [1]}, "properties are not an object"),
        "no feature": ({"type": "Point", "coordinates": [1, 2]}, "not a GeoJSON Feature"),
        "no object": (["Feature"], "not a GeoJSON Feature"),
    }
    for column in rows.writable:
        name, kind = column.name, column.type
        if name in rows.required:
            reason = f"{name}: a value is required"
            found[f"{name} null"] = (feature(rows, **{name: None}), reason)
            left_out = feature(rows)
            del left_out["properties"][name]
            found[f"{name} left out"] = (left_out, reason)
        wrong: Any = {"no": "such"} if not isinstance(kind, sa.JSON) else {"NUL": "\0"}
        found[f"{name} wrong"] = (feature(rows, **{name: wrong}), f"{name}: ")
        if isinstance(kind, sa.String):
            found[f"{name} NUL"] = (feature(rows, **{name: "\0"}), f"{name}: ")
            if kind.length:
                reason = f"{name}: String should have at most {kind.length} character"
                found[f"{name} long"] = (feature(rows, **{name: "x" * (kind.length + 1)}), reason)
        if isinstance(kind, sa.Integer):
            found[f"{name} large"] = (feature(rows, **{name: 2**63}), f"{name}: ")
    return found


@each("wrong", broken)
def test_what_is_refused_is_reported_and_nothing_loaded(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, wrong: tuple[Any, str]
) -> None:
    refused, reason = wrong
    good = [other for other in features(rows) if other["id"] != 1][:2]
    path = write(lines([good[0], refused, *good[1:]]))
    with pytest.raises(LoadError, match="nothing was loaded: 1 features are refused"):
        loaded(path)
    [refusal] = loaded.refusals
    assert (refusal.position, reason in refusal.reason) == (2, True), refusal.reason
    assert rows.count(connection) == 0
    result = loaded(path, skip_invalid=True)
    assert (result.loaded, result.refused) == (len(good), 1)
    assert same(rows, stored(rows, connection), good)


def test_a_line_that_is_no_json_is_refused(loaded: Loaded, rows: Rows, write: Write) -> None:
    given = features(rows, 2)
    result = loaded(write(lines(given) + "\n{no JSON}\n"), skip_invalid=True)
    assert result.loaded == len(given)
    assert loaded.reasons[0].startswith(f"{len(given) + 1}: not JSON: ")


@only(always_has_a_place)
def test_all_reasons_are_given_at_once(loaded: Loaded, rows: Rows, write: Write) -> None:
    with pytest.raises(LoadError, match="2 features are refused"):
        loaded(write(lines([feature(rows) | {"geometry": None}] * 2)))
    assert loaded.reasons == ["1: no geometry", "2: no geometry"]


@only(always_has_a_place)
def test_rejects_can_be_loaded_once_they_are_mended(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, tmp_path: Path
) -> None:
    shape = feature(rows)["geometry"]
    path = write(lines([feature(rows, 0) | {"geometry": None}, feature(rows, 1)]))
    rejects = Rejects(tmp_path / "rejects.geojsonl")
    with rejects, pytest.raises(LoadError):
        loaded(path)
    with rejects:
        for refusal in loaded.refusals:
            rejects(refusal)
    assert str(rejects).splitlines()[0] == "feature 1: no geometry"
    [written] = map(json.loads, rejects.path.read_text().splitlines())
    assert (written["position"], written["reason"]) == (1, "no geometry")
    loaded(write(json.dumps(written | {"geometry": shape})))
    assert same(rows, stored(rows, connection), [feature(rows, 0) | {"geometry": shape}])


def test_rejects_show_the_first_reasons_and_write_all(tmp_path: Path) -> None:
    path = tmp_path / "rejects.geojsonl"
    with Rejects(path) as rejects:
        assert not path.exists()
        for position in range(1, 21):
            rejects(Refusal(position, "why", shapely.Point(1, 2), {"name": "é\ud800", "n": 2**70}))
    assert len(path.read_text().splitlines()) == 20
    with Rejects(path) as others:
        others(Refusal(1, "why", shapely.Point(), {"date": datetime.date(2020, 1, 2)}))
    [written] = map(json.loads, path.read_text().splitlines())
    assert written["geometry"] == {"type": "Point", "coordinates": []}
    assert written["properties"] == {"date": "2020-01-02"}
    assert str(rejects).splitlines() == [
        *(f"feature {position}: why" for position in range(1, 11)),
        f"(every refused feature, with the reason: {path})",
    ]


# Attributes

STRINGS = [
    "\\.",
    "\\N",
    "tab\there",
    "line\nbreak\r\n",
    "quote \" and '",
    "back\\slash\\",
    "é 漢 🌍\u2028",
    "",
    " ",
    "NULL",
]


@columns(lambda c: filter(_is_text, writable(c)))
@pytest.mark.parametrize("text", STRINGS, ids=repr)
def test_texts_come_through_copy(
    unconstrained: TestClient,
    unconstrained_connection: sa.Connection,
    rows: Rows,
    write: Write,
    column: Column,
    text: str,
) -> None:
    load = Loaded(unconstrained.app.state.database, rows.collection)
    load(write(lines([feature(rows, 0, **{column.name: text})])))
    [row] = stored(rows, unconstrained_connection)
    assert row["properties"][column.name] == text


def _is_text(column: Column) -> bool:
    return isinstance(column.type, sa.String) and (column.type.length or 99) >= 20


@columns(lambda c: (column for column in writable(c) if isinstance(column.type, sa.JSON)))
@pytest.mark.parametrize(
    "given", [{"\\u0000": ["\t\\N\n", None, 1.5]}, [], "text", 0, True], ids=repr
)
def test_json_comes_through_copy(
    unconstrained: TestClient,
    unconstrained_connection: sa.Connection,
    rows: Rows,
    write: Write,
    column: Column,
    given: Any,
) -> None:
    load = Loaded(unconstrained.app.state.database, rows.collection)
    load(write(lines([feature(rows, **{column.name: given})])))
    [row] = stored(rows, unconstrained_connection)
    assert row["properties"][column.name] == given


@columns(
    lambda c: (
        column
        for column in writable(c)
        if column.server_default is not None and column.name not in Rows.of(c).unique
    )
)
def test_what_is_left_out_gets_its_default(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, column: Column
) -> None:
    given = features(rows)
    for feature in given[::2]:
        del feature["properties"][column.name]
    loaded(write(lines(given)))
    shapes = [feature["geometry"] for feature in given]
    found = sorted(stored(rows, connection), key=lambda feature: _nearest(feature, shapes))
    assert len(found) == len(given)
    assert same(rows, found[1::2], given[1::2])
    default = _default(column)
    made = connection.scalar(sa.select(sa.literal_column(default)))
    for feature in found[::2]:
        if "(" in default and not default.startswith("CAST("):
            # Of the moment, or random.
            assert feature["properties"][column.name] is not None
        else:
            assert value(rows, column, feature) == made


def _default(column: sa.Column[Any]) -> str:
    made = column.server_default
    assert isinstance(made, sa.DefaultClause)
    if isinstance(made.arg, str):
        kind = column.type.compile(dialect=sa.dialects.postgresql.dialect())
        return f"CAST('{made.arg.replace(chr(39), chr(39) * 2)}' AS {kind})"
    return str(made.arg)


def _nearest(feature: Feature, shapes: list[Feature]) -> int:
    place = shapely.from_geojson(json.dumps(feature["geometry"]))
    distances = [
        shapely.hausdorff_distance(place, shapely.from_geojson(json.dumps(shape)))
        for shape in shapes
    ]
    return int(np.argmin(distances))


def test_null_stands_for_a_default_where_the_column_takes_none(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write
) -> None:
    nulls = {
        column.name: None
        for column in rows.writable
        if column.nullable or column.server_default is not None
    }
    assert loaded(write(lines([feature(rows, **nulls)]))).loaded == 1
    [row] = stored(rows, connection)
    for name in nulls:
        assert (row["properties"][name] is None) == rows.table.c[name].nullable


@columns(writable)
@pytest.mark.parametrize("source", ["upper case", "source", "source=x"])
def test_properties_are_found_by_name(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, column: Column, source: str
) -> None:
    given = feature(rows)
    wanted = given["properties"].pop(column.name)
    renamed = {} if source == "upper case" else {source: column.name}
    name = source if renamed else column.name.upper()
    key = {} if rows.is_given else {rows.key.name: 5}
    others = {"more": 1, "Planted on": "2020-01-31", **key}
    changed = given | {"properties": given["properties"] | {name: wanted} | others}
    result = loaded(write(lines([changed])), renamed=renamed)
    assert list(result.unknown) == ["more", "Planted on"]
    assert list(result.read_only) == list(key)
    assert "more, Planted on (--map PROPERTY=ATTRIBUTE takes one)" in str(result)
    assert result.attributes == ["more:int?", "planted_on:date?"]
    given["properties"][column.name] = wanted
    assert same(rows, stored(rows, connection), [given])


@columns(writable)
def test_a_property_that_is_said_counts_more_than_the_namesake(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, column: Column
) -> None:
    other = feature(rows, 2)
    given = feature(rows)
    given["properties"] |= {
        "other": other["properties"][column.name],
        column.name.upper(): "unused",
    }
    result = loaded(write(lines([given])), renamed={"other": column.name})
    assert list(result.unknown) == [column.name, column.name.upper()]
    [row] = stored(rows, connection)
    assert value(rows, column, row) == value(rows, column, other)


# Of a single letter, as of f2, there are two spellings.
@columns(
    lambda c: (
        column
        for column in writable(c)
        if len({column.name, column.name.upper(), column.name.capitalize()}) == 3
    )
)
def test_a_property_that_may_be_two_attributes_is_not_guessed(
    loaded: Loaded, rows: Rows, write: Write, column: Column
) -> None:
    given = feature(rows)
    wanted = given["properties"].pop(column.name)
    one, other = column.name.upper(), column.name.capitalize()
    given["properties"] |= {one: wanted, other: wanted}
    reason = re.escape(f"say which one with --map {one}={column.name}")
    with pytest.raises(LoadError, match=reason):
        loaded(write(lines([given])))


def test_options_that_name_no_attribute_are_refused(
    loaded: Loaded, rows: Rows, write: Write
) -> None:
    path = write(lines(features(rows)))
    with pytest.raises(LoadError, match=f"{rows.collection.name} has no attribute 'nonsense'"):
        loaded(path, renamed={"x": "nonsense"})
    names = {"nonsense", *(column.name for column in rows.writable)}
    for name in names.difference(keys(rows.collection)):
        reason = re.escape(f"--key: {name!r} is not a unique attribute")
        with pytest.raises(LoadError, match=reason):
            loaded(path, key=name)


@columns(lambda c: writable(c)[:1])
def test_a_property_that_no_feature_has_is_named(
    loaded: Loaded, rows: Rows, write: Write, column: Column
) -> None:
    path = write(lines([feature(rows)]))
    with pytest.raises(LoadError, match="--map: no feature has a property nonsense"):
        loaded(path, renamed={"nonsense": column.name}, skip_invalid=True)


# Keys


@each("key", keys)
def test_a_key_changes_the_rows_that_are_there(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, key: str
) -> None:
    given = features(rows)
    loaded(write(lines(given[1:])))
    ids = set(connection.scalars(sa.select(rows.key)))
    moved = [feature | {"geometry": given[0]["geometry"]} for feature in given]
    assert loaded(write(lines(moved)), key=key).loaded == len(given)
    assert rows.count(connection) == len(given)
    assert ids < set(connection.scalars(sa.select(rows.key)))
    column = rows.table.c[key]
    order = [value(rows, column, feature) for feature in given]
    found = stored(rows, connection)
    found.sort(key=lambda feature: order.index(value(rows, column, feature)))
    assert same(rows, found, moved)


@only(lambda c: Rows.of(c).has_timestamps)
@each("key", keys)
def test_rows_that_a_key_changes_are_updated(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, key: str
) -> None:
    given = features(rows)
    loaded(write(lines(given[1:])))
    loaded(write(lines(given)), key=key)
    updated = rows.table.c.updated_at > rows.table.c.created_at
    query = sa.select(sa.func.count()).where(updated)
    assert connection.scalar(query) == len(given) - 1 == rows.count(connection) - 1


@each("key", keys)
def test_a_key_leaves_alone_what_a_feature_leaves_out(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, key: str
) -> None:
    given = feature(rows)
    loaded(write(lines([given])))
    few = {name: given["properties"][name] for name in {key, *rows.required}}
    loaded(write(lines([given | {"properties": few}])), key=key)
    assert same(rows, stored(rows, connection), [given])


@only(lambda c: not c.has_given_key and c.key.name != "id")
@each("key", lambda c: [key for key in keys(c) if type(c.table.c[key].type) is sa.Text])
def test_an_exported_key_is_ignored_unless_it_is_kept(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, key: str
) -> None:
    name = rows.key.name
    path = write(lines([feature(rows, **{name: 1}) | {"id": 1}]))
    assert name in loaded(path).read_only
    connection.execute(sa.delete(rows.table))
    connection.commit()
    assert name not in loaded(path, id_to=key).read_only
    assert connection.scalars(sa.select(rows.table.c[key])).all() == ["1"]


@each("key", keys)
def test_a_key_that_comes_twice_is_refused(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write, key: str
) -> None:
    one = feature(rows)
    other = feature(rows, 0, **{key: one["properties"][key]})
    path = write(lines([one, other]))
    with pytest.raises(LoadError):
        loaded(path, key=key)
    assert loaded.reasons == [f"2: {key}: feature 1 has the same"]
    assert rows.count(connection) == 0
    result = loaded(path, key=key, skip_invalid=True)
    assert (result.loaded, result.refused) == (1, 1)
    assert same(rows, stored(rows, connection), [one])


@each("key", keys)
def test_a_key_is_required(loaded: Loaded, rows: Rows, write: Write, key: str) -> None:
    given = feature(rows)
    del given["properties"][key], given["id"]
    with pytest.raises(LoadError):
        loaded(write(lines([given])), key=key)
    assert loaded.reasons == [f"1: {key}: a value is required"]


@only(lambda c: bool(keys(c)))
def test_without_a_key_a_row_that_is_there_refuses_the_file(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write
) -> None:
    path = write(lines([feature(rows)]))
    loaded(path)
    there = r"a row that is there already has it \(--key ATTRIBUTE changes that row\)"
    with pytest.raises(LoadError, match=there):
        loaded(path)
    assert rows.count(connection) == 1


# All or nothing


class Interrupted:
    """A file that is read in part when Ctrl-C comes."""

    srid = WGS84
    unit = ""
    size = None
    progress = 0
    json_as_text = False

    def __init__(self, path: Path, collection: Collection) -> None:
        self._source = sources.source(path, collection)

    def batches(self) -> Iterator[sources.Batch]:
        yield from self._source.batches()
        raise KeyboardInterrupt


def test_ctrl_c_leaves_nothing(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write
) -> None:
    with pytest.raises(KeyboardInterrupt):
        loaded(Interrupted(write(lines(features(rows))), rows.collection))
    assert rows.count(connection) == 0


def test_ctrl_c_may_come_while_rows_are_sent(
    loaded: Loaded,
    connection: sa.Connection,
    rows: Rows,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Python raises it where the next function begins: the one that psycopg2 asks for more.
    def read(self: Any, size: int) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(copying.Stream, "read", read)
    with pytest.raises(KeyboardInterrupt):
        loaded(write(lines(features(rows))))
    assert rows.count(connection) == 0


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Hear of Ctrl-C, which a process in the background ignores: its tests would wait for ever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_the_wait_for_a_table(
    loaded: Loaded, own: Database, rows: Rows, write: Write
) -> None:
    path, ident = write(lines(features(rows))), threading.get_ident()
    interrupt = threading.Timer(0.1, signal.pthread_kill, [ident, signal.SIGINT])
    with own.write() as other:
        execute(other, f"LOCK TABLE {rows.sql}")
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            loaded(path)


@pytest.fixture
def deferred_constraint(connection: sa.Connection, rows: Rows) -> Iterator[None]:
    """A constraint of the table that waits for the end of the transaction with each row."""
    execute(
        connection,
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        f"CREATE CONSTRAINT TRIGGER waiting AFTER INSERT ON {rows.sql} DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION nothing()",
    )
    yield
    execute(connection, "DROP FUNCTION nothing CASCADE")


@pytest.mark.usefixtures("deferred_constraint")
def test_indexes_can_be_made_after_the_rows(
    loaded: Loaded,
    connection: sa.Connection,
    rows: Rows,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def indexes() -> list[Any]:
        found = connection.execute(INDEXES, {"table": rows.sql})
        return [tuple(row) for row in found]

    path, before = write(lines(given := features(rows))), indexes()
    with pytest.raises(KeyboardInterrupt):
        loaded(Interrupted(path, rows.collection), index_after=True)
    assert indexes() == before
    result = loaded(path, index_after=True)
    assert sorted(result.indexes) == [name for name, _, is_plain in before if is_plain]
    assert indexes() == before
    assert same(rows, stored(rows, connection), given)
    with pytest.raises(LoadError, match="has rows; --index-after is for an empty table"):
        loaded(path, index_after=True)
    monkeypatch.setitem(rows.collection.table.info, "is_view", True)
    with pytest.raises(LoadError, match="is a view or a foreign table, which --index-after is not"):
        loaded(path, index_after=True)
    assert rows.count(connection) == len(given)


INDEXES = sa.text(
    """
    SELECT CAST(CAST(indexrelid AS regclass) AS text), pg_get_indexdef(indexrelid), relkind = 'i' AND NOT indisunique
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = CAST(:table AS regclass) ORDER BY 1
    """
)


def test_a_broken_file_leaves_nothing(
    loaded: Loaded,
    connection: sa.Connection,
    rows: Rows,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(geojson, "BATCH", 1)
    with pytest.raises(SourceError, match="is not GeoJSON"):
        loaded(write(feature_collection(features(rows))[:-1]))
    assert rows.count(connection) == 0


def test_a_table_is_analyzed(
    loaded: Loaded, connection: sa.Connection, rows: Rows, write: Write
) -> None:
    given = features(rows)
    loaded(write(lines(given)))
    estimate = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(:table AS regclass)")
    assert connection.scalar(estimate, {"table": rows.sql}) == len(given)


def test_the_command_says_what_it_did(
    connection: sa.Connection,
    main: Callable[[list[str]], int],
    write: Write,
    any_rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str, code: int = 0) -> list[str]:
        assert main(["load", "--table", any_rows.collection.name, *arguments]) == code
        return capsys.readouterr().err.splitlines()

    given = [feature(any_rows), feature(any_rows, 0) | {"geometry": None}]
    path = str(write(feature_collection(given)))
    assert said(path, code=1) == [
        "read as GeoJSON in EPSG:4326 (--source-crs)",
        "feature 2: no geometry",
        "(every refused feature, with the reason: features.rejects.geojsonl)",
        "nothing was loaded: 1 features are refused (--skip-invalid loads the others)",
    ]
    assert (tmp_path / "features.rejects.geojsonl").exists()
    errors = said(path, "--skip-invalid", "--dry-run")
    assert "1 rows loaded, 1 features refused" in errors
    assert errors[0] == "dry run: the table is as it was; without --dry-run:"
    assert errors[1].startswith("read as GeoJSON")
    assert any_rows.count(connection) == 0
    errors = said(path, "--skip-invalid", "--rejects", "other")
    ignored = "ignored: the features' own ids (--id-to ATTRIBUTE keeps them)"
    assert "1 rows loaded, 1 features refused" in errors
    assert (ignored in errors) == (not any_rows.collection.has_given_key)
    assert (tmp_path / "other").exists()
    assert same(any_rows, stored(any_rows, connection), given[:1])


def opened(pipe: Path, reader: "subprocess.Popen[str]") -> TextIO:
    """A pipe to write to, once a process reads it; to open it at once would wait for ever for one that has failed."""
    while reader.poll() is None:
        with suppress(OSError):
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "w")
        time.sleep(0.02)
    raise AssertionError(reader.communicate())


@pytest.mark.process
def test_a_signal_ends_the_command_and_leaves_nothing(
    connection: sa.Connection, service: Service, any_rows: Rows, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    module = [sys.executable, "-m", service.package, "load", "--table", any_rows.collection.name]
    process = subprocess.Popen(
        [*module, str(pipe)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process, opened(pipe, process) as file:
        for one in features(any_rows):
            file.write(json.dumps(one) + "\n")
            file.flush()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted: nothing was loaded\n")
    assert any_rows.count(connection) == 0


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.process
def test_a_pipe_hears_of_a_signal_that_does_not_end_its_wait() -> None:
    ours, others = os.pipe()
    # A signal to another thread leaves this one waiting, as does one that comes just before.
    sender = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    with streams.Pipe(ours) as pipe, os.fdopen(others), pytest.raises(KeyboardInterrupt):
        sender.start()
        pipe.readinto(bytearray(1))
