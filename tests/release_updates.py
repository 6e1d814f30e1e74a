"""Projects of the releases before this commit take it, edited, by `make update` and by cruft: what `make release` proves.

`make test` does not collect this file: it needs the tags, which a shallow clone has not.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import templates
from rendering import TEMPLATE, Project
from templates import User
from test_updates import edit_as_a_team, suite

#: The tag that this commit has in the clone.
NEXT = "next-release"

#: The team's, older than what the newest version asks for.
LOCK = "shapely==2.1.0\n"


def releases_before() -> list[str]:
    """The two newest tags that are not of this commit, and whose projects have `make update`."""
    update = "{{cookiecutter.project_slug}}/tools/update.py"
    tags = templates.git(TEMPLATE, "tag", "--sort=-version:refname", "--merged", "HEAD").split()
    here = templates.git(TEMPLATE, "tag", "--points-at", "HEAD").split()
    earlier = [tag for tag in tags if re.fullmatch(r"\d+\.\d+\.\d+", tag) and tag not in here]
    return [tag for tag in earlier if templates.git(TEMPLATE, "ls-tree", tag, "--", update)][:2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The template's history, in which this commit is a release."""
    clone = tmp_path / "template"
    templates.git(tmp_path, "clone", "--quiet", str(TEMPLATE), str(clone))
    templates.git(clone, "tag", NEXT)
    return clone


@pytest.mark.parametrize("way", ["make update", "cruft"])
@pytest.mark.parametrize("release", releases_before())
def test_an_edited_project_takes_this_release(
    release: str,
    way: str,
    clone: Path,
    tmp_path: Path,
    server: Any,
    database_url: str,
    mypy_cache: Path,
) -> None:
    user = User(tmp_path / "user")
    options = ("--checkout", release, "--no-input")
    made = user.run("cruft", "create", clone, *options)
    assert made.returncode == 0, made.stderr
    folder = user.folder / "facilities-service"
    project = Project(folder, {"package_name": "facilities_service"})
    templates.commit(folder, f"Made of {release}")
    edit_as_a_team(project, database_url)
    # make writes it, and an update leaves it to make.
    (folder / "constraints.txt").write_text(LOCK, encoding="utf-8")
    templates.commit(folder, "Telephones, a count, and a lock")

    if way == "cruft":
        updated = user.run("cruft", "update", "--skip-apply-ask", "--checkout", NEXT, folder=folder)
    else:
        own = {"MYPY_CACHE_DIR": str(mypy_cache), "PYTHONPATH": "src"}
        command = [
            "make",
            "update",
            f"VERSION={NEXT}",
            f"TEMPLATE={clone}",
            f"PYTHON={sys.executable}",
        ]
        updated = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | templates.GIT | own,
            capture_output=True,
            text=True,
        )
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert not list(folder.rglob("*.rej"))
    assert not templates.git(folder, "diff", "--name-only", "--diff-filter=U")
    assert (folder / "constraints.txt").read_text(encoding="utf-8") == LOCK

    environment = {
        "DATABASE_URL": database_url,
        "TEST_DATABASE_URL": server.url,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    for command in (
        ("-m", "facilities_service", "migrate"),
        ("-m", "facilities_service", "check", "--database"),
        ("-m", "pytest", "-q", *suite(folder, "counts", "features_edits", "rest")),
    ):
        project.python(*command, **environment).passed()
