"""One more table of a project: its parameters are those of a new project's table, and its names are beside those that are there."""

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import NAMES, Problem, derived_names, parse_attributes, problems, unknown
from .columns import load_table
from .epsg import crs
from .names import class_name, first_valid, index_rule, renamed, resource_rule, shown, table_rule
from .reserved import Claims, claim, every

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
        tables: The tables of the models, each with its schema unless that is the default one.
        relations: The names of the tables, of their indexes, and of the sequences of their keys.
        collections: The names of the collections.
        modules: Names of the modules in `tables/`.
        tests: Names of the modules in `tests/`, without `test_`.
        classes: Names of the classes in `tables/`.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()

    @property
    def taken(self) -> Claims:
        """The names that no other table can have."""
        return {
            "is a collection of the project": self.collections,
            "is a module of the project's tables": self.modules,
            "is a file of the project's tests": self.tests,
        }


def load_project(text: str) -> Project:
    """The project of `_project`, a JSON object."""
    members = json.loads(text)
    sets = {each.name for each in dataclasses.fields(Project)} - {"parameters", "asked"}
    return Project(**{n: frozenset(v) if n in sets else v for n, v in members.items()})


def defaults() -> dict[str, str]:
    """A value for each parameter of a project; for one that is derived from others, its name."""
    values = {n: _MAIN[n][0] if isinstance(_MAIN[n], list) else _MAIN[n] for n in NAMES}
    return {name: name if "{" in value else value for name, value in values.items()}


def table_problems(context: Mapping[str, object], project: Project) -> list[str]:
    """What is wrong with the parameters of one more table, a line each."""
    table = {n: f"{v}" for n, v in {**context, **project.asked}.items() if n in TABLE_NAMES}
    private = {n: v for n, v in context.items() if n.startswith("_")}
    found = [p for p in problems(private | defaults() | table) if p.parameter in TABLE_NAMES]
    wrong = {problem.parameter for problem in found}
    found += [p for p in _clashes(private, table, project, wrong) if p.parameter not in wrong]
    found.sort(key=lambda problem: TABLE_NAMES.index(problem.parameter))
    return [*map(str, found), *_not_of_a_table(project.asked)]


def _not_of_a_table(asked: Mapping[str, str]) -> Iterator[str]:
    for name, value in asked.items():
        if name in TABLE_NAMES:
            continue
        if name in NAMES:
            yield f"{name} = {shown(value)}: a parameter of the project, not of a table; leave it out"
        else:
            yield str(unknown(name, value, TABLE_NAMES))


def _clashes(
    private: Mapping[str, object], values: Mapping[str, str], project: Project, wrong: set[str]
) -> Iterator[Problem]:
    """Names that the project has already."""
    noun, name, index = (values[n] for n in ("resource_name", "table_name", "index_name"))
    relation = load_table(f"{private.get('_table', '')}")
    schema = relation.schema or values.get("table_schema", "")
    real = ".".join(filter(None, [schema, relation.name or name]))

    def class_rule(noun: str) -> str:
        cls = class_name(noun)
        taken = {cls, f"{cls}In", f"{cls}Out"} & project.classes
        return f"its class would be {cls}, and the project has {min(taken)}" if taken else ""

    if reason := class_rule(noun):
        free = first_valid(_numbered(noun), lambda n: resource_rule(n) or class_rule(n))
        yield Problem("resource_name", noun, reason, free)

    def name_rule(candidate: str) -> str:
        return table_rule(candidate) or claim(candidate, project.taken)

    reason = f"'{real}' is a table of the project" if real in project.tables else ""
    if reason := reason or claim(name, project.taken):
        free = first_valid(_numbered(name), lambda n: name_rule(n) or _taken(n, project))
        yield Problem("table_name", name, reason, free)
    elif not (relation.adopted or wrong):
        # The indexes of an adopted table are there already, under names that are its own.
        system = crs(values["srid"])
        names = derived_names(
            name,
            values["geometry_column"],
            parse_attributes(values["attributes"]),
            geographic=system is not None and system.geographic,
        )
        if taken := min(project.relations & {name, *names}, default=""):
            free = first_valid(_numbered(name), lambda n: name_rule(n) or _taken(n, project))
            yield Problem("table_name", name, f"the project has '{taken}' already", free)
    if index in project.relations and not relation.adopted:
        free = first_valid(
            renamed("idx_location_gist", "gist")(f"{index[:30]}_gist"),
            lambda n: index_rule(n) or "taken" * (n in project.relations),
        )
        yield Problem("index_name", index, "the project has a table or an index of this name", free)


def _numbered(name: str) -> Iterator[str]:
    yield from (f"{name[:30].rstrip('_')}_{number}" for number in range(2, 10_000))


def _taken(name: str, project: Project) -> str:
    return "taken" * (name in project.tables | project.relations)
