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

import parameters
from parameters import epsg, names
from parameters.attributes import INTEGER_RANGES, MAX_LENGTH, Attribute

TEMPLATE = Path(__file__).parent
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"

#: What Python and its tools leave in a checkout of the template.
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache"}

#: Line length of a rendered project; its pyproject.toml says the same.
LINE_LENGTH = 100


class Parameters(Extension):
    """Makes the filters known under the names that the templates use."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.context_class = Answers
        environment.filters.update(
            again=again,
            assigned=assigned,
            class_name=names.class_name,
            columns=columns,
            crs=epsg.crs,
            examples=examples,
            is_geographic=is_geographic,
            literal=literal,
            manifest=manifest,
            paths=paths,
            plural=names.plural,
            problems=problems,
            quoted=quoted,
            record=record,
        )


class Answers(Context):
    """Has the derived values follow from the parameters, also where a replay file holds those of others."""

    def __init__(
        self, environment: Environment, parent: dict[str, Any], *arguments: Any, **options: Any
    ) -> None:
        answers = parent.get("cookiecutter", {})
        # Cookiecutter adds this one when all the others are known.
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
    return [str(problem) for problem in parameters.problems(context, _call().get("extra_context"))]


def again(context: Mapping[str, object]) -> list[str]:
    """The file that cookiecutter keeps the answers in, and the command that goes on from it; none for cruft."""
    call = _call()
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


def _call() -> dict[str, Any]:
    """The arguments that cookiecutter, or ``cruft create``, was called with: no context has them."""
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
    every = {re.sub(r"{{.*?}}", "*", re.sub(r"{%.*?%}", "", file)) for file in files}
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
    """The columns that ``attributes`` asks for, as the templates write them."""
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
        """Values on both sides of what a predicate may ask of the column; none if it does not ask of it."""
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


@dataclass(frozen=True, slots=True)
class Function:
    """A default that is worked out for each row: by the database, and as the API documents it."""

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
