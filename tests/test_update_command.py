"""``make update`` brings later versions of the template into a project, and nothing else."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import templates
from rendering import CACHES, DEFAULTS
from templates import User

import local_extensions

FOLDERS = ("src/geotables", "tests/geotables")
PROBLEMS = "src/geotables/http/problems.py"
SETTINGS = "src/facilities_service/settings.py"

#: A file that version 2.1.0 has, and 2.2.0 has no longer.
NOTES = "docs/notes.md"


class Versions:
    """A template with versions, and a project made with the first of them."""

    def __init__(self, folder: Path) -> None:
        self.user = User(folder / "user")
        self.template = folder / "template"
        self.source = self.template / "{{cookiecutter.project_slug}}"
        if not self.template.exists():
            templates.copy(self.template)
            # A file that is in the folder, whatever else is.
            self.write("tests/geotables/test_version.py", "def test_version() -> None: ...\n")
            self.release("2.0.0")

    def write(self, file: str, text: str) -> None:
        path = self.source / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def release(self, version: str) -> None:
        self.write("src/geotables/VERSION", f"{version}\n")
        templates.commit(self.template, version)
        templates.git(self.template, "tag", version)

    def create(self, *parameters: str, folder: Path | None = None) -> Path:
        """Make a project, in a repository of its own unless a folder of one is given."""
        options = ("--no-input", "--accept-hooks", "no")
        made = self.user.cookiecutter(self.template, *options, *parameters, folder=folder)
        assert made.returncode == 0, made.stderr
        (project,) = (file.parent for file in (folder or self.user.folder).rglob(".template.json"))
        templates.commit(folder or project, "Made")
        return project

    def update(self, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tools/update.py", *arguments, "--template", str(self.template)]
        return subprocess.run(
            command, cwd=project, env=os.environ | templates.GIT, capture_output=True, text=True
        )

    def rendered(self, folder: Path) -> Path:
        """A new project of the present version."""
        folder.mkdir()
        return self.create(folder=folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the template in a first version, and a project."""
    folder = tmp_path_factory.mktemp("made")
    Versions(folder).create()
    return folder


@pytest.fixture
def versions(made: Path, tmp_path: Path) -> Versions:
    shutil.copytree(made, tmp_path / "copy")
    return Versions(tmp_path / "copy")


@pytest.fixture
def project(versions: Versions) -> Path:
    return versions.user.folder / "facilities-service"


def contents(project: Path) -> dict[str, bytes]:
    """Every file, but for git's and what Python leaves."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and (CACHES | {".git"}).isdisjoint(path.parts)
    }


def edit(project: Path, file: str, old: str, new: str) -> None:
    path = project / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def record(project: Path) -> dict[str, object]:
    text = (project / ".template.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def test_two_versions_come_into_an_edited_project(
    versions: Versions, project: Path, tmp_path: Path, mypy_cache: Path
) -> None:
    """What the template changes, adds and removes comes in; what the team has done stays."""
    edit(project, SETTINGS, "    pool_size: PoolSize = 10\n", "    pool_size: PoolSize = 12\n")
    team = project / "src/facilities_service/counts.py"
    team.write_text('"""Of the team."""\n', encoding="utf-8")
    templates.commit(project, "More connections")

    templates.edit(versions.template, PROBLEMS, 'RETRY_AFTER = "5"', 'RETRY_AFTER = "7"')
    docstring = '"""Each is named', '"""A setting is named'
    templates.edit(versions.template, "src/PACKAGE/settings.py", *docstring)
    versions.write(NOTES, "# {{ cookiecutter.project_name }}\n")
    versions.write("src/geotables/added.py", '"""Is new."""\n')
    versions.release("2.1.0")
    make = (
        *("make", "update", "VERSION=2.1.0", f"TEMPLATE={versions.template}"),
        f"PYTHON={sys.executable}",
    )
    own = {"MYPY_CACHE_DIR": str(mypy_cache), "PYTHONPATH": "src"}
    made = subprocess.run(
        make, cwd=project, env=os.environ | templates.GIT | own, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "models, migrations, schemas and queries agree" in made.stdout
    assert record(project)["version"] == "2.1.0"
    text = (project / SETTINGS).read_text(encoding="utf-8")
    assert "    pool_size: PoolSize = 12\n" in text
    assert '"""A setting is named' in text
    assert (project / NOTES).read_text(encoding="utf-8") == "# Facilities Service\n"
    templates.commit(project, "Version 2.1.0")

    (versions.source / NOTES).unlink()
    (versions.source / "src/geotables/added.py").unlink()
    templates.edit(versions.template, PROBLEMS, 'RETRY_AFTER = "7"', 'RETRY_AFTER = "9"')
    versions.release("2.2.0")
    run = versions.update(project, "2.2.0")
    assert run.returncode == 0, run.stderr
    # But for what the team has done, it is as a new project of that version.
    new = contents(versions.rendered(tmp_path / "new"))
    now = contents(project)
    assert {file for file in new | now if new.get(file) != now.get(file)} == {
        SETTINGS,
        "src/facilities_service/counts.py",
    }
    assert "pool_size: PoolSize = 12" in now[SETTINGS].decode()
    # All of it is staged: one command takes it back.
    templates.git(project, "reset", "--quiet", "--hard")
    assert record(project)["version"] == "2.1.0"
    assert not templates.git(project, "status", "--porcelain")


def test_conflicts_are_left_as_git_leaves_them_and_named(versions: Versions, project: Path) -> None:
    versions.write(NOTES, "Of the template.\n")
    (versions.source / "docs/scaling.md").unlink()
    templates.edit(versions.template, "src/PACKAGE/__main__.py", "main())", "main() or 0)")
    versions.release("2.1.0")
    edit(project, "src/facilities_service/__main__.py", "main())", "main() and 1)")
    (project / NOTES).write_text("Of the team.\n", encoding="utf-8")
    with (project / "docs/scaling.md").open("a", encoding="utf-8") as file:
        file.write("Ours has a replica.\n")
    templates.commit(project, "Ours")

    run = versions.update(project, "2.1.0")
    assert run.returncode == 1
    conflicts = {"docs/notes.md", "docs/scaling.md", "src/facilities_service/__main__.py"}
    assert {line.strip() for line in run.stderr.splitlines() if line[:2] == "  "} == conflicts
    unmerged = templates.git(project, "diff", "--name-only", "--diff-filter=U").split()
    assert set(unmerged) == conflicts
    both = (project / "src/facilities_service/__main__.py").read_text(encoding="utf-8")
    assert "<<<<<<< " in both
    assert "main() and 1)" in both
    assert "main() or 0)" in both
    assert record(project)["version"] == "2.1.0"


def test_other_answers_come_into_an_edited_project(
    versions: Versions, project: Path, tmp_path: Path
) -> None:
    """The project is as one made with these answers, but for what the team has done and the revisions."""
    edit(project, SETTINGS, "    pool_size: PoolSize = 10\n", "    pool_size: PoolSize = 12\n")
    templates.commit(project, "More connections")
    # The project was made with this version, not with the newest.
    (versions.source / "docs/scaling.md").unlink()
    versions.release("2.1.0")
    answers = (
        *("auth=oidc", "output_format=wkt", "deployment=kubernetes", "srid=27700"),
        *("table_name=places", "attributes=name:str(100) state:text='{{ new }}'"),
    )
    run = versions.update(project, "--arguments", shlex.join(answers))
    assert run.returncode == 0, run.stderr
    templates.git(versions.template, "checkout", "--quiet", "2.0.0")
    (tmp_path / "new").mkdir()
    options = (*answers[:-1], answers[-1].replace("{{", "{{ '{{' }}"))
    new = contents(versions.create(*options, folder=tmp_path / "new"))
    now = contents(project)
    revision = "migrations/versions/0001_create_{}.py"
    assert {file for file in new | now if new.get(file) != now.get(file)} == {
        # Derived from the table's name where a project is made, and an answer of its own.
        *(".template.json", "src/facilities_service/tables/places.py", "docs/extending.md"),
        # They have the description, which is of the table's name, too.
        *("README.md", "pyproject.toml"),
        *(SETTINGS, revision.format("places"), revision.format("facilities")),
    }
    assert "idx_facilities_location_gist" in now["src/facilities_service/tables/places.py"].decode()
    assert record(project)["version"] == "2.0.0"
    assert not templates.git(project, "diff", "HEAD", "--", "migrations")


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (("auth",), ["'auth' is no name=value", "make update ARGS="]),
        (("geometry_typ=POLYGON",), ["no parameter geometry_typ; it has project_name, "]),
        (("auth=ldap",), ["ldap", "api_key"]),
        (("srid=1", "attributes=name:blob"), ["- srid ", "- attributes "]),
    ],
    ids=str,
)
def test_an_answer_that_the_template_refuses(
    versions: Versions, project: Path, answers: tuple[str, ...], says: list[str]
) -> None:
    before = contents(project)
    run = versions.update(project, "--arguments", shlex.join(answers))
    assert run.returncode == 1
    assert all(text in run.stderr for text in says), run.stderr
    assert "replay" not in run.stderr
    assert contents(project) == before


def test_an_answer_reaches_the_template_to_the_letter(project: Path) -> None:
    typed = "index_predicate=\"status = 'it''s $HOME $(PATH)'\""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    make = ["make", "--dry-run", "update", "PYTHON=python", f"ARGS={typed}"]
    planned = subprocess.run(make, cwd=project, env=own, capture_output=True, text=True)
    first = planned.stdout.replace("\\\n", " ").splitlines()[0]
    assert shlex.split(first) == ["python", "tools/update.py", "--arguments", typed]


def change_a_file(folder: Path) -> None:
    path = folder / next(iter(sorted(folder.glob("*.py"))))
    path.write_bytes(path.read_bytes() + b"# ours\n")


def add_a_file(folder: Path) -> None:
    (folder / "ours.py").write_text('"""Ours."""\n', encoding="utf-8")


def remove_a_file(folder: Path) -> None:
    sorted(folder.glob("*.py"))[0].unlink()


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    ("act", "says"),
    [(change_a_file, "(changed)"), (add_a_file, "(added)"), (remove_a_file, "(missing)")],
)
def test_edits_of_what_is_replaced_are_refused(
    versions: Versions, project: Path, folder: str, act: Callable[[Path], None], says: str
) -> None:
    versions.release("2.1.0")
    act(project / folder)
    templates.commit(project, "Ours")
    before = contents(project)
    run = versions.update(project, "2.1.0")
    assert run.returncode == 1
    (line,) = (line for line in run.stderr.splitlines() if line.startswith("  "))
    assert line.startswith(f"  {folder}/")
    assert line.endswith(says)
    assert contents(project) == before


def test_changes_that_are_not_committed_are_refused(versions: Versions, project: Path) -> None:
    versions.release("2.1.0")
    (project / "new.txt").write_text("New.\n", encoding="utf-8")
    run = versions.update(project, "2.1.0")
    assert run.returncode == 1
    assert "?? new.txt" in run.stderr
    assert record(project)["version"] == "2.0.0"


def test_a_project_outside_of_git_is_refused(versions: Versions, project: Path) -> None:
    shutil.rmtree(project / ".git")
    run = versions.update(project, "2.0.0")
    assert run.returncode == 1
    assert "in a git repository" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "VERSION=… (tags of the template: 2.1.0, 2.0.0)"),
        (("3.0.0",), "no version 3.0.0; its tags: 2.1.0, 2.0.0"),
        (("2.1.0", "--from", "2.1.0"), "FROM=…"),
    ],
)
def test_a_version_that_is_not_there_is_refused(
    versions: Versions, project: Path, arguments: tuple[str, ...], says: str
) -> None:
    versions.write("src/geotables/added.py", '"""Is new."""\n')
    versions.release("2.1.0")
    run = versions.update(project, *arguments)
    assert run.returncode == 1
    assert says in run.stderr
    assert not templates.git(project, "status", "--porcelain")


def test_a_project_of_an_unknown_place_says_so(project: Path) -> None:
    run = subprocess.run(
        [sys.executable, "tools/update.py", "2.1.0"], cwd=project, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "TEMPLATE=…" in run.stderr


def test_a_face_that_was_removed_stays_removed(versions: Versions, project: Path) -> None:
    shutil.rmtree(project / "src/geotables/tiles")
    templates.commit(project, "Without tiles")
    templates.edit(versions.template, PROBLEMS, 'RETRY_AFTER = "5"', 'RETRY_AFTER = "7"')
    versions.release("2.1.0")
    # make has written it just before.
    (project / "constraints.txt").write_text("shapely==2.1.2\n", encoding="utf-8")
    run = versions.update(project, "2.1.0")
    assert run.returncode == 0, run.stderr
    assert "src/geotables/tiles stays removed" in run.stderr
    assert not (project / "src/geotables/tiles").exists()
    assert 'RETRY_AFTER = "7"' in (project / PROBLEMS).read_text(encoding="utf-8")


def test_a_project_that_has_geotables_from_an_index_keeps_it_there(
    versions: Versions, project: Path
) -> None:
    shutil.rmtree(project / "src/geotables")
    (project / "src/geotables.sha256").unlink()
    templates.commit(project, "geotables comes from an index")
    versions.release("2.1.0")
    run = versions.update(project, "2.1.0")
    assert run.returncode == 0, run.stderr
    assert not list(project.glob("src/geotables*"))
    assert record(project)["version"] == "2.1.0"


def test_a_project_in_a_folder_of_a_repository(versions: Versions, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "services").mkdir(parents=True)
    project = versions.create("--output-dir", "services", folder=repository)
    (repository / "README.md").write_text("Of all services.\n", encoding="utf-8")
    templates.commit(repository, "Others")
    versions.write(NOTES, "Of the template.\n")
    versions.release("2.1.0")
    run = versions.update(project, "2.1.0")
    assert run.returncode == 0, run.stderr
    changed = templates.git(repository, "diff", "--cached", "--name-only").split()
    folder = "services/facilities-service"
    expected = {".template.json", NOTES, "src/geotables.sha256", "tests/geotables.sha256"}
    assert set(changed) == {f"{folder}/{file}" for file in {*expected, "src/geotables/VERSION"}}


def test_parameters_come_through_as_they_are(versions: Versions, project: Path) -> None:
    """Cookiecutter renders what its command line is given."""
    changed = {
        "project_name": """{{ "it's" }} {% 100 %} \\n 🏔️""",
        "attributes": "code:str(8)='a b'",
        "output_format": "wkt",
    }
    made = record(project)
    assert isinstance(made["parameters"], dict)
    made["parameters"] |= changed
    (project / ".template.json").write_text(json.dumps(made), encoding="utf-8")
    templates.commit(project, "Another name")
    versions.write(NOTES, "{{ cookiecutter.project_name }}\n")
    versions.release("2.1.0")
    run = versions.update(project, "2.1.0")
    assert run.returncode == 0, run.stderr
    assert (project / NOTES).read_text(encoding="utf-8") == f"{changed['project_name']}\n"
    updated = record(project)["parameters"]
    assert isinstance(updated, dict)
    assert changed.items() <= updated.items()


def test_the_record_has_the_parameters_and_no_path(versions: Versions, project: Path) -> None:
    made = record(project)
    assert made["template"] == ""
    assert made["version"] == "2.0.0"
    assert made["commit"] == templates.git(versions.template, "rev-parse", "HEAD").strip()
    assert isinstance(made["parameters"], dict)
    assert made["parameters"].keys() == DEFAULTS.keys()
    text = (project / ".template.json").read_text(encoding="utf-8")
    assert str(versions.template.parent) not in text


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("gh:owner/name", "gh:owner/name"),
        ("https://example.org/name.git", "https://example.org/name.git"),
        ("https://user:secret@example.org/name.git", "https://example.org/name.git"),
        ("git@example.org:owner/name.git", "git@example.org:owner/name.git"),
        ("ssh://git@example.org/name.git", "ssh://example.org/name.git"),
        ("/home/somebody/template", ""),
        ("file:///home/somebody/template", ""),
        ("git+https://example.org/name.git", "git+https://example.org/name.git"),
        ("git+file:///home/somebody/template", ""),
        ("../template", ""),
        ("template", ""),
        ("C:\\template", ""),
    ],
)
def test_the_record_has_the_address_of_a_template(template: str, address: str) -> None:
    assert local_extensions.address(template) == address


def test_cookiecutter_is_run_by_uvx(versions: Versions, project: Path, tmp_path: Path) -> None:
    versions.release("2.1.0")
    uvx = tmp_path / "programs/uvx"
    uvx.parent.mkdir()
    # Its last option is the program, whose own arguments follow.
    uvx.write_text(
        f'#!/bin/sh\necho "$@" >> {uvx}.log\nwhile [ "$1" != cookiecutter ]; do shift; done\n'
        f'shift\nexec {sys.executable} -m cookiecutter "$@"\n'
    )
    uvx.chmod(0o755)
    run = update_without_cookiecutter(versions, project, tmp_path, f"{uvx.parent}:/usr/bin:/bin")
    assert run.returncode == 0, run.stderr
    assert record(project)["version"] == "2.1.0"
    calls = Path(f"{uvx}.log").read_text().splitlines()
    assert len(calls) == 2
    assert all("--from cookiecutter>=2.7,<3 cookiecutter " in call for call in calls)


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        ("Cookiecutter 2.7.1 from /usr/lib/python3.9 (Python 3.11.2 (main, Sep 14 2024))", True),
        ("Cookiecutter 2.12.0 from /opt (Python 3.14.0 (main))", True),
        ("Cookiecutter 2.6.0 from /opt (Python 3.12.0 (main))", False),
        ("Cookiecutter 3.0.0 from /opt (Python 3.12.0 (main))", False),
        ("Cookiecutter 2.7.1 from /opt (Python 3.10.9 (main))", False),
        ("no version", False),
    ],
)
def test_cookiecutter_is_run_from_the_path_if_it_is_new_enough(
    project: Path, tmp_path: Path, version: str, is_taken: bool
) -> None:
    program = tmp_path / "cookiecutter"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    (tmp_path / "uvx").symlink_to(program)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    run = subprocess.run(
        [environment / "bin/python", "-c", "import update; print(update.cookiecutter()[0])"],
        cwd=project / "tools",
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == str(program if is_taken else tmp_path / "uvx"), run.stderr


def test_cookiecutter_is_installed_in_the_cache_folder_once(
    versions: Versions, project: Path, tmp_path: Path
) -> None:
    versions.release("2.1.0")
    for again in (False, True):
        run = update_without_cookiecutter(versions, project, tmp_path, "/usr/bin:/bin")
        assert run.returncode == 0, run.stderr
        assert ("Installing cookiecutter" in run.stderr) != again
        templates.git(project, "reset", "--quiet", "--hard")
    assert list((tmp_path / "home/.cache").glob("*/cookiecutter-*/ready"))


def update_without_cookiecutter(
    versions: Versions, project: Path, folder: Path, path: str
) -> subprocess.CompletedProcess[str]:
    """Update a project by a Python that has the standard library alone."""
    home, environment = folder / "home", folder / "environment"
    home.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    network = {n: v for n, v in os.environ.items() if re.match(r"PIP_|(?i:.*_proxy$)|SSL_CERT", n)}
    return subprocess.run(
        [environment / "bin/python", "tools/update.py", "2.1.0", "--template", versions.template],
        cwd=project,
        env=network | templates.GIT | {"PATH": path, "HOME": str(home)},
        capture_output=True,
        text=True,
    )
