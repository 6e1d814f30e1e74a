"""Files as people have them, loaded into a rendered service's table, exported, and loaded again."""

import gzip
import json
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyogrio
import pytest
import shapely
import warm
from conftest import Bake
from rendering import Project

ATTRIBUTES = (
    "name:str(100)? status:str(20)?=active code:str(40)?! pop:bigint? height:float?"
    " amount:numeric(30,10)? opened:date? seen:datetime? flag:bool? props:json? key:uuid?"
)
POINT = {"type": "Point", "coordinates": [5, 50]}


@dataclass
class Table:
    """The table of a rendered service, and the commands that fill it from files."""

    project: Project
    url: str
    folder: Path

    def write(self, name: str, content: str | bytes | dict[str, Any]) -> Path:
        """A file: of its text, its bytes, or the properties of one GeoJSON feature at POINT."""
        path = self.folder / name
        if isinstance(content, dict):
            feature = {"type": "Feature", "properties": content, "geometry": POINT}
            content = json.dumps({"type": "FeatureCollection", "features": [feature]})
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, command: str, *arguments: object) -> warm.Run:
        return self.project.service(command, *map(str, arguments), DATABASE_URL=self.url)

    def load(self, path: Path, *arguments: object) -> str:
        """Load a file into the empty table; what the command says."""
        self.execute("DELETE FROM facilities")
        run = self.run("load", path, "--rejects", self.folder / "rejects", *arguments)
        run.passed()
        return run.output

    def refused(self, path: Path, *arguments: object) -> str:
        """Load a file that is refused, after which nothing has changed; what the command says of it."""
        before = self.rows("xmin")
        run = self.run("load", path, "--rejects", self.folder / "rejects", *arguments)
        assert run.code == 1, run
        assert "Traceback" not in run.output
        assert self.rows("xmin") == before
        how, _, reason = run.output.partition("\n")
        return reason if how.startswith("read as ") else run.output

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.url.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET TimeZone = 'UTC'")
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def rows(self, *columns: str) -> list[Any]:
        """The rows in the order of their names, each value as PostgreSQL writes it; bare where there is one column."""
        listed = ", ".join(f"({column})::text" for column in columns)
        found = self.execute(f"SELECT {listed} FROM facilities ORDER BY name, id")
        return [row[0] for row in found] if len(columns) == 1 else found


@pytest.fixture(scope="module")
def migrated(bake_once: Bake, server: Any) -> Iterator[tuple[Project, str]]:
    project = bake_once(geometry_type="GEOMETRY", attributes=ATTRIBUTES)
    with server.database() as url:
        project.service("migrate", DATABASE_URL=url).passed()
        yield project, url


@pytest.fixture
def table(migrated: tuple[Project, str], tmp_path: Path) -> Table:
    table = Table(*migrated, tmp_path)
    table.execute("DELETE FROM facilities")
    return table


# Numbers

DIGITS = [
    ("code", "9824657365274853000123"),
    ("name", "9824657365274853000"),
    ("amount", "12345678901234567890.1234567891"),
    ("amount", "-0.0000000001"),
    ("pop", "-9223372036854775808"),
    ("height", "1.7976931348623157e+308"),
    ("height", "5e-324"),
    ("props", '{"n": 9824657365274853000123}'),
    ("props", '{"n": [0.12345678901234567890123]}'),
]


@pytest.mark.parametrize("form", ["lines", "collection", "one after the other", "records"])
def test_numbers_keep_their_digits(table: Table, form: str) -> None:
    one = json.dumps({"type": "Feature", "properties": {"column": 0}, "geometry": POINT})
    found = [
        one.replace('"column": 0', f'"status": "{number}", "{column}": {digits}')
        for number, (column, digits) in enumerate(DIGITS)
    ]
    text = {
        "lines": "\n".join(found),
        "collection": f'{{"type": "FeatureCollection", "features": [{",".join(found)}]}}',
        "one after the other": "\n".join(found).replace('", "', '",\n"'),
        "records": "".join(f"\x1e{each}\n" for each in found),
    }[form]
    table.load(table.write("digits.json", text))
    columns = ["name", "code", "amount", "pop", "height", "props"]
    stored = {int(number): values for number, *values in table.rows("status", *columns)}
    for number, (column, digits) in enumerate(DIGITS):
        assert stored[number][columns.index(column)] == digits


def test_numbers_that_do_not_fit_are_refused(table: Table) -> None:
    one = json.dumps({"type": "Feature", "properties": {"column": 0}, "geometry": POINT})
    large = [("pop", "9223372036854775808"), ("amount", "1.12345678901"), ("amount", "1e30")]
    found = [one.replace('"column": 0', f'"{column}": {digits}') for column, digits in large]
    said = table.refused(table.write("digits.geojsonl", "\n".join(found)))
    for number, (column, _) in enumerate(large, 1):
        assert f"feature {number}: {column}: " in said


@pytest.mark.parametrize("form", ["lines", "collection"])
def test_nan_costs_its_feature_alone(table: Table, form: str) -> None:
    one = json.dumps({"type": "Feature", "properties": {"height": 0}, "geometry": POINT})
    found = [one.replace(": 0", f": {each}") for each in ("1", "NaN", "2", "-Infinity", "Infinity")]
    collection = f'{{"type": "FeatureCollection", "features": [{",".join(found)}]}}'
    path = table.write("nan.json", collection if form == "collection" else "\n".join(found))
    said = table.refused(path)
    assert "feature 2: NaN is not JSON" in said
    assert "feature 4: -Infinity is not JSON" in said
    assert "feature 5: Infinity is not JSON" in said
    assert "2 rows loaded, 3 features refused" in table.load(path, "--skip-invalid")
    assert table.rows("height") == ["1", "2"]


def test_what_is_no_json_has_a_place(table: Table) -> None:
    feature = json.dumps(
        {"type": "Feature", "properties": {"name": "é"}, "geometry": POINT}, ensure_ascii=False
    )
    head = '{"type": "FeatureCollection",\n"features": [\n'
    place = len((head + feature + ",\n").encode()) + 1
    path = table.write("comma.geojson", f"{head}{feature},\n]}}")
    assert f"(feature 2, line 4, byte {place})" in table.refused(path)
    path = table.write("quotes.geojson", f"{head}{feature},\n{{'type': 1}}]}}")
    assert f"(feature 2, line 4, byte {place + 1})" in table.refused(path)


# Texts


def test_other_encodings_are_named(table: Table) -> None:
    text = "name,WKT\nBesançon,POINT (5 50)\n"
    for encoding in ("latin1", "utf-16", "cp1250"):
        path = table.write("text.csv", text.encode(encoding))
        table.load(path, "--encoding", encoding)
        assert table.rows("name") == ["Besançon"]
    path = table.write("text.csv", text.encode("latin1"))
    said = table.refused(path)
    assert "feature 1: name: 'Besan" in said
    assert "is not UTF-8 (--encoding names another, such as latin1)" in said
    path = table.write("more.csv", f"name,WKT\nMetz,POINT (6 49)\n{text[9:]}".encode("latin1"))
    assert "1 rows loaded, 1 features refused" in table.load(path, "--skip-invalid")


def test_geojson_of_another_encoding_is_named(table: Table) -> None:
    path = table.write("latin1.geojson", {"name": "x"})
    path.write_bytes(path.read_bytes().replace(b"x", "ç".encode("latin1"), 1))
    assert "is not UTF-8, as JSON must be" in table.refused(path)
    path = table.write("latin1.geojson", {"name": "Besanx"})
    path.write_bytes(path.read_bytes().replace(b"Besanx", "Besançon".encode("latin1")))
    table.load(path, "--encoding", "ISO-8859-1")
    assert table.rows("name") == ["Besançon"]
    assert (
        "no encoding is called 'klingon'" in table.run("load", path, "--encoding", "klingon").output
    )


def test_a_shapefile_says_its_encoding_in_its_dbf(table: Table) -> None:
    path = table.folder / "old.shp"
    names = np.array(["Besançon"], dtype=object)
    point = shapely.to_wkb([shapely.Point(5, 50)])
    write = pyogrio.raw.write
    write(
        path,
        point,
        [names],
        ["name"],
        geometry_type="Point",
        crs="EPSG:4326",
        encoding="ISO-8859-1",
    )
    (table.folder / "old.cpg").unlink()
    # It does not say: Latin-1 by dBASE's rule, and no UTF-8.
    assert "feature 1: name: 'Besan" in table.refused(path)
    table.load(path, "--encoding", "latin1")
    assert table.rows("name") == ["Besançon"]
    header = bytearray((table.folder / "old.dbf").read_bytes())
    header[29] = 0x57  # The language driver of ANSI.
    (table.folder / "old.dbf").write_bytes(header)
    table.load(table.folder)
    assert table.rows("name") == ["Besançon"]


EMPTY_CELLS = {
    (): [(None, None, None)],
    ("--empty", "null"): [(None, None, None)],
    ("--empty", "default"): [(None, "active", None)],
    ("--empty", "text"): [("", "", None)],
}


@pytest.mark.parametrize(("options", "stored"), EMPTY_CELLS.items())
def test_an_empty_cell_is_null_unless_it_is_said_what_it_is(
    table: Table, options: tuple[str, ...], stored: list[Any]
) -> None:
    header = "name,status,pop,height,amount,opened,seen,flag,props,key,WKT"
    path = table.write("cells.csv", f"{header}\n,,,,,,,,,,POINT (5 50)\n")
    table.load(path, *options)
    assert table.rows("name", "status", "pop") == stored
    others = ("height", "amount", "opened", "seen", "flag", "props", "key")
    assert table.rows(*others) == [(None,) * 7]


def test_an_empty_text_in_quotes_is_one(table: Table) -> None:
    table.load(table.write("cells.csv", 'name,status,WKT\n"",,POINT (5 50)\n'))
    assert table.rows("name", "status") == [("", None)]


# Dates and times

MOMENTS = [
    ("opened", "2020-01-02", "2020-01-02"),
    ("opened", "2020/01/02", "2020-01-02"),
    ("opened", "2020-01-02T00:00:00Z", "2020-01-02"),
    ("opened", "2020-01-02 00:00:00", "2020-01-02"),
    ("opened", "", None),
    ("seen", "2020-01-02T10:00:00Z", "2020-01-02 10:00:00+00"),
    ("seen", "2020-01-02 12:00:00+02", "2020-01-02 10:00:00+00"),
    ("seen", "2020/01/02 12:00:00.25+0200", "2020-01-02 10:00:00.25+00"),
    ("seen", "2020-01-02T10:00:00", "2020-01-02 10:00:00+00"),
    ("seen", "2020-01-02", "2020-01-02 00:00:00+00"),
    ("seen", "0044-03-15T00:00:00+00:00 BC", "0044-03-15 00:00:00+00 BC"),
    ("seen", "-infinity", "-infinity"),
    ("opened", "infinity", "infinity"),
    ("opened", "0044-03-15 BC", "0044-03-15 BC"),
    ("opened", "12020-01-02", "12020-01-02"),
]
NO_MOMENTS = [
    ("opened", "02.01.2020", "day and month may be either way round"),
    ("seen", "1/2/2020 10:00", "day and month may be either way round"),
    ("opened", 1577923200000, "a number"),
    ("seen", 2678400000, "a number"),
    ("seen", 1.5, "a number"),
    ("opened", "20200102", "a number"),
    ("opened", "2020-01-02T10:00:00Z", ""),
    ("seen", "2020-02-30", ""),
    ("seen", "yesterday", ""),
]


def test_moments_have_one_meaning(table: Table) -> None:
    """A time without an offset is in UTC, a date is its first moment."""
    features = [
        {
            "type": "Feature",
            "properties": {"name": f"{number:02}", column: value},
            "geometry": POINT,
        }
        for number, (column, value, _) in enumerate(MOMENTS)
    ]
    table.load(table.write("moments.geojsonl", "\n".join(map(json.dumps, features))))
    found = table.rows("opened", "seen")
    wanted = [(m, None) if column == "opened" else (None, m) for column, _, m in MOMENTS]
    assert found == wanted


def test_moments_of_two_meanings_are_refused(table: Table) -> None:
    features = [
        {"type": "Feature", "properties": {column: value}, "geometry": POINT}
        for column, value, _ in NO_MOMENTS
    ]
    said = table.refused(table.write("moments.geojsonl", "\n".join(map(json.dumps, features))))
    for number, (column, _, reason) in enumerate(NO_MOMENTS, 1):
        [line] = [
            each for each in said.splitlines() if each.startswith(f"feature {number}: {column}: ")
        ]
        assert reason in line


def test_a_field_of_dates_fills_a_time(table: Table) -> None:
    path = table.folder / "dates.gpkg"
    days = np.array(["2020-01-02"], dtype="datetime64[D]")
    point = shapely.to_wkb([shapely.Point(5, 50)])
    pyogrio.raw.write(path, point, [days], ["seen"], geometry_type="Point", crs="EPSG:4326")
    table.load(path)
    assert table.rows("seen") == ["2020-01-02 00:00:00+00"]


# Tables of coordinates

TABLES = {
    "lat,lon,name\n50,5,A\n": (),
    "name;Longitude;Latitude\nA;5;50\n": (),
    "NAME\tLNG\tLAT\nA\t5\t50\n": (),
    "x,y,name\n5,50,A\n": (),
    "E,N,name\n5,50,A\n": ("--x", "E", "--y", "N"),
    "name,location\nA,POINT (5 50)\n": (),
    "name,geom\nA,SRID=4326;POINT (5 50)\n": (),
    "name,wkb_geometry\nA,010100000000000000000014400000000000004940\n": (),
    "\ufeffname,WKT\r\nA,POINT (5 50)\r\n": (),
}


@pytest.mark.parametrize(("text", "options"), TABLES.items(), ids=range(len(TABLES)))
def test_a_table_has_its_places_in_columns(
    table: Table, text: str, options: tuple[str, ...]
) -> None:
    said = table.load(table.write("table.csv", text), *options)
    assert table.rows("name", "ST_AsText(location)") == [("A", "POINT(5 50)")]
    assert "ignored" not in said


def test_a_table_without_places_says_what_it_has(table: Table) -> None:
    path = table.write("table.csv", "name,breadth\nA,1\n")
    said = table.refused(path)
    assert "its columns are name, breadth" in said
    assert "--x and --y" in said
    assert "no column 'width'; it has name, breadth" in table.refused(
        path, "--x", "width", "--y", "name"
    )
    path = table.write("table.csv", "name,lat,lon\nA,1,2\nB,north,2\nC,1\nD,,\nE,1,2\n")
    said = table.refused(path)
    assert "feature 2: lon, lat: '2', 'north' are not the numbers of a place" in said
    assert "feature 3: 2 columns where there are 3" in said
    assert "feature 4: no geometry" in said
    table.load(path, "--skip-invalid")
    assert table.rows("name") == ["A", "E"]


def test_places_with_decimal_commas_are_refused_with_the_reason(table: Table) -> None:
    path = table.write("commas.csv", "name;lat;lon\nA;50,93;6,95\n")
    said = table.refused(path)
    assert "'6,95', '50,93' are not the numbers of a place: decimals follow a point" in said


@pytest.mark.parametrize(
    "curve",
    [
        "CIRCULARSTRING (0 0, 1 1, 2 0)",
        "GEOMETRYCOLLECTION (GEOMETRYCOLLECTION (CIRCULARSTRING (0 0, 1 1, 2 0)))",
    ],
)
def test_a_curve_of_a_table_is_refused_with_the_reason(table: Table, curve: str) -> None:
    said = table.refused(table.write("curves.csv", f'name,WKT\nA,POINT (5 50)\nB,"{curve}"\n'))
    assert "feature 2: WKT: Nonlinear geometry types are not currently supported" in said


def test_files_may_be_compressed(table: Table) -> None:
    plain = table.write("plain.geojson", {"name": "A"})
    for name, content in (
        ("a.geojson.gz", plain.read_bytes()),
        ("a.geojsonl.gz", plain.read_bytes()),
        ("a.csv.gz", b"name,lat,lon\nA,50,5\n"),
    ):
        table.load(table.write(name, gzip.compress(content)))
        assert table.rows("name", "ST_AsText(location)") == [("A", "POINT(5 50)")]
    cut = table.write("cut.geojson.gz", gzip.compress(plain.read_bytes() * 1000)[:-10])
    assert "cut.geojson.gz" in table.refused(cut)


def test_spreadsheets_topojson_and_esri_json(table: Table) -> None:
    path = table.folder / "sheet.xlsx"
    columns = [np.array([value], dtype=object) for value in ("A", "5", "50")]
    names = ["name", "lon", "lat"]
    pyogrio.raw.write(path, None, columns, names, geometry_type=None, driver="XLSX")
    topology = {
        "type": "Topology",
        "objects": {
            "places": {
                "type": "GeometryCollection",
                "geometries": [POINT | {"properties": {"name": "A"}}],
            }
        },
        "arcs": [],
    }
    esri = {
        "geometryType": "esriGeometryPoint",
        "spatialReference": {"wkid": 4326},
        "fields": [{"name": "name", "type": "esriFieldTypeString"}],
        "features": [{"attributes": {"name": "A"}, "geometry": {"x": 5, "y": 50}}],
    }
    for file in (
        path,
        table.write("topology.json", json.dumps(topology)),
        table.write("esri.json", json.dumps(esri)),
    ):
        table.load(file)
        assert table.rows("name", "ST_AsText(location)") == [("A", "POINT(5 50)")], file


# Geometries


def geopackage(path: Path, layer: str, kind: str, shapes: list[bytes]) -> None:
    """A layer of a GeoPackage whose geometries are given as WKB, of a type that pyogrio does not write."""
    known = shapely.to_wkb([shapely.Point(5, 50)] * len(shapes))
    names = np.array([f"{layer} {number}" for number in range(len(shapes))], dtype=object)
    append = path.exists()
    write = pyogrio.raw.write
    write(
        path,
        known,
        [names],
        ["name"],
        layer=layer,
        geometry_type="Unknown",
        crs="EPSG:4326",
        append=append,
    )
    with closing(sqlite3.connect(path)) as file:
        # GDAL's triggers keep an index, whose functions SQLite lacks.
        for (trigger,) in file.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            file.execute(f'DROP TRIGGER "{trigger}"')
        z = int(kind.endswith(" Z"))
        file.execute(
            "UPDATE gpkg_geometry_columns SET geometry_type_name = ?, z = ? WHERE table_name = ?",
            (kind.removesuffix(" Z"), z, layer),
        )
        for number, wkb in enumerate(shapes, 1):
            header = b"GP\x00\x01" + struct.pack("<i", 4326)
            file.execute(f'UPDATE "{layer}" SET geom = ? WHERE fid = ?', (header + wkb, number))
        file.commit()


def curved(kind: int, *parts: bytes) -> bytes:
    """WKB of a type that has parts."""
    return struct.pack("<BII", 1, kind, len(parts)) + b"".join(parts)


ARC = struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0)
LINE = shapely.to_wkb(shapely.LineString([(2, 0), (1, -1), (0, 0)]))
RING = shapely.to_wkb(shapely.LineString([(0, 0), (1, 0), (1, 1), (0, 0)]))
AREA = shapely.to_wkb(shapely.Polygon([(0, 0), (1, 0), (1, 1)]))


def test_curves_are_made_plain_where_they_are(table: Table) -> None:
    path = table.folder / "curves.gpkg"
    triangle = AREA[:1] + struct.pack("<I", 17) + AREA[5:]
    plain = {
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))": curved(12, AREA),
        "POLYGON((0 0,1 0,1 1,0 0))": curved(10, RING),
        "LINESTRING(2 0,1 -1,0 0,1 0,1 1,0 0)": curved(9, LINE, RING),
        "MULTILINESTRING((2 0,1 -1,0 0),(0 0,1 0,1 1,0 0))": curved(11, LINE, curved(9, RING)),
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((0 0,1 0,1 1,0 0)))": curved(12, curved(10, RING), AREA),
    }
    geopackage(path, "plain", "GEOMETRY", list(plain.values()))
    geopackage(path, "surfaces", "GEOMETRY", [curved(15, AREA), curved(16, triangle)])
    geopackage(path, "arcs", "GEOMETRY", [ARC, curved(10, curved(9, ARC, LINE)), AREA])
    said = table.refused(path, "--layer", "plain")
    # The last of them overlaps itself, which is no matter of curves.
    assert said.startswith("feature 5: an invalid geometry")
    assert "(--make-valid repairs it)" in said
    table.load(path, "--layer", "plain", "--skip-invalid")
    assert table.rows("ST_AsText(location)") == list(plain)[:4]
    table.load(path, "--layer", "surfaces")
    assert table.rows("ST_AsText(location)") == ["MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"] * 2
    said = table.refused(path, "--layer", "arcs")
    assert "feature 2: an arc (CircularString), which GeoJSON does not have (--linearize" in said
    assert "feature 3" not in said
    geopackage(path, "within", "GEOMETRY", [curved(7, ARC), AREA])
    said = table.refused(path, "--layer", "within")
    assert said.startswith("feature 1: an arc") and "feature 2" not in said
    table.load(path, "--layer", "arcs", "--linearize")
    kinds = table.rows("GeometryType(location)", "ST_NPoints(location) > 10")
    assert kinds == [("LINESTRING", "true"), ("POLYGON", "true"), ("POLYGON", "false")]


def test_a_layer_of_an_unlisted_type_spares_the_others(table: Table) -> None:
    path = table.folder / "types.gpkg"
    high = shapely.to_wkb(shapely.Point(5, 50, 3), flavor="iso")
    geopackage(path, "high", "GEOMETRY Z", [high])
    geopackage(path, "flat", "POINT", [shapely.to_wkb(shapely.Point(5, 50))])
    said = table.refused(path)
    assert "has the layers high, flat: say which one with --layer" in said
    table.load(path, "--layer", "flat")
    assert table.rows("name") == ["flat 0"]
    assert "(--force-2d drops the others)" in table.refused(path, "--layer", "high")
    table.load(path, "--layer", "high", "--force-2d")
    assert table.rows("ST_AsText(location)") == ["POINT(5 50)"]


def test_invalid_geometries_are_repaired_when_asked(table: Table) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    feature = {"type": "Feature", "properties": {}, "geometry": bow}
    path = table.write("bow.geojsonl", json.dumps(feature))
    assert "(--make-valid repairs it)" in table.refused(path)
    table.load(path, "--make-valid")
    assert table.rows("GeometryType(location)", "ST_Area(location)") == [("MULTIPOLYGON", "2")]
    # To and fro thousands of times, each way over all the others.
    bow["coordinates"] = [[*[[0, 0], [2, 2]] * 1_200, [2, 0], [0, 0]]]
    path = table.write("tangled.geojsonl", json.dumps(feature))
    assert "too often: split it" in table.refused(path, "--make-valid")


def test_a_file_of_which_nothing_can_be_loaded_is_no_success(table: Table) -> None:
    path = table.write(
        "nowhere.geojsonl", '{"type": "Feature", "properties": {}, "geometry": null}\n' * 2
    )
    said = table.refused(path, "--skip-invalid")
    assert "feature 2: no geometry" in said
    assert "nothing was loaded: each of the 2 features is refused" in said


# Ids


def test_ids_are_kept_when_asked(table: Table) -> None:
    features = [
        {"type": "Feature", "id": id, "properties": {"name": f"{id}"}, "geometry": POINT}
        for id in ("way/1", 2)
    ]
    path = table.write("ids.geojsonl", "\n".join(map(json.dumps, features)))
    assert "ignored: the features' own ids (--id-to ATTRIBUTE keeps them)" in table.load(path)
    said = table.load(path, "--id-to", "code")
    assert table.rows("code") == ["2", "way/1"]
    assert "ignored" not in said
    assert "has no attribute 'nonsense'" in table.refused(path, "--id-to", "nonsense")
    # Again: the rows that have these ids are changed.
    table.run("load", path, "--id-to", "code", "--key", "code").passed()
    assert table.rows("code") == ["2", "way/1"]


def test_properties_that_the_database_sets_are_listed(table: Table) -> None:
    properties = {"id": "way/1", "name": "a", "created_at": "2001-01-01T00:00:00Z", "more": 1}
    path = table.write("properties.geojson", properties)
    said = table.load(path)
    assert "ignored, since the database sets them: id, created_at" in said
    assert "ignored, since no column has this name: more (--map" in said
    assert "ignored, since the database sets them: created_at" in table.load(
        path, "--id-to", "code"
    )
    assert table.rows("code") == ["way/1"]


def test_a_duplicate_is_of_the_file_or_of_the_table(table: Table) -> None:
    one = json.dumps({"type": "Feature", "properties": {"code": "A)"}, "geometry": POINT})
    twice = table.write("twice.geojsonl", f"{one}\n{one}")
    for options in ((), ("--source-crs", "EPSG:3857")):
        said = table.refused(twice, *options)
        assert "code must be unique, and 'A)' is not: several features of the file have it" in said
        assert "--key" not in said
    path = table.write("one.geojsonl", one)
    table.load(path)
    said = table.refused(path)
    assert "a row that is there already has it (--key ATTRIBUTE changes that row)" in said


@pytest.mark.parametrize("text", ["", "\n", '{"type": "FeatureCollection", "features": []}'])
def test_an_empty_file_is_no_success(table: Table, text: str) -> None:
    assert "the file has no features" in table.refused(table.write("empty.geojson", text))


def test_what_gdal_does_not_know_is_said_without_its_advice(table: Table) -> None:
    said = table.refused(table.write("noise.bin", b"\x00\x01\x02"))
    assert "not recognized as being in a supported file format" in said
    assert "<DRIVER>" not in said


# Export

EXTREMES = """
    INSERT INTO facilities
        (name, status, code, pop, height, amount, opened, seen, flag, props, key, location)
    VALUES
        ('', NULL, '007', -9223372036854775808, 5e-324, 12345678901234567890.0123456789,
         '0001-01-01', '0001-01-01T00:00:00Z', false, '[0.12345678901234567890, null]',
         '00000000-0000-0000-0000-000000000000', 'SRID=4326;POINT(0.12345678901234568 -1e-20)'),
        (E'=1+1,"\\r\\n\\t\\\\N', E'\\\\.', 'NULL', 9223372036854775807, 1.7976931348623157e308, -0.0000000001,
         '9999-12-31', '9999-12-31T23:59:59.999Z', true, '"9824657365274853000123"', NULL,
         'SRID=4326;POLYGON((0 0,1 0,1 0.1234567890123456,0 0))'),
        ('東京', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0', NULL,
         'SRID=4326;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(1 2,3 4))'),
        (NULL, 'x', 'e', 1, 0.1, 1e19, '2020-01-02', '2020-01-02T03:04:05.678Z', true, '{}', NULL,
         'SRID=4326;MULTIPOINT(1 2,3 4)')
"""
#: What the formats of GDAL have no values for.
BEYOND = """
    INSERT INTO facilities (name, opened, seen, location) VALUES
        ('a', '0044-03-15 BC', '-infinity', 'SRID=4326;POINT(0 1)'),
        ('b', 'infinity', '0044-03-15T00:00:00Z BC', 'SRID=4326;POINT(0 1)'),
        ('c', '12020-01-02', '294276-12-31T23:59:59.999999Z', 'SRID=4326;POINT(0 1)')
"""
EVERYTHING = (
    *("name", "status", "code", "pop", "height", "amount", "opened", "seen", "flag"),
    *("props", "key", "ST_AsEWKB(location)"),
)


@pytest.mark.parametrize("name", ["a.geojson", "a.geojsonl", "a.csv", "a.fgb", "a.gpkg"])
def test_what_is_exported_is_loaded_as_it_was(table: Table, name: str) -> None:
    path = table.folder / name
    table.execute(EXTREMES)
    has_all = not name.endswith(("fgb", "gpkg"))
    if has_all:
        table.execute(BEYOND)
    before = table.rows(*EVERYTHING)
    table.run("export", "--all", path).passed()
    table.load(path)
    assert table.rows(*EVERYTHING) == before
    if not has_all:
        table.execute(BEYOND)
        run = table.run("export", "--all", path)
        assert run.code == 1
        assert "is infinite, or not of the years 1 to 9999, which" in run.output
        assert "Traceback" not in run.output


def test_a_file_has_the_format_of_its_name(table: Table) -> None:
    table.execute(EXTREMES)
    for name, beginning in (
        ("a.gpkg", b"SQLite format 3"),
        ("a.fgb", b"fgb"),
        ("a.parquet", b"PAR1"),
        ("a.csv", b"id,"),
        ("a.GEOJSON", b'{"type":"FeatureCollection"'),
        ("a.ndjson", b'{"type":"Feature"'),
        ("a", b'{"type":"Feature"'),
    ):
        path = table.folder / name
        table.run("export", path).passed()
        assert path.read_bytes().startswith(beginning)
    for name in ("a.gml", "a.kml", "a.txt"):
        run = table.run("export", table.folder / name)
        assert run.code == 1
        assert f"no format has names that end with {Path(name).suffix}" in run.output
        assert not (table.folder / name).exists()
    run = table.run("export", table.folder / "a.shp")
    assert run.code == 1
    assert "a Shapefile has geometries of one type only" in run.output


def test_a_spreadsheet_gets_no_formulas(table: Table) -> None:
    table.execute(EXTREMES)
    path = table.folder / "a.csv"
    table.run("export", path, "--for-spreadsheets").passed()
    assert "\"'=1+1," in path.read_text()
    run = table.run("export", table.folder / "a.geojson", "--for-spreadsheets")
    assert run.code == 1


def test_a_shapefile_is_of_several_files(bake: Bake, server: Any, tmp_path: Path) -> None:
    attributes = "name:str(100)? name_of_the_owner:text? opened:date? seen:datetime? pop:bigint?"
    project = bake(geometry_type="MULTIPOLYGON", srid="27700", attributes=attributes)
    with server.database() as url:
        project.service("migrate", DATABASE_URL=url).passed()
        table = Table(project, url, tmp_path)
        square = "'SRID=27700;MULTIPOLYGON(((%d 0,%d 0,%d 1,%d 1,%d 0)))'"
        table.execute(
            "INSERT INTO facilities (name, name_of_the_owner, opened, seen, pop, location) VALUES"
            f" ('Łódź', 'someone', '2020-01-02', '2020-01-02T03:04:05.678901Z', -99999999999999999, {square % (0, 1, 1, 0, 0)}),"
            f" (NULL, NULL, NULL, NULL, NULL, {square % (5, 6, 6, 5, 5)})"
        )
        columns = (
            "name",
            "name_of_the_owner",
            "opened",
            "seen",
            "pop",
            "ST_AsText(ST_Normalize(location))",
        )
        before = table.rows(*columns)
        path = tmp_path / "land.shp"
        run = table.run("export", path)
        run.passed()
        assert {each.suffix for each in tmp_path.glob("land.*")} >= {
            ".shp",
            ".shx",
            ".dbf",
            ".prj",
            ".cpg",
        }
        table.load(path)
        assert table.rows(*columns) == before
        table.execute("UPDATE facilities SET name_of_the_owner = repeat('x', 255)")
        run = table.run("export", path)
        assert run.code == 1
        assert "name_of_the_owner of the row" in run.output
        assert "is longer than 254 bytes, which a Shapefile cannot hold" in run.output
        table.execute("UPDATE facilities SET name_of_the_owner = NULL, pop = 2^62")
        assert "pop of the row" in table.run("export", path).output
        assert "ends with .shp" in table.run("export", "--format", "shapefile").output


def test_a_session_that_the_server_ends_leaves_nothing(table: Table) -> None:
    one = json.dumps({"type": "Feature", "properties": {"name": "a"}, "geometry": POINT}) + "\n"
    pipe = table.folder / "pipe"
    os.mkfifo(pipe)
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'COPY%'"
    )
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(table.run, "load", pipe)
        with suppress(BrokenPipeError), pipe.open("w") as file:
            file.write(one * 3_000)
            file.flush()
            while not running.done() and not table.execute(end):
                time.sleep(0.05)
            file.write(one * 100_000)
    run = running.result()
    assert run.code == 1
    assert "\nnothing was loaded: the database has ended the session" in run.output
    assert "Error" not in run.output
    assert table.rows("name") == []
