"""The template rendered, and what can be run in a rendered project."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import warm
import yaml
from cookiecutter.exceptions import FailedHookException
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config
from jinja2 import Environment

import parameters
from local_extensions import CACHES

__all__ = [
    "CACHES",
    "COPIED",
    "DEFAULTS",
    "TEMPLATE",
    "Project",
    "WrongParameters",
    "complete",
    "copied",
    "render",
    "rewrite",
]

TEMPLATE = Path(__file__).parents[1]

#: Folders that are copied as they are: no Jinja.
COPIED = ("src/geotables", "tests/geotables")


def rewrite(path: Path, text: str) -> None:
    """Write a file of a project anew."""
    path.write_text(text, encoding="utf-8")
    # Bytecode knows a file by its size and the second of its change, which may both be the same.
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)


def copied(root: Path) -> dict[str, bytes]:
    """What those folders hold in a project or in the template."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in COPIED
        for path in root.joinpath(folder).rglob("*")
        if path.is_file() and CACHES.isdisjoint(path.parts)
    }


#: The parameters, with their defaults as cookiecutter.json has them.
DEFAULTS: dict[str, Any] = {
    name: default
    for name, default in json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8")).items()
    if not name.startswith("_")
}


class WrongParameters(ValueError):
    """The template has no such parameters, or refuses their values; the message names each."""


@dataclass(frozen=True, slots=True)
class Project:
    """A rendered project."""

    path: Path
    #: Every parameter's value, and what cookiecutter.json derives from them.
    context: dict[str, Any]

    @property
    def package(self) -> str:
        return str(self.context["package_name"])

    @property
    def table(self) -> str:
        return str(self.context["table_name"])

    @property
    def source(self) -> Path:
        """The folder of the package."""
        return self.path / "src" / self.package

    @property
    def files(self) -> dict[str, str]:
        """The text of every file, by its path."""
        return {
            path.relative_to(self.path).as_posix(): _text(path)
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and CACHES.isdisjoint(path.parts)
        }

    def python(self, *arguments: str, **environment: str) -> warm.Run:
        """Run ``python …`` in the project's folder, its sources on the path."""
        kept = {
            "HOME",
            "LANG",
            "PATH",
            "POSTGIS_DIR",
            "TMPDIR",
            "XDG_CACHE_HOME",
        } & os.environ.keys()
        own = {"PYTHONPATH": "src", "PYTHONUTF8": "1"}
        environment = {name: os.environ[name] for name in kept} | own | environment
        return warm.python(*arguments, folder=self.path, environment=environment)

    def service(self, *arguments: str, **environment: str) -> warm.Run:
        """Run a command of the service: ``python -m <package> …``."""
        return self.python("-m", self.package, *arguments, **environment)


def _text(path: Path) -> str:
    """The text of a file; of one that has none, its bytes in hexadecimal digits."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return path.read_bytes().hex()


def complete(values: Mapping[str, str]) -> dict[str, Any]:
    """The values of all parameters: those that are given, and what cookiecutter makes of the defaults.

    Raises:
        WrongParameters: The template has no such parameters, or no such choices.
    """
    if unknown := values.keys() - DEFAULTS.keys() - {*parameters.PRIVATE}:
        raise WrongParameters(f"no parameters of the template: {', '.join(sorted(unknown))}")
    try:
        context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=dict(values))
    except ValueError as error:
        raise WrongParameters(str(error)) from error
    with patch.object(Environment, "compile", _compiled):
        return dict(prompt_for_config(context, no_input=True))


def render(folder: Path, values: Mapping[str, str], *, hooks: bool = False) -> Project:
    """Render the template into a new folder below one.

    Raises:
        WrongParameters: The template refuses the values. With the hooks it is they who say so.
    """
    context = complete(values)
    problems = [] if hooks else parameters.problems(context)
    if problems:
        raise WrongParameters("\n".join(map(str, problems)))
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / ".cookiecutterrc"
    folders = {name: str(folder / name) for name in ("cookiecutters_dir", "replay_dir")}
    config.write_text(yaml.safe_dump(folders), encoding="utf-8")
    try:
        with patch.object(Environment, "compile", _compiled):
            path = cookiecutter(
                str(TEMPLATE),
                no_input=True,
                extra_context=dict(values),
                output_dir=str(folder / "project"),
                config_file=str(config),
                accept_hooks=hooks,
            )
    except FailedHookException as error:
        raise WrongParameters(str(error)) from error
    return Project(Path(path), context)


_COMPILE = Environment.compile
_CODE: dict[tuple[str, str | None, str | None], Any] = {}


def _compiled(
    environment: Environment, source: str, name: str | None = None, filename: str | None = None
) -> Any:
    """What Jinja compiles a text to, which is most of rendering: once for all projects, whose environments are alike."""
    key = source, name, filename
    if key not in _CODE:
        _CODE[key] = _COMPILE(environment, source, name, filename)
    return _CODE[key]
