"""The columns that `attributes` declares: `name:type[?][!][=default] …`."""

import contextlib
import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from .columns import Column, Identity
from .immutable import why_not_json
from .names import column_rule, first_valid, is_hidden, printable, renamed, shown

Parsed = TypeVar("Parsed")

# PostgreSQL's documentation, appendix K: 1,600 columns, of which id, the geometry and the two
# times are the service's.
MAX_ATTRIBUTES = 1596

#: The columns that a table has by default besides the geometry.
TIMES = ("created_at", "updated_at")
OWN = frozenset({"id", *TIMES})


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
    """A column of the table besides geometry, created_at and updated_at, by a type that the rendered code knows.

    Those of `_columns` may have a type that no word of `attributes` stands for: smallint, real, char, varchar, decimal (a
    numeric without limits), json_text (json, not jsonb), or other, which is what `sql` says.
    """

    name: str
    type: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    nullable: bool = False
    unique: bool = False
    default: Default | None = None
    sql: str = ""
    generated: str = ""
    identity: Identity = ""
    collation: str = ""
    sample: str = ""

    @property
    def is_set(self) -> bool:
        """Whether the database gives it its value, and a client none."""
        return bool(self.generated or self.identity)


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
    "enum": "text",
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
    "bigserial": "bigint",
    "serial": "int",
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
INTEGER_RANGES = {
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}


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
    if text.endswith("[]"):
        return "json"
    word, _, limits = text.lower().rstrip(")").partition("(")
    known = [*STORED_TYPES, *_ALIASES]
    near = difflib.get_close_matches(word.strip()[:30], known, 1)
    name = next(iter(near), "text")
    kind = _ALIASES.get(name, name)
    if "(" in kind and limits:
        numbers = [count(part.strip()) for part in limits.split(",")]
        family = kind.partition("(")[0]
        if family == "numeric" and len(numbers) == 1:
            numbers.append(0)
        if len(numbers) == kind.count(",") + 1 and min(numbers) >= 0:
            kind = f"{family}({','.join(map(str, numbers))})"
    return kind


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
    if kind.type != "json" and (double := re.fullmatch(r'="([^"]*)"', written)):
        raise _Refused("a default is quoted with '…'", double[1])
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
    plain = re.fullmatch(r"[^\s'\"][^\s']*", text)
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


def _parse_declaration(word: str, own: frozenset[str], taken: frozenset[str]) -> Declaration:
    reasons: list[str] = []
    written_name, colon, rest = word.partition(":")
    if not colon:
        written_name, rest = word.partition("=")[0], "text"
        reasons.append("no type given: write name:type")
    shape = re.match(r"([^=?!]*)([?!]*)", rest)
    written_type, marks = shape.groups() if shape else ("", "")
    written_default = rest[len(written_type) + len(marks) :]

    name = _put_right(lambda text: _parse_name(text, own, taken), written_name, reasons)
    known_type = len(reasons)
    kind = _put_right(_parse_type, written_type, reasons)
    # Nothing can be said of the default if the type is not known.
    default_reasons = [] if len(reasons) > known_type else reasons
    default = _put_right(lambda text: _parse_default(text, kind), written_default, default_reasons)
    nullable, unique = _put_right(lambda text: _parse_marks(text, kind, default), marks, reasons)
    attribute = replace(kind, name=name, nullable=nullable, unique=unique, default=default)
    return Declaration(word, attribute, declared(attribute) if reasons else word, tuple(reasons))


def declared(attribute: Attribute) -> str:
    """The attribute as a word of `attributes`."""
    limits = {
        "str": f"({attribute.length})",
        "numeric": f"({attribute.precision},{attribute.scale})",
    }.get(attribute.type, "")
    marks = "?" * attribute.nullable + "!" * attribute.unique
    default = f"={_quoted(attribute.default.text)}" if attribute.default else ""
    return f"{attribute.name}:{attribute.type}{limits}{marks}{default}"


def _parse_name(name: str, own: frozenset[str], taken: frozenset[str]) -> str:
    def rule(candidate: str) -> str:
        if candidate in own:
            return f"'{candidate}' is a column that the table has"
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


def parse_declarations(text: str, own: frozenset[str] = OWN) -> list[Declaration]:
    """All the words of `attributes`, right or wrong, beside a table's own columns."""
    words = list(_split(text))
    declarations = _parse_words(words, own)
    if not any(declaration.reasons for declaration in declarations):
        return declarations
    respelled = list(_respelled(text))
    meant = _parse_words((word for _, word in respelled), own)
    separated = "spaces alone are between declarations, and none is within one"
    for number, (given, word) in enumerate(respelled):
        if given == word and word in words:
            continue
        found = meant[number]
        reason = f"is written {found.word} here"
        if given == word:
            reason = separated
        meant[number] = replace(found, given=given, reasons=(reason, *found.reasons))
    if meant and not any(declaration.reasons for declaration in meant):
        # Only what stands between them is wrong.
        meant[0] = replace(meant[0], given=text, reasons=(separated,))
    return meant or declarations


def _parse_words(words: Iterable[str], own: frozenset[str]) -> list[Declaration]:
    declarations: list[Declaration] = []
    for word in words:
        taken = frozenset(declaration.attribute.name for declaration in declarations)
        declarations.append(_parse_declaration(word, own, taken))
    return declarations


# -- Declarations in another spelling, such as SQL's ---------------------------------------------

# Possessive (*+, ++): a quote that is not closed would be tried in 2**n ways.
_QUOTED = r"'(?:[^']|'')*+'"
_SQL_TYPE = (
    r"(?:double precision|character varying(?:\(\d*\))?|timestamp(?:\(\d\))? with(?:out)? time zone|"
    + "|".join(sorted({*STORED_TYPES, *_ALIASES}, reverse=True))
    + r")(?![\w])(?:\([\d,]*\))?"
)
_MODIFIER = rf"(?:not null|nullable|null|unique|primary key|default (?:{_QUOTED}|\S+))(?=\s|$)"
_SQL = re.compile(
    rf"(?P<name>[^\s:=;']+)(?::(?P<type>{_SQL_TYPE}|[^\s=?!;']+)|\s(?P<sql>{_SQL_TYPE}))"
    rf"(?P<marks>[?!]*)(?P<default>=(?:{_QUOTED}|[^\s';])++)?(?P<modifiers>(?: {_MODIFIER})*)(?=\s|$)",
    re.IGNORECASE,
)
_SKIPPED = re.compile(rf"(?:\s|;(?=\s|$)|{_MODIFIER})+", re.IGNORECASE)
_SQL_DEFAULTS = {
    **{"now()": "now", "current_timestamp": "now", "current_date": "today"},
    **{"gen_random_uuid()": "random", "uuid_generate_v4()": "random"},
    **{"true": "true", "false": "false"},
}


def _respelled(text: str) -> Iterator[tuple[str, str]]:
    """The declarations that were meant, each as it was given and as a word of `attributes`."""
    text = re.sub(r"(?i)\benum\s*\([^()]*\)", "text", text)
    text = re.sub(r"""(?<==)"([^"':{}\[\]]*)"(?=\s|[,;|]|$)""", r"'\1'", text)
    text = "".join(
        part if number % 2 else _without_gaps(part)
        for number, part in enumerate(re.split(f"({_QUOTED})", text))
    )
    position = 0
    while position < len(text):
        if skipped := _SKIPPED.match(text, position):
            position = skipped.end()
        elif found := _SQL.match(text, position):
            position = found.end()
            modifiers = found["modifiers"].lower()
            if not (found["name"].lower() == "id" and "primary key" in modifiers):
                yield found[0], _word(found)
        else:
            plain = re.compile(rf"(?:{_QUOTED}|\S)+").match(text, position)
            assert plain is not None
            position = plain.end()
            yield plain[0], plain[0]


def _without_gaps(text: str) -> str:
    """Text outside of quotes, without the spaces around : and =, and with ; between declarations."""
    text = re.sub(r'"(\w+)"', r"\1", text)
    text = re.sub(r"(?<=\w)\s*\(([\d\s,]*)\)", lambda limits: "".join(limits[0].split()), text)
    text = re.sub(r"\s*([:=])\s*", r"\1", text)

    def separator(match: re.Match[str]) -> str:
        if len(match[0]) > 1:
            return match[0]
        before, after = text[: match.start()], text[match.end() :]
        # A default may have a comma in it.
        in_default = "=" in before.rsplit(maxsplit=1)[-1:][0] if before.split() else False
        declared = re.match(rf"\s*\w+(?::|\s+{_SQL_TYPE})|\s*$", after, re.IGNORECASE)
        return " ; " if declared or not in_default else match[0]

    return re.sub(r"\s+", " ", re.sub(r"\([^()]*\)|[,;|]", separator, text))


def _word(found: re.Match[str]) -> str:
    """What the parts of a declaration in SQL are as a word of `attributes`."""
    modifiers = found["modifiers"]
    rest = re.sub(r"default \S+", "", modifiers.lower())
    kind = found["type"] or found["sql"]
    for pattern, name in (
        ("double precision", "double"),
        ("character varying", "varchar"),
        (r"timestamp.*zone", "timestamptz"),
    ):
        kind = re.sub(pattern, name, kind, flags=re.IGNORECASE)
    if re.fullmatch(_SQL_TYPE, kind, re.IGNORECASE):
        kind = _nearest(kind)
    nullable = "?" in found["marks"] or re.search(r"(?<!not )\bnull", rest) is not None
    unique = "!" in found["marks"] or "unique" in rest
    default = found["default"] or ""
    if given := re.search(rf"default ({_QUOTED}|\S+)", modifiers, re.IGNORECASE):
        value = re.sub(r"::[\w ]+$", "", given[1])
        value = _SQL_DEFAULTS.get(value.lower(), value)
        default = "" if value.lower() == "null" else f"={value}"
    return f"{found['name']}:{kind}{'?' * nullable}{'!' * unique}{default}"


# -- The normal form of a column ------------------------------------------------------------------

#: The names of PostgreSQL's types, and its aliases, as words of `attributes` or of Attribute.
_SQL_TYPES = {
    **{"text": "text", "date": "date", "uuid": "uuid", "jsonb": "json", "json": "json_text"},
    **dict.fromkeys(("smallint", "int2"), "smallint"),
    **dict.fromkeys(("integer", "int", "int4"), "int"),
    **dict.fromkeys(("bigint", "int8"), "bigint"),
    **dict.fromkeys(("real", "float4"), "real"),
    **dict.fromkeys(("double precision", "float8"), "float"),
    **dict.fromkeys(("numeric", "decimal"), "decimal"),
    **dict.fromkeys(("boolean", "bool"), "bool"),
    **dict.fromkeys(("timestamp with time zone", "timestamptz"), "datetime"),
    **dict.fromkeys(("character varying", "varchar"), "varchar"),
}
_LIMITED = {
    **dict.fromkeys(("character varying", "varchar"), "str"),
    **dict.fromkeys(("character", "char", "bpchar"), "char"),
    **dict.fromkeys(("numeric", "decimal"), "numeric"),
}
_NORMAL = {
    **{"str": "character varying({0.length})", "char": "character({0.length})"},
    **{"numeric": "numeric({0.precision},{0.scale})", "decimal": "numeric", "json": "jsonb"},
    **{"json_text": "json", "int": "integer", "float": "double precision", "bool": "boolean"},
    **{"datetime": "timestamp with time zone", "varchar": "character varying", "other": "{0.sql}"},
}

#: Of the types that no word stands for, those whose defaults are read as those of another.
_READ_AS = {
    **{"smallint": "int", "real": "float", "decimal": "float", "json_text": "json"},
    **{"char": "str", "varchar": "text"},
}


def stated(attribute: Attribute) -> Column:
    """The attribute as a column in normal form."""
    default = attribute.default
    kind = _NORMAL.get(attribute.type, attribute.type).format(attribute)
    text = ""
    if default and (default.function or attribute.type in ("bool", *_NUMBERS)):
        text = default.function or default.text
    elif default:
        quoted = default.text.replace("'", "''")
        text = f"'{quoted}'::{kind.partition('(')[0]}"
    return Column(
        attribute.name,
        kind,
        nullable=attribute.nullable,
        unique=attribute.unique,
        default=text,
        generated=attribute.generated,
        identity=attribute.identity,
        collation=attribute.collation,
        sample=attribute.sample,
    )


_NUMBERS = ("smallint", "int", "bigint", "real", "float", "numeric", "decimal")


def typed(column: Column) -> Attribute:
    """A column in normal form as an attribute: what `stated` makes of it is the column again, up to the spelling of SQL."""
    kind = replace(
        _typed(column.type.strip()),
        name=column.name,
        nullable=column.nullable,
        unique=column.unique,
        generated=column.generated,
        identity=column.identity,
        collation=column.collation,
        sample=column.sample,
    )
    return replace(kind, default=_constant(column.default, kind)) if column.default else kind


def word(column: Column) -> str:
    """The column as a word of `attributes`; "" where they cannot say it."""
    attribute = typed(column)
    if column != replace(column, generated="", identity="", collation=""):
        return ""
    if attribute.type not in STORED_TYPES or column_rule(column.name):
        return ""
    text = declared(attribute)
    same = [each.attribute for each in parse_declarations(text, frozenset()) if not each.reasons]
    return text if same == [replace(attribute, sample="")] else ""


def _typed(sql: str) -> Attribute:
    """A type of SQL, as an attribute that has no name yet."""
    name = " ".join(sql.lower().split())
    if name in _SQL_TYPES:
        return Attribute("", _SQL_TYPES[name])
    if name in ("character", "char"):
        return Attribute("", "char", length=1)
    limited = re.fullmatch(r"([a-z ]+?) ?\(([\d, ]+)\)", name)
    kind = _LIMITED.get(limited[1], "") if limited else ""
    numbers = [count(part.strip()) for part in limited[2].split(",")] if limited else []
    if kind == "numeric" and len(numbers) in (1, 2):
        precision, scale = (*numbers, 0)[:2]
        if 1 <= precision <= MAX_PRECISION and 0 <= scale <= precision:
            return Attribute("", kind, precision=precision, scale=scale)
    elif kind and len(numbers) == 1 and 1 <= numbers[0] <= MAX_LENGTH:
        return Attribute("", kind, length=numbers[0])
    return Attribute("", "other", sql=sql)


#: A constant as PostgreSQL writes it: a number, true, false or a text, perhaps in parentheses and with a type.
_CONSTANT = re.compile(
    rf"(\()?(?P<text>-?\d[\d.]*(?:[eE][-+]?\d+)?|true|false|{_QUOTED})(?(1)\))(?:::[\w\". ]+(?:\([\d, ]+\))?)*",
    re.DOTALL,
)


def _constant(sql: str, kind: Attribute) -> Default:
    """What a default in SQL means, if it is a constant of the type; else the expression, which the database works out."""
    reading = replace(kind, type=_READ_AS.get(kind.type, kind.type))
    function = {
        known: word for (name, word), known in _DEFAULT_FUNCTIONS.items() if name == kind.type
    }
    if sql in function:
        return Default(function[sql], None, sql)
    shape = _CONSTANT.fullmatch(sql)
    if shape and reading.type in _DEFAULT_VALUES:
        text = shape["text"]
        text = text[1:-1].replace("''", "'") if text.startswith("'") else text
        if kind.type == "datetime":
            # PostgreSQL abbreviates offsets from UTC.
            text = re.sub(r"([+-]\d\d)$", r"\1:00", text)
        with contextlib.suppress(_Refused):
            return Default(text, _DEFAULT_VALUES[reading.type](text, reading))
    return Default("", None, sql)
