"""A rendered project as a place to work: editors, containers, type checkers and hooks take its files as they are."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import editorconfig
import json5
import jsonschema
import pytest
from conftest import Bake
from npm import node
from rendering import Project

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True}
EXTENSIONS = TEXTS | {"items": {"type": "string", "pattern": r"^[a-z0-9-]+\.[a-z0-9-]+$"}}


def closed(required: str, **properties: Any) -> dict[str, Any]:
    """The schema of an object that has no other members."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


#: What VS Code and the Development Container Specification say of the members that the files have.
SCHEMAS = {
    ".vscode/settings.json": closed(
        "python.defaultInterpreterPath",
        **{
            "python.defaultInterpreterPath": TEXT,
            "python.testing.pytestEnabled": {"type": "boolean"},
            "[python]": closed(
                "editor.defaultFormatter",
                **{
                    "editor.defaultFormatter": TEXT,
                    "editor.formatOnSave": {"type": "boolean"},
                    "editor.codeActionsOnSave": {
                        "type": "object",
                        "additionalProperties": {"enum": ["explicit", "always", "never"]},
                    },
                },
            ),
            "ruff.importStrategy": {"enum": ["fromEnvironment", "useBundled"]},
            "mypy-type-checker.importStrategy": {"enum": ["fromEnvironment", "useBundled"]},
            "files.readonlyInclude": {
                "type": "object",
                "additionalProperties": {"type": "boolean"},
            },
        },
    ),
    ".vscode/extensions.json": closed(
        "recommendations", recommendations=EXTENSIONS, unwantedRecommendations=EXTENSIONS
    ),
    ".vscode/launch.json": closed(
        "version configurations",
        version={"const": "0.2.0"},
        configurations={
            "type": "array",
            "items": closed(
                "name type request program",
                name=TEXT,
                type={"const": "debugpy"},
                request={"enum": ["launch", "attach"]},
                program=TEXT,
                args=TEXTS | {"uniqueItems": False},
                env={"type": "object", "additionalProperties": {"type": "string"}},
                console={"enum": ["internalConsole", "integratedTerminal", "externalTerminal"]},
                preLaunchTask=TEXT,
            ),
        },
    ),
    ".vscode/tasks.json": closed(
        "version tasks",
        version={"const": "2.0.0"},
        tasks={
            "type": "array",
            "items": closed(
                "label type command",
                label=TEXT,
                type={"enum": ["shell", "process"]},
                command=TEXT,
                group=closed(
                    "kind",
                    kind={"enum": ["build", "test", "none"]},
                    isDefault={"type": "boolean"},
                ),
                isBackground={"type": "boolean"},
                problemMatcher={"type": "array"},
            ),
        },
    ),
    ".devcontainer/devcontainer.json": closed(
        "image",
        name=TEXT,
        image={"type": "string", "pattern": r"^[a-z0-9./-]+:[\w.-]+$"},
        updateContentCommand=TEXT,
        postAttachCommand=TEXT,
        forwardPorts={"type": "array", "items": {"type": "integer", "maximum": 65535}},
        portsAttributes={
            "type": "object",
            "patternProperties": {
                r"^\d+$": closed(
                    "label",
                    label=TEXT,
                    onAutoForward={"enum": ["notify", "openBrowser", "openBrowserOnce", "ignore"]},
                )
            },
            "additionalProperties": False,
        },
        customizations=closed("vscode", vscode=closed("extensions", extensions=EXTENSIONS)),
    ),
}

VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {
        "project_slug": "parcels",
        "geometry_type": "MULTIPOLYGON",
        "srid": "27700",
        "auth": "oidc",
        "primary_key": "uuid",
        "output_format": "wkt",
        "attributes": "a:text? b:int! d:float=0.5 e:numeric(9,2)=1.50 k:bool=true g:date=today"
        " h:datetime=now i:uuid!=random j:json={}",
        "index_predicate": "k",
    },
    {
        "project_slug": "towers",
        "geometry_dimension": "XYZ",
        "srid": "4979",
        "auth": "none",
        "primary_key": "text",
        "timestamps": "no",
        "read_only": "yes",
    },
)


@pytest.fixture(scope="module")
def project(bake_once: Bake) -> Project:
    return bake_once()


def read(project: Project, file: str) -> Any:
    """A file of JSON with comments."""
    return json5.loads(project.files[file])


@pytest.mark.parametrize("file", SCHEMAS)
def test_files_of_editors_are_valid(project: Project, file: str) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[file]).validate(read(project, file))


def test_files_of_editors_name_what_is_there(project: Project) -> None:
    targets = set(re.findall(r"^([a-z]+):", project.files["Makefile"], re.MULTILINE))
    tasks = read(project, ".vscode/tasks.json")["tasks"]
    container = read(project, ".devcontainer/devcontainer.json")
    commands = [task["command"] for task in tasks]
    commands += [container["updateContentCommand"], container["postAttachCommand"]]
    assert {command.removeprefix("make ") for command in commands} <= targets

    extensions = read(project, ".vscode/extensions.json")["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == extensions
    settings = read(project, ".vscode/settings.json")
    assert settings["[python]"]["editor.defaultFormatter"] in extensions
    assert settings["python.defaultInterpreterPath"] == "${workspaceFolder}/.venv/bin/python"
    [launch] = read(project, ".vscode/launch.json")["configurations"]
    assert launch["preLaunchTask"] in {task["label"] for task in tasks}


def test_the_debugger_starts_the_service(project: Project, database_url: str) -> None:
    """The command of launch.json, which VS Code fills in; the service says that it has started and is told to end."""
    [launch] = read(project, ".vscode/launch.json")["configurations"]
    known = {
        "${workspaceFolder}": str(project.path),
        "${command:python.interpreterPath}": sys.executable,
        "8000": "0",
    }
    command = [sys.executable, launch["program"], *launch["args"]]
    for name, value in known.items():
        command = [part.replace(name, value) for part in command]
    own = {"PYTHONPATH": "src", "DATABASE_URL": database_url} | launch["env"]
    process = subprocess.Popen(
        command, cwd=project.path, env=os.environ | own, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process:
        lines = iter(process.stderr.readline, "")
        printed = next((line for line in lines if "running on http://127.0.0.1:" in line), None)
        process.terminate()
    assert printed


#: A test whose PostGIS takes longer than a test may.
DOWNLOADING = """
import contextlib, time
import postgis

@contextlib.contextmanager
def download():
    time.sleep(1)
    yield

postgis.server = download

def test_it(server):
    assert server is None
"""


def test_a_test_that_hangs_says_where_and_ends(bake: Bake) -> None:
    project = bake()
    hanging = "import time\n\n\ndef test_it() -> None:\n    time.sleep(30)\n"
    (project.path / "tests/test_hanging.py").write_text(hanging)
    (project.path / "tests/test_before.py").write_text(DOWNLOADING)
    options = ("-p", "no:cacheprovider", "-o", "faulthandler_timeout=0.5")
    run = project.python(
        *("-m", "pytest", *options, "tests/test_before.py", "tests/test_hanging.py"),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert run.code == 1
    assert re.search(r'test_hanging\.py", line 5 in test_it', run.output), run


def test_pyright(bake_once: Bake) -> None:
    """All variants in one run: what they have in common is read once."""
    projects = [bake_once(**parameters) for parameters in VARIANTS]
    # Paths are relative to the file's.
    folder = Path(os.path.commonpath([project.path for project in projects]))
    roots = [project.path.relative_to(folder).as_posix() for project in projects]
    configuration: dict[str, Any] = {"include": [], "exclude": [], "executionEnvironments": []}
    for project, root in zip(projects, roots, strict=True):
        stated = tomllib.loads(project.files["pyproject.toml"])["tool"]["pyright"]
        # The tools are the same in all.
        folders = stated["include"] if root == roots[0] else {*stated["include"]} - {"tools"}
        configuration["include"] += [f"{root}/{path}" for path in folders]
        configuration["exclude"] += [f"{root}/{path}" for path in stated["exclude"]]
        paths = [f"{each}/{path}" for each in (roots[0], root) for path in stated["extraPaths"]]
        configuration["executionEnvironments"].append({"root": root, "extraPaths": paths})
        configuration["typeCheckingMode"] = stated["typeCheckingMode"]
        configuration["ignore"] = [f"{roots[0]}/{path}" for path in stated["ignore"]]
    file = folder / "pyrightconfig.json"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    options = ["--project", file, "--pythonpath", sys.executable, "--outputjson"]
    report = json.loads(node("pyright/index.js", *options, folder=folder))
    assert report["summary"]["filesAnalyzed"] > 15 * len(projects)


def test_files_are_as_editorconfig_says(bake: Bake) -> None:
    project = bake()
    for file, text in project.files.items():
        path = project.path / file
        if path.suffix in (".gz", ".png") or {"static", "maplibre-gl"} & set(path.parts):
            continue
        stated = editorconfig.get_properties(str(path))
        assert "\r" not in text and text.endswith("\n") is bool(text), file
        tabs = stated["indent_style"] == "tab"
        assert tabs or not re.search(r"^ *\t", text, re.MULTILINE), file
        trimmed = stated["trim_trailing_whitespace"] == "true"
        assert not trimmed or not re.search(r"[ \t]$", text, re.MULTILINE), file


def test_pre_commit_refuses_what_make_lint_does(bake: Bake) -> None:
    project = bake()
    (project.source / "routes.py").write_text("import os\n", encoding="utf-8")
    own = {"PYTHON": sys.executable, "PRE_COMMIT_HOME": str(project.path / "build")}
    git = ["git", "-C", str(project.path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    run = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run"],
        cwd=project.path,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 1
    assert "F401" in run.stdout
