"""A project that serves many adopted tables, put together without the check that `make table` makes of each."""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from cookiecutter.main import cookiecutter
from rendering import TEMPLATE, Project

PACKAGE = "legacy_service"


def render(folder: Path, tables: Sequence[dict[str, str]]) -> Project:
    """Render the first table's project, and add the others as the project's own tools/table.py does."""
    folder.mkdir()
    config = folder / ".cookiecutterrc"
    folders = {name: str(folder / name) for name in ("cookiecutters_dir", "replay_dir")}
    config.write_text(yaml.safe_dump(folders), encoding="utf-8")

    def run(output: str, answers: dict[str, str], **options: Any) -> Path:
        path = cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context=answers,
            output_dir=str(folder / output),
            config_file=str(config),
            accept_hooks=False,
            **options,
        )
        return Path(path)

    first, *others = tables
    project = run("project", {"project_name": "Legacy Service", **first})
    parameters = json.loads((project / ".template.json").read_text("utf-8"))["parameters"]
    tool = _tool(project)
    added: list[str] = []
    for number, answers in enumerate(others, 2):
        private = {
            "_revision": f"{number:04}",
            "_down_revision": f"{number - 1:04}",
            "_project": json.dumps({"parameters": parameters}),
        }
        rendered = run(f"{number}", answers | private, directory="table")
        for path in [path for path in rendered.rglob("*") if path.is_file()]:
            file = path.relative_to(rendered)
            path.replace(project / file)
            added.append(file.as_posix())
    listed = f"src/{PACKAGE}/tables/__init__.py"
    for file in added:
        if Path(file).parent == Path(listed).parent:
            source = (project / listed).read_bytes()
            (project / listed).write_bytes(tool.with_line(source, Path(file).stem, listed))
    tool.tidy(project, added, listed)
    return Project(project, {"package_name": PACKAGE, **first})


def _tool(project: Path) -> ModuleType:
    """The project's own tools/table.py."""
    names = ("table", "update")
    sys.path.insert(0, str(project / "tools"))
    try:
        return importlib.import_module(names[0])
    finally:
        sys.path.pop(0)
        for name in names:
            sys.modules.pop(name, None)
