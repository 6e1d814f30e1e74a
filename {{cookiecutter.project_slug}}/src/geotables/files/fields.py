"""The columns that would hold a file's values, as the template's ``attributes`` declares them: ``height:float?``."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Field:
    """A property of a file's features, and the column that holds its values.

    Attributes:
        name: As the file has it.
        type: A type of ``attributes``, such as ``int`` or ``numeric(20,0)``; empty: no attribute holds such values.
        length: Of a text, in characters, where the file limits it.
        nullable: False where the file says so; that no value is missing does not prove it.
        unique: Whether the file says so.
        size: Of the longest text that was seen.
    """

    name: str
    type: str
    length: int | None = None
    nullable: bool = True
    unique: bool = False
    size: int = 0

    def declaration(self, name: str) -> str:
        """The word of ``attributes`` that declares the column under a name."""
        kind = self.type
        if kind == "text" and self.length and self.size <= self.length:
            kind = f"str({self.length})"
        return f"{name}:{kind}{'?' * self.nullable}{'!' * (self.unique and kind != 'json')}"


class Fields:
    """Finds the columns for values that are added a batch at a time."""

    def __init__(self, stated: Mapping[str, Field], *, as_text: bool = False) -> None:
        """
        Args:
            stated: What the file says of its properties itself; of others the values tell.
            as_text: Whether every value is a text that stands for it, as in CSV.
        """
        self._found: dict[str, Field | _Values] = dict(stated)
        self._as_text = as_text

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take the properties of some features into account."""
        columns: dict[str, list[Any]] = {}
        for row in rows:
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        for name, values in columns.items():
            known = self._found.get(name)
            if known is None:
                known = self._found[name] = _Values(self._as_text)
            if isinstance(known, _Values):
                known.add(values)
            elif known.type == "text" and known.length:
                size = max((len(value) for value in values if value), default=0)
                self._found[name] = replace(known, size=max(size, known.size))

    def all(self) -> list[Field]:
        """The fields, in the order of their appearance."""
        return [
            Field(name, known.type) if isinstance(known, _Values) else known
            for name, known in self._found.items()
        ]


class _Values:
    """The values of a property, of which nothing else is known."""

    def __init__(self, as_text: bool) -> None:
        #: The types that every text may stand for, the narrowest first; each drops out for good.
        self._readings = dict(READINGS if as_text else TIMES)
        self._kinds: set[type] = set()
        self._largest = 0
        #: Digits before and after the point, of the numbers that a double does not hold.
        self._digits = (0, 0)

    def add(self, values: list[Any]) -> None:
        kinds = {*map(type, values)} - {type(None)}
        if str in kinds and (texts := {each for each in values if isinstance(each, str) and each}):
            self._kinds.add(str)
            for kind, is_one in tuple(self._readings.items()):
                if not all(map(is_one, texts)):
                    del self._readings[kind]
            if next(iter(self._readings), "") in ("int", "float"):
                self._measure(map(Decimal, texts))
        self._kinds |= kinds - {str}
        if {int, float, Decimal} & kinds:
            numbers: list[Decimal | float] = [
                Decimal(each) if isinstance(each, int) else each
                for each in values
                if isinstance(each, int | float | Decimal)
            ]
            self._measure(numbers)

    def _measure(self, numbers: Iterable[Decimal | float]) -> None:
        for number in numbers:
            if -1e300 < number < 1e300:
                self._largest = max(self._largest, abs(int(number)))
            if isinstance(number, Decimal) and number != Decimal(repr(float(number))):
                _, digits, exponent = number.as_tuple()
                after = max(-int(exponent), 0)
                self._digits = (
                    max(self._digits[0], len(digits) - after, 1),
                    max(self._digits[1], after),
                )

    @property
    def type(self) -> str:
        kinds = self._kinds
        if kinds & {dict, list}:
            return "json"
        if str in kinds:
            # An attribute of texts takes numbers as well.
            text = next(iter(self._readings), "text")
            return self._number(text) if kinds == {str} else "json" if bool in kinds else "text"
        if bool in kinds:
            return "bool" if len(kinds) == 1 else "json"
        return self._number("float" if kinds & {float, Decimal} else "int" if kinds else "text")

    def _number(self, kind: str) -> str:
        """The type that keeps every digit, if the one named is of numbers."""
        before, after = self._digits
        if kind == "float" and before:
            whole = max(before, len(str(self._largest)))
            return f"numeric({whole + after},{after})"
        if kind != "int" or self._largest < 2**31:
            return kind
        return "bigint" if self._largest < 2**63 else f"numeric({len(str(self._largest))},0)"


_TIME = re.compile(
    r"\d{4}([-/])\d\d\1\d\d(?P<clock>[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"
)


def _is_time(text: str) -> bool:
    """Whether it is a date, or a date and a time, in the order of ISO 8601."""
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text.replace("/", "-"))
    except ValueError:
        return False
    return True


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _matches(pattern: str) -> Callable[[str], bool]:
    matcher = re.compile(pattern)
    return lambda text: matcher.fullmatch(text) is not None


#: What a text may stand for in every format.
TIMES: dict[str, Callable[[str], bool]] = {
    "date": lambda text: len(text) == 10 and _is_time(text),
    "datetime": _is_time,
    "uuid": _is_uuid,
}

#: What it may stand for where there are no other values. Digits after a zero are a code.
READINGS: dict[str, Callable[[str], bool]] = {
    "bool": _matches("(?i)true|false"),
    "int": _matches(r"-?(0|[1-9]\d{0,999})"),
    "float": _matches(r"-?(0|[1-9]\d{0,307})(\.\d{1,600})?([eE][+-]?\d{1,2})?"),
    **TIMES,
}


def stated(about: Mapping[str, Any], schema: Any) -> dict[str, Field]:
    """What GDAL says of a layer's fields.

    Args:
        about: What pyogrio says of the layer.
        schema: Its Arrow schema, which says more.
    """
    found = {}
    kinds = zip(about["fields"], about["ogr_types"], about["ogr_subtypes"], strict=True)
    for name, kind, subtype in kinds:
        column = schema.field(name)
        metadata = column.metadata or {}
        width = int(metadata.get(b"GDAL:OGR:width", 0)) or None
        found[name] = Field(
            name,
            SUBTYPES.get(subtype) or OGR_TYPES.get(kind, ""),
            width,
            column.nullable,
            metadata.get(b"GDAL:OGR:unique") == b"true",
        )
    return found


def of_arrow(columns: Iterable[Any]) -> dict[str, Field]:
    """What columns of Arrow's say of their values."""
    found = {}
    for column in columns:
        # Categories are values.
        kind = str(column.type).removeprefix("dictionary<values=")
        known = (type for name, type in ARROW_TYPES.items() if kind.startswith(name))
        type = next(known, "")
        if kind.startswith("decimal"):
            type = f"numeric({column.type.precision},{column.type.scale})"
        found[column.name] = Field(column.name, type, nullable=column.nullable)
    return found


#: By how the names of Arrow's types begin.
ARROW_TYPES = {
    "bool": "bool",
    "int64": "bigint",
    "int": "int",
    "uint64": "numeric(20,0)",
    "uint": "bigint",
    "float": "float",
    "double": "float",
    "date": "date",
    "timestamp": "datetime",
    "string": "text",
    "large_string": "text",
    "list": "json",
    "struct": "json",
}

#: By GDAL's types of fields. Times of the day and binary values have no attribute.
OGR_TYPES = {
    "OFTInteger": "int",
    "OFTInteger64": "bigint",
    "OFTReal": "float",
    "OFTString": "text",
    "OFTDate": "date",
    "OFTDateTime": "datetime",
    **dict.fromkeys(("OFTIntegerList", "OFTInteger64List", "OFTRealList", "OFTStringList"), "json"),
}
SUBTYPES = {"OFSTBoolean": "bool", "OFSTJSON": "json", "OFSTUUID": "uuid"}
