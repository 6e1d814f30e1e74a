"""The Jinja filters of the main template for one more table of a project, whose files are rendered from the main template's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

# Cookiecutter has this folder on the path, and not the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))

import local_extensions
from parameters.project import TABLE_NAMES, defaults, load_project, table_problems


class Parameters(local_extensions.Parameters):
    """The same, with what differs for a table."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.context_class = Answers
        environment.filters.update(again=again, problems=problems, rendered=rendered)


class Answers(local_extensions.Answers):
    """Has the parameters of the project beside those of the table."""

    def __init__(
        self, environment: Environment, parent: dict[str, Any], *arguments: Any, **options: Any
    ) -> None:
        answers = parent.get("cookiecutter", {})
        if "_template" in answers:
            of_project = defaults() | dict(load_project(answers["_project"]).parameters)
            of_project = {n: v for n, v in of_project.items() if n not in TABLE_NAMES}
            parent = parent | {"cookiecutter": of_project | answers}
        super().__init__(environment, parent, *arguments, **options)


def problems(context: Mapping[str, object]) -> list[str]:
    """What is wrong with the parameters, also beside what the project has, a line each."""
    project = load_project(f"{context['_project']}")
    if not project.parameters:
        return ["a table is added to a project by the project's own command, `make table`"]
    return table_problems(context, project)


def again(_context: Mapping[str, object]) -> list[str]:
    """No command goes on from the answers of a table."""
    return []


@pass_context
def rendered(context: Context, file: str) -> str:
    """A file of the main template, or of its project's folder, as this context has it rendered."""
    path = local_extensions.TEMPLATE / file
    if not path.exists():
        path = local_extensions.SOURCE / file
    source = path.read_text(encoding="utf-8").removesuffix("\n")
    return context.environment.from_string(source).render(context.get_all())
