"""What the hooks do: refuse wrong parameters and leave nothing, have the models checked and write nothing."""

import ast
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import templates
from conftest import Bake
from cookiecutter.exceptions import FailedHookException
from rendering import TEMPLATE, Project
from templates import User


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "user")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the template, to be changed."""
    return templates.copy(tmp_path / "template")


def below(folder: Path) -> set[str]:
    """The files and folders below a folder, but for the user's home."""
    paths = (path.relative_to(folder) for path in folder.rglob("*"))
    return {path.as_posix() for path in paths if path.parts[0] != "home"}


# -- Wrong parameters ----------------------------------------------------------------------------


def test_every_problem_is_told_at_once(cookies: Any, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = {
        "resource_name": "order",
        "attributes": "name:strng size:int=ten",
        "srid": "999999",
        "index_predicate": "state = 'active'",
        "pool_size": "0",
        "work_mem": "32 MB",
    }
    result = cookies.bake(template=str(TEMPLATE), extra_context=wrong)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("- ")]
    assert result.exit_code != 0
    assert isinstance(result.exception, FailedHookException)
    assert result.project_path is None
    assert [line.split()[1] for line in told] == sorted(
        [*wrong, "attributes"], key=list(wrong).index
    )
    for line in told:
        name = line.split()[1]
        assert line.startswith(f"- {name} = '{wrong[name]}': ")
        assert "; try '" in line or line.endswith("; leave it empty")


def test_what_is_suggested_is_right(cookies: Any, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = {"srid": "32633.0", "pool_size": "1000", "work_mem": "32 mb", "index_name": "the index"}
    cookies.bake(template=str(TEMPLATE), extra_context=wrong)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("- ")]
    suggested = {line.split()[1]: line.rpartition("; try '")[2][:-1] for line in told}
    assert suggested.keys() == wrong.keys()
    assert cookies.bake(template=str(TEMPLATE), extra_context=suggested).exit_code == 0


UNKNOWN = {"geometry_typ": "POLYGON", "__class_name": "Well", "colour": "red"}


def test_names_that_are_no_parameters_are_refused(user: User) -> None:
    """Cookiecutter would ignore them, and render a project of points."""
    words = [f"{name}={value}" for name, value in UNKNOWN.items()]
    assert_unknown(user, user.cookiecutter(TEMPLATE, "--no-input", *words))


def test_names_that_are_no_parameters_are_refused_by_cruft(user: User, copy: Path) -> None:
    templates.commit(copy, "The template")
    given = ("--extra-context", json.dumps(UNKNOWN))
    assert_unknown(user, user.run("cruft", "create", copy, "--no-input", *given))


def test_names_that_are_no_parameters_are_refused_in_python(
    cookies: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cookies.bake(template=str(TEMPLATE), extra_context=UNKNOWN).exit_code != 0
    assert "- geometry_typ = 'POLYGON'" in capfd.readouterr().err


def assert_unknown(user: User, run: subprocess.CompletedProcess[str]) -> None:
    told = [line for line in run.stderr.splitlines() if line.startswith("- ")]
    assert run.returncode != 0
    assert told[0] == (
        "- geometry_typ = 'POLYGON': no parameter has this name; try 'geometry_type'"
    )
    assert told[1].startswith("- __class_name = 'Well': ")
    assert told[1].endswith("; try 'resource_name'")
    assert "they are project_name, " in told[2]
    assert told[2].endswith("; leave it out")
    assert len(told) == 3
    assert below(user.folder) == set()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("project_slug", "a/b/c"),
        ("project_slug", "../x/y"),
        ("project_slug", "/tmp/there"),
        ("project_slug", "A B"),
        ("package_name", "import"),
        ("package_name", "../p"),
        ("table_name", "a/b"),
        ("resource_name", "user"),
        ("srid", "4978"),
        ("attributes", "id:int"),
        ("index_predicate", "1"),
        ("index_predicate", "location && ST_MakeEnvelope(1, 2, 3, 4, 3857)"),
        ("index_predicate", "created_at AT TIME ZONE 'Mars' > '2020-01-01'"),
        ("geometry_type", "CIRCLE"),
        ("license", "GPL"),
    ],
)
def test_nothing_is_left_behind(user: User, parameter: str, value: str) -> None:
    output = user.folder / "output"
    output.mkdir()
    outside = set(user.folder.parent.rglob("*"))
    value = value.replace("/tmp", str(user.folder))
    arguments = ("--no-input", "--output-dir", output, f"{parameter}={value}")
    run = user.cookiecutter(TEMPLATE, *arguments)
    assert run.returncode != 0
    assert parameter in run.stderr + run.stdout
    assert value in run.stderr + run.stdout
    assert below(user.folder) == {"output"}
    left = set(user.folder.parent.rglob("*")) - outside
    assert {path for path in left if user.home not in path.parents} == set()


def test_what_was_there_before_is_kept(user: User) -> None:
    """A folder that cookiecutter found, and did not make, is not removed."""
    for folder in ("a/other", "a/b", "empty"):
        (user.folder / folder).mkdir(parents=True)
    (user.folder / "a/other/file").touch()
    before = below(user.folder)
    for slug in ("a/b/c", "a/c", "empty"):
        assert (
            user.cookiecutter(TEMPLATE, "--no-input", f"project_slug={slug}", "srid=0").returncode
            != 0
        )
    assert below(user.folder) >= before - {"a/b"}


def test_a_refused_overwriting_leaves_the_project_as_it_is(user: User) -> None:
    project = user.folder / "p"
    project.mkdir()
    (project / "kept").write_text("kept")
    arguments = ("--no-input", "--overwrite-if-exists", "project_slug=p", "srid=0")
    assert user.cookiecutter(TEMPLATE, *arguments).returncode != 0
    assert below(user.folder) == {"p", "p/kept"}


# -- The check of the models ---------------------------------------------------------------------


def test_models_are_checked_and_nothing_is_written(user: User, bake: Bake) -> None:
    run = user.cookiecutter(TEMPLATE, "--no-input", "ci=none", "project_slug=p")
    assert run.returncode == 0
    assert "agree" in run.stderr
    assert run.stdout == ""
    project = user.folder / "p"
    assert {path for path in below(project) if (project / path).is_file()} == bake(
        ci="none", project_slug="p"
    ).files.keys()
    assert all(any(folder.iterdir()) for folder in project.rglob("*") if folder.is_dir())


def test_caches_of_the_template_are_not_generated(user: User, copy: Path) -> None:
    for folder in ("src/geotables/__pycache__", "src/geotables/.mypy_cache/3.11"):
        cache = copy / "{{cookiecutter.project_slug}}" / folder
        cache.mkdir(parents=True)
        (cache / "of_another.pyc").write_bytes(b"")
    run = user.cookiecutter(copy, "--no-input", "project_slug=p", FASTAPI_POSTGIS_CHECK_ENV="0")
    assert run.returncode == 0
    assert not [path for path in below(user.folder) if "cache" in path]


def test_models_that_fail_the_check_are_not_generated(user: User, copy: Path) -> None:
    templates.edit(copy, "src/PACKAGE/tables/TABLE.py", "spatial_index=False", "spatial_index=True")
    run = user.cookiecutter(copy, "--no-input")
    assert run.returncode != 0
    assert "spatial_index=True" in run.stderr
    assert "do not pass their own check" in run.stderr
    assert below(user.folder) == set()


@pytest.fixture
def needy(copy: Path) -> Path:
    """A template whose projects need a package that the interpreter has not."""
    templates.edit(copy, "pyproject.toml", '"alembic', '"not-installed-here>=1",\n    "alembic')
    return copy


def test_an_environment_can_be_declined(user: User, needy: Path) -> None:
    run = user.cookiecutter(needy, "--no-input", FASTAPI_POSTGIS_CHECK_ENV="0")
    assert run.returncode == 0
    assert "NOTHING WAS CHECKED" in run.stderr
    assert "FASTAPI_POSTGIS_CHECK_ENV=0 declines" in run.stderr
    assert "could not be" not in run.stderr
    assert "make check" in run.stderr
    assert "agree" not in run.stderr


def test_packages_that_cannot_be_had_are_told(user: User, needy: Path) -> None:
    offline = {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}
    run = user.cookiecutter(needy, "--no-input", **offline)
    assert run.returncode == 0
    assert "NOTHING WAS CHECKED" in run.stderr
    assert "could not be made" in run.stderr
    assert "not-installed-here" in run.stderr
    assert "FASTAPI_POSTGIS_CHECK_ENV=0" in run.stderr
    assert not list(user.home.glob(".cache/cookiecutter-fastapi-postgis/check-*"))


#: Makes "environments" whose interpreter is one that has the packages.
UV = f"""#!/bin/sh
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' > "$folder/bin/python"
    chmod +x "$folder/bin/python"
fi
"""


@pytest.fixture
def uv(user: User) -> str:
    """A PATH on which uv makes such environments."""
    program = user.home / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(UV)
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


MADE = "Making an environment"


def test_an_environment_is_made_once_and_outside_of_the_project(
    user: User, needy: Path, uv: str
) -> None:
    first, second = (
        user.cookiecutter(needy, "--no-input", f"project_slug={slug}", PATH=uv) for slug in "ab"
    )
    assert (MADE in first.stderr, MADE in second.stderr) == (True, False)
    assert "agree" in first.stderr
    assert "agree" in second.stderr
    assert len(list(user.home.glob(".cache/cookiecutter-fastapi-postgis/*"))) == 1


def test_an_environment_whose_interpreter_is_gone_is_made_again(
    user: User, needy: Path, uv: str
) -> None:
    user.cookiecutter(needy, "--no-input", "project_slug=a", PATH=uv)
    (python,) = user.home.glob(".cache/cookiecutter-fastapi-postgis/check-*/bin/python")
    python.unlink()
    python.symlink_to(user.home / "removed" / "python")
    run = user.cookiecutter(needy, "--no-input", "project_slug=b", PATH=uv)
    assert run.returncode == 0
    assert MADE in run.stderr
    assert "agree" in run.stderr
    assert len(list(user.home.glob(".cache/cookiecutter-fastapi-postgis/*"))) == 1


def test_a_home_that_cannot_be_written_to_is_told(user: User, needy: Path) -> None:
    (user.home / ".cache").write_text("a file")
    run = user.cookiecutter(needy, "--no-input")
    assert run.returncode == 0
    assert "NOTHING WAS CHECKED: an environment could not be made" in run.stderr


# -- Output that nobody reads --------------------------------------------------------------------


def closed_pipe() -> int:
    """The end of a pipe to write to, whose other end is closed: ``cookiecutter … 2>&1 | head -0``."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_a_closed_pipe_is_no_failure(user: User, bake: Bake) -> None:
    run = user.cookiecutter(TEMPLATE, "--no-input", output=closed_pipe())
    assert run.returncode == 0
    assert_rendered(user.folder / "facilities-service", bake)


def test_parameters_are_refused_into_a_closed_pipe(user: User) -> None:
    wrong = ("srid=0", "project_slug=a/b/c")
    assert user.cookiecutter(TEMPLATE, "--no-input", *wrong, output=closed_pipe()).returncode != 0
    assert below(user.folder) == set()


# -- Ways in -------------------------------------------------------------------------------------


def assert_rendered(folder: Path, bake: Bake, **parameters: str) -> None:
    """The project is there, file by file."""
    expected = bake(**parameters)
    made, files = Project(folder, expected.context).files, expected.files
    # Where the template was, and at which commit, differs.
    records = [json.loads(each.pop(".template.json")) for each in (made, files)]
    assert records[0]["parameters"] == records[1]["parameters"]
    assert made == files


def test_in_the_template_s_folder(user: User, bake: Bake) -> None:
    run = user.cookiecutter(
        ".", "--no-input", "--output-dir", user.folder, "srid=27700", folder=TEMPLATE
    )
    assert run.returncode == 0, run.stderr
    assert_rendered(user.folder / "facilities-service", bake, srid="27700")


def test_from_another_folder(user: User, bake: Bake) -> None:
    relative = os.path.relpath(TEMPLATE, user.folder)
    assert user.cookiecutter(relative, "--no-input", "srid=27700").returncode == 0
    assert_rendered(user.folder / "facilities-service", bake, srid="27700")


def test_from_a_git_url(user: User, copy: Path, bake: Bake) -> None:
    templates.commit(copy, "The template")
    run = user.cookiecutter(f"git+file://{copy}", "--no-input", "srid=27700")
    assert run.returncode == 0, run.stderr
    assert_rendered(user.folder / "facilities-service", bake, srid="27700")


def test_a_corrected_replay_file(user: User, bake: Bake) -> None:
    """The message names the file and the command; what follows from what was corrected follows from the new."""
    output = user.folder / "out put"
    wrong = ("srid=0", "resource_name=well", "--output-dir", output)
    told = user.cookiecutter(TEMPLATE, "--no-input", *wrong).stderr.splitlines()
    file, command = (line.strip() for line in told if "cookiecutter_replay" in line)
    corrected = {"srid": "4326", "geometry_type": "POLYGON", "resource_name": "spring"}
    answers = json.loads(Path(file).read_text("utf-8"))
    answers["cookiecutter"] |= corrected
    Path(file).write_text(json.dumps(answers), encoding="utf-8")
    program, *arguments = shlex.split(command)
    assert program == "cookiecutter"
    run = user.cookiecutter(*arguments)
    assert run.returncode == 0, run.stderr
    assert_rendered(output / "facilities-service", bake, **corrected, table_name="wells")


def test_replay(user: User, bake: Bake) -> None:
    (user.folder / "once").mkdir()
    run = user.cookiecutter(TEMPLATE, "--no-input", "srid=27700", folder=user.folder / "once")
    assert run.returncode == 0
    assert user.cookiecutter(TEMPLATE, "--replay").returncode == 0
    assert_rendered(user.folder / "facilities-service", bake, srid="27700")


def test_default_config(user: User, bake: Bake) -> None:
    """A user's own defaults are used, but not with --default-config."""
    (user.home / ".cookiecutterrc").write_text(
        "default_context: {srid: '27700', project_slug: own}\n"
    )
    assert user.cookiecutter(TEMPLATE, "--no-input").returncode == 0
    assert user.cookiecutter(TEMPLATE, "--no-input", "--default-config").returncode == 0
    assert_rendered(user.folder / "own", bake, srid="27700", project_slug="own")
    assert_rendered(user.folder / "facilities-service", bake)


def test_overwrite_if_exists(user: User, bake: Bake) -> None:
    """What the template makes is made again, what a team has added stays."""
    assert user.cookiecutter(TEMPLATE, "--no-input").returncode == 0
    project = user.folder / "facilities-service"
    (project / "README.md").write_text("changed")
    (project / "added").write_text("added")
    # Without the first, which may be empty, Git knows no repository.
    for folder in (".git/refs", ".venv/lib/__pycache__"):
        (project / folder).mkdir(parents=True)
    assert user.cookiecutter(TEMPLATE, "--no-input").returncode != 0
    assert (project / "README.md").read_text() == "changed"
    assert user.cookiecutter(TEMPLATE, "--no-input", "--overwrite-if-exists").returncode == 0
    assert (project / "added").read_text() == "added"
    (project / "added").unlink()
    (project / ".git/refs").rmdir()
    (project / ".venv/lib/__pycache__").rmdir()
    assert_rendered(project, bake)


def test_what_other_parameters_left_is_named_and_kept(user: User, bake: Bake) -> None:
    project = user.folder / "facilities-service"
    arguments = ("--no-input", "--overwrite-if-exists")
    run = user.cookiecutter(TEMPLATE, *arguments)
    assert "were left as they are" not in run.stderr
    (project / "added").write_text("added")
    before = bake().files
    others = {"deployment": "none", "package_name": "other", "geometry_type": "POLYGON"}
    words = [f"{name}={value}" for name, value in others.items()]
    run = user.cookiecutter(TEMPLATE, *arguments, *words)
    assert run.returncode == 0, run.stderr
    named = [line.strip() for line in run.stderr.splitlines() if line.startswith("  ")]
    assert named == [
        ".dockerignore",
        ".github/workflows/image.yml",
        ".github/workflows/publish.yml",
        "Dockerfile",
        "compose.yaml",
        "deploy/.gitignore",
        "deploy/Caddyfile",
        "deploy/nginx.conf",
        "deploy/pgbouncer.ini",
        "deploy/service.env.example",
        "docs/deployment.md",
        "src/facilities_service/",
    ]
    assert (project / "added").read_text() == "added"
    assert (project / "compose.yaml").read_text("utf-8") == before["compose.yaml"]


OLD_PYTHON = """
import sys
sys.version_info, sys.version = (3, 10, 12), "3.10.12 (main)"
from cookiecutter.cli import main
main()
"""


def test_an_older_python_is_told_what_is_required(user: User) -> None:
    arguments = (TEMPLATE, "--no-input", "--output-dir", user.folder)
    run = subprocess.run(
        [sys.executable, "-c", OLD_PYTHON, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "Python 3.11 or later is required, and cookiecutter runs on 3.10.12" in run.stdout
    assert below(user.folder) == set()
    # What says so is read by the Pythons that it refuses.
    ast.parse((TEMPLATE / "fresh.py").read_text("utf-8"), feature_version=(3, 7))


def test_hooks_not_accepted(user: User, bake: Bake) -> None:
    """Nothing is validated or checked then; the project's own check says what the hook would have said."""
    run = user.cookiecutter(TEMPLATE, "--no-input", "--accept-hooks", "no", "ci=none")
    assert run.returncode == 0
    assert "agree" not in run.stderr
    project = user.folder / "facilities-service"
    check = user.run("facilities_service", "check", folder=project, PYTHONPATH="src")
    assert "agree" in check.stdout
