"""What the templates and the hooks know of the parameters: Jinja filters on ``parameters``."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from cookiecutter.config import get_user_config  # type: ignore[import-untyped]
from jinja2 import Environment, pass_environment
from jinja2.ext import Extension
from jinja2.runtime import Context

# Cookiecutter puts the template's folder on the path only while it loads this module.
sys.path.insert(0, str(Path(__file__).parent))

import asking
import example_rows
import parameters
from example_rows import Predicate, combinations, place_in
from parameters import epsg, names
from python_code import Code, asserted, assigned, exploded, imported, laid_out, literal
from table_code import TableCode, imports, sql_text

TEMPLATE = Path(__file__).parent
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"

#: What Python and its tools leave in a checkout of the template.
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


class Parameters(Extension):
    """Makes the filters known under the names that the templates use."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.context_class = Answers
        environment.extend(answered=0)
        environment.filters.update(
            again=again,
            asserted=asserted,
            assigned=assigned,
            class_name=names.class_name,
            crs=epsg.crs,
            example=Example,
            exploded=exploded,
            geometry_column=parameters.geometry_column,
            imported=imported,
            imports=imports,
            is_geographic=is_geographic,
            laid_out=laid_out,
            literal=literal,
            manifest=manifest,
            paths=paths,
            plural=names.plural,
            problems=problems,
            quoted=quoted,
            record=record,
            sql_text=sql_text,
            table=TableCode,
            usable_as=usable_as,
        )


class Answers(Context):
    """Derives the derived values anew: a replay file may hold those of other parameters.

    While cookiecutter prompts, each of its defaults is rendered in such a context, with the answers so far: each is checked then.
    """

    def __init__(
        self, environment: Environment, parent: dict[str, Any], *arguments: Any, **options: Any
    ) -> None:
        answers = parent.get("cookiecutter", {})
        # Cookiecutter adds it once all the others are known.
        if "_template" in answers:
            parameters = frozenset((n, f"{v}") for n, v in answers.items() if not n.startswith("_"))
            parent = parent | {"cookiecutter": answers | _derived(environment, parameters)}
        else:
            asking.check(environment, answers)
        super().__init__(environment, parent, *arguments, **options)


@lru_cache(maxsize=1)
def _derived(environment: Environment, answers: frozenset[tuple[str, str]]) -> dict[str, str]:
    return {
        name: environment.from_string(source).render(cookiecutter=dict(answers))
        for name, source in parameters.DERIVED.items()
    }


def usable_as(value: str, parameter: str) -> str:
    """The value, or one like it that the parameter may have."""
    return parameters.usable(parameter, value)


def problems(context: Mapping[str, object]) -> list[str]:
    """What is wrong with the parameters, a line each; empty when all is right."""
    return [
        str(problem) for problem in parameters.problems(context, _invocation().get("extra_context"))
    ]


def again(context: Mapping[str, object]) -> list[str]:
    """The file that cookiecutter keeps the answers in, and the command that goes on from it; none for cruft."""
    call = _invocation()
    if "replay" not in call:
        return []
    folder = get_user_config(call["config_file"], call["default_config"])["replay_dir"]
    name = Path(call["replay"]).stem if isinstance(call["replay"], str) else TEMPLATE.name
    file = str(Path(folder, f"{name}.json").absolute())
    command = ["cookiecutter", f"{context['_template']}", "--replay-file", file]
    for option in ("checkout", "directory", "output_dir"):
        if call[option] not in (None, "."):
            command += [f"--{option.replace('_', '-')}", f"{call[option]}"]
    if call["overwrite_if_exists"]:
        command.append("--overwrite-if-exists")
    return [file, shlex.join(command)]


def _invocation() -> dict[str, Any]:
    """The arguments that cookiecutter, or ``cruft create``, was called with, which no context has: they are read from its frame."""
    called = (("cookiecutter.main", "cookiecutter"), ("cruft._commands.create", "create"))
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in called:
            return frame.f_locals
    return {}


@pass_environment
def paths(environment: Environment, context: Mapping[str, object]) -> dict[str, list[str]]:
    """The files of this project, the patterns of those that it may have with other parameters, and the names of caches."""
    files = [file.relative_to(SOURCE).as_posix() for file in SOURCE.rglob("*") if file.is_file()]
    files = [file for file in files if CACHES.isdisjoint(Path(file).parts)]
    own = [environment.from_string(file).render(cookiecutter=context) for file in files]
    # One star for several expressions: in the middle of a name glob takes no "**" before Python 3.13.
    every = {re.sub(r"({{.*?}})+", "*", re.sub(r"{%.*?%}", "", file)) for file in files}
    own = [file for file in own if Path(file).name]
    return {"own": own, "every": sorted(every), "caches": sorted(CACHES)}


def manifest(path: str) -> str:
    """The hash of each file of a folder that is copied as it is, as ``sha256sum --check`` reads it, after the version."""
    folder = SOURCE / path
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder.parent).as_posix()}"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and CACHES.isdisjoint(file.parts)
    ]
    return "\n".join([f"# {folder.name} {version()}", *lines])


def version() -> str:
    """The version of the template, which is the one of geotables."""
    return (SOURCE / "src/geotables/VERSION").read_text(encoding="utf-8").strip()


def record(context: Mapping[str, object]) -> str:
    """How a project was made, for its updates: where the template is, its version, and the parameters."""
    made = {
        "template": address(f"{context['_template']}"),
        "version": version(),
        "commit": commit(),
        "parameters": {name: f"{context[name]}" for name in parameters.NAMES}
        | {name: f"{context[name]}" for name in parameters.PRIVATE if context.get(name)},
    }
    return json.dumps(made, ensure_ascii=False, indent=2)


def address(template: str) -> str:
    """Where the template is, without a password; empty for a path, which means something on one machine alone."""
    if not re.match(r"(?!(\w+\+)?file:)[\w.+-]{2,}:|[\w.-]+@", template):
        return ""
    return re.sub(r"(?<=://)[^/@]*@", "", template)


def commit() -> str:
    """The commit of the template's checkout; empty where it is none, as after a download."""
    if not (TEMPLATE / ".git").exists():
        return ""
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        run = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True)
    except OSError:
        return ""
    return run.stdout.strip()


def is_geographic(srid: str) -> bool:
    """Whether the SRID is of a geographic CRS; false for one that is refused."""
    crs = epsg.crs(srid)
    return crs is not None and crs.geographic


def quoted(value: str) -> str:
    """A double-quoted string that TOML, YAML and JSON read alike."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class Example:
    """Two rows of the table, and what its own tests say of them, in literals.

    Attributes:
        place: Where the first row is; the other one is some steps away.
        row: What a client sends of the first row, with every column.
        another: The same of the other row.
        listed: Whether the partial index holds both, for sure. True if there is none.
        outside: Other values of the first row, with which the index does not hold it; empty if there is no index that leaves
            rows out, or none are known.
    """

    def __init__(self, context: Mapping[str, str]) -> None:
        self._table = TableCode(context)
        #: The columns that it has besides the geometry.
        self.columns = self._table.example_columns
        self._geometry = self._table.geometry
        self._kind = context["geometry_type"]
        self._has_z = context["geometry_dimension"] == "XYZ"
        self._is_wkt = context["output_format"] == "wkt"
        self._srid = context["srid"]
        crs = epsg.crs(self._srid)
        assert crs is not None
        self.place = place_in(crs)
        resource = context["resource_name"]
        first, second = (
            {each.name: each.value(number, resource) for each in self.columns} for number in (1, 2)
        )
        checked = {n: example_rows.as_sent(v) for n, v in self._table.checked.items()}
        first, second = first | checked, second | checked
        self.listed = True
        self.outside: dict[str, Any] = {}
        if predicate := self._table.predicate:
            inside = self._sides(predicate, (first, second))
            first, second = first | inside, second | inside
        self.row = first | {self._geometry: self._located(self.place)}
        self.another = second | {self._geometry: self._located(self.elsewhere)}

    @property
    def elsewhere(self) -> example_rows.Place:
        """Where the other row is."""
        return self.place.moved(10)

    def _sides(self, predicate: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Find values with which the index holds the rows, and others with which it does not."""
        condition = Predicate(predicate, self._table.relation)
        choices = {
            column.name: [example_rows.as_sent(value) for value in column.asked_for(predicate)]
            for column in self.columns
        }
        candidates = combinations({name: values for name, values in choices.items() if values})
        holding = ({}, *candidates)
        inside = [each for each in holding if all(condition.holds({**r, **each}) for r in rows)]
        outside = [each for each in candidates if condition.holds({**rows[0], **each}) is False]
        self.listed = bool(inside)
        self.outside = outside[0] if outside else {}
        return inside[0] if inside else {}

    def _located(self, place: example_rows.Place) -> Any:
        geometry = place.geojson(self._kind, has_z=self._has_z)
        if self._table.is_read_only:
            return example_rows.wkt(geometry)
        if not self._is_wkt:
            return geometry
        return ("" if self._srid == "4326" else "SRID=4326;") + example_rows.wkt(geometry)

    @property
    def geometry_type(self) -> str:
        """The type of the rows' geometries, as GeoJSON and Shapely name it."""
        return str(self.place.geojson(self._kind, has_z=False)["type"])

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """The columns of the first row besides the geometry, each with its value."""
        return [(name, value) for name, value in self.row.items() if name != self._geometry]

    @property
    def optional(self) -> list[tuple[str, Any]]:
        """The columns that may be left out, each with the value that it has then."""
        return [(each.name, each.left_out) for each in self.columns if each.has_constant_default]

    @property
    def changed(self) -> list[tuple[str, Any]]:
        """The columns in which the rows differ, but for the key, each with the other row's value."""
        return [
            (each.name, self.another[each.name])
            for each in self.columns
            if not each.is_key and self.another[each.name] != self.row[each.name]
        ]

    @property
    def unique(self) -> bool:
        """Whether a second row like the first is refused."""
        return any(each.unique or each.is_key for each in self.columns)

    @property
    def required(self) -> list[str]:
        """The columns that a client must send, the geometry among them."""
        names = [each.name for each in self.columns if each.is_required]
        return names if self._table.is_geometry_nullable else [*names, self._geometry]

    @property
    def missing(self) -> set[str]:
        """Where the service finds a member missing in an empty body."""
        return {f"body.{name}" for name in self.required}

    @property
    def queryables(self) -> list[str]:
        """What a query may ask about, in the service's order."""
        names = [name for name in self._table.relation.columns if name != self._geometry]
        return [*names, self._geometry]

    @property
    def far_tile(self) -> tuple[int, int, int]:
        """A tile in which neither row is."""
        zoom, row, column = self.place.tile
        return zoom, row, (column + 2 ** (zoom - 1)) % 2**zoom

    @property
    def filters(self) -> list[str]:
        """CQL2 that is true of the first row alone."""
        conditions = []
        for each in self.columns:
            value = self.row[each.name]
            usual = each.name not in CQL_WORDS and value != self.another[each.name]
            usual &= re.fullmatch(r"[a-z]\w*", each.name, re.ASCII) is not None
            if (
                each.type in ("str", "text", "varchar", "char")
                and usual
                and not set(value) & set("'\\")
            ):
                conditions.append(f"{each.name} = '{value}'")
            elif each.type in ("smallint", "int", "bigint", "float", "numeric") and usual:
                conditions.append(f"{each.name} = {value}")
        return conditions

    @property
    def parameters(self) -> dict[str, Any]:
        """A point's row as query parameters; empty if a column is named as one of those that make the point."""
        place = {"lon": self.place.lon, "lat": self.place.lat} | (
            {"height": 12.5} if self._has_z else {}
        )
        if self._kind != "POINT" or place.keys() & self.row.keys():
            return {}
        values = {name: self.row[name] for name in self.required if name != self._geometry}
        return {n: json.dumps(v) if isinstance(v, dict) else v for n, v in values.items()} | place

    @property
    def wrong(self) -> list[tuple[str, object, str]]:
        """A column, what it cannot have, and a part of the reason that the service gives."""
        name, kind, z = self._geometry, self._kind, "Z " if self._has_z else ""
        third = " 1" if self._has_z else ""
        wrong: list[tuple[str, object, str]] = []
        if kind in ("POINT", "GEOMETRY"):
            wrong.append((name, f"SRID=4326;POINT {z}(200 0{third})", "out of range"))
        else:
            reason = f"a Point where the column stores {kind}"
            wrong.append((name, f"SRID=4326;POINT {z}(0 0{third})", reason))
        if kind == "POINT":
            line = f"SRID=4326;LINESTRING {z}(0 0{third}, 1 1{third})"
            wrong.append((name, line, "a LineString where the column stores POINT"))
        empty = "POINT" if kind == "GEOMETRY" else kind
        wrong.append((name, f"{empty} EMPTY", "an empty geometry"))
        for each in self.columns:
            if each.length and each.length < 1000:
                reason = f"at most {each.length} character{'s' * (each.length > 1)}"
                wrong.append((each.name, Code(f'"x" * {each.length + 1}'), reason))
            if each.type in WRONG:
                value, reason = WRONG[each.type]
                wrong.append((each.name, value, reason))
        return wrong


#: Words of CQL2 that cannot be a property's name there.
CQL_WORDS = {
    *("and", "or", "not", "is", "null", "like", "between", "in", "true", "false", "date"),
    *("timestamp", "interval", "casei", "accenti", "div"),
}

#: By type, a value that no column of it has, and a part of the reason.
WRONG: dict[str, tuple[object, str]] = {
    "str": (5, "a valid string"),
    "text": (5, "a valid string"),
    "varchar": (5, "a valid string"),
    "char": (5, "a valid string"),
    "smallint": (2**15, "less than or equal to 32767"),
    "real": ("much", "a valid number"),
    "decimal": ("much", "a valid decimal"),
    "int": (2**31, "less than or equal to 2147483647"),
    "bigint": ("many", "a valid integer"),
    "float": ("much", "a valid number"),
    "numeric": ("much", "a valid decimal"),
    "bool": ("maybe", "a valid boolean"),
    "date": ("2020-02-30", "a valid date"),
    "datetime": ("2020-01-31T12:00:00", "timezone"),
    "uuid": ("x", "a valid UUID"),
}
