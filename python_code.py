"""Python as a rendered project has it: values, calls and assignments in the lines that ``ruff format`` leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

#: Line length of a rendered project; its pyproject.toml says the same.
LINE_LENGTH = 100


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


def call(
    head: str, arguments: Iterable[str], *, indent: int, end: str = "", joined: bool = False
) -> str:
    """``head(argument, …)``, on one line if it fits, else an argument a line: as ``ruff format`` leaves it.

    Args:
        joined: Keep the arguments on one line of their own where they fit there.
    """
    arguments = list(arguments)
    pad = " " * indent
    together = ", ".join(arguments)
    line = f"{pad}{head}({together}){end}"
    if len(line) <= LINE_LENGTH:
        return line
    if len(f"{pad}{head}(") > LINE_LENGTH and " = " in head:
        target, _, function = head.rpartition(" = ")
        return f"{pad}{target} = (\n{call(function, arguments, indent=indent + 4)}\n{pad}){end}"
    if joined and len(f"{pad}    {together}") <= LINE_LENGTH:
        return f"{pad}{head}(\n{pad}    {together}\n{pad}){end}"
    return listed(head, arguments, indent=indent, end=end)


def imported(module: str, names: Sequence[str]) -> str:
    """``from module import name, …``, with a name a line if it does not fit."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= LINE_LENGTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def listed(head: str, arguments: Iterable[str], *, indent: int, end: str = "") -> str:
    """``head(argument, …)`` with an argument a line, however short."""
    pad = " " * indent
    return f"{pad}{head}(\n" + "".join(f"{pad}    {each},\n" for each in arguments) + f"{pad}){end}"


def in_turns(head: str, values: Sequence[str], turn: str, *, indent: int) -> str:
    """An item of a dictionary that picks one of some values, as ``ruff format`` leaves it."""
    pad = " " * indent
    line = f"{pad}{head}[{', '.join(values)}]{turn}"
    if len(line) <= LINE_LENGTH:
        return line
    return f"{pad}{head}[\n" + "".join(f"{pad}    {each},\n" for each in values) + f"{pad}]{turn}"


class Code(str):
    """Python that is written as it is."""


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
