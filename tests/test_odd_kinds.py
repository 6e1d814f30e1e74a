"""Kinds of tables that the template does not make, in a rendered project: views, partitioned tables, odd types, no geometry.

The project's table module and revision come from odd_kinds/. In its revision a table stands in for the view; here there are
real ones, too.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import proof
import psycopg2
import pytest
from conftest import Bake
from rendering import Project

ODD = Path(__file__).with_name("odd_kinds")

#: What runs for these collections: each face, and what is about kinds of tables.
TESTS = (
    *("core/test_null_geometry.py", "core/test_read_only.py", "core/test_text_columns.py"),
    *("features/test_features_pages.py", "files/test_export.py", "http/test_openapi.py"),
    *("rest/test_rest.py", "tiles/test_tiles.py", "ogc/test_resources.py"),
)

CURVE = "CIRCULARSTRING(0 0,1 1,2 0)"

#: What surveys.geom lacks, and how it comes to have it.
UNTYPED = "ALTER TABLE surveys ALTER COLUMN geom TYPE geometry(GEOMETRY,2193)"

#: A table with the columns of the view, and another that it is joined with.
TABLES_OF_SITES = """
ALTER TABLE sites RENAME TO site;
CREATE INDEX site_shape_idx ON site USING gist (shape);
CREATE TABLE owner (id integer PRIMARY KEY, mood mood, address inet);
INSERT INTO owner VALUES (5, 'happy', '10.0.0.1'), (7, NULL, NULL);
INSERT INTO site (gid, name, tags, open_hours, price, shape) VALUES
    (5, 'mill', '{a,b}', '[1,3)', '1.50', 'SRID=2193;POINT(1600000 5400000)'),
    (7, NULL, NULL, NULL, NULL, NULL);
"""
JOINED = (
    "SELECT s.gid, s.name, o.mood, s.tags, s.open_hours, o.address, s.net, s.wait, s.extra, s.spot, s.raw, s.at, s.since,"
    " s.price, s.doc, s.words, s.label, s.grade, s.pair, s.bits, s.dot, s.path, s.ref, s.span, s.shape"
    " FROM site s JOIN owner o ON o.id = s.gid"
)
RELATIONS = {
    "a view": f"CREATE VIEW sites AS {JOINED}",
    "a materialized view": f"CREATE MATERIALIZED VIEW sites AS {JOINED}",
    "a foreign table": f"""
        CREATE VIEW elsewhere AS {JOINED};
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({{place}});
        CREATE USER MAPPING FOR CURRENT_USER SERVER itself OPTIONS ({{login}});
        CREATE SCHEMA imported;
    """,
}

#: Of a foreign table: the view has to be there for other sessions first.
IMPORTED = """
IMPORT FOREIGN SCHEMA public LIMIT TO (elsewhere) FROM SERVER itself INTO imported;
ALTER FOREIGN TABLE imported.elsewhere RENAME TO sites;
ALTER FOREIGN TABLE imported.sites SET SCHEMA public;
"""


@pytest.fixture(scope="module")
def project(bake_once: Bake) -> Project:
    """A project whose collections are those in odd_kinds/."""
    project = bake_once(auth="none")
    shutil.copytree(ODD, project.path, dirs_exist_ok=True)
    return project


@pytest.fixture
def migrated(project: Project, database_url: str) -> Iterator[str]:
    """A database with its tables."""
    run = project.service("migrate", DATABASE_URL=database_url)
    assert run.code == 0, run
    yield database_url


def execute(url: str, statements: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(statements)
    connection.close()


def ask(project: Project, url: str, *requests: list[Any]) -> list[Any]:
    """The status, the headers and the body of the answer to each request."""
    run = project.python("-m", "ask", json.dumps(requests), DATABASE_URL=url)
    assert run.code == 0, run
    answers: list[Any] = json.loads(run.output.splitlines()[-1])
    return answers


def test_the_contract_holds(project: Project, server: Any, tmp_path: Path) -> None:
    files = [f"tests/geotables/{name}" for name in TESTS]
    run = project.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "share", *files),
        TEST_DATABASE_URL=server.url,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        PYTHONPATH=proof.with_plugin(tmp_path),
    )
    assert run.code == 0, run


def test_the_checks_name_what_the_model_says_otherwise(project: Project, migrated: str) -> None:
    run = project.service("check", "--database", DATABASE_URL=migrated)
    # Alembic's words, and what to do.
    assert run.code == 1
    assert "check: 2 found wrong" in run.output
    assert UNTYPED in run.output
    assert "readings: its primary key is id, day" in run.output
    assert (
        "sites: shown as text and never written: mood, tags, open_hours, address, net" in run.output
    )
    execute(
        migrated,
        f"INSERT INTO surveys (geom) VALUES ('SRID=0;POINT(1 1)'), ('{CURVE}')",
    )
    run = project.service("check", "--database", DATABASE_URL=migrated)
    assert "surveys.geom: 2 rows have a geometry that is of another SRID" in run.output
    assert "surveys.geom: 1 rows have a geometry that is a curve" in run.output
    execute(migrated, f"TRUNCATE surveys; {UNTYPED}")
    run = project.service("check", "--database", DATABASE_URL=migrated)
    assert run.code == 0, run
    # Nothing is left to make for a revision, either.
    run = project.python("-m", "alembic", "check", DATABASE_URL=migrated)
    assert run.code == 0, run


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS)
def test_what_no_revision_makes_is_served_as_it_is(
    project: Project, migrated: str, relation: str
) -> None:
    options = psycopg2.extensions.parse_dsn(migrated)
    if "passfile" in options:
        # Its one line ends with the password.
        options["password"] = Path(options["passfile"]).read_text().strip().rpartition(":")[2]
    login = ", ".join(
        f"{name} '{options[name]}'" for name in ("user", "password") if name in options
    )
    place = ", ".join(
        f"{name} '{options[name]}'" for name in ("host", "port", "dbname") if name in options
    )
    execute(migrated, f"{UNTYPED}; {TABLES_OF_SITES}; {relation.format(place=place, login=login)}")
    if "FOREIGN" in relation:
        execute(migrated, IMPORTED)
    run = project.service("check", "--database", DATABASE_URL=migrated)
    assert run.code == 0, run
    uses_no_index = "sites: a search in a box reads every row of the view"
    assert (uses_no_index in run.output) == ("CREATE VIEW sites" not in relation)
    run = project.python("-m", "alembic", "check", DATABASE_URL=migrated)
    assert run.code == 0, run
    paths = [
        "/sites/",
        "/collections/sites/items?bbox=170,-45,175,-40",
        "/collections/sites/items?sortby=-mood&mood=happy",
        "/collections/sites",
        "/collections/sites/items?count=estimated",
        "/collections/sites/tiles/WebMercatorQuad/0/0/0",
        "/sites/nearby?lon=173&lat=-41.5&radius=100000",
    ]
    *read, one, again, posted = ask(
        project,
        migrated,
        *(["GET", path] for path in paths),
        ["GET", "/sites/5"],
        ["GET", "/sites/5", None, {"If-None-Match": f"@{len(paths)}"}],
        ["POST", "/sites/", {}],
    )
    assert [status for status, _, _ in read] == [200] * len(paths), read
    first, second = json.loads(read[0][2])["items"]
    assert first["mood"] == "happy"
    assert (first["tags"], first["open_hours"], first["address"]) == (
        "{a,b}",
        "[1,3)",
        "10.0.0.1/32",
    )
    assert second["mood"] is None
    assert second["shape"] is None
    for _, _, body in (read[1], read[2]):
        assert [feature["id"] for feature in json.loads(body)["features"]] == [5]
    assert (one[0], again[0]) == (200, 304)
    assert (posted[0], posted[1]["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_a_row_moves_to_another_partition(project: Project, migrated: str) -> None:
    place = {"type": "Point", "coordinates": [1, 2]}
    days = ["2021-05-05", "2020-05-05", "2021-05-06"]
    features = [{"type": "Feature", "geometry": place, "properties": {"day": day}} for day in days]
    several = {"type": "FeatureCollection", "features": features}
    added, read, moved, there, late, collection = ask(
        project,
        migrated,
        ["POST", "/readings/", {"day": "2020-12-31", "place": place}],
        ["GET", "/readings/1"],
        ["PATCH", "/readings/1", {"day": "2021-01-01"}, {"If-Match": "@0"}],
        ["GET", "/readings/1"],
        ["PATCH", "/readings/1", {"note": "x"}, {"If-Match": "@0"}],
        ["POST", "/collections/readings/items", several],
    )
    assert (added[0], moved[0], late[0]) == (201, 200, 412), moved
    assert read[1]["etag"] == added[1]["etag"] != moved[1]["etag"] == there[1]["etag"]
    assert json.loads(moved[2])["day"] == "2021-01-01"
    assert moved[2] == there[2]
    stored = json.loads(collection[2])["features"]
    assert [feature["properties"]["day"] for feature in stored] == days


def test_a_row_that_cannot_be_served_is_a_problem_of_its_collection(
    project: Project, migrated: str
) -> None:
    execute(migrated, f"INSERT INTO surveys (geom) VALUES ('SRID=2193;{CURVE}')")
    (answer,) = ask(project, migrated, ["GET", "/collections/surveys/items"])
    assert answer[0] == 500
    detail = json.loads(answer[2])["detail"]
    assert detail.startswith("surveys has a row whose geometry cannot be served")
