"""The oldest and the newest PostgreSQL and PostGIS that the template names: it names them everywhere, and runs on them."""

import re
from collections.abc import Iterator
from types import ModuleType

import debian
import psycopg2
import pytest
from conftest import Bake
from rendering import TEMPLATE, Project
from variants import FILES

#: The releases of Debian that have them.
RELEASES = {"bullseye": "oldest", "trixie": "newest"}

#: The tests that ask most of the server: DDL, plans, every statement, COPY, cursors, and errors by their codes.
TELLING = (
    *("checks", "cql", "database", "export", "features_edits", "health", "load"),
    *("migrations", "nearby", "problems", "rest", "tile_rows", "tiles"),
)


@pytest.fixture(scope="module")
def project(bake_once: Bake) -> Project:
    return bake_once()


@pytest.fixture
def server_of(request: pytest.FixtureRequest, postgis: ModuleType) -> Iterator[str]:
    if reason := debian.why_not():
        pytest.skip(reason)
    root = debian.unpacked(request.param, postgis._folder())
    with debian.running(root) as url:
        yield url


@pytest.mark.long
@pytest.mark.parametrize(
    ("server_of", "age"), RELEASES.items(), ids=RELEASES, indirect=["server_of"]
)
def test_the_default_project_works_on(
    project: Project, postgis: ModuleType, server_of: str, age: str
) -> None:
    connection = psycopg2.connect(server_of)
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION postgis")
        cursor.execute("SELECT current_setting('server_version'), postgis_lib_version()")
        versions = cursor.fetchone()
    connection.rollback()
    connection.close()
    for name, version in zip(("postgresql", "postgis"), versions, strict=True):
        assert version.startswith(project.context[f"__{age}_{name}"] + "."), name

    with postgis.Server(server_of, age).database() as url:
        project.service("migrate", DATABASE_URL=url).passed()
        project.service("check", "--ddl", "--database", DATABASE_URL=url).passed()
    project.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5", "-m", "not process"),
        *(FILES[name] for name in TELLING),
        TEST_DATABASE_URL=server_of,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    ).passed()


@pytest.mark.parametrize("delivery", [{}, {"deployment": "none", "ci": "gitlab"}], ids=str)
def test_every_file_names_the_same_versions(bake: Bake, delivery: dict[str, str]) -> None:
    project = bake(**delivery)
    oldest, newest = (
        {name: project.context[f"__{age}_{name}"] for name in ("postgresql", "postgis")}
        for age in ("oldest", "newest")
    )
    image = f"postgis/postgis:{newest['postgresql']}-{newest['postgis']}"
    text = "\n".join(project.files.values())
    # Of the tool, and of each file that runs a server.
    assert re.findall(r"postgis/postgis:[\d.-]+", text) == [image] * text.count("postgis/postgis:")
    assert text.count(image) == (3 if not delivery else 2)
    # Somebody else's, for ARM, has the same tags.
    assert set(re.findall(r"(?:imresamu|postgis)/(postgis:[\d.-]+)", text)) == {
        image.removeprefix("postgis/")
    }
    tool = project.files["tools/postgis.py"]
    assert f"\nOLDEST_POSTGRESQL = {oldest['postgresql']}\n" in tool
    assert f"\nOLDEST_POSTGIS = ({oldest['postgis'].replace('.', ', ')})\n" in tool
    versions = (
        f"PostgreSQL {oldest['postgresql']} to {newest['postgresql']}"
        f" with PostGIS {oldest['postgis']} to {newest['postgis']}"
    )
    for readme in (project.files["README.md"], (TEMPLATE / "README.md").read_text("utf-8")):
        assert versions in " ".join(readme.split())
