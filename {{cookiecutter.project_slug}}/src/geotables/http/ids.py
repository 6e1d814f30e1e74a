"""Ids in paths: which texts look like one, their types, and how a path writes them."""

import re
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import sqlalchemy as sa
from pydantic import (
    AfterValidator,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from starlette.convertors import StringConvertor, UUIDConvertor, register_url_convertor

from geotables.collection import Collection
from geotables.column_types import BigInt, ComparableNumber, Date, Text, Timestamp

#: What looks like an id in a path, by the name of the convertor. Other words are left to other routes, in whatever order all
#: are added.
PATTERNS = {
    "integer_id": "-?[0-9]+",
    "number_id": r"-?[0-9]+(\.[0-9]+)?",
    # In either case, and with or without hyphens.
    "uuid_id": UUIDConvertor.regex,
    "time_id": "-?infinity|[0-9]{4}[^/]*",
    # Anything, slashes included.
    "text_id": r"[\s\S]+",
}


class IdConvertor(StringConvertor):
    """Finds an id in a path by a regular expression."""

    def __init__(self, regex: str) -> None:
        self.regex = regex  # type: ignore[misc]


for name, regex in PATTERNS.items():
    register_url_convertor(name, IdConvertor(regex))

#: Goes before an id that a path cannot hold, and before one that begins with this sign.
ESCAPE = "~"

#: Ids that a path cannot hold: clients resolve the dots, and ``nearby`` is a route of the REST resource.
UNREACHABLE = frozenset({"", ".", "..", "nearby"})


def id_convertor(collection: Collection) -> str:
    """The name of the convertor for ids of a collection, as in ``/{id:uuid_id}``."""
    match collection.key.type:
        case sa.Integer():
            return "integer_id"
        case sa.Numeric():
            return "number_id"
        case sa.Uuid():
            return "uuid_id"
        case sa.Date() | sa.DateTime():
            return "time_id"
    return "text_id"


def in_path(id: str) -> str:
    """An id as a path has it."""
    if id in UNREACHABLE or id.startswith(ESCAPE):
        id = ESCAPE + id
    return quote(id, safe="")


def _from_path(text: str) -> str:
    return text.removeprefix(ESCAPE)


_DAY = r"-(0[1-9]|1[012])-([012]\d|3[01])(T[012]\d:[0-5]\d:[0-5]\d(\.\d+)?\+00:00)?"

#: Dates and times that PostgreSQL has and Python has not, as JSON has them.
_BEYOND_PYTHON = re.compile(rf"-?infinity|\d{{5,6}}{_DAY}|\d{{4,6}}{_DAY} BC")


def _as_time(text: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(text, str) and _BEYOND_PYTHON.fullmatch(text):
        return text
    return validate(text)


_DATE = WithJsonSchema({"type": "string", "format": "date"})
_TIME = WithJsonSchema({"type": "string", "format": "date-time"})


def id_type(collection: Collection) -> Any:
    """The type of an id, for Pydantic."""
    match collection.key.type:
        case sa.Integer():
            return BigInt
        case sa.Numeric():
            return Annotated[ComparableNumber, WithJsonSchema({"type": "number"})]
        case sa.Uuid():
            return UUID
        case sa.Date():
            return Annotated[Date, WrapValidator(_as_time), _DATE]
        case sa.DateTime():
            return Annotated[Timestamp, WrapValidator(_as_time), _TIME]
    return Text


def path_id_type(collection: Collection) -> Any:
    """The type of an id in a path, for Pydantic: a text comes without its escape."""
    if id_convertor(collection) == "text_id":
        return Annotated[Text, AfterValidator(_from_path)]
    return id_type(collection)


def is_same(collection: Collection, id: Any, other: Any) -> bool:
    """Whether two values of the key are the same to PostgreSQL."""
    if isinstance(collection.key.type, sa.CHAR):
        # Padded with spaces.
        return str(id).rstrip(" ") == str(other).rstrip(" ")
    return bool(id == other)
