"""A reviewer sees what a change to the template changes in rendered projects."""

import re
import shutil
from pathlib import Path

import pytest
import templates
from rendering import TEMPLATE
from templates import User

VARIANTS = ("default", "projected-partial", "uuid-wkt-every-column")


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "user")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    copy = templates.copy(tmp_path / "template")
    shutil.copytree(TEMPLATE / "scripts", copy / "scripts")
    templates.commit(copy, "The template")
    return copy


def test_a_change_is_shown_as_it_is_rendered_and_nothing_else(user: User, repository: Path) -> None:
    templates.edit(repository, "src/PACKAGE/tables/TABLE.py", '"""A row of', '"""One row of')
    run = user.run("scripts.render_diff", "HEAD", folder=repository)
    assert run.returncode == 0
    assert re.findall(r"^[-+](?![-+]).*", run.stdout, re.MULTILINE) == [
        '-    """A row of ``facilities``."""',
        '+    """One row of ``facilities``."""',
    ] * len(VARIANTS)
    for variant in VARIANTS:
        table = "src/facilities_service/tables/facilities.py"
        assert f"+++ now/{variant}/facilities-service/{table}" in run.stdout
    assert templates.git(repository, "worktree", "list").count("\n") == 1


def test_a_commit_that_is_not_there_is_told(user: User, repository: Path) -> None:
    run = user.run("scripts.render_diff", "no-such-commit", folder=repository)
    assert run.returncode != 0
    assert "no-such-commit" in run.stderr
