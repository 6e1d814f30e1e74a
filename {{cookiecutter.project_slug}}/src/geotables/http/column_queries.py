"""The query parameters that ask about columns, and the order of the rows: the same for rows and for features."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from geotables.collection import Collection
from geotables.column_types import ComparableNumber, Date, Text, Timestamp
from geotables.db.statements import Condition
from geotables.sql.keyset import Key, Order, TokenError, by_id

#: The schema of a parameter that is text to the client, whatever it becomes here.
TEXT = WithJsonSchema({"type": "string"})


class ColumnQueries:
    """The query parameters about a collection's columns.

    Attributes:
        columns: The columns that rows can be sorted by.
        parameters: Those with a parameter of their own, by its field: all whose name no other parameter has.
    """

    def __init__(self, collection: Collection, taken: Iterable[str]) -> None:
        """State the parameters.

        Args:
            collection: The collection.
            taken: The names of other parameters.
        """
        self._collection = collection
        self.columns = {
            column.name: column
            for column in collection.columns
            if column is not collection.geometry and not isinstance(column.type, sa.JSON)
        }
        taken = {*taken}
        self.parameters = {
            f"column_{number}": column
            for number, column in enumerate(self.columns.values())
            if column.name not in taken
        }
        # The rows that have a value in each of them.
        self._equal = {
            field: column == _given(field, column) for field, column in self.parameters.items()
        }
        # Clients ask for the same again, for another page.
        self._order = lru_cache(maxsize=64)(self._read_order)

    def fields(self) -> dict[str, Any]:
        """The fields of the columns' parameters."""
        return {
            name: (
                _type(column),
                Field(default=None, alias=column.name, description=f"The value of {column.name}."),
            )
            for name, column in self.parameters.items()
        }

    def order_fields(self) -> dict[str, Any]:
        """The fields of ``sortby`` and of ``token``, which has to come after it."""
        description = (
            f"Names to sort by, with - before those that descend: {', '.join(self.columns)}."
        )
        return {
            "sortby": (
                Annotated[Any, PlainValidator(self._order), TEXT],
                Field(default_factory=partial(by_id, self._collection), description=description),
            ),
            "token": (
                Annotated[Any, PlainValidator(_after), TEXT],
                Field(
                    default=None,
                    description="Where the page begins; links to the next page have it.",
                ),
            ),
        }

    def column_conditions(self, query: BaseModel) -> Iterator[Condition]:
        """The rows that have the values that a query asks for."""
        for field in self.parameters:
            if field in query.model_fields_set:
                yield Condition(self._equal[field], {field: getattr(query, field)})

    def _read_order(self, text: str) -> Order:
        keys: list[Key] = []
        for part in text.split(","):
            sign, name = (part[0], part[1:]) if part[:1] in ("+", "-", " ") else ("+", part)
            if name not in self.columns or name in [key.column.name for key in keys]:
                reason = f"{name!r:.100} is not one of {', '.join(self.columns)}, or is given twice"
                raise PydanticCustomError("sortby", "{reason}", {"reason": reason})
            keys.append(Key(self.columns[name], descending=sign == "-"))
        return Order(self._collection, keys)


def _after(token: str | None, others: ValidationInfo) -> Condition | None:
    if token is None or "sortby" not in others.data:
        return None
    if others.data.get("offset"):
        raise PydanticCustomError("token", "either a token or an offset, not both")
    order: Order = others.data["sortby"]
    try:
        return order.after(order.read(token))
    except TokenError as error:
        raise PydanticCustomError("token", "{reason}", {"reason": str(error)}) from error


def _type(column: sa.Column[Any]) -> Any:
    """The Pydantic type of a parameter that a column is compared with."""
    match column.type:
        case sa.DateTime():
            return Annotated[Timestamp, BeforeValidator(_like(r"\d{4}-\d\d-\d\dT.*"))]
        case sa.Date():
            return Annotated[Date, BeforeValidator(_like(r"\d{4}-\d\d-\d\d"))]
        case sa.String():
            return Text
        case sa.Float():
            return Annotated[float, Field(allow_inf_nan=False)]
        case sa.Numeric():
            return ComparableNumber
    return column.type.python_type


def _given(name: str, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The value that a client gives for a column."""
    value: sa.BindParameter[Any] = sa.bindparam(name, type_=column.type)
    # As a double, 0.1 is no number of single precision.
    return sa.cast(value, column.type) if isinstance(column.type, sa.REAL) else value


def _like(pattern: str) -> Callable[[Any], Any]:
    """Refuse the other spellings that Pydantic takes: a number would be the seconds since 1970."""

    def check(value: Any) -> Any:
        if not re.fullmatch(pattern, str(value), re.IGNORECASE | re.ASCII):
            raise PydanticCustomError("time", "not a date or time as RFC 3339 has it")
        return value

    return check
