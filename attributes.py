"""The columns that `attributes` declares: `name:type[?][!][=default] …`."""

import difflib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from immutable import why_not_json
from names import column_rule, first_valid, is_hidden, printable, renamed, shown

Parsed = TypeVar("Parsed")

# PostgreSQL's documentation, appendix K: 1,600 columns, of which id, the geometry and the two
# times are the service's.
MAX_ATTRIBUTES = 1596


@dataclass(frozen=True, slots=True)
class Default:
    """A column's default: the text as written without its quotes, and what it means.

    `function` is the SQL of a default that the database works out for each row; there is no value
    then.
    """

    text: str
    value: object
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of the table besides id, geometry, created_at and updated_at."""

    name: str
    type: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    nullable: bool = False
    unique: bool = False
    default: Default | None = None


class _Refused(Exception):
    """A part of a declaration is wrong: the reason, and the part put right."""

    def __init__(self, reason: str, repaired: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.repaired = repaired


# The type that PostgreSQL stores each attribute's type as.
STORED_TYPES = {
    "str": "text",
    "text": "text",
    "int": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "numeric": "numeric",
    "bool": "boolean",
    "date": "date",
    "datetime": "timestamptz",
    "uuid": "uuid",
    "json": "jsonb",
}
_ALIASES = {
    "boolean": "bool",
    "char": "str(100)",
    "decimal": "numeric(10,2)",
    "double": "float",
    "guid": "uuid",
    "int4": "int",
    "int8": "bigint",
    "integer": "int",
    "jsonb": "json",
    "long": "bigint",
    "money": "numeric(10,2)",
    "number": "float",
    "numeric": "numeric(10,2)",
    "real": "float",
    "smallint": "int",
    "str": "str(100)",
    "string": "str(100)",
    "time": "datetime",
    "timestamp": "datetime",
    "timestamptz": "datetime",
    "varchar": "str(100)",
}
# PostgreSQL's documentation, sections 8.3 and 8.1.2.
MAX_LENGTH = 10_485_760
MAX_PRECISION = 1000
INTEGER_RANGES = {"int": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}


def _parse_type(text: str) -> Attribute:
    """A type with its limits, as an attribute that has no name yet."""
    shape = re.fullmatch(r"([a-z]+)(?:\(([^()]*)\))?", text)
    name, arguments = (shape[1], shape[2]) if shape else ("", None)
    if name not in STORED_TYPES:
        raise _Refused(
            f"no type is called {shown(text)}: {', '.join(STORED_TYPES)}", _nearest(text)
        )
    numbers = [count(part) for part in (arguments or "").split(",")]
    if name == "str":
        if len(numbers) != 1 or not 1 <= numbers[0] <= MAX_LENGTH:
            raise _Refused(f"str needs a length from 1 to {MAX_LENGTH}: str(100)", "str(100)")
        return Attribute("", name, length=numbers[0])
    if name == "numeric":
        if len(numbers) != 2 or not (
            1 <= numbers[0] <= MAX_PRECISION and 0 <= numbers[1] <= numbers[0]
        ):
            reason = f"numeric needs a precision from 1 to {MAX_PRECISION} and a scale up to it"
            raise _Refused(f"{reason}, without spaces: numeric(10,2)", "numeric(10,2)")
        return Attribute("", name, precision=numbers[0], scale=numbers[1])
    if arguments is not None:
        raise _Refused(f"{name} takes nothing in parentheses", name)
    return Attribute("", name)


def count(text: str) -> int:
    """The number that plain digits give, -1 for anything else."""
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,17}", text) else -1


def _nearest(text: str) -> str:
    word = text.partition("(")[0].strip().lower()
    known = [*STORED_TYPES, *_ALIASES]
    name = next(iter(difflib.get_close_matches(word[:30], known, 1)), "text")
    return _ALIASES.get(name, name)


def _text_default(text: str, kind: Attribute) -> str:
    if not printable(text):
        visible = "".join(c for c in text if not is_hidden(c))
        raise _Refused("the default has characters that do not show", visible[: kind.length])
    if kind.length is not None and len(text) > kind.length:
        reason = f"the default has {len(text)} characters, str({kind.length}) holds {kind.length}"
        raise _Refused(reason, text[: kind.length])
    return text


def _integer_default(text: str, kind: Attribute) -> int:
    lowest, highest = INTEGER_RANGES[kind.type]
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise _Refused(f"{shown(text)} is no whole number", "0")
    if not lowest <= int(text) <= highest:
        raise _Refused(f"{text} is outside {kind.type}, {lowest} to {highest}", "0")
    return int(text)


def _float_default(text: str, kind: Attribute) -> float:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        raise _Refused(f"{shown(text)} is no finite decimal number", "0")
    value = float(text)
    # PostgreSQL refuses what is too large for a double, and what is too small and not zero.
    if abs(value) == float("inf") or (
        value == 0 and re.search(r"[1-9]", text.lower().split("e")[0])
    ):
        raise _Refused(f"{shown(text)} is outside the range of a double", "0")
    return value


def _numeric_default(text: str, kind: Attribute) -> Decimal:
    shape = re.fullmatch(r"-?0*([0-9]*)(?:\.([0-9]+))?", text)
    if not shape or not re.search(r"[0-9]", text) or not text[-1].isdigit():
        raise _Refused(f"{shown(text)} is no decimal number", "0")
    precision, scale = kind.precision or 0, kind.scale or 0
    if len(shape[1]) > precision - scale or len(shape[2] or "") > scale:
        raise _Refused(f"{shown(text)} does not fit numeric({precision},{scale})", "0")
    return Decimal(text)


def _bool_default(text: str, kind: Attribute) -> bool:
    if text not in {"true", "false"}:
        said_no = text.lower() in {"0", "f", "n", "no", "off", "false"}
        raise _Refused(f"{shown(text)} is neither true nor false", "false" if said_no else "true")
    return text == "true"


def _date_default(text: str, kind: Attribute) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _Refused(f"{shown(text)} is neither a date like 2020-01-31 nor today", "today")


def _datetime_default(text: str, kind: Attribute) -> datetime:
    day, clock = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    # PostgreSQL takes offsets below 16 hours.
    offset = r"(Z|[+-](0[0-9]|1[0-5]):[0-5][0-9])"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if not moment or not re.fullmatch(rf"{day}([T ]{clock}{offset}?)?", text):
        raise _Refused(f"{shown(text)} is neither a time like 2020-01-31T12:00:00Z nor now", "now")
    if not moment.tzinfo:
        # It would mean another moment on a server in another time zone.
        raise _Refused(f"{shown(text)} has no offset from UTC", moment.isoformat() + "Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _Refused(f"{shown(text)} is in UTC beyond the years 1 to 9999", "now") from None


def _uuid_default(text: str, kind: Attribute) -> UUID:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise _Refused(f"{shown(text)} is neither a UUID nor random", "random")
    return UUID(text)


def _json_default(text: str, kind: Attribute) -> object:
    reason = why_not_json(text)
    if not printable(text):
        reason = "has characters that do not show"
    if reason:
        raise _Refused(f"{shown(text)} {reason}", "{}")
    return json.loads(text)


_DEFAULT_VALUES: dict[str, Callable[[str, Attribute], object]] = {
    "str": _text_default,
    "text": _text_default,
    "int": _integer_default,
    "bigint": _integer_default,
    "float": _float_default,
    "numeric": _numeric_default,
    "bool": _bool_default,
    "date": _date_default,
    "datetime": _datetime_default,
    "uuid": _uuid_default,
    "json": _json_default,
}
# gen_random_uuid() is part of PostgreSQL itself since version 13.
_DEFAULT_FUNCTIONS = {
    ("datetime", "now"): "now()",
    ("date", "today"): "CURRENT_DATE",
    ("uuid", "random"): "gen_random_uuid()",
}


def _parse_default(written: str, kind: Attribute) -> Default | None:
    """The default that the text after the type gives: "", "=value" or "='quoted value'"."""
    if not written:
        return None
    try:
        return _read_default(written, kind)
    except _Refused as refused:
        reason, repaired = refused.reason, "=" + _quoted(refused.repaired)
    try:
        _read_default(repaired, kind)
    except _Refused:
        repaired = ""
    raise _Refused(reason, repaired)


def _read_default(written: str, kind: Attribute) -> Default:
    text = _unquoted(written[1:])
    if function := _DEFAULT_FUNCTIONS.get((kind.type, text)):
        return Default(text, None, function)
    return Default(text, _DEFAULT_VALUES[kind.type](text, kind))


def _unquoted(text: str) -> str:
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if not text:
        raise _Refused("nothing follows the = (an empty text is '')", "")
    if "'" in text:
        raise _Refused(
            "quotes belong around the whole default, and are doubled in it", text.replace("'", "")
        )
    return text


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[^\s']+", text)
    return text if plain else "'" + text.replace("'", "''") + "'"


def _parse_marks(marks: str, kind: Attribute, default: Default | None) -> tuple[bool, bool]:
    """Whether the column is nullable, and whether it is unique."""
    if marks not in {"", "?", "!", "?!"}:
        raise _Refused(
            f"after the type come ? (nullable) and ! (unique), not {shown(marks)}",
            "?" * ("?" in marks),
        )
    nullable, unique = "?" in marks, "!" in marks
    if unique and kind.type == "json":
        raise _Refused(
            "json has no equality that a user would expect, so it cannot be unique", "?" * nullable
        )
    if unique and default and default.text != "random":
        raise _Refused(
            "a unique column with a default refuses the second row that takes it", "?" * nullable
        )
    return nullable, unique


@dataclass(frozen=True, slots=True)
class Declaration:
    """One word of `attributes`: the attribute, corrected where it was wrong, and the reasons."""

    given: str
    attribute: Attribute
    word: str
    reasons: tuple[str, ...]


def _put_right(parse: Callable[[str], Parsed], text: str, reasons: list[str]) -> Parsed:
    """Parse the text; if it is refused, note the reason and parse the repaired text instead."""
    try:
        return parse(text)
    except _Refused as refused:
        reasons.append(refused.reason)
        return parse(refused.repaired)


def _parse_declaration(word: str, taken: frozenset[str]) -> Declaration:
    reasons: list[str] = []
    written_name, colon, rest = word.partition(":")
    if not colon:
        written_name, rest = word.partition("=")[0], "text"
        reasons.append("no type given: write name:type")
    shape = re.match(r"([^=?!]*)([?!]*)", rest)
    written_type, marks = shape.groups() if shape else ("", "")
    written_default = rest[len(written_type) + len(marks) :]

    name = _put_right(lambda text: _parse_name(text, taken), written_name, reasons)
    known_type = len(reasons)
    kind = _put_right(_parse_type, written_type, reasons)
    # Nothing can be said of the default if the type is not known.
    default_reasons = [] if len(reasons) > known_type else reasons
    default = _put_right(lambda text: _parse_default(text, kind), written_default, default_reasons)
    nullable, unique = _put_right(lambda text: _parse_marks(text, kind, default), marks, reasons)
    attribute = replace(kind, name=name, nullable=nullable, unique=unique, default=default)
    return Declaration(word, attribute, _declared(attribute) if reasons else word, tuple(reasons))


def _declared(attribute: Attribute) -> str:
    """The attribute as a word of `attributes`."""
    limits = {
        "str": f"({attribute.length})",
        "numeric": f"({attribute.precision},{attribute.scale})",
    }.get(attribute.type, "")
    marks = "?" * attribute.nullable + "!" * attribute.unique
    default = f"={_quoted(attribute.default.text)}" if attribute.default else ""
    return f"{attribute.name}:{attribute.type}{limits}{marks}{default}"


def _parse_name(name: str, taken: frozenset[str]) -> str:
    def rule(candidate: str) -> str:
        return column_rule(candidate) or "declared twice" * (candidate in taken)

    if reason := rule(name):
        raise _Refused(reason, first_valid(renamed("attribute", "value")(name), rule))
    return name


def _split(text: str) -> Iterator[str]:
    """The text's words: white space inside single quotes belongs to the word."""
    word, quoted = "", False
    for character in text:
        # A doubled quote closes the quotation and opens it again.
        quoted ^= character == "'"
        if quoted or not character.isspace():
            word += character
        elif word:
            yield word
            word = ""
    if word:
        yield word


def parse_declarations(text: str) -> list[Declaration]:
    """All the words of `attributes`, right or wrong."""
    declarations: list[Declaration] = []
    for word in _split(text):
        taken = frozenset(declaration.attribute.name for declaration in declarations)
        declarations.append(_parse_declaration(word, taken))
    return declarations
