"""``make table`` adds a table to a project that a team has made its own, and leaves nothing of one that is refused."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2
import pytest
import templates
from rendering import TEMPLATE, complete
from test_update_command import Versions, contents, edit, record
from warm import python

from parameters import NAMES
from parameters.project import TABLE_NAMES, Project, table_problems

TABLES = "src/facilities_service/tables/__init__.py"
ADDRESS = "https://template.example.org/service.git"

#: Parameters that all tables of a project have in common.
OF_THE_PROJECT = {
    *("project_name", "project_slug", "package_name", "description", "author_name", "license"),
    *("pool_size", "max_overflow", "pool_timeout", "pool_recycle", "work_mem"),
    *("ci", "deployment", "auth"),
}

#: The plugins of the template's own tests take as long to import as a project's tests.
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

#: What a team has made of tables/__init__.py: comments, an order of its own, and a table that it has written itself.
EDITED = '''"""The tables that are served, a file for each."""

from geotables import Collection, Migrations

from . import (
    facilities,  # since 2024
    signs,
)
from .base import Base

#: Clients see the signs first.
COLLECTIONS: list[Collection] = [
    signs.COLLECTION,  # ours
    facilities.COLLECTION
    # not served yet: lamps
]  # fmt: skip
'''

#: The same with three more.
WITH_THREE = EDITED.replace(
    "    signs,\n", "    parcels,\n    roads,\n    signs,\n    stops,\n"
).replace(
    "    facilities.COLLECTION\n",
    "    facilities.COLLECTION,\n"
    "    roads.COLLECTION,\n    parcels.COLLECTION,\n    stops.COLLECTION,\n",
)

ROAD = (
    "resource_name=road geometry_type=LINESTRING srid=27700 attributes='name:str(100) lanes:int?'"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the template, and a project."""
    folder = tmp_path_factory.mktemp("made")
    versions = Versions(folder)
    # It checks new projects: here that only takes time.
    (versions.template / "hooks/post_gen_project.py").unlink()
    templates.commit(versions.template, "Quick")
    templates.git(versions.template, "tag", "--force", "2.0.0")
    versions.create()
    return folder


@pytest.fixture
def versions(made: Path, tmp_path: Path) -> Versions:
    subprocess.run(["cp", "--recursive", made, tmp_path / "copy"], check=True)
    return Versions(tmp_path / "copy")


@pytest.fixture
def project(versions: Versions) -> Path:
    return versions.user.folder / "facilities-service"


@pytest.fixture(scope="module")
def tool() -> Any:
    """The tools/table.py of the rendered projects."""
    folder = TEMPLATE / "{{cookiecutter.project_slug}}/tools"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        spec = importlib.util.spec_from_file_location("table", folder / "table.py")
        assert spec is not None and spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
        sys.modules.pop("update", None)


def add(
    project: Path, *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Add a table as ``make table`` does."""
    return subprocess.run(
        [sys.executable, "tools/table.py", *arguments],
        cwd=project,
        env=os.environ | templates.GIT | QUICK | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def passed(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stdout + run.stderr


def make_it_their_own(project: Path) -> None:
    """Edit a project as a team does: a table written by hand, a revision, comments."""
    tables = project / "src/facilities_service/tables"
    facility = (tables / "facilities.py").read_text(encoding="utf-8")
    sign = facility.replace("facilities", "signs").replace("Facility", "Sign")
    (tables / "signs.py").write_text(sign, encoding="utf-8")
    rest = (project / TABLES).read_text(encoding="utf-8").partition("\n]\n")[2]
    (project / TABLES).write_text(EDITED + rest, encoding="utf-8")
    revisions = project / "migrations/versions"
    first = (revisions / "0001_create_facilities.py").read_text(encoding="utf-8")
    second = first.replace("facilities", "signs").replace(
        'revision = "0001"\ndown_revision = None', 'revision = "5f0e"\ndown_revision = "0001"'
    )
    (revisions / "5f0e_create_signs.py").write_text(second, encoding="utf-8")


def test_three_tables_come_into_an_edited_project(
    versions: Versions, project: Path, tmp_path: Path, server: Any, mypy_cache: Path
) -> None:
    """One by ``make`` from the address that is recorded, one from a file: URL, one from a checkout that has gone on."""
    bare = tmp_path / "bare.git"
    templates.git(tmp_path, "clone", "--quiet", "--bare", str(versions.template), str(bare))
    redirected = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }
    make_it_their_own(project)
    made = record(project) | {"template": ADDRESS}
    (project / ".template.json").write_text(json.dumps(made), encoding="utf-8")
    cruft = {"template": str(versions.template), "commit": made["commit"], "checkout": None}
    context = {"cookiecutter": {"_template": ADDRESS, **cast(made["parameters"])}}
    (project / ".cruft.json").write_text(
        json.dumps(cruft | {"context": context, "directory": None})
    )
    templates.commit(project, "Signs")
    before = contents(project)

    make = ["make", "table", f"PYTHON={sys.executable}", f"ARGS={ROAD}"]
    passed(
        subprocess.run(
            make,
            cwd=project,
            env=os.environ | templates.GIT | QUICK | redirected,
            capture_output=True,
            text=True,
        )
    )
    parcel = (
        *("resource_name=parcel", "geometry_type=MULTIPOLYGON", "srid=3035", "primary_key=uuid"),
        *("output_format=wkt", "index_predicate=status = 'it''s $HOME'"),
    )
    passed(add(project, *parcel, "--template", f"file://{bare}"))
    templates.edit(
        versions.template,
        "src/geotables/http/problems.py",
        'RETRY_AFTER = "5"',
        'RETRY_AFTER = "7"',
    )
    templates.edit(
        versions.template,
        TABLES.replace("facilities_service", "PACKAGE"),
        "served, a file",
        "served: a file",
    )
    versions.release("2.1.0")
    passed(add(project, "resource_name=stop", "attributes=", "--template", versions.template))

    after = contents(project)
    revisions = {"0003": "roads", "0004": "parcels", "0005": "stops"}
    added = {f"migrations/versions/{n}_create_{table}.py" for n, table in revisions.items()}
    for table in revisions.values():
        added |= {f"src/facilities_service/tables/{table}.py", f"tests/test_{table}.py"}
    assert after.keys() - before.keys() == added
    assert {file for file in before if after[file] != before[file]} == {TABLES}
    assert after[TABLES].decode().startswith(WITH_THREE)
    assert b'down_revision = "5f0e"' in after["migrations/versions/0003_create_roads.py"]
    assert b"\"(status = 'it''s $HOME')\"" in after["src/facilities_service/tables/parcels.py"]

    environment = {
        **{
            name: os.environ[name] for name in ("HOME", "PATH", "POSTGIS_DIR") if name in os.environ
        },
        **{"PYTHONPATH": "src", "PYTHONUTF8": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        **{"TEST_DATABASE_URL": server.url, "MYPY_CACHE_DIR": str(mypy_cache)},
    }
    tests = [f"tests/test_{table}.py" for table in revisions.values()]
    telling = "is_posted or in_a_box or nearest or tile"
    for command in (
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--no-cache", "--check", "."),
        ("mypy",),
        ("facilities_service", "check"),
        ("pytest", "-q", "-p", "no:cacheprovider", "-k", telling, *tests),
    ):
        python("-m", *command, folder=project, environment=environment).passed()

    templates.commit(project, "Roads, parcels, stops")
    diff = versions.user.run("cruft", "diff", folder=project).stdout
    assert TABLES in diff
    assert not [file for file in added if file in diff]
    passed(
        versions.user.run(
            "cruft", "update", "--skip-apply-ask", "--checkout", "2.1.0", folder=project
        )
    )
    assert contents(project).items() >= {file: after[file] for file in added}.items()
    templates.git(project, "reset", "--quiet", "--hard")
    passed(versions.update(project, "2.1.0"))
    updated = contents(project)
    assert updated.items() >= {file: after[file] for file in added}.items()
    assert updated[TABLES] == after[TABLES].replace(b"served, a file", b"served: a file")
    assert record(project)["version"] == "2.1.0"


def cast(value: object) -> dict[str, str]:
    assert isinstance(value, dict)
    return value


def test_a_wrong_table_is_refused_with_every_reason_and_leaves_nothing(
    versions: Versions, project: Path, tmp_path: Path
) -> None:
    before, folder = contents(project), tmp_path / "scratch"
    folder.mkdir()
    wrong = (
        *("resource_name=facility", "geometry_type=LINE", "attributes=lanes:integer"),
        *("index_name=idx_facilities_location_geog", "geometry_typ=POINT", "auth=none"),
    )
    run = add(project, *wrong, "--template", versions.template, TMPDIR=str(folder))
    assert run.returncode == 1
    problems = [line for line in run.stderr.splitlines() if line.startswith("- ")]
    assert [problem.partition(" = ")[0].removeprefix("- ") for problem in problems] == [
        *("resource_name", "table_name", "attributes", "geometry_type", "index_name"),
        *("geometry_typ", "auth"),
    ]
    assert "try 'facility_2'" in problems[0]
    assert "'facilities' is a collection of the project; try 'facilities_2'" in problems[1]
    assert "try 'geometry_type'" in problems[5]
    assert "a parameter of the project, not of a table; leave it out" in problems[6]
    assert contents(project) == before
    assert list(folder.iterdir()) == []


def test_a_table_with_which_the_project_fails_its_check_is_refused(
    versions: Versions, project: Path
) -> None:
    """Of the reasons it is said whether they are there without the table, too."""
    tests = project / "tests/conftest.py"
    text = tests.read_text(encoding="utf-8")
    tests.write_text(f"{text}\nimport no_such_module\n", encoding="utf-8")
    before = contents(project)
    run = add(project, "resource_name=road", "--template", versions.template)
    assert run.returncode == 1
    assert "no_such_module" in run.stderr
    assert "Nothing was added." in run.stderr
    assert contents(project) == before

    edit(project, "src/facilities_service/tables/facilities.py", "sa.String(100)", "sa.String(90)")
    before = contents(project)
    run = add(project, "resource_name=road", "--template", versions.template)
    assert run.returncode == 1
    assert "does not pass its own check without the table, either" in run.stderr
    assert contents(project) == before


def test_nothing_is_left_of_a_table_that_was_interrupted(
    versions: Versions, project: Path, tmp_path: Path
) -> None:
    """The check of the copy presses Ctrl-C."""
    press = "import os, signal, time\n\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(3)\n"
    main = project / "src/facilities_service/__main__.py"
    main.write_text(press + main.read_text(encoding="utf-8"), encoding="utf-8")
    before, folder = contents(project), tmp_path / "scratch"
    folder.mkdir()
    run = add(project, "resource_name=road", "--template", versions.template, TMPDIR=str(folder))
    assert run.returncode == 130
    assert run.stderr == "table: interrupted; nothing was added\n"
    assert contents(project) == before
    assert list(folder.iterdir()) == []


def test_several_heads_are_refused(tool: Any, made: Path) -> None:
    found = {"heads": ["0002", "0003"], "revisions": ["0003", "0002", "0001"]}
    with pytest.raises(tool.Refused, match=r"several heads, 0002, 0003\. Merge them first"):
        tool.context(made, {}, found, {})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("", "say what one row is"),
        ("geometry_type=POINT", "say what one row is"),
        ("resource_name=road attributes=a:int b:text", "'b:text' is no name=value"),
        ("resource_name=road attributes='a:int", "No closing quotation"),
    ],
)
def test_arguments_that_cannot_be_read_are_refused(made: Path, arguments: str, says: str) -> None:
    run = add(made / "user/facilities-service", "--arguments", arguments)
    assert run.returncode == 1
    assert says in run.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from . import a\nCOLLECTIONS = [a.C]\n", "from . import a, m\nCOLLECTIONS = [a.C, m.COLLECTION]\n"),
        ("from . import a, z\nCOLLECTIONS = [\n    a.C,  # é\n    z.C\n]\n",
         "from . import a, m, z\nCOLLECTIONS = [\n    a.C,  # é\n    z.C,\n    m.COLLECTION,\n]\n"),
        ("from . import z as y\nCOLLECTIONS: list[C] = [\n    *y.ALL,\n    # none\n]\n",
         "from . import m, z as y\nCOLLECTIONS: list[C] = [\n    *y.ALL,\n    m.COLLECTION,\n    # none\n]\n"),
        ("from . import (\r\n\ta,\r\n)\r\nCOLLECTIONS = [\r\n\ta.C,\r\n]\r\n",
         "from . import (\r\n\ta,\r\n\tm,\r\n)\r\nCOLLECTIONS = [\r\n\ta.C,\r\n\tm.COLLECTION,\r\n]\r\n"),
        ("from . import a, \\\n    b\nCOLLECTIONS = [\n    a.C, b.C,\n    (b.D)  # ]\n]\n",
         "from . import a, \\\n    b, m\nCOLLECTIONS = [\n    a.C, b.C,\n    (b.D), m.COLLECTION  # ]\n]\n"),
        ("import os\nfrom .a import C\nCOLLECTIONS = [\n    Collection(\n        C,\n    ),\n]",
         "import os\nfrom . import m\nfrom .a import C\nCOLLECTIONS = [\n    Collection(\n        C,\n    ),\n    m.COLLECTION,\n]"),
        ("import os\nCOLLECTIONS = []\n", "import os\nfrom . import m\nCOLLECTIONS = [m.COLLECTION]\n"),
    ],
)  # fmt: skip
def test_a_line_comes_into_a_list_as_it_is_written(tool: Any, before: str, after: str) -> None:
    assert tool.with_line(before.encode(), "m", TABLES).decode() == after


@pytest.mark.parametrize(
    "text",
    [
        "from . import a\nCOLLECTIONS = sorted([a.C])\n",
        "from . import a\nCOLLECTIONS = (a.C,)\n",
        "from . import a\nCOLLECTIONS = [a.C]\nCOLLECTIONS = [a.D]\n",
        "from . import a\nif a:\n    COLLECTIONS = [a.C]\n",
        "from . import a\nCOLLECTIONS = [a.C for a in a.ALL]\n",
        "COLLECTIONS = [\n",
    ],
)
def test_a_list_that_is_not_written_out_is_refused_with_the_lines(tool: Any, text: str) -> None:
    with pytest.raises(
        tool.Refused, match=r"from \. import m\n  COLLECTIONS = \[…, m.COLLECTION\]"
    ):
        tool.with_line(text.encode(), "m", TABLES)


def test_files_come_in_all_or_none(tool: Any, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tables.py").write_text("old")
    (tmp_path / "tests/b.py").write_text("of the team")
    changed = {"tests/a.py": b"new", "tables.py": b"edited", "tests/b.py": b"new"}
    before = contents(tmp_path)
    with pytest.raises(tool.Refused, match="File exists"):
        tool.copy_in(tmp_path, changed, "tables.py")
    assert contents(tmp_path) == before
    del changed["tests/b.py"]
    tool.copy_in(tmp_path, changed, "tables.py")
    assert contents(tmp_path) == before | changed


@pytest.mark.parametrize("auth", ["api_key", "own"])
def test_the_tests_leave_authentication_of_the_team_alone(
    tool: Any, made: Path, tmp_path: Path, auth: str
) -> None:
    project = tmp_path / "project"
    shutil.copytree(made / "user/facilities-service/src/facilities_service", project / "src/p")
    if auth == "own":
        (project / "src/p/auth.py").write_text("class AccessSettings(BaseSettings): ...\n")
    parameters = {"package_name": "p", "auth": "api_key"}
    names = ("names", "classes", "collections", "paths", "relations")
    found = {"heads": ["0001"], "revisions": ["0001"], **{name: [] for name in names}}
    asked = {"resource_name": "road"}
    context = tool.context(project, {"parameters": parameters}, found, asked)
    files = tool.render(made / "template", tmp_path, asked, context, prompts=False)
    tests = files["tests/test_roads.py"].decode()
    assert ("from p.auth import digest" in tests, "serve(" in tests) == (
        auth == "api_key",
        auth == "api_key",
    )


# -- Which template -------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A template of two versions, as far as its version goes, and in ``project`` one made of the first."""
    template, project = tmp_path / "template", tmp_path / "project"
    geotables = template / "{{cookiecutter.project_slug}}/src/geotables"
    for folder in (geotables, template / "table", project / "src/geotables"):
        folder.mkdir(parents=True)
    (template / "table/cookiecutter.json").write_text("{}")
    for version in ("2.0.0", "2.1.0"):
        (geotables / "VERSION").write_text(f"{version}\n")
        templates.commit(template, version)
        templates.git(template, "tag", version)
    own(project, "2.0.0")
    return template


def own(project: Path, version: str, template: str = "", content: str = "") -> None:
    """Have a project be of a version of the template."""
    hashed = hashlib.sha256((content or f"{version}\n").encode()).hexdigest()
    (project / "src/geotables/VERSION").write_text(f"{version}\n")
    (project / "src/geotables.sha256").write_text(
        f"# geotables {version}\n{hashed}  geotables/VERSION\n"
    )
    made = {"template": template, "version": version, "commit": "", "parameters": {}}
    (project / ".template.json").write_text(json.dumps(made))


def found(tool: Any, template: Path | str, tmp_path: Path) -> str:
    """The version of the template that is taken for the project."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    project = tmp_path / "project"
    record = json.loads((project / ".template.json").read_text(encoding="utf-8"))
    folder = tool.find_template(project, record, str(template), scratch)
    return str(tool.version_of(folder))


def test_a_template_is_taken_in_the_version_of_the_project(
    tool: Any, small: Path, tmp_path: Path
) -> None:
    assert found(tool, small, tmp_path) == "2.0.0"
    assert list((tmp_path / "scratch").iterdir())


def test_a_folder_that_fits_is_taken_as_it_is(tool: Any, small: Path, tmp_path: Path) -> None:
    """With changes that are not committed, and without a repository."""
    own(tmp_path / "project", "2.1.0")
    shutil.rmtree(small / ".git")
    assert found(tool, small, tmp_path) == "2.1.0"
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("version", "content", "says"),
    [
        ("2.2.0", "", "make update VERSION=2.1.0; or say where 2.2.0 is: TEMPLATE=…"),
        ("2.1.0", "edited", "has another geotables 2.1.0 than this project"),
    ],
)
def test_another_version_is_refused(
    tool: Any, small: Path, tmp_path: Path, version: str, content: str, says: str
) -> None:
    own(tmp_path / "project", version, content=content)
    with pytest.raises(tool.Refused, match=re.escape(says)):
        found(tool, small, tmp_path)


def test_a_folder_that_is_no_template_is_refused(tool: Any, small: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(tool.Refused, match="is no template of this project"):
        found(tool, tmp_path / "empty", tmp_path)


@pytest.mark.parametrize(
    ("recorded", "cruft", "expected"),
    [
        ("gh:owner/name", "", "gh:owner/name"),
        ("", "git@example.org:owner/name.git", "git@example.org:owner/name.git"),
        ("", "/home/somebody/template", ""),
        ("", "", ""),
    ],
)
def test_a_project_remembers_an_address_and_no_path(
    tool: Any, tmp_path: Path, recorded: str, cruft: str, expected: str
) -> None:
    if cruft:
        (tmp_path / ".cruft.json").write_text(json.dumps({"template": cruft}))
    if expected:
        assert tool.remembered(tmp_path, {"template": recorded}) == expected
    else:
        with pytest.raises(tool.Refused, match="TEMPLATE=…"):
            tool.remembered(tmp_path, {"template": recorded})


# -- One source -----------------------------------------------------------------------------------


def test_its_parameters_are_those_of_the_main_template() -> None:
    main, table = (
        json.loads((TEMPLATE / file).read_text(encoding="utf-8"))
        for file in ("cookiecutter.json", "table/cookiecutter.json")
    )
    assert set(TABLE_NAMES) == set(NAMES) - OF_THE_PROJECT
    own = {"_extensions", "_project", "__prompts__"}
    assert {name: main[name] for name in table if name not in own} == {
        name: table[name] for name in table if name not in own
    }
    assert table["__prompts__"] == {name: main["__prompts__"][name] for name in TABLE_NAMES}
    assert list(table["__prompts__"]) == list(TABLE_NAMES)
    private = {name for name in main if name[0] == "_" and name[1] != "_"}
    assert {name for name in table if name[0] == "_"} - own == private - {
        *("_extensions", "_copy_without_render"),
    }


def test_its_files_are_those_of_the_main_template() -> None:
    """Each has one line, which renders a file of the main one."""
    files = [
        path for path in (TEMPLATE / "table").rglob("*.py") if path.name != "table_extension.py"
    ]
    assert len(files) == 4
    for file in files:
        assert re.fullmatch(r"\{\{ '[^']+' \| rendered \}\}\n", file.read_text(encoding="utf-8"))


ROADS = {
    **{"resource_name": "road", "table_name": "roads", "attributes": "code:str(8)!"},
    **{"index_name": "idx_roads_location_gist"},
}


@pytest.mark.parametrize(
    ("names", "changed", "says"),
    [
        ({}, {}, ""),
        ({"classes": {"RoadOut"}}, {}, "resource_name = 'road': its class would be Road, and the project has RoadOut; try 'road_2'"),
        ({"modules": {"roads"}}, {}, "table_name = 'roads': 'roads' is a module of the project's tables; try 'roads_2'"),
        ({"paths": {"roads"}}, {}, "table_name = 'roads': 'roads' is a path of the project's own routes; try 'roads_2'"),
        ({"tests": {"roads", "roads_2"}}, {}, "table_name = 'roads': 'roads' is a file of the project's tests; try 'roads_3'"),
        ({"relations": {"idx_roads_location_geog"}}, {}, "table_name = 'roads': the project has a table or an index idx_roads_location_geog already; try 'roads_2'"),
        ({"relations": {"uq_roads_code"}}, {}, "table_name = 'roads': the project has a table or an index uq_roads_code already; try 'roads_2'"),
        ({"relations": {"idx_roads_location_gist"}}, {}, "index_name = 'idx_roads_location_gist': the project has a table or an index of this name; try 'idx_roads_location_gist_gist'"),
        ({"relations": {"idx_roads_location_gist"}}, {"table_schema": "transport"}, ""),
        ({"relations": {"transport.roads"}}, {"table_schema": "transport"}, "table_name = 'roads': the project has a table or an index roads already; try 'roads_2'"),
        ({"asked": {"auth": "none"}}, {}, "auth = 'none': a parameter of the project, not of a table; leave it out"),
        ({"asked": {"_table": "{}"}}, {}, "_table = '{}': no parameter has this name; try 'table_name'"),
        ({"asked": {"geometry_type": "LINES"}}, {}, "geometry_type = 'LINES': not one of POINT, LINESTRING, POLYGON, MULTIPOINT, MULTILINESTRING, MULTIPOLYGON, GEOMETRYCOLLECTION, GEOMETRY; try 'LINESTRING'"),
    ],
)  # fmt: skip
def test_names_that_the_project_has_are_refused(
    names: dict[str, Any], changed: dict[str, str], says: str
) -> None:
    names = {name: value if name == "asked" else frozenset(value) for name, value in names.items()}
    table = complete(ROADS | changed)
    assert table_problems(table, Project(**names)) == [*filter(None, [says])]


# -- A table that is there ------------------------------------------------------------------------

PARCELS = """
    CREATE EXTENSION IF NOT EXISTS postgis;
    CREATE SCHEMA cadastre;
    CREATE TABLE cadastre.parcels (
        gid serial PRIMARY KEY, land_use varchar(40), geom geometry(MultiPolygon,2193)
    );
    CREATE INDEX parcels_geom ON cadastre.parcels USING gist (geom);
    INSERT INTO cadastre.parcels (land_use) VALUES ('farm'), (NULL);
    CREATE TABLE cadastre.owners (
        parcel integer, number integer, geom geometry(Point,2193), PRIMARY KEY (parcel, number)
    );
"""


def test_a_table_that_is_there_is_served_as_it_is(
    versions: Versions, project: Path, database_url: str
) -> None:
    def query(statement: str) -> list[Any]:
        with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows

    query(PARCELS)
    relations = "SELECT oid, relname FROM pg_class ORDER BY oid"
    rows = "SELECT *, xmin::text FROM cadastre.parcels ORDER BY gid"
    before, had, files = query(relations), query(rows), contents(project)
    source = ("--template", versions.template)
    refused = add(project, "--from", "cadastre.owners", *source, DATABASE_URL=database_url)
    assert refused.returncode == 1
    assert "parcel, number" in refused.stderr
    assert "cadastre.owners is not served, for the reason above" in refused.stderr
    assert contents(project) == files
    asked = ("output_format=wkt", *source)
    passed(add(project, "--from", "cadastre.parcels", *asked, DATABASE_URL=database_url))
    assert {file for file in contents(project) if file not in files} == {
        "migrations/versions/0002_create_parcels.py",
        "src/facilities_service/tables/parcels.py",
        "tests/test_parcels.py",
    }
    assert query(relations) == before
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "src", "DATABASE_URL": database_url}
    for command in (("migrate",), ("check", "--database")):
        python(
            "-m", "facilities_service", *command, folder=project, environment=environment
        ).passed()
    assert query(rows) == had
