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
        return os.environ | {
            "PYTHONPATH": str(self.project / "src"),
            "DATABASE_URL": self.url,
            "GEOMETRY_TYPE": self.shape,
        }


@contextmanager
def prepare(shape: str, rows: int) -> Iterator[Prepared]:
    """Render the default service with a geometry type, and fill its table."""
    project = render(shape)
    with postgis(project).server() as server, server.database() as url:
        prepared = Prepared(shape, project, "facilities_service", url, rows)
        subprocess.run(
            [sys.executable, "-m", prepared.package, "migrate"],
            cwd=project,
            env=prepared.environment,
            check=True,
        )
        fill(prepared)
        yield prepared


def render(shape: str) -> Path:
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


def fill(prepared: Prepared) -> None:
    connection = psycopg2.connect(prepared.url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            "INSERT INTO facilities (name, status, location)"
            " SELECT 'facility ' || n, CASE WHEN n %% 10 = 0 THEN 'closed' ELSE 'active' END,"
            f" {SHAPES[prepared.shape]} FROM generate_series(1, %s) AS n",
            (prepared.rows,),
        )
        cursor.execute("VACUUM ANALYZE facilities")
    connection.close()
