"""One more table of a project: its parameters are those of a new project's table, and its names are beside those that are there."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import NAMES, PRIVATE, Problem, derived_names, problems, relation, unknown
from .epsg import crs
from .names import class_name, first_valid, index_rule, renamed, resource_rule, shown, table_rule
from .reserved import Claims, claim

_TEMPLATES = Path(__file__).parents[1]
_MAIN, _TABLE = (
    json.loads((_TEMPLATES / file).read_text(encoding="utf-8"))
    for file in ("cookiecutter.json", "table/cookiecutter.json")
)
#: The parameters of a table; the others are the project's.
TABLE_NAMES = tuple(name for name in _TABLE if not name.startswith("_"))


@dataclass(frozen=True, slots=True)
class Project:
    """A project that gets a table, as its own `tools/table.py` has found it.

    Attributes:
        parameters: Those of the project, such as the package's name.
        asked: What was asked for by name: cookiecutter leaves out what is no parameter, or not one of its choices.
        relations: The names of the tables of the models, of their indexes, and of the sequences of their keys, each with its schema
            unless that is the default one.
        collections: The names of the collections.
        modules: Names of the modules in `tables/`.
        paths: The first parts of the paths of the project's own routes.
        tests: Names of the modules in `tests/`, without `test_`.
        classes: Names of the classes in `tables/`.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    relations: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()

    @property
    def taken(self) -> Claims:
        """The names that no other table can have."""
        return {
            "is a collection of the project": self.collections,
            "is a module of the project's tables": self.modules,
            "is a path of the project's own routes": self.paths,
            "is a file of the project's tests": self.tests,
        }


def load_project(text: str) -> Project:
    """The project of `_project`, a JSON object."""
    members: dict[str, Any] = json.loads(text)
    names = {name: frozenset(value) for name, value in members.items() if isinstance(value, list)}
    return Project(members.get("parameters", {}), members.get("asked", {}), **names)


def defaults() -> dict[str, str]:
    """A value for each parameter of a project; for one that is derived from others, its name."""
    values = {n: _MAIN[n][0] if isinstance(_MAIN[n], list) else _MAIN[n] for n in NAMES}
    return {name: name if "{" in value else value for name, value in values.items()}


def table_problems(context: Mapping[str, object], project: Project) -> list[str]:
    """What is wrong with the parameters of one more table, a line each."""
    of_table = (*TABLE_NAMES, *PRIVATE)
    values = defaults() | {name: f"{v}" for name, v in context.items() if name in of_table}
    values |= {name: value for name, value in project.asked.items() if name in TABLE_NAMES}
    found = [problem for problem in problems(values) if problem.parameter in of_table]
    wrong = {problem.parameter for problem in found}
    if not wrong & {*PRIVATE, "read_only"}:
        found += (each for each in _clashes(values, project) if each.parameter not in wrong)
    found.sort(key=lambda problem: of_table.index(problem.parameter))
    return [*map(str, found), *_not_of_a_table(project.asked)]


def _not_of_a_table(asked: Mapping[str, str]) -> Iterator[str]:
    for name, value in asked.items():
        if name in TABLE_NAMES:
            continue
        if name in NAMES:
            yield f"{name} = {shown(value)}: a parameter of the project, not of a table; leave it out"
        else:
            yield str(unknown(name, value, TABLE_NAMES))


def _clashes(values: Mapping[str, str], project: Project) -> Iterator[Problem]:
    """Names that the project has already."""
    found = relation(values)
    noun, name, index = (values[n] for n in ("resource_name", "table_name", "index_name"))

    def is_there(name: str) -> bool:
        return ".".join(filter(None, [found.schema, name])) in project.relations

    def class_rule(noun: str) -> str:
        cls = class_name(noun)
        taken = project.classes & {cls, f"{cls}In", f"{cls}Out"}
        return f"its class would be {cls}, and the project has {min(taken)}" if taken else ""

    def name_rule(name: str) -> str:
        return table_rule(name) or claim(name, project.taken) or "taken" * is_there(name)

    if reason := class_rule(noun):
        free = first_valid(_numbered(noun), lambda n: resource_rule(n) or class_rule(n))
        yield Problem("resource_name", noun, reason, free)

    system = crs(values["srid"])
    derived = derived_names(
        name,
        values["geometry_column"],
        found.attributes,
        geographic=system is not None and system.geographic,
        key_column=values["key_column"],
    )
    # What an adopted table has beside its name is there already.
    own = {found.name} if found.stated.adopted else {found.name, *derived}
    reason = claim(name, project.taken)
    if not reason and (taken := next(filter(is_there, sorted(own)), "")):
        reason = f"the project has a table or an index {taken} already"
    if reason:
        yield Problem("table_name", name, reason, first_valid(_numbered(name), name_rule))

    if is_there(index) and not found.stated.adopted:
        free = first_valid(
            renamed("idx_location_gist", "gist")(f"{index[:30]}_gist"),
            lambda name: index_rule(name) or "taken" * is_there(name),
        )
        yield Problem("index_name", index, "the project has a table or an index of this name", free)


def _numbered(name: str) -> Iterator[str]:
    yield from (f"{name[:30].rstrip('_')}_{number}" for number in range(2, 10_000))
