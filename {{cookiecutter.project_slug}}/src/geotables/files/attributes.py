"""The columns that features have values for, and how these become what COPY reads."""

import datetime
import re
from collections.abc import Callable, Iterable
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from geotables import json_numbers
from geotables.collection import Collection
from geotables.db.statements import json_text

#: Where a feature does not have an attribute at all: the row gets the database's default.
LEFT_OUT: Any = object()


def attributes(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that features have values for, by their names."""
    return {
        column.name: column
        for column in collection.table.columns
        if column is not collection.geometry
        if column.name in collection.written
    }


def required(collection: Collection) -> list[str]:
    """The attributes that no feature can leave out."""
    return [
        column.name
        for column in attributes(collection).values()
        if not column.nullable and column.server_default is None
    ]


def unique(collection: Collection) -> list[str]:
    """The attributes that no two rows have the same value of."""
    keys = [
        [column.name for column in constraint.columns]
        for constraint in collection.table.constraints
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    ]
    return [name for name in attributes(collection) if [name] in keys]


class Attribute:
    """A column that features have a value for, under the rules that the REST resource has for it."""

    def __init__(
        self, collection: Collection, column: sa.Column[Any], *, json_as_text: bool
    ) -> None:
        self.column = column
        self.name = column.name
        known = collection.written[column.name]
        rule: Any = Annotated[known.annotation, Field(), *known.metadata]
        self._is_text = isinstance(column.type, sa.String)
        if json_as_text and isinstance(column.type, sa.JSON):
            rule = Annotated[rule, BeforeValidator(_from_json)] | None
        elif isinstance(column.type, sa.Date | sa.DateTime):
            read_time = _as_python_time if collection.has_hooks else _as_time
            rule = Annotated[rule, WrapValidator(read_time)]
        self._json_as_text = json_as_text
        values: Any = GenericAlias(list, (rule,))
        self._values: TypeAdapter[list[Any]] = TypeAdapter(
            values, config=ConfigDict(coerce_numbers_to_str=True)
        )
        self._text = _text_writer(column.type)

    def fill(self, values: list[Any], empty: str | None) -> list[Any]:
        """The values, where a null that the column does not take counts as left out.

        Args:
            values: As the file has them. Formats without null have an empty text for it.
            empty: What an empty text stands for, of ``Options``.
        """
        if empty == "default":
            values = [LEFT_OUT if value in (None, "") else value for value in values]
        elif not self._is_text and (
            self._json_as_text or not isinstance(self.column.type, sa.JSON)
        ):
            values = [None if value == "" else value for value in values]
        elif self._is_text and empty is not None:
            wanted, other = ("", None) if empty == "text" else (None, "")
            values = [wanted if value == other else value for value in values]
        if self.column.nullable:
            return values
        return [LEFT_OUT if value is None else value for value in values]

    def checked(self, values: list[Any]) -> tuple[list[Any], dict[int, str]]:
        """The values as the column holds them, and what is wrong with those that it cannot hold, by their indices."""
        try:
            return self._values.validate_python(values), {}
        except ValidationError as error:
            problems: dict[int, str] = {}
            for each in error.errors(include_url=False, include_input=False):
                problems.setdefault(int(each["loc"][0]), f"{self.name}: {each['msg']}")
        valid = [value for index, value in enumerate(values) if index not in problems]
        rest = iter(self._values.validate_python(valid))
        return [None if index in problems else next(rest) for index in range(len(values))], problems

    def texts(self, values: Iterable[Any]) -> list[str]:
        """Checked values as COPY reads them."""
        write = self._text
        return [r"\N" if value is None else write(value) for value in values]


def _from_json(value: Any) -> Any:
    """JSON of a format that has texts only."""
    return json_numbers.loads(value) if isinstance(value, str) else value


#: Times as programs write them: 2020/01/31 by GDAL, without an offset by most.
_TIME = re.compile(
    r"\s*(\d{4})([-/])(\d\d)\2(\d\d)"
    r"(?:[T ]\s?(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s?(?:(Z|[+-]\d\d)(?::?(\d\d))?)?)?\s*"
)
#: What PostgreSQL stores and Python does not, as ``export`` writes it.
_BEYOND_PYTHON = re.compile(
    r"-?infinity|(\d{5,6}-\d\d-\d\d([T ][\d:.]+([+-][\d:]+)?)?|\d{4,6}-\d\d-\d\d([T ][\d:.]+([+-][\d:]+)?)? BC)"
)
_AMBIGUOUS = re.compile(r"\s*\d{1,2}([-./])\d{1,2}\1(\d{4}|\d\d)\b.*")


def _as_time(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A date or a time; without an offset it is UTC, and a date is its first moment."""
    if isinstance(value, datetime.datetime):
        value = value.isoformat()
    elif isinstance(value, datetime.date):
        value = f"{value}T00:00:00Z"
    if not isinstance(value, str):
        return validate(value)
    if match := _TIME.fullmatch(value):
        year, _, month, day, time, offset, minutes = match.groups()
        offset = "Z" if offset in (None, "Z") else f"{offset}:{minutes or '00'}"
        return validate(f"{year}-{month}-{day}T{time or '00:00'}{offset}")
    if _BEYOND_PYTHON.fullmatch(value):
        return value
    if _AMBIGUOUS.fullmatch(value):
        reason = f"{value!r:.40}: day and month may be either way round; write it like 2020-01-31"
        raise PydanticCustomError("time", "{reason}", {"reason": reason})
    return validate(value)


def _as_python_time(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A date or a time that Python has a value for, which the hooks are given."""
    moment = _as_time(value, validate)
    if isinstance(moment, str):
        reason = f"{moment:.40} is infinite, or not of the years 1 to 9999"
        raise PydanticCustomError("time", "{reason}", {"reason": reason})
    return moment


def _text_writer(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], str]:
    match kind:
        case sa.String():
            return _escaped
        case sa.JSON():
            return lambda value: _escaped(json_text(value))
        case sa.Uuid():
            return attrgetter("hex")
    return str


def _escaped(text: str) -> str:
    """Text as COPY reads it."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
