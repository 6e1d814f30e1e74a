"""geotables as a distribution of its own: a platform may have one dependency instead of a copy in each project."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import documents
import pytest
from clusters import Service, body
from conftest import Bake
from rendering import CACHES, Project


@pytest.fixture
def project(bake: Bake) -> Project:
    return bake()


@pytest.fixture
def wheel(project: Project, tmp_path: Path) -> Path:
    """The distribution, built as geotables' README says; the project has the folder no longer."""
    folder = tmp_path / "distribution"
    folder.mkdir()
    source = project.path / "src/geotables"
    (text,) = documents.blocks((source / "README.md").read_text(encoding="utf-8"), "toml")
    dependencies = tomllib.loads(project.files["pyproject.toml"])["project"]["dependencies"]
    place = "dependencies = []  # as in the project\n"
    assert place in text
    text = text.replace(place, f"dependencies = {json.dumps(dependencies)}\n")
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    shutil.move(source, folder)
    (project.path / "src/geotables.sha256").unlink()
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    (wheel,) = folder.glob("dist/geotables-*.whl")
    return wheel


def test_the_wheel_is_complete(project: Project, wheel: Path) -> None:
    version = (wheel.parents[1] / "geotables/VERSION").read_text(encoding="utf-8").strip()
    assert wheel.name == f"geotables-{version}-py3-none-any.whl"
    folder = wheel.parents[1]
    files = {
        path.relative_to(folder).as_posix()
        for path in (folder / "geotables").rglob("*")
        if path.is_file() and CACHES.isdisjoint(path.parts)
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    assert packed == files
    dependencies = tomllib.loads(project.files["pyproject.toml"])["project"]["dependencies"]
    assert text.count("Requires-Dist: ") == len(dependencies)


def test_a_service_runs_on_it(
    project: Project, wheel: Path, tmp_path: Path, database_url: str, mypy_cache: Path
) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        # What pip does with a wheel of plain Python.
        archive.extractall(installed)
    pyproject = project.path / "pyproject.toml"
    text, found = re.subn(r', "(src/)?geotables"\]', "]", pyproject.read_text(encoding="utf-8"))
    assert found == 2
    pyproject.write_text(text, encoding="utf-8")
    own = {"PYTHONPATH": os.pathsep.join(["src", str(installed)]), "DATABASE_URL": database_url}
    project.service("migrate", **own).passed()
    project.service("check", "--database", **own).passed()
    project.python("-m", "ruff", "check", ".", **own).passed()
    types = {"MYPY_CACHE_DIR": str(mypy_cache), "MYPYPATH": str(installed)}
    project.python("-m", "mypy", **own, **types).passed()

    with Service(project, tmp_path, **own) as service:
        client = service.client
        assert client.post(service.path, json=body("Well")).status_code == 201
        items = client.get("/collections/facilities/items?bbox=1,2,2,3").json()["features"]
        assert [item["properties"]["name"] for item in items] == ["Well"]
        assert client.get("/collections/facilities/tiles/WebMercatorQuad/0/0/0").content
        assert client.get("/openapi.json").json()["openapi"].startswith("3.0")
        # The page and its scripts are files of the distribution.
        assert "maplibre" in client.get("/map").text
