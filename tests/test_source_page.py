"""The page whose advice the template follows ends with a script that verifies it: the default rendering passes it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import requests
from clusters import free_port
from conftest import Bake

INDEX = """
-- Confirm GiST index exists
SELECT indexname, indexdef
FROM pg_indexes
WHERE tablename = 'facilities'
  AND indexname = 'idx_facilities_location_gist';
"""

INSERT = """
-- Insert a test row (adjust connection details)
INSERT INTO facilities (name, location)
VALUES ('Test', ST_SetSRID(ST_MakePoint(-73.985, 40.748), 4326));
"""

EXPLAIN = """
-- Verify the planner uses the index for a spatial predicate
EXPLAIN (ANALYZE, BUFFERS)
SELECT id, name
FROM facilities
WHERE ST_DWithin(
    location,
    ST_SetSRID(ST_MakePoint(-73.985, 40.748), 4326)::geography,
    1000
);
"""

SCRIPT = """
import requests

# POST a facility
r = requests.post(
    "http://localhost:8000/facilities/",
    params={"name": "Central Park", "lat": 40.785, "lon": -73.968}
)
assert r.status_code == 201
body = r.json()
assert body["location"]["type"] == "Point"
assert len(body["location"]["coordinates"]) == 2
print(body["location"])
# {"type": "Point", "coordinates": [-73.968, 40.785]}
"""


@pytest.fixture(scope="module")
def database_url(bake_once: Bake, server: Any) -> Iterator[str]:
    with server.database() as url:
        yield url


@pytest.fixture(scope="module")
def service(bake_once: Bake, database_url: str) -> Iterator[str]:
    """The URL of the service, as a user starts it."""
    project = bake_once()
    project.service("migrate", DATABASE_URL=database_url).passed()
    port = free_port()
    command = [sys.executable, "-m", project.package, "serve", "--port", str(port)]
    environment = os.environ | {"DATABASE_URL": database_url, "PYTHONPATH": "src"}
    log = project.path.parent / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=project.path, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until something listens on the port, or the process has ended."""
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError(f"the service ended: exit code {process.returncode}")


@pytest.fixture
def cursor(service: str, database_url: str) -> Iterator[Any]:
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def test_script(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(SCRIPT.replace("http://localhost:8000", service))
    assert capsys.readouterr().out == "{'type': 'Point', 'coordinates': [-73.968, 40.785]}\n"


def test_facility_can_be_read(service: str) -> None:
    """The page's second endpoint."""
    created = requests.post(
        f"{service}/facilities/", params={"name": "Pier", "lat": 1, "lon": 2}
    ).json()
    assert requests.get(f"{service}/facilities/{created['id']}").json() == created
    assert requests.get(f"{service}/facilities/0").status_code == 404


def test_index_is_there_under_its_name(cursor: Any) -> None:
    cursor.execute(INDEX)
    assert cursor.fetchall() == [
        (
            "idx_facilities_location_gist",
            "CREATE INDEX idx_facilities_location_gist ON public.facilities USING gist (location)",
        )
    ]


def test_no_other_gist_index_has_the_column_as_its_key(cursor: Any) -> None:
    cursor.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%USING gist (location)%'")
    assert cursor.fetchall() == [("idx_facilities_location_gist",)]


def test_insert(cursor: Any) -> None:
    cursor.execute(INSERT)
    assert cursor.rowcount == 1


def test_planner_uses_an_index(cursor: Any) -> None:
    """The page promises the geometry's index, which PostgreSQL cannot use for metres: the geography's does it."""
    cursor.execute(
        "INSERT INTO facilities (name, location) SELECT n, ST_SetSRID(ST_MakePoint("
        " random() * 360 - 180, random() * 180 - 90), 4326) FROM generate_series(1, 100000) n"
    )
    cursor.execute("ANALYZE facilities")
    cursor.execute(EXPLAIN)
    plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "Scan using idx_facilities_location_geog" in plan or (
        "Bitmap Index Scan on idx_facilities_location_geog" in plan
    )
