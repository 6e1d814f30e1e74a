"""A rendered service with a database full of rows: what the servers of a benchmark share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg2

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bench"

#: A geometry at a random place, by geometry type: a point, and a circle of 33 vertices.
SHAPES = {
    "POINT": "ST_SetSRID(ST_MakePoint(random() * 360 - 180, random() * 160 - 80), 4326)",
    "POLYGON": "ST_Buffer(ST_SetSRID(ST_MakePoint(random() * 358 - 179, random() * 160 - 80), 4326), 0.05, 8)",
}


@dataclass
class Prepared:
    """A rendered service and its database."""

    shape: str
    project: Path
    package: str
    url: str
    rows: int

    @property
    def environment(self) -> dict[str, str]:
        # As where they are installed, modules are compiled once: that takes longer than to load a small file.
        inherited = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        return inherited | {
            "PYTHONPYCACHEPREFIX": str(BUILD / "bytecode"),
            "PYTHONPATH": str(self.project / "src"),
            "DATABASE_URL": self.url,
            "GEOMETRY_TYPE": self.shape,
        }

    @property
    def depth(self) -> int:
        """The rows before a deep page: a million where there are as many, else nine of ten."""
        return 1_000_000 if self.rows > 1_000_000 else self.rows * 9 // 10

    def command(self, *arguments: object) -> list[str]:
        """A command of the service's command line."""
        return [sys.executable, "-m", self.package, *map(str, arguments)]

    def run(self, *arguments: object) -> None:
        subprocess.run(
            self.command(*arguments),
            cwd=self.project,
            env=self.environment,
            check=True,
            stderr=subprocess.DEVNULL,
        )

    @property
    def password(self) -> str:
        """Of the URL, or of the file that it names: one line, which ends with it."""
        url = urlsplit(self.url)
        (file,) = parse_qs(url.query).get("passfile", [os.devnull])
        return (
            unquote(url.password or "") or Path(file).read_text("utf-8").strip().rpartition(":")[2]
        )

    @property
    def postmaster(self) -> int:
        """The process whose children are all those of PostgreSQL.

        Raises:
            RuntimeError: It runs on another machine.
        """
        with self.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            stat = Path(f"/proc/{cursor.fetchone()[0]}/stat")
            if not (stat.exists() and "(postgres)" in stat.read_text()):
                raise RuntimeError(
                    "a benchmark counts PostgreSQL's CPU time: it must run on this machine"
                )
            return int(stat.read_text().rpartition(")")[2].split()[1])

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of a connection whose statements are transactions of their own."""
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


@contextmanager
def prepare(
    project: Path, shape: str, rows: int, *, sorted_in_space: bool = False
) -> Iterator[Prepared]:
    """A database for a rendered service, with its table full of rows."""
    with postgis(project).server() as server, server.database() as url:
        prepared = Prepared(shape, project, "facilities_service", url, rows)
        prepared.run("migrate")
        fill(prepared, sorted_in_space=sorted_in_space)
        yield prepared


def render(shape: str) -> Path:
    """Render the default service with a geometry type."""
    folder = BUILD / shape.lower()
    shutil.rmtree(folder, ignore_errors=True)
    command = ["cookiecutter", str(ROOT), "--no-input", "--default-config", "--accept-hooks", "no"]
    parameters = [f"geometry_type={shape}", "project_slug=facilities-service"]
    subprocess.run(
        [sys.executable, "-m", *command, "--output-dir", str(folder), *parameters], check=True
    )
    return folder / "facilities-service"


def postgis(project: Path) -> ModuleType:
    """The project's own tools/postgis.py."""
    spec = importlib.util.spec_from_file_location("postgis", project / "tools" / "postgis.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["postgis"] = module
    spec.loader.exec_module(module)
    return module


def fill(prepared: Prepared, *, sorted_in_space: bool) -> None:
    """Random rows; sorted in space, those with neighbouring ids are neighbours."""
    with prepared.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            "INSERT INTO facilities (name, status, location)"
            " SELECT 'facility ' || n, CASE WHEN n %% 10 = 0 THEN 'closed' ELSE 'active' END, shape"
            f" FROM (SELECT n, {SHAPES[prepared.shape]} AS shape FROM generate_series(1, %s) AS n) AS made"
            # Geometries are ordered along a Hilbert curve.
            f" ORDER BY {'shape' if sorted_in_space else 'n'}",
            (prepared.rows,),
        )
        cursor.execute("VACUUM ANALYZE facilities")


#: The features of a file as SQL makes them, one to a line.
FEATURES = """
    SELECT format(
        '{{"type":"Feature","geometry":%s,"properties":{{"name":"facility %s","status":"%s"}}}}',
        ST_AsGeoJSON({shape}), n, CASE WHEN n % 10 = 0 THEN 'closed' ELSE 'active' END
    ) FROM generate_series(1, {rows}) AS n
"""


def write_features(prepared: Prepared, rows: int, path: Path) -> None:
    """A GeoJSON sequence of random features, to be loaded."""
    query = FEATURES.format(shape=SHAPES[prepared.shape], rows=int(rows))
    with prepared.cursor() as cursor, path.open("wb") as file:
        cursor.execute("SELECT setseed(0.5)")
        cursor.copy_expert(f"COPY ({query}) TO STDOUT", file)
