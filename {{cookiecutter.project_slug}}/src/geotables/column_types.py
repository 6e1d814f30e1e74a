"""Types for the columns of a table, and the base of the schemas of its rows."""

import datetime
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from numbers import Number
from typing import Annotated, Any, ClassVar

import orjson
import sqlalchemy as sa
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from geotables import json_numbers


class AsText(sa.Text):
    """The SQL type of a column that is read, compared and sorted as text, and never written: an enum, an array, a range, …

    Used as ``mapped_column(AsText("text[]"))``, with any type as PostgreSQL spells it.
    """

    __visit_name__ = "user_defined"

    def __init__(self, sql_type: str) -> None:
        """Name the type that the column has in the database."""
        super().__init__()
        self.sql_type = sql_type

    def get_col_spec(self, **_: Any) -> str:
        """The type in DDL."""
        return self.sql_type

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
        """What is selected of a column."""
        return sa.cast(column, sa.Text())

    class Comparator(sa.Text.Comparator[str]):
        """Compares the text of a column."""

        def operate(self, op: Any, *other: Any, **options: Any) -> Any:
            return op(sa.cast(self.expr, sa.Text()), *other, **options)

        def reverse_operate(self, op: Any, other: Any, **options: Any) -> Any:
            return op(other, sa.cast(self.expr, sa.Text()), **options)

    comparator_factory = Comparator


def text_of(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A column as clients see it: as text if it is of ``AsText``, or of char(n), which PostgreSQL pads with blanks."""
    if isinstance(column.type, AsText | sa.CHAR):
        return sa.cast(column, sa.Text())
    return column


def integer_bits(kind: sa.types.TypeEngine[Any]) -> int:
    """The bits of a type of whole numbers; 0 of any other type."""
    match kind:
        case sa.SmallInteger():
            return 16
        case sa.BigInteger():
            return 64
        case sa.Integer():
            return 32
    return 0


#: PostgreSQL's bigint.
BigInt = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]

#: PostgreSQL stores every character but NUL.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]

#: A number with all its decimals, as PostgreSQL writes it; Pydantic would write a string.
ExactNumber = Annotated[Decimal, Field(json_schema_extra={"type": "number"})]


def _of_some_digits(number: Decimal) -> Decimal:
    """Refuse a number that PostgreSQL would write with more digits than its numeric has."""
    if abs(number.adjusted()) > json_numbers.LONGEST:
        raise PydanticCustomError("number", "a number of too many digits")
    return number


#: A number that a numeric column can be compared with.
ComparableNumber = Annotated[Decimal, AfterValidator(_of_some_digits)]


def _storable(value: Any) -> Any:
    """Refuse numbers that no double is near to, NaN among them, and NUL characters, which PostgreSQL cannot store."""
    try:
        text = orjson.dumps(value, default=json_numbers.write)
        # orjson writes NaN as null, and a Decimal of any size.
        json.dumps(value, allow_nan=False, default=float)
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if re.search(rb"(?<!\\)(\\\\)*\\u0000", text):
        raise ValueError("a NUL character")
    return value


#: Any JSON value that PostgreSQL's jsonb stores.
Json = Annotated[Any, AfterValidator(_storable)]


def _not_a_number(value: Any) -> Any:
    """Refuse a number, which Pydantic would take for the seconds or the milliseconds since 1970, as it sees fit."""
    if isinstance(value, Number) or re.fullmatch(r"\s*[-+]?[\d.]+\s*", str(value)):
        reason = "a number is neither a date nor a time: write it like 2020-01-31T12:00:00Z"
        raise PydanticCustomError("time", "{reason}", {"reason": reason})
    return value


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    """Refuse a time that Python's calendar does not have in UTC. PostgreSQL takes offsets below 16 hours only."""
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError:
        reason = "in UTC it is before the year 1 or after the year 9999"
        raise PydanticCustomError("time", "{reason}", {"reason": reason}) from None


#: A date, written as RFC 3339 has it.
Date = Annotated[datetime.date, BeforeValidator(_not_a_number)]

#: A time with its offset from UTC.
Timestamp = Annotated[AwareDatetime, BeforeValidator(_not_a_number), AfterValidator(_in_utc)]


class RowIn(BaseModel):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    model_config = ConfigDict(extra="forbid")

    #: The columns that the database sets; what a client sends for them is ignored, so that it can send back what it got.
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "created_at", "updated_at"})

    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, members: Any) -> Any:
        if not isinstance(members, dict):
            return members
        return {name: members[name] for name in members if name not in cls.READ_ONLY}


class RowOut(BaseModel):
    """A row as the service returns it."""

    # Of an object of the ORM, a column whose name is no identifier has the attribute's name.
    model_config = ConfigDict(from_attributes=True, validate_by_name=True, serialize_by_alias=True)


@cache
def members(schema: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a schema by the names that clients have for them, which are those of the columns.

    A field whose column has a name that is no identifier of Python, such as ``Land Use``, has that name as its alias.
    """
    return {field.alias or name: field for name, field in schema.model_fields.items()}


@cache
def member_names(schema: type[BaseModel]) -> Mapping[str, str]:
    """The names that clients have for the fields of a schema, by the names of the fields."""
    return {name: field.alias or name for name, field in schema.model_fields.items()}


def values_of(row: BaseModel) -> dict[str, Any]:
    """The values that a row of a schema was given, by the names of the columns."""
    names = member_names(type(row))
    return {names[field]: getattr(row, field) for field in row.model_fields_set}
