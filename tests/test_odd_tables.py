"""Tables whose names and keys the template does not make, in a rendered project: text, numbers, dates and times as keys that
clients give, columns and tables whose names SQL quotes, two tables of one name in two schemas. What the OGC's suites assert
is asserted of them together, behind a prefix: they are of several geometry types and CRSs.

The project's table modules, its revision and the literal tests come from odd_tables/.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake
from rendering import Project

ODD = Path(__file__).with_name("odd_tables")

#: What of the contract runs for these tables, beside their literal tests: each way to read and write rows.
TESTS = (
    *("test_odd_tables.py", "geotables/rest/test_rest.py", "geotables/rest/test_pages.py"),
    *("geotables/checks/test_migrations.py", "geotables/checks/test_tables.py"),
    *("geotables/features/test_features_edits.py", "geotables/features/test_properties.py"),
    "geotables/rest/test_queries.py",
    *("geotables/http/test_problems.py", "geotables/ogc/test_conformance.py"),
    *(
        f"geotables/core/test_hooks.py::test_{name}"
        for name in (
            "where_holds_for_features_however_they_are_found",
            "a_hidden_row_is_none",
            "before_write_sees_old_and_new",
        )
    ),
)

#: Of these: coordinates have nothing to do with names and keys; what the OGC's suites assert is about all of a service.
CHOSEN = "conformance or not (crs or no_feature or geometry_comes_back)"


@pytest.fixture(scope="module")
def project(bake_once: Bake) -> Project:
    """A project whose collections are those in odd_tables/."""
    project = bake_once(auth="none")
    shutil.copytree(ODD, project.path, dirs_exist_ok=True)
    (project.source / "tables/facilities.py").unlink()
    (project.path / "tests/test_facilities.py").unlink()
    return project


def test_models_and_database_agree(project: Project, database_url: str) -> None:
    run = project.service("migrate", DATABASE_URL=database_url)
    assert run.code == 0, run
    run = project.service("check", "--ddl", "--database", DATABASE_URL=database_url)
    assert run.code == 0, run
    assert "PostGIS takes the tables; the database agrees with them" in run.output
    run = project.python("-m", "alembic", "check", DATABASE_URL=database_url)
    assert run.code == 0, run


def test_a_key_of_two_columns_is_refused_by_name(bake: Bake) -> None:
    project = bake(auth="none")
    table = project.source / "tables/facilities.py"
    text = table.read_text(encoding="utf-8")
    key = "    part: Mapped[int] = mapped_column(sa.Integer(), primary_key=True)\n    name: Mapped"
    table.write_text(text.replace("    name: Mapped", key, 1), encoding="utf-8")
    refused = "facilities has a primary key of several columns (id, part), and an id is one value: give it"
    run = project.service("check")
    assert (run.code, refused in run.output) == (1, True), run
    run = project.service("serve", DATABASE_URL="postgresql://localhost/none")
    assert (run.code, refused in run.output) == (1, True), run


def test_the_contract_holds(project: Project, server: Any) -> None:
    files = [f"tests/{name}" for name in TESTS]
    run = project.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN, *files),
        TEST_DATABASE_URL=server.url,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert run.code == 0, run
