"""What a column's type and the CHECKs of its table say about its values, as JSON Schema."""

import re
from typing import Any

import sqlalchemy as sa

from geotables.column_types import integer_bits
from geotables.db.statements import literal

_TEXT = r"'(?:[^']|'')*'"
_NUMBER = r"-?\d+(?:\.\d+)?"
_LITERAL = rf"(?:{_TEXT}|{_NUMBER})"
_COLUMN = r"(?P<column>\"(?:[^\"]|\"\")+\"|[a-z_][a-z0-9_$]*)"
_CAST = r"::(?:character varying|double precision|[a-z_]+)(?:\(\d+\))?(?:\[\])?"
_WORD = rf"{_LITERAL}|{_CAST}|\"(?:[^\"]|\"\")+\"|[^\W\d][\w$]*|>=|<=|<>|!=|[^\s()\[\]]"

#: One of some values, as people write it and as PostgreSQL does.
_IN = re.compile(
    rf"{_COLUMN} (?:in|= any array) (?P<values>{_LITERAL}(?: , {_LITERAL})*)", re.IGNORECASE
)
_BOUND = re.compile(rf"{_COLUMN} (?P<operator>>=|<=|>|<) (?P<value>{_NUMBER})", re.IGNORECASE)
_BETWEEN = re.compile(
    rf"{_COLUMN} between (?P<low>{_NUMBER}) and (?P<high>{_NUMBER})", re.IGNORECASE
)
_KEYWORDS = {
    ">=": "minimum",
    "<=": "maximum",
    ">": "exclusiveMinimum",
    "<": "exclusiveMaximum",
}


def of(column: sa.Column[Any]) -> dict[str, Any]:
    """The range, or the list, of a column's values; nothing of what cannot be read for sure."""
    limits: dict[str, Any] = {}
    if bits := integer_bits(column.type):
        limits = {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
    for constraint in column.table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            limits |= _checked(column, _text(constraint))
    return limits


def _text(constraint: sa.CheckConstraint) -> str:
    if isinstance(constraint.sqltext, sa.TextClause):
        # Compiled, ':x' in a string would be a parameter.
        return constraint.sqltext.text
    return literal(constraint.sqltext)


def _checked(column: sa.Column[Any], check: str) -> dict[str, Any]:
    """What a CHECK says of a column, if it is about nothing else."""
    words = " ".join(_words(check))
    if (match := _IN.fullmatch(words)) and _is(column, match):
        values = [_value(text) for text in re.findall(_LITERAL, match["values"])]
        is_text = isinstance(column.type, sa.String)
        if all(isinstance(value, str) == is_text for value in values):
            return {"enum": values}
    if not isinstance(column.type, sa.Integer | sa.Numeric | sa.Float):
        return {}
    if (match := _BETWEEN.fullmatch(words)) and _is(column, match):
        return {"minimum": _value(match["low"]), "maximum": _value(match["high"])}
    bounds = [_BOUND.fullmatch(part) for part in re.split(" and ", words, flags=re.IGNORECASE)]
    if not all(match and _is(column, match) for match in bounds):
        return {}
    return {_KEYWORDS[match["operator"]]: _value(match["value"]) for match in bounds if match}


def _words(check: str) -> list[str]:
    """The words of a condition, without its brackets and without the types that PostgreSQL adds to values.

    A condition with OR, NOT or a function keeps those words, and so matches nothing.
    """
    return [word for word in re.findall(_WORD, check) if not word.startswith("::")]


def _is(column: sa.Column[Any], match: re.Match[str]) -> bool:
    name = match["column"]
    if name.startswith('"'):
        return name[1:-1].replace('""', '"') == column.name
    return name.lower() == column.name


def _value(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return float(text) if "." in text else int(text)
