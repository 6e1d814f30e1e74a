"""Bulk loading: every format in, all or nothing, each refusal with its reason."""

import datetime
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rows
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from rows import COLLECTION, CREATE, GEOMETRY, STORAGE, TABLE, UNIQUE, WRITABLE
from sqlalchemy.dialects.postgresql import JSONB

from geotables import geometry
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.files import load, sources
from geotables.files.load import LoadError, Options, Refusal, Rejects, Result
from geotables.files.sources import SourceError
from geotables.geometry import arrays, metadata, samples
from geotables.sql.queries import Record

KIND = metadata.geometry_type(GEOMETRY)
#: What a MULTI… has parts of.
PART = KIND.removeprefix("MULTI")
TEXTS = [
    column.name
    for column in WRITABLE
    if isinstance(column.type, sa.String) and (column.type.length or 99) >= 20
]


def feature(number: int = 1, /, **properties: Any) -> dict[str, Any]:
    """A feature that says all that a row can have; those of other numbers differ where they must."""
    lon, lat = samples.middle(GEOMETRY)
    shapes = samples.geometries(GEOMETRY, (lon + number / 100, lat))
    body = rows.full_body(number) | properties
    del body[GEOMETRY.name]
    shape = rows.as_json(shapes[number % len(shapes)])
    return {"type": "Feature", "id": number, "geometry": shape, "properties": body}


def features(most: int = 7) -> list[dict[str, Any]]:
    """Features of different numbers, as many as the unique columns tell apart."""
    found: list[dict[str, Any]] = []
    for each in map(feature, range(most)):
        taken = [{name: other["properties"][name] for name in UNIQUE} for other in found]
        if all(each["properties"][name] != other[name] for other in taken for name in UNIQUE):
            found.append(each)
    return found


def collection(found: list[dict[str, Any]], **members: Any) -> str:
    return json.dumps({"type": "FeatureCollection", **members, "features": found})


def lines(found: list[dict[str, Any]]) -> str:
    return "\n".join(map(json.dumps, found))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a file of features."""

    def write(text: str) -> Path:
        path = tmp_path / "features.json"
        path.write_bytes(text.encode(errors="surrogatepass"))
        return path

    return write


class Loaded:
    """Loads files, and keeps what is refused."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refusals: list[Refusal] = []

    def __call__(self, source: Path | sources.Source, **options: Any) -> Result:
        self.refusals = []
        if isinstance(source, Path):
            names = {"srid", "layer"} & options.keys()
            source = sources.source(
                source, COLLECTION, **{name: options.pop(name) for name in names}
            )
        with self._database.write() as connection:
            return load.load(
                connection,
                COLLECTION,
                source,
                Options(**options),
                self.refusals.append,
                lambda done: None,
            )

    @property
    def reasons(self) -> list[str]:
        return [f"{each.position}: {each.reason}" for each in self.refusals]


@pytest.fixture
def loaded(database: Database) -> Loaded:
    return Loaded(database)


def stored(connection: sa.Connection) -> list[dict[str, Any]]:
    """The rows as features, from west to east, as ``features`` has them."""
    record = Record(COLLECTION, geometry.GeoJSON(GEOMETRY))
    query = sa.select(*record.columns)
    found = []
    for row in connection.execute(query):
        members = rows.as_json(record.encode_one(row))
        shape = members.pop(GEOMETRY.name)
        found.append({"geometry": shape, "properties": members})
    return sorted(found, key=lambda each: place(each).bounds)


def same(found: list[dict[str, Any]], given: list[dict[str, Any]]) -> bool:
    """Whether features are the same in all that a client says of a row."""
    return len(found) == len(given) and all(
        rows.same_place(place(one), place(other))
        and all(value(column, one) == value(column, other) for column in WRITABLE)
        for one, other in zip(found, given, strict=True)
    )


def place(each: dict[str, Any]) -> shapely.Geometry:
    """Where a feature is: rings may begin anywhere."""
    return shapely.normalize(geometry.read(each["geometry"], default_srid=WGS84))


def value(column: sa.Column[Any], each: dict[str, Any]) -> Any:
    """An attribute of a feature: there are many ways to write a time or a number."""
    return adapter(column.name).validate_python(each["properties"][column.name])


@functools.cache
def adapter(name: str) -> TypeAdapter[Any]:
    """What an attribute may be."""
    rule: Any = CREATE.model_fields[name].annotation
    return TypeAdapter(rule)


# Formats

SEQUENCES: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "collection": collection,
    "indented collection": lambda found: json.dumps(
        {"bbox": [0, 1.5], "type": "FeatureCollection", "name": "a ] [", "features": found},
        indent=2,
    ),
    "members after the features": lambda found: json.dumps(
        {"features": found, "type": "FeatureCollection", "crs": None}
    ),
    "byte order mark": lambda found: "\ufeff" + collection(found),
    "byte order mark and lines": lambda found: "\ufeff" + lines(found),
    "lines": lines,
    "blank lines": lambda found: lines(found).replace("\n", "\r\n\r\n") + "\n",
    "RFC 8142": lambda found: "".join(f"\x1e{json.dumps(each, indent=1)}\n" for each in found),
    "one after the other": lambda found: "\n".join(json.dumps(each, indent=1) for each in found),
}


@pytest.mark.parametrize("chunk", [3, sources.CHUNK], ids=["tiny reads", "large reads"])
@pytest.mark.parametrize("encode", SEQUENCES.values(), ids=SEQUENCES)
def test_geojson_comes_in_whatever_its_form(
    loaded: Loaded,
    connection: sa.Connection,
    write: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    encode: Callable[[list[dict[str, Any]]], str],
    chunk: int,
) -> None:
    monkeypatch.setattr(sources, "CHUNK", chunk)
    given = features()
    result = loaded(write(encode(given)))
    assert (result.loaded, result.refused, list(result.unknown)) == (len(given), 0, [])
    assert same(stored(connection), given)


@pytest.mark.parametrize("text", ["", " \n", collection([])])
def test_an_empty_file_is_no_success(
    loaded: Loaded, write: Callable[[str], Path], text: str
) -> None:
    with pytest.raises(LoadError, match="nothing was loaded: the file has no features"):
        loaded(write(text))


DRIVERS = {"GPKG": "gpkg"}
# GDAL has no type in it for geometries of any kind with z, which would be lost.
if KIND != "GEOMETRY" or not COLLECTION.has_z:
    DRIVERS["FlatGeobuf"] = "fgb"
if KIND in arrays.JOIN or KIND.startswith("MULTI"):
    DRIVERS["ESRI Shapefile"] = "shp"


def written(path: Path, driver: str, given: list[dict[str, Any]], **options: Any) -> Path:
    """A file that GDAL writes, in WGS 84 unless it is said otherwise."""
    shapes = shapely.to_wkb([shapely.from_geojson(json.dumps(each["geometry"])) for each in given])
    columns = {
        column.name: [each["properties"][column.name] for each in given] for column in WRITABLE
    }
    plain = (str, int, float, bool)
    fields = [
        np.array(
            values
            if all(isinstance(each, plain) for each in values)
            else [*map(json.dumps, values)],
            dtype=object if isinstance(values[0], str | dict) else None,
        )
        for values in columns.values()
    ]
    names = [name[:10] if driver == "ESRI Shapefile" else name for name in columns]
    types = {kind: name + " Z" * COLLECTION.has_z for kind, name in geometry.GEOJSON_TYPES.items()}
    pyogrio.raw.write(
        path,
        shapes,
        fields,
        names,
        driver=driver,
        geometry_type=types.get(KIND, "Unknown"),
        **{"crs": "EPSG:4326"} | options,
    )
    return path


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_gdal_reads_comes_in(
    loaded: Loaded, connection: sa.Connection, tmp_path: Path, driver: str
) -> None:
    given = features(2)
    path = written(tmp_path / f"features.{DRIVERS[driver]}", driver, given)
    shortened = driver == "ESRI Shapefile"
    renamed = {column.name[:10]: column.name for column in WRITABLE} if shortened else {}
    assert loaded(path, renamed=renamed).loaded == len(given), loaded.reasons
    assert same(stored(connection), given)


def test_a_layer_has_to_be_said_where_there_are_several(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "features.gpkg"
    given = features(2)
    for layer in ("one", "other"):
        written(path, "GPKG", given, layer=layer, append=layer == "other")
    with pytest.raises(SourceError, match="the layers one, other: say which one with --layer"):
        loaded(path)
    assert loaded(path, layer="other").loaded == len(given)


def test_a_file_without_geometries_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_text("name\none\n")
    with pytest.raises(SourceError, match=r"features\.csv has no geometries"):
        loaded(path)


def test_formats_need_their_packages(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "features.gpkg", "GPKG", features(1))
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(SourceError, match="install this project with its extra, formats"):
        loaded(path)


def test_a_file_that_is_not_there_is_named(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*missing\.gpkg"):
        loaded(tmp_path / "missing.gpkg")


def test_geojson_has_no_layers(loaded: Loaded, write: Callable[[str], Path]) -> None:
    with pytest.raises(SourceError, match="is GeoJSON, which has no layers"):
        loaded(write(lines(features())), layer="one")


def test_a_time_without_an_offset_is_utc_in_what_gdal_reads() -> None:
    texts = ["2020-01-02T03:04:05", "2020-01-02T03:04:05.678Z", "2020-01-02T03:04:05+02:00"]
    assert [sources._with_offset(text) for text in texts] == [f"{texts[0]}Z", *texts[1:]]


@pytest.mark.parametrize("encode", [collection, lines], ids=["collection", "lines"])
def test_large_features_come_in_small_batches(
    write: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    encode: Callable[[list[dict[str, Any]]], str],
) -> None:
    given = [feature()] * 10
    path = write(encode(given))
    assert [len(each.positions) for each in sources.source(path, COLLECTION).batches()] == [10]
    monkeypatch.setattr(sources, "CHUNK", int(2.5 * len(json.dumps(given[0]))))
    sizes = [len(each.positions) for each in sources.source(path, COLLECTION).batches()]
    assert sizes == [3, 3, 3, 1]
    monkeypatch.setattr(sources, "BATCH", 2)
    assert [each.positions for each in sources.source(path, COLLECTION).batches()][:2] == [
        [1, 2],
        [3, 4],
    ]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_crs_is_never_guessed(loaded: Loaded, tmp_path: Path) -> None:
    path = written(tmp_path / "features.gpkg", "GPKG", features(2), crs=None)
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


@pytest.fixture
def elsewhere(
    connection: sa.Connection,
) -> Callable[[list[dict[str, Any]], int], list[dict[str, Any]]]:
    """Features with their coordinates in another CRS, as PostGIS transforms them."""

    def elsewhere(found: list[dict[str, Any]], srid: int) -> list[dict[str, Any]]:
        placed = []
        for each in found:
            shape = geometry.read(each["geometry"], default_srid=WGS84)
            moved = sa.func.ST_AsGeoJSON(geometry.bind(shape, srid), 15, 0)
            placed.append(each | {"geometry": json.loads(connection.scalar(sa.select(moved)))})
        return placed

    return elsewhere


@pytest.mark.parametrize("srid", sorted({3857, STORAGE.srid}))
def test_a_file_may_be_in_any_crs(
    loaded: Loaded,
    connection: sa.Connection,
    write: Callable[[str], Path],
    elsewhere: Callable[[list[dict[str, Any]], int], list[dict[str, Any]]],
    srid: int,
) -> None:
    given = features()
    name = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{srid}"}}
    path = write(collection(elsewhere(given, srid), **{"crs": name} if srid != WGS84 else {}))
    assert loaded(path).loaded == len(given), loaded.reasons
    assert same(stored(connection), given)


def test_a_crs_that_is_said_counts_more_than_the_file(
    loaded: Loaded,
    connection: sa.Connection,
    write: Callable[[str], Path],
    elsewhere: Callable[[list[dict[str, Any]], int], list[dict[str, Any]]],
) -> None:
    given = features()
    for encode in (lines, collection):
        assert loaded(write(encode(elsewhere(given, 3857))), srid=3857).loaded == len(given)
        assert same(stored(connection), given)
        connection.execute(sa.delete(TABLE))


def test_a_crs_after_the_features_is_too_late(loaded: Loaded, write: Callable[[str], Path]) -> None:
    name = {"type": "name", "properties": {"name": "EPSG:3857"}}
    text = json.dumps({"type": "FeatureCollection", "features": features(), "crs": name})
    with pytest.raises(SourceError, match='move the member "crs" before them'):
        loaded(write(text))


def test_places_that_the_table_does_not_have_are_refused(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    far = feature(0)
    shape = shapely.transform(
        shapely.from_geojson(json.dumps(far["geometry"])),
        lambda position: position + 1e9,
        include_z=COLLECTION.has_z,
    )
    text = lines([far | {"geometry": rows.as_json(shape)}, *features()[1:]])
    with pytest.raises(LoadError):
        loaded(write(text))
    assert "out of range" in loaded.reasons[0]
    with pytest.raises(LoadError):
        loaded(write(text), srid=3857)
    assert loaded.reasons[0] == (
        f"1: a place outside of {STORAGE}"
        if STORAGE.srid != 3857
        else f"1: coordinates out of range: those of {STORAGE} are {STORAGE.extent}"
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


def test_an_unknown_crs_is_refused(loaded: Loaded, write: Callable[[str], Path]) -> None:
    with pytest.raises(LoadError, match="EPSG:999999 is no CRS that PostGIS knows"):
        loaded(write(lines(features())), srid=999999)


@pytest.mark.skipif(PART not in arrays.JOIN, reason=f"a {KIND} is neither a part nor of parts")
def test_a_part_stands_for_a_whole_and_a_whole_for_its_one_part(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    shape = shapely.from_geojson(json.dumps(feature()["geometry"]))
    other = shapely.get_geometry(shape, 0) if PART != KIND else arrays.JOIN[PART]([shape])
    loaded(write(lines([feature() | {"geometry": rows.as_json(other)}])))
    [row] = stored(connection)
    wanted = arrays.JOIN[PART]([other]) if PART != KIND else shape
    assert rows.same_place(shapely.from_geojson(json.dumps(row["geometry"])), wanted)


def test_z_is_dropped_only_when_asked(loaded: Loaded, write: Callable[[str], Path]) -> None:
    shape = shapely.from_geojson(json.dumps(feature()["geometry"]))
    other = shapely.force_2d(shape) if COLLECTION.has_z else shapely.force_3d(shape, 5.0)
    path = write(lines([feature() | {"geometry": rows.as_json(other)}]))
    with pytest.raises(LoadError):
        loaded(path)
    hint = "" if COLLECTION.has_z else " (--force-2d drops the others)"
    axes = "x, y and z" if COLLECTION.has_z else "x and y"
    assert loaded.reasons == [
        f"1: coordinates of another dimension: the column stores {axes}{hint}"
    ]
    if not COLLECTION.has_z:
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


@pytest.mark.parametrize("srid", sorted({WGS84, STORAGE.srid, 3857}))
def test_all_at_once_are_judged_as_one_by_one(srid: int) -> None:
    lon, lat = samples.middle(GEOMETRY)
    shapes = [
        *shapely.from_wkt(ODD),
        *shapely.transform(shapely.from_wkt(ODD), lambda xy: xy / 100 + (lon, lat)),
        *samples.geometries(GEOMETRY),
        *rows.spread(20),
    ]
    found = dict(arrays.problems(np.array([None, *shapes]), GEOMETRY, srid))
    assert found.pop(0) == "no geometry"
    for index, shape in enumerate(shapes, 1):
        try:
            geometry.verify(shapely.set_srid(shape, srid), GEOMETRY)
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
    for beside in ([], [each for each in SHAPES if each.get("type") == shape.get("type")]):
        found = arrays.read([*beside, None, shape])[-2:]
        assert found[0] is None
        assert found[1] == wanted if wanted is not None else found[1] is None
        if wanted is not None:
            assert shapely.equals_identical(shapely.set_srid(found[1], 0), wanted)


# Refusals


def broken() -> dict[str, tuple[dict[str, Any], str]]:
    """Features that no table takes, or not this one, and the reasons."""
    found: dict[str, tuple[Any, str]] = {
        "no geometry": (feature() | {"geometry": None}, "no geometry"),
        "another type": (
            feature() | {"geometry": {"type": "Curve", "coordinates": []}},
            "the type of a GeoJSON geometry is one of",
        ),
        "malformed": (
            feature() | {"geometry": {"type": "Point", "coordinates": [1]}},
            "malformed GeoJSON geometry",
        ),
        "geometry": (feature() | {"geometry": 1}, "geometry is not an object"),
        "properties": (feature() | {"properties": [1]}, "properties are not an object"),
        "no feature": ({"type": "Point", "coordinates": [1, 2]}, "not a GeoJSON Feature"),
        "no object": (["Feature"], "not a GeoJSON Feature"),
    }
    for column in WRITABLE:
        required = not column.nullable and column.server_default is None
        if required:
            found[f"{column.name} null"] = (
                feature(**{column.name: None}),
                f"{column.name}: a value is required",
            )
            left_out = feature()
            del left_out["properties"][column.name]
            found[f"{column.name} left out"] = (left_out, f"{column.name}: a value is required")
        wrong: Any = {"no": "such"} if not _is_json(column) else {"NUL": "\0"}
        found[f"{column.name} wrong"] = (feature(**{column.name: wrong}), f"{column.name}: ")
        if isinstance(column.type, sa.String):
            found[f"{column.name} NUL"] = (feature(**{column.name: "\0"}), f"{column.name}: ")
            if column.type.length:
                long = "x" * (column.type.length + 1)
                found[f"{column.name} long"] = (
                    feature(**{column.name: long}),
                    f"{column.name}: String should have at most {column.type.length} character",
                )
        if isinstance(column.type, sa.Integer):
            found[f"{column.name} large"] = (feature(**{column.name: 2**63}), f"{column.name}: ")
    return found


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, JSONB)


BROKEN = broken()


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_refused_is_reported_and_nothing_loaded(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path], name: str
) -> None:
    each, reason = BROKEN[name]
    good = [other for other in features() if other["id"] != 1][:2]
    path = write(lines([good[0], each, *good[1:]]))
    with pytest.raises(LoadError, match="nothing was loaded: 1 features are refused"):
        loaded(path)
    [refusal] = loaded.refusals
    assert (refusal.position, reason in refusal.reason) == (2, True), refusal.reason
    assert rows.count(connection) == 0
    result = loaded(path, skip_invalid=True)
    assert (result.loaded, result.refused) == (len(good), 1)
    assert same(stored(connection), good)


def test_a_line_that_is_no_json_is_refused(loaded: Loaded, write: Callable[[str], Path]) -> None:
    given = features(2)
    result = loaded(write(lines(given) + "\n{no JSON}\n"), skip_invalid=True)
    assert result.loaded == len(given)
    assert loaded.reasons[0].startswith(f"{len(given) + 1}: not JSON: ")


def test_all_reasons_are_given_at_once(loaded: Loaded, write: Callable[[str], Path]) -> None:
    with pytest.raises(LoadError, match="2 features are refused"):
        loaded(write(lines([feature() | {"geometry": None}] * 2)))
    assert loaded.reasons == ["1: no geometry", "2: no geometry"]


def test_rejects_can_be_loaded_once_they_are_mended(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path], tmp_path: Path
) -> None:
    shape = feature()["geometry"]
    path = write(lines([feature(0) | {"geometry": None}, feature(1)]))
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
    assert same(stored(connection), [feature(0) | {"geometry": shape}])


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


def test_texts_come_through_copy(
    unconstrained: TestClient,
    unconstrained_connection: sa.Connection,
    write: Callable[[str], Path],
) -> None:
    loaded, connection = Loaded(unconstrained.app.state.database), unconstrained_connection
    for name in TEXTS:
        for number, text in enumerate(STRINGS):
            [given] = [feature(0, **{name: text})]
            loaded(write(lines([given])))
            found = stored(connection)[-1]["properties"][name]
            assert found == text, (name, number)
            connection.execute(sa.delete(TABLE))


def test_json_comes_through_copy(
    unconstrained: TestClient,
    unconstrained_connection: sa.Connection,
    write: Callable[[str], Path],
) -> None:
    loaded, connection = Loaded(unconstrained.app.state.database), unconstrained_connection
    for column in filter(_is_json, WRITABLE):
        for given in ({"\\u0000": ["\t\\N\n", None, 1.5]}, [], "text", 0, True):
            loaded(write(lines([feature(**{column.name: given})])))
            assert stored(connection)[-1]["properties"][column.name] == given
            connection.execute(sa.delete(TABLE))


def test_what_is_left_out_gets_its_default(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    found = features()
    for column in WRITABLE:
        if column.server_default is not None and column.name not in UNIQUE:
            mixed = [dict(each) for each in found]
            for each in mixed[::2]:
                each["properties"] = dict(each["properties"])
                del each["properties"][column.name]
            loaded(write(lines(mixed)))
            rest = [each["geometry"] for each in mixed]
            stored_rows = sorted(stored(connection), key=lambda each: _nearest(each, rest))
            assert same(stored_rows[1::2], mixed[1::2])
            default = connection.scalar(sa.select(sa.literal_column(_default(column))))
            for each in stored_rows[::2]:
                text = rows.as_json(each["properties"][column.name])
                if "(" not in _default(column):
                    assert value(column, each) == TypeAdapter(Any).validate_python(default), text
                else:
                    assert text is not None
            connection.execute(sa.delete(TABLE))


def _default(column: sa.Column[Any]) -> str:
    made = column.server_default
    assert isinstance(made, sa.DefaultClause)
    if isinstance(made.arg, str):
        kind = column.type.compile(dialect=sa.dialects.postgresql.dialect())
        return f"CAST('{made.arg.replace(chr(39), chr(39) * 2)}' AS {kind})"
    return str(made.arg)


def _nearest(each: dict[str, Any], shapes: list[dict[str, Any]]) -> int:
    place = shapely.from_geojson(json.dumps(each["geometry"]))
    distances = [
        shapely.hausdorff_distance(place, shapely.from_geojson(json.dumps(shape)))
        for shape in shapes
    ]
    return int(np.argmin(distances))


def test_null_stands_for_a_default_where_the_column_takes_none(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    nulls = {column.name: None for column in WRITABLE if column.nullable or column.server_default}
    assert loaded(write(lines([feature(**nulls)]))).loaded == 1
    [row] = stored(connection)
    for name in nulls:
        assert (row["properties"][name] is None) == TABLE.c[name].nullable


def test_properties_are_found_by_name(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    for column in WRITABLE:
        given = feature()
        properties = given["properties"]
        wanted = properties.pop(column.name)
        for other in (column.name.upper(), "source", "source=x"):
            changed = given | {"properties": properties | {other: wanted, "more": 1, "id": 5}}
            renamed = {other: column.name} if other.startswith("source") else {}
            result = loaded(write(lines([changed])), renamed=renamed)
            assert list(result.unknown) == ["more"]
            assert "more (--map PROPERTY=ATTRIBUTE takes one)" in str(result)
            assert same(
                stored(connection), [given | {"properties": properties | {column.name: wanted}}]
            )
            connection.execute(sa.delete(TABLE))


def test_a_property_that_is_said_counts_more_than_the_namesake(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    for column in WRITABLE:
        wanted = feature(2)["properties"][column.name]
        given = feature()
        given["properties"] |= {"other": wanted, column.name.upper(): "unused"}
        result = loaded(write(lines([given])), renamed={"other": column.name})
        assert list(result.unknown) == [column.name, column.name.upper()]
        wanted_of = {"properties": {column.name: wanted}}
        assert value(column, stored(connection)[0]) == value(column, wanted_of)
        connection.execute(sa.delete(TABLE))


def test_a_property_that_may_be_two_attributes_is_not_guessed(
    loaded: Loaded, write: Callable[[str], Path]
) -> None:
    for column in WRITABLE:
        given = feature()
        wanted = given["properties"].pop(column.name)
        one, other = column.name.upper(), column.name.capitalize()
        if one == other:
            continue  # A single letter has no third spelling.
        given["properties"] |= {one: wanted, other: wanted}
        with pytest.raises(LoadError, match=f"say which one with --map {one}={column.name}"):
            loaded(write(lines([given])))


def test_options_that_name_no_attribute_are_refused(
    loaded: Loaded, write: Callable[[str], Path]
) -> None:
    path = write(lines(features()))
    with pytest.raises(LoadError, match=f"{TABLE.name} has no attribute 'nonsense'"):
        loaded(path, renamed={"x": "nonsense"})
    for column in WRITABLE[:1]:
        given = feature()
        with pytest.raises(LoadError, match="--map: no feature has a property nonsense"):
            loaded(write(lines([given])), renamed={"nonsense": column.name}, skip_invalid=True)
    for name in ("nonsense", "id", *(column.name for column in WRITABLE)):
        if name not in UNIQUE:
            with pytest.raises(LoadError, match=f"--key: '{name}' is not a unique attribute"):
                loaded(path, key=name)


# Keys


def test_a_key_changes_the_rows_that_are_there(
    loaded: Loaded, database: Database, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    for key in UNIQUE:
        given = features()
        loaded(write(lines(given[1:])))
        ids = set(connection.scalars(sa.select(TABLE.c.id)))
        moved = [each | {"geometry": given[0]["geometry"]} for each in given]
        assert loaded(write(lines(moved)), key=key).loaded == len(given)
        assert rows.count(connection) == len(given)
        assert ids < set(connection.scalars(sa.select(TABLE.c.id)))
        order = [value(TABLE.c[key], each) for each in given]
        found = sorted(stored(connection), key=lambda each: order.index(value(TABLE.c[key], each)))
        assert same(found, moved)
        touched = sa.select(sa.func.count()).where(TABLE.c.updated_at > TABLE.c.created_at)
        assert connection.scalar(touched) == len(given) - 1
        connection.execute(sa.delete(TABLE))


def test_a_key_leaves_alone_what_a_feature_leaves_out(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    for key in UNIQUE:
        given = feature()
        loaded(write(lines([given])))
        required = {
            column.name
            for column in WRITABLE
            if not column.nullable and column.server_default is None
        }
        few = {name: given["properties"][name] for name in {key, *required}}
        loaded(write(lines([given | {"properties": few}])), key=key)
        assert same(stored(connection), [given])
        connection.execute(sa.delete(TABLE))


def test_a_key_that_comes_twice_is_refused(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    for key in UNIQUE:
        one, other = feature(), feature(0, **{key: feature()["properties"][key]})
        path = write(lines([one, other]))
        with pytest.raises(LoadError):
            loaded(path, key=key)
        assert loaded.reasons == [f"2: {key}: feature 1 has the same"]
        assert rows.count(connection) == 0
        result = loaded(path, key=key, skip_invalid=True)
        assert (result.loaded, result.refused) == (1, 1)
        assert same(stored(connection), [one])
        connection.execute(sa.delete(TABLE))


def test_a_key_is_required(loaded: Loaded, write: Callable[[str], Path]) -> None:
    for key in UNIQUE:
        given = feature()
        del given["properties"][key]
        with pytest.raises(LoadError):
            loaded(write(lines([given])), key=key)
        assert loaded.reasons == [f"1: {key}: a value is required"]


def test_without_a_key_a_row_that_is_there_refuses_the_file(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    if UNIQUE:
        path = write(lines([feature()]))
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

    def __init__(self, path: Path) -> None:
        self._source = sources.source(path, COLLECTION)

    def batches(self) -> Iterator[sources.Batch]:
        yield from self._source.batches()
        raise KeyboardInterrupt


def test_ctrl_c_leaves_nothing(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        loaded(Interrupted(write(lines(features()))))
    assert rows.count(connection) == 0


def test_a_broken_file_leaves_nothing(
    loaded: Loaded,
    connection: sa.Connection,
    write: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "BATCH", 1)
    with pytest.raises(SourceError, match="is not GeoJSON"):
        loaded(write(collection(features())[:-1]))
    assert rows.count(connection) == 0


def test_a_table_is_analyzed(
    loaded: Loaded, connection: sa.Connection, write: Callable[[str], Path]
) -> None:
    given = features()
    loaded(write(lines(given)))
    estimate = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(:table AS regclass)")
    assert connection.scalar(estimate, {"table": TABLE.name}) == len(given)


def command(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", rows.PACKAGE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(rows.SOURCES)},
        **options,
    )


@pytest.mark.process
def test_the_command_says_what_it_did(
    connection: sa.Connection, database: Database, write: Callable[[str], Path], tmp_path: Path
) -> None:
    given = [feature(), feature(0) | {"geometry": None}]
    path = write(collection(given))
    with command("load", path, cwd=tmp_path) as process:
        said = process.communicate()
    assert process.returncode == 1
    assert said[1].splitlines() == [
        "feature 2: no geometry",
        "(every refused feature, with the reason: features.rejects.geojsonl)",
        "nothing was loaded: 1 features are refused (--skip-invalid loads the others)",
    ]
    assert (tmp_path / "features.rejects.geojsonl").exists()
    with command("load", path, "--skip-invalid", "--rejects", tmp_path / "other") as process:
        said = process.communicate()
    assert (process.returncode, said[1].splitlines()[-2:]) == (
        0,
        [
            "1 rows loaded, 1 features refused",
            "ignored: the features' own ids (--id-to ATTRIBUTE keeps them)",
        ],
    )
    assert (tmp_path / "other").exists()
    assert same(stored(connection), given[:1])


@pytest.mark.process
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_leaves_nothing(
    connection: sa.Connection, database: Database, tmp_path: Path, sent: signal.Signals
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Whoever runs the tests in the background has SIGINT ignored.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = command("load", pipe, cwd=tmp_path, preexec_fn=heed)
    with process, pipe.open("w") as file:
        for each in features():
            file.write(json.dumps(each) + "\n")
            file.flush()
        process.send_signal(sent)
        said = process.communicate(timeout=60)
    assert (process.returncode, said[1]) == (130, "interrupted: nothing was loaded\n")
    assert rows.count(connection) == 0
