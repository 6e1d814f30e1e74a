"""Rendered services with real features in them, as clients meet them, and the programs of GDAL."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import airportsdata
import numpy as np
import pyproj
import pytest
import requests
import shapely
from clusters import free_port
from rendering import Project
from shapely.geometry.base import BaseGeometry

#: Degrees that a piece of land is wide and high.
PIECE = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for, as the service's log has it."""

    method: str
    path: str
    query: str

    @property
    def parameters(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.query).items()}


@dataclass(frozen=True, slots=True)
class Service:
    """A rendered service that runs, and what it was loaded with."""

    url: str
    project: Project
    database_url: str
    #: The features of its collection, in WGS 84, by their names.
    features: dict[str, dict[str, Any]]
    log: Path
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def table(self) -> str:
        return self.project.table

    @property
    def srid(self) -> int:
        return int(self.project.context["srid"])

    @property
    def collection(self) -> str:
        return f"{self.url}/collections/{self.table}"

    @property
    def items(self) -> str:
        return f"{self.collection}/items"

    @property
    def shapes(self) -> dict[str, BaseGeometry]:
        """The geometries, by the names of their features."""
        texts = [json.dumps(feature["geometry"]) for feature in self.features.values()]
        return dict(zip(self.features, shapely.from_geojson(texts), strict=True))

    def ask(self, url: str, method: str = "GET", **options: Any) -> requests.Response:
        """Send a request, of parameters (``params``), headers, a body (``json``)."""
        if "params" in options:
            # As people write them: with commas and colons.
            options["params"] = "&".join(f"{name}={value}" for name, value in options["params"])
        return self.session.request(method, url, timeout=60, **options)

    def get(self, url: str, expected: int = 200, /, **parameters: Any) -> Any:
        """The JSON at a URL, by parameters; those with a hyphen have an underscore here."""
        named = {name.replace("_", "-"): value for name, value in parameters.items()}
        response = self.session.get(url, params=named, timeout=60)
        assert response.status_code == expected, (response.url, response.text[:500])
        return response.json()

    @contextmanager
    def requests(self) -> Iterator[list[Request]]:
        """Every request that is answered meanwhile; the list is full when the block has ended."""
        found: list[Request] = []
        start = self.log.stat().st_size
        yield found
        # When this is answered, all before it is logged; it is not, being one that machines ask all the time.
        self.get(f"{self.url}/health/live")
        for line in self.log.read_bytes()[start:].splitlines():
            entry = json.loads(line)
            if entry["logger"] == "access":
                found.append(Request(entry["method"], entry["path"], entry["query"]))


@contextmanager
def serving(project: Project, server: Any, folder: Path, **environment: str) -> Iterator[Service]:
    """A project's service over a database of its own, loaded by its own command."""
    features = airports() if project.context["geometry_type"] == "POINT" else land(project)
    file, log = folder / "features.geojsonl", folder / "service.log"
    file.write_text("\n".join(map(json.dumps, features)), encoding="utf-8")
    with server.database() as database_url:
        for command in (["migrate"], ["load", str(file)]):
            run = project.service(*command, DATABASE_URL=database_url)
            assert run.code == 0, run
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        own = {"PYTHONPATH": "src", "DATABASE_URL": database_url}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", project.package, "serve", "--port", str(port)],
                cwd=project.path,
                env=os.environ | own | environment,
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(url, process)
            is_partial = bool(project.context["index_predicate"])
            shown = {
                feature["properties"]["name"]: feature
                for feature in features
                if not is_partial or feature["properties"]["status"] == "active"
            }
            yield Service(url, project, database_url, shown, log)
        finally:
            process.terminate()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a service, or a proxy in front of it, answers."""
    for _ in range(600):
        try:
            requests.get(f"{url}/health/live", timeout=10)
            return
        except requests.ConnectionError:
            assert process.poll() is None, f"{url} has ended"
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


def airports() -> list[dict[str, Any]]:
    """Some airports of the world, from pole to pole and on both sides of the antimeridian."""
    found = []
    for number, airport in enumerate(list(airportsdata.load().values())[::12]):
        place = shapely.Point(airport["lon"], airport["lat"])
        name = f"{airport['name'][:80]} ({airport['icao']})"
        found.append(_feature(place, name, "closed" if number % 3 == 0 else "active"))
    return found


def land(project: Project) -> list[dict[str, Any]]:
    """The land in the area of use of the table's CRS, in pieces: Natural Earth's, which the map page comes with."""
    file = project.path / "src/geotables/webmap/static/land.json"
    world = shapely.from_geojson(file.read_text("utf-8"))
    area = pyproj.CRS.from_epsg(int(project.context["srid"])).area_of_use
    assert area is not None
    west, south = np.meshgrid(
        np.arange(area.west, area.east - PIECE, PIECE),
        np.arange(area.south, area.north - PIECE, PIECE),
    )
    cells = shapely.box(west, south, west + PIECE, south + PIECE).ravel()
    pieces = shapely.intersection(shapely.make_valid(world), cells)
    found = []
    for number, piece in enumerate(pieces):
        polygons = [each for each in shapely.get_parts(piece) if each.area > 0]
        if polygons:
            status = "closed" if number % 3 == 0 else "active"
            found.append(_feature(shapely.MultiPolygon(polygons), f"piece {number}", status))
    return found


def _feature(geometry: BaseGeometry, name: str, status: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": json.loads(shapely.to_geojson(geometry)),
        "properties": {"name": name, "status": status},
    }


def gdal(program: str, *arguments: str) -> str:
    """What a program of GDAL prints. On Debian and Ubuntu it is installed if it is missing and that is allowed."""
    command = "apt-get update -qq && apt-get install -y -qq --no-install-recommends gdal-bin"
    if not shutil.which(program) and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
    if not shutil.which(program):
        pytest.fail(f"services are tested with GDAL, which is not there: as root, {command}")
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, (run.args, run.stderr)
    # It goes on after an error, and ends well.
    assert "ERROR" not in run.stderr, (run.args, run.stderr)
    return run.stdout
