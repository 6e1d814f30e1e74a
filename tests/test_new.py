"""`make new` and `make demo FILE=…`: a service for what a team answers, or for a file."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from clusters import free_port
from rendering import TEMPLATE

sys.path.insert(0, str(TEMPLATE / "scripts"))

import file_answers

TREES = (
    "id,Name,lat,lon,planted,zip,limit\n1,Oak,47.1,8.1,2020-01-31,01067,5\n,Elm,47.2,8.2,,,6.5\n"
)


def feature(geometry: dict[str, object] | None, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "id": "a1", "properties": properties, "geometry": geometry}


def geojson(path: Path, *features: dict[str, object]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def answers(path: Path, load: str = "", **asked: str) -> tuple[dict[str, str], list[str]]:
    found = file_answers.answers(path, load, asked)
    return found.answers, found.load


def test_a_table_with_coordinates(tmp_path: Path) -> None:
    file = tmp_path / "trees.csv"
    file.write_text(TREES)
    assert answers(file) == (
        {
            "project_name": "Trees Service",
            "resource_name": "tree",
            "table_name": "trees",
            "srid": "4326",
            "geometry_type": "POINT",
            "geometry_dimension": "XY",
            "attributes": "tree_id:int? name:text? planted:date? zip:text? limit_value:float?",
            "geometry_column": "location",
        },
        ["--map", "id=tree_id", "--map", "limit=limit_value"],
    )


def test_a_layer_with_what_its_format_says(tmp_path: Path) -> None:
    file = tmp_path / "Land Parcels.shp"
    shapes = np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))], dtype=object)
    values = [np.array(["a"], dtype=object), np.array([1], dtype="int64")]
    pyogrio.raw.write(
        file, shapes, values, ["Größe", "number"], geometry_type="Polygon", crs="EPSG:25832"
    )
    given, load = answers(file)
    # Its next version may have one of several parts.
    assert (given["geometry_type"], given["srid"]) == ("MULTIPOLYGON", "25832")
    assert given["attributes"] == "grosse:str(80)? number:bigint?"
    assert load == ["--map", "Größe=grosse"]
    assert answers(file, srid="4326")[1][-2:] == ["--source-crs", "EPSG:25832"]


def test_features_of_several_kinds(tmp_path: Path) -> None:
    point, line = (
        {"type": "Point", "coordinates": [8, 47, 5]},
        {"type": "LineString", "coordinates": [[8, 47], [9, 47]]},
    )
    file = geojson(tmp_path / "x.geojson", feature(point, location=1), feature(line), feature(None))
    given, load = answers(file)
    assert given["geometry_type"] == "GEOMETRY"
    assert given["geometry_dimension"] == "XY"
    assert given["geometry_column"] == "geom"
    assert given["attributes"] == "x_id:text? location:int?"
    assert given["_table"] == '{"geometry_nullable": true}'
    assert load == ["--id-to", "x_id", "--force-2d"]


def test_what_the_file_does_not_say_is_asked_for(tmp_path: Path) -> None:
    metres = {"type": "Point", "coordinates": [2_600_000, 1_200_000]}
    file = geojson(tmp_path / "x.geojson", feature(metres))
    with pytest.raises(file_answers.SourceError, match=r"not degrees.*--source-crs EPSG:n"):
        answers(file)
    assert answers(file, "--source-crs EPSG:2056")[0]["srid"] == "2056"
    latin = tmp_path / "towns.csv"
    latin.write_bytes("name,lat,lon\nBesançon,47.2,6\nBern,47,7.4\n".encode("latin1"))
    with pytest.raises(file_answers.SourceError, match=r"not UTF-8.*--encoding"):
        answers(latin)
    assert answers(latin, "--encoding latin1")[0]["attributes"] == "name:text?"
    with pytest.raises(file_answers.SourceError, match=r"compound.*--source-crs EPSG:28992"):
        answers(file, "--source-crs EPSG:7415")


def command(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, TEMPLATE / "scripts" / "new.py", *arguments]


def test_answers_are_asked_for(tmp_path: Path) -> None:
    typed = "Wells\nwell\n\norder:int\norder_no:int\n\n27700\n\n2\n"
    asked = command("--out", tmp_path, "--arguments", "work_mem=64MB geometry_column=place")
    environment = os.environ | {"HOME": str(tmp_path), "FASTAPI_POSTGIS_CHECK_ENV": "0"}
    ended = subprocess.run(asked, input=typed, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    given = json.loads((tmp_path / "wells" / ".template.json").read_text())["parameters"]
    expected = {"attributes": "order_no:int", "srid": "27700", "deployment": "none"}
    expected |= {"work_mem": "64MB", "geometry_column": "place"}
    assert given.items() >= expected.items()
    assert f"cd {tmp_path}/wells\n  make run" in ended.stdout


def test_of_answers_that_end_nothing_is_left(tmp_path: Path) -> None:
    ended = subprocess.run(
        command("--out", tmp_path), input="Wells\n", capture_output=True, text=True
    )
    assert ended.returncode == 130
    assert ended.stderr.endswith("\nNothing was made.\n")
    assert not any(tmp_path.iterdir())


@contextmanager
def running(arguments: list[str | Path], url: str) -> Iterator[None]:
    environment = os.environ | {"DATABASE_URL": url}
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)


def test_a_file_is_served(tmp_path: Path, database_url: str) -> None:
    file = tmp_path / "trees.csv"
    file.write_text(TREES)
    port = str(free_port())
    url = f"http://127.0.0.1:{port}/collections/trees/items?f=json&sortby=name"
    arguments = command("--file", file, "--out", tmp_path / "out", "--serve", port)
    with running(arguments, database_url):
        for _ in range(600):
            try:
                with urllib.request.urlopen(url) as response:
                    rows = json.load(response)["features"]
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("nothing is served")
    assert [row["properties"]["zip"] for row in rows] == [None, "01067"]
    assert rows[1]["properties"]["tree_id"] == 1
