"""geotables is the same in every project, and knows nothing of the project around it."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from conftest import Bake
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rendering import TEMPLATE, Project, copied

SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"

#: As far apart as parameters can be, in every one of them.
APART = (
    {},
    {
        "project_name": "Qbproject",
        "description": "",
        "author_name": "Qb",
        "license": "Proprietary",
        "resource_name": "qbresource",
        "table_name": "qbtables",
        "attributes": "a:text? b:int! c:bigint=1 d:float=0.5 e:numeric(9,2)=1.50 f2:bool=true g:date=today "
        "h:datetime=now i:uuid!=random j:json={}",
        "geometry_column": "shape",
        "geometry_type": "MULTIPOLYGON",
        "geometry_dimension": "XYZ",
        "srid": "27700",
        "index_name": "qb_gist",
        "index_predicate": "f2 AND c > 0",
        "primary_key": "uuid",
        "key_column": "qbkey",
        "timestamps": "no",
        "table_schema": "qbschema",
        "read_only": "yes",
        "output_format": "wkt",
        "pool_size": "1",
        "max_overflow": "0",
        "pool_timeout": "1",
        "pool_recycle": "-1",
        "work_mem": "64kB",
        "ci": "none",
        "deployment": "none",
        "auth": "oidc",
    },
)


@pytest.fixture(scope="module")
def apart(bake_once: Bake) -> list[Project]:
    return [bake_once(**parameters) for parameters in APART]


def test_every_project_has_the_same_bytes(apart: list[Project]) -> None:
    expected = copied(SOURCE)
    assert "src/geotables/collection.py" in expected
    for project in apart:
        files = copied(project.path)
        assert files.keys() == expected.keys()
        assert [file for file in files if files[file] != expected[file]] == []


def test_projects_are_as_far_apart_as_parameters_allow(apart: list[Project]) -> None:
    first, second = (project.context for project in apart)
    assert [name for name in first if name[0] != "_" and first[name] == second[name]] == []


def test_no_file_has_jinja_or_the_name_of_a_project(apart: list[Project]) -> None:
    jinja = r"cookiecutter\.\w|\{%|%\}|\{#|\{\{ \w"
    names = {
        str(project.context[name]) for project in apart for name in ("project_slug", "package_name")
    }
    named = [rf"\b{re.escape(name)}\b" for name in names]
    pattern = re.compile("|".join([jinja, *named]))
    # The templates of pages, which the service renders, have signs of their own.
    in_pages = re.compile("|".join([r"cookiecutter\.\w", *named]))
    found = {}
    for file, content in copied(SOURCE).items():
        # MapLibre is not ours, and happens to have the signs. What is no text is compressed.
        if "/maplibre-gl/" not in file and not file.endswith(".gz"):
            signs = in_pages if "/templates/" in file else pattern
            found[file] = set(signs.findall(content.decode()))
    assert {file: matches for file, matches in found.items() if matches} == {}


def test_it_imports_only_itself_and_what_the_project_requires(apart: list[Project]) -> None:
    document = tomllib.loads(apart[0].files["pyproject.toml"])
    project, groups = document["project"], document["dependency-groups"]
    extras = project["optional-dependencies"].values()
    lines = chain(project["dependencies"], *extras, groups["dev"])
    required = {canonicalize_name(Requirement(line).name) for line in lines}
    # FastAPI, Pydantic and Jinja2 are made of these, and OpenTelemetry's packages share a name.
    required |= {"anyio", "markupsafe", "opentelemetry-api", "pydantic-core", "starlette"}
    modules = {
        module
        for module, names in metadata.packages_distributions().items()
        if not required.isdisjoint(map(canonicalize_name, names))
    }
    known = {"geotables", *sys.stdlib_module_names, *modules}
    others = {
        path.relative_to(SOURCE).as_posix(): set(imported(path)) - known
        for path in SOURCE.joinpath("src/geotables").rglob("*.py")
    }
    assert {file: names for file, names in others.items() if names} == {}


def imported(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports; its imports are absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if path.parent.name == "program":
                # A program of its own, without the package that it is in.
                assert not (node.module or "").startswith("geotables")
            else:
                assert node.level == 0, f"{path.name} imports relatively"
            if node.level or not node.module:
                continue
            yield node.module.partition(".")[0]


def test_it_is_linted_by_its_own_rules(apart: list[Project]) -> None:
    """Those of the project may be others."""
    file = "src/geotables/collection.py"
    command = [sys.executable, "-m", "ruff", "check", "--show-settings", file]
    run = subprocess.run(command, cwd=apart[0].path, capture_output=True, text=True, check=True)
    assert str(apart[0].path / "src/geotables/ruff.toml") in run.stdout


def test_a_project_can_compare_its_files_with_the_manifest(bake: Bake) -> None:
    sources = bake().path / "src"
    check = ["sha256sum", "--check", "--quiet", "--strict", "geotables.sha256"]
    assert subprocess.run(check, cwd=sources).returncode == 0
    with (sources / "geotables/collection.py").open("a") as file:
        file.write("# changed\n")
    run = subprocess.run(check, cwd=sources, capture_output=True, text=True)
    assert run.returncode == 1
    assert "geotables/collection.py: FAILED" in run.stdout


def test_check_warns_of_what_was_changed(bake: Bake) -> None:
    """And of nothing where a face was left out, which is a team's choice."""
    project = bake()
    assert "WARNING" not in project.service("check").output
    sources = project.path / "src/geotables"
    with (sources / "collection.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    (sources / "ours.py").write_text('"""Ours."""\n', encoding="utf-8")
    (sources / "webmap/static/README.md").unlink()
    (sources / "README.md").unlink()
    shutil.rmtree(sources / "files")
    manifest = ("-c", "from geotables.checks.manifest import check_manifests; check_manifests()")
    command = [sys.executable, *manifest]
    environment = os.environ | {"PYTHONPATH": "src"}
    run = subprocess.run(
        command, cwd=project.path, env=environment, capture_output=True, text=True, check=True
    )
    assert [line.partition(":")[0] for line in run.stderr.splitlines()] == [
        "src/geotables/collection.py was changed",
        "src/geotables/ours.py was added",
        "src/geotables/README.md was removed",
        "src/geotables/webmap/static/README.md was removed",
    ]
