"""A generated project follows the template: cruft brings later changes into what a team has made of it."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import templates
from rendering import Project
from templates import User

#: What the team adds: a route, with a test.
ROUTE = '''"""How many facilities there are."""

import sqlalchemy as sa
from fastapi import APIRouter

from geotables.db.sessions import SessionDep

from .tables.facilities import Facility

router = APIRouter()


@router.get("/count-of-facilities")
def count(session: SessionDep) -> int:
    """Count the rows."""
    return session.scalars(sa.select(sa.func.count()).select_from(Facility)).one()
'''
ROUTE_TEST = '''"""What the team has added: a route, a column, another setting."""

from fastapi.testclient import TestClient

from facilities_service.settings import Settings
from facilities_service.tables.facilities import Facility


def test_count(client: TestClient) -> None:
    assert client.get("/count-of-facilities").json() == 0


def test_column() -> None:
    assert Facility.__table__.c.phone.nullable


def test_setting() -> None:
    assert Settings.model_fields["page_size"].default == 50
'''
#: What the template changes meanwhile: when a client may try again.
TEMPLATE_TEST = '''"""When a client may try again."""

from geotables.http import problems


def test_retry_after() -> None:
    assert problems.RETRY_AFTER == "7"
'''


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "user")


def change(project: Path, file: str, pattern: str, new: str, times: int = 1) -> None:
    path = project / "src" / "facilities_service" / file
    text, found = re.subn(pattern, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found == times, f"{pattern} stands {found} times in {file}"
    path.write_text(text, encoding="utf-8")


def edit_as_a_team(project: Project, url: str) -> None:
    """Add a column and a route, and change a setting."""
    folder = project.path
    column = "    phone: Mapped[str | None] = mapped_column(sa.String(30))\n"
    table = "tables/facilities.py"
    change(folder, table, r"^    location: Mapped", rf"{column}\g<0>")
    change(folder, table, r'^        "name": ', r'        "phone": "555",\n\g<0>')
    given = "    phone: Text | None = Field(default=None, max_length=30)\n"
    change(folder, table, r"^    location: Annotated(?=(.|\n)*Out\()", rf"{given}\g<0>")
    returned = "    phone: str | None\n"
    change(folder, table, r"^    location: Annotated(?!(.|\n)*Out\()", rf"{returned}\g<0>")
    change(folder, "settings.py", r"^    PoolRecycle,\n", r"    PageSize,\n\g<0>")
    change(folder, "settings.py", r"^    pool_size: ", r"    page_size: PageSize = 50\n\g<0>")
    change(folder, "main.py", r"^from \. import auth, ", r"\g<0>counts, ")
    routes = r"^    app\.include_router\(routes\.router.*\n"
    change(folder, "main.py", routes, r"\g<0>    app.include_router(counts.router)\n")
    (folder / "src/facilities_service/counts.py").write_text(ROUTE, encoding="utf-8")
    (folder / "tests/test_counts.py").write_text(ROUTE_TEST, encoding="utf-8")
    project.service("migrate", DATABASE_URL=url).passed()
    revise = ("-m", "alembic", "revision", "--autogenerate", "-m", "telephones")
    project.python(*revise, DATABASE_URL=url).passed()


def test_template_changes_come_into_an_edited_project(
    user: User, tmp_path: Path, server: Any, database_url: str
) -> None:
    template = templates.copy(tmp_path / "template")
    templates.commit(template, "First")

    run = user.run("cruft", "create", template, "--no-input")
    assert run.returncode == 0, run.stderr
    folder = user.folder / "facilities-service"
    # The hooks have written nothing that an update would find changed.
    assert "diff --git" not in user.run("cruft", "diff", folder=folder).stdout
    assert user.run("cruft", "check", folder=folder).returncode == 0
    context = json.loads((folder / ".cruft.json").read_text("utf-8"))["context"]["cookiecutter"]
    project = Project(folder, context)
    templates.commit(folder, "Generated")

    edit_as_a_team(project, database_url)
    templates.commit(folder, "Telephones, and a count")
    diff = user.run("cruft", "diff", folder=folder).stdout
    assert "counts.router" in diff
    assert "phone" in diff

    templates.edit(
        template, "src/geotables/http/problems.py", 'RETRY_AFTER = "5"', 'RETRY_AFTER = "7"'
    )
    added = template / "{{cookiecutter.project_slug}}" / "tests" / "test_retry_after.py"
    added.write_text(TEMPLATE_TEST, encoding="utf-8")
    # A filter that the first version has not, which cruft renders in the same process.
    extensions = template / "local_extensions.py"
    text = extensions.read_text(encoding="utf-8")
    assert text.count("again=again,") == 1
    extensions.write_text(text.replace("again=again,", "again=again, loud=str.upper,"), "utf-8")
    document = template / "{{cookiecutter.project_slug}}" / "docs" / "decisions.md"
    with document.open("a", encoding="utf-8") as file:
        file.write("\n{{ 'of the second version' | loud }}\n")
    templates.commit(template, "Second")
    assert user.run("cruft", "check", folder=folder).returncode == 1

    run = user.run("cruft", "update", "--skip-apply-ask", folder=folder)
    assert run.returncode == 0, run.stderr
    assert "OF THE SECOND VERSION" in (folder / "docs/decisions.md").read_text("utf-8")
    assert not list(folder.rglob("*.rej"))
    assert user.run("cruft", "check", folder=folder).returncode == 0
    changed = templates.git(folder, "status", "--porcelain", "--untracked-files=all").split()
    assert {name for name in changed if "/" in name or "." in name} == {
        ".cruft.json",
        ".template.json",
        "docs/decisions.md",
        "src/geotables.sha256",
        "src/geotables/http/problems.py",
        "tests/test_retry_after.py",
    }

    environment = {
        "DATABASE_URL": database_url,
        "TEST_DATABASE_URL": server.url,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    # Of the tests, those of what was changed, and those of the team's and the template's additions.
    names = ("counts", "retry_after", "features_edits", "rest")
    for command in (
        ("-m", "facilities_service", "migrate"),
        ("-m", "facilities_service", "check", "--database"),
        ("-m", "pytest", "-q", *suite(folder, *names)),
    ):
        project.python(*command, **environment).passed()

    templates.commit(folder, "Updated")
    take_another_answer(user, folder)


def take_another_answer(user: User, folder: Path) -> None:
    """Use the commands of docs/extending.md, which leave the revisions as they were."""
    document = (folder / "docs/extending.md").read_text(encoding="utf-8")
    (answer,) = re.findall(r"`cruft (update --variables-to-update .*?)`", document)
    (restore,) = re.findall(r"`git (restore .*?)`", document)
    # It is about the table, too.
    command = shlex.split(answer)
    command[-1] = json.dumps(json.loads(command[-1]) | {"srid": "27700"})
    run = user.run("cruft", *command, "--skip-apply-ask", folder=folder)
    assert run.returncode == 0, run.stderr
    assert not list(folder.rglob("*.rej"))
    assert "27700" in templates.git(folder, "diff", "HEAD", "--", "migrations")
    templates.git(folder, *shlex.split(restore))

    changed = templates.git(folder, "diff", "HEAD", "--name-only").split()
    assert not [file for file in changed if file.startswith("migrations/")]
    text = (folder / "src/facilities_service/tables/facilities.py").read_text(encoding="utf-8")
    assert "srid=27700" in text
    assert "phone" in text
    for file in (".cruft.json", ".template.json"):
        made = json.loads((folder / file).read_text("utf-8"))
        answers = made["parameters"] if "parameters" in made else made["context"]["cookiecutter"]
        assert (answers["auth"], answers["srid"]) == ("oidc", "27700")
    assert user.run("cruft", "check", folder=folder).returncode == 0


def suite(project: Path, *names: str) -> list[str]:
    """Files of a project's tests, wherever they are below its folder of tests."""
    tests = project / "tests"
    # A team's own file comes before one of the contract that is called the same.
    files = [
        sorted(tests.glob(f"test_{name}.py")) or sorted(tests.rglob(f"test_{name}.py"))
        for name in names
    ]
    assert all(len(found) == 1 for found in files)
    return [str(file.relative_to(project)) for (file,) in files]
