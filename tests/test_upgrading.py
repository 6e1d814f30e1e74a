"""docs/upgrading.md takes a project of the first version, with a team's edits, to this one: its commands, and its diffs."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import documents
import pytest
import templates
from conftest import Bake
from rendering import TEMPLATE, Project
from templates import User
from test_updates import ROUTE_TEST, suite

#: The first release of the template, by its tag; and what projects are made of there, but for MapLibre's own files.
FIRST = "1.0.0"
RELEASE = TEMPLATE / f"tests/releases/{FIRST}.tar.xz"
REPOSITORY = "https://github.com/OWNER/cookiecutter-fastapi-postgis"
DOCUMENT = (TEMPLATE / "docs/upgrading.md").read_text(encoding="utf-8")

#: The team's route, as a project of the first version has them.
ROUTE = '''"""How many facilities there are."""

import sqlalchemy as sa
from fastapi import APIRouter, Request

from ..queries import TABLE
from .parameters import database_of

router = APIRouter()


@router.get("/count-of-facilities")
def count(request: Request) -> int:
    """Count the rows."""
    with database_of(request).read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(TABLE)).scalar_one()
'''

#: What the team inserts: the file, the line that it stands before, and which one of these.
EDITS = (
    (
        "models.py",
        "    location: Mapped",
        0,
        "    phone: Mapped[str | None] = mapped_column(sa.String(30))\n",
    ),
    (
        "schemas.py",
        "    location: Annotated",
        0,
        "    phone: Text | None = Field(default=None, max_length=30)\n",
    ),
    ("schemas.py", "    location: Annotated", 1, "    phone: str | None\n"),
    ("examples.py", "    }\n", 0, '        "phone": "555",\n'),
    ("main.py", "    edits,\n", 0, "    counts,\n"),
    (
        "main.py",
        "    app.include_router(health.router)\n",
        0,
        "    app.include_router(counts.router)\n",
    ),
)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The template's history: the first release, and on it the working folder as version 2.0.0."""
    clone = tmp_path / "template"
    clone.mkdir()
    with tarfile.open(RELEASE) as archive:
        # Python 3.11 before 3.11.4 has no filters, and Python 3.14 filters by itself.
        archive.extractall(clone, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    templates.commit(clone, "Version 1.0.0")
    templates.git(clone, "tag", FIRST)
    for path in clone.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    templates.copy(tmp_path / "now").rename(tmp_path / "copied")
    shutil.copytree(tmp_path / "copied", clone, dirs_exist_ok=True)
    templates.git(clone, "add", "--all")
    templates.git(clone, "commit", "--quiet", "--allow-empty", "--message", "Version 2.0.0")
    templates.git(clone, "tag", "--force", "2.0.0")
    return clone


@pytest.fixture
def project(template: Path, tmp_path: Path, database_url: str) -> Project:
    """A project of the first version, with a team's column, revision, route and setting."""
    user = User(tmp_path / "user")
    first = tmp_path / "first"
    templates.git(template, "worktree", "add", "--quiet", "--detach", str(first), FIRST)
    made = user.cookiecutter(first, "--no-input", "--accept-hooks", "no")
    assert made.returncode == 0, made.stderr
    project = Project(user.folder / "facilities-service", {"package_name": "facilities_service"})
    templates.commit(project.path, "Made")
    for file, line, number, text in EDITS:
        path = project.source / file
        parts = path.read_text(encoding="utf-8").split(line)
        before, after = line.join(parts[: number + 1]), line.join(parts[number + 1 :])
        path.write_text(f"{before}{text}{line}{after}", encoding="utf-8")
    settings = project.source / "settings.py"
    text, found = re.subn(
        r"page_size: int = Field\(default=100",
        "page_size: int = Field(default=50",
        settings.read_text(encoding="utf-8"),
    )
    assert found == 1
    settings.write_text(text, encoding="utf-8")
    (project.source / "api/counts.py").write_text(ROUTE, encoding="utf-8")
    project.service("migrate", DATABASE_URL=database_url).passed()
    revise = ("-m", "alembic", "revision", "--autogenerate", "-m", "telephones")
    project.python(*revise, DATABASE_URL=database_url).passed()
    project.service("migrate", DATABASE_URL=database_url).passed()
    project.service("check", "--database", DATABASE_URL=database_url).passed()
    templates.commit(project.path, "Telephones, and a count")
    return project


def test_a_project_of_the_first_version_takes_this_one(
    project: Project, template: Path, server: Any, database_url: str, mypy_cache: Path, bake: Bake
) -> None:
    folder = project.path
    revisions = contents(folder / "migrations/versions")
    assert len(revisions) == 2
    (answers,) = documents.blocks(DOCUMENT, "json")
    (folder.parent / "parameters.json").write_text(answers, encoding="utf-8")
    merge, look, take, check, compare = documents.blocks(DOCUMENT, "sh")
    environment = {
        "DATABASE_URL": database_url,
        "MYPY_CACHE_DIR": str(mypy_cache),
        "PYTHON": sys.executable,
        "PYTHONPATH": "src",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def shell(commands: str) -> subprocess.CompletedProcess[str]:
        commands = commands.replace(REPOSITORY, str(template))
        return subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=folder,
            env=os.environ | templates.GIT | environment,
            capture_output=True,
            text=True,
        )

    run = shell(merge)
    # There are conflicts: those that the document names.
    (conflicts,) = documents.blocks(DOCUMENT, "text")
    unmerged = templates.git(folder, "diff", "--name-only", "--diff-filter=U")
    assert (run.returncode, unmerged) == (1, conflicts), run.stderr
    run = shell(look)
    assert run.returncode == 0, run.stderr
    assert {line for line in run.stdout.splitlines() if line.startswith(("+ ", "- "))} >= {
        f"+{text}".rstrip("\n") for *_, text in EDITS
    }
    run = shell(take)
    assert run.returncode == 0, run.stderr
    for diff in documents.blocks(DOCUMENT, "diff"):
        documents.apply(folder, diff)
    for commands in (check, compare):
        run = shell(commands)
        assert run.returncode == 0, run.stdout + run.stderr

    assert contents(folder / "migrations/versions") == revisions
    # What the team has not done is as a new project has it, and nothing of the first version is left.
    new = bake().files
    templates.git(folder, "add", "--all")
    now = {file: project.files[file] for file in templates.git(folder, "ls-files").split()}
    assert {file for file in new | now if new.get(file) != now.get(file)} == {
        ".template.json",
        "src/facilities_service/routes.py",
        "src/facilities_service/settings.py",
        "src/facilities_service/tables/facilities.py",
        *(f"migrations/versions/{name}" for name in revisions if "telephones" in name),
    }
    # The team's test, and some of those of the table.
    (folder / "tests/test_counts.py").write_text(ROUTE_TEST, encoding="utf-8")
    tests = suite(folder, "auth", "counts", "features_edits", "rest")
    own = {"TEST_DATABASE_URL": server.url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    project.python("-m", "pytest", "-q", *tests, **own).passed()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}
