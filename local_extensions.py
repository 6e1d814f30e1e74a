"""What the templates and the hooks know of the parameters: Jinja filters on ``parameters``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from cookiecutter.config import get_user_config  # type: ignore[import-untyped]
from jinja2 import Environment, pass_environment
from jinja2.ext import Extension
from jinja2.runtime import Context

# Cookiecutter puts the template's folder on the path only while it loads this module.
sys.path.insert(0, str(Path(__file__).parent))

import example_rows
import parameters
from example_rows import Predicate, combinations, place_in
from parameters import epsg, names
from parameters.attributes import INTEGER_RANGES, MAX_LENGTH, Attribute

TEMPLATE = Path(__file__).parent
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"

#: What Python and its tools leave in a checkout of the template.
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

#: Line length of a rendered project; its pyproject.toml says the same.
LINE_LENGTH = 100


class Parameters(Extension):
    """Makes the filters known under the names that the templates use."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.context_class = Answers
        environment.filters.update(
            again=again,
            asserted=asserted,
            assigned=assigned,
            class_name=names.class_name,
            columns=columns,
            crs=epsg.crs,
            example=Example,
            examples=examples,
            exploded=exploded,
            is_geographic=is_geographic,
            laid_out=laid_out,
            literal=literal,
            manifest=manifest,
            paths=paths,
            plural=names.plural,
            problems=problems,
            quoted=quoted,
            record=record,
        )


class Answers(Context):
    """Derives the derived values anew: a replay file may hold those of other parameters."""

    def __init__(
        self, environment: Environment, parent: dict[str, Any], *arguments: Any, **options: Any
    ) -> None:
        answers = parent.get("cookiecutter", {})
        # Cookiecutter adds it once all the others are known.
        if "_template" in answers:
            parameters = frozenset((n, f"{v}") for n, v in answers.items() if not n.startswith("_"))
            parent = parent | {"cookiecutter": answers | _derived(environment, parameters)}
        super().__init__(environment, parent, *arguments, **options)


@lru_cache(maxsize=1)
def _derived(environment: Environment, answers: frozenset[tuple[str, str]]) -> dict[str, str]:
    return {
        name: environment.from_string(source).render(cookiecutter=dict(answers))
        for name, source in parameters.DERIVED.items()
    }


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
    """The files of this project, and the patterns of those that it may have with other parameters."""
    files = [file.relative_to(SOURCE).as_posix() for file in SOURCE.rglob("*") if file.is_file()]
    files = [file for file in files if CACHES.isdisjoint(Path(file).parts)]
    own = [environment.from_string(file).render(cookiecutter=context) for file in files]
    # One star for several expressions: in the middle of a name glob takes no "**" before Python 3.13.
    every = {re.sub(r"({{.*?}})+", "*", re.sub(r"{%.*?%}", "", file)) for file in files}
    return {"own": [f for f in own if Path(f).name], "every": sorted(every)}


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
        "parameters": {name: f"{context[name]}" for name in parameters.NAMES},
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


def columns(attributes: str) -> list[Column]:
    """The columns that ``attributes`` declares, as the templates write them."""
    return [Column(attribute) for attribute in parameters.parse_attributes(attributes)]


def examples(attributes: str, predicate: str) -> list[str]:
    """The items of an example row in the table's module, a column each.

    Rows have every combination of the values that a predicate asks for, and other columns a value of each row's own.
    """
    items, combinations = [], 1
    for column in columns(attributes):
        head = f"{literal(column.name)}: "
        values = list(dict.fromkeys(map(python, column.asked_for(predicate))))
        function, *arguments = column.sample()
        if len(values) > 1:
            turn = f"number // {combinations}" if combinations > 1 else "number"
            items.append(in_turns(head, values, f"[{turn} % {len(values)}],", indent=8))
            combinations *= len(values)
        elif arguments:
            items.append(call(f"{head}{function}", arguments, indent=8, end=","))
        else:
            items.append(f"        {head}{function},")
    return items


def is_geographic(srid: str) -> bool:
    """Whether the SRID is of a geographic CRS; false for one that is refused."""
    crs = epsg.crs(srid)
    return crs is not None and crs.geographic


def literal(value: str) -> str:
    r"""A Python string literal in the quotes that ``ruff format`` leaves.

    >>> print(literal("it's"), literal('say "it"'))
    "it's" 'say "it"'
    """
    body = "".join(_escaped(character) for character in value)
    if body.count('"') > body.count("'"):
        return "'" + body.replace("'", "\\'") + "'"
    return '"' + body.replace('"', '\\"') + '"'


def assigned(value: str, name: str) -> str:
    """An assignment of a text, in the lines that ``ruff format`` leaves."""
    text = literal(value)
    line = f"{name} = {text}"
    indent = " " * (len(name) - len(name.lstrip()))
    if len(line) <= LINE_LENGTH or len(indent) + 4 + len(text) > LINE_LENGTH:
        return line
    return f"{name} = (\n{indent}    {text}\n{indent})"


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    return character if character.isprintable() else repr(character)[1:-1]


def quoted(value: str) -> str:
    """A double-quoted string that TOML, YAML and JSON read alike."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def call(head: str, arguments: Iterable[str], *, indent: int, end: str = "") -> str:
    """``head(argument, …)``, on one line if it fits, else an argument a line: as ``ruff format`` leaves it."""
    arguments = list(arguments)
    pad = " " * indent
    line = f"{pad}{head}({', '.join(arguments)}){end}"
    if len(line) <= LINE_LENGTH:
        return line
    if len(f"{pad}{head}(") > LINE_LENGTH and " = " in head:
        target, _, function = head.rpartition(" = ")
        return f"{pad}{target} = (\n{call(function, arguments, indent=indent + 4)}\n{pad}){end}"
    return f"{pad}{head}(\n" + "".join(f"{pad}    {each},\n" for each in arguments) + f"{pad}){end}"


def in_turns(head: str, values: Sequence[str], turn: str, *, indent: int) -> str:
    """An item of a dictionary that picks one of some values, as ``ruff format`` leaves it."""
    pad = " " * indent
    line = f"{pad}{head}[{', '.join(values)}]{turn}"
    if len(line) <= LINE_LENGTH:
        return line
    return f"{pad}{head}[\n" + "".join(f"{pad}    {each},\n" for each in values) + f"{pad}]{turn}"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a type of ``attributes`` is written in the rendered code."""

    python: str
    sqlalchemy: str
    #: Arguments of the Pydantic field that say which values the column's type holds.
    field: tuple[str, ...] = ()
    #: The type of geotables.column_types that reads what a client sends, if that is not the Python type.
    schema: str = ""
    #: The type of geotables.column_types that writes what the service returns, if Pydantic would write the Python type otherwise.
    returned: str = ""


KINDS = {
    "str": Kind("str", "sa.String({0.length})", ("max_length={0.length}",), "Text"),
    "text": Kind("str", "sa.Text()", (), "Text"),
    "int": Kind("int", "sa.Integer()", ("ge=-(2**31)", "le=2**31 - 1")),
    "bigint": Kind("int", "sa.BigInteger()", ("ge=-(2**63)", "le=2**63 - 1")),
    "float": Kind("float", "sa.Double()", ("allow_inf_nan=False",)),
    "numeric": Kind(
        "Decimal",
        "sa.Numeric({0.precision}, {0.scale})",
        ("max_digits={0.precision}", "decimal_places={0.scale}"),
        returned="ExactNumber",
    ),
    "bool": Kind("bool", "sa.Boolean()"),
    "date": Kind("datetime.date", "sa.Date()", (), "Date"),
    "datetime": Kind("datetime.datetime", "sa.DateTime(timezone=True)", (), "Timestamp"),
    "uuid": Kind("UUID", "sa.Uuid()"),
    "json": Kind("Any", "JSONB(none_as_null=True)", (), "Json"),
}


class Column:
    """A column of ``attributes``, as the table's module and the first migration write it."""

    def __init__(self, attribute: Attribute) -> None:
        self.name = attribute.name
        self.type = attribute.type
        self.unique = attribute.unique
        self.has_default = attribute.default is not None
        self._attribute = attribute
        self._kind = KINDS[attribute.type]
        self._sqlalchemy = [self._kind.sqlalchemy.format(attribute), *self._server_default()]

    @property
    def python(self) -> str:
        """The annotation of its values."""
        return self._optional(self._kind.python)

    @property
    def model(self) -> str:
        """The attribute of the mapped class."""
        arguments = [*self._sqlalchemy, *(["unique=True"] if self.unique else [])]
        head = f"{self.name}: Mapped[{self.python}] = mapped_column"
        return call(head, arguments, indent=4)

    @property
    def migration(self) -> str:
        """The column of ``op.create_table``."""
        nullable = f"nullable={self._attribute.nullable}"
        arguments = [literal(self.name), *self._sqlalchemy, nullable]
        return call("sa.Column", arguments, indent=8, end=",")

    @property
    def given(self) -> str:
        """The field of what a client sends: what has a default, or may be NULL, may be left out."""
        arguments = [each.format(self._attribute) for each in self._kind.field]
        head = f"{self.name}: {self._optional(self._kind.schema or self._kind.python)}"
        default = self._schema_default()
        # Linters do not see that the class is Pydantic's, which copies a list or an object.
        in_field = default.startswith(("default_factory=", "default=[", "default={"))
        if not arguments and not in_field:
            line = f"    {head}" + default.replace("default=", " = ", 1)
            if len(line) <= LINE_LENGTH:
                return line
        return call(f"{head} = Field", [*filter(None, [default]), *arguments], indent=4)

    @property
    def returned(self) -> str:
        """The field of what the service returns: always there."""
        return f"    {self.name}: {self._optional(self._kind.returned or self._kind.python)}"

    def sample(self) -> list[str]:
        """An expression of a row's number, with the arguments apart if it is a call."""
        length, scale = self._attribute.length or MAX_LENGTH, self._attribute.scale
        match self.type:
            case "str" | "text" if self.name.isascii() and len(self.name) < min(length - 7, 30):
                return [f'f"{self.name} {{number}}"']
            case "str" | "text":
                return [f"str(number)[:{length}]" if length < 20 else "str(number)"]
            case "bool":
                return ["number % 2 == 0"]
            case "float":
                return ["number + 0.5"]
            case "numeric":
                return ["Decimal", 'f"0.{number % 10}"' if scale else "number % 10"]
            case "date":
                return ["datetime.date", "2020 + number % 7000", "1", "1"]
            case "datetime":
                moment = ["2020 + number % 7000", "1", "1", "12", "tzinfo=datetime.UTC"]
                return ["datetime.datetime", *moment]
            case "uuid":
                return ["UUID(int=number)"]
            case "json":
                return ['{"number": number}']
        return ["number"]

    def asked_for(self, predicate: str) -> Iterator[object]:
        """Values for which a predicate may hold, and others; none if it does not name the column."""
        quoted_texts = r"'(?:[^']|'')*'"
        code = re.sub(quoted_texts, "''", predicate)
        if self.unique or not re.search(
            rf"(?<!\w){re.escape(self.name)}(?!\w)", code, re.IGNORECASE
        ):
            return
        texts = [text[1:-1].replace("''", "'") for text in re.findall(quoted_texts, predicate)]
        match self.type:
            case "str" | "text":
                for text in texts:
                    yield from (
                        text[: self._attribute.length],
                        text.replace("%", "")[: self._attribute.length],
                    )
                yield self.name[: self._attribute.length]
            case "bool":
                yield from (True, False)
            case "int" | "bigint" | "float" | "numeric":
                yield from self._numbers(code)
            case "date" | "datetime":
                for text in texts:
                    with contextlib.suppress(ValueError, OverflowError):
                        moment = datetime.fromisoformat(text)
                        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                        for days in (-1, 0, 1):
                            there = moment + timedelta(days)
                            yield there.date() if self.type == "date" else there
                yield date(2020, 1, 1) if self.type == "date" else datetime(2020, 1, 1, tzinfo=UTC)
            case "uuid":
                yield UUID(int=1)
            case "json":
                yield {"number": 1}
        if self._attribute.nullable:
            yield None

    def _numbers(self, code: str) -> Iterator[object]:
        """The numbers of a predicate and those beside them, as far as the column holds them."""
        number: type[int | float | Decimal] = {"float": float, "numeric": Decimal}.get(
            self.type, int
        )
        low, high = INTEGER_RANGES.get(self.type, (-(2**53), 2**53))
        if self.type == "numeric":
            high = 10 ** ((self._attribute.precision or 0) - (self._attribute.scale or 0)) - 1
            low = -high
        for digits in ["0", *re.findall(r"(?<!\w)\d+", code)]:
            for value in (int(digits) - 1, int(digits), int(digits) + 1):
                if low <= value <= high:
                    yield number(value)

    def _optional(self, annotation: str) -> str:
        return f"{annotation} | None" if self._attribute.nullable else annotation

    def _server_default(self) -> list[str]:
        default = self._attribute.default
        if default is None:
            return []
        match default.value:
            case _ if default.function:
                expression = FUNCTIONS[self.type].server
            case bool(value):
                expression = "sa.true()" if value else "sa.false()"
            case int() | float() | Decimal():
                expression = f'sa.text("{default.value}")'
            case date() | UUID():
                expression = literal(str(default.value))
            case _ if self.type == "json":
                expression = literal(json.dumps(default.value, ensure_ascii=False))
            case _:
                expression = literal(str(default.value))
        return [f"server_default={expression}"]

    def _schema_default(self) -> str:
        default = self._attribute.default
        if default is None:
            return "default=None" if self._attribute.nullable else ""
        if default.function:
            return f"default_factory={FUNCTIONS[self.type].client}"
        return f"default={python(default.value)}"


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
        self.attributes = parameters.parse_attributes(context["attributes"])
        self._geometry = context["geometry_column"]
        self._kind = context["geometry_type"]
        self._has_z = context["geometry_dimension"] == "XYZ"
        self._is_wkt = context["output_format"] == "wkt"
        self._srid = context["srid"]
        crs = epsg.crs(self._srid)
        assert crs is not None
        self.place = place_in(crs)
        resource = context["resource_name"]
        first, second = (
            {each.name: example_rows.value(each, number, resource) for each in self.attributes}
            for number in (1, 2)
        )
        self.listed = True
        self.outside: dict[str, Any] = {}
        if predicate := context["index_predicate"]:
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
        condition = Predicate(predicate, self.attributes)
        choices = {
            column.name: [example_rows.as_sent(value) for value in column.asked_for(predicate)]
            for column in map(Column, self.attributes)
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
        if not self._is_wkt:
            return geometry
        return ("" if self._srid == "4326" else "SRID=4326;") + example_rows.wkt(geometry)

    @property
    def geometry_type(self) -> str:
        """The type of the rows' geometries, as GeoJSON and Shapely name it."""
        return str(self.place.geojson(self._kind, has_z=False)["type"])

    @property
    def optional(self) -> list[tuple[str, Any]]:
        """The columns that may be left out, each with the value that it has then."""
        return [
            (each.name, None if each.default is None else example_rows.as_sent(each.default.value))
            for each in self.attributes
            if (each.default and not each.default.function) or (not each.default and each.nullable)
        ]

    @property
    def changed(self) -> list[tuple[str, Any]]:
        """The columns in which the rows differ, each with the other row's value."""
        return [
            (each.name, self.another[each.name])
            for each in self.attributes
            if self.another[each.name] != self.row[each.name]
        ]

    @property
    def unique(self) -> bool:
        """Whether a second row like the first is refused."""
        return any(each.unique for each in self.attributes)

    @property
    def required(self) -> list[str]:
        """The columns that a client must send, the geometry among them."""
        names = [each.name for each in self.attributes if not each.nullable and not each.default]
        return [*names, self._geometry]

    @property
    def missing(self) -> set[str]:
        """Where the service finds a member missing in an empty body."""
        return {f"body.{name}" for name in self.required}

    @property
    def queryables(self) -> list[str]:
        """What a query may ask about, in the service's order."""
        names = (each.name for each in self.attributes)
        return ["id", *names, "created_at", "updated_at", self._geometry]

    @property
    def far_tile(self) -> tuple[int, int, int]:
        """A tile in which neither row is."""
        zoom, row, column = self.place.tile
        return zoom, row, (column + 2 ** (zoom - 1)) % 2**zoom

    @property
    def filters(self) -> list[str]:
        """CQL2 that is true of the first row alone."""
        conditions = []
        for each in self.attributes:
            value = self.row[each.name]
            usual = each.name not in CQL_WORDS and value != self.another[each.name]
            if each.type in ("str", "text") and usual and not set(value) & set("'\\"):
                conditions.append(f"{each.name} = '{value}'")
            elif each.type in ("int", "bigint", "float", "numeric") and usual:
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
        for each in self.attributes:
            if each.length and each.length < 1000:
                reason = f"at most {each.length} character{'s' * (each.length > 1)}"
                wrong.append((each.name, Code(f'"x" * {each.length + 1}'), reason))
            if each.type in WRONG:
                value, reason = WRONG[each.type]
                wrong.append((each.name, value, reason))
        return wrong


class Code(str):
    """Python that is written as it is."""


#: Words of CQL2 that cannot be a property's name there.
CQL_WORDS = {
    *("and", "or", "not", "is", "null", "like", "between", "in", "true", "false", "date"),
    *("timestamp", "interval", "casei", "accenti", "div"),
}

#: By type, a value that no column of it has, and a part of the reason.
WRONG: dict[str, tuple[object, str]] = {
    "str": (5, "a valid string"),
    "text": (5, "a valid string"),
    "int": (2**31, "less than or equal to 2147483647"),
    "bigint": ("many", "a valid integer"),
    "float": ("much", "a valid number"),
    "numeric": ("much", "a valid decimal"),
    "bool": ("maybe", "a valid boolean"),
    "date": ("2020-02-30", "a valid date"),
    "datetime": ("2020-01-31T12:00:00", "timezone"),
    "uuid": ("x", "a valid UUID"),
}


def laid_out(value: object, head: str = "", indent: int = 0, end: str = "") -> str:
    """A value after a head, such as the name that it is assigned to: on a line if it fits, else an item a line."""
    pad = " " * indent
    line = f"{pad}{head}{inline(value)}{end}"
    if len(line) <= LINE_LENGTH or not isinstance(value, dict | list | tuple | set):
        return line
    return exploded(value, head, indent, end)


def exploded(value: Any, head: str = "", indent: int = 0, end: str = "") -> str:
    """The same with an item a line, however short."""
    pad = " " * indent
    if isinstance(value, dict):
        lines = [laid_out(v, f"{python(k)}: ", indent + 4, ",") for k, v in value.items()]
    else:
        items = sorted(value) if isinstance(value, set) else value
        lines = [laid_out(each, "", indent + 4, ",") for each in items]
    opening, closing = "()" if isinstance(value, tuple) else "[]"
    if isinstance(value, dict | set):
        opening, closing = "{}"
    return "\n".join([f"{pad}{head}{opening}", *lines, f"{pad}{closing}{end}"])


def inline(value: object) -> str:
    """A value on one line."""
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, set):
        return f"{{{', '.join(map(inline, sorted(value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(inline, value))})"
    return python(value)


def asserted(name: str, value: object, row: str = "row") -> str:
    """An assertion that a row's column has a value, if it is short enough for a line; else nothing."""
    operator = "is" if value is None or isinstance(value, bool) else "=="
    line = f"    assert {row}[{literal(name)}] {operator} {inline(value)}"
    return line if len(line) <= LINE_LENGTH else ""


@dataclass(frozen=True, slots=True)
class Function:
    """A default that each row computes: in the database, and in the schema of what comes in."""

    server: str
    client: str


FUNCTIONS = {
    "date": Function("sa.func.current_date()", "datetime.date.today"),
    "datetime": Function("sa.func.now()", "lambda: datetime.datetime.now(datetime.UTC)"),
    "uuid": Function("sa.func.gen_random_uuid()", "uuid4"),
}


def python(value: object) -> str:
    """A value as an expression of Python, as ``ruff format`` leaves it."""
    match value:
        case str():
            return literal(value)
        case float():
            return repr(value).replace("e+", "e")
        case Decimal():
            return f'Decimal("{value}")'
        case datetime():
            moment = value.astimezone(UTC)
            parts = [moment.year, moment.month, moment.day, moment.hour, moment.minute]
            parts += [moment.second, moment.microsecond][: 2 if moment.microsecond else 1]
            return f"datetime.datetime({', '.join(map(str, parts))}, tzinfo=datetime.UTC)"
        case date():
            return f"datetime.date({value.year}, {value.month}, {value.day})"
        case UUID():
            return f'UUID("{value}")'
        case list():
            return f"[{', '.join(map(python, value))}]"
        case dict():
            return (
                "{"
                + ", ".join(f"{python(key)}: {python(each)}" for key, each in value.items())
                + "}"
            )
    return repr(value)
