"""Databases as rendered services meet them: shared with others, migrated by another version, of another encoding."""

import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import warm
from clusters import execute
from conftest import Bake
from rendering import CACHES, Project

FACILITIES = "alembic_version_facilities_service"
PARCELS = "alembic_version_parcels"

QGIS = (
    "CREATE TABLE layer_styles (id serial PRIMARY KEY, stylename text);"
    "CREATE TABLE qgis_projects (name text PRIMARY KEY, content bytea)"
)

REVISION = '''"""Add a column."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"
branch_labels = depends_on = None


def upgrade() -> None:
    op.add_column("facilities", sa.Column("later", sa.Text()))


def downgrade() -> None:
    op.drop_column("facilities", "later")
'''


@pytest.fixture(scope="module")
def facilities(bake_once: Bake) -> Project:
    return bake_once()


@pytest.fixture(scope="module")
def parcels(bake_once: Bake) -> Project:
    return bake_once(project_slug="parcels", resource_name="parcel", geometry_type="POLYGON")


@pytest.fixture(scope="module")
def newer(facilities: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same project with one more revision."""
    path = shutil.copytree(facilities.path, tmp_path_factory.mktemp("newer") / "project")
    (path / "migrations/versions/0002_later.py").write_text(REVISION, encoding="utf-8")
    return Project(path, facilities.context)


#: Each fails with the database's address at hand, in another way.
FAILING = """
import os
import subprocess
import sys

import psycopg2
import sqlalchemy as sa


def test_that_connects(database_url, server, settings, connection):
    environment = dict(os.environ)
    print(database_url, server, settings, connection.engine.url)
    sa.create_engine(sa.make_url(database_url).set(port=1)).connect()


def test_that_connects_by_itself(database_url):
    psycopg2.connect(database_url.replace("5432", "1"), dbname="none")


def test_that_runs_a_program(database_url):
    environment = {"URL": f"{database_url}", **os.environ}
    subprocess.run([sys.executable, "-c", "0 / 0", database_url], env=environment, check=True)


def test_that_compares(server):
    with server.database() as url:
        assert [url, server] == [server.url, os.environ]
"""


#: With what a URL, and the file of libpq, have to have written in another way.
SECRET = "s3cret:\\/@ word"


@pytest.fixture
def role(server: Any) -> Iterator[str]:
    """A role that may do everything, by a password."""
    name = f"role_{secrets.token_hex(4)}"
    execute(server.url, f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{SECRET}'")
    yield name
    execute(server.url, f"DROP ROLE {name}")


@pytest.fixture
def make_database(server: Any) -> Iterator[Callable[[str], str]]:
    """Makes a database without PostGIS, with some options of CREATE DATABASE."""
    names = []

    def make(options: str) -> str:
        names.append(f"other_{secrets.token_hex(8)}")
        execute(server.url, f"CREATE DATABASE {names[-1]} TEMPLATE template0 {options}")
        return urlsplit(server.url)._replace(path=f"/{names[-1]}").geturl()

    yield make
    for name in names:
        execute(server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def revision(url: str, table: str) -> list[Any]:
    return execute(url, f"SELECT version_num FROM {table}")


def migrate(project: Project, url: str, *arguments: str) -> warm.Run:
    return project.service("migrate", *arguments, DATABASE_URL=url)


def check(project: Project, url: str) -> warm.Run:
    return project.service("check", "--database", DATABASE_URL=url)


def test_two_services_and_qgis_share_a_database(
    facilities: Project, parcels: Project, database_url: str
) -> None:
    execute(database_url, QGIS)
    migrate(facilities, database_url).passed()
    migrate(parcels, database_url).passed()
    for project, table in ((facilities, FACILITIES), (parcels, PARCELS)):
        assert revision(database_url, table) == [("0001",)]
        assert execute(database_url, f"SELECT count(*) FROM {project.table}") == [(0,)]
        check(project, database_url).passed()
        project.python("-m", "alembic", "check", DATABASE_URL=database_url).passed()


def test_a_revision_drops_no_table_of_others(
    facilities: Project, database_url: str, tmp_path: Path
) -> None:
    path = shutil.copytree(facilities.path, tmp_path / "project")
    project = Project(path, facilities.context)
    execute(database_url, QGIS)
    migrate(project, database_url).passed()
    revise = ("-m", "alembic", "revision", "--autogenerate", "-m", "nothing")
    project.python(*revise, DATABASE_URL=database_url).passed()
    (written,) = path.glob("migrations/versions/*_nothing.py")
    assert "def upgrade() -> None:" in written.read_text()
    assert "drop_table" not in written.read_text()


def test_a_table_that_a_revision_made_is_dropped_with_its_model(
    newer: Project, database_url: str, tmp_path: Path
) -> None:
    path = shutil.copytree(newer.path, tmp_path / "project")
    project = Project(path, newer.context)
    later = path / "migrations/versions/0002_later.py"
    later.write_text(
        REVISION.replace(
            'op.add_column("facilities", sa.Column("later", sa.Text()))',
            'op.create_table("depots", sa.Column("id", sa.Integer(), primary_key=True))',
        ),
        encoding="utf-8",
    )
    migrate(project, database_url).passed()
    found = check(project, database_url)
    assert found.code == 1
    assert "remove table depots" in found.output


def test_a_service_has_a_schema_of_its_own(facilities: Project, database_url: str) -> None:
    migrate(facilities, database_url).passed()
    execute(database_url, "CREATE SCHEMA mine")
    url = sa.make_url(database_url).update_query_dict({"options": "-csearch_path=mine,public"})
    mine = url.render_as_string(hide_password=False)
    migrate(facilities, mine).passed()
    assert revision(database_url, f"mine.{FACILITIES}") == [("0001",)]
    assert execute(database_url, "SELECT count(*) FROM mine.facilities") == [(0,)]
    check(facilities, mine).passed()
    check(facilities, database_url).passed()


def test_a_revision_in_the_shared_table_is_taken_over(
    newer: Project, facilities: Project, database_url: str
) -> None:
    migrate(facilities, database_url).passed()
    execute(
        database_url,
        f"ALTER TABLE {FACILITIES} RENAME TO alembic_version;"
        f"ALTER INDEX {FACILITIES}_pkc RENAME TO alembic_version_pkc",
    )
    migrate(newer, database_url).passed()
    assert revision(database_url, FACILITIES) == [("0002",)]
    assert revision(database_url, "alembic_version") == [("0001",)]


def test_a_revision_of_another_project_is_not_taken_over(
    facilities: Project, database_url: str
) -> None:
    execute(
        database_url,
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('0001')",
    )
    migrate(facilities, database_url).passed()
    assert execute(database_url, "SELECT count(*) FROM facilities") == [(0,)]
    check(facilities, database_url).passed()


def test_a_missing_table_is_named(facilities: Project, database_url: str) -> None:
    migrate(facilities, database_url).passed()
    execute(database_url, "DROP TABLE facilities")
    for run in (migrate(facilities, database_url), check(facilities, database_url)):
        assert run.code == 1
        assert "no table facilities" in run.output


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused(
    facilities: Project, make_database: Callable[[str], str], encoding: str
) -> None:
    url = make_database(f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    for run in (migrate(facilities, url), check(facilities, url)):
        assert run.code == 1
        assert f"encoding is {encoding}, not UTF8" in run.output
    assert execute(url, "SELECT to_regclass('facilities')") == [(None,)]


def test_postgis_in_a_schema_outside_of_the_search_path(
    facilities: Project, make_database: Callable[[str], str]
) -> None:
    url = make_database("ENCODING 'UTF8'")
    execute(url, 'CREATE SCHEMA "GIS"; CREATE EXTENSION postgis SCHEMA "GIS"')
    for run in (migrate(facilities, url), check(facilities, url)):
        assert run.code == 1
        assert 'PostGIS is in the schema "GIS"' in run.output
        assert 'SET search_path = "$user", public, "GIS"' in run.output
    name = urlsplit(url).path[1:]
    execute(url, f'ALTER DATABASE {name} SET search_path = "$user", public, "GIS"')
    migrate(facilities, url).passed()
    check(facilities, url).passed()


def test_an_older_version_leaves_a_newer_database_as_it_is(
    newer: Project, facilities: Project, database_url: str
) -> None:
    migrate(newer, database_url).passed()
    older = migrate(facilities, database_url)
    older.passed()
    assert "a newer version has migrated the database to revision 0002" in older.output
    # A rollback runs plain `migrate`; a revision that is named is out of reach, or mistyped.
    for named in ("0001", "hed"):
        refused = migrate(facilities, database_url, named)
        assert refused.code == 1
        assert (
            f"at revision 0002, to which a newer version has migrated it: this one cannot bring it to {named}"
            in refused.output
        )
    assert revision(database_url, FACILITIES) == [("0002",)]
    found = check(facilities, database_url)
    assert found.code == 1
    assert "revision 0002, which this version does not have" in found.output


def test_migrating_to_an_earlier_revision_is_refused(newer: Project, database_url: str) -> None:
    migrate(newer, database_url, "0001").passed()
    migrate(newer, database_url, "+1").passed()
    for earlier in ("0001", "base"):
        refused = migrate(newer, database_url, earlier)
        assert refused.code == 1
        assert f"at revision 0002, beyond {earlier}: nothing was changed" in refused.output
        assert f"alembic downgrade {earlier}" in refused.output
    newer.python("-m", "alembic", "downgrade", "0001", DATABASE_URL=database_url).passed()
    migrate(newer, database_url, "0001").passed()
    assert revision(database_url, FACILITIES) == [("0001",)]
    migrate(newer, database_url, "0001+1").passed()
    assert revision(database_url, FACILITIES) == [("0002",)]


def test_a_mistyped_revision_is_named(newer: Project, database_url: str) -> None:
    refused = migrate(newer, database_url, "0003")
    assert refused.code == 1
    assert "revision identified by '0003'" in refused.output


def test_a_wheel_has_the_migrations(facilities: Project, database_url: str, tmp_path: Path) -> None:
    wheels, installed, elsewhere = (tmp_path / name for name in ("wheels", "installed", "other"))
    facilities.python("-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)).passed()
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(installed)
    assert not list(installed.rglob("*.pyc"))
    # The whole of geotables, whose data files some commands never read.
    folders = (facilities.path / "src/geotables", installed / "geotables")
    sources, found = (
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    assert found == {path for path in sources if CACHES.isdisjoint(path.parts)}
    # Of another project, in the folder that it is run in.
    (elsewhere / "migrations").mkdir(parents=True)
    (elsewhere / "migrations/env.py").write_text("raise SystemExit('the wrong one')")
    environment = {"DATABASE_URL": database_url, "PYTHONPATH": str(installed)}
    for name in ("migrate", "check"):
        warm.python(
            *("-m", "facilities_service", name), folder=elsewhere, environment=environment
        ).passed()
    assert revision(database_url, FACILITIES) == [("0001",)]
    # pip makes a command of it, under the project's name.
    (metadata,) = installed.glob("*.dist-info")
    (command,) = PathDistribution(metadata).entry_points
    assert (command.group, command.name) == ("console_scripts", "facilities-service")
    assert command.value == "facilities_service.cli:main"


@pytest.mark.parametrize("place", ["TEST_DATABASE_URL", "PGPASSWORD"])
def test_no_failing_test_shows_the_password(
    bake: Bake, server: Any, role: str, place: str, tmp_path: Path
) -> None:
    project = bake()
    (project.path / "tests/test_failing.py").write_text(FAILING, encoding="utf-8")
    url = sa.make_url(server.url).difference_update_query(["passfile"]).set(username=role)
    environment = {"PGPASSWORD": SECRET}
    if place == "TEST_DATABASE_URL":
        url, environment = url.set(password=SECRET), {}
    environment["TEST_DATABASE_URL"] = url.render_as_string(hide_password=False)
    report = tmp_path / "report.xml"
    options = ("--showlocals", "-vv", f"--junitxml={report}", "-o", "junit_logging=all")
    run = project.python(
        *("-m", "pytest", "-p", "no:cacheprovider", *options, "tests/test_failing.py"),
        **environment,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert "4 failed" in run.output, run
    for text in (run.output, report.read_text("utf-8")):
        assert "s3cret" not in text
        assert f"{role}@" in text
